/* SPDX-License-Identifier: MIT */
/*
 * Advisory locks: waiting for them, and the server's part.
 *
 * A lock is reserved in the vnode's table first, which settles everything among
 * the programs of this mount.  If the server has locks and the mount uses them
 * the server is asked next; only when it agreed is the lock applied.  Where its
 * back end can, the server answers a caller that waits when the lock is free;
 * while it says BLOCKED the reservation is given up, and after a pause, growing
 * from 50 ms to a second, all begins again.
 *
 * Unlocking goes the other way: the server first, through each handle that a
 * piece was taken with, then the table; whoever waited here then finds the
 * server free.
 *
 * What another client changed under its lock is seen under ours: unsent data goes
 * before the server is asked for a lock, and before it is given back, and when it
 * was granted what was read before is forgotten, unless nobody else has the file.
 *
 * A lock of flock(2) is converted by giving the old one up first, as the system
 * call does.
 *
 * Locks: the vnode's mutex, for finding the table; the table's own.
 */
#include <errno.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/alloc.h>
#include <vfs/file.h>
#include <vfs/lock_calls.h>

/* The table, made where there is none.  NULL: no memory. */
static struct netfs_lock_table *table_of(struct netfs_vnode *vnode)
{
	struct netfs_lock_table *fresh = NULL, *table;

	netfs_mutex_lock(&vnode->mutex);
	table = vnode->locks;
	netfs_mutex_unlock(&vnode->mutex);
	if (table)
		return table;
	fresh = netfs_locks_new();
	if (!fresh)
		return NULL;
	netfs_mutex_lock(&vnode->mutex);
	if (!vnode->locks)
		vnode->locks = netfs_take(fresh);
	table = vnode->locks;
	netfs_mutex_unlock(&vnode->mutex);
	netfs_locks_free(fresh);
	return table;
}

static bool has_locks(struct netfs_vnode *vnode)
{
	bool has;

	netfs_mutex_lock(&vnode->mutex);
	has = vnode->locks != NULL;
	netfs_mutex_unlock(&vnode->mutex);
	return has;
}

/* Is there data that must be right under a lock of the server's? */
static bool caches(const struct netfs_vcall *v)
{
	return v->mount->server_locks && !v->mount->config.unbuffered &&
	       netfs_vnode_regular(v->vnode);
}

static void ask_lock(struct netfs_vcall *v, struct netfs_handle *handle,
		     const struct netfs_lock *lock, netfs_step_fn next)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_LOCK);

	ask->handle = handle;
	ask->lock = lock;
	ask->op.wait = v->flags && lock->type != NETFS_LOCK_UNLOCK;
	netfs_vcall_ask(v, next);
}

/* ------------------------------------------------------------ unlock */

static void unlock_next(struct netfs_vcall *v, int err);

static void unlock_end(struct netfs_vcall *v, int err)
{
	atomic_store(&v->abort_only, false);
	netfs_vcall_return(v, err);
}

/* The server gave up what v->unlock_one means; or the asking failed, and it will
 * when the handle goes. */
static void unlock_answered(struct netfs_vcall *v, int err)
{
	err = netfs_locks_unlock(v->vnode->locks, &v->unlock_one);
	netfs_handle_put(netfs_take(v->unlock_one.handle));
	if (err)
		unlock_end(v, err);
	else
		unlock_next(v, 0);
}

static void unlock_next(struct netfs_vcall *v, int err)
{
	struct netfs_lock_table *table = v->vnode->locks;

	if (!v->mount->server_locks || !netfs_locks_find(table, &v->unlock, &v->unlock_one)) {
		unlock_end(v, netfs_locks_unlock(table, &v->unlock));
		return;
	}
	v->unlock_lock = (struct netfs_lock){
		.type = NETFS_LOCK_UNLOCK,
		.flock = v->unlock_one.flock,
		.start = v->unlock_one.start,
		.end = v->unlock_one.end,
		.owner = v->unlock_one.owner,
	};
	ask_lock(v, netfs_handle_get(v->unlock_one.handle), &v->unlock_lock, unlock_answered);
}

void netfs_vcall_unlock(struct netfs_vcall *v, const struct netfs_lock_filter *filter,
			netfs_step_fn next)
{
	if (!has_locks(v->vnode)) {
		next(v, 0);
		return;
	}
	netfs_assert(!v->then);
	v->then = next;
	v->unlock = *filter;
	/* A lock that is half given up helps nobody. */
	atomic_store(&v->abort_only, true);
	if (caches(v) && netfs_locks_find(v->vnode->locks, filter, NULL))
		netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, unlock_next);
	else
		unlock_next(v, 0);
}

/* -------------------------------------------------------------- lock */

static void lock_begin(struct netfs_vcall *v, int err);

static void lock_finish(struct netfs_vcall *v, int err)
{
	netfs_locks_unprepare(&v->lock);
	netfs_vcall_finish(v, err);
}

/* After a pause all begins again. */
static void lock_pause(struct netfs_vcall *v)
{
	uint32_t pause = v->tries ? v->tries : NETFS_LOCK_PAUSE_MIN_MS;

	v->tries = pause * 2 < NETFS_LOCK_PAUSE_MAX_MS ? pause * 2 : NETFS_LOCK_PAUSE_MAX_MS;
	netfs_vcall_sleep(v, pause, lock_begin);
}

static void lock_undone(struct netfs_vcall *v, int err)
{
	lock_finish(v, v->first_err);
}

/* Nobody knows whether the server gave us the lock: give it back, unless that
 * would take something from its owner that was there before. */
static void lock_undo(struct netfs_vcall *v, int err)
{
	struct netfs_lock_filter mine = {
		.owner = v->lock.lock.owner,
		.flock = v->lock.lock.flock,
		.start = v->lock.lock.start,
		.end = v->lock.lock.end,
	};

	v->first_err = err;
	if (netfs_locks_find(v->vnode->locks, &mine, NULL)) {
		lock_finish(v, err);
		return;
	}
	v->unlock_lock = v->lock.lock;
	v->unlock_lock.type = NETFS_LOCK_UNLOCK;
	atomic_store(&v->abort_only, true);
	ask_lock(v, netfs_handle_get(v->handle), &v->unlock_lock, lock_undone);
}

/* Whatever the answer about the version is, the lock is ours. */
static void lock_seen(struct netfs_vcall *v, int err)
{
	lock_finish(v, 0);
}

static void lock_held(struct netfs_vcall *v)
{
	netfs_locks_apply(v->vnode->locks, &v->lock);
	/* Others may have written without a trace in the times.  A promise to read
	 * may be on its way back; one to write is not given back before we agree. */
	if (!caches(v) || netfs_attr_exclusive(v->vnode)) {
		lock_finish(v, 0);
		return;
	}
	netfs_attr_recalled(v->vnode);
	v->then = lock_seen;
	netfs_vcall_refetch(v, v->vnode, v->handle);
}

static void lock_answered(struct netfs_vcall *v, int err)
{
	struct netfs_lock_table *table = v->vnode->locks;

	/* A server without locks after all: this mount's own have to do. */
	if (err == -EOPNOTSUPP || err == -ENOSYS ||
	    (!err && v->ask.op.lock_result == NETFS_LOCK_GRANTED)) {
		lock_held(v);
		return;
	}
	netfs_locks_unreserve(table, &v->lock);
	if (err == -EINTR || err == -ETIMEDOUT)
		lock_undo(v, err);
	else if (err)
		lock_finish(v, err);
	else if (v->flags)
		lock_pause(v);
	else
		lock_finish(v, -EAGAIN);
}

/* Data that the server refuses does not stop a lock. */
static void lock_flushed(struct netfs_vcall *v, int err)
{
	if (err == -EINTR) {
		netfs_locks_unreserve(v->vnode->locks, &v->lock);
		lock_finish(v, err);
		return;
	}
	ask_lock(v, netfs_handle_get(v->handle), &v->lock.lock, lock_answered);
}

static void lock_reserved(struct netfs_vcall *v, int err)
{
	if (err) {
		lock_finish(v, err);
	} else if (caches(v)) {
		netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, lock_flushed);
	} else if (v->mount->server_locks) {
		lock_flushed(v, 0);
	} else {
		netfs_locks_apply(v->vnode->locks, &v->lock);
		lock_finish(v, 0);
	}
}

static void lock_granted(struct netfs_lock_request *request)
{
	netfs_vcall_resume(netfs_container_of(request, struct netfs_vcall, lock), 0);
}

static void lock_interrupt(struct netfs_vcall *v)
{
	if (netfs_locks_dequeue(v->vnode->locks, &v->lock))
		netfs_vcall_resume(v, -EINTR);
}

static void lock_begin(struct netfs_vcall *v, int err)
{
	enum netfs_locks_answer answer;

	if (err) {
		lock_finish(v, err);
		return;
	}
	netfs_vcall_await(v, lock_reserved, lock_interrupt);
	answer = netfs_locks_reserve(v->vnode->locks, &v->lock, v->flags != 0);
	if (answer == NETFS_LOCKS_RESERVED)
		netfs_vcall_resume(v, 0);
	else if (answer == NETFS_LOCKS_CONFLICT)
		netfs_vcall_resume(v, -EAGAIN);
	else
		netfs_vcall_armed(v);
}

static bool lock_possible(const struct netfs_lock *lock)
{
	return lock->type <= NETFS_LOCK_UNLOCK && lock->start < lock->end;
}

static void unlocked(struct netfs_vcall *v, int err)
{
	netfs_vcall_finish(v, err);
}

static void lock_start(struct netfs_vcall *v, int err)
{
	const struct netfs_lock *lock = v->value;
	struct netfs_lock_filter mine;

	if (!lock_possible(lock) || !table_of(v->vnode)) {
		netfs_vcall_finish(v, lock_possible(lock) ? -ENOMEM : -EINVAL);
		return;
	}
	mine = (struct netfs_lock_filter){
		.owner = lock->owner,
		.flock = lock->flock,
		.start = lock->start,
		.end = lock->end,
	};
	if (lock->type == NETFS_LOCK_UNLOCK) {
		netfs_vcall_unlock(v, &mine, unlocked);
		return;
	}
	atomic_store(&v->file->locked, true);
	v->lock.granted = lock_granted;
	err = netfs_locks_prepare(&v->lock, lock, v->handle);
	if (!err && lock->flock)
		netfs_vcall_unlock(v, &mine, lock_begin);
	else
		lock_begin(v, err);
}

static struct netfs_vcall *lock_new(struct netfs_file *file, const struct netfs_lock *lock,
				    struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(file->vnode->mount, call);

	if (!v)
		return NULL;
	v->vnode = netfs_vnode_get(file->vnode);
	v->handle = netfs_handle_get(file->handle);
	v->file = file;
	v->value = lock;
	return v;
}

void netfs_lock(struct netfs_file *file, const struct netfs_lock *lock, bool wait,
		struct netfs_call *call)
{
	struct netfs_vcall *v = lock_new(file, lock, call);

	if (!v)
		return;
	v->flags = wait;
	netfs_vcall_start(v, lock_start);
}

/* ----------------------------------------------------------- getlock */

static void getlock_answered(struct netfs_vcall *v, int err)
{
	if (err == -EOPNOTSUPP)
		err = 0;
	else if (!err)
		v->call->lock = v->ask.op.lock;
	netfs_vcall_finish(v, err);
}

static void getlock_start(struct netfs_vcall *v, int err)
{
	const struct netfs_lock *lock = v->value;
	struct netfs_lock_table *table = table_of(v->vnode);
	struct netfs_ask *ask;

	if (!lock_possible(lock) || !table) {
		netfs_vcall_finish(v, table ? -EINVAL : -ENOMEM);
		return;
	}
	if (netfs_locks_conflict(table, lock, &v->call->lock)) {
		netfs_vcall_finish(v, 0);
		return;
	}
	v->call->lock = *lock;
	v->call->lock.type = NETFS_LOCK_UNLOCK;
	if (!v->mount->server_locks) {
		netfs_vcall_finish(v, 0);
		return;
	}
	ask = netfs_vcall_prepare(v, NETFS_ASK_GETLOCK);
	ask->handle = netfs_handle_get(v->handle);
	ask->lock = lock;
	netfs_vcall_ask(v, getlock_answered);
}

void netfs_getlock(struct netfs_file *file, const struct netfs_lock *lock, struct netfs_call *call)
{
	struct netfs_vcall *v = lock_new(file, lock, call);

	if (v)
		netfs_vcall_start(v, getlock_start);
}
