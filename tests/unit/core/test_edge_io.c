/* SPDX-License-Identifier: MIT */
/*
 * Goal: reads at the end of a file that is not what we believed, direct I/O
 * beside buffered, read-ahead at its limits, and a machine without memory.
 * Method: one file in the rig, whose server answers as each test wants it; for
 * memory, every allocation of a scenario fails in turn.  The numbers are those
 * of doc/edge-cases.md.
 */
#include <stdio.h>
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

/* ------------------------------------------------- a machine without memory */

static void note_if_written(struct rig *rig, struct rig_io *io)
{
	assert_true(rig_finish(io) > 0 || io->result == -ENOMEM);
	rig_note_write(rig, io);
}

static void check_if_read(struct rig *rig, struct rig_io *io)
{
	assert_true(rig_finish(io) > 0 || io->result == -ENOMEM);
	if (io->result > 0 && !(io->io.flags & NETFS_IO_BORROW))
		assert_memory_equal(io->buf, rig->mine + io->io.start, (size_t)io->result);
	if (io->result > 0 && (io->io.flags & NETFS_IO_BORROW))
		netfs_core_io_end(&io->io);
}

/* A flush may be told that there was no memory, but must end. */
static void flush_somehow(struct rig *rig)
{
	struct rig_flush flush;

	rig_begin_flush(rig, &flush, 0, UINT64_MAX);
	assert_true(rig_finish_flush(&flush) == 0 || flush.err == -ENOMEM);
}

static void scenario_writes(struct rig *rig)
{
	static struct rig_io io;

	for (unsigned i = 0; i < 4; i++) {
		rig_begin(rig, &io, true, i * 5000, 2000, 0);
		note_if_written(rig, &io);
		rig_begin(rig, &io, true, i * 5000 + 100, 10, 0);
		note_if_written(rig, &io);
	}
	flush_somehow(rig);
}

static void scenario_pieces(struct rig *rig)
{
	static struct rig_io io;

	for (unsigned i = 0; i < 12; i++) {
		rig_begin(rig, &io, true, 30000 + i * 300, 100, 0);
		note_if_written(rig, &io);
	}
	flush_somehow(rig);
	rig_begin(rig, &io, false, 29000, 8000, 0);
	check_if_read(rig, &io);
}

static void scenario_reads(struct rig *rig)
{
	static struct rig_io io;

	rig_begin(rig, &io, false, 0, 50000, 0);
	check_if_read(rig, &io);
	rig_begin(rig, &io, false, 0, 50000, NETFS_IO_BORROW);
	io.io.niov = 2;
	check_if_read(rig, &io);
	rig_begin(rig, &io, false, 60000, 3000, NETFS_IO_DIRECT | NETFS_IO_BORROW);
	check_if_read(rig, &io);
}

static void scenario_upload_again(struct rig *rig)
{
	static struct rig_io io;
	struct rig_flush flush;

	rig_begin(rig, &io, true, 0, 6000, 0);
	note_if_written(rig, &io);
	rig->hold = true;
	rig_begin_flush(rig, &flush, 0, UINT64_MAX);
	rig_run();
	for (unsigned i = 0; i < 6; i++) {
		rig_begin(rig, &io, true, i * 900, 50, 0);
		note_if_written(rig, &io);
	}
	netfs_inode_invalidate(&rig->inode, 0, UINT64_MAX);
	rig_release(rig);
	assert_true(rig_finish_flush(&flush) == 0 || flush.err == -ENOMEM);
}

static void scenario_direct(struct rig *rig)
{
	static struct rig_io io;

	rig_begin(rig, &io, true, 100, 100, 0);
	note_if_written(rig, &io);
	rig_begin(rig, &io, false, 0, 3000, NETFS_IO_DIRECT);
	check_if_read(rig, &io);
	rig_begin(rig, &io, true, 0, 3000, NETFS_IO_DIRECT);
	note_if_written(rig, &io);
	rig_begin(rig, &io, true, 0, 3000, NETFS_IO_DIRECT | NETFS_IO_APPEND);
	io.io.start = rig->size;
	note_if_written(rig, &io);
}

static void scenario_durable(struct rig *rig)
{
	static struct rig_io io;

	rig_begin(rig, &io, true, 100, 100, NETFS_IO_DSYNC);
	/* Without memory to make it durable it is written all the same. */
	if (rig_finish(&io) == -ENOMEM && netfs_core_dirty(rig->core))
		io.result = 100;
	note_if_written(rig, &io);
}

static void scenario_invalidate(struct rig *rig)
{
	static struct rig_io io, read;

	rig->hold = true;
	rig_begin(rig, &read, false, 0, 20000, 0);
	for (unsigned i = 0; i < 6; i++) {
		rig_begin(rig, &io, true, 1000 + i * 900, 50, 0);
		note_if_written(rig, &io);
	}
	netfs_inode_invalidate(&rig->inode, 0, UINT64_MAX);
	rig_release(rig);
	check_if_read(rig, &read);
	flush_somehow(rig);
	netfs_inode_invalidate(&rig->inode, 300, 700);
}

static void scenario_handles(struct rig *rig)
{
	int err = netfs_inode_attach_handle(&rig->inode, &rig->handle);

	assert_true(err == 0 || err == -ENOMEM);
	if (!err)
		netfs_inode_detach_handle(&rig->inode, &rig->handle);
}

static const struct {
	const char *name;
	void (*run)(struct rig *rig);
} scenarios[] = {
	{"writes", scenario_writes},	     {"pieces", scenario_pieces},
	{"reads", scenario_reads},	     {"upload again", scenario_upload_again},
	{"direct", scenario_direct},	     {"durable", scenario_durable},
	{"invalidate", scenario_invalidate}, {"handles", scenario_handles},
};

/* edge 11, edge 61, edge 62, edge 81: whichever allocation fails, nobody waits
 * for ever, nothing that was taken is lost, and no wrong byte is read. */
static void any_allocation_may_fail(void **unused)
{
	static const struct rig_options options = {.dirty_age_ms = 1000, .rasize = 8192};
	static struct rig rig;

	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		bool failed = true;

		for (uint64_t n = 1; failed; n++) {
			rig_start(&rig, 70000, &options);
			rig.take_max = 3000;
			netfs_sim_fail_alloc(n);
			scenarios[i].run(&rig);
			failed = netfs_sim_fail_left() == 0;
			netfs_sim_fail_alloc(0);
			rig_check(&rig);
			assert_int_equal(rig_flush(&rig), 0);
			rig_stop(&rig);
		}
	}
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
		cmocka_unit_test(any_allocation_may_fail),
	};

	return t_run(tests, NULL, NULL);
}
