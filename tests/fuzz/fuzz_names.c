/* SPDX-License-Identifier: MIT */
/*
 * Fuzzer of what the store of names reads of its database: rows, plain and sealed, and
 * what is in them.  Whatever comes in, what is taken is written the same way again, and
 * a sealed row is taken only as it was sealed.
 *
 * An input's first byte chooses the decoder.  Without libFuzzer (FUZZ_STANDALONE), main
 * bends honest bytes:
 *
 *	fuzz-names [--runs N] [--seed S]
 */
#include <base/rng.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cache/store/name_rows.h>
#include <env/sim/sim.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum decoder {
	ATTR,
	ENTRY,
	SHARE,
	SPACE,
	PLAIN_ROW,
	SEALED_ROW,
	DECODERS,
};

#define BYTES_MAX (NETFS_ROW_ENTRY_MAX + NETFS_ROW_PROOF)

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "fuzz-names: line %d: %s\n", __LINE__, #cond);             \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static const uint8_t key[NETFS_ROW_ID] = "where it stands";

/* What an honest store wrote. */
static struct {
	struct netfs_rows *plain;
	struct netfs_rows *sealed;
	uint8_t bytes[DECODERS][BYTES_MAX];
	size_t size[DECODERS];
} honest;

static void make_honest(void)
{
	static const uint8_t secret[32] = "a secret that everybody knows, 1";
	const struct netfs_attr attr = {
		.ino = 7, .mode = S_IFREG | 0644, .size = 1000, .mtime = {5, 999999999}};
	struct netfs_row_entry entry = {
		.id = {7, 8}, .type = S_IFREG, .whole = true, .name_len = 5, .name = "name."};
	const struct netfs_name_share share = {.rsize = 1, .wsize = 2, .depth = 3, .granule = 4096};
	const struct netfs_statfs space = {.bsize = 4096, .blocks = 77};
	char file[NETFS_ROW_FILE];
	ssize_t len;

	netfs_sim_start(1);
	check(netfs_rows_new("volume", NULL, 0, &honest.plain, file) == 0);
	check(netfs_rows_new("volume", secret, sizeof(secret), &honest.sealed, file) == 0);
	netfs_row_put_attr(honest.bytes[ATTR], &attr);
	honest.size[ATTR] = NETFS_ROW_ATTR;
	honest.size[ENTRY] = netfs_row_put_entry(honest.bytes[ENTRY], &entry);
	netfs_row_put_share(honest.bytes[SHARE], &share);
	honest.size[SHARE] = NETFS_ROW_SHARE;
	netfs_row_put_space(honest.bytes[SPACE], &space);
	honest.size[SPACE] = NETFS_ROW_SPACE;
	len = netfs_rows_close(honest.plain, NETFS_ROW_IS_ATTR, key, honest.bytes[ATTR],
			       NETFS_ROW_ATTR, honest.bytes[PLAIN_ROW]);
	check(len > 0);
	honest.size[PLAIN_ROW] = (size_t)len;
	len = netfs_rows_close(honest.sealed, NETFS_ROW_IS_ATTR, key, honest.bytes[ATTR],
			       NETFS_ROW_ATTR, honest.bytes[SEALED_ROW]);
	check(len > 0);
	honest.size[SEALED_ROW] = (size_t)len;
}

static bool consume_body(enum decoder decoder, const uint8_t *bytes, size_t size)
{
	uint8_t again[BYTES_MAX];
	struct netfs_name_share share;
	struct netfs_row_entry entry;
	struct netfs_statfs space;
	struct netfs_attr attr;
	bool taken;

	switch (decoder) {
	case ATTR:
		taken = netfs_row_get_attr(bytes, size, &attr);
		if (taken)
			netfs_row_put_attr(again, &attr);
		break;
	case ENTRY:
		taken = netfs_row_get_entry(bytes, size, &entry);
		check(!taken || (strlen(entry.name) == entry.name_len && !strchr(entry.name, '/')));
		if (taken)
			check(netfs_row_put_entry(again, &entry) == size);
		break;
	case SHARE:
		taken = netfs_row_get_share(bytes, size, &share);
		if (taken)
			netfs_row_put_share(again, &share);
		break;
	default:
		taken = netfs_row_get_space(bytes, size, &space);
		if (taken)
			netfs_row_put_space(again, &space);
		break;
	}
	check(!taken || memcmp(again, bytes, size) == 0);
	return taken;
}

static bool consume(enum decoder decoder, const uint8_t *bytes, size_t size)
{
	uint8_t out[NETFS_ROW_ATTR];
	ssize_t len;

	if (!honest.plain)
		make_honest();
	if (decoder < PLAIN_ROW)
		return consume_body(decoder, bytes, size);
	len = netfs_rows_open(decoder == PLAIN_ROW ? honest.plain : honest.sealed,
			      NETFS_ROW_IS_ATTR, key, bytes, size, out, sizeof(out));
	check(len >= 0 || len == -EUCLEAN);
	check(len < 0 || decoder == PLAIN_ROW ||
	      (size == honest.size[decoder] && memcmp(bytes, honest.bytes[decoder], size) == 0));
	return len >= 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 1)
		consume(data[0] % DECODERS, data + 1, size - 1);
	return 0;
}

#ifdef FUZZ_STANDALONE

/* Bends a copy; its new size. */
static size_t bend(struct netfs_rng *rng, uint8_t *bytes, size_t size)
{
	size_t at = netfs_rng_below(rng, size);

	switch (netfs_rng_below(rng, 4)) {
	case 0:
		bytes[at] ^= (uint8_t)(1U << netfs_rng_below(rng, 8));
		return size;
	case 1:
		memmove(bytes + at, bytes + netfs_rng_below(rng, size - at), (size - at) / 2);
		return size;
	case 2:
		memset(bytes + at, (int)netfs_rng_below(rng, 256), (size - at + 15) / 16);
		return size;
	default:
		return netfs_rng_below(rng, 4) ? size : at + 1;
	}
}

static bool run(struct netfs_rng *rng, enum decoder decoder)
{
	uint8_t bytes[BYTES_MAX], *exact;
	size_t size = honest.size[decoder];
	bool taken;

	memcpy(bytes, honest.bytes[decoder], size);
	for (unsigned n = (unsigned)netfs_rng_below(rng, 5); n > 0; n--)
		size = bend(rng, bytes, size);
	exact = malloc(size);
	memcpy(exact, bytes, size);
	taken = consume(decoder, exact, size);
	free(exact);
	return taken;
}

int main(int argc, char **argv)
{
	uint64_t runs = 20000, seed = 1, taken[DECODERS] = {0};
	struct netfs_rng rng;
	int failed = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--runs") == 0)
			runs = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 0);
	}
	make_honest();
	for (uint64_t i = 0; i < runs; i++) {
		/* Each run has a seed of its own, so that --runs 1 repeats it. */
		netfs_rng_init(&rng, seed + i);
		taken[i % DECODERS] += run(&rng, i % DECODERS);
	}
	for (unsigned i = 0; i < DECODERS; i++) {
		printf("fuzz-names: decoder %u: %" PRIu64 " of %" PRIu64 " taken, seed %" PRIu64
		       "\n",
		       i, taken[i], runs / DECODERS, seed);
		/* Where all inputs ended the same way nothing was tested. */
		failed |= runs >= 1000 && (!taken[i] || taken[i] >= runs / DECODERS);
	}
	netfs_rows_free(honest.plain);
	netfs_rows_free(honest.sealed);
	netfs_sim_stop();
	return failed;
}

#endif
