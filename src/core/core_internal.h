/* SPDX-License-Identifier: MIT */
/*
 * The engine of one mount, as its own files see it.
 */
#ifndef CORE_INTERNAL_H
#define CORE_INTERNAL_H

#include <core/core.h>
#include <core/budget.h>
#include <core/pace.h>
#include <core/request.h>
#include <env/lock.h>
#include <env/timer.h>
#include <obs/stats.h>

struct netfs_journaled;
struct netfs_through;

/* Groups that are not durable yet at once. */
#define NETFS_GROUPS_MAX 64u

/*
 * I: immutable; a: atomic; w: wb_mutex (rank WRITEBACK); s: stall_mutex (rank
 * STALLED); g: group_mutex (rank GROUP).
 */
struct netfs_core {
	struct netfs_budget *budget; /* I */
	struct netfs_be *be; /* I */
	struct netfs_stats *stats; /* I */
	const struct netfs_crypt *crypt; /* I: or NULL */
	uint64_t dirty_age_ns; /* I */
	uint32_t rasize; /* I */
	uint32_t rsize; /* I: largest slices */
	uint32_t wsize; /* I */
	uint64_t granule; /* I: reads are widened to it, at most a folio; 0: none */
	uint64_t upload_window; /* I: bytes of one file under upload at once */
	uint64_t upload_batch; /* I: dirty bytes of one file that are sent at once */
	void (*lost)(void *user, uint64_t inode, const struct netfs_range *range, uint64_t bytes);
	void *lost_user; /* I, as lost */
	bool hard; /* I */
	bool sync_local; /* I */
	uint64_t retry_ns; /* I: budget of a soft mount */
	struct netfs_pace pace; /* a */
	_Atomic bool aborted; /* a */
	_Atomic uint64_t dirty; /* a: bytes not at the server */
	_Atomic uint64_t stuck; /* a: of these, refused by it */
	_Atomic uint64_t requests; /* a: living ones */
	_Atomic uint64_t cached; /* a: bytes in folios */
	_Atomic uint64_t copying; /* a: bytes on their way to a cache alone */
	_Atomic uint64_t ciphertext; /* a: bytes of uploads, encrypted and not let go */
	_Atomic uint32_t next_id; /* a: of requests */

	struct netfs_mutex wb_mutex;
	struct netfs_list dirty_inodes; /* w: oldest first */
	struct netfs_list inodes; /* w: all */
	uint32_t refs; /* w: the owner's, the armed timer's */
	bool age_armed; /* w */
	struct netfs_list budget_link; /* guarded by budget->cores_mutex */
	struct netfs_timer age_timer;
	struct netfs_task age_task;

	_Atomic uint32_t group; /* a: what is written now belongs to it */
	_Atomic uint32_t group_open; /* a: the newest that may be sent */
	_Atomic uint64_t group_bytes[NETFS_GROUPS_MAX]; /* a: bytes not at the server */
	_Atomic int group_error; /* a: why the open one does not get on */
	_Atomic bool group_posted; /* a: group_task is queued, with a reference */
	struct netfs_mutex group_mutex; /* rank GROUP */
	struct netfs_list group_syncs; /* g: inodes to make durable */
	struct netfs_inode *group_syncing; /* g: the one being made */
	struct netfs_op group_op; /* of whoever set group_syncing */
	struct netfs_task group_task;

	struct netfs_mutex living_mutex;
	struct netfs_list living; /* guarded by it: all requests, oldest first */

	struct netfs_mutex stall_mutex;
	struct netfs_list stalled; /* s: requests the back end had no room for */
	uint64_t heard_ready; /* s: how often the back end had room again */
	struct netfs_task ready_task;
};

/*
 * What came out of a stretch of work under an inode's mutex and must be told
 * once the mutex is dropped.  "Note, then act."
 */
struct netfs_news {
	struct netfs_list admitted; /* struct netfs_gate_wait */
	struct netfs_list readers; /* struct netfs_io_state to resume */
	struct netfs_list issue; /* struct netfs_request to (re-)issue, with a reference */
	struct netfs_list done; /* struct netfs_completion, error in place */
	struct netfs_list direct; /* struct netfs_request of direct I/O that ended */
	struct netfs_list handles; /* struct netfs_file_ref to drop */
	struct netfs_list dead; /* struct netfs_request without references */
	struct netfs_range lost; /* where dirty bytes were given up */
	uint64_t lost_bytes; /* how many; 0: none */
	bool cleaned; /* dirty bytes went: writers may go on */
	bool idle; /* ops->idle is due */
};

/* Short names for people. */
const char *netfs_origin_name(enum netfs_origin origin);
const char *netfs_ref_name(enum netfs_ref why);

/* A handle an inode may use, and how many openers brought it. */
struct netfs_file_ref {
	struct netfs_list link;
	struct netfs_handle *handle;
	uint32_t openers; /* 0: kept for write-back only */
};

void netfs_news_init(struct netfs_news *news);
/* Drops the inode's mutex and tells everything.  The inode may be gone after
 * it, unless the caller has a claim on it of its own. */
void netfs_news_unlock(struct netfs_news *news, struct netfs_inode *inode);

/* inode.c.  All under the inode's mutex. */

/* Notes that the inode has become busy or idle. */
void netfs_inode_settle(struct netfs_inode *inode, struct netfs_news *news);
/* Has a busy inode's task call off everything: netfs_core_abort(). */
void netfs_inode_ask_abort(struct netfs_inode *inode);
/* A handle to read or write through, with a reference; NULL: none. */
struct netfs_handle *netfs_inode_handle(struct netfs_inode *inode, bool write);
/* Counts and records that one has to wait for the gate. */
void netfs_note_gate(struct netfs_inode *inode, const struct netfs_gate_wait *wait, uint64_t start,
		     uint64_t len);
/* A size-changing operation that waits for quiet may go on. */
void netfs_inode_check_quiet(struct netfs_inode *inode, struct netfs_news *news);

/* group.c */

/* Dirty bytes came to be, or are not counted any more. */
void netfs_inode_dirtied(struct netfs_inode *inode, uint32_t group, uint64_t bytes);
void netfs_inode_cleaned(struct netfs_inode *inode, uint32_t group, uint64_t bytes);
/* Is there a group that may not be sent yet? */
bool netfs_groups_wait(const struct netfs_core *core);
/* Is there a file that has to be made durable? */
bool netfs_groups_unsynced(struct netfs_core *core);
bool netfs_group_is_open(const struct netfs_core *core, uint32_t group);
/* Has somebody look whether the next group may open.  Any locks. */
void netfs_group_poke(struct netfs_core *core);
/* Nobody waits for the server any more. */
void netfs_group_abort(struct netfs_core *core);
void netfs_group_run(struct netfs_task *task);
void netfs_group_synced(struct netfs_op *op, int err);
/* The rest under the inode's mutex. */

/* The folio is about to be written to: freezes what an older group left dirty
 * in it.  -ENOMEM. */
int netfs_group_write(struct netfs_folio *folio);
/* Bytes of req are about to count as arrived: the file has to be made durable
 * where a newer group waits. */
void netfs_group_uploaded(struct netfs_request *req);
/* Bytes of seg were refused: true where they are frozen again, because the
 * folio belongs to a newer group. */
bool netfs_group_return(struct netfs_request *req, struct netfs_seg *seg, uint64_t from,
			uint64_t to);
/* Forgets frozen bytes; returns how many. */
uint64_t netfs_frozen_forget(struct netfs_inode *inode, uint64_t from, uint64_t to);
/* Calls fn with every frozen range until it fails. */
int netfs_frozen_each(struct netfs_inode *inode, const struct netfs_range *clip,
		      int (*fn)(struct netfs_completion *done, uint64_t from, uint64_t to,
				const struct netfs_range *clip),
		      struct netfs_completion *done);
/* The first stretch of range of which req uploads the newest version. */
bool netfs_group_next_newest(const struct netfs_request *req, const struct netfs_folio *folio,
			     const struct netfs_range *range, struct netfs_range *ret_range);
/* The server's bytes of the range may be other than zero.  Without memory to
 * know just that, nothing is known to be zero any more. */
void netfs_inode_not_zero(struct netfs_inode *inode, uint64_t from, uint64_t to);
/* Moves the first frozen bytes that may be sent into the empty request.  False:
 * there are none. */
bool netfs_frozen_take(struct netfs_request *req, struct netfs_range *ret_range);
/* Bytes of req arrived or are given up.  False: no memory to note that, they
 * have to be sent again. */
bool netfs_group_settled(struct netfs_request *req, uint64_t from, uint64_t to);
/* The request is over. */
void netfs_frozen_finish(struct netfs_request *req);

/* read_issue.c */

enum netfs_want {
	NETFS_WANT_NOW, /* somebody waits for it */
	NETFS_WANT_AHEAD, /* give up where memory is short */
};

/* Makes requests for what of the range is neither here nor on its way, widened
 * to the granule; fills in known zeroes.  The requests go to news->issue.  Moves
 * range->from to where it came.  opener NULL: an upload waits for it.  Fails
 * where nothing could be done at the old range->from. */
int netfs_read_want(struct netfs_inode *inode, struct netfs_opener *opener,
		    struct netfs_range *range, enum netfs_want how, struct netfs_news *news);
/* Makes what is known without asking valid at pos, at most up to end.  -EAGAIN
 * where the byte at pos is not known. */
int netfs_read_known(struct netfs_inode *inode, uint64_t pos, uint64_t end);
/* Is any byte of [from, to) on its way? */
bool netfs_read_blocked(struct netfs_inode *inode, uint64_t from, uint64_t to);
/* Adds what a streaming opener should have ahead of what it reads.  missed: not
 * all of it was in memory. */
void netfs_readahead(struct netfs_inode *inode, struct netfs_opener *opener,
		     const struct netfs_range *read, bool missed, struct netfs_news *news);

/* read_collect.c, write_collect.c: the head of a stream ended. */
void netfs_read_collect(struct netfs_subrequest *sub, struct netfs_news *news);
void netfs_write_collect(struct netfs_subrequest *sub, struct netfs_news *news);
/* A folio that changed at the server during its upload lets go of its clean
 * bytes once that is over. */
void netfs_write_drop_stale(struct netfs_folio *folio);
/* Everything of the request is over: what was never sent is given up. */
void netfs_read_finish(struct netfs_request *req, struct netfs_news *news);
void netfs_write_finish(struct netfs_request *req, struct netfs_news *news);
/* [from, to) of a download is here, or will not come (err). */
void netfs_read_settle(struct netfs_request *req, uint64_t from, uint64_t to, int err);
/* Nobody waits for [from, to) of folio any more. */
void netfs_read_forsake(struct netfs_folio *folio, uint64_t from, uint64_t to);
/* A buffered read, io being set up. */
void netfs_read_start(struct netfs_io *io);
/* The file is gone at the server: all its dirty bytes are let go, which those who
 * wait are told.  No folio is looked at meanwhile. */
void netfs_write_lose(struct netfs_inode *inode, struct netfs_news *news);
/* Dirty bytes cannot be sent: remembers why, and tells those who wait. */
void netfs_write_stuck(struct netfs_inode *inode, const struct netfs_range *range, int err,
		       struct netfs_news *news);
/* Readers whose wait may be over go to news. */
void netfs_read_wake(struct netfs_inode *inode, struct netfs_news *news);
/* The bytes of [start, end) need not arrive any more; then wake. */
void netfs_flush_forget(struct netfs_inode *inode, uint64_t start, uint64_t end);
/* Flushes whose wait is over go to news. */
void netfs_flush_wake(struct netfs_inode *inode, struct netfs_news *news);
/* All flushes go to news with an error. */
void netfs_flush_fail(struct netfs_inode *inode, int err, struct netfs_news *news);
/* The lock is given back: flushes its holder left behind are like any other. */
void netfs_flush_unlocked(struct netfs_inode *inode);
/* A flush under the inode's mutex; ends through news. */
void netfs_flush_start(struct netfs_inode *inode, uint64_t start, uint64_t end,
		       struct netfs_completion *done, struct netfs_news *news);
/* resize.c: forgets everything of [start, end), and returns how much of it was
 * dirty.  Folios that are left empty go. */
uint64_t netfs_inode_forget(struct netfs_inode *inode, uint64_t start, uint64_t end);
/* Forgets clean data of [start, end) of every folio. */
void netfs_inode_forget_clean(struct netfs_inode *inode, uint64_t start, uint64_t end);
/* As that, at once, for a range of which nothing is dirty or under upload. */
void netfs_inode_forget_flushed(struct netfs_inode *inode, uint64_t start, uint64_t end);
/* write.c: what follows a write: counting, completion. */
void netfs_write_finish_io(struct netfs_io *io, ssize_t result);
/* The copy of a buffered write, once nothing is in its way.  No lock. */
void netfs_write_enter(struct netfs_io *io);

/* write_through.c: writes that must be durable. */

/* What such a write needs later, let go by netfs_io_complete().  -ENOMEM. */
int netfs_through_new(struct netfs_io *io);
/* Sends what is dirty in its range and waits, then enters.  No lock. */
void netfs_through_start(struct netfs_io *io);
/* Its bytes are in the folios, result of them: sends them and waits.  Under the
 * inode's mutex; io may end as soon as news is told. */
void netfs_through_send(struct netfs_io *io, size_t result, struct netfs_news *news);
/* The server has them: makes them durable.  No lock. */
void netfs_through_sync(struct netfs_io *io, ssize_t result);
/* Calls that off.  Drops the inode's mutex. */
void netfs_through_cancel(struct netfs_io *io);
/* NULL is allowed. */
void netfs_through_put(struct netfs_through *through);

/* journaled.c: writes that are in the journal before they end. */

/* What such a write needs, freed by netfs_io_complete().  -ENOMEM. */
int netfs_journaled_new(struct netfs_io *io);
/* NULL is allowed. */
void netfs_journaled_free(struct netfs_journaled *journaled);
/* Its bytes are in the folios, result of them: under the inode's mutex.  True: io
 * ends by itself, perhaps before this returns.  False: call the next, without it. */
bool netfs_journaled_queue(struct netfs_io *io, size_t result);
void netfs_journaled_refused(struct netfs_io *io);
/* Drops handles that were kept for data that is durable now.  Under the mutex. */
void netfs_inode_drop_kept(struct netfs_inode *inode, struct netfs_news *news);

/* writeback.c */

/* Sends what ought to be sent now.  Under the inode's mutex. */
void netfs_upload_some(struct netfs_inode *inode, struct netfs_news *news);
/* Sends the bytes of range, all of them dirty, in requests of their own.  Those
 * that have to wait for others of their folios, or for an older group, are left
 * dirty.  Uses up a reference to handle.  Under the inode's mutex. */
void netfs_upload_through(struct netfs_inode *inode, struct netfs_handle *handle,
			  const struct netfs_range *range, struct netfs_news *news);
/* Dirty bytes came or went: keeps the list of dirty files, sends for flushes,
 * and posts the upload where there is enough.  Under the inode's mutex. */
void netfs_upload_consider(struct netfs_inode *inode, struct netfs_news *news);
/* Dirty bytes went without an upload: no more may be stuck than are there. */
void netfs_inode_unstick(struct netfs_inode *inode, uint64_t most);
/* The task of a core's age timer. */
void netfs_core_age(struct netfs_task *task);
void netfs_core_get(struct netfs_core *core);
void netfs_core_put(struct netfs_core *core);
/* Tells every file of the mount to look whether it can send; all: and to send
 * everything.  An inode's mutex may be held. */
void netfs_core_kick(struct netfs_core *core, bool all);
/* Tells every file of every mount of the budget to send.  No lock. */
void netfs_core_kick_all(struct netfs_budget *budget);

/* retry.c.  All under the inode's mutex. */

/* May what is left of sub, whose answer was an error, be sent again? */
bool netfs_retry_may(const struct netfs_subrequest *sub);
/* It is, after a while. */
void netfs_retry_wait(struct netfs_subrequest *sub);
/* The back end took so much of sub's rest, which was sent again: what is behind
 * that becomes a subrequest of its own, ready to be sent beside it. */
void netfs_retry_split(struct netfs_subrequest *sub, size_t taken);
/* What lies right behind sub, which is ready, and may be sent again too becomes
 * a part of it, up to a rest of so many bytes. */
void netfs_retry_merge(struct netfs_subrequest *sub, size_t most);

/* cache_stream.c.  All under the inode's mutex. */

/* What of the request's segments the cache gets; sets its stream up. */
void netfs_cache_plan(struct netfs_request *req, struct netfs_stream *stream);
/* Gives the cache what req brought of [from, to), where there is room. */
void netfs_cache_copy(struct netfs_request *req, uint64_t from, uint64_t to,
		      struct netfs_news *news);
/* The head of a cache stream ended. */
void netfs_cache_collect(struct netfs_subrequest *sub);
void netfs_cache_copied(struct netfs_request *req);
void netfs_cache_count_sent(const struct netfs_subrequest *sub);
/* Bytes of [from, to) are not what the server has any more. */
void netfs_cache_invalidate(struct netfs_inode *inode, uint64_t from, uint64_t to);
/* The cache failed to give or to take them. */
void netfs_cache_forget(struct netfs_inode *inode, uint64_t from, uint64_t to);

/* direct.c */
void netfs_direct_read(struct netfs_io *io);
void netfs_direct_write(struct netfs_io *io);
void netfs_direct_collect(struct netfs_subrequest *sub);
void netfs_direct_cancel(struct netfs_io *io);
/* The request of a direct io ended; no lock. */
void netfs_direct_end(struct netfs_request *req);

/* Ends an io: the only place that calls io->done.  No lock. */
void netfs_io_complete(struct netfs_io *io, ssize_t result);

#endif
