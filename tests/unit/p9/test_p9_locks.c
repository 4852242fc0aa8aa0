/* SPDX-License-Identifier: MIT */
/*
 * What a handle remembers of its locks when there is no memory for it.
 *
 * Goal: a lock that could not be set again after a loss of the connection is not
 * granted, and one that was given up does no harm afterwards.
 * Method: diod, and a realloc that fails when it is told to.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <env/alloc.h>
#include "p9_t.h"

void *__real_netfs_realloc(void *ptr, size_t size);
void *__wrap_netfs_realloc(void *ptr, size_t size);

static _Atomic bool memory_is_out;

void *__wrap_netfs_realloc(void *ptr, size_t size)
{
	return memory_is_out ? NULL : __real_netfs_realloc(ptr, size);
}

static int lock_range(struct netfs_handle *handle, enum netfs_lock_type type, uint64_t start,
		      uint64_t end, uint64_t owner)
{
	struct netfs_lock lock = {.type = type, .start = start, .end = end, .owner = owner};
	struct top t;
	int err;

	top_init(&t);
	handle->be->ops->lock(handle, &lock, &t.op);
	err = top_wait(&t);
	return err ? err : t.op.lock_result == NETFS_LOCK_GRANTED ? 0 : -EAGAIN;
}

/* The connection is lost; what does the handle say afterwards? */
static ssize_t write_after_a_loss(struct server *s, struct netfs_handle *handle)
{
	char buf[4] = "abc";

	server_kill(s);
	server_start(s);
	return t_io(handle, NETFS_SLICE_WRITE, 0, buf, 3);
}

static void a_lock_that_cannot_be_remembered_is_refused(void **state)
{
	struct server *s = *state;
	struct netfs_handle *handle;

	assert_int_equal(t_create(s->root, "f", O_RDWR, NULL, &handle), 0);
	memory_is_out = true;
	assert_int_equal(lock_range(handle, NETFS_LOCK_WRITE, 0, 1, 9), -ENOMEM);
	memory_is_out = false;
	assert_int_equal(write_after_a_loss(s, handle), 3);
	assert_int_equal(lock_range(handle, NETFS_LOCK_WRITE, 0, 1, 9), 0);
	assert_int_equal(write_after_a_loss(s, handle), 3);
	netfs_handle_put(handle);
}

static void giving_a_lock_up_needs_no_memory(void **state)
{
	struct server *s = *state;
	struct netfs_handle *handle;

	assert_int_equal(t_create(s->root, "f", O_RDWR, NULL, &handle), 0);
	/* As many as there is room for, and then the middle of each goes. */
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(lock_range(handle, NETFS_LOCK_READ, i * 100, i * 100 + 10, 9), 0);
	memory_is_out = true;
	for (unsigned i = 0; i < 40; i++)
		(void)lock_range(handle, NETFS_LOCK_UNLOCK, i * 100 + 3, i * 100 + 5, 9);
	assert_int_equal(lock_range(handle, NETFS_LOCK_UNLOCK, 0, UINT64_MAX, 9), 0);
	assert_int_equal(write_after_a_loss(s, handle), 3);
	memory_is_out = false;
	netfs_handle_put(handle);
}

static int setup(void **state)
{
	static struct server server;

	server = (struct server){.hard = true};
	server_up(&server);
	*state = &server;
	return 0;
}

static int teardown(void **state)
{
	server_down(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_lock_that_cannot_be_remembered_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(giving_a_lock_up_needs_no_memory, setup, teardown),
	};

	if (!server_present()) {
		fprintf(stderr, "SKIPPED: diod is not installed, the 9P client is not tested\n");
		return 77;
	}
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
