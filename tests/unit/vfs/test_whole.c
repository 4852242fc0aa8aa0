/* SPDX-License-Identifier: MIT */
/*
 * Goal: the listing of a directory and the target of a link that did not change
 * cost the server no more than the question whether they did; one that changed,
 * or was not read whole, is read again; and memory for file data comes first.
 * Method: mounts of mem with every request written down.  Numbers in comments
 * name the edge cases of the kernel's library that a test stands for.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "double.h"
#include "world.h"

#define FILES 300

struct reader {
	unsigned room;
	unsigned taken;
	unsigned total;
	unsigned vnodes;
	uint64_t cookie;
	uint8_t seen[FILES + 10];
	struct netfs_vnode *vnode[FILES + 10]; /* as a kernel keeps them */
};

static void let_go(struct reader *reader)
{
	for (unsigned i = 0; i < reader->vnodes; i++)
		netfs_vnode_put(reader->vnode[i]);
}

static bool take(struct netfs_call *call, const struct netfs_direntry *entry)
{
	struct reader *reader = call->user;

	if (reader->taken == reader->room)
		return false;
	reader->taken++;
	reader->cookie = entry->next;
	if (entry->vnode)
		reader->vnode[reader->vnodes++] = entry->vnode;
	if (entry->name[0] == 'f') {
		reader->total++;
		reader->seen[atoi(entry->name + 1)]++;
	}
	return true;
}

static bool read_some(struct netfs_file *file, struct reader *reader, unsigned room, bool plus)
{
	struct netfs_call call;

	reader->room = room;
	reader->taken = 0;
	netfs_call_init(&call, NULL);
	call.user = reader;
	netfs_readdir(file, reader->cookie, plus, take, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	return reader->taken > 0;
}

/* How many there are; each must be there once. */
static unsigned list_with(struct netfs_vnode *dir, struct reader *reader, unsigned room, bool plus)
{
	struct netfs_file *file = w_open(dir, O_RDONLY, NULL);

	while (read_some(file, reader, room, plus))
		;
	for (unsigned i = 0; i < FILES; i++)
		assert_true(reader->seen[i] <= 1);
	netfs_release(file);
	return reader->total;
}

static unsigned list(struct netfs_vnode *dir, unsigned room, bool plus)
{
	struct reader reader = {0};
	unsigned total = list_with(dir, &reader, room, plus);

	let_go(&reader);
	return total;
}

static void fill(struct netfs_vnode *dir, unsigned from, unsigned to)
{
	char name[16];

	for (unsigned i = from; i < to; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		netfs_release(w_create(dir, name, NULL));
	}
}

static void an_unchanged_directory_is_listed_from_memory(void **unused)
{
	struct world world;

	world_start(&world, &double_ops, "");
	fill(world.root, 0, FILES);
	assert_int_equal(list(world.root, 50, false), FILES);
	for (unsigned room = 7; room < 1000; room *= 5) {
		double_log_clear();
		assert_int_equal(list(world.root, room, false), FILES);
		/* Opened, asked whether it changed, and that is all. */
		assert_string_equal(double_log(), "open;getattr;");
	}
	assert_int_equal(world_stat(world.mount, "whole_hits"), 4);
	world_stop(&world);
}

static void a_listing_with_attributes_asks_for_what_is_not_believed(void **unused)
{
	struct reader reader = {0};
	struct world world;

	world_start(&world, &double_ops, "actimeo=10");
	fill(world.root, 0, FILES);
	assert_int_equal(list_with(world.root, &reader, 50, true), FILES);
	assert_int_equal(reader.vnodes, FILES);
	double_log_clear();
	assert_int_equal(list(world.root, 50, true), FILES);
	assert_string_equal(double_log(), "open;getattr;");
	/* What is not believed any more is asked for, one by one, and no more. */
	world_sleep_ms(11000);
	double_log_clear();
	assert_int_equal(list(world.root, 50, true), FILES);
	assert_int_equal(double_logged("readdir"), 0);
	assert_int_equal(double_logged("lookup"), FILES);
	let_go(&reader);
	world_stop(&world);
}

/* 83: the directory is another one than the one that was listed. */
static void a_changed_directory_is_read_again(void **unused)
{
	struct netfs_vnode *other_root;
	struct netfs_mount *other;
	struct world world;

	world_start(&world, &double_ops, "");
	fill(world.root, 0, FILES);
	other = world_mount(&world, &double_ops, "");
	other_root = netfs_mount_root(other);
	list(world.root, 50, false);
	/* By others, */
	fill(other_root, FILES, FILES + 1);
	assert_int_equal(list(world.root, 50, false), FILES + 1);
	double_log_clear();
	assert_int_equal(list(world.root, 50, false), FILES + 1);
	assert_int_equal(double_logged("readdir"), 0);
	/* and by us. */
	assert_int_equal(w_unlink(world.root, "f7"), 0);
	assert_int_equal(list(world.root, 50, false), FILES);
	netfs_vnode_put(other_root);
	assert_int_equal(world_close(other, 0), 0);
	world_stop(&world);
}

/* 83: it changes while it is being read: what comes out is not kept. */
static void a_listing_that_a_change_met_is_not_kept(void **unused)
{
	struct netfs_vnode *other_root;
	struct netfs_mount *other;
	struct reader reader = {0};
	struct netfs_file *file;
	struct world world;

	world_start(&world, &double_ops, "");
	fill(world.root, 0, FILES);
	other = world_mount(&world, &double_ops, "");
	other_root = netfs_mount_root(other);
	file = w_open(world.root, O_RDONLY, NULL);
	read_some(file, &reader, 20, false);
	fill(other_root, FILES, FILES + 1);
	while (read_some(file, &reader, 20, false))
		;
	netfs_release(file);
	double_log_clear();
	assert_int_equal(list(world.root, 50, false), FILES + 1);
	assert_true(double_logged("readdir") > 0);
	netfs_vnode_put(other_root);
	assert_int_equal(world_close(other, 0), 0);
	world_stop(&world);
}

/* 84: what was read in part is worth nothing; all of it is read again. */
static void a_listing_read_in_part_is_not_kept(void **unused)
{
	struct reader reader = {0}, middle = {.cookie = 30};
	struct netfs_file *file;
	struct world world;

	world_start(&world, &double_ops, "");
	fill(world.root, 0, FILES);
	file = w_open(world.root, O_RDONLY, NULL);
	read_some(file, &reader, 20, false);
	netfs_release(file);
	/* From the middle to the end. */
	middle.cookie = reader.cookie;
	file = w_open(world.root, O_RDONLY, NULL);
	while (read_some(file, &middle, 50, false))
		;
	assert_int_equal(middle.total, FILES + 2 - 20);
	netfs_release(file);
	double_log_clear();
	assert_int_equal(list(world.root, 50, false), FILES);
	assert_true(double_logged("readdir") > 0);
	assert_int_equal(world_stat(world.mount, "whole_hits"), 0);
	world_stop(&world);
}

/* A reader may go anywhere in a listing from memory and back. */
static void a_listing_from_memory_can_be_left_and_rewound(void **unused)
{
	struct reader reader = {0};
	struct netfs_file *file;
	struct world world;
	uint64_t cookie;

	world_start(&world, &double_ops, "");
	fill(world.root, 0, FILES);
	list(world.root, 50, false);
	file = w_open(world.root, O_RDONLY, NULL);
	read_some(file, &reader, 40, false);
	cookie = reader.cookie;
	read_some(file, &reader, 40, false);
	/* Back, by seekdir, where the server has to help. */
	memset(&reader, 0, sizeof(reader));
	reader.cookie = cookie;
	while (read_some(file, &reader, 11, false))
		;
	assert_int_equal(reader.total, FILES + 2 - 40);
	memset(&reader, 0, sizeof(reader));
	while (read_some(file, &reader, 11, false))
		;
	assert_int_equal(reader.total, FILES);
	netfs_release(file);
	world_stop(&world);
}

static void an_empty_directory_stays_empty(void **unused)
{
	struct netfs_vnode *dir;
	struct world world;

	world_start(&world, &double_ops, "");
	dir = w_mkdir(world.root, "d");
	for (int i = 0; i < 3; i++)
		assert_int_equal(list(dir, 50, false), 0);
	fill(dir, 0, 1);
	assert_int_equal(list(dir, 50, false), 1);
	netfs_vnode_put(dir);
	world_stop(&world);
}

/* Without a change counter a change could hide behind one a moment before. */
static void a_directory_that_changed_just_now_is_not_kept(void **unused)
{
	struct world world;

	world_start(&world, &double_ops, "");
	double_caps(NETFS_BE_CHANGE_COUNTER, 0);
	world_remount(&world, "");
	fill(world.root, 0, 20);
	w_getattr(world.root);
	list(world.root, 50, false);
	double_log_clear();
	list(world.root, 50, false);
	assert_int_equal(double_logged("readdir"), 1);
	world_sleep_ms(3000);
	list(world.root, 50, false);
	double_log_clear();
	list(world.root, 50, false);
	assert_int_equal(double_logged("readdir"), 0);
	world_stop(&world);
}

/* File data pushes listings out, not the other way round. */
static void listings_leave_before_file_data(void **unused)
{
	struct netfs_file *file;
	struct world world;
	char *buf = calloc(1, 1 << 20);

	world_start(&world, &double_ops, "");
	fill(world.root, 0, FILES);
	list(world.root, 50, false);
	file = w_create(world.root, "big", NULL);
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(netfs_pwrite(file, buf, 1 << 20, (uint64_t)i << 20, 0), 1 << 20);
	w_close(file);
	list(world.root, 50, false);
	list(world.root, 50, false);
	assert_int_equal(world_stat(world.mount, "whole_hits"), 1);
	file = w_open(w_find(world.root, "big"), O_RDONLY, NULL);
	for (unsigned i = 0; i < 80; i++)
		assert_int_equal(netfs_pread(file, buf, 1 << 20, (uint64_t)i << 20, 0), 1 << 20);
	netfs_vnode_put(netfs_file_vnode(file));
	w_close(file);
	double_log_clear();
	assert_int_equal(list(world.root, 50, false), FILES);
	assert_true(double_logged("readdir") > 0);
	free(buf);
	world_stop(&world);
}

/* ----------------------------------------------------- symbolic links */

static int read_link(struct netfs_vnode *vnode, char *buf, size_t size)
{
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	call.buf = buf;
	call.buf_size = size;
	netfs_readlink(vnode, &call);
	err = netfs_call_wait(&call);
	if (!err)
		buf[call.count] = 0;
	return err;
}

static struct netfs_vnode *make_link(struct netfs_vnode *dir, const char *name, const char *target)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_symlink(dir, name, target, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	return call.vnode;
}

static void a_link_is_read_once(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;
	char buf[64];

	world_start(&world, &double_ops, "actimeo=10");
	vnode = make_link(world.root, "l", "somewhere/else");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(read_link(vnode, buf, 60), 0);
		assert_string_equal(buf, "somewhere/else");
	}
	assert_int_equal(world_stat(world.mount, "whole_hits"), 2);
	/* 83: longer than the room there is. */
	assert_int_equal(read_link(vnode, buf, 5), -ERANGE);
	/* Not believed any more: asked again. */
	world_sleep_ms(11000);
	assert_int_equal(read_link(vnode, buf, 60), 0);
	assert_int_equal(world_stat(world.mount, "whole_hits"), 3);
	netfs_vnode_put(vnode);
	world_stop(&world);
}

static void another_link_of_the_name_is_another_target(void **unused)
{
	struct netfs_vnode *vnode;
	struct world world;
	char buf[64];

	world_start(&world, &double_ops, "actimeo=10");
	vnode = make_link(world.root, "l", "one");
	assert_int_equal(read_link(vnode, buf, 60), 0);
	netfs_vnode_put(vnode);
	assert_int_equal(w_unlink(world.root, "l"), 0);
	vnode = make_link(world.root, "l", "two");
	assert_int_equal(read_link(vnode, buf, 60), 0);
	assert_string_equal(buf, "two");
	netfs_vnode_put(vnode);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unchanged_directory_is_listed_from_memory),
		cmocka_unit_test(a_listing_with_attributes_asks_for_what_is_not_believed),
		cmocka_unit_test(a_changed_directory_is_read_again),
		cmocka_unit_test(a_listing_that_a_change_met_is_not_kept),
		cmocka_unit_test(a_listing_read_in_part_is_not_kept),
		cmocka_unit_test(a_listing_from_memory_can_be_left_and_rewound),
		cmocka_unit_test(an_empty_directory_stays_empty),
		cmocka_unit_test(a_directory_that_changed_just_now_is_not_kept),
		cmocka_unit_test(listings_leave_before_file_data),
		cmocka_unit_test(a_link_is_read_once),
		cmocka_unit_test(another_link_of_the_name_is_another_target),
	};

	return t_run(tests, NULL, NULL);
}
