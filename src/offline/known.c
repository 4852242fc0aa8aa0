/* SPDX-License-Identifier: MIT */
/*
 * Answers from what is known, while the server is away.
 *
 * Names and attributes come from the store, those of objects that are in use from
 * memory, which knows what we wrote.  A file that is known can be opened; its bytes are
 * the disk cache's, or nobody's.  What would change a name or an attribute is refused.
 *
 * Extended attributes are not kept: asking for them is answered as on a file system
 * that has none, because programs that list files take any other answer for a failure.
 *
 * Locks: the connection's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <offline/call.h>

/* Entries of one answer. */
#define LIST_TEXT 32768

static void ask_store(struct offline_call *call, enum netfs_note_kind kind,
		      struct offline_node *node, void (*done)(struct netfs_note *note, int err))
{
	call->note = (struct netfs_note){
		.kind = kind,
		.done = done,
		.id = offline_id(node),
		.name = call->name,
	};
}

static struct offline_call *call_of(struct netfs_note *note)
{
	return netfs_container_of(note, struct offline_call, note);
}

/* ------------------------------------------------------ names, attributes */

static void name_known(struct netfs_note *note, int err)
{
	struct offline_call *call = call_of(note);
	struct netfs_attr told = note->attr;
	struct offline_node *node;

	if (err) {
		offline_call_finish(call, err);
		return;
	}
	node = offline_node_get(call->offline, &told, NULL, call->dir, call->name);
	if (!node) {
		offline_call_finish(call, -ENOMEM);
		return;
	}
	/* What is in use is known better. */
	if (!offline_object_recall(node, &told)) {
		netfs_node_put(&node->node);
		offline_call_finish(call, -EHOSTDOWN);
		return;
	}
	call->op.node = &node->node;
	call->op.attr = told;
	offline_call_finish(call, 0);
}

static void know_name(struct offline_call *call)
{
	ask_store(call, NETFS_ASK_NAME_ENTRY, call->dir, name_known);
	netfs_namestore_ask(call->offline->names, &call->note);
}

static void know_attr(struct offline_call *call)
{
	bool known = offline_object_known(call->node, &call->op.attr);

	offline_call_finish(call, known ? 0 : -EHOSTDOWN);
}

static void target_known(struct netfs_note *note, int err)
{
	struct offline_call *call = call_of(note);

	call->op.count = note->text_len;
	offline_call_finish(call, err);
}

static void know_target(struct offline_call *call)
{
	ask_store(call, NETFS_ASK_NAME_TARGET, call->node, target_known);
	call->note.text = call->outer->buf;
	call->note.text_size = call->outer->buf_size;
	netfs_namestore_ask(call->offline->names, &call->note);
}

static void space_known(struct netfs_note *note, int err)
{
	struct offline_call *call = call_of(note);

	if (err)
		call->op.statfs = (struct netfs_statfs){.bsize = 4096, .namelen = NETFS_NAME_MAX};
	else
		call->op.statfs = note->statfs;
	offline_call_finish(call, 0);
}

static void know_space(struct offline_call *call)
{
	ask_store(call, NETFS_ASK_NAME_SPACE, call->node, space_known);
	netfs_namestore_ask(call->offline->names, &call->note);
}

/* --------------------------------------------------------- directories */

static void list_known(struct netfs_note *note, int err)
{
	struct offline_call *call = call_of(note);
	struct netfs_dirent entry;
	size_t at = 0;

	if (err) {
		offline_call_finish(call, err);
		return;
	}
	while (netfs_note_next_entry(note->text, note->text_len, &at, &entry)) {
		if (!call->outer->fill(call->outer, &entry))
			break;
	}
	call->op.eof = note->flag;
	offline_call_finish(call, 0);
}

static void know_list(struct offline_call *call)
{
	struct offline_handle *handle = call->handle;
	char *text = netfs_realloc(call->text, LIST_TEXT);
	bool ours;

	netfs_mutex_lock(&call->offline->lock);
	if (call->start == 0)
		handle->list_known = true;
	ours = handle->list_known;
	netfs_mutex_unlock(&call->offline->lock);
	if (text)
		call->text = text;
	/* A listing that the server began cannot be gone on with here. */
	if (!text || !ours) {
		offline_call_finish(call, text ? -EHOSTDOWN : -ENOMEM);
		return;
	}
	ask_store(call, NETFS_ASK_NAME_LIST, handle->node, list_known);
	call->note.text = text;
	call->note.text_size = LIST_TEXT;
	call->note.cookie = call->start;
	netfs_namestore_ask(call->offline->names, &call->note);
}

/* --------------------------------------------------------------- files */

static int know_open(struct offline_call *call)
{
	struct netfs_op *op = &call->op;
	struct offline_handle *handle;

	if ((call->flags & O_TRUNC) || !offline_object_known(call->node, &op->attr))
		return -EHOSTDOWN;
	handle = offline_handle_new(call->node, call->flags, NULL, &op->cred);
	if (!handle)
		return -ENOMEM;
	op->handle = &handle->handle;
	op->has_attr = true;
	op->promise = 0;
	return 0;
}

/* All of it is data, as far as one can tell. */
static int know_seek(struct offline_call *call)
{
	struct netfs_attr attr;

	if (!offline_object_known(call->handle->node, &attr))
		return -EHOSTDOWN;
	if (call->start >= attr.size)
		return -ENXIO;
	call->op.offset = call->flags == SEEK_HOLE ? attr.size : call->start;
	return 0;
}

/* To give a lock up is not to be waited for: the server hears of it later. */
static int know_lock(struct offline_call *call)
{
	if (call->lock.type != NETFS_LOCK_UNLOCK)
		return -EHOSTDOWN;
	if (offline_inner_handle(call->handle))
		offline_call_leave(call);
	call->op.lock_result = NETFS_LOCK_GRANTED;
	return 0;
}

static int know_at_once(struct offline_call *call)
{
	switch (call->kind) {
	case CALL_OPEN:
		return know_open(call);
	case CALL_SEEK:
		return know_seek(call);
	case CALL_LOCK:
		return know_lock(call);
	case CALL_GETXATTR:
	case CALL_LISTXATTR:
	case CALL_COPY_RANGE:
	case CALL_CLONE_RANGE:
		return -EOPNOTSUPP;
	default:
		return -EHOSTDOWN;
	}
}

void offline_call_know(struct offline_call *call)
{
	struct netfs_cred cred = call->op.cred;

	/* Whatever the one behind left there. */
	call->op = (struct netfs_op){.cred = cred};
	switch (call->kind) {
	case CALL_LOOKUP:
		know_name(call);
		break;
	case CALL_GETATTR:
		know_attr(call);
		break;
	case CALL_READLINK:
		know_target(call);
		break;
	case CALL_STATFS:
		know_space(call);
		break;
	case CALL_READDIR:
		know_list(call);
		break;
	default:
		offline_call_finish(call, know_at_once(call));
		break;
	}
}
