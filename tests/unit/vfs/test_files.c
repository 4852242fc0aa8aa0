/* SPDX-License-Identifier: MIT */
/*
 * Goal: opening, closing, removing and renaming files keeps their data: nothing
 * unsent is lost by a release or overtaken by a rename, and an open file
 * outlives its name on a server that knows no such thing.
 * Method: mem behind the double, whose log says in which order things went.
 */
#include <errno.h>
#include <stdio.h>
#include "double.h"
#include "world.h"

#define SILLY "unetfs-"

static bool find_silly(struct netfs_call *call, const struct netfs_direntry *entry)
{
	unsigned *n = call->user;

	if (strstr(entry->name, SILLY))
		(*n)++;
	return true;
}

static unsigned silly_names(struct netfs_vnode *dir)
{
	struct netfs_file *file = w_open(dir, O_RDONLY, NULL);
	struct netfs_call call;
	unsigned n = 0;

	netfs_call_init(&call, NULL);
	call.user = &n;
	netfs_readdir(file, 0, false, find_silly, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	netfs_release(file);
	return n;
}

static void an_open_file_outlives_its_name(void **unused)
{
	struct netfs_vnode *vnode, *none, *root2;
	struct netfs_mount *mount2;
	struct netfs_file *file;
	struct world world;

	world_start(&world, &double_ops, "");
	double_caps(NETFS_BE_OPEN_UNLINKED, 0);
	world_remount(&world, "");
	mount2 = world_mount(&world, &double_ops, "");
	root2 = netfs_mount_root(mount2);

	file = w_create(world.root, "a", &vnode);
	w_write(file, "text", 0);
	assert_int_equal(w_unlink(world.root, "a"), 0);
	assert_int_equal(double_logged("unlink"), 0);
	assert_int_equal(w_lookup(world.root, "a", &none), -ENOENT);
	assert_int_equal(w_getattr(vnode).nlink, 0);
	/* Hidden here, visible to others. */
	assert_int_equal(silly_names(world.root), 0);
	assert_int_equal(silly_names(root2), 1);
	w_write(file, "TEXT", 4);
	w_expect(file, "textTEXT", 0);
	w_close(file);
	world_idle();
	assert_int_equal(double_logged("unlink ." SILLY), 1);
	assert_int_equal(silly_names(root2), 0);
	netfs_vnode_put(vnode);
	netfs_vnode_put(root2);
	assert_int_equal(world_close(mount2, 0), 0);
	world_stop(&world);
}

static int remove_dir(struct world *world, const char *name)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_rmdir(world->root, name, &call);
	return netfs_call_wait(&call);
}

/* A directory, a file in it that is open and removed. */
static struct netfs_file *start_silly(struct world *world, struct netfs_vnode **ret_dir)
{
	struct netfs_file *file;

	world_start(world, &double_ops, "");
	double_caps(NETFS_BE_OPEN_UNLINKED, 0);
	world_remount(world, "");
	*ret_dir = w_mkdir(world->root, "dir");
	file = w_create(*ret_dir, "a", NULL);
	w_write(file, "text", 0);
	assert_int_equal(w_unlink(*ret_dir, "a"), 0);
	return file;
}

static void a_directory_of_files_without_names_can_be_removed(void **unused)
{
	struct netfs_file *file;
	struct netfs_vnode *dir;
	struct world world;

	file = start_silly(&world, &dir);
	assert_int_equal(remove_dir(&world, "dir"), 0);
	netfs_vnode_put(dir);
	assert_int_equal(silly_names(world.root), 0);
	w_write(file, "TEXT", 4);
	w_expect(file, "textTEXT", 0);
	double_log_clear();
	w_close(file);
	world_idle();
	assert_int_equal(double_logged("unlink ." SILLY), 1);
	dir = netfs_mount_root(world.keeper);
	assert_int_equal(silly_names(dir), 0);
	netfs_vnode_put(dir);
	world_stop(&world);
}

static void one_with_other_files_stays_as_it_is(void **unused)
{
	struct netfs_file *file;
	struct netfs_vnode *dir;
	struct world world;

	file = start_silly(&world, &dir);
	w_put(dir, "b", "text");
	assert_int_equal(remove_dir(&world, "dir"), -ENOTEMPTY);
	w_expect(file, "text", 0);
	w_close(file);
	world_idle();
	assert_int_equal(w_unlink(dir, "b"), 0);
	assert_int_equal(remove_dir(&world, "dir"), 0);
	netfs_vnode_put(dir);
	world_stop(&world);
}

/* What was closed a moment ago is being removed in the background. */
static void who_removes_a_directory_waits_for_what_goes(void **unused)
{
	struct netfs_file *file;
	struct netfs_vnode *dir;
	struct w_call call;
	struct world world;

	file = start_silly(&world, &dir);
	double_hold(DOUBLE_UNLINK, DOUBLE_REQUEST);
	w_close(file);
	world_idle();
	assert_int_equal(double_held(DOUBLE_UNLINK), 1);
	w_call_init(&call);
	netfs_rmdir(world.root, "dir", &call.call);
	world_idle();
	assert_false(call.ended);
	double_pass(DOUBLE_UNLINK);
	double_release(DOUBLE_UNLINK);
	world_idle();
	assert_true(call.ended);
	assert_int_equal(call.err, 0);
	netfs_vnode_put(dir);
	world_stop(&world);
}

static void who_waits_for_that_can_be_interrupted(void **unused)
{
	struct netfs_file *file;
	struct netfs_vnode *dir;
	struct w_call call;
	struct world world;

	file = start_silly(&world, &dir);
	double_hold(DOUBLE_UNLINK, DOUBLE_REQUEST);
	w_close(file);
	w_call_init(&call);
	netfs_rmdir(world.root, "dir", &call.call);
	world_idle();
	assert_false(call.ended);
	netfs_call_cancel(&call.call);
	world_idle();
	assert_true(call.ended);
	assert_int_equal(call.err, -EINTR);
	double_pass(DOUBLE_UNLINK);
	double_release(DOUBLE_UNLINK);
	world_idle();
	assert_int_equal(remove_dir(&world, "dir"), 0);
	netfs_vnode_put(dir);
	world_stop(&world);
}

/* The last of those who had it open goes while its name moves. */
static void a_file_that_is_released_while_its_name_moves_goes(void **unused)
{
	struct netfs_file *file;
	struct netfs_vnode *dir;
	struct w_call call;
	struct world world;

	file = start_silly(&world, &dir);
	double_hold(DOUBLE_RENAME, DOUBLE_REPLY);
	w_call_init(&call);
	netfs_rmdir(world.root, "dir", &call.call);
	world_idle();
	assert_int_equal(double_held(DOUBLE_RENAME), 1);
	double_log_clear();
	w_close(file);
	world_idle();
	assert_int_equal(double_logged("unlink"), 0);
	double_pass(DOUBLE_RENAME);
	double_release(DOUBLE_RENAME);
	world_idle();
	assert_true(call.ended);
	assert_int_equal(call.err, 0);
	assert_int_equal(double_logged("unlink ." SILLY), 1);
	netfs_vnode_put(dir);
	dir = netfs_mount_root(world.keeper);
	assert_int_equal(silly_names(dir), 0);
	netfs_vnode_put(dir);
	world_stop(&world);
}

static void such_a_directory_can_be_replaced(void **unused)
{
	struct netfs_vnode *dir, *other;
	struct netfs_file *file;
	struct world world;

	file = start_silly(&world, &dir);
	other = w_mkdir(world.root, "other");
	assert_int_equal(w_rename(world.root, "other", "dir", 0), 0);
	w_expect(file, "text", 0);
	w_close(file);
	world_idle();
	netfs_vnode_put(other);
	netfs_vnode_put(dir);
	dir = netfs_mount_root(world.keeper);
	assert_int_equal(silly_names(dir), 0);
	netfs_vnode_put(dir);
	world_stop(&world);
}

static void a_close_of_the_mount_waits_for_silly_names(void **unused)
{
	struct netfs_file *file;
	struct w_call close;
	struct world world;

	world_start(&world, &double_ops, "");
	double_caps(NETFS_BE_OPEN_UNLINKED, 0);
	world_remount(&world, "");
	file = w_create(world.root, "a", NULL);
	assert_int_equal(w_unlink(world.root, "a"), 0);
	double_hold(DOUBLE_UNLINK, DOUBLE_REQUEST);
	w_close(file);
	netfs_vnode_put(world.root);
	w_call_init(&close);
	netfs_mount_close(world.mount, 0, &close.call);
	world_idle();
	assert_false(close.ended);
	double_release(DOUBLE_UNLINK);
	world_idle();
	assert_true(close.ended);
	assert_int_equal(close.err, 0);
	world.mount = NULL;
	double_pass(DOUBLE_UNLINK);
	world_stop(&world);
}

static void a_rename_over_a_file_sends_the_data_first(void **unused)
{
	const char *write, *rename;
	struct netfs_file *file;
	struct world world;

	world_start(&world, &double_ops, "cache=loose");
	w_put(world.root, "target", "old");
	file = w_create(world.root, "new", NULL);
	w_write(file, "text", 0);
	double_log_clear();
	assert_int_equal(w_rename(world.root, "new", "target", 0), 0);
	/* Between them the server may be told the time of the data. */
	write = strstr(double_log(), "write;");
	rename = strstr(double_log(), "rename new target;");
	assert_true(write && rename && write < rename);
	w_close(file);
	world_stop(&world);
}

static void a_rename_over_a_file_fails_where_the_data_cannot_be_sent(void **unused)
{
	struct netfs_vnode *target;
	struct netfs_file *file;
	struct world world;

	world_start(&world, &double_ops, "");
	w_put(world.root, "target", "old");
	target = w_find(world.root, "target");
	file = w_create(world.root, "new", NULL);
	w_write(file, "text", 0);
	double_fail_writes(-ENOSPC);
	assert_int_equal(w_rename(world.root, "new", "target", 0), -ENOSPC);
	assert_int_equal(double_logged("rename"), 0);
	double_fail_writes(0);
	assert_int_equal(w_getattr(target).size, 3);
	world_sleep_ms(60000);
	w_flush(file);
	netfs_release(file);
	netfs_vnode_put(target);
	world_stop(&world);
}

static void rename_flags_work_without_the_servers_help(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;

	world_start(&world, &double_ops, "");
	double_caps(NETFS_BE_RENAME_FLAGS, 0);
	world_remount(&world, "");
	w_put(world.root, "a", "a");
	w_put(world.root, "b", "b");
	assert_int_equal(w_rename(world.root, "a", "b", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(w_rename(world.root, "a", "b", RENAME_EXCHANGE), -EINVAL);
	assert_int_equal(w_rename(world.root, "a", "c", RENAME_NOREPLACE), 0);
	vnode = w_find(world.root, "c");
	assert_int_equal(w_getattr(vnode).size, 1);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void a_create_opens_what_is_there_unless_told_not_to(void **unused)
{
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "");
	w_put(world.root, "a", "text");
	netfs_call_init(&call, NULL);
	netfs_create(world.root, "a", O_RDWR | O_EXCL, 0644, &call);
	assert_int_equal(netfs_call_wait(&call), -EEXIST);
	netfs_call_init(&call, NULL);
	netfs_create(world.root, "a", O_RDWR, 0644, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(call.attr.size, 4);
	w_expect(call.file, "text", 0);
	w_close(call.file);
	netfs_vnode_put(call.vnode);
	netfs_call_init(&call, NULL);
	netfs_create(world.root, "a", O_RDWR | O_TRUNC, 0644, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(call.attr.size, 0);
	w_close(call.file);
	netfs_vnode_put(call.vnode);
	world_stop(&world);
}

/* Data is on its way when another open empties the file. */
static void emptying_at_open_leaves_no_old_byte(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file, *second;
	struct world world;

	world_start(&world, &double_ops, "");
	file = w_create(world.root, "a", &vnode);
	w_write(file, "old old old old", 0);
	second = w_open(vnode, O_RDWR | O_TRUNC, NULL);
	w_write(second, "new", 0);
	w_expect(second, "new", 0);
	w_close(file);
	w_close(second);
	world_sleep_ms(2000);
	assert_int_equal(w_getattr(vnode).size, 3);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void a_release_without_flush_loses_nothing(void **unused)
{
	struct netfs_vnode *vnode, *root2;
	struct netfs_mount *mount2;
	struct netfs_file *file;
	struct world world;

	world_start(&world, &double_ops, "");
	file = w_create(world.root, "a", &vnode);
	w_write(file, "text", 0);
	netfs_release(file);
	netfs_vnode_put(vnode);
	world_sleep_ms(6000);
	mount2 = world_mount(&world, &double_ops, "");
	root2 = netfs_mount_root(mount2);
	vnode = w_find(root2, "a");
	file = w_open(vnode, O_RDONLY, NULL);
	w_expect(file, "text", 0);
	w_close(file);
	netfs_vnode_put(vnode);
	netfs_vnode_put(root2);
	assert_int_equal(world_close(mount2, 0), 0);
	world_stop(&world);
}

static void a_write_back_error_is_told_once_to_each_file(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *first, *second;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "");
	first = w_create(world.root, "a", &vnode);
	second = w_open(vnode, O_RDWR, NULL);
	w_write(first, "text", 0);
	double_fail_writes(-ENOSPC);
	assert_int_equal(w_flush(first), -ENOSPC);
	netfs_call_init(&call, NULL);
	netfs_fsync(second, false, &call);
	assert_int_equal(netfs_call_wait(&call), -ENOSPC);
	w_expect(second, "text", 0);
	double_fail_writes(0);
	world_sleep_ms(60000);
	w_flush(first);
	assert_int_equal(w_flush(second), 0);
	assert_int_equal(w_flush(first), 0);
	netfs_release(first);
	netfs_release(second);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void fsync_tells_of_a_failure_that_healed_meanwhile(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *first, *second;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "");
	first = w_create(world.root, "a", &vnode);
	second = w_open(vnode, O_RDWR, NULL);
	w_write(first, "text", 0);
	double_fail_writes(-ENOSPC);
	assert_int_equal(w_flush(first), -ENOSPC);
	double_fail_writes(0);
	assert_int_equal(w_flush(first), 0);
	/* All is at the server now; who had it open is told all the same. */
	netfs_call_init(&call, NULL);
	netfs_fsync(second, false, &call);
	assert_int_equal(netfs_call_wait(&call), -ENOSPC);
	netfs_call_init(&call, NULL);
	netfs_fsync(second, false, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	netfs_release(first);
	netfs_release(second);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void fsync_sends_and_then_makes_durable(void **unused)
{
	struct netfs_file *file;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "");
	double_caps(NETFS_BE_STABLE_WRITES, 0);
	world_remount(&world, "");
	file = w_create(world.root, "a", NULL);
	w_write(file, "text", 0);
	double_log_clear();
	netfs_call_init(&call, NULL);
	netfs_fsync(file, false, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	assert_int_equal(strncmp(double_log(), "write;fsync;", 12), 0);
	w_close(file);
	world_stop(&world);
}

static void access_of_the_open_is_kept_whatever_the_handle_can(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_file *file;
	struct world world;
	char buf[4];

	world_start(&world, &double_ops, "");
	w_put(world.root, "a", "text");
	vnode = w_find(world.root, "a");
	file = w_open(vnode, O_WRONLY, NULL);
	assert_int_equal(netfs_pread(file, buf, 4, 0, 0), -EBADF);
	w_close(file);
	file = w_open(vnode, O_RDONLY, NULL);
	assert_int_equal(netfs_pwrite(file, buf, 4, 0, 0), -EBADF);
	w_close(file);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void a_read_only_mount_changes_nothing(void **unused)
{
	struct netfs_vnode *vnode;
	struct netfs_call call;
	struct world world;

	world_start(&world, &double_ops, "");
	w_put(world.root, "a", "text");
	world_remount(&world, "ro");
	assert_int_equal(w_unlink(world.root, "a"), -EROFS);
	netfs_call_init(&call, NULL);
	netfs_create(world.root, "b", O_RDWR, 0644, &call);
	assert_int_equal(netfs_call_wait(&call), -EROFS);
	assert_int_equal(w_lookup(world.root, "b", &vnode), -ENOENT);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_open_file_outlives_its_name),
		cmocka_unit_test(a_directory_of_files_without_names_can_be_removed),
		cmocka_unit_test(one_with_other_files_stays_as_it_is),
		cmocka_unit_test(who_removes_a_directory_waits_for_what_goes),
		cmocka_unit_test(who_waits_for_that_can_be_interrupted),
		cmocka_unit_test(a_file_that_is_released_while_its_name_moves_goes),
		cmocka_unit_test(such_a_directory_can_be_replaced),
		cmocka_unit_test(a_close_of_the_mount_waits_for_silly_names),
		cmocka_unit_test(a_rename_over_a_file_sends_the_data_first),
		cmocka_unit_test(a_rename_over_a_file_fails_where_the_data_cannot_be_sent),
		cmocka_unit_test(rename_flags_work_without_the_servers_help),
		cmocka_unit_test(a_create_opens_what_is_there_unless_told_not_to),
		cmocka_unit_test(emptying_at_open_leaves_no_old_byte),
		cmocka_unit_test(a_release_without_flush_loses_nothing),
		cmocka_unit_test(a_write_back_error_is_told_once_to_each_file),
		cmocka_unit_test(fsync_tells_of_a_failure_that_healed_meanwhile),
		cmocka_unit_test(fsync_sends_and_then_makes_durable),
		cmocka_unit_test(access_of_the_open_is_kept_whatever_the_handle_can),
		cmocka_unit_test(a_read_only_mount_changes_nothing),
	};

	return t_run(tests, NULL, NULL);
}
