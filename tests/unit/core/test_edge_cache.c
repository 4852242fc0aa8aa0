/* SPDX-License-Identifier: MIT */
/*
 * The engine with a disk cache beside the server.
 *
 * Goal: the cache saves requests and decides nothing: what it fails to give
 * comes from the server in the same request, what it fails to take is
 * forgotten, nobody waits for it or is told of it, and it never keeps what the
 * server does not have.  Edges by their number in doc/edge-cases.md.
 * Method: one file in the rig, and the scripted cache, which takes time; where
 * nothing else is said, it does what it is asked.
 */
#include <cache_script.h>
#include <core/budget.h>
#include "rig.h"

#define PAGE 4096

static struct rig rig;
static struct cache_script cache;

static void cache_has_room(void *user)
{
	netfs_core_ready(rig.core);
}

static void start_with(uint64_t size, uint64_t memory_max)
{
	rig_start(&rig, size, &(struct rig_options){.memory_max = memory_max});
	cache_script_init(&cache, cache_has_room, NULL);
	cache.error_pct = cache.short_pct = cache.cull_pct = 0;
	cache.dead = false;
	netfs_inode_set_cookie(&rig.inode, &cache.cookie);
}

static void start(uint64_t size)
{
	start_with(size, 1 << 20);
}

/* What the cache has is what the server has, and all is at rest. */
static void stop(void)
{
	assert_int_equal(rig_flush(&rig), 0);
	rig_sleep_ms(10000);
	rig_check_server(&rig);
	cache_script_check(&cache, rig.server, rig.server_size);
	rig_check(&rig);
	rig_sleep_ms(10000);
	netfs_inode_set_cookie(&rig.inode, NULL);
	cache_script_done(&cache);
	rig_stop(&rig);
}

/* More memory is wanted than there is: all that is clean goes. */
static void evict(void)
{
	assert_false(netfs_budget_charge(rig.budget, 64 << 20, NULL, false));
	assert_int_equal(netfs_core_cached(rig.core), 0);
}

static bool there(uint64_t from, uint64_t to)
{
	return netfs_ranges_covers(&cache.there, from, to);
}

static bool nothing_there(uint64_t from, uint64_t to)
{
	return !netfs_ranges_overlaps(&cache.there, from, to);
}

/* The file is in the cache, and not in memory. */
static void fill_the_cache(void)
{
	rig_read(&rig, 0, rig.size);
	rig_sleep_ms(1000);
	assert_true(there(0, rig.size));
	evict();
}

/* edge 5 */
static void a_stream_with_nothing_to_do_is_not_waited_for(void **unused)
{
	start(8 * PAGE);
	/* No whole block, of a page that is not in memory. */
	rig_write(&rig, PAGE + 10, 100);
	assert_int_equal(rig_flush(&rig), 0);
	assert_int_equal(cache.writes, 0);
	/* The two whole ones of four: the ends are the server's alone. */
	rig_write(&rig, 3 * PAGE - 50, 2 * PAGE + 100);
	assert_int_equal(rig_flush(&rig), 0);
	rig_sleep_ms(1000);
	assert_int_equal(cache.writes, 1);
	assert_true(there(3 * PAGE, 5 * PAGE));
	assert_true(nothing_there(0, 3 * PAGE) && nothing_there(5 * PAGE, 8 * PAGE));
	stop();
}

/* edge 20 */
static void a_folio_is_cached_in_part(void **unused)
{
	start(16 * PAGE);
	rig_write(&rig, 0, 100);
	rig_read(&rig, 0, 8 * PAGE);
	rig_sleep_ms(1000);
	/* What is dirty is not what the server has. */
	assert_true(there(PAGE, 8 * PAGE));
	assert_true(nothing_there(0, PAGE));
	assert_int_equal(rig_flush(&rig), 0);
	rig_sleep_ms(1000);
	assert_true(there(0, 8 * PAGE));
	stop();
}

/* edge 21 */
static void bytes_just_read_are_changed_before_they_are_stored(void **unused)
{
	start(4 * PAGE);
	rig_read(&rig, 0, 4 * PAGE);
	rig_write(&rig, PAGE, 10);
	rig_sleep_ms(1000);
	cache_script_check(&cache, rig.server, rig.server_size);
	rig_check(&rig);
	assert_int_equal(rig_flush(&rig), 0);
	rig_sleep_ms(1000);
	cache_script_check(&cache, rig.server, rig.server_size);
	assert_true(there(PAGE, 2 * PAGE));
	stop();
}

/* edge 39 */
static void the_cache_goes_for_a_while(void **unused)
{
	start(0);
	for (unsigned round = 0; round < 6; round++) {
		cache.dead = round % 2;
		rig_write(&rig, round * PAGE / 2, 3 * PAGE);
		assert_int_equal(rig_flush(&rig), 0);
		rig_sleep_ms(1000);
		cache_script_check(&cache, rig.server, rig.server_size);
		evict();
		rig_read(&rig, 0, rig.size);
		rig_sleep_ms(1000);
	}
	stop();
}

/* edge 45 */
static void what_was_stored_is_found_after_eviction(void **unused)
{
	unsigned asked;

	start(0);
	rig_write(&rig, 0, 8 * PAGE);
	assert_int_equal(rig_flush(&rig), 0);
	rig_sleep_ms(1000);
	evict();
	asked = rig.reads;
	rig_read(&rig, 0, 8 * PAGE);
	assert_int_equal(rig.reads, asked);
	assert_true(cache.reads > 0);
	stop();
}

/* edge 51: nothing of it is the server's business, or a reason to flush. */
static void copies_for_the_cache_are_no_uploads(void **unused)
{
	start(8 * PAGE);
	rig_read(&rig, 0, 8 * PAGE);
	assert_int_equal(netfs_core_dirty(rig.core), 0);
	assert_int_equal(rig_flush(&rig), 0);
	rig_sleep_ms(1000);
	assert_true(there(0, 8 * PAGE));
	assert_int_equal(rig.writes, 0);
	assert_int_equal(rig.syncs, 0);
	stop();
}

/* edge 52 */
static void a_copy_that_fails_is_told_to_nobody(void **unused)
{
	start(8 * PAGE);
	cache.dead = true;
	rig_read(&rig, 0, 8 * PAGE);
	rig_sleep_ms(1000);
	assert_int_equal(rig_flush(&rig), 0);
	assert_true(nothing_there(0, 8 * PAGE));
	rig_read(&rig, 0, 8 * PAGE);
	/* Nor is it tried for ever. */
	assert_true(cache.writes > 0 && cache.writes < 10);
	stop();
}

/* edge 59 */
static void an_upload_goes_on_without_the_cache(void **unused)
{
	start(8 * PAGE);
	fill_the_cache();
	cache.dead = true;
	rig_write(&rig, PAGE, 2 * PAGE);
	assert_int_equal(rig_flush(&rig), 0);
	rig_sleep_ms(1000);
	assert_true(nothing_there(PAGE, 3 * PAGE));
	/* Only what it failed to take is lost to it. */
	assert_true(there(3 * PAGE, 8 * PAGE));
	cache.dead = false;
	stop();
}

/* edge 66 */
static void a_direct_write_is_not_in_the_cache(void **unused)
{
	start(8 * PAGE);
	fill_the_cache();
	rig.hold = true;
	{
		static struct rig_io io;

		rig_begin(&rig, &io, true, 2 * PAGE, PAGE, NETFS_IO_DIRECT);
		rig_run();
		/* Before the server may have it. */
		assert_true(nothing_there(2 * PAGE, 3 * PAGE));
		rig_release(&rig);
		assert_int_equal(rig_finish(&io), PAGE);
		rig_note_write(&rig, &io);
	}
	rig_read(&rig, 0, 8 * PAGE);
	stop();
}

/* edge 76 */
static void a_failed_read_of_the_cache_goes_to_the_server(void **unused)
{
	unsigned asked;

	for (unsigned way = 0; way < 2; way++) {
		static struct rig_io io;

		start(8 * PAGE);
		fill_the_cache();
		cache.dead = way == 0;
		asked = rig.reads;
		rig_begin(&rig, &io, false, 0, 8 * PAGE, 0);
		if (way == 1) {
			rig_run();
			cache.cookie.ops->invalidate(&cache.cookie, 0, UINT64_MAX);
		}
		assert_int_equal(rig_finish(&io), 8 * PAGE);
		assert_memory_equal(io.buf, rig.mine, 8 * PAGE);
		assert_true(cache.reads > 0);
		assert_true(rig.reads > asked);
		cache.dead = false;
		stop();
	}
}

/* edge 91 */
static void nothing_old_is_read_after_a_change_by_others(void **unused)
{
	start(8 * PAGE);
	fill_the_cache();
	rig_remote_change(&rig, 8 * PAGE, true);
	assert_true(nothing_there(0, 8 * PAGE));
	rig_read(&rig, 0, 8 * PAGE);
	stop();
}

/* edge 95, edge 97 */
static void a_cut_inside_a_block_forgets_the_block(void **unused)
{
	start(8 * PAGE);
	fill_the_cache();
	rig_truncate(&rig, PAGE + 100);
	assert_true(nothing_there(PAGE, 8 * PAGE));
	assert_true(there(0, PAGE));
	rig_truncate(&rig, 4 * PAGE);
	rig_read(&rig, 0, 4 * PAGE);
	rig_sleep_ms(1000);
	cache_script_check(&cache, rig.server, rig.server_size);
	/* A tail that is no whole block is stored at the end of the file only. */
	rig_truncate(&rig, 4 * PAGE + 7);
	evict();
	rig_write(&rig, 3 * PAGE, PAGE + 7);
	assert_int_equal(rig_flush(&rig), 0);
	rig_sleep_ms(1000);
	assert_true(there(3 * PAGE, 4 * PAGE + 7));
	/* The last block was cut off; now it is in the middle. */
	evict();
	rig_write(&rig, 6 * PAGE, PAGE);
	rig_write(&rig, 4 * PAGE, 7);
	assert_int_equal(rig_flush(&rig), 0);
	rig_sleep_ms(1000);
	cache_script_check(&cache, rig.server, rig.server_size);
	stop();
}

/* What came from the cache is in the machine's memory twice already. */
static void what_came_from_the_cache_takes_little_memory(void **unused)
{
	start_with(RIG_ROOM, 2 * RIG_ROOM);
	rig_read(&rig, 0, RIG_ROOM);
	assert_int_equal(netfs_core_cached(rig.core), RIG_ROOM);
	fill_the_cache();
	for (uint64_t at = 0; at < RIG_ROOM; at += 4 * PAGE)
		rig_read(&rig, at, 4 * PAGE);
	assert_true(cache.reads > 0);
	assert_in_range(netfs_core_cached(rig.core), 4 * PAGE, RIG_ROOM / 2 + 4 * PAGE);
	/* The oldest went, and is had again; what is dirty stays. */
	rig_write(&rig, RIG_ROOM - PAGE, 100);
	for (unsigned round = 0; round < 3; round++)
		for (uint64_t at = 0; at < RIG_ROOM; at += 4 * PAGE)
			rig_read(&rig, at, 4 * PAGE);
	assert_int_equal(netfs_core_dirty(rig.core), 100);
	assert_in_range(netfs_core_cached(rig.core), 4 * PAGE, RIG_ROOM / 2 + 8 * PAGE);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_with_nothing_to_do_is_not_waited_for),
		cmocka_unit_test(a_folio_is_cached_in_part),
		cmocka_unit_test(bytes_just_read_are_changed_before_they_are_stored),
		cmocka_unit_test(the_cache_goes_for_a_while),
		cmocka_unit_test(what_was_stored_is_found_after_eviction),
		cmocka_unit_test(copies_for_the_cache_are_no_uploads),
		cmocka_unit_test(a_copy_that_fails_is_told_to_nobody),
		cmocka_unit_test(an_upload_goes_on_without_the_cache),
		cmocka_unit_test(a_direct_write_is_not_in_the_cache),
		cmocka_unit_test(a_failed_read_of_the_cache_goes_to_the_server),
		cmocka_unit_test(nothing_old_is_read_after_a_change_by_others),
		cmocka_unit_test(a_cut_inside_a_block_forgets_the_block),
		cmocka_unit_test(what_came_from_the_cache_takes_little_memory),
	};

	return t_run(tests, NULL, NULL);
}
