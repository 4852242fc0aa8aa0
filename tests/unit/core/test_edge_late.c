/* SPDX-License-Identifier: MIT */
/*
 * Goal: an answer that comes late tells about the past, and is taken for no
 * more than that: old bytes do not come back, and an upload of old bytes does
 * not count for those that were written since.
 * Method: one file in the rig, whose server holds answers back while the world
 * goes on.
 */
#include "rig.h"

#define PAGE 4096

/* Answers a held slice with what the server had then. */
static void answer_from(struct rig *rig, unsigned held, const uint8_t *then)
{
	static uint8_t now[RIG_ROOM];

	memcpy(now, rig->server, RIG_ROOM);
	memcpy(rig->server, then, RIG_ROOM);
	rig_answer(rig, held, SIZE_MAX, 0, 0);
	memcpy(rig->server, now, RIG_ROOM);
}

/* The file changed at the server while it was read: what the read brings is
 * worth nothing, also to one who asked for the same bytes since. */
static void an_old_download_does_not_bring_old_bytes(void **unused)
{
	static uint8_t then[RIG_ROOM];
	static struct rig rig;
	static struct rig_io first, second;

	rig_start(&rig, 3 * PAGE, NULL);
	memcpy(then, rig.server, RIG_ROOM);
	rig.hold = true;
	rig_begin(&rig, &first, false, 0, PAGE, 0);
	rig_remote_change(&rig, 3 * PAGE, true);
	rig_run();
	rig_begin(&rig, &second, false, 0, PAGE, 0);
	assert_true(rig.nheld >= 2);
	answer_from(&rig, 0, then);
	assert_false(second.ended);
	rig_release(&rig);
	assert_int_equal(rig_finish(&first), PAGE);
	assert_int_equal(rig_finish(&second), PAGE);
	assert_memory_equal(second.buf, rig.mine, PAGE);
	rig_check(&rig);
	rig_stop(&rig);
}

/* As that, in a page that stays because there are unsent bytes in it. */
static void an_old_download_beside_unsent_bytes_is_ignored(void **unused)
{
	static uint8_t then[RIG_ROOM];
	static struct rig rig;
	static struct rig_io first, second;

	rig_start(&rig, 3 * PAGE, NULL);
	memcpy(then, rig.server, RIG_ROOM);
	rig_write(&rig, 1000, 500);
	rig.hold = true;
	rig_begin(&rig, &first, false, 0, PAGE, 0);
	assert_true(rig.nheld > 0);
	memset(rig.server, 0x55, PAGE);
	memset(rig.mine, 0x55, 1000);
	memset(rig.mine + 1500, 0x55, PAGE - 1500);
	netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
	rig_begin(&rig, &second, false, 0, PAGE, 0);
	answer_from(&rig, 1, then);
	answer_from(&rig, 0, then);
	rig_release(&rig);
	assert_int_equal(rig_finish(&first), PAGE);
	assert_int_equal(rig_finish(&second), PAGE);
	assert_memory_equal(second.buf, rig.mine, PAGE);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* As that, where a part of the page was written meanwhile. */
static void an_old_download_does_not_hide_a_write(void **unused)
{
	static uint8_t then[RIG_ROOM];
	static struct rig rig;
	static struct rig_io first;

	rig_start(&rig, 3 * PAGE, NULL);
	memcpy(then, rig.server, RIG_ROOM);
	rig.hold = true;
	rig_begin(&rig, &first, false, 0, PAGE, 0);
	rig_write(&rig, 1000, 500);
	answer_from(&rig, 0, then);
	assert_int_equal(rig_finish(&first), PAGE);
	assert_memory_equal(first.buf, rig.mine, PAGE);
	rig.hold = false;
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* What is clean of a page goes when its upload is over, where it was to be
 * forgotten during it. */
static void what_is_forgotten_under_upload_is_read_again(void **unused)
{
	static struct rig rig;
	struct rig_flush flush;

	rig_start(&rig, 3 * PAGE, NULL);
	rig_check(&rig);
	rig_write(&rig, 1000, 500);
	rig.hold = true;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	memset(rig.server, 0x77, 1000);
	memset(rig.mine, 0x77, 1000);
	netfs_inode_invalidate(&rig.inode, 0, UINT64_MAX);
	rig_release(&rig);
	assert_int_equal(rig_finish_flush(&flush), 0);
	rig_check(&rig);
	rig_stop(&rig);
}

/* A flush that begins during an upload does not end with it where the bytes
 * were written again before. */
static void a_flush_waits_for_the_bytes_of_its_time(void **unused)
{
	static struct rig rig;
	struct rig_flush early, late;

	rig_start(&rig, 0, NULL);
	rig_write(&rig, 0, 1000);
	rig.hold = true;
	rig_begin_flush(&rig, &early, 0, UINT64_MAX);
	rig_run();
	rig_write(&rig, 0, 1000);
	rig_begin_flush(&rig, &late, 0, UINT64_MAX);
	rig_run();
	assert_int_equal(rig.nheld, 1);
	rig_answer(&rig, 0, 1000, 0, 0);
	assert_true(early.ended);
	assert_false(late.ended);
	assert_int_equal(rig.nheld, 1);
	rig_answer(&rig, 0, 1000, 0, 0);
	assert_true(late.ended);
	assert_int_equal(late.err, 0);
	rig_check_server(&rig);
	rig_stop(&rig);
}

/* And does not wait for what is written after it began. */
static void a_flush_does_not_wait_for_later_bytes(void **unused)
{
	static struct rig rig;
	struct rig_flush flush;

	rig_start(&rig, 0, NULL);
	rig_write(&rig, 0, 1000);
	rig.hold = true;
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	rig_write(&rig, 50000, 1000);
	rig_write(&rig, 500, 100);
	rig_answer(&rig, 0, 1000, 0, 0);
	assert_true(flush.ended);
	assert_int_equal(flush.err, 0);
	rig.hold = false;
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* A flush that finds nothing unsent but something under way waits for that. */
static void a_flush_waits_for_what_is_under_way(void **unused)
{
	static struct rig rig;
	struct rig_flush first, second, elsewhere;

	rig_start(&rig, 0, NULL);
	rig_write(&rig, 0, 1000);
	rig.hold = true;
	rig_begin_flush(&rig, &first, 0, UINT64_MAX);
	rig_run();
	rig_begin_flush(&rig, &second, 500, 600);
	rig_begin_flush(&rig, &elsewhere, 2000, 3000);
	rig_run();
	assert_true(elsewhere.ended);
	assert_false(second.ended);
	rig_release(&rig);
	assert_int_equal(rig_finish_flush(&first), 0);
	assert_int_equal(rig_finish_flush(&second), 0);
	rig_stop(&rig);
}

/* News of a size that others changed, with data of ours unsent. */
static void a_new_size_keeps_unsent_bytes(void **unused)
{
	struct netfs_inode_view view;
	static struct rig rig;

	rig_start(&rig, 10000, NULL);
	rig_check(&rig);
	rig_write(&rig, 9000, 100);
	netfs_inode_view(&rig.inode, &view);
	memset(rig.server + 10000, 0x33, 20000);
	memset(rig.mine + 10000, 0x33, 20000);
	rig.server_size = rig.size = 30000;
	assert_true(netfs_inode_remote_update(&rig.inode, 30000, view.seq, true));
	rig_check(&rig);
	netfs_inode_view(&rig.inode, &view);
	assert_int_equal(view.size, 30000);
	assert_false(netfs_inode_remote_update(&rig.inode, 30000, view.seq, false));
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* A size that the server told in the middle of a direct write that extends the
 * file says nothing about what is behind it. */
static void a_size_on_the_way_makes_no_zeroes(void **unused)
{
	static struct rig rig;
	static struct rig_io io;
	struct netfs_inode_view view;

	rig_start(&rig, 1000, &(struct rig_options){.wsize = PAGE});
	rig.hold = true;
	rig_begin(&rig, &io, true, 1000, 2 * PAGE, NETFS_IO_DIRECT);
	assert_true(rig.nheld > 0);
	rig_answer(&rig, 0, PAGE, 0, 0);
	assert_int_equal(rig.server_size, 1000 + PAGE);
	netfs_inode_view(&rig.inode, &view);
	assert_true(netfs_inode_remote_update(&rig.inode, 1000 + PAGE, view.seq, false));
	rig_release(&rig);
	assert_int_equal(rig_finish(&io), 2 * PAGE);
	rig_note_write(&rig, &io);
	rig_check(&rig);
	rig_stop(&rig);
}

/* A read was overtaken by a write of the same bytes, which is at the server and
 * forgotten here: who asks for them again must not get what was there before. */
static void an_overtaken_download_answers_no_later_read(void **unused)
{
	static uint8_t then[RIG_ROOM];
	static struct rig rig;
	static struct rig_io first, write, second;
	struct rig_flush flush;

	rig_start(&rig, 3 * PAGE, NULL);
	memcpy(then, rig.server, RIG_ROOM);
	rig.hold = true;
	rig_begin(&rig, &first, false, 0, PAGE, 0);
	rig_begin(&rig, &write, true, 0, PAGE, 0);
	assert_int_equal(rig_finish(&write), PAGE);
	rig_note_write(&rig, &write);
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_answer(&rig, rig.nheld - 1, SIZE_MAX, 0, 0);
	assert_int_equal(rig_finish_flush(&flush), 0);
	/* An unsent byte keeps the page here. */
	rig_write(&rig, 0, 1);
	netfs_inode_invalidate(&rig.inode, 0, PAGE);
	rig_begin(&rig, &second, false, 0, PAGE, 0);
	assert_true(rig.nheld >= 2);
	answer_from(&rig, 0, then);
	assert_false(second.ended);
	rig_release(&rig);
	assert_int_equal(rig_finish(&first), PAGE);
	assert_int_equal(rig_finish(&second), PAGE);
	assert_memory_equal(second.buf, rig.mine, PAGE);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* What was lent stays as it was, also when it is forgotten and read again. */
static void lent_bytes_do_not_change_when_they_are_read_again(void **unused)
{
	static uint8_t then[RIG_ROOM];
	static struct rig rig;
	static struct rig_io lent;

	rig_start(&rig, 3 * PAGE, NULL);
	memcpy(then, rig.server, RIG_ROOM);
	rig_begin_lent(&rig, &lent, 0, PAGE, 1);
	assert_int_equal(rig_finish(&lent), PAGE);
	rig_remote_change(&rig, 3 * PAGE, true);
	rig_read(&rig, 0, PAGE);
	assert_memory_equal(lent.iov[0].iov_base, then, PAGE);
	netfs_core_io_end(&lent.io);
	rig_stop(&rig);
}

/* A download whose first bytes were refused goes on with the others; at its end it
 * does not touch what another one is bringing by then.  Encrypted: there two
 * downloads into the same memory would decrypt each other's bytes. */
static void a_failed_download_ends_beside_a_new_one(void **unused)
{
	static struct rig_io first, again, joins;
	static struct rig rig;

	for (int encrypted = 0; encrypted < 2; encrypted++) {
		rig_start(&rig, 4 * PAGE,
			  &(struct rig_options){.rsize = PAGE, .encrypted = encrypted});
		rig.hold = true;
		rig_begin(&rig, &first, false, 0, 2 * PAGE, 0);
		rig_run();
		assert_int_equal(rig.nheld, 2);
		rig_answer(&rig, 0, 0, -EACCES, 0);
		rig_run();
		rig_begin(&rig, &again, false, 0, PAGE, 0);
		rig_run();
		assert_int_equal(rig.nheld, 2);
		rig_answer(&rig, 0, PAGE, 0, 0);
		rig_run();
		assert_int_equal(rig.nheld, 1);
		rig_begin(&rig, &joins, false, 0, PAGE, 0);
		rig_run();
		assert_int_equal(rig.nheld, 1);
		assert_int_equal(rig.reads, 3);
		rig_release(&rig);
		assert_int_equal(rig_finish(&again), PAGE);
		assert_int_equal(rig_finish(&joins), PAGE);
		rig_finish(&first);
		rig_stop(&rig);
	}
}

/* What came behind a part that was refused cannot be decrypted without it, or not yet:
 * who waits for it hears why that was, not of an error nobody made. */
static void what_lies_behind_a_refused_part_fails_for_its_reason(void **unused)
{
	static struct rig_io first, joins;
	static struct rig rig;

	rig_start(&rig, 2 * PAGE, &(struct rig_options){.rsize = PAGE, .encrypted = true});
	rig.hold = true;
	rig_begin(&rig, &first, false, 0, 2 * PAGE, 0);
	rig_begin(&rig, &joins, false, PAGE, PAGE, 0);
	rig_run();
	assert_int_equal(rig.nheld, 2);
	rig_answer(&rig, 0, 0, -EACCES, 0);
	rig_answer(&rig, 0, PAGE, 0, 0);
	rig_release(&rig);
	assert_int_equal(rig_finish(&first), -EACCES);
	assert_int_equal(rig_finish(&joins), -EACCES);
	rig_stop(&rig);
}

/* The rest of an encrypted block is read before a part of it is sent, and that read
 * says that it is no other. */
static void a_read_that_an_upload_needs_says_so(void **unused)
{
	static struct rig_flush flush;
	static struct rig_io other;
	static struct rig rig;

	rig_start(&rig, 2 * PAGE, &(struct rig_options){.encrypted = true});
	rig.hold = true;
	rig_begin(&rig, &other, false, PAGE, PAGE, 0);
	rig_run();
	rig_write(&rig, 100, 10);
	memset(rig.unsent, true, PAGE);
	rig_begin_flush(&rig, &flush, 0, UINT64_MAX);
	rig_run();
	assert_int_equal(rig.nheld, 2);
	assert_false(rig.held[0]->for_upload);
	assert_int_equal(rig.held[1]->kind, NETFS_SLICE_READ);
	assert_true(rig.held[1]->for_upload);
	rig_release(&rig);
	assert_int_equal(rig_finish(&other), PAGE);
	assert_int_equal(rig_finish_flush(&flush), 0);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_old_download_does_not_bring_old_bytes),
		cmocka_unit_test(an_old_download_beside_unsent_bytes_is_ignored),
		cmocka_unit_test(an_old_download_does_not_hide_a_write),
		cmocka_unit_test(what_is_forgotten_under_upload_is_read_again),
		cmocka_unit_test(a_flush_waits_for_the_bytes_of_its_time),
		cmocka_unit_test(a_flush_does_not_wait_for_later_bytes),
		cmocka_unit_test(a_flush_waits_for_what_is_under_way),
		cmocka_unit_test(a_new_size_keeps_unsent_bytes),
		cmocka_unit_test(a_size_on_the_way_makes_no_zeroes),
		cmocka_unit_test(an_overtaken_download_answers_no_later_read),
		cmocka_unit_test(lent_bytes_do_not_change_when_they_are_read_again),
		cmocka_unit_test(a_failed_download_ends_beside_a_new_one),
		cmocka_unit_test(what_lies_behind_a_refused_part_fails_for_its_reason),
		cmocka_unit_test(a_read_that_an_upload_needs_says_so),
	};

	return t_run(tests, NULL, NULL);
}
