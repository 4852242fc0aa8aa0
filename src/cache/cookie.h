/* SPDX-License-Identifier: MIT */
/* The cache of a mount and its cookies, for the files of this folder. */
#ifndef CACHE_COOKIE_H
#define CACHE_COOKIE_H

#include <stdatomic.h>
#include <base/list.h>
#include <cache/cache.h>
#include <cache/store/store.h>
#include <env/executor.h>
#include <env/lock.h>
#include <env/timer.h>

/*
 * Owned by the mount until netfs_cache_close(), then by its worker, which frees
 * it after the last cookie.
 *
 * I: immutable; m: mutex; w: the worker's, of which there is one at a time.
 */
struct cache {
	struct netfs_cache cache; /* I */
	struct netfs_store *store; /* w */
	int64_t volume; /* I */
	uint64_t size; /* I */
	struct netfs_cache_limits blocks; /* I */
	struct netfs_cache_limits files; /* I */

	struct netfs_list open; /* w: cookies whose object is open */
	bool changed; /* w: the batch at hand took bytes from the catalogue */
	bool swept; /* w: what a mount that died had begun was looked for */
	uint64_t turnover; /* I: what may be stored until all that is in the folder was replaced */
	_Atomic uint64_t clock; /* bytes ever stored in the folder, about */

	struct netfs_mutex mutex;
	struct netfs_list proofs; /* m: cookies whose objects are to be read */
	bool proving; /* m: one of them is */
	uint32_t nproofs; /* m: in the list */
	struct netfs_list queue; /* m: cookies the worker is to look at */
	struct netfs_list later; /* m: those to be queued after the worker's batch */
	struct netfs_list idle; /* m: cookies nobody uses */
	bool working; /* m: the worker is posted or runs */
	bool closing; /* m: no cookie comes any more */
	bool lingering; /* m: the idle timer is armed, or its task under way */
	uint32_t cookies; /* m: living */
	uint64_t used; /* m: bytes in the folder, when the worker looked last */
	int64_t fresh; /* m: what open objects hold more than they have in used */
	uint64_t wanted; /* m: bytes that were not stored for want of space */
	uint64_t patient_ns; /* m: there was nothing to remove; not before then again */
	bool stopped; /* m: the disk is too full to store anything */
	bool look; /* m: the worker is to look whether there is room */
	uint64_t unseen; /* m: bytes taken since it looked */
	_Atomic uint64_t bounced; /* bytes of sealed writes under way */
	struct netfs_job job;
	struct netfs_task idle_task;
	struct netfs_timer idle_timer;
};

enum cookie_state {
	COOKIE_QUIESCENT, /* nothing of it is here */
	COOKIE_LOOKING_UP, /* somebody uses it; the worker opens its object */
	COOKIE_ACTIVE, /* its object is open, and slices move */
	COOKIE_COMMITTING, /* the worker records it and closes its object */
	COOKIE_FAILED, /* it cannot be had while those last who use it */
	COOKIE_DROPPED, /* the end */
	COOKIE_STATES,
};

/* What is known of all bytes of an object together. */
enum cookie_proof {
	PROOF_NONE, /* nothing */
	PROOF_WAITING, /* it is to be read: in cache->proofs */
	PROOF_READING, /* it is being read; all so far fits its checksums */
	PROOF_SPOILT, /* likewise, and was written to meanwhile */
	PROOF_READ, /* all of it fits; the worker is to expose it */
	PROOF_DONE, /* and the file, with that stamp, is proof_size bytes */
	PROOF_UNFIT, /* it is of another size */
	PROOF_STATES,
};

/*
 * Made by acquire, freed by the worker after relinquish.
 *
 * I: immutable; c: mutex; m: the cache's mutex; o: c, and of an object that is
 * being looked up or committed the worker's alone.
 */
struct cookie {
	struct netfs_cookie cookie; /* I */
	struct cache *cache; /* I */
	struct netfs_cache_file file; /* I */
	struct netfs_list link; /* m: in cache->queue or later */
	struct netfs_list idle_link; /* m: in cache->idle */
	struct netfs_list open_link; /* w: in cache->open */
	bool looked; /* the worker's: its object was in use a moment ago */

	struct netfs_mutex mutex;
	enum cookie_state state; /* c */
	bool relinquished; /* c */
	uint32_t users; /* c */
	struct netfs_cache_wait *waits; /* c: who waits for the end of a lookup */
	enum {
		WISH_NONE,
		WISH_PIN,
		WISH_UNPIN,
	} wish; /* c: what the worker is to do with its object */
	bool stale; /* c: what is recorded is not to be believed */
	bool known; /* c: version is what the data is of */
	uint8_t version[NETFS_STORE_VERSION]; /* c */
	struct netfs_store_object object; /* o */
	uint64_t cull_start; /* c: becomes a hole; no write there meanwhile */
	uint64_t cull_end;
	int64_t fresh; /* c: its share of cache->fresh */
	uint32_t nflights; /* c */
	struct netfs_list flights; /* c: struct flight */
	bool wants_ready; /* c: a slice was refused with -EAGAIN */

	enum cookie_proof proof; /* c */
	struct netfs_list proof_link; /* m: in cache->proofs */
	uint64_t proof_size; /* c */
	struct netfs_store_stamp stamp; /* w */
	uint32_t backings; /* c: who has the file for somebody outside */
};

static inline struct cookie *cookie_of(struct netfs_cookie *cookie)
{
	return netfs_container_of(cookie, struct cookie, cookie);
}

/* The only place where a state changes; the mutex is held. */
void cache_cookie_set(struct cookie *cookie, enum cookie_state state);
/* Nobody uses it: the worker will look at it in a while.  The mutex is held. */
void cache_cookie_idle(struct cookie *cookie);
/* What a record says of a version. */
void cache_version_bytes(const struct netfs_cache_version *version,
			 uint8_t bytes[NETFS_STORE_VERSION]);
/* Has the worker look at it.  Any lock of higher rank may be held. */
void cache_cookie_push(struct cookie *cookie);
/* One slice of an active cookie; netfs_cache_ops.read and write. */
ssize_t cache_cookie_read(struct netfs_cookie *cookie, struct netfs_slice *slice);
ssize_t cache_cookie_write(struct netfs_cookie *cookie, struct netfs_slice *slice);
/* Is a slice under way in [start, end)?  The mutex is held. */
bool cache_flights_any(const struct cookie *cookie, uint64_t start, uint64_t end);
/* proof.c.  netfs_cache_ops.backing_begin and end. */
int cache_backing_begin(struct netfs_cookie *cookie, uint64_t size);
void cache_backing_end(struct netfs_cookie *cookie);
/* Is its object being read, so that it must stay open?  The mutex is held. */
bool cache_proof_runs_locked(const struct cookie *cookie);
/* The object is about to be written to.  The mutex is held. */
void cache_proof_spoil_locked(struct cookie *cookie);
/* What the worker is to do about it; and with an object that was opened now, which
 * is not the cookie's yet. */
void cache_proof_attend(struct cookie *cookie);
void cache_proof_recall(struct cookie *cookie, const struct netfs_store_object *object);
/* What is under way in [start, end) is worth nothing.  The mutex is held. */
void cache_flights_spoil(struct cookie *cookie, uint64_t start, uint64_t end);

extern const struct netfs_cache_ops cache_cookie_ops;
struct netfs_cookie *cache_cookie_acquire(struct netfs_cache *cache,
					  const struct netfs_cache_file *file);
void cache_cookie_relinquish(struct netfs_cache *cache, struct netfs_cookie *cookie);

/* Space for so many more bytes of it; false: there is none.  The mutex is held. */
bool cache_space_take_locked(struct cookie *cookie, uint64_t bytes);
/* What the object holds, or is counted for, has changed.  The mutex is held. */
void cache_space_settle_locked(struct cookie *cookie);
/* What the catalogue says is used.  The worker's. */
void cache_space_learn(struct cache *cache);
/* The disk has no space: something must go. */
void cache_space_short(struct cache *cache);

/* The worker, worker.c.  Posts it where it is not; the mutex is held. */
void cache_worker_post_locked(struct cache *cache);
void cache_worker_run(struct netfs_job *job);

/* cull.c.  Removes what is too much.  The worker's. */
void cache_make_room(struct cache *cache);
/* A slice of [start, end) begins, which the map has chunks for.  The mutex is
 * held. */
void cache_chunks_touch(struct cookie *cookie, enum netfs_slice_kind kind, uint64_t start,
			uint64_t end);
/* The object is to be recorded.  The worker's. */
void cache_object_rank(struct cookie *cookie);

#endif
