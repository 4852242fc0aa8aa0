// SPDX-License-Identifier: MIT
/*
 * Making and opening: files, directories, links inside files.
 *
 * What is made belongs, on this mount, to whom the options say; its mode is what they
 * say too, apart from the owner's right to write, which servers know as "read-only".
 * Where owner and mode are the server's, the mode is put into what was made before
 * anybody hears of it (smb_owner.c).
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "smb.h"
#include "smb_reparse.h"

#define ACCESS_WRITE                                                                               \
	(SMB_ACCESS_WRITE_DATA | SMB_ACCESS_APPEND_DATA | SMB_ACCESS_WRITE_ATTRIBUTES |            \
	 SMB_ACCESS_WRITE_EA | SMB_ACCESS_READ_ATTRIBUTES | SMB_ACCESS_SYNCHRONIZE)

/* A handle that is written through may have to read what surrounds a write. */
static uint32_t access_of(uint32_t flags)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return SMB_READING;
	case O_WRONLY:
		return ACCESS_WRITE;
	default:
		return SMB_READING | ACCESS_WRITE;
	}
}

/* The same for a CREATE of this call, and the handle it makes. */
static uint32_t call_access(const struct smb_call *call)
{
	return access_of(call->flags) | smb_owner_access(call);
}

/* As the server is told it; of a mode that it keeps as such nothing is in it. */
static uint32_t attributes_of(const struct smb_call *call)
{
	bool all = call->is_dir || call->mode & 0200 || call->conn->owners;

	return all ? SMB_ATTR_NORMAL : SMB_ATTR_READONLY;
}

static void note_access(struct smb_handle *handle)
{
	handle->base.readable = handle->access & SMB_ACCESS_READ_DATA;
	handle->base.writable = handle->access & SMB_ACCESS_WRITE_DATA;
}

static void unmake(struct smb_call *call)
{
	if (call->op->node)
		netfs_node_put(netfs_take(call->op->node));
	if (call->op->handle)
		netfs_handle_put(netfs_take(call->op->handle));
}

/* Results are the caller's on success only. */
static void make_end(struct smb_call *call)
{
	if (call->err)
		unmake(call);
}

/* Part 0 made or opened it, part 1 says what it is: op->node and attr. */
static int take_node(struct smb_call *call)
{
	struct smb_node *node;
	union smb_info info;
	int err = call->err;

	if (!err)
		err = smb_call_all(call, 1, &info);
	if (err)
		return err;
	node = smb_node_at(call->conn, call->node[0], call->name, &info.all, true);
	if (!node)
		return -ENOMEM;
	smb_owner_take(&call->req, node);
	smb_attr_of_all(node, &info.all, &call->op->attr);
	call->op->node = &node->base;
	return 0;
}

/* ------------------------------------------------------------ create */

static void created(struct smb_call *call)
{
	const struct smb_msg *reply = &call->req.part[0].reply;
	struct smb_handle *handle;
	int err = take_node(call);

	if (!err && reply->kind != SMB_REPLY(SMB_CREATE))
		err = -EPROTO;
	handle = err ? NULL
		     : smb_handle_new(call->conn, smb_node_of(call->op->node), call_access(call),
				      SMB_OPT_NON_DIRECTORY);
	if (!handle) {
		smb_handle_close_stray(call);
		smb_call_end(call, err ? err : -ENOMEM);
		return;
	}
	note_access(handle);
	call->op->promise = smb_handle_opened(handle, call, reply);
	call->op->handle = &handle->base;
	smb_parent_told(call);
	smb_parent_forget(call);
	smb_owner_made(call);
}

static void create_body(struct smb_call *call)
{
	bool truncate = call->flags & O_TRUNC, fresh = call->flags & O_EXCL && !call->resent;
	struct smb_msg msg = {.create_req = {.access = call_access(call),
					     .attributes = attributes_of(call),
					     .options = SMB_OPT_NON_DIRECTORY,
					     .disposition = fresh      ? SMB_CREATE_NEW
							    : truncate ? SMB_OVERWRITE_IF
								       : SMB_OPEN_IF}};

	/* It was made, and is found again. */
	unmake(call);
	call->changing = true;
	smb_lease_want(call, NULL, msg.create_req.access);
	smb_parent_ask(call);
	if (smb_call_add_create(call, call->node[0], call->name, &msg) &&
	    smb_call_add_query(call, SMB_FID_RELATED) && smb_owner_ask(call, SMB_FID_RELATED))
		smb_call_send(call, created);
}

void smb_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
		struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(dir->be, op, create_body);

	if (!call)
		return;
	op->node = NULL;
	op->handle = NULL;
	call->node[0] = smb_node_of(dir);
	call->name = name;
	call->flags = flags;
	call->mode = mode;
	call->end = make_end;
	smb_call_start(call);
}

/* -------------------------------------------------------------- open */

/* Part 1 says what was opened: is it still the file that was meant?  Part 2 may have
 * failed. */
static int check_opened(struct smb_call *call)
{
	struct smb_node *node = call->node[0];
	union smb_info info;
	int err = call->failed <= 1 ? call->err : 0;

	if (!err)
		err = smb_call_all(call, 1, &info);
	if (!err && !node->is_root && !smb_node_is(node, &info.all, false))
		err = -ESTALE;
	if (err)
		return err;
	smb_owner_take(&call->req, node);
	smb_attr_of_all(node, &info.all, &call->op->attr);
	call->op->has_attr = true;
	return 0;
}

static void opened(struct smb_call *call)
{
	const struct smb_part *part = &call->req.part[0];
	struct smb_node *node = call->node[0];
	struct smb_handle *handle = NULL;
	int err = call->err ? call->err : -EPROTO;

	/* A directory's rights to write mean something else. */
	if (part->status == SMB_STATUS_OK && part->reply.kind == SMB_REPLY(SMB_CREATE)) {
		handle = smb_handle_new(call->conn, node,
					node->is_dir ? SMB_READING : call_access(call),
					node->is_dir ? SMB_OPT_DIRECTORY : SMB_OPT_NON_DIRECTORY);
		err = handle ? 0 : -ENOMEM;
		if (err)
			smb_handle_close_stray(call);
	}
	if (!err) {
		note_access(handle);
		call->op->promise = smb_handle_opened(handle, call, &part->reply);
		err = check_opened(call);
	}
	if (!err)
		smb_head_take(handle, call, call->op->promise);
	if (err && handle)
		netfs_handle_put(&handle->base);
	else if (handle)
		call->op->handle = &handle->base;
	smb_call_end(call, err);
}

static void open_body(struct smb_call *call)
{
	struct smb_node *node = call->node[0];
	struct smb_msg msg = {
		.create_req = {.access = node->is_dir ? SMB_READING : call_access(call),
			       .options = node->is_dir ? SMB_OPT_DIRECTORY : SMB_OPT_NON_DIRECTORY,
			       .disposition = call->flags & O_TRUNC ? SMB_OVERWRITE : SMB_OPEN}};

	call->changing = call->flags & O_TRUNC;
	if (call->changing)
		smb_head_outdate(node);
	smb_lease_want(call, node, msg.create_req.access);
	if (smb_call_add_create(call, node, NULL, &msg) &&
	    smb_call_add_query(call, SMB_FID_RELATED) && smb_head_ask(call) &&
	    smb_owner_ask(call, SMB_FID_RELATED))
		smb_call_send(call, opened);
}

void smb_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op)
{
	struct smb_handle *idle = NULL;
	struct smb_call *call;

	smb_ahead_opened(smb_node_of(node), op->reads);
	/* It was opened for the watch; entries are asked for when one wants them. */
	if (smb_node_of(node)->is_dir && smb_watch_stands(smb_node_of(node))) {
		idle = smb_handle_new(smb_conn_of(node->be), smb_node_of(node), SMB_READING,
				      SMB_OPT_DIRECTORY);
		if (idle)
			note_access(idle);
	} else if (!(flags & O_TRUNC)) {
		idle = smb_idle_take(smb_node_of(node), access_of(flags), &op->promise);
	}
	if (idle) {
		op->handle = &idle->base;
		op->done(op, 0);
		return;
	}
	call = smb_call_for(node->be, op, open_body);
	if (!call)
		return;
	call->node[0] = smb_node_of(node);
	call->flags = flags;
	smb_call_start(call);
}

/* ------------------------------------------------------------- mkdir */

static void made(struct smb_call *call)
{
	int err = take_node(call);

	if (!err)
		smb_parent_told(call);
	smb_parent_forget(call);
	if (err)
		smb_call_end(call, err);
	else
		smb_owner_made(call);
}

static void make_body(struct smb_call *call)
{
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_READ_ATTRIBUTES | smb_owner_access(call),
			       .options = call->is_dir ? SMB_OPT_DIRECTORY : SMB_OPT_NON_DIRECTORY,
			       .attributes = attributes_of(call),
			       .disposition = call->resent ? SMB_OPEN_IF : SMB_CREATE_NEW}};

	unmake(call);
	call->changing = true;
	smb_parent_ask(call);
	if (smb_call_add_create(call, call->node[0], call->name, &msg) &&
	    smb_call_add_query(call, SMB_FID_RELATED) && smb_owner_ask(call, SMB_FID_RELATED) &&
	    smb_call_add_close(call))
		smb_call_send(call, made);
}

static struct smb_call *make_call(struct netfs_node *dir, const char *name, struct netfs_op *op,
				  smb_step_fn *body)
{
	struct smb_call *call = smb_call_for(dir->be, op, body);

	if (!call)
		return NULL;
	op->node = NULL;
	op->handle = NULL;
	call->node[0] = smb_node_of(dir);
	call->name = name;
	call->end = make_end;
	return call;
}

void smb_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op)
{
	struct smb_call *call = make_call(dir, name, op, make_body);

	if (!call)
		return;
	call->is_dir = true;
	call->mode = mode;
	smb_call_start(call);
}

void smb_mknod(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t major,
	       uint32_t minor, struct netfs_op *op)
{
	struct smb_call *call;

	if (!S_ISREG(mode)) {
		op->done(op, -EPERM);
		return;
	}
	call = make_call(dir, name, op, make_body);
	if (!call)
		return;
	call->mode = mode;
	smb_call_start(call);
}

/* ------------------------------------------------------------- links */

static void link_written(struct smb_call *call)
{
	struct smb_node *node = NULL;
	union smb_info info;
	int err = call->err;

	/* Part 2 told the attributes, of the file. */
	if (!err)
		err = smb_call_all(call, 2, &info);
	if (!err) {
		node = smb_node_at(call->conn, call->node[0], call->name, &info.all, true);
		err = node ? 0 : -ENOMEM;
	}
	if (!err) {
		smb_attr_of_all(node, &info.all, &call->op->attr);
		call->op->attr.mode = S_IFLNK | 0777;
		call->op->attr.size = strlen(call->name2);
		node->is_link = true;
		call->op->node = &node->base;
	}
	smb_call_end(call, err);
}

static void symlink_body(struct smb_call *call)
{
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_WRITE_DATA | SMB_ACCESS_READ_ATTRIBUTES,
			       .options = SMB_OPT_NON_DIRECTORY,
			       .attributes = SMB_ATTR_NORMAL,
			       .disposition = call->resent ? SMB_OVERWRITE_IF : SMB_CREATE_NEW}};
	struct smb_msg write = {
		.kind = SMB_REQUEST(SMB_WRITE),
		.write_req = {.fid = SMB_FID_RELATED, .data = {call->buf, SMB_XSYM_SIZE, 0}}};
	int err;

	call->buf = netfs_alloc(SMB_XSYM_SIZE);
	err = call->buf ? smb_xsym_encode(call->name2, strlen(call->name2), call->buf) : -ENOMEM;
	if (err) {
		smb_call_end(call, err);
		return;
	}
	write.write_req.data.p = call->buf;
	call->changing = true;
	if (smb_call_add_create(call, call->node[0], call->name, &msg) &&
	    smb_call_add(call, &write, 0) && smb_call_add_query(call, SMB_FID_RELATED) &&
	    smb_call_add_close(call))
		smb_call_send(call, link_written);
}

void smb_symlink(struct netfs_node *dir, const char *name, const char *target, struct netfs_op *op)
{
	struct smb_call *call;

	if (!smb_conn_of(dir->be)->mfsymlinks) {
		op->done(op, -EOPNOTSUPP);
		return;
	}
	call = make_call(dir, name, op, symlink_body);
	if (!call)
		return;
	call->name2 = target;
	smb_call_start(call);
}

static void target_read(struct smb_call *call)
{
	const struct smb_msg *reply = &call->req.part[1].reply;
	struct netfs_op *op = call->op;
	const char *target;
	size_t len;

	if (!call->err &&
	    (reply->kind != SMB_REPLY(SMB_READ) ||
	     smb_xsym_decode(reply->read_rep.data.p, reply->read_rep.data.len, &target, &len)))
		call->err = -EINVAL;
	if (!call->err && len > op->buf_size)
		call->err = -ERANGE;
	if (!call->err) {
		memcpy(op->buf, target, len);
		op->count = len;
	}
	smb_call_end(call, call->err);
}

static void readlink_body(struct smb_call *call)
{
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_READ_DATA, .disposition = SMB_OPEN}};
	struct smb_msg read = {.kind = SMB_REQUEST(SMB_READ),
			       .read_req = {.length = SMB_XSYM_SIZE, .fid = SMB_FID_RELATED}};

	if (smb_call_add_create(call, call->node[0], NULL, &msg) && smb_call_add(call, &read, 0) &&
	    smb_call_add_close(call))
		smb_call_send(call, target_read);
}

void smb_readlink(struct netfs_node *node, struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(node->be, op, readlink_body);

	if (!call)
		return;
	call->node[0] = smb_node_of(node);
	smb_call_start(call);
}
