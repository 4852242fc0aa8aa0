/* SPDX-License-Identifier: MIT */
/*
 * Reading and changing attributes, symbolic links, and what passes through to
 * the server as it is: space, extended attributes.
 *
 * A change of anything but the size is sent after the unsent data, because
 * writing moves times and clears set-id bits at the server.  A change of the
 * size holds the inode's lock around the server's work, so that no read or
 * write of ours meets the file half changed.
 *
 * Locks: the core's lock of the inode, for sizes.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <env/alloc.h>
#include <vfs/file.h>
#include <vfs/journal.h>
#include <vfs/vcall.h>
#include <vfs/whole.h>

static struct netfs_vcall *node_new(struct netfs_vnode *vnode, struct netfs_file *file,
				    struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(vnode->mount, call);

	if (!v)
		return NULL;
	v->vnode = netfs_vnode_get(vnode);
	v->file = file;
	if (file)
		v->handle = netfs_handle_get(file->handle);
	return v;
}

/* A first step for calls that were refused before they began. */
static void finish_first(struct netfs_vcall *v, int err)
{
	netfs_vcall_finish(v, v->first_err);
}

/* ----------------------------------------------------------- getattr */

static void refetch_answered(struct netfs_vcall *v, int err)
{
	if (!err)
		netfs_attr_answer(v->refetched, &v->ask.op.attr, &v->asked);
	netfs_vcall_return(v, err);
}

void netfs_vcall_refetch(struct netfs_vcall *v, struct netfs_vnode *vnode,
			 struct netfs_handle *handle)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_GETATTR);

	ask->node = netfs_vnode_node(vnode);
	ask->handle = handle ? netfs_handle_get(handle) : NULL;
	v->refetched = vnode;
	netfs_attr_ask(v->mount, vnode, &v->asked);
	netfs_vcall_ask(v, refetch_answered);
}

static void shown(struct netfs_vcall *v, int err)
{
	if (!err)
		netfs_vcall_show(v, v->vnode);
	netfs_vcall_finish(v, err);
}

/* Where nothing is cached the size is the server's, at some moment of the call.
 * A write of ours that crosses the question makes the answer one that does not
 * count for the inode (attr.c), but it is the right one for the caller. */
static void getattr_answered(struct netfs_vcall *v, int err)
{
	if (!err)
		netfs_vcall_show(v, v->vnode);
	if (!err && v->mount->config.unbuffered && netfs_vnode_regular(v->vnode))
		v->call->attr.size = v->ask.op.attr.size;
	netfs_vcall_finish(v, err);
}

static void getattr_start(struct netfs_vcall *v, int err)
{
	v->then = getattr_answered;
	netfs_vcall_refetch(v, v->vnode, v->handle);
}

void netfs_getattr(struct netfs_vnode *vnode, struct netfs_file *file, struct netfs_call *call)
{
	struct netfs_vcall *v;

	if (netfs_attr_fresh(vnode) && !atomic_load(&vnode->mount->aborted)) {
		netfs_count(&vnode->mount->stats, name_calls);
		netfs_count(&vnode->mount->stats, attr_hits);
		netfs_attr_show(vnode, &call->attr, &call->attr_ttl_ms);
		netfs_call_complete(call, 0);
		return;
	}
	v = node_new(vnode, file, call);
	if (v)
		netfs_vcall_start(v, getattr_start);
}

/* ----------------------------------------------------------- setattr */

static void setattr_ask(struct netfs_vcall *v, netfs_step_fn next)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_SETATTR);

	ask->node = netfs_vnode_node(v->vnode);
	ask->handle = v->handle ? netfs_handle_get(v->handle) : NULL;
	ask->set = &v->set;
	netfs_attr_ask(v->mount, v->vnode, &v->asked);
	netfs_vcall_ask(v, next);
}

static void setattr_answered(struct netfs_vcall *v, int err)
{
	if (!err)
		netfs_attr_changed(v->vnode, &v->ask.op.attr, &v->asked);
	else
		netfs_attr_expire(v->vnode);
	if (!err && (v->set.valid & (NETFS_SET_MTIME | NETFS_SET_MTIME_NOW)))
		netfs_journal_dated(v->vnode, &v->ask.op.attr.mtime);
	if (v->gated)
		netfs_vcall_ungate(v);
	shown(v, err);
}

/* Data that the server refuses does not stop a chmod. */
static void setattr_flushed(struct netfs_vcall *v, int err)
{
	if (err == -EINTR) {
		if (v->gated)
			netfs_vcall_ungate(v);
		netfs_vcall_finish(v, err);
		return;
	}
	setattr_ask(v, setattr_answered);
}

static void setattr_flush(struct netfs_vcall *v)
{
	netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, setattr_flushed);
}

/* The time that is set now is the younger one, see times.c. */
static void settime_locked(struct netfs_vcall *v, int err)
{
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	atomic_store(&v->vnode->owes_mtime, false);
	setattr_flush(v);
}

static void resize_over(struct netfs_vcall *v, int err)
{
	if (v->attached)
		netfs_inode_detach_handle(&v->vnode->inode, v->handle);
	v->attached = false;
	netfs_vcall_return(v, err);
}

static void resize_sent(struct netfs_vcall *v, int err)
{
	netfs_vcall_ungate(v);
	resize_over(v, err);
}

static void resize_answered(struct netfs_vcall *v, int err)
{
	if (!err) {
		netfs_inode_resized(&v->vnode->inode, v->set.size);
		netfs_attr_resized(v->vnode, &v->ask.op.attr, &v->asked);
	} else {
		netfs_attr_expire(v->vnode);
	}
	if (!err && v->mount->config.crypt) {
		netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, resize_sent);
		return;
	}
	resize_sent(v, err);
}

static void resize_prepared(struct netfs_vcall *v, int err)
{
	if (err)
		resize_sent(v, err);
	else
		setattr_ask(v, resize_answered);
}

/* The last block of an encrypted file depends on the size. */
static void resize_prepare(struct netfs_vcall *v)
{
	if (v->mount->config.crypt)
		netfs_vcall_prepare_resize(v, v->set.size, resize_prepared);
	else
		setattr_ask(v, resize_answered);
}

static void resize_flushed(struct netfs_vcall *v, int err)
{
	if (err == -EINTR) {
		resize_sent(v, err);
		return;
	}
	resize_prepare(v);
}

static void resize_settled(struct netfs_vcall *v, int err)
{
	if (err)
		resize_sent(v, err);
	else if (v->set.valid != NETFS_SET_SIZE)
		netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, resize_flushed);
	else
		resize_prepare(v);
}

static void resize_locked(struct netfs_vcall *v, int err)
{
	if (err)
		resize_over(v, err);
	else
		netfs_vcall_settle(v, v->vnode, resize_settled);
}

void netfs_vcall_resize(struct netfs_vcall *v)
{
	netfs_vcall_gate(v, v->vnode, resize_locked);
}

static void resize_opened(struct netfs_vcall *v, int err)
{
	if (!err) {
		v->handle = netfs_take(v->ask.op.handle);
		err = netfs_inode_attach_handle(&v->vnode->inode, v->handle);
		v->attached = !err;
	}
	if (err)
		netfs_vcall_finish(v, err);
	else
		netfs_vcall_resize(v);
}

/* A file that nobody has open: its last block may have to be read and written. */
static void resize_open(struct netfs_vcall *v)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_OPEN);

	ask->node = netfs_vnode_node(v->vnode);
	ask->flags = O_RDWR;
	netfs_vcall_ask(v, resize_opened);
}

static int setattr_check(const struct netfs_vcall *v)
{
	if (v->mount->config.read_only)
		return -EROFS;
	if (!(v->set.valid & NETFS_SET_SIZE))
		return 0;
	if (netfs_vnode_directory(v->vnode))
		return -EISDIR;
	if (!netfs_vnode_regular(v->vnode))
		return -EINVAL;
	return v->set.size > INT64_MAX ? -EFBIG : 0;
}

static void setattr_start(struct netfs_vcall *v, int err)
{
	err = setattr_check(v);
	if (err) {
		netfs_vcall_finish(v, err);
	} else if (v->set.valid & NETFS_SET_SIZE) {
		v->then = shown;
		if (v->mount->config.crypt && !v->handle && v->set.size)
			resize_open(v);
		else
			netfs_vcall_resize(v);
	} else if (v->set.valid & (NETFS_SET_MTIME | NETFS_SET_MTIME_NOW) &&
		   (atomic_load(&v->vnode->owes_mtime) || netfs_vnode_journalled(v->vnode))) {
		netfs_vcall_gate(v, v->vnode, settime_locked);
	} else {
		setattr_flush(v);
	}
}

void netfs_setattr(struct netfs_vnode *vnode, struct netfs_file *file,
		   const struct netfs_setattr *set, struct netfs_call *call)
{
	struct netfs_vcall *v;

	if (!set->valid) {
		netfs_getattr(vnode, file, call);
		return;
	}
	v = node_new(vnode, file, call);
	if (!v)
		return;
	v->set = *set;
	netfs_vcall_start(v, setattr_start);
}

/* -------------------------------------------------------- passed through */

static void counted(struct netfs_vcall *v, int err)
{
	if (!err)
		v->call->count = v->ask.op.count;
	netfs_vcall_finish(v, err);
}

static void space_told(struct netfs_vcall *v, int err)
{
	if (!err)
		v->call->statfs = v->ask.op.statfs;
	netfs_vcall_finish(v, err);
}

static void xattr_changed(struct netfs_vcall *v, int err)
{
	netfs_attr_expire(v->vnode);
	netfs_vcall_finish(v, err);
}

/* What the question is was put into v by those below. */
static void pass(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, (enum netfs_ask_kind)v->mode);

	ask->node = netfs_vnode_node(v->vnode);
	ask->name = v->name;
	ask->value = v->value;
	ask->len = v->len;
	ask->flags = v->flags;
	ask->op.buf = v->call->buf;
	ask->op.buf_size = v->call->buf_size;
	netfs_vcall_ask(v, netfs_take(v->then));
}

static struct netfs_vcall *pass_new(struct netfs_vnode *vnode, enum netfs_ask_kind kind,
				    netfs_step_fn then, struct netfs_call *call)
{
	struct netfs_vcall *v = node_new(vnode, NULL, call);

	if (!v)
		return NULL;
	v->mode = kind;
	v->then = then;
	return v;
}

/* ----------------------------------------------------- symbolic links */

/* The target is kept with the version that the link had before. */
static void link_read(struct netfs_vcall *v, int err)
{
	if (!err && v->scratch)
		netfs_whole_keep(v->vnode, v->scratch, v->call->buf, v->ask.op.count);
	counted(v, err);
}

static void link_start(struct netfs_vcall *v, int err)
{
	struct netfs_version version;

	if (netfs_whole_begin(v->vnode, &version))
		v->scratch = netfs_alloc(sizeof(version));
	if (v->scratch)
		memcpy(v->scratch, &version, sizeof(version));
	pass(v, 0);
}

/* False: the target is not known. */
static bool link_known(struct netfs_vnode *vnode, struct netfs_call *call)
{
	struct netfs_object *object;
	const void *target;
	size_t size;

	if (!netfs_attr_fresh(vnode) || atomic_load(&vnode->mount->aborted))
		return false;
	object = netfs_whole_pin(vnode, &target, &size);
	if (!object)
		return false;
	if (size <= call->buf_size)
		memcpy(call->buf, target, size);
	netfs_object_unpin(object);
	netfs_count(&vnode->mount->stats, name_calls);
	call->count = size;
	netfs_call_complete(call, size <= call->buf_size ? 0 : -ERANGE);
	return true;
}

void netfs_readlink(struct netfs_vnode *vnode, struct netfs_call *call)
{
	bool link = vnode->type == S_IFLNK;
	struct netfs_vcall *v;

	if (link && link_known(vnode, call))
		return;
	v = pass_new(vnode, NETFS_ASK_READLINK, link_read, call);
	if (!v)
		return;
	v->first_err = -EINVAL;
	netfs_vcall_start(v, link ? link_start : finish_first);
}

void netfs_statfs(struct netfs_vnode *vnode, struct netfs_call *call)
{
	struct netfs_vcall *v = pass_new(vnode, NETFS_ASK_STATFS, space_told, call);

	if (v)
		netfs_vcall_start(v, pass);
}

void netfs_getxattr(struct netfs_vnode *vnode, const char *name, struct netfs_call *call)
{
	struct netfs_vcall *v = pass_new(vnode, NETFS_ASK_GETXATTR, counted, call);

	if (!v)
		return;
	v->name = name;
	netfs_vcall_start(v, pass);
}

void netfs_listxattr(struct netfs_vnode *vnode, struct netfs_call *call)
{
	struct netfs_vcall *v = pass_new(vnode, NETFS_ASK_LISTXATTR, counted, call);

	if (v)
		netfs_vcall_start(v, pass);
}

void netfs_setxattr(struct netfs_vnode *vnode, const char *name, const void *value, size_t size,
		    uint32_t flags, struct netfs_call *call)
{
	struct netfs_vcall *v = pass_new(vnode, NETFS_ASK_SETXATTR, xattr_changed, call);

	if (!v)
		return;
	v->name = name;
	v->value = value;
	v->len = size;
	v->flags = flags;
	v->first_err = -EROFS;
	netfs_vcall_start(v, v->mount->config.read_only ? finish_first : pass);
}

void netfs_removexattr(struct netfs_vnode *vnode, const char *name, struct netfs_call *call)
{
	struct netfs_vcall *v = pass_new(vnode, NETFS_ASK_REMOVEXATTR, xattr_changed, call);

	if (!v)
		return;
	v->name = name;
	v->first_err = -EROFS;
	netfs_vcall_start(v, v->mount->config.read_only ? finish_first : pass);
}
