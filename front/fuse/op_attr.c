/* SPDX-License-Identifier: MIT */
/*
 * Attributes: stat, their change, the file system's figures, and extended
 * attributes.
 *
 * The kernel asks for a file's capabilities ("security.capability") before every
 * single write, to know whether the write has to remove them.  That there are
 * none is therefore remembered for a while with the node.
 *
 * There is no access(): the mount always has default_permissions, so that the
 * kernel decides by mode, owner and the user who asks, for every user anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/statvfs.h>
#include "session.h"

static void op_getattr(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	struct netfs_vnode *vnode;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, nodeid, netfs_fuse_reply_attr, &vnode);

	if (!r)
		return;
	netfs_getattr(vnode, netfs_fuse_file(fi), &r->call);
	netfs_fuse_request_started(r);
}

/* "Now" comes together with a time, and wins.  ctime is the server's. */
static void setattr_fill(struct netfs_setattr *set, const struct stat *attr, int to_set)
{
	memset(set, 0, sizeof(*set));
	if (to_set & FUSE_SET_ATTR_MODE)
		set->valid |= NETFS_SET_MODE;
	if (to_set & FUSE_SET_ATTR_UID)
		set->valid |= NETFS_SET_UID;
	if (to_set & FUSE_SET_ATTR_GID)
		set->valid |= NETFS_SET_GID;
	if (to_set & FUSE_SET_ATTR_SIZE)
		set->valid |= NETFS_SET_SIZE;
	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		set->valid |= NETFS_SET_ATIME_NOW;
	else if (to_set & FUSE_SET_ATTR_ATIME)
		set->valid |= NETFS_SET_ATIME;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		set->valid |= NETFS_SET_MTIME_NOW;
	else if (to_set & FUSE_SET_ATTR_MTIME)
		set->valid |= NETFS_SET_MTIME;
	set->mode = attr->st_mode;
	set->uid = attr->st_uid;
	set->gid = attr->st_gid;
	set->size = (uint64_t)attr->st_size;
	set->atime.sec = attr->st_atim.tv_sec;
	set->atime.nsec = (uint32_t)attr->st_atim.tv_nsec;
	set->mtime.sec = attr->st_mtim.tv_sec;
	set->mtime.nsec = (uint32_t)attr->st_mtim.tv_nsec;
}

/* The change is kept in memory of the request: the library may need it until
 * it completes. */
static void op_setattr(fuse_req_t req, fuse_ino_t nodeid, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct netfs_vnode *vnode;
	struct netfs_setattr *set;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, nodeid, netfs_fuse_reply_attr, &vnode);

	if (!r)
		return;
	_Static_assert(sizeof(*set) <= sizeof(r->iov), "a change fits the request");
	set = (struct netfs_setattr *)r->iov;
	setattr_fill(set, attr, to_set);
	netfs_setattr(vnode, netfs_fuse_file(fi), set, &r->call);
	netfs_fuse_request_started(r);
}

static void reply_statfs(struct netfs_fuse_request *r, int err)
{
	const struct netfs_statfs *from = &r->call.statfs;
	struct statvfs to;

	if (err < 0) {
		fuse_reply_err(r->req, -err);
		return;
	}
	memset(&to, 0, sizeof(to));
	to.f_bsize = from->bsize;
	to.f_frsize = from->bsize;
	to.f_blocks = from->blocks;
	to.f_bfree = from->bfree;
	to.f_bavail = from->bavail;
	to.f_files = from->files;
	to.f_ffree = from->ffree;
	to.f_favail = from->ffree;
	to.f_namemax = from->namelen;
	fuse_reply_statfs(r->req, &to);
}

static void op_statfs(fuse_req_t req, fuse_ino_t nodeid)
{
	struct netfs_vnode *vnode;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, nodeid ? nodeid : FUSE_ROOT_ID, reply_statfs, &vnode);

	if (!r)
		return;
	netfs_statfs(vnode, &r->call);
	netfs_fuse_request_started(r);
}

static void reply_xattr(struct netfs_fuse_request *r, int err)
{
	if (err < 0)
		fuse_reply_err(r->req, -err);
	else if (r->size == 0)
		fuse_reply_xattr(r->req, r->call.count);
	else if (r->call.count > r->size)
		fuse_reply_err(r->req, ERANGE);
	else
		fuse_reply_buf(r->req, r->mem, r->call.count);
}

/* Room for an answer of at most size bytes; size 0 only asks how many. */
static bool answer_room(struct netfs_fuse_request *r, size_t size)
{
	r->size = size;
	if (size) {
		r->mem = malloc(size);
		if (!r->mem) {
			netfs_fuse_request_fail(r, -ENOMEM);
			return false;
		}
	}
	r->call.buf = r->mem;
	r->call.buf_size = size;
	return true;
}

static bool is_caps(const char *name)
{
	return strcmp(name, "security.capability") == 0;
}

static void reply_caps(struct netfs_fuse_request *r, int err)
{
	if (err == -ENODATA || err == -EOPNOTSUPP)
		netfs_fuse_node_no_caps(&r->session->nodes, r->nodeid, r->mark);
	reply_xattr(r, err);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t nodeid, const char *name, size_t size)
{
	struct netfs_fuse_nodes *nodes = &netfs_fuse_session_of(req)->nodes;
	bool caps = is_caps(name);
	struct netfs_fuse_request *r;
	struct netfs_vnode *vnode;
	uint32_t mark = 0;

	if (caps && netfs_fuse_node_has_no_caps(nodes, nodeid, &mark)) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	r = netfs_fuse_node_begin(req, nodeid, caps ? reply_caps : reply_xattr, &vnode);
	if (!r || !netfs_fuse_request_name(r, 0, name) || !answer_room(r, size))
		return;
	r->mark = mark;
	netfs_getxattr(vnode, r->name[0], &r->call);
	netfs_fuse_request_started(r);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t nodeid, size_t size)
{
	struct netfs_vnode *vnode;
	struct netfs_fuse_request *r = netfs_fuse_node_begin(req, nodeid, reply_xattr, &vnode);

	if (!r || !answer_room(r, size))
		return;
	netfs_listxattr(vnode, &r->call);
	netfs_fuse_request_started(r);
}

/* Whether it succeeded or not, what was known is not known any more. */
static void reply_set_caps(struct netfs_fuse_request *r, int err)
{
	netfs_fuse_node_caps_changed(&r->session->nodes, r->nodeid);
	netfs_fuse_reply_result(r, err);
}

/* How unetfs cache pins files: it goes to the disk cache, not to the server. */
static bool is_pin(const char *name)
{
	return strcmp(name, NETFS_FUSE_PIN) == 0;
}

static int set_pin(fuse_req_t req, struct netfs_vnode *vnode, const char *value, size_t size)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	if (uid != 0 && uid != geteuid())
		return -EPERM;
	if (size != 1 || (value[0] != '0' && value[0] != '1'))
		return -EINVAL;
	return netfs_pin(vnode, value[0] == '1');
}

static void op_setxattr(fuse_req_t req, fuse_ino_t nodeid, const char *name, const char *value,
			size_t size, int flags)
{
	struct netfs_vnode *vnode;
	struct netfs_fuse_request *r = netfs_fuse_node_begin(
		req, nodeid, is_caps(name) ? reply_set_caps : netfs_fuse_reply_result, &vnode);

	if (!r || !netfs_fuse_request_name(r, 0, name))
		return;
	if (is_pin(name)) {
		netfs_fuse_request_fail(r, set_pin(req, vnode, value, size));
		return;
	}
	netfs_setxattr(vnode, r->name[0], value, size, (uint32_t)flags, &r->call);
	netfs_fuse_request_started_with_message(r);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t nodeid, const char *name)
{
	struct netfs_vnode *vnode;
	struct netfs_fuse_request *r =
		netfs_fuse_node_begin(req, nodeid, netfs_fuse_reply_result, &vnode);

	if (!r || !netfs_fuse_request_name(r, 0, name))
		return;
	netfs_removexattr(vnode, r->name[0], &r->call);
	netfs_fuse_request_started(r);
}

void netfs_fuse_attr_ops(struct fuse_lowlevel_ops *ops)
{
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->statfs = op_statfs;
	ops->getxattr = op_getxattr;
	ops->listxattr = op_listxattr;
	ops->setxattr = op_setxattr;
	ops->removexattr = op_removexattr;
}
