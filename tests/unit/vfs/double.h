/* SPDX-License-Identifier: MIT */
/*
 * A back end for tests: the mem back end with a hand on the wire.  Requests of
 * a kind can be held before the server sees them, or their replies after; what
 * was asked is written down in order; capabilities can be taken away; locks
 * are answered from a script.
 */
#ifndef TESTS_UNIT_VFS_DOUBLE_H
#define TESTS_UNIT_VFS_DOUBLE_H

#include <unetfs/backend.h>

enum double_kind {
	DOUBLE_LOOKUP,
	DOUBLE_GETATTR,
	DOUBLE_SETATTR,
	DOUBLE_UNLINK,
	DOUBLE_RENAME,
	DOUBLE_CREATE,
	DOUBLE_OPEN,
	DOUBLE_READDIR,
	DOUBLE_FSYNC,
	DOUBLE_LOCK,
	DOUBLE_KINDS,
};

enum double_when {
	DOUBLE_REQUEST, /* the server does not see it until it is let go */
	DOUBLE_REPLY, /* the server has done it, nobody knows yet */
};

extern const struct netfs_be_ops double_ops;

/* Forgets scripts and the log; nothing may be held. */
void double_reset(void);
/* For mounts opened from now on. */
void double_caps(uint32_t clear, uint32_t set);
/* From now on everything of this kind is held; off lets new ones pass. */
void double_hold(enum double_kind kind, enum double_when when);
void double_pass(enum double_kind kind);
/* How many are held; lets go all of a kind, oldest first; all there are. */
unsigned double_held(enum double_kind kind);
void double_release(enum double_kind kind);
/* "lookup a;write;rename a b;" since the last reset or clear. */
const char *double_log(void);
void double_log_clear(void);
/* How often something is in the log. */
unsigned double_logged(const char *what);
/* Creates and unlinks tell what the directory is like after them. */
void double_tell_dirs(bool tell);
/* The next n lock requests are answered BLOCKED. */
void double_block_locks(unsigned n);
/* The next data writes fail with err, for good; 0: no more. */
void double_fail_writes(int err);
/* Opens fail with err; 0: no more. */
void double_fail_opens(int err);
/* What fallocate, copy_range and seek answer from now on; done: the server has done
 * it all the same.  0: they work. */
void double_fail_ranges(int err, bool done);
/* Clones work; otherwise -EOPNOTSUPP, as from the start. */
void double_allow_clones(bool allow);
/* A copy moves at most so many bytes; 0: all. */
void double_limit_copies(uint64_t most);
/* Refused slices may be offered again. */
void double_ready(void);
/* Of the last mount. */
struct netfs_be_host *double_host(void);
/* Adds a line to the log. */
void double_note(const char *what);
/* double_ranges.c, for double_ops. */
void double_fallocate(struct netfs_handle *handle, uint32_t mode, uint64_t start, uint64_t len,
		      struct netfs_op *op);
void double_copy_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
		       uint64_t to_start, uint64_t len, struct netfs_op *op);
void double_seek(struct netfs_handle *handle, uint64_t start, int whence, struct netfs_op *op);
void double_clone_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			uint64_t to_start, uint64_t len, struct netfs_op *op);
/* Nodes and handles alive over all mounts. */
int double_nodes(void);

#endif
