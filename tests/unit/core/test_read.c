/* SPDX-License-Identifier: MIT */
/*
 * Goal: reads give the right bytes, ask for no more than they should, and end,
 * whatever the server does with the slices they are cut into; and a read or
 * write that must not wait does not.
 * Method: the real core over a server that holds, shortens or fails what the
 * test says.  Numbers in comments name the edge cases of the kernel's library
 * that a test stands for.
 */
#include "plain.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <env/clock.h>

#define MS  NETFS_NS_PER_MS
#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)

static struct plain *file_of(uint64_t size)
{
	struct plain *plain = calloc(1, sizeof(*plain));

	plain->size = size;
	plain->delay_ns = MS;
	return plain;
}

static void end(struct plain *plain)
{
	plain_stop(plain);
	free(plain);
}

/* -------------------------------------------------------- joined reads */

static void several_readers_of_a_range_ask_once(void **state)
{
	struct plain *plain = file_of(MIB);
	struct plain_io io[5];

	plain_start(plain);
	for (unsigned i = 0; i < 5; i++)
		plain_read_start(plain, &io[i], i * 1000, 40000, 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(plain_wait(plain, &io[i]), 40000);
	/* The later ones ask for what lies behind the first only. */
	assert_int_equal(plain_stat(plain, NETFS_STAT_download_bytes), 45056);
	assert_int_equal(plain_stat(plain, NETFS_STAT_read_joined), 3);
	end(plain);
}

/* One who gives up does not take the others' answer away. */
static void a_joined_reader_outlives_the_one_who_asked(void **state)
{
	struct plain *plain = file_of(MIB);
	struct plain_io first, second;

	plain_start(plain);
	plain_read_start(plain, &first, 0, 4096, 0);
	plain_read_start(plain, &second, 0, 4096, 0);
	netfs_core_io_cancel(&plain->inode, &first.io);
	assert_int_equal(plain_wait(plain, &first), -EINTR);
	assert_int_equal(plain_wait(plain, &second), 4096);
	assert_int_equal(plain->nasked, 1);
	end(plain);
}

/* ------------------------------------------------ short, early, failed */

static void at_most_3000(struct plain *plain, const struct netfs_slice *slice,
			 struct plain_verdict *verdict)
{
	if (verdict->moved > 3000)
		verdict->moved = 3000;
}

static void short_reads_are_carried_on(void **state)
{
	struct plain *plain = file_of(100000);

	plain->judge = at_most_3000;
	plain_start(plain);
	assert_int_equal(plain_read(plain, 0, 200000, 0), 100000);
	assert_true(plain->nasked >= 33);
	end(plain);
}

static void nothing_moves(struct plain *plain, const struct netfs_slice *slice,
			  struct plain_verdict *verdict)
{
	verdict->moved = 0;
}

/* 78: a short read without progress is an error, not an endless loop. */
static void a_read_without_progress_fails(void **state)
{
	struct plain *plain = file_of(MIB);

	plain->judge = nothing_moves;
	plain_start(plain);
	assert_int_equal(plain_read(plain, 0, 4096, 0), -EIO);
	assert_true(plain->nasked <= 2);
	/* The next one tries again. */
	plain->judge = NULL;
	assert_int_equal(plain_read(plain, 0, 4096, 0), 4096);
	end(plain);
}

/* 77: the server's file ends where ours goes on: the rest is zero. */
static void what_the_server_lacks_below_our_end_is_zero(void **state)
{
	struct plain *plain = file_of(5000);
	struct plain_io io;

	plain->other_size = true;
	plain->told_size = 20000;
	plain_start(plain);
	plain_read_start(plain, &io, 0, 30000, 0);
	plain_idle(plain);
	assert_true(io.ended);
	assert_int_equal(io.result, 20000);
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(io.buf[i], i < 5000 ? plain_byte(i) : 0);
	plain_wait(plain, &io);
	end(plain);
}

/* The file is cut at the server while a read of it is half answered. */
static void cut_after_3000(struct plain *plain, const struct netfs_slice *slice,
			   struct plain_verdict *verdict)
{
	if (slice->start == 0) {
		verdict->moved = 3000;
		plain->take_max = 4096;
		return;
	}
	plain->size = 3000;
	verdict->moved = 0;
	verdict->flags = NETFS_SLICE_EOF;
}

/* 77, where the rest is asked for in parts of which the first brings nothing:
 * an end is an answer, not a lack of progress. */
static void an_end_that_answers_a_part_is_progress(void **state)
{
	struct plain *plain = file_of(20000);
	struct plain_io io;

	plain->judge = cut_after_3000;
	plain_start(plain);
	plain_read_start(plain, &io, 0, 20000, 0);
	plain_idle(plain);
	assert_true(io.ended);
	assert_int_equal(io.result, 20000);
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(io.buf[i], i < 3000 ? plain_byte(i) : 0);
	plain_wait(plain, &io);
	end(plain);
}

/* 77, with an extension of ours that was not sent. */
static void a_hole_before_unsent_data_is_zero(void **state)
{
	struct plain *plain = file_of(5000);
	struct plain_io io;

	plain_start(plain);
	plain->hold = true;
	plain_write(plain, 100000, 10, 0);
	plain->hold = false;
	plain_read_start(plain, &io, 4000, 100000, 0);
	plain_idle(plain);
	assert_int_equal(io.result, 96010);
	for (unsigned i = 0; i < 96000; i++)
		assert_int_equal(io.buf[i], 4000 + i < 5000 ? plain_byte(4000 + i) : 0);
	assert_int_equal(io.buf[96000], 0xee);
	plain_wait(plain, &io);
	end(plain);
}

/* 85: a direct read past the end gives what is there, and touches no more. */
static void a_direct_read_ends_where_the_file_ends(void **state)
{
	struct plain *plain = file_of(10000);
	struct plain_io io;

	plain->rsize = 4096;
	plain_start(plain);
	plain_read_start(plain, &io, 1000, 50000, NETFS_IO_DIRECT);
	plain_idle(plain);
	assert_int_equal(io.result, 9000);
	for (unsigned i = 0; i < 50000; i++)
		assert_int_equal(io.buf[i], i < 9000 ? plain_byte(1000 + i) : 0xee);
	plain_wait(plain, &io);
	end(plain);
}

static void fail_second_slice(struct plain *plain, const struct netfs_slice *slice,
			      struct plain_verdict *verdict)
{
	if (slice->start == 4096)
		verdict->err = -EIO;
}

/* 85: slices behind a failed one do not count. */
static void a_direct_read_counts_the_contiguous_part(void **state)
{
	struct plain *plain = file_of(100000);

	plain->rsize = 4096;
	plain->judge = fail_second_slice;
	plain_start(plain);
	assert_int_equal(plain_read(plain, 0, 40000, NETFS_IO_DIRECT), 4096);
	assert_int_equal(plain_read(plain, 4096, 40000, NETFS_IO_DIRECT), -EIO);
	end(plain);
}

/* 85: our file is longer than the server's; zeroes up to our end. */
static void a_direct_read_sees_our_end(void **state)
{
	struct plain *plain = file_of(5000);
	struct plain_io io;

	plain_start(plain);
	plain_write(plain, 20000, 10, 0);
	plain->judge = NULL;
	/* The write is sent first, so the server fills the hole itself. */
	plain_read_start(plain, &io, 0, 50000, NETFS_IO_DIRECT);
	plain_idle(plain);
	assert_int_equal(io.result, 20010);
	plain_wait(plain, &io);
	end(plain);
}

static void fail_third_page(struct plain *plain, const struct netfs_slice *slice,
			    struct plain_verdict *verdict)
{
	if (slice->start == 8192)
		verdict->err = -EACCES;
}

/* 19: the slices of one large folio have different fates.  Each reader gets
 * what its own bytes became. */
static void parts_of_a_folio_fail_on_their_own(void **state)
{
	struct plain *plain = file_of(64 * KIB);
	struct plain_io all, head, bad;

	plain->rsize = 4096;
	plain->judge = fail_third_page;
	plain_start(plain);
	plain_read_start(plain, &all, 0, 64 * KIB, 0);
	plain_read_start(plain, &head, 0, 8192, 0);
	plain_read_start(plain, &bad, 8192, 4096, 0);
	/* Up to the failure, which the next read meets. */
	assert_int_equal(plain_wait(plain, &all), 8192);
	assert_int_equal(plain_wait(plain, &head), 8192);
	assert_int_equal(plain_wait(plain, &bad), -EACCES);
	plain->judge = NULL;
	assert_int_equal(plain_read(plain, 0, 64 * KIB, 0), 64 * KIB);
	end(plain);
}

/* ------------------------------------------------------------- gaps */

/* 23: only what the writer left out is asked for, and the writer's bytes stay. */
static void gaps_of_a_written_folio_are_filled(void **state)
{
	struct plain *plain = file_of(MIB);
	struct plain_io io;

	plain_start(plain);
	/* One folio of 16 KiB, written in its middle. */
	plain->hold = true;
	plain_write(plain, 5000, 6000, 0);
	plain->hold = false;
	plain_read_start(plain, &io, 0, 16384, 0);
	plain_idle(plain);
	assert_int_equal(io.result, 16384);
	for (unsigned i = 0; i < 16384; i++)
		assert_int_equal(io.buf[i], i >= 5000 && i < 11000 ? 0xee : plain_byte(i));
	plain_wait(plain, &io);
	assert_true(plain_was_asked(plain, 0, 5000));
	assert_true(plain_was_asked(plain, 11000, 16384));
	assert_int_equal(plain_stat(plain, NETFS_STAT_download_bytes), 16384 - 6000);
	end(plain);
}

/* 23: a write that comes while the gaps are on their way wins. */
static void a_write_is_not_overwritten_by_an_older_answer(void **state)
{
	struct plain *plain = file_of(MIB);
	struct plain_io io;

	plain_start(plain);
	plain->hold = true;
	plain_read_start(plain, &io, 0, 4096, 0);
	assert_int_equal(plain_write(plain, 100, 50, 0), 50);
	plain_release(plain);
	plain_idle(plain);
	assert_int_equal(io.result, 4096);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(io.buf[i], i >= 100 && i < 150 ? 0xee : plain_byte(i));
	plain_wait(plain, &io);
	end(plain);
}

/* ---------------------------------------------------------- granules */

/* 82: the request is wider than the read on both sides, inside the file. */
static void a_miss_is_widened_to_the_granule(void **state)
{
	struct plain *plain = file_of(300 * KIB);

	plain->granule = 64 * KIB;
	plain_start(plain);
	assert_int_equal(plain_read(plain, 100 * KIB, 4096, 0), 4096);
	assert_int_equal(plain->nasked, 1);
	assert_true(plain_was_asked(plain, 64 * KIB, 128 * KIB));
	/* The first and the last granule. */
	assert_int_equal(plain_read(plain, 1, 1, 0), 1);
	assert_true(plain_was_asked(plain, 0, 64 * KIB));
	assert_int_equal(plain_read(plain, 299 * KIB, 100 * KIB, 0), KIB);
	assert_true(plain_was_asked(plain, 256 * KIB, 300 * KIB));
	assert_int_equal(plain->nasked, 3);
	end(plain);
}

/* A granule of which nothing is missing in the range is left as it is. */
static void a_hit_is_not_widened(void **state)
{
	struct plain *plain = file_of(MIB);
	struct plain_io io;

	plain->granule = 64 * KIB;
	plain_start(plain);
	plain->hold = true;
	plain_write(plain, 64 * KIB, 4096, 0);
	plain->hold = false;
	/* Of the second granule only what was written is wanted. */
	plain_read_start(plain, &io, 60 * KIB, 8192, 0);
	assert_int_equal(plain_wait(plain, &io), 8192);
	assert_int_equal(plain_stat(plain, NETFS_STAT_download_bytes), 64 * KIB);
	end(plain);
}

static void written_bytes_survive_a_widened_read(void **state)
{
	struct plain *plain = file_of(MIB);
	struct plain_io io;

	plain->granule = 256 * KIB;
	plain_start(plain);
	plain->hold = true;
	plain_write(plain, 10 * KIB, 100, 0);
	plain->hold = false;
	plain_read_start(plain, &io, 0, 256 * KIB, 0);
	plain_idle(plain);
	assert_int_equal(io.result, 256 * KIB);
	for (unsigned i = 0; i < 256 * KIB; i++) {
		bool ours = i >= 10 * KIB && i < 10 * KIB + 100;

		assert_int_equal(io.buf[i], ours ? 0xee : plain_byte(i));
	}
	plain_wait(plain, &io);
	end(plain);
}

/* 82: without memory for more, what was wanted comes all the same. */
static void a_read_is_not_widened_beyond_memory(void **state)
{
	struct plain *plain = file_of(8 * MIB);

	plain->granule = 2 * MIB;
	plain->memory_max = 64 * KIB;
	plain_start(plain);
	for (uint64_t pos = 0; pos < 8 * MIB; pos += 500 * KIB)
		assert_int_equal(plain_read(plain, pos, 100, 0), 100);
	end(plain);
}

/* Read-ahead too: each request consists of whole granules. */
static void read_ahead_is_widened(void **state)
{
	struct plain *plain = file_of(8 * MIB);

	plain->granule = 128 * KIB;
	plain->rasize = MIB;
	plain_start(plain);
	for (unsigned i = 0; i < 200; i++)
		plain_read(plain, i * 5000, 5000, 0);
	plain_idle(plain);
	assert_true(plain->nasked > 1);
	for (unsigned i = 0; i < plain->nasked; i++) {
		assert_int_equal(plain->asked[i].start % (128 * KIB), 0);
		assert_int_equal(plain->asked[i].end % (128 * KIB), 0);
	}
	end(plain);
}

/* ------------------------------------------------------------ NOWAIT */

static void a_read_that_must_not_wait_gives_what_is_there(void **state)
{
	struct plain *plain = file_of(MIB);

	plain_start(plain);
	assert_int_equal(plain_read(plain, 0, 8192, NETFS_IO_NOWAIT), -EAGAIN);
	assert_int_equal(plain->nasked, 0);
	plain_read(plain, 0, 4096, 0);
	assert_int_equal(plain_read(plain, 0, 8192, NETFS_IO_NOWAIT), 4096);
	assert_int_equal(plain_read(plain, 100, 1000, NETFS_IO_NOWAIT), 1000);
	assert_int_equal(plain_read(plain, 2 * MIB, 1000, NETFS_IO_NOWAIT), 0);
	assert_int_equal(plain->nasked, 1);
	end(plain);
}

/* All or nothing, because a short one means the end of the file. */
static void a_borrowed_read_that_must_not_wait_is_whole(void **state)
{
	struct plain *plain = file_of(MIB);
	unsigned flags = NETFS_IO_NOWAIT | NETFS_IO_BORROW;
	struct plain_io io;

	plain_start(plain);
	plain_read(plain, 0, 4096, 0);
	plain_read_start(plain, &io, 0, 8192, flags);
	assert_int_equal(plain_wait(plain, &io), -EAGAIN);
	plain_read_start(plain, &io, 0, 4096, flags);
	assert_true(io.ended);
	netfs_core_io_end(&io.io);
	assert_int_equal(plain_wait(plain, &io), 4096);
	end(plain);
}

/* A download under way is not waited for either. */
static void a_read_that_must_not_wait_joins_nobody(void **state)
{
	struct plain *plain = file_of(MIB);
	struct plain_io io;

	plain_start(plain);
	plain_read_start(plain, &io, 0, 4096, 0);
	assert_int_equal(plain_read(plain, 0, 4096, NETFS_IO_NOWAIT), -EAGAIN);
	assert_int_equal(plain_wait(plain, &io), 4096);
	assert_int_equal(plain_read(plain, 0, 4096, NETFS_IO_NOWAIT), 4096);
	end(plain);
}

/* Known zeroes need no server. */
static void known_zeroes_are_there_at_once(void **state)
{
	struct plain *plain = file_of(4096);
	struct plain_io io;

	plain_start(plain);
	plain_write(plain, 100000, 10, 0);
	plain_read_start(plain, &io, 8192, 50000, NETFS_IO_NOWAIT);
	assert_true(io.ended);
	for (unsigned i = 0; i < 50000; i++)
		assert_int_equal(io.buf[i], 0);
	assert_int_equal(plain_wait(plain, &io), 50000);
	end(plain);
}

struct lock {
	struct netfs_completion done;
	bool ended;
};

static void locked(struct netfs_completion *done, int err)
{
	netfs_container_of(done, struct lock, done)->ended = true;
}

/* Somebody has the file to himself. */
static void nothing_waits_at_the_gate_that_must_not(void **state)
{
	struct plain *plain = file_of(MIB);
	struct lock lock = {.done = {.fn = locked}};

	plain_start(plain);
	plain_read(plain, 0, 4096, 0);
	netfs_inode_lock(&plain->inode, &lock.done);
	assert_true(lock.ended);
	assert_int_equal(plain_read(plain, 0, 4096, NETFS_IO_NOWAIT), -EAGAIN);
	assert_int_equal(plain_write(plain, 0, 4096, NETFS_IO_NOWAIT), -EAGAIN);
	assert_int_equal(plain_read(plain, 0, 4096, NETFS_IO_NOWAIT | NETFS_IO_DIRECT), -EAGAIN);
	assert_int_equal(plain_write(plain, 0, 4096, NETFS_IO_NOWAIT | NETFS_IO_DIRECT), -EAGAIN);
	/* A hint is lost. */
	netfs_core_advise(&plain->inode, &plain->opener, 0, MIB, NETFS_ADVICE_WILLNEED);
	assert_int_equal(plain->nasked, 1);
	netfs_inode_unlock(&plain->inode);
	assert_int_equal(plain_read(plain, 0, 4096, NETFS_IO_NOWAIT), 4096);
	end(plain);
}

static void a_write_that_must_not_wait_is_not_throttled(void **state)
{
	struct plain *plain = file_of(0);

	plain->dirty_max = 64 * KIB;
	plain_start(plain);
	plain->hold = true;
	assert_int_equal(plain_write(plain, 0, 64 * KIB, NETFS_IO_NOWAIT), 64 * KIB);
	assert_int_equal(plain_write(plain, 64 * KIB, 4096, NETFS_IO_NOWAIT), -EAGAIN);
	assert_int_equal(plain_stat(plain, NETFS_STAT_write_throttled), 0);
	/* To be durable takes a server. */
	assert_int_equal(plain_write(plain, 0, 10, NETFS_IO_NOWAIT | NETFS_IO_DSYNC), -EAGAIN);
	plain_release(plain);
	assert_int_equal(plain_flush(plain), 0);
	assert_int_equal(plain_write(plain, 64 * KIB, 4096, NETFS_IO_NOWAIT), 4096);
	end(plain);
}

static void direct_io_that_must_not_wait_does_not_flush(void **state)
{
	struct plain *plain = file_of(MIB);
	unsigned flags = NETFS_IO_NOWAIT | NETFS_IO_DIRECT;

	plain_start(plain);
	plain_write(plain, 0, 4096, 0);
	assert_int_equal(plain_read(plain, 0, 8192, flags), -EAGAIN);
	assert_int_equal(plain_write(plain, 4000, 100, flags), -EAGAIN);
	assert_int_equal(plain->nwrites, 0);
	/* Elsewhere nothing has to be sent first. */
	assert_int_equal(plain_read(plain, 64 * KIB, 8192, flags), 8192);
	assert_int_equal(plain_write(plain, 64 * KIB, 100, flags), 100);
	assert_int_equal(plain->nwrites, 1);
	end(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_readers_of_a_range_ask_once),
		cmocka_unit_test(a_joined_reader_outlives_the_one_who_asked),
		cmocka_unit_test(short_reads_are_carried_on),
		cmocka_unit_test(a_read_without_progress_fails),
		cmocka_unit_test(what_the_server_lacks_below_our_end_is_zero),
		cmocka_unit_test(an_end_that_answers_a_part_is_progress),
		cmocka_unit_test(a_hole_before_unsent_data_is_zero),
		cmocka_unit_test(a_direct_read_ends_where_the_file_ends),
		cmocka_unit_test(a_direct_read_counts_the_contiguous_part),
		cmocka_unit_test(a_direct_read_sees_our_end),
		cmocka_unit_test(parts_of_a_folio_fail_on_their_own),
		cmocka_unit_test(gaps_of_a_written_folio_are_filled),
		cmocka_unit_test(a_write_is_not_overwritten_by_an_older_answer),
		cmocka_unit_test(a_miss_is_widened_to_the_granule),
		cmocka_unit_test(a_hit_is_not_widened),
		cmocka_unit_test(written_bytes_survive_a_widened_read),
		cmocka_unit_test(a_read_is_not_widened_beyond_memory),
		cmocka_unit_test(read_ahead_is_widened),
		cmocka_unit_test(a_read_that_must_not_wait_gives_what_is_there),
		cmocka_unit_test(a_borrowed_read_that_must_not_wait_is_whole),
		cmocka_unit_test(a_read_that_must_not_wait_joins_nobody),
		cmocka_unit_test(known_zeroes_are_there_at_once),
		cmocka_unit_test(nothing_waits_at_the_gate_that_must_not),
		cmocka_unit_test(a_write_that_must_not_wait_is_not_throttled),
		cmocka_unit_test(direct_io_that_must_not_wait_does_not_flush),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
