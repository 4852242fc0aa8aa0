/* SPDX-License-Identifier: MIT */
/*
 * Writes that must be durable before they end.
 *
 * Goal: such a write sends its own bytes, at once and alone; waits for what is
 * older in its range, wherever that is; ends when the bytes are at the server
 * and durable there; keeps its place among other uploads and groups; gives the
 * disk cache its share; tells its error and keeps its bytes.
 * Method: one file in the rig, whose server answers when it is told to.
 */
#include <cache_script.h>
#include "rig.h"

#define PAGE 4096

static void it_sends_its_own_bytes_alone(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 30000, NULL);
	rig_write(&rig, 0, 100);
	rig_write(&rig, 2 * PAGE + 10, 90);
	rig_write(&rig, 20000, 5000);
	rig_clear_log(&rig);
	/* Next to dirty bytes of the same page, and across pages. */
	rig_begin(&rig, &io, true, 2 * PAGE + 100, 2 * PAGE, NETFS_IO_DSYNC);
	assert_int_equal(rig_finish(&io), 2 * PAGE);
	rig_note_write(&rig, &io);
	assert_string_equal(rig.log, "w8292+8192;");
	assert_int_equal(rig.syncs, 1);
	assert_int_equal(rig_count(&rig, writethrough_requests), 1);
	assert_int_equal(rig_count(&rig, writeback_requests), 0);
	assert_int_equal(rig_count(&rig, write_durable), 1);
	assert_int_equal(netfs_core_dirty(rig.core), 5190);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* A server whose answer means durable is not asked again. */
static void stable_answers_are_enough(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 0, NULL);
	rig.be.caps |= NETFS_BE_STABLE_WRITES;
	rig_begin(&rig, &io, true, 5, 1000, NETFS_IO_DSYNC);
	assert_int_equal(rig_finish(&io), 1000);
	rig_note_write(&rig, &io);
	assert_int_equal(rig.syncs, 0);
	rig_check_server(&rig);
	rig_stop(&rig);
}

/* It does not end before the answer, and does not hold up anybody. */
static void it_ends_when_the_answer_comes(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 20000, NULL);
	rig.hold = true;
	rig_begin(&rig, &io, true, 100, 1000, NETFS_IO_DSYNC);
	rig_run();
	assert_int_equal(rig.nheld, 1);
	assert_false(io.ended);
	io.result = 1000;
	rig_note_write(&rig, &io);
	rig_read(&rig, 100, 1000);
	rig_write(&rig, 500, 100);
	rig_write(&rig, 9000, 100);
	rig_answer(&rig, 0, 1000, 0, 0);
	assert_true(io.ended);
	assert_int_equal(io.result, 1000);
	assert_int_equal(rig.syncs, 1);
	/* What was written meanwhile is not its business. */
	assert_int_equal(netfs_core_dirty(rig.core), 200);
	rig_release(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* What is dirty in its range goes first, and its error is the write's: also at
 * and behind the end of the server's file. */
static void older_bytes_of_its_range_go_first(void **unused)
{
	static const uint64_t places[] = {100, 20000, 20000 - 50, 60000};
	static struct rig_io io;

	for (size_t i = 0; i < 4; i++) {
		static struct rig rig;
		uint64_t at = places[i];

		rig_start(&rig, 20000, NULL);
		rig_write(&rig, at, 200);
		rig.write_error = -EDQUOT;
		rig_begin(&rig, &io, true, at + 100, 300, NETFS_IO_DSYNC);
		assert_int_equal(rig_finish(&io), -EDQUOT);
		rig_check(&rig); /* nothing of it was written */
		rig.write_error = 0;
		rig.hold = true;
		rig_begin(&rig, &io, true, at + 100, 300, NETFS_IO_DSYNC);
		rig_run();
		assert_int_equal(rig.nheld, 1);
		assert_int_equal(rig.held[0]->start, at);
		rig_answer(&rig, 0, 200, 0, 0);
		assert_int_equal(rig.nheld, 1);
		assert_int_equal(rig.held[0]->start, at + 100);
		assert_int_equal(rig.held[0]->len, 300);
		rig_answer(&rig, 0, 300, 0, 0);
		assert_true(io.ended);
		rig_note_write(&rig, &io);
		rig_check_server(&rig);
		rig_release(&rig);
		rig_stop(&rig);
	}
}

/* A folio is in one upload at a time: two writes of the same bytes arrive in
 * their order, though the second came while the first was on its way. */
static void overlapping_writes_keep_their_order(void **unused)
{
	static struct rig rig;
	static struct rig_io first, second;

	rig_start(&rig, 20000, NULL);
	rig.hold = true;
	rig_begin(&rig, &first, true, 0, 3000, NETFS_IO_DSYNC);
	rig_run();
	rig_begin(&rig, &second, true, 1000, 3000, NETFS_IO_DSYNC);
	rig_run();
	assert_int_equal(rig.nheld, 1);
	rig_answer(&rig, 0, 3000, 0, 0);
	assert_true(first.ended);
	rig_note_write(&rig, &first);
	assert_int_equal(rig.nheld, 1);
	assert_false(second.ended);
	rig_answer(&rig, 0, 3000, 0, 0);
	assert_true(second.ended);
	rig_note_write(&rig, &second);
	rig_check_server(&rig);
	rig_release(&rig);
	rig_check(&rig);
	rig_stop(&rig);
}

static void appends_go_to_the_end_one_by_one(void **unused)
{
	static struct rig rig;
	static struct rig_io io[3];

	rig_start(&rig, 1000, NULL);
	rig_write(&rig, 900, 200);
	for (unsigned i = 0; i < 3; i++)
		rig_begin(&rig, &io[i], true, 0, 100 + i, NETFS_IO_DSYNC | NETFS_IO_APPEND);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(rig_finish(&io[i]), 100 + i);
		rig_note_write(&rig, &io[i]);
	}
	assert_int_equal(rig.size, 1100 + 303);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_stop(&rig);
}

/* What is older in another group is durable before it. */
static void an_older_group_goes_first(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 40000, NULL);
	rig_write(&rig, 30000, 500);
	assert_int_equal(netfs_core_barrier(rig.core), 0);
	rig_clear_log(&rig);
	rig_begin(&rig, &io, true, 0, 500, NETFS_IO_DSYNC);
	assert_int_equal(rig_finish(&io), 500);
	rig_note_write(&rig, &io);
	assert_string_equal(rig.log, "w30000+500;w0+500;");
	assert_true(rig.syncs >= 2);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	netfs_core_settle_groups(rig.core);
	rig_run();
	rig_stop(&rig);
}

/* A short answer, a lost connection and a refusal are as for any upload. */
static void failures_are_those_of_an_upload(void **unused)
{
	static struct rig rig;
	static struct rig_io io;
	struct netfs_range stuck;

	rig_start(&rig, 20000, NULL);
	rig.hold = true;
	rig_begin(&rig, &io, true, 100, 1000, NETFS_IO_DSYNC);
	rig_run();
	rig_answer(&rig, 0, 300, 0, 0);
	assert_int_equal(rig.held[0]->start, 400);
	rig_answer(&rig, 0, 0, -ENOTCONN, NETFS_SLICE_RETRY);
	rig_sleep_ms(10000);
	rig_answer(&rig, 0, 200, -ENOSPC, 0);
	assert_true(io.ended);
	assert_int_equal(io.result, -ENOSPC);
	assert_int_equal(rig.syncs, 0);
	io.result = 1000;
	rig_note_write(&rig, &io);
	assert_int_equal(netfs_inode_stuck(&rig.inode, &stuck, 1), 1);
	assert_int_equal(stuck.from, 600);
	assert_int_equal(stuck.to, 1100);
	rig_release(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_check(&rig);
	rig_stop(&rig);
}

/* Called off while it waits: before it wrote, nothing is written; after, its
 * bytes stay and arrive. */
static void a_cancelled_one_ends_at_once(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 20000, NULL);
	rig_write(&rig, 0, 500);
	rig.hold = true;
	rig_begin(&rig, &io, true, 100, 1000, NETFS_IO_DSYNC);
	rig_run();
	netfs_core_io_cancel(&rig.inode, &io.io);
	assert_int_equal(rig_finish(&io), -EINTR);
	rig_release(&rig);
	rig_check(&rig);
	rig.hold = true;
	rig_begin(&rig, &io, true, 100, 1000, NETFS_IO_DSYNC);
	rig_run();
	netfs_core_io_cancel(&rig.inode, &io.io);
	assert_int_equal(rig_finish(&io), -EINTR);
	io.result = 1000;
	rig_note_write(&rig, &io);
	rig_release(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_check(&rig);
	rig_stop(&rig);
}

static void cache_has_room(void *user)
{
	netfs_core_ready(((struct rig *)user)->core);
}

/* Server and cache get it in one request, each tiled its own way; a failing
 * cache is not the write's business. */
static void the_cache_gets_its_share(void **unused)
{
	for (int dead = 0; dead < 2; dead++) {
		static struct rig rig;
		static struct rig_io io;
		struct cache_script cache;

		rig_start(&rig, 0, &(struct rig_options){.wsize = 5000});
		cache_script_init(&cache, cache_has_room, &rig);
		cache.dead = dead;
		netfs_inode_set_cookie(&rig.inode, &cache.cookie);
		rig_begin(&rig, &io, true, 0, 4 * PAGE, NETFS_IO_DSYNC);
		assert_int_equal(rig_finish(&io), 4 * PAGE);
		rig_note_write(&rig, &io);
		rig_sleep_ms(10000);
		assert_int_equal(rig_count(&rig, writethrough_requests), 1);
		assert_int_equal(rig_count(&rig, upload_slices), 4);
		assert_int_equal(cache.writes, 1);
		assert_int_equal(rig_count(&rig, cache_write_bytes), dead ? 0 : 4 * PAGE);
		assert_int_equal(netfs_ranges_count(&cache.there), dead ? 0 : 1);
		cache_script_check(&cache, rig.server, rig.server_size);
		rig_check(&rig);
		netfs_inode_set_cookie(&rig.inode, NULL);
		cache_script_done(&cache);
		rig_stop(&rig);
	}
}

/* Where content is encrypted it is a write and a flush; an error is told all the
 * same, and the bytes are kept. */
static void failures_are_told_of_encrypted_files(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 0, &(struct rig_options){.encrypted = true, .created = true});
	rig.write_error = -ENOSPC;
	rig.fail_count = -1;
	rig_begin(&rig, &io, true, 0, 2 * PAGE, NETFS_IO_DSYNC);
	assert_int_equal(rig_finish(&io), -ENOSPC);
	assert_int_equal(netfs_core_dirty(rig.core), 2 * PAGE);
	rig.write_error = 0;
	rig.fail_count = 0;
	rig_begin(&rig, &io, true, 0, 2 * PAGE, NETFS_IO_DSYNC);
	assert_int_equal(rig_finish(&io), 2 * PAGE);
	assert_int_equal(netfs_core_dirty(rig.core), 0);
	assert_true(rig.syncs > 0);
	rig_stop(&rig);
}

/* A write past the cache is only made durable. */
static void past_the_cache_it_is_made_durable(void **unused)
{
	static struct rig rig;
	static struct rig_io io;

	rig_start(&rig, 20000, NULL);
	rig_begin(&rig, &io, true, 100, 1000, NETFS_IO_DSYNC | NETFS_IO_DIRECT);
	assert_int_equal(rig_finish(&io), 1000);
	rig_note_write(&rig, &io);
	assert_int_equal(rig.syncs, 1);
	assert_int_equal(rig_count(&rig, writethrough_requests), 0);
	rig_check_server(&rig);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_sends_its_own_bytes_alone),
		cmocka_unit_test(stable_answers_are_enough),
		cmocka_unit_test(it_ends_when_the_answer_comes),
		cmocka_unit_test(older_bytes_of_its_range_go_first),
		cmocka_unit_test(overlapping_writes_keep_their_order),
		cmocka_unit_test(appends_go_to_the_end_one_by_one),
		cmocka_unit_test(an_older_group_goes_first),
		cmocka_unit_test(failures_are_those_of_an_upload),
		cmocka_unit_test(a_cancelled_one_ends_at_once),
		cmocka_unit_test(the_cache_gets_its_share),
		cmocka_unit_test(failures_are_told_of_encrypted_files),
		cmocka_unit_test(past_the_cache_it_is_made_durable),
	};

	return t_run(tests, NULL, NULL);
}
