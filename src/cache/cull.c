/* SPDX-License-Identifier: MIT */
/*
 * Culling inside objects that are in use: the chunk that was used longest ago of
 * all open ones gives blocks from its start, as many as are wanted.
 *
 * They leave the map first, then their place in the file becomes a hole.
 * Between the two no write there is taken, and a chunk that moves data is not
 * chosen.  What the catalogue still says of them does not fit its checksums.
 *
 * Their bytes were taken for slices of this mount that are not recorded yet,
 * or stand in the totals; those come off first that are not recorded.
 *
 * Locks: the cookie's mutex, not while the store works.
 */
#include <string.h>
#include <cache/cookie.h>

/* The chunk to give some. */
struct victim {
	struct cookie *cookie; /* NULL: none */
	uint64_t used;
	uint64_t start; /* what of it */
	uint64_t end;
	uint64_t bytes; /* that are there in that */
	uint64_t recorded; /* of them: in the totals */
};

static void look_at(struct cookie *cookie, struct victim *victim)
{
	const struct netfs_map *map = &cookie->object.map;

	netfs_mutex_lock(&cookie->mutex);
	for (uint32_t i = 0; cookie->state == COOKIE_ACTIVE && i < map->nchunks; i++) {
		const struct netfs_map_chunk *chunk = map->chunks[i];

		if (!chunk || !chunk->count || (victim->cookie && chunk->used >= victim->used) ||
		    cache_flights_any(cookie, i * NETFS_MAP_CHUNK, (i + 1) * NETFS_MAP_CHUNK))
			continue;
		*victim = (struct victim){
			.cookie = cookie, .used = chunk->used, .start = i * NETFS_MAP_CHUNK};
	}
	netfs_mutex_unlock(&cookie->mutex);
}

/* Takes that many bytes out of the map, or what there is.  False: somebody came
 * first. */
static bool take_out(struct victim *victim, uint64_t wanted)
{
	struct cookie *cookie = victim->cookie;
	struct netfs_map *map = &cookie->object.map;
	uint64_t most = victim->start + NETFS_MAP_CHUNK;
	bool taken;

	netfs_mutex_lock(&cookie->mutex);
	for (victim->end = victim->start; victim->end < most && victim->bytes < wanted;
	     victim->end += NETFS_MAP_BLOCK)
		if (netfs_map_has(map, victim->end / NETFS_MAP_BLOCK))
			victim->bytes += NETFS_MAP_BLOCK;
	taken = victim->bytes && !cache_flights_any(cookie, victim->start, most);
	if (taken) {
		netfs_map_remove(map, victim->start, victim->end);
		cookie->cull_start = victim->start;
		cookie->cull_end = victim->end;
		if (victim->bytes > cookie->fresh)
			victim->recorded = victim->bytes - cookie->fresh;
		if (victim->recorded > cookie->object.counted)
			victim->recorded = cookie->object.counted;
	}
	netfs_mutex_unlock(&cookie->mutex);
	return taken;
}

/* There is a hole now; where the disk does not make one, it stays counted. */
static void give_back(const struct victim *victim, uint64_t fresh)
{
	struct cookie *cookie = victim->cookie;
	struct cache *cache = cookie->cache;
	void (*ready)(void *user) = cookie->file.ready;
	void *user = cookie->file.user;
	bool tell;

	netfs_mutex_lock(&cookie->mutex);
	cookie->cull_start = cookie->cull_end = 0;
	if (fresh > cookie->fresh)
		fresh = cookie->fresh;
	cookie->fresh -= fresh;
	tell = cookie->wants_ready;
	cookie->wants_ready = false;
	netfs_mutex_lock(&cache->mutex);
	cache->fresh -= fresh;
	netfs_mutex_unlock(&cache->mutex);
	netfs_mutex_unlock(&cookie->mutex);
	if (tell)
		ready(user);
}

uint64_t cache_cull_open(struct cache *cache, uint64_t bytes)
{
	uint64_t freed = 0;

	while (freed < bytes) {
		struct victim victim = {0};
		struct netfs_list *link;
		int err;

		netfs_list_for_each (link, &cache->open)
			look_at(netfs_container_of(link, struct cookie, open_link), &victim);
		if (!victim.cookie)
			break;
		if (!take_out(&victim, bytes - freed))
			continue;
		err = netfs_store_punch(cache->store, &victim.cookie->object, victim.start,
					victim.end, victim.recorded);
		give_back(&victim, err ? 0 : victim.bytes - victim.recorded);
		if (err)
			break;
		freed += victim.bytes;
	}
	return freed;
}
