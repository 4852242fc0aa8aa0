/* SPDX-License-Identifier: MIT */
/*
 * File data.
 *
 * A read borrows the library's own memory and hands it to the kernel with the
 * answer: the only copy is the kernel's.  Reads past the cache have no such
 * memory and go through a buffer of the session.
 *
 * A write is taken straight out of the received message.  Where the library
 * does not take it at once, the thread's buffer goes with the request and the
 * thread gets another.
 *
 * Appending.  The kernel sends the position it believes in.  Another client
 * may have made the file longer, so a write through a descriptor with O_APPEND
 * is told to be one and the library uses its own end.  Not so pages that the
 * kernel writes back from a mapping: these have their place.  And not O_DIRECT,
 * where the kernel cuts a large write into pieces that arrive in any order: the
 * positions are the only thing that keeps them apart.  Where the library
 * appended somewhere else than the kernel believed, the kernel's pages are
 * declared stale.
 */
#include <errno.h>
#include <fcntl.h>
#include "session.h"

/* The pieces that hold exactly n bytes. */
static int pieces(struct iovec *iov, unsigned niov, size_t n)
{
	unsigned i;

	for (i = 0; i < niov && n > 0; i++) {
		if (iov[i].iov_len > n)
			iov[i].iov_len = n;
		n -= iov[i].iov_len;
	}
	return (int)i;
}

static void reply_borrowed(struct netfs_fuse_request *r, int err)
{
	if (err < 0) {
		fuse_reply_err(r->req, -err);
		return;
	}
	if (r->result == 0) {
		fuse_reply_buf(r->req, NULL, 0);
		return;
	}
	fuse_reply_iov(r->req, r->io.iov, pieces(r->io.iov, r->io.niov, (size_t)r->result));
	netfs_io_end(&r->io);
}

static void reply_read(struct netfs_fuse_request *r, int err)
{
	if (err < 0)
		fuse_reply_err(r->req, -err);
	else
		fuse_reply_buf(r->req, r->buffer->data, (size_t)r->result);
}

static void read_direct(fuse_req_t req, struct netfs_file *file, size_t size, off_t start)
{
	struct netfs_fuse_request *r = netfs_fuse_io_begin(req, file, reply_read);

	if (!r)
		return;
	r->buffer = netfs_fuse_buffer_get(r->session);
	if (!r->buffer) {
		netfs_fuse_request_fail(r, -ENOMEM);
		return;
	}
	r->iov[0].iov_base = r->buffer->data;
	r->iov[0].iov_len = size;
	r->io.niov = 1;
	r->io.flags = NETFS_IO_DIRECT;
	r->io.start = (uint64_t)start;
	r->io.len = size;
	netfs_read(file, &r->io);
	netfs_fuse_request_started(r);
}

static void op_read(fuse_req_t req, fuse_ino_t nodeid, size_t size, off_t start,
		    struct fuse_file_info *fi)
{
	struct netfs_file *file = netfs_fuse_file(fi);
	struct netfs_fuse_request *r;

	if (size > NETFS_FUSE_DATA_MAX) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	if (fi->flags & O_DIRECT) {
		read_direct(req, file, size, start);
		return;
	}
	r = netfs_fuse_io_begin(req, file, reply_borrowed);
	if (!r)
		return;
	r->io.niov = NETFS_FUSE_IOV_MAX;
	r->io.flags = NETFS_IO_BORROW;
	r->io.start = (uint64_t)start;
	r->io.len = size;
	netfs_read(file, &r->io);
	netfs_fuse_request_started(r);
}

static void reply_write(struct netfs_fuse_request *r, int err)
{
	if (err < 0) {
		fuse_reply_err(r->req, -err);
		return;
	}
	if ((r->io.flags & NETFS_IO_APPEND) && r->io.start != r->start)
		netfs_fuse_node_stale(&r->session->nodes,
				      netfs_vnode_ino(netfs_file_vnode(r->file)), 0, UINT64_MAX);
	fuse_reply_write(r->req, (size_t)r->result);
}

static unsigned write_flags(const struct fuse_file_info *fi)
{
	if (fi->writepage)
		return 0;
	if (fi->flags & O_DIRECT)
		return NETFS_IO_DIRECT;
	return fi->flags & O_APPEND ? NETFS_IO_APPEND : 0;
}

static void op_write(fuse_req_t req, fuse_ino_t nodeid, const char *data, size_t size, off_t start,
		     struct fuse_file_info *fi)
{
	struct netfs_file *file = netfs_fuse_file(fi);
	struct netfs_fuse_request *r = netfs_fuse_io_begin(req, file, reply_write);

	if (!r)
		return;
	r->iov[0].iov_base = (char *)(uintptr_t)data;
	r->iov[0].iov_len = size;
	r->io.niov = 1;
	r->io.flags = write_flags(fi);
	r->io.start = r->start = (uint64_t)start;
	r->io.len = size;
	if (r->session->config->kernel_writeback)
		r->io.flags &= ~(unsigned)NETFS_IO_APPEND;
	netfs_write(file, &r->io);
	netfs_fuse_request_started_with_message(r);
}

void netfs_fuse_data_ops(struct fuse_lowlevel_ops *ops)
{
	ops->read = op_read;
	ops->write = op_write;
}
