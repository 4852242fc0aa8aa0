/* SPDX-License-Identifier: MIT */
/*
 * Attributes: Tgetattr, Tsetattr, Tstatfs.
 *
 * An open handle's fid is asked first where the caller has one, since it works
 * where the name is gone, and where the node has no fid of its own.  Some servers
 * answer from the path of the fid, so its answer counts only if it is about the
 * same object (qid.path), else the node's fid is asked.  Changes go through the
 * handle only while no rename can have moved it, as nothing could be checked
 * afterwards.
 *
 * The server's qid version and data version are not used as a change counter:
 * diod sends 0 for ever.
 */
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "p9.h"

static struct netfs_time read_time(uint64_t sec, uint64_t nsec)
{
	return (struct netfs_time){.sec = (int64_t)sec,
				   .nsec = nsec < 1000000000 ? (uint32_t)nsec : 0};
}

void p9_attr_read(const struct p9_attr *from, struct netfs_attr *ret_attr)
{
	*ret_attr = (struct netfs_attr){
		.ino = from->qid.path,
		.mode = from->mode,
		.nlink = from->nlink < UINT32_MAX ? (uint32_t)from->nlink : UINT32_MAX,
		.uid = from->uid,
		.gid = from->gid,
		.rdev_major = major(from->rdev),
		.rdev_minor = minor(from->rdev),
		.size = from->size,
		.blocks = from->blocks,
		.blksize = from->blksize < UINT32_MAX ? (uint32_t)from->blksize : UINT32_MAX,
		.atime = read_time(from->atime_sec, from->atime_nsec),
		.mtime = read_time(from->mtime_sec, from->mtime_nsec),
		.ctime = read_time(from->ctime_sec, from->ctime_nsec),
	};
	if (from->valid & P9_GETATTR_GEN)
		ret_attr->gen = from->gen;
	if (from->valid & P9_GETATTR_BTIME)
		ret_attr->btime = read_time(from->btime_sec, from->btime_nsec);
}

static void ask(struct p9_call *call, const struct p9_fid *fid, p9_step_fn *next)
{
	struct p9_msg msg = {.type = P9_TGETATTR,
			     .tgetattr = {.fid = fid->num, .mask = P9_GETATTR_ALL}};

	p9_call_try(call, &msg, next);
}

static void got_attr(struct p9_call *call)
{
	if (call->err) {
		p9_call_finish(call, call->err);
		return;
	}
	if (call->reply->rgetattr.qid.path != call->node[0]->qid_path) {
		/* A path server, and something else has the path now. */
		p9_call_finish(call, -ESTALE);
		return;
	}
	p9_attr_read(&call->reply->rgetattr, &call->op->attr);
	p9_call_finish(call, 0);
}

/* The handle was of no use: by the node's own fid, which may have to be walked. */
static void ask_node(struct p9_call *call)
{
	if (call->fid[0])
		ask(call, call->fid[0], got_attr);
	else
		p9_node_ensure(call);
}

static void got_attr_of_handle(struct p9_call *call)
{
	if (!call->err && call->reply->rgetattr.qid.path == call->node[0]->qid_path)
		got_attr(call);
	else
		ask_node(call);
}

/* The caller's handle, or any where the node would have to be walked to. */
static struct p9_handle *handle_locked(const struct p9_call *call)
{
	const struct p9_node *node = call->node[0];

	if (call->opened)
		return p9_handle_of(call->opened);
	return node->fid && node->epoch == call->conn->epoch ? NULL : node->open;
}

/* The handle's fid if it is usable without further ado.  Taken by the call. */
static bool use_handle(struct p9_call *call, bool unmoved)
{
	struct p9_conn *conn = call->conn;
	struct p9_handle *handle;

	/* It was of no use. */
	if (call->fid[0])
		return false;
	netfs_mutex_lock(&conn->lock);
	handle = handle_locked(call);
	if (handle && !handle->err && !handle->reopening && handle->fid &&
	    handle->fid->session == call->session &&
	    (!unmoved || (handle->epoch == conn->epoch && handle->moves == handle->node->moves)))
		call->hfid = p9_fid_get(handle->fid);
	netfs_mutex_unlock(&conn->lock);
	return call->hfid;
}

static void getattr_body(struct p9_call *call)
{
	if (use_handle(call, false))
		ask(call, call->hfid, got_attr_of_handle);
	else
		ask_node(call);
}

static struct p9_call *new_call(struct netfs_node *node, struct netfs_handle *handle,
				struct netfs_op *op, p9_step_fn *body)
{
	struct p9_call *call = p9_call_on_node(node, op, body);

	if (!call)
		return NULL;
	/* Not call->handle: the operation must not wait for a re-opening. */
	call->opened = handle;
	call->by_handle = true;
	return call;
}

void p9_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op)
{
	struct p9_call *call = new_call(node, handle, op, getattr_body);

	if (call)
		p9_call_start(call);
}

/* ------------------------------------------------------- setattr */

static const struct {
	uint32_t ours, theirs;
} set_bits[] = {
	{NETFS_SET_MODE, P9_SETATTR_MODE},
	{NETFS_SET_UID, P9_SETATTR_UID},
	{NETFS_SET_GID, P9_SETATTR_GID},
	{NETFS_SET_SIZE, P9_SETATTR_SIZE},
	{NETFS_SET_ATIME, P9_SETATTR_ATIME | P9_SETATTR_ATIME_SET},
	{NETFS_SET_MTIME, P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET},
	{NETFS_SET_ATIME_NOW, P9_SETATTR_ATIME},
	{NETFS_SET_MTIME_NOW, P9_SETATTR_MTIME},
};

static void set_through(struct p9_call *call, const struct p9_fid *fid, p9_step_fn *next)
{
	const struct netfs_setattr *set = call->set;
	struct p9_msg msg = {.type = P9_TSETATTR,
			     .tsetattr = {.fid = fid->num,
					  .mode = set->mode & 07777,
					  .uid = set->uid,
					  .gid = set->gid,
					  .size = set->size,
					  .atime_sec = (uint64_t)set->atime.sec,
					  .atime_nsec = set->atime.nsec,
					  .mtime_sec = (uint64_t)set->mtime.sec,
					  .mtime_nsec = set->mtime.nsec}};

	for (unsigned i = 0; i < sizeof(set_bits) / sizeof(set_bits[0]); i++) {
		if (set->valid & set_bits[i].ours)
			msg.tsetattr.valid |= set_bits[i].theirs;
	}
	p9_call_try(call, &msg, next);
}

static void set_done(struct p9_call *call)
{
	if (call->err)
		p9_call_finish(call, call->err);
	else
		ask(call, call->fid[0], got_attr);
}

static void set_done_by_handle(struct p9_call *call)
{
	call->changed = !call->err;
	if (call->changed)
		ask(call, call->hfid, got_attr_of_handle);
	else
		p9_node_ensure(call);
}

static void setattr_body(struct p9_call *call)
{
	bool writable = call->opened && p9_handle_of(call->opened)->base.writable;

	if (call->changed)
		getattr_body(call);
	else if (writable && use_handle(call, true))
		set_through(call, call->hfid, set_done_by_handle);
	else if (call->fid[0])
		set_through(call, call->fid[0], set_done);
	else
		p9_node_ensure(call);
}

void p9_setattr(struct netfs_node *node, struct netfs_handle *handle,
		const struct netfs_setattr *set, struct netfs_op *op)
{
	struct p9_call *call = new_call(node, handle, op, setattr_body);

	if (!call)
		return;
	call->set = set;
	p9_call_start(call);
}

/* ------------------------------------------------------- statfs */

static void got_statfs(struct p9_call *call)
{
	const struct p9_msg *reply = call->reply;

	call->op->statfs = (struct netfs_statfs){
		.bsize = reply->rstatfs.bsize,
		.namelen = reply->rstatfs.namelen,
		.blocks = reply->rstatfs.blocks,
		.bfree = reply->rstatfs.bfree,
		.bavail = reply->rstatfs.bavail,
		.files = reply->rstatfs.files,
		.ffree = reply->rstatfs.ffree,
	};
	p9_call_finish(call, 0);
}

static void statfs_body(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TSTATFS, .tstatfs = {.fid = call->fid[0]->num}};

	p9_call_send(call, &msg, got_statfs);
}

void p9_statfs(struct netfs_node *node, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_node(node, op, statfs_body);

	if (call)
		p9_call_start(call);
}
