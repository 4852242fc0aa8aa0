/* SPDX-License-Identifier: MIT */
/*
 * The contract of a disk cache with the engine: a second place that slices go
 * to and come from.  It has the shape of backend.h: here is a slice, take some
 * of it, complete it exactly once.
 *
 * A cookie is the cache's handle on one file.  The engine asks it what it has,
 * reads that instead of asking the server, gives it what the server sent, and
 * gives it what goes to the server.  Whatever fails here costs time and nothing
 * else: a read that fails is made at the server, a write that fails is
 * forgotten.
 *
 * Rules:
 *
 *  - read and write behave like those of a back end (backend.h): any thread, no
 *    lock held, never block, -EAGAIN where there is no room now, and whoever
 *    attached the cookie calls netfs_core_ready() when there is again.
 *  - present, invalidate and forget are called with the file's lock held: they
 *    look at or change memory, take only locks of their own, and call nobody.
 *  - A written range becomes present when its slice completes, for the bytes
 *    that moved, and not before.
 *  - Ranges start and end at multiples of NETFS_CACHE_GRANULE, except that one
 *    may end at the end of the file.
 *  - Of two writes of one byte the one handed in later wins, also while the
 *    first is under way.
 *  - invalidate takes effect before it returns: the range is not present; a
 *    write of it that was handed in before does not make it so; a read of it
 *    that is under way ends with -ESTALE, or with the bytes from before.  So
 *    does forget.  They differ in what they say about the file: invalidate, that
 *    it changes, so that its version is not known until it is told again;
 *    forget, that a slice failed and nothing else.
 */
#ifndef UNETFS_CACHE_H
#define UNETFS_CACHE_H

#include <unetfs/backend.h>

#define NETFS_CACHE_GRANULE UINT64_C(4096)

struct netfs_cookie;

/* What tells two versions of a file apart: those of struct netfs_attr. */
struct netfs_cache_version {
	uint64_t counter;
	struct netfs_time mtime;
	struct netfs_time ctime;
	uint64_t size;
};

/* Somebody who waits until a cookie is ready. */
struct netfs_cache_wait {
	/* Called once, perhaps before use() returned; any thread, no lock held. */
	void (*done)(struct netfs_cache_wait *wait);
	struct netfs_cache_wait *next; /* the cache's, until then */
};

struct netfs_cache_ops {
	/* The first stretch of [start, end) that is there; false: nothing. */
	bool (*present)(struct netfs_cookie *cookie, uint64_t start, uint64_t end,
			uint64_t *ret_start, uint64_t *ret_end);
	void (*invalidate)(struct netfs_cookie *cookie, uint64_t start, uint64_t end);
	void (*forget)(struct netfs_cookie *cookie, uint64_t start, uint64_t end);
	/* All of slice was present a moment ago.  After a short answer the rest
	 * is not asked for again; the same for write. */
	ssize_t (*read)(struct netfs_cookie *cookie, struct netfs_slice *slice);
	ssize_t (*write)(struct netfs_cookie *cookie, struct netfs_slice *slice);
	/* As in backend.h. */
	void (*slice_cancel)(struct netfs_cookie *cookie, struct netfs_slice *slice);

	/* Optional from here, for a cache that is there longer than its mounts. */

	/*
	 * The file was opened.  The opener goes on after wait->done(): then what
	 * the cache has of the version told last is present.  Until the first
	 * use and after the last unuse nothing need be.
	 */
	void (*use)(struct netfs_cookie *cookie, struct netfs_cache_wait *wait);
	void (*unuse)(struct netfs_cookie *cookie);
	/*
	 * A use is likely to come soon, of the version told last: what takes time may
	 * begin.  Does not block.
	 */
	void (*hurry)(struct netfs_cookie *cookie);
	/*
	 * What is present, and what is written from now on, is of this version
	 * of the file.  NULL: it is not known any more; nor is it after an
	 * invalidate.  Called with locks held: only looks at or changes memory.
	 */
	void (*version)(struct netfs_cookie *cookie, const struct netfs_cache_version *version);
	/*
	 * What is there of the file stays when room is made, or need not any more.
	 * Takes effect in a while, and outlives the mount.  No lock held, does not
	 * block.  -EBUSY: nobody uses it; -ENOBUFS: it cannot be cached now.
	 */
	int (*pin)(struct netfs_cookie *cookie, bool pinned);
	/*
	 * A descriptor of the cache's for a file that has exactly size bytes, those of
	 * the version told last, each of them proved since it was stored; they stay what
	 * they are and where they are until backing_end(), and for as long as somebody has
	 * that file open or mapped.  The cookie is in use from before begin until after
	 * end.  No lock held, does not block: -EAGAIN, it is not so now, and what is
	 * there is proved in the background; any other error: it will not be so soon.
	 */
	int (*backing_begin)(struct netfs_cookie *cookie, uint64_t size);
	void (*backing_end)(struct netfs_cookie *cookie);
};

/* First member of the cache's own. */
struct netfs_cookie {
	const struct netfs_cache_ops *ops;
};

/* What a cache is told of a file. */
struct netfs_cache_file {
	uint64_t ino; /* as in struct netfs_attr */
	uint64_t gen;
	/* There is room again for slices of this file, see above. */
	void (*ready)(void *user);
	void *user; /* valid until relinquish */
};

/*
 * A cache for the files of a client (netfs_client_config.cache), whose owner
 * keeps it until the client is freed.  Both functions may be called from any
 * thread, with no lock held, and do not block.
 */
struct netfs_cache {
	/* A cookie for the file, with nothing present; NULL: not cached. */
	struct netfs_cookie *(*acquire)(struct netfs_cache *cache,
					const struct netfs_cache_file *file);
	/* No slice of it is under way, and no function of it is called again. */
	void (*relinquish)(struct netfs_cache *cache, struct netfs_cookie *cookie);
	/* For people: the folder it is in, which of its volumes (netfs_cache_object.volume_id),
	 * and whether that is sealed.  NULL: in none. */
	const char *folder;
	uint64_t volume;
	bool sealed;
};

#endif
