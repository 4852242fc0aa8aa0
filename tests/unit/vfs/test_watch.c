/* SPDX-License-Identifier: MIT */
/*
 * Goal: what is known of a directory that the server watches is not asked for again,
 * until the server tells of a change, or for long enough; and what it tells of is not
 * believed, whatever was on its way then.
 * Method: the double plays the server; a second mount of the tree makes the changes.
 */
#include <vfs/vnode.h>
#include "double.h"
#include "world.h"

static void stands(struct netfs_vnode *dir, bool on)
{
	double_host()->watching(double_host(), dir->ino, dir->gen, on);
}

static void tell(struct netfs_vnode *dir, const char *name, enum netfs_change change)
{
	double_host()->happened(double_host(), dir->ino, dir->gen, name, change);
	world_idle();
}

static void look(struct netfs_vnode *dir, const char *name)
{
	struct netfs_vnode *vnode;

	if (w_lookup(dir, name, &vnode) == 0)
		netfs_vnode_put(vnode);
}

/* How often the server is asked when the name, and what it leads to, is used. */
static unsigned asked(struct netfs_vnode *dir, const char *name)
{
	double_log_clear();
	look(dir, name);
	return double_logged("lookup") + double_logged("getattr");
}

/* A kernel keeps what it knows. */
static struct netfs_vnode *kept;

static void stop(struct world *world)
{
	netfs_vnode_put(kept);
	world_stop(world);
}

/* A watched directory with a file that was told twice. */
static void start(struct world *world, const char *options)
{
	world_start(world, &double_ops, options);
	w_put(world->root, "a", "first");
	kept = w_find(world->root, "a");
	world_sleep_ms(1500);
	stands(world->root, true);
	look(world->root, "a");
	world_sleep_ms(1500);
	look(world->root, "a");
	look(world->root, "none");
	world_sleep_ms(1500);
}

static void who_uses_a_directory_again_has_it_watched(void **unused)
{
	struct world world;

	world_start(&world, &double_ops, "cache=strict");
	look(world.root, "a");
	look(world.root, "b");
	world_sleep_ms(900);
	look(world.root, "c");
	assert_int_equal(double_logged("watch"), 0);
	world_sleep_ms(200);
	look(world.root, "c");
	look(world.root, "d");
	assert_int_equal(double_logged("watch"), 1);
	world_sleep_ms(61000);
	look(world.root, "c");
	assert_int_equal(double_logged("watch"), 1);
	world_stop(&world);
}

static void nor_where_times_are_given(void **unused)
{
	static const char *const options[] = {"cache=strict,actimeo=1", "cache=strict,negtimeo=1",
					      "cache=none", "cache=loose"};
	struct world world;

	for (unsigned i = 0; i < 4; i++) {
		world_start(&world, &double_ops, options[i]);
		look(world.root, "a");
		world_sleep_ms(1100);
		look(world.root, "a");
		assert_int_equal(double_logged("watch"), 0);
		world_stop(&world);
	}
}

static void a_watched_directory_is_not_asked_about(void **unused)
{
	struct world world;

	start(&world, "cache=strict");
	assert_int_equal(asked(world.root, "a"), 0);
	assert_int_equal(asked(world.root, "none"), 0);
	world_sleep_ms(20000);
	assert_int_equal(asked(world.root, "a"), 0);
	assert_int_equal(asked(world.root, "none"), 0);
	/* But not for ever. */
	world_sleep_ms(10000);
	assert_int_equal(asked(world.root, "a"), 1);
	assert_int_equal(asked(world.root, "none"), 1);
	stop(&world);
}

static void nor_under_a_watch_that_ended(void **unused)
{
	struct world world;

	start(&world, "cache=strict");
	stands(world.root, false);
	assert_int_equal(asked(world.root, "a"), 1);
	assert_int_equal(asked(world.root, "none"), 1);
	/* What was told between two watches is told under none. */
	stands(world.root, true);
	world_sleep_ms(1500);
	assert_int_equal(asked(world.root, "a"), 1);
	assert_int_equal(asked(world.root, "none"), 1);
	world_sleep_ms(1500);
	assert_int_equal(asked(world.root, "a"), 0);
	assert_int_equal(asked(world.root, "none"), 0);
	stop(&world);
}

static void what_is_told_of_is_asked_for(void **unused)
{
	struct world world;

	start(&world, "cache=strict");
	tell(world.root, "other", NETFS_CHANGE_TOUCHED);
	tell(world.root, "other", NETFS_CHANGE_GONE);
	assert_int_equal(asked(world.root, "a"), 0);
	assert_int_equal(asked(world.root, "none"), 0);
	/* It was there when we asked, so it was made before. */
	tell(world.root, "a", NETFS_CHANGE_MADE);
	assert_int_equal(asked(world.root, "a"), 0);
	tell(world.root, "a", NETFS_CHANGE_TOUCHED);
	assert_int_equal(asked(world.root, "a"), 1);
	world_sleep_ms(1500);
	look(world.root, "a");
	world_sleep_ms(1500);
	assert_int_equal(asked(world.root, "a"), 0);
	tell(world.root, "A", NETFS_CHANGE_GONE);
	assert_int_equal(asked(world.root, "a"), 1);
	tell(world.root, "None", NETFS_CHANGE_MADE);
	assert_int_equal(asked(world.root, "none"), 1);
	assert_int_equal(world_stat(world.mount, "watch_notices"), 6);
	stop(&world);
}

/* The directory has another version then, and the other names stay. */
static void what_is_not_told_of_is_not_asked_for(void **unused)
{
	struct netfs_vnode *keeper;
	struct world world;

	start(&world, "cache=strict");
	keeper = netfs_mount_root(world.keeper);
	w_put(keeper, "new", "by others");
	netfs_vnode_put(keeper);
	tell(world.root, "new", NETFS_CHANGE_MADE);
	w_getattr(world.root);
	assert_int_equal(asked(world.root, "a"), 0);
	assert_int_equal(asked(world.root, "none"), 0);
	assert_int_equal(asked(world.root, "new"), 1);
	stop(&world);
}

/* The answer that was on its way is handed on, and not believed. */
static void an_answer_from_before_is_not_kept(void **unused)
{
	struct netfs_vnode *keeper, *vnode = NULL;
	struct w_call call;
	struct world world;

	start(&world, "cache=strict");
	tell(world.root, "none", NETFS_CHANGE_GONE);
	double_hold(DOUBLE_LOOKUP, DOUBLE_REPLY);
	w_call_init(&call);
	netfs_lookup(world.root, "none", &call.call);
	double_pass(DOUBLE_LOOKUP);
	keeper = netfs_mount_root(world.keeper);
	w_put(keeper, "none", "now");
	netfs_vnode_put(keeper);
	tell(world.root, "none", NETFS_CHANGE_MADE);
	double_release(DOUBLE_LOOKUP);
	assert_true(call.ended);
	assert_int_equal(w_lookup(world.root, "none", &vnode), 0);
	netfs_vnode_put(vnode);
	stop(&world);
}

static void a_file_that_others_may_change_elsewhere_is_asked_for(void **unused)
{
	struct netfs_vnode *vnode, *dir, *link;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "cache=strict");
	w_put(world.root, "a", "first");
	vnode = w_find(world.root, "a");
	dir = w_mkdir(world.root, "dir");
	netfs_call_init(&call, NULL);
	netfs_link(vnode, dir, "b", &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	link = call.vnode;
	stands(world.root, true);
	for (unsigned i = 0; i < 3; i++) {
		world_sleep_ms(1500);
		assert_int_equal(asked(world.root, "a"), 1);
		/* What is in it changes it, and is told to who watches that. */
		assert_int_equal(asked(world.root, "dir"), 1);
	}
	netfs_vnode_put(link);
	netfs_vnode_put(vnode);
	netfs_vnode_put(dir);
	world_stop(&world);
}

/* A server may be late to tell of a file that is being written. */
static void a_file_that_changes_is_asked_for(void **unused)
{
	struct netfs_vnode *keeper, *vnode;
	struct netfs_file *file;
	struct world world;

	start(&world, "cache=strict");
	keeper = netfs_mount_root(world.keeper);
	vnode = w_find(keeper, "a");
	file = w_open(vnode, O_RDWR, NULL);
	tell(world.root, "a", NETFS_CHANGE_TOUCHED);
	for (unsigned i = 0; i < 4; i++) {
		w_write(file, "more", 10 * (i + 1));
		assert_int_equal(w_flush(file), 0);
		world_sleep_ms(1500);
		assert_int_equal(asked(world.root, "a"), 1);
	}
	w_close(file);
	netfs_vnode_put(vnode);
	netfs_vnode_put(keeper);
	stop(&world);
}

/* Under a lease notices are of our own changes, but for those of programs on the
 * server's machine, which it does not bind. */
static void a_lease_holds_for_notices_of_ours(void **unused)
{
	struct netfs_node *node;
	struct netfs_file *file;
	struct world world;

	start(&world, "cache=strict");
	node = netfs_vnode_node(kept);
	netfs_node_promise(node, NETFS_PROMISE_ALL);
	netfs_node_put(node);
	world_sleep_ms(32000);
	w_getattr(kept);
	world_sleep_ms(1500);
	double_log_clear();
	w_getattr(kept);
	assert_int_equal(double_logged("getattr"), 0);
	tell(world.root, "a", NETFS_CHANGE_TOUCHED);
	w_getattr(kept);
	assert_int_equal(double_logged("getattr"), 1);
	file = w_open(kept, O_RDWR, NULL);
	w_write(file, "mine!", 0);
	w_close(file);
	w_getattr(kept);
	double_log_clear();
	tell(world.root, "a", NETFS_CHANGE_TOUCHED);
	w_getattr(kept);
	assert_int_equal(double_logged("getattr"), 0);
	stop(&world);
}

/* A notice soon after a change of ours may be of theirs all the same. */
static void what_was_taken_for_ours_is_looked_at_again(void **unused)
{
	struct netfs_vnode *keeper;
	struct netfs_node *node;
	struct netfs_file *file;
	struct world world;

	start(&world, "cache=strict");
	node = netfs_vnode_node(kept);
	netfs_node_promise(node, NETFS_PROMISE_ALL);
	netfs_node_put(node);
	file = w_open(kept, O_RDWR, NULL);
	w_write(file, "mine!", 0);
	w_close(file);
	w_getattr(kept);
	tell(world.root, "a", NETFS_CHANGE_TOUCHED);
	keeper = netfs_mount_root(world.keeper);
	w_put(keeper, "a", "theirs, longer");
	tell(world.root, "a", NETFS_CHANGE_TOUCHED);
	world_sleep_ms(5500);
	double_log_clear();
	assert_int_equal(w_getattr(kept).size, 14);
	assert_int_equal(double_logged("getattr"), 1);
	file = w_open(kept, O_RDONLY, NULL);
	w_expect(file, "theirs, longer", 0);
	w_close(file);
	/* Once. */
	world_sleep_ms(1500);
	double_log_clear();
	w_getattr(kept);
	assert_int_equal(double_logged("getattr"), 0);
	netfs_vnode_put(keeper);
	stop(&world);
}

/* An open asks whatever is watched. */
static void an_open_is_close_to_open(void **unused)
{
	struct netfs_vnode *keeper, *vnode;
	struct netfs_file *file;
	struct world world;

	start(&world, "cache=strict");
	vnode = w_find(world.root, "a");
	file = w_open(vnode, O_RDONLY, NULL);
	w_expect(file, "first", 0);
	w_close(file);
	keeper = netfs_mount_root(world.keeper);
	w_put(keeper, "a", "other");
	netfs_vnode_put(keeper);
	file = w_open(vnode, O_RDONLY, NULL);
	w_expect(file, "other", 0);
	w_close(file);
	netfs_vnode_put(vnode);
	stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_uses_a_directory_again_has_it_watched),
		cmocka_unit_test(nor_where_times_are_given),
		cmocka_unit_test(a_watched_directory_is_not_asked_about),
		cmocka_unit_test(nor_under_a_watch_that_ended),
		cmocka_unit_test(what_is_told_of_is_asked_for),
		cmocka_unit_test(what_is_not_told_of_is_not_asked_for),
		cmocka_unit_test(an_answer_from_before_is_not_kept),
		cmocka_unit_test(a_file_that_others_may_change_elsewhere_is_asked_for),
		cmocka_unit_test(a_file_that_changes_is_asked_for),
		cmocka_unit_test(a_lease_holds_for_notices_of_ours),
		cmocka_unit_test(what_was_taken_for_ours_is_looked_at_again),
		cmocka_unit_test(an_open_is_close_to_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
