/* SPDX-License-Identifier: MIT */
/*
 * The door of the engine.  It knows files, ranges and time, and moves bytes
 * between callers, memory and the streams (the server; later a disk cache).
 * It knows no name, no protocol and no disk.
 *
 * Who calls: vfs for everything but the budget, client for the budget.
 * Every function may be called from any thread with no lock of the core held,
 * and none blocks.  What may have to wait takes a struct netfs_completion or a
 * struct netfs_io and completes it exactly once, perhaps before it returns,
 * with no lock held.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <unetfs/backend.h>
#include <unetfs/trace.h>
#include <unetfs/unetfs.h>
#include <core/inode.h>
#include <obs/stats.h>

/* ----------------------------------------------------------- budget */

/*
 * Memory for file data, shared by all mounts of a client.  Read-ahead shrinks
 * first, then clean folios leave, then writers wait.
 */
struct netfs_budget;

/* memory_max and dirty_max in bytes, both > 0.  -ENOMEM. */
int netfs_budget_new(uint64_t memory_max, uint64_t dirty_max, struct netfs_budget **ret_budget);
/* All cores on it are freed. */
void netfs_budget_free(struct netfs_budget *budget);
/* Bytes of file data held now; never above memory_max plus the reserve that
 * lets write-back make progress. */
uint64_t netfs_budget_used(struct netfs_budget *budget);

/* ---------------------------------------------------- whole objects */

/*
 * Memory for something that is read and kept whole and can be read again.  It
 * is part of the budget and may go, before any file data, while nobody has it
 * pinned.  Any lock of lower rank than the budget's may be held.
 */
struct netfs_object;

/* With a reference of the owner's, and pinned once.  NULL: no memory. */
struct netfs_object *netfs_object_new(struct netfs_budget *budget, size_t size);
/* Its memory, which stays until it is unpinned; NULL: it is gone. */
void *netfs_object_pin(struct netfs_object *object, size_t *ret_size);
/* NULL is allowed, as in the next. */
void netfs_object_unpin(struct netfs_object *object);
/* The owner needs it no more. */
void netfs_object_put(struct netfs_object *object);

/* ------------------------------------------------------------- core */

struct netfs_crypt;
struct netfs_journal_wait;

struct netfs_core_config {
	struct netfs_budget *budget;
	struct netfs_be *be; /* outlives the core */
	struct netfs_stats *stats;
	uint32_t dirty_age_ms; /* send after this at the latest */
	uint32_t rasize; /* read-ahead window at most, bytes */
	uint32_t rsize; /* largest slices, bytes; 0: the back end's */
	uint32_t wsize;
	bool hard; /* retry for ever, or only for: */
	uint32_t retry_ms;
	bool sync_local; /* durable is what is in the journal */
	/* Content is encrypted with it; outlives the core.  NULL: it is not. */
	const struct netfs_crypt *crypt;
	/* So many dirty bytes inside range were given up, because the server says
	 * that the file is gone.  No lock; NULL: nobody wants to know. */
	void (*lost)(void *user, uint64_t inode, const struct netfs_range *range, uint64_t bytes);
	void *lost_user;
};

int netfs_core_new(const struct netfs_core_config *config, struct netfs_core **ret_core);
/* All its inodes are done. */
void netfs_core_free(struct netfs_core *core);
/* The back end or a cache has room again: offers refused slices.  Any thread. */
void netfs_core_ready(struct netfs_core *core);
/* From now on nothing is sent, and what is in flight is cancelled; reads and
 * flushes end with -EIO.  Dirty data stays. */
void netfs_core_abort(struct netfs_core *core);
/*
 * Begins a new group of writes: nothing written after this call reaches the
 * server before everything written before it is there and durable; both
 * versions of a byte written before and after arrive, in that order.  Writes
 * under way belong to either.  Direct writes are not part of it.  Data that was
 * uploaded before the first barrier of a mount is not made durable by it; from
 * then on data is made durable soon after it was sent.  Does not wait.
 * -EBUSY: too many groups are not durable yet.  Where content is encrypted a
 * write to a file with data from before the call waits until that is sent.
 */
int netfs_core_barrier(struct netfs_core *core);
/* Before the mount is closed: makes durable what a barrier would, so that every
 * file becomes idle.  Does not wait. */
void netfs_core_settle_groups(struct netfs_core *core);
/* Bytes written but not at the server: all, and those of files of which it
 * refused some for good. */
uint64_t netfs_core_dirty(struct netfs_core *core);
uint64_t netfs_core_stuck(struct netfs_core *core);
/* Bytes of this mount in memory, and living requests. */
uint64_t netfs_core_cached(struct netfs_core *core);
uint64_t netfs_core_requests(struct netfs_core *core);
/* As netfs_mount_requests(). */
size_t netfs_core_list_requests(struct netfs_core *core, struct netfs_request_info *ret_requests,
				size_t max);

/* ------------------------------------------------------------ inode */

/* Ready for use.  server_size: as the server told.  created: made by us just
 * now, so everything in it is known to be zero. */
void netfs_inode_init(struct netfs_inode *inode, struct netfs_core *core,
		      const struct netfs_inode_ops *ops, uint64_t server_size, bool created);
/* Drops all memory.  The inode must be idle (ops->idle balanced ops->busy)
 * and have no handle attached and nothing waiting. */
void netfs_inode_done(struct netfs_inode *inode);
/* Forgets dirty data (bytes returned), so that the inode can be done.  For a
 * forced unmount, after netfs_core_abort(). */
uint64_t netfs_inode_drop_dirty(struct netfs_inode *inode);

/* Handles the inode may read and write through; takes a reference.  Any
 * readable one may serve any reader, any writable one the write-back. */
int netfs_inode_attach_handle(struct netfs_inode *inode, struct netfs_handle *handle);
/* The opener goes.  The core keeps the handle as long as dirty data has no
 * other writable one. */
void netfs_inode_detach_handle(struct netfs_inode *inode, struct netfs_handle *handle);

/* The file's place in a disk cache, which outlives its requests; NULL: none.
 * While no request of the inode lives.  Who attaches it sees to it that what it
 * holds is what the server has now. */
void netfs_inode_set_cookie(struct netfs_inode *inode, struct netfs_cookie *cookie);

/* The file's place in the journal, which outlives the inode; once, before anything is
 * written.  From then on a write ends when it is in the journal. */
void netfs_inode_set_journal(struct netfs_inode *inode, struct netfs_journal_file *file);
/* As struct netfs_journal_ops has it: pass them on. */
void netfs_inode_journal_marked(struct netfs_inode *inode);
void netfs_inode_journal_idle(struct netfs_inode *inode);
/* As netfs_journal_release() and netfs_journal_mtime(). */
void netfs_inode_release(struct netfs_inode *inode, uint64_t seq, struct netfs_journal_wait *wait);
void netfs_inode_note_mtime(struct netfs_inode *inode, uint64_t mtime_ns);
/* A handle that data can be made durable with, and a reference to it; NULL: none.
 * There is one while anything is dirty or in the journal. */
struct netfs_handle *netfs_inode_writer(struct netfs_inode *inode);

/* What is known locally, all at one moment. */
struct netfs_inode_view {
	uint64_t size; /* as readers here see it */
	uint64_t remote_size; /* as the server is believed to see it */
	uint64_t seq; /* grows with every local change of data or size */
	uint64_t mtime_ns; /* wall clock of the last local write, 0: none yet */
	bool dirty; /* data not at the server, or on its way */
	bool cached; /* some of it is in memory */
};

void netfs_inode_view(struct netfs_inode *inode, struct netfs_inode_view *ret_view);

/*
 * The server told its size in an answer to a question sent when the view's
 * seq was seq.  changed: the version is not the one our data came from.
 *
 * Nothing happens where local changes since then make the answer worthless.
 * Otherwise clean data is dropped if changed, and where nothing is dirty the
 * local size follows.  Returns true where cached data or size changed, so that
 * those who cache above must be told.
 */
bool netfs_inode_remote_update(struct netfs_inode *inode, uint64_t size, uint64_t seq,
			       bool changed);
/* Drops clean data of [start, end); dirty data stays. */
void netfs_inode_invalidate(struct netfs_inode *inode, uint64_t start, uint64_t end);

/*
 * Size-changing operations.  lock completes once no read, write, upload or
 * download of the inode is running; until unlock none starts.  Signals that
 * the wait is pending are the caller's: cancel makes a pending lock complete
 * with -EINTR.
 */
void netfs_inode_lock(struct netfs_inode *inode, struct netfs_completion *done);
void netfs_inode_lock_cancel(struct netfs_inode *inode, struct netfs_completion *done);
void netfs_inode_unlock(struct netfs_inode *inode);
/* Under the lock, before the server is asked for a new size: what has to be
 * sent, or known, because the last block of an encrypted file depends on its
 * length.  After netfs_inode_resized() the holder flushes.  Others complete at
 * once. */
void netfs_inode_prepare_resize(struct netfs_inode *inode, uint64_t size,
				struct netfs_completion *done);
/* Under the lock: zeroes for [start, end), which lies inside a page and below
 * the end of the file; they are dirty.  -ENOMEM. */
int netfs_inode_write_zeroes(struct netfs_inode *inode, uint64_t start, uint64_t end);
/* Under the lock: the server's file now has this size. */
void netfs_inode_resized(struct netfs_inode *inode, uint64_t size);
/* Under the lock: forget all data of the range, dirty too. */
void netfs_inode_discard(struct netfs_inode *inode, uint64_t start, uint64_t end);
/* Under the lock: the server's bytes of the range are zero, or are not known
 * to be any more. */
void netfs_inode_set_zero(struct netfs_inode *inode, uint64_t start, uint64_t end);
void netfs_inode_clear_zero(struct netfs_inode *inode, uint64_t start, uint64_t end);

/* Completes when all data of the range that is dirty now has been taken by
 * the server, or with the error that keeps it here.  Durability is the back
 * end's fsync.  Waits while somebody holds the lock; the holder itself uses
 * the second form. */
void netfs_inode_flush(struct netfs_inode *inode, uint64_t start, uint64_t end,
		       struct netfs_completion *done);
void netfs_inode_flush_locked(struct netfs_inode *inode, uint64_t start, uint64_t end,
			      struct netfs_completion *done);

/* Asks that a flush end now with -EINTR; done still comes, exactly once. */
void netfs_inode_flush_cancel(struct netfs_inode *inode, struct netfs_completion *done);

/* Where the data of the file is that is stuck: up to max ranges from its
 * start.  Returns how many; 0: nothing is stuck. */
unsigned netfs_inode_stuck(struct netfs_inode *inode, struct netfs_range *ranges, unsigned max);

/* Write-back errors, told once to each opener: as errseq.  sample at open,
 * check returns an error that came since and was not told to this one yet. */
uint32_t netfs_inode_error_sample(struct netfs_inode *inode);
int netfs_inode_error_check(struct netfs_inode *inode, uint32_t *since);

/* ------------------------------------------------------------- data */

/* Per open file; the core's between init and the last I/O. */
void netfs_opener_init(struct netfs_opener *opener, struct netfs_handle *handle, unsigned flags);

/* Read or write through opener, as include/unetfs/unetfs.h says. */
void netfs_core_read(struct netfs_inode *inode, struct netfs_opener *opener, struct netfs_io *io);
void netfs_core_write(struct netfs_inode *inode, struct netfs_opener *opener, struct netfs_io *io);
/* As netfs_advise().  -EINVAL. */
int netfs_core_advise(struct netfs_inode *inode, struct netfs_opener *opener, uint64_t start,
		      uint64_t len, enum netfs_advice advice);
void netfs_core_io_end(struct netfs_io *io);
void netfs_core_io_cancel(struct netfs_inode *inode, struct netfs_io *io);

#endif
