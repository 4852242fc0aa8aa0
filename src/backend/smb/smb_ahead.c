// SPDX-License-Identifier: MIT
/*
 * Files that are opened as they are looked up: one round trip for a program that looks
 * up, opens and reads one small file of a directory after the other.
 *
 *	lookup a, open a, lookup b, open b, ...   CREATE, QUERY_INFO, CLOSE and
 *	                                          CREATE, QUERY_INFO, READ for each
 *	lookup e    --> CREATE, QUERY_INFO, READ  e is idle (smb_idle.c), with its head
 *	open e      --> nothing to be asked
 *	lookup f, lookup g                        f was not opened: from the start
 *
 * It is a guess, which a directory has to earn: SMB_AHEAD_AFTER files in a row were
 * looked up and opened to be read as a whole.  One wrong guess ends it, so a program
 * that only looks costs the server one open too many, and others one broken lease.
 * Nothing is believed that would not be after an open: the lease that comes with it, or
 * the open is not kept.  What cannot be opened is looked up as always.
 *
 * Locks: conn->lock.
 */
#include "smb.h"

bool smb_ahead_wanted(struct smb_call *call)
{
	struct smb_conn *conn = call->conn;
	struct smb_node *dir = call->node[0];

	/* What is sent again is the same. */
	if (call->replay)
		return true;
	if (call->opens_ahead || call->index)
		smb_ahead_forget(call);
	else if (call->op->reads && conn->leases_on && !conn->no_idle) {
		netfs_mutex_lock(&conn->lock);
		call->opens_ahead =
			dir->opened_next >= SMB_AHEAD_AFTER && conn->nidle < SMB_IDLE_MAX;
		netfs_mutex_unlock(&conn->lock);
	}
	if (call->opens_ahead)
		smb_lease_want(call, NULL, SMB_READING);
	return call->opens_ahead;
}

void smb_ahead_forget(struct smb_call *call)
{
	call->opens_ahead = call->opens = call->guided = call->replay = false;
	call->lease_want = 0;
	call->index = 1;
}

static void note_found(struct smb_call *call, const struct smb_node *node, bool ahead)
{
	struct smb_node *dir = call->node[0];

	netfs_mutex_lock(&call->conn->lock);
	if ((dir->looked_up && dir->looked_up != node->file_id) || (call->opens_ahead && !ahead))
		dir->opened_next = 0;
	dir->looked_up = node->is_dir ? 0 : node->file_id;
	netfs_mutex_unlock(&call->conn->lock);
}

void smb_ahead_found(struct smb_call *call, struct smb_node *node)
{
	struct smb_handle *handle = NULL;
	bool fresh;

	if (!call->opens_ahead) {
		note_found(call, node, false);
		return;
	}
	fresh = smb_head_is_of(call, node);
	handle = fresh ? smb_handle_reading(call->conn, node) : NULL;
	if (!handle) {
		smb_handle_close_stray(call);
		note_found(call, node, false);
		return;
	}
	call->op->promise = smb_handle_opened(handle, call, &call->req.part[0].reply);
	smb_head_take(handle, call, call->op->promise);
	if (smb_idle_keep(handle)) {
		note_found(call, node, true);
		return;
	}
	call->op->promise = 0;
	smb_head_drop(handle);
	smb_handle_close(handle);
	note_found(call, node, false);
}

void smb_ahead_opened(struct smb_node *node, uint32_t reads)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);
	struct smb_node *dir;

	netfs_mutex_lock(&conn->lock);
	dir = node->parent;
	if (dir && dir->looked_up == node->file_id && !node->is_dir) {
		dir->looked_up = 0;
		dir->opened_next = reads ? dir->opened_next + 1 : 0;
	}
	netfs_mutex_unlock(&conn->lock);
}
