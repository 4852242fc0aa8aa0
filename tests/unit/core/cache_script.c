/* SPDX-License-Identifier: MIT */
/*
 * The scripted cache.  Each byte has a stamp that grows with every write that
 * is handed in and every invalidation, so a slice that completes late sees
 * which of its bytes are still its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <env/random.h>
#include "cache_script.h"

static bool chance(unsigned percent)
{
	return netfs_random_below(100) < percent;
}

static struct cache_script *of(struct netfs_cookie *cookie)
{
	return netfs_container_of(cookie, struct cache_script, cookie);
}

static void stamp(struct cache_script *cache, uint64_t from, uint64_t to)
{
	cache->now++;
	if (to > cache->size)
		to = cache->size;
	for (; from < to; from++)
		cache->stamps[from] = cache->now;
}

static void forget(struct netfs_cookie *cookie, uint64_t from, uint64_t to)
{
	struct cache_script *cache = of(cookie);

	stamp(cache, from, to);
	assert_int_equal(netfs_ranges_remove(&cache->there, from, to), 0);
}

static bool present(struct netfs_cookie *cookie, uint64_t from, uint64_t to, uint64_t *ret_from,
		    uint64_t *ret_to)
{
	struct cache_script *cache = of(cookie);
	struct netfs_range range;
	bool some = netfs_ranges_next(&cache->there, from, to, &range);

	if (chance(cache->cull_pct))
		forget(cookie, 0, netfs_random_below(cache->size));
	*ret_from = range.from;
	*ret_to = range.to;
	return some;
}

/* --------------------------------------------------------- slices */

static size_t bring(struct cache_script *cache, struct netfs_slice *slice, size_t most)
{
	size_t done = 0;

	for (unsigned i = 0; i < slice->niov && done < most; i++) {
		size_t n = slice->iov[i].iov_len;

		if (n > most - done)
			n = most - done;
		memcpy(slice->iov[i].iov_base, cache->data + slice->start + done, n);
		done += n;
	}
	return done;
}

static size_t keep(struct cache_script *cache, struct cache_script_slot *slot, size_t most)
{
	struct netfs_slice *slice = slot->slice;
	size_t done = 0;

	for (unsigned i = 0; i < slice->niov; i++) {
		const uint8_t *from = slice->iov[i].iov_base;

		for (size_t j = 0; j < slice->iov[i].iov_len && done < most; j++, done++) {
			uint64_t at = slice->start + done;

			if (cache->stamps[at] != slot->stamp)
				continue;
			cache->data[at] = from[j];
			assert_int_equal(netfs_ranges_add(&cache->there, at, at + 1), 0);
		}
	}
	return done;
}

static void answer(struct netfs_task *task)
{
	struct cache_script_slot *slot = netfs_container_of(task, struct cache_script_slot, task);
	struct cache_script *cache = slot->cache;
	struct netfs_slice *slice = slot->slice;
	size_t most = slice->len, moved = 0;
	int err = 0;

	if (chance(cache->short_pct))
		most = netfs_random_below(slice->len);
	if (cache->dead || chance(cache->error_pct))
		err = -EIO;
	else if (slice->kind == NETFS_SLICE_WRITE)
		moved = keep(cache, slot, most);
	else if (!netfs_ranges_covers(&cache->there, slice->start, slice->start + slice->len))
		err = -ESTALE;
	else
		moved = bring(cache, slice, most);
	slot->busy = false;
	slice->done(slice, moved, err, 0);
	if (cache->refused_some) {
		cache->refused_some = false;
		cache->ready(cache->user);
	}
}

static ssize_t take(struct netfs_cookie *cookie, struct netfs_slice *slice)
{
	struct cache_script *cache = of(cookie);

	assert_int_equal(slice->start % NETFS_CACHE_GRANULE && slice->kind == NETFS_SLICE_WRITE, 0);
	assert_true(slice->start + slice->len <= cache->size);
	for (unsigned i = 0; i < CACHE_SCRIPT_SLOTS; i++) {
		struct cache_script_slot *slot = &cache->slot[i];

		if (slot->busy)
			continue;
		slot->busy = true;
		slot->slice = slice;
		if (slice->kind == NETFS_SLICE_WRITE) {
			stamp(cache, slice->start, slice->start + slice->len);
			slot->stamp = cache->now;
			/* Until it is written the old bytes are no good either. */
			assert_int_equal(netfs_ranges_remove(&cache->there, slice->start,
							     slice->start + slice->len),
					 0);
			cache->writes++;
		} else {
			cache->reads++;
		}
		netfs_timer_start(&slot->timer, 1 + netfs_random_below(4000000));
		return slice->len;
	}
	cache->refused_some = true;
	return -EAGAIN;
}

static void cancel(struct netfs_cookie *cookie, struct netfs_slice *slice)
{
	struct cache_script *cache = of(cookie);

	for (unsigned i = 0; i < CACHE_SCRIPT_SLOTS; i++) {
		struct cache_script_slot *slot = &cache->slot[i];

		if (!slot->busy || slot->slice != slice || !netfs_timer_stop(&slot->timer))
			continue;
		slot->busy = false;
		slice->done(slice, 0, -EINTR, 0);
	}
}

static const struct netfs_cache_ops ops = {
	.present = present,
	.invalidate = forget,
	.read = take,
	.write = take,
	.slice_cancel = cancel,
};

/* ------------------------------------------------------------- life */

void cache_script_init(struct cache_script *cache, uint64_t size, void (*ready)(void *user),
		       void *user)
{
	memset(cache, 0, sizeof(*cache));
	cache->cookie.ops = &ops;
	cache->size = size;
	cache->data = calloc(1, size);
	cache->stamps = calloc(size, sizeof(*cache->stamps));
	cache->ready = ready;
	cache->user = user;
	netfs_ranges_init(&cache->there);
	for (unsigned i = 0; i < CACHE_SCRIPT_SLOTS; i++) {
		struct cache_script_slot *slot = &cache->slot[i];

		slot->cache = cache;
		netfs_task_init(&slot->task, answer);
		netfs_timer_init(&slot->timer, &slot->task);
	}
	cache->error_pct = chance(50) ? netfs_random_below(40) : 0;
	cache->short_pct = chance(50) ? netfs_random_below(40) : 0;
	cache->cull_pct = chance(50) ? netfs_random_below(10) : 0;
	cache->dead = chance(5);
}

void cache_script_done(struct cache_script *cache)
{
	for (unsigned i = 0; i < CACHE_SCRIPT_SLOTS; i++)
		assert_false(cache->slot[i].busy);
	netfs_ranges_done(&cache->there);
	free(cache->data);
	free(cache->stamps);
}

void cache_script_check(const struct cache_script *cache, const uint8_t *file, uint64_t size)
{
	for (uint32_t i = 0; i < cache->there.count; i++) {
		const struct netfs_range *range = netfs_ranges_at(&cache->there, i);

		assert_true(range->to <= size);
		assert_memory_equal(cache->data + range->from, file + range->from,
				    range->to - range->from);
	}
}
