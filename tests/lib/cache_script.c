/* SPDX-License-Identifier: MIT */
/*
 * The scripted cache.  Each byte has a stamp that grows with every write that
 * is handed in and every invalidation, so a slice that completes late sees
 * which of its bytes are still its own.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <base/assert.h>
#include <env/random.h>
#include "cache_script.h"

_Atomic uint64_t cache_script_reads, cache_script_writes;

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

static void forget_locked(struct cache_script *cache, uint64_t from, uint64_t to)
{
	stamp(cache, from, to);
	/* Without memory to cut a hole it forgets everything. */
	if (netfs_ranges_remove(&cache->there, from, to))
		netfs_ranges_clear(&cache->there);
}

static void forget(struct netfs_cookie *cookie, uint64_t from, uint64_t to)
{
	struct cache_script *cache = of(cookie);

	netfs_mutex_lock(&cache->mutex);
	forget_locked(cache, from, to);
	netfs_mutex_unlock(&cache->mutex);
}

static bool present(struct netfs_cookie *cookie, uint64_t from, uint64_t to, uint64_t *ret_from,
		    uint64_t *ret_to)
{
	struct cache_script *cache = of(cookie);
	struct netfs_range range = {0};
	bool some;

	netfs_mutex_lock(&cache->mutex);
	some = netfs_ranges_next(&cache->there, from, to, &range);
	if (cache->size && chance(cache->cull_pct))
		forget_locked(cache, 0, netfs_random_below(cache->size));
	netfs_mutex_unlock(&cache->mutex);
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
			if (netfs_ranges_add(&cache->there, at, at + 1))
				return done;
		}
	}
	return done;
}

static size_t serve_locked(struct cache_script_slot *slot, int *ret_err)
{
	struct cache_script *cache = slot->cache;
	struct netfs_slice *slice = slot->slice;
	size_t most = slice->len;

	if (chance(cache->short_pct))
		most = netfs_random_below(slice->len);
	if (cache->dead || chance(cache->error_pct))
		*ret_err = -EIO;
	else if (slice->kind == NETFS_SLICE_WRITE)
		return keep(cache, slot, most);
	else if (!netfs_ranges_covers(&cache->there, slice->start, slice->start + slice->len))
		*ret_err = -ESTALE;
	else
		return bring(cache, slice, most);
	return 0;
}

static void answer(struct netfs_task *task)
{
	struct cache_script_slot *slot = netfs_container_of(task, struct cache_script_slot, task);
	struct cache_script *cache = slot->cache;
	struct netfs_slice *slice = slot->slice;
	void (*ready)(void *user) = cache->ready;
	void *user = cache->user;
	bool tell;
	size_t moved;
	int err = 0;

	netfs_mutex_lock(&cache->mutex);
	moved = serve_locked(slot, &err);
	slot->busy = false;
	tell = cache->refused_some;
	cache->refused_some = false;
	netfs_mutex_unlock(&cache->mutex);
	/* The last answer may be the end of the cache; whoever was refused
	 * would have kept it. */
	if (tell)
		ready(user);
	slice->done(slice, moved, err, 0);
}

/* Room for bytes up to end. */
static void grow_locked(struct cache_script *cache, uint64_t end)
{
	uint64_t size = cache->size ? cache->size : 65536;

	if (end <= cache->size)
		return;
	while (size < end)
		size *= 2;
	cache->data = realloc(cache->data, size);
	cache->stamps = realloc(cache->stamps, size * sizeof(*cache->stamps));
	netfs_assert(cache->data && cache->stamps);
	memset(cache->stamps + cache->size, 0, (size - cache->size) * sizeof(*cache->stamps));
	cache->size = size;
}

static ssize_t take_locked(struct cache_script_slot *slot, struct netfs_slice *slice)
{
	struct cache_script *cache = slot->cache;

	slot->busy = true;
	slot->slice = slice;
	if (slice->kind == NETFS_SLICE_WRITE) {
		grow_locked(cache, slice->start + slice->len);
		/* Until it is written the old bytes are no good either. */
		forget_locked(cache, slice->start, slice->start + slice->len);
		slot->stamp = cache->now;
		atomic_fetch_add(&cache_script_writes, 1);
		cache->writes++;
	} else {
		atomic_fetch_add(&cache_script_reads, 1);
		cache->reads++;
	}
	netfs_timer_start(&slot->timer, 1 + netfs_random_below(4000000));
	return slice->len;
}

static ssize_t take(struct netfs_cookie *cookie, struct netfs_slice *slice)
{
	struct cache_script *cache = of(cookie);
	ssize_t taken = -EAGAIN;

	netfs_assert(slice->kind == NETFS_SLICE_READ || slice->start % NETFS_CACHE_GRANULE == 0);
	netfs_mutex_lock(&cache->mutex);
	for (unsigned i = 0; i < CACHE_SCRIPT_SLOTS && taken < 0; i++) {
		if (!cache->slot[i].busy)
			taken = take_locked(&cache->slot[i], slice);
	}
	cache->refused_some |= taken < 0;
	netfs_mutex_unlock(&cache->mutex);
	return taken;
}

static void cancel(struct netfs_cookie *cookie, struct netfs_slice *slice)
{
	struct cache_script *cache = of(cookie);

	for (unsigned i = 0; i < CACHE_SCRIPT_SLOTS; i++) {
		struct cache_script_slot *slot = &cache->slot[i];
		bool mine;

		netfs_mutex_lock(&cache->mutex);
		mine = slot->busy && slot->slice == slice && netfs_timer_stop(&slot->timer);
		if (mine)
			slot->busy = false;
		netfs_mutex_unlock(&cache->mutex);
		if (mine) {
			slice->done(slice, 0, -EINTR, 0);
			return;
		}
	}
}

static const struct netfs_cache_ops ops = {
	.present = present,
	.invalidate = forget,
	.forget = forget,
	.read = take,
	.write = take,
	.slice_cancel = cancel,
};

/* ------------------------------------------------------------- life */

void cache_script_init(struct cache_script *cache, void (*ready)(void *user), void *user)
{
	memset(cache, 0, sizeof(*cache));
	cache->cookie.ops = &ops;
	netfs_mutex_init(&cache->mutex, NETFS_RANK_BACKEND);
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
		netfs_assert(!cache->slot[i].busy);
	netfs_ranges_done(&cache->there);
	netfs_mutex_done(&cache->mutex);
	free(cache->data);
	free(cache->stamps);
}

void cache_script_check(const struct cache_script *cache, const uint8_t *file, uint64_t size)
{
	for (uint32_t i = 0; i < netfs_ranges_count(&cache->there); i++) {
		const struct netfs_range range = netfs_ranges_at(&cache->there, i);

		netfs_assert(range.to <= size);
		netfs_assert(memcmp(cache->data + range.from, file + range.from,
				    range.to - range.from) == 0);
	}
}

/* ------------------------------------------------- the files of a client */

static struct netfs_cookie *acquire(struct netfs_cache *cache, const struct netfs_cache_file *file)
{
	struct cache_script *mine = malloc(sizeof(*mine));

	if (!mine)
		return NULL;
	cache_script_init(mine, file->ready, file->user);
	return &mine->cookie;
}

static void relinquish(struct netfs_cache *cache, struct netfs_cookie *cookie)
{
	cache_script_done(of(cookie));
	free(of(cookie));
}

struct netfs_cache cache_script_all = {.acquire = acquire, .relinquish = relinquish};
