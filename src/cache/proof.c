/* SPDX-License-Identifier: MIT */
/*
 * Objects that others read by themselves, and the proof that comes before.
 *
 * Whoever reads an object through us compares each block with its checksum.  A
 * kernel that has the object's file does not.  So a file is given away only after
 * all of it was read once and every block was what it should be:
 *
 *	       begin          its turn        the end           exposed
 *	NONE --------> WAITING -----> READING -------> READ -----------> DONE
 *	  ^                           |     | write      | write          | write
 *	  |     damaged, let go       |     v            |                |
 *	  +---------------------------+-- SPOILT         |                |
 *	  +----------------------------------------------+----------------+
 *
 * It is read by slices like any other, one object at a time for all of a cache, so
 * that a damaged block is found absent by all who come later, and who reads beside
 * it is not held up.  The cookie stays active meanwhile, whether or not anybody uses
 * it.
 *
 * Then the worker exposes the object (store.h).  It is what keeps others from making
 * holes in it, also those who come when nobody here knows of it any more.
 * A cookie that closes its object and opens it again believes what was proved if
 * the file's stamp is the same: others may have had it meanwhile.
 *
 * While the file is given away (backings) nothing is written to it.
 *
 * Locks: the cookie's mutex, then the cache's.
 */
#include <errno.h>
#include <string.h>
#include <base/assert.h>
#include <base/limits.h>
#include <base/round.h>
#include <cache/cookie.h>
#include <env/alloc.h>

/* Bytes that are read at once. */
#define STEP (UINT64_C(1) << 20)
/* Objects that wait for their turn: each is open meanwhile. */
#define PROOFS_MAX 256

/* One object being read.  Made when its turn comes, freed at the end of it. */
struct run {
	struct netfs_slice slice;
	struct iovec iov;
	struct cookie *cookie;
	uint64_t size;
	uint64_t at;
	size_t room; /* of the buffer: a block's size */
	uint8_t *buffer;
};

static void set(struct cookie *cookie, enum cookie_proof proof)
{
	netfs_assert_held(&cookie->mutex);
	cookie->proof = proof;
	netfs_assert(cookie->state == COOKIE_ACTIVE || proof == PROOF_NONE);
}

bool cache_proof_runs_locked(const struct cookie *cookie)
{
	return cookie->proof == PROOF_WAITING || cookie->proof == PROOF_READING ||
	       cookie->proof == PROOF_SPOILT;
}

/* What waits is read only after this. */
void cache_proof_spoil_locked(struct cookie *cookie)
{
	if (cookie->proof == PROOF_READING)
		set(cookie, PROOF_SPOILT);
	else if (!cache_proof_runs_locked(cookie))
		set(cookie, PROOF_NONE);
}

/* ------------------------------------------------------------- reading */

/* Whose turn it is. */
static struct cookie *take(struct cache *cache)
{
	struct netfs_list *link;

	netfs_mutex_lock(&cache->mutex);
	link = netfs_list_pop_front(&cache->proofs);
	if (link)
		cache->nproofs--;
	else
		cache->proving = false;
	netfs_mutex_unlock(&cache->mutex);
	return link ? netfs_container_of(link, struct cookie, proof_link) : NULL;
}

/* It was read as far as it is good: the next one's turn.  Taken before this one is let
 * go, which may be the last thing that keeps the cache. */
static struct cookie *finish(struct cookie *cookie, bool good)
{
	struct cookie *next = take(cookie->cache);

	netfs_mutex_lock(&cookie->mutex);
	set(cookie, good && cookie->proof == PROOF_READING ? PROOF_READ : PROOF_NONE);
	if (cookie->proof == PROOF_READ || cookie->relinquished)
		cache_cookie_push(cookie);
	else if (!cookie->users && !cookie->nflights)
		cache_cookie_idle(cookie);
	netfs_mutex_unlock(&cookie->mutex);
	return next;
}

static void run_free(struct run *run)
{
	netfs_block_free(run->buffer, run->room);
	netfs_free(run);
}

static void step_done(struct netfs_slice *slice, size_t moved, int err, unsigned flags);

/* False: it is over.  Nobody waits for what was let go. */
static bool step(struct run *run)
{
	struct cookie *cookie = run->cookie;
	uint64_t left = run->size - run->at;
	bool wanted;

	run->iov = (struct iovec){run->buffer, left < STEP ? left : STEP};
	run->slice = (struct netfs_slice){
		.kind = NETFS_SLICE_READ,
		.start = run->at,
		.len = run->iov.iov_len,
		.iov = &run->iov,
		.niov = 1,
		.done = step_done,
	};
	netfs_mutex_lock(&cookie->mutex);
	wanted = cookie->proof == PROOF_READING && !cookie->relinquished;
	netfs_mutex_unlock(&cookie->mutex);
	return wanted && cache_cookie_read(&cookie->cookie, &run->slice) > 0;
}

static struct run *run_new(struct cookie *cookie)
{
	struct run *run = netfs_zalloc(sizeof(*run));
	uint64_t room;

	if (!run)
		return NULL;
	run->cookie = cookie;
	netfs_mutex_lock(&cookie->mutex);
	set(cookie, PROOF_READING);
	run->size = cookie->proof_size;
	netfs_mutex_unlock(&cookie->mutex);
	room = run->size < NETFS_BLOCK_MIN ? NETFS_BLOCK_MIN : run->size < STEP ? run->size : STEP;
	run->room = netfs_power_of_two_up(room);
	run->buffer = netfs_block_alloc(run->room);
	if (run->buffer)
		return run;
	netfs_free(run);
	return NULL;
}

/* Begins with cookie, or where that is not possible with the one after it. */
static void go_on(struct cookie *cookie)
{
	while (cookie) {
		struct run *run = run_new(cookie);

		if (run && step(run))
			return;
		if (run)
			run_free(run);
		cookie = finish(cookie, false);
	}
}

static void step_done(struct netfs_slice *slice, size_t moved, int err, unsigned flags)
{
	struct run *run = netfs_container_of(slice, struct run, slice);
	struct cookie *cookie = run->cookie;
	bool good = !err && moved == slice->len, over;

	run->at += moved;
	over = run->at == run->size;
	if (good && !over && step(run))
		return;
	run_free(run);
	go_on(finish(cookie, good && over));
}

/* Puts it in the line.  True: the line does not move by itself. */
static bool enqueue_locked(struct cookie *cookie, uint64_t size)
{
	struct cache *cache = cookie->cache;
	bool start = false;

	netfs_mutex_lock(&cache->mutex);
	if (cache->nproofs < PROOFS_MAX) {
		netfs_list_push_back(&cache->proofs, &cookie->proof_link);
		cache->nproofs++;
		start = !cache->proving;
		cache->proving = true;
		cookie->proof_size = size;
		set(cookie, PROOF_WAITING);
	}
	netfs_mutex_unlock(&cache->mutex);
	return start;
}

/* ------------------------------------------------------------- exposing */

void cache_proof_attend(struct cookie *cookie)
{
	struct netfs_store_stamp stamp;
	bool read;
	int err;

	netfs_mutex_lock(&cookie->mutex);
	read = cookie->state == COOKIE_ACTIVE && cookie->proof == PROOF_READ;
	netfs_mutex_unlock(&cookie->mutex);
	if (!read)
		return;
	err = netfs_store_expose(&cookie->object);
	if (!err)
		err = netfs_store_stamp(&cookie->object, &stamp);
	netfs_mutex_lock(&cookie->mutex);
	if (cookie->proof == PROOF_READ && err)
		set(cookie, PROOF_NONE);
	if (cookie->proof == PROOF_READ) {
		cookie->stamp = stamp;
		set(cookie, stamp.size == cookie->proof_size ? PROOF_DONE : PROOF_UNFIT);
	}
	netfs_mutex_unlock(&cookie->mutex);
}

static bool same(const struct netfs_store_stamp *a, const struct netfs_store_stamp *b)
{
	return a->number == b->number && a->size == b->size && a->mtime_ns == b->mtime_ns &&
	       a->ctime_ns == b->ctime_ns;
}

void cache_proof_recall(struct cookie *cookie, const struct netfs_store_object *object)
{
	struct netfs_store_stamp stamp;
	bool done;

	netfs_mutex_lock(&cookie->mutex);
	done = cookie->proof == PROOF_DONE;
	netfs_mutex_unlock(&cookie->mutex);
	if (done && !netfs_store_stamp(object, &stamp) && same(&stamp, &cookie->stamp))
		return;
	netfs_mutex_lock(&cookie->mutex);
	set(cookie, PROOF_NONE);
	netfs_mutex_unlock(&cookie->mutex);
}

/* --------------------------------------------------------- giving away */

static bool complete_locked(const struct cookie *cookie, uint64_t size)
{
	uint64_t from, to;

	return netfs_map_next(&cookie->object.map, 0, size, &from, &to) && from == 0 && to == size;
}

/* The descriptor, or why not; *ret_start as enqueue_locked(). */
static int begin_locked(struct cookie *cookie, uint64_t size, bool *ret_start)
{
	if (cookie->state != COOKIE_ACTIVE)
		return cookie->state == COOKIE_FAILED ? -ENOBUFS : -EAGAIN;
	if (cookie->object.map.sealed)
		return -EOPNOTSUPP;
	if (!cookie->known || !complete_locked(cookie, size))
		return -EAGAIN;
	if (!cache_proof_runs_locked(cookie) && cookie->proof_size != size)
		set(cookie, PROOF_NONE);
	if (cookie->proof == PROOF_NONE)
		*ret_start = enqueue_locked(cookie, size);
	if (cookie->proof != PROOF_DONE)
		return cookie->proof == PROOF_UNFIT ? -EOPNOTSUPP : -EAGAIN;
	cookie->backings++;
	return cookie->object.fd;
}

int cache_backing_begin(struct netfs_cookie *netfs_cookie, uint64_t size)
{
	struct cookie *cookie = cookie_of(netfs_cookie);
	bool start = false;
	int result;

	netfs_mutex_lock(&cookie->mutex);
	netfs_assert(cookie->users);
	result = begin_locked(cookie, size, &start);
	netfs_mutex_unlock(&cookie->mutex);
	if (start)
		go_on(take(cookie->cache));
	return result;
}

void cache_backing_end(struct netfs_cookie *netfs_cookie)
{
	struct cookie *cookie = cookie_of(netfs_cookie);

	netfs_mutex_lock(&cookie->mutex);
	netfs_assert(cookie->backings);
	cookie->backings--;
	netfs_mutex_unlock(&cookie->mutex);
}
