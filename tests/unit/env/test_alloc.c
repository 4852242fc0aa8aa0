/* SPDX-License-Identifier: MIT */
/*
 * Goal: blocks are aligned to their size, never overlap, and all come back;
 * small memory behaves as its C library model.
 * Method: random allocations and frees, each block filled with its own number
 * and checked before it is freed; several threads at once.
 */
#include <pthread.h>
#include <string.h>
#include <base/limits.h>
#include <env/alloc.h>
#include <t.h>

#define BLOCKS 200
#define ORDERS 10

struct block {
	unsigned char *mem;
	size_t size;
	unsigned char number;
};

static void check_filled(const struct block *block)
{
	for (size_t i = 0; i < block->size; i += 512)
		assert_int_equal(block->mem[i], block->number);
	assert_int_equal(block->mem[block->size - 1], block->number);
}

static void change(struct block *block, struct netfs_rng *rng)
{
	/* Small blocks are more frequent, as they are in a cache. */
	unsigned order = (unsigned)netfs_rng_below(rng, 1 + netfs_rng_below(rng, ORDERS));

	if (block->mem) {
		check_filled(block);
		netfs_block_free(block->mem, block->size);
		block->mem = NULL;
		return;
	}
	block->size = (size_t)NETFS_BLOCK_MIN << order;
	block->number = (unsigned char)netfs_rng_u64(rng);
	block->mem = netfs_block_alloc(block->size);
	assert_non_null(block->mem);
	assert_int_equal((uintptr_t)block->mem % block->size, 0);
	memset(block->mem, block->number, block->size);
}

static void *run(void *arg)
{
	struct block blocks[BLOCKS] = {{0}};
	struct netfs_rng rng = *(struct netfs_rng *)arg;

	for (unsigned i = 0; i < 4000; i++)
		change(&blocks[netfs_rng_below(&rng, BLOCKS)], &rng);
	for (unsigned i = 0; i < BLOCKS; i++)
		if (blocks[i].mem)
			change(&blocks[i], &rng);
	return NULL;
}

static void blocks_are_aligned_and_apart_and_come_back(void **state)
{
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	run(&rng);
	assert_int_equal(netfs_block_living(), 0);
}

static void threads_share_the_blocks(void **state)
{
	struct netfs_rng rngs[3];
	pthread_t threads[3];

	for (unsigned i = 0; i < 3; i++) {
		netfs_rng_init(&rngs[i], t_seed() + i);
		assert_int_equal(pthread_create(&threads[i], NULL, run, &rngs[i]), 0);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(netfs_block_living(), 0);
}

static void a_freed_neighbourhood_becomes_one_large_block(void **state)
{
	unsigned char *pages[2 * NETFS_BLOCK_MAX / NETFS_BLOCK_MIN];
	size_t n = sizeof(pages) / sizeof(*pages);
	void *large[4];

	for (size_t i = 0; i < n; i++)
		pages[i] = netfs_block_alloc(NETFS_BLOCK_MIN);
	assert_int_equal(netfs_block_living(), 2 * NETFS_BLOCK_MAX);
	for (size_t i = 0; i < n; i += 2)
		netfs_block_free(pages[i], NETFS_BLOCK_MIN);
	for (size_t i = 1; i < n; i += 2)
		netfs_block_free(pages[i], NETFS_BLOCK_MIN);
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(large[i] = netfs_block_alloc(NETFS_BLOCK_MAX));
	for (unsigned i = 0; i < 4; i++)
		netfs_block_free(large[i], NETFS_BLOCK_MAX);
	netfs_block_free(NULL, NETFS_BLOCK_MIN);
	assert_int_equal(netfs_block_living(), 0);
}

static void odd_size(void *user)
{
	netfs_block_alloc(NETFS_BLOCK_MIN + 1);
}

static void a_size_that_is_no_block_aborts(void **state)
{
	assert_true(t_aborts(odd_size, NULL));
}

static void small_memory(void **state)
{
	netfs_cleanup_free char *text = netfs_strdup("text");
	unsigned *numbers = netfs_calloc(4, sizeof(*numbers));

	assert_string_equal(text, "text");
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(numbers[i], 0);
	numbers[3] = 7;
	numbers = netfs_realloc(numbers, 100 * sizeof(*numbers));
	assert_int_equal(numbers[3], 7);
	netfs_free(numbers);
	netfs_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_aligned_and_apart_and_come_back),
		cmocka_unit_test(threads_share_the_blocks),
		cmocka_unit_test(a_freed_neighbourhood_becomes_one_large_block),
		cmocka_unit_test(a_size_that_is_no_block_aborts),
		cmocka_unit_test(small_memory),
	};

	return t_run(tests, NULL, NULL);
}
