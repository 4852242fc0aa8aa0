/* SPDX-License-Identifier: MIT */
/*
 * Writes that must be durable before they end: O_SYNC, O_DSYNC, and those that
 * ask for it one by one.
 *
 *	flush the range -> gate -> copy -> a request of the write's own bytes
 *	                                       -> they arrived -> durable -> out
 *
 * What is dirty in the range when the write comes, or under upload, is waited
 * for first, wherever the range is: so the write's own bytes need not wait for
 * older ones of their folios, and an error of older data is told before
 * anything is written.  Then the bytes go into the folios and, in the same
 * breath, into a request of their own, over all streams; other dirty data of
 * the file stays where it is.  A folio takes part in one upload at a time, so
 * overlapping uploads keep their order; bytes that must wait for one that came
 * in between, or for an older group, are left to the write-back, which the
 * write waits for like a flush does.
 *
 * Bytes that the server refuses are like all refused data: kept, readable,
 * tried again; the write ends with the error.  One that is called off ends at
 * once; its bytes stay, and go out like other dirty data.
 *
 * A write past the cache is at the server when it comes here, and only made
 * durable.
 */
#include <core/core_internal.h>
#include <core/folio.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <errno.h>

/* What the write waits for.  References: its io's, and of those who are inside
 * the back end with op. */
struct netfs_through {
	_Atomic uint32_t refs;
	_Atomic bool cancelled;
	struct netfs_completion flushed;
	struct netfs_op op;
	struct netfs_io *io;
	ssize_t result;
};

int netfs_through_new(struct netfs_io *io)
{
	struct netfs_through *through = netfs_zalloc(sizeof(*through));

	if (!through)
		return -ENOMEM;
	through->refs = 1;
	through->io = io;
	netfs_io_state(io)->through = through;
	return 0;
}

static struct netfs_through *get(struct netfs_through *through)
{
	atomic_fetch_add_explicit(&through->refs, 1, memory_order_relaxed);
	return through;
}

/* acq_rel: pairs with the other puts, as they free what others wrote to. */
void netfs_through_put(struct netfs_through *through)
{
	if (through && atomic_fetch_sub_explicit(&through->refs, 1, memory_order_acq_rel) == 1)
		netfs_free(through);
}

static void synced(struct netfs_op *op, int err)
{
	struct netfs_through *through = netfs_container_of(op, struct netfs_through, op);
	struct netfs_io_state *state = netfs_io_state(through->io);

	netfs_mutex_lock(&state->inode->mutex);
	state->syncing = false;
	netfs_mutex_unlock(&state->inode->mutex);
	netfs_io_complete(through->io, err ? err : through->result);
}

void netfs_through_sync(struct netfs_io *io, ssize_t result)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_through *through = state->through;
	struct netfs_handle *handle = state->opener->handle;
	struct netfs_be *be = handle->be;

	netfs_count(state->inode->core->stats, write_durable);
	if (be->caps & NETFS_BE_STABLE_WRITES) {
		netfs_io_complete(io, result);
		return;
	}
	through->result = result;
	through->op.done = synced;
	netfs_mutex_lock(&state->inode->mutex);
	state->syncing = true;
	if (state->cancelled)
		atomic_store(&through->cancelled, true);
	netfs_mutex_unlock(&state->inode->mutex);
	get(through);
	be->ops->fsync(handle, true, &through->op);
	/* Who called it off before the back end knew of it was not heard. */
	if (atomic_load(&through->cancelled))
		be->ops->op_cancel(be, &through->op);
	netfs_through_put(through);
}

void netfs_through_cancel(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_through *through = get(state->through);
	struct netfs_inode *inode = state->inode;
	struct netfs_be *be = inode->core->be;

	netfs_assert_held(&inode->mutex);
	atomic_store(&through->cancelled, true);
	netfs_mutex_unlock(&inode->mutex);
	be->ops->op_cancel(be, &through->op);
	netfs_through_put(through);
}

/* --------------------------------------------------- the write's bytes */

static struct netfs_through *flush_over(struct netfs_completion *done)
{
	struct netfs_through *through = netfs_container_of(done, struct netfs_through, flushed);
	struct netfs_inode *inode = done->inode;

	netfs_mutex_lock(&inode->mutex);
	netfs_io_state(through->io)->flush = NULL;
	netfs_mutex_unlock(&inode->mutex);
	return through;
}

static void arrived(struct netfs_completion *done, int err)
{
	struct netfs_through *through = flush_over(done);

	if (err)
		netfs_io_complete(through->io, err);
	else
		netfs_through_sync(through->io, through->result);
}

/* The opener's own, so that an error is that of who writes. */
static struct netfs_handle *handle_for(const struct netfs_io_state *state)
{
	struct netfs_handle *own = state->opener->handle;

	if (own->writable && !netfs_handle_dead(own))
		return netfs_handle_get(own);
	return netfs_inode_handle(state->inode, true);
}

void netfs_through_send(struct netfs_io *io, size_t result, struct netfs_news *news)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_through *through = state->through;
	struct netfs_inode *inode = state->inode;
	struct netfs_range range = {io->start, io->start + result};
	struct netfs_handle *handle = handle_for(state);

	netfs_assert_held(&inode->mutex);
	netfs_count_n(inode->core->stats, write_bytes, result);
	through->result = result;
	through->flushed.fn = arrived;
	state->flush = &through->flushed;
	if (handle)
		netfs_upload_through(inode, handle, &range, news);
	netfs_flush_start(inode, range.from, range.to, &through->flushed, news);
}

/* ------------------------------------------------- what comes before it */

static void cleared(struct netfs_completion *done, int err)
{
	struct netfs_through *through = flush_over(done);

	if (err)
		netfs_io_complete(through->io, err);
	else
		netfs_write_enter(through->io);
}

void netfs_through_start(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_through *through = state->through;
	struct netfs_inode *inode = state->inode;
	uint64_t from = io->start, to = io->start + io->len;
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	/* Where an append goes is known when it is its turn. */
	if ((io->flags & NETFS_IO_APPEND) || (state->opener->flags & NETFS_OPENER_APPEND)) {
		from = inode->size;
		to = UINT64_MAX;
	}
	through->flushed.fn = cleared;
	state->flush = &through->flushed;
	netfs_flush_start(inode, from, to > from ? to : UINT64_MAX, &through->flushed, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}
