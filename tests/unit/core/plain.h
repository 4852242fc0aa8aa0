/* SPDX-License-Identifier: MIT */
/*
 * One file in the real core on the simulated machine, over a server that does
 * what the test says and nothing by chance: every answer takes the same time,
 * and each slice may be held, cut short or failed.
 *
 * The byte at position p of the server's file is plain_byte(p).
 */
#ifndef TESTS_UNIT_CORE_PLAIN_H
#define TESTS_UNIT_CORE_PLAIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <core/core.h>
#include <env/sim/sim.h>
#include <env/timer.h>

#define PLAIN_SLOTS 256
#define PLAIN_LOG   4096

/* What becomes of a slice, filled in by the test's hook. */
struct plain_verdict {
	size_t moved; /* at most */
	int err;
	unsigned flags; /* EOF is set by the server itself */
};

struct plain_slot {
	struct plain *plain;
	struct netfs_slice *slice;
	struct netfs_timer timer;
	struct netfs_task task;
	bool busy;
};

struct plain_asked {
	uint64_t start;
	uint64_t end;
	bool write;
};

/* Set before plain_start(): the first group; any time: the second. */
struct plain {
	uint64_t memory_max; /* 0: 64 MiB */
	uint64_t dirty_max; /* 0: 32 MiB */
	uint32_t rasize;
	uint32_t rsize; /* 0: 1 MiB */
	uint32_t granule;
	uint64_t size; /* of the server's file */
	bool other_size; /* the size that is told first is this: */
	uint64_t told_size;

	uint64_t delay_ns; /* of each answer */
	uint64_t bytes_per_s; /* of all answers together; 0: no limit */
	unsigned depth; /* slices it takes at once; 0: PLAIN_SLOTS */
	size_t take_max; /* bytes of a slice it takes; 0: all */
	bool hold; /* take slices, but answer none until plain_release() */
	void (*judge)(struct plain *plain, const struct netfs_slice *slice,
		      struct plain_verdict *verdict);
	void *user;

	/* What came. */
	struct plain_asked asked[PLAIN_LOG];
	unsigned nasked;
	unsigned nwrites;
	bool refused;
	uint64_t line_free_ns; /* when the wire is free again */

	struct netfs_be be;
	struct netfs_handle handle;
	struct plain_slot slot[PLAIN_SLOTS];
	struct netfs_stats stats;
	struct netfs_budget *budget;
	struct netfs_core *core;
	struct netfs_inode inode;
	struct netfs_opener opener;
	struct netfs_opener direct;
	int busy; /* of the core with the inode */
};

/* An io under way. */
struct plain_io {
	struct netfs_io io;
	struct iovec iov[1];
	uint8_t *buf;
	ssize_t result;
	bool ended;
};

static inline uint8_t plain_byte(uint64_t pos)
{
	return (uint8_t)(pos * 31 + (pos >> 12) * 7 + 1);
}

void plain_start(struct plain *plain);
/* Lets everything end and checks that nothing is left. */
void plain_stop(struct plain *plain);
/* Answers what is held; new slices are answered as usual. */
void plain_release(struct plain *plain);
/* Runs until nothing happens any more. */
void plain_idle(struct plain *plain);
uint64_t plain_stat(struct plain *plain, enum netfs_stat_id id);

/* Through opener, or the direct one where flags say so. */
void plain_read_start(struct plain *plain, struct plain_io *io, uint64_t pos, size_t len,
		      unsigned flags);
void plain_write_start(struct plain *plain, struct plain_io *io, uint64_t pos, size_t len,
		       unsigned flags);
/* Runs until io ended, frees its memory, returns its result. */
ssize_t plain_wait(struct plain *plain, struct plain_io *io);
/* A read whose bytes must be the server's.  Returns the result. */
ssize_t plain_read(struct plain *plain, uint64_t pos, size_t len, unsigned flags);
/* Writes bytes that are all 0xee. */
ssize_t plain_write(struct plain *plain, uint64_t pos, size_t len, unsigned flags);
int plain_flush(struct plain *plain);
/* Was exactly this asked of the server, among other things? */
bool plain_was_asked(struct plain *plain, uint64_t start, uint64_t end);

#endif
