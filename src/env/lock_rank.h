/* SPDX-License-Identifier: MIT */
/*
 * Every lock class of the program, in the order of acquisition: while one is
 * held only those further down may be taken (never two of one class, unless
 * said).  Debug and simulator builds check this at run time.
 */
#ifndef ENV_LOCK_RANK_H
#define ENV_LOCK_RANK_H

/* X(identifier, "what it guards").  NETFS_RANK_<identifier> is the rank. */
#define NETFS_LOCK_RANKS(X)                                                                        \
	X(CLIENT, "client: list of mounts")                                                        \
	X(MOUNT, "vfs mount: vnode table, list of files, names")                                   \
	X(VNODE, "vfs vnode: attributes, open files, children")                                    \
	X(LOCKS, "vfs lock table of one vnode")                                                    \
	X(FILE, "core: one file's folios, sizes, gate, requests")                                  \
	X(CORES, "core: the mounts that share a budget")                                           \
	X(WRITEBACK, "core: list of dirty files, throttled writers")                               \
	X(GROUP, "the order of groups of writes")                                                  \
	X(STALLED, "core: slices waiting for the back end")                                        \
	X(BUDGET, "core: eviction queue and memory accounting")                                    \
	X(JOURNAL, "journal: what is in it, and its worker's queue")                               \
	X(OFFLINE, "offline: the link's state, nodes, calls")                                      \
	X(COOKIE, "disk cache: what is there of one file")                                         \
	X(CACHE, "disk cache: the worker's queue, and space")                                      \
	X(BACKEND_SEND, "back end: who sends, where that is taken before its connection")          \
	X(BACKEND, "back end: its connection and tables")                                          \
	X(BACKEND_IO, "back end: its send queue")                                                  \
	X(CALL, "vfs: a call against its cancellation")                                            \
	X(OBS, "statistics, trace rings")                                                          \
	X(ENV, "the environment's own queues")

enum netfs_lock_rank {
#define NETFS_RANK_ENUM(name, guards) NETFS_RANK_##name,
	NETFS_LOCK_RANKS(NETFS_RANK_ENUM)
#undef NETFS_RANK_ENUM
	NETFS_RANK_COUNT
};

#endif
