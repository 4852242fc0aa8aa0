/* SPDX-License-Identifier: MIT */
/*
 * Helpers for tests with cmocka.  Include this instead of <cmocka.h>.
 */
#ifndef TESTS_LIB_T_H
#define TESTS_LIB_T_H

/* In this order: cmocka.h needs all of them before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <base/rng.h>
#include <env/lock.h>

/* The seed of this run: UNETFS_TEST_SEED from the environment, else drawn from
 * the machine.  Printed the first time. */
uint64_t t_seed(void);
/* A generator for one test: the run's seed mixed with the test's name, so that
 * a single test can be repeated. */
void t_rng(struct netfs_rng *rng, const char *test_name);

/* A new empty directory; the caller gives it back to t_temp_dir_remove(),
 * which removes all that is in it and frees the name. */
char *t_temp_dir(void);
void t_temp_dir_remove(char *path);

/* Open descriptors of this process; compare before and after. */
unsigned t_count_fds(void);

/* Runs a group of tests and checks that it left no descriptor open.  For the
 * return value of main(): return t_run(tests, NULL, NULL); */
#define t_run(tests, setup, teardown)                                                              \
	({                                                                                         \
		unsigned fds_ = t_count_fds();                                                     \
		t_check_fds(fds_, cmocka_run_group_tests(tests, setup, teardown));                 \
	})
/* failed, or 1 where there are more descriptors than before. */
int t_check_fds(unsigned before, int failed);

/*
 * A number that tasks, jobs or threads raise and a test waits for.  Works in
 * both environments; waiting needs the executor.
 */
struct t_counter {
	struct netfs_mutex mutex;
	uint64_t value; /* guarded by mutex */
	uint64_t target; /* of the waiter; guarded by mutex */
	struct netfs_event *event; /* of the waiter; guarded by mutex */
};

void t_counter_init(struct t_counter *counter);
void t_counter_done(struct t_counter *counter);
void t_counter_add(struct t_counter *counter, uint64_t n);
uint64_t t_counter_value(struct t_counter *counter);
/* Waits until the value is at least target (true) or time is up.  One waiter
 * at a time, not on an executor thread. */
bool t_counter_wait(struct t_counter *counter, uint64_t target, uint64_t timeout_ms);

/* Runs fn(user) in a child process and tells whether it died of SIGABRT.  What
 * the child prints to standard error is thrown away. */
bool t_aborts(void (*fn)(void *user), void *user);

#endif
