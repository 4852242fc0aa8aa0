/* SPDX-License-Identifier: MIT */
/*
 * The first messages of every session: Tversion, Tauth, Tattach, and for the
 * very first session Tgetattr of the root.
 *
 * Tauth is sent to learn whether the server insists on authentication: one that
 * does answers Rauth, and is refused with a clear line; one that does not
 * answers an error, which is what we want.  A server that is restarted must
 * attach us to the same root as before (by qid.path), or every node would be
 * another file.
 *
 * Everything here runs on the connection's task.
 */
#include <string.h>
#include <stdio.h>
#include "p9.h"

static void send(struct p9_conn *conn, const struct p9_msg *msg,
		 void (*done)(struct p9_req *req, enum p9_end end, const struct p9_msg *reply))
{
	int err = p9_req_prepare(&conn->hello, msg, NULL, 0);

	if (err) {
		p9_conn_fault(conn, err, "no memory to attach");
		return;
	}
	conn->hello.done = done;
	netfs_mutex_lock(&conn->lock);
	if (msg->type == P9_TVERSION)
		p9_req_queue_notag_locked(conn, &conn->hello);
	else
		p9_req_queue_locked(conn, &conn->hello);
	netfs_mutex_unlock(&conn->lock);
	p9_send(conn);
}

/* Lost and broken requests have their fault already. */
static bool replied(struct p9_conn *conn, enum p9_end end, const char *what)
{
	p9_req_done(&conn->hello);
	if (end == P9_REFUSED)
		p9_conn_fault(conn, conn->hello.err, "%s refused by %s: %s", what, conn->be.address,
			      strerrordesc_np(-conn->hello.err));
	return end == P9_REPLIED;
}

static void got_root(struct p9_req *req, enum p9_end end, const struct p9_msg *reply)
{
	struct p9_conn *conn = netfs_container_of(req, struct p9_conn, hello);
	struct netfs_attr attr;
	struct p9_node *root;

	if (!replied(conn, end, "reading the root"))
		return;
	root = p9_node_root(conn, &reply->rgetattr.qid);
	if (!root) {
		p9_conn_fault(conn, -ENOMEM, "no memory for the root");
		return;
	}
	p9_attr_read(&reply->rgetattr, &attr);
	p9_conn_ready(conn, &root->base, &attr);
}

static void attached(struct p9_req *req, enum p9_end end, const struct p9_msg *reply)
{
	struct p9_conn *conn = netfs_container_of(req, struct p9_conn, hello);
	char what[80];
	struct p9_msg msg = {.type = P9_TGETATTR,
			     .tgetattr = {.fid = P9_ROOT_FID, .mask = P9_GETATTR_ALL}};

	snprintf(what, sizeof(what), "attach to %.60s", conn->aname);
	if (!replied(conn, end, what))
		return;
	if (conn->connect_op) {
		conn->root_qid = reply->rattach.qid;
		send(conn, &msg, got_root);
	} else if (reply->rattach.qid.path != conn->root_qid.path) {
		p9_conn_fault(conn, -ESTALE, "%s exports another tree now", conn->be.address);
	} else {
		p9_conn_ready(conn, NULL, NULL);
	}
}

static void authed(struct p9_req *req, enum p9_end end, const struct p9_msg *reply)
{
	struct p9_conn *conn = netfs_container_of(req, struct p9_conn, hello);
	struct p9_msg msg = {.type = P9_TATTACH,
			     .tattach = {.fid = P9_ROOT_FID,
					 .afid = P9_NOFID,
					 .uname = p9_str(conn->uname),
					 .aname = p9_str(conn->aname),
					 .n_uname = conn->uid}};

	p9_req_done(&conn->hello);
	if (end == P9_REPLIED)
		p9_conn_fault(conn, -EACCES, "%s demands authentication, which is not supported",
			      conn->be.address);
	else if (end == P9_REFUSED)
		send(conn, &msg, attached);
}

static void versioned(struct p9_req *req, enum p9_end end, const struct p9_msg *reply)
{
	struct p9_conn *conn = netfs_container_of(req, struct p9_conn, hello);
	const struct p9_str *version;
	struct p9_msg msg = {.type = P9_TAUTH,
			     .tauth = {.afid = P9_ROOT_FID + 1,
				       .uname = p9_str(conn->uname),
				       .aname = p9_str(conn->aname),
				       .n_uname = conn->uid}};

	if (!replied(conn, end, "version"))
		return;
	version = &reply->rversion.version;
	if (version->len != strlen(P9_VERSION) ||
	    memcmp(version->p, P9_VERSION, version->len) != 0) {
		p9_conn_fault(conn, -EPROTONOSUPPORT, "%s does not speak " P9_VERSION,
			      conn->be.address);
		return;
	}
	if (reply->rversion.msize < P9_MSIZE_MIN || reply->rversion.msize > conn->msize_want) {
		p9_conn_fault(conn, -EPROTO, "%s answered with an impossible msize of %u",
			      conn->be.address, reply->rversion.msize);
		return;
	}
	netfs_mutex_lock(&conn->lock);
	conn->msize = reply->rversion.msize;
	netfs_mutex_unlock(&conn->lock);
	send(conn, &msg, authed);
}

void p9_hello_start(struct p9_conn *conn)
{
	struct p9_msg msg = {
		.type = P9_TVERSION,
		.tag = P9_NOTAG,
		.tversion = {.msize = conn->msize_want, .version = p9_str(P9_VERSION)}};

	netfs_mutex_lock(&conn->lock);
	conn->session++;
	conn->msize = conn->msize_want;
	conn->root_fid.session = conn->session;
	netfs_mutex_unlock(&conn->lock);
	send(conn, &msg, versioned);
}
