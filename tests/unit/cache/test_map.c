/* SPDX-License-Identifier: MIT */
/*
 * Goal: the map says there is what was added and not removed, with its sums,
 * and is the same after it was stored and loaded.
 * Method: random additions and removals beside an array with one entry per
 * block; all questions are asked of both.
 */
#include <errno.h>
#include <string.h>
#include <base/rng.h>
#include <cache/store/map.h>
#include <t.h>

#define BLOCKS 700

struct oracle {
	size_t len[BLOCKS]; /* 0: not there */
	uint64_t sum[BLOCKS];
	bool held[BLOCKS];
};

static void oracle_add(struct oracle *oracle, unsigned block, size_t len, uint64_t sum)
{
	for (unsigned i = 0; i < BLOCKS && len < NETFS_MAP_BLOCK; i++)
		if (oracle->len[i] && oracle->len[i] < NETFS_MAP_BLOCK)
			oracle->len[i] = 0;
	oracle->len[block] = len;
	oracle->sum[block] = sum;
	oracle->held[block] = true;
}

static void check_blocks(const struct netfs_map *map, const struct oracle *oracle)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < BLOCKS; i++) {
		assert_int_equal(netfs_map_has(map, i), oracle->len[i] > 0);
		count += oracle->len[i] > 0;
		if (!oracle->len[i])
			continue;
		assert_int_equal(netfs_map_block_len(map, i), oracle->len[i]);
		assert_int_equal(netfs_map_sum(map, i), oracle->sum[i]);
	}
	assert_int_equal(map->blocks, count);
}

/* What is held, and the stretches of it that are not there. */
static void check_held(const struct netfs_map *map, const struct oracle *oracle, unsigned first)
{
	uint64_t count = 0, from, to, end = BLOCKS * NETFS_MAP_BLOCK;
	unsigned i;

	for (i = 0; i < BLOCKS; i++)
		count += oracle->held[i];
	assert_int_equal(map->held, count);
	assert_int_equal(netfs_map_unheld(map, 0, end), BLOCKS - count);
	for (i = first; i < BLOCKS && !(oracle->held[i] && !oracle->len[i]);)
		i++;
	assert_int_equal(netfs_map_rubbish(map, first * NETFS_MAP_BLOCK, end, &from, &to),
			 i < BLOCKS);
	if (i == BLOCKS)
		return;
	assert_int_equal(from, i * NETFS_MAP_BLOCK);
	while (i < BLOCKS && oracle->held[i] && !oracle->len[i])
		i++;
	assert_int_equal(to, i * NETFS_MAP_BLOCK);
}

/* Byte by byte what netfs_map_next() finds in one piece. */
static void check_next(const struct netfs_map *map, const struct oracle *oracle, uint64_t start,
		       uint64_t end)
{
	uint64_t from = 0, to = 0, want = start, stop;
	bool there = netfs_map_next(map, start, end, &from, &to);

	while (want < end && (want / NETFS_MAP_BLOCK >= BLOCKS ||
			      want % NETFS_MAP_BLOCK >= oracle->len[want / NETFS_MAP_BLOCK]))
		want++;
	assert_int_equal(there, want < end);
	if (!there)
		return;
	for (stop = want; stop < end && stop / NETFS_MAP_BLOCK < BLOCKS &&
			  stop % NETFS_MAP_BLOCK < oracle->len[stop / NETFS_MAP_BLOCK];)
		stop++;
	assert_int_equal(from, want);
	assert_int_equal(to, stop);
}

static void check_copy(const struct netfs_map *map, const struct oracle *oracle)
{
	struct netfs_map copy = {0};
	uint8_t row[NETFS_MAP_ROW];

	for (uint32_t i = 0; i < map->nchunks; i++) {
		if (!map->chunks[i] || !map->chunks[i]->count)
			continue;
		assert_int_equal(
			netfs_map_load(&copy, i, row, netfs_map_store(map->chunks[i], row)), 0);
	}
	copy.tail = map->tail;
	check_blocks(&copy, oracle);
	netfs_map_done(&copy);
}

static void map_agrees_with_an_array(void **state)
{
	struct netfs_map map = {0};
	struct oracle oracle = {0};
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	for (unsigned step = 0; step < 3000; step++) {
		unsigned block = (unsigned)netfs_rng_below(&rng, BLOCKS);
		unsigned many = (unsigned)netfs_rng_below(&rng, 90) + 1;
		uint64_t start = block * NETFS_MAP_BLOCK, sum = netfs_rng_u64(&rng);

		if (many > BLOCKS - block)
			many = BLOCKS - block;
		if (netfs_rng_below(&rng, 8) == 0) {
			netfs_map_yield(&map, start, start + many * NETFS_MAP_BLOCK);
			for (unsigned i = block; i < block + many; i++)
				oracle.held[i] &= oracle.len[i] > 0;
		} else if (netfs_rng_below(&rng, 8) == 0) {
			assert_int_equal(netfs_map_reserve(&map, start, start + NETFS_MAP_BLOCK),
					 0);
			netfs_map_hold(&map, start, start + NETFS_MAP_BLOCK);
			oracle.held[block] = true;
		} else if (netfs_rng_below(&rng, 3) == 0) {
			netfs_map_remove(&map, start, start + many * NETFS_MAP_BLOCK - 1);
			for (unsigned i = block; i < block + many && i < BLOCKS; i++)
				oracle.len[i] = 0;
		} else {
			size_t len = netfs_rng_below(&rng, 4) ? NETFS_MAP_BLOCK
							      : netfs_rng_below(&rng, 4095) + 1;

			assert_int_equal(netfs_map_reserve(&map, start, start + len), 0);
			netfs_map_add(&map, start, len, sum);
			oracle_add(&oracle, block, len, sum);
		}
		start = netfs_rng_below(&rng, BLOCKS * NETFS_MAP_BLOCK);
		check_next(&map, &oracle, start, start + netfs_rng_below(&rng, 400000));
		check_held(&map, &oracle, block);
		if (step % 50 == 0)
			check_blocks(&map, &oracle);
	}
	check_copy(&map, &oracle);
	netfs_map_done(&map);
}

/* A row is as long as what is there. */
static void rows_are_short(void **state)
{
	const uint8_t one[] = {1, 1, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01};
	struct netfs_map map = {0};
	uint8_t row[NETFS_MAP_ROW];

	assert_int_equal(netfs_map_reserve(&map, 0, NETFS_MAP_CHUNK), 0);
	netfs_map_add(&map, 0, NETFS_MAP_BLOCK, UINT64_C(0x0123456789abcdef));
	assert_int_equal(netfs_map_store(map.chunks[0], row), sizeof(one));
	assert_memory_equal(row, one, sizeof(one));
	netfs_map_add(&map, 9 * NETFS_MAP_BLOCK, NETFS_MAP_BLOCK, 1);
	assert_int_equal(netfs_map_store(map.chunks[0], row), 1 + 2 + 2 * 8);
	for (uint64_t i = 0; i < NETFS_MAP_CHUNK_BLOCKS; i++)
		netfs_map_add(&map, i * NETFS_MAP_BLOCK, NETFS_MAP_BLOCK, i);
	assert_int_equal(netfs_map_store(map.chunks[0], row), NETFS_MAP_ROW);
	netfs_map_done(&map);
}

static void map_refuses_what_is_too_far_or_no_row(void **state)
{
	/* Too long, too short; no bits; bits that end in zero; more bits than there are. */
	static const struct {
		size_t len;
		uint8_t row[60];
	} bad[] = {
		{11, {1, 1}}, {9, {1, 1}}, {0, {0}},	    {1, {0}},
		{9, {0, 1}},  {3, {2, 1}}, {11, {2, 1, 0}}, {42, {33, [33] = 1}},
	};
	const uint8_t good[10] = {1, 1};
	struct netfs_map map = {0};
	uint64_t from, to;

	assert_int_equal(netfs_map_reserve(&map, NETFS_MAP_END, NETFS_MAP_END + 1), -EFBIG);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(netfs_map_load(&map, 0, bad[i].row, bad[i].len), -EUCLEAN);
	assert_int_equal(netfs_map_load(&map, UINT64_MAX, good, sizeof(good)), -EUCLEAN);
	assert_false(netfs_map_next(&map, 0, UINT64_MAX, &from, &to));
	assert_int_equal(netfs_map_load(&map, 3, good, sizeof(good)), 0);
	/* Twice the same, which a damaged table may have. */
	assert_int_equal(netfs_map_load(&map, 3, good, sizeof(good)), -EUCLEAN);
	assert_int_equal(map.blocks, 1);
	netfs_map_remove(&map, 0, UINT64_MAX);
	netfs_map_done(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_agrees_with_an_array),
		cmocka_unit_test(rows_are_short),
		cmocka_unit_test(map_refuses_what_is_too_far_or_no_row),
	};

	return t_run(tests, NULL, NULL);
}
