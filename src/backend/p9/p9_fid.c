/* SPDX-License-Identifier: MIT */
/*
 * Fid numbers: handed out, counted, clunked in the background, used again.
 *
 * A number is free again only after its Rclunk (or after its session ended), so
 * a late request can never meet another file under the same number.  The Tclunk
 * lives inside the fid: giving back needs no memory and cannot fail.  A refused
 * Tclunk ends the fid all the same, as the protocol says.
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
	struct p9_fid *fid = netfs_container_of(req, struct p9_fid, clunk);
	struct p9_conn *conn = fid->conn;

	p9_req_done(req);
	netfs_mutex_lock(&conn->lock);
	number_free_locked(conn, fid->num);
	conn->clunks--;
	if (conn->closing)
		netfs_task_post(&conn->task);
	netfs_mutex_unlock(&conn->lock);
	netfs_free(fid);
}

static int prepare_clunk(struct p9_fid *fid)
{
	struct p9_msg msg = {.type = P9_TCLUNK, .tclunk = {.fid = fid->num}};

	fid->clunk.done = clunked;
	return p9_req_prepare(&fid->clunk, &msg, NULL, 0);
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
		conn->clunks++;
		p9_req_queue_locked(conn, &fid->clunk);
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
