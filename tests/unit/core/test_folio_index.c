/* SPDX-License-Identifier: MIT */
/*
 * The folio index against a table of pages.
 *
 * Goal: find and next agree with a flat table for folios of all sizes, and an
 * emptied index holds no memory.  Method: random inserts and removes.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <core/folio.h>
#include <core/folio_index.h>
#include <env/random.h>
#include <env/sim/sim.h>

#define PAGES 2048

static struct netfs_folio *table[PAGES];
/* Where the table lies in the file: near the start, and far out. */
static const uint64_t bases[] = {0, UINT64_C(1) << 30, (UINT64_C(1) << 62)};

static bool is_free(unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		if (table[i])
			return false;
	return true;
}

static void check_all(struct netfs_folio_index *index, uint64_t base)
{
	struct netfs_folio *next = NULL;

	for (unsigned i = PAGES; i-- > 0;) {
		uint64_t pos = base + i * NETFS_PAGE_SIZE + netfs_random_below(NETFS_PAGE_SIZE);

		if (table[i])
			next = table[i];
		assert_ptr_equal(netfs_folio_index_find(index, pos), table[i]);
		assert_ptr_equal(netfs_folio_index_next(index, pos), next);
	}
}

static void toggle(struct netfs_folio_index *index, uint64_t base)
{
	unsigned order = netfs_random_below(10);
	unsigned n = 1u << order;
	unsigned first = netfs_random_below(PAGES / n) * n;
	struct netfs_folio *folio = table[first];

	if (folio) {
		netfs_folio_index_remove(index, folio);
		for (unsigned i = 0; i < PAGES; i++)
			if (table[i] == folio)
				table[i] = NULL;
		free(folio);
	} else if (is_free(first, n)) {
		folio = calloc(1, sizeof(*folio));
		folio->start = base + first * NETFS_PAGE_SIZE;
		folio->size = n * NETFS_PAGE_SIZE;
		assert_int_equal(netfs_folio_index_insert(index, folio), 0);
		for (unsigned i = first; i < first + n; i++)
			table[i] = folio;
	}
}

static void matches_a_flat_table(void **state)
{
	for (unsigned b = 0; b < 3; b++) {
		struct netfs_folio_index index;

		netfs_sim_start(20 + b);
		netfs_folio_index_init(&index);
		for (unsigned round = 0; round < 3000; round++) {
			toggle(&index, bases[b]);
			if (round % 50 == 0)
				check_all(&index, bases[b]);
		}
		for (unsigned i = 0; i < PAGES; i++)
			while (table[i]) {
				struct netfs_folio *folio = table[i];

				netfs_folio_index_remove(&index, folio);
				for (unsigned j = i; j < PAGES; j++)
					if (table[j] == folio)
						table[j] = NULL;
				free(folio);
			}
		assert_int_equal(index.count, 0);
		assert_null(index.root);
		assert_int_equal(netfs_sim_allocs(), 0);
		netfs_sim_stop();
	}
}

/* No memory at any step of an insert: the index holds what it held. */
static void failed_insert_changes_nothing(void **state)
{
	struct netfs_folio near = {.start = 0, .size = NETFS_PAGE_SIZE};
	struct netfs_folio beside = {.start = NETFS_PAGE_SIZE, .size = NETFS_PAGE_SIZE};
	struct netfs_folio far = {.start = UINT64_C(1) << 40, .size = NETFS_PAGE_SIZE};
	struct netfs_folio_index index;
	unsigned failures = 0;

	netfs_sim_start(30);
	netfs_folio_index_init(&index);
	assert_int_equal(netfs_folio_index_insert(&index, &near), 0);
	assert_int_equal(netfs_folio_index_insert(&index, &far), 0);
	for (unsigned n = 1;; n++) {
		netfs_sim_fail_alloc(n);
		if (netfs_folio_index_insert(&index, &beside) == 0)
			break;
		failures++;
		assert_int_equal(index.count, 2);
		assert_null(netfs_folio_index_find(&index, beside.start));
		assert_ptr_equal(netfs_folio_index_next(&index, beside.start), &far);
		assert_ptr_equal(netfs_folio_index_find(&index, 0), &near);
		/* Else the next attempt would go on where this one stopped. */
		netfs_sim_fail_alloc(0);
		netfs_folio_index_remove(&index, &near);
		assert_int_equal(netfs_folio_index_insert(&index, &near), 0);
	}
	netfs_sim_fail_alloc(0);
	assert_true(failures > 2);
	netfs_folio_index_remove(&index, &beside);
	netfs_folio_index_remove(&index, &far);
	netfs_folio_index_remove(&index, &near);
	assert_null(index.root);
	assert_int_equal(netfs_sim_allocs(), 0);
	netfs_sim_stop();
}

/* One folio needs no node wherever it is, and two far apart need one; what is
 * beside a lone folio is not taken for it. */
static void lone_folios_need_no_levels(void **state)
{
	struct netfs_folio here = {.start = UINT64_C(5) << 40, .size = NETFS_FOLIO_MAX};
	struct netfs_folio there = {.start = UINT64_C(9) << 40, .size = NETFS_PAGE_SIZE};
	struct netfs_folio_index index;

	netfs_sim_start(31);
	netfs_folio_index_init(&index);
	assert_int_equal(netfs_folio_index_insert(&index, &here), 0);
	assert_int_equal(netfs_sim_allocs(), 0);
	assert_null(netfs_folio_index_find(&index, here.start - 1));
	assert_null(netfs_folio_index_find(&index, here.start + NETFS_FOLIO_MAX));
	assert_null(netfs_folio_index_next(&index, here.start + NETFS_FOLIO_MAX));
	assert_ptr_equal(netfs_folio_index_find(&index, here.start + NETFS_FOLIO_MAX - 1), &here);
	assert_int_equal(netfs_folio_index_insert(&index, &there), 0);
	assert_int_equal(netfs_sim_allocs(), 1);
	assert_ptr_equal(netfs_folio_index_next(&index, here.start + NETFS_FOLIO_MAX), &there);
	assert_null(netfs_folio_index_find(&index, there.start + NETFS_PAGE_SIZE));
	netfs_folio_index_remove(&index, &here);
	assert_ptr_equal(netfs_folio_index_next(&index, 0), &there);
	netfs_folio_index_remove(&index, &there);
	assert_int_equal(netfs_sim_allocs(), 0);
	netfs_sim_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_a_flat_table),
		cmocka_unit_test(failed_insert_changes_nothing),
		cmocka_unit_test(lone_folios_need_no_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
