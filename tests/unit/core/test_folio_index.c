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

/* No memory at any step of an insert leaves the index as it was. */
static void failed_insert_changes_nothing(void **state)
{
	struct netfs_folio near = {.start = 0, .size = NETFS_PAGE_SIZE};
	struct netfs_folio far = {.start = UINT64_C(1) << 40, .size = NETFS_PAGE_SIZE};
	struct netfs_folio_index index;
	unsigned failures = 0;

	netfs_sim_start(30);
	netfs_folio_index_init(&index);
	assert_int_equal(netfs_folio_index_insert(&index, &near), 0);
	for (unsigned n = 1;; n++) {
		netfs_sim_fail_alloc(n);
		if (netfs_folio_index_insert(&index, &far) == 0)
			break;
		failures++;
		assert_null(netfs_folio_index_find(&index, far.start));
		assert_ptr_equal(netfs_folio_index_find(&index, 0), &near);
	}
	netfs_sim_fail_alloc(0);
	assert_true(failures > 2);
	netfs_folio_index_remove(&index, &far);
	netfs_folio_index_remove(&index, &near);
	assert_int_equal(netfs_sim_allocs(), 0);
	netfs_sim_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_a_flat_table),
		cmocka_unit_test(failed_insert_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
