/* SPDX-License-Identifier: MIT */
/*
 * A server of one file for the tests of the engine: takes slices of any size,
 * refuses some, answers late, short, out of order or with errors that heal.
 */
#ifndef TESTS_ENGINE_SERVER_H
#define TESTS_ENGINE_SERVER_H

#include <unetfs/backend.h>
#include <core/core.h>
#include <env/executor.h>
#include <env/random.h>
#include <env/timer.h>

#define FILE_MAX (400u << 10)
#define SLOTS	 12

struct pending {
	struct server *server;
	struct netfs_slice *slice;
	struct netfs_timer timer;
	struct netfs_task task;
	bool busy;
};

struct server {
	struct netfs_be be;
	struct netfs_handle handle;
	struct netfs_core *core;
	uint8_t data[FILE_MAX];
	uint64_t size;
	struct pending slot[SLOTS];
	unsigned depth; /* slices it takes at once */
	unsigned short_pct; /* of answers that are short */
	unsigned error_pct; /* of answers that fail but heal */
	unsigned slice_max;
	int refuse_writes; /* errno for all writes, for good */
	bool deaf; /* answers nothing any more */
	int refuse_reads; /* likewise */
	bool crypt; /* must never see plain text */
	unsigned reads, writes;
	bool refused_some;
};

static inline bool chance(unsigned percent)
{
	return netfs_random_below(100) < percent;
}

/* Draws how it behaves.  The core is set by the caller. */
void server_init(struct server *server);

#endif
