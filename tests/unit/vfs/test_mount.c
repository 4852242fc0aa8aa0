/* SPDX-License-Identifier: MIT */
/*
 * Goal: a mount ends when told to, with everything written, or says why not;
 * calls in flight are waited for, an abort lets nothing wait, and a forced
 * close tells what it dropped.
 * Method: mem behind the double, with requests held and writes that fail.
 */
#include <errno.h>
#include "double.h"
#include "world.h"

static void a_close_waits_for_calls_in_flight(void **unused)
{
	struct w_call lookup, close;
	struct netfs_call late;
	struct world world;

	world_start(&world, &double_ops, "");
	w_put(world.root, "a", "text");
	double_hold(DOUBLE_LOOKUP, DOUBLE_REPLY);
	w_call_init(&lookup);
	netfs_lookup(world.root, "a", &lookup.call);
	w_call_init(&close);
	netfs_mount_close(world.mount, 0, &close.call);
	world_idle();
	assert_false(close.ended);
	/* No new ones meanwhile. */
	netfs_call_init(&late, NULL);
	netfs_lookup(world.root, "a", &late);
	assert_int_equal(netfs_call_wait(&late), -ESHUTDOWN);
	double_release(DOUBLE_LOOKUP);
	world_idle();
	assert_true(lookup.ended);
	assert_int_equal(lookup.err, 0);
	assert_true(close.ended);
	assert_int_equal(close.err, 0);
	/* References that were left were given back. */
	world.mount = NULL;
	double_pass(DOUBLE_LOOKUP);
	world_stop(&world);
}

static void a_close_with_open_files_is_refused(void **unused)
{
	struct netfs_file *file;
	struct world world;

	world_start(&world, &double_ops, "");
	file = w_create(world.root, "a", NULL);
	assert_int_equal(world_close(world.mount, 0), -EBUSY);
	w_write(file, "text", 0);
	w_close(file);
	world_stop(&world);
}

static void a_close_that_cannot_write_leaves_the_mount_usable(void **unused)
{
	struct netfs_mount_status status;
	struct netfs_file *file;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "cache=loose");
	file = w_create(world.root, "a", NULL);
	w_write(file, "text", 0);
	netfs_release(file);
	double_fail_writes(-ENOSPC);
	assert_int_equal(world_close(world.mount, 0), -ENOSPC);
	netfs_mount_status(world.mount, &status);
	assert_int_equal(status.dirty, 4);
	assert_int_equal(status.files_open, 0);
	netfs_vnode_put(w_find(world.root, "a"));
	/* Forced: it ends, and says what was lost. */
	netfs_vnode_put(world.root);
	netfs_call_init(&call, NULL);
	netfs_mount_close(world.mount, NETFS_CLOSE_FORCE, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(call.count, 4);
	world.mount = NULL;
	world_stop(&world);
}

static void an_abort_lets_nothing_wait(void **unused)
{
	struct netfs_lock lock = {.type = NETFS_LOCK_WRITE, .owner = 1, .end = 10};
	struct w_call lookup, waiting, held;
	struct netfs_mount_status status;
	struct netfs_file *file;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "locks=local");
	file = w_create(world.root, "a", NULL);
	w_call_init(&held);
	netfs_lock(file, &lock, false, &held.call);
	lock.owner = 2;
	w_call_init(&waiting);
	netfs_lock(file, &lock, true, &waiting.call);
	double_hold(DOUBLE_LOOKUP, DOUBLE_REQUEST);
	w_call_init(&lookup);
	netfs_lookup(world.root, "b", &lookup.call);
	netfs_mount_abort(world.mount);
	assert_true(lookup.ended);
	assert_int_equal(lookup.err, -EINTR);
	assert_true(waiting.ended);
	netfs_call_init(&call, NULL);
	netfs_lookup(world.root, "a", &call);
	assert_int_equal(netfs_call_wait(&call), -EIO);
	netfs_mount_status(world.mount, &status);
	assert_false(status.connected);
	netfs_release(file);
	double_pass(DOUBLE_LOOKUP);
	world_stop(&world);
}

static void a_sync_writes_and_makes_durable(void **unused)
{
	struct netfs_file *a, *b;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "");
	double_caps(NETFS_BE_STABLE_WRITES, 0);
	world_remount(&world, "");
	a = w_create(world.root, "a", NULL);
	b = w_create(world.root, "b", NULL);
	w_write(a, "text", 0);
	w_write(b, "text", 0);
	double_log_clear();
	netfs_call_init(&call, NULL);
	netfs_mount_sync(world.mount, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(double_logged("write;"), 2);
	assert_int_equal(double_logged("fsync;"), 2);
	w_close(a);
	w_close(b);
	world_stop(&world);
}

static void a_flush_can_be_given_up(void **unused)
{
	struct netfs_file *file;
	struct w_call flush;
	struct world world;

	world_start(&world, &double_ops, "");
	file = w_create(world.root, "a", NULL);
	w_write(file, "text", 0);
	/* An error that heals: the data is tried again and again. */
	double_fail_writes(-EAGAIN);
	w_call_init(&flush);
	netfs_fsync(file, false, &flush.call);
	world_sleep_ms(100);
	assert_false(flush.ended);
	netfs_call_cancel(&flush.call);
	assert_true(flush.ended);
	assert_int_equal(flush.err, -EINTR);
	double_fail_writes(0);
	double_ready();
	w_close(file);
	world_stop(&world);
}

static void status_and_counters_tell_what_is(void **unused)
{
	struct netfs_mount_status status;
	struct netfs_file *file;
	struct world world;

	world_start(&world, &double_ops, "cache=loose,ro,rw");
	file = w_create(world.root, "a", NULL);
	w_write(file, "text", 0);
	netfs_mount_status(world.mount, &status);
	assert_string_equal(status.source, "mem:share");
	assert_string_equal(status.cache_mode, "loose");
	assert_true(status.connected);
	assert_false(status.read_only);
	assert_int_equal(status.files_open, 1);
	assert_int_equal(status.dirty, 4);
	assert_int_equal(status.vnodes, 2);
	assert_int_equal(world_stat(world.mount, "write_bytes"), 4);
	assert_true(world_stat(world.mount, "name_calls") >= 1);
	w_close(file);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_close_waits_for_calls_in_flight),
		cmocka_unit_test(a_close_with_open_files_is_refused),
		cmocka_unit_test(a_close_that_cannot_write_leaves_the_mount_usable),
		cmocka_unit_test(an_abort_lets_nothing_wait),
		cmocka_unit_test(a_sync_writes_and_makes_durable),
		cmocka_unit_test(a_flush_can_be_given_up),
		cmocka_unit_test(status_and_counters_tell_what_is),
	};

	return t_run(tests, NULL, NULL);
}
