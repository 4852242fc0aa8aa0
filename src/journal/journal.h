/* SPDX-License-Identifier: MIT */
/*
 * The journal of a mount: what was written and is not known to be durable at the
 * server, kept in the cache folder so that it outlives the process and the power.
 *
 *	write --> journal, on the disk --> the writer goes on
 *	                |
 *	          later: server, durable --> released
 *
 * Each record is of one file and has a sequence number; the records of a file up
 * to some number are released together, when everything they tell is durable at
 * the server.  What a mount that died had not released is found by the next one
 * of the same volume (left.h), and done again (client/replay.c).
 *
 * Before anything of a file is sent to the server it is marked, so that who finds
 * the records knows whether the server's file may have changed by our own hand.
 *
 * Functions may be called from any thread, with any lock of higher rank, and do
 * not block unless it is said.  doc/journal.md has the format.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <base/list.h>
#include <unetfs/cache.h>

/* Where a file was that was renamed while it was written: so many places. */
#define NETFS_JOURNAL_PATHS 8u
/* Bytes of a path, with its end. */
#define NETFS_JOURNAL_PATH 4096

struct netfs_journal;
struct netfs_journal_file;

/* Only read by netfs_journal_open() and netfs_left_open(). */
struct netfs_journal_config {
	const char *folder; /* the cache's, an absolute path */
	const char *volume; /* what names the share, and whose eyes see it */
	const uint8_t *secret; /* what it is sealed with; NULL: it is not */
	size_t secret_len;
	uint64_t size; /* bytes of data it may hold at once */
	uint64_t segment; /* bytes after which a file of it ends; 0: the usual */
};

/* What the owner of the files supplies.  Called by the journal's worker with no
 * lock held. */
struct netfs_journal_ops {
	/* Where user's file is now, from the root of the share, without a slash at
	 * either end.  0 or a negative errno: then it cannot be journalled. */
	int (*path)(void *user, char buf[NETFS_JOURNAL_PATH]);
	/* The mark that was asked for is on the disk (or cannot be). */
	void (*marked)(void *user);
	/* Nothing of it is in the journal any more: netfs_journal_told() ends the
	 * journal's use of it. */
	void (*idle)(void *user);
};

/* Blocking.  -EPERM, -ENOMEM, -EIO, or as netfs_place_open(). */
int netfs_journal_open(const struct netfs_journal_config *config,
		       struct netfs_journal **ret_journal);
/* All files are gone.  Does not block.  What was not released stays for the next
 * mount, which finds it once closed() was called (NULL is allowed, as is a journal
 * that is NULL: then it is not called). */
void netfs_journal_close(struct netfs_journal *journal, void (*closed)(void *user), void *user);
/* Before the first file. */
void netfs_journal_set_ops(struct netfs_journal *journal, const struct netfs_journal_ops *ops);
/* Bytes of data that are not released. */
uint64_t netfs_journal_bytes(struct netfs_journal *journal);
/* Bytes of files that were abandoned. */
uint64_t netfs_journal_kept(struct netfs_journal *journal);
/* Is it half full? */
bool netfs_journal_pressed(struct netfs_journal *journal);

/* ------------------------------------------------------------- a file */

/* Something that ends when it is on the disk.  The caller's, until done. */
struct netfs_journal_wait {
	/* err: it is not, and will not be.  The journal's worker, no lock held. */
	void (*done)(struct netfs_journal_wait *wait, int err);
	struct netfs_list link; /* the rest is the journal's */
	struct netfs_journal_file *file;
	uint64_t seq;
	uint64_t value;
	const char *from;
	const char *to;
	int err;
	uint8_t kind;
	uint8_t tries;
};

struct netfs_journal_write {
	struct netfs_journal_wait wait;
	uint64_t start;
	size_t len;
	const struct iovec *iov; /* len bytes at least; stays until done */
};

/* -ENOMEM. */
int netfs_journal_file_new(struct netfs_journal *journal, uint64_t ino, uint64_t gen, void *user,
			   struct netfs_journal_file **ret_file);
/* It is idle.  NULL is allowed. */
void netfs_journal_file_free(struct netfs_journal_file *file);
/* Is anything of it in the journal, or on its way there? */
bool netfs_journal_live(struct netfs_journal_file *file);
/* ops->idle() was heard. */
void netfs_journal_told(struct netfs_journal_file *file);
/* What the server's file was before what is written next; known: or nobody knows.
 * Counts where nothing is live. */
void netfs_journal_base(struct netfs_journal_file *file, const struct netfs_cache_version *version,
			bool known);
/* Something else of ours changes the server's file from now on, or has ended: what it
 * is before the next write must be told anew after that. */
void netfs_journal_hold(struct netfs_journal_file *file, bool on);
/* Under the lock that orders the file's writes.  -ENOSPC: there is no room, and
 * nothing happened.  Otherwise write->wait.done() follows. */
int netfs_journal_write(struct netfs_journal_file *file, struct netfs_journal_write *write);
/* The time of the last change was set to that, and is to be that again. */
void netfs_journal_mtime(struct netfs_journal_file *file, uint64_t mtime_ns);
/* May its data be sent?  False: ops->marked() follows. */
bool netfs_journal_mark(struct netfs_journal_file *file);
/* The number of its last record. */
uint64_t netfs_journal_seq(struct netfs_journal_file *file);
/* Its records up to seq are durable at the server, or worth nothing.  wait ends
 * when that is on the disk. */
void netfs_journal_release(struct netfs_journal_file *file, uint64_t seq,
			   struct netfs_journal_wait *wait);
/* What is at from, and below it, is about to be at to: where the live files may be
 * soon is written down.  Both last until wait ends.  False: no file is live, and wait
 * does not end. */
bool netfs_journal_moving(struct netfs_journal *journal, const char *from, const char *to,
			  struct netfs_journal_wait *wait);
/* They may, or may not: where they are is written down some time. */
void netfs_journal_renamed(struct netfs_journal *journal);
/* How long its oldest record has been there, nanoseconds; 0: there is none. */
uint64_t netfs_journal_age(struct netfs_journal_file *file);
/* A mount that gives up what is unsent: files become idle as they are, and the
 * records stay for the next one. */
void netfs_journal_abandon(struct netfs_journal_file *file);

#endif
