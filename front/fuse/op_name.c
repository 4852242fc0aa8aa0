/* SPDX-License-Identifier: MIT */
/*
 * Names: looking them up, making, moving and removing them.
 *
 * Names are copied into the request, because the library may need them after
 * the message's buffer has received the next one.  A symbolic link's target may
 * be long: there the buffer itself goes with the request.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "session.h"

/* A missing name may be remembered as such: that is an entry without a node. */
static void reply_lookup(struct netfs_fuse_request *r, int err)
{
	struct fuse_entry_param entry;

	if (err != -ENOENT || r->call.entry_ttl_ms == 0) {
		netfs_fuse_reply_entry(r, err);
		return;
	}
	memset(&entry, 0, sizeof(entry));
	entry.entry_timeout = r->call.entry_ttl_ms / 1000.0;
	fuse_reply_entry(r->req, &entry);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct netfs_vnode *dir;
	struct netfs_fuse_request *r = netfs_fuse_node_begin(req, parent, reply_lookup, &dir);

	if (!r || !netfs_fuse_request_name(r, 0, name))
		return;
	netfs_lookup(dir, r->name[0], &r->call);
	netfs_fuse_request_started(r);
}

static void op_forget(fuse_req_t req, fuse_ino_t nodeid, uint64_t count)
{
	netfs_fuse_node_forget(&netfs_fuse_session_of(req)->nodes, nodeid, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct netfs_fuse_session *session = netfs_fuse_session_of(req);

	for (size_t i = 0; i < count; i++)
		netfs_fuse_node_forget(&session->nodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct netfs_vnode *dir;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, parent, netfs_fuse_reply_entry, &dir);

	if (!r || !netfs_fuse_request_name(r, 0, name))
		return;
	netfs_mknod(dir, r->name[0], mode, major(rdev), minor(rdev), &r->call);
	netfs_fuse_request_started(r);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct netfs_vnode *dir;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, parent, netfs_fuse_reply_entry, &dir);

	if (!r || !netfs_fuse_request_name(r, 0, name))
		return;
	netfs_mkdir(dir, r->name[0], mode, &r->call);
	netfs_fuse_request_started(r);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct netfs_vnode *dir;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, parent, netfs_fuse_reply_entry, &dir);

	if (!r || !netfs_fuse_request_name(r, 0, name))
		return;
	netfs_symlink(dir, r->name[0], target, &r->call);
	netfs_fuse_request_started_with_message(r);
}

static void op_link(fuse_req_t req, fuse_ino_t nodeid, fuse_ino_t parent, const char *name)
{
	struct netfs_fuse_session *session = netfs_fuse_session_of(req);
	struct netfs_vnode *dir = netfs_fuse_node_find(&session->nodes, parent);
	struct netfs_vnode *vnode;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, nodeid, netfs_fuse_reply_entry, &vnode);

	if (!r || !netfs_fuse_request_name(r, 0, name))
		return;
	if (!dir) {
		netfs_fuse_request_fail(r, -ESTALE);
		return;
	}
	netfs_link(vnode, dir, r->name[0], &r->call);
	netfs_fuse_request_started(r);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct netfs_vnode *dir;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, parent, netfs_fuse_reply_result, &dir);

	if (!r || !netfs_fuse_request_name(r, 0, name))
		return;
	netfs_unlink(dir, r->name[0], &r->call);
	netfs_fuse_request_started(r);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct netfs_vnode *dir;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, parent, netfs_fuse_reply_result, &dir);

	if (!r || !netfs_fuse_request_name(r, 0, name))
		return;
	netfs_rmdir(dir, r->name[0], &r->call);
	netfs_fuse_request_started(r);
}

static void op_rename(fuse_req_t req, fuse_ino_t old_parent, const char *old_name,
		      fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
	struct netfs_fuse_session *session = netfs_fuse_session_of(req);
	struct netfs_vnode *new_dir = netfs_fuse_node_find(&session->nodes, new_parent);
	struct netfs_vnode *old_dir;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, old_parent, netfs_fuse_reply_result, &old_dir);

	if (!r || !netfs_fuse_request_name(r, 0, old_name) ||
	    !netfs_fuse_request_name(r, 1, new_name))
		return;
	if (!new_dir) {
		netfs_fuse_request_fail(r, -ESTALE);
		return;
	}
	netfs_rename(old_dir, r->name[0], new_dir, r->name[1], flags, &r->call);
	netfs_fuse_request_started(r);
}

static void reply_readlink(struct netfs_fuse_request *r, int err)
{
	char *target = r->mem;

	if (err < 0) {
		fuse_reply_err(r->req, -err);
		return;
	}
	target[r->call.count < PATH_MAX ? r->call.count : PATH_MAX] = '\0';
	fuse_reply_readlink(r->req, target);
}

static void op_readlink(fuse_req_t req, fuse_ino_t nodeid)
{
	struct netfs_vnode *vnode;
	struct netfs_fuse_request *r = netfs_fuse_node_begin(req, nodeid, reply_readlink, &vnode);

	if (!r)
		return;
	r->mem = malloc(PATH_MAX + 1);
	if (!r->mem) {
		netfs_fuse_request_fail(r, -ENOMEM);
		return;
	}
	r->call.buf = r->mem;
	r->call.buf_size = PATH_MAX;
	netfs_readlink(vnode, &r->call);
	netfs_fuse_request_started(r);
}

void netfs_fuse_name_ops(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
	ops->mknod = op_mknod;
	ops->mkdir = op_mkdir;
	ops->symlink = op_symlink;
	ops->link = op_link;
	ops->unlink = op_unlink;
	ops->rmdir = op_rmdir;
	ops->rename = op_rename;
	ops->readlink = op_readlink;
}
