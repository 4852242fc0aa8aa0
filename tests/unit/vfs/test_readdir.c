/* SPDX-License-Identifier: MIT */
/*
 * Goal: a listing has every entry that is there all the time exactly once,
 * however small the reader's buffer is and whatever is deleted meanwhile.
 * Method: a directory of 5,000 files on mem, read in pieces of random size.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <base/rng.h>
#include "double.h"
#include "world.h"

#define FILES 5000

struct reader {
	unsigned room; /* entries it takes at once */
	unsigned taken; /* in this call */
	unsigned total; /* without dots */
	unsigned dots;
	unsigned vnodes; /* came with one */
	uint64_t cookie;
	uint8_t seen[FILES];
	uint64_t sizes;
};

static bool take(struct netfs_call *call, const struct netfs_direntry *entry)
{
	struct reader *reader = call->user;

	if (reader->taken == reader->room)
		return false;
	reader->taken++;
	reader->cookie = entry->next;
	if (entry->vnode) {
		reader->vnodes++;
		reader->sizes += entry->attr.size;
		assert_int_equal(netfs_vnode_ino(entry->vnode), entry->ino);
		netfs_vnode_put(entry->vnode);
	}
	if (entry->name[0] == '.') {
		assert_int_equal(entry->type, S_IFDIR);
		reader->dots++;
	} else {
		reader->seen[atoi(entry->name + 1)]++;
		reader->total++;
	}
	return true;
}

/* False at the end. */
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

static void fill_directory(struct netfs_vnode *dir, unsigned n)
{
	char name[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		netfs_release(w_create(dir, name, NULL));
	}
}

static void list_in_pieces(const struct netfs_be_ops *ops, bool plus)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct netfs_file *file;
	struct world world;
	struct netfs_rng rng;

	t_rng(&rng, "list_in_pieces");
	world_start(&world, ops, "");
	fill_directory(world.root, FILES);
	file = w_open(world.root, O_RDONLY, NULL);
	while (read_some(file, reader, 1 + netfs_rng_below(&rng, 200), plus))
		;
	assert_int_equal(reader->total, FILES);
	assert_int_equal(reader->dots, 2);
	assert_int_equal(reader->vnodes, plus ? FILES : 0);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(reader->seen[i], 1);
	netfs_release(file);
	free(reader);
	world_stop(&world);
}

static void each_entry_is_listed_once(void **unused)
{
	list_in_pieces(&double_ops, false);
}

static void each_entry_is_listed_once_with_attributes(void **unused)
{
	list_in_pieces(&double_ops, true);
}

static void what_stays_is_listed_while_every_other_entry_goes(void **unused)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct netfs_file *file;
	struct world world;
	unsigned gone = 1;
	char name[16];

	world_start(&world, &double_ops, "");
	fill_directory(world.root, 1000);
	file = w_open(world.root, O_RDONLY, NULL);
	while (read_some(file, reader, 7, true)) {
		for (unsigned i = 0; i < 10 && gone < 1000; i++, gone += 2) {
			snprintf(name, sizeof(name), "f%u", gone);
			assert_int_equal(w_unlink(world.root, name), 0);
		}
	}
	for (unsigned i = 0; i < 1000; i += 2)
		assert_int_equal(reader->seen[i], 1);
	for (unsigned i = 1; i < 1000; i += 2)
		assert_true(reader->seen[i] <= 1);
	netfs_release(file);
	free(reader);
	world_stop(&world);
}

/* The file's size in a listing is the one it has here, not the server's. */
static void a_listing_does_not_shrink_a_file_being_written(void **unused)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct netfs_vnode *vnode;
	struct netfs_file *file, *dir;
	struct world world;

	world_start(&world, &double_ops, "actimeo=0");
	file = w_create(world.root, "f0", &vnode);
	w_write(file, "12345678", 0);
	dir = w_open(world.root, O_RDONLY, NULL);
	while (read_some(dir, reader, 100, true))
		;
	assert_int_equal(reader->sizes, 8);
	assert_int_equal(w_getattr(vnode).size, 8);
	netfs_release(dir);
	w_close(file);
	netfs_vnode_put(vnode);
	free(reader);
	world_stop(&world);
}

/* Its lookup finds nothing any more. */
static void an_entry_that_went_is_listed_without_a_vnode(void **unused)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct netfs_file *dir;
	struct w_call list;
	struct world world;

	world_start(&world, &double_ops, "actimeo=0");
	fill_directory(world.root, 2);
	dir = w_open(world.root, O_RDONLY, NULL);
	double_hold(DOUBLE_LOOKUP, DOUBLE_REQUEST);
	reader->room = 100;
	w_call_init(&list);
	list.call.user = reader;
	netfs_readdir(dir, 0, true, take, &list.call);
	/* Both are asked for at once. */
	assert_int_equal(double_held(DOUBLE_LOOKUP), 2);
	assert_int_equal(w_unlink(world.root, "f1"), 0);
	double_release(DOUBLE_LOOKUP);
	double_pass(DOUBLE_LOOKUP);
	assert_true(list.ended);
	assert_int_equal(list.err, 0);
	assert_int_equal(reader->total, 2);
	assert_int_equal(reader->vnodes, 1);
	netfs_release(dir);
	free(reader);
	world_stop(&world);
}

static void a_listing_can_be_cancelled(void **unused)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct netfs_file *dir;
	struct w_call list;
	struct world world;

	world_start(&world, &double_ops, "actimeo=0");
	fill_directory(world.root, 20);
	dir = w_open(world.root, O_RDONLY, NULL);
	double_hold(DOUBLE_LOOKUP, DOUBLE_REQUEST);
	reader->room = 0;
	w_call_init(&list);
	list.call.user = reader;
	reader->cookie = 2;
	netfs_readdir(dir, 2, true, take, &list.call);
	assert_int_equal(double_held(DOUBLE_LOOKUP), 20);
	netfs_call_cancel(&list.call);
	assert_true(list.ended);
	assert_int_equal(list.err, -EINTR);
	double_pass(DOUBLE_LOOKUP);
	netfs_release(dir);
	free(reader);
	world_stop(&world);
}

static void a_rewound_reader_sees_what_came_since(void **unused)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	struct netfs_file *dir;
	struct world world;

	world_start(&world, &double_ops, "");
	fill_directory(world.root, 1);
	dir = w_open(world.root, O_RDONLY, NULL);
	while (read_some(dir, reader, 100, false))
		;
	assert_int_equal(reader->total, 1);
	fill_directory(world.root, 0);
	netfs_release(w_create(world.root, "f7", NULL));
	reader->cookie = 0;
	while (read_some(dir, reader, 100, false))
		;
	assert_int_equal(reader->total, 3);
	netfs_release(dir);
	free(reader);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_entry_is_listed_once),
		cmocka_unit_test(each_entry_is_listed_once_with_attributes),
		cmocka_unit_test(what_stays_is_listed_while_every_other_entry_goes),
		cmocka_unit_test(a_listing_does_not_shrink_a_file_being_written),
		cmocka_unit_test(an_entry_that_went_is_listed_without_a_vnode),
		cmocka_unit_test(a_listing_can_be_cancelled),
		cmocka_unit_test(a_rewound_reader_sees_what_came_since),
	};

	return t_run(tests, NULL, NULL);
}
