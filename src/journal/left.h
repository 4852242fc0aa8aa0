/* SPDX-License-Identifier: MIT */
/*
 * What mounts that died have left in their journals, for who writes it again, or only
 * looks.  Nothing of a mount that is alive is found.
 *
 * One thread at a time; every function blocks, unless it is said.
 */
#ifndef JOURNAL_LEFT_H
#define JOURNAL_LEFT_H

#include <journal/journal.h>

struct netfs_journal_log;
struct netfs_left;

/* A stretch of data. */
struct netfs_left_extent {
	uint64_t seq;
	uint64_t start;
	uint64_t place; /* where its bytes are; the next too */
	uint32_t at;
	uint32_t segment;
	uint32_t len;
};

/* A file that a mount wrote which then died.  netfs_left's, as is all in it. */
struct netfs_left_file {
	uint64_t ino;
	uint64_t gen;
	struct netfs_cache_version base; /* the server's file, before the first byte */
	bool base_known;
	bool marked; /* some of it may have been sent */
	uint64_t mtime_ns; /* what its time should be */
	uint64_t alive_ns; /* when that mount was certainly still alive */
	uint64_t seq; /* of the last record */
	uint64_t bytes;
	char *paths[NETFS_JOURNAL_PATHS]; /* where it was, the newest first; one at least */
	unsigned npaths;
	struct netfs_left_extent *extents; /* in the order of the writes */
	size_t nextents;
	struct netfs_journal_log *log;
	bool tried; /* the caller's */
};

/* Finds it.  From then until netfs_left_close() nobody else finds it.  config->size
 * does not count.  message says what is wrong, in one line: also where 0 is
 * returned.  Otherwise as netfs_journal_open(). */
int netfs_left_open(const struct netfs_journal_config *config, struct netfs_left **ret_left,
		    char *message, size_t message_size);
/* What is not done stays.  NULL is allowed. */
void netfs_left_close(struct netfs_left *left);
/* Bytes of data that are not done.  Any thread, does not block. */
uint64_t netfs_left_bytes(struct netfs_left *left);
/* Files of the folder that are no part of this volume, or are of mounts that are
 * alive.  Does not block. */
uint64_t netfs_left_others(const struct netfs_left *left);

/* The one after file (NULL: the first); NULL: there are no more. */
struct netfs_left_file *netfs_left_next(struct netfs_left *left, struct netfs_left_file *file);
/* The bytes of one extent: len of them from offset.  0 or a negative errno; -EILSEQ:
 * they are not what was written. */
int netfs_left_read(struct netfs_left *left, const struct netfs_left_file *file,
		    const struct netfs_left_extent *extent, uint32_t offset, void *buf, size_t len);
/* Some of it is about to be sent.  0 or a negative errno. */
int netfs_left_mark(struct netfs_left *left, struct netfs_left_file *file);
/* It is durable at the server, or kept elsewhere: file is gone when this returns 0. */
int netfs_left_done(struct netfs_left *left, struct netfs_left_file *file);

#endif
