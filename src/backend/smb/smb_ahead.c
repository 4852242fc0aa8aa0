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
 * the open is not kept.  What cannot be opened is looked up as always, and so is
 * everything where owners are asked for, too.
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
	if (call->opens_ahead) {
		smb_ahead_forget(call);
	} else if (!call->index && call->op->reads && conn->leases_on && !conn->no_idle &&
		   !conn->owners) {
		netfs_mutex_lock(&conn->lock);
		call->opens_ahead = dir->opened_next >= SMB_AHEAD_AFTER && !dir->looked_up;
		netfs_mutex_unlock(&conn->lock);
	}
	if (call->opens_ahead)
		smb_lease_want(call, NULL, SMB_READING);
	return call->opens_ahead;
}

/* CREATEs of the call are for the moment, from now on. */
static void ask_no_more(struct smb_call *call)
{
	call->opens = call->guided = call->replay = false;
	call->lease_want = 0;
}

void smb_ahead_forget(struct smb_call *call)
{
	ask_no_more(call);
	call->opens_ahead = false;
	call->index = 1;
	netfs_mutex_lock(&call->conn->lock);
	call->node[0]->opened_next = 0;
	netfs_mutex_unlock(&call->conn->lock);
}

static void note_found(struct smb_call *call, const struct smb_node *node, bool good)
{
	struct smb_node *dir = call->node[0];

	netfs_mutex_lock(&call->conn->lock);
	if (!good || (dir->looked_up && dir->looked_up != node->file_id))
		dir->opened_next = 0;
	dir->looked_up = node->is_dir ? 0 : node->file_id;
	netfs_mutex_unlock(&call->conn->lock);
}

/* The call opened node.  True: who opens it next finds that. */
static bool keep(struct smb_call *call, struct smb_node *node)
{
	struct smb_handle *handle = NULL;

	if (smb_head_is_of(call, node))
		handle = smb_handle_reading(call->conn, node);
	if (!handle) {
		smb_handle_close_stray(call);
		return false;
	}
	call->op->promise = smb_handle_opened(handle, call, &call->req.part[0].reply);
	smb_head_take(handle, call, call->op->promise);
	if (smb_idle_keep(handle))
		return true;
	call->op->promise = 0;
	smb_head_drop(handle);
	smb_handle_close(handle);
	return false;
}

void smb_ahead_found(struct smb_call *call, struct smb_node *node)
{
	bool good = !call->opens_ahead || keep(call, node);

	ask_no_more(call);
	note_found(call, node, good);
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
