/* SPDX-License-Identifier: MIT */
/*
 * Nodes: objects by their place in the tree, with a fid that is good for a
 * while.
 *
 * Two things make fids stale: a new session, which knows none, and on servers
 * that keep a path string for each fid (diod does) the renaming of a directory,
 * which leaves every fid below it pointing at the old path.  Both raise
 * conn->epoch.  A node whose epoch is older is walked again from the root along
 * its parents before its next use; if what is there now is not the object it
 * was (by qid.path) the answer is -ESTALE, never another file's data.
 *
 * Two calls may walk the same node at once; the later one's fid stays and the
 * earlier one's is given back when its last user is done.
 *
 * Locks: conn->lock guards parent, name, fid and epoch.
 */
#include <string.h>
#include "p9.h"

#define DEPTH_MAX 4096 /* directories above a node; PATH_MAX allows no more */

struct p9_node *p9_node_new(struct p9_conn *conn, struct p9_node *parent, const char *name,
			    const struct p9_qid *qid)
{
	struct p9_node *node = netfs_zalloc(sizeof(*node));

	if (!node)
		return NULL;
	node->name = netfs_strdup(name);
	if (!node->name) {
		netfs_free(node);
		return NULL;
	}
	atomic_init(&node->base.refs, 1);
	node->base.be = &conn->be;
	node->qid_path = qid->path;
	node->qid_type = qid->type;
	node->is_root = !parent;
	if (parent) {
		netfs_node_get(&parent->base);
		node->parent = parent;
	}
	return node;
}

void p9_node_free(struct netfs_node *base)
{
	struct p9_node *node = p9_node_of(base);
	struct p9_node *parent = node->parent;

	p9_fid_put(node->fid);
	netfs_free(node->name);
	netfs_free(node);
	if (parent)
		netfs_node_put(&parent->base);
}

bool p9_node_above_locked(const struct p9_node *a, const struct p9_node *b)
{
	for (; b; b = b->parent) {
		if (a == b)
			return true;
	}
	return false;
}

/* The names from the root to node, one after the other. */
static int build_path_locked(struct p9_call *call, const struct p9_node *node)
{
	const struct p9_node *above;
	size_t length = 0;
	unsigned count = 0;
	char *pos;

	for (above = node; above && !above->is_root; above = above->parent) {
		length += strlen(above->name) + 1;
		if (++count > DEPTH_MAX)
			return -ENAMETOOLONG;
	}
	if (!above)
		return -ESTALE;
	netfs_free(call->path);
	call->path = netfs_alloc(length);
	if (!call->path)
		return -ENOMEM;
	pos = call->path + length;
	for (above = node; !above->is_root; above = above->parent) {
		size_t size = strlen(above->name) + 1;

		pos -= size;
		memcpy(pos, above->name, size);
	}
	call->path_count = count;
	call->path_pos = 0;
	return 0;
}

static const char *path_name(const struct p9_call *call, unsigned i)
{
	const char *name = call->path;

	while (i-- > 0)
		name += strlen(name) + 1;
	return name;
}

/* The fid a finished walk made becomes the node's. */
static void install(struct p9_call *call, struct p9_node *node, unsigned i)
{
	struct p9_conn *conn = call->conn;
	struct p9_fid *old;

	call->fid[i] = p9_fid_get(call->tmp[0]);
	netfs_mutex_lock(&conn->lock);
	old = node->fid;
	node->fid = netfs_take(call->tmp[0]);
	node->epoch = call->epoch;
	netfs_mutex_unlock(&conn->lock);
	p9_fid_put(old);
}

static void walk_more(struct p9_call *call);

static void walked(struct p9_call *call)
{
	struct p9_node *node = call->node[call->index];
	const struct p9_qids *qids = &call->reply->rwalk.qids;

	if (call->err && call->path_pos == 0)
		call->tmp[0]->known = false;
	if (call->err || qids->count != call->walk_names) {
		/* A walk that stopped early made no fid. */
		if (call->path_pos == 0)
			call->tmp[0]->known = false;
		p9_call_finish(call, call->err && call->err != -ENOENT ? call->err : -ESTALE);
		return;
	}
	call->path_pos += call->walk_names;
	if (call->path_pos < call->path_count) {
		walk_more(call);
		return;
	}
	if (qids->count == 0 || qids->v[qids->count - 1].path != node->qid_path) {
		p9_call_finish(call, -ESTALE);
		return;
	}
	install(call, node, call->index);
	p9_node_ensure(call);
}

/* Up to 16 names further, as many as msize has room for. */
static void walk_more(struct p9_call *call)
{
	bool first = call->path_pos == 0;
	struct p9_msg msg = {.type = P9_TWALK};
	size_t room = P9_MSIZE_MIN - P9_HEADER - 10;
	unsigned n = 0;

	if (first && !p9_call_new_tmp(call, 0))
		return;
	while (n < P9_WALK_MAX && call->path_pos + n < call->path_count) {
		struct p9_str name = p9_str(path_name(call, call->path_pos + n));

		if (name.len + 2 > room)
			break;
		room -= name.len + 2;
		msg.twalk.names.v[n++] = name;
	}
	msg.twalk.fid = first ? P9_ROOT_FID : call->tmp[0]->num;
	msg.twalk.newfid = call->tmp[0]->num;
	msg.twalk.names.count = (uint16_t)n;
	call->walk_names = n;
	call->tmp[0]->known = true;
	p9_call_try(call, &msg, walked);
}

/* True: call->fid[i] is good.  False: ret_err, or with 0 a walk is due. */
static bool current(struct p9_call *call, unsigned i, int *ret_err)
{
	struct p9_conn *conn = call->conn;
	struct p9_node *node = call->node[i];
	bool good = true;

	*ret_err = 0;
	netfs_mutex_lock(&conn->lock);
	if (node->is_root) {
		call->fid[i] = p9_fid_get(&conn->root_fid);
	} else if (node->fid && node->epoch == conn->epoch) {
		call->fid[i] = p9_fid_get(node->fid);
	} else {
		good = false;
		*ret_err = build_path_locked(call, node);
	}
	netfs_mutex_unlock(&conn->lock);
	return good;
}

void p9_node_ensure(struct p9_call *call)
{
	int err;

	for (unsigned i = 0; i < P9_CALL_NODES; i++) {
		if (!call->node[i] || call->fid[i] || current(call, i, &err))
			continue;
		if (err) {
			p9_call_finish(call, err);
			return;
		}
		call->index = i;
		walk_more(call);
		return;
	}
	call->index = 0;
	if (!call->handle || p9_handle_ensure(call))
		call->body(call);
}
