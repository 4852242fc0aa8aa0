/* SPDX-License-Identifier: MIT */
/* The journal, as its own files see it. */
#ifndef JOURNAL_JOURNAL_IMPL_H
#define JOURNAL_JOURNAL_IMPL_H

#include <stdatomic.h>
#include <base/hash.h>
#include <env/executor.h>
#include <env/lock.h>
#include <env/timer.h>
#include <journal/frame.h>
#include <journal/journal.h>

struct netfs_aead;

/* One file of a log. */
struct segment {
	struct netfs_list link; /* of the log, oldest first */
	int fd; /* locked */
	uint32_t number;
	bool bad; /* nothing more is written to it */
	uint64_t tail; /* w: where the next frame begins */
	uint64_t live; /* records of data in it that count, and marks; m */
};

/* What one mount wrote.  w: the worker's, or of who opens the journal. */
struct netfs_journal_log {
	struct netfs_list link; /* of the journal's, where it was left */
	uint8_t id[16];
	struct netfs_list segments; /* w */
	uint32_t next; /* w: number of the next one */
	uint64_t frames; /* w: that were written */
	bool keep; /* what is in it stays at the end */
};

struct jrecord {
	struct netfs_list link;
	uint64_t seq;
	uint64_t born_ns;
	uint32_t len;
	struct segment *segment; /* m; NULL: not written yet, or it is not known */
};

/* I: immutable; m: the journal's mutex; w: the worker's. */
struct netfs_journal_file {
	struct netfs_journal *journal; /* I */
	uint64_t ino; /* I */
	uint64_t gen; /* I */
	void *user; /* I */
	struct netfs_list link; /* m: in journal->live, while live */
	struct netfs_list records; /* m: struct jrecord, oldest first */
	uint32_t pending; /* m: entries of it in the queue, or being told */
	bool dying; /* m: ops->idle() is being called */
	uint64_t seq; /* m */
	struct netfs_cache_version base; /* m */
	bool base_known; /* m */
	struct netfs_cache_version next_base; /* m: where nothing counts yet */
	bool next_known; /* m */
	bool held; /* m: it is not known while this is so */
	uint64_t released; /* m: what is released up to that, or will be by the queue */
	uint32_t life; /* m: how often there was something after nothing */
	uint32_t mark_life; /* m: the one that was marked last */
	bool marking; /* m: mark_wait is in the queue */
	bool marked; /* m: in this life */
	bool moved; /* m: where it is is to be written down again */
	uint64_t named; /* w: which frame has its name: counted as the next */
	struct netfs_journal_wait mark_wait; /* m */
	struct segment *mark_segment; /* m: where the mark is; counts there, while it is needed */
};

/*
 * Freed by its worker after netfs_journal_close().
 */
struct netfs_journal {
	const struct netfs_journal_ops *ops; /* I */
	int place; /* I: the folder */
	uint64_t size; /* I */
	uint64_t segment; /* I */
	uint64_t volume; /* I: a hash */
	uint8_t *key; /* I: NULL: not sealed */
	struct netfs_aead *seal; /* w */
	struct netfs_aead *open; /* w */
	struct netfs_journal_log log; /* w */
	struct netfs_list left; /* w: logs of mounts that died */
	struct netfs_list left_files; /* w: struct left */
	struct frame frame; /* w */
	uint64_t begun; /* w: frames that were, also such as were never written */
	struct frame read; /* w: the frame that was read last, of: */
	const struct segment *read_segment;
	uint64_t read_at;

	struct netfs_mutex mutex;
	struct netfs_list queue; /* m: struct netfs_journal_wait */
	struct netfs_list live; /* m: files */
	uint64_t seq; /* m */
	uint64_t bytes; /* m: of data that is not released */
	uint64_t left_bytes; /* m: of others */
	uint64_t kept; /* m: of those of abandoned files */
	bool working; /* m: the worker is posted or runs */
	bool closing; /* m */
	void (*closed)(void *user); /* m */
	void *closed_user;
	bool beating; /* m: the timer is armed, or its task under way */
	bool beat; /* m: somebody has to say that we are alive */
	bool moved; /* m: some file is */
	struct netfs_list moves; /* m: struct netfs_journal_wait, of names that will change */
	struct netfs_job job;
	struct netfs_task beat_task;
	struct netfs_timer beat_timer;
};

/* A file that was left. */
struct left {
	struct netfs_list link; /* of journal->left_files */
	struct netfs_hash_link hash_link; /* while its log is being read */
	struct netfs_journal_left_file file;
	size_t extents_room;
};

/* log.c.  All blocking. */

/* Writes a frame, which is finished, to the end of the log; it is on the disk when
 * this returns 0.  Where it went; NULL where that is not known. */
int log_append(struct netfs_journal *journal, struct netfs_journal_log *log,
	       const struct frame *frame, size_t size, struct segment **ret_segment);
/* Removes segments from the front in which nothing counts; all: the last too. */
void log_trim(struct netfs_journal *journal, struct netfs_journal_log *log, bool all);
/* Closes it; what is on the disk stays. */
void log_close(struct netfs_journal_log *log);
/* Segment names. */
#define SEGMENT_NAME 64
void log_name(const struct netfs_journal *journal, const struct netfs_journal_log *log,
	      uint32_t number, char name[SEGMENT_NAME]);
/* -EILSEQ: not one of that volume. */
int log_name_read(const struct netfs_journal *journal, const char *name, uint8_t ret_id[16],
		  uint32_t *ret_number);

/* scan.c */
int scan_left(struct netfs_journal *journal, char *message, size_t message_size);
void scan_done(struct netfs_journal *journal);

/* At once: nothing of it is live. */
void journal_free(struct netfs_journal *journal);

/* The head of the frame that is being written next to log. */
struct frame_head journal_head(const struct netfs_journal *journal,
			       const struct netfs_journal_log *log);

#endif
