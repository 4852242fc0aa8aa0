/* SPDX-License-Identifier: MIT */
/*
 * Fuzzer of the SMB decoders: whatever comes in, they stay inside it, and what they
 * take can be encoded and taken again (tests/unit/smb/smb_decoders.h).
 *
 * With libFuzzer an input's first byte chooses the decoder.  Without
 * (FUZZ_STANDALONE), main bends honest bytes of one decoder or of all:
 *
 *	fuzz-smb [--runs N] [--seed S] [--target NAME]
 */
#include <backend/smb/smb_layout.h>
#include <base/rng.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../unit/smb/smb_decoders.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct smb_target *target_at(size_t i)
{
	return i < smb_ntargets ? &smb_targets[i] : &smb_payload_targets[i - smb_ntargets];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	target_at(data[0] % (smb_ntargets + smb_npayload_targets))->consume(data + 1, size - 1);
	return 0;
}

#ifdef FUZZ_STANDALONE

#define INPUT_MAX (2 * SMB_SAMPLE_MAX)

static uint64_t below(struct netfs_rng *rng, uint64_t bound)
{
	return netfs_rng_below(rng, bound);
}

/* Lengths and places that decoders get wrong, at 1, 2 or 4 bytes. */
static void put_interesting(struct netfs_rng *rng, uint8_t *bytes, size_t size)
{
	static const uint32_t values[] = {0,	   1,	       2,	   3,	       4,
					  7,	   8,	       15,	   16,	       63,
					  64,	   65,	       127,	   128,	       255,
					  256,	   0x7fff,     0x8000,	   0xffff,     0x10000,
					  0xfffff, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
	uint32_t value = values[below(rng, sizeof(values) / sizeof(values[0]))];
	size_t width = (size_t)1 << below(rng, 3), at = below(rng, size);

	if (below(rng, 4) == 0)
		value = (uint32_t)size - (uint32_t)below(rng, 9);
	for (size_t i = 0; i < width && at + i < size; i++)
		bytes[at + i] = (uint8_t)(value >> (8 * i));
}

static size_t mutate_once(struct netfs_rng *rng, uint8_t *bytes, size_t size)
{
	size_t at = below(rng, size), len = 1 + below(rng, 16);

	switch (below(rng, 7)) {
	case 0:
		bytes[at] = (uint8_t)netfs_rng_u64(rng);
		return size;
	case 1:
		bytes[at] ^= (uint8_t)(1u << below(rng, 8));
		return size;
	case 2:
	case 3:
		put_interesting(rng, bytes, size);
		return size;
	case 4: /* cut */
		return at > 0 ? at : 1;
	case 5: /* take out */
		if (at + len >= size)
			return size;
		memmove(bytes + at, bytes + at + len, size - at - len);
		return size - len;
	default: /* put in */
		if (size + len > INPUT_MAX)
			return size;
		memmove(bytes + at + len, bytes + at, size - at);
		return size + len;
	}
}

/* Of one decoder: what became of the inputs. */
struct tally {
	uint64_t taken;
	uint64_t refused;
};

static void run_one(const struct smb_target *target, struct netfs_rng *rng, struct tally *tally)
{
	static uint8_t bytes[INPUT_MAX];
	unsigned samples = 0, count;
	uint8_t *exact;
	size_t size;

	while (target->sample(samples, bytes) > 0)
		samples++;
	size = target->sample((unsigned)below(rng, samples), bytes);
	count = (unsigned)below(rng, 6);
	while (count-- > 0)
		size = mutate_once(rng, bytes, size);
	exact = malloc(size);
	memcpy(exact, bytes, size);
	if (target->consume(exact, size) == 0)
		tally->taken++;
	else
		tally->refused++;
	free(exact);
}

/* Nonzero where all inputs ended the same way: then it tested nothing. */
static int run_target(const struct smb_target *target, uint64_t runs, uint64_t seed)
{
	struct tally tally = {0};
	struct netfs_rng rng;

	for (uint64_t run = 0; run < runs; run++) {
		/* Each run has a seed of its own, so that --runs 1 repeats it. */
		netfs_rng_init(&rng, seed + run);
		if (getenv("FUZZ_TRACE"))
			fprintf(stderr, "%s run %" PRIu64 "\n", target->name, seed + run);
		run_one(target, &rng, &tally);
	}
	printf("fuzz-smb: %s: %" PRIu64 " taken, %" PRIu64 " refused, seed %" PRIu64 "\n",
	       target->name, tally.taken, tally.refused, seed);
	fflush(stdout);
	return runs >= 1000 && (tally.taken == 0 || tally.refused == 0);
}

int main(int argc, char **argv)
{
	uint64_t runs = 20000, seed = 1;
	const char *only = NULL;
	int failed = 0, ran = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--runs") == 0)
			runs = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--target") == 0)
			only = argv[i + 1];
	}
	for (size_t i = 0; i < smb_ntargets + smb_npayload_targets; i++) {
		const struct smb_target *target = target_at(i);

		if (only && strcmp(only, target->name) != 0)
			continue;
		failed |= run_target(target, runs, seed);
		ran++;
	}
	if (!ran)
		fprintf(stderr, "fuzz-smb: there is no target '%s'\n", only);
	return failed || !ran;
}

#endif
