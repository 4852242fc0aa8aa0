/* SPDX-License-Identifier: MIT */
/*
 * Operations on names, attributes and open files, from the call to the end.
 *
 *	     HERE: bind nodes and handles --> ask the one behind --> note --> end
 *	    /                                      |
 *	call                                       | AWAY began: called off
 *	    \\                                      v
 *	     AWAY: what is known (known.c) ----------------------> end
 *
 * What changes something and was sent already when the server went away waits for it,
 * as on any hard mount: nobody knows whether it was done.  fsync waits in any case.
 *
 * A call that is called off while the one behind is just being asked is called off
 * once more after that, because it was not known there the first time.
 *
 * Locks: the connection's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <offline/call.h>

static void call_put(struct offline_call *call)
{
	if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) > 1)
		return;
	netfs_free(call->text);
	netfs_free(call);
}

struct offline_call *offline_call_new(struct netfs_be *be, enum call_kind kind,
				      struct netfs_op *outer)
{
	struct offline_call *call = netfs_zalloc(sizeof(*call));

	if (!call) {
		if (outer)
			outer->done(outer, -ENOMEM);
		return NULL;
	}
	call->offline = offline_of(be);
	call->kind = kind;
	call->outer = outer;
	atomic_init(&call->refs, 1);
	netfs_list_init(&call->link);
	if (outer)
		call->op.cred = outer->cred;
	return call;
}

static bool reads_only(const struct offline_call *call)
{
	switch (call->kind) {
	case CALL_LOOKUP:
	case CALL_GETATTR:
	case CALL_READLINK:
	case CALL_READDIR:
	case CALL_SEEK:
	case CALL_STATFS:
	case CALL_GETXATTR:
	case CALL_LISTXATTR:
	case CALL_GETLOCK:
		return true;
	case CALL_OPEN:
		return !(call->flags & O_TRUNC);
	default:
		return false;
	}
}

/* Is it of those that are not refused while the server is away? */
static bool waits_for_server(const struct offline_call *call)
{
	if (!call->outer || call->kind == CALL_FSYNC)
		return true;
	return call->kind == CALL_UNLINK && call->outer->wait;
}

static void set_stage_locked(struct offline_call *call, enum call_stage stage)
{
	netfs_assert_held(&call->offline->lock);
	call->stage = stage;
}

/* ----------------------------------------------------------------- end */

void offline_call_finish(struct offline_call *call, int err)
{
	struct offline *offline = call->offline;
	struct netfs_op *outer = call->outer, *op = &call->op;

	/* Once it is off the list the connection may end. */
	if (!outer)
		netfs_handle_put(&call->handle->handle);
	netfs_mutex_lock(&offline->lock);
	netfs_list_remove(&call->link);
	set_stage_locked(call, CALL_KNOWN);
	if (offline->state == OFFLINE_CLOSING)
		offline_calls_end(offline);
	netfs_mutex_unlock(&offline->lock);
	if (outer && !err) {
		outer->node = op->node;
		outer->handle = op->handle;
		outer->attr = op->attr;
		outer->statfs = op->statfs;
		outer->lock = op->lock;
		outer->lock_result = op->lock_result;
		outer->count = op->count;
		outer->offset = op->offset;
		outer->eof = op->eof;
		outer->has_attr = op->has_attr;
		outer->promise = op->promise;
	}
	call_put(call);
	if (outer)
		outer->done(outer, err);
}

/* ----------------------------------------------------------------- ask */

static bool listed(struct netfs_op *op, const struct netfs_dirent *entry)
{
	struct offline_call *call = netfs_container_of(op, struct offline_call, op);

	if (!call->outer->fill(call->outer, entry))
		return false;
	call->filled = true;
	offline_call_listed(call, entry);
	return true;
}

static void answered(struct netfs_op *op, int err)
{
	struct offline_call *call = netfs_container_of(op, struct offline_call, op);
	bool given_up, cancelled;

	netfs_mutex_lock(&call->offline->lock);
	set_stage_locked(call, CALL_KNOWN);
	given_up = call->given_up;
	cancelled = call->cancelled;
	netfs_mutex_unlock(&call->offline->lock);
	offline_call_changed(call, err);
	if (err && given_up && !cancelled && call->outer && reads_only(call)) {
		if (call->filled) {
			op->eof = false;
			offline_call_finish(call, 0);
		} else {
			offline_call_know(call);
		}
		return;
	}
	offline_call_finish(call, offline_call_told(call, err));
}

static struct netfs_node *inner(struct offline_node *node)
{
	return offline_inner_node(node);
}

static struct netfs_handle *inner_handle(struct offline_handle *handle)
{
	return handle ? offline_inner_handle(handle) : NULL;
}

static void send_name(struct offline_call *call, const struct netfs_be_ops *ops)
{
	struct netfs_node *dir = inner(call->dir);
	struct netfs_op *op = &call->op;

	switch (call->kind) {
	case CALL_MKNOD:
		ops->mknod(dir, call->name, call->mode, call->rdev_major, call->rdev_minor, op);
		break;
	case CALL_MKDIR:
		ops->mkdir(dir, call->name, call->mode, op);
		break;
	case CALL_SYMLINK:
		ops->symlink(dir, call->name, call->new_name, op);
		break;
	case CALL_LINK:
		ops->link(inner(call->node), dir, call->name, op);
		break;
	case CALL_UNLINK:
		ops->unlink(dir, call->name, op);
		break;
	case CALL_RMDIR:
		ops->rmdir(dir, call->name, op);
		break;
	case CALL_RENAME:
		ops->rename(inner(call->node), dir, call->name, inner(call->new_dir),
			    call->new_name, call->flags, op);
		break;
	case CALL_CREATE:
		ops->create(dir, call->name, call->flags, call->mode, op);
		break;
	default:
		ops->lookup(dir, call->name, op);
		break;
	}
}

static void send_handle(struct offline_call *call, const struct netfs_be_ops *ops)
{
	struct netfs_handle *handle = inner_handle(call->handle);
	struct netfs_op *op = &call->op;

	switch (call->kind) {
	case CALL_READDIR:
		ops->readdir(handle, call->start, op);
		break;
	case CALL_FSYNC:
		ops->fsync(handle, call->flags, op);
		break;
	case CALL_FALLOCATE:
		ops->fallocate(handle, call->mode, call->start, call->len, op);
		break;
	case CALL_COPY_RANGE:
		ops->copy_range(handle, call->start, inner_handle(call->handle_to), call->start_to,
				call->len, op);
		break;
	case CALL_CLONE_RANGE:
		ops->clone_range(handle, call->start, inner_handle(call->handle_to), call->start_to,
				 call->len, op);
		break;
	case CALL_SEEK:
		ops->seek(handle, call->start, (int)call->flags, op);
		break;
	case CALL_LOCK:
		ops->lock(handle, &call->lock, op);
		break;
	default:
		ops->getlock(handle, &call->lock, op);
		break;
	}
}

static void send_node(struct offline_call *call, const struct netfs_be_ops *ops)
{
	struct netfs_node *node = inner(call->node);
	struct netfs_op *op = &call->op;

	switch (call->kind) {
	case CALL_GETATTR:
		ops->getattr(node, inner_handle(call->handle), op);
		break;
	case CALL_SETATTR:
		ops->setattr(node, inner_handle(call->handle), call->set, op);
		break;
	case CALL_READLINK:
		ops->readlink(node, op);
		break;
	case CALL_OPEN:
		ops->open(node, call->flags, op);
		break;
	case CALL_STATFS:
		ops->statfs(node, op);
		break;
	case CALL_GETXATTR:
		ops->getxattr(node, call->name, op);
		break;
	case CALL_LISTXATTR:
		ops->listxattr(node, op);
		break;
	case CALL_SETXATTR:
		ops->setxattr(node, call->name, call->value, call->len, call->flags, op);
		break;
	default:
		ops->removexattr(node, call->name, op);
		break;
	}
}

static void hand_over(struct offline_call *call)
{
	const struct netfs_be_ops *ops = call->offline->inner_ops;

	if (call->dir)
		send_name(call, ops);
	else if (call->node)
		send_node(call, ops);
	else
		send_handle(call, ops);
}

static void prepare(struct offline_call *call)
{
	struct netfs_op *outer = call->outer;
	struct netfs_cred cred = call->op.cred;

	call->op = (struct netfs_op){.done = answered, .cred = cred};
	if (!outer)
		return;
	call->op.fill = outer->fill ? listed : NULL;
	call->op.buf = outer->buf;
	call->op.buf_size = outer->buf_size;
	call->op.wait = outer->wait;
	call->op.reads = outer->reads;
	call->op.cached = outer->cached;
}

static void ask(struct offline_call *call)
{
	struct offline *offline = call->offline;
	bool away, cancelled, again;

	netfs_mutex_lock(&offline->lock);
	/* What must reach the server waits there. */
	away = offline_away_locked(offline) && !waits_for_server(call);
	cancelled = call->cancelled;
	if (!away && !cancelled)
		set_stage_locked(call, CALL_ASKED);
	netfs_mutex_unlock(&offline->lock);
	if (cancelled) {
		offline_call_finish(call, -EINTR);
		return;
	}
	if (away) {
		offline_call_know(call);
		return;
	}
	prepare(call);
	call->stamp = offline_stamp(offline);
	offline_call_changes(call);
	atomic_fetch_add(&call->refs, 1);
	hand_over(call);
	netfs_mutex_lock(&offline->lock);
	again = call->stage == CALL_ASKED && (call->cancelled || call->given_up);
	netfs_mutex_unlock(&offline->lock);
	if (again && offline->inner_ops->op_cancel)
		offline->inner_ops->op_cancel(offline->inner, &call->op);
	call_put(call);
}

/* ---------------------------------------------------------------- bind */

static void bind_next(struct offline_call *call);

/* The server went away while it was being bound. */
static void wait_again(struct offline_call *call)
{
	struct offline *offline = call->offline;
	bool away, ends;

	netfs_mutex_lock(&offline->lock);
	ends = call->cancelled || offline->state == OFFLINE_CLOSING;
	away = offline_away_locked(offline);
	call->step = 0;
	if (away && !ends)
		set_stage_locked(call, CALL_WAITING);
	netfs_mutex_unlock(&offline->lock);
	if (ends)
		offline_call_finish(call, -EINTR);
	else if (!away)
		bind_next(call);
}

static void bound(struct offline_wait *wait, int err)
{
	struct offline_call *call = netfs_container_of(wait, struct offline_call, wait);

	if (err == -EHOSTDOWN && waits_for_server(call))
		wait_again(call);
	else if (err == -EHOSTDOWN)
		offline_call_know(call);
	else if (err)
		offline_call_finish(call, err);
	else
		bind_next(call);
}

/* A handle helps where it is open, and its node will do. */
static bool needs_handle(const struct offline_call *call)
{
	return call->kind != CALL_GETATTR && call->kind != CALL_SETATTR;
}

/* One address after the other; the stack is no deeper than there are kinds of them. */
static void bind_next(struct offline_call *call)
{
	struct offline_node *nodes[] = {call->node, call->dir, call->new_dir};
	struct offline_handle *handles[] = {call->handle, call->handle_to};

	call->wait.done = bound;
	call->wait.cred = call->op.cred;
	while (call->step < 3) {
		struct offline_node *node = nodes[call->step++];

		if (node && !offline_inner_node(node)) {
			offline_node_bind(node, &call->wait);
			return;
		}
	}
	while (call->step < 5) {
		struct offline_handle *handle = handles[call->step++ - 3];

		if (handle && needs_handle(call) && !offline_inner_handle(handle)) {
			offline_handle_bind(handle, &call->wait);
			return;
		}
	}
	ask(call);
}

/* A listing of what is known is gone on with there, also when the server is back. */
static bool goes_on_known(const struct offline_call *call)
{
	return call->kind == CALL_READDIR && call->start && call->handle->list_known;
}

void offline_call_start(struct offline_call *call)
{
	struct offline *offline = call->offline;
	bool away, waits;

	netfs_mutex_lock(&offline->lock);
	netfs_list_push_back(&offline->calls, &call->link);
	away = offline_away_locked(offline) || goes_on_known(call);
	waits = away && waits_for_server(call);
	set_stage_locked(call, waits ? CALL_WAITING : away ? CALL_KNOWN : CALL_BINDING);
	netfs_mutex_unlock(&offline->lock);
	if (away && !waits)
		offline_call_know(call);
	else if (!waits)
		bind_next(call);
}

void offline_call_leave(struct offline_call *call)
{
	struct offline_call *left = offline_call_new(&call->offline->be, call->kind, NULL);

	if (!left)
		return;
	left->op.cred = call->op.cred;
	left->lock = call->lock;
	left->handle = call->handle;
	netfs_handle_get(&left->handle->handle);
	offline_call_start(left);
}

/* ------------------------------------------------------- away, and back */

enum pick {
	PICK_ASKED, /* questions that the one behind has */
	PICK_WAITING, /* what waits for the server */
	PICK_LEFT, /* what nobody waits for */
};

static bool picked_locked(struct offline_call *call, enum pick pick)
{
	switch (pick) {
	case PICK_ASKED:
		return call->stage == CALL_ASKED && !call->given_up && reads_only(call);
	case PICK_WAITING:
		return call->stage == CALL_WAITING;
	default:
		return !call->outer && !call->given_up &&
		       (call->stage == CALL_ASKED || call->stage == CALL_WAITING);
	}
}

/* One of them, with a reference; it is told apart from then on. */
static struct offline_call *pick_next(struct offline *offline, enum pick pick, bool *ret_asked)
{
	struct offline_call *found = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&offline->lock);
	netfs_list_for_each (link, &offline->calls) {
		struct offline_call *call = netfs_container_of(link, struct offline_call, link);

		if (!picked_locked(call, pick))
			continue;
		found = call;
		atomic_fetch_add(&call->refs, 1);
		*ret_asked = call->stage == CALL_ASKED;
		if (call->stage == CALL_WAITING)
			set_stage_locked(call, CALL_BINDING);
		if (pick != PICK_WAITING)
			call->given_up = true;
		break;
	}
	netfs_mutex_unlock(&offline->lock);
	return found;
}

static void call_off(struct offline *offline, struct offline_call *call)
{
	if (offline->inner_ops->op_cancel)
		offline->inner_ops->op_cancel(offline->inner, &call->op);
}

void offline_calls_give_up(struct offline *offline)
{
	struct offline_call *call;
	bool closing, asked;

	while ((call = pick_next(offline, PICK_ASKED, &asked))) {
		call_off(offline, call);
		call_put(call);
	}
	netfs_mutex_lock(&offline->lock);
	closing = offline->state == OFFLINE_CLOSING;
	netfs_mutex_unlock(&offline->lock);
	while (closing && (call = pick_next(offline, PICK_LEFT, &asked))) {
		if (asked)
			call_off(offline, call);
		else
			offline_call_finish(call, -EINTR);
		call_put(call);
	}
}

void offline_calls_resume(struct offline *offline)
{
	struct offline_call *call;
	bool asked;

	while ((call = pick_next(offline, PICK_WAITING, &asked))) {
		bind_next(call);
		call_put(call);
	}
}

void offline_op_cancel(struct netfs_be *be, struct netfs_op *op)
{
	struct offline *offline = offline_of(be);
	struct offline_call *found = NULL;
	enum call_stage stage = CALL_KNOWN;
	struct netfs_list *link;

	netfs_mutex_lock(&offline->lock);
	netfs_list_for_each (link, &offline->calls) {
		struct offline_call *call = netfs_container_of(link, struct offline_call, link);

		if (call->outer != op || call->cancelled)
			continue;
		found = call;
		atomic_fetch_add(&call->refs, 1);
		stage = call->stage;
		call->cancelled = true;
		if (stage == CALL_WAITING)
			set_stage_locked(call, CALL_KNOWN);
		break;
	}
	netfs_mutex_unlock(&offline->lock);
	if (!found)
		return;
	if (stage == CALL_WAITING)
		offline_call_finish(found, -EINTR);
	else if (stage == CALL_ASKED)
		call_off(offline, found);
	call_put(found);
}
