/* SPDX-License-Identifier: MIT */
/*
 * Locks of the dir back end.  The local file system ties a lock to an open file
 * description: two of them conflict, one never conflicts with itself.  The
 * contract ties locks to an opaque owner.  So each owner of locks on a file
 * gets a descriptor of its own, opened at its first lock and closed when it
 * unlocks everything or the last handle of the file goes.  flock(2) locks have
 * a name space of their own and therefore another descriptor.
 *
 * Locks (of threads): dir_be.mutex guards the list of owners; not held while
 * the file system is asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <backend/dir/dir.h>
#include <env/alloc.h>
#include <env/hostfs.h>

/* Whoever locks one file.  refs: one while in the list, one per call. */
struct dir_lock_owner {
	struct netfs_list link; /* in dir_node.locks */
	uint32_t refs;
	bool flock;
	uint64_t owner;
	int fd;
};

static struct dir_lock_owner *owner_find_locked(struct dir_node *node,
						const struct netfs_lock *lock)
{
	struct netfs_list *pos;

	netfs_list_for_each (pos, &node->locks) {
		struct dir_lock_owner *owner = netfs_container_of(pos, struct dir_lock_owner, link);

		if (owner->owner == lock->owner && owner->flock == lock->flock) {
			owner->refs++;
			return owner;
		}
	}
	return NULL;
}

static struct dir_lock_owner *owner_find(struct dir_req *req)
{
	struct dir_lock_owner *owner;

	netfs_mutex_lock(&req->be->mutex);
	owner = owner_find_locked(req->handle->node, req->arg);
	netfs_mutex_unlock(&req->be->mutex);
	return owner;
}

static void owner_put(struct dir_be *be, struct dir_lock_owner *owner)
{
	bool last;

	netfs_mutex_lock(&be->mutex);
	last = --owner->refs == 0;
	netfs_mutex_unlock(&be->mutex);
	if (!last)
		return;
	netfs_hostfs_close(owner->fd);
	netfs_free(owner);
}

static int owner_new(struct dir_req *req, struct dir_lock_owner **ret_owner)
{
	const struct netfs_lock *lock = req->arg;
	struct dir_lock_owner *fresh = netfs_zalloc(sizeof(*fresh)), *owner;

	if (!fresh)
		return -ENOMEM;
	fresh->refs = 2;
	fresh->flock = lock->flock;
	fresh->owner = lock->owner;
	/* Both kinds of lock if we may; else those of the handle. */
	fresh->fd = netfs_hostfs_reopen(req->handle->fd, O_RDWR);
	if (fresh->fd < 0)
		fresh->fd = netfs_hostfs_reopen(req->handle->fd,
						req->handle->handle.writable ? O_WRONLY : O_RDONLY);
	if (fresh->fd < 0) {
		int err = fresh->fd;

		netfs_free(fresh);
		return err;
	}
	netfs_mutex_lock(&req->be->mutex);
	owner = owner_find_locked(req->handle->node, lock);
	if (!owner)
		netfs_list_push_back(&req->handle->node->locks, &fresh->link);
	netfs_mutex_unlock(&req->be->mutex);
	*ret_owner = owner ? owner : fresh;
	if (owner) {
		netfs_hostfs_close(fresh->fd);
		netfs_free(fresh);
	}
	return 0;
}

/* It holds nothing any more: out of the list, so that the last put closes. */
static void owner_forget(struct dir_be *be, struct dir_lock_owner *owner)
{
	bool listed;

	netfs_mutex_lock(&be->mutex);
	listed = !netfs_list_empty(&owner->link);
	netfs_list_remove(&owner->link);
	netfs_mutex_unlock(&be->mutex);
	if (listed)
		owner_put(be, owner);
}

void netfs_dir_locks_drop(struct dir_node *node)
{
	struct dir_be *be = netfs_dir_be(node->node.be);

	for (;;) {
		struct netfs_list *pos;

		netfs_mutex_lock(&be->mutex);
		pos = netfs_list_pop_front(&node->locks);
		netfs_mutex_unlock(&be->mutex);
		if (!pos)
			return;
		owner_put(be, netfs_container_of(pos, struct dir_lock_owner, link));
	}
}

static short type_of(enum netfs_lock_type type)
{
	return type == NETFS_LOCK_READ ? F_RDLCK : type == NETFS_LOCK_WRITE ? F_WRLCK : F_UNLCK;
}

int netfs_dir_run_lock(struct dir_req *req)
{
	const struct netfs_lock *lock = req->arg;
	bool unlock = lock->type == NETFS_LOCK_UNLOCK;
	struct dir_lock_owner *owner = owner_find(req);
	int err = 0;

	req->op->lock_result = NETFS_LOCK_GRANTED;
	if (!owner && unlock)
		return 0;
	if (!owner)
		err = owner_new(req, &owner);
	if (err)
		return err;
	if (lock->flock)
		err = netfs_hostfs_flock(owner->fd, type_of(lock->type));
	else
		err = netfs_hostfs_lock(owner->fd, type_of(lock->type), lock->start, lock->end);
	if (!err && unlock && (lock->flock || (!lock->start && lock->end == UINT64_MAX)))
		owner_forget(req->be, owner);
	owner_put(req->be, owner);
	if (err != -EAGAIN)
		return err;
	req->op->lock_result = NETFS_LOCK_BLOCKED;
	return 0;
}

int netfs_dir_run_getlock(struct dir_req *req)
{
	struct netfs_lock answer = *(const struct netfs_lock *)req->arg;
	struct dir_lock_owner *owner = owner_find(req);
	short type = type_of(answer.type);
	int pid = 0, err;

	if (answer.flock)
		err = -EOPNOTSUPP;
	else
		err = netfs_hostfs_getlock(owner ? owner->fd : req->handle->fd, &type,
					   &answer.start, &answer.end, &pid);
	if (owner)
		owner_put(req->be, owner);
	answer.pid = pid;
	answer.type = type == F_RDLCK	? NETFS_LOCK_READ
		      : type == F_WRLCK ? NETFS_LOCK_WRITE
					: NETFS_LOCK_UNLOCK;
	if (!err)
		req->op->lock = answer;
	return err;
}
