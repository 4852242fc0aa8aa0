/* SPDX-License-Identifier: MIT */
/*
 * Slices: those of a server that is there are the one behind's, with an end of ours so
 * that what is being changed is known.  While it is away a read is refused at once,
 * since what could be answered from the disk cache did not come here; a write waits
 * where its data is, in memory or in the journal.  So does a read that an upload needs
 * (the rest of an encrypted block): who flushes waits, and is not told of an error.
 *
 * A read on its way when the server goes away is called off, if it does not wait.
 *
 * A slice trims its pieces in place, so its length here is made that of the one behind
 * before its owner sees it again.
 *
 * Locks: the connection's lock.
 */
#include <errno.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <offline/offline_impl.h>

/* ---------------------------------------------------- unbound handles */

static void rebound(struct offline_wait *wait, int err)
{
	struct offline_handle *handle = netfs_container_of(wait, struct offline_handle, slice_wait);
	struct offline *offline = offline_of(handle->handle.be);

	netfs_mutex_lock(&offline->lock);
	handle->slice_binds = false;
	netfs_mutex_unlock(&offline->lock);
	netfs_handle_put(&handle->handle);
}

/* What to answer a slice of a handle that is not open at the server, which it is going
 * to be; 0: it is by now. */
static int refuse_unbound(struct offline_handle *handle)
{
	struct offline *offline = offline_of(handle->handle.be);
	bool bound, begin;
	int err;

	netfs_mutex_lock(&offline->lock);
	bound = handle->bound == OFFLINE_BOUND;
	err = handle->err;
	/* One slice hears of it, the next tries again; what is gone is gone. */
	if (err != -ESTALE)
		handle->err = 0;
	handle->starved = !err && !bound;
	/* The ready() at the end of one binding is for all slices that came meanwhile. */
	begin = !err && handle->bound == OFFLINE_UNBOUND && !handle->slice_binds;
	if (begin)
		handle->slice_binds = true;
	netfs_mutex_unlock(&offline->lock);
	if (!begin)
		return err || bound ? err : -EAGAIN;
	netfs_handle_get(&handle->handle);
	handle->slice_wait.done = rebound;
	offline_handle_bind(handle, &handle->slice_wait);
	return -EAGAIN;
}

/* --------------------------------------------------------------- moves */

static void move_put(struct offline_move *move)
{
	if (atomic_fetch_sub_explicit(&move->refs, 1, memory_order_acq_rel) > 1)
		return;
	netfs_handle_put(&move->handle->handle);
	netfs_free(move);
}

static struct offline *offline_of_move(const struct offline_move *move)
{
	return offline_of(move->handle->handle.be);
}

static bool writes(const struct offline_move *move)
{
	return move->slice.kind == NETFS_SLICE_WRITE;
}

/* Is it of those that wait for a server that is away? */
static bool waits(const struct netfs_slice *slice)
{
	return slice->kind == NETFS_SLICE_WRITE || slice->for_upload;
}

/* The owner finds what was taken of it, once: it may look as soon as it can. */
static void give_back_locked(struct offline_move *move)
{
	netfs_assert_held(&offline_of_move(move)->lock);
	if (move->given_back)
		return;
	move->given_back = true;
	move->outer->len = move->slice.len;
	move->outer->niov = move->slice.niov;
}

static void move_done(struct netfs_slice *slice, size_t moved, int err, unsigned flags)
{
	struct offline_move *move = netfs_container_of(slice, struct offline_move, slice);
	struct offline *offline = offline_of_move(move);
	struct netfs_slice *outer = move->outer;
	bool refused;

	netfs_mutex_lock(&offline->lock);
	netfs_list_remove(&move->link);
	give_back_locked(move);
	refused = !waits(&move->slice) && move->given_up && offline_away_locked(offline);
	netfs_mutex_unlock(&offline->lock);
	if (err && refused) {
		err = -EHOSTDOWN;
		flags &= ~(unsigned)NETFS_SLICE_RETRY;
	}
	if (writes(move))
		offline_change_wrote(move->handle->node, slice->start + moved);
	move_put(move);
	outer->done(outer, moved, err, flags);
}

static struct offline_move *move_new(struct offline_handle *handle, struct netfs_slice *slice)
{
	struct offline_move *move = netfs_alloc(sizeof(*move));

	if (!move)
		return NULL;
	*move = (struct offline_move){.slice = *slice, .outer = slice, .handle = handle};
	move->slice.done = move_done;
	netfs_handle_get(&handle->handle);
	/* Its end, and who sends it. */
	atomic_init(&move->refs, 2);
	netfs_list_init(&move->link);
	return move;
}

/* The one behind took it; it may have been called off before. */
static void move_begun(struct offline *offline, struct offline_move *move)
{
	bool flying, cancel;

	netfs_mutex_lock(&offline->lock);
	flying = !netfs_list_empty(&move->link);
	if (flying)
		give_back_locked(move);
	cancel = flying && move->given_up;
	netfs_mutex_unlock(&offline->lock);
	if (cancel && offline->inner_ops->slice_cancel)
		offline->inner_ops->slice_cancel(offline->inner, &move->slice);
}

/* It was not taken. */
static void move_refused(struct offline *offline, struct offline_move *move)
{
	netfs_mutex_lock(&offline->lock);
	netfs_list_remove(&move->link);
	netfs_mutex_unlock(&offline->lock);
	if (writes(move))
		offline_change_end(move->handle->node, false, false);
	move_put(move);
}

/* Sends it, unless the server went away this moment: then err. */
static ssize_t move_send(struct offline_move *move, struct netfs_handle *inner, int err)
{
	struct offline *offline = offline_of_move(move);
	const struct netfs_be_ops *ops = offline->inner_ops;
	ssize_t taken = err;
	bool away;

	if (writes(move))
		offline_change_begin(move->handle->node, false);
	netfs_mutex_lock(&offline->lock);
	away = offline_away_locked(offline);
	if (!away)
		netfs_list_push_back(&offline->moves, &move->link);
	netfs_mutex_unlock(&offline->lock);
	if (!away)
		taken = writes(move) ? ops->write(inner, &move->slice)
				     : ops->read(inner, &move->slice);
	if (taken < 0)
		move_refused(offline, move);
	else
		move_begun(offline, move);
	move_put(move);
	return taken;
}

static ssize_t transfer(struct netfs_handle *base, struct netfs_slice *slice)
{
	/* The ready() of coming back, which follows the state, is for what waits. */
	int err = waits(slice) ? -EAGAIN : -EHOSTDOWN;
	struct offline_handle *handle = offline_handle_of(base);
	struct netfs_handle *inner = offline_inner_handle(handle);
	struct offline_move *move;
	int refused;

	if (offline_away(offline_of(base->be)))
		return err;
	if (!inner) {
		refused = refuse_unbound(handle);
		if (refused)
			return refused;
		inner = offline_inner_handle(handle);
	}
	move = move_new(handle, slice);
	if (!move) {
		offline_short(offline_of(base->be));
		return -EAGAIN;
	}
	return move_send(move, inner, err);
}

ssize_t offline_read(struct netfs_handle *handle, struct netfs_slice *slice)
{
	return transfer(handle, slice);
}

ssize_t offline_write(struct netfs_handle *handle, struct netfs_slice *slice)
{
	return transfer(handle, slice);
}

/* -------------------------------------------------------------- cancel */

/* A move that slice is of, or one that does not wait and is not called off yet where it
 * is NULL. */
static struct offline_move *move_pick(struct offline *offline, const struct netfs_slice *slice)
{
	struct offline_move *found = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&offline->lock);
	netfs_list_for_each (link, &offline->moves) {
		struct offline_move *move = netfs_container_of(link, struct offline_move, link);
		bool fits = slice ? move->outer == slice : !waits(&move->slice);

		if (!fits || move->given_up)
			continue;
		found = move;
		move->given_up = true;
		atomic_fetch_add(&move->refs, 1);
		break;
	}
	netfs_mutex_unlock(&offline->lock);
	return found;
}

static void call_off(struct offline *offline, struct offline_move *move)
{
	if (offline->inner_ops->slice_cancel)
		offline->inner_ops->slice_cancel(offline->inner, &move->slice);
	move_put(move);
}

void offline_moves_give_up(struct offline *offline)
{
	struct offline_move *move;

	while ((move = move_pick(offline, NULL)))
		call_off(offline, move);
}

void offline_slice_cancel(struct netfs_be *be, struct netfs_slice *slice)
{
	struct offline *offline = offline_of(be);
	struct offline_move *move = move_pick(offline, slice);

	if (move)
		call_off(offline, move);
}
