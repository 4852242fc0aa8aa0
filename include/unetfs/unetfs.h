/* SPDX-License-Identifier: MIT */
/*
 * libunetfs for those above the engine: front ends, tools and programs that
 * use a network share without mounting it.
 *
 * A client owns memory and threads.  A mount is one share in a client.  A
 * vnode is one file or directory of a mount; a file is one open instance.
 *
 * Everything that may have to wait is asynchronous: it is handed a struct
 * netfs_call (names, attributes, control) or a struct netfs_io (file data),
 * and calls done() exactly once, from any thread, perhaps before it returns;
 * no lock of the library is held then.  netfs_call_wait() turns any of them
 * into a blocking call:
 *
 *	struct netfs_call call;
 *	netfs_call_init(&call, NULL);
 *	netfs_lookup(dir, "file", &call);
 *	err = netfs_call_wait(&call);
 *
 * What every caller gets wrong once: names passed in must stay valid until
 * completion; a call or io must not be reused before its done(); done() must
 * not wait for another call (post the work elsewhere).
 */
#ifndef UNETFS_UNETFS_H
#define UNETFS_UNETFS_H

#include <unetfs/types.h>

#define NETFS_VERSION "0.1.0"

struct netfs_cache;
struct netfs_client;
struct netfs_mount;
struct netfs_vnode;
struct netfs_file;

/* ------------------------------------------------------------ calls */

/*
 * One asynchronous operation other than file data.  The caller owns it and
 * keeps it until done().  Which results are set is said at each function;
 * on failure none is.
 */
struct netfs_call {
	/* Set by the caller; netfs_call_init() clears them. */
	void (*done)(struct netfs_call *call, int err);
	void *user;
	struct netfs_cred cred;
	void *buf; /* readlink, getxattr, listxattr */
	size_t buf_size;

	/* Results. */
	struct netfs_mount *mount;
	struct netfs_vnode *vnode; /* one reference, the caller's */
	struct netfs_file *file; /* the caller's, until netfs_release() */
	struct netfs_attr attr;
	uint32_t attr_ttl_ms; /* how long attr may be believed */
	uint32_t entry_ttl_ms; /* how long the name may be believed */
	bool keep_pages; /* open: pages cached above us are still right */
	struct netfs_statfs statfs;
	struct netfs_lock lock;
	uint64_t count;
	uint64_t offset;
	char message[256]; /* one line on why, for people; may be empty */

	/* The library's, from the call to done(). */
	void *priv[6];
};

/* Clears call.  done NULL makes it one for netfs_call_wait(). */
void netfs_call_init(struct netfs_call *call, void (*done)(struct netfs_call *call, int err));
/* Blocks until call is done; returns its error.  Only after
 * netfs_call_init(call, NULL), once, and never from a completion. */
int netfs_call_wait(struct netfs_call *call);
/* Asks that call end soon with -EINTR.  done() still comes, exactly once;
 * harmless when it already came as long as call is still allocated. */
void netfs_call_cancel(struct netfs_call *call);

/* ----------------------------------------------------------- client */

struct netfs_client_config {
	size_t struct_size; /* sizeof, for ABI growth */
	uint64_t memory_max; /* bytes of file data in memory; 0: a quarter of RAM, at most 4 GiB */
	uint64_t dirty_max; /* writers wait above this; 0: half of memory_max */
	uint32_t dirty_age_ms; /* data is sent after this at the latest; 0: 5000 */
	uint32_t threads; /* executor threads; 0: two */
	/* Messages for people, one line each, no newline.  NULL: none. */
	void (*log)(void *user, int level, const char *line);
	void *user;
	/* Where file data is kept beside memory, see cache.h.  NULL: nowhere. */
	struct netfs_cache *cache;
};

enum netfs_log_level {
	NETFS_LOG_ERROR,
	NETFS_LOG_WARN,
	NETFS_LOG_INFO,
	NETFS_LOG_DEBUG,
};

/* Blocking, cheap.  config may be NULL.  Errors: -ENOMEM, -EINVAL. */
int netfs_client_new(const struct netfs_client_config *config, struct netfs_client **ret_client);
/* All mounts must be closed.  Blocking.  NULL is allowed. */
void netfs_client_free(struct netfs_client *client);

/* ------------------------------------------------------------ mount */

/* What a mount option means, for --help; the last has a NULL name. */
struct netfs_option_help {
	const char *name;
	const char *meaning;
	const char *scheme; /* "" for options of every mount */
};

/* All options and all schemes this library knows, static tables. */
const struct netfs_option_help *netfs_option_help(void);

/*
 * Connects to source ("9p://host:port/aname", "dir:/path", "mem:") with
 * comma-separated options.  Result: mount.  On failure call->message says
 * why in one line.  -EINVAL for a bad source or option.
 */
void netfs_mount_open(struct netfs_client *client, const char *source, const char *options,
		      struct netfs_call *call);

enum netfs_mount_close_flags {
	/* Do not wait for unsent data: drop it and report it in call->count; what
	 * is in the journal stays there and is in call->offset. */
	NETFS_CLOSE_FORCE = 1 << 0,
};

/* Writes everything back, disconnects, frees mount.  All files must be
 * released; vnode references are given back by it.  Without FORCE it fails
 * with the write-back error and the mount stays usable.  Results: count, the
 * bytes that were dropped; offset, those that stay in the journal for the next
 * mount of the share. */
void netfs_mount_close(struct netfs_mount *mount, uint32_t flags, struct netfs_call *call);
/* The root with a reference of the caller's. */
struct netfs_vnode *netfs_mount_root(struct netfs_mount *mount);
/* Sends all dirty data and makes it durable, as syncfs(2). */
void netfs_mount_sync(struct netfs_mount *mount, struct netfs_call *call);
/*
 * Begins a new group of writes: nothing written to any file after this call
 * reaches the server before everything written before it is there and durable.
 * Writes under way belong to either; direct writes are not part of it.  Does not
 * wait.  -EBUSY: too many groups are not durable yet; sync and try again.
 * Where content is encrypted, a write to a file with data from before the call
 * waits until that is at the server, and fails with the error if it is refused.
 */
int netfs_mount_barrier(struct netfs_mount *mount);
/* Fails everything in flight and from now on with -EIO, so that nothing waits
 * any more.  Dirty data stays in memory until the mount is closed. */
void netfs_mount_abort(struct netfs_mount *mount);

/* A picture of a mount for people and scripts. */
struct netfs_mount_status {
	char source[512];
	char address[256];
	char state[128]; /* "connected", or what is wrong */
	bool connected;
	bool read_only;
	char cache_mode[16]; /* none, strict, loose, immutable */
	uint64_t dirty; /* bytes written and not yet at the server */
	uint64_t stuck; /* of these: bytes the server refused */
	uint64_t lost; /* bytes given up because the server says their file is gone */
	char lost_last[128]; /* where, the last time; "": nothing was.  The log has all. */
	uint64_t journalled; /* bytes in the journal, not known to be durable at the server */
	uint64_t left; /* bytes in it that a mount before could not send, nor this one */
	uint64_t cached; /* bytes of file data in memory */
	char cache_folder[768]; /* of the disk cache; "": there is none */
	uint64_t cache_volume; /* which of the volumes in it */
	bool cache_sealed;
	uint64_t vnodes;
	uint64_t files_open;
	uint64_t requests; /* living read and write requests */
};

void netfs_mount_status(struct netfs_mount *mount, struct netfs_mount_status *ret_status);

/* One counter. */
struct netfs_stat {
	const char *name; /* "read_bytes" */
	const char *meaning; /* one line */
	const char *group; /* "Reads": counters of a group stand together */
	const char *code; /* what Linux's fs/netfs/stats calls it, or "-" */
	uint64_t value;
};

/* Fills at most max counters, returns how many there are. */
size_t netfs_mount_stats(struct netfs_mount *mount, struct netfs_stat *ret_stats, size_t max);

/*
 * What the mount tells a front end that caches above us.  Called from any
 * thread, without locks; must not block and must not call back into the
 * library: queue it for a thread that serves no request.
 */
struct netfs_notify_ops {
	/* Cached data of [start, end) and attributes of ino are stale. */
	void (*inval_data)(void *user, uint64_t ino, uint64_t start, uint64_t end);
	/* name in directory dir_ino may mean something else now. */
	void (*inval_entry)(void *user, uint64_t dir_ino, const char *name);
};

/* Before the first vnode is used.  ops must outlive the mount; NULL: none. */
void netfs_mount_set_notify(struct netfs_mount *mount, const struct netfs_notify_ops *ops,
			    void *user);

/* ----------------------------------------------------------- vnodes */

struct netfs_vnode *netfs_vnode_get(struct netfs_vnode *vnode);
void netfs_vnode_put(struct netfs_vnode *vnode);
/* Drops n references at once (a kernel's forget). */
void netfs_vnode_put_many(struct netfs_vnode *vnode, uint64_t n);
/* Stable while referenced, unique in the mount; the root is not special. */
uint64_t netfs_vnode_ino(const struct netfs_vnode *vnode);

/* Results of the four below and of netfs_create(): vnode, attr, ttls.
 * lookup of a missing name: -ENOENT with entry_ttl_ms set (0: do not keep).
 * "." and ".." are allowed in lookup. */
void netfs_lookup(struct netfs_vnode *dir, const char *name, struct netfs_call *call);
void netfs_mknod(struct netfs_vnode *dir, const char *name, uint32_t mode, uint32_t rdev_major,
		 uint32_t rdev_minor, struct netfs_call *call);
void netfs_mkdir(struct netfs_vnode *dir, const char *name, uint32_t mode, struct netfs_call *call);
void netfs_symlink(struct netfs_vnode *dir, const char *name, const char *target,
		   struct netfs_call *call);
/* Results: vnode (a new reference to the one given), attr, ttls. */
void netfs_link(struct netfs_vnode *vnode, struct netfs_vnode *dir, const char *name,
		struct netfs_call *call);
void netfs_unlink(struct netfs_vnode *dir, const char *name, struct netfs_call *call);
void netfs_rmdir(struct netfs_vnode *dir, const char *name, struct netfs_call *call);
/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE of renameat2(2). */
void netfs_rename(struct netfs_vnode *old_dir, const char *old_name, struct netfs_vnode *new_dir,
		  const char *new_name, uint32_t flags, struct netfs_call *call);
/* Results: attr, attr_ttl_ms.  file may be NULL. */
void netfs_getattr(struct netfs_vnode *vnode, struct netfs_file *file, struct netfs_call *call);
void netfs_setattr(struct netfs_vnode *vnode, struct netfs_file *file,
		   const struct netfs_setattr *set, struct netfs_call *call);
/* Results: buf, count. */
void netfs_readlink(struct netfs_vnode *vnode, struct netfs_call *call);
void netfs_statfs(struct netfs_vnode *vnode, struct netfs_call *call);
/* The disk cache keeps what it has of a file when it makes room, or need not any more.
 * Takes effect in a while, and outlives the mount; the file is open.  Does not block.
 * 0, -EOPNOTSUPP: there is no disk cache, or vnode is no regular file; -EBUSY: it is not
 * open; -ENOBUFS: another mount has it in the cache. */
int netfs_pin(struct netfs_vnode *vnode, bool pinned);

/*
 * All of a file as an open file of this machine, for somebody who reads it from there by
 * himself, without this library: a descriptor of the library's, of a file that has the
 * bytes of this one and no others, and changes no more for as long as anybody has it open
 * or mapped.  Only of a mount with cache=immutable and a disk cache that has the file
 * whole, and has compared all of it with its checksums.  vnode has an open file from before
 * begin until after end.  Does not block.  -EAGAIN: not now, and it is being
 * compared if that is what it wants; any other error: not soon.
 */
int netfs_backing_begin(struct netfs_vnode *vnode);
/* The descriptor is not used any more, whatever was opened through it.  Once for each
 * begin that gave one. */
void netfs_backing_end(struct netfs_vnode *vnode);

/* As getxattr(2) and its family; buf_size 0 asks for the size in count. */
void netfs_getxattr(struct netfs_vnode *vnode, const char *name, struct netfs_call *call);
void netfs_listxattr(struct netfs_vnode *vnode, struct netfs_call *call);
void netfs_setxattr(struct netfs_vnode *vnode, const char *name, const void *value, size_t size,
		    uint32_t flags, struct netfs_call *call);
void netfs_removexattr(struct netfs_vnode *vnode, const char *name, struct netfs_call *call);

/* ------------------------------------------------------------ files */

/* flags as open(2): O_ACCMODE, O_TRUNC, O_APPEND, O_DIRECT, O_SYNC, O_DSYNC,
 * O_EXCL (create).  Results: file, keep_pages; create also vnode, attr, ttls.
 * open works for directories. */
void netfs_open(struct netfs_vnode *vnode, uint32_t flags, struct netfs_call *call);
void netfs_create(struct netfs_vnode *dir, const char *name, uint32_t flags, uint32_t mode,
		  struct netfs_call *call);
struct netfs_vnode *netfs_file_vnode(struct netfs_file *file);
/* What close(2) does, once per descriptor: flush as the cache mode promises,
 * drop owner's record locks, report a write-back error once. */
void netfs_flush(struct netfs_file *file, uint64_t lock_owner, struct netfs_call *call);
/* Last use.  Never fails, never waits; the rest is done in the background.  Record
 * locks go with netfs_flush(): what their owner did not give up so goes now, at a
 * time of its own, and with it what that owner locked again meanwhile. */
void netfs_release(struct netfs_file *file);
void netfs_fsync(struct netfs_file *file, bool datasync, struct netfs_call *call);

/* One entry for netfs_readdir; vnode and attr only where they were asked
 * for and could be had: then one reference goes to the receiver. */
struct netfs_direntry {
	const char *name; /* terminated; valid during the call */
	uint64_t ino;
	uint32_t type; /* S_IFMT bits */
	uint64_t next; /* cookie after this entry */
	struct netfs_vnode *vnode;
	struct netfs_attr attr;
	uint32_t attr_ttl_ms;
	uint32_t entry_ttl_ms;
};

/* Entries from cookie on (0: the start, "." and ".." included) through fill,
 * which returns false when it can take no more (it then did not take that
 * one).  plus: with vnodes and attributes.  Nothing filled means the end. */
typedef bool (*netfs_fill_fn)(struct netfs_call *call, const struct netfs_direntry *entry);
void netfs_readdir(struct netfs_file *file, uint64_t cookie, bool plus, netfs_fill_fn fill,
		   struct netfs_call *call);

void netfs_fallocate(struct netfs_file *file, uint32_t mode, uint64_t start, uint64_t len,
		     struct netfs_call *call);
/* Result: count.  Cloned where the server can, copied by it otherwise. */
void netfs_copy_range(struct netfs_file *from, uint64_t from_start, struct netfs_file *to,
		      uint64_t to_start, uint64_t len, struct netfs_call *call);
/* Has the server share the bytes of a range between two files until one of them
 * changes, as ioctl(FICLONERANGE).  len 0: to the end of from.  All of it or an
 * error: -EINVAL where the range passes the end of from, overlaps, or is not
 * aligned as the server wants it; -EOPNOTSUPP where it cannot. */
void netfs_clone_range(struct netfs_file *from, uint64_t from_start, struct netfs_file *to,
		       uint64_t to_start, uint64_t len, struct netfs_call *call);
/* whence: SEEK_DATA, SEEK_HOLE.  Result: offset. */
void netfs_seek(struct netfs_file *file, uint64_t start, int whence, struct netfs_call *call);
/* wait: stays pending until granted or cancelled.  Else -EAGAIN. */
void netfs_lock(struct netfs_file *file, const struct netfs_lock *lock, bool wait,
		struct netfs_call *call);
/* Result: lock, type UNLOCK where nothing conflicts. */
void netfs_getlock(struct netfs_file *file, const struct netfs_lock *lock, struct netfs_call *call);

/* -------------------------------------------------------- file data */

enum netfs_io_flags {
	NETFS_IO_DIRECT = 1 << 0, /* as O_DIRECT: past the cache */
	NETFS_IO_APPEND = 1 << 1, /* write at the end, wherever it is: start then says */
	NETFS_IO_DSYNC = 1 << 2, /* durable before done() */
	/* Read: do not copy; point iov at the library's own memory, which
	 * stays as it is until netfs_io_end().  iov and niov then are the
	 * room for the answer. */
	NETFS_IO_BORROW = 1 << 3,
	/* What would have to wait for data, for another operation on the file,
	 * or for memory ends with -EAGAIN instead.  A read gives what is in
	 * memory, down to the first byte that is not (a borrowed one all or
	 * -EAGAIN).  With DIRECT it still goes to the server, but not where
	 * cached data would have to be sent first. */
	NETFS_IO_NOWAIT = 1 << 4,
};

/*
 * One read or write in flight.  The caller owns it and the memory behind iov.
 * result: bytes moved (short at the end of the file), or a negative errno
 * where nothing was.  A borrowed read also sets niov to the pieces used.
 */
struct netfs_io {
	/* Set by the caller. */
	void (*done)(struct netfs_io *io, ssize_t result);
	void *user;
	struct iovec *iov;
	unsigned niov;
	unsigned flags; /* enum netfs_io_flags */
	uint64_t start;
	size_t len;

	/* The library's, from the call to done() (or netfs_io_end()). */
	void *priv[26];
};

void netfs_read(struct netfs_file *file, struct netfs_io *io);
void netfs_write(struct netfs_file *file, struct netfs_io *io);
/* Gives borrowed memory back.  Only after done() of a BORROW read that
 * returned more than 0. */
void netfs_io_end(struct netfs_io *io);
/* Asks that io end soon with -EINTR; done() still comes, exactly once. */
void netfs_io_cancel(struct netfs_file *file, struct netfs_io *io);
/* How a range of a file will be used, as posix_fadvise(2). */
enum netfs_advice {
	NETFS_ADVICE_NORMAL, /* this file instance: read ahead of streams */
	NETFS_ADVICE_SEQUENTIAL, /* likewise, with a full window from the start */
	NETFS_ADVICE_RANDOM, /* likewise: never read ahead */
	NETFS_ADVICE_NOREUSE, /* likewise: what it reads may leave memory first */
	NETFS_ADVICE_WILLNEED, /* start reading the range */
	NETFS_ADVICE_DONTNEED, /* drop its clean data, send what is dirty */
};

/* len 0: to the end of the file.  Never waits; a hint that cannot be followed
 * now is lost.  The range counts for WILLNEED and DONTNEED only; NORMAL ends
 * what the other three of a file instance began.  -EINVAL, -EISDIR. */
int netfs_advise(struct netfs_file *file, uint64_t start, uint64_t len, enum netfs_advice advice);
/* Blocking forms, on the same path.  Return bytes or negative errno. */
ssize_t netfs_pread(struct netfs_file *file, void *buf, size_t len, uint64_t start, unsigned flags);
ssize_t netfs_pwrite(struct netfs_file *file, const void *buf, size_t len, uint64_t start,
		     unsigned flags);

#endif
