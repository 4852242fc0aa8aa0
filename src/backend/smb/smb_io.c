// SPDX-License-Identifier: MIT
/*
 * Data: slices of files, as large as credits and the server allow.
 *
 * While the connection stands a slice takes what credits pay for now, and comes
 * back when there are more.  While it does not, a slice waits as a call, so that
 * the engine's requests have somewhere to be.
 */
#include <string.h>
#include "smb.h"

/* How much of a slice to take; 0: come back later.  ret_routed: through which other
 * handle, a reference, or NULL. */
static size_t room_for(struct smb_conn *conn, struct smb_handle *handle,
		       const struct netfs_slice *slice, struct smb_handle **ret_routed)
{
	size_t room, want = slice->len;

	netfs_mutex_lock(&conn->lock);
	*ret_routed = smb_lock_route_locked(handle, slice->start, slice->kind == NETFS_SLICE_WRITE,
					    &want);
	if (*ret_routed)
		handle = *ret_routed;
	room = want < conn->max_io ? want : conn->max_io;
	if (conn->state == SMB_READY && handle->session == conn->session) {
		room = smb_credits_slice_locked(conn, want);
		if (room == 0)
			conn->starved = true;
	}
	netfs_mutex_unlock(&conn->lock);
	return room;
}

static ssize_t start(struct netfs_handle *base, struct netfs_slice *slice, smb_step_fn *body)
{
	struct smb_handle *handle = smb_handle_of(base);
	struct smb_conn *conn = smb_conn_of(base->be);
	struct smb_handle *routed;
	size_t room = room_for(conn, handle, slice, &routed);
	struct smb_call *call = room ? smb_call_new(conn, NULL, body) : NULL;

	if (!call) {
		if (routed)
			netfs_handle_put(&routed->base);
		return room ? -ENOMEM : -EAGAIN;
	}
	if (room < slice->len)
		netfs_slice_trim(slice, room);
	call->slice = slice;
	call->handle = routed ? routed : handle;
	call->routed = routed;
	smb_call_start(call);
	return (ssize_t)room;
}

static bool may_heal(uint32_t status)
{
	return status == SMB_STATUS_INSUFFICIENT_RESOURCES || status == SMB_STATUS_IO_TIMEOUT ||
	       status == SMB_STATUS_REQUEST_NOT_ACCEPTED;
}

/* One that waited for a connection may want more at once than the new one's server
 * ever allows: it is offered again, and made shorter then. */
static bool reaches(struct smb_call *call)
{
	if (smb_credits_reach(call->conn, call->slice->len) >= call->slice->len)
		return true;
	smb_call_slice_end(call, 0, -ECONNRESET, NETFS_SLICE_RETRY);
	return false;
}

/* -------------------------------------------------------------- read */

static void read_done(struct smb_call *call)
{
	const struct smb_part *part = &call->req.part[0];
	size_t got = call->req.got, len = call->slice->len;

	if (part->status == SMB_STATUS_END_OF_FILE)
		smb_call_slice_end(call, 0, 0, NETFS_SLICE_EOF);
	else if (call->err)
		smb_call_slice_end(call, 0, call->err,
				   may_heal(part->status) ? NETFS_SLICE_RETRY : 0);
	else
		smb_call_slice_end(call, got, 0, got < len ? NETFS_SLICE_EOF : 0);
}

static void read_body(struct smb_call *call)
{
	struct netfs_slice *slice = call->slice;
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_READ),
			      .read_req = {.length = (uint32_t)slice->len,
					   .offset = slice->start,
					   .fid = call->handle->fid}};

	if (!reaches(call) || !smb_call_add(call, &msg, slice->len))
		return;
	call->req.into = slice->iov;
	call->req.ninto = slice->niov;
	call->req.into_len = slice->len;
	smb_call_send(call, read_done);
}

ssize_t smb_read(struct netfs_handle *handle, struct netfs_slice *slice)
{
	size_t len = slice->len;

	if (smb_head_serve(smb_handle_of(handle), slice))
		return (ssize_t)len;
	return start(handle, slice, read_body);
}

/* ------------------------------------------------------------- write */

static void write_done(struct smb_call *call)
{
	const struct smb_part *part = &call->req.part[0];
	size_t len = call->slice->len;

	if (!call->err &&
	    (part->reply.kind != SMB_REPLY(SMB_WRITE) || part->reply.write_rep.count > len))
		call->err = -EPROTO;
	if (call->err)
		smb_call_slice_end(call, 0, call->err,
				   may_heal(part->status) ? NETFS_SLICE_RETRY : 0);
	else
		smb_call_slice_end(call, part->reply.write_rep.count, 0, 0);
}

static void write_body(struct smb_call *call)
{
	struct netfs_slice *slice = call->slice;
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_WRITE),
			      .write_req = {.data = {NULL, (uint32_t)slice->len, 0},
					    .offset = slice->start,
					    .fid = call->handle->fid}};

	if (!reaches(call) || !smb_call_add(call, &msg, slice->len))
		return;
	call->req.data = slice->iov;
	call->req.ndata = slice->niov;
	smb_call_send(call, write_done);
}

ssize_t smb_write(struct netfs_handle *handle, struct netfs_slice *slice)
{
	smb_head_outdate(smb_handle_of(handle)->node);
	return start(handle, slice, write_body);
}

/* ------------------------------------------------------------- fsync */

static void plain_done(struct smb_call *call)
{
	smb_call_end(call, call->err);
}

static void fsync_body(struct smb_call *call)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_FLUSH),
			      .flush_req = {.fid = call->handle->fid}};

	if (smb_call_add(call, &msg, 0))
		smb_call_send(call, plain_done);
}

/* What we may not write has nothing of ours to be flushed. */
static void named_done(struct smb_call *call)
{
	union smb_info info;
	int err = call->err;

	if (!err)
		err = smb_call_all(call, 1, &info);
	if (!err && !smb_node_is(call->node[0], &info.all, false))
		err = -ESTALE;
	if (err == -EACCES || err == -EPERM || err == -EROFS)
		err = 0;
	smb_call_end(call, err);
}

static void named_body(struct smb_call *call)
{
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_WRITE_DATA | SMB_ACCESS_READ_ATTRIBUTES,
			       .options = SMB_OPT_NON_DIRECTORY,
			       .disposition = SMB_OPEN}};
	struct smb_msg flush = {.kind = SMB_REQUEST(SMB_FLUSH),
				.flush_req = {.fid = SMB_FID_RELATED}};

	if (smb_call_add_create(call, call->node[0], NULL, &msg) &&
	    smb_call_add_query(call, SMB_FID_RELATED) && smb_call_add(call, &flush, 0) &&
	    smb_call_add_close(call))
		smb_call_send(call, named_done);
}

/* The handle, or another one of its file through which the server flushes: it wants
 * the right to write for that.  With a reference; NULL: there is none. */
static struct smb_handle *flushes_locked(struct smb_conn *conn, struct smb_handle *handle)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &conn->handles) {
		struct smb_handle *other = netfs_container_of(link, struct smb_handle, link);
		uint32_t refs = atomic_load(&other->base.refs);

		if (other->node != handle->node || !other->base.writable || other->err ||
		    other->session != conn->session)
			continue;
		while (refs > 0)
			if (atomic_compare_exchange_weak(&other->base.refs, &refs, refs + 1))
				return other;
	}
	return NULL;
}

/* Through a handle for reading others' data is flushed too: what was written to the
 * file through other handles, and sent. */
static void fsync_other(struct smb_handle *handle, struct netfs_op *op)
{
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	struct smb_handle *other;
	struct smb_call *call;

	netfs_mutex_lock(&conn->lock);
	other = flushes_locked(conn, handle);
	netfs_mutex_unlock(&conn->lock);
	call = smb_call_for(&conn->be, op, other ? fsync_body : named_body);
	if (!call) {
		if (other)
			netfs_handle_put(&other->base);
		return;
	}
	call->handle = call->routed = other;
	call->node[0] = other ? NULL : handle->node;
	smb_call_start(call);
}

void smb_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	struct smb_call *call;

	if (smb_handle_of(handle)->node->is_dir) {
		op->done(op, 0);
		return;
	}
	if (!handle->writable) {
		fsync_other(smb_handle_of(handle), op);
		return;
	}
	call = smb_call_for(handle->be, op, fsync_body);
	if (!call)
		return;
	call->handle = smb_handle_of(handle);
	smb_call_start(call);
}
