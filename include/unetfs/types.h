/* SPDX-License-Identifier: MIT */
/*
 * Words shared by both sides of the engine: attributes, credentials, locks,
 * directory entries.  Plain data; nothing here owns anything.
 */
#ifndef UNETFS_TYPES_H
#define UNETFS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Wall-clock time.  nsec is always below 1,000,000,000. */
struct netfs_time {
	int64_t sec;
	uint32_t nsec;
};

/* Who asks.  The pid is for messages and lock owners, never for authority. */
struct netfs_cred {
	uint32_t uid;
	uint32_t gid;
	int32_t pid;
};

/* What is known about one file.  Sizes in bytes, blocks of 512 bytes. */
struct netfs_attr {
	uint64_t ino; /* the server's file id, unique with gen in a mount */
	uint64_t gen; /* generation of the id, 0 where there is none */
	uint64_t version; /* the server's change number, 0 where there is none */
	uint32_t mode; /* type and permission bits as in stat(2) */
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint64_t size;
	uint64_t blocks;
	uint32_t blksize;
	struct netfs_time atime;
	struct netfs_time mtime;
	struct netfs_time ctime;
	struct netfs_time btime; /* all zero where unknown */
};

/* Which fields of a struct netfs_setattr count. */
enum netfs_setattr_valid {
	NETFS_SET_MODE = 1 << 0,
	NETFS_SET_UID = 1 << 1,
	NETFS_SET_GID = 1 << 2,
	NETFS_SET_SIZE = 1 << 3,
	NETFS_SET_ATIME = 1 << 4, /* to the value in atime */
	NETFS_SET_MTIME = 1 << 5, /* to the value in mtime */
	NETFS_SET_ATIME_NOW = 1 << 6, /* to the server's clock */
	NETFS_SET_MTIME_NOW = 1 << 7,
};

/* A change of attributes; only the fields named by valid are looked at. */
struct netfs_setattr {
	uint32_t valid; /* enum netfs_setattr_valid */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	struct netfs_time atime;
	struct netfs_time mtime;
};

/* As statvfs(3): blocks and bavail count units of bsize bytes. */
struct netfs_statfs {
	uint32_t bsize;
	uint32_t namelen;
	uint64_t blocks;
	uint64_t bfree;
	uint64_t bavail;
	uint64_t files;
	uint64_t ffree;
};

enum netfs_lock_type {
	NETFS_LOCK_READ,
	NETFS_LOCK_WRITE,
	NETFS_LOCK_UNLOCK,
};

/*
 * One byte-range lock, or a question about one.  [start, end) with
 * end == UINT64_MAX for "to the end of the file, wherever it is".
 * flock(2) locks cover everything and live in a name space of their own.
 */
struct netfs_lock {
	enum netfs_lock_type type;
	bool flock;
	uint64_t start;
	uint64_t end;
	uint64_t owner; /* opaque; equal owners never conflict */
	int32_t pid; /* holder, for F_GETLK */
};

/* What came of asking a server for a lock. */
enum netfs_lock_result {
	NETFS_LOCK_GRANTED,
	NETFS_LOCK_BLOCKED, /* somebody else holds it; ask again */
};

#endif
