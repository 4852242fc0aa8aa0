/* SPDX-License-Identifier: MIT */
/*
 * Operations of several messages.
 *
 * A call runs from the top: the fids of its nodes and handle are made current,
 * then its body sends the first request and names the step that follows the
 * reply; steps go on like that until one ends the call.  Exactly one thread runs
 * a call at a time: whoever starts it, then the connection's task as replies
 * come.  After a step has sent something, or ended or parked the call, it must
 * not touch it again; so sending is always the last thing a step does.
 *
 * When the connection goes, all requests end with P9_LOST.  The call then drops
 * everything that belonged to the session and starts from the top, which parks
 * it until the server is back (hard) or its time is over (soft).  What must not
 * happen twice:
 *
 *  - call->changed: the change was acknowledged.  A second run skips it.
 *  - call->resent: a request was sent completely and its answer never came, so
 *    the change may or may not have been made.  It is sent again; the error that
 *    says "already done" (-EEXIST for making, -ENOENT for removing and renaming)
 *    then counts as success, with a check where the name could be another's.
 *    9P has no reply cache, so this is the best there is: a name that somebody
 *    else made or removed in that moment is taken for ours.
 *
 * A call that met -ENOENT or -ESTALE while a directory was being renamed runs
 * again after the rename: its paths may just have been between two places.  One
 * that met them otherwise may have an outdated name of a file, and looks once
 * more under its other names (p9_node.c).
 *
 * Locks: conn->lock for the lists, the parking and the cancelling.
 */
#include <string.h>
#include "p9.h"

struct p9_call *p9_call_new(struct p9_conn *conn, struct netfs_op *op, p9_step_fn *body)
{
	struct p9_call *call = netfs_zalloc(sizeof(*call));

	if (!call) {
		if (op)
			op->done(op, -ENOMEM);
		return NULL;
	}
	call->conn = conn;
	call->op = op;
	call->body = body;
	netfs_list_init(&call->park);
	if (!conn->hard)
		call->deadline_ns = netfs_clock_now() + conn->soft_ns;
	netfs_mutex_lock(&conn->lock);
	netfs_list_push_back(&conn->calls, &call->all);
	netfs_mutex_unlock(&conn->lock);
	return call;
}

struct p9_call *p9_call_on_node(struct netfs_node *node, struct netfs_op *op, p9_step_fn *body)
{
	struct p9_call *call = p9_call_new(p9_conn_of(node->be), op, body);

	if (call)
		call->node[0] = p9_node_of(node);
	return call;
}

struct p9_call *p9_call_on_name(struct netfs_node *dir, const char *name, struct netfs_op *op,
				p9_step_fn *body)
{
	size_t len = strlen(name);
	struct p9_call *call;

	if (!p9_name_good(name, len)) {
		op->done(op, len > NETFS_NAME_MAX ? -ENAMETOOLONG : -EINVAL);
		return NULL;
	}
	call = p9_call_on_node(dir, op, body);
	if (call)
		call->name = name;
	return call;
}

struct p9_call *p9_call_on_handle(struct netfs_handle *handle, struct netfs_op *op,
				  p9_step_fn *body)
{
	struct p9_call *call = p9_call_new(p9_conn_of(handle->be), op, body);

	if (call)
		call->handle = p9_handle_of(handle);
	return call;
}

bool p9_call_new_tmp(struct p9_call *call)
{
	netfs_assert(!call->tmp);
	call->tmp = p9_fid_new(call->conn);
	if (call->tmp)
		return true;
	p9_call_finish(call, -ENOMEM);
	return false;
}

void p9_call_drop_tmp(struct p9_call *call)
{
	p9_fid_put(netfs_take(call->tmp));
}

/* Gives back what one run of the call had. */
static void drop_run(struct p9_call *call)
{
	for (unsigned i = 0; i < P9_CALL_NODES; i++)
		p9_fid_put(netfs_take(call->fid[i]));
	p9_fid_put(netfs_take(call->hfid));
	p9_call_drop_tmp(call);
	netfs_free(netfs_take(call->path));
	netfs_free(netfs_take(call->buf));
	call->reply = NULL;
}

void p9_call_park_locked(struct p9_call *call, struct netfs_list *list)
{
	netfs_assert_held(&call->conn->lock);
	netfs_assert(!call->parked);
	call->parked = true;
	netfs_list_push_back(list, &call->park);
	if (call->deadline_ns)
		netfs_task_post(&call->conn->task);
}

/* Takes a parked call out of its list. */
static void unpark_locked(struct p9_call *call)
{
	netfs_list_remove(&call->park);
	call->parked = false;
}

/* How often the places of the objects it is about changed so far. */
static uint32_t moves_locked(const struct p9_call *call)
{
	uint32_t moves = 0;

	for (unsigned i = 0; i < P9_CALL_NODES; i++)
		moves += call->node[i] ? call->node[i]->moves : 0;
	return moves;
}

/* Is one of them being renamed, by another call? */
static bool is_moving_locked(const struct p9_call *call)
{
	for (unsigned i = 0; i < P9_CALL_NODES; i++)
		if (call->node[i] && call->node[i]->renaming > 0 && !call->moves_node)
			return true;
	return false;
}

/* May it run now?  0, or why it ends; parks it where it has to wait. */
static int admit(struct p9_call *call, bool *ret_parked)
{
	struct p9_conn *conn = call->conn;
	int err = 0;

	*ret_parked = false;
	netfs_mutex_lock(&conn->lock);
	call->epoch = conn->epoch;
	call->session = conn->session;
	call->err = 0;
	call->moves = moves_locked(call);
	if (call->cancelled && !call->changed) {
		err = -EINTR;
	} else if (conn->state == P9_GONE || conn->closing) {
		err = -ENOTCONN;
	} else if (conn->state != P9_READY) {
		*ret_parked = true;
		p9_call_park_locked(call, &conn->parked);
	}
	netfs_mutex_unlock(&conn->lock);
	return err;
}

void p9_call_start(struct p9_call *call)
{
	bool parked;
	int err = admit(call, &parked);

	if (parked)
		return;
	if (err)
		p9_call_finish(call, err);
	else if (call->by_handle)
		call->body(call);
	else
		p9_node_ensure(call);
}

void p9_call_unpark_locked(struct netfs_list *from, struct netfs_list *list)
{
	struct netfs_list *pos;

	netfs_list_splice_back(list, from);
	netfs_list_for_each (pos, list)
		netfs_container_of(pos, struct p9_call, park)->parked = false;
}

void p9_call_start_all(struct netfs_list *list)
{
	struct netfs_list *elem;

	/* The list is the caller's own by now, so no lock guards it; but a call
	 * in it can still be cancelled, which is why parked was cleared. */
	while ((elem = netfs_list_pop_front(list)))
		p9_call_start(netfs_container_of(elem, struct p9_call, park));
}

/* Paths were moving while it ran: try again?  Takes the call if so. */
static bool run_again(struct p9_call *call, int err)
{
	struct p9_conn *conn = call->conn;
	bool again = false, wait = false;

	if ((err != -ENOENT && err != -ESTALE) || (!call->op && !call->opened) ||
	    call->restarts >= P9_RESTARTS_MAX)
		return false;
	netfs_mutex_lock(&conn->lock);
	wait = (conn->dir_renames > 0 && !call->moves_dir) || is_moving_locked(call);
	again = wait || call->epoch != conn->epoch || call->moves != moves_locked(call);
	netfs_mutex_unlock(&conn->lock);
	if (p9_node_doubt(call, err))
		again = true;
	if (!again)
		return false;
	call->restarts++;
	drop_run(call);
	netfs_mutex_lock(&conn->lock);
	if (wait && is_moving_locked(call))
		p9_call_park_locked(call, &conn->moved);
	else if (wait && conn->dir_renames > 0)
		p9_call_park_locked(call, &conn->moving);
	else
		wait = false;
	netfs_mutex_unlock(&conn->lock);
	if (!wait)
		p9_call_start(call);
	return true;
}

/* A rename is over: those who waited for it go on. */
static void rename_ended(struct p9_call *call)
{
	struct p9_conn *conn = call->conn;
	struct netfs_list list;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	if (call->moves_node && --call->moving->renaming == 0)
		p9_call_unpark_locked(&conn->moved, &list);
	if (call->moves_dir && --conn->dir_renames == 0)
		p9_call_unpark_locked(&conn->moving, &list);
	netfs_mutex_unlock(&conn->lock);
	p9_call_start_all(&list);
}

void p9_call_finish(struct p9_call *call, int err)
{
	struct p9_conn *conn = call->conn;
	struct netfs_be_host *host = conn->host;
	struct netfs_slice *slice = call->slice;
	struct netfs_op *op = call->op;
	size_t moved = call->moved;
	unsigned flags = call->slice_flags;
	bool ready = false;

	if (run_again(call, err))
		return;
	drop_run(call);
	if (err && call->moves_node && call->resent)
		p9_rename_unknown(call);
	if (call->moves_dir || call->moves_node)
		rename_ended(call);
	call->err = err;
	if (call->end)
		call->end(call);
	netfs_mutex_lock(&conn->lock);
	netfs_list_remove(&call->all);
	if (call->counted) {
		atomic_fetch_sub_explicit(&conn->slices, 1, memory_order_relaxed);
		ready = conn->starved;
		conn->starved = false;
	}
	if (conn->closing)
		netfs_task_post(&conn->task);
	netfs_mutex_unlock(&conn->lock);
	p9_req_done(&call->req);
	netfs_free(call);
	/* Before the slice ends: until then the host cannot go away. */
	if (ready)
		host->ready(host);
	if (slice)
		slice->done(slice, moved, err, flags);
	else if (op)
		op->done(op, err);
}

/* The connection went under a request, or before it could be sent. */
static void lost(struct p9_call *call)
{
	if (call->changing && call->req.sent)
		call->resent = true;
	call->changing = false;
	drop_run(call);
	p9_call_start(call);
}

static void replied(struct p9_req *req, enum p9_end end, const struct p9_msg *reply)
{
	struct p9_call *call = netfs_container_of(req, struct p9_call, req);
	bool changing = call->changing;

	if (end == P9_LOST) {
		lost(call);
		return;
	}
	call->changing = false;
	if (end == P9_FLUSHED || end == P9_BROKEN) {
		p9_call_finish(call, end == P9_FLUSHED ? -EINTR : -EPROTO);
		return;
	}
	call->reply = reply;
	call->err = end == P9_REFUSED ? req->err : 0;
	if (changing && !call->err)
		call->changed = true;
	if (call->err && !call->try)
		p9_call_finish(call, call->err);
	else
		call->next(call);
}

void p9_call_send_data(struct p9_call *call, const struct p9_msg *msg, const struct iovec *data,
		       unsigned ndata)
{
	struct p9_conn *conn = call->conn;
	bool go, cancelled;
	int err = p9_req_prepare(&call->req, msg, data, ndata);

	if (err) {
		p9_call_finish(call, err);
		return;
	}
	call->req.done = replied;
	p9_conn_enter(conn);
	netfs_mutex_lock(&conn->lock);
	cancelled = call->cancelled && !call->changed;
	go = !cancelled && conn->state == P9_READY && conn->session == call->session;
	if (go)
		p9_req_queue_locked(conn, &call->req);
	netfs_mutex_unlock(&conn->lock);
	if (go) {
		p9_send(conn);
	} else if (cancelled) {
		p9_call_finish(call, -EINTR);
	} else {
		call->req.sent = false;
		lost(call);
	}
	p9_conn_leave(conn);
}

void p9_call_send(struct p9_call *call, const struct p9_msg *msg, p9_step_fn *next)
{
	call->next = next;
	call->try = false;
	p9_call_send_data(call, msg, NULL, 0);
}

void p9_call_try(struct p9_call *call, const struct p9_msg *msg, p9_step_fn *next)
{
	call->next = next;
	call->try = true;
	p9_call_send_data(call, msg, NULL, 0);
}

void p9_call_change(struct p9_call *call, const struct p9_msg *msg, p9_step_fn *next)
{
	call->changing = true;
	p9_call_try(call, msg, next);
}

/* Wakes or flushes one call.  Lock held; unlocks. */
static void cancel_unlock(struct p9_conn *conn, struct p9_call *call)
{
	bool parked = call->parked, withdrawn = false;

	call->cancelled = true;
	if (parked)
		unpark_locked(call);
	else
		withdrawn = p9_req_flush_locked(conn, &call->req);
	netfs_mutex_unlock(&conn->lock);
	if (parked)
		p9_call_finish(call, -EINTR);
	else if (withdrawn)
		call->req.done(&call->req, P9_FLUSHED, NULL);
	p9_send(conn);
}

static void cancel(struct netfs_be *be, const struct netfs_op *op, const struct netfs_slice *slice)
{
	struct p9_conn *conn = p9_conn_of(be);
	struct netfs_list *pos;

	p9_conn_enter(conn);
	netfs_mutex_lock(&conn->lock);
	netfs_list_for_each (pos, &conn->calls) {
		struct p9_call *call = netfs_container_of(pos, struct p9_call, all);

		if ((op && call->op == op) || (slice && call->slice == slice)) {
			cancel_unlock(conn, call);
			goto out;
		}
	}
	netfs_mutex_unlock(&conn->lock);
out:
	p9_conn_leave(conn);
}

void p9_op_cancel(struct netfs_be *be, struct netfs_op *op)
{
	cancel(be, op, NULL);
}

void p9_slice_cancel(struct netfs_be *be, struct netfs_slice *slice)
{
	cancel(be, NULL, slice);
}

/* Ends the calls of a private list. */
static void finish_all(struct netfs_list *list, int err)
{
	struct netfs_list *elem;

	while ((elem = netfs_list_pop_front(list))) {
		struct p9_call *call = netfs_container_of(elem, struct p9_call, park);

		if (call->slice)
			call->slice_flags = NETFS_SLICE_RETRY;
		p9_call_finish(call, err);
	}
}

uint64_t p9_call_expire(struct p9_conn *conn, uint64_t now)
{
	struct netfs_list over, *pos;
	uint64_t next = 0;

	netfs_list_init(&over);
	netfs_mutex_lock(&conn->lock);
	netfs_list_for_each (pos, &conn->calls) {
		struct p9_call *call = netfs_container_of(pos, struct p9_call, all);

		if (!call->parked || !call->deadline_ns)
			continue;
		if (call->deadline_ns <= now) {
			unpark_locked(call);
			netfs_list_push_back(&over, &call->park);
		} else if (!next || call->deadline_ns < next) {
			next = call->deadline_ns;
		}
	}
	netfs_mutex_unlock(&conn->lock);
	finish_all(&over, -ETIMEDOUT);
	return next;
}

void p9_call_fail_parked(struct p9_conn *conn, int err)
{
	struct netfs_list over, *pos;

	netfs_list_init(&over);
	netfs_mutex_lock(&conn->lock);
	netfs_list_for_each (pos, &conn->calls) {
		struct p9_call *call = netfs_container_of(pos, struct p9_call, all);

		if (call->parked) {
			unpark_locked(call);
			netfs_list_push_back(&over, &call->park);
		}
	}
	netfs_mutex_unlock(&conn->lock);
	finish_all(&over, err);
}
