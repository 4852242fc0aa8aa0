/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom when there is little room.
 *
 * Goal: a long transfer does not keep a short one waiting for as long as it
 * lasts; a writer waits at the dirty limit, and only there; a server that does
 * not answer stops no writer of another mount, and dirty data leaves when it
 * is old enough.
 * Method: the rig's file, whose server takes one slice at a time, and a file of
 * another mount of the same client, whose server takes nothing.
 */
#include "rig.h"

/* ------------------------------------------------- a server with no room */

static ssize_t take_nothing(struct netfs_handle *handle, struct netfs_slice *slice)
{
	return -EAGAIN;
}

static void cancel_nothing(struct netfs_be *be, struct netfs_slice *slice)
{
}

static void free_nothing(struct netfs_handle *handle)
{
}

static const struct netfs_be_ops silent_ops = {
	.read = take_nothing,
	.write = take_nothing,
	.slice_cancel = cancel_nothing,
	.handle_free = free_nothing,
};

struct silent {
	struct netfs_be be;
	struct netfs_handle handle;
	struct netfs_stats stats;
	struct netfs_core *core;
	struct netfs_inode inode;
	struct netfs_opener opener;
	struct rig_io io;
};

static void count_nothing(struct netfs_inode *inode)
{
}

static const struct netfs_inode_ops no_owner = {count_nothing, count_nothing};

static void silent_start(struct silent *silent, struct netfs_budget *budget)
{
	struct netfs_core_config config = {.budget = budget,
					   .be = &silent->be,
					   .stats = &silent->stats,
					   .dirty_age_ms = 86400000,
					   .rsize = 65536,
					   .wsize = 65536,
					   .hard = true};

	memset(silent, 0, sizeof(*silent));
	silent->be.ops = &silent_ops;
	silent->handle = (struct netfs_handle){
		.refs = 1, .be = &silent->be, .readable = true, .writable = true};
	assert_int_equal(netfs_core_new(&config, &silent->core), 0);
	netfs_inode_init(&silent->inode, silent->core, &no_owner, 0, true);
	assert_int_equal(netfs_inode_attach_handle(&silent->inode, &silent->handle), 0);
	netfs_opener_init(&silent->opener, &silent->handle, 0);
}

static void ended(struct netfs_io *io, ssize_t result)
{
	struct rig_io *rio = io->user;

	rio->result = result;
	rio->ended = true;
}

static void silent_write(struct silent *silent, uint64_t start, size_t len)
{
	silent->io.ended = false;
	silent->io.iov[0] = (struct iovec){silent->io.buf, len};
	silent->io.io = (struct netfs_io){.done = ended,
					  .user = &silent->io,
					  .iov = silent->io.iov,
					  .niov = 1,
					  .start = start,
					  .len = len};
	netfs_core_write(&silent->inode, &silent->opener, &silent->io.io);
	rig_run();
}

static void silent_stop(struct silent *silent)
{
	netfs_core_abort(silent->core);
	rig_run();
	netfs_inode_drop_dirty(&silent->inode);
	netfs_inode_detach_handle(&silent->inode, &silent->handle);
	rig_run();
	netfs_inode_done(&silent->inode);
	netfs_core_free(silent->core);
	rig_run();
}

/* ----------------------------------------------------------------- tests */

static void a_long_transfer_lets_a_short_one_pass(void **unused)
{
	static struct rig rig;
	static struct rig_io io;
	struct rig_flush flush;
	unsigned answers = 0;

	rig_start(&rig, RIG_ROOM, NULL);
	rig_write(&rig, 0, 60000);
	rig.hold = true;
	rig.depth = 1;
	rig.take_max = 1000;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	rig_begin(&rig, &io, false, 100000, 3000, 0);
	rig_run();
	while (!io.ended) {
		assert_int_equal(rig.nheld, 1);
		assert_true(++answers <= 12);
		rig_answer(&rig, 0, rig.held[0]->len, 0, 0);
		rig_ready(&rig);
	}
	assert_memory_equal(io.buf, rig.mine + 100000, 3000);
	assert_false(flush.ended);
	rig.depth = 0;
	rig_release(&rig);
	rig_ready(&rig);
	assert_int_equal(rig_finish_flush(&flush), 0);
	rig_check(&rig);
	rig_stop(&rig);
}

static void a_silent_server_stops_no_other_mount(void **unused)
{
	static struct rig rig;
	static struct silent silent;

	rig_start(&rig, 0, &(struct rig_options){.dirty_max = 32768});
	silent_start(&silent, rig.budget);
	silent_write(&silent, 0, 40000);
	assert_true(silent.io.ended);
	/* It has had its share and more. */
	silent_write(&silent, 40000, 100);
	assert_false(silent.io.ended);
	/* The other mount goes on, and its data arrives. */
	for (unsigned i = 0; i < 10; i++)
		rig_write(&rig, i * 10000, 10000);
	assert_int_equal(rig_flush(&rig), 0);
	assert_false(silent.io.ended);
	assert_true(netfs_core_dirty(silent.core) >= 40000);
	netfs_core_io_cancel(&silent.inode, &silent.io.io);
	assert_true(silent.io.ended);
	silent_stop(&silent);
	rig_check(&rig);
	rig_stop(&rig);
}

/* At the limit one waits until something left, and not longer. */
static void a_writer_waits_at_the_limit_only(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 0, &(struct rig_options){.dirty_max = 16384});
	rig.hold = true;
	rig_write(&rig, 0, 16000);
	rig_write(&rig, 16000, 400);
	rig_begin(&rig, &io, true, 20000, 100, 0);
	rig_run();
	assert_false(io.ended);
	assert_int_equal(rig_count(&rig, write_throttled), 1);
	assert_true(rig.nheld > 0);
	rig_answer(&rig, 0, rig.held[0]->len, 0, 0);
	assert_true(io.ended);
	rig_note_write(&rig, &io);
	rig_release(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_check(&rig);
	rig_stop(&rig);
}

/* Without a flush and far below the limit it leaves for its age, not before. */
static void dirty_data_leaves_when_it_is_old(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 0, &(struct rig_options){.dirty_age_ms = 1000});
	rig_write(&rig, 0, 500);
	rig_sleep_ms(500);
	assert_int_equal(rig.writes, 0);
	rig_sleep_ms(2000);
	assert_int_equal(netfs_core_dirty(rig.core), 0);
	rig_check_server(&rig);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_transfer_lets_a_short_one_pass),
		cmocka_unit_test(a_silent_server_stops_no_other_mount),
		cmocka_unit_test(a_writer_waits_at_the_limit_only),
		cmocka_unit_test(dirty_data_leaves_when_it_is_old),
	};

	return t_run(tests, NULL, NULL);
}
