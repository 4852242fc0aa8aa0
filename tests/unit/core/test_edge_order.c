/* SPDX-License-Identifier: MIT */
/*
 * Goal: answers may come in any order, at any moment and in any portion; the
 * engine settles them in file order, once, and lets nobody wait.
 * Method: one file in the rig, whose server answers as each test wants it.  The
 * numbers are those of doc/edge-cases.md.
 */
#include <stdlib.h>
#include "rig.h"

#define MANY 60000

/* edge 1, edge 2, edge 3: all answers come while the issuer is still inside the
 * back end, the last one before the issuer knows that it was the last. */
static void answers_inside_the_issuer(void **unused)
{
	static struct rig rig;

	rig_start(&rig, MANY, NULL);
	rig.at_once = true;
	rig.take_max = 5000;
	rig_check(&rig);
	rig_write(&rig, 100, 50000);
	assert_int_equal(rig_flush(&rig), 0);
	assert_true(rig.writes >= 10);
	rig_stop(&rig);
}

/* edge 6: two pieces with a gap between them are one request; what is in the
 * gap is neither read nor sent. */
static void a_gap_between_pieces_is_not_sent(void **unused)
{
	static struct rig rig;

	rig_start(&rig, MANY, NULL);
	rig_write(&rig, 1000, 500);
	rig_write(&rig, 30000, 500);
	assert_int_equal(rig_flush(&rig), 0);
	assert_string_equal(rig.log, "w1000+500;w30000+500;");
	assert_int_equal(rig.written_bytes, 1000);
	rig_stop(&rig);
}

/* edge 7: a slice that ends before those in front of it wakes nobody. */
static void later_slices_wait_for_the_first(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 32768, NULL);
	rig.hold = true;
	rig.take_max = 8192;
	rig_begin(&rig, &io, false, 0, 32768, 0);
	assert_int_equal(rig.nheld, 4);
	for (unsigned i = 3; i > 0; i--) {
		rig_answer(&rig, i, 8192, 0, 0);
		assert_false(io.ended);
	}
	rig_answer(&rig, 0, 8192, 0, 0);
	assert_true(io.ended);
	assert_int_equal(io.result, 32768);
	assert_memory_equal(io.buf, rig.mine, 32768);
	rig_stop(&rig);
}

/* edge 8, edge 14: the owner hears that the file is idle after the very last
 * thing, and then it may go. */
static void idle_comes_after_everything(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, MANY, NULL);
	rig.hold = true;
	rig_begin(&rig, &io, false, 0, 10000, 0);
	assert_int_equal(rig.refs, 1);
	netfs_core_io_cancel(&rig.inode, &io.io);
	rig_run();
	assert_true(io.ended);
	/* Nobody waits any more, but the request still lives. */
	assert_int_equal(rig.refs, 1);
	rig_release(&rig);
	assert_int_equal(rig.refs, 0);
	assert_int_equal(netfs_core_requests(rig.core), 0);
	rig_stop(&rig);
}

/* edge 12, edge 55: the server takes less when a slice is sent again. */
static void the_rest_may_be_sent_in_smaller_slices(void **unused)
{
	static struct rig rig;

	for (int write = 0; write < 2; write++) {
		rig_start(&rig, MANY, NULL);
		rig.read_error = rig.write_error = -ECONNRESET;
		rig.fail_flags = NETFS_SLICE_RETRY;
		rig.fail_count = 1;
		rig.fail_moved = 1000;
		if (write)
			rig_write(&rig, 0, 20000);
		rig.hold = true;
		if (write) {
			struct rig_flush flush;

			rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
			rig_run();
			rig.take_max = 300;
			rig_release(&rig);
			assert_int_equal(rig_finish_flush(&flush), 0);
		} else {
			static struct rig_io io;

			rig_begin(&rig, &io, false, 0, 20000, 0);
			rig.take_max = 300;
			rig_release(&rig);
			assert_int_equal(rig_finish(&io), 20000);
		}
		assert_true(rig.reads + rig.writes > 60);
		rig_check(&rig);
		rig_stop(&rig);
	}
}

/* edge 56: and more, when it may. */
static void the_rest_may_be_sent_in_larger_slices(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, MANY, NULL);
	rig.hold = true;
	rig.take_max = 1000;
	rig_begin(&rig, &io, false, 0, 4096, 0);
	rig.take_max = 0;
	rig.read_error = -ECONNRESET;
	rig.fail_flags = NETFS_SLICE_RETRY;
	rig.fail_count = 1;
	rig.fail_moved = 10;
	rig_release(&rig);
	assert_int_equal(rig_finish(&io), 4096);
	assert_memory_equal(io.buf, rig.mine, 4096);
	rig_stop(&rig);
}

/* edge 12: what is sent again is cut by what the server takes now, and the
 * pieces are under way beside each other; borders hold for them too. */
static void the_rest_is_sent_in_parallel(void **unused)
{
	for (int write = 0; write < 2; write++) {
		static struct rig rig;
		static struct rig_io io;
		struct rig_flush flush;

		rig_start(&rig, MANY, NULL);
		if (write)
			rig_write(&rig, 1000, 20000);
		rig.hold = true;
		if (write)
			rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
		else
			rig_begin(&rig, &io, false, 0, 20480, 0);
		rig_run();
		assert_int_equal(rig.nheld, 1);
		rig.take_max = 6000;
		rig.boundary = 8192;
		rig_clear_log(&rig);
		rig_answer(&rig, 0, 500, -ECONNRESET, NETFS_SLICE_RETRY);
		rig_sleep_ms(100);
		if (write)
			assert_string_equal(rig.log, "w1500+6000;w7500+692;w8192+6000;"
						     "w14192+2192;w16384+4616;");
		else
			assert_string_equal(rig.log, "r500+6000;r6500+1692;r8192+6000;"
						     "r14192+2192;r16384+4096;");
		assert_int_equal(rig.nheld, 5);
		/* Each has its own fate, and they end in any order. */
		rig_answer(&rig, 4, 100, 0, 0);
		rig_answer(&rig, 2, 0, -ECONNRESET, NETFS_SLICE_RETRY);
		rig_release(&rig);
		if (write) {
			assert_int_equal(rig_finish_flush(&flush), 0);
		} else {
			assert_int_equal(rig_finish(&io), 20480);
			assert_memory_equal(io.buf, rig.mine, 20480);
		}
		rig_check(&rig);
		rig_stop(&rig);
	}
}

/* edge 56: slices that wait to be sent again are offered as one. */
static void the_rest_is_offered_as_one(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, MANY, &(struct rig_options){.rsize = 12000});
	rig.take_max = 2000;
	rig.hold = true;
	rig_begin(&rig, &io, false, 0, 20480, 0);
	rig_run();
	assert_int_equal(rig.nheld, 11);
	rig.take_max = 0;
	rig_clear_log(&rig);
	/* The third moved a part, so it and what is behind it is another run. */
	for (int i = 0; rig.nheld; i++)
		rig_answer(&rig, 0, i == 2 ? 300 : 0, -ECONNRESET, NETFS_SLICE_RETRY);
	rig.hold = false;
	assert_int_equal(rig_finish(&io), 20480);
	assert_memory_equal(io.buf, rig.mine, 20480);
	assert_true(rig.reads < 11);
	assert_int_equal(rig_count(&rig, subrequests_living), 0);
	rig_stop(&rig);
}

/* Nobody waits for read-ahead: it is given up soon, also by a mount that tries
 * everything else for ever; who wants the bytes asks himself. */
static void read_ahead_is_given_up_soon(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, RIG_ROOM, &(struct rig_options){.rasize = 64 << 10});
	rig.hold = true;
	rig_begin(&rig, &io, false, 0, 4096, 0);
	rig_run();
	assert_true(rig.nheld >= 2);
	rig_answer(&rig, 0, 4096, 0, 0);
	assert_int_equal(io.result, 4096);
	rig.read_error = -ENOTCONN;
	rig.fail_flags = NETFS_SLICE_RETRY;
	rig.fail_count = -1;
	rig_release(&rig);
	rig_sleep_ms(5000);
	assert_int_equal(rig_count(&rig, requests_living), 0);
	rig_begin(&rig, &io, false, 4096, 4096, 0);
	rig_sleep_ms(60000);
	assert_false(io.ended);
	rig.read_error = 0;
	assert_int_equal(rig_finish(&io), 4096);
	assert_memory_equal(io.buf, rig.mine + 4096, 4096);
	rig_stop(&rig);
}

/* edge 53: slices end where neither folios nor pieces do. */
static void slices_and_folios_need_not_agree(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 0, &(struct rig_options){.created = true});
	rig.take_max = 777;
	for (unsigned i = 0; i < 30; i++)
		rig_write(&rig, i * 1500, 1500);
	assert_int_equal(rig_flush(&rig), 0);
	netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
	rig.take_max = 4999;
	rig_check(&rig);
	rig_stop(&rig);
}

/* edge 54: a server without credits is asked again when it has some. */
static void refused_slices_wait_for_credits(void **unused)
{
	static struct rig rig;
	static struct rig_io io;
	struct rig_flush flush;

	rig_start(&rig, MANY, NULL);
	rig_write(&rig, 0, 5000);
	rig.busy = true;
	rig_begin(&rig, &io, false, 20000, 5000, 0);
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_sleep_ms(60000);
	assert_false(io.ended);
	assert_false(flush.ended);
	assert_int_equal(rig.reads + rig.writes, 0);
	rig_ready(&rig);
	assert_int_equal(rig_finish(&io), 5000);
	assert_int_equal(rig_finish_flush(&flush), 0);
	assert_true(rig_count(&rig, slice_refused) >= 2);
	rig_stop(&rig);
}

/* As that, where it has some again before the refusal is out. */
static void credits_may_come_with_the_refusal(void **unused)
{
	static struct rig rig;

	rig_start(&rig, MANY, NULL);
	rig.busy = rig.ready_inside = true;
	rig_read(&rig, 0, 5000);
	rig.busy = true;
	rig_write(&rig, 0, 5000);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* edge 57: no slice crosses a border of the server's objects, also when it is
 * sent again. */
static void borders_of_the_server_are_kept(void **unused)
{
	static struct rig rig;

	rig_start(&rig, MANY, NULL);
	rig.boundary = 10000;
	rig.move_max = 3000;
	rig_write(&rig, 5000, 30000);
	assert_int_equal(rig_flush(&rig), 0);
	netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
	rig_check(&rig);
	for (char *at = rig.log; *at; at = strchr(at, ';') + 1) {
		unsigned long start = strtoul(at + 1, &at, 10);
		unsigned long len = strtoul(at + 1, &at, 10);

		assert_int_equal(start / 10000, (start + len - 1) / 10000);
		if (!strchr(at + 1, ';'))
			break;
	}
	rig_stop(&rig);
}

/* edge 58: a short answer is continued where it ended. */
static void short_answers_go_on_where_they_ended(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 20000, NULL);
	rig.move_max = 4000;
	rig_write(&rig, 0, 10000);
	assert_int_equal(rig_flush(&rig), 0);
	assert_string_equal(rig.log, "w0+10000;w4000+6000;w8000+2000;");
	rig_clear_log(&rig);
	netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
	rig_read(&rig, 0, 8192);
	assert_string_equal(rig.log, "r0+8192;r4000+4192;r8000+192;");
	rig_stop(&rig);
}

/* edge 78: a server that moves nothing and says no reason is not asked for
 * ever. */
static void no_progress_is_an_error(void **unused)
{
	static struct rig rig;
	static struct rig_io io;
	struct rig_flush flush;

	rig_start(&rig, MANY, NULL);
	rig.hold = true;
	rig_begin(&rig, &io, false, 0, 4096, 0);
	rig_answer(&rig, 0, 0, 0, 0);
	assert_true(io.ended);
	assert_int_equal(io.result, -EIO);
	rig_write(&rig, 0, 10);
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	rig_answer(&rig, 0, 0, 0, 0);
	assert_int_equal(rig_finish_flush(&flush), -EIO);
	rig_release(&rig);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* edge 79: bytes that came with an error are kept only as far as the back end
 * vouches for them; the rest is asked for again. */
static void a_broken_answer_is_asked_for_again(void **unused)
{
	static struct rig rig;

	rig_start(&rig, MANY, NULL);
	rig.read_error = -EBADMSG;
	rig.fail_flags = NETFS_SLICE_RETRY;
	rig.fail_count = 3;
	rig.fail_moved = 0;
	rig_read(&rig, 0, 8192);
	assert_string_equal(rig.log, "r0+8192;r0+8192;r0+8192;r0+8192;");
	assert_int_equal(rig_count(&rig, download_retries), 3);
	rig_stop(&rig);
}

/* edge 80: one slice is sent again while its neighbours are still under way. */
static void a_retry_does_not_disturb_its_neighbours(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 32768, NULL);
	rig.hold = true;
	rig.take_max = 8192;
	rig_begin(&rig, &io, false, 0, 32768, 0);
	rig_answer(&rig, 1, 100, -ECONNRESET, NETFS_SLICE_RETRY);
	rig_sleep_ms(10000);
	assert_int_equal(rig.nheld, 4);
	assert_non_null(strstr(rig.log, "r8292+8092;"));
	rig_answer(&rig, 3, 8092, 0, 0);
	rig_answer(&rig, 2, 8192, 0, 0);
	rig_answer(&rig, 1, 8192, 0, 0);
	assert_false(io.ended);
	rig_answer(&rig, 0, 8192, 0, 0);
	assert_true(io.ended);
	assert_memory_equal(io.buf, rig.mine, 32768);
	rig_stop(&rig);
}

/* edge 60: what is refused for good ends the slices behind it too, and nobody
 * waits. */
static void a_refusal_ends_everything_behind_it(void **unused)
{
	static struct rig rig;
	struct rig_flush flush;

	rig_start(&rig, 0, NULL);
	rig.hold = true;
	rig.take_max = 10000;
	rig_write(&rig, 0, 40000);
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	assert_true(rig.nheld >= 3);
	rig_answer(&rig, 1, 0, -EDQUOT, 0);
	rig.write_error = -EDQUOT;
	rig_release(&rig);
	assert_int_equal(rig_finish_flush(&flush), -EDQUOT);
	rig_check(&rig);
	rig.write_error = 0;
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* edge 47: flushes that meet in a file all end, in whatever order. */
static void flushes_of_one_file_all_end(void **unused)
{
	static struct rig rig;
	struct rig_flush flush[4];

	rig_start(&rig, 0, NULL);
	rig.hold = true;
	for (unsigned i = 0; i < 4; i++) {
		rig_write(&rig, i * 9000, 9000);
		rig_begin_flush(&rig, &flush[i], i * 9000, i * 9000 + 5000);
	}
	rig_run();
	for (unsigned i = 0; i < 4; i++)
		assert_false(flush[i].ended);
	rig_release(&rig);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(rig_finish_flush(&flush[i]), 0);
	rig_stop(&rig);
}

/* edge 46: the age timer finds a file that is being sent already. */
static void age_does_not_send_twice(void **unused)
{
	static struct rig rig;

	rig_start(&rig, 0, &(struct rig_options){.dirty_age_ms = 100});
	rig_write(&rig, 0, 5000);
	rig.hold = true;
	rig_sleep_ms(5000);
	assert_int_equal(rig.nheld, 1);
	rig_release(&rig);
	rig_sleep_ms(5000);
	assert_int_equal(rig.writes, 1);
	assert_int_equal(rig.refs, 0);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_inside_the_issuer),
		cmocka_unit_test(a_gap_between_pieces_is_not_sent),
		cmocka_unit_test(later_slices_wait_for_the_first),
		cmocka_unit_test(idle_comes_after_everything),
		cmocka_unit_test(the_rest_may_be_sent_in_smaller_slices),
		cmocka_unit_test(the_rest_may_be_sent_in_larger_slices),
		cmocka_unit_test(the_rest_is_sent_in_parallel),
		cmocka_unit_test(the_rest_is_offered_as_one),
		cmocka_unit_test(read_ahead_is_given_up_soon),
		cmocka_unit_test(slices_and_folios_need_not_agree),
		cmocka_unit_test(refused_slices_wait_for_credits),
		cmocka_unit_test(credits_may_come_with_the_refusal),
		cmocka_unit_test(borders_of_the_server_are_kept),
		cmocka_unit_test(short_answers_go_on_where_they_ended),
		cmocka_unit_test(no_progress_is_an_error),
		cmocka_unit_test(a_broken_answer_is_asked_for_again),
		cmocka_unit_test(a_retry_does_not_disturb_its_neighbours),
		cmocka_unit_test(a_refusal_ends_everything_behind_it),
		cmocka_unit_test(flushes_of_one_file_all_end),
		cmocka_unit_test(age_does_not_send_twice),
	};

	return t_run(tests, NULL, NULL);
}
