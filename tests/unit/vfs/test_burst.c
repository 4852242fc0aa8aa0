/* SPDX-License-Identifier: MIT */
/*
 * Goal: who makes one file after the other has none of them looked up, and the directory
 * not asked for; who only looks for names finds what others made, at the second look.
 * Method: mem behind the double, whose log says what the server was asked; a second mount
 * of the tree makes the changes of others.
 */
#include <errno.h>
#include <stdio.h>
#include <base/limits.h>
#include <vfs/vnode.h>
#include "double.h"
#include "world.h"

/* As a kernel does it: the name is looked up, then made. */
static void make(struct netfs_vnode *dir, const char *name)
{
	struct netfs_vnode *vnode;

	assert_int_equal(w_lookup(dir, name, &vnode), -ENOENT);
	w_close(w_create(dir, name, NULL));
}

static void make_some(struct netfs_vnode *dir, const char *what, unsigned n)
{
	char name[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s%u", what, i);
		make(dir, name);
	}
}

static void start(struct world *world, const char *options)
{
	/* In the same process nothing is to be saved. */
	double_caps(NETFS_BE_LOCAL, 0);
	world_start(world, &double_ops, options);
	double_caps(NETFS_BE_LOCAL, 0);
	world_remount(world, options);
}

/* A burst that has earned it. */
static void start_burst(struct world *world)
{
	start(world, "cache=strict");
	make_some(world->root, "first", NETFS_BURST_AFTER);
	world_idle();
	assert_int_equal(double_logged("readdir;"), 1);
	double_log_clear();
}

static void others_make(struct world *world, const char *name)
{
	struct netfs_vnode *root = netfs_mount_root(world->keeper);

	w_put(root, name, "theirs");
	netfs_vnode_put(root);
}

static void in_a_burst_nothing_is_looked_up(void **unused)
{
	struct world world;

	start_burst(&world);
	make_some(world.root, "next", 50);
	assert_int_equal(double_logged("lookup"), 0);
	assert_int_equal(double_logged("create"), 50);
	assert_int_equal(double_logged("readdir;"), 0);
	world_stop(&world);
}

static void what_was_there_is_found(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	start(&world, "cache=strict");
	others_make(&world, "Theirs");
	make_some(world.root, "first", NETFS_BURST_AFTER);
	world_idle();
	double_log_clear();
	/* The server may take both for the same. */
	assert_int_equal(w_lookup(world.root, "theirs", &vnode), -ENOENT);
	assert_int_equal(double_logged("lookup theirs;"), 1);
	netfs_vnode_put(w_find(world.root, "Theirs"));
	netfs_vnode_put(w_find(world.root, "first1"));
	world_stop(&world);
}

static void what_others_make_meanwhile_is_opened_or_refused(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct world world;

	start_burst(&world);
	others_make(&world, "theirs");
	assert_int_equal(w_lookup(world.root, "theirs", &vnode), -ENOENT);
	file = w_create(world.root, "theirs", NULL);
	w_expect(file, "theirs", 0);
	w_close(file);
	world_stop(&world);
}

static void who_only_looks_is_wrong_once_at_most(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	start_burst(&world);
	others_make(&world, "a");
	others_make(&world, "b");
	assert_int_equal(w_lookup(world.root, "a", &vnode), -ENOENT);
	netfs_vnode_put(w_find(world.root, "b"));
	netfs_vnode_put(w_find(world.root, "a"));
	make_some(world.root, "next", 3);
	assert_int_equal(double_logged("lookup next"), 3);
	world_stop(&world);
}

static void who_looks_again_finds_it(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	start_burst(&world);
	/* Some programs look twice before they make a file, which ends nothing. */
	assert_int_equal(w_lookup(world.root, "twice", &vnode), -ENOENT);
	make(world.root, "twice");
	make_some(world.root, "next", 1);
	assert_int_equal(double_logged("lookup"), 1);
	others_make(&world, "a");
	assert_int_equal(w_lookup(world.root, "a", &vnode), -ENOENT);
	netfs_vnode_put(w_find(world.root, "a"));
	world_stop(&world);
}

static void a_name_that_is_seen_stays(void **unused)
{
	struct world world;

	start_burst(&world);
	others_make(&world, "a b"); /* no plain name */
	others_make(&world, "c");
	netfs_vnode_put(w_find(world.root, "a b"));
	double_host()->happened(double_host(), world.root->ino, world.root->gen, "c",
				NETFS_CHANGE_MADE);
	netfs_vnode_put(w_find(world.root, "c"));
	world_stop(&world);
}

static void it_is_believed_for_a_second(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	start_burst(&world);
	make_some(world.root, "next", 20);
	world_sleep_ms(1100);
	others_make(&world, "theirs");
	netfs_vnode_put(w_find(world.root, "theirs"));
	/* It was worth it: the names are read again. */
	make_some(world.root, "more", 2);
	world_idle();
	double_log_clear();
	make_some(world.root, "most", 20);
	assert_int_equal(double_logged("lookup"), 0);
	/* It was not: they are not. */
	world_sleep_ms(1100);
	make_some(world.root, "few", 1);
	world_idle();
	double_log_clear();
	make_some(world.root, "fewer", 2);
	world_sleep_ms(1100);
	assert_int_equal(w_lookup(world.root, "none", &vnode), -ENOENT);
	double_log_clear();
	make_some(world.root, "last", 3);
	world_idle();
	assert_int_equal(double_logged("readdir;"), 0);
	world_stop(&world);
}

static void what_is_made_while_the_names_are_read_is_known(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	start(&world, "cache=strict");
	double_hold(DOUBLE_READDIR, DOUBLE_REPLY);
	make_some(world.root, "first", NETFS_BURST_AFTER);
	make_some(world.root, "second", 3);
	assert_int_equal(double_held(DOUBLE_READDIR), 1);
	double_pass(DOUBLE_READDIR);
	double_release(DOUBLE_READDIR);
	world_idle();
	netfs_vnode_put(w_find(world.root, "second2"));
	double_log_clear();
	make_some(world.root, "third", 3);
	assert_int_equal(double_logged("lookup"), 0);
	assert_int_equal(w_unlink(world.root, "second2"), 0);
	assert_int_equal(w_lookup(world.root, "second2", &vnode), -ENOENT);
	world_stop(&world);
}

static void a_directory_that_cannot_be_read_is_asked(void **unused)
{
	struct world world;

	start(&world, "cache=strict");
	double_fail_opens(-EACCES);
	make_some(world.root, "first", NETFS_BURST_AFTER);
	world_idle();
	double_log_clear();
	make_some(world.root, "second", 20);
	world_idle();
	assert_int_equal(double_logged("lookup"), 20);
	assert_int_equal(double_logged("open;"), 0);
	double_fail_opens(0);
	world_stop(&world);
}

static void nor_where_times_are_given(void **unused)
{
	static const char *const options[] = {"cache=strict,actimeo=1", "cache=strict,negtimeo=0",
					      "cache=none"};
	struct world world;

	for (unsigned i = 0; i < 3; i++) {
		start(&world, options[i]);
		make_some(world.root, "first", 3 * NETFS_BURST_AFTER);
		world_idle();
		assert_int_equal(double_logged("readdir;"), 0);
		world_stop(&world);
	}
}

static void a_change_tells_of_its_directory(void **unused)
{
	struct netfs_attr before, after;
	struct world world;

	start(&world, "cache=strict");
	double_tell_dirs(true);
	before = w_getattr(world.root);
	world_sleep_ms(10);
	w_put(world.root, "a", "text");
	double_log_clear();
	after = w_getattr(world.root);
	assert_int_equal(double_logged("getattr;"), 0);
	assert_true(after.version != before.version);
	assert_int_equal(w_unlink(world.root, "a"), 0);
	before = w_getattr(world.root);
	assert_int_equal(double_logged("getattr;"), 0);
	assert_true(after.version != before.version);
	/* And it is no older than any other answer. */
	world_sleep_ms(1100);
	w_getattr(world.root);
	assert_int_equal(double_logged("getattr;"), 1);
	double_tell_dirs(false);
	world_stop(&world);
}

static void but_not_if_another_came_between(void **unused)
{
	struct w_call call;
	struct world world;

	start(&world, "cache=strict");
	double_tell_dirs(true);
	w_put(world.root, "b", "text");
	w_getattr(world.root);
	w_call_init(&call);
	double_hold(DOUBLE_CREATE, DOUBLE_REPLY);
	netfs_create(world.root, "a", O_RDWR, 0644, &call.call);
	world_idle();
	assert_int_equal(w_unlink(world.root, "b"), 0);
	double_pass(DOUBLE_CREATE);
	double_release(DOUBLE_CREATE);
	world_idle();
	assert_true(call.ended && call.err == 0);
	double_log_clear();
	w_getattr(world.root);
	assert_int_equal(double_logged("getattr;"), 1);
	netfs_vnode_put(call.call.vnode);
	w_close(call.call.file);
	double_tell_dirs(false);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_a_burst_nothing_is_looked_up),
		cmocka_unit_test(what_was_there_is_found),
		cmocka_unit_test(what_others_make_meanwhile_is_opened_or_refused),
		cmocka_unit_test(who_only_looks_is_wrong_once_at_most),
		cmocka_unit_test(who_looks_again_finds_it),
		cmocka_unit_test(a_name_that_is_seen_stays),
		cmocka_unit_test(it_is_believed_for_a_second),
		cmocka_unit_test(what_is_made_while_the_names_are_read_is_known),
		cmocka_unit_test(a_directory_that_cannot_be_read_is_asked),
		cmocka_unit_test(nor_where_times_are_given),
		cmocka_unit_test(a_change_tells_of_its_directory),
		cmocka_unit_test(but_not_if_another_came_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
