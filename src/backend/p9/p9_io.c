/* SPDX-License-Identifier: MIT */
/*
 * Slices: one Tread or Twrite each, its data straight from and to the memory
 * the engine named.
 *
 * A slice is as long as a message, the server's iounit and the caller allow.
 * A short answer completes the slice short; only a read of nothing means the
 * end of the file.  After a lost connection a slice is sent again as it was:
 * positional reads and writes may happen twice.
 *
 * At most P9_SLICES_MAX are in flight, which bounds what a slow server can make
 * us hold; a refused caller hears host->ready().
 */
#include "p9.h"

static void moved(struct p9_call *call)
{
	struct netfs_slice *slice = call->slice;
	bool is_read = slice->kind == NETFS_SLICE_READ;
	uint32_t count = 0;

	if (!call->err)
		count = is_read ? call->reply->rread.data.count : call->reply->rwrite.count;
	call->moved = count;
	if (!call->err && count == 0 && is_read)
		call->slice_flags = NETFS_SLICE_EOF;
	else if (!call->err && count == 0)
		call->err = -EIO; /* a server that writes nothing never will */
	p9_call_finish(call, call->err);
}

static void slice_body(struct p9_call *call)
{
	struct netfs_slice *slice = call->slice;
	struct p9_msg msg = {0};
	uint32_t count = (uint32_t)slice->len, max = p9_conn_room(call->conn);

	/* A server that came back may have a smaller msize than before. */
	if (count > max)
		count = max;
	call->req.count = count;
	call->next = moved;
	call->try = true;
	if (slice->kind == NETFS_SLICE_READ) {
		msg.type = P9_TREAD;
		msg.tread.fid = call->hfid->num;
		msg.tread.offset = slice->start;
		msg.tread.count = count;
		call->req.into = slice->iov;
		call->req.ninto = slice->niov;
		p9_call_send_data(call, &msg, NULL, 0);
		return;
	}
	msg.type = P9_TWRITE;
	msg.twrite.fid = call->hfid->num;
	msg.twrite.offset = slice->start;
	msg.twrite.data.count = count;
	if (count < slice->len)
		netfs_slice_trim(slice, count);
	p9_call_send_data(call, &msg, slice->iov, slice->niov);
}

/* One more in flight?  The longest slice there is room for, or an error. */
static ssize_t admit(struct p9_conn *conn, struct p9_handle *handle, size_t len)
{
	ssize_t max = 0;

	netfs_mutex_lock(&conn->lock);
	if (handle->err) {
		max = handle->err;
	} else if (conn->state == P9_GONE) {
		max = -ENOTCONN;
	} else if (atomic_load_explicit(&conn->slices, memory_order_relaxed) >= P9_SLICES_MAX) {
		conn->starved = true;
		max = -EAGAIN;
	} else {
		max = conn->msize - P9_IO_HEAD;
		if (handle->iounit > 0 && max > handle->iounit)
			max = handle->iounit;
		atomic_fetch_add_explicit(&conn->slices, 1, memory_order_relaxed);
	}
	netfs_mutex_unlock(&conn->lock);
	return max > 0 && (size_t)max > len ? (ssize_t)len : max;
}

static ssize_t take(struct netfs_handle *base, struct netfs_slice *slice)
{
	struct p9_handle *handle = p9_handle_of(base);
	struct p9_conn *conn = p9_conn_of(base->be);
	ssize_t len = admit(conn, handle, slice->len);
	struct p9_call *call;

	if (len <= 0)
		return len;
	call = p9_call_new(conn, NULL, slice_body);
	if (!call) {
		atomic_fetch_sub_explicit(&conn->slices, 1, memory_order_relaxed);
		return -ENOMEM;
	}
	netfs_slice_trim(slice, len);
	call->slice = slice;
	call->counted = true;
	call->handle = handle;
	p9_call_start(call);
	return len;
}

ssize_t p9_read(struct netfs_handle *handle, struct netfs_slice *slice)
{
	return take(handle, slice);
}

ssize_t p9_write(struct netfs_handle *handle, struct netfs_slice *slice)
{
	return take(handle, slice);
}

/* ------------------------------------------------------- fsync */

static void synced(struct p9_call *call)
{
	p9_call_finish(call, 0);
}

static void fsync_body(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TFSYNC,
			     .tfsync = {.fid = call->hfid->num, .datasync = call->flags}};

	p9_call_send(call, &msg, synced);
}

void p9_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_handle(handle, op, fsync_body);

	if (!call)
		return;
	call->flags = datasync;
	p9_call_start(call);
}
