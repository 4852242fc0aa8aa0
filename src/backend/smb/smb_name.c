// SPDX-License-Identifier: MIT
/*
 * Names: look one up, take one away, give another.
 *
 * Each is one compound: CREATE, what is to be done or known, CLOSE; so a name costs
 * one round trip and leaves nothing open behind, whatever fails.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "smb.h"
#include "smb_reparse.h"

/* ------------------------------------------------------------ lookup */

/* The file may be a link: its content says. */
static void link_read(struct smb_call *call)
{
	const struct smb_msg *reply = &call->req.part[1].reply;
	const char *target;
	size_t len;

	if (!call->err && reply->kind == SMB_REPLY(SMB_READ) &&
	    smb_xsym_decode(reply->read_rep.data.p, reply->read_rep.data.len, &target, &len) == 0) {
		call->op->attr.mode = S_IFLNK | 0777;
		call->op->attr.size = len;
		smb_node_of(call->op->node)->is_link = true;
	}
	smb_call_end(call, 0);
}

/* op->node and attr are set; what looks like a link inside a file is read. */
static void name_found(struct smb_call *call)
{
	struct smb_conn *conn = call->conn;
	struct smb_msg create = {
		.create_req = {.access = SMB_ACCESS_READ_DATA, .disposition = SMB_OPEN}};
	struct smb_msg read = {.kind = SMB_REQUEST(SMB_READ),
			       .read_req = {.length = SMB_XSYM_SIZE, .fid = SMB_FID_RELATED}};

	if (!conn->mfsymlinks || !S_ISREG(call->op->attr.mode) ||
	    call->op->attr.size != SMB_XSYM_SIZE) {
		smb_call_end(call, 0);
		return;
	}
	if (smb_call_add_create(call, smb_node_of(call->op->node), NULL, &create) &&
	    smb_call_add(call, &read, 0) && smb_call_add_close(call))
		smb_call_send(call, link_read);
}

/* On failure no result is told. */
static void lookup_end(struct smb_call *call)
{
	if (call->err && call->op->node) {
		netfs_node_put(call->op->node);
		call->op->node = NULL;
	}
}

static void lookup_body(struct smb_call *call);

static void looked_up(struct smb_call *call)
{
	struct smb_node *node;
	union smb_info info;
	int err = call->err;

	/* What it opened may be read later, or not at all. */
	if (call->opens_ahead && call->failed > 1)
		err = 0;
	if (!err)
		err = smb_call_all(call, 1, &info);
	node = err ? NULL : smb_node_at(call->conn, call->node[0], call->name, &info.all, false);
	if (!node) {
		if (call->opens_ahead)
			smb_handle_close_stray(call);
		if (call->opens_ahead && err != -ENOENT) {
			smb_ahead_forget(call);
			lookup_body(call);
			return;
		}
		smb_call_end(call, err ? err : -ENOMEM);
		return;
	}
	smb_owner_take(&call->req, node);
	smb_attr_of_all(node, &info.all, &call->op->attr);
	smb_ahead_found(call, node);
	if (call->op->node)
		netfs_node_put(call->op->node);
	call->op->node = &node->base;
	name_found(call);
}

static void lookup_and_open(struct smb_call *call)
{
	struct smb_msg msg = {.create_req = {.access = SMB_READING,
					     .disposition = SMB_OPEN,
					     .options = SMB_OPT_NON_DIRECTORY}};

	if (smb_call_add_create(call, call->node[0], call->name, &msg) &&
	    smb_call_add_query(call, SMB_FID_RELATED) && smb_head_ask_any(call))
		smb_call_send(call, looked_up);
}

static void lookup_body(struct smb_call *call)
{
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_READ_ATTRIBUTES | smb_owner_access(call),
			       .disposition = SMB_OPEN,
			       .options = SMB_OPT_OPEN_REPARSE_POINT}};

	if (smb_ahead_wanted(call))
		lookup_and_open(call);
	else if (smb_call_add_create(call, call->node[0], call->name, &msg) &&
		 smb_call_add_query(call, SMB_FID_RELATED) &&
		 smb_owner_ask(call, SMB_FID_RELATED) && smb_call_add_close(call))
		smb_call_send(call, looked_up);
}

void smb_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(dir->be, op, lookup_body);

	if (!call)
		return;
	op->node = NULL;
	call->node[0] = smb_node_of(dir);
	call->name = name;
	call->end = lookup_end;
	smb_call_start(call);
}

/* ------------------------------------------------------------ remove */

/* What a removal is at: call->index. */
enum remove_state {
	REMOVE_ASKS,
	REMOVE_UNWATCHES, /* a directory that was watched is being closed */
	REMOVE_DONE, /* our last CLOSE of the file is on its way, with which it goes */
};

static void remove_body(struct smb_call *call);

/* Is it refused because the file is read-only?  Servers want that taken away
 * first. */
static bool is_read_only(const struct smb_call *call)
{
	for (uint32_t i = 0; i < call->req.nparts; i++) {
		if (call->req.part[i].status == SMB_STATUS_CANNOT_DELETE)
			return true;
	}
	return false;
}

static void remove_over(struct smb_call *call)
{
	bool goes_later = smb_idle_end_name(call->node[0], call->name);

	call->index = REMOVE_DONE;
	/* Then the directory changes later, too. */
	if (goes_later)
		call->op->has_dir_attr = false;
	if (!goes_later || !smb_call_wait_for_closes(call))
		smb_call_end(call, 0);
}

static void removed(struct smb_call *call)
{
	int err = call->err;

	/* Its first try may have done it. */
	if (err == -ENOENT && call->resent)
		err = 0;
	if (err && !call->flags && is_read_only(call)) {
		call->flags = 1;
		remove_body(call);
		return;
	}
	/* What was in it goes with the last CLOSE, which may be on its way. */
	if (err == -ENOTEMPTY && smb_call_wait_for_closes(call))
		return;
	/* Others have it open: it goes when they close it. */
	if (err == -EBUSY && call->req.part[0].status == SMB_STATUS_DELETE_PENDING)
		err = -ENOENT;
	if (!err)
		smb_parent_told(call);
	if (!err && !call->is_dir)
		remove_over(call);
	else
		smb_call_end(call, err);
}

/* flags: take "read-only" away first. */
static void remove_body(struct smb_call *call)
{
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_DELETE |
					 (call->flags ? SMB_ACCESS_WRITE_ATTRIBUTES : 0),
			       .disposition = SMB_OPEN,
			       .options =
				       SMB_OPT_OPEN_REPARSE_POINT |
				       (call->is_dir ? SMB_OPT_DIRECTORY : SMB_OPT_NON_DIRECTORY)}};
	union smb_info normal = {.basic = {.attributes = SMB_ATTR_NORMAL}};

	if (call->index == REMOVE_DONE) {
		remove_over(call);
		return;
	}
	call->changing = true;
	smb_idle_close_name(call->node[0], call->name);
	/* As long as it is open there its name is not free. */
	if (call->is_dir && smb_watch_close_name(call->node[0], call->name))
		call->index = REMOVE_UNWATCHES;
	if (call->index == REMOVE_UNWATCHES && smb_call_wait_for_closes(call))
		return;
	smb_parent_ask(call);
	if (!smb_call_add_create(call, call->node[0], call->name, &msg))
		return;
	if (call->flags && !smb_call_add_set(call, SMB_FILE_BASIC, &normal))
		return;
	if (smb_call_add_set(call, SMB_FILE_DISPOSITION, &(const union smb_info){.value8 = 1}) &&
	    smb_call_add_close(call))
		smb_call_send(call, removed);
}

static void remove_name(struct netfs_node *dir, const char *name, bool is_dir, struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(dir->be, op, remove_body);

	if (!call)
		return;
	call->node[0] = smb_node_of(dir);
	call->name = name;
	call->is_dir = is_dir;
	smb_call_start(call);
}

void smb_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	remove_name(dir, name, false, op);
}

void smb_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	remove_name(dir, name, true, op);
}

/* ------------------------------------------------------ rename, link */

/* CREATE of what is to get a name, SET_INFO with the name, CLOSE; index: that one
 * later, so that SET_INFO is the last. */
static bool add_naming(struct smb_call *call, struct smb_node *from, const char *from_name,
		       uint8_t info_class, struct smb_node *to)
{
	struct smb_msg msg = {.create_req = {.access = info_class == SMB_FILE_RENAME
							       ? SMB_ACCESS_DELETE
							       : SMB_ACCESS_WRITE_ATTRIBUTES,
					     .disposition = SMB_OPEN,
					     .options = SMB_OPT_OPEN_REPARSE_POINT}};
	union smb_info info = {.rename = {.flags = info_class == SMB_FILE_RENAME &&
								   !(call->flags & RENAME_NOREPLACE)
							   ? SMB_RENAME_REPLACE
							   : 0}};
	struct smb_msg set = {.kind = SMB_REQUEST(SMB_SET_INFO),
			      .set_info_req = {.info_type = SMB_INFO_FILE,
					       .info_class = info_class,
					       .fid = SMB_FID_RELATED}};
	int err = smb_node_path(call->conn, to, call->name2, &info.rename.name);
	size_t room = info.rename.name.len + 64;
	bool good = false;
	uint8_t *bytes;
	ssize_t len;

	bytes = err ? NULL : netfs_alloc(room);
	len = bytes ? smb_info_encode(SMB_INFO_FILE, info_class, &info, bytes, room) : -ENOMEM;
	if (err || len < 0) {
		smb_call_end(call, err ? err : (int)len);
	} else {
		set.set_info_req.input = (struct smb_buf){bytes, (uint32_t)len, 0};
		good = smb_call_add_create(call, from, from_name, &msg) &&
		       smb_call_add(call, &set, 0) && (call->index || smb_call_add_close(call));
	}
	netfs_free(bytes);
	if (!err)
		netfs_free((void *)(uintptr_t)info.rename.name.p);
	return good;
}

static void rename_over(struct smb_call *call, int err)
{
	if (err == -ENOENT && call->resent)
		err = 0;
	/* What it replaces must not be open; a CLOSE of ours may be on its way. */
	if (err == -EACCES && smb_call_wait_for_closes(call))
		return;
	if (!err)
		smb_node_move(call->node[0], call->node[2], netfs_take(call->new_name), false);
	smb_call_end(call, err);
}

static void rename_closed(struct smb_call *call)
{
	rename_over(call, (int)call->cookie);
}

/* Another client has the file open under a lease and has to agree first.  In the
 * middle of a compound Samba cannot wait for that. */
static bool could_not_wait(const struct smb_call *call)
{
	return !call->index && call->req.nparts > 1 &&
	       call->req.part[1].status == SMB_STATUS_INTERNAL_ERROR;
}

static void rename_try(struct smb_call *call);

static void renamed(struct smb_call *call)
{
	const struct smb_part *part = &call->req.part[0];
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_CLOSE)};

	if (could_not_wait(call)) {
		call->index = 1;
		rename_try(call);
		return;
	}
	if (!call->index || part->status || part->reply.kind != SMB_REPLY(SMB_CREATE)) {
		rename_over(call, call->err);
		return;
	}
	msg.close_req.fid = part->reply.create_rep.fid;
	call->cookie = (uint64_t)(int64_t)call->err;
	/* Should the connection go now, it has its name already. */
	if (!call->err)
		call->resent = true;
	if (smb_call_add(call, &msg, 0))
		smb_call_send(call, rename_closed);
}

static void rename_try(struct smb_call *call)
{
	call->changing = true;
	if (add_naming(call, call->node[1], call->name, SMB_FILE_RENAME, call->node[2]))
		smb_call_send(call, renamed);
}

static void rename_body(struct smb_call *call)
{
	/* Nobody may have anything open in a directory that moves. */
	if (call->node[0]->is_dir) {
		smb_idle_close_all(call->conn);
		smb_watch_close_below(call->node[0]);
		smb_watch_close_name(call->node[2], call->name2);
	} else {
		smb_idle_close(call->node[0]);
	}
	smb_idle_close_name(call->node[2], call->name2);
	rename_try(call);
}

/* Who found nothing meanwhile looks again.  One that was given up may have been done:
 * then the file has one of two names. */
static void rename_ended(struct smb_call *call)
{
	struct smb_conn *conn = call->conn;
	struct netfs_list list;

	if (call->err && call->resent && call->new_name && !call->node[0]->is_dir)
		smb_node_move(call->node[0], call->node[2], netfs_take(call->new_name), true);
	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	conn->moving--;
	smb_call_unpark_locked(&conn->waiting, &list);
	netfs_mutex_unlock(&conn->lock);
	smb_call_start_all(&list);
}

void smb_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
		struct netfs_node *new_dir, const char *new_name, uint32_t flags,
		struct netfs_op *op)
{
	struct smb_call *call;

	if (flags & ~(uint32_t)RENAME_NOREPLACE) {
		op->done(op, -EINVAL);
		return;
	}
	call = smb_call_for(node->be, op, rename_body);
	if (!call)
		return;
	call->node[0] = smb_node_of(node);
	call->node[1] = smb_node_of(old_dir);
	call->node[2] = smb_node_of(new_dir);
	call->name = old_name;
	call->name2 = new_name;
	call->flags = flags;
	/* Once the server did it we cannot fail. */
	call->new_name = netfs_strdup(new_name);
	if (!call->new_name) {
		smb_call_end(call, -ENOMEM);
		return;
	}
	netfs_mutex_lock(&call->conn->lock);
	call->conn->moving++;
	netfs_mutex_unlock(&call->conn->lock);
	call->end = rename_ended;
	smb_call_start(call);
}

static void linked(struct smb_call *call)
{
	union smb_info info;
	int err = call->err;
	char *name;

	if (!err)
		err = smb_call_all(call, 1, &info);
	if (!err)
		smb_attr_of_all(call->node[0], &info.all, &call->op->attr);
	/* Without memory the new name is found when it is looked up. */
	if (!err && (name = netfs_strdup(call->name2)))
		smb_node_move(call->node[0], call->node[1], name, true);
	smb_call_end(call, err);
}

/* The link is made: its attributes have one more. */
static void link_made(struct smb_call *call)
{
	struct smb_msg msg = {.create_req = {.access = SMB_ACCESS_READ_ATTRIBUTES,
					     .disposition = SMB_OPEN,
					     .options = SMB_OPT_OPEN_REPARSE_POINT}};

	if (call->err && !(call->err == -EEXIST && call->resent)) {
		smb_call_end(call, call->err);
		return;
	}
	if (smb_call_add_create(call, call->node[1], call->name2, &msg) &&
	    smb_call_add_query(call, SMB_FID_RELATED) && smb_call_add_close(call))
		smb_call_send(call, linked);
}

static void link_body(struct smb_call *call)
{
	call->changing = true;
	if (add_naming(call, call->node[0], NULL, SMB_FILE_LINK, call->node[1]))
		smb_call_send(call, link_made);
}

void smb_link(struct netfs_node *node, struct netfs_node *dir, const char *name,
	      struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(node->be, op, link_body);

	if (!call)
		return;
	call->node[0] = smb_node_of(node);
	call->node[1] = smb_node_of(dir);
	call->name2 = name;
	smb_call_start(call);
}
