/* SPDX-License-Identifier: MIT */
/*
 * Goal: the name cache answers only what is still true: absences are forgotten
 * when a name is made, presences when it goes, both when their time is over,
 * and an answer older than our own change is not kept.
 * Method: mem behind the double, whose log says what the server was asked.
 */
#include <errno.h>
#include <fcntl.h>
#include "double.h"
#include "world.h"

static void a_name_is_asked_for_once_while_it_is_believed(void **unused)
{
	struct netfs_vnode *vnode, *again;
	struct world world;

	world_start(&world, &double_ops, "actimeo=10");
	w_put(world.root, "a", "text");
	vnode = w_find(world.root, "a");
	double_log_clear();
	again = w_find(world.root, "a");
	assert_ptr_equal(vnode, again);
	assert_int_equal(double_logged("lookup"), 0);
	netfs_vnode_put(again);
	world_sleep_ms(11000);
	again = w_find(world.root, "a");
	assert_ptr_equal(vnode, again);
	assert_int_equal(double_logged("lookup a;"), 1);
	netfs_vnode_put(again);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void an_absence_is_remembered_until_the_name_is_made(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	world_start(&world, &double_ops, "actimeo=10,negtimeo=10");
	assert_int_equal(w_lookup(world.root, "a", &vnode), -ENOENT);
	assert_int_equal(w_lookup(world.root, "a", &vnode), -ENOENT);
	assert_int_equal(double_logged("lookup a;"), 1);
	assert_int_equal(world_stat(world.mount, "name_negative"), 1);
	w_put(world.root, "a", "text");
	netfs_vnode_put(w_find(world.root, "a"));
	world_stop(&world);
}

static void an_absence_is_not_remembered_unless_asked_for(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	world_start(&world, &double_ops, "");
	assert_int_equal(w_lookup(world.root, "a", &vnode), -ENOENT);
	assert_int_equal(w_lookup(world.root, "a", &vnode), -ENOENT);
	assert_int_equal(double_logged("lookup a;"), 2);
	world_stop(&world);
}

static void unlink_and_rename_forget_names(void **unused)
{
	struct netfs_vnode *a, *b, *none;
	struct world world;

	world_start(&world, &double_ops, "actimeo=100");
	w_put(world.root, "a", "text");
	a = w_find(world.root, "a");
	assert_int_equal(w_rename(world.root, "a", "b", 0), 0);
	assert_int_equal(w_lookup(world.root, "a", &none), -ENOENT);
	b = w_find(world.root, "b");
	assert_ptr_equal(a, b);
	assert_int_equal(w_unlink(world.root, "b"), 0);
	assert_int_equal(w_lookup(world.root, "b", &none), -ENOENT);
	netfs_vnode_put(a);
	netfs_vnode_put(b);
	world_stop(&world);
}

/* The reply to a lookup waits while the name is removed; it must not come back
 * to life with the late reply. */
static void a_late_lookup_does_not_bring_a_removed_name_back(void **unused)
{
	struct netfs_vnode *none;
	struct w_call lookup;
	struct world world;

	world_start(&world, &double_ops, "actimeo=100");
	w_put(world.root, "a", "text");
	double_hold(DOUBLE_LOOKUP, DOUBLE_REPLY);
	w_call_init(&lookup);
	netfs_lookup(world.root, "a", &lookup.call);
	assert_int_equal(double_held(DOUBLE_LOOKUP), 1);
	double_pass(DOUBLE_LOOKUP);
	assert_int_equal(w_unlink(world.root, "a"), 0);
	double_release(DOUBLE_LOOKUP);
	assert_true(lookup.ended);
	assert_int_equal(lookup.err, 0);
	assert_int_equal(lookup.call.entry_ttl_ms, 0);
	assert_int_equal(w_lookup(world.root, "a", &none), -ENOENT);
	netfs_vnode_put(lookup.call.vnode);
	world_stop(&world);
}

static void names_go_when_another_client_changed_the_directory(void **unused)
{
	struct netfs_vnode *root2, *dir, *dir2, *a, *none;
	struct netfs_mount *mount2;
	struct world world;

	world_start(&world, &double_ops, "acdirmax=1,actimeo=1000");
	mount2 = world_mount(&world, &double_ops, "");
	root2 = netfs_mount_root(mount2);
	dir = w_mkdir(world.root, "dir");
	w_put(dir, "a", "text");
	a = w_find(dir, "a");
	dir2 = w_find(root2, "dir");
	world_sleep_ms(10);
	assert_int_equal(w_unlink(dir2, "a"), 0);
	/* Attributes of the directory are asked for when their time is over. */
	world_sleep_ms(1000 * 1000 + 1);
	w_getattr(dir);
	assert_int_equal(w_lookup(dir, "a", &none), -ENOENT);
	netfs_vnode_put(a);
	netfs_vnode_put(dir);
	netfs_vnode_put(dir2);
	netfs_vnode_put(root2);
	assert_int_equal(world_close(mount2, 0), 0);
	world_stop(&world);
}

static void a_held_back_lookup_can_be_cancelled(void **unused)
{
	struct w_call lookup;
	struct world world;

	world_start(&world, &double_ops, "");
	w_put(world.root, "a", "text");
	double_hold(DOUBLE_LOOKUP, DOUBLE_REQUEST);
	w_call_init(&lookup);
	netfs_lookup(world.root, "a", &lookup.call);
	assert_false(lookup.ended);
	netfs_call_cancel(&lookup.call);
	assert_true(lookup.ended);
	assert_int_equal(lookup.err, -EINTR);
	/* Once more: harmless. */
	netfs_call_cancel(&lookup.call);
	double_pass(DOUBLE_LOOKUP);
	world_stop(&world);
}

static void dots_lead_to_the_directory_and_its_parent(void **unused)
{
	struct netfs_vnode *dir, *sub, *found;
	struct world world;

	world_start(&world, &double_ops, "");
	dir = w_mkdir(world.root, "dir");
	sub = w_mkdir(dir, "sub");
	found = w_find(sub, "..");
	assert_ptr_equal(found, dir);
	netfs_vnode_put(found);
	found = w_find(sub, ".");
	assert_ptr_equal(found, sub);
	netfs_vnode_put(found);
	found = w_find(world.root, "..");
	assert_ptr_equal(found, world.root);
	netfs_vnode_put(found);
	netfs_vnode_put(sub);
	netfs_vnode_put(dir);
	world_stop(&world);
}

static void impossible_names_never_reach_the_server(void **unused)
{
	struct netfs_vnode *none;
	struct world world;
	char name[300];

	world_start(&world, &double_ops, "");
	memset(name, 'x', sizeof(name));
	name[256] = 0;
	assert_int_equal(w_lookup(world.root, name, &none), -ENAMETOOLONG);
	assert_int_equal(w_lookup(world.root, "a/b", &none), -EINVAL);
	assert_int_equal(w_unlink(world.root, ".."), -EINVAL);
	assert_int_equal(double_logged("lookup"), 0);
	world_stop(&world);
}

/* Somebody replaced the file behind our back: the name that is still believed
 * leads nowhere, and a second attempt must ask the server for it. */
static void a_stale_object_makes_its_name_unknown(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "actimeo=100");
	w_put(world.root, "a", "text");
	vnode = w_find(world.root, "a");
	double_fail_opens(-ESTALE);
	netfs_call_init(&call, NULL);
	netfs_open(vnode, O_RDONLY, &call);
	assert_int_equal(netfs_call_wait(&call), -ESTALE);
	double_fail_opens(0);
	double_log_clear();
	netfs_vnode_put(w_find(world.root, "a"));
	assert_int_equal(double_logged("lookup a;"), 1);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_asked_for_once_while_it_is_believed),
		cmocka_unit_test(an_absence_is_remembered_until_the_name_is_made),
		cmocka_unit_test(an_absence_is_not_remembered_unless_asked_for),
		cmocka_unit_test(unlink_and_rename_forget_names),
		cmocka_unit_test(a_late_lookup_does_not_bring_a_removed_name_back),
		cmocka_unit_test(names_go_when_another_client_changed_the_directory),
		cmocka_unit_test(a_held_back_lookup_can_be_cancelled),
		cmocka_unit_test(a_stale_object_makes_its_name_unknown),
		cmocka_unit_test(dots_lead_to_the_directory_and_its_parent),
		cmocka_unit_test(impossible_names_never_reach_the_server),
	};

	return t_run(tests, NULL, NULL);
}
