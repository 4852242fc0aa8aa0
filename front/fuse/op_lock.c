/* SPDX-License-Identifier: MIT */
/*
 * Byte-range locks of fcntl(2) and whole-file locks of flock(2).
 *
 * What others changed under their locks is stale here: the answer waits until the
 * notices before it were sent.
 *
 * A lock that has to wait is a pending request like any other, except that any
 * signal ends it, as the manuals of both calls promise.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include "session.h"

/* [start, end) of a struct flock, whose length 0 means "to the end". */
static void range_fill(struct netfs_lock *lock, const struct flock *from)
{
	lock->start = (uint64_t)from->l_start;
	lock->end = from->l_len ? lock->start + (uint64_t)from->l_len : UINT64_MAX;
}

static void lock_fill(struct netfs_lock *lock, const struct flock *from, uint64_t owner)
{
	*lock = (struct netfs_lock){.owner = owner, .pid = from->l_pid};
	range_fill(lock, from);
	if (from->l_type == F_RDLCK)
		lock->type = NETFS_LOCK_READ;
	else if (from->l_type == F_WRLCK)
		lock->type = NETFS_LOCK_WRITE;
	else
		lock->type = NETFS_LOCK_UNLOCK;
}

static void flock_fill(struct flock *to, const struct netfs_lock *lock)
{
	*to = (struct flock){.l_whence = SEEK_SET, .l_start = (off_t)lock->start};
	if (lock->end != UINT64_MAX)
		to->l_len = (off_t)(lock->end - lock->start);
	to->l_pid = lock->pid;
	if (lock->type == NETFS_LOCK_READ)
		to->l_type = F_RDLCK;
	else if (lock->type == NETFS_LOCK_WRITE)
		to->l_type = F_WRLCK;
	else
		to->l_type = F_UNLCK;
}

static void reply_getlk(struct netfs_fuse_request *r, int err)
{
	struct flock lock;

	if (err < 0) {
		fuse_reply_err(r->req, -err);
		return;
	}
	flock_fill(&lock, &r->call.lock);
	fuse_reply_lock(r->req, &lock);
}

/* The question stays in the request until the library is done with it. */
static struct netfs_lock *lock_room(struct netfs_fuse_request *r)
{
	_Static_assert(sizeof(struct netfs_lock) <= sizeof(r->iov), "a lock fits the request");
	return (struct netfs_lock *)r->iov;
}

static void op_getlk(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi,
		     struct flock *lock)
{
	struct netfs_fuse_request *r = netfs_fuse_call_begin(req, reply_getlk);

	if (!r)
		return;
	lock_fill(lock_room(r), lock, fi->lock_owner);
	netfs_getlock(netfs_fuse_file(fi), lock_room(r), &r->call);
	netfs_fuse_request_started(r);
}

/* The answer to a lock, kept back until the kernel has dropped what is stale. */
struct late_lock {
	struct netfs_notice notice;
	fuse_req_t req;
};

static void answer_late(struct netfs_notice *notice)
{
	struct late_lock *late = netfs_container_of(notice, struct late_lock, notice);

	fuse_reply_err(late->req, 0);
	free(late);
}

/* Who gets a lock reads next, and must not read old pages. */
static void reply_setlk(struct netfs_fuse_request *r, int err)
{
	struct late_lock *late = err ? NULL : malloc(sizeof(*late));

	if (late) {
		netfs_notice_init(&late->notice, 0);
		late->notice.fence = answer_late;
		late->req = r->req;
		if (netfs_notice_fence(&r->session->nodes.notices, &late->notice))
			return;
		free(late);
	}
	fuse_reply_err(r->req, -err);
}

static void op_setlk(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi,
		     struct flock *lock, int sleep)
{
	struct netfs_fuse_request *r = netfs_fuse_call_begin(req, reply_setlk);

	if (!r)
		return;
	r->is_lock_wait = sleep != 0;
	lock_fill(lock_room(r), lock, fi->lock_owner);
	netfs_lock(netfs_fuse_file(fi), lock_room(r), sleep != 0, &r->call);
	netfs_fuse_request_started(r);
}

static void op_flock(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi, int op)
{
	struct netfs_fuse_request *r = netfs_fuse_call_begin(req, reply_setlk);
	struct netfs_lock *lock;

	if (!r)
		return;
	r->is_lock_wait = !(op & LOCK_NB);
	lock = lock_room(r);
	*lock = (struct netfs_lock){
		.flock = true,
		.end = UINT64_MAX,
		.owner = fi->lock_owner,
		.pid = fuse_req_ctx(req)->pid,
		.type = NETFS_LOCK_UNLOCK,
	};
	if ((op & ~LOCK_NB) == LOCK_SH)
		lock->type = NETFS_LOCK_READ;
	else if ((op & ~LOCK_NB) == LOCK_EX)
		lock->type = NETFS_LOCK_WRITE;
	netfs_lock(netfs_fuse_file(fi), lock, !(op & LOCK_NB), &r->call);
	netfs_fuse_request_started(r);
}

void netfs_fuse_lock_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getlk = op_getlk;
	ops->setlk = op_setlk;
	ops->flock = op_flock;
}
