/* SPDX-License-Identifier: MIT */
/*
 * Culling: how much has to go, and what goes.
 *
 * Everything that can go has a rank, and the lowest goes first: objects nobody
 * uses as a whole, or chunks at the end of a large one, and of objects that are open a
 * chunk at a time.  A rank is a
 * time on the cache's clock, which counts the bytes that were ever stored: when
 * the thing was used last, and a turnover of the cache more for each time it was
 * used again.  So a scan, however long, goes through what is used once and
 * leaves alone what is used again and again, for as many turnovers.  Small
 * objects, which cost the server as many requests and give little room, stay
 * longer.
 *
 * What is pinned goes last: of closed objects only while pinned ones are more than
 * half of the cache, of open ones where all else is gone.
 *
 * Of an object that is exposed nothing goes while it is open: who reads it by himself is
 * not asked.
 *
 * What a chunk holds and is not there (a write that failed or was overtaken)
 * goes before everything.
 *
 * Blocks of an open object leave the map first, then their place in the file
 * becomes a hole.  Between the two no write there is taken, and a chunk that
 * moves data is not chosen.  What the catalogue still says of them does not fit
 * its checksums.
 *
 * Locks: the cookie's mutex, not while the store works.
 */
#include <string.h>
#include <cache/cookie.h>
#include <env/clock.h>

/* Where nothing can go, looking for it again is a waste for so long. */
#define PATIENCE_NS NETFS_NS_PER_SEC
/* Chunks that are found in one walk over all. */
#define VICTIMS 64
/* Of the cache, pinned files may keep so much. */
#define PINS_PERCENT 50
/* Objects that are smaller cost more to have again than their bytes. */
#define SMALL (UINT64_C(256) << 10)

/* ---------------------------------------------------------------- ranks */

/* Turnovers that something stays longer. */
static uint64_t rank(struct cache *cache, uint64_t turnovers)
{
	return cache->clock + turnovers * cache->turnover;
}

void cache_chunks_touch(struct cookie *cookie, enum netfs_slice_kind kind, uint64_t start,
			uint64_t end)
{
	bool read = kind == NETFS_SLICE_READ;

	for (uint64_t i = start / NETFS_MAP_CHUNK; i * NETFS_MAP_CHUNK < end; i++) {
		struct netfs_map_chunk *chunk = cookie->object.map.chunks[i];

		/* What was loaded is as the object was; used again is what the start
		 * of is read. */
		if (!chunk->uses)
			chunk->uses = read ? cookie->object.uses : 1;
		else if (read && start <= i * NETFS_MAP_CHUNK && chunk->uses < NETFS_STORE_USES)
			chunk->uses++;
		chunk->rank = rank(cookie->cache, chunk->uses ? chunk->uses - 1 : 0);
	}
	if (kind == NETFS_SLICE_WRITE)
		cookie->cache->clock += end - start;
}

void cache_object_rank(struct cookie *cookie)
{
	struct netfs_store_object *object = &cookie->object;
	uint64_t bytes = object->map.blocks * NETFS_MAP_BLOCK, small = 0;

	while (bytes && bytes << small < SMALL)
		small++;
	if (object->uses < NETFS_STORE_USES)
		object->uses++;
	object->rank = rank(cookie->cache, object->uses - 1 + small);
}

/* --------------------------------------------------------- open objects */

/* A chunk that may give some. */
struct victim {
	struct cookie *cookie;
	uint64_t rank; /* 0: there is rubbish in it */
	uint64_t start;
};

/* Sorted, the lowest rank first. */
struct victims {
	struct victim at[VICTIMS];
	unsigned n;
};

static void add(struct victims *victims, const struct victim *victim)
{
	unsigned i = victims->n < VICTIMS ? victims->n++ : VICTIMS - 1;

	for (; i > 0 && victims->at[i - 1].rank > victim->rank; i--)
		victims->at[i] = victims->at[i - 1];
	victims->at[i] = *victim;
}

static bool worth(const struct victims *victims, uint64_t rank)
{
	return victims->n < VICTIMS || rank < victims->at[VICTIMS - 1].rank;
}

static void look_at(struct cookie *cookie, struct victims *victims)
{
	const struct netfs_map *map = &cookie->object.map;
	bool may;

	netfs_mutex_lock(&cookie->mutex);
	may = cookie->state == COOKIE_ACTIVE && !cookie->object.exposed;
	for (uint32_t i = 0; may && i < map->nchunks; i++) {
		const struct netfs_map_chunk *chunk = map->chunks[i];
		struct victim victim = {.cookie = cookie, .start = i * NETFS_MAP_CHUNK};

		if (!chunk || !chunk->nheld)
			continue;
		/* What was loaded and not used since is as the object was. */
		if (chunk->nheld == chunk->count)
			victim.rank = cookie->object.pinned ? NETFS_STORE_RANK
				      : chunk->rank	    ? chunk->rank
							    : cookie->object.rank;
		if (worth(victims, victim.rank) &&
		    !cache_flights_any(cookie, victim.start, victim.start + NETFS_MAP_CHUNK))
			add(victims, &victim);
	}
	netfs_mutex_unlock(&cookie->mutex);
}

/* Where to make a hole: a stretch of rubbish, or about that many bytes that are
 * there.  The mutex is held. */
static bool choose_locked(const struct victim *victim, uint64_t wanted, uint64_t *ret_start,
			  uint64_t *ret_end)
{
	const struct netfs_map *map = &victim->cookie->object.map;
	uint64_t end = victim->start + NETFS_MAP_CHUNK, from = victim->start, to, bytes = 0;

	if (netfs_map_rubbish(map, victim->start, end, ret_start, ret_end))
		return true;
	for (to = from; to < end && bytes < wanted; to += NETFS_MAP_BLOCK)
		bytes += netfs_map_has(map, to / NETFS_MAP_BLOCK) ? NETFS_MAP_BLOCK : 0;
	*ret_start = from;
	*ret_end = to;
	return bytes > 0;
}

/* The stretch leaves the map.  False: somebody came first. */
static bool take_out(const struct victim *victim, uint64_t wanted)
{
	struct cookie *cookie = victim->cookie;
	uint64_t from, to;
	bool taken;

	netfs_mutex_lock(&cookie->mutex);
	taken = cookie->state == COOKIE_ACTIVE &&
		!cache_flights_any(cookie, victim->start, victim->start + NETFS_MAP_CHUNK) &&
		choose_locked(victim, wanted, &from, &to);
	if (taken) {
		netfs_map_remove(&cookie->object.map, from, to);
		cookie->cull_start = from;
		cookie->cull_end = to;
	}
	netfs_mutex_unlock(&cookie->mutex);
	return taken;
}

/* It is a hole now; where the disk made none, it is held as before.  Returns the
 * bytes that came free. */
static uint64_t give_back(struct cookie *cookie, bool hole)
{
	void (*ready)(void *user) = cookie->file.ready;
	void *user = cookie->file.user;
	uint64_t held;
	bool tell;

	netfs_mutex_lock(&cookie->mutex);
	held = cookie->object.map.held;
	if (hole)
		netfs_map_yield(&cookie->object.map, cookie->cull_start, cookie->cull_end);
	held -= cookie->object.map.held;
	cookie->cull_start = cookie->cull_end = 0;
	cache_space_settle_locked(cookie);
	tell = cookie->wants_ready;
	cookie->wants_ready = false;
	netfs_mutex_unlock(&cookie->mutex);
	if (tell)
		ready(user);
	return held * NETFS_MAP_BLOCK;
}

/* Makes holes in a chunk, for that many bytes at most.  Returns how many it were. */
static uint64_t cull_chunk(const struct victim *victim, uint64_t wanted)
{
	struct cookie *cookie = victim->cookie;
	uint64_t freed = 0;

	while (freed < wanted && take_out(victim, wanted - freed)) {
		int err = netfs_store_punch(&cookie->object, cookie->cull_start, cookie->cull_end);

		freed += give_back(cookie, !err);
		if (err)
			break;
	}
	return freed;
}

/* ------------------------------------------------------------- all of it */

/* Removes so many bytes and objects, as far as they can be had; false: nothing. */
static bool cull(struct cache *cache, uint64_t bytes, uint64_t objects)
{
	struct netfs_store_cull whole = {.pins_max = cache->turnover / 100 * PINS_PERCENT};
	struct victims victims;
	uint64_t freed = 0;
	bool more = true;

	while (freed + whole.freed < bytes && more) {
		uint64_t before = freed + whole.freed;
		struct netfs_list *link;

		victims.n = 0;
		netfs_list_for_each (link, &cache->open)
			look_at(netfs_container_of(link, struct cookie, open_link), &victims);
		for (unsigned i = 0; i < victims.n && freed + whole.freed < bytes; i++) {
			if (netfs_store_cull(cache->store, &whole, victims.at[i].rank,
					     bytes - freed, 0))
				return freed + whole.freed > 0;
			if (freed + whole.freed < bytes)
				freed += cull_chunk(&victims.at[i], bytes - freed - whole.freed);
		}
		more = freed + whole.freed > before;
	}
	netfs_store_cull(cache->store, &whole, NETFS_STORE_RANK + 1,
			 bytes > freed ? bytes - freed : 0, objects);
	return freed + whole.freed > 0 || whole.gone > 0;
}

/* ------------------------------------------------------------- how much */

static uint64_t percent(uint64_t of, uint32_t percents)
{
	return of / 100 * percents;
}

/* What has to go until so much is free again. */
static uint64_t surplus(uint64_t all, uint64_t free, const struct netfs_cache_limits *limits,
			uint64_t wanted)
{
	uint64_t run = percent(all, limits->run);

	if (!all || (!wanted && free >= percent(all, limits->cull)))
		return 0;
	if (run < wanted)
		run = wanted;
	return run > free ? run - free : 0;
}

static uint64_t left(uint64_t all, int64_t taken)
{
	if (taken < 0)
		return all;
	return (uint64_t)taken < all ? all - (uint64_t)taken : 0;
}

static void cull_surplus(struct cache *cache, const struct netfs_store_space *space, int64_t fresh,
			 uint64_t wanted)
{
	uint64_t bytes = surplus(cache->size, left(cache->size, (int64_t)space->bytes + fresh),
				 &cache->blocks, wanted);
	uint64_t more = surplus(space->disk_bytes, space->disk_free, &cache->blocks,
				cache->size ? 0 : wanted);
	uint64_t files = surplus(space->disk_files, space->disk_files_free, &cache->files, 0);

	if (bytes < more)
		bytes = more;
	if ((!bytes && !files) || cull(cache, bytes, files))
		return;
	netfs_mutex_lock(&cache->mutex);
	cache->patient_ns = netfs_clock_now() + PATIENCE_NS;
	netfs_mutex_unlock(&cache->mutex);
}

void cache_make_room(struct cache *cache)
{
	struct netfs_store_space space;
	uint64_t wanted;
	int64_t fresh;

	if (!cache->swept)
		netfs_store_sweep(cache->store);
	cache->swept = true;
	if (netfs_store_space(cache->store, &space))
		return;
	netfs_mutex_lock(&cache->mutex);
	fresh = cache->fresh;
	wanted = cache->wanted;
	cache->wanted = 0;
	netfs_mutex_unlock(&cache->mutex);
	cull_surplus(cache, &space, fresh, wanted);
	if (netfs_store_space(cache->store, &space))
		return;
	if (cache->clock < space.clock)
		cache->clock = space.clock;
	netfs_mutex_lock(&cache->mutex);
	cache->used = space.bytes;
	cache->stopped = space.disk_free < percent(space.disk_bytes, cache->blocks.stop) ||
			 space.disk_files_free < percent(space.disk_files, cache->files.stop);
	netfs_mutex_unlock(&cache->mutex);
}
