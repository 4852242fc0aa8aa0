/* SPDX-License-Identifier: MIT */
/*
 * Every cap of the program, each with the reason for its number.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Executor threads.  They never block, so more than there are processors gain
 * nothing; posting compares against each of them. */
#define NETFS_EXECUTOR_THREADS_MAX     64
#define NETFS_EXECUTOR_THREADS_DEFAULT 2
/* Tasks a worker runs in a row while nobody looks at sockets and timers. */
#define NETFS_EXECUTOR_BURST 16
/* Events taken from the kernel at once; the rest stays there. */
#define NETFS_POLL_EVENTS_MAX 64

/* Threads for calls that block.  Enough to keep a disk busy, few enough not
 * to matter when a dead mount blocks them all. */
#define NETFS_JOB_THREADS_MAX 8
/* How long a pool thread waits for work before it ends. */
#define NETFS_JOB_IDLE_SEC 5

/* Timers armed at once.  Requests in flight, connections and periodic work
 * have one each; the heap is static so that arming cannot fail. */
#define NETFS_TIMERS_MAX (1 << 18)

/* Blocks of file data: the smallest page and the huge page of the machine. */
#define NETFS_BLOCK_MIN 4096
#define NETFS_BLOCK_MAX (2 << 20)
/* Free memory kept mapped for the next block, in units of NETFS_BLOCK_MAX. */
#define NETFS_BLOCK_SPARE_MAX 16

/* The kernel takes no more pieces at once (UIO_MAXIOV). */
#define NETFS_IOV_MAX 1024
/* Transfers one io_uring holds; more wait in our own list. */
#define NETFS_URING_DEPTH 256
/* Rings.  The kernel serves one submitter of a ring at a time, so threads are
 * spread over several. */
#define NETFS_URING_RINGS 4

/* Buffers of unix sockets: one large message in either direction. */
#define NETFS_SOCKET_UNIX_BUFFER (2 << 20)
/* A listener with a full queue may keep a connecting unix socket so long. */
#define NETFS_SOCKET_UNIX_CONNECT_SEC 10

/* Opening beneath a directory is tried again when a rename met it.  More than
 * this in a row is no accident. */
#define NETFS_HOSTFS_OPEN_TRIES 32

/* One request of the engine: enough to keep many slices in flight, small
 * enough that early folios are let go early. */
#define NETFS_REQUEST_SEGS_MAX	512
#define NETFS_REQUEST_BYTES_MAX (8 << 20)

/* Living threads that have a number, and a trace ring.  More than the pools
 * make together; what a thread beyond them does is not traced. */
#define NETFS_THREADS_MAX 64
/* Records each ring keeps: some seconds of a busy mount in 256 KiB. */
#define NETFS_TRACE_RECORDS 4096
/* Lines of the recorder that a failed assertion prints: what happened around
 * the mistake, and not more than a log takes. */
#define NETFS_TRACE_LAST_WORDS 256

/* Names remembered per mount: a large source tree, at some 200 bytes each. */
#define NETFS_NAMES_MAX (1 << 16)
/* A directory is watched for changes when it is used again after this time, so that
 * one walk through a tree watches nothing, ... */
#define NETFS_WATCH_ROUND_MS 1000
/* ... and within this one. */
#define NETFS_WATCH_UNUSED_MS 60000
/* Files made one after the other in a directory before its names are read at once, to
 * save the lookup of each of those that follow; ... */
#define NETFS_BURST_AFTER 8
/* ... of a directory with more names it would cost too much, and 256 KiB; ... */
#define NETFS_BURST_NAMES_MAX (1 << 14)
/* ... and that is not tried again so soon where it did not pay, or cannot. */
#define NETFS_BURST_PAUSE_MS	  10000
#define NETFS_BURST_LONG_PAUSE_MS 60000
/* Entries of a directory kept for a slow reader, and the room for their names;
 * more than a readdir of the kernel takes at once. */
/* Bytes: what is no larger is expected to be read at once when it is opened. */
#define NETFS_SMALL_FILE    65536
#define NETFS_READDIR_BATCH 128
#define NETFS_READDIR_TEXT  8192
/* A listing that is kept in memory, some 150,000 names; larger ones are read
 * anew each time. */
#define NETFS_LISTING_MAX (8u << 20)
/* Lookups in flight for one listing with attributes: enough to hide the round
 * trip, few enough to leave the connection to others. */
#define NETFS_READDIR_PLUS 32
/* A file that is neither there nor can be made: somebody plays with the name. */
#define NETFS_CREATE_TRIES_MAX 4
/* How often a server is asked again for a lock that somebody else holds. */
#define NETFS_LOCK_PAUSE_MIN_MS 50
#define NETFS_LOCK_PAUSE_MAX_MS 1000
/* Files flushed at once by a sync or an unmount. */
#define NETFS_EACH_WINDOW 64

#endif
