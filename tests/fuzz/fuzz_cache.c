/* SPDX-License-Identifier: MIT */
/*
 * Fuzzer of what the disk cache reads of its catalogue: rows of plain and of sealed
 * objects, and records.  Whatever comes in, a map stays sound, and of what is
 * sealed nothing is taken but what was sealed.
 *
 * An input's first byte chooses the decoder.  Without libFuzzer
 * (FUZZ_STANDALONE), main bends honest bytes:
 *
 *	fuzz-cache [--runs N] [--seed S]
 */
#include <base/rng.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cache/store/map.h>
#include <cache/store/seal.h>
#include <env/sim/sim.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHUNK 3

enum decoder {
	PLAIN_ROW,
	OPENED_ROW, /* a sealed one whose seal fitted */
	SEALED_ROW,
	RECORD,
	DECODERS,
};

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "fuzz-cache: line %d: %s\n", __LINE__, #cond);             \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* What an honest cache wrote, and the key it did so with. */
static struct {
	struct netfs_seal *seal;
	struct netfs_seal_key key;
	struct netfs_map map;
	uint8_t bytes[DECODERS][NETFS_MAP_SEALED_ROW];
	size_t size[DECODERS];
} honest;

static void make_plain(void)
{
	struct netfs_map map = {0};

	check(netfs_map_reserve(&map, 0, NETFS_MAP_CHUNK) == 0);
	for (uint64_t i = 0; i < NETFS_MAP_CHUNK_BLOCKS; i += 1 + i % 3)
		netfs_map_add(&map, i * NETFS_MAP_BLOCK, NETFS_MAP_BLOCK, i * 77);
	honest.size[PLAIN_ROW] = netfs_map_store(map.chunks[0], honest.bytes[PLAIN_ROW]);
	netfs_map_done(&map);
}

static void make_honest(void)
{
	static const uint8_t secret[32] = "a secret that everybody knows, 1";
	static const uint8_t text[NETFS_SEAL_TEXT] = "version and tail";
	const struct netfs_seal_name name = {1, 2};
	struct netfs_map *map = &honest.map;

	netfs_sim_start(1);
	make_plain();
	check(netfs_seal_new(secret, sizeof(secret), &honest.seal) == 0);
	check(netfs_seal_key_make(honest.seal, &name, NULL, &honest.key) == 0);
	map->sealed = true;
	check(netfs_map_reserve(map, CHUNK * NETFS_MAP_CHUNK, (CHUNK + 1) * NETFS_MAP_CHUNK) == 0);
	for (uint64_t i = 0; i < NETFS_MAP_CHUNK_BLOCKS; i += 1 + i % 3) {
		struct netfs_map_seal seal = {.nonce = {(uint8_t)i}};

		netfs_map_add_sealed(map, CHUNK * NETFS_MAP_CHUNK + i * NETFS_MAP_BLOCK,
				     NETFS_MAP_BLOCK, &seal);
	}
	check(netfs_seal_row_close(&honest.key, CHUNK, map->chunks[CHUNK]) == 0);
	honest.size[SEALED_ROW] = netfs_seal_row_put(map->chunks[CHUNK], honest.bytes[SEALED_ROW]);
	honest.size[OPENED_ROW] =
		netfs_map_store_sealed(map->chunks[CHUNK], honest.bytes[OPENED_ROW]);
	check(netfs_seal_record_close(&honest.key, map, text, honest.bytes[RECORD]) == 0);
	honest.size[RECORD] = NETFS_SEAL_RECORD;
}

/* A map of one chunk does what its owner expects, with any tail. */
static void check_map(struct netfs_map *map, uint64_t tail)
{
	uint64_t from, to, at = 0, whole = 0;

	if (tail % NETFS_MAP_BLOCK && netfs_map_has(map, tail / NETFS_MAP_BLOCK))
		map->tail = tail;
	for (uint64_t i = 0; i < (uint64_t)map->nchunks * NETFS_MAP_CHUNK_BLOCKS; i++) {
		if (!netfs_map_has(map, i))
			continue;
		whole++;
		check(netfs_map_block_len(map, i) > 0 &&
		      netfs_map_block_len(map, i) <= NETFS_MAP_BLOCK);
	}
	check(whole == map->blocks);
	for (; netfs_map_next(map, at, NETFS_MAP_END, &from, &to); at = to) {
		check(from >= at && to > from);
		check(netfs_map_has(map, from / NETFS_MAP_BLOCK));
		check(netfs_map_has(map, (to - 1) / NETFS_MAP_BLOCK));
	}
	netfs_map_remove(map, 0, NETFS_MAP_END);
	check(map->blocks == 0 && map->tail == 0);
}

static int consume_row(const uint8_t *row, size_t size, bool sealed)
{
	struct netfs_map map = {.sealed = sealed};
	uint8_t again[NETFS_MAP_SEALED_ROW];
	uint64_t tail = size > 40 ? row[34] * UINT64_C(257) + row[35] * NETFS_MAP_BLOCK : 0;
	int err = netfs_map_load(&map, CHUNK, row, size);

	if (!err) {
		check(size == (sealed ? netfs_map_store_sealed(map.chunks[CHUNK], again)
				      : netfs_map_store(map.chunks[CHUNK], again)));
		check(memcmp(row, again, size) == 0);
		check_map(&map, CHUNK * NETFS_MAP_CHUNK + tail);
	}
	netfs_map_done(&map);
	return err;
}

static int consume_sealed(const uint8_t *row, size_t size)
{
	struct netfs_map map = {.sealed = true};
	int err = netfs_seal_row_open(&honest.key, CHUNK, row, size, &map);

	netfs_map_done(&map);
	return err;
}

static int consume_record(const uint8_t *record, size_t size)
{
	uint8_t text[NETFS_SEAL_TEXT];

	/* The caller looks at the length. */
	if (size != NETFS_SEAL_RECORD)
		return -EUCLEAN;
	return netfs_seal_record_open(&honest.key, &honest.map, record, text);
}

static int consume(enum decoder decoder, const uint8_t *bytes, size_t size)
{
	const uint8_t *same = honest.bytes[decoder];
	int err;

	if (!honest.seal)
		make_honest();
	if (decoder == PLAIN_ROW || decoder == OPENED_ROW)
		return consume_row(bytes, size, decoder == OPENED_ROW);
	err = decoder == RECORD ? consume_record(bytes, size) : consume_sealed(bytes, size);
	/* The salt is the key's, which is here already. */
	if (decoder == RECORD && size > NETFS_SEAL_SALT) {
		bytes += NETFS_SEAL_SALT;
		same += NETFS_SEAL_SALT;
		size -= NETFS_SEAL_SALT;
	}
	check(err == 0 || err == -EUCLEAN);
	check(err || memcmp(bytes, same, size) == 0);
	return err;
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
	case 1: /* one stretch in the place of another */
		memmove(bytes + at, bytes + netfs_rng_below(rng, size - at), (size - at) / 2);
		return size;
	case 2:
		memset(bytes + at, (int)netfs_rng_below(rng, 256), (size - at + 15) / 16);
		return size;
	default:
		return netfs_rng_below(rng, 4) ? size : at + 1;
	}
}

static uint64_t run(struct netfs_rng *rng, enum decoder decoder)
{
	static uint8_t bytes[NETFS_MAP_SEALED_ROW];
	size_t size = honest.size[decoder];
	uint8_t *exact;
	int err;

	memcpy(bytes, honest.bytes[decoder], size);
	for (unsigned n = (unsigned)netfs_rng_below(rng, 5); n > 0; n--)
		size = bend(rng, bytes, size);
	exact = malloc(size);
	memcpy(exact, bytes, size);
	err = consume(decoder, exact, size);
	free(exact);
	return !err;
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
		printf("fuzz-cache: decoder %u: %" PRIu64 " of %" PRIu64 " taken, seed %" PRIu64
		       "\n",
		       i, taken[i], runs / DECODERS, seed);
		/* Where all inputs ended the same way nothing was tested. */
		failed |= runs >= 1000 && (!taken[i] || taken[i] >= runs / DECODERS);
	}
	netfs_seal_key_drop(&honest.key);
	netfs_seal_free(honest.seal);
	netfs_map_done(&honest.map);
	netfs_sim_stop();
	return failed;
}

#endif
