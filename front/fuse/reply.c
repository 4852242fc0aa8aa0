/* SPDX-License-Identifier: MIT */
/*
 * Results of the library in the words of libfuse.
 *
 * An answer may fail: the kernel has given the request up (the process was
 * killed while it waited), or the connection is gone.  What the kernel would
 * have owned after a good answer is then given back here.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "session.h"

void netfs_fuse_stat_fill(struct stat *st, const struct netfs_attr *attr, uint64_t ino)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ino;
	st->st_mode = attr->mode;
	st->st_nlink = attr->nlink;
	st->st_uid = attr->uid;
	st->st_gid = attr->gid;
	st->st_rdev = makedev(attr->rdev_major, attr->rdev_minor);
	st->st_size = (off_t)attr->size;
	st->st_blocks = (blkcnt_t)attr->blocks;
	st->st_blksize = attr->blksize;
	st->st_atim.tv_sec = attr->atime.sec;
	st->st_atim.tv_nsec = attr->atime.nsec;
	st->st_mtim.tv_sec = attr->mtime.sec;
	st->st_mtim.tv_nsec = attr->mtime.nsec;
	st->st_ctim.tv_sec = attr->ctime.sec;
	st->st_ctim.tv_nsec = attr->ctime.nsec;
}

int netfs_fuse_entry_fill(struct netfs_fuse_session *session, struct netfs_call *call,
			  struct fuse_entry_param *entry)
{
	uint64_t ino = netfs_vnode_ino(call->vnode);
	int err = netfs_fuse_node_enter(&session->nodes, call->vnode, &entry->ino);

	if (err < 0)
		return err;
	entry->generation = call->attr.gen;
	netfs_fuse_stat_fill(&entry->attr, &call->attr, ino);
	entry->attr_timeout = call->attr_ttl_ms / 1000.0;
	entry->entry_timeout = call->entry_ttl_ms / 1000.0;
	return 0;
}

void netfs_fuse_reply_result(struct netfs_fuse_request *r, int err)
{
	fuse_reply_err(r->req, -err);
}

void netfs_fuse_reply_entry(struct netfs_fuse_request *r, int err)
{
	struct fuse_entry_param entry;

	memset(&entry, 0, sizeof(entry));
	if (err == 0)
		err = netfs_fuse_entry_fill(r->session, &r->call, &entry);
	if (err < 0) {
		fuse_reply_err(r->req, -err);
		return;
	}
	if (fuse_reply_entry(r->req, &entry) != 0)
		netfs_fuse_node_forget(&r->session->nodes, entry.ino, 1);
}

void netfs_fuse_reply_attr(struct netfs_fuse_request *r, int err)
{
	struct netfs_vnode *vnode = netfs_fuse_node_find(&r->session->nodes, r->nodeid);
	struct stat st;

	if (err == 0 && !vnode)
		err = -ESTALE;
	if (err < 0) {
		fuse_reply_err(r->req, -err);
		return;
	}
	netfs_fuse_stat_fill(&st, &r->call.attr, netfs_vnode_ino(vnode));
	fuse_reply_attr(r->req, &st, r->call.attr_ttl_ms / 1000.0);
}

/* The kernel reads a copied count as it reads a written one. */
void netfs_fuse_reply_count(struct netfs_fuse_request *r, int err)
{
	if (err < 0)
		fuse_reply_err(r->req, -err);
	else
		fuse_reply_write(r->req, r->call.count);
}
