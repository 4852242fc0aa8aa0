/* SPDX-License-Identifier: MIT */
/*
 * Fid numbers: handed out, counted, clunked in the background, used again.
 *
 * A number is free again only after its Rclunk (or after its session ended), so
 * a late request can never meet another file under the same number.  The Tclunk
 * lives inside the fid: giving back needs no memory and cannot fail.  A refused
 * Tclunk ends the fid all the same, as the protocol says.
 *
 * A create turns a copy of the directory's fid into the open file.  Each one has
 * the server make the copy for the next, a spare, while its caller is busy with
 * the file, so that only the first in a directory waits for it.
 *
 * Locks: conn->lock for the numbers; none is held while a message goes out.
 */
#include "p9.h"

#define FIDS_GROW 64

/* Without memory the number is lost, which four billion can bear. */
static void number_free_locked(struct p9_conn *conn, uint32_t num)
{
	if (conn->nfree_fids == conn->free_fids_room) {
		uint32_t room = conn->free_fids_room + conn->free_fids_room / 2 + FIDS_GROW;
		uint32_t *grown = netfs_realloc(conn->free_fids, room * sizeof(*grown));

		if (!grown)
			return;
		conn->free_fids = grown;
		conn->free_fids_room = room;
	}
	conn->free_fids[conn->nfree_fids++] = num;
}

struct p9_fid *p9_fid_new(struct p9_conn *conn)
{
	struct p9_fid *fid = netfs_zalloc(sizeof(*fid));

	if (!fid)
		return NULL;
	fid->conn = conn;
	atomic_init(&fid->refs, 1);
	netfs_mutex_lock(&conn->lock);
	fid->session = conn->session;
	fid->num = conn->nfree_fids > 0 ? conn->free_fids[--conn->nfree_fids] : conn->next_fid++;
	netfs_mutex_unlock(&conn->lock);
	return fid;
}

struct p9_fid *p9_fid_get(struct p9_fid *fid)
{
	atomic_fetch_add_explicit(&fid->refs, 1, memory_order_relaxed);
	return fid;
}

static void clunked(struct p9_req *req, enum p9_end end, const struct p9_msg *reply)
{
	struct p9_fid *fid = netfs_container_of(req, struct p9_fid, req);
	struct p9_conn *conn = fid->conn;

	p9_req_done(req);
	netfs_mutex_lock(&conn->lock);
	number_free_locked(conn, fid->num);
	conn->fids_busy--;
	if (conn->closing)
		netfs_task_post(&conn->task);
	netfs_mutex_unlock(&conn->lock);
	netfs_free(fid);
}

static int prepare_clunk(struct p9_fid *fid)
{
	struct p9_msg msg = {.type = P9_TCLUNK, .tclunk = {.fid = fid->num}};

	fid->req.done = clunked;
	return p9_req_prepare(&fid->req, &msg, NULL, 0);
}

void p9_fid_put(struct p9_fid *fid)
{
	struct p9_conn *conn;
	bool clunk;
	int err;

	/* acq_rel: pairs with the other puts of this fid. */
	if (!fid || atomic_fetch_sub_explicit(&fid->refs, 1, memory_order_acq_rel) > 1)
		return;
	conn = fid->conn;
	err = prepare_clunk(fid);
	netfs_assert(err == 0);
	p9_conn_enter(conn);
	netfs_mutex_lock(&conn->lock);
	clunk = fid->known && fid->session == conn->session && conn->state == P9_READY;
	if (clunk) {
		conn->fids_busy++;
		p9_req_queue_locked(conn, &fid->req);
	} else {
		number_free_locked(conn, fid->num);
	}
	netfs_mutex_unlock(&conn->lock);
	if (clunk)
		p9_send(conn);
	else
		netfs_free(fid);
	p9_conn_leave(conn);
}

/* ------------------------------------------------------- copies ahead */

struct p9_fid *p9_fid_take_spare(struct p9_node *node)
{
	struct p9_conn *conn = p9_conn_of(node->base.be);
	struct p9_fid *fid;
	bool good;

	netfs_mutex_lock(&conn->lock);
	fid = netfs_take(node->spare);
	good = fid && fid->epoch == conn->epoch;
	netfs_mutex_unlock(&conn->lock);
	if (good)
		return fid;
	p9_fid_put(fid);
	return NULL;
}

static void copied(struct p9_req *req, enum p9_end end, const struct p9_msg *reply)
{
	struct p9_fid *fid = netfs_container_of(req, struct p9_fid, req);
	struct p9_node *node = netfs_take(fid->copy_of);
	struct p9_fid *original = netfs_take(fid->original);
	struct p9_conn *conn = fid->conn;

	p9_req_done(req);
	fid->known = end == P9_REPLIED;
	netfs_mutex_lock(&conn->lock);
	if (fid->known && !node->spare)
		node->spare = netfs_take(fid);
	conn->fids_busy--;
	if (conn->closing)
		netfs_task_post(&conn->task);
	netfs_mutex_unlock(&conn->lock);
	p9_fid_put(fid);
	p9_fid_put(original);
	netfs_node_put(&node->base);
}

/* Not worth an error: without a spare the next create makes its copy itself. */
void p9_fid_copy_ahead(struct p9_call *call)
{
	struct p9_conn *conn = call->conn;
	struct p9_node *node = call->node[0];
	struct p9_fid *fid = p9_fid_new(conn);
	struct p9_msg msg = {.type = P9_TWALK, .twalk = {.fid = call->fid[0]->num}};
	bool go;

	if (!fid)
		return;
	msg.twalk.newfid = fid->num;
	fid->req.done = copied;
	netfs_assert(p9_req_prepare(&fid->req, &msg, NULL, 0) == 0);
	netfs_mutex_lock(&conn->lock);
	go = conn->state == P9_READY && fid->session == conn->session &&
	     call->epoch == conn->epoch && !node->spare && !conn->closing;
	if (go) {
		netfs_node_get(&node->base);
		fid->copy_of = node;
		/* The node's may be another by now: its number must not be used again
		 * before the server has made the copy. */
		fid->original = p9_fid_get(call->fid[0]);
		fid->epoch = call->epoch;
		conn->fids_busy++;
		p9_req_queue_locked(conn, &fid->req);
	}
	netfs_mutex_unlock(&conn->lock);
	if (!go)
		p9_fid_put(fid);
}
