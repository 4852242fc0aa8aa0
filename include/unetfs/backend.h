/* SPDX-License-Identifier: MIT */
/*
 * The contract for those below the engine: what a back end (the client side of
 * one server protocol) supplies, and what it may rely on.
 *
 * A back end is a table of functions.  It knows names, attributes and "read
 * this slice, write this slice"; it never sees a folio, a cache or a size that
 * the engine keeps.  src/backend/mem is the tutorial.
 *
 * Rules that hold for every function here, unless its comment says otherwise:
 *
 *  - It may be called from any thread, several at a time, and must not block:
 *    no waiting for the server, the disk or another call.
 *  - The caller holds no lock.  The back end holds none of its own while it
 *    completes an operation or a slice.
 *  - An operation (struct netfs_op) or a slice (struct netfs_slice) handed in
 *    is completed exactly once, from any thread, possibly before the function
 *    returns.  After completion the back end does not touch it again.
 *  - Arguments (names, iovecs, nodes, handles) stay valid until completion.
 *    The caller holds references to the nodes and handles it passes.
 *  - Errors are negative errno values.
 *  - Server bytes are checked here: a reply that breaks the protocol ends in
 *    an error, never in an assertion.
 *
 * Names are byte strings without '/' or NUL, never "." or "..", at most
 * NETFS_NAME_MAX bytes.
 */
#ifndef UNETFS_BACKEND_H
#define UNETFS_BACKEND_H

#include <stdatomic.h>
#include <unetfs/types.h>

#define NETFS_NAME_MAX 255

struct netfs_be;
struct netfs_be_ops;
struct netfs_be_host;
struct netfs_option;

/*
 * One object on the server as the back end addresses it (a fid, a path, a file
 * handle).  First member of the back end's own node.  References are taken and
 * dropped with netfs_node_get() and netfs_node_put(); the last put calls
 * ops->node_free().
 */
struct netfs_node {
	_Atomic uint32_t refs;
	struct netfs_be *be;
	_Atomic uint32_t promise; /* see netfs_node_promise() */
	/* Of a back end that stands before another one: whose promise counts.  Set once,
	 * and lives as long; NULL: its own. */
	struct netfs_node *_Atomic behind;
};

/*
 * What a server promises about a file until it asks to have it back: a lease, a
 * delegation, a callback, a capability.  Nothing here is ever owed: a back end
 * that promises nothing leaves node->promise zero.
 */
enum netfs_promise {
	NETFS_PROMISE_READ = 1 << 0, /* data and attributes do not change before we are told */
	NETFS_PROMISE_HANDLE = 1 << 1, /* nor does the name that the file was opened by */
	NETFS_PROMISE_WRITE = 1 << 2, /* nobody looks at the data before we are told */
	NETFS_PROMISE_ALL = 7,
	NETFS_PROMISE_AGAIN = 8, /* added whenever something is promised anew */
};

/*
 * The server wants back what it promised about a file, and waits.  lost: what it
 * takes, enum netfs_promise.  The back end's, until done() is called, once, from
 * any thread, with no lock held.
 */
struct netfs_recall {
	uint32_t lost;
	void (*done)(struct netfs_recall *recall);
};

/* What a server tells of a name in a directory that it watches for us. */
enum netfs_change {
	NETFS_CHANGE_MADE, /* it is there, and was not */
	NETFS_CHANGE_GONE, /* it is not there any more, or leads somewhere else */
	NETFS_CHANGE_TOUCHED, /* what it leads to is not as it was */
};

/* One open file or directory on the server; otherwise like a node. */
struct netfs_handle {
	_Atomic uint32_t refs;
	struct netfs_be *be;
	bool readable;
	bool writable;
	_Atomic bool dead; /* every use fails from now on; others of the file may not */
	struct netfs_handle *_Atomic behind; /* whose dead counts as well, like a node's */
};

/* One entry of a directory, as handed to netfs_op.fill. */
struct netfs_dirent {
	const char *name; /* not terminated; valid during the call only */
	uint32_t name_len;
	uint32_t type; /* S_IFMT bits, 0 where unknown */
	uint64_t ino;
	uint64_t next; /* cookie: where a readdir after this entry resumes */
};

/*
 * One operation on names or attributes in flight.  The caller owns it, fills
 * the upper part, and gets it back in done().  Which results are set is said
 * at each function of the table; on failure none is.
 */
struct netfs_op {
	/* Set by the caller. */
	void (*done)(struct netfs_op *op, int err);
	struct netfs_cred cred;
	/* readdir: returns false when it can take no more; that entry was not
	 * taken and the back end stops there.  Called with no lock held. */
	bool (*fill)(struct netfs_op *op, const struct netfs_dirent *entry);
	void *buf; /* readlink, getxattr, listxattr: room for the answer */
	size_t buf_size;
	/* lock: the answer may take until others give theirs up; unlink: nobody waits for
	 * it, so it may take until a server that is away is back. */
	bool wait;
	/* open, lookup: bytes from the start that will be read at once (lookup: may be, if it
	 * is opened next), as far as one can tell; nobody writes to the file here.  0:
	 * nobody knows. */
	uint32_t reads;
	bool cached; /* and these bytes may be on a disk here: they need not come along */
	/* readdir: nothing is gained where there are more entries than that: -E2BIG is as
	 * good, where it saves fetching them.  0: all are wanted. */
	uint32_t most;

	/* Results. */
	struct netfs_be *be; /* connect */
	struct netfs_node *node; /* one reference, the caller's */
	struct netfs_handle *handle; /* one reference, the caller's */
	struct netfs_attr attr;
	struct netfs_statfs statfs;
	struct netfs_lock lock;
	enum netfs_lock_result lock_result;
	uint64_t count; /* bytes: answer in buf, or copied */
	uint64_t offset;
	bool eof; /* readdir: the end was reached */
	bool has_attr; /* open: attr is set, as it was after opening */
	/* create, mknod, mkdir, unlink, rmdir: dir_attr is set, as the directory was after
	 * that, or perhaps after something else that came after it. */
	bool has_dir_attr;
	struct netfs_attr dir_attr;
	/* create, open, lookup: node->promise that attr was told under, 0: under none. */
	uint32_t promise;

	/* The back end's, from the call to the completion. */
	void *be_priv;
};

enum netfs_slice_kind {
	NETFS_SLICE_READ,
	NETFS_SLICE_WRITE,
};

/* Facts about a finished slice, for netfs_slice.done. */
enum netfs_slice_flags {
	/* Read: it ended early because the server's file ends there. */
	NETFS_SLICE_EOF = 1 << 0,
	/* Read: what is missing is a hole; the engine fills in zeroes. */
	NETFS_SLICE_HOLE = 1 << 1,
	/* The error may heal (lost connection, expired session): try again. */
	NETFS_SLICE_RETRY = 1 << 2,
};

/*
 * A contiguous piece of a file to be read or written.  It lives in the
 * engine's subrequest.
 *
 * ops->read and ops->write are handed up to len bytes and take a slice off the
 * front: the back end calls netfs_slice_trim() first if it wants less, then
 * starts the I/O and returns how many bytes it took.
 */
struct netfs_slice {
	enum netfs_slice_kind kind;
	bool for_upload; /* a read that data waits for which is to be sent */
	uint64_t start; /* file position of the first byte */
	size_t len; /* bytes to move */
	struct iovec *iov; /* where they are: covers len exactly */
	unsigned niov;
	/*
	 * Completion.  moved: bytes moved from the front, at most len, also
	 * with an error.  err: 0 or negative errno.  flags: netfs_slice_flags.
	 */
	void (*done)(struct netfs_slice *slice, size_t moved, int err, unsigned flags);
	void *be_priv[4]; /* the back end's while the slice is in flight */
};

/* What a back end can do beyond the table, constant after connect. */
enum netfs_be_caps {
	NETFS_BE_OPEN_UNLINKED = 1 << 0, /* open files survive their unlinking */
	NETFS_BE_RENAME_FLAGS = 1 << 1, /* EXCHANGE and NOREPLACE */
	NETFS_BE_LOCKS = 1 << 2, /* byte-range locks between clients */
	NETFS_BE_CHANGE_COUNTER = 1 << 3, /* attr.version is meaningful */
	NETFS_BE_STABLE_WRITES = 1 << 4, /* an acknowledged write is durable */
	NETFS_BE_LOCAL = 1 << 5, /* in the process or on this machine */
	NETFS_BE_HOLES_ONLY = 1 << 6, /* fallocate: holes and zeroes that keep the size */
	NETFS_BE_GEN_MOVES = 1 << 7, /* attr.gen of a file may be another for the next mount */
};

/* One connection to one export; first member of the back end's own. */
struct netfs_be {
	const struct netfs_be_ops *ops;
	uint32_t caps; /* enum netfs_be_caps */
	uint32_t rsize; /* largest useful read slice in bytes */
	uint32_t wsize; /* largest useful write slice in bytes */
	uint32_t depth; /* slices worth keeping in flight */
	uint32_t granule; /* reads are widened to multiples of it: a power of two, 0: none */
	char address[256]; /* for people: "tcp 127.0.0.1:564", "unix /run/x" */
};

/* Where a back end speaks up.  Given at connect, outlives the connection. */
struct netfs_be_host {
	/* Slices refused with -EAGAIN may be offered again. */
	void (*ready)(struct netfs_be_host *host);
	/* The server says this node changed behind our back.  No lock held. */
	void (*changed)(struct netfs_be_host *host, uint64_t ino, uint64_t gen);
	/* The server tells from now on what changes in this directory, by whomever: names,
	 * and attributes of what they lead to; or it does so no longer.  What was asked
	 * for before it began is not covered.  Both no lock held. */
	void (*watching)(struct netfs_be_host *host, uint64_t ino, uint64_t gen, bool stands);
	/* It told that.  Where it lost count, its watch ends and another begins. */
	void (*happened)(struct netfs_be_host *host, uint64_t ino, uint64_t gen, const char *name,
			 enum netfs_change change);
	/* Complies with a recall: sends what is unsent, forgets what READ covered
	 * where that goes, then calls done(), perhaps before it returns.
	 * node->promise says already what is left.  No lock held. */
	void (*recall)(struct netfs_be_host *host, uint64_t ino, uint64_t gen,
		       struct netfs_recall *recall);
	/* Connection state for people, one line: "server not responding". */
	void (*state)(struct netfs_be_host *host, bool connected, const char *text);
	/* Something else that they should know, one line, for the log.  No lock held. */
	void (*note)(struct netfs_be_host *host, const char *text);
	void *priv;
};

/* The source of a mount, taken apart: scheme://host:port/path, scheme:path. */
struct netfs_source {
	const char *scheme; /* "9p", "dir", "mem" */
	const char *host; /* "" where there is none; no brackets around IPv6 */
	const char *port; /* "" for the protocol's own */
	const char *path; /* what follows host and port, with its slash */
};

/* One mount option, "word" or "word=value".  value is "" where missing. */
struct netfs_option {
	const char *name;
	const char *value;
};

/* An option a back end understands, for checking and for --help. */
struct netfs_option_info {
	const char *name;
	const char *meaning; /* one line; says the unit and the default */
};

/* What connect is told. */
struct netfs_be_config {
	const struct netfs_source *source;
	const struct netfs_option *options; /* only those the back end lists */
	unsigned noptions;
	bool hard; /* wait for a lost server, or fail after: */
	uint32_t timeout_ms; /* per request on a soft mount */
};

struct netfs_be_ops {
	const char *scheme;
	const char *summary; /* one line for --help */
	const struct netfs_option_info *options; /* ends with a NULL name */

	/*
	 * Connects to the export.  Results: be, node (the root), attr.  The
	 * reason of a failure goes to op->buf as one line where buf is given.
	 * config is valid until completion, host until disconnect completed.
	 */
	void (*connect)(const struct netfs_be_config *config, struct netfs_be_host *host,
			struct netfs_op *op);
	/* No operation, slice, node or handle is left.  Frees be. */
	void (*disconnect)(struct netfs_be *be, struct netfs_op *op);
	/* Last reference is gone.  Must not fail; the server is told in the
	 * background, and disconnect waits for that. */
	void (*node_free)(struct netfs_node *node);
	void (*handle_free)(struct netfs_handle *handle);

	/* Asks that op or slice end soon with -EINTR.  It is still completed
	 * exactly once, perhaps with success.  Unknown ones are ignored. */
	void (*op_cancel)(struct netfs_be *be, struct netfs_op *op);
	void (*slice_cancel)(struct netfs_be *be, struct netfs_slice *slice);

	/* Results: node, attr. */
	void (*lookup)(struct netfs_node *dir, const char *name, struct netfs_op *op);
	/* Result: attr.  handle may be NULL; where given it is tried first. */
	void (*getattr)(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op);
	/* Result: attr afterwards.  All of the change or an error. */
	void (*setattr)(struct netfs_node *node, struct netfs_handle *handle,
			const struct netfs_setattr *set, struct netfs_op *op);
	/* Results: buf, count (without a NUL).  Longer than buf: -ERANGE. */
	void (*readlink)(struct netfs_node *node, struct netfs_op *op);

	/* Results: node, attr.  Owner of the new object is op->cred. */
	void (*mknod)(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t rdev_major,
		      uint32_t rdev_minor, struct netfs_op *op);
	void (*mkdir)(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op);
	void (*symlink)(struct netfs_node *dir, const char *name, const char *target,
			struct netfs_op *op);
	/* Result: attr of node. */
	void (*link)(struct netfs_node *node, struct netfs_node *dir, const char *name,
		     struct netfs_op *op);
	void (*unlink)(struct netfs_node *dir, const char *name, struct netfs_op *op);
	void (*rmdir)(struct netfs_node *dir, const char *name, struct netfs_op *op);
	/* flags as renameat2(2), only with NETFS_BE_RENAME_FLAGS.  node is the
	 * object that moves, so that the back end can keep its address. */
	void (*rename)(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
		       struct netfs_node *new_dir, const char *new_name, uint32_t flags,
		       struct netfs_op *op);

	/* flags: O_ACCMODE, O_EXCL and O_TRUNC as open(2).  Never O_APPEND or
	 * O_DIRECT.  Results: node, attr, handle. */
	void (*create)(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
		       struct netfs_op *op);
	/* flags: O_ACCMODE and O_TRUNC.  Results: handle; attr where has_attr
	 * says so.  For directories too. */
	void (*open)(struct netfs_node *node, uint32_t flags, struct netfs_op *op);
	/* Entries from cookie on, 0 is the start, through op->fill.  Never "."
	 * and "..".  Result: eof.  At least one entry unless at the end. */
	void (*readdir)(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op);

	/*
	 * Take a slice off the front of slice and start moving it.  Returns
	 * the bytes taken (then slice->done() follows, or already happened),
	 * or a negative errno (then it does not).  -EAGAIN: no room now; the
	 * caller waits for host->ready().
	 */
	ssize_t (*read)(struct netfs_handle *handle, struct netfs_slice *slice);
	ssize_t (*write)(struct netfs_handle *handle, struct netfs_slice *slice);
	/* All writes acknowledged before the call become durable. */
	void (*fsync)(struct netfs_handle *handle, bool datasync, struct netfs_op *op);

	/* Optional from here: NULL means -EOPNOTSUPP. */

	/* Where the object is, as far as is known here: names with slashes between
	 * them, from the root of the export, which is "".  Does not ask, and does not
	 * block.  -ENAMETOOLONG, -ENOENT: nobody knows. */
	int (*path)(struct netfs_node *node, char *buf, size_t size);

	/* mode as fallocate(2). */
	void (*fallocate)(struct netfs_handle *handle, uint32_t mode, uint64_t start, uint64_t len,
			  struct netfs_op *op);
	/* Result: count. */
	void (*copy_range)(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			   uint64_t to_start, uint64_t len, struct netfs_op *op);
	/* As ioctl(FICLONERANGE): the server lets to share the bytes of from
	 * until one of them changes; all of the range (len > 0) or an error.
	 * -EINVAL: the server wants it aligned otherwise, or from ends before;
	 * -EOPNOTSUPP, -EXDEV: not with these files. */
	void (*clone_range)(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			    uint64_t to_start, uint64_t len, struct netfs_op *op);
	/* whence: SEEK_DATA or SEEK_HOLE.  Result: offset. */
	void (*seek)(struct netfs_handle *handle, uint64_t start, int whence, struct netfs_op *op);
	/* Result: statfs. */
	void (*statfs)(struct netfs_node *node, struct netfs_op *op);
	/* Results: buf, count.  buf_size 0 asks for the size only.  -ERANGE
	 * where buf is too small, -ENODATA where there is none. */
	void (*getxattr)(struct netfs_node *node, const char *name, struct netfs_op *op);
	void (*listxattr)(struct netfs_node *node, struct netfs_op *op);
	/* flags: XATTR_CREATE, XATTR_REPLACE. */
	void (*setxattr)(struct netfs_node *node, const char *name, const void *value, size_t size,
			 uint32_t flags, struct netfs_op *op);
	void (*removexattr)(struct netfs_node *node, const char *name, struct netfs_op *op);
	/* Result: lock_result.  Only with op->wait may it come when others have
	 * given up their locks; otherwise, and where the back end cannot, BLOCKED. */
	void (*lock)(struct netfs_handle *handle, const struct netfs_lock *lock,
		     struct netfs_op *op);
	/* Result: lock (type UNLOCK where nothing conflicts). */
	void (*getlock)(struct netfs_handle *handle, const struct netfs_lock *lock,
			struct netfs_op *op);
	/* Names in dir are used again and again, said about once a second: perhaps
	 * the server can tell what changes there, see host->watching().  Nothing is owed.
	 * ino and gen: what dir is called there. */
	void (*watch)(struct netfs_node *dir, uint64_t ino, uint64_t gen);
};

static inline struct netfs_node *netfs_node_get(struct netfs_node *node)
{
	atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
	return node;
}

/* NULL is allowed.  acq_rel: pairs with the other puts, so that the freeing
 * thread sees everything done under the other references. */
static inline void netfs_node_put(struct netfs_node *node)
{
	if (node && atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) == 1)
		node->be->ops->node_free(node);
}

/*
 * The back end says what the server promises about node from now on, enum
 * netfs_promise; one call at a time, and one node for an object while it does
 * that.  What was told under a promise is good as long as the upper bits of
 * node->promise are the same and the bit is there.  release: pairs with those
 * who look, so that they see what was known before.
 */
static inline void netfs_node_promise(struct netfs_node *node, uint32_t bits)
{
	uint32_t word = atomic_load_explicit(&node->promise, memory_order_relaxed);

	if (bits & ~word & (NETFS_PROMISE_READ | NETFS_PROMISE_HANDLE))
		word += NETFS_PROMISE_AGAIN;
	word = (word & ~(uint32_t)NETFS_PROMISE_ALL) | bits;
	atomic_store_explicit(&node->promise, word, memory_order_release);
}

/* The word of promises that counts for node.  acquire: pairs with those that say what
 * is promised, and with who stands before whom. */
static inline uint32_t netfs_node_promise_now(const struct netfs_node *node)
{
	const struct netfs_node *behind = atomic_load_explicit(&node->behind, memory_order_acquire);

	return atomic_load_explicit(&(behind ? behind : node)->promise, memory_order_acquire);
}

/* Does what was promised when that word was word still hold, all of bits? */
static inline bool netfs_node_promised(const struct netfs_node *node, uint32_t word, uint32_t bits)
{
	uint32_t now = netfs_node_promise_now(node);

	return (word & now & bits) == bits &&
	       (now | NETFS_PROMISE_ALL) == (word | NETFS_PROMISE_ALL);
}

static inline struct netfs_handle *netfs_handle_get(struct netfs_handle *handle)
{
	atomic_fetch_add_explicit(&handle->refs, 1, memory_order_relaxed);
	return handle;
}

static inline void netfs_handle_put(struct netfs_handle *handle)
{
	if (handle && atomic_fetch_sub_explicit(&handle->refs, 1, memory_order_acq_rel) == 1)
		handle->be->ops->handle_free(handle);
}

static inline bool netfs_handle_dead(const struct netfs_handle *handle)
{
	const struct netfs_handle *behind =
		atomic_load_explicit(&handle->behind, memory_order_acquire);

	return atomic_load(&handle->dead) || (behind && atomic_load(&behind->dead));
}

/* Shortens slice to its first len bytes, 0 < len <= slice->len. */
static inline void netfs_slice_trim(struct netfs_slice *slice, size_t len)
{
	size_t sum = 0;
	unsigned i = 0;

	while (sum + slice->iov[i].iov_len < len)
		sum += slice->iov[i++].iov_len;
	slice->iov[i].iov_len = len - sum;
	slice->niov = i + 1;
	slice->len = len;
}

/* Does the object named by options contain name?  Its value, or NULL. */
static inline const char *netfs_config_option(const struct netfs_be_config *config,
					      const char *name)
{
	for (unsigned i = 0; i < config->noptions; i++) {
		const char *a = config->options[i].name, *b = name;

		while (*a && *a == *b)
			a++, b++;
		if (*a == *b)
			return config->options[i].value;
	}
	return NULL;
}

#endif
