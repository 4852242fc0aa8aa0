// SPDX-License-Identifier: MIT
/*
 * Calls: operations that need requests, one after the other, and that outlive a
 * connection.
 *
 *	start --> (wait for the connection) --> (handle is open) --> body
 *	  ^                                                           |
 *	  +------ lost, or names moved <------ next <-- replies <-- send
 *
 * A call that lost its connection starts from the top; where a request that
 * changes something may have been executed it is marked resent, and the
 * operation then takes "it is so already" for its success.
 *
 * Locks: conn->lock for lists and flags; none while a step runs.
 */
#include <stdio.h>
#include <string.h>
#include "smb.h"

struct smb_call *smb_call_new(struct smb_conn *conn, struct netfs_op *op, smb_step_fn *body)
{
	struct smb_call *call = netfs_zalloc(sizeof(*call));

	if (!call)
		return NULL;
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

struct smb_call *smb_call_for(struct netfs_be *be, struct netfs_op *op, smb_step_fn *body)
{
	struct smb_call *call = smb_call_new(smb_conn_of(be), op, body);

	if (!call)
		op->done(op, -ENOMEM);
	return call;
}

static void park_locked(struct smb_call *call, struct netfs_list *list)
{
	netfs_assert(!call->parked);
	call->parked = true;
	netfs_list_push_back(list, &call->park);
	if (call->deadline_ns)
		netfs_task_post(&call->conn->task);
}

void smb_call_park_locked(struct smb_call *call, struct netfs_list *list)
{
	netfs_assert_held(&call->conn->lock);
	park_locked(call, list);
}

/* May it run now?  0, or why it ends; parks it where it has to wait. */
static int admit(struct smb_call *call, bool *ret_parked)
{
	struct smb_conn *conn = call->conn;
	int err = 0;

	*ret_parked = false;
	netfs_mutex_lock(&conn->lock);
	call->err = 0;
	call->stale = true;
	call->moves = conn->moves;
	/* What may be open at the server is asked for first, to be closed. */
	if (call->cancelled && !(call->replay && conn->state == SMB_READY)) {
		err = -EINTR;
	} else if (conn->state == SMB_GONE || (conn->closing && call->op)) {
		err = -ENOTCONN;
	} else if (conn->state != SMB_READY) {
		*ret_parked = true;
		park_locked(call, &conn->parked);
	}
	netfs_mutex_unlock(&conn->lock);
	return err;
}

void smb_call_start(struct smb_call *call)
{
	bool parked;
	int err = admit(call, &parked);

	if (parked)
		return;
	if (err)
		smb_call_end(call, err);
	else if (!call->handle || smb_handle_ready(call))
		call->body(call);
}

void smb_call_unpark_locked(struct netfs_list *from, struct netfs_list *to)
{
	struct netfs_list *link;

	netfs_list_splice_back(to, from);
	netfs_list_for_each (link, to)
		netfs_container_of(link, struct smb_call, park)->parked = false;
}

void smb_call_start_all(struct netfs_list *list)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(list)))
		smb_call_start(netfs_container_of(link, struct smb_call, park));
}

/* --------------------------------------------------------------- end */

static void end(struct smb_call *call, int err, size_t moved, unsigned flags)
{
	struct smb_conn *conn = call->conn;
	struct netfs_slice *slice = call->slice;
	struct netfs_op *op = call->op;

	call->err = err;
	if (call->end)
		call->end(call);
	smb_req_reset(&call->req);
	smb_parent_forget(call);
	netfs_free(call->req.head);
	netfs_free(call->buf);
	netfs_free(call->new_name);
	if (call->routed)
		netfs_handle_put(&call->routed->base);
	netfs_mutex_lock(&conn->lock);
	netfs_list_remove(&call->all);
	if (conn->closing)
		netfs_task_post(&conn->task);
	netfs_mutex_unlock(&conn->lock);
	netfs_free(call);
	if (slice)
		slice->done(slice, moved, err, flags);
	else if (op)
		op->done(op, err);
}

static void wait_locked(struct smb_call *call)
{
	call->restarts++;
	park_locked(call, &call->conn->waiting);
}

bool smb_call_wait_for_closes(struct smb_call *call)
{
	struct smb_conn *conn = call->conn;
	bool wait;

	netfs_mutex_lock(&conn->lock);
	wait = conn->closes > 0 && !call->cancelled && call->restarts < SMB_RESTARTS_MAX;
	if (wait)
		wait_locked(call);
	netfs_mutex_unlock(&conn->lock);
	return wait;
}

/* Where the server has a new name already and we do not know it yet, for its answer is
 * late or was lost, there is nothing to be found before that is over. */
static bool wait_for_moves(struct smb_call *call)
{
	struct smb_conn *conn = call->conn;
	bool wait;

	netfs_mutex_lock(&conn->lock);
	wait = conn->moving > 0 && !call->new_name && !call->cancelled &&
	       call->restarts < SMB_RESTARTS_MAX;
	if (wait)
		wait_locked(call);
	netfs_mutex_unlock(&conn->lock);
	return wait;
}

/* Names moved while it ran: try again? */
static bool run_again(struct smb_call *call, int err)
{
	struct smb_conn *conn = call->conn;
	bool again;

	if (err != -ENOENT && err != -ESTALE && err != -ENOTDIR)
		return false;
	if (wait_for_moves(call))
		return true;
	netfs_mutex_lock(&conn->lock);
	again = call->moves != conn->moves && call->restarts < SMB_RESTARTS_MAX;
	netfs_mutex_unlock(&conn->lock);
	/* What was found missing is the name that the file had then. */
	if (!again && !call->name && call->node[0])
		again = smb_node_doubt(call->node[0]);
	if (!again && call->opening && !call->node[0])
		again = smb_node_doubt(call->opening->node);
	if (!again)
		return false;
	call->restarts++;
	netfs_free(netfs_take(call->buf));
	smb_call_start(call);
	return true;
}

void smb_call_end(struct smb_call *call, int err)
{
	if (err && run_again(call, err))
		return;
	end(call, err, 0, 0);
}

void smb_call_slice_end(struct smb_call *call, size_t moved, int err, unsigned flags)
{
	end(call, err, moved, flags);
}

/* -------------------------------------------------------------- send */

static bool session_is_over(uint32_t status)
{
	return status == SMB_STATUS_NETWORK_SESSION_EXPIRED ||
	       status == SMB_STATUS_USER_SESSION_DELETED ||
	       status == SMB_STATUS_NETWORK_NAME_DELETED;
}

/* It may have opened something: asked for again by the same identifier that is told, and
 * nothing is opened twice (3.2.4.3, 3.3.5.9.10). */
static void replay_create(struct smb_call *call)
{
	if (!call->req.sent || call->req.part[0].command != SMB_CREATE || !call->opens)
		return;
	if (call->reclaim)
		call->claim_lost = true;
	else if (call->guided)
		call->replay = true;
}

/* What it was answered with is gone already: Samba closes what an earlier channel opened
 * when it finds that channel lost. */
static bool replay_is_closed(const struct smb_call *call)
{
	for (uint32_t i = 1; i < call->req.nparts; i++)
		if (call->req.part[i].status == SMB_STATUS_FILE_CLOSED)
			return true;
	return false;
}

/* Is it to be asked once more: as if for the first time, where the server gives what it
 * opened to nobody, or the same, where it cannot say now? */
static bool replay_refused(struct smb_call *call)
{
	uint32_t status = call->req.part[0].status;
	int err = smb_status_errno(status);

	if (!call->replay || call->req.part[0].command != SMB_CREATE)
		return false;
	if ((err == -EIO || err == -EAGAIN || err == -ENOSPC || err == -EDQUOT) &&
	    call->restarts++ < SMB_RESTARTS_MAX)
		return true;
	call->replay = false;
	return replay_is_closed(call) || status == SMB_STATUS_DUPLICATE_OBJECTID ||
	       status == SMB_STATUS_ACCESS_DENIED || status == SMB_STATUS_INVALID_PARAMETER;
}

/* Its request is lost, and may have been executed, or may yet be: what is changed
 * through its handle from now on says so, and the server holds it back until it is
 * done with that (3.3.5.2.10). */
static void note_lost(struct smb_call *call)
{
	bool changes = call->slice ? call->slice->kind == NETFS_SLICE_WRITE : call->changing;

	if (!call->handle || !call->req.sent || !changes)
		return;
	netfs_mutex_lock(&call->conn->lock);
	call->handle->replay = true;
	netfs_mutex_unlock(&call->conn->lock);
}

static void restart(struct smb_call *call)
{
	if (call->changing && call->req.sent)
		call->resent = true;
	call->changing = false;
	netfs_free(netfs_take(call->buf));
	smb_call_start(call);
}

/* The session is there still, by other channels. */
static bool goes_on(struct smb_call *call)
{
	struct smb_conn *conn = call->conn;
	bool on;

	netfs_mutex_lock(&conn->lock);
	on = conn->state == SMB_READY && call->handle && call->handle->session == conn->session &&
	     call->restarts < SMB_RESTARTS_MAX;
	netfs_mutex_unlock(&conn->lock);
	if (on)
		call->restarts++;
	return on;
}

/* Without a session a slice is offered again by the engine, which may have other plans by
 * then. */
static void lost(struct smb_call *call)
{
	note_lost(call);
	replay_create(call);
	if (call->slice && call->cancelled)
		end(call, -EINTR, 0, 0);
	else if (call->slice && goes_on(call))
		smb_call_start(call);
	else if (call->slice)
		end(call, -ECONNRESET, 0, NETFS_SLICE_RETRY);
	else
		restart(call);
}

/* The path leads to another file than the one the lease is of (3.3.5.9.11). */
static bool lease_refused(const struct smb_call *call)
{
	const struct smb_part *part = &call->req.part[0];

	return call->lease_want && !call->no_lease && !call->reclaim &&
	       part->command == SMB_CREATE && part->status == SMB_STATUS_INVALID_PARAMETER;
}

static bool refused_for_now(const struct smb_req *req)
{
	for (uint32_t i = 0; i < req->nparts; i++)
		if (req->part[i].status == SMB_STATUS_FILE_NOT_AVAILABLE)
			return true;
	return false;
}

/* The server does not do it while it may be at what was sent by a channel that is lost;
 * or it was sent before that was, and came later.  Then it is tried again. */
static bool held_up(struct smb_call *call)
{
	struct smb_conn *conn = call->conn;
	bool wait;

	if (!refused_for_now(&call->req))
		return false;
	netfs_mutex_lock(&conn->lock);
	wait = !call->cancelled && ++call->held_up < SMB_HELD_UP_MAX;
	/* It never says what became of that: then the later sequence alone must do. */
	if (call->handle && call->held_up == SMB_HELD_UP_MAX / 2)
		call->handle->replay = false;
	if (wait) {
		if (netfs_list_empty(&conn->again))
			conn->again_ns = netfs_clock_now() + SMB_AGAIN_NS;
		park_locked(call, &conn->again);
		netfs_task_post(&conn->task);
	}
	netfs_mutex_unlock(&conn->lock);
	return wait;
}

uint64_t smb_call_again(struct smb_conn *conn, uint64_t now)
{
	struct netfs_list list;
	uint64_t next;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	next = netfs_list_empty(&conn->again) ? 0 : conn->again_ns;
	if (next && now >= next) {
		smb_call_unpark_locked(&conn->again, &list);
		next = 0;
	}
	netfs_mutex_unlock(&conn->lock);
	smb_call_start_all(&list);
	return next;
}

/* People would look for the fault on this machine. */
static void note_remote(struct smb_call *call)
{
	struct smb_conn *conn = call->conn;
	char text[384];
	bool noted;

	netfs_mutex_lock(&conn->lock);
	noted = conn->noted_remote;
	conn->noted_remote = true;
	netfs_mutex_unlock(&conn->lock);
	if (noted || !conn->host || !conn->host->note)
		return;
	snprintf(text, sizeof(text),
		 "%.255s leads to another server (DFS), which is not followed; mount the share it "
		 "leads to",
		 call->name ? call->name : "a name");
	conn->host->note(conn->host, text);
}

void smb_call_answered(struct smb_call *call, enum smb_end how)
{
	struct smb_req *req = &call->req;

	if (how == SMB_LOST) {
		lost(call);
		return;
	}
	call->err = 0;
	for (uint32_t i = 0; i < req->nparts; i++) {
		int err = smb_status_errno(req->part[i].status);

		if (session_is_over(req->part[i].status)) {
			smb_channel_fault(req->chan, -ECONNRESET, "the session with %s is over: %s",
					  call->conn->be.address,
					  smb_status_name(req->part[i].status));
			call->changing = false;
			smb_conn_over(req->chan);
			lost(call);
			return;
		}
		if (err && !call->err && !req->part[i].aside) {
			call->err = err;
			call->failed = i;
		}
		if (err == -EREMOTE)
			note_remote(call);
	}
	if (held_up(call))
		return;
	if (replay_refused(call)) {
		smb_call_start(call);
		return;
	}
	if (lease_refused(call)) {
		call->no_lease = true;
		smb_call_start(call);
		return;
	}
	if (smb_owner_refused(call)) {
		smb_call_start(call);
		return;
	}
	if (call->err == -ECANCELED)
		call->err = -EINTR;
	call->changing = false;
	call->stale = true;
	call->next(call);
}

static void replied(struct smb_req *req, enum smb_end how)
{
	struct smb_call *call = netfs_container_of(req, struct smb_call, req);

	if (!smb_parent_awaited(call, how))
		smb_call_answered(call, how);
}

static bool send_it(struct smb_call *call)
{
	struct smb_req *other;
	bool *ret_sent;

	if (!call->also)
		return smb_req_send_any(call->conn, &call->req);
	other = smb_parent_req(call, &ret_sent);
	return smb_req_send_both(call->conn, &call->req, other, ret_sent);
}

void smb_call_send(struct smb_call *call, smb_step_fn *next)
{
	call->next = next;
	call->req.done = replied;
	if (!send_it(call))
		lost(call);
}

static bool is_replay(struct smb_call *call, const struct smb_msg *msg)
{
	bool replay;

	if (!call->handle ||
	    (msg->kind != SMB_REQUEST(SMB_WRITE) && msg->kind != SMB_REQUEST(SMB_SET_INFO) &&
	     msg->kind != SMB_REQUEST(SMB_IOCTL)))
		return false;
	netfs_mutex_lock(&call->conn->lock);
	replay = call->handle->replay;
	netfs_mutex_unlock(&call->conn->lock);
	return replay;
}

bool smb_call_add(struct smb_call *call, const struct smb_msg *msg, size_t payload)
{
	struct smb_msg copy = *msg;
	int err;

	if (call->stale)
		smb_req_reset(&call->req);
	call->stale = false;
	if (is_replay(call, msg))
		copy.hdr.flags |= SMB_FLAG_REPLAY;
	err = smb_req_add(&call->req, &copy, smb_charge(payload));
	if (err)
		smb_call_end(call, err);
	return !err;
}

/* What a CREATE says beside itself: the lease, and that the handle is to outlive the
 * connection, or did. */
static void put_contexts(struct smb_call *call, struct smb_msg *msg, uint8_t *bytes, size_t size)
{
	struct smb_create_contexts contexts = {.has = call->lease_want ? SMB_CTX_LEASE_V2 : 0};
	ssize_t len;

	if (!call->lease_want && !(call->opens && call->guided))
		return;
	contexts.lease.key = call->lease_key;
	contexts.lease.state = call->lease_want;
	contexts.lease.epoch = call->lease_epoch;
	if (call->opens && call->guided) {
		contexts.has |= SMB_CTX_DURABLE;
		contexts.durable.create_guid = call->create_guid;
		if (call->replay)
			msg->hdr.flags |= SMB_FLAG_REPLAY;
	}
	if (call->opens && call->reclaim) {
		contexts.has |= SMB_CTX_RECONNECT;
		contexts.reconnect.create_guid = call->create_guid;
		contexts.reconnect.fid = call->opening->fid;
	}
	len = smb_create_contexts_encode(&contexts, false, bytes, size);
	netfs_assert(len > 0);
	if (call->lease_want)
		msg->create_req.oplock_level = SMB_OPLOCK_LEASE;
	msg->create_req.contexts = (struct smb_buf){bytes, (uint32_t)len, 0};
}

bool smb_call_add_create(struct smb_call *call, struct smb_node *node, const char *name,
			 struct smb_msg *msg)
{
	int err = smb_node_path(call->conn, node, name, &msg->create_req.name);
	uint8_t contexts[256];
	bool added;

	if (err) {
		smb_call_end(call, err);
		return false;
	}
	smb_lease_carry(call, node, name, msg);
	put_contexts(call, msg, contexts, sizeof(contexts));
	msg->kind = SMB_REQUEST(SMB_CREATE);
	msg->create_req.impersonation = SMB_IMPERSONATION;
	msg->create_req.share_access = SMB_SHARE_ALL;
	added = smb_call_add(call, msg, 0);
	netfs_free((void *)(uintptr_t)msg->create_req.name.p);
	return added;
}

bool smb_call_add_query(struct smb_call *call, struct smb_fid fid)
{
	return smb_call_add(call,
			    &(const struct smb_msg){.kind = SMB_REQUEST(SMB_QUERY_INFO),
						    .query_info_req = {.info_type = SMB_INFO_FILE,
								       .info_class = SMB_FILE_ALL,
								       .max_output = 65536,
								       .fid = fid}},
			    65536);
}

bool smb_call_add_set(struct smb_call *call, uint8_t info_class, const union smb_info *info)
{
	uint8_t bytes[64];
	ssize_t len = smb_info_encode(SMB_INFO_FILE, info_class, info, bytes, sizeof(bytes));
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_SET_INFO),
			      .set_info_req = {.info_type = SMB_INFO_FILE,
					       .info_class = info_class,
					       .input = {bytes, (uint32_t)len, 0},
					       .fid = SMB_FID_RELATED}};

	netfs_assert(len > 0);
	return smb_call_add(call, &msg, 0);
}

bool smb_call_add_close(struct smb_call *call)
{
	return smb_call_add(call,
			    &(const struct smb_msg){.kind = SMB_REQUEST(SMB_CLOSE),
						    .close_req = {.fid = SMB_FID_RELATED}},
			    0);
}

int smb_call_all(const struct smb_call *call, unsigned i, union smb_info *ret_info)
{
	const struct smb_msg *reply = &call->req.part[i].reply;

	if (reply->kind != SMB_REPLY(SMB_QUERY_INFO))
		return -EPROTO;
	return smb_info_decode(SMB_INFO_FILE, SMB_FILE_ALL, reply->query_info_rep.output.p,
			       reply->query_info_rep.output.len, ret_info);
}

/* ------------------------------------------------------ cancel, time */

/* Ends the call if it is waiting; asks the server where it has it. */
static void cancel_locked(struct smb_call *call, struct netfs_list *list)
{
	call->cancelled = true;
	if (call->parked) {
		netfs_list_remove(&call->park);
		call->parked = false;
		netfs_list_push_back(list, &call->park);
	} else if (smb_req_cancel_locked(call->conn, &call->req)) {
		netfs_list_push_back(list, &call->park);
	}
}

void smb_call_end_all(struct netfs_list *list, int err)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(list))) {
		struct smb_call *call = netfs_container_of(link, struct smb_call, park);

		end(call, err, 0, 0);
	}
}

void smb_call_cancel_locked(struct smb_call *call, struct netfs_list *list,
			    struct smb_channel **ret_chan)
{
	netfs_assert_held(&call->conn->lock);
	*ret_chan = call->req.chan;
	cancel_locked(call, list);
}

static void cancel(struct smb_conn *conn, const struct netfs_op *op,
		   const struct netfs_slice *slice)
{
	struct smb_channel *chan = NULL;
	struct netfs_list list, *link;

	netfs_list_init(&list);
	smb_conn_enter(conn);
	netfs_mutex_lock(&conn->lock);
	netfs_list_for_each (link, &conn->calls) {
		struct smb_call *call = netfs_container_of(link, struct smb_call, all);

		if ((op && call->op == op) || (slice && call->slice == slice)) {
			chan = call->req.chan;
			cancel_locked(call, &list);
			break;
		}
	}
	netfs_mutex_unlock(&conn->lock);
	smb_call_end_all(&list, -EINTR);
	if (chan)
		smb_send(chan);
	smb_conn_leave(conn);
}

void smb_call_cancel_op(struct netfs_be *be, struct netfs_op *op)
{
	cancel(smb_conn_of(be), op, NULL);
}

void smb_call_cancel_slice(struct netfs_be *be, struct netfs_slice *slice)
{
	cancel(smb_conn_of(be), NULL, slice);
}

uint64_t smb_call_expire(struct smb_conn *conn, uint64_t now)
{
	struct netfs_list list, *link, *tmp;
	uint64_t next = 0;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	netfs_list_for_each_safe (link, tmp, &conn->parked) {
		struct smb_call *call = netfs_container_of(link, struct smb_call, park);

		if (!call->deadline_ns)
			continue;
		if (now >= call->deadline_ns) {
			netfs_list_remove(&call->park);
			call->parked = false;
			netfs_list_push_back(&list, &call->park);
		} else if (!next || call->deadline_ns < next) {
			next = call->deadline_ns;
		}
	}
	netfs_mutex_unlock(&conn->lock);
	smb_call_end_all(&list, -ETIMEDOUT);
	return next;
}

void smb_call_fail_parked(struct smb_conn *conn, int err)
{
	struct netfs_list list;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	smb_call_unpark_locked(&conn->parked, &list);
	smb_call_unpark_locked(&conn->again, &list);
	netfs_mutex_unlock(&conn->lock);
	smb_call_end_all(&list, err);
}
