// SPDX-License-Identifier: MIT
/*
 * The attributes of a directory, asked for together with a change of what is in it.
 *
 * Whoever makes or removes a name has the kernel ask for the directory's attributes
 * next, because its times are others now.  In a compound they cannot travel with the
 * change: one compound is about one object (MS-SMB2 3.2.4.1.4), and Samba 4.17 ends with
 * an assertion when one opens a second.  So where several names of a directory are changed
 * within a second, the question goes right behind the change, in the same write into the
 * socket, and nobody waits for the answer to the first before the second is sent:
 *
 *	CREATE, QUERY_INFO of the file             --->   <--- answer
 *	CREATE, QUERY_INFO, CLOSE of the directory --->   <--- answer, and the call goes on
 *
 * A directory that stayed open would be cheaper, and in the way of others who want to
 * rename or remove it.
 *
 * A server may take the two in another order.  What it answers is believed if it answers in
 * ours, no longer than attributes are (no watch makes it longer), and it is asked
 * for again by those above if anything of ours came between.
 *
 * Locks: conn->lock.
 */
#include "smb.h"

#define QUERY_PART 1u /* behind CREATE */

/* The question behind a change; it and its call live until both are answered. */
struct smb_also {
	struct smb_req req;
	struct smb_call *call; /* I */
	bool out; /* c sent, and not answered */
	bool waits; /* c for it: the change is answered: */
	enum smb_end how; /* c in this way */
};

/* Counts the changes that follow each other.  True: somebody will ask. */
static bool changes_often(struct smb_node *dir)
{
	struct smb_conn *conn = smb_conn_of(dir->base.be);
	uint64_t now = netfs_clock_now();
	bool often;

	netfs_mutex_lock(&conn->lock);
	if (now - dir->changed_ns > NETFS_NS_PER_SEC)
		dir->changes = 0;
	dir->changed_ns = now;
	often = ++dir->changes > SMB_PARENT_AFTER && !conn->owners;
	netfs_mutex_unlock(&conn->lock);
	return often;
}

void smb_parent_forget(struct smb_call *call)
{
	struct smb_also *also = netfs_take(call->also);

	if (!also)
		return;
	netfs_assert(!also->out);
	smb_req_reset(&also->req);
	netfs_free(also->req.head);
	netfs_free(also);
}

static void answered(struct smb_req *req, enum smb_end how)
{
	struct smb_also *also = netfs_container_of(req, struct smb_also, req);
	struct smb_call *call = also->call;
	bool waits;

	netfs_mutex_lock(&call->conn->lock);
	also->out = false;
	waits = also->waits;
	netfs_mutex_unlock(&call->conn->lock);
	/* Else the change is not answered yet: it came out of order, or is lost. */
	if (waits)
		smb_call_answered(call, also->how);
}

static int build(struct smb_call *call, struct smb_req *req)
{
	struct smb_msg create = {.kind = SMB_REQUEST(SMB_CREATE),
				 .create_req = {.access = SMB_ACCESS_READ_ATTRIBUTES,
						.disposition = SMB_OPEN,
						.options = SMB_OPT_DIRECTORY,
						.share_access = SMB_SHARE_ALL,
						.impersonation = SMB_IMPERSONATION}};
	struct smb_msg query = {.kind = SMB_REQUEST(SMB_QUERY_INFO),
				.query_info_req = {.info_type = SMB_INFO_FILE,
						   .info_class = SMB_FILE_ALL,
						   .max_output = SMB_CREDIT_BYTES,
						   .fid = SMB_FID_RELATED}};
	struct smb_msg end = {.kind = SMB_REQUEST(SMB_CLOSE),
			      .close_req = {.fid = SMB_FID_RELATED}};
	int err = smb_node_path(call->conn, call->node[0], NULL, &create.create_req.name);

	if (err)
		return err;
	err = smb_req_add(req, &create, 1);
	netfs_free((void *)(uintptr_t)create.create_req.name.p);
	if (!err)
		err = smb_req_add(req, &query, 1);
	return err ? err : smb_req_add(req, &end, 1);
}

void smb_parent_ask(struct smb_call *call)
{
	smb_parent_forget(call);
	call->op->has_dir_attr = false;
	if (!changes_often(call->node[0]))
		return;
	call->also = netfs_zalloc(sizeof(*call->also));
	if (!call->also)
		return;
	call->also->call = call;
	call->also->req.done = answered;
	if (build(call, &call->also->req))
		smb_parent_forget(call);
}

struct smb_req *smb_parent_req(struct smb_call *call, bool **ret_out)
{
	*ret_out = &call->also->out;
	return &call->also->req;
}

bool smb_parent_awaited(struct smb_call *call, enum smb_end how)
{
	struct smb_also *also = call->also;
	bool out;

	if (!also)
		return false;
	netfs_mutex_lock(&call->conn->lock);
	out = also->out;
	also->waits = out;
	also->how = how;
	netfs_mutex_unlock(&call->conn->lock);
	return out;
}

void smb_parent_told(struct smb_call *call)
{
	const struct smb_also *also = call->also;
	const struct smb_part *part = also ? &also->req.part[QUERY_PART] : NULL;
	struct smb_node *dir = call->node[0];
	const struct smb_buf *output;
	union smb_info info;

	if (!also || !also->waits || part->status != SMB_STATUS_OK ||
	    part->reply.kind != SMB_REPLY(SMB_QUERY_INFO))
		return;
	output = &part->reply.query_info_rep.output;
	if (smb_info_decode(SMB_INFO_FILE, SMB_FILE_ALL, output->p, output->len, &info))
		return;
	/* Or the name leads to another one now. */
	if (!dir->is_root && !smb_node_is(dir, &info.all, false))
		return;
	smb_attr_of_all(dir, &info.all, &call->op->dir_attr);
	call->op->has_dir_attr = true;
}
