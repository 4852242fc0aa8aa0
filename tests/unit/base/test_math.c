/* SPDX-License-Identifier: MIT */
/*
 * Goal: the arithmetic helpers agree with plain arithmetic where that has no
 * overflow and say so where it has; the generator repeats and stays in bounds.
 */
#include <base/assert.h>
#include <base/checked_math.h>
#include <base/round.h>
#include <t.h>

static void sums_and_products_that_do_not_fit_are_refused(void **state)
{
	uint64_t x = 77;
	size_t size = 77;

	assert_true(netfs_checked_add(UINT64_MAX - 1, 1, &x));
	assert_true(x == UINT64_MAX);
	assert_false(netfs_checked_add(UINT64_MAX, 1, &x));
	assert_true(x == UINT64_MAX);
	assert_true(netfs_checked_mul(UINT64_C(1) << 32, UINT32_MAX, &x));
	assert_true(x == (uint64_t)UINT32_MAX << 32);
	assert_false(netfs_checked_mul(UINT64_C(1) << 32, UINT64_C(1) << 32, &x));
	assert_true(netfs_checked_add_size(3, 4, &size));
	assert_int_equal(size, 7);
	assert_false(netfs_checked_add_size(SIZE_MAX, SIZE_MAX, &size));
	assert_true(netfs_checked_mul_size(3, 4, &size));
	assert_int_equal(size, 12);
	assert_false(netfs_checked_mul_size(SIZE_MAX, 2, &size));
	assert_int_equal(size, 12);
	assert_true(netfs_saturating_add(UINT64_MAX - 3, 4) == UINT64_MAX);
	assert_int_equal(netfs_saturating_add(3, 4), 7);
}

static void rounding_to_powers_of_two(void **state)
{
	for (uint64_t x = 1; x < 5000; x++) {
		uint64_t down = netfs_power_of_two_down(x);
		uint64_t up = netfs_power_of_two_up(x);

		assert_true(netfs_is_power_of_two(down));
		assert_true(netfs_is_power_of_two(up));
		assert_true(down <= x && x < 2 * down);
		assert_true(x <= up && up < 2 * x);
		assert_int_equal(UINT64_C(1) << netfs_log2_down(x), down);
		assert_int_equal(netfs_round_down(x, 64), x / 64 * 64);
		assert_int_equal(netfs_round_up(x, 64), (x + 63) / 64 * 64);
	}
	assert_false(netfs_is_power_of_two(0));
	assert_true(netfs_power_of_two_up(UINT64_C(1) << 63) == UINT64_C(1) << 63);
	assert_int_equal(netfs_min(3, 4), 3);
	assert_int_equal(netfs_max(3, 4), 4);
}

static void the_generator_repeats_for_a_seed_and_stays_in_bounds(void **state)
{
	struct netfs_rng a;
	struct netfs_rng b;
	struct netfs_rng other;
	unsigned seen[7] = {0};
	unsigned equal = 0;

	netfs_rng_init(&a, 5);
	netfs_rng_init(&b, 5);
	netfs_rng_init(&other, 6);
	for (unsigned i = 0; i < 7000; i++) {
		uint64_t x = netfs_rng_u64(&a);

		assert_true(x == netfs_rng_u64(&b));
		equal += x == netfs_rng_u64(&other);
		seen[netfs_rng_below(&a, 7)]++;
		netfs_rng_u64(&b);
	}
	assert_int_equal(equal, 0);
	for (unsigned i = 0; i < 7; i++)
		assert_in_range(seen[i], 800, 1200);
}

static void broken(void *user)
{
	int zero = 0;

	netfs_assert(zero == 1);
}

static void pass(void *user)
{
	int zero = 0;

	netfs_assert(zero == 0);
}

static void a_failed_assertion_aborts(void **state)
{
	assert_true(t_aborts(broken, NULL));
	assert_false(t_aborts(pass, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_and_products_that_do_not_fit_are_refused),
		cmocka_unit_test(rounding_to_powers_of_two),
		cmocka_unit_test(the_generator_repeats_for_a_seed_and_stays_in_bounds),
		cmocka_unit_test(a_failed_assertion_aborts),
	};

	return t_run(tests, NULL, NULL);
}
