/* SPDX-License-Identifier: MIT */
/*
 * Goal: what is in memory is what must be read, whoever else uses the same
 * bytes: uploads, downloads, truncation, eviction, borrowing readers.
 * Method: one file in the rig, whose server answers as each test wants it.  The
 * numbers are those of doc/edge-cases.md.
 */
#include "rig.h"

#define PAGE 4096

/* edge 17: a size change waits for an upload, and the end of the upload needs
 * nothing that the waiting one has. */
static void a_lock_waits_for_uploads_without_a_deadlock(void **unused)
{
	static struct rig rig;
	struct rig_flush flush, lock;

	rig_start(&rig, 0, NULL);
	rig_write(&rig, 0, 10000);
	rig.hold = true;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	rig_begin_lock(&rig, &lock);
	rig_sleep_ms(1000);
	assert_false(lock.ended);
	rig_release(&rig);
	assert_int_equal(rig_finish_flush(&flush), 0);
	assert_int_equal(rig_finish_flush(&lock), 0);
	netfs_inode_unlock(&rig.inode);
	rig_stop(&rig);
}

/* edge 19: three slices of one folio, the middle one fails: what came before it
 * is there, what did not come is an error only for those who want it. */
static void slices_of_one_folio_have_their_own_fate(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 3 * PAGE, NULL);
	rig.hold = true;
	rig.take_max = PAGE;
	rig_begin(&rig, &io, false, 0, 3 * PAGE, 0);
	assert_int_equal(rig.nheld, 3);
	rig_answer(&rig, 1, 0, -EIO, 0);
	rig_release(&rig);
	assert_int_equal(rig_finish(&io), PAGE);
	assert_memory_equal(io.buf, rig.mine, PAGE);
	rig_clear_log(&rig);
	rig_read(&rig, 0, PAGE);
	assert_int_equal(rig.reads, 0);
	rig_read(&rig, PAGE, PAGE);
	assert_int_equal(rig.reads, 1);
	rig_check(&rig);
	rig_stop(&rig);
}

/* edge 22, edge 105: a writer does not wait for the upload of the same bytes,
 * and what is being sent does not change under the server's hands. */
static void bytes_under_upload_do_not_change(void **unused)
{
	static struct rig rig;
	struct rig_flush flush;
	uint8_t first[100];

	rig_start(&rig, 0, NULL);
	rig_write(&rig, 0, 100);
	memcpy(first, rig.mine, 100);
	rig.hold = true;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	rig_write(&rig, 0, 100);
	assert_memory_equal(rig.held[0]->iov[0].iov_base, first, 100);
	rig_answer(&rig, 0, 100, 0, 0);
	assert_memory_equal(rig.server, first, 100);
	rig_release(&rig);
	assert_int_equal(rig_finish_flush(&flush), 0);
	assert_int_equal(rig_flush(&rig), 0);
	assert_int_equal(rig.writes, 2);
	rig_stop(&rig);
}

/* edge 23: of a page that was written in the middle only the rest is read. */
static void only_gaps_are_read(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 4 * PAGE, NULL);
	rig_write(&rig, PAGE + 1000, 2000);
	rig_read(&rig, PAGE, PAGE);
	assert_string_equal(rig.log, "r4096+1000;r7096+1096;");
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* edge 27, edge 28: bytes written again under upload are sent again. */
static void a_second_write_is_a_second_upload(void **unused)
{
	static struct rig rig;
	struct rig_flush flush;

	rig_start(&rig, 0, NULL);
	rig_write(&rig, 0, PAGE);
	rig.hold = true;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	rig_write(&rig, 1000, 100);
	rig_release(&rig);
	assert_int_equal(rig_finish_flush(&flush), 0);
	assert_int_equal(rig_flush(&rig), 0);
	assert_string_equal(rig.log, "w0+4096;w1000+100;");
	rig_stop(&rig);
}

/* edge 29: cutting the front, the tail, the middle, or all of an unsent piece
 * leaves the rest of it unsent. */
static void cuts_leave_the_rest_of_an_unsent_piece(void **unused)
{
	static const struct {
		uint64_t from, to;
		const char *log;
	} rows[] = {
		{500, 1500, "w1500+500;"},
		{1500, 2500, "w1000+500;"},
		{1200, 1300, "w1000+200;w1300+700;"},
		{500, 2500, ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct rig rig;

		rig_start(&rig, 3 * PAGE, NULL);
		rig_write(&rig, 1000, 1000);
		rig_punch(&rig, rows[i].from, rows[i].to);
		rig_check(&rig);
		rig_clear_log(&rig);
		assert_int_equal(rig_flush(&rig), 0);
		assert_string_equal(rig.log, rows[i].log);
		rig_stop(&rig);
	}
}

/* edge 30, edge 31: nothing behind the end of the file is ever sent, nor held
 * as unsent. */
static void nothing_behind_the_end_is_sent(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 0, NULL);
	rig_write(&rig, 0, 100);
	rig_write(&rig, 20000, 5000);
	rig_truncate(&rig, 50);
	assert_int_equal(netfs_core_dirty(rig.core), 50);
	assert_int_equal(rig_flush(&rig), 0);
	assert_string_equal(rig.log, "w0+50;");
	rig_stop(&rig);
}

/* edge 32, edge 74: the end of the file does not move while data is being
 * sent, so no upload ends behind a truncation. */
static void a_truncation_waits_for_what_is_sent(void **unused)
{
	static struct rig rig;
	static struct rig_io reader;
	struct rig_flush flush, lock;

	rig_start(&rig, 20000, NULL);
	rig_write(&rig, 0, 10000);
	rig.hold = true;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	rig_begin_lock(&rig, &lock);
	rig_begin(&rig, &reader, false, 0, 100, 0);
	assert_false(lock.ended);
	assert_false(reader.ended);
	rig_release(&rig);
	assert_true(lock.ended);
	assert_false(reader.ended);
	memset(rig.server, 0, rig.server_size);
	rig.server_size = 0;
	netfs_inode_resized(&rig.inode, 0);
	netfs_inode_unlock(&rig.inode);
	rig.size = 0;
	assert_int_equal(rig_finish(&reader), 0);
	assert_int_equal(rig_finish_flush(&flush), 0);
	rig_stop(&rig);
}

/* edge 33: what a page holds behind the old end does not show when the file
 * grows, whichever way it grows. */
static void growing_shows_zeroes(void **unused)
{
	static struct rig rig;

	for (int way = 0; way < 4; way++) {
		rig_start(&rig, 3 * PAGE, NULL);
		rig_check(&rig);
		rig_truncate(&rig, PAGE + 100);
		if (way == 0)
			rig_write(&rig, PAGE + 3000, 10);
		else if (way == 1)
			rig_truncate(&rig, 2 * PAGE);
		else if (way == 2)
			rig_write_direct(&rig, PAGE + 3000, 10);
		else
			rig_punch(&rig, 0, 200);
		rig_check(&rig);
		assert_int_equal(rig_flush(&rig), 0);
		netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
		rig_check(&rig);
		rig_stop(&rig);
	}
}

/* edge 34: writers that both extend the file, one waiting behind a size change:
 * each gets its own place. */
static void extenders_get_a_place_each(void **unused)
{
	static struct rig rig;
	static struct rig_io io[3];

	rig_start(&rig, 1000, NULL);
	rig_lock(&rig);
	for (unsigned i = 0; i < 3; i++)
		rig_begin(&rig, &io[i], true, 0, 100, NETFS_IO_APPEND);
	rig.server_size = 1500;
	netfs_inode_resized(&rig.inode, 1500);
	rig.size = 1500;
	netfs_inode_unlock(&rig.inode);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rig_finish(&io[i]), 100);
		assert_int_equal(io[i].io.start, 1500 + i * 100);
		rig_note_write(&rig, &io[i]);
	}
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* edge 35: an answer about the size that was asked for before a size change, or
 * comes during one, is not believed. */
static void an_old_answer_does_not_change_the_size(void **unused)
{
	struct netfs_inode_view view;
	static struct rig rig;

	rig_start(&rig, 5000, NULL);
	netfs_inode_view(&rig.inode, &view);
	rig_lock(&rig);
	assert_false(netfs_inode_remote_update(&rig.inode, 9000, view.seq, true));
	netfs_inode_unlock(&rig.inode);
	rig_truncate(&rig, 3000);
	assert_false(netfs_inode_remote_update(&rig.inode, 5000, view.seq, true));
	rig_check(&rig);
	rig_write(&rig, 3000, 10);
	netfs_inode_view(&rig.inode, &view);
	/* What is unsent reaches further: the server's size is not ours. */
	netfs_inode_remote_update(&rig.inode, 3000, view.seq, false);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* edge 36: the bytes to write are lent memory of the same page. */
static void a_page_is_written_from_itself(void **unused)
{
	static struct rig rig;
	static struct rig_io lent, write;

	rig_start(&rig, PAGE, NULL);
	rig_begin(&rig, &lent, false, 0, PAGE, NETFS_IO_BORROW);
	assert_int_equal(rig_finish(&lent), PAGE);
	write.iov[0] = (struct iovec){lent.iov[0].iov_base, 1000};
	write.io = lent.io;
	write.io.user = &write;
	write.io.iov = write.iov;
	write.io.niov = 1;
	write.io.start = 500;
	write.io.len = 1000;
	write.io.flags = 0;
	netfs_core_write(&rig.inode, &rig.opener, &write.io);
	assert_true(write.ended);
	/* What was lent stays as it was. */
	assert_memory_equal(lent.iov[0].iov_base, rig.mine, PAGE);
	memmove(rig.mine + 500, rig.mine, 1000);
	memset(rig.unsent, true, PAGE);
	netfs_core_io_end(&lent.io);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* edge 38: pieces of one page that do not touch are kept, each by itself. */
static void many_pieces_of_a_page_are_kept(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 3 * PAGE, NULL);
	for (unsigned i = 0; i < 20; i++)
		rig_write(&rig, PAGE + i * 200, 50);
	assert_int_equal(rig.reads + rig.writes, 0);
	assert_int_equal(netfs_core_dirty(rig.core), 1000);
	assert_int_equal(rig_flush(&rig), 0);
	assert_int_equal(rig.written_bytes, 1000);
	rig_check(&rig);
	rig_stop(&rig);
}

/* Fills a lot of memory with another place of the file, so that the rest is
 * evicted. */
static void evict(struct rig *rig)
{
	for (uint64_t at = 64 << 10; at + PAGE <= rig->size; at += PAGE)
		rig_read(rig, at, PAGE);
	for (uint64_t at = 64 << 10; at + PAGE <= rig->size; at += PAGE)
		rig_read(rig, at, PAGE);
}

/* edge 41, edge 42, edge 43: bytes that reached the server and left our memory,
 * by eviction or because they were forgotten, are read again, not taken for the
 * zeroes they were once known to be. */
static void sent_bytes_that_left_memory_are_read(void **unused)
{
	static const struct rig_options tight = {.memory_max = 32 << 10, .created = true};

	for (int forget = 0; forget < 2; forget++) {
		static struct rig rig;

		rig_start(&rig, 0, &tight);
		rig_truncate(&rig, RIG_ROOM);
		rig_write(&rig, 0, PAGE);
		rig_write(&rig, 3 * PAGE + 1000, 100);
		assert_int_equal(rig_flush(&rig), 0);
		if (forget)
			netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
		else
			evict(&rig);
		rig_clear_log(&rig);
		rig_read(&rig, 0, PAGE);
		rig_read(&rig, 3 * PAGE, PAGE);
		assert_string_equal(rig.log, "r0+4096;r13288+100;");
		rig_stop(&rig);
	}
}

/* edge 104: with memory used up by unsent data, sending goes on. */
static void sending_needs_no_memory_that_is_not_there(void **unused)
{
	static const struct rig_options tight = {.memory_max = 32 << 10, .dirty_max = 16 << 10};
	static struct rig_io io[12];
	static struct rig rig;
	unsigned waiting = 0;

	rig_start(&rig, 0, &tight);
	for (unsigned i = 0; i < 12; i++) {
		rig_begin(&rig, &io[i], true, i * 8000, 8000, 0);
		waiting += !io[i].ended;
	}
	assert_true(waiting > 0);
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(rig_finish(&io[i]), 8000);
		rig_note_write(&rig, &io[i]);
	}
	assert_int_equal(rig_flush(&rig), 0);
	assert_true(rig_count(&rig, write_throttled) > 0);
	rig_check(&rig);
	rig_stop(&rig);
}

/* A run of small writes over old data gets larger folios as it goes on, as one
 * that makes a new file does; the same writes out of order get small ones. */
static void a_run_of_writes_makes_large_folios(void **unused)
{
	static struct rig rig;

	rig_start(&rig, RIG_ROOM, NULL);
	for (unsigned i = 0; i < RIG_ROOM / PAGE; i++)
		rig_write(&rig, i * PAGE, PAGE);
	assert_true(rig_count(&rig, folio_made) < RIG_ROOM / PAGE / 2);
	assert_int_equal(rig_flush(&rig), 0);
	rig_check(&rig);
	rig_stop(&rig);
	rig_start(&rig, RIG_ROOM, NULL);
	for (unsigned i = 0; i < RIG_ROOM / PAGE; i++)
		rig_write(&rig, i * 5 % (RIG_ROOM / PAGE) * PAGE, PAGE);
	assert_int_equal(rig_count(&rig, folio_made), RIG_ROOM / PAGE);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lock_waits_for_uploads_without_a_deadlock),
		cmocka_unit_test(slices_of_one_folio_have_their_own_fate),
		cmocka_unit_test(bytes_under_upload_do_not_change),
		cmocka_unit_test(only_gaps_are_read),
		cmocka_unit_test(a_second_write_is_a_second_upload),
		cmocka_unit_test(cuts_leave_the_rest_of_an_unsent_piece),
		cmocka_unit_test(nothing_behind_the_end_is_sent),
		cmocka_unit_test(a_truncation_waits_for_what_is_sent),
		cmocka_unit_test(growing_shows_zeroes),
		cmocka_unit_test(extenders_get_a_place_each),
		cmocka_unit_test(an_old_answer_does_not_change_the_size),
		cmocka_unit_test(a_page_is_written_from_itself),
		cmocka_unit_test(many_pieces_of_a_page_are_kept),
		cmocka_unit_test(sent_bytes_that_left_memory_are_read),
		cmocka_unit_test(sending_needs_no_memory_that_is_not_there),
		cmocka_unit_test(a_run_of_writes_makes_large_folios),
	};

	return t_run(tests, NULL, NULL);
}
