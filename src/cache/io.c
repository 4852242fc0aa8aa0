/* SPDX-License-Identifier: MIT */
/*
 * Slices of an active object: whole blocks to and from its file, with their
 * checksums, or sealed (seal_io.c).
 *
 *	slice	      |-----------------|
 *	blocks	|-------|-------|-------|----|
 *	file	[head ][ the slice's own ][tail]	one transfer
 *
 * A read takes in the whole of the blocks it begins and ends in, because
 * their checksums are of whole blocks.  What was read counts only if each sum
 * fits the one in the map when the read began; the first that does not ends it.
 * The block is then absent, and the server is asked.
 *
 * A write makes its blocks absent when it begins and present when it ended, if
 * nothing came between.  It takes its space before.  Writes of one place follow
 * each other; so the second is refused until the first has ended.
 *
 * Locks: the cookie's mutex.
 */
#include <errno.h>
#include <string.h>
#include <xxhash.h>
#include <base/assert.h>
#include <base/limits.h>
#include <base/round.h>
#include <cache/cookie.h>
#include <cache/seal_io.h>
#include <env/alloc.h>
#include <env/file.h>

/* Bytes of sealed writes under way in one cache that ask for no patience, and
 * what a file that has none may write beyond. */
#define BOUNCE_MAX   (UINT64_C(32) << 20)
#define BOUNCE_LEAST (UINT64_C(64) << 10)

/*
 * One slice on its way.  Made when the slice is taken, freed before it is
 * completed.
 *
 * I: immutable; c: the cookie's mutex.
 */
struct flight {
	struct netfs_fio fio;
	struct cookie *cookie; /* I */
	struct netfs_slice *slice; /* I */
	struct netfs_list link; /* c: in cookie->flights */
	uint64_t start; /* I: of whole blocks */
	uint64_t end; /* I: likewise, or the end of what is there */
	bool spoilt; /* c: what it moves is not wanted any more */
	unsigned nsums; /* I */
	uint64_t *sums; /* I: one for each block, in the same allocation */
	struct netfs_map_seal *seals; /* I: in their place, of a sealed object; else NULL */
	uint8_t *bounce; /* I: what a write of one sends: a block of bounce_size() bytes */
	struct iovec *iov; /* I: likewise */
	uint8_t *head; /* I: bytes before the slice, likewise */
	uint8_t *tail; /* I: bytes behind it, likewise */
};

static uint64_t block_down(uint64_t pos)
{
	return pos & ~(NETFS_MAP_BLOCK - 1);
}

static uint64_t block_up(uint64_t pos)
{
	return block_down(pos + NETFS_MAP_BLOCK - 1);
}

static size_t bounce_size(const struct flight *flight)
{
	uint64_t len = flight->end - flight->start;

	return netfs_power_of_two_up(len < NETFS_BLOCK_MIN ? NETFS_BLOCK_MIN : len);
}

static void flight_free(struct flight *flight)
{
	if (flight->bounce)
		netfs_block_free(flight->bounce, bounce_size(flight));
	netfs_free(flight);
}

/* Bytes of its checksums or seals. */
static size_t sums_size(const struct cookie *cookie, unsigned nsums)
{
	return nsums *
	       (cookie->object.map.sealed ? sizeof(struct netfs_map_seal) : sizeof(uint64_t));
}

static struct flight *flight_new(struct cookie *cookie, struct netfs_slice *slice, uint64_t end)
{
	unsigned nsums = (unsigned)((block_up(end) - block_down(slice->start)) / NETFS_MAP_BLOCK);
	size_t iov_size = (slice->niov + 2) * sizeof(struct iovec);
	size_t spare = slice->kind == NETFS_SLICE_READ ? 2 * NETFS_MAP_BLOCK : 0;
	struct flight *flight =
		netfs_alloc(sizeof(*flight) + iov_size + sums_size(cookie, nsums) + spare);

	if (!flight)
		return NULL;
	memset(flight, 0, sizeof(*flight));
	flight->cookie = cookie;
	flight->slice = slice;
	flight->start = block_down(slice->start);
	flight->end = end;
	flight->nsums = nsums;
	flight->iov = (struct iovec *)(flight + 1);
	flight->sums = (uint64_t *)((uint8_t *)flight->iov + iov_size);
	flight->head = (uint8_t *)flight->sums + sums_size(cookie, nsums);
	flight->tail = flight->head + (spare ? NETFS_MAP_BLOCK : 0);
	if (!cookie->object.map.sealed)
		return flight;
	flight->seals = (struct netfs_map_seal *)flight->sums;
	if (slice->kind == NETFS_SLICE_READ)
		return flight;
	flight->bounce = netfs_block_alloc(bounce_size(flight));
	if (flight->bounce)
		return flight;
	netfs_free(flight);
	return NULL;
}

void cache_flights_spoil(struct cookie *cookie, uint64_t start, uint64_t end)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &cookie->flights) {
		struct flight *flight = netfs_container_of(link, struct flight, link);

		if (flight->start < end && start < flight->end)
			flight->spoilt = true;
	}
}

bool cache_flights_any(const struct cookie *cookie, uint64_t start, uint64_t end)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &cookie->flights) {
		struct flight *flight = netfs_container_of(link, struct flight, link);

		if (flight->start < end && start < flight->end)
			return true;
	}
	return false;
}

static bool writing_locked(const struct cookie *cookie, uint64_t start, uint64_t end)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &cookie->flights) {
		struct flight *flight = netfs_container_of(link, struct flight, link);

		if (flight->slice->kind == NETFS_SLICE_WRITE && flight->start < end &&
		    start < flight->end)
			return true;
	}
	return false;
}

static void submit(struct flight *flight, enum netfs_fio_kind kind,
		   void (*done)(struct netfs_fio *fio, ssize_t result))
{
	struct netfs_slice *slice = flight->slice;
	size_t before = slice->start - flight->start;
	size_t behind = flight->end - slice->start - slice->len;
	unsigned n = 0;

	if (before)
		flight->iov[n++] = (struct iovec){flight->head, before};
	if (flight->bounce) {
		flight->iov[n++] = (struct iovec){flight->bounce, slice->len};
	} else {
		memcpy(flight->iov + n, slice->iov, slice->niov * sizeof(*slice->iov));
		n += slice->niov;
	}
	if (behind)
		flight->iov[n++] = (struct iovec){flight->tail, behind};
	flight->fio = (struct netfs_fio){
		.kind = kind,
		.fd = flight->cookie->object.fd,
		.start = flight->start,
		.iov = flight->iov,
		.niov = n,
		.done = done,
	};
	netfs_fio_submit(&flight->fio);
}

static void bounce_take(const struct flight *flight)
{
	atomic_fetch_add_explicit(&flight->cookie->cache->bounced, flight->end - flight->start,
				  memory_order_relaxed);
}

static void bounce_give(const struct flight *flight)
{
	atomic_fetch_sub_explicit(&flight->cookie->cache->bounced, flight->end - flight->start,
				  memory_order_relaxed);
}

/* Takes the flight off its cookie, frees it, and tells those who wait.  The
 * mutex is held, and is not when this returns; nor may the cookie be touched. */
static void land_locked(struct flight *flight, size_t moved, int err)
{
	struct cookie *cookie = flight->cookie;
	struct netfs_slice *slice = flight->slice;
	void (*ready)(void *user) = cookie->file.ready;
	void *user = cookie->file.user;
	/* A read makes room for nobody, but of a sealed object. */
	bool tell = cookie->wants_ready &&
		    (slice->kind == NETFS_SLICE_WRITE || cookie->object.map.sealed);

	if (tell)
		cookie->wants_ready = false;
	if (flight->bounce)
		bounce_give(flight);
	netfs_list_remove(&flight->link);
	/* Of one that was let go it was a proof's, which has its own end. */
	if (--cookie->nflights == 0 && !cookie->users && !cookie->relinquished)
		cache_cookie_idle(cookie);
	netfs_mutex_unlock(&cookie->mutex);
	flight_free(flight);
	if (tell)
		ready(user);
	slice->done(slice, moved, err, 0);
}

/* ---------------------------------------------------------- checksums */

/* The sum of the next len bytes, at most a block. */
static uint64_t sum_next(struct cache_walk *walk, size_t len)
{
	uint8_t whole[NETFS_MAP_BLOCK];

	return XXH3_64bits(cache_walk_get(walk, len, whole), len);
}

static size_t block_len(const struct flight *flight, unsigned i)
{
	uint64_t left = flight->end - flight->start - i * NETFS_MAP_BLOCK;

	return left < NETFS_MAP_BLOCK ? left : NETFS_MAP_BLOCK;
}

/* What is sealed of a transfer, with pieces that have its bytes. */
static struct cache_sealing sealing_of(const struct flight *flight, const struct iovec *iov)
{
	return (struct cache_sealing){
		.key = flight->cookie->object.seal.bytes,
		.block = flight->start / NETFS_MAP_BLOCK,
		.len = flight->end - flight->start,
		.iov = iov,
		.seals = flight->seals,
	};
}

/* ---------------------------------------------------------------- read */

/* The first block that is not what it should be; nsums where all are.  Those before
 * are in clear then. */
static unsigned first_bad(const struct flight *flight)
{
	struct cache_sealing sealing = sealing_of(flight, flight->iov);
	struct cache_walk walk = {flight->iov, 0};
	unsigned i;

	if (flight->seals)
		return cache_unseal_blocks(&sealing);

	for (i = 0; i < flight->nsums; i++)
		if (sum_next(&walk, block_len(flight, i)) != flight->sums[i])
			break;
	return i;
}

static void read_done(struct netfs_fio *fio, ssize_t result)
{
	struct flight *flight = netfs_container_of(fio, struct flight, fio);
	struct netfs_slice *slice = flight->slice;
	struct cookie *cookie = flight->cookie;
	uint64_t good = flight->start;
	size_t moved;
	int err = 0;

	/* A file that is too short has lost what is missing. */
	if (result == (ssize_t)(flight->end - flight->start)) {
		unsigned bad = first_bad(flight);

		good = bad == flight->nsums ? flight->end : flight->start + bad * NETFS_MAP_BLOCK;
	} else if (result < 0) {
		err = (int)result;
	}
	moved = good > slice->start ? good - slice->start : 0;
	if (moved > slice->len)
		moved = slice->len;
	netfs_mutex_lock(&cookie->mutex);
	if (flight->spoilt) {
		moved = 0;
		err = -ESTALE;
	} else if (moved < slice->len) {
		if (!err)
			netfs_map_remove(&cookie->object.map, good, good + 1);
		err = err ? err : -EILSEQ;
	}
	land_locked(flight, moved, err);
}

/* Where the last block of a read ends that starts before end. */
static uint64_t read_end(const struct cookie *cookie, uint64_t end)
{
	uint64_t start = block_down(end - 1);

	return start + netfs_map_block_len(&cookie->object.map, start / NETFS_MAP_BLOCK);
}

static void copy_sum(struct flight *flight, const struct netfs_map *map, unsigned i)
{
	uint64_t block = flight->start / NETFS_MAP_BLOCK + i;

	if (flight->seals)
		flight->seals[i] = *netfs_map_seal(map, block);
	else
		flight->sums[i] = netfs_map_sum(map, block);
}

static int read_start_locked(struct cookie *cookie, struct netfs_slice *slice,
			     struct flight **ret_flight)
{
	const struct netfs_map *map = &cookie->object.map;
	uint64_t from, to, end = slice->start + slice->len;
	struct flight *flight;

	if (cookie->state != COOKIE_ACTIVE || !netfs_map_next(map, slice->start, end, &from, &to) ||
	    from != slice->start || to != end)
		return -ESTALE;
	flight = flight_new(cookie, slice, read_end(cookie, end));
	if (!flight)
		return -ENOMEM;
	for (unsigned i = 0; i < flight->nsums; i++)
		copy_sum(flight, map, i);
	cache_chunks_touch(cookie, slice->kind, slice->start, end);
	netfs_list_push_back(&cookie->flights, &flight->link);
	cookie->nflights++;
	*ret_flight = flight;
	return 0;
}

ssize_t cache_cookie_read(struct netfs_cookie *netfs_cookie, struct netfs_slice *slice)
{
	struct cookie *cookie = cookie_of(netfs_cookie);
	struct flight *flight = NULL;
	ssize_t taken;
	int err;

	netfs_mutex_lock(&cookie->mutex);
	err = read_start_locked(cookie, slice, &flight);
	netfs_mutex_unlock(&cookie->mutex);
	if (err)
		return err;
	taken = (ssize_t)slice->len;
	submit(flight, NETFS_FIO_READ, read_done);
	return taken;
}

/* --------------------------------------------------------------- write */

/* A block of a write is there. */
static void add_locked(struct flight *flight, unsigned i, size_t len)
{
	struct netfs_map *map = &flight->cookie->object.map;
	uint64_t start = flight->start + i * NETFS_MAP_BLOCK;

	if (flight->seals)
		netfs_map_add_sealed(map, start, len, &flight->seals[i]);
	else
		netfs_map_add(map, start, len, flight->sums[i]);
}

static void write_done(struct netfs_fio *fio, ssize_t result)
{
	struct flight *flight = netfs_container_of(fio, struct flight, fio);
	struct netfs_slice *slice = flight->slice;
	struct cookie *cookie = flight->cookie;
	size_t moved = result > 0 ? (size_t)result : 0;
	int err = result < 0 ? (int)result : moved < slice->len ? -ENOSPC : 0;

	netfs_mutex_lock(&cookie->mutex);
	if (err == -ENOSPC || err == -EDQUOT)
		cache_space_short(cookie->cache);
	if (moved < slice->len)
		moved = block_down(moved);
	for (unsigned i = 0; i < flight->nsums && !flight->spoilt; i++) {
		size_t len = block_len(flight, i);

		if (i * NETFS_MAP_BLOCK + len > moved)
			break;
		add_locked(flight, i, len);
	}
	land_locked(flight, moved, err);
}

/* How much of a slice may be bounced now; 0: none, and it is told when. */
static size_t bounce_room_locked(struct cookie *cookie, const struct netfs_slice *slice)
{
	uint64_t bounced = atomic_load_explicit(&cookie->cache->bounced, memory_order_relaxed);

	if (!cookie->object.map.sealed)
		return slice->len;
	if (bounced + slice->len <= BOUNCE_MAX)
		return slice->len < NETFS_BLOCK_MAX ? slice->len : NETFS_BLOCK_MAX;
	/* A flight of its own that lands makes it ask again; without one it would
	 * wait for those of others. */
	cookie->wants_ready = cookie->nflights > 0;
	if (cookie->wants_ready)
		return 0;
	return slice->len < BOUNCE_LEAST ? slice->len : BOUNCE_LEAST;
}

static int write_start_locked(struct cookie *cookie, struct netfs_slice *slice,
			      struct flight **ret_flight)
{
	struct netfs_map *map = &cookie->object.map;
	size_t len = bounce_room_locked(cookie, slice);
	uint64_t end = slice->start + len, bytes;
	int err;

	if (cookie->state != COOKIE_ACTIVE || cookie->backings)
		return -ENOBUFS;
	if (!len)
		return -EAGAIN;
	if (writing_locked(cookie, slice->start, end) ||
	    (slice->start < cookie->cull_end && cookie->cull_start < end)) {
		cookie->wants_ready = true;
		return -EAGAIN;
	}
	err = netfs_map_reserve(map, slice->start, end);
	if (err)
		return err;
	*ret_flight = flight_new(cookie, slice, end);
	if (!*ret_flight)
		return -ENOMEM;
	bytes = netfs_map_unheld(map, slice->start, end) * NETFS_MAP_BLOCK;
	if (bytes && !cache_space_take_locked(cookie, bytes)) {
		flight_free(netfs_take(*ret_flight));
		return -ENOSPC;
	}
	cache_proof_spoil_locked(cookie);
	netfs_map_remove(map, slice->start, end);
	netfs_map_hold(map, slice->start, end);
	cache_chunks_touch(cookie, slice->kind, slice->start, end);
	cache_flights_spoil(cookie, slice->start, end);
	netfs_list_push_back(&cookie->flights, &(*ret_flight)->link);
	cookie->nflights++;
	if ((*ret_flight)->bounce)
		bounce_take(*ret_flight);
	if (len < slice->len)
		netfs_slice_trim(slice, len);
	return 0;
}

/* Checksums, or seals and the bounce buffer. */
static int prepare(struct flight *flight)
{
	struct cache_sealing sealing = sealing_of(flight, flight->slice->iov);
	struct cache_walk walk = {flight->slice->iov, 0};

	if (flight->seals)
		return cache_seal_blocks(&sealing, flight->bounce);
	for (unsigned i = 0; i < flight->nsums; i++)
		flight->sums[i] = sum_next(&walk, block_len(flight, i));
	return 0;
}

ssize_t cache_cookie_write(struct netfs_cookie *netfs_cookie, struct netfs_slice *slice)
{
	struct cookie *cookie = cookie_of(netfs_cookie);
	struct flight *flight = NULL;
	ssize_t taken;
	int err;

	netfs_assert(slice->start % NETFS_MAP_BLOCK == 0);
	netfs_mutex_lock(&cookie->mutex);
	err = write_start_locked(cookie, slice, &flight);
	netfs_mutex_unlock(&cookie->mutex);
	if (err)
		return err;
	taken = (ssize_t)slice->len;
	err = prepare(flight);
	if (!err) {
		submit(flight, NETFS_FIO_WRITE, write_done);
	} else {
		netfs_mutex_lock(&cookie->mutex);
		land_locked(flight, 0, err);
	}
	return taken;
}
