/* SPDX-License-Identifier: MIT */
/*
 * Nodes: objects by their places in the tree, with a fid that is good for a
 * while.
 *
 * Two things make fids stale: a new session, which knows none, and on servers
 * that keep a path string for each fid (diod does) the renaming of a directory,
 * which leaves every fid below it pointing at the old path.  Both raise
 * conn->epoch.  A node whose epoch is older is walked again from the root along
 * its parents before its next use; if what is there now is not the object it
 * was (by qid.path) the answer is -ESTALE, never another file's data.
 *
 * A file with several names is one node with several places; the walk tries one
 * after the other.  Places are learnt from lookups, links and renames, and
 * forgotten when a walk finds something else there, which costs nothing until
 * somebody wants the file.  Answers of path servers about another object than
 * the node's (by qid.path) count as -ESTALE and lead to such a walk, once.
 *
 * Two calls may walk the same node at once; the later one's fid stays and the
 * earlier one's is given back when its last user is done.
 *
 * Locks: conn->lock guards places, fid and epoch.
 */
#include <string.h>
#include "p9.h"

#define DEPTH_MAX 4096 /* directories above a node; PATH_MAX allows no more */

void p9_node_table_init(struct p9_conn *conn)
{
	for (unsigned i = 0; i < P9_NODE_BUCKETS; i++)
		netfs_list_init(&conn->nodes[i]);
}

static struct netfs_list *bucket(struct p9_conn *conn, uint64_t qid_path)
{
	return &conn->nodes[(qid_path * UINT64_C(0x9e3779b97f4a7c15)) >> 32 &
			    (P9_NODE_BUCKETS - 1)];
}

/* The living node of an object, with a reference. */
static struct p9_node *find_locked(struct p9_conn *conn, const struct p9_qid *qid)
{
	struct netfs_list *head = bucket(conn, qid->path), *pos;

	netfs_list_for_each (pos, head) {
		struct p9_node *node = netfs_container_of(pos, struct p9_node, link);

		if (node->qid_path == qid->path && node->qid_type == qid->type &&
		    p9_refs_try(&node->base.refs))
			return node;
	}
	return NULL;
}

static struct p9_node *node_new(struct p9_conn *conn, const struct p9_qid *qid)
{
	struct p9_node *node = netfs_zalloc(sizeof(*node));

	if (!node)
		return NULL;
	atomic_init(&node->base.refs, 1);
	node->base.be = &conn->be;
	node->qid_path = qid->path;
	node->qid_type = qid->type;
	netfs_list_init(&node->link);
	return node;
}

struct p9_node *p9_node_root(struct p9_conn *conn, const struct p9_qid *qid)
{
	struct p9_node *node = node_new(conn, qid);

	if (node)
		node->is_root = true;
	return node;
}

static void place_free(struct p9_place *place)
{
	netfs_free(place->name);
	if (place->parent)
		netfs_node_put(&place->parent->base);
}

void p9_node_free(struct netfs_node *base)
{
	struct p9_node *node = p9_node_of(base);
	struct p9_conn *conn = p9_conn_of(base->be);

	netfs_mutex_lock(&conn->lock);
	netfs_list_remove(&node->link);
	netfs_mutex_unlock(&conn->lock);
	p9_fid_put(node->fid);
	p9_fid_put(node->spare);
	for (unsigned i = 0; i < node->nplaces; i++)
		place_free(&node->places[i]);
	netfs_free(node);
}

bool p9_node_above_locked(const struct p9_node *a, const struct p9_node *b)
{
	for (; b; b = b->nplaces > 0 ? b->places[0].parent : NULL) {
		if (a == b)
			return true;
	}
	return false;
}

/* ------------------------------------------------------- places */

/* Takes place i out; the caller frees it without the lock. */
static struct p9_place take_place_locked(struct p9_node *node, unsigned i)
{
	struct p9_place place = node->places[i];

	node->nplaces--;
	node->moves++;
	memmove(&node->places[i], &node->places[i + 1], (node->nplaces - i) * sizeof(place));
	return place;
}

/* Place i becomes the first to try. */
static void place_first_locked(struct p9_node *node, unsigned i)
{
	struct p9_place place = node->places[i];

	if (i == 0)
		return;
	node->moves++;
	memmove(&node->places[1], &node->places[0], i * sizeof(place));
	node->places[0] = place;
}

static unsigned place_of_locked(const struct p9_node *node, const struct p9_node *parent,
				const char *name)
{
	unsigned i;

	for (i = 0; i < node->nplaces; i++) {
		if (node->places[i].parent == parent && strcmp(node->places[i].name, name) == 0)
			break;
	}
	return i;
}

/* A name nobody knew; what it pushes out goes to unwanted.  False: it would
 * make a circle. */
static bool new_place_locked(struct p9_node *node, struct p9_node *parent, char *name,
			     struct p9_place *unwanted)
{
	bool only = node->has_children || (node->qid_type & P9_QID_DIR);

	if (node->is_root || p9_node_above_locked(node, parent))
		return false;
	if (node->nplaces > 0 && (only || node->nplaces == P9_PLACES_MAX))
		*unwanted++ = take_place_locked(node, node->nplaces - 1);
	memmove(&node->places[1], &node->places[0], node->nplaces * sizeof(node->places[0]));
	netfs_node_get(&parent->base);
	node->places[0] = (struct p9_place){.parent = parent, .name = name};
	node->nplaces++;
	node->moves++;
	parent->has_children = true;
	while (parent->nplaces > 1)
		*unwanted++ = take_place_locked(parent, parent->nplaces - 1);
	return true;
}

void p9_node_add_place(struct p9_conn *conn, struct p9_node *node, struct p9_node *parent,
		       char *name)
{
	struct p9_place unwanted[P9_PLACES_MAX + 1] = {0};
	bool taken = false;
	unsigned i;

	netfs_mutex_lock(&conn->lock);
	i = place_of_locked(node, parent, name);
	if (i < node->nplaces) {
		place_first_locked(node, i);
	} else {
		taken = new_place_locked(node, parent, name, unwanted);
	}
	netfs_mutex_unlock(&conn->lock);
	if (!taken)
		netfs_free(name);
	for (i = 0; i <= P9_PLACES_MAX; i++)
		place_free(&unwanted[i]);
}

void p9_node_drop_place(struct p9_conn *conn, struct p9_node *node, struct p9_node *parent,
			const char *name)
{
	struct p9_place unwanted = {0};
	unsigned i;

	netfs_mutex_lock(&conn->lock);
	i = place_of_locked(node, parent, name);
	if (i < node->nplaces) {
		unwanted = take_place_locked(node, i);
		node->epoch = 0;
	}
	netfs_mutex_unlock(&conn->lock);
	place_free(&unwanted);
}

void p9_node_unlinked(struct p9_conn *conn, const struct p9_qid *qid, struct p9_node *parent,
		      const char *name)
{
	struct p9_node *node;

	netfs_mutex_lock(&conn->lock);
	node = find_locked(conn, qid);
	netfs_mutex_unlock(&conn->lock);
	if (!node)
		return;
	p9_node_drop_place(conn, node, parent, name);
	netfs_node_put(&node->base);
}

bool p9_node_doubt(struct p9_call *call, int err)
{
	struct p9_conn *conn = call->conn;
	bool doubt = false;

	if ((err != -ENOENT && err != -ESTALE) || call->looked_again)
		return false;
	netfs_mutex_lock(&conn->lock);
	for (unsigned i = 0; i < P9_CALL_NODES; i++) {
		struct p9_node *node = call->node[i];

		if (!node || node->is_root || !call->fid[i])
			continue;
		/* A directory without the name asked for is the usual -ENOENT. */
		if (err == -ESTALE || node->nplaces > 1 || !(node->qid_type & P9_QID_DIR)) {
			node->epoch = 0;
			doubt = true;
		}
	}
	netfs_mutex_unlock(&conn->lock);
	call->looked_again = doubt;
	return doubt;
}

/* The fid a walk made becomes the node's.  Takes fid over.  NULL: it is walked to
 * before its next use. */
static void set_fid(struct p9_call *call, struct p9_node *node, struct p9_fid *fid)
{
	struct p9_conn *conn = call->conn;
	struct p9_fid *old;

	netfs_mutex_lock(&conn->lock);
	old = node->fid;
	node->fid = fid;
	node->epoch = fid ? call->epoch : 0;
	netfs_mutex_unlock(&conn->lock);
	p9_fid_put(old);
}

/* Is the living node of the object fit to be found at parent? */
static bool fits_locked(const struct p9_node *node, const struct p9_node *parent)
{
	return !p9_node_above_locked(node, parent);
}

struct p9_node *p9_node_found(struct p9_call *call, const struct p9_qid *qid, struct p9_fid *fid)
{
	struct p9_conn *conn = call->conn;
	struct p9_node *parent = call->node[0], *unfit = NULL, *node;
	char *name = netfs_strdup(call->name);
	struct p9_node *fresh = node_new(conn, qid);

	if (!name || !fresh) {
		netfs_free(name);
		netfs_free(fresh);
		return NULL;
	}
	netfs_mutex_lock(&conn->lock);
	node = find_locked(conn, qid);
	if (node && !fits_locked(node, parent))
		unfit = netfs_take(node);
	if (!node) {
		node = netfs_take(fresh);
		netfs_list_push_front(bucket(conn, qid->path), &node->link);
	}
	netfs_mutex_unlock(&conn->lock);
	netfs_free(fresh);
	if (unfit)
		netfs_node_put(&unfit->base);
	p9_node_add_place(conn, node, parent, name);
	set_fid(call, node, fid);
	return node;
}

/* By the likeliest names; written from the end of buf. */
static int put_path_locked(const struct p9_node *node, char *buf, size_t size, char **ret_at)
{
	char *at = buf + size - 1;

	*at = 0;
	for (; !node->is_root; node = node->places[0].parent) {
		size_t len = node->nplaces ? strlen(node->places[0].name) : 0;

		if (!node->nplaces)
			return -ENOENT;
		if (len + 1 > (size_t)(at - buf))
			return -ENAMETOOLONG;
		if (*at)
			*--at = '/';
		at -= len;
		memcpy(at, node->places[0].name, len);
	}
	*ret_at = at;
	return 0;
}

int p9_path(struct netfs_node *node, char *buf, size_t size)
{
	struct p9_conn *conn = p9_conn_of(node->be);
	char *at;
	int err;

	netfs_mutex_lock(&conn->lock);
	err = put_path_locked(p9_node_of(node), buf, size, &at);
	netfs_mutex_unlock(&conn->lock);
	if (!err)
		memmove(buf, at, strlen(at) + 1);
	return err;
}

/* ------------------------------------------------------- walking again */

/* The names from the root to node, one after the other. */
static int build_path_locked(struct p9_call *call, const struct p9_node *node)
{
	const struct p9_place *place = &node->places[call->place];
	const struct p9_place *last = place;
	size_t length = 0;
	unsigned count = 0;
	char *pos;

	if (call->place >= node->nplaces)
		return -ESTALE;
	for (;; last = &last->parent->places[0]) {
		length += strlen(last->name) + 1;
		if (++count > DEPTH_MAX)
			return -ENAMETOOLONG;
		if (last->parent->is_root)
			break;
		if (last->parent->nplaces == 0)
			return -ESTALE;
	}
	netfs_free(call->path);
	call->path = netfs_alloc(length);
	if (!call->path)
		return -ENOMEM;
	pos = call->path + length;
	for (unsigned i = 0; i < count; i++) {
		size_t size = strlen(place->name) + 1;

		pos -= size;
		memcpy(pos, place->name, size);
		place = &place->parent->places[0];
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

static void walk_more(struct p9_call *call);

/* Not there: by its next name, or it is gone. */
static void walk_elsewhere(struct p9_call *call, int err)
{
	struct p9_conn *conn = call->conn;
	struct p9_node *node = call->node[call->index];

	p9_call_drop_tmp(call);
	if (err == -ENOENT || err == -ESTALE || err == -ENOTDIR) {
		call->place++;
		netfs_mutex_lock(&conn->lock);
		err = build_path_locked(call, node);
		netfs_mutex_unlock(&conn->lock);
	}
	if (err)
		p9_call_finish(call, err);
	else
		walk_more(call);
}

/* The node was found by one of its names, which is now the first to try. */
static void walk_arrived(struct p9_call *call)
{
	struct p9_conn *conn = call->conn;
	struct p9_node *node = call->node[call->index];

	netfs_mutex_lock(&conn->lock);
	if (call->place < node->nplaces)
		place_first_locked(node, call->place);
	netfs_mutex_unlock(&conn->lock);
	call->fid[call->index] = p9_fid_get(call->tmp);
	set_fid(call, node, netfs_take(call->tmp));
	p9_node_ensure(call);
}

static void walked(struct p9_call *call)
{
	struct p9_node *node = call->node[call->index];
	const struct p9_qids *qids = &call->reply->rwalk.qids;

	if (call->err || qids->count != call->walk_names) {
		/* A walk that stopped early made no fid. */
		if (call->path_pos == 0)
			call->tmp->known = false;
		walk_elsewhere(call, call->err ? call->err : -ESTALE);
		return;
	}
	call->path_pos += call->walk_names;
	if (call->path_pos < call->path_count)
		walk_more(call);
	else if (qids->count == 0 || qids->v[qids->count - 1].path != node->qid_path)
		walk_elsewhere(call, -ESTALE);
	else
		walk_arrived(call);
}

/* Up to 16 names further, as many as msize has room for. */
static void walk_more(struct p9_call *call)
{
	bool first = call->path_pos == 0;
	struct p9_msg msg = {.type = P9_TWALK};
	size_t room = P9_MSIZE_MIN - P9_HEADER - 10;
	unsigned n = 0;

	if (first && !p9_call_new_tmp(call))
		return;
	while (n < P9_WALK_MAX && call->path_pos + n < call->path_count) {
		struct p9_str name = p9_str(path_name(call, call->path_pos + n));

		if (name.len + 2 > room)
			break;
		room -= name.len + 2;
		msg.twalk.names.v[n++] = name;
	}
	msg.twalk.fid = first ? P9_ROOT_FID : call->tmp->num;
	msg.twalk.newfid = call->tmp->num;
	msg.twalk.names.count = (uint16_t)n;
	call->walk_names = n;
	call->tmp->known = true;
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
		call->place = 0;
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
