/* SPDX-License-Identifier: MIT */
/*
 * Goal: reads at the end of a file that is not what we believed, direct I/O
 * beside buffered, and read-ahead at its limits give the right bytes.
 * Method: one file in the rig, whose server answers as each test wants it.  The
 * numbers are those of doc/edge-cases.md.
 */
#include "rig.h"

#define PAGE 4096

/* edge 77: the server's file ends earlier than we believed: zeroes up to our
 * end, because what is longer here is ours. */
static void an_early_end_reads_as_zeroes(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 20000, NULL);
	rig.server_size = 7000;
	memset(rig.mine + 7000, 0, RIG_ROOM - 7000);
	rig_check(&rig);
	rig_stop(&rig);
}

/* edge 85: a direct read across the end counts what is there, with zeroes where
 * the server's file is shorter than ours, and ends at ours. */
static void a_direct_read_ends_at_our_end(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 5000, NULL);
	rig_read_direct(&rig, 4000, 10000);
	rig_read_direct(&rig, 5000, 100);
	rig_read_direct(&rig, 9000, 100);
	rig_write(&rig, 9000, 100);
	rig_read_direct(&rig, 1000, 5000);
	rig_read_direct(&rig, 6000, 20000);
	rig_begin(&rig, &io, false, 0, 0, NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&io), 0);
	rig_stop(&rig);
}

/* As that, into several pieces and into memory of the engine. */
static void a_direct_read_fills_every_piece(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 5000, NULL);
	rig.take_max = 700;
	rig_write(&rig, 9000, 100);
	io.io = (struct netfs_io){0};
	rig_begin(&rig, &io, false, 3000, 4000, NETFS_IO_DIRECT | NETFS_IO_BORROW);
	assert_int_equal(rig_finish(&io), 4000);
	assert_memory_equal(io.iov[0].iov_base, rig.mine + 3000, 4000);
	netfs_core_io_end(&io.io);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* edge 67: unsent data in the range of a direct read is sent first. */
static void a_direct_read_sends_what_is_in_its_way(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 50000, NULL);
	rig_write(&rig, 100, 100);
	rig_read_direct(&rig, 0, 1000);
	assert_int_equal(netfs_core_dirty(rig.core), 0);
	rig_check(&rig);
	rig_stop(&rig);
}

/* edge 64, edge 65: what a buffered reader has of the range is forgotten, what
 * a buffered writer has, sent before. */
static void a_direct_write_meets_cached_data(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 50000, NULL);
	rig_check(&rig);
	rig_write(&rig, 3000, 4000);
	rig_write_direct(&rig, 4000, 1000);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
	rig_check(&rig);
	rig_stop(&rig);
}

/* A direct write that appends has the file to itself. */
static void direct_appends_get_a_place_each(void **unused)
{
	static struct rig rig;
	static struct rig_io io[3];

	rig_start(&rig, 1000, NULL);
	rig_write(&rig, 1000, 500);
	for (unsigned i = 0; i < 3; i++)
		rig_begin(&rig, &io[i], true, 0, 200, NETFS_IO_DIRECT | NETFS_IO_APPEND);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rig_finish(&io[i]), 200);
		assert_int_equal(io[i].io.start, 1500 + i * 200);
		rig_note_write(&rig, &io[i]);
	}
	rig_check(&rig);
	rig_check_server(&rig);
	rig_stop(&rig);
}

/* edge 82: reading ahead stays inside the file and the memory there is. */
static void read_ahead_stays_in_the_file(void **unused)
{
	static const struct rig_options options = {.rasize = 1 << 20, .memory_max = 48 << 10};
	static struct rig rig;

	rig_start(&rig, 100000, &options);
	for (uint64_t at = 0; at < 100000; at += 1000) {
		rig_read(&rig, at, 1000);
		assert_true(netfs_budget_used(rig.budget) <= options.memory_max);
	}
	assert_true(rig.read_bytes >= 100000);
	rig_stop(&rig);
}

/* Reading ahead stops for one who jumps, and begins anew. */
static void a_jump_ends_read_ahead(void **unused)
{
	static struct rig rig;

	rig_start(&rig, RIG_ROOM, &(struct rig_options){.rasize = 16 << 10});
	rig_read(&rig, 0, 100);
	rig_read(&rig, 100, 5000);
	assert_true(rig_count(&rig, readahead_bytes) > 0);
	rig_stop(&rig);
	rig_start(&rig, RIG_ROOM, &(struct rig_options){.rasize = 16 << 10});
	rig_read(&rig, 50000, 100);
	assert_int_equal(rig_count(&rig, readahead_bytes), 0);
	rig_stop(&rig);
}

/* Positions and lengths that no file has. */
static void impossible_places_are_refused(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 100, NULL);
	io.io = (struct netfs_io){0};
	for (int direct = 0; direct < 2; direct++) {
		unsigned flags = direct ? NETFS_IO_DIRECT : 0;

		rig_begin(&rig, &io, false, INT64_MAX, 100, flags);
		assert_int_equal(rig_finish(&io), -EINVAL);
		rig_begin(&rig, &io, false, UINT64_MAX - 10, 100, flags);
		assert_int_equal(rig_finish(&io), -EINVAL);
		rig_begin(&rig, &io, true, INT64_MAX, 100, flags);
		assert_int_equal(rig_finish(&io), -EFBIG);
		rig_begin(&rig, &io, true, (uint64_t)INT64_MAX + 1, 100, flags);
		assert_int_equal(rig_finish(&io), -EFBIG);
	}
	rig_begin(&rig, &io, true, 0, 0, 0);
	assert_int_equal(rig_finish(&io), 0);
	rig_begin(&rig, &io, false, 0, 0, 0);
	assert_int_equal(rig_finish(&io), 0);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_early_end_reads_as_zeroes),
		cmocka_unit_test(a_direct_read_ends_at_our_end),
		cmocka_unit_test(a_direct_read_fills_every_piece),
		cmocka_unit_test(a_direct_read_sends_what_is_in_its_way),
		cmocka_unit_test(a_direct_write_meets_cached_data),
		cmocka_unit_test(direct_appends_get_a_place_each),
		cmocka_unit_test(read_ahead_stays_in_the_file),
		cmocka_unit_test(a_jump_ends_read_ahead),
		cmocka_unit_test(impossible_places_are_refused),
	};

	return t_run(tests, NULL, NULL);
}
