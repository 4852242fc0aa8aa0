/* SPDX-License-Identifier: MIT */
/*
 * A disk cache in memory that keeps the contract to the letter and helps nobody
 * beyond it: late, short, failing, full, and culled at any moment.  One file, or
 * those of a client; in both environments.
 */
#ifndef TESTS_CACHE_SCRIPT_H
#define TESTS_CACHE_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>
#include <base/ranges.h>
#include <env/lock.h>
#include <env/timer.h>
#include <unetfs/cache.h>

#define CACHE_SCRIPT_SLOTS 6

struct cache_script;

struct cache_script_slot {
	struct cache_script *cache;
	struct netfs_slice *slice;
	uint64_t stamp; /* of the write; newer bytes are left alone */
	struct netfs_timer timer;
	struct netfs_task task;
	bool busy;
};

/* m: guarded by mutex. */
struct cache_script {
	struct netfs_cookie cookie;
	struct netfs_mutex mutex; /* rank BACKEND */
	uint8_t *data; /* m */
	uint64_t *stamps; /* m: of each byte: when it was written or forgotten last */
	uint64_t size; /* m: room in both */
	uint64_t now; /* m */
	struct netfs_ranges there; /* m */
	struct cache_script_slot slot[CACHE_SCRIPT_SLOTS];
	unsigned error_pct; /* of answers that fail */
	unsigned short_pct; /* of answers that are short */
	unsigned cull_pct; /* of questions after which something is dropped */
	bool dead; /* every answer fails */
	bool refused_some;
	void (*ready)(void *user); /* there is room again */
	void *user;
	unsigned reads, writes;
};

/* ready: netfs_core_ready() in effect. */
void cache_script_init(struct cache_script *cache, void (*ready)(void *user), void *user);
void cache_script_done(struct cache_script *cache);
/* Every cached byte must be that of the file.  Aborts the test otherwise. */
void cache_script_check(const struct cache_script *cache, const uint8_t *file, uint64_t size);

/* Such caches for every file of a client, for netfs_client_config.cache. */
extern struct netfs_cache cache_script_all;
/* What they were asked: slices read and written so far. */
extern _Atomic uint64_t cache_script_reads, cache_script_writes;

#endif
