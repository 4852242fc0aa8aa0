/* SPDX-License-Identifier: MIT */
/*
 * Goal: a reader with a pattern finds its data in memory before it asks, one
 * without a pattern is not charged for anything, and neither waits because of
 * read-ahead.
 * Method: the real core over a server whose answers take a set time; virtual
 * time and the server's log tell who waited and what was asked.
 */
#include "plain.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <base/rng.h>
#include <core/core_internal.h>
#include <env/clock.h>

#define MS  NETFS_NS_PER_MS
#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)

static struct plain *file_of(uint64_t size, uint32_t rasize)
{
	struct plain *plain = calloc(1, sizeof(*plain));

	plain->size = size;
	plain->rasize = rasize;
	plain->delay_ns = 5 * MS;
	return plain;
}

static void end(struct plain *plain)
{
	plain_stop(plain);
	free(plain);
}

/* Reads len bytes at from, from + step, ... count times; virtual ns it took. */
static uint64_t read_steps(struct plain *plain, uint64_t from, int64_t step, size_t len,
			   unsigned count)
{
	uint64_t before = netfs_clock_now();

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(plain_read(plain, from + i * step, len, 0), len);
	return netfs_clock_now() - before;
}

static void a_sequential_reader_hardly_waits(void **state)
{
	struct plain *plain = file_of(32 * MIB, 4 * MIB);
	uint64_t took;

	plain_start(plain);
	/* 2,000 reads that would take 5 ms each. */
	took = read_steps(plain, 0, 4096, 4096, 2000);
	assert_true(took < 200 * MS);
	end(plain);
}

static void a_reader_in_the_middle_of_a_file_is_followed(void **state)
{
	struct plain *plain = file_of(32 * MIB, 4 * MIB);

	plain_start(plain);
	assert_true(read_steps(plain, 8 * MIB + 100, 1000, 1000, 2000) < 100 * MS);
	end(plain);
}

/* The records come, the gaps between them do not. */
static void a_strided_reader_hardly_waits(void **state)
{
	struct plain *plain = file_of(400 * MIB, 4 * MIB);

	plain_start(plain);
	assert_true(read_steps(plain, 0, 256 * KIB, 4096, 1000) < 500 * MS);
	plain_idle(plain);
	assert_true(plain_stat(plain, NETFS_STAT_download_bytes) < 1200 * 4096 + 2 * MIB);
	end(plain);
}

/* Each record is read in two calls. */
static void records_read_in_parts_are_followed(void **state)
{
	struct plain *plain = file_of(400 * MIB, 4 * MIB);
	uint64_t before;

	plain_start(plain);
	before = netfs_clock_now();
	for (unsigned i = 0; i < 500; i++) {
		plain_read(plain, 5 * MIB + i * 300 * KIB, 4096, 0);
		plain_read(plain, 5 * MIB + i * 300 * KIB + 4096, 4096, 0);
	}
	assert_true(netfs_clock_now() - before < 500 * MS);
	plain_idle(plain);
	assert_true(plain_stat(plain, NETFS_STAT_download_bytes) < 700 * 8192 + 2 * MIB);
	end(plain);
}

static void a_backward_reader_hardly_waits(void **state)
{
	struct plain *plain = file_of(32 * MIB, 4 * MIB);

	plain_start(plain);
	assert_true(read_steps(plain, 32 * MIB - 4096, -4096, 4096, 2000) < 200 * MS);
	/* Down to the start of the file, and no further. */
	assert_true(read_steps(plain, 1 * MIB - 4096, -4096, 4096, 256) < 100 * MS);
	end(plain);
}

static void interleaved_streams_are_told_apart(void **state)
{
	struct plain *plain = file_of(300 * MIB, 4 * MIB);
	uint64_t before;

	plain_start(plain);
	before = netfs_clock_now();
	for (unsigned i = 0; i < 500; i++) {
		plain_read(plain, 100 * MIB + i * 4096, 4096, 0);
		plain_read(plain, 300 * MIB - (i + 1) * 4096, 4096, 0);
		plain_read(plain, i * 64 * KIB, 4096, 0);
	}
	/* 1,500 reads of 5 ms. */
	assert_true(netfs_clock_now() - before < 600 * MS);
	end(plain);
}

static void a_random_reader_is_not_served_ahead(void **state)
{
	struct plain *plain = file_of(1024 * MIB, 4 * MIB);
	struct netfs_rng rng;

	netfs_rng_init(&rng, 42);
	plain->delay_ns = 0;
	plain_start(plain);
	for (unsigned i = 0; i < 500; i++)
		plain_read(plain, 4096 + netfs_rng_below(&rng, 1023 * MIB), 4096, 0);
	assert_true(plain_stat(plain, NETFS_STAT_readahead_bytes) < 1 * MIB);
	end(plain);
}

/* A path that holds little needs little; one that holds much gets much. */
/* What is in memory is read in order without anything being asked for ahead,
 * until the first byte that is missing. */
static void a_hit_begins_no_stream(void **state)
{
	struct plain *plain = file_of(32 * MIB, 4 * MIB);

	plain->delay_ns = 0;
	plain_start(plain);
	assert_int_equal(plain_read(plain, 8 * MIB, 2 * MIB, 0), 2 * MIB);
	read_steps(plain, 8 * MIB, 64 * KIB, 64 * KIB, 32);
	plain_idle(plain);
	assert_int_equal(plain_stat(plain, NETFS_STAT_readahead_bytes), 0);
	read_steps(plain, 10 * MIB, 64 * KIB, 64 * KIB, 1);
	plain_idle(plain);
	assert_true(plain_stat(plain, NETFS_STAT_readahead_bytes) > 0);
	end(plain);
}

static void the_window_follows_bandwidth_and_delay(void **state)
{
	static const struct {
		uint64_t bytes_per_s, delay_ns, least, most;
	} paths[] = {
		/* 32 KiB in flight; the least there is. */
		{32 * MIB, MS, 128 * KIB, 512 * KIB},
		/* 1 MiB in flight. */
		{100 * MIB, 10 * MS, 2 * MIB, 8 * MIB},
		/* 20 MiB in flight: the limit. */
		{1000 * MIB, 20 * MS, 16 * MIB, 16 * MIB},
	};

	for (unsigned i = 0; i < 3; i++) {
		struct plain *plain = file_of(200 * MIB, 16 * MIB);
		uint32_t window;

		plain->memory_max = 256 * MIB;
		plain->rsize = 64 * KIB;
		plain->delay_ns = paths[i].delay_ns;
		plain->bytes_per_s = paths[i].bytes_per_s;
		plain_start(plain);
		read_steps(plain, 0, 64 * KIB, 64 * KIB, 1000);
		window = netfs_pace_window(plain->core);
		if (window < paths[i].least || window > paths[i].most)
			fail_msg("path %u: window %u", i, window);
		end(plain);
	}
}

/* The path is used: as fast as the wire, not a window per round trip. */
static void a_fast_and_distant_server_is_used_fully(void **state)
{
	struct plain *plain = file_of(200 * MIB, 16 * MIB);
	uint64_t took;

	plain->memory_max = 256 * MIB;
	plain->delay_ns = 10 * MS;
	plain->bytes_per_s = 200 * MIB;
	plain_start(plain);
	took = read_steps(plain, 0, 64 * KIB, 64 * KIB, 3200);
	assert_true(took < 1200 * MS);
	end(plain);
}

static void windows_shrink_when_memory_is_short(void **state)
{
	struct plain *plain = file_of(64 * MIB, 4 * MIB);

	plain->memory_max = 4 * MIB;
	plain_start(plain);
	assert_true(netfs_pace_window(plain->core) <= 512 * KIB);
	/* Data that cannot leave takes what there is. */
	plain->hold = true;
	assert_int_equal(plain_write(plain, 60 * MIB, 3 * MIB, 0), 3 * MIB);
	assert_true(netfs_pace_window(plain->core) <= 128 * KIB);
	for (unsigned i = 0; i < 3; i++)
		netfs_core_advise(&plain->inode, &plain->opener, i * 8 * MIB, MIB,
				  NETFS_ADVICE_WILLNEED);
	assert_true(netfs_budget_used(plain->budget) <= 4 * MIB);
	plain_release(plain);
	assert_int_equal(plain_flush(plain), 0);
	read_steps(plain, 0, 4096, 4096, 4000);
	/* Never more than a part of memory was asked for and not yet read. */
	assert_true(netfs_budget_used(plain->budget) <= 4 * MIB);
	end(plain);
}

/* What is evicted before anybody read it was too much; what is used grows the
 * windows again. */
static void unused_read_ahead_makes_windows_smaller(void **state)
{
	struct plain *plain = file_of(512 * MIB, 4 * MIB);
	uint32_t before;

	plain->memory_max = 32 * MIB;
	plain_start(plain);
	before = netfs_pace_window(plain->core);
	for (unsigned i = 0; i < 14; i++)
		assert_int_equal(netfs_core_advise(&plain->inode, &plain->opener, i * 8 * MIB,
						   8 * MIB, NETFS_ADVICE_WILLNEED),
				 0),
			plain_idle(plain);
	assert_true(plain_stat(plain, NETFS_STAT_readahead_unused) > 0);
	assert_true(netfs_pace_window(plain->core) < before);
	read_steps(plain, 256 * MIB, 64 * KIB, 64 * KIB, 3000);
	assert_int_equal(netfs_pace_window(plain->core), before);
	end(plain);
}

static void used_and_unused_bytes_are_counted(void **state)
{
	struct plain *plain = file_of(8 * MIB, 1 * MIB);
	uint64_t asked, used;

	plain_start(plain);
	read_steps(plain, 0, 4096, 4096, 100);
	plain_idle(plain);
	asked = plain_stat(plain, NETFS_STAT_readahead_bytes);
	used = plain_stat(plain, NETFS_STAT_readahead_used);
	assert_true(used >= 90 * 4096 && used <= 100 * 4096);
	assert_int_equal(plain_stat(plain, NETFS_STAT_readahead_unused), 0);
	netfs_inode_invalidate(&plain->inode, 0, UINT64_MAX);
	assert_int_equal(plain_stat(plain, NETFS_STAT_readahead_unused), asked - used);
	end(plain);
}

/* The server takes one slice at a time and is busy with read-ahead. */
static void a_read_passes_read_ahead(void **state)
{
	struct plain *plain = file_of(64 * MIB, 4 * MIB);
	struct plain_io io;
	unsigned asked;

	plain->depth = 1;
	plain->rsize = 64 * KIB;
	plain_start(plain);
	plain->hold = true;
	netfs_core_advise(&plain->inode, &plain->opener, 8 * MIB, MIB, NETFS_ADVICE_WILLNEED);
	netfs_core_advise(&plain->inode, &plain->opener, 10 * MIB, MIB, NETFS_ADVICE_WILLNEED);
	netfs_core_advise(&plain->inode, &plain->opener, 12 * MIB, MIB, NETFS_ADVICE_WILLNEED);
	plain_read_start(plain, &io, 40 * MIB, 4096, 0);
	asked = plain->nasked;
	assert_int_equal(asked, 1);
	plain_release(plain);
	assert_int_equal(plain_wait(plain, &io), 4096);
	/* It came right after the one that was under way. */
	assert_int_equal(plain->asked[asked].start, 40 * MIB);
	end(plain);
}

static void fail_once(struct plain *plain, const struct netfs_slice *slice,
		      struct plain_verdict *verdict)
{
	int *failures = plain->user;

	if (slice->start >= MIB && (*failures)++ == 0)
		verdict->err = -EIO;
}

/* Its failure is nobody's: the reader asks again. */
static void failed_read_ahead_fails_no_read(void **state)
{
	struct plain *plain = file_of(8 * MIB, 4 * MIB);
	int failures = 0;

	plain->judge = fail_once;
	plain->user = &failures;
	plain_start(plain);
	read_steps(plain, 0, 64 * KIB, 64 * KIB, 128);
	assert_true(failures > 1);
	end(plain);
}

static int advise(struct plain *plain, uint64_t start, uint64_t len, enum netfs_advice advice)
{
	return netfs_core_advise(&plain->inode, &plain->opener, start, len, advice);
}

static void advice_changes_what_is_read_ahead(void **state)
{
	struct plain *plain = file_of(64 * MIB, 4 * MIB);

	plain_start(plain);
	assert_int_equal(advise(plain, 0, 0, NETFS_ADVICE_RANDOM), 0);
	read_steps(plain, 0, 4096, 4096, 50);
	assert_int_equal(plain_stat(plain, NETFS_STAT_readahead_bytes), 0);
	assert_int_equal(advise(plain, 0, 0, NETFS_ADVICE_NORMAL), 0);
	read_steps(plain, 50 * 4096, 4096, 4096, 2);
	plain_idle(plain);
	assert_int_equal(plain_stat(plain, NETFS_STAT_readahead_bytes), 128 * KIB);
	assert_int_equal(advise(plain, 0, 0, NETFS_ADVICE_SEQUENTIAL), 0);
	read_steps(plain, 32 * MIB, 4096, 4096, 2);
	assert_true(plain_stat(plain, NETFS_STAT_readahead_bytes) >= MIB + 128 * KIB);
	assert_int_equal(advise(plain, 0, 0, (enum netfs_advice)77), -EINVAL);
	end(plain);
}

static void what_will_be_needed_is_there(void **state)
{
	struct plain *plain = file_of(64 * MIB, 4 * MIB);
	uint64_t before;

	plain_start(plain);
	assert_int_equal(advise(plain, 10 * MIB, 2 * MIB, NETFS_ADVICE_WILLNEED), 0);
	plain_idle(plain);
	before = netfs_clock_now();
	assert_int_equal(plain_read(plain, 11 * MIB, MIB, 0), MIB);
	assert_int_equal(netfs_clock_now() - before, 0);
	/* Past the end there is nothing. */
	assert_int_equal(advise(plain, 70 * MIB, 0, NETFS_ADVICE_WILLNEED), 0);
	plain_idle(plain);
	assert_int_equal(plain_stat(plain, NETFS_STAT_download_bytes), 2 * MIB);
	end(plain);
}

/* Clean data goes at once, dirty data is sent and goes with the next hint. */
static void what_is_not_needed_goes(void **state)
{
	struct plain *plain = file_of(8 * MIB, 0);

	plain_start(plain);
	plain_read(plain, 0, MIB, 0);
	plain_read(plain, 4 * MIB, MIB, 0);
	assert_int_equal(netfs_core_cached(plain->core), 2 * MIB);
	advise(plain, 0, 2 * MIB, NETFS_ADVICE_DONTNEED);
	assert_int_equal(netfs_core_cached(plain->core), MIB);
	plain_write(plain, 2 * MIB, 4096, 0);
	advise(plain, 0, 0, NETFS_ADVICE_DONTNEED);
	assert_int_equal(netfs_core_cached(plain->core), 4096);
	plain_idle(plain);
	assert_int_equal(plain->nwrites, 1);
	advise(plain, 0, 0, NETFS_ADVICE_DONTNEED);
	assert_int_equal(netfs_core_cached(plain->core), 0);
	end(plain);
}

/* What is read once and not again makes room for what may be. */
static void data_not_reused_leaves_first(void **state)
{
	struct plain *plain = file_of(64 * MIB, 0);
	uint64_t slices;

	plain->memory_max = 4 * MIB;
	plain_start(plain);
	plain_read(plain, 0, 2 * MIB, 0);
	advise(plain, 0, 0, NETFS_ADVICE_NOREUSE);
	/* Once over the memory there is, and half of it again. */
	read_steps(plain, 8 * MIB, 64 * KIB, 64 * KIB, 48);
	slices = plain_stat(plain, NETFS_STAT_download_slices);
	plain_read(plain, 0, 2 * MIB, 0);
	assert_int_equal(plain_stat(plain, NETFS_STAT_download_slices), slices);
	end(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sequential_reader_hardly_waits),
		cmocka_unit_test(a_reader_in_the_middle_of_a_file_is_followed),
		cmocka_unit_test(a_strided_reader_hardly_waits),
		cmocka_unit_test(records_read_in_parts_are_followed),
		cmocka_unit_test(a_backward_reader_hardly_waits),
		cmocka_unit_test(interleaved_streams_are_told_apart),
		cmocka_unit_test(a_random_reader_is_not_served_ahead),
		cmocka_unit_test(a_hit_begins_no_stream),
		cmocka_unit_test(the_window_follows_bandwidth_and_delay),
		cmocka_unit_test(a_fast_and_distant_server_is_used_fully),
		cmocka_unit_test(windows_shrink_when_memory_is_short),
		cmocka_unit_test(unused_read_ahead_makes_windows_smaller),
		cmocka_unit_test(used_and_unused_bytes_are_counted),
		cmocka_unit_test(a_read_passes_read_ahead),
		cmocka_unit_test(failed_read_ahead_fails_no_read),
		cmocka_unit_test(advice_changes_what_is_read_ahead),
		cmocka_unit_test(what_will_be_needed_is_there),
		cmocka_unit_test(what_is_not_needed_goes),
		cmocka_unit_test(data_not_reused_leaves_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
