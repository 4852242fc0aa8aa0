/* SPDX-License-Identifier: MIT */
/*
 * What the server told: it is noted, and nodes and handles become ours.
 *
 * An answer is noted where it is not older than a change of ours: of the object for its
 * attributes, of the names in a directory for those.  A listing is whole when it was
 * read from the start to the end with no change of ours in between.  After a change
 * that failed nobody knows what is there.
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

/* ------------------------------------------------------------- changes */

/* Which object's data or attributes it changes. */
static struct offline_node *object_changed(const struct offline_call *call)
{
	switch (call->kind) {
	case CALL_SETATTR:
	case CALL_LINK:
	case CALL_RENAME:
	case CALL_SETXATTR:
	case CALL_REMOVEXATTR:
		return call->node;
	case CALL_OPEN:
		return call->flags & O_TRUNC ? call->node : NULL;
	case CALL_FALLOCATE:
		return call->handle->node;
	case CALL_COPY_RANGE:
	case CALL_CLONE_RANGE:
		return call->handle_to->node;
	default:
		return NULL;
	}
}

static bool changes_names(const struct offline_call *call)
{
	return call->dir && call->kind != CALL_LOOKUP;
}

static void tell(const struct offline_call *call, struct netfs_note *note)
{
	if (object_changed(call) || changes_names(call))
		note->ours = true;
	netfs_namestore_tell(call->offline->names, note);
}

static void listing_begins(struct offline_call *call)
{
	struct offline_handle *handle = call->handle;
	struct offline *offline = call->offline;

	netfs_mutex_lock(&offline->lock);
	if (call->start == 0) {
		handle->list_since = netfs_namestore_now(offline->names);
		handle->list_stamp = call->stamp;
		handle->list_known = false;
	} else if (call->start != handle->list_next) {
		handle->list_since = 0;
	}
	netfs_mutex_unlock(&offline->lock);
}

void offline_call_changes(struct offline_call *call)
{
	struct offline_node *object = object_changed(call);

	call->changing = true;
	if (object)
		offline_change_begin(object, false);
	if (changes_names(call))
		offline_change_begin(call->dir, true);
	if (call->new_dir)
		offline_change_begin(call->new_dir, true);
	if (call->kind == CALL_READDIR)
		listing_begins(call);
}

/* Is what is known of the object worth nothing after that, although it succeeded? */
static bool makes_unknown(const struct offline_call *call)
{
	switch (call->kind) {
	case CALL_FALLOCATE:
	case CALL_COPY_RANGE:
	case CALL_CLONE_RANGE:
		return true;
	default:
		return call->kind == CALL_OPEN;
	}
}

void offline_call_changed(struct offline_call *call, int err)
{
	struct offline_node *object = object_changed(call);

	if (!call->changing)
		return;
	call->changing = false;
	if (object)
		offline_change_end(object, false, err || makes_unknown(call));
	if (changes_names(call))
		offline_change_end(call->dir, true, false);
	if (call->new_dir)
		offline_change_end(call->new_dir, true, false);
	/* The answer to a change is newer than that. */
	if (object || changes_names(call))
		call->stamp = offline_stamp(call->offline);
}

/* Was the question about names in dir asked after the last change of ours? */
static bool names_count(struct offline_call *call, struct offline_node *dir, uint64_t stamp)
{
	struct offline *offline = call->offline;
	bool count;

	netfs_mutex_lock(&offline->lock);
	count = dir->object->names_flying == 0 && dir->object->names_changed < stamp;
	netfs_mutex_unlock(&offline->lock);
	return count;
}

/* --------------------------------------------------------------- names */

/* A change of ours does whatever else is on its way: nobody else would tell of it. */
static bool counts(struct offline_call *call)
{
	return call->kind != CALL_LOOKUP || names_count(call, call->dir, call->stamp);
}

static void note_attr(struct offline_call *call, enum offline_news news,
		      const struct netfs_attr *attr)
{
	struct netfs_note note = {
		.kind = NETFS_NOTE_ATTR,
		.ours = news == OFFLINE_OUR_NEWS,
		.attr = *attr,
	};

	if (news)
		tell(call, &note);
}

static void told_attr(struct offline_call *call, struct offline_node *node,
		      const struct netfs_attr *attr)
{
	note_attr(call, offline_object_told(node, attr, call->stamp), attr);
}

/* The name leads to node, as its caller just heard. */
static void note_entry(struct offline_call *call, struct offline_node *node)
{
	enum offline_news news = offline_object_told(node, &call->op.attr, call->stamp);
	struct netfs_note note = {
		.kind = NETFS_NOTE_ENTRY,
		.ours = news == OFFLINE_OUR_NEWS,
		.id = offline_id(call->dir),
		.name = call->name,
	};

	if (!offline_object_known(node, &note.attr))
		note.attr = call->op.attr;
	if (counts(call))
		tell(call, &note);
	else
		note_attr(call, news, &call->op.attr);
}

static void note_gone(struct offline_call *call)
{
	struct netfs_note note = {
		.kind = NETFS_NOTE_GONE,
		.id = offline_id(call->dir),
		.name = call->name,
	};

	if (counts(call))
		tell(call, &note);
}

/* A change of names failed, which does not say that nothing was changed: the answer
 * to a first try may be lost, or there was no memory for what came of it. */
static void note_unsure(struct offline_call *call)
{
	struct netfs_note note = {
		.kind = NETFS_NOTE_UNSURE,
		.id = offline_id(call->dir),
		.name = call->name,
	};

	tell(call, &note);
	if (!call->new_dir)
		return;
	note.id = offline_id(call->new_dir);
	note.name = call->new_name;
	tell(call, &note);
}

static void note_moved(struct offline_call *call)
{
	struct netfs_note note = {
		.kind = NETFS_NOTE_MOVED,
		.id = offline_id(call->dir),
		.name = call->name,
		.to = offline_id(call->new_dir),
		.to_name = call->new_name,
		.flag = call->flags & RENAME_EXCHANGE,
	};

	tell(call, &note);
}

static void note_target(struct offline_call *call, struct offline_node *node, const char *text,
			size_t len)
{
	struct netfs_note note = {
		.kind = NETFS_NOTE_TARGET,
		.id = offline_id(node),
		.text = (char *)text,
		.text_len = len,
	};

	tell(call, &note);
}

static void note_id(struct offline_call *call, enum netfs_note_kind kind, struct offline_node *node)
{
	struct netfs_note note = {.kind = kind, .id = offline_id(node)};

	tell(call, &note);
}

/* ------------------------------------------------------------- listing */

void offline_call_listed(struct offline_call *call, const struct netfs_dirent *entry)
{
	struct offline_handle *handle = call->handle;
	size_t size = call->text_size;
	bool lost = false;

	if (size - call->text_len < NETFS_NOTE_ENTRY_MAX) {
		char *text = netfs_realloc(call->text, 2 * size + 2 * NETFS_NOTE_ENTRY_MAX);

		if (text) {
			call->text = text;
			call->text_size = 2 * size + 2 * NETFS_NOTE_ENTRY_MAX;
		}
	}
	lost = !netfs_note_add_entry(call->text, call->text_size, &call->text_len, entry);
	netfs_mutex_lock(&call->offline->lock);
	handle->list_next = entry->next;
	if (lost)
		handle->list_since = 0;
	netfs_mutex_unlock(&call->offline->lock);
}

static void note_listed(struct offline_call *call)
{
	struct offline_handle *handle = call->handle;
	struct netfs_note note = {
		.kind = NETFS_NOTE_LISTED,
		.id = offline_id(handle->node),
		.text = call->text,
		.text_len = call->text_len,
	};
	bool good = names_count(call, handle->node, handle->list_stamp);

	netfs_mutex_lock(&call->offline->lock);
	if (!good)
		handle->list_since = 0;
	note.since = handle->list_since;
	netfs_mutex_unlock(&call->offline->lock);
	note.flag = call->op.eof && note.since;
	if (good)
		tell(call, &note);
}

/* ------------------------------------------------------------- results */

/* op->node becomes ours.  NULL: no memory. */
static struct offline_node *take_node(struct offline_call *call)
{
	struct netfs_op *op = &call->op;
	struct offline_node *node = NULL;

	if (op->node)
		node = offline_node_get(call->offline, &op->attr, netfs_take(op->node), NULL, NULL);
	op->node = node ? &node->node : NULL;
	return node;
}

static bool take_handle(struct offline_call *call, struct offline_node *node)
{
	struct netfs_op *op = &call->op;
	struct offline_handle *handle = NULL;

	if (op->handle && node)
		handle = offline_handle_new(node, call->flags, netfs_take(op->handle), &op->cred);
	netfs_handle_put(op->handle);
	op->handle = handle ? &handle->handle : NULL;
	return handle;
}

/* A name leads to something, which is new but for a lookup. */
static int told_name(struct offline_call *call)
{
	struct netfs_op *op = &call->op;
	struct offline_node *node = take_node(call);

	if (call->kind == CALL_CREATE && !take_handle(call, node) && node) {
		netfs_node_put(netfs_take(op->node));
		return -ENOMEM;
	}
	if (!node)
		return -ENOMEM;
	note_entry(call, node);
	if (call->kind == CALL_MKDIR)
		note_id(call, NETFS_NOTE_EMPTY, node);
	else if (call->kind == CALL_SYMLINK)
		note_target(call, node, call->new_name, strlen(call->new_name));
	return 0;
}

static int told_open(struct offline_call *call)
{
	struct netfs_op *op = &call->op;

	if (!take_handle(call, call->node))
		return -ENOMEM;
	if (op->has_attr)
		told_attr(call, call->node, &op->attr);
	return 0;
}

static int told_failure(struct offline_call *call, int err)
{
	if (call->kind == CALL_LOOKUP && err == -ENOENT)
		note_gone(call);
	else if (call->kind == CALL_GETATTR && (err == -ENOENT || err == -ESTALE))
		note_id(call, NETFS_NOTE_LOST, call->node);
	return err;
}

static void told_space(struct offline_call *call)
{
	struct netfs_note note = {.kind = NETFS_NOTE_SPACE, .statfs = call->op.statfs};

	tell(call, &note);
}

static int told(struct offline_call *call, int err)
{
	struct netfs_op *op = &call->op;

	if (err)
		return told_failure(call, err);
	switch (call->kind) {
	case CALL_LOOKUP:
	case CALL_MKNOD:
	case CALL_MKDIR:
	case CALL_SYMLINK:
	case CALL_CREATE:
		return told_name(call);
	case CALL_LINK:
		note_entry(call, call->node);
		return 0;
	case CALL_GETATTR:
	case CALL_SETATTR:
		told_attr(call, call->node, &op->attr);
		return 0;
	case CALL_READLINK:
		note_target(call, call->node, op->buf, op->count);
		return 0;
	case CALL_UNLINK:
	case CALL_RMDIR:
		note_gone(call);
		return 0;
	case CALL_RENAME:
		note_moved(call);
		return 0;
	case CALL_OPEN:
		return told_open(call);
	case CALL_READDIR:
		note_listed(call);
		return 0;
	case CALL_STATFS:
		told_space(call);
		return 0;
	default:
		return 0;
	}
}

int offline_call_told(struct offline_call *call, int err)
{
	err = told(call, err);
	if (err && changes_names(call))
		note_unsure(call);
	return err;
}
