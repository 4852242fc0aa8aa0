/* SPDX-License-Identifier: MIT */
/*
 * A disk cache in memory that keeps the contract to the letter and helps nobody
 * beyond it: late, short, failing, full, and culled at any moment.
 */
#ifndef TESTS_CACHE_SCRIPT_H
#define TESTS_CACHE_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>
#include <base/ranges.h>
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

struct cache_script {
	struct netfs_cookie cookie;
	uint8_t *data;
	uint64_t *stamps; /* of each byte: when it was written or forgotten last */
	uint64_t size; /* room in both */
	uint64_t now;
	struct netfs_ranges there;
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

/* size: of the largest file. */
void cache_script_init(struct cache_script *cache, uint64_t size, void (*ready)(void *user),
		       void *user);
void cache_script_done(struct cache_script *cache);
/* Every cached byte must be that of the file.  Aborts the test otherwise. */
void cache_script_check(const struct cache_script *cache, const uint8_t *file, uint64_t size);

#endif
