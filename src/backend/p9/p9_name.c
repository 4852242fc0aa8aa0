/* SPDX-License-Identifier: MIT */
/*
 * Names that go, move or multiply: readlink, link, unlink, rmdir, rename.
 *
 * Servers without Tunlinkat and Trenameat (diod 1.0.24 answers EOPNOTSUPP) get
 * Tremove and Trename on a fid walked to the name; the first refusal is
 * remembered for the connection.  Tremove does not care what it removes, so the
 * type is looked at first: unlink never takes a directory, rmdir nothing else.
 *
 * After a rename the node has its new place.  If a directory moved, every fid
 * below it may be stale (p9_node.c): conn->epoch grows.
 */
#include <sys/stat.h>
#include <string.h>
#include "p9.h"

/* Does the server not have this message? */
static bool unknown_message(int err)
{
	return err == -EOPNOTSUPP || err == -ENOSYS;
}

/* ------------------------------------------------------- readlink */

static void got_target(struct p9_call *call)
{
	const struct p9_str *target = &call->reply->rreadlink.target;
	struct netfs_op *op = call->op;

	if (target->len == 0 || memchr(target->p, '\0', target->len)) {
		p9_call_finish(call, -EIO);
	} else if (target->len > op->buf_size) {
		p9_call_finish(call, -ERANGE);
	} else {
		memcpy(op->buf, target->p, target->len);
		op->count = target->len;
		p9_call_finish(call, 0);
	}
}

static void readlink_body(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TREADLINK, .treadlink = {.fid = call->fid[0]->num}};

	p9_call_send(call, &msg, got_target);
}

void p9_readlink(struct netfs_node *node, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_node(node, op, readlink_body);

	if (call)
		p9_call_start(call);
}

/* ------------------------------------------------------- link */

static void link_attr(struct p9_call *call)
{
	p9_node_add_place(call->conn, call->node[1], call->node[0], (char *)netfs_take(call->buf));
	p9_attr_read(&call->reply->rgetattr, &call->op->attr);
	p9_call_finish(call, 0);
}

static void linked(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TGETATTR,
			     .tgetattr = {.fid = call->fid[1]->num, .mask = P9_GETATTR_ALL}};

	if (call->err == -EEXIST && call->resent) {
		call->changed = true;
		call->err = 0;
	}
	if (call->err)
		p9_call_finish(call, call->err);
	else
		p9_call_send(call, &msg, link_attr);
}

static void link_body(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TLINK,
			     .tlink = {.dfid = call->fid[0]->num,
				       .fid = call->fid[1]->num,
				       .name = p9_str(call->name)}};

	/* Room for the new name now: afterwards nothing may fail. */
	call->buf = (uint8_t *)netfs_strdup(call->name);
	if (!call->buf)
		p9_call_finish(call, -ENOMEM);
	else if (call->changed)
		linked(call);
	else
		p9_call_change(call, &msg, linked);
}

void p9_link(struct netfs_node *node, struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_name(dir, name, op, link_body);

	if (!call)
		return;
	call->node[1] = p9_node_of(node);
	p9_call_start(call);
}

/* ------------------------------------------------------- unlink, rmdir */

static void removed(struct p9_call *call)
{
	if (call->err == -ENOENT && call->resent)
		call->err = 0;
	p9_call_finish(call, call->err);
}

static void removed_fid(struct p9_call *call)
{
	/* Tremove clunks the fid, whatever it answers. */
	call->tmp->known = false;
	if (!call->err)
		p9_node_unlinked(call->conn, &call->qid, call->node[0], call->name);
	removed(call);
}

static void remove_walked(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TREMOVE};

	if (call->err) {
		removed(call);
		return;
	}
	if (call->is_dir != !!(call->qid.type & P9_QID_DIR)) {
		p9_call_finish(call, call->is_dir ? -ENOTDIR : -EISDIR);
		return;
	}
	msg.tremove.fid = call->tmp->num;
	p9_call_change(call, &msg, removed_fid);
}

static void unlinked(struct p9_call *call)
{
	struct p9_conn *conn = call->conn;

	if (!unknown_message(call->err)) {
		removed(call);
		return;
	}
	netfs_mutex_lock(&conn->lock);
	conn->no_unlinkat = true;
	netfs_mutex_unlock(&conn->lock);
	p9_walk_try(call, call->fid[0], call->name, remove_walked);
}

static void unlink_body(struct p9_call *call)
{
	struct p9_conn *conn = call->conn;
	struct p9_msg msg = {.type = P9_TUNLINKAT,
			     .tunlinkat = {.dirfid = call->fid[0]->num,
					   .name = p9_str(call->name),
					   .flags = call->is_dir ? P9_AT_REMOVEDIR : 0}};
	bool by_fid;

	netfs_mutex_lock(&conn->lock);
	by_fid = conn->no_unlinkat;
	netfs_mutex_unlock(&conn->lock);
	if (by_fid)
		p9_walk_try(call, call->fid[0], call->name, remove_walked);
	else
		p9_call_change(call, &msg, unlinked);
}

static void start_unlink(struct netfs_node *dir, const char *name, bool is_dir, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_name(dir, name, op, unlink_body);

	if (!call)
		return;
	call->is_dir = is_dir;
	p9_call_start(call);
}

void p9_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	start_unlink(dir, name, false, op);
}

void p9_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	start_unlink(dir, name, true, op);
}

/* ------------------------------------------------------- rename */

/* node[0] is the old directory, node[1] the new one.  What moves is kept apart,
 * in call->moving: its fid is not needed, only its place is updated. */

/* The node is in its new place.  Where a server that lies put a directory below
 * itself, the node gets no new place and is an orphan. */
static void renamed(struct p9_call *call)
{
	struct p9_conn *conn = call->conn;
	struct p9_node *node = call->moving;

	if (call->err) {
		p9_call_finish(call, call->err);
		return;
	}
	p9_node_drop_place(conn, node, call->node[0], call->name);
	p9_node_add_place(conn, node, call->node[1], (char *)netfs_take(call->buf));
	netfs_mutex_lock(&conn->lock);
	node->epoch = 0;
	if (node->qid_type & P9_QID_DIR)
		conn->epoch++;
	netfs_mutex_unlock(&conn->lock);
	p9_call_finish(call, 0);
}

void p9_rename_unknown(struct p9_call *call)
{
	struct p9_node *node = call->moving;
	char *name = netfs_strdup(call->name2);

	if (!name || (node->qid_type & P9_QID_DIR)) {
		netfs_free(name);
		return;
	}
	p9_node_add_place(call->conn, node, call->node[1], name);
	netfs_mutex_lock(&call->conn->lock);
	node->epoch = 0;
	netfs_mutex_unlock(&call->conn->lock);
}

/* The second try found nothing to move: was the first one executed? */
static void rename_checked(struct p9_call *call)
{
	if (call->err || call->qid.path != call->moving->qid_path)
		call->err = -ENOENT;
	renamed(call);
}

static void rename_replied(struct p9_call *call)
{
	if (call->err == -ENOENT && call->resent) {
		p9_call_drop_tmp(call);
		p9_walk_try(call, call->fid[1], call->name2, rename_checked);
		return;
	}
	renamed(call);
}

static void rename_walked(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TRENAME,
			     .trename = {.dfid = call->fid[1]->num, .name = p9_str(call->name2)}};

	if (call->err) {
		rename_replied(call);
		return;
	}
	if (call->qid.path != call->moving->qid_path) {
		/* Somebody put another file there. */
		p9_call_finish(call, -ESTALE);
		return;
	}
	msg.trename.fid = call->tmp->num;
	p9_call_change(call, &msg, rename_replied);
}

static void renamed_at(struct p9_call *call)
{
	struct p9_conn *conn = call->conn;

	if (!unknown_message(call->err)) {
		rename_replied(call);
		return;
	}
	netfs_mutex_lock(&conn->lock);
	conn->no_renameat = true;
	netfs_mutex_unlock(&conn->lock);
	p9_walk_try(call, call->fid[0], call->name, rename_walked);
}

static void rename_body(struct p9_call *call)
{
	struct p9_conn *conn = call->conn;
	struct p9_msg msg = {.type = P9_TRENAMEAT,
			     .trenameat = {.olddirfid = call->fid[0]->num,
					   .oldname = p9_str(call->name),
					   .newdirfid = call->fid[1]->num,
					   .newname = p9_str(call->name2)}};
	bool below, by_fid;

	/* Room for the new name now: afterwards nothing may fail. */
	call->buf = (uint8_t *)netfs_strdup(call->name2);
	if (!call->buf) {
		p9_call_finish(call, -ENOMEM);
		return;
	}
	if (call->changed) {
		renamed(call);
		return;
	}
	netfs_mutex_lock(&conn->lock);
	below = p9_node_above_locked(call->moving, call->node[1]);
	by_fid = conn->no_renameat;
	if (!call->moves_node) {
		call->moves_node = true;
		call->moving->renaming++;
	}
	if ((call->moving->qid_type & P9_QID_DIR) && !call->moves_dir) {
		call->moves_dir = true;
		conn->dir_renames++;
	}
	netfs_mutex_unlock(&conn->lock);
	if (below)
		p9_call_finish(call, -EINVAL);
	else if (by_fid)
		p9_walk_try(call, call->fid[0], call->name, rename_walked);
	else
		p9_call_change(call, &msg, renamed_at);
}

void p9_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
	       struct netfs_node *new_dir, const char *new_name, uint32_t flags,
	       struct netfs_op *op)
{
	struct p9_call *call;

	if (flags || !p9_name_good(new_name, strlen(new_name))) {
		op->done(op, strlen(new_name) > NETFS_NAME_MAX ? -ENAMETOOLONG : -EINVAL);
		return;
	}
	call = p9_call_on_name(old_dir, old_name, op, rename_body);
	if (!call)
		return;
	call->node[1] = p9_node_of(new_dir);
	call->moving = p9_node_of(node);
	call->name2 = new_name;
	p9_call_start(call);
}
