/* SPDX-License-Identifier: MIT */
/*
 * One file as the engine sees it: its folios, its sizes, what runs on it.
 */
#ifndef CORE_INODE_H
#define CORE_INODE_H

#include <stdbool.h>
#include <stdint.h>
#include <base/list.h>
#include <base/ranges.h>
#include <core/folio_index.h>
#include <core/gate.h>
#include <env/executor.h>
#include <env/lock.h>

struct netfs_core;
struct netfs_handle;
struct netfs_inode;

/* Something to be told once.  The owner keeps it until fn. */
struct netfs_completion {
	struct netfs_list link; /* the core's while it is pending */
	void (*fn)(struct netfs_completion *done, int err);
	uint64_t start; /* the core's: what a flush waits for */
	uint64_t end;
};

/* What the owner of an inode supplies.  Called with no lock held. */
struct netfs_inode_ops {
	/* busy: data is dirty or on its way; the inode must not be done until
	 * idle, which is the last the core does with it on that account. */
	void (*busy)(struct netfs_inode *inode);
	void (*idle)(struct netfs_inode *inode);
};

enum netfs_opener_flags {
	NETFS_OPENER_UNBUFFERED = 1 << 0, /* O_DIRECT, cache=none */
	NETFS_OPENER_APPEND = 1 << 1,	  /* every write goes to the end */
	NETFS_OPENER_DSYNC = 1 << 2,	  /* every write is durable at once */
};

/*
 * One open file's share of the engine: the handle it came with and where it
 * reads.  Embedded in the opener's own struct.
 *
 * I: set by netfs_opener_init; f: the inode's mutex.
 */
struct netfs_opener {
	struct netfs_handle *handle; /* I */
	unsigned flags;		     /* I: enum netfs_opener_flags */
	uint64_t ra_next;	     /* f: where a sequential reader comes next */
	uint64_t ra_end;	     /* f: how far has been asked for ahead */
	uint32_t ra_window;	     /* f: bytes to stay ahead; 0: not streaming */
	uint32_t ra_hits;	     /* f: sequential reads in a row */
};

/*
 * I: immutable after init; f: mutex; w: the core's write-back lock;
 * a: atomic.
 */
struct netfs_inode {
	struct netfs_core *core;	   /* I */
	const struct netfs_inode_ops *ops; /* I */
	struct netfs_mutex mutex;

	uint64_t size;		   /* f: as readers here see it */
	uint64_t remote_size;	   /* f: as the server is believed to see it */
	uint64_t seq;		   /* f: local changes of data or size */
	uint64_t mtime_ns;	   /* f: wall clock of the last local write */
	struct netfs_ranges zero;  /* f: nothing but zeroes at the server */
	struct netfs_folio_index folios; /* f */
	struct netfs_gate gate;	   /* f */

	struct netfs_list handles;   /* f: struct netfs_file_ref */
	struct netfs_list readers;   /* f: struct netfs_read_wait, waiting for folios */
	struct netfs_list flushers;  /* f: struct netfs_completion of flushes */
	struct netfs_list requests;  /* f: living requests */
	struct netfs_list exclusive; /* f: completions waiting for quiet */
	uint32_t downloads;	     /* f: read requests in flight */
	uint32_t uploads;	     /* f: write requests in flight */
	uint32_t borrowed;	     /* f: folios lent to readers */
	uint64_t dirty;		     /* f: dirty bytes, those under upload not counted */
	uint64_t uploading;	     /* f: bytes under upload */
	uint64_t stuck;		     /* f: dirty bytes the server refused */
	uint64_t dirty_from;	     /* f: where the issuer goes on */
	bool busy;		     /* f: ops->busy was called */
	int wb_error;		     /* f: latest write-back error */
	uint32_t wb_error_seq;	     /* f: how many there were */
	uint64_t retry_at_ns;	     /* f: no upload before this */
	uint32_t retry_count;	     /* f */

	struct netfs_list dirty_link;  /* w: place among the dirty files */
	uint64_t dirty_since_ns;       /* w */
	struct netfs_task upload_task; /* runs the write-back issuer */
	struct netfs_list collect;     /* f: requests with news for the collector */
	struct netfs_task collect_task;
};

#endif
