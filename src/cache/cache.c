/* SPDX-License-Identifier: MIT */
/*
 * The cache of one mount: its birth and end, and how much it may store.
 *
 * Space is taken before a slice is written: what is recorded in the folder, by
 * whomever, and what open objects of this mount hold beyond what is recorded of
 * them, may together not exceed the limit.  The second may be negative, where
 * blocks of an open object went.  Another process' unrecorded data is not known
 * here.
 *
 * Between the end of a batch and the release of its objects they are counted
 * twice: too much for a moment, never too little.
 *
 * Locks: the cache's mutex.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <cache/cookie.h>
#include <env/alloc.h>
#include <env/clock.h>

/* So much may be stored before the worker looks how full the disk is. */
#define LOOK_BYTES (UINT64_C(64) << 20)

/* Ranks, which are some turnovers ahead of the clock, are not to overflow. */
static uint64_t cache_turnover(uint64_t bytes)
{
	const uint64_t most = NETFS_STORE_RANK >> 8;

	return bytes < most ? bytes : most;
}

static bool limits_valid(const struct netfs_cache_limits *limits)
{
	return limits->stop < limits->cull && limits->cull < limits->run && limits->run < 100;
}

/* A while after the first of them became idle: the worker closes the objects. */
static void idle_run(struct netfs_task *task)
{
	struct cache *cache = netfs_container_of(task, struct cache, idle_task);
	struct netfs_list *link;

	netfs_mutex_lock(&cache->mutex);
	while ((link = netfs_list_pop_front(&cache->idle))) {
		struct cookie *cookie = netfs_container_of(link, struct cookie, idle_link);

		if (netfs_list_empty(&cookie->link))
			netfs_list_push_back(&cache->queue, &cookie->link);
	}
	cache->lingering = false;
	cache_worker_post_locked(cache);
	netfs_mutex_unlock(&cache->mutex);
}

int netfs_cache_open(const struct netfs_cache_config *config, struct netfs_cache **ret_cache,
		     char *message, size_t message_size)
{
	struct netfs_store_space space;
	struct cache *cache;
	char *folder;
	int err;

	if (config->folder[0] != '/' || !limits_valid(&config->blocks) ||
	    !limits_valid(&config->files)) {
		snprintf(message, message_size, "%s",
			 config->folder[0] == '/' ? "limits must be 0 <= stop < cull < run < 100"
						  : "cachedir must be an absolute path");
		return -EINVAL;
	}
	cache = netfs_zalloc(sizeof(*cache));
	if (!cache)
		return -ENOMEM;
	err = netfs_store_open(config->folder, false, &cache->store, message, message_size);
	if (!err && config->secret)
		err = netfs_store_seal(cache->store, config->secret, config->secret_len);
	if (!err)
		err = netfs_store_volume(cache->store, config->volume, &cache->volume);
	if (!err)
		err = netfs_store_space(cache->store, &space);
	folder = err ? NULL : netfs_strdup(config->folder);
	if (!err && !folder)
		err = -ENOMEM;
	if (err) {
		netfs_store_close(cache->store);
		netfs_free(cache);
		return err;
	}
	cache->cache.folder = folder;
	cache->cache.volume = (uint64_t)cache->volume;
	cache->cache.sealed = config->secret != NULL;
	cache->cache.acquire = cache_cookie_acquire;
	cache->cache.relinquish = cache_cookie_relinquish;
	cache->size = config->size;
	cache->blocks = config->blocks;
	cache->files = config->files;
	cache->used = space.bytes;
	cache->turnover = cache_turnover(config->size ? config->size : space.disk_bytes);
	cache->clock = space.clock;
	cache->look = true;
	netfs_mutex_init(&cache->mutex, NETFS_RANK_CACHE);
	netfs_list_init(&cache->open);
	netfs_list_init(&cache->proofs);
	netfs_list_init(&cache->queue);
	netfs_list_init(&cache->later);
	netfs_list_init(&cache->idle);
	cache->job.fn = cache_worker_run;
	netfs_task_init(&cache->idle_task, idle_run);
	netfs_timer_init(&cache->idle_timer, &cache->idle_task);
	*ret_cache = &cache->cache;
	return 0;
}

void netfs_cache_close(struct netfs_cache *netfs_cache)
{
	struct cache *cache;

	if (!netfs_cache)
		return;
	cache = netfs_container_of(netfs_cache, struct cache, cache);
	netfs_mutex_lock(&cache->mutex);
	cache->closing = true;
	if (cache->lingering && netfs_timer_stop(&cache->idle_timer))
		cache->lingering = false;
	cache_worker_post_locked(cache);
	netfs_mutex_unlock(&cache->mutex);
}

/* Fills up to where culling is to begin are no reason to wait for it. */
static bool tight_locked(const struct cache *cache)
{
	int64_t most = (int64_t)(cache->size - cache->size / 100 * cache->blocks.cull);

	return cache->size && (int64_t)cache->used + cache->fresh > most;
}

bool cache_space_take_locked(struct cookie *cookie, uint64_t bytes)
{
	struct cache *cache = cookie->cache;
	bool room;

	netfs_mutex_lock(&cache->mutex);
	room = !cache->stopped &&
	       (!cache->size ||
		(int64_t)cache->used + cache->fresh + (int64_t)bytes <= (int64_t)cache->size);
	if (room) {
		cache->unseen += bytes;
		cache->fresh += (int64_t)bytes;
		cookie->fresh += (int64_t)bytes;
	} else if (cache->wanted < bytes) {
		cache->wanted = bytes;
	}
	if ((!room || tight_locked(cache) || cache->unseen >= LOOK_BYTES) &&
	    netfs_clock_now() >= cache->patient_ns) {
		cache->look = true;
		cache_worker_post_locked(cache);
	}
	netfs_mutex_unlock(&cache->mutex);
	return room;
}

void cache_space_settle_locked(struct cookie *cookie)
{
	const struct netfs_store_object *object = &cookie->object;
	struct cache *cache = cookie->cache;
	int64_t fresh = (int64_t)(object->map.held * NETFS_MAP_BLOCK) - (int64_t)object->counted;

	netfs_mutex_lock(&cache->mutex);
	cache->fresh += fresh - cookie->fresh;
	netfs_mutex_unlock(&cache->mutex);
	cookie->fresh = fresh;
}

void cache_space_learn(struct cache *cache)
{
	struct netfs_store_space space;

	if (netfs_store_space(cache->store, &space))
		return;
	netfs_mutex_lock(&cache->mutex);
	cache->used = space.bytes;
	cache->look = true;
	netfs_mutex_unlock(&cache->mutex);
}

void cache_space_short(struct cache *cache)
{
	netfs_mutex_lock(&cache->mutex);
	if (cache->wanted < NETFS_MAP_CHUNK)
		cache->wanted = NETFS_MAP_CHUNK;
	if (netfs_clock_now() >= cache->patient_ns) {
		cache->look = true;
		cache_worker_post_locked(cache);
	}
	netfs_mutex_unlock(&cache->mutex);
}
