/* SPDX-License-Identifier: MIT */
/*
 * Directories.
 *
 * The answer is packed into memory of the request while the library hands over
 * entry by entry.  In a readdirplus each entry with a vnode counts as a lookup
 * by the kernel, except "." and ".."; when the answer does not reach the
 * kernel, all of them are taken back.
 *
 * The kernel may keep the listing (cache_readdir) and use it again while the
 * library says that what was cached above it is still right.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include "session.h"

static void reply_opendir(struct netfs_fuse_request *r, int err)
{
	struct netfs_fuse_session *session = r->session;
	struct netfs_fuse_handle *handle = r->handle;

	if (err < 0) {
		netfs_fuse_handle_free(session, handle);
		fuse_reply_err(r->req, -err);
		return;
	}
	handle->file = r->call.file;
	r->fi.cache_readdir = 1;
	r->fi.keep_cache = r->call.keep_pages;
	if (fuse_reply_open(r->req, &r->fi) != 0)
		netfs_fuse_handle_free(session, handle);
}

static void op_opendir(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	struct netfs_vnode *vnode;
	struct netfs_fuse_request *r = netfs_fuse_node_begin(req, nodeid, reply_opendir, &vnode);

	if (!r)
		return;
	r->fi = *fi;
	r->handle = netfs_fuse_handle_new(r->session);
	if (!r->handle) {
		netfs_fuse_request_fail(r, -ENOMEM);
		return;
	}
	r->fi.fh = (uintptr_t)r->handle;
	netfs_open(vnode, (uint32_t)fi->flags, &r->call);
	netfs_fuse_request_started(r);
}

static bool fill(struct netfs_call *call, const struct netfs_direntry *entry)
{
	struct netfs_fuse_request *r = netfs_container_of(call, struct netfs_fuse_request, call);
	struct stat st = {.st_ino = entry->ino, .st_mode = entry->type};
	size_t room = r->size - r->used;
	size_t need = fuse_add_direntry(r->req, (char *)r->mem + r->used, room, entry->name, &st,
					(off_t)entry->next);

	if (need > room)
		return false;
	r->used += need;
	return true;
}

static bool dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Takes over the reference of entry's vnode, where it has one.  An entry
 * without a node number only says its name and type. */
static void plus_fill(struct netfs_fuse_request *r, const struct netfs_direntry *entry,
		      struct fuse_entry_param *param)
{
	uint64_t nodeid;

	param->attr.st_ino = entry->ino;
	param->attr.st_mode = entry->type;
	if (!entry->vnode)
		return;
	if (dots(entry->name)) {
		netfs_vnode_put(entry->vnode);
		return;
	}
	netfs_fuse_stat_fill(&param->attr, &entry->attr, netfs_vnode_ino(entry->vnode));
	if (netfs_fuse_node_enter(&r->session->nodes, entry->vnode, &nodeid) < 0)
		return;
	param->ino = nodeid;
	param->generation = entry->attr.gen;
	param->attr_timeout = entry->attr_ttl_ms / 1000.0;
	param->entry_timeout = entry->entry_ttl_ms / 1000.0;
}

static bool fill_plus(struct netfs_call *call, const struct netfs_direntry *entry)
{
	struct netfs_fuse_request *r = netfs_container_of(call, struct netfs_fuse_request, call);
	struct fuse_entry_param param = {0};
	size_t room = r->size - r->used;

	if (fuse_add_direntry_plus(r->req, NULL, 0, entry->name, NULL, 0) > room)
		return false;
	plus_fill(r, entry, &param);
	r->used += fuse_add_direntry_plus(r->req, (char *)r->mem + r->used, room, entry->name,
					  &param, (off_t)entry->next);
	return true;
}

static void reply_readdir(struct netfs_fuse_request *r, int err)
{
	if (err < 0 && r->used == 0)
		fuse_reply_err(r->req, -err);
	else
		fuse_reply_buf(r->req, r->mem, r->used);
}

/* The kernel did not get the answer: forgets what was counted for it. */
static void plus_undo(struct netfs_fuse_request *r)
{
	const char *pos = r->mem, *end = pos + r->used;

	while (pos < end) {
		const struct fuse_direntplus *entry = (const struct fuse_direntplus *)pos;

		if (entry->entry_out.nodeid)
			netfs_fuse_node_forget(&r->session->nodes, entry->entry_out.nodeid, 1);
		pos += FUSE_DIRENTPLUS_SIZE(entry);
	}
}

static void reply_readdirplus(struct netfs_fuse_request *r, int err)
{
	if (err < 0 && r->used == 0)
		fuse_reply_err(r->req, -err);
	else if (fuse_reply_buf(r->req, r->mem, r->used) != 0)
		plus_undo(r);
}

static void readdir_start(fuse_req_t req, size_t size, off_t cookie, struct fuse_file_info *fi,
			  bool plus)
{
	struct netfs_fuse_request *r =
		netfs_fuse_call_begin(req, plus ? reply_readdirplus : reply_readdir);

	if (!r)
		return;
	r->used = 0;
	r->size = size;
	r->mem = malloc(size);
	if (!r->mem) {
		netfs_fuse_request_fail(r, -ENOMEM);
		return;
	}
	netfs_readdir(netfs_fuse_file(fi), (uint64_t)cookie, plus, plus ? fill_plus : fill,
		      &r->call);
	netfs_fuse_request_started(r);
}

static void op_readdir(fuse_req_t req, fuse_ino_t nodeid, size_t size, off_t cookie,
		       struct fuse_file_info *fi)
{
	readdir_start(req, size, cookie, fi, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t nodeid, size_t size, off_t cookie,
			   struct fuse_file_info *fi)
{
	readdir_start(req, size, cookie, fi, true);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	netfs_fuse_handle_free(netfs_fuse_session_of(req),
			       (struct netfs_fuse_handle *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

/* Names are at the server when the call that made them returns. */
static void op_fsyncdir(fuse_req_t req, fuse_ino_t nodeid, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

void netfs_fuse_dir_ops(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = op_opendir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
	ops->releasedir = op_releasedir;
	ops->fsyncdir = op_fsyncdir;
}
