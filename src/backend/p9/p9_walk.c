/* SPDX-License-Identifier: MIT */
/*
 * Walking by one name, and the tail that lookup and everything that makes a
 * name have in common: walk there, give it its owner, fetch its attributes,
 * hand out a node.
 *
 * Twalk and Tgetattr take two round trips.  They are not sent together: servers
 * with worker threads (diod) may run the second before the first.
 */
#include <fcntl.h>
#include <string.h>
#include "p9.h"

bool p9_name_good(const char *name, size_t len)
{
	if (len == 0 || len > NETFS_NAME_MAX || memchr(name, '/', len) || memchr(name, '\0', len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

static void walked(struct p9_call *call)
{
	if (!call->err && call->reply->rwalk.qids.count != call->walk_names)
		call->err = call->walk_names > call->reply->rwalk.qids.count ? -ENOENT : -EPROTO;
	if (call->err) {
		call->tmp->known = false;
		p9_call_drop_tmp(call);
	} else if (call->walk_names > 0) {
		call->qid = call->reply->rwalk.qids.v[0];
	}
	if (call->err && !call->walk_try)
		p9_call_finish(call, call->err);
	else
		call->after(call);
}

static void walk(struct p9_call *call, struct p9_fid *from, const char *name, p9_step_fn *after)
{
	struct p9_msg msg = {.type = P9_TWALK, .twalk = {.fid = from->num}};

	if (!p9_call_new_tmp(call))
		return;
	call->tmp->known = true;
	msg.twalk.newfid = call->tmp->num;
	if (name) {
		msg.twalk.names.count = 1;
		msg.twalk.names.v[0] = p9_str(name);
	}
	call->walk_names = msg.twalk.names.count;
	call->after = after;
	p9_call_try(call, &msg, walked);
}

void p9_walk(struct p9_call *call, struct p9_fid *from, const char *name, p9_step_fn *after)
{
	call->walk_try = false;
	walk(call, from, name, after);
}

void p9_walk_try(struct p9_call *call, struct p9_fid *from, const char *name, p9_step_fn *after)
{
	call->walk_try = true;
	walk(call, from, name, after);
}

/* The node, and for create its handle, are put together. */
static void result_attr(struct p9_call *call)
{
	const struct p9_attr *attr = &call->reply->rgetattr;
	struct netfs_op *op = call->op;
	struct p9_handle *handle = NULL;
	struct p9_node *node;

	if (call->creates && attr->qid.path != call->qid.path) {
		/* A path server, and somebody has replaced it. */
		p9_call_finish(call, -ESTALE);
		return;
	}
	/* The fid of a create is open: the node is walked to when it is used. */
	node = p9_node_found(call, &attr->qid, call->creates ? NULL : call->tmp);
	if (node && !call->creates)
		call->tmp = NULL;
	if (node && call->creates)
		handle = p9_handle_new(call->conn, node, call->flags);
	if (!node || (call->creates && !handle)) {
		if (node)
			netfs_node_put(&node->base);
		p9_call_finish(call, -ENOMEM);
		return;
	}
	if (handle) {
		p9_handle_install(handle, netfs_take(call->tmp), call->iounit);
		op->handle = &handle->base;
	}
	op->node = &node->base;
	p9_attr_read(attr, &op->attr);
	p9_call_finish(call, 0);
}

static void result_owned(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TGETATTR,
			     .tgetattr = {.fid = call->tmp->num, .mask = P9_GETATTR_ALL}};

	/* A server that runs as the user refuses to give files away; the file
	 * then belongs to whom the server says, and the attributes tell. */
	p9_call_send(call, &msg, result_attr);
}

void p9_walk_result(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TSETATTR,
			     .tsetattr = {.valid = P9_SETATTR_UID, .uid = call->op->cred.uid}};

	if (!call->owner || call->op->cred.uid == call->conn->uid) {
		result_owned(call);
		return;
	}
	msg.tsetattr.fid = call->tmp->num;
	p9_call_try(call, &msg, result_owned);
}

void p9_walk_name(struct p9_call *call)
{
	p9_walk(call, call->fid[0], call->name, p9_walk_result);
}

void p9_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_name(dir, name, op, p9_walk_name);

	if (call)
		p9_call_start(call);
}

void p9_walk_open(struct p9_call *call, uint32_t flags, p9_step_fn *next)
{
	struct p9_msg msg = {.type = P9_TLOPEN, .tlopen = {.flags = flags & O_ACCMODE}};

	msg.tlopen.fid = call->tmp->num;
	if (flags & O_TRUNC)
		msg.tlopen.flags |= P9_O_TRUNC;
	if (flags & O_DIRECTORY)
		msg.tlopen.flags |= P9_O_DIRECTORY;
	p9_call_send(call, &msg, next);
}
