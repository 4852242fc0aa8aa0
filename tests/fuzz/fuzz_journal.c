/* SPDX-License-Identifier: MIT */
/*
 * Fuzzer of what the journal reads of its folder: a head, and the records of a body.
 * Whatever comes in is refused or stays inside its bounds; of what was sealed, or has
 * a checksum, nothing is taken but what was written.
 *
 * An input is a frame; its first byte says how it is read.  Without libFuzzer
 * (FUZZ_STANDALONE), main bends honest frames:
 *
 *	fuzz-journal [--runs N] [--seed S]
 */
#include <base/rng.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <crypt/aead.h>
#include <env/sim/sim.h>
#include <journal/frame.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum reading {
	PLAIN,
	SEALED,
	BELIEVED, /* plain, and its proof is not looked at */
	READINGS,
};

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "fuzz-journal: line %d: %s\n", __LINE__, #cond);           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static const uint8_t key[NETFS_AEAD_KEY] = "a secret that everybody knows, 1";

/* What an honest journal wrote. */
static struct {
	struct netfs_aead *seal;
	struct netfs_aead *open;
	struct frame frame[2]; /* plain and sealed */
	uint8_t *plain; /* the body of both */
	size_t body_len;
} honest;

static void make_frame(struct frame *frame)
{
	const struct record_name name = {.known = true,
					 .base = {.counter = 7, .size = 1000},
					 .path = "folder/file",
					 .path_len = 11};
	struct record record = {.seq = 1, .ino = 2, .gen = 3};

	check(frame_begin(frame) == 0);
	check(frame_add_name(frame, record, &name) == 0);
	for (unsigned i = 0; i < 4; i++) {
		record.kind = RECORD_DATA;
		record.seq++;
		record.start = i * 5000;
		record.len = 100 + i * 700;
		memset(frame_add(frame, &record), 'a' + (int)i, record.len);
	}
	record.len = 0;
	for (record.kind = RECORD_MARK; record.kind < RECORD_KINDS; record.kind++)
		check(frame_add(frame, &record) != NULL);
}

static void make_honest(void)
{
	const struct frame_head head = {.number = 9, .time_ns = 8, .log = "a log"};

	netfs_sim_start(1);
	check(netfs_aead_new(key, NETFS_AEAD_SEAL, &honest.seal) == 0);
	check(netfs_aead_new(key, NETFS_AEAD_OPEN, &honest.open) == 0);
	for (unsigned i = 0; i < 2; i++)
		make_frame(&honest.frame[i]);
	honest.body_len = honest.frame[0].used - FRAME_HEAD;
	honest.plain = malloc(honest.body_len);
	check(honest.plain != NULL);
	memcpy(honest.plain, honest.frame[0].bytes + FRAME_HEAD, honest.body_len);
	check(frame_end(&honest.frame[PLAIN], &head, NULL) > 0);
	check(frame_end(&honest.frame[SEALED], &head, honest.seal) > 0);
}

static void read_records(const uint8_t *body, size_t len)
{
	struct record_name name;
	struct record record;
	size_t at = 0;

	while (frame_next(body, len, &at, &record)) {
		check(at <= len && record.body_at + record.len == at);
		check(record.body >= body && record.body + record.len <= body + len);
		if (record.kind == RECORD_NAME && frame_read_name(&record, &name) == 0) {
			check((const uint8_t *)name.path + name.path_len == body + at);
			check(!memchr(name.path, 0, name.path_len));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum reading reading;
	struct frame_head head;
	uint8_t *body;
	int err;

	if (!honest.seal)
		make_honest();
	if (size < 1 + FRAME_HEAD)
		return 0;
	reading = data[0] % READINGS;
	err = frame_head_read(data + 1, reading == SEALED, &head);
	if (err && reading != BELIEVED)
		return 0;
	size -= 1 + FRAME_HEAD;
	body = malloc(size + 1);
	check(body != NULL);
	memcpy(body, data + 1 + FRAME_HEAD, size);
	if (reading != BELIEVED && head.body_len < size)
		size = head.body_len;
	err = frame_open(data + 1, body, size, reading == SEALED ? honest.open : NULL);
	if (err == 0 || reading == BELIEVED)
		read_records(body, size);
	if (err == 0 && reading == SEALED)
		check(size == honest.body_len && memcmp(body, honest.plain, size) == 0);
	free(body);
	return 0;
}

#ifdef FUZZ_STANDALONE

/* An honest frame with a few bytes changed, cut short or grown. */
static size_t bend(struct netfs_rng *rng, uint8_t *data, size_t room)
{
	enum reading reading = netfs_rng_below(rng, READINGS);
	const struct frame *frame = &honest.frame[reading == SEALED];
	size_t size = 1 + frame->used;

	data[0] = (uint8_t)reading;
	memcpy(data + 1, frame->bytes, frame->used);
	for (uint64_t n = netfs_rng_below(rng, 6); n; n--) {
		size_t at = 1 + netfs_rng_below(rng, size - 1);

		if (netfs_rng_below(rng, 2))
			data[at] ^= (uint8_t)(1u << netfs_rng_below(rng, 8));
		else
			data[at] = (uint8_t)netfs_rng_u64(rng);
	}
	if (netfs_rng_below(rng, 4) == 0)
		size = netfs_rng_below(rng, room);
	return size;
}

int main(int argc, char **argv)
{
	uint64_t runs = 100000, seed = 1;
	struct netfs_rng rng;
	uint8_t *data;
	size_t room;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--runs"))
			runs = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
	}
	printf("fuzz-journal: seed %" PRIu64 "\n", seed);
	netfs_rng_init(&rng, seed);
	make_honest();
	room = 2 + honest.frame[0].used + 100;
	data = calloc(1, room);
	check(data != NULL);
	for (uint64_t i = 0; i < runs; i++)
		LLVMFuzzerTestOneInput(data, bend(&rng, data, room));
	for (enum reading i = PLAIN; i <= SEALED; i++) {
		data[0] = (uint8_t)i;
		memcpy(data + 1, honest.frame[i].bytes, honest.frame[i].used);
		check(frame_open(data + 1, data + 1 + FRAME_HEAD, honest.body_len,
				 i == SEALED ? honest.open : NULL) == 0);
	}
	free(data);
	free(honest.plain);
	netfs_aead_free(honest.seal);
	netfs_aead_free(honest.open);
	frame_done(&honest.frame[0]);
	frame_done(&honest.frame[1]);
	printf("fuzz-journal: %" PRIu64 " runs\n", runs);
	return 0;
}

#endif
