// SPDX-License-Identifier: MIT
/*
 * Open files.
 *
 * A handle is good in the session it was opened in.  A call that finds it from an
 * earlier one opens it again by the path it has now and checks the file's id; others
 * that need it meanwhile wait for that.  What is found to be another file, or to be
 * gone, makes the handle fail with -ESTALE.
 *
 * A server that granted a durable handle (MS-SMB2 3.2.4.4) keeps it for a while, with
 * its lease: it is claimed as soon as there is a session again, by its create guid,
 * and is then the same file, whatever happened to its name.  Only if that is refused
 * it is opened again.
 *
 * Locks: conn->lock.
 */
#include <string.h>
#include "smb.h"

struct smb_handle *smb_handle_new(struct smb_conn *conn, struct smb_node *node, uint32_t access,
				  uint32_t options)
{
	struct smb_handle *handle = netfs_zalloc(sizeof(*handle));

	if (!handle)
		return NULL;
	atomic_init(&handle->base.refs, 1);
	handle->base.be = &conn->be;
	handle->node = smb_node_of(netfs_node_get(&node->base));
	handle->access = access;
	handle->options = options;
	netfs_list_init(&handle->waiting);
	netfs_list_init(&handle->link);
	netfs_list_init(&handle->idle_link);
	netfs_mutex_lock(&conn->lock);
	netfs_list_push_back(&conn->handles, &handle->link);
	node->handles++;
	netfs_mutex_unlock(&conn->lock);
	return handle;
}

struct smb_handle *smb_handle_reading(struct smb_conn *conn, struct smb_node *node)
{
	struct smb_handle *handle = smb_handle_new(conn, node, SMB_READING, SMB_OPT_NON_DIRECTORY);

	if (handle)
		handle->base.readable = true;
	return handle;
}

uint32_t smb_handle_opened(struct smb_handle *handle, const struct smb_call *call,
			   const struct smb_msg *reply)
{
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	struct smb_create_contexts contexts;
	uint32_t promise = 0;

	/* A server that answers nonsense here has at least opened the file. */
	if (smb_create_contexts_decode(&reply->create_rep.contexts, true, &contexts))
		contexts.has = 0;
	netfs_mutex_lock(&conn->lock);
	handle->fid = reply->create_rep.fid;
	handle->session = conn->session;
	if (!call->reclaim) {
		handle->replay = false;
		handle->durable = contexts.has & SMB_CTX_DURABLE;
		handle->create_guid = call->create_guid;
	}
	if (call->lease_want)
		promise = smb_lease_opened_locked(handle, call, &contexts);
	netfs_mutex_unlock(&conn->lock);
	return promise;
}

void smb_handle_dies_locked(struct smb_handle *handle, int err)
{
	handle->err = err;
	atomic_store(&handle->base.dead, true);
}

/* ------------------------------------------------------------- close */

static void handle_done(struct smb_handle *handle)
{
	netfs_free(handle->listing.bytes);
	netfs_free(handle->head.bytes);
	netfs_free(handle->held);
	netfs_node_put(&handle->node->base);
	netfs_free(handle);
}

void smb_handle_close_over(struct smb_conn *conn)
{
	struct netfs_list list;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	conn->closes--;
	smb_call_unpark_locked(&conn->waiting, &list);
	netfs_mutex_unlock(&conn->lock);
	smb_call_start_all(&list);
}

static void closed(struct smb_call *call)
{
	netfs_mutex_lock(&call->conn->lock);
	netfs_list_remove(&call->opening->link);
	netfs_mutex_unlock(&call->conn->lock);
	handle_done(call->opening);
	smb_handle_close_over(call->conn);
}

static void close_replied(struct smb_call *call)
{
	smb_call_end(call, 0);
}

/* The server keeps it though the session is over: it is claimed and closed. */
static void close_kept(struct smb_call *call)
{
	struct smb_handle *handle = call->opening;
	struct smb_msg msg = {.create_req = {.access = handle->access,
					     .options = handle->options,
					     .disposition = SMB_OPEN}};

	call->reclaim = true;
	call->create_guid = handle->create_guid;
	smb_lease_want(call, handle->node, handle->access);
	if (smb_call_add_create(call, handle->node, NULL, &msg) && smb_call_add_close(call))
		smb_call_send(call, close_replied);
}

/* A session that is over took its handles with it. */
static void close_body(struct smb_call *call)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_CLOSE)};
	bool open, kept;

	netfs_mutex_lock(&call->conn->lock);
	open = call->opening->session == call->conn->session;
	kept = call->opening->durable && call->conn->leases_on;
	msg.close_req.fid = call->opening->fid;
	netfs_mutex_unlock(&call->conn->lock);
	call->req.urgent = true;
	if (!open && kept)
		close_kept(call);
	else if (!open)
		smb_call_end(call, 0);
	else if (smb_call_add(call, &msg, 0))
		smb_call_send(call, close_replied);
}

void smb_handle_free(struct netfs_handle *base)
{
	struct smb_handle *handle = smb_handle_of(base);

	smb_head_drop(handle);
	if (!smb_idle_keep(handle))
		smb_handle_close(handle);
}

void smb_handle_close(struct smb_handle *handle)
{
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	struct smb_call *call = NULL;

	netfs_assert(netfs_list_empty(&handle->waiting));
	netfs_mutex_lock(&conn->lock);
	smb_lease_closed_locked(handle);
	netfs_list_remove(&handle->link);
	handle->node->handles--;
	handle->node->locked -= handle->nheld;
	handle->nheld = 0;
	netfs_mutex_unlock(&conn->lock);
	if (handle->session)
		call = smb_call_new(conn, NULL, close_body);
	if (!call) {
		/* The server closes it with the session. */
		handle_done(handle);
		return;
	}
	call->opening = handle;
	call->end = closed;
	netfs_mutex_lock(&conn->lock);
	netfs_list_push_back(&conn->going, &handle->link);
	conn->closes++;
	netfs_mutex_unlock(&conn->lock);
	smb_call_start(call);
}

static void stray_body(struct smb_call *call)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_CLOSE), .close_req = {.fid = call->stray}};
	bool over;

	netfs_mutex_lock(&call->conn->lock);
	over = call->conn->session != call->cookie;
	netfs_mutex_unlock(&call->conn->lock);
	call->req.urgent = true;
	if (over)
		smb_call_end(call, 0);
	else if (smb_call_add(call, &msg, 0))
		smb_call_send(call, close_replied);
}

static void stray_closed(struct smb_call *call)
{
	smb_handle_close_over(call->conn);
}

static void close_fid(struct smb_conn *conn, struct smb_fid fid)
{
	struct smb_call *close = smb_call_new(conn, NULL, stray_body);

	if (!close)
		return;
	close->stray = fid;
	close->end = stray_closed;
	netfs_mutex_lock(&conn->lock);
	close->cookie = conn->session;
	conn->closes++;
	netfs_mutex_unlock(&conn->lock);
	smb_call_start(close);
}

void smb_handle_close_stray(const struct smb_call *call)
{
	const struct smb_part *part = &call->req.part[0];

	if (part->status == SMB_STATUS_OK && part->reply.kind == SMB_REPLY(SMB_CREATE))
		close_fid(call->conn, part->reply.create_rep.fid);
}

void smb_handle_shut(struct smb_handle *handle)
{
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	struct smb_fid fid;
	bool open;

	netfs_mutex_lock(&conn->lock);
	open = handle->session == conn->session;
	fid = handle->fid;
	handle->session = 0;
	smb_handle_dies_locked(handle, -ESTALE);
	netfs_mutex_unlock(&conn->lock);
	if (open)
		close_fid(conn, fid);
}

/* ------------------------------------------------------------ reopen */

static void fail_call(struct smb_call *call, int err)
{
	if (call->slice)
		smb_call_slice_end(call, 0, err, 0);
	else
		smb_call_end(call, err);
}

/* Is the file gone for this handle, whatever is tried?  Other errors may pass: those who
 * waited are told, and the next one tries again. */
static bool is_for_good(int err)
{
	return err == -ESTALE || err == -ENOTDIR || err == -EISDIR || err == -EACCES ||
	       err == -EPERM;
}

/* Those who waited go on, or fail. */
static void reopen_over(struct smb_conn *conn, struct smb_handle *handle, int err)
{
	struct netfs_list list, *link;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	handle->reopening = false;
	if (is_for_good(err))
		smb_handle_dies_locked(handle, err);
	smb_call_unpark_locked(&handle->waiting, &list);
	netfs_mutex_unlock(&conn->lock);
	if (!err || err == -EINTR || err == -ENOTCONN) {
		smb_call_start_all(&list);
		return;
	}
	while ((link = netfs_list_pop_front(&list)))
		fail_call(netfs_container_of(link, struct smb_call, park), err);
}

static void reopen_ended(struct smb_call *call)
{
	reopen_over(call->conn, call->opening, call->err == -ENOENT ? -ESTALE : call->err);
	netfs_handle_put(&call->opening->base);
}

static void reopened(struct smb_call *call)
{
	struct smb_handle *handle = call->opening;
	const struct smb_msg *reply = &call->req.part[0].reply;
	union smb_info info;
	int err = call->err;
	bool same, before = handle->session;

	if (!err && reply->kind != SMB_REPLY(SMB_CREATE))
		err = -EPROTO;
	if (!err)
		err = smb_call_all(call, 1, &info);
	if (!err && !handle->node->is_root && !smb_node_is(handle->node, &info.all, before))
		err = -ESTALE;
	if (err)
		smb_handle_close_stray(call);
	if (err && call->reclaim) {
		call->reclaim = false;
		/* What is claimed already is not claimed again, but found by its identifier. */
		call->replay = call->guided = call->claim_lost;
		smb_call_start(call);
		return;
	}
	if (err) {
		smb_call_end(call, err);
		return;
	}
	same = handle->fid.persistent == reply->create_rep.fid.persistent;
	smb_handle_opened(handle, call, reply);
	if (call->reclaim || (call->claim_lost && same))
		smb_call_end(call, 0);
	else
		smb_lock_again(call);
}

/* It was opened, and the channel was lost while its locks were taken again: nobody knows
 * which are, so it begins anew.  True: it waits for that. */
static bool is_half_open(struct smb_call *call)
{
	struct smb_handle *handle = call->opening;
	struct smb_conn *conn = call->conn;
	struct smb_fid fid;
	bool half;

	netfs_mutex_lock(&conn->lock);
	half = handle->session == conn->session;
	fid = handle->fid;
	if (half)
		handle->session = 0;
	netfs_mutex_unlock(&conn->lock);
	if (half)
		close_fid(conn, fid);
	return half && smb_call_wait_for_closes(call);
}

static void reopen_body(struct smb_call *call)
{
	struct smb_handle *handle = call->opening;
	struct smb_msg msg = {.create_req = {.access = handle->access,
					     .options = handle->options,
					     .disposition = SMB_OPEN}};

	if (is_half_open(call))
		return;
	smb_lease_want(call, handle->node, handle->access);
	if (smb_call_add_create(call, handle->node, NULL, &msg) &&
	    smb_call_add_query(call, SMB_FID_RELATED))
		smb_call_send(call, reopened);
}

static void reopen(struct smb_conn *conn, struct smb_handle *handle)
{
	struct smb_call *call = smb_call_new(conn, NULL, reopen_body);

	if (!call) {
		reopen_over(conn, handle, -ENOMEM);
		return;
	}
	call->reclaim = handle->durable;
	call->create_guid = handle->create_guid;
	call->opening = smb_handle_of(netfs_handle_get(&handle->base));
	call->end = reopen_ended;
	smb_call_start(call);
}

bool smb_handle_is_open(struct smb_handle *handle)
{
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	bool open;

	netfs_mutex_lock(&conn->lock);
	open = handle->session;
	netfs_mutex_unlock(&conn->lock);
	return open;
}

bool smb_handle_ready(struct smb_call *call)
{
	struct smb_handle *handle = call->handle;
	struct smb_conn *conn = call->conn;
	bool ready = false, begin = false;
	int err;

	netfs_mutex_lock(&conn->lock);
	err = handle->err;
	/* While it is being opened again its locks may not be there yet. */
	if (!err && handle->session == conn->session && !handle->reopening) {
		ready = true;
	} else if (!err) {
		smb_call_park_locked(call, &handle->waiting);
		begin = !handle->reopening;
		handle->reopening = true;
	}
	netfs_mutex_unlock(&conn->lock);
	if (err)
		fail_call(call, err);
	else if (begin)
		reopen(conn, handle);
	return ready;
}

/* One that is to be claimed, with a reference; it counts as being opened again. */
static struct smb_handle *kept_locked(struct smb_conn *conn)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &conn->handles) {
		struct smb_handle *handle = netfs_container_of(link, struct smb_handle, link);
		uint32_t refs = atomic_load(&handle->base.refs);

		if (!handle->durable || handle->reopening || handle->err ||
		    handle->session == conn->session || handle->claimed == conn->session)
			continue;
		while (refs > 0) {
			if (!atomic_compare_exchange_weak(&handle->base.refs, &refs, refs + 1))
				continue;
			handle->reopening = true;
			handle->claimed = conn->session;
			return handle;
		}
	}
	return NULL;
}

void smb_handle_reclaim_all(struct smb_conn *conn)
{
	struct smb_handle *handle;

	do {
		netfs_mutex_lock(&conn->lock);
		handle = kept_locked(conn);
		netfs_mutex_unlock(&conn->lock);
		if (!handle)
			break;
		reopen(conn, handle);
		netfs_handle_put(&handle->base);
	} while (true);
}
