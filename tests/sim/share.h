/* SPDX-License-Identifier: MIT */
/*
 * Two more clients of the same server, with mounts of their own, that share
 * files; and what each of them may see of the other's changes.
 *
 * A shared file is stripes and a tail.  Each stripe is written by one actor
 * only, the tail written and cut by the first; everybody reads everything and
 * locks the file.  An actor does one thing at a time, two belong to a client.
 *
 *	| 0 | 1 | 2 | 3 | 0 | 1 | 2 | 3 | ...       | 0's tail ~~~~> size
 *	 ^ stripes, never at page boundaries        ^ body
 *
 * What was written is remembered as versions, a byte of one owner being the
 * newest version that covers it.  A reader may see any version that is not
 * older than the newest it must see, and nothing else: see must_see().
 */
#ifndef TESTS_SIM_SHARE_H
#define TESTS_SIM_SHARE_H

#include <unetfs/unetfs.h>
#include "ops.h"
#include "tree.h"

#define SHARE_FILES   2
#define PARTIES	      2
#define ACTORS	      4
#define VERSIONS_MAX  512 /* of one actor in one file */
#define SHARE_IO_MAX  20000
#define STREAM_ACTORS 16 /* their streams of operations, from here */

struct world;

/* Moments are stamps: the virtual time, and the order of what happens at the same
 * time. */
#define STAMP_SHIFT 12

/* One write, or one truncation (zero, to the end of time). */
struct version {
	uint64_t start;
	uint64_t end;
	bool zero;
	bool durable; /* on the server's disk for certain */
	uint64_t begun; /* the last try */
	uint64_t first; /* the first one, part of which may have arrived */
	uint64_t done; /* it had succeeded; 0: not yet */
	uint64_t published; /* at the server for certain; 0: not yet */
	uint64_t settled; /* all of its blocks of ciphertext are; 0: not yet */
	bool safe; /* and on the server's disk */
};

struct share_file {
	char name[16];
	struct node *node;
	uint64_t stripe; /* bytes */
	uint64_t body; /* where the tail begins */
	uint64_t max;
	uint64_t size; /* as the tail's owner made it */
	bool size_doubt; /* the server may have lost some of the tail */
	uint64_t lost; /* power was lost then, with something unflushed */
	uint64_t tail_changes; /* begun and ended ones */
	struct version log[ACTORS][VERSIONS_MAX];
	unsigned count[ACTORS];
};

struct party {
	struct world *world;
	struct netfs_client *client;
	struct netfs_mount *mount;
	char options[128];
	bool cached;
	bool close_writes;
	bool sync;
	uint64_t ttl_ns; /* how long it believes attributes at an open */
	struct netfs_vnode *vnodes[SHARE_FILES];
	bool wrote[SHARE_FILES];
	bool dirty[SHARE_FILES];
	bool suspect[SHARE_FILES]; /* a lock of it may have been lost */
};

enum share_op {
	SHARE_NONE,
	SHARE_OPEN,
	SHARE_CLOSE,
	SHARE_READ,
	SHARE_WRITE,
	SHARE_TRUNCATE,
	SHARE_FSYNC,
	SHARE_GETATTR,
	SHARE_LOCK,
	SHARE_UNLOCK,
	SHARE_OPS,
};

struct share_handle {
	struct netfs_file *file; /* NULL: not open */
	uint32_t flags;
	uint64_t begun; /* the open */
	bool locked;
	/* A lock is held, being taken or being given up: a cut may cost the handle. */
	bool at_stake;
	bool lock_write;
	uint64_t cuts; /* when the lock was asked for */
	uint64_t cuts_granted; /* and when the answer came */
	bool suspect; /* it had a lock when a connection died */
};

struct actor {
	struct world *world;
	struct party *party;
	unsigned index;
	struct op_stream stream;
	struct rng rng;
	struct share_handle handles[SHARE_FILES];

	/* What it does. */
	enum share_op op;
	unsigned file; /* index */
	enum share_op pending; /* is made again once the file is open again */
	bool retry;
	unsigned failures;
	uint64_t not_before;
	bool running;
	ssize_t result;
	uint64_t begun;
	uint64_t ended;
	uint64_t cuts_before;
	uint64_t cuts_after;
	uint64_t tail_before;
	struct version *version; /* that it writes */
	struct netfs_call call;
	struct netfs_io io;
	struct iovec iov;
	struct netfs_setattr set;
	struct netfs_lock lock;
	uint8_t buf[SHARE_IO_MAX];
};

struct share {
	bool on;
	uint64_t stamp; /* the last one */
	struct share_file files[SHARE_FILES];
	struct party parties[PARTIES];
	struct actor actors[ACTORS];
};

/* share.c: the run's loop calls these. */
void share_start(struct world *world);
bool share_any_finished(struct world *world);
void share_finish(struct world *world);
/* How many are at work. */
unsigned share_busy(const struct world *world);
void share_begin(struct world *world);
uint64_t share_earliest_retry(struct world *world);
/* Why the run cannot end: the first actor that is still at work. */
void share_complain(struct world *world);
/* Everything is synced; after a close, unmounts. */
void share_check(struct world *world);
void share_end(struct world *world);
/* The server is about to lose what it did not flush. */
void share_forgets(struct world *world);

/* share_model.c */
/* A stamp later than all before it. */
uint64_t share_stamp(struct world *world);
_Noreturn void actor_fail(struct actor *actor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A new version that actor is about to write; NULL: the log is full. */
struct version *version_new(struct actor *actor, uint64_t start, uint64_t end, bool zero);
/* The byte that actor index's version number puts at pos. */
uint8_t version_byte(const struct share_file *file, const struct version *version, uint64_t pos);
/* Everything that party's actors had finished by then is at the server. */
void versions_published(struct actor *actor, uint64_t done, uint64_t now, bool durable);
void share_check_read(struct actor *actor);
void share_check_attr(struct actor *actor);
void share_check_server(struct world *world);
void share_check_lock(struct actor *actor);
/* Was it still its own lock under which it talked to the server? */
void share_check_locked_io(struct actor *actor);

#endif
