/* SPDX-License-Identifier: MIT */
/*
 * Goal: taking mutexes out of order, twice, or giving back what one does not
 * hold ends the program; what is allowed does not.
 * Method: each mistake in a child process that must die of SIGABRT.  Built for
 * both environments.
 */
#include <env/lock.h>
#include <t.h>

static struct netfs_mutex file;
static struct netfs_mutex other_file;
static struct netfs_mutex budget;

static int setup(void **state)
{
	netfs_mutex_init(&file, NETFS_RANK_FILE);
	netfs_mutex_init(&other_file, NETFS_RANK_FILE);
	netfs_mutex_init(&budget, NETFS_RANK_BUDGET);
	return 0;
}

static int teardown(void **state)
{
	netfs_mutex_done(&file);
	netfs_mutex_done(&other_file);
	netfs_mutex_done(&budget);
	return 0;
}

static void in_order(void *user)
{
	netfs_mutex_lock(&file);
	netfs_mutex_lock(&budget);
	netfs_assert_held(&file);
	netfs_assert_held(&budget);
	netfs_mutex_unlock(&file);
	netfs_mutex_unlock(&budget);
	netfs_assert_nothing_held();
}

static void against_order(void *user)
{
	netfs_mutex_lock(&budget);
	netfs_mutex_lock(&file);
}

static void two_of_one_class(void *user)
{
	netfs_mutex_lock(&file);
	netfs_mutex_lock(&other_file);
}

static void hidden_behind_trylock(void *user)
{
	/* The highest rank counts, not the last one taken. */
	netfs_mutex_lock(&budget);
	netfs_mutex_trylock(&file);
	netfs_mutex_lock(&other_file);
}

/* On the real machine the checker sees it before the thread waits for itself. */
static void twice(void *user)
{
	netfs_mutex_lock(&file);
	netfs_mutex_lock(&file);
}

static void not_held(void *user)
{
	netfs_assert_held(&file);
}

static void something_held(void *user)
{
	netfs_mutex_lock(&file);
	netfs_assert_nothing_held();
}

static void unlock_of_another(void *user)
{
	netfs_mutex_unlock(&file);
}

static void wait_with_mutex(void *user)
{
	struct netfs_event event;

	netfs_event_init(&event);
	netfs_event_set(&event);
	netfs_mutex_lock(&file);
	netfs_event_wait(&event);
}

static void the_order_of_ranks_is_accepted(void **state)
{
	in_order(NULL);
	assert_false(t_aborts(in_order, NULL));
}

static void breaking_the_order_of_ranks_aborts(void **state)
{
	assert_true(t_aborts(against_order, NULL));
	assert_true(t_aborts(two_of_one_class, NULL));
	assert_true(t_aborts(twice, NULL));
	assert_true(t_aborts(hidden_behind_trylock, NULL));
}

static void wrong_claims_about_holding_abort(void **state)
{
	assert_true(t_aborts(not_held, NULL));
	assert_true(t_aborts(something_held, NULL));
	assert_true(t_aborts(unlock_of_another, NULL));
}

static void waiting_with_a_mutex_aborts(void **state)
{
	assert_true(t_aborts(wait_with_mutex, NULL));
}

static void trylock_is_allowed_against_the_order(void **state)
{
	netfs_mutex_lock(&budget);
	assert_true(netfs_mutex_trylock(&file));
	assert_false(netfs_mutex_trylock(&file));
	netfs_mutex_unlock(&budget);
	netfs_assert_held(&file);
	netfs_mutex_unlock(&file);
	netfs_assert_nothing_held();
}

static void waiting_for_what_has_happened_returns(void **state)
{
	struct netfs_event event;

	netfs_event_init(&event);
	netfs_event_set(&event);
	netfs_event_wait(&event);
	netfs_event_wait(&event);
	netfs_event_done(&event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_of_ranks_is_accepted),
		cmocka_unit_test(breaking_the_order_of_ranks_aborts),
		cmocka_unit_test(wrong_claims_about_holding_abort),
		cmocka_unit_test(waiting_with_a_mutex_aborts),
		cmocka_unit_test(trylock_is_allowed_against_the_order),
		cmocka_unit_test(waiting_for_what_has_happened_returns),
	};

	return t_run(tests, setup, teardown);
}
