/* SPDX-License-Identifier: MIT */
/*
 * One file as the engine sees it: its folios, its sizes, what runs on it.
 */
#ifndef CORE_INODE_H
#define CORE_INODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <base/list.h>
#include <base/ranges.h>
#include <core/folio_index.h>
#include <core/gate.h>
#include <core/readahead.h>
#include <env/executor.h>
#include <env/lock.h>

struct netfs_cookie;
struct netfs_core;
struct netfs_handle;
struct netfs_inode;
struct netfs_journal_file;

/* Something to be told once.  The owner sets fn and keeps it until then. */
struct netfs_completion {
	void (*fn)(struct netfs_completion *done, int err);
	/* The core's while it is pending. */
	struct netfs_list link;
	struct netfs_gate_wait gate;
	struct netfs_inode *inode;
	struct netfs_ranges awaited; /* a flush: what has not arrived yet */
	uint64_t seq; /* a flush: inode->seq when it began */
	bool locked; /* a flush by the holder of the lock */
	bool sent; /* a flush: all it waits for is on its way */
	int err;
};

/* What the owner of an inode supplies. */
struct netfs_inode_ops {
	/* Data is dirty or on its way: the inode must not be done until idle.
	 * Called with the inode's mutex held: it may only count a reference. */
	void (*busy)(struct netfs_inode *inode);
	/* The last the core does with the inode on that account.  No lock. */
	void (*idle)(struct netfs_inode *inode);
};

enum netfs_opener_flags {
	NETFS_OPENER_UNBUFFERED = 1 << 0, /* O_DIRECT, cache=none */
	NETFS_OPENER_APPEND = 1 << 1, /* every write goes to the end */
	NETFS_OPENER_DSYNC = 1 << 2, /* every write is durable at once */
	NETFS_OPENER_REDONE = 1 << 3, /* what is written is in a journal already */
};

/*
 * One open file's share of the engine: the handle it came with and where it
 * reads.  Embedded in the opener's own struct.
 *
 * I: set by netfs_opener_init; f: the inode's mutex.
 */
struct netfs_opener {
	struct netfs_handle *handle; /* I */
	unsigned flags; /* I: enum netfs_opener_flags */
	struct netfs_ra ra; /* f */
};

/*
 * I: immutable after init; f: mutex; w: the core's write-back lock;
 * a: atomic.
 */
struct netfs_inode {
	struct netfs_core *core; /* I */
	const struct netfs_inode_ops *ops; /* I */
	uint64_t id; /* I: the file's number, for people; its owner sets it after init */
	struct netfs_mutex mutex;

	uint64_t size; /* f: as readers here see it */
	uint64_t remote_size; /* f: as the server is believed to see it */
	uint64_t seq; /* f: local changes of data or size */
	uint64_t mtime_ns; /* f: wall clock of the last local write */
	struct netfs_ranges zero; /* f: nothing but zeroes at the server */
	struct netfs_folio_index folios; /* f */
	struct netfs_cookie *cookie; /* f: the disk cache's; NULL: none */
	struct netfs_journal_file *journal; /* f, set once: NULL: it is not journalled */
	struct netfs_crypt_resize *crypt_resize; /* f: waits for a download */
	uint64_t crypt_tail; /* f: a block up to here is sent anew before what follows */
	uint32_t crypt_group; /* f: of all that is dirty or under upload */
	uint32_t crypt_fresh_ms; /* f: since when nothing happened to the file; wraps */
	struct netfs_ranges crypt_fresh; /* f: blocks read again for an upload */
	struct netfs_gate gate; /* f */

	struct netfs_list handles; /* f: struct netfs_file_ref */
	struct netfs_list readers; /* f: struct netfs_io_state, waiting for folios */
	struct netfs_list flushers; /* f: struct netfs_completion of flushes */
	struct netfs_list requests; /* f: living requests */
	struct netfs_list frozen; /* f: dirty bytes of older groups, see group.c */
	struct netfs_list sync_link; /* the core's group_mutex */
	struct netfs_handle *sync_handle; /* as that; a reference */
	struct netfs_list lockers; /* f: the one inside the gate that waits for quiet */
	uint32_t nfrozen; /* f: entries in frozen */
	uint32_t nrequests; /* f: living request objects */
	uint32_t downloads; /* f: read requests not finished */
	uint32_t uploads; /* f: write-back requests not finished */
	uint64_t dirty; /* f: dirty bytes, those under upload not counted */
	uint64_t uploading; /* f: bytes under upload */
	uint64_t stuck; /* f: of dirty, since the server refused some */
	uint64_t upload_from; /* f: where the issuer goes on */
	uint64_t keep_from; /* f: while a reader asks for this range, what is */
	uint64_t keep_to; /* f: in it is not evicted to make room for its rest */
	uint64_t write_from; /* f: where the run of writes began that ended at write_pos */
	uint64_t write_pos; /* f: where the last write ended */
	bool sync_waits; /* f: has a place in core->group_syncs, or its turn */
	bool upload_all; /* f: send what is dirty, however little */
	bool upload_locked; /* f: the holder of the lock flushes */
	bool collect_posted; /* f: collect_task is queued */
	_Atomic bool upload_posted; /* upload_task is queued; set under f, or under w while dirty */
	_Atomic bool upload_asked; /* as that: upload_all is wanted */
	bool busy; /* f: ops->busy was called */
	bool listed_dirty; /* f: on the core's list of dirty files */
	int wb_error; /* f: latest write-back error */
	uint32_t wb_error_seq; /* f: how many there were */

	struct netfs_list core_link; /* w: among all inodes of the core */
	struct netfs_list dirty_link; /* w: place among the dirty files */
	uint64_t dirty_since_ns; /* w */
	struct netfs_task upload_task; /* runs the write-back issuer */
	struct netfs_list collect; /* f: requests with news for the collector */
	struct netfs_task collect_task;
};

#endif
