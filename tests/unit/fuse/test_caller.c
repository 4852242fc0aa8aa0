/* SPDX-License-Identifier: MIT */
/*
 * Goal: only a caller that is about to die lets its request be cancelled.
 * Method: texts of /proc/TID/status written by hand, and a real child with
 * signals that wait for them.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <fuse/caller.h>

struct masks {
	uint64_t own;
	uint64_t shared;
	uint64_t blocked;
	uint64_t ignored;
	uint64_t caught;
};

static uint64_t bit(int number)
{
	return UINT64_C(1) << (number - 1);
}

static bool dying(const struct masks *masks)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "Name:\tprog\nState:\tD (disk sleep)\nSigQ:\t1/95\nSigPnd:\t%016jx\n"
		 "ShdPnd:\t%016jx\nSigBlk:\t%016jx\nSigIgn:\t%016jx\nSigCgt:\t%016jx\nCapInh:\t0\n",
		 (uintmax_t)masks->own, (uintmax_t)masks->shared, (uintmax_t)masks->blocked,
		 (uintmax_t)masks->ignored, (uintmax_t)masks->caught);
	return netfs_caller_text_dying(text);
}

static void signals_that_kill(void **state)
{
	assert_true(dying(&(struct masks){.own = bit(SIGKILL)}));
	assert_true(dying(&(struct masks){.shared = bit(SIGKILL)}));
	assert_true(dying(&(struct masks){.shared = bit(SIGINT)}));
	assert_true(dying(&(struct masks){.own = bit(SIGALRM), .caught = bit(SIGINT)}));
	assert_true(dying(&(struct masks){.own = bit(SIGRTMAX)}));
}

static void signals_that_do_not(void **state)
{
	assert_false(dying(&(struct masks){0}));
	assert_false(dying(&(struct masks){.shared = bit(SIGALRM), .caught = bit(SIGALRM)}));
	assert_false(dying(&(struct masks){.shared = bit(SIGINT), .ignored = bit(SIGINT)}));
	assert_false(dying(&(struct masks){.own = bit(SIGTERM), .blocked = bit(SIGTERM)}));
	assert_false(dying(&(struct masks){.shared = bit(SIGCHLD) | bit(SIGWINCH)}));
	assert_false(dying(&(struct masks){.shared = bit(SIGSTOP) | bit(SIGTSTP)}));
}

static void the_dead_are_dying(void **state)
{
	assert_true(netfs_caller_text_dying("Name:\tx\nState:\tZ (zombie)\nSigPnd:\t0\n"));
	assert_true(netfs_caller_text_dying("Name:\tx\nState:\tX (dead)\n"));
	assert_true(netfs_caller_text_dying(""));
	assert_true(netfs_caller_dying(0));
	assert_false(netfs_caller_dying(getpid()));
}

static void a_real_child_is_looked_at(void **state)
{
	pid_t child = fork();
	int end;

	if (child == 0) {
		raise(SIGSTOP);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &end, WUNTRACED), child);
	/* A stopped process gets no signal until it goes on: it waits. */
	assert_false(netfs_caller_dying(child));
	kill(child, SIGCHLD);
	assert_false(netfs_caller_dying(child));
	kill(child, SIGTERM);
	assert_true(netfs_caller_dying(child));
	kill(child, SIGCONT);
	assert_int_equal(waitpid(child, &end, 0), child);
	assert_true(WIFSIGNALED(end));
	assert_true(netfs_caller_dying(child));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_that_kill),
		cmocka_unit_test(signals_that_do_not),
		cmocka_unit_test(the_dead_are_dying),
		cmocka_unit_test(a_real_child_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
