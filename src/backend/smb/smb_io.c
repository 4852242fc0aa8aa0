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

void smb_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	struct smb_call *call;

	/* Servers want the right to write for it, and without it there is nothing
	 * of ours to flush. */
	if (!handle->writable) {
		op->done(op, 0);
		return;
	}
	call = smb_call_for(handle->be, op, fsync_body);
	if (!call)
		return;
	call->handle = smb_handle_of(handle);
	smb_call_start(call);
}
