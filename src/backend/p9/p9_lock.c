/* SPDX-License-Identifier: MIT */
/*
 * Byte-range locks between clients: Tlock without P9_LOCK_FLAGS_BLOCK, so no
 * request ever waits on the server.
 *
 * The server tells owners apart by client_id and proc_id.  client_id is drawn
 * once per connection and survives reconnects; proc_id is the caller's opaque
 * owner folded to 32 bits, since the process that unlocks need not be the one
 * that locked.
 *
 * What was granted is remembered in the handle, so that a re-opening can set it
 * again (p9_handle.c).  The list says what this handle's owners hold: a grant or
 * release replaces what the same owner had in that range.
 *
 * Locks: conn->lock guards the list.
 */
#include <string.h>
#include "p9.h"

void p9_lock_msg(struct p9_conn *conn, const struct p9_held *held, uint8_t type, uint32_t fid,
		 struct p9_msg *ret_msg)
{
	*ret_msg = (struct p9_msg){
		.type = P9_TLOCK,
		.tlock = {.fid = fid,
			  .type = type,
			  .start = held->start,
			  .length = held->end == UINT64_MAX ? 0 : held->end - held->start,
			  .proc_id = (uint32_t)(held->owner ^ held->owner >> 32),
			  .client_id = p9_str(conn->client_id)}};
}

static uint8_t type_on_wire(enum netfs_lock_type type)
{
	switch (type) {
	case NETFS_LOCK_READ:
		return P9_LOCK_RDLCK;
	case NETFS_LOCK_WRITE:
		return P9_LOCK_WRLCK;
	default:
		return P9_LOCK_UNLCK;
	}
}

static struct p9_held held_of(const struct netfs_lock *lock)
{
	return (struct p9_held){.start = lock->start,
				.end = lock->end,
				.owner = lock->owner,
				.write = lock->type == NETFS_LOCK_WRITE};
}

/* Is there room for so many more, and for what the calls in flight may add? */
static bool make_room_locked(struct p9_handle *handle, unsigned more)
{
	unsigned wanted = handle->nheld + 2 * handle->lock_calls + more;
	struct p9_held *grown;

	if (wanted <= handle->held_room)
		return true;
	grown = netfs_realloc(handle->held, (wanted + 2) * 2 * sizeof(*grown));
	if (!grown)
		return false;
	handle->held = grown;
	handle->held_room = (wanted + 2) * 2;
	return true;
}

/* Does giving up range leave two pieces of one lock? */
static bool splits_locked(const struct p9_handle *handle, const struct p9_held *range)
{
	for (unsigned i = 0; i < handle->nheld; i++) {
		const struct p9_held *held = &handle->held[i];

		if (held->owner == range->owner && held->start < range->start &&
		    held->end > range->end)
			return true;
	}
	return false;
}

/* Removes what owner holds in [start, end).  At most one entry splits. */
static void forget_locked(struct p9_handle *handle, const struct p9_held *range)
{
	unsigned n = handle->nheld, kept = 0;
	struct p9_held rest = {0};

	for (unsigned i = 0; i < n; i++) {
		struct p9_held held = handle->held[i];

		if (held.owner != range->owner || held.end <= range->start ||
		    held.start >= range->end) {
			handle->held[kept++] = held;
			continue;
		}
		if (held.end > range->end) {
			rest = held;
			rest.start = range->end;
		}
		if (held.start < range->start) {
			held.end = range->start;
			handle->held[kept++] = held;
		}
	}
	if (rest.end > 0)
		handle->held[kept++] = rest;
	handle->nheld = kept;
}

/* Gives up range; false where there is no room for the second piece of a lock
 * of which the middle goes.  Nothing else needs memory. */
static bool forget_held_locked(struct p9_handle *handle, const struct p9_held *range)
{
	if (splits_locked(handle, range) && !make_room_locked(handle, 1))
		return false;
	forget_locked(handle, range);
	return true;
}

static void remember(struct p9_call *call)
{
	struct p9_handle *handle = call->handle;
	struct p9_held held = held_of(call->lock);

	netfs_mutex_lock(&call->conn->lock);
	if (call->lock->type != NETFS_LOCK_UNLOCK) {
		/* The room was made before the server was asked. */
		forget_locked(handle, &held);
		handle->held[handle->nheld++] = held;
	} else if (!forget_held_locked(handle, &held)) {
		/* The server has it right; a re-opening could not. */
		handle->held_lost = true;
	}
	/* Where nothing is held, nothing is held too much. */
	if (handle->nheld == 0)
		handle->held_lost = false;
	netfs_mutex_unlock(&call->conn->lock);
}

static void locked(struct p9_call *call)
{
	struct netfs_op *op = call->op;

	switch (call->reply->rlock.status) {
	case P9_LOCK_SUCCESS:
		remember(call);
		op->lock_result = NETFS_LOCK_GRANTED;
		p9_call_finish(call, 0);
		break;
	case P9_LOCK_BLOCKED:
	case P9_LOCK_GRACE: /* the server just restarted: ask again */
		op->lock_result = NETFS_LOCK_BLOCKED;
		p9_call_finish(call, 0);
		break;
	default:
		p9_call_finish(call, -ENOLCK);
	}
}

static void lock_body(struct p9_call *call)
{
	struct p9_held held = held_of(call->lock);
	struct p9_msg msg;

	p9_lock_msg(call->conn, &held, type_on_wire(call->lock->type), call->hfid->num, &msg);
	p9_call_send(call, &msg, locked);
}

/* A lock that is being given up need not survive the connection: if somebody
 * else has it by the time of a re-opening, nothing was lost. */
static void give_up(struct p9_conn *conn, struct p9_handle *handle, const struct p9_held *held)
{
	netfs_mutex_lock(&conn->lock);
	if (forget_held_locked(handle, held))
		handle->relock_again = handle->reopening;
	netfs_mutex_unlock(&conn->lock);
}

static void lock_ended(struct p9_call *call)
{
	netfs_mutex_lock(&call->conn->lock);
	call->handle->lock_calls--;
	netfs_mutex_unlock(&call->conn->lock);
}

/* A lock that could not be remembered must not be asked for: it would be lost
 * with the connection, and with it all that the handle is used for.  It may
 * split one that its owner has, and is one more. */
static bool promise_room(struct p9_call *call)
{
	struct p9_handle *handle = call->handle;
	bool room;

	netfs_mutex_lock(&call->conn->lock);
	handle->lock_calls++;
	room = make_room_locked(handle, 0);
	netfs_mutex_unlock(&call->conn->lock);
	call->end = lock_ended;
	return room;
}

static struct p9_call *new_call(struct netfs_handle *handle, const struct netfs_lock *lock,
				struct netfs_op *op, p9_step_fn *body)
{
	struct p9_call *call;

	if (lock->start >= lock->end) {
		op->done(op, -EINVAL);
		return NULL;
	}
	call = p9_call_on_handle(handle, op, body);
	if (call)
		call->lock = lock;
	return call;
}

void p9_lock(struct netfs_handle *handle, const struct netfs_lock *lock, struct netfs_op *op)
{
	struct p9_held held = held_of(lock);
	struct p9_call *call;

	if (lock->type == NETFS_LOCK_UNLOCK && lock->start < lock->end)
		give_up(p9_conn_of(handle->be), p9_handle_of(handle), &held);
	call = new_call(handle, lock, op, lock_body);
	if (!call)
		return;
	if (lock->type != NETFS_LOCK_UNLOCK && !promise_room(call))
		p9_call_finish(call, -ENOMEM);
	else
		p9_call_start(call);
}

/* ------------------------------------------------------- getlock */

static void got_lock(struct p9_call *call)
{
	const struct p9_msg *reply = call->reply;
	uint64_t start = reply->rgetlock.start, length = reply->rgetlock.length;
	struct netfs_lock *lock = &call->op->lock;

	*lock = *call->lock;
	switch (reply->rgetlock.type) {
	case P9_LOCK_RDLCK:
		lock->type = NETFS_LOCK_READ;
		break;
	case P9_LOCK_WRLCK:
		lock->type = NETFS_LOCK_WRITE;
		break;
	case P9_LOCK_UNLCK:
		lock->type = NETFS_LOCK_UNLOCK;
		p9_call_finish(call, 0);
		return;
	default:
		p9_call_finish(call, -EIO);
		return;
	}
	lock->start = start;
	lock->end = length == 0 || length > UINT64_MAX - start ? UINT64_MAX : start + length;
	lock->owner = 0;
	lock->pid = (int32_t)reply->rgetlock.proc_id;
	p9_call_finish(call, 0);
}

static void getlock_body(struct p9_call *call)
{
	struct p9_held held = held_of(call->lock);
	struct p9_msg set, msg;

	p9_lock_msg(call->conn, &held, type_on_wire(call->lock->type), call->hfid->num, &set);
	msg = (struct p9_msg){.type = P9_TGETLOCK,
			      .tgetlock = {.fid = set.tlock.fid,
					   .type = set.tlock.type,
					   .start = set.tlock.start,
					   .length = set.tlock.length,
					   .proc_id = set.tlock.proc_id,
					   .client_id = set.tlock.client_id}};
	p9_call_send(call, &msg, got_lock);
}

void p9_getlock(struct netfs_handle *handle, const struct netfs_lock *lock, struct netfs_op *op)
{
	struct p9_call *call = new_call(handle, lock, op, getlock_body);

	if (call)
		p9_call_start(call);
}
