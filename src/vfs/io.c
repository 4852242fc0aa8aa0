/* SPDX-License-Identifier: MIT */
/*
 * File data: from an open file straight to the core.  This is the hot path: no
 * allocation, no lock, one look at the access mode.
 */
#include <errno.h>
#include <string.h>
#include <base/assert.h>
#include <env/lock.h>
#include <vfs/file.h>

void netfs_read(struct netfs_file *file, struct netfs_io *io)
{
	struct netfs_vnode *vnode = file->vnode;

	if (!netfs_vnode_regular(vnode)) {
		io->done(io, -EISDIR);
		return;
	}
	if (!file->readable) {
		io->done(io, -EBADF);
		return;
	}
	netfs_core_read(&vnode->inode, &file->opener, io);
}

void netfs_write(struct netfs_file *file, struct netfs_io *io)
{
	struct netfs_vnode *vnode = file->vnode;

	if (!netfs_vnode_regular(vnode)) {
		io->done(io, -EISDIR);
		return;
	}
	if (!file->writable) {
		io->done(io, -EBADF);
		return;
	}
	netfs_core_write(&vnode->inode, &file->opener, io);
}

int netfs_advise(struct netfs_file *file, uint64_t start, uint64_t len, enum netfs_advice advice)
{
	struct netfs_vnode *vnode = file->vnode;

	if (!netfs_vnode_regular(vnode))
		return -EISDIR;
	return netfs_core_advise(&vnode->inode, &file->opener, start, len, advice);
}

void netfs_io_end(struct netfs_io *io)
{
	netfs_core_io_end(io);
}

void netfs_io_cancel(struct netfs_file *file, struct netfs_io *io)
{
	if (netfs_vnode_regular(file->vnode))
		netfs_core_io_cancel(&file->vnode->inode, io);
}

/* ---------------------------------------------------- blocking forms */

struct waiter {
	struct netfs_event event;
	ssize_t result;
};

static void waiter_done(struct netfs_io *io, ssize_t result)
{
	struct waiter *waiter = io->user;

	waiter->result = result;
	netfs_event_set(&waiter->event);
}

static ssize_t wait_for(struct netfs_file *file, struct netfs_io *io,
			void (*start)(struct netfs_file *file, struct netfs_io *io))
{
	struct waiter waiter;

	netfs_event_init(&waiter.event);
	io->done = waiter_done;
	io->user = &waiter;
	start(file, io);
	netfs_event_wait(&waiter.event);
	netfs_event_done(&waiter.event);
	return waiter.result;
}

ssize_t netfs_pread(struct netfs_file *file, void *buf, size_t len, uint64_t start, unsigned flags)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	struct netfs_io io = {.iov = &iov, .niov = 1, .start = start, .len = len};

	/* Borrowed memory could not be handed on from here. */
	io.flags = flags & ~NETFS_IO_BORROW;
	return wait_for(file, &io, netfs_read);
}

ssize_t netfs_pwrite(struct netfs_file *file, const void *buf, size_t len, uint64_t start,
		     unsigned flags)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
	struct netfs_io io = {.iov = &iov, .niov = 1, .start = start, .len = len};

	io.flags = flags & ~NETFS_IO_BORROW;
	return wait_for(file, &io, netfs_write);
}
