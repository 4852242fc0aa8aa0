/* SPDX-License-Identifier: MIT */
/*
 * Slices of an active object: whole blocks to and from its file, with their
 * checksums.
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
#include <cache/cookie.h>
#include <env/alloc.h>
#include <env/file.h>

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

static struct flight *flight_new(struct cookie *cookie, struct netfs_slice *slice, uint64_t end)
{
	unsigned nsums = (unsigned)((block_up(end) - block_down(slice->start)) / NETFS_MAP_BLOCK);
	size_t iov_size = (slice->niov + 2) * sizeof(struct iovec);
	size_t spare = slice->kind == NETFS_SLICE_READ ? 2 * NETFS_MAP_BLOCK : 0;
	struct flight *flight =
		netfs_alloc(sizeof(*flight) + nsums * sizeof(uint64_t) + iov_size + spare);

	if (!flight)
		return NULL;
	memset(flight, 0, sizeof(*flight));
	flight->cookie = cookie;
	flight->slice = slice;
	flight->start = block_down(slice->start);
	flight->end = end;
	flight->nsums = nsums;
	flight->sums = (uint64_t *)(flight + 1);
	flight->iov = (struct iovec *)(flight->sums + nsums);
	flight->head = (uint8_t *)flight->iov + iov_size;
	flight->tail = flight->head + (spare ? NETFS_MAP_BLOCK : 0);
	return flight;
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
	memcpy(flight->iov + n, slice->iov, slice->niov * sizeof(*slice->iov));
	n += slice->niov;
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

/* Takes the flight off its cookie, frees it, and tells those who wait.  The
 * mutex is held, and is not when this returns; nor may the cookie be touched. */
static void land_locked(struct flight *flight, size_t moved, int err)
{
	struct cookie *cookie = flight->cookie;
	struct netfs_slice *slice = flight->slice;
	void (*ready)(void *user) = cookie->file.ready;
	void *user = cookie->file.user;
	bool tell = cookie->wants_ready;

	cookie->wants_ready = false;
	netfs_list_remove(&flight->link);
	if (--cookie->nflights == 0 && !cookie->users)
		cache_cookie_idle(cookie);
	netfs_mutex_unlock(&cookie->mutex);
	netfs_free(flight);
	if (tell)
		ready(user);
	slice->done(slice, moved, err, 0);
}

/* ---------------------------------------------------------- checksums */

/* Walks the pieces of a transfer. */
struct walk {
	const struct iovec *iov;
	size_t at; /* in the first */
};

/* The sum of the next len bytes, at most a block. */
static uint64_t sum_next(struct walk *walk, size_t len)
{
	uint8_t whole[NETFS_MAP_BLOCK];
	size_t done = 0;

	if (walk->iov->iov_len - walk->at >= len) {
		const uint8_t *from = (const uint8_t *)walk->iov->iov_base + walk->at;

		walk->at += len;
		if (walk->at == walk->iov->iov_len)
			*walk = (struct walk){walk->iov + 1, 0};
		return XXH3_64bits(from, len);
	}
	while (done < len) {
		size_t n = walk->iov->iov_len - walk->at;

		if (n > len - done)
			n = len - done;
		memcpy(whole + done, (const uint8_t *)walk->iov->iov_base + walk->at, n);
		done += n;
		walk->at += n;
		if (walk->at == walk->iov->iov_len)
			*walk = (struct walk){walk->iov + 1, 0};
	}
	return XXH3_64bits(whole, len);
}

static size_t block_len(const struct flight *flight, unsigned i)
{
	uint64_t left = flight->end - flight->start - i * NETFS_MAP_BLOCK;

	return left < NETFS_MAP_BLOCK ? left : NETFS_MAP_BLOCK;
}

/* ---------------------------------------------------------------- read */

/* The first block that is not what it should be; nsums where all are. */
static unsigned first_bad(const struct flight *flight)
{
	struct walk walk = {flight->iov, 0};
	unsigned i;

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
		flight->sums[i] = netfs_map_sum(map, flight->start / NETFS_MAP_BLOCK + i);
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
		netfs_map_add(&cookie->object.map, flight->start + i * NETFS_MAP_BLOCK, len,
			      flight->sums[i]);
	}
	land_locked(flight, moved, err);
}

static int write_start_locked(struct cookie *cookie, struct netfs_slice *slice,
			      struct flight **ret_flight)
{
	struct netfs_map *map = &cookie->object.map;
	uint64_t end = slice->start + slice->len, bytes;
	int err;

	if (cookie->state != COOKIE_ACTIVE)
		return -ENOBUFS;
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
		netfs_free(netfs_take(*ret_flight));
		return -ENOSPC;
	}
	netfs_map_remove(map, slice->start, end);
	netfs_map_hold(map, slice->start, end);
	cache_chunks_touch(cookie, slice->kind, slice->start, end);
	cache_flights_spoil(cookie, slice->start, end);
	netfs_list_push_back(&cookie->flights, &(*ret_flight)->link);
	cookie->nflights++;
	return 0;
}

ssize_t cache_cookie_write(struct netfs_cookie *netfs_cookie, struct netfs_slice *slice)
{
	struct cookie *cookie = cookie_of(netfs_cookie);
	struct flight *flight = NULL;
	struct walk walk;
	ssize_t taken;
	int err;

	netfs_assert(slice->start % NETFS_MAP_BLOCK == 0);
	netfs_mutex_lock(&cookie->mutex);
	err = write_start_locked(cookie, slice, &flight);
	netfs_mutex_unlock(&cookie->mutex);
	if (err)
		return err;
	walk = (struct walk){slice->iov, 0};
	for (unsigned i = 0; i < flight->nsums; i++)
		flight->sums[i] = sum_next(&walk, block_len(flight, i));
	taken = (ssize_t)slice->len;
	submit(flight, NETFS_FIO_WRITE, write_done);
	return taken;
}
