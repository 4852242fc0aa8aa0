/* SPDX-License-Identifier: MIT */
/*
 * Open files and directories, and opening them again in a new session.
 *
 * A handle whose fid is from an older session is opened again on its next use,
 * at once if locks were held through it.  One call of our own does it while the
 * calls that want the handle wait in handle->waiting: two openings at once would
 * set the locks on two fids, against one another.  The new opening uses the
 * flags of the old one without O_TRUNC, O_EXCL and O_CREAT, on the node as it is
 * found by its path; if that is another file now, or cannot be opened, or a lock
 * was lost meanwhile, the handle is dead: every use gives handle->err.
 *
 * Locks: conn->lock.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include "p9.h"

struct p9_handle *p9_handle_new(struct p9_conn *conn, struct p9_node *node, uint32_t flags)
{
	struct p9_handle *handle = netfs_zalloc(sizeof(*handle));
	uint32_t acc = flags & O_ACCMODE;

	if (!handle)
		return NULL;
	atomic_init(&handle->base.refs, 1);
	handle->base.be = &conn->be;
	handle->base.readable = acc != O_WRONLY;
	handle->base.writable = acc != O_RDONLY;
	netfs_node_get(&node->base);
	handle->node = node;
	handle->flags = acc;
	if (node->qid_type & P9_QID_DIR)
		handle->flags |= O_DIRECTORY;
	netfs_list_init(&handle->waiting);
	netfs_mutex_lock(&conn->lock);
	netfs_list_push_back(&conn->handles, &handle->link);
	netfs_mutex_unlock(&conn->lock);
	return handle;
}

void p9_handle_install(struct p9_handle *handle, struct p9_fid *fid, uint32_t iounit)
{
	struct p9_conn *conn = fid->conn;
	struct p9_fid *old;

	netfs_mutex_lock(&conn->lock);
	old = handle->fid;
	handle->fid = fid;
	handle->iounit = iounit;
	handle->epoch = conn->epoch;
	handle->moves = handle->node->moves;
	handle->node->open = handle;
	netfs_mutex_unlock(&conn->lock);
	p9_fid_put(old);
}

void p9_handle_free(struct netfs_handle *base)
{
	struct p9_handle *handle = p9_handle_of(base);
	struct p9_conn *conn = p9_conn_of(base->be);

	netfs_mutex_lock(&conn->lock);
	netfs_list_remove(&handle->link);
	if (handle->node->open == handle)
		handle->node->open = NULL;
	netfs_mutex_unlock(&conn->lock);
	p9_fid_put(handle->fid);
	netfs_node_put(&handle->node->base);
	netfs_free(handle->held);
	netfs_free(handle);
}

/* ------------------------------------------------------- open again */

/* Does the failure say something about the file, and not only about the server's
 * day?  What may heal is tried again at the next use. */
static bool is_final(int err)
{
	switch (err) {
	case -EIO:
	case -EAGAIN:
	case -EBUSY:
	case -EDQUOT:
	case -EINTR:
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOSPC:
	case -ENOTCONN:
	case -ETIMEDOUT:
		return false;
	default:
		return true;
	}
}

/* From now on every use of the handle gives err. */
static void kill_locked(struct p9_handle *handle, int err)
{
	handle->err = err;
	atomic_store(&handle->base.dead, true);
}

/* The re-opening is over, well or not: those who waited go on, or are told
 * where it failed this time.  Gives up its reference. */
static void reopen_over(struct p9_handle *handle, int err)
{
	struct p9_conn *conn = p9_conn_of(handle->base.be);
	struct netfs_list list, *elem;

	netfs_list_init(&list);
	err = err == -ENOENT ? -ESTALE : err;
	netfs_mutex_lock(&conn->lock);
	handle->reopening = false;
	if (err && !handle->err && is_final(err))
		kill_locked(handle, err);
	p9_call_unpark_locked(&handle->waiting, &list);
	netfs_mutex_unlock(&conn->lock);
	if (!err)
		p9_call_start_all(&list);
	while ((elem = netfs_list_pop_front(&list)))
		p9_call_finish(netfs_container_of(elem, struct p9_call, park), err);
	netfs_handle_put(&handle->base);
}

static void reopen_ended(struct p9_call *call)
{
	reopen_over(p9_handle_of(call->opened), call->err);
}

/* Somebody else had a lock meanwhile: what it guarded is void, for good. */
static void lock_lost(struct p9_call *call)
{
	struct p9_handle *handle = p9_handle_of(call->opened);
	struct p9_conn *conn = call->conn;

	netfs_mutex_lock(&conn->lock);
	kill_locked(handle, -EIO);
	netfs_mutex_unlock(&conn->lock);
	p9_call_finish(call, -EIO);
}

static void relock_next(struct p9_call *call);

/* Was one of the locks given up since the first was set?  Then from the start:
 * to set one twice does no harm. */
static bool relock_again(struct p9_call *call)
{
	struct p9_handle *handle = p9_handle_of(call->opened);
	bool again;

	netfs_mutex_lock(&call->conn->lock);
	again = handle->relock_again;
	handle->relock_again = false;
	netfs_mutex_unlock(&call->conn->lock);
	return again;
}

static void relocked(struct p9_call *call)
{
	bool again = relock_again(call);

	if (!again && (call->err || call->reply->rlock.status != P9_LOCK_SUCCESS)) {
		lock_lost(call);
		return;
	}
	call->cookie = again ? 0 : call->cookie + 1;
	relock_next(call);
}

static void relock_next(struct p9_call *call)
{
	struct p9_handle *handle = p9_handle_of(call->opened);
	struct p9_conn *conn = call->conn;
	struct p9_held held;
	struct p9_msg msg;
	bool more, lost;

	netfs_mutex_lock(&conn->lock);
	lost = handle->held_lost;
	more = call->cookie < handle->nheld;
	if (more)
		held = handle->held[call->cookie];
	netfs_mutex_unlock(&conn->lock);
	if (lost) {
		lock_lost(call);
		return;
	}
	if (!more) {
		p9_handle_install(handle, netfs_take(call->tmp), call->iounit);
		p9_call_finish(call, 0);
		return;
	}
	p9_lock_msg(conn, &held, held.write ? P9_LOCK_WRLCK : P9_LOCK_RDLCK, call->tmp->num, &msg);
	p9_call_try(call, &msg, relocked);
}

static void reopened(struct p9_call *call)
{
	if (call->reply->rlopen.qid.path != call->node[0]->qid_path) {
		p9_call_finish(call, -ESTALE);
		return;
	}
	call->iounit = call->reply->rlopen.iounit;
	call->cookie = 0;
	relock_next(call);
}

static void reopen_cloned(struct p9_call *call)
{
	p9_walk_open(call, p9_handle_of(call->opened)->flags, reopened);
}

static void reopen(struct p9_call *call)
{
	p9_walk(call, call->fid[0], NULL, reopen_cloned);
}

/* handle->reopening was set by the caller, who gives its reference. */
static void reopen_start(struct p9_handle *handle)
{
	struct p9_call *call = p9_call_on_node(&handle->node->base, NULL, reopen);

	if (!call) {
		reopen_over(handle, -ENOMEM);
		return;
	}
	/* It waits for the server as long as it takes. */
	call->deadline_ns = 0;
	call->opened = &handle->base;
	call->end = reopen_ended;
	p9_call_start(call);
}

bool p9_handle_ensure(struct p9_call *call)
{
	struct p9_handle *handle = call->handle;
	struct p9_conn *conn = call->conn;
	bool wait = false, reopening = false;
	int err;

	netfs_mutex_lock(&conn->lock);
	err = handle->err;
	if (!err && handle->fid && handle->fid->session == call->session && !handle->reopening) {
		call->hfid = p9_fid_get(handle->fid);
	} else if (!err) {
		wait = true;
		reopening = handle->reopening;
		if (!reopening) {
			handle->reopening = true;
			netfs_handle_get(&handle->base);
		}
		p9_call_park_locked(call, &handle->waiting);
	}
	netfs_mutex_unlock(&conn->lock);
	if (err)
		p9_call_finish(call, err);
	else if (wait && !reopening)
		reopen_start(handle);
	return !err && !wait;
}

/* One handle with locks of an older session, marked as being re-opened. */
static struct p9_handle *reclaimable(struct p9_conn *conn)
{
	struct p9_handle *found = NULL;
	struct netfs_list *pos;

	netfs_mutex_lock(&conn->lock);
	netfs_list_for_each (pos, &conn->handles) {
		struct p9_handle *handle = netfs_container_of(pos, struct p9_handle, link);

		if ((handle->nheld == 0 && !handle->held_lost) || handle->err ||
		    handle->reopening || handle->fid->session == conn->session ||
		    !p9_refs_try(&handle->base.refs))
			continue;
		handle->reopening = true;
		found = handle;
		break;
	}
	netfs_mutex_unlock(&conn->lock);
	return found;
}

void p9_handle_reclaim(struct p9_conn *conn)
{
	struct p9_handle *handle;

	while ((handle = reclaimable(conn)))
		reopen_start(handle);
}

/* ------------------------------------------------------- open */

static void opened(struct p9_call *call)
{
	struct p9_handle *handle;

	if (call->reply->rlopen.qid.path != call->node[0]->qid_path) {
		/* A path server, and something else has the path now. */
		p9_call_finish(call, -ESTALE);
		return;
	}
	handle = p9_handle_new(call->conn, call->node[0], call->flags);
	if (!handle) {
		p9_call_finish(call, -ENOMEM);
		return;
	}
	p9_handle_install(handle, netfs_take(call->tmp), call->reply->rlopen.iounit);
	call->op->handle = &handle->base;
	p9_call_finish(call, 0);
}

static void open_cloned(struct p9_call *call)
{
	bool dir = call->node[0]->qid_type & P9_QID_DIR;

	p9_walk_open(call, (call->flags & (O_ACCMODE | O_TRUNC)) | (dir ? O_DIRECTORY : 0), opened);
}

/* The file's own fid is opened where nobody else uses it: the file is walked to
 * again should it be needed before the next lookup brings a new one. */
static bool take_fid(struct p9_call *call)
{
	struct p9_conn *conn = call->conn;
	struct p9_node *node = call->node[0];

	netfs_mutex_lock(&conn->lock);
	/* New references come from node->fid, under the lock.  relaxed: the
	 * requests of whoever had one were answered before it was put. */
	if (!(node->qid_type & P9_QID_DIR) && node->fid && node->fid == call->fid[0] &&
	    atomic_load_explicit(&node->fid->refs, memory_order_relaxed) == 2) {
		call->tmp = netfs_take(node->fid);
		node->epoch = 0;
	}
	netfs_mutex_unlock(&conn->lock);
	return call->tmp;
}

static void open_body(struct p9_call *call)
{
	if (take_fid(call))
		open_cloned(call);
	else
		p9_walk(call, call->fid[0], NULL, open_cloned);
}

void p9_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op)
{
	struct p9_call *call;

	/* The server would follow it, out of the export perhaps. */
	if (p9_node_of(node)->qid_type & P9_QID_SYMLINK) {
		op->done(op, -ELOOP);
		return;
	}
	call = p9_call_on_node(node, op, open_body);
	if (!call)
		return;
	call->flags = flags;
	p9_call_start(call);
}
