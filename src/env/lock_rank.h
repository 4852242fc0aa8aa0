/* SPDX-License-Identifier: MIT */
/*
 * Every lock class of the program, in the order of acquisition: while one is
 * held only those further down may be taken (never two of one class, unless
 * said).  Debug and simulator builds check this at run time.
 */
#ifndef ENV_LOCK_RANK_H
#define ENV_LOCK_RANK_H

enum netfs_lock_rank {
	NETFS_RANK_CLIENT,     /* client: list of mounts */
	NETFS_RANK_MOUNT,      /* vfs mount: vnode table, list of files, names */
	NETFS_RANK_VNODE,      /* vfs vnode: attributes, open files, children */
	NETFS_RANK_LOCKS,      /* vfs lock table of one vnode */
	NETFS_RANK_FILE,       /* core: one file's folios, sizes, gate, requests */
	NETFS_RANK_REQUEST,    /* core: a request's lists of subrequests */
	NETFS_RANK_WRITEBACK,  /* core: list of dirty files, throttled writers */
	NETFS_RANK_STALLED,    /* core: slices waiting for the back end */
	NETFS_RANK_BUDGET,     /* core: eviction queue and memory accounting */
	NETFS_RANK_BACKEND,    /* back end: its connection and tables */
	NETFS_RANK_BACKEND_IO, /* back end: its send queue */
	NETFS_RANK_CALL,       /* vfs: a call against its cancellation */
	NETFS_RANK_OBS,	       /* statistics, trace rings */
	NETFS_RANK_ENV,	       /* the environment's own queues */
	NETFS_RANK_COUNT,
};

#endif
