/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes.
 *
 * Txattrwalk turns a new fid into the value (or with an empty name the list of
 * names), which is then read like a file.  Txattrcreate turns a copy of the
 * object's fid into a value of a given size, to be written like a file; only
 * its Tclunk makes the change and says whether it worked.  Size 0 removes, so
 * the protocol has no empty values.
 */
#include <string.h>
#include <sys/xattr.h>
#include "p9.h"

#define XATTR_NAME_BYTES 255

static bool check_name(const char *name, struct netfs_op *op)
{
	size_t len = strlen(name);

	if (len > 0 && len <= XATTR_NAME_BYTES)
		return true;
	op->done(op, -ERANGE);
	return false;
}

/* ------------------------------------------------------- get, list */

static void read_more(struct p9_call *call);

static void value_read(struct p9_call *call)
{
	uint32_t count = call->reply->rread.data.count;

	call->moved += count;
	/* Shorter than announced: it was changed meanwhile. */
	if (count == 0)
		call->size = call->moved;
	read_more(call);
}

static void read_more(struct p9_call *call)
{
	size_t left = call->size - call->moved, room = p9_conn_room(call->conn);
	struct p9_msg msg = {.type = P9_TREAD, .tread = {.fid = call->tmp->num}};

	if (left == 0) {
		call->op->count = call->moved;
		p9_call_finish(call, 0);
		return;
	}
	left = left < room ? left : room;
	call->iov.iov_base = (char *)call->op->buf + call->moved;
	call->iov.iov_len = left;
	call->req.into = &call->iov;
	call->req.ninto = 1;
	call->req.count = (uint32_t)left;
	msg.tread.offset = call->moved;
	msg.tread.count = (uint32_t)left;
	p9_call_send(call, &msg, value_read);
}

static void value_found(struct p9_call *call)
{
	struct netfs_op *op = call->op;

	if (call->err) {
		call->tmp->known = false;
		p9_call_finish(call, call->err);
		return;
	}
	call->size = call->reply->rxattrwalk.size;
	call->moved = 0;
	if (op->buf_size == 0) {
		op->count = call->size;
		p9_call_finish(call, 0);
	} else if (call->size > op->buf_size) {
		p9_call_finish(call, -ERANGE);
	} else {
		read_more(call);
	}
}

static void getxattr_body(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TXATTRWALK,
			     .txattrwalk = {.fid = call->fid[0]->num, .name = p9_str(call->name)}};

	if (!p9_call_new_tmp(call))
		return;
	call->tmp->known = true;
	msg.txattrwalk.newfid = call->tmp->num;
	p9_call_try(call, &msg, value_found);
}

static void start_get(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_node(node, op, getxattr_body);

	if (!call)
		return;
	call->name = name;
	p9_call_start(call);
}

void p9_getxattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	if (check_name(name, op))
		start_get(node, name, op);
}

void p9_listxattr(struct netfs_node *node, struct netfs_op *op)
{
	start_get(node, "", op);
}

/* ------------------------------------------------------- set, remove */

static void value_clunked(struct p9_call *call)
{
	/* Clunked, well or not; the number is free without another Tclunk. */
	call->tmp->known = false;
	p9_call_finish(call, call->err);
}

static void write_more(struct p9_call *call);

static void value_written(struct p9_call *call)
{
	uint32_t count = call->reply->rwrite.count;

	if (count == 0) {
		p9_call_finish(call, -EIO);
		return;
	}
	call->moved += count;
	write_more(call);
}

static void write_more(struct p9_call *call)
{
	struct p9_msg clunk = {.type = P9_TCLUNK, .tclunk = {.fid = call->tmp->num}};
	struct p9_msg msg = {.type = P9_TWRITE, .twrite = {.fid = call->tmp->num}};
	size_t left = call->size - call->moved, room = p9_conn_room(call->conn);

	if (left == 0) {
		p9_call_try(call, &clunk, value_clunked);
		return;
	}
	left = left < room ? left : room;
	call->iov.iov_base = (char *)call->value + call->moved;
	call->iov.iov_len = left;
	call->req.count = (uint32_t)left;
	msg.twrite.offset = call->moved;
	msg.twrite.data.count = (uint32_t)left;
	call->next = value_written;
	call->try = false;
	p9_call_send_data(call, &msg, &call->iov, 1);
}

static void value_cloned(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TXATTRCREATE,
			     .txattrcreate = {.name = p9_str(call->name),
					      .size = call->size,
					      .flags = call->flags}};

	msg.txattrcreate.fid = call->tmp->num;
	p9_call_send(call, &msg, write_more);
}

static void setxattr_body(struct p9_call *call)
{
	call->moved = 0;
	p9_walk(call, call->fid[0], NULL, value_cloned);
}

void p9_setxattr(struct netfs_node *node, const char *name, const void *value, size_t size,
		 uint32_t flags, struct netfs_op *op)
{
	struct p9_call *call;

	if (!check_name(name, op))
		return;
	call = p9_call_on_node(node, op, setxattr_body);
	if (!call)
		return;
	call->name = name;
	call->value = value;
	call->size = size;
	call->flags = flags & (XATTR_CREATE | XATTR_REPLACE);
	p9_call_start(call);
}

void p9_removexattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	p9_setxattr(node, name, NULL, 0, XATTR_REPLACE, op);
}
