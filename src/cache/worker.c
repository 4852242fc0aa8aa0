/* SPDX-License-Identifier: MIT */
/*
 * The worker: the one job of a cache that touches its store.
 *
 * It takes cookies from the queue, opens or records their objects in one
 * transaction for a batch of them, and makes room (cull.c) when the queue is
 * empty.
 *
 * An object that was recorded stays locked until the transaction ended: another
 * process that finds it free finds the record too.  So a cookie leaves
 * COMMITTING only at the end of its batch.
 *
 * Locks: none is held while the store works.
 */
#include <errno.h>
#include <string.h>
#include <cache/cookie.h>
#include <env/alloc.h>

#define BATCH_MAX 64

/* ----------------------------------------------------------- looking up */

/* Is what was found of a version that nobody wants?  The mutex is held. */
static bool unwanted_locked(struct cookie *cookie, const struct netfs_store_object *object)
{
	bool stale = cookie->stale;

	cookie->stale = false;
	if (!object->map.blocks)
		return false;
	return stale || !cookie->known ||
	       memcmp(cookie->version, object->version, NETFS_STORE_VERSION) != 0;
}

static void tell(struct netfs_cache_wait *waits)
{
	while (waits) {
		struct netfs_cache_wait *wait = waits;

		waits = wait->next;
		wait->done(wait);
	}
}

/* An object of that key, without anything that is not of the cookie's version.
 * On success the mutex is held. */
static int find_locked(struct cookie *cookie, struct netfs_store_object *ret_object)
{
	struct cache *cache = cookie->cache;
	struct netfs_store_key key;
	int err = netfs_store_key(cache->store, cookie->file.ino, cookie->file.gen, &key);

	if (!err)
		err = netfs_store_load(cache->store, &key, ret_object);
	if (err)
		return err;
	if (!ret_object->map.blocks && !ret_object->counted)
		netfs_store_announce(cache->store, ret_object);
	cache_proof_recall(cookie, ret_object);
	netfs_mutex_lock(&cookie->mutex);
	while (unwanted_locked(cookie, ret_object)) {
		netfs_mutex_unlock(&cookie->mutex);
		cache->changed = true;
		err = netfs_store_clear(cache->store, ret_object);
		if (err) {
			netfs_store_release(ret_object);
			return err;
		}
		netfs_mutex_lock(&cookie->mutex);
	}
	return 0;
}

/* Who has the object may be a cookie of ours that is about to let it go: it is
 * worth another look after the batch. */
static void look_up_later(struct cookie *cookie)
{
	struct cache *cache = cookie->cache;

	cookie->looked = true;
	netfs_mutex_lock(&cache->mutex);
	if (netfs_list_empty(&cookie->link))
		netfs_list_push_back(&cache->later, &cookie->link);
	netfs_mutex_unlock(&cache->mutex);
}

static void queue_later(struct cache *cache)
{
	struct netfs_list *link;

	netfs_mutex_lock(&cache->mutex);
	while ((link = netfs_list_pop_front(&cache->later)))
		netfs_list_push_back(&cache->queue, link);
	netfs_mutex_unlock(&cache->mutex);
}

static void look_up(struct cookie *cookie)
{
	struct cache *cache = cookie->cache;
	struct netfs_store_object object;
	struct netfs_cache_wait *waits;
	int err = find_locked(cookie, &object);

	if (err == -EBUSY && !cookie->looked) {
		look_up_later(cookie);
		return;
	}
	if (err)
		netfs_mutex_lock(&cookie->mutex);
	cookie->looked = false;
	waits = netfs_take(cookie->waits);
	if (!err) {
		cookie->object = object;
		netfs_list_push_back(&cache->open, &cookie->open_link);
		cache_space_settle_locked(cookie);
	}
	cache_cookie_set(cookie, err ? COOKIE_FAILED : COOKIE_ACTIVE);
	/* They went before it was found, or have yet to come. */
	if (err && !cookie->users)
		cache_cookie_set(cookie, COOKIE_QUIESCENT);
	if (cookie->relinquished || cookie->wish != WISH_NONE)
		cache_cookie_push(cookie);
	else if (!err && !cookie->users)
		cache_cookie_idle(cookie);
	netfs_mutex_unlock(&cookie->mutex);
	tell(waits);
}

/* ----------------------------------------------------------------- pins */

/* Of an object that is open; one that is looked up comes here when it is. */
static void pin(struct cookie *cookie)
{
	bool wished = false;

	netfs_mutex_lock(&cookie->mutex);
	if (cookie->state == COOKIE_ACTIVE && cookie->wish != WISH_NONE) {
		cookie->object.pinned = cookie->wish == WISH_PIN;
		cookie->wish = WISH_NONE;
		wished = true;
	}
	netfs_mutex_unlock(&cookie->mutex);
	if (wished)
		netfs_store_pin(cookie->cache->store, &cookie->object);
}

/* ----------------------------------------------------------- recording */

static void record(struct cookie *cookie, bool save)
{
	struct netfs_store *store = cookie->cache->store;
	bool stale;
	int err = 0;

	if (save) {
		cache_object_rank(cookie);
		err = netfs_store_save(store, &cookie->object);
	}
	netfs_mutex_lock(&cookie->mutex);
	stale = cookie->stale;
	cookie->stale = false;
	netfs_mutex_unlock(&cookie->mutex);
	if (!save || err || stale)
		err = netfs_store_remove(store, &cookie->object);
	if (err) {
		/* Could be believed later, so it must be told again. */
		netfs_mutex_lock(&cookie->mutex);
		cookie->stale = true;
		netfs_mutex_unlock(&cookie->mutex);
	}
}

/* From ACTIVE, if nobody needs it; returns and leaves with the mutex dropped.
 * True: it is to be recorded. */
static bool begin_commit(struct cookie *cookie, bool *ret_save)
{
	bool commit;

	netfs_mutex_lock(&cookie->mutex);
	commit = cookie->state == COOKIE_ACTIVE && !cookie->users && !cookie->nflights &&
		 !cache_proof_runs_locked(cookie);
	if (commit) {
		*ret_save = cookie->known && cookie->object.map.blocks;
		memcpy(cookie->object.version, cookie->version, NETFS_STORE_VERSION);
		cache_cookie_set(cookie, COOKIE_COMMITTING);
	}
	netfs_mutex_unlock(&cookie->mutex);
	return commit;
}

/* The batch it was recorded in has ended. */
static void end_commit(struct cookie *cookie)
{
	struct netfs_cache_wait *waits;

	netfs_list_remove(&cookie->open_link);
	netfs_mutex_lock(&cookie->mutex);
	netfs_store_release(&cookie->object);
	cookie->object.counted = 0;
	cache_space_settle_locked(cookie);
	waits = netfs_take(cookie->waits);
	cache_cookie_set(cookie, COOKIE_QUIESCENT);
	if (cookie->users) {
		cache_cookie_set(cookie, COOKIE_LOOKING_UP);
		cookie->waits = waits;
		waits = NULL;
	}
	cache_cookie_push(cookie);
	netfs_mutex_unlock(&cookie->mutex);
	tell(waits);
}

/* ------------------------------------------------------------ the end */

static void forget_record(struct cookie *cookie)
{
	struct cache *cache = cookie->cache;
	struct netfs_store_object object;
	struct netfs_store_key key;

	if (netfs_store_key(cache->store, cookie->file.ino, cookie->file.gen, &key) ||
	    netfs_store_load(cache->store, &key, &object))
		return;
	cache->changed = true;
	netfs_store_remove(cache->store, &object);
	netfs_store_release(&object);
}

static void drop(struct cookie *cookie)
{
	struct cache *cache = cookie->cache;

	if (cookie->stale)
		forget_record(cookie);
	netfs_mutex_lock(&cookie->mutex);
	cache_cookie_set(cookie, COOKIE_DROPPED);
	netfs_mutex_unlock(&cookie->mutex);
	netfs_mutex_done(&cookie->mutex);
	netfs_free(cookie);
	netfs_mutex_lock(&cache->mutex);
	cache->cookies--;
	netfs_mutex_unlock(&cache->mutex);
}

/* ------------------------------------------------------------- batches */

/* What is to be done with one.  True: it is to wait for the batch's end. */
static bool attend(struct cookie *cookie)
{
	enum cookie_state state;
	bool relinquished, save;

	pin(cookie);
	cache_proof_attend(cookie);
	netfs_mutex_lock(&cookie->mutex);
	state = cookie->state;
	relinquished = cookie->relinquished;
	netfs_mutex_unlock(&cookie->mutex);
	if (state == COOKIE_LOOKING_UP) {
		look_up(cookie);
	} else if (state == COOKIE_QUIESCENT && relinquished) {
		drop(cookie);
	} else if (begin_commit(cookie, &save)) {
		record(cookie, save);
		return true;
	}
	return false;
}

static struct cookie *next(struct cache *cache)
{
	struct netfs_list *link;

	netfs_mutex_lock(&cache->mutex);
	link = netfs_list_pop_front(&cache->queue);
	netfs_mutex_unlock(&cache->mutex);
	return link ? netfs_container_of(link, struct cookie, link) : NULL;
}

/* True: there may be more. */
static bool batch(struct cache *cache)
{
	struct cookie *done[BATCH_MAX], *cookie;
	unsigned ndone = 0, n = 0;

	cookie = next(cache);
	if (!cookie)
		return false;
	cache->changed = false;
	/* Without a transaction each change is one of its own. */
	netfs_store_begin(cache->store);
	for (; cookie; cookie = ++n < BATCH_MAX ? next(cache) : NULL) {
		if (attend(cookie))
			done[ndone++] = cookie;
	}
	if (ndone)
		netfs_store_tick(cache->store, cache->clock);
	netfs_store_end(cache->store);
	if (ndone || cache->changed)
		cache_space_learn(cache);
	for (n = 0; n < ndone; n++)
		end_commit(done[n]);
	queue_later(cache);
	return true;
}

static void cache_free(struct cache *cache)
{
	netfs_store_close(cache->store);
	netfs_free((char *)cache->cache.folder);
	netfs_mutex_done(&cache->mutex);
	netfs_free(cache);
}

/* What only looked objects up has changed nothing. */
static bool is_to_look(struct cache *cache)
{
	bool look;

	netfs_mutex_lock(&cache->mutex);
	look = cache->look;
	cache->look = false;
	cache->unseen = 0;
	netfs_mutex_unlock(&cache->mutex);
	return look;
}

void cache_worker_post_locked(struct cache *cache)
{
	if (cache->working)
		return;
	cache->working = true;
	netfs_job_post(&cache->job);
}

void cache_worker_run(struct netfs_job *job)
{
	struct cache *cache = netfs_container_of(job, struct cache, job);
	bool more = true, over = false;

	while (more) {
		while (batch(cache))
			;
		if (is_to_look(cache))
			cache_make_room(cache);
		netfs_mutex_lock(&cache->mutex);
		more = !netfs_list_empty(&cache->queue) || cache->look;
		if (!more) {
			cache->working = false;
			over = cache->closing && !cache->cookies && !cache->lingering;
		}
		netfs_mutex_unlock(&cache->mutex);
	}
	if (over)
		cache_free(cache);
}
