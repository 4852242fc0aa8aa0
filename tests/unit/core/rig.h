/* SPDX-License-Identifier: MIT */
/*
 * The engine with one file on the simulated machine, between two byte arrays:
 * what a reader here must see, and what the server has.  The server answers at
 * once, when it is told to, or never; short, wrong or not at all.
 *
 * Every helper that does something to the file does the same to the array, and
 * fails the test where the engine says something else.
 */
#ifndef TESTS_UNIT_CORE_RIG_H
#define TESTS_UNIT_CORE_RIG_H

#include <errno.h>
#include <string.h>
#include <core/core.h>
#include <crypt/crypt.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/sim/sim.h>
#include <t.h>

#define RIG_ROOM   (128u << 10)
#define RIG_HELD   64
#define RIG_PIECES 64

struct rig_options {
	uint64_t memory_max; /* 0: much */
	uint64_t dirty_max; /* 0: much */
	uint32_t rasize;
	uint32_t rsize; /* 0: 64 KiB, also of the server */
	uint32_t wsize;
	uint32_t dirty_age_ms; /* 0: nothing is sent for its age */
	uint32_t retry_ms; /* soft; 0: hard */
	bool created; /* the file is ours and empty */
	bool encrypted; /* the arrays do not know, so nothing may be compared */
};

struct rig {
	/* The server. */
	struct netfs_be be;
	struct netfs_handle handle;
	uint8_t server[RIG_ROOM];
	uint64_t server_size;
	bool hold; /* slices wait for rig_answer() or rig_release() */
	bool at_once; /* answered before the call that brings it returns */
	bool reverse; /* the newest is answered first */
	unsigned depth; /* slices it takes at once, 0: RIG_HELD */
	bool busy; /* refuses slices */
	bool ready_inside; /* is ready again before the refusal is out */
	size_t take_max; /* bytes taken at once, 0: all */
	uint64_t boundary; /* a slice crosses no multiple of it, 0: any */
	size_t move_max; /* bytes moved of each slice, 0: all */
	int read_error; /* for the next fail_count slices, -1: for all */
	int write_error;
	int fail_count;
	unsigned fail_flags;
	size_t fail_moved; /* moved before the error */
	struct netfs_slice *held[RIG_HELD];
	unsigned nheld;
	bool full; /* refused a slice because it has so many */
	unsigned reads, writes; /* slices taken */
	uint64_t read_bytes, written_bytes; /* moved */
	int syncs;
	char log[1024]; /* "r4096+100;w0+5;" as taken, as far as there is room */
	struct netfs_task answer_task;
	bool answer_posted;

	/* The engine. */
	struct netfs_stats stats;
	struct netfs_budget *budget;
	struct netfs_core *core;
	struct netfs_crypt *crypt; /* NULL: plain */
	struct netfs_inode inode;
	struct netfs_opener opener, direct;
	struct netfs_range lost; /* where dirty data was given up, in all */
	uint64_t lost_bytes;
	int refs; /* busy minus idle */
	bool fresh; /* not idle since it became busy last */

	/* What is right. */
	uint8_t mine[RIG_ROOM]; /* zero from size on */
	uint64_t size;
	bool unsent[RIG_ROOM]; /* may arrive at the server */
	uint8_t next; /* for bytes to write */
};

void rig_start(struct rig *rig, uint64_t size, const struct rig_options *options);
/* Lets everything end, and checks that nothing is left over. */
void rig_stop(struct rig *rig);

/* A read or write under way. */
struct rig_io {
	struct netfs_io io;
	struct iovec iov[RIG_PIECES];
	uint8_t buf[RIG_ROOM];
	ssize_t result;
	bool ended;
};

void rig_begin(struct rig *rig, struct rig_io *io, bool write, uint64_t start, size_t len,
	       unsigned flags);
/* A lent read into at most so many pieces. */
void rig_begin_lent(struct rig *rig, struct rig_io *io, uint64_t start, size_t len,
		    unsigned pieces);
/* Lets the world run until it ended. */
ssize_t rig_finish(struct rig_io *io);
/* The whole of it, with what the array has.  The write takes the next bytes. */
void rig_write(struct rig *rig, uint64_t start, size_t len);
void rig_write_direct(struct rig *rig, uint64_t start, size_t len);
void rig_read(struct rig *rig, uint64_t start, size_t len);
void rig_read_direct(struct rig *rig, uint64_t start, size_t len);
/* As rig_read, but it must fail. */
ssize_t rig_read_fails(struct rig *rig, uint64_t start, size_t len);
/* Does to the array what a write of io, with its bytes, did. */
void rig_note_write(struct rig *rig, const struct rig_io *io);
/* All of the file is as it must be. */
void rig_check(struct rig *rig);

struct rig_flush {
	struct netfs_completion done;
	int err;
	bool ended;
};

void rig_begin_flush(struct rig *rig, struct rig_flush *flush, uint64_t start, uint64_t end);
int rig_finish_flush(struct rig_flush *flush);
/* Flushes everything; where that works the server must have all of the file. */
int rig_flush(struct rig *rig);
void rig_check_server(const struct rig *rig);

void rig_begin_lock(struct rig *rig, struct rig_flush *lock);
void rig_lock(struct rig *rig);
/* The change, at the server and here. */
void rig_truncate(struct rig *rig, uint64_t size);
void rig_punch(struct rig *rig, uint64_t start, uint64_t end);
/* Somebody else wrote size bytes; we are told of it. */
void rig_remote_change(struct rig *rig, uint64_t size, bool tell);

/* Lets everything happen that needs no time, or what needs so much. */
void rig_run(void);
void rig_sleep_ms(uint64_t ms);
/* Answers a held slice: moves as much as moved, and err. */
void rig_answer(struct rig *rig, unsigned held, size_t moved, int err, unsigned flags);
/* Answers all that are held, and holds no more. */
void rig_release(struct rig *rig);
/* Takes slices again, and says so. */
void rig_ready(struct rig *rig);
void rig_clear_log(struct rig *rig);
uint64_t rig_stat(struct rig *rig, unsigned stat);

#define rig_count(rig, name) rig_stat(rig, NETFS_STAT_##name)

#endif
