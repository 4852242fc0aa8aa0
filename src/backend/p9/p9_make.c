/* SPDX-License-Identifier: MIT */
/*
 * Making names: create, mkdir, mknod, symlink.
 *
 * Each makes the name in one message and then walks to it for a node
 * (p9_walk.c).  create works on a copy of the directory's fid, which Tlcreate
 * turns into the open file.  The group goes with the message; the owner is set
 * behind, where it is not who we attached as.  Tlcreate is always exclusive, so
 * that a file somebody else made first is known as such: it is then opened, and
 * its owner left alone.
 *
 * Sent again after a lost connection, -EEXIST from the second try means that
 * the first one was executed: mkdir, mknod and symlink go on to the walk, an
 * exclusive create opens what is there.
 */
#include <fcntl.h>
#include "p9.h"

static void made(struct p9_call *call)
{
	if (call->err == -EEXIST && call->resent) {
		call->changed = true;
		call->err = 0;
	}
	if (call->err)
		p9_call_finish(call, call->err);
	else
		p9_walk_name(call);
}

/* ------------------------------------------------------- create */

/* The name was there, by an earlier try of ours or by somebody else. */
static void create_opened(struct p9_call *call)
{
	call->iounit = call->reply->rlopen.iounit;
	p9_walk_result(call);
}

static void create_found(struct p9_call *call)
{
	if (call->qid.type & P9_QID_SYMLINK)
		p9_call_finish(call, -ELOOP);
	else
		p9_walk_open(call, call->flags & (O_ACCMODE | O_TRUNC), create_opened);
}

static void created(struct p9_call *call)
{
	if (call->err == -EEXIST && (call->resent || !(call->flags & O_EXCL))) {
		call->changed = call->resent;
		call->owner = call->resent;
		p9_call_drop_tmp(call);
		p9_walk(call, call->fid[0], call->name, create_found);
		return;
	}
	if (call->err) {
		p9_call_finish(call, call->err);
		return;
	}
	call->iounit = call->reply->rlcreate.iounit;
	call->qid = call->reply->rlcreate.qid;
	/* It goes with the next message of this call. */
	p9_fid_copy_ahead(call);
	p9_walk_result(call);
}

static void create_cloned(struct p9_call *call)
{
	struct p9_msg msg = {
		.type = P9_TLCREATE,
		.tlcreate = {.name = p9_str(call->name),
			     .flags = (call->flags & O_ACCMODE) | P9_O_CREAT | P9_O_EXCL,
			     .mode = call->mode & 07777,
			     .gid = call->op->cred.gid}};

	msg.tlcreate.fid = call->tmp->num;
	p9_call_change(call, &msg, created);
}

static void create_body(struct p9_call *call)
{
	call->owner = true;
	/* Made in an earlier session: only open what is ours. */
	if (call->changed) {
		p9_walk(call, call->fid[0], call->name, create_found);
		return;
	}
	call->tmp = p9_fid_take_spare(call->node[0]);
	if (call->tmp)
		create_cloned(call);
	else
		p9_walk(call, call->fid[0], NULL, create_cloned);
}

void p9_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
	       struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_name(dir, name, op, create_body);

	if (!call)
		return;
	call->flags = flags;
	call->mode = mode;
	call->creates = true;
	p9_call_start(call);
}

/* ------------------------------------------------------- mkdir, mknod, symlink */

static struct p9_msg make_msg(const struct p9_call *call)
{
	uint32_t dfid = call->fid[0]->num, gid = call->op->cred.gid;
	struct p9_str name = p9_str(call->name);

	if (call->is_dir)
		return (struct p9_msg){.type = P9_TMKDIR,
				       .tmkdir = {dfid, name, call->mode & 07777, gid}};
	if (call->name2)
		return (struct p9_msg){.type = P9_TSYMLINK,
				       .tsymlink = {dfid, name, p9_str(call->name2), gid}};
	return (struct p9_msg){.type = P9_TMKNOD,
			       .tmknod = {dfid, name, call->mode, call->major, call->minor, gid}};
}

static void make_body(struct p9_call *call)
{
	struct p9_msg msg = make_msg(call);

	call->owner = true;
	if (call->changed)
		p9_walk_name(call);
	else
		p9_call_change(call, &msg, made);
}

void p9_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_name(dir, name, op, make_body);

	if (!call)
		return;
	call->is_dir = true;
	call->mode = mode;
	p9_call_start(call);
}

void p9_mknod(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t rdev_major,
	      uint32_t rdev_minor, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_name(dir, name, op, make_body);

	if (!call)
		return;
	call->mode = mode;
	call->major = rdev_major;
	call->minor = rdev_minor;
	p9_call_start(call);
}

void p9_symlink(struct netfs_node *dir, const char *name, const char *target, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_name(dir, name, op, make_body);

	if (!call)
		return;
	call->name2 = target;
	p9_call_start(call);
}
