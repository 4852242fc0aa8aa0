/* SPDX-License-Identifier: MIT */
/*
 * What the server does to ranges of a file in one request: allocate, punch,
 * zero, copy, clone; and where data and holes are.
 *
 * The recipe: take the lock of the inode that will change, send all of its
 * unsent data (a dirty byte left behind would undo the change when it is
 * written), ask the server, forget what is known of the range, take over the
 * size, unlock.  Only the inode that changes is locked, so two copies in
 * opposite directions cannot wait for each other.
 *
 * A request that failed, or was called off, may have done a part.  Nothing
 * unsent is left of the range then, so what is cached of it is forgotten too.
 *
 * A copy sends everything of its source from where it starts: the server's
 * file must reach as far as ours, or the copy would end early.  Where the server
 * can let files share bytes a copy is a clone.
 *
 * Locks: the core's lock of the inode.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <base/checked_math.h>
#include <crypt/crypt.h>
#include <env/alloc.h>
#include <vfs/file.h>
#include <vfs/journal.h>
#include <vfs/vcall.h>

/* Forgets data of the range and tells what it is at the server now. */
static void range_changed(struct netfs_vnode *vnode, uint64_t start, uint64_t end, bool zeroes)
{
	netfs_inode_discard(&vnode->inode, start, end);
	if (zeroes)
		netfs_inode_set_zero(&vnode->inode, start, end);
	else
		netfs_inode_clear_zero(&vnode->inode, start, end);
}

static uint64_t size_of(struct netfs_vnode *vnode)
{
	struct netfs_inode_view view;

	netfs_inode_view(&vnode->inode, &view);
	return view.size;
}

static void grow_to(struct netfs_vnode *vnode, uint64_t size)
{
	if (size > size_of(vnode))
		netfs_inode_resized(&vnode->inode, size);
}

/* Did the server refuse before it looked at the file? */
static bool untouched(int err)
{
	return err == -EOPNOTSUPP || err == -EINVAL || err == -EBADF || err == -EPERM ||
	       err == -EACCES || err == -EROFS;
}

/* The end of a call that holds the lock. */
static void range_end(struct netfs_vcall *v, int err)
{
	if (err)
		netfs_attr_expire(v->vnode);
	else
		netfs_attr_resized(v->vnode, NULL, &v->asked);
	netfs_vcall_ungate(v);
	netfs_vcall_finish(v, err);
}

/* --------------------------------------------------------- fallocate */

static void fallocate_asked_size(struct netfs_vcall *v, int err)
{
	/* Not knowing it now, the next question will tell. */
	if (!err)
		netfs_inode_resized(&v->vnode->inode, v->ask.op.attr.size);
	range_end(v, v->first_err);
}

/* Everything behind start moved: only the server knows the size now. */
static void fallocate_moved(struct netfs_vcall *v)
{
	struct netfs_ask *ask;

	range_changed(v->vnode, v->start, UINT64_MAX, false);
	ask = netfs_vcall_prepare(v, NETFS_ASK_GETATTR);
	ask->node = netfs_vnode_node(v->vnode);
	ask->handle = netfs_handle_get(v->handle);
	atomic_store(&v->abort_only, true);
	netfs_vcall_ask(v, fallocate_asked_size);
}

static void fallocate_answered(struct netfs_vcall *v, int err)
{
	uint64_t end = v->start + v->len;

	if (untouched(err)) {
		range_end(v, err);
		return;
	}
	if (v->mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) {
		v->first_err = err;
		fallocate_moved(v);
		return;
	}
	if (v->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		range_changed(v->vnode, v->start, end, err == 0);
	if (!err && !(v->mode & FALLOC_FL_KEEP_SIZE))
		grow_to(v->vnode, v->start_to);
	range_end(v, err);
}

static void fallocate_prepared(struct netfs_vcall *v, int err);

/*
 * The server must not move ciphertext, which depends on its place.  It can make
 * holes of whole blocks: the others get zeroes from here, and the call goes on
 * with what lies between.
 */
static int crypt_edges(struct netfs_vcall *v)
{
	struct netfs_inode *inode = &v->vnode->inode;
	uint64_t size = size_of(v->vnode), end = v->start + v->len;
	uint64_t first = netfs_crypt_up(v->start), last = end < size ? netfs_crypt_down(end) : end;
	uint64_t head = end < first ? end : first;
	int err = 0;

	if (v->start < size)
		err = netfs_inode_write_zeroes(inode, v->start, head < size ? head : size);
	if (!err && last >= first && last < end)
		err = netfs_inode_write_zeroes(inode, last, end);
	/* What makes the file longer is asked for as it is. */
	if (last <= first && end > size && !(v->mode & FALLOC_FL_KEEP_SIZE))
		return err;
	v->start = first;
	v->len = last > first ? last - first : 0;
	return err;
}

/* Its last block, if the file grows, and what of the range is no whole block. */
static void crypt_lengthened(struct netfs_vcall *v, int err)
{
	if (!err && (v->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		err = crypt_edges(v);
	if (err)
		range_end(v, err);
	else
		netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, fallocate_prepared);
}

static void fallocate_flushed(struct netfs_vcall *v, int err)
{
	const uint32_t known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;

	v->start_to = v->start + v->len;
	if (!err && v->mount->config.crypt && (v->mode & ~known))
		err = -EOPNOTSUPP;
	if (err || !v->mount->config.crypt)
		fallocate_prepared(v, err);
	else if (!(v->mode & FALLOC_FL_KEEP_SIZE) && v->start_to > size_of(v->vnode))
		netfs_vcall_prepare_resize(v, v->start_to, crypt_lengthened);
	else
		crypt_lengthened(v, 0);
}

static void fallocate_prepared(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask;

	if (err) {
		range_end(v, err);
		return;
	}
	if (v->len == 0) {
		fallocate_answered(v, 0);
		return;
	}
	ask = netfs_vcall_prepare(v, NETFS_ASK_FALLOCATE);
	ask->handle = netfs_handle_get(v->handle);
	ask->mode = v->mode;
	ask->start = v->start;
	ask->len = v->len;
	netfs_attr_ask(v->mount, v->vnode, &v->asked);
	netfs_vcall_ask(v, fallocate_answered);
}

static void range_settled(struct netfs_vcall *v, int err)
{
	if (err) {
		netfs_vcall_ungate(v);
		netfs_vcall_finish(v, err);
		return;
	}
	netfs_attr_ask(v->mount, v->vnode, &v->asked);
	netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, netfs_take(v->then));
}

static void range_locked(struct netfs_vcall *v, int err)
{
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	netfs_vcall_settle(v, v->vnode, range_settled);
}

static int range_check(const struct netfs_file *file, uint64_t start, uint64_t len)
{
	uint64_t end;

	if (!netfs_vnode_regular(file->vnode))
		return -EINVAL;
	if (len == 0)
		return -EINVAL;
	if (!netfs_checked_add(start, len, &end) || end > INT64_MAX)
		return -EFBIG;
	return 0;
}

/* As the system call: what can be asked for at the same time. */
static int fallocate_check(uint32_t mode)
{
	const uint32_t alone = FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;
	const uint32_t zero = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;

	if (mode & ~(alone | zero | FALLOC_FL_KEEP_SIZE | FALLOC_FL_UNSHARE_RANGE))
		return -EOPNOTSUPP;
	if ((mode & zero) == zero)
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if ((mode & alone) && mode != FALLOC_FL_COLLAPSE_RANGE && mode != FALLOC_FL_INSERT_RANGE)
		return -EINVAL;
	return 0;
}

/* Before anything is prepared for what it refuses. */
static bool be_allocates(const struct netfs_be *be, uint32_t mode)
{
	const uint32_t zero = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	bool keeps = mode & FALLOC_FL_KEEP_SIZE && mode & zero;

	return be->ops->fallocate && (keeps || !(be->caps & NETFS_BE_HOLES_ONLY));
}

static void fallocate_start(struct netfs_vcall *v, int err)
{
	err = range_check(v->file, v->start, v->len);
	if (!err && !v->file->writable)
		err = -EBADF;
	if (!err)
		err = fallocate_check(v->mode);
	if (!err && !be_allocates(v->mount->be, v->mode))
		err = -EOPNOTSUPP;
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	v->then = fallocate_flushed;
	netfs_vcall_gate(v, v->vnode, range_locked);
}

static struct netfs_vcall *range_new(struct netfs_file *file, struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(file->vnode->mount, call);

	if (!v)
		return NULL;
	v->vnode = netfs_vnode_get(file->vnode);
	v->handle = netfs_handle_get(file->handle);
	v->file = file;
	return v;
}

void netfs_fallocate(struct netfs_file *file, uint32_t mode, uint64_t start, uint64_t len,
		     struct netfs_call *call)
{
	struct netfs_vcall *v = range_new(file, call);

	if (!v)
		return;
	v->mode = mode;
	v->start = start;
	v->len = len;
	netfs_vcall_start(v, fallocate_start);
}

/* --------------------------------------------------- copies and clones */

static void copy_answered(struct netfs_vcall *v, int err)
{
	uint64_t count = v->ask.op.count;

	if (!err && count > v->len)
		err = -EIO;
	if (!err && count) {
		range_changed(v->vnode, v->start_to, v->start_to + count, false);
		grow_to(v->vnode, v->start_to + count);
	} else if (err && !untouched(err)) {
		range_changed(v->vnode, v->start_to, v->start_to + v->len, false);
	}
	v->call->count = err ? 0 : count;
	range_end(v, err);
}

/* Asks about both files; v->vnode's inode is locked. */
static void copy_ask(struct netfs_vcall *v, enum netfs_ask_kind kind, netfs_step_fn answered)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, kind);

	ask->handle = netfs_handle_get(v->file_from->handle);
	ask->start = v->start;
	ask->handle_to = netfs_handle_get(v->handle);
	ask->start_to = v->start_to;
	ask->len = v->len;
	netfs_attr_ask(v->mount, v->vnode, &v->asked);
	netfs_vcall_ask(v, answered);
}

/* A clone is all or nothing, but one that was called off may have been done. */
static void clone_answered(struct netfs_vcall *v, int err)
{
	bool copying = v->mode == NETFS_ASK_COPY_RANGE;

	if (copying && (untouched(err) || err == -EXDEV)) {
		if (v->mount->be->ops->copy_range)
			copy_ask(v, NETFS_ASK_COPY_RANGE, copy_answered);
		else
			range_end(v, -EOPNOTSUPP);
		return;
	}
	if (!err || !untouched(err))
		range_changed(v->vnode, v->start_to, v->start_to + v->len, false);
	if (!err)
		grow_to(v->vnode, v->start_to + v->len);
	if (copying)
		v->call->count = err ? 0 : v->len;
	range_end(v, err);
}

/* Everything is at the server, and v->vnode's inode is locked.  A copy ends
 * where its source does; a clone must not reach beyond it. */
static void copy_flushed(struct netfs_vcall *v, int err)
{
	uint64_t size = size_of(v->target), most = v->start < size ? size - v->start : 0;

	if (!err && v->mode == NETFS_ASK_CLONE_RANGE) {
		if (v->len == 0)
			v->len = most;
		if (v->len > most)
			err = -EINVAL;
		else if (v->len > INT64_MAX - v->start_to)
			err = -EFBIG;
	}
	if (err || (v->mode == NETFS_ASK_CLONE_RANGE && v->len == 0)) {
		range_end(v, err);
		return;
	}
	if (v->mount->be->ops->clone_range && most) {
		v->len = v->len < most ? v->len : most;
		copy_ask(v, NETFS_ASK_CLONE_RANGE, clone_answered);
	} else if (most == 0 && !v->mount->be->ops->copy_range) {
		range_end(v, 0);
	} else {
		copy_ask(v, NETFS_ASK_COPY_RANGE, copy_answered);
	}
}

static void copy_source_flushed(struct netfs_vcall *v, int err)
{
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	v->then = copy_flushed;
	netfs_vcall_gate(v, v->vnode, range_locked);
}

static bool overlap(const struct netfs_vcall *v)
{
	uint64_t len = v->len ? v->len : UINT64_MAX / 2;

	return v->file_from->vnode == v->file->vnode && v->start < v->start_to + len &&
	       v->start_to < v->start + len;
}

static int copy_check(const struct netfs_vcall *v)
{
	const struct netfs_file *from = v->file_from, *to = v->file;
	const struct netfs_be_ops *ops = v->mount->be->ops;
	/* Of a clone without a length the end is not known yet. */
	int err = range_check(from, v->start, v->len ? v->len : 1);

	if (!err)
		err = range_check(to, v->start_to, v->len ? v->len : 1);
	if (err)
		return err;
	if (from->vnode->mount != v->mount)
		return -EXDEV;
	if (!from->readable || !to->writable || (to->opener.flags & NETFS_OPENER_APPEND))
		return -EBADF;
	if (overlap(v))
		return -EINVAL;
	/* The key of a block depends on its file and its place there. */
	if (v->mount->config.crypt)
		return -EOPNOTSUPP;
	if (!ops->clone_range && (v->mode == NETFS_ASK_CLONE_RANGE || !ops->copy_range))
		return -EOPNOTSUPP;
	/* The server may not let these handles do what their users may. */
	return from->handle->readable && to->handle->writable ? 0 : -EOPNOTSUPP;
}

static void copy_start(struct netfs_vcall *v, int err)
{
	if (v->len == 0 && v->mode == NETFS_ASK_COPY_RANGE) {
		netfs_vcall_finish(v, 0);
		return;
	}
	err = copy_check(v);
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	netfs_vcall_flush(v, v->target, v->start, UINT64_MAX, copy_source_flushed);
}

/* mode is what was asked for: NETFS_ASK_COPY_RANGE or NETFS_ASK_CLONE_RANGE. */
static struct netfs_vcall *copy_new(struct netfs_file *from, struct netfs_file *to,
				    struct netfs_call *call, enum netfs_ask_kind mode)
{
	struct netfs_vcall *v = range_new(to, call);

	if (!v)
		return NULL;
	v->file_from = from;
	v->target = netfs_vnode_get(from->vnode);
	v->mode = mode;
	return v;
}

void netfs_copy_range(struct netfs_file *from, uint64_t from_start, struct netfs_file *to,
		      uint64_t to_start, uint64_t len, struct netfs_call *call)
{
	struct netfs_vcall *v = copy_new(from, to, call, NETFS_ASK_COPY_RANGE);

	if (!v)
		return;
	v->start = from_start;
	v->start_to = to_start;
	v->len = len;
	netfs_vcall_start(v, copy_start);
}

void netfs_clone_range(struct netfs_file *from, uint64_t from_start, struct netfs_file *to,
		       uint64_t to_start, uint64_t len, struct netfs_call *call)
{
	struct netfs_vcall *v = copy_new(from, to, call, NETFS_ASK_CLONE_RANGE);

	if (!v)
		return;
	v->start = from_start;
	v->start_to = to_start;
	v->len = len;
	netfs_vcall_start(v, copy_start);
}

/* -------------------------------------------------------------- seek */

/* A server that cannot tell: all of the file is data. */
static int seek_alone(struct netfs_vcall *v)
{
	uint64_t size = size_of(v->vnode);

	if (v->start >= size)
		return -ENXIO;
	v->call->offset = v->flags == SEEK_DATA ? v->start : size;
	return 0;
}

static void seek_answered(struct netfs_vcall *v, int err)
{
	if (err == -EOPNOTSUPP)
		err = seek_alone(v);
	else if (!err)
		v->call->offset = v->ask.op.offset;
	netfs_vcall_finish(v, err);
}

static void seek_flushed(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask;

	/* What is not at the server is data only here. */
	if (err == -EINTR) {
		netfs_vcall_finish(v, err);
		return;
	}
	if (err) {
		netfs_vcall_finish(v, seek_alone(v));
		return;
	}
	ask = netfs_vcall_prepare(v, NETFS_ASK_SEEK);
	ask->handle = netfs_handle_get(v->handle);
	ask->start = v->start;
	ask->flags = v->flags;
	netfs_vcall_ask(v, seek_answered);
}

static void seek_start(struct netfs_vcall *v, int err)
{
	if (!netfs_vnode_regular(v->vnode) || (v->flags != SEEK_DATA && v->flags != SEEK_HOLE))
		netfs_vcall_finish(v, -EINVAL);
	else if (v->start > INT64_MAX)
		netfs_vcall_finish(v, -ENXIO);
	else
		netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, seek_flushed);
}

void netfs_seek(struct netfs_file *file, uint64_t start, int whence, struct netfs_call *call)
{
	struct netfs_vcall *v = range_new(file, call);

	if (!v)
		return;
	v->start = start;
	v->flags = (uint32_t)whence;
	netfs_vcall_start(v, seek_start);
}
