/* SPDX-License-Identifier: MIT */
/*
 * A machine without memory.
 *
 * Goal: whichever allocation fails, nobody waits for ever, nothing that was
 * taken is lost, no wrong byte is read, and once there is memory again
 * everything works.
 * Method: scenarios in the rig; each is run again and again, and its first,
 * second, third ... allocation fails, until it has none left to fail.
 */
#include <stdio.h>
#include <stdlib.h>
#include "rig.h"

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

/* Cuts into clean data that is known in many stretches. */
static void scenario_cuts(struct rig *rig)
{
	static struct rig_io io;

	rig_punch(rig, 0, 20000);
	for (unsigned i = 0; i < 9; i++) {
		rig_begin(rig, &io, true, i * 1000, 500, 0);
		note_if_written(rig, &io);
	}
	flush_somehow(rig);
	/* The first failure is over, so it is the next that may hit. */
	for (unsigned i = 0; i < 9; i++) {
		if (netfs_core_dirty(rig->core) == 0)
			rig_punch(rig, i * 1000 + 200, i * 1000 + 300);
	}
	rig_truncate(rig, 8100);
	rig_truncate(rig, 20000);
}

/* Cuts through unsent data in many stretches: nothing behind it stays. */
static void scenario_truncate(struct rig *rig)
{
	static struct rig_io io;

	for (unsigned i = 0; i < 9; i++) {
		rig_begin(rig, &io, true, 65536 + i * 400, 100, 0);
		note_if_written(rig, &io);
	}
	for (unsigned i = 9; i > 0; i--)
		rig_truncate(rig, 65536 + i * 400 - 350);
	rig_truncate(rig, 70000);
}

/* A file we made: sending cuts what is known to be zero into pieces. */
static void scenario_zeroes(struct rig *rig)
{
	static struct rig_io io;

	rig_truncate(rig, 0);
	rig_truncate(rig, 70000);
	for (unsigned i = 0; i < 6; i++) {
		rig_begin(rig, &io, true, i * 10000, 100, i % 2 ? 0 : NETFS_IO_DIRECT);
		note_if_written(rig, &io);
		flush_somehow(rig);
	}
	netfs_inode_invalidate(&rig->inode, 0, UINT64_MAX);
}

/* Somebody else changes the file while it is read and has been written. */
static void scenario_remote(struct rig *rig)
{
	static struct rig_io read, first;

	rig->hold = true;
	rig_begin(rig, &first, false, 40000, 100, 0);
	rig_begin(rig, &read, false, 0, 30000, 0);
	rig_remote_change(rig, 60000, true);
	rig_release(rig);
	assert_true(rig_finish(&read) > 0 || read.result == -ENOMEM);
	assert_true(rig_finish(&first) > 0 || first.result == -ENOMEM);
}

/* Lent reads of many folios, and of too many. */
static void scenario_lend(struct rig *rig)
{
	static struct rig_io io;

	for (unsigned i = 0; i < 12; i++) {
		rig_begin(rig, &io, false, i * 4096, 4096, 0);
		check_if_read(rig, &io);
	}
	rig_begin(rig, &io, false, 0, 49152, NETFS_IO_BORROW);
	check_if_read(rig, &io);
	rig_begin_lent(rig, &io, 0, 49152, 3);
	check_if_read(rig, &io);
}

/* Slices over more pieces of memory than a subrequest has room for. */
static void scenario_vectors(struct rig *rig)
{
	static struct rig_io io;

	rig->take_max = 0;
	for (unsigned i = 0; i < 12; i++) {
		rig_begin(rig, &io, true, i * 4096, 4096, 0);
		note_if_written(rig, &io);
	}
	flush_somehow(rig);
}

/* The server refuses many pieces, and gets them later. */
static void scenario_refused(struct rig *rig)
{
	static struct rig_io io;
	struct rig_flush flush;

	rig->write_error = -ENOSPC;
	for (unsigned i = 0; i < 6; i++) {
		rig_begin(rig, &io, true, i * 9000, 100, 0);
		note_if_written(rig, &io);
	}
	rig_begin_flush(rig, &flush, 0, UINT64_MAX);
	rig_finish_flush(&flush);
	rig_begin_flush(rig, &flush, 0, UINT64_MAX);
	rig_finish_flush(&flush);
	rig->write_error = 0;
}

static const struct {
	const char *name;
	void (*run)(struct rig *rig);
} scenarios[] = {
	{"cuts", scenario_cuts},
	{"truncate", scenario_truncate},
	{"zeroes", scenario_zeroes},
	{"remote", scenario_remote},
	{"lend", scenario_lend},
	{"vectors", scenario_vectors},
	{"refused", scenario_refused},
	{"writes", scenario_writes},
	{"pieces", scenario_pieces},
	{"reads", scenario_reads},
	{"upload again", scenario_upload_again},
	{"direct", scenario_direct},
	{"durable", scenario_durable},
	{"invalidate", scenario_invalidate},
	{"handles", scenario_handles},
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
			if (getenv("UNETFS_TEST_VERBOSE"))
				fprintf(stderr, "%s; allocation %llu\n", scenarios[i].name,
					(unsigned long long)n);
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

/* Making an engine and its budget, or not. */
static void an_engine_may_not_be_made(void **unused)
{
	struct netfs_core_config config = {.hard = true};
	struct netfs_budget *budget;
	struct netfs_core *core;
	struct netfs_be be = {0};

	netfs_sim_start(1);
	netfs_sim_fail_alloc(1);
	assert_int_equal(netfs_budget_new(1 << 20, 1 << 20, &budget), -ENOMEM);
	assert_int_equal(netfs_budget_new(1 << 20, 1 << 20, &budget), 0);
	config.budget = budget;
	config.be = &be;
	netfs_sim_fail_alloc(1);
	assert_int_equal(netfs_core_new(&config, &core), -ENOMEM);
	assert_int_equal(netfs_core_new(&config, &core), 0);
	netfs_core_free(NULL);
	netfs_core_free(core);
	netfs_budget_free(NULL);
	netfs_budget_free(budget);
	netfs_sim_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_allocation_may_fail),
		cmocka_unit_test(an_engine_may_not_be_made),
	};

	return t_run(tests, NULL, NULL);
}
