/* SPDX-License-Identifier: MIT */
/*
 * File data: from an open file straight to the core.  This is the hot path: no
 * allocation, no lock, one look at the access mode.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <base/assert.h>
#include <env/lock.h>
#include <vfs/file.h>
#include <vfs/journal.h>

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
	netfs_times_wrote(vnode);
	if (vnode->inode.journal)
		netfs_journal_wrote(vnode);
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

/* A hit is done before the call that began it returns; only who really has to
 * wait pays for an event. */
enum waiter_state {
	WAITER_STARTING,
	WAITER_WAITING, /* event is ready to be set */
	WAITER_DONE,
};

struct waiter {
	_Atomic int state; /* enum waiter_state */
	ssize_t result;
	struct netfs_event event;
};

/* acq_rel, as in wait_for(): each side sees what the other wrote before.  A
 * waiter that was not waiting yet may be gone after the exchange. */
static void waiter_done(struct netfs_io *io, ssize_t result)
{
	struct waiter *waiter = io->user;

	waiter->result = result;
	if (atomic_exchange_explicit(&waiter->state, WAITER_DONE, memory_order_acq_rel) ==
	    WAITER_WAITING)
		netfs_event_set(&waiter->event);
}

static ssize_t wait_for(struct netfs_file *file, struct netfs_io *io,
			void (*start)(struct netfs_file *file, struct netfs_io *io))
{
	struct waiter waiter;

	int starting = WAITER_STARTING;

	atomic_init(&waiter.state, WAITER_STARTING);
	io->done = waiter_done;
	io->user = &waiter;
	start(file, io);
	if (atomic_load_explicit(&waiter.state, memory_order_acquire) == WAITER_DONE)
		return waiter.result;
	netfs_event_init(&waiter.event);
	if (atomic_compare_exchange_strong_explicit(&waiter.state, &starting, WAITER_WAITING,
						    memory_order_acq_rel, memory_order_acquire))
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
