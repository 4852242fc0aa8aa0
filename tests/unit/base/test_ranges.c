/* SPDX-License-Identifier: MIT */
/*
 * Goal: a set of ranges says what a bitmap would say.
 * Method: every set of ten positions, every range of them, both changes and
 * every question, each change also with the memory refused; then long random
 * runs, and the ends of the number range by hand.
 */
#include <errno.h>
#include <stdlib.h>
#include <base/mem.h>
#include <base/ranges.h>
#include <t.h>

#define POSITIONS 10
#define SETS	  (1u << POSITIONS)

static bool refuse;
static unsigned refused;
static int living;

static void *counting_realloc(void *ptr, size_t size)
{
	if (refuse) {
		refused++;
		return NULL;
	}
	living += !ptr;
	return realloc(ptr, size);
}

static void counting_free(void *ptr)
{
	living -= !!ptr;
	free(ptr);
}

static int setup(void **state)
{
	netfs_mem_realloc = counting_realloc;
	netfs_mem_free = counting_free;
	return 0;
}

static int teardown(void **state)
{
	netfs_mem_realloc = realloc;
	netfs_mem_free = free;
	/* Whatever a test took it gave back. */
	return living;
}

/* Bits [from, to). */
static unsigned mask(unsigned from, unsigned to)
{
	return ((1u << to) - 1) & ~((1u << from) - 1);
}

static void check_shape(const struct netfs_ranges *set)
{
	for (uint32_t i = 0; i < netfs_ranges_count(set); i++) {
		assert_true(netfs_ranges_at(set, i).from < netfs_ranges_at(set, i).to);
		if (i)
			assert_true(netfs_ranges_at(set, i - 1).to < netfs_ranges_at(set, i).from);
	}
}

static unsigned bits_of(const struct netfs_ranges *set)
{
	unsigned bits = 0;

	for (uint32_t i = 0; i < netfs_ranges_count(set); i++)
		bits |= mask((unsigned)netfs_ranges_at(set, i).from,
			     (unsigned)netfs_ranges_at(set, i).to);
	return bits;
}

static void make(struct netfs_ranges *set, unsigned bits)
{
	netfs_ranges_init(set);
	for (unsigned i = 0; i < POSITIONS; i++)
		if (bits & (1u << i))
			assert_int_equal(netfs_ranges_add(set, i, i + 1), 0);
	check_shape(set);
	assert_int_equal(bits_of(set), bits);
}

/* One change, first without memory and, if that was too little, with it. */
static void check_change(unsigned bits, unsigned from, unsigned to, bool add)
{
	int (*change)(struct netfs_ranges * set, uint64_t a, uint64_t b) =
		add ? netfs_ranges_add : netfs_ranges_remove;
	unsigned want = add ? bits | mask(from, to) : bits & ~mask(from, to);
	struct netfs_ranges set;
	int err;

	make(&set, bits);
	refuse = true;
	err = change(&set, from, to);
	refuse = false;
	if (err) {
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(bits_of(&set), bits);
		check_shape(&set);
		assert_int_equal(change(&set, from, to), 0);
	}
	check_shape(&set);
	assert_int_equal(bits_of(&set), want);
	netfs_ranges_done(&set);

	/* With room made before, it cannot fail. */
	make(&set, bits);
	assert_int_equal(netfs_ranges_reserve(&set, 1), 0);
	refuse = true;
	assert_int_equal(change(&set, from, to), 0);
	refuse = false;
	assert_int_equal(bits_of(&set), want);
	netfs_ranges_done(&set);
}

static void changes_agree_with_a_bitmap_with_and_without_memory(void **state)
{
	refused = 0;
	for (unsigned bits = 0; bits < SETS; bits++) {
		for (unsigned from = 0; from <= POSITIONS; from++) {
			for (unsigned to = from; to <= POSITIONS; to++) {
				check_change(bits, from, to, true);
				check_change(bits, from, to, false);
			}
		}
	}
	/* The refusals were not all in vain. */
	assert_true(refused > 100);
}

/* The first run of equal bits (value) inside [from, to). */
static bool bitmap_next(unsigned bits, unsigned from, unsigned to, bool value,
			struct netfs_range *ret)
{
	while (from < to && !(bits >> from & 1) == value)
		from++;
	if (from >= to)
		return false;
	ret->from = from;
	while (from < to && !(bits >> from & 1) != value)
		from++;
	ret->to = from;
	return true;
}

static void check_next(bool got, const struct netfs_range *range, bool want,
		       const struct netfs_range *want_range)
{
	assert_int_equal(got, want);
	if (!want)
		return;
	assert_int_equal(range->from, want_range->from);
	assert_int_equal(range->to, want_range->to);
}

static void check_questions(const struct netfs_ranges *set, unsigned bits, unsigned from,
			    unsigned to)
{
	struct netfs_range got = {0};
	struct netfs_range want = {0};

	assert_int_equal(netfs_ranges_covers(set, from, to), !(mask(from, to) & ~bits));
	assert_int_equal(netfs_ranges_overlaps(set, from, to), !!(mask(from, to) & bits));
	check_next(netfs_ranges_next(set, from, to, &got), &got,
		   bitmap_next(bits, from, to, true, &want), &want);
	check_next(netfs_ranges_next_gap(set, from, to, &got), &got,
		   bitmap_next(bits, from, to, false, &want), &want);
}

static void questions_agree_with_a_bitmap(void **state)
{
	for (unsigned bits = 0; bits < SETS; bits++) {
		struct netfs_ranges set;

		make(&set, bits);
		assert_int_equal(netfs_ranges_bytes(&set), __builtin_popcount(bits));
		for (unsigned from = 0; from <= POSITIONS; from++)
			for (unsigned to = from; to <= POSITIONS; to++)
				check_questions(&set, bits, from, to);
		netfs_ranges_done(&set);
	}
}

static void backward_ranges_are_empty(void **state)
{
	struct netfs_ranges set;
	struct netfs_range range;

	make(&set, 0x0f0);
	assert_int_equal(netfs_ranges_add(&set, 9, 2), 0);
	assert_int_equal(netfs_ranges_remove(&set, 9, 2), 0);
	assert_int_equal(bits_of(&set), 0x0f0);
	assert_true(netfs_ranges_covers(&set, 9, 2));
	assert_false(netfs_ranges_overlaps(&set, 9, 2));
	assert_false(netfs_ranges_next(&set, 9, 2, &range));
	assert_false(netfs_ranges_next_gap(&set, 9, 2, &range));
	netfs_ranges_done(&set);
}

static void the_last_positions_work_too(void **state)
{
	const uint64_t end = UINT64_MAX;
	struct netfs_ranges set;
	struct netfs_range range;

	netfs_ranges_init(&set);
	assert_int_equal(netfs_ranges_add(&set, end - 10, end), 0);
	assert_int_equal(netfs_ranges_add(&set, 0, 10), 0);
	assert_int_equal(netfs_ranges_add(&set, end - 20, end - 10), 0);
	check_shape(&set);
	assert_int_equal(netfs_ranges_count(&set), 2);
	assert_true(netfs_ranges_covers(&set, end - 20, end));
	assert_true(netfs_ranges_next_gap(&set, 0, end, &range));
	assert_true(range.from == 10 && range.to == end - 20);
	assert_int_equal(netfs_ranges_remove(&set, 5, end - 1), 0);
	assert_int_equal(netfs_ranges_bytes(&set), 6);
	assert_int_equal(netfs_ranges_add(&set, 0, end), 0);
	assert_int_equal(netfs_ranges_count(&set), 1);
	netfs_ranges_done(&set);
}

static void adding_a_set_adds_all_of_it(void **state)
{
	for (unsigned i = 0; i < SETS; i += 3) {
		unsigned bits = (i * 2654435761u) >> 7 & (SETS - 1);
		struct netfs_ranges set;
		struct netfs_ranges other;

		make(&set, i);
		make(&other, bits);
		assert_int_equal(netfs_ranges_add_all(&set, &other), 0);
		assert_int_equal(netfs_ranges_add_all(&set, &set), 0);
		check_shape(&set);
		assert_int_equal(bits_of(&set), i | bits);
		netfs_ranges_clear(&other);
		assert_int_equal(netfs_ranges_count(&other), 0);
		netfs_ranges_done(&other);
		netfs_ranges_done(&set);
	}
}

#define LONG 2000

static void compare_long(const struct netfs_ranges *set, const unsigned char *bytes)
{
	uint64_t at = 0;
	struct netfs_range range;

	check_shape(set);
	while (netfs_ranges_next(set, at, LONG, &range)) {
		for (; at < range.from; at++)
			assert_false(bytes[at]);
		for (; at < range.to; at++)
			assert_true(bytes[at]);
	}
	for (; at < LONG; at++)
		assert_false(bytes[at]);
}

static void long_random_runs_agree_with_a_byte_array(void **state)
{
	static unsigned char bytes[LONG];
	struct netfs_ranges set;
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	netfs_ranges_init(&set);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t from = netfs_rng_below(&rng, LONG);
		uint64_t to = from + netfs_rng_below(&rng, i % 100 ? 8 : 300);
		bool add = netfs_rng_below(&rng, 2);

		if (to > LONG)
			to = LONG;
		assert_int_equal(add ? netfs_ranges_add(&set, from, to)
				     : netfs_ranges_remove(&set, from, to),
				 0);
		for (uint64_t at = from; at < to; at++)
			bytes[at] = add;
		if (i % 64 == 0)
			compare_long(&set, bytes);
	}
	compare_long(&set, bytes);
	netfs_ranges_done(&set);
}

static void reserved_room_is_enough_for_that_many_changes(void **state)
{
	struct netfs_ranges set;

	netfs_ranges_init(&set);
	assert_int_equal(netfs_ranges_add(&set, 0, 1000), 0);
	assert_int_equal(netfs_ranges_reserve(&set, 100), 0);
	refuse = true;
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(netfs_ranges_remove(&set, 5 * i + 1, 5 * i + 2), 0);
	refuse = false;
	assert_int_equal(netfs_ranges_bytes(&set), 900);
	netfs_ranges_done(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_agree_with_a_bitmap_with_and_without_memory),
		cmocka_unit_test(questions_agree_with_a_bitmap),
		cmocka_unit_test(backward_ranges_are_empty),
		cmocka_unit_test(the_last_positions_work_too),
		cmocka_unit_test(adding_a_set_adds_all_of_it),
		cmocka_unit_test(long_random_runs_agree_with_a_byte_array),
		cmocka_unit_test(reserved_room_is_enough_for_that_many_changes),
	};

	return t_run(tests, setup, teardown);
}
