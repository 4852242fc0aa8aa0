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
		if (!map->chunks[i])
			continue;
		netfs_map_store(map->chunks[i], row);
		assert_int_equal(netfs_map_load(&copy, i, row, sizeof(row)), 0);
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

static void map_refuses_what_is_too_far_or_no_row(void **state)
{
	struct netfs_map map = {0};
	uint8_t row[NETFS_MAP_ROW] = {0};
	uint64_t from, to;

	assert_int_equal(netfs_map_reserve(&map, NETFS_MAP_END, NETFS_MAP_END + 1), -EFBIG);
	assert_int_equal(netfs_map_load(&map, 0, row, sizeof(row) - 1), -EUCLEAN);
	assert_int_equal(netfs_map_load(&map, UINT64_MAX, row, sizeof(row)), -EUCLEAN);
	assert_false(netfs_map_next(&map, 0, UINT64_MAX, &from, &to));
	netfs_map_remove(&map, 0, UINT64_MAX);
	netfs_map_done(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_agrees_with_an_array),
		cmocka_unit_test(map_refuses_what_is_too_far_or_no_row),
	};

	return t_run(tests, NULL, NULL);
}
