// SPDX-License-Identifier: MIT
/*
 * The first bytes of a small file, brought along by the open that is for reading it:
 *
 *	CREATE, QUERY_INFO, READ  -->  handle->head  -->  the first slice that is read
 *
 * so that a small file is one round trip instead of two.  They are used once, and only
 * while the read lease that came with the open was never broken and nothing of ours
 * wrote to the file since: then nobody can tell them from what the server has now.
 *
 * Locks: conn->lock.  The slice ends without it.
 */
#include <string.h>
#include "smb.h"

#define READ_PART 2u /* behind CREATE and QUERY_INFO */

/* A little more tells whether the file ends there. */
static uint32_t length_of(const struct smb_call *call)
{
	uint32_t reads = call->op->reads;

	return reads < SMB_CREDIT_BYTES ? reads + 1 : SMB_CREDIT_BYTES;
}

/* writes: what counts those that would make the answer old. */
static bool ask(struct smb_call *call, const uint32_t *writes)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_READ), .read_req = {.fid = SMB_FID_RELATED}};

	msg.read_req.length = length_of(call);
	if (!call->op->reads || !call->lease_want)
		return true;
	netfs_mutex_lock(&call->conn->lock);
	call->writes = *writes;
	netfs_mutex_unlock(&call->conn->lock);
	if (call->op->cached)
		return true;
	return smb_call_add(call, &msg, msg.read_req.length);
}

bool smb_head_ask(struct smb_call *call)
{
	return ask(call, &call->node[0]->writes);
}

bool smb_head_ask_any(struct smb_call *call)
{
	return ask(call, &call->conn->writes);
}

bool smb_head_is_of(struct smb_call *call, struct smb_node *node)
{
	bool good;

	netfs_mutex_lock(&call->conn->lock);
	/* Who writes has it open. */
	good = call->writes == call->conn->writes && node->handles == 0;
	call->writes = node->writes;
	netfs_mutex_unlock(&call->conn->lock);
	return good;
}

void smb_head_take(struct smb_handle *handle, struct smb_call *call, uint32_t promise)
{
	struct smb_part *part = &call->req.part[READ_PART];
	const struct smb_buf *data = &part->reply.read_rep.data;

	if (call->req.nparts <= READ_PART || part->status != SMB_STATUS_OK ||
	    part->reply.kind != SMB_REPLY(SMB_READ) || !data->p || !(promise & NETFS_PROMISE_READ))
		return;
	netfs_mutex_lock(&call->conn->lock);
	handle->head = (struct smb_head){.bytes = netfs_take(part->bytes),
					 .data = data->p,
					 .len = data->len,
					 .whole = data->len < length_of(call),
					 .promise = promise,
					 .writes = call->writes};
	netfs_mutex_unlock(&call->conn->lock);
}

/* What is of no use goes, too. */
static bool take_locked(struct smb_handle *handle, const struct netfs_slice *slice,
			struct smb_head *ret_head)
{
	struct smb_node *node = handle->node;
	const struct smb_head *head = &handle->head;
	bool good;

	*ret_head = handle->head;
	good = netfs_node_promised(&node->base, head->promise, NETFS_PROMISE_READ) &&
	       head->writes == node->writes && node->locked == 0 && slice->start < head->len &&
	       (head->whole || slice->len <= head->len - slice->start);
	handle->head = (struct smb_head){0};
	return good;
}

bool smb_head_serve(struct smb_handle *handle, struct netfs_slice *slice)
{
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	struct smb_head head = {0};
	size_t moved = 0, most;
	bool good;

	netfs_mutex_lock(&conn->lock);
	good = handle->head.bytes && take_locked(handle, slice, &head);
	netfs_mutex_unlock(&conn->lock);
	if (!good) {
		netfs_free(head.bytes);
		return false;
	}
	most = head.len - slice->start;
	for (unsigned i = 0; i < slice->niov && moved < most; i++) {
		size_t n =
			slice->iov[i].iov_len < most - moved ? slice->iov[i].iov_len : most - moved;

		memcpy(slice->iov[i].iov_base, head.data + slice->start + moved, n);
		moved += n;
	}
	netfs_free(head.bytes);
	slice->done(slice, moved, 0, moved < slice->len ? NETFS_SLICE_EOF : 0);
	return true;
}

void smb_head_drop(struct smb_handle *handle)
{
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	uint8_t *bytes;

	netfs_mutex_lock(&conn->lock);
	bytes = netfs_take(handle->head.bytes);
	netfs_mutex_unlock(&conn->lock);
	netfs_free(bytes);
}

void smb_head_outdate(struct smb_node *node)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);

	netfs_mutex_lock(&conn->lock);
	node->writes++;
	conn->writes++;
	netfs_mutex_unlock(&conn->lock);
}
