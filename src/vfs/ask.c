/* SPDX-License-Identifier: MIT */
/*
 * The door to the back end for everything but file data.
 *
 * Each kind of question has a row in a table: where its function stands in the
 * back end's table, and which results it owes.  A missing function answers
 * -EOPNOTSUPP here, so that nobody above looks at the table; an answer without
 * the results it owes, or with attributes no file can have, becomes -EIO.
 *
 * No lock is held in this file.  A back end may answer before its function
 * returns; whoever asks in a loop must be ready for that (vcall.c is).
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <base/assert.h>
#include <base/list.h>
#include <obs/trace.h>
#include <vfs/ask.h>
#include <vfs/mount.h>

enum owed {
	OWES_NODE = 1 << 0,
	OWES_ATTR = 1 << 1,
	OWES_HANDLE = 1 << 2,
};

struct ask_row {
	size_t function; /* offset in struct netfs_be_ops */
	unsigned owes; /* enum owed */
	const char *name;
};

#define ROW(kind, member, owes)                                                                    \
	[NETFS_ASK_##kind] = {offsetof(struct netfs_be_ops, member), owes, #member}

static const struct ask_row rows[NETFS_ASK_COUNT] = {
	ROW(LOOKUP, lookup, OWES_NODE | OWES_ATTR),
	ROW(GETATTR, getattr, OWES_ATTR),
	ROW(SETATTR, setattr, OWES_ATTR),
	ROW(READLINK, readlink, 0),
	ROW(MKNOD, mknod, OWES_NODE | OWES_ATTR),
	ROW(MKDIR, mkdir, OWES_NODE | OWES_ATTR),
	ROW(SYMLINK, symlink, OWES_NODE | OWES_ATTR),
	ROW(LINK, link, OWES_ATTR),
	ROW(UNLINK, unlink, 0),
	ROW(RMDIR, rmdir, 0),
	ROW(RENAME, rename, 0),
	ROW(CREATE, create, OWES_NODE | OWES_ATTR | OWES_HANDLE),
	ROW(OPEN, open, OWES_HANDLE),
	ROW(READDIR, readdir, 0),
	ROW(FSYNC, fsync, 0),
	ROW(FALLOCATE, fallocate, 0),
	ROW(COPY_RANGE, copy_range, 0),
	ROW(CLONE_RANGE, clone_range, 0),
	ROW(SEEK, seek, 0),
	ROW(STATFS, statfs, 0),
	ROW(GETXATTR, getxattr, 0),
	ROW(LISTXATTR, listxattr, 0),
	ROW(SETXATTR, setxattr, 0),
	ROW(REMOVEXATTR, removexattr, 0),
	ROW(LOCK, lock, 0),
	ROW(GETLOCK, getlock, 0),
};

static bool ask_supported(const struct netfs_be_ops *ops, enum netfs_ask_kind kind)
{
	void (*function)(void);

	memcpy(&function, (const char *)ops + rows[kind].function, sizeof(function));
	return function != NULL;
}

static bool time_possible(const struct netfs_time *time)
{
	return time->nsec < 1000000000;
}

/* Could these be the attributes of a file?  They come from the server. */
static bool attr_possible(const struct netfs_attr *attr)
{
	switch (attr->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return false;
	}
	return attr->size <= INT64_MAX && time_possible(&attr->atime) &&
	       time_possible(&attr->mtime) && time_possible(&attr->ctime) &&
	       time_possible(&attr->btime);
}

/* 0 where the back end set all that this kind of question owes. */
static int ask_check(struct netfs_ask *ask)
{
	unsigned owes = rows[ask->kind].owes;

	if ((owes & OWES_NODE) && !ask->op.node)
		return -EIO;
	if ((owes & OWES_HANDLE) && !ask->op.handle)
		return -EIO;
	if ((owes & OWES_ATTR || ask->op.has_attr) && !attr_possible(&ask->op.attr))
		return -EIO;
	/* The change is made all the same. */
	if (ask->op.has_dir_attr &&
	    (!attr_possible(&ask->op.dir_attr) || !S_ISDIR(ask->op.dir_attr.mode)))
		ask->op.has_dir_attr = false;
	return 0;
}

static void ask_drop_arguments(struct netfs_ask *ask)
{
	netfs_node_put(ask->node);
	netfs_node_put(ask->dir);
	netfs_node_put(ask->new_dir);
	netfs_handle_put(ask->handle);
	netfs_handle_put(ask->handle_to);
	ask->node = ask->dir = ask->new_dir = NULL;
	ask->handle = ask->handle_to = NULL;
}

static void ask_answered(struct netfs_op *op, int err)
{
	struct netfs_ask *ask = netfs_container_of(op, struct netfs_ask, op);

	netfs_assert_nothing_held();
	if (!err)
		err = ask_check(ask);
	else if (err > 0)
		err = -EIO;
	if (err) {
		netfs_node_put(op->node);
		netfs_handle_put(op->handle);
		op->node = NULL;
		op->handle = NULL;
	}
	netfs_trace(name_answer, .extra = netfs_trace_word(rows[ask->kind].name), .error = err);
	ask_drop_arguments(ask);
	ask->done(ask, err);
}

/* Questions that make, remove or move a name. */
static void ask_send_name(struct netfs_ask *ask, const struct netfs_be_ops *ops)
{
	struct netfs_op *op = &ask->op;

	switch (ask->kind) {
	case NETFS_ASK_MKNOD:
		ops->mknod(ask->dir, ask->name, ask->mode, ask->rdev_major, ask->rdev_minor, op);
		break;
	case NETFS_ASK_MKDIR:
		ops->mkdir(ask->dir, ask->name, ask->mode, op);
		break;
	case NETFS_ASK_SYMLINK:
		ops->symlink(ask->dir, ask->name, ask->new_name, op);
		break;
	case NETFS_ASK_LINK:
		ops->link(ask->node, ask->dir, ask->name, op);
		break;
	case NETFS_ASK_UNLINK:
		ops->unlink(ask->dir, ask->name, op);
		break;
	case NETFS_ASK_RMDIR:
		ops->rmdir(ask->dir, ask->name, op);
		break;
	case NETFS_ASK_RENAME:
		ops->rename(ask->node, ask->dir, ask->name, ask->new_dir, ask->new_name, ask->flags,
			    op);
		break;
	default:
		ops->create(ask->dir, ask->name, ask->flags, ask->mode, op);
		break;
	}
}

/* Questions about open files. */
static void ask_send_handle(struct netfs_ask *ask, const struct netfs_be_ops *ops)
{
	struct netfs_op *op = &ask->op;

	switch (ask->kind) {
	case NETFS_ASK_READDIR:
		ops->readdir(ask->handle, ask->start, op);
		break;
	case NETFS_ASK_FSYNC:
		ops->fsync(ask->handle, ask->flags != 0, op);
		break;
	case NETFS_ASK_FALLOCATE:
		ops->fallocate(ask->handle, ask->mode, ask->start, ask->len, op);
		break;
	case NETFS_ASK_COPY_RANGE:
		ops->copy_range(ask->handle, ask->start, ask->handle_to, ask->start_to, ask->len,
				op);
		break;
	case NETFS_ASK_CLONE_RANGE:
		ops->clone_range(ask->handle, ask->start, ask->handle_to, ask->start_to, ask->len,
				 op);
		break;
	case NETFS_ASK_SEEK:
		ops->seek(ask->handle, ask->start, (int)ask->flags, op);
		break;
	case NETFS_ASK_LOCK:
		ops->lock(ask->handle, ask->lock, op);
		break;
	default:
		ops->getlock(ask->handle, ask->lock, op);
		break;
	}
}

/* Questions about one object. */
static void ask_send_node(struct netfs_ask *ask, const struct netfs_be_ops *ops)
{
	struct netfs_op *op = &ask->op;

	switch (ask->kind) {
	case NETFS_ASK_LOOKUP:
		ops->lookup(ask->dir, ask->name, op);
		break;
	case NETFS_ASK_GETATTR:
		ops->getattr(ask->node, ask->handle, op);
		break;
	case NETFS_ASK_SETATTR:
		ops->setattr(ask->node, ask->handle, ask->set, op);
		break;
	case NETFS_ASK_READLINK:
		ops->readlink(ask->node, op);
		break;
	case NETFS_ASK_OPEN:
		ops->open(ask->node, ask->flags, op);
		break;
	case NETFS_ASK_STATFS:
		ops->statfs(ask->node, op);
		break;
	case NETFS_ASK_GETXATTR:
		ops->getxattr(ask->node, ask->name, op);
		break;
	case NETFS_ASK_LISTXATTR:
		ops->listxattr(ask->node, op);
		break;
	case NETFS_ASK_SETXATTR:
		ops->setxattr(ask->node, ask->name, ask->value, ask->len, ask->flags, op);
		break;
	default:
		ops->removexattr(ask->node, ask->name, op);
		break;
	}
}

void netfs_ask_init(struct netfs_ask *ask, struct netfs_mount *mount, enum netfs_ask_kind kind)
{
	memset(ask, 0, sizeof(*ask));
	ask->op.done = ask_answered;
	ask->mount = mount;
	ask->kind = kind;
}

void netfs_ask_send(struct netfs_ask *ask)
{
	const struct netfs_be_ops *ops = ask->mount->be->ops;

	netfs_assert_nothing_held();
	netfs_assert(ask->kind < NETFS_ASK_COUNT);
	if (!ask_supported(ops, ask->kind)) {
		ask_answered(&ask->op, -EOPNOTSUPP);
		return;
	}
	netfs_count(&ask->mount->stats, name_requests);
	netfs_trace(name_ask, .start = ask->start, .len = ask->len,
		    .extra = netfs_trace_word(rows[ask->kind].name));
	switch (ask->kind) {
	case NETFS_ASK_MKNOD ... NETFS_ASK_CREATE:
		ask_send_name(ask, ops);
		break;
	case NETFS_ASK_READDIR ... NETFS_ASK_SEEK:
	case NETFS_ASK_LOCK:
	case NETFS_ASK_GETLOCK:
		ask_send_handle(ask, ops);
		break;
	default:
		ask_send_node(ask, ops);
		break;
	}
}

void netfs_ask_cancel(struct netfs_mount *mount, struct netfs_ask *ask)
{
	struct netfs_be *be = mount->be;

	if (be->ops->op_cancel)
		be->ops->op_cancel(be, &ask->op);
}
