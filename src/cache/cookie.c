/* SPDX-License-Identifier: MIT */
/*
 * Cookies: the states of one, and what the engine and the layer above it ask.
 *
 *	         use, hurry          found, or made anew
 *	QUIESCENT ------> LOOKING_UP --------------------> ACTIVE
 *	    ^   ^              |                              |
 *	    |   | last unuse   | in use elsewhere, or         | idle for a
 *	    |   +---- FAILED <-+ the disk fails               | second, or
 *	    |                                                 | relinquished
 *	    +-------- COMMITTING <----------------------------+
 *
 * The worker does what blocks: it takes a cookie from LOOKING_UP and through
 * COMMITTING.  All other steps are taken here, by whoever calls.
 *
 * What a record says is of one version of the file.  The layer above tells which
 * version the data is of, and that it is not known (version NULL, and each
 * invalidate) while the file is being changed.  Only an object whose version is
 * known is recorded; where it is not, the record is removed.  An invalidate that
 * comes while no object is open makes the record stale all the same.
 *
 * Locks: the cookie's mutex, then the cache's.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <xxhash.h>
#include <base/assert.h>
#include <cache/cookie.h>
#include <env/alloc.h>
#include <env/clock.h>

/* How long an object stays open at most for the next one who uses it. */
#define LINGER_NS NETFS_NS_PER_SEC

#define FROM(state) (1U << COOKIE_##state)

/* From which states each may be entered. */
static const unsigned entered_from[COOKIE_STATES] = {
	[COOKIE_QUIESCENT] = FROM(COMMITTING) | FROM(FAILED),
	[COOKIE_LOOKING_UP] = FROM(QUIESCENT),
	[COOKIE_ACTIVE] = FROM(LOOKING_UP),
	[COOKIE_COMMITTING] = FROM(ACTIVE),
	[COOKIE_FAILED] = FROM(LOOKING_UP),
	[COOKIE_DROPPED] = FROM(QUIESCENT),
};

/* What is true in each state. */
static void check(const struct cookie *cookie)
{
	bool open = cookie->object.open;

	netfs_assert(cookie->state != COOKIE_ACTIVE || open);
	netfs_assert(open || cookie->nflights == 0);
	netfs_assert(!open || cookie->state == COOKIE_ACTIVE || cookie->state == COOKIE_COMMITTING);
	netfs_assert(!cookie->waits || cookie->state == COOKIE_LOOKING_UP ||
		     cookie->state == COOKIE_COMMITTING);
	netfs_assert(cookie->state == COOKIE_ACTIVE ||
		     (!cookie->backings && !cache_proof_runs_locked(cookie)));
	netfs_assert(cookie->state != COOKIE_DROPPED || (cookie->relinquished && !cookie->users));
}

void cache_cookie_set(struct cookie *cookie, enum cookie_state state)
{
	netfs_assert_held(&cookie->mutex);
	netfs_assert(entered_from[state] >> cookie->state & 1);
	cookie->state = state;
	check(cookie);
}

void cache_cookie_push(struct cookie *cookie)
{
	struct cache *cache = cookie->cache;

	netfs_mutex_lock(&cache->mutex);
	netfs_list_remove(&cookie->idle_link);
	if (netfs_list_empty(&cookie->link))
		netfs_list_push_back(&cache->queue, &cookie->link);
	cache_worker_post_locked(cache);
	netfs_mutex_unlock(&cache->mutex);
}

/* --------------------------------------------------------- versions */

static uint8_t *put(uint8_t *at, uint64_t number)
{
	number = htole64(number);
	memcpy(at, &number, sizeof(number));
	return at + sizeof(number);
}

void cache_version_bytes(const struct netfs_cache_version *version,
			 uint8_t bytes[NETFS_STORE_VERSION])
{
	uint8_t all[6 * sizeof(uint64_t)];
	uint8_t *at = put(all, version->counter);

	at = put(at, (uint64_t)version->mtime.sec);
	at = put(at, version->mtime.nsec);
	at = put(at, (uint64_t)version->ctime.sec);
	at = put(at, version->ctime.nsec);
	put(at, version->size);
	/* As many bits as a checksum has. */
	put(bytes, XXH3_64bits(all, sizeof(all)));
}

static void version(struct netfs_cookie *netfs_cookie, const struct netfs_cache_version *version)
{
	struct cookie *cookie = cookie_of(netfs_cookie);

	netfs_mutex_lock(&cookie->mutex);
	cookie->known = version != NULL;
	if (version)
		cache_version_bytes(version, cookie->version);
	netfs_mutex_unlock(&cookie->mutex);
}

/* ------------------------------------------------------- what is there */

static bool present(struct netfs_cookie *netfs_cookie, uint64_t start, uint64_t end,
		    uint64_t *ret_start, uint64_t *ret_end)
{
	struct cookie *cookie = cookie_of(netfs_cookie);
	bool some = false;

	netfs_mutex_lock(&cookie->mutex);
	if (cookie->state == COOKIE_ACTIVE)
		some = netfs_map_next(&cookie->object.map, start, end, ret_start, ret_end);
	netfs_mutex_unlock(&cookie->mutex);
	return some;
}

static void absent_locked(struct cookie *cookie, uint64_t start, uint64_t end)
{
	netfs_map_remove(&cookie->object.map, start, end);
	cache_flights_spoil(cookie, start, end);
}

static void invalidate(struct netfs_cookie *netfs_cookie, uint64_t start, uint64_t end)
{
	struct cookie *cookie = cookie_of(netfs_cookie);

	netfs_mutex_lock(&cookie->mutex);
	cookie->known = false;
	if (cookie->state == COOKIE_ACTIVE)
		absent_locked(cookie, start, end);
	else
		cookie->stale = true;
	netfs_mutex_unlock(&cookie->mutex);
}

static void forget(struct netfs_cookie *netfs_cookie, uint64_t start, uint64_t end)
{
	struct cookie *cookie = cookie_of(netfs_cookie);

	netfs_mutex_lock(&cookie->mutex);
	if (cookie->state == COOKIE_ACTIVE)
		absent_locked(cookie, start, end);
	netfs_mutex_unlock(&cookie->mutex);
}

static void slice_cancel(struct netfs_cookie *cookie, struct netfs_slice *slice)
{
	/* A disk answers soon enough. */
}

/* ------------------------------------------------------------- users */

static void use(struct netfs_cookie *netfs_cookie, struct netfs_cache_wait *wait)
{
	struct cookie *cookie = cookie_of(netfs_cookie);
	bool now, push = false;

	netfs_mutex_lock(&cookie->mutex);
	cookie->users++;
	now = cookie->state == COOKIE_ACTIVE || cookie->state == COOKIE_FAILED;
	if (cookie->state == COOKIE_QUIESCENT) {
		cache_cookie_set(cookie, COOKIE_LOOKING_UP);
		push = true;
	}
	if (!now) {
		wait->next = cookie->waits;
		cookie->waits = wait;
	}
	netfs_mutex_unlock(&cookie->mutex);
	if (push)
		cache_cookie_push(cookie);
	if (now)
		wait->done(wait);
}

/* Without a version all of it would be found to be old. */
static void hurry(struct netfs_cookie *netfs_cookie)
{
	struct cookie *cookie = cookie_of(netfs_cookie);
	bool push;

	netfs_mutex_lock(&cookie->mutex);
	push = cookie->state == COOKIE_QUIESCENT && cookie->known && !cookie->relinquished;
	if (push)
		cache_cookie_set(cookie, COOKIE_LOOKING_UP);
	netfs_mutex_unlock(&cookie->mutex);
	if (push)
		cache_cookie_push(cookie);
}

static int pin(struct netfs_cookie *netfs_cookie, bool pinned)
{
	struct cookie *cookie = cookie_of(netfs_cookie);
	int err = 0;

	netfs_mutex_lock(&cookie->mutex);
	if (!cookie->users)
		err = -EBUSY;
	else if (cookie->state == COOKIE_FAILED)
		err = -ENOBUFS;
	else
		cookie->wish = pinned ? WISH_PIN : WISH_UNPIN;
	if (!err && cookie->state == COOKIE_ACTIVE)
		cache_cookie_push(cookie);
	netfs_mutex_unlock(&cookie->mutex);
	return err;
}

void cache_cookie_idle(struct cookie *cookie)
{
	struct cache *cache = cookie->cache;

	netfs_mutex_lock(&cache->mutex);
	netfs_list_remove(&cookie->idle_link);
	if (!cache->lingering)
		netfs_timer_start(&cache->idle_timer, LINGER_NS);
	cache->lingering = true;
	netfs_list_push_back(&cache->idle, &cookie->idle_link);
	netfs_mutex_unlock(&cache->mutex);
}

static void unuse(struct netfs_cookie *netfs_cookie)
{
	struct cookie *cookie = cookie_of(netfs_cookie);

	netfs_mutex_lock(&cookie->mutex);
	netfs_assert(cookie->users > 0);
	if (--cookie->users == 0 && cookie->state == COOKIE_FAILED)
		cache_cookie_set(cookie, COOKIE_QUIESCENT);
	if (cookie->users == 0 && cookie->state == COOKIE_ACTIVE)
		cache_cookie_idle(cookie);
	netfs_mutex_unlock(&cookie->mutex);
}

const struct netfs_cache_ops cache_cookie_ops = {
	.present = present,
	.invalidate = invalidate,
	.forget = forget,
	.read = cache_cookie_read,
	.write = cache_cookie_write,
	.slice_cancel = slice_cancel,
	.use = use,
	.unuse = unuse,
	.hurry = hurry,
	.version = version,
	.pin = pin,
	.backing_begin = cache_backing_begin,
	.backing_end = cache_backing_end,
};

struct netfs_cookie *cache_cookie_acquire(struct netfs_cache *netfs_cache,
					  const struct netfs_cache_file *file)
{
	struct cache *cache = netfs_container_of(netfs_cache, struct cache, cache);
	struct cookie *cookie = netfs_zalloc(sizeof(*cookie));

	if (!cookie)
		return NULL;
	cookie->cookie.ops = &cache_cookie_ops;
	cookie->cache = cache;
	cookie->file = *file;
	netfs_list_init(&cookie->link);
	netfs_list_init(&cookie->idle_link);
	netfs_list_init(&cookie->open_link);
	netfs_list_init(&cookie->flights);
	netfs_list_init(&cookie->proof_link);
	netfs_mutex_init(&cookie->mutex, NETFS_RANK_COOKIE);
	netfs_mutex_lock(&cache->mutex);
	cache->cookies++;
	netfs_mutex_unlock(&cache->mutex);
	return &cookie->cookie;
}

void cache_cookie_relinquish(struct netfs_cache *netfs_cache, struct netfs_cookie *netfs_cookie)
{
	struct cookie *cookie = cookie_of(netfs_cookie);

	netfs_mutex_lock(&cookie->mutex);
	netfs_assert(!cookie->backings);
	cookie->relinquished = true;
	cookie->users = 0;
	if (cookie->state == COOKIE_FAILED)
		cache_cookie_set(cookie, COOKIE_QUIESCENT);
	/* Under the mutex: the worker may free it as soon as it is pushed. */
	cache_cookie_push(cookie);
	netfs_mutex_unlock(&cookie->mutex);
}
