/* SPDX-License-Identifier: MIT */
/*
 * Open files: making and opening them, what a close does, durability, space.
 *
 * fi->fh is a handle of ours.  All handles are in a list of the session,
 * because a connection that ends by an abort ends without the releases.
 *
 * With the kernel's write-back cache the kernel reads around a partial page
 * through handles that were opened for writing only: such opens become O_RDWR.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <stdlib.h>
#include "pass_abi.h"
#include "session.h"

struct netfs_fuse_handle *netfs_fuse_handle_new(struct netfs_fuse_session *session)
{
	struct netfs_fuse_handle *handle = malloc(sizeof(*handle));

	if (!handle)
		return NULL;
	handle->file = NULL;
	handle->passed = NULL;
	pthread_mutex_lock(&session->lock);
	netfs_list_push_back(&session->handles, &handle->link);
	pthread_mutex_unlock(&session->lock);
	return handle;
}

void netfs_fuse_handle_free(struct netfs_fuse_session *session, struct netfs_fuse_handle *handle)
{
	pthread_mutex_lock(&session->lock);
	netfs_list_remove(&handle->link);
	pthread_mutex_unlock(&session->lock);
	netfs_fuse_passthrough_close(session, handle);
	if (handle->file)
		netfs_release(handle->file);
	free(handle);
}

/* Which writes append is said with each of them; see op_data.c. */
static uint32_t open_flags(const struct netfs_fuse_session *session, int flags)
{
	flags &= ~O_APPEND;
	if (session->config->kernel_writeback && (flags & O_ACCMODE) == O_WRONLY)
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	return (uint32_t)flags;
}

/* Prepares fi and the handle for the answer to an open. */
static bool open_prepare(struct netfs_fuse_request *r, const struct fuse_file_info *fi)
{
	r->fi = *fi;
	r->handle = netfs_fuse_handle_new(r->session);
	if (!r->handle) {
		netfs_fuse_request_fail(r, -ENOMEM);
		return false;
	}
	r->fi.fh = (uintptr_t)r->handle;
	return true;
}

/* libfuse does not know this answer. */
static int reply_backed(struct netfs_fuse_request *r, int backing_id)
{
	struct netfs_pass_open open = {
		.handle = r->fi.fh,
		.flags = NETFS_PASS_OPEN_BACKED,
		.backing_id = backing_id,
	};

	if (r->fi.flags & O_DIRECT)
		open.flags |= NETFS_PASS_OPEN_DIRECT;
	return fuse_reply_buf(r->req, (const char *)&open, sizeof(open));
}

static void reply_open(struct netfs_fuse_request *r, int err)
{
	struct netfs_fuse_session *session = r->session;
	struct netfs_fuse_handle *handle = r->handle;
	int id = err;

	if (!err) {
		handle->file = r->call.file;
		r->fi.keep_cache = r->call.keep_pages;
		id = netfs_fuse_passthrough_open(session, handle, (r->fi.flags & O_DIRECT) != 0);
	}
	if (id < 0) {
		netfs_fuse_handle_free(session, handle);
		fuse_reply_err(r->req, -id);
		return;
	}
	if ((id ? reply_backed(r, id) : fuse_reply_open(r->req, &r->fi)) != 0)
		netfs_fuse_handle_free(session, handle);
}

static void op_open(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	struct netfs_vnode *vnode;
	struct netfs_fuse_request *r = netfs_fuse_node_begin(req, nodeid, reply_open, &vnode);

	if (!r || !open_prepare(r, fi))
		return;
	netfs_open(vnode, open_flags(r->session, fi->flags), &r->call);
	netfs_fuse_request_started(r);
}

static void reply_create(struct netfs_fuse_request *r, int err)
{
	struct netfs_fuse_session *session = r->session;
	struct netfs_fuse_handle *handle = r->handle;
	struct fuse_entry_param entry = {0};

	if (err == 0) {
		handle->file = r->call.file;
		r->fi.keep_cache = r->call.keep_pages;
		err = netfs_fuse_entry_fill(session, &r->call, &entry);
	}
	if (err < 0) {
		netfs_fuse_handle_free(session, handle);
		fuse_reply_err(r->req, -err);
		return;
	}
	netfs_fuse_node_created(&session->nodes, entry.ino);
	if (fuse_reply_create(r->req, &entry, &r->fi) != 0) {
		netfs_fuse_handle_free(session, handle);
		netfs_fuse_node_forget(&session->nodes, entry.ino, 1);
	}
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct netfs_vnode *dir;
	struct netfs_fuse_request *r = netfs_fuse_node_begin(req, parent, reply_create, &dir);

	if (!r || !netfs_fuse_request_name(r, 0, name) || !open_prepare(r, fi))
		return;
	netfs_create(dir, r->name[0], open_flags(r->session, fi->flags), mode, &r->call);
	netfs_fuse_request_started(r);
}

static void op_flush(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	struct netfs_fuse_request *r = netfs_fuse_call_begin(req, netfs_fuse_reply_result);

	if (!r)
		return;
	netfs_flush(netfs_fuse_file(fi), fi->lock_owner, &r->call);
	netfs_fuse_request_started(r);
}

static void op_release(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	netfs_fuse_handle_free(netfs_fuse_session_of(req),
			       (struct netfs_fuse_handle *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t nodeid, int datasync, struct fuse_file_info *fi)
{
	struct netfs_fuse_request *r = netfs_fuse_call_begin(req, netfs_fuse_reply_result);

	if (!r)
		return;
	netfs_fsync(netfs_fuse_file(fi), datasync != 0, &r->call);
	netfs_fuse_request_started(r);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t nodeid, int mode, off_t start, off_t len,
			 struct fuse_file_info *fi)
{
	struct netfs_fuse_request *r = netfs_fuse_call_begin(req, netfs_fuse_reply_result);

	if (!r)
		return;
	netfs_fallocate(netfs_fuse_file(fi), (uint32_t)mode, (uint64_t)start, (uint64_t)len,
			&r->call);
	netfs_fuse_request_started(r);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t from_id, off_t from_start,
			       struct fuse_file_info *from, fuse_ino_t to_id, off_t to_start,
			       struct fuse_file_info *to, size_t len, int flags)
{
	struct netfs_fuse_request *r = netfs_fuse_call_begin(req, netfs_fuse_reply_count);

	if (!r)
		return;
	netfs_copy_range(netfs_fuse_file(from), (uint64_t)from_start, netfs_fuse_file(to),
			 (uint64_t)to_start, len, &r->call);
	netfs_fuse_request_started(r);
}

static void reply_seek(struct netfs_fuse_request *r, int err)
{
	if (err < 0)
		fuse_reply_err(r->req, -err);
	else
		fuse_reply_lseek(r->req, (off_t)r->call.offset);
}

static void op_lseek(fuse_req_t req, fuse_ino_t nodeid, off_t start, int whence,
		     struct fuse_file_info *fi)
{
	struct netfs_fuse_request *r = netfs_fuse_call_begin(req, reply_seek);

	if (!r)
		return;
	if (whence != SEEK_DATA && whence != SEEK_HOLE) {
		netfs_fuse_request_fail(r, -EINVAL);
		return;
	}
	netfs_seek(netfs_fuse_file(fi), (uint64_t)start, whence, &r->call);
	netfs_fuse_request_started(r);
}

/* No file of a share has controls of its own. */
static void op_ioctl(fuse_req_t req, fuse_ino_t nodeid, unsigned int cmd, void *arg,
		     struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
		     size_t out_size)
{
	fuse_reply_err(req, ENOTTY);
}

/* A regular file is always ready. */
static void op_poll(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi,
		    struct fuse_pollhandle *ph)
{
	if (ph)
		fuse_pollhandle_destroy(ph);
	fuse_reply_poll(req, fi->poll_events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM));
}

void netfs_fuse_file_ops(struct fuse_lowlevel_ops *ops)
{
	ops->open = op_open;
	ops->create = op_create;
	ops->flush = op_flush;
	ops->release = op_release;
	ops->fsync = op_fsync;
	ops->fallocate = op_fallocate;
	ops->copy_file_range = op_copy_file_range;
	ops->lseek = op_lseek;
	ops->ioctl = op_ioctl;
	ops->poll = op_poll;
}
