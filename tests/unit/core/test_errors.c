/* SPDX-License-Identifier: MIT */
/*
 * Every kind of failure x buffered read, write-back, direct I/O.
 *
 * Goal: our rule.  A read fails only for those who want the bytes that failed.
 * Data the server refuses is kept, stays readable, is listed as stuck, and is
 * tried again by the next flush and for its age; every opener is told once.
 * Only what can never arrive (the file is gone) is let go.  What may heal is
 * tried again and nobody is told.  Direct I/O says how far it came.
 * Method: one file in the rig, whose server fails as each test wants it.
 */
#include <core/core_internal.h>
#include "rig.h"

#define PAGE 4096

/* -------------------------------------------------------- what may heal */

static void errors_that_may_heal_are_told_to_nobody(void **unused)
{
	static struct rig rig;
	uint32_t seen;

	rig_start(&rig, 20000, NULL);
	seen = netfs_inode_error_sample(&rig.inode);
	rig.fail_flags = NETFS_SLICE_RETRY;
	rig.read_error = rig.write_error = -ENOTCONN;
	rig.fail_count = 5;
	rig_read(&rig, 0, PAGE);
	rig.fail_count = 5;
	rig_write(&rig, 0, 5000);
	assert_int_equal(rig_flush(&rig), 0);
	rig.fail_count = 5;
	rig_read_direct(&rig, 0, PAGE);
	rig.fail_count = 5;
	rig_write_direct(&rig, 100, PAGE);
	assert_int_equal(netfs_inode_error_check(&rig.inode, &seen), 0);
	rig_check(&rig);
	rig_stop(&rig);
}

/* A soft mount stops trying after its time; what is unsent is kept. */
static void a_soft_mount_gives_up_in_time(void **unused)
{
	static struct rig rig;
	static struct rig_io io;
	uint64_t begin;

	rig_start(&rig, 20000, &(struct rig_options){.retry_ms = 3000});
	rig.fail_flags = NETFS_SLICE_RETRY;
	rig.read_error = rig.write_error = -ENOTCONN;
	begin = netfs_clock_now();
	assert_int_equal(rig_read_fails(&rig, 0, PAGE), -ENOTCONN);
	assert_true(netfs_clock_now() - begin >= 3000 * NETFS_NS_PER_MS);
	assert_true(netfs_clock_now() - begin < 30000 * NETFS_NS_PER_MS);
	rig_begin(&rig, &io, false, 0, 100, NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&io), -ENOTCONN);
	rig_write(&rig, 0, 100);
	assert_int_equal(rig_flush(&rig), -ENOTCONN);
	assert_int_equal(netfs_core_stuck(rig.core), 100);
	rig.read_error = rig.write_error = 0;
	assert_int_equal(rig_flush(&rig), 0);
	rig_check(&rig);
	rig_stop(&rig);
}

/* ------------------------------------------------------- errors for good */

static void a_failed_read_fails_for_those_who_want_it(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 20000, NULL);
	rig_read(&rig, 0, PAGE);
	rig.read_error = -EIO;
	rig_read(&rig, 100, 2000);
	assert_int_equal(rig_read_fails(&rig, PAGE, 10), -EIO);
	/* What is there is given, the error comes with the next read. */
	assert_int_equal(rig_read_fails(&rig, PAGE - 100, 200), 100);
	rig_write(&rig, 2 * PAGE, PAGE);
	rig_read(&rig, 2 * PAGE, PAGE);
	rig.read_error = 0;
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* Reading ahead in vain is nobody's failure. */
static void failed_read_ahead_is_silent(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, RIG_ROOM, &(struct rig_options){.rasize = 64 << 10});
	rig.hold = true;
	rig_begin(&rig, &io, false, 0, PAGE, 0);
	assert_true(rig.nheld >= 2);
	rig_answer(&rig, 0, PAGE, 0, 0);
	assert_int_equal(io.result, PAGE);
	while (rig.nheld)
		rig_answer(&rig, 0, 0, -EIO, 0);
	rig_release(&rig);
	rig_check(&rig);
	rig_stop(&rig);
}

/* edge 60: kept, readable, listed, tried again, told once to each. */
static void refused_data_is_kept_listed_and_told_once(void **unused)
{
	static const int errors[] = {-ENOSPC, -EDQUOT, -EIO, -EACCES, -EROFS};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		static struct rig rig;
		struct netfs_range ranges[4];
		uint32_t a, b;

		rig_start(&rig, 20000, NULL);
		a = b = netfs_inode_error_sample(&rig.inode);
		rig_write(&rig, 100, 500);
		rig_write(&rig, 9000, 500);
		assert_int_equal(netfs_inode_stuck(&rig.inode, ranges, 4), 0);
		rig.write_error = errors[i];
		assert_int_equal(rig_flush(&rig), errors[i]);
		rig_read(&rig, 100, 500);
		assert_int_equal(netfs_core_stuck(rig.core), 1000);
		assert_int_equal(netfs_inode_stuck(&rig.inode, ranges, 4), 2);
		assert_int_equal(ranges[0].from, 100);
		assert_int_equal(ranges[0].to, 600);
		assert_int_equal(ranges[1].from, 9000);
		assert_int_equal(ranges[1].to, 9500);
		assert_int_equal(netfs_inode_stuck(&rig.inode, ranges, 1), 1);
		assert_int_equal(netfs_inode_error_check(&rig.inode, &a), errors[i]);
		assert_int_equal(netfs_inode_error_check(&rig.inode, &a), 0);
		assert_int_equal(netfs_inode_error_check(&rig.inode, &b), errors[i]);
		rig.write_error = 0;
		assert_int_equal(rig_flush(&rig), 0);
		assert_int_equal(netfs_inode_stuck(&rig.inode, ranges, 4), 0);
		rig_stop(&rig);
	}
}

/* What is cut off is not stuck any more. */
static void cut_off_data_is_not_stuck(void **unused)
{
	static struct rig rig;
	struct netfs_range ranges[4];

	rig_start(&rig, 0, NULL);
	rig_write(&rig, 0, 9000);
	rig.write_error = -ENOSPC;
	assert_int_equal(rig_flush(&rig), -ENOSPC);
	rig_truncate(&rig, 1000);
	assert_int_equal(netfs_core_stuck(rig.core), 1000);
	assert_int_equal(netfs_inode_stuck(&rig.inode, ranges, 4), 1);
	assert_int_equal(ranges[0].to, 1000);
	rig_truncate(&rig, 0);
	assert_int_equal(netfs_core_stuck(rig.core), 0);
	assert_int_equal(netfs_inode_stuck(&rig.inode, ranges, 4), 0);
	rig_stop(&rig);
}

/* Without a flush the age timer tries again. */
static void refused_data_is_sent_for_its_age(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 0, &(struct rig_options){.dirty_age_ms = 1000});
	rig.write_error = -EDQUOT;
	rig_write(&rig, 0, 5000);
	rig_sleep_ms(10000);
	assert_int_equal(netfs_core_stuck(rig.core), 5000);
	rig.write_error = 0;
	rig_sleep_ms(10000);
	assert_int_equal(netfs_core_dirty(rig.core), 0);
	assert_int_equal(netfs_core_stuck(rig.core), 0);
	rig_check_server(&rig);
	rig_stop(&rig);
}

/* A file whose data is refused takes no more above the limit, and does not keep
 * others from writing. */
static void a_stuck_file_gets_the_error_at_the_limit(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 0, &(struct rig_options){.dirty_max = 16 << 10});
	rig.write_error = -ENOSPC;
	rig_write(&rig, 0, 20000);
	rig_sleep_ms(100);
	for (unsigned i = 0; i < 2; i++) {
		static struct rig_io io;

		assert_int_equal(rig_flush(&rig), -ENOSPC);
		rig_begin(&rig, &io, true, 30000, 100, 0);
		assert_int_equal(rig_finish(&io), -ENOSPC);
	}
	rig.write_error = 0;
	memset(rig.unsent + 30000, 0, 100);
	assert_int_equal(rig_flush(&rig), 0);
	rig_write(&rig, 30000, 100);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* As that, with a server that takes little at once, so that most of the stuck
 * file's data was never offered: a writer of another file does not wait. */
static void a_stuck_file_does_not_stop_other_writers(void **unused)
{
	static struct rig rig;
	static struct rig_io io;
	struct netfs_inode other;

	rig_start(&rig, 0, &(struct rig_options){.dirty_max = 16 << 10, .wsize = 1000});
	netfs_inode_init(&other, rig.core, rig.inode.ops, 0, true);
	assert_int_equal(netfs_inode_attach_handle(&other, &rig.handle), 0);
	rig.depth = 1;
	rig.write_error = -EDQUOT;
	rig_write(&rig, 0, 20000);
	assert_int_equal(rig_flush(&rig), -EDQUOT);
	rig_run();
	assert_int_equal(netfs_core_stuck(rig.core), 20000);
	rig_begin(&rig, &io, true, 0, 0, 0);
	io.ended = false;
	io.io.len = io.iov[0].iov_len = 100;
	netfs_core_write(&other, &rig.opener, &io.io);
	assert_int_equal(rig_finish(&io), 100);
	netfs_inode_detach_handle(&other, &rig.handle);
	assert_int_equal(netfs_inode_drop_dirty(&other), 100);
	rig_run();
	netfs_inode_done(&other);
	rig.write_error = 0;
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* The file is gone: nobody will ever take the bytes. */
static void data_of_a_file_that_is_gone_is_let_go(void **unused)
{
	static struct rig rig;
	struct rig_flush flush;
	uint32_t seen;

	rig_start(&rig, 20000, NULL);
	seen = netfs_inode_error_sample(&rig.inode);
	rig.take_max = 3000;
	rig_write(&rig, 0, 10000);
	rig.write_error = -ESTALE;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	assert_int_equal(rig_finish_flush(&flush), -ESTALE);
	rig_run();
	assert_int_equal(netfs_core_dirty(rig.core), 0);
	assert_int_equal(netfs_core_stuck(rig.core), 0);
	assert_int_equal(rig_count(&rig, write_lost), 10000);
	assert_int_equal(rig.lost_bytes, 10000);
	assert_int_equal(rig.lost.from, 0);
	assert_int_equal(rig.lost.to, 10000);
	assert_int_equal(netfs_inode_error_check(&rig.inode, &seen), -ESTALE);
	rig.read_error = -ESTALE;
	netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
	assert_int_equal(rig_read_fails(&rig, 0, PAGE), -ESTALE);
	rig_stop(&rig);
}

/* The same where only the rest of an encrypted block was asked for before. */
static void encrypted_data_of_a_file_that_is_gone_is_let_go(void **unused)
{
	static struct rig rig;
	struct rig_flush flush;
	uint32_t seen;

	rig_start(&rig, 20000, &(struct rig_options){.encrypted = true});
	seen = netfs_inode_error_sample(&rig.inode);
	rig_write(&rig, 5000, 100);
	rig_write(&rig, 17000, 100);
	rig.read_error = -ESTALE;
	rig.fail_count = -1;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	assert_int_equal(rig_finish_flush(&flush), -ESTALE);
	rig_run();
	assert_int_equal(netfs_core_dirty(rig.core), 0);
	assert_int_equal(netfs_core_stuck(rig.core), 0);
	assert_int_equal(rig.writes, 0);
	assert_int_equal(rig.lost_bytes, 200);
	assert_int_equal(netfs_inode_error_check(&rig.inode, &seen), -ESTALE);
	rig_stop(&rig);
}

/* A write that must be durable says that it is not; its bytes are kept. */
static void a_durable_write_tells_its_error(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 0, NULL);
	rig.write_error = -ENOSPC;
	rig_begin(&rig, &io, true, 0, 100, NETFS_IO_DSYNC);
	assert_int_equal(rig_finish(&io), -ENOSPC);
	io.result = 100;
	rig_note_write(&rig, &io);
	rig_check(&rig);
	assert_int_equal(rig.syncs, 0);
	rig.write_error = 0;
	rig_begin(&rig, &io, true, 0, 100, NETFS_IO_DSYNC);
	assert_int_equal(rig_finish(&io), 100);
	rig_note_write(&rig, &io);
	assert_int_equal(rig.syncs, 1);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* ------------------------------------------------------------ direct I/O */

static void direct_io_says_how_far_it_came(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 30000, NULL);
	rig.take_max = 10000;
	rig.hold = true;
	rig_begin(&rig, &io, false, 0, 30000, NETFS_IO_DIRECT);
	assert_int_equal(rig.nheld, 3);
	rig_answer(&rig, 2, 10000, 0, 0);
	rig_answer(&rig, 1, 2000, -EIO, 0);
	rig_answer(&rig, 0, 10000, 0, 0);
	assert_int_equal(rig_finish(&io), 12000);
	assert_memory_equal(io.buf, rig.mine, 12000);
	rig.hold = false;
	rig.read_error = -EIO;
	rig_begin(&rig, &io, false, 0, 30000, NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&io), -EIO);
	rig_stop(&rig);
}

/* edge 63: a full disk in the middle of a direct write that makes the file
 * longer leaves no hole: nothing behind the failure was sent. */
static void a_full_disk_leaves_no_hole(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 5000, NULL);
	rig.take_max = 10000;
	rig.hold = true;
	rig_begin(&rig, &io, true, 5000, 40000, NETFS_IO_DIRECT);
	assert_int_equal(rig.nheld, 1);
	rig_answer(&rig, 0, 10000, 0, 0);
	assert_int_equal(rig.nheld, 1);
	rig_answer(&rig, 0, 3000, -ENOSPC, 0);
	assert_int_equal(rig_finish(&io), 13000);
	assert_int_equal(rig.writes, 2);
	rig_note_write(&rig, &io);
	rig_check_server(&rig);
	rig.hold = false;
	rig_check(&rig);
	rig.write_error = -ENOSPC;
	rig_begin(&rig, &io, true, rig.size, 100, NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&io), -ENOSPC);
	rig_check(&rig);
	rig_stop(&rig);
}

/* Unsent data in the way that cannot be sent stops a direct write and read. */
static void unsent_data_in_the_way_stops_direct_io(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 20000, NULL);
	rig_write(&rig, 100, 100);
	rig.write_error = -EDQUOT;
	rig_begin(&rig, &io, false, 0, 1000, NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&io), -EDQUOT);
	rig_begin(&rig, &io, true, 0, 1000, NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&io), -EDQUOT);
	rig_check(&rig);
	rig.write_error = 0;
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* ------------------------------------------------------ signals, the end */

/* edge 70: a direct write that is called off says what was done. */
static void a_cancelled_direct_write_says_what_was_done(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 0, NULL);
	rig.take_max = 10000;
	rig.hold = true;
	rig_begin(&rig, &io, true, 0, 40000, NETFS_IO_DIRECT);
	rig_answer(&rig, 0, 10000, 0, 0);
	netfs_core_io_cancel(&rig.inode, &io.io);
	assert_int_equal(rig_finish(&io), 10000);
	assert_int_equal(rig.writes, 2);
	rig_note_write(&rig, &io);
	rig.hold = false;
	rig_check(&rig);
	rig_check_server(&rig);
	rig_stop(&rig);
}

/* Whatever it waits for: room under the limit, the gate, a flush, an answer. */
static void everything_that_waits_can_be_called_off(void **unused)
{
	static struct rig rig;
	static struct rig_io io, second;
	struct rig_flush flush, lock;

	rig_start(&rig, 50000, &(struct rig_options){.dirty_max = 8 << 10});
	rig_write(&rig, 0, 9000);
	rig.hold = true;
	rig_begin(&rig, &io, true, 20000, 100, 0);
	assert_false(io.ended);
	netfs_core_io_cancel(&rig.inode, &io.io);
	assert_int_equal(rig_finish(&io), -EINTR);
	memset(rig.unsent + 20000, 0, 100);

	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	netfs_inode_flush_cancel(&rig.inode, &flush.done);
	assert_int_equal(rig_finish_flush(&flush), -EINTR);
	/* One that is over already is left alone. */
	netfs_inode_flush_cancel(&rig.inode, &flush.done);

	rig_begin(&rig, &io, false, 100, 100, NETFS_IO_DIRECT);
	rig_begin(&rig, &second, false, 100, 100, 0);
	netfs_core_io_cancel(&rig.inode, &second.io);
	assert_int_equal(rig_finish(&second), -EINTR);
	netfs_core_io_cancel(&rig.inode, &io.io);
	assert_int_equal(rig_finish(&io), -EINTR);

	rig_begin_lock(&rig, &lock);
	rig_begin(&rig, &io, false, 40000, 100, 0);
	netfs_inode_lock_cancel(&rig.inode, &lock.done);
	assert_int_equal(rig_finish_flush(&lock), -EINTR);
	netfs_core_io_cancel(&rig.inode, &io.io);
	assert_int_equal(rig_finish(&io), -EINTR);
	rig_release(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_check(&rig);
	rig_stop(&rig);
}

/* A lock behind another lock, a flush of the holder, and one too late. */
static void a_lock_in_the_queue_can_be_called_off(void **unused)
{
	static struct rig rig;
	struct rig_flush lock, flush;

	rig_start(&rig, 1000, NULL);
	rig_write(&rig, 0, 100);
	rig_lock(&rig);
	rig_begin_lock(&rig, &lock);
	netfs_inode_lock_cancel(&rig.inode, &lock.done);
	assert_int_equal(rig_finish_flush(&lock), -EINTR);
	rig.hold = true;
	flush = (struct rig_flush){.done.fn = lock.done.fn};
	netfs_list_init(&flush.done.link);
	netfs_inode_flush_locked(&rig.inode, 0, UINT64_MAX, &flush.done);
	netfs_inode_flush_cancel(&rig.inode, &flush.done);
	assert_int_equal(rig_finish_flush(&flush), -EINTR);
	rig_release(&rig);
	netfs_inode_unlock(&rig.inode);
	rig_begin_lock(&rig, &lock);
	assert_int_equal(rig_finish_flush(&lock), 0);
	netfs_inode_lock_cancel(&rig.inode, &lock.done);
	netfs_inode_unlock(&rig.inode);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* Forced shutdown: everything ends with an error, in any state. */
static void a_forced_end_ends_everything(void **unused)
{
	static struct rig rig;
	static struct rig_io read, direct, late;
	struct rig_flush flush;

	rig_start(&rig, 50000, NULL);
	rig_write(&rig, 0, 5000);
	rig.hold = true;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_begin(&rig, &read, false, 20000, 100, 0);
	rig_run();
	netfs_core_abort(rig.core);
	assert_int_equal(rig_finish_flush(&flush), -EIO);
	assert_true(rig_finish(&read) < 0);
	rig_begin(&rig, &direct, false, 0, 100, NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&direct), -EIO);
	rig_begin(&rig, &late, false, 40000, 100, 0);
	assert_int_equal(rig_finish(&late), -EIO);
	rig_read(&rig, 0, 5000);
	rig_run();
	assert_int_equal(netfs_core_dirty(rig.core), 5000);
	assert_int_equal(netfs_inode_drop_dirty(&rig.inode), 5000);
	assert_int_equal(netfs_inode_drop_dirty(&rig.inode), 0);
	rig_stop(&rig);
}

/* A file that nobody may write through cannot send. */
static void without_a_writable_handle_nothing_is_sent(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 20000, NULL);
	rig_write(&rig, 0, 100);
	rig.handle.writable = false;
	assert_int_equal(rig_flush(&rig), -EBADF);
	rig_begin(&rig, &io, true, 8192, 100, NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&io), -EBADF);
	rig.handle.writable = true;
	rig.handle.readable = false;
	rig_begin(&rig, &io, false, 8192, 100, 0);
	assert_int_equal(rig_finish(&io), -EBADF);
	rig_begin(&rig, &io, false, 8192, 100, NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&io), -EBADF);
	rig.handle.readable = true;
	memset(rig.unsent + 8192, 0, 100);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

static struct netfs_handle *chosen(struct rig *rig, bool write)
{
	struct netfs_handle *handle;

	netfs_mutex_lock(&rig->inode.mutex);
	handle = netfs_inode_handle(&rig->inode, write);
	netfs_mutex_unlock(&rig->inode.mutex);
	if (handle)
		netfs_handle_put(handle);
	return handle;
}

/* A handle that lost its lock fails for ever: data goes through another one, and
 * through it only to be told why not. */
static void a_dead_handle_is_the_last_choice(void **unused)
{
	static struct rig rig;
	struct netfs_handle dead;

	rig_start(&rig, 20000, NULL);
	dead = (struct netfs_handle){
		.be = &rig.be, .readable = true, .writable = true, .dead = true};
	atomic_init(&dead.refs, 1);
	netfs_inode_detach_handle(&rig.inode, &rig.handle);
	assert_int_equal(netfs_inode_attach_handle(&rig.inode, &dead), 0);
	assert_ptr_equal(chosen(&rig, true), &dead);
	assert_int_equal(netfs_inode_attach_handle(&rig.inode, &rig.handle), 0);
	assert_ptr_equal(chosen(&rig, true), &rig.handle);
	assert_ptr_equal(chosen(&rig, false), &rig.handle);
	/* Whichever came first. */
	netfs_inode_detach_handle(&rig.inode, &dead);
	assert_int_equal(netfs_inode_attach_handle(&rig.inode, &dead), 0);
	assert_ptr_equal(chosen(&rig, true), &rig.handle);
	assert_ptr_equal(chosen(&rig, false), &rig.handle);
	rig_write(&rig, 100, 500);
	assert_int_equal(rig_flush(&rig), 0);
	rig.handle.writable = false;
	assert_ptr_equal(chosen(&rig, true), &dead);
	rig.handle.writable = true;
	netfs_inode_detach_handle(&rig.inode, &dead);
	assert_int_equal(dead.refs, 1);
	rig_check(&rig);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_that_may_heal_are_told_to_nobody),
		cmocka_unit_test(a_soft_mount_gives_up_in_time),
		cmocka_unit_test(a_failed_read_fails_for_those_who_want_it),
		cmocka_unit_test(failed_read_ahead_is_silent),
		cmocka_unit_test(refused_data_is_kept_listed_and_told_once),
		cmocka_unit_test(cut_off_data_is_not_stuck),
		cmocka_unit_test(refused_data_is_sent_for_its_age),
		cmocka_unit_test(a_stuck_file_gets_the_error_at_the_limit),
		cmocka_unit_test(a_stuck_file_does_not_stop_other_writers),
		cmocka_unit_test(data_of_a_file_that_is_gone_is_let_go),
		cmocka_unit_test(encrypted_data_of_a_file_that_is_gone_is_let_go),
		cmocka_unit_test(a_durable_write_tells_its_error),
		cmocka_unit_test(direct_io_says_how_far_it_came),
		cmocka_unit_test(a_full_disk_leaves_no_hole),
		cmocka_unit_test(unsent_data_in_the_way_stops_direct_io),
		cmocka_unit_test(a_cancelled_direct_write_says_what_was_done),
		cmocka_unit_test(everything_that_waits_can_be_called_off),
		cmocka_unit_test(a_lock_in_the_queue_can_be_called_off),
		cmocka_unit_test(a_forced_end_ends_everything),
		cmocka_unit_test(without_a_writable_handle_nothing_is_sent),
		cmocka_unit_test(a_dead_handle_is_the_last_choice),
	};

	return t_run(tests, NULL, NULL);
}
