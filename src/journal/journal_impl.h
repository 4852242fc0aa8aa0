/* SPDX-License-Identifier: MIT */
/* The journal, as its own files see it. */
#ifndef JOURNAL_JOURNAL_IMPL_H
#define JOURNAL_JOURNAL_IMPL_H

#include <env/executor.h>
#include <env/lock.h>
#include <env/timer.h>
#include <journal/journal.h>
#include <journal/log.h>

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
	uint64_t size; /* I */
	struct log_dir dir; /* w */
	struct netfs_journal_log log; /* w */
	uint64_t begun; /* w: frames that were, also such as were never written */

	struct netfs_mutex mutex;
	struct netfs_list queue; /* m: struct netfs_journal_wait */
	struct netfs_list live; /* m: files */
	uint64_t seq; /* m */
	uint64_t bytes; /* m: of data that is not released */
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

/* At once: nothing of it is live. */
void journal_free(struct netfs_journal *journal);

#endif
