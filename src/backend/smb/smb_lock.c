// SPDX-License-Identifier: MIT
/*
 * Byte ranges locked at the server.
 *
 * A program's locks are advisory, belong to a process, and may be cut and joined; a
 * server's are mandatory, belong to a handle, and go as they came.  So a handle
 * remembers what it has locked for whom, and a new lock that touches an old one of
 * the same owner takes it away first and puts back what is left of it:
 *
 *	what the owner has there --> UNLOCK --> LOCK: what remains, and the new one
 *	                                          |
 *	                                refused: LOCK what there was
 *
 * Whoever else wants the range in between gets it.  Reads and writes of the engine
 * go through any handle of a file; the server wants them through the one that has
 * the lock, see smb_lock_route_locked().
 *
 * A lock of flock(2) has nothing to do with bytes: it becomes one of a single byte
 * that no file has, where a client that locks whole files finds it.
 *
 * A lock that may wait is sent as one that the server answers later
 * (STATUS_PENDING, 3.3.5.14), and withdrawn by CANCEL; only where it has to be sent
 * beside others (2.2.26) it is tried again and again.
 *
 * Locks: conn->lock guards what handles have.
 */
#include <string.h>
#include "smb.h"

#define FLOCK_AT ((uint64_t)INT64_MAX - 1)

static bool overlap(const struct smb_held *a, uint64_t start, uint64_t end)
{
	return a->start < end && start < a->end;
}

static bool same(const struct smb_held *a, const struct smb_held *b)
{
	return a->start == b->start && a->end == b->end && a->owner == b->owner &&
	       a->flock == b->flock && a->exclusive == b->exclusive;
}

static struct smb_held wanted(const struct netfs_lock *lock)
{
	return (struct smb_held){.start = lock->flock ? FLOCK_AT : lock->start,
				 .end = lock->flock ? FLOCK_AT + 1 : lock->end,
				 .owner = lock->owner,
				 .flock = lock->flock,
				 .exclusive = lock->type == NETFS_LOCK_WRITE};
}

/* ------------------------------------------------------------- table */

static int hold_locked(struct smb_handle *handle, const struct smb_held *held)
{
	if (handle->nheld == handle->held_room) {
		uint32_t room = handle->held_room ? handle->held_room * 2 : 8;
		struct smb_held *grown = netfs_realloc(handle->held, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		handle->held = grown;
		handle->held_room = room;
	}
	handle->held[handle->nheld++] = *held;
	handle->node->locked++;
	return 0;
}

static void unhold_locked(struct smb_handle *handle, const struct smb_held *held)
{
	for (uint32_t i = 0; i < handle->nheld; i++) {
		if (!same(&handle->held[i], held))
			continue;
		handle->held[i] = handle->held[--handle->nheld];
		handle->node->locked--;
		return;
	}
}

/* What the owner has in the range goes to call->cut.  1: just this lock is there. */
static int cut_locked(struct smb_call *call, const struct smb_held *want)
{
	struct smb_handle *handle = call->handle;

	call->ncut = 0;
	for (uint32_t i = 0; i < handle->nheld; i++) {
		const struct smb_held *held = &handle->held[i];

		if (held->owner != want->owner || held->flock != want->flock ||
		    !overlap(held, want->start, want->end))
			continue;
		if (call->lock->type != NETFS_LOCK_UNLOCK && held->exclusive == want->exclusive &&
		    held->start <= want->start && held->end >= want->end)
			return 1;
		if (call->ncut == SMB_LOCKS_MAX)
			return -ENOLCK;
		call->cut[call->ncut++] = *held;
	}
	return handle->nheld + 2 > SMB_HELD_MAX ? -ENOLCK : 0;
}

struct smb_handle *smb_lock_route_locked(struct smb_handle *handle, uint64_t start, bool write,
					 size_t *ret_len)
{
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	struct smb_handle *found = NULL;
	uint64_t end = start + *ret_len;
	struct netfs_list *link;

	netfs_assert_held(&conn->lock);
	if (!handle->node->locked)
		return NULL;
	netfs_list_for_each (link, &conn->handles) {
		struct smb_handle *other = netfs_container_of(link, struct smb_handle, link);

		if (other->node != handle->node ||
		    !(write ? other->base.writable : other->base.readable))
			continue;
		for (uint32_t i = 0; i < other->nheld; i++) {
			const struct smb_held *held = &other->held[i];

			if (held->flock || !held->exclusive || !overlap(held, start, end))
				continue;
			if (held->start > start) {
				end = held->start;
				continue;
			}
			found = other;
			end = held->end < end ? held->end : end;
		}
	}
	*ret_len = (size_t)(end - start);
	if (!found || found == handle)
		return NULL;
	for (uint32_t refs = atomic_load(&found->base.refs); refs > 0;) {
		if (atomic_compare_exchange_weak(&found->base.refs, &refs, refs + 1))
			return found;
	}
	return NULL;
}

/* -------------------------------------------------------------- wire */

static void element(struct smb_locks *locks, const struct smb_held *held, uint32_t flags)
{
	locks->v[locks->count++] = (struct smb_lock_element){
		.offset = held->start, .length = held->end - held->start, .flags = flags};
}

static uint32_t kind_of(const struct smb_held *held)
{
	return held->exclusive ? SMB_LOCK_EXCLUSIVE : SMB_LOCK_SHARED;
}

static bool is_refusal(int err)
{
	return err == -EAGAIN;
}

/* ------------------------------------------------------- lock, unlock */

/* What is left of the old locks, and the new one. */
static uint32_t remains(const struct smb_call *call, struct smb_held *list)
{
	struct smb_held want = wanted(call->lock);
	uint32_t n = 0;

	for (uint32_t i = 0; i < call->ncut; i++) {
		struct smb_held piece = call->cut[i];

		if (piece.start < want.start) {
			list[n] = piece;
			list[n++].end = want.start;
		}
		if (piece.end > want.end) {
			list[n] = piece;
			list[n++].start = want.end;
		}
	}
	if (call->lock->type != NETFS_LOCK_UNLOCK)
		list[n++] = want;
	return n;
}

static void finish(struct smb_call *call, int err, enum netfs_lock_result result)
{
	call->op->lock_result = result;
	smb_call_end(call, err);
}

/* The old locks were put back, or somebody has taken them. */
static void put_back(struct smb_call *call)
{
	netfs_mutex_lock(&call->conn->lock);
	for (uint32_t i = 0; i < call->ncut && !call->err; i++)
		hold_locked(call->handle, &call->cut[i]);
	netfs_mutex_unlock(&call->conn->lock);
	finish(call, call->err ? -EIO : 0, NETFS_LOCK_BLOCKED);
}

static bool send_locks(struct smb_call *call, const struct smb_locks *locks, smb_step_fn *next)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_LOCK),
			      .lock_req = {.fid = call->handle->fid, .locks = *locks}};

	call->changing = true;
	if (!smb_call_add(call, &msg, 0))
		return false;
	smb_call_send(call, next);
	return true;
}

static void locked(struct smb_call *call)
{
	struct smb_held list[2 * SMB_LOCKS_MAX + 1];
	struct smb_locks old = {.count = 0};
	uint32_t n = remains(call, list);
	int err = call->err;

	if (!err) {
		netfs_mutex_lock(&call->conn->lock);
		for (uint32_t i = 0; i < n && !err; i++)
			err = hold_locked(call->handle, &list[i]);
		netfs_mutex_unlock(&call->conn->lock);
		finish(call, err, NETFS_LOCK_GRANTED);
		return;
	}
	if (call->ncut == 0) {
		finish(call, is_refusal(err) ? 0 : err, NETFS_LOCK_BLOCKED);
		return;
	}
	for (uint32_t i = 0; i < call->ncut; i++)
		element(&old, &call->cut[i], kind_of(&call->cut[i]) | SMB_LOCK_FAIL_IMMEDIATELY);
	send_locks(call, &old, put_back);
}

/* The old locks are gone. */
static void lock_new(struct smb_call *call)
{
	struct smb_held list[2 * SMB_LOCKS_MAX + 1];
	uint32_t n = remains(call, list), now;
	struct smb_locks locks = {.count = 0};

	if (n == 0 || n > SMB_LOCKS_MAX) {
		finish(call, n ? -ENOLCK : 0, NETFS_LOCK_GRANTED);
		return;
	}
	now = call->op->wait && n == 1 ? 0 : SMB_LOCK_FAIL_IMMEDIATELY;
	for (uint32_t i = 0; i < n; i++)
		element(&locks, &list[i], kind_of(&list[i]) | now);
	send_locks(call, &locks, locked);
}

static void unlocked(struct smb_call *call)
{
	netfs_mutex_lock(&call->conn->lock);
	for (uint32_t i = 0; i < call->ncut; i++)
		unhold_locked(call->handle, &call->cut[i]);
	netfs_mutex_unlock(&call->conn->lock);
	lock_new(call);
}

static void lock_body(struct smb_call *call)
{
	struct smb_held want = wanted(call->lock);
	struct smb_locks locks = {.count = 0};
	int err;

	netfs_mutex_lock(&call->conn->lock);
	err = cut_locked(call, &want);
	netfs_mutex_unlock(&call->conn->lock);
	if (err) {
		finish(call, err < 0 ? err : 0, NETFS_LOCK_GRANTED);
		return;
	}
	for (uint32_t i = 0; i < call->ncut; i++)
		element(&locks, &call->cut[i], SMB_LOCK_UNLOCK);
	/* An earlier try may have got it, and a handle that the server kept still has
	 * it: then it would wait for itself. */
	if (call->resent && !call->ncut)
		element(&locks, &want, SMB_LOCK_UNLOCK);
	if (locks.count)
		send_locks(call, &locks, unlocked);
	else
		lock_new(call);
}

void smb_lock(struct netfs_handle *handle, const struct netfs_lock *lock, struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(handle->be, op, lock_body);

	if (!call)
		return;
	call->handle = smb_handle_of(handle);
	call->lock = lock;
	smb_call_start(call);
}

/* ------------------------------------------------------ after a reopen */

static void lock_more(struct smb_call *call);

/* Somebody else has some of it now: whoever relied on the lock must know. */
static void taken_again(struct smb_call *call)
{
	if (!call->err) {
		lock_more(call);
		return;
	}
	netfs_mutex_lock(&call->conn->lock);
	smb_handle_dies_locked(call->opening, -EIO);
	netfs_mutex_unlock(&call->conn->lock);
	smb_call_end(call, -EIO);
}

/* call->index: so many of the handle's locks are there again. */
static void lock_more(struct smb_call *call)
{
	struct smb_handle *handle = call->opening;
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_LOCK), .lock_req = {.fid = handle->fid}};
	struct smb_locks *locks = &msg.lock_req.locks;

	netfs_mutex_lock(&call->conn->lock);
	while (call->index < handle->nheld && locks->count < SMB_LOCKS_MAX) {
		const struct smb_held *held = &handle->held[call->index++];

		element(locks, held, kind_of(held) | SMB_LOCK_FAIL_IMMEDIATELY);
	}
	netfs_mutex_unlock(&call->conn->lock);
	if (!locks->count)
		smb_call_end(call, 0);
	else if (smb_call_add(call, &msg, 0))
		smb_call_send(call, taken_again);
}

void smb_lock_again(struct smb_call *call)
{
	call->index = 0;
	lock_more(call);
}
