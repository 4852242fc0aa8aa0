/* SPDX-License-Identifier: MIT */
/*
 * Logs on the disk, as who writes one (journal.c) and who reads those of others
 * (scan.c, left.c) share them.  What is here is one thread's at a time, and blocks.
 */
#ifndef JOURNAL_LOG_H
#define JOURNAL_LOG_H

#include <stdatomic.h>
#include <base/list.h>
#include <journal/frame.h>

struct netfs_aead;
struct netfs_journal_config;

/* The folder they are in, and what proves the frames of one volume's. */
struct log_dir {
	int place;
	uint64_t segment; /* bytes after which a file of a log ends */
	uint64_t volume; /* a hash */
	uint8_t *key; /* NULL: not sealed */
	struct netfs_aead *seal;
	struct netfs_aead *open;
	struct frame frame; /* the one that is being written */
};

/* One file of a log. */
struct segment {
	struct netfs_list link; /* of the log, oldest first */
	int fd; /* locked */
	uint32_t number;
	bool bad; /* nothing more is written to it */
	uint64_t tail; /* where the next frame begins */
	_Atomic uint64_t live; /* records of data in it that count, and marks; any thread */
};

/* What one mount wrote. */
struct netfs_journal_log {
	struct netfs_list link; /* where it was left: of the logs */
	uint8_t id[16];
	struct netfs_list segments;
	uint32_t next; /* number of the next one */
	uint64_t frames; /* that were written */
	_Atomic bool keep; /* what is in it stays at the end; any thread */
};

/* 0 or as netfs_journal_open(); log_dir_close() in any case. */
int log_dir_open(struct log_dir *dir, const struct netfs_journal_config *config);
void log_dir_close(struct log_dir *dir);

/* The head of the frame that is being written next to log. */
struct frame_head log_head(const struct netfs_journal_log *log);
/* Writes a frame, which is finished, to the end of the log; it is on the disk when
 * this returns 0.  Where it went; NULL where that is not known. */
int log_append(const struct log_dir *dir, struct netfs_journal_log *log, const struct frame *frame,
	       size_t size, struct segment **ret_segment);
/* Removes segments from the front in which nothing counts; all: the last too. */
void log_trim(const struct log_dir *dir, struct netfs_journal_log *log, bool all);
/* Closes it; what is on the disk stays. */
void log_close(struct netfs_journal_log *log);
/* Segment names. */
#define SEGMENT_NAME 64
void log_name(const struct log_dir *dir, const struct netfs_journal_log *log, uint32_t number,
	      char name[SEGMENT_NAME]);
/* -EILSEQ: not one of that volume. */
int log_name_read(const struct log_dir *dir, const char *name, uint8_t ret_id[16],
		  uint32_t *ret_number);

#endif
