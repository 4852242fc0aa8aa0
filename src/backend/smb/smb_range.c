// SPDX-License-Identifier: MIT
/*
 * Ranges of files: holes made and found, and copies made by the server.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <stdio.h>
#include "smb.h"

#define CHUNK (UINT32_C(1) << 20) /* what every server copies at once (3.3.3) */

static bool add_ioctl(struct smb_call *call, uint32_t code, struct smb_fid fid,
		      const union smb_fsctl_in *in, uint32_t max_output)
{
	uint8_t bytes[512];
	ssize_t len = in ? smb_fsctl_in_encode(code, in, bytes, sizeof(bytes)) : 0;
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_IOCTL),
			      .ioctl_req = {.code = code,
					    .fid = fid,
					    .input = {bytes, (uint32_t)len, 0},
					    .max_output = max_output,
					    .flags = SMB_IOCTL_IS_FSCTL}};

	netfs_assert(len >= 0);
	if (len == 0)
		msg.ioctl_req.input.p = NULL;
	return smb_call_add(call, &msg, max_output > sizeof(bytes) ? max_output : sizeof(bytes));
}

static void plain_done(struct smb_call *call)
{
	smb_call_end(call, call->err);
}

/* ------------------------------------------------------------- punch */

/* Sparse first, or the zeroes take room; servers without sparse files still write
 * them. */
static void punch_body(struct smb_call *call)
{
	struct smb_range range = {call->start, call->start + call->len};

	call->changing = true;
	if (call->flags & FALLOC_FL_PUNCH_HOLE &&
	    !add_ioctl(call, SMB_FSCTL_SET_SPARSE, call->handle->fid,
		       &(const union smb_fsctl_in){.sparse = 1}, 0))
		return;
	if (add_ioctl(call, SMB_FSCTL_SET_ZERO_DATA, call->handle->fid,
		      &(const union smb_fsctl_in){.range = range}, 0))
		smb_call_send(call, plain_done);
}

void smb_fallocate(struct netfs_handle *handle, uint32_t mode, uint64_t start, uint64_t len,
		   struct netfs_op *op)
{
	struct smb_call *call;

	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) &&
	    mode != (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)) {
		op->done(op, -EOPNOTSUPP);
		return;
	}
	call = smb_call_for(handle->be, op, punch_body);
	if (!call)
		return;
	call->handle = smb_handle_of(handle);
	smb_head_outdate(call->handle->node);
	call->flags = mode;
	call->start = start;
	call->len = len;
	smb_call_start(call);
}

/* -------------------------------------------------------------- seek */

/* The first byte at or behind start that is data, or is none. */
static int look(const struct smb_call *call, uint64_t size, uint64_t *ret_offset)
{
	const struct smb_buf *out = &call->req.part[0].reply.ioctl_rep.output;
	uint64_t pos = call->start;
	struct smb_range range;
	int more = 1;

	for (size_t i = 0; (more = smb_allocated_range(out->p, out->len, i, &range)) > 0; i++) {
		if (range.end <= pos)
			continue;
		if (call->flags == SEEK_DATA) {
			*ret_offset = range.start > pos ? range.start : pos;
			return 0;
		}
		if (range.start > pos)
			break;
		pos = range.end;
	}
	if (more < 0)
		return more;
	if (call->flags == SEEK_DATA)
		return -ENXIO;
	*ret_offset = pos < size ? pos : size;
	return 0;
}

static void sought(struct smb_call *call)
{
	union smb_info info;
	int err = call->err;

	if (!err && call->req.part[0].reply.kind != SMB_REPLY(SMB_IOCTL))
		err = -EPROTO;
	if (!err)
		err = smb_call_all(call, 1, &info);
	if (!err && call->start >= info.all.standard.size)
		err = -ENXIO;
	if (!err)
		err = look(call, info.all.standard.size, &call->op->offset);
	smb_call_end(call, err);
}

static void seek_body(struct smb_call *call)
{
	struct smb_range range = {call->start, INT64_MAX};

	if (add_ioctl(call, SMB_FSCTL_QUERY_ALLOCATED_RANGES, call->handle->fid,
		      &(const union smb_fsctl_in){.range = range}, 65536) &&
	    smb_call_add_query(call, call->handle->fid))
		smb_call_send(call, sought);
}

void smb_seek(struct netfs_handle *handle, uint64_t start, int whence, struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(handle->be, op, seek_body);

	if (!call)
		return;
	call->handle = smb_handle_of(handle);
	call->start = start;
	call->flags = (uint32_t)whence;
	smb_call_start(call);
}

/* -------------------------------------------------------------- copy */

static void copy_some(struct smb_call *call);

static void copied(struct smb_call *call)
{
	const struct smb_msg *reply = &call->req.part[0].reply;
	union smb_fsctl_out out;
	int err = call->err;

	if (!err && reply->kind != SMB_REPLY(SMB_IOCTL))
		err = -EPROTO;
	if (!err)
		err = smb_fsctl_out_decode(SMB_FSCTL_COPYCHUNK_WRITE, reply->ioctl_rep.output.p,
					   reply->ioctl_rep.output.len, &out);
	if (!err && (out.copied.bytes == 0 || out.copied.bytes > call->len - call->moved))
		err = -EIO;
	if (err && call->moved == 0) {
		smb_call_end(call, err);
		return;
	}
	if (!err)
		call->moved += out.copied.bytes;
	if (err || call->moved == call->len) {
		call->op->count = call->moved;
		smb_call_end(call, 0);
		return;
	}
	copy_some(call);
}

/* The source's key is in call->buf; chunks from where it stands. */
static void copy_some(struct smb_call *call)
{
	union smb_fsctl_in in = {.copychunk = {.count = 0}};
	uint64_t pos = call->moved;

	memcpy(in.copychunk.source.b, call->buf, sizeof(in.copychunk.source.b));
	while (in.copychunk.count < SMB_CHUNKS_MAX && pos < call->len) {
		uint64_t n = call->len - pos < CHUNK ? call->len - pos : CHUNK;

		in.copychunk.chunks[in.copychunk.count++] =
			(struct smb_chunk){call->cookie + pos, call->start + pos, (uint32_t)n};
		pos += n;
	}
	call->changing = true;
	if (add_ioctl(call, SMB_FSCTL_COPYCHUNK_WRITE, call->handle->fid, &in, 12))
		smb_call_send(call, copied);
}

/* The copy ends where its source does.  True: that is before it begins. */
static bool ends_before(struct smb_call *call, uint64_t size)
{
	uint64_t most = call->cookie < size ? size - call->cookie : 0;

	if (call->len > most)
		call->len = most;
	if (call->len > 0)
		return false;
	call->op->count = 0;
	smb_call_end(call, 0);
	return true;
}

static void key_got(struct smb_call *call)
{
	const struct smb_msg *reply = &call->req.part[1].reply;
	union smb_fsctl_out out;
	union smb_info info;
	int err = call->err;

	if (!err && reply->kind != SMB_REPLY(SMB_IOCTL))
		err = -EPROTO;
	if (!err)
		err = smb_call_all(call, 0, &info);
	if (!err)
		err = smb_fsctl_out_decode(SMB_FSCTL_REQUEST_RESUME_KEY, reply->ioctl_rep.output.p,
					   reply->ioctl_rep.output.len, &out);
	if (!err) {
		netfs_free(call->buf);
		call->buf = netfs_alloc(sizeof(out.key.b));
		err = call->buf ? 0 : -ENOMEM;
	}
	if (err) {
		smb_call_end(call, err);
		return;
	}
	memcpy(call->buf, out.key.b, sizeof(out.key.b));
	/* A server refuses what reaches behind the end. */
	if (!ends_before(call, info.all.standard.size))
		copy_some(call);
}

static void copy_body(struct smb_call *call)
{
	struct smb_fid source;

	/* Both have to be open in this session; who waits for one begins anew. */
	call->handle = call->opening;
	if (!smb_handle_ready(call))
		return;
	call->handle = call->target;
	if (!smb_handle_ready(call))
		return;
	netfs_mutex_lock(&call->conn->lock);
	source = call->opening->fid;
	netfs_mutex_unlock(&call->conn->lock);
	call->moved = 0;
	/* Samba gives a key only as the last of a compound. */
	if (smb_call_add_query(call, source) &&
	    add_ioctl(call, SMB_FSCTL_REQUEST_RESUME_KEY, source, NULL, 32))
		smb_call_send(call, key_got);
}

void smb_copy_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
		    uint64_t to_start, uint64_t len, struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(to->be, op, copy_body);

	if (!call)
		return;
	call->handle = call->target = smb_handle_of(to);
	smb_head_outdate(call->target->node);
	call->opening = smb_handle_of(from);
	call->cookie = from_start;
	call->start = to_start;
	call->len = len;
	smb_call_start(call);
}
