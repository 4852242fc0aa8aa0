/* SPDX-License-Identifier: MIT */
/*
 * The table of the back end: each function makes a call of its arguments (call.c).
 * Which of the optional functions there are is up to the one behind.
 *
 * Locks: none.
 */
#include <string.h>
#include <offline/call.h>

#define CALL(from, kind, op) offline_call_new((from)->be, kind, op)

static void do_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	struct offline_call *call = CALL(dir, CALL_LOOKUP, op);

	if (!call)
		return;
	call->dir = offline_node_of(dir);
	call->name = name;
	offline_call_start(call);
}

static void do_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_GETATTR, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	call->handle = handle ? offline_handle_of(handle) : NULL;
	offline_call_start(call);
}

static void do_setattr(struct netfs_node *node, struct netfs_handle *handle,
		       const struct netfs_setattr *set, struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_SETATTR, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	call->handle = handle ? offline_handle_of(handle) : NULL;
	call->set = set;
	offline_call_start(call);
}

static void do_readlink(struct netfs_node *node, struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_READLINK, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	offline_call_start(call);
}

static void do_mknod(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t rdev_major,
		     uint32_t rdev_minor, struct netfs_op *op)
{
	struct offline_call *call = CALL(dir, CALL_MKNOD, op);

	if (!call)
		return;
	call->dir = offline_node_of(dir);
	call->name = name;
	call->mode = mode;
	call->rdev_major = rdev_major;
	call->rdev_minor = rdev_minor;
	offline_call_start(call);
}

static void do_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op)
{
	struct offline_call *call = CALL(dir, CALL_MKDIR, op);

	if (!call)
		return;
	call->dir = offline_node_of(dir);
	call->name = name;
	call->mode = mode;
	offline_call_start(call);
}

static void do_symlink(struct netfs_node *dir, const char *name, const char *target,
		       struct netfs_op *op)
{
	struct offline_call *call = CALL(dir, CALL_SYMLINK, op);

	if (!call)
		return;
	call->dir = offline_node_of(dir);
	call->name = name;
	call->new_name = target;
	offline_call_start(call);
}

static void do_link(struct netfs_node *node, struct netfs_node *dir, const char *name,
		    struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_LINK, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	call->dir = offline_node_of(dir);
	call->name = name;
	offline_call_start(call);
}

static void remove_name(struct netfs_node *dir, const char *name, enum call_kind kind,
			struct netfs_op *op)
{
	struct offline_call *call = CALL(dir, kind, op);

	if (!call)
		return;
	call->dir = offline_node_of(dir);
	call->name = name;
	offline_call_start(call);
}

static void do_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	remove_name(dir, name, CALL_UNLINK, op);
}

static void do_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	remove_name(dir, name, CALL_RMDIR, op);
}

static void do_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
		      struct netfs_node *new_dir, const char *new_name, uint32_t flags,
		      struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_RENAME, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	call->dir = offline_node_of(old_dir);
	call->name = old_name;
	call->new_dir = offline_node_of(new_dir);
	call->new_name = new_name;
	call->flags = flags;
	offline_call_start(call);
}

static void do_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
		      struct netfs_op *op)
{
	struct offline_call *call = CALL(dir, CALL_CREATE, op);

	if (!call)
		return;
	call->dir = offline_node_of(dir);
	call->name = name;
	call->flags = flags;
	call->mode = mode;
	offline_call_start(call);
}

static void do_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_OPEN, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	call->flags = flags;
	offline_call_start(call);
}

static struct offline_call *handle_call(struct netfs_handle *handle, enum call_kind kind,
					struct netfs_op *op)
{
	struct offline_call *call = CALL(handle, kind, op);

	if (call)
		call->handle = offline_handle_of(handle);
	return call;
}

static void do_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op)
{
	struct offline_call *call = handle_call(handle, CALL_READDIR, op);

	if (!call)
		return;
	call->start = cookie;
	offline_call_start(call);
}

static void do_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	struct offline_call *call = handle_call(handle, CALL_FSYNC, op);

	if (!call)
		return;
	call->flags = datasync;
	offline_call_start(call);
}

static void do_fallocate(struct netfs_handle *handle, uint32_t mode, uint64_t from, uint64_t len,
			 struct netfs_op *op)
{
	struct offline_call *call = handle_call(handle, CALL_FALLOCATE, op);

	if (!call)
		return;
	call->mode = mode;
	call->start = from;
	call->len = len;
	offline_call_start(call);
}

static void two_ranges(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
		       uint64_t to_start, uint64_t len, enum call_kind kind, struct netfs_op *op)
{
	struct offline_call *call = handle_call(from, kind, op);

	if (!call)
		return;
	call->handle_to = offline_handle_of(to);
	call->start = from_start;
	call->start_to = to_start;
	call->len = len;
	offline_call_start(call);
}

static void do_copy_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			  uint64_t to_start, uint64_t len, struct netfs_op *op)
{
	two_ranges(from, from_start, to, to_start, len, CALL_COPY_RANGE, op);
}

static void do_clone_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			   uint64_t to_start, uint64_t len, struct netfs_op *op)
{
	two_ranges(from, from_start, to, to_start, len, CALL_CLONE_RANGE, op);
}

static void do_seek(struct netfs_handle *handle, uint64_t from, int whence, struct netfs_op *op)
{
	struct offline_call *call = handle_call(handle, CALL_SEEK, op);

	if (!call)
		return;
	call->start = from;
	call->flags = (uint32_t)whence;
	offline_call_start(call);
}

static void do_statfs(struct netfs_node *node, struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_STATFS, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	offline_call_start(call);
}

static void do_getxattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_GETXATTR, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	call->name = name;
	offline_call_start(call);
}

static void do_listxattr(struct netfs_node *node, struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_LISTXATTR, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	offline_call_start(call);
}

static void do_setxattr(struct netfs_node *node, const char *name, const void *value, size_t size,
			uint32_t flags, struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_SETXATTR, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	call->name = name;
	call->value = value;
	call->len = size;
	call->flags = flags;
	offline_call_start(call);
}

static void do_removexattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	struct offline_call *call = CALL(node, CALL_REMOVEXATTR, op);

	if (!call)
		return;
	call->node = offline_node_of(node);
	call->name = name;
	offline_call_start(call);
}

static void about_lock(struct netfs_handle *handle, const struct netfs_lock *lock,
		       enum call_kind kind, struct netfs_op *op)
{
	struct offline_call *call = handle_call(handle, kind, op);

	if (!call)
		return;
	call->lock = *lock;
	offline_call_start(call);
}

static void do_lock(struct netfs_handle *handle, const struct netfs_lock *lock, struct netfs_op *op)
{
	about_lock(handle, lock, CALL_LOCK, op);
}

static void do_getlock(struct netfs_handle *handle, const struct netfs_lock *lock,
		       struct netfs_op *op)
{
	about_lock(handle, lock, CALL_GETLOCK, op);
}

/* Nothing is owed, so a directory without an address is not watched. */
static void do_watch(struct netfs_node *dir, uint64_t ino, uint64_t gen)
{
	struct offline *offline = offline_of(dir->be);
	struct netfs_node *behind = offline_inner_node(offline_node_of(dir));

	if (behind && !offline_away(offline))
		offline->inner_ops->watch(behind, ino, gen);
}

/* Those that a back end need not have, by their bit in a word. */
static const size_t optional[] = {
	offsetof(struct netfs_be_ops, path),	   offsetof(struct netfs_be_ops, fallocate),
	offsetof(struct netfs_be_ops, copy_range), offsetof(struct netfs_be_ops, clone_range),
	offsetof(struct netfs_be_ops, seek),	   offsetof(struct netfs_be_ops, statfs),
	offsetof(struct netfs_be_ops, getxattr),   offsetof(struct netfs_be_ops, listxattr),
	offsetof(struct netfs_be_ops, setxattr),   offsetof(struct netfs_be_ops, removexattr),
	offsetof(struct netfs_be_ops, lock),	   offsetof(struct netfs_be_ops, getlock),
	offsetof(struct netfs_be_ops, watch),
};

#define OPTIONAL (sizeof(optional) / sizeof(optional[0]))

static const struct netfs_be_ops table = {
	.disconnect = offline_disconnect,
	.node_free = offline_node_free,
	.handle_free = offline_handle_free,
	.op_cancel = offline_op_cancel,
	.slice_cancel = offline_slice_cancel,
	.lookup = do_lookup,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.readlink = do_readlink,
	.mknod = do_mknod,
	.mkdir = do_mkdir,
	.symlink = do_symlink,
	.link = do_link,
	.unlink = do_unlink,
	.rmdir = do_rmdir,
	.rename = do_rename,
	.create = do_create,
	.open = do_open,
	.readdir = do_readdir,
	.read = offline_read,
	.write = offline_write,
	.fsync = do_fsync,
	.path = offline_path,
	.fallocate = do_fallocate,
	.copy_range = do_copy_range,
	.clone_range = do_clone_range,
	.seek = do_seek,
	.statfs = do_statfs,
	.getxattr = do_getxattr,
	.listxattr = do_listxattr,
	.setxattr = do_setxattr,
	.removexattr = do_removexattr,
	.lock = do_lock,
	.getlock = do_getlock,
	.watch = do_watch,
};

void offline_ops_fill(struct netfs_be_ops *ops, const struct netfs_be_ops *inner)
{
	*ops = table;
	ops->scheme = inner->scheme;
	ops->summary = inner->summary;
	ops->options = inner->options;
	offline_ops_limit(ops, offline_ops_word(inner));
}

uint64_t offline_ops_word(const struct netfs_be_ops *ops)
{
	uint64_t word = 0;

	for (unsigned i = 0; i < OPTIONAL; i++) {
		void (*function)(void);

		memcpy(&function, (const char *)ops + optional[i], sizeof(function));
		word |= (uint64_t)(function != NULL) << i;
	}
	return word;
}

void offline_ops_limit(struct netfs_be_ops *ops, uint64_t word)
{
	void (*const none)(void) = NULL;

	for (unsigned i = 0; i < OPTIONAL; i++) {
		if (!(word >> i & 1))
			memcpy((char *)ops + optional[i], &none, sizeof(none));
	}
}
