/* SPDX-License-Identifier: MIT */
/*
 * Buffered writes: the caller's side.
 *
 *	room under the dirty limit? -> gate -> copy, folio by folio -> out
 *	       no: wait
 *
 * One that must be durable goes another way around this: write_through.c.
 *
 * A write never reads first and never waits for an upload: each byte knows for
 * itself whether it is valid and whether it is dirty, and bytes somebody else
 * may be looking at are copied away before they change (netfs_folio_own).
 *
 * A writer leaves room in the folio's set of dirty ranges for everything that
 * is under upload from it, so that a failed upload can always put its bytes
 * back.
 */
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <errno.h>
#include <string.h>

/* Copies n bytes of the io's memory, from the place of pos on, to dst. */
static void copy_in(struct netfs_io *io, uint64_t pos, uint8_t *dst, size_t n)
{
	size_t skip = pos - io->start;

	for (unsigned i = 0; n; i++) {
		size_t room = io->iov[i].iov_len, part;

		if (skip >= room) {
			skip -= room;
			continue;
		}
		part = room - skip < n ? room - skip : n;
		memcpy(dst, (const uint8_t *)io->iov[i].iov_base + skip, part);
		dst += part;
		n -= part;
		skip = 0;
	}
}

/* Room in all three sets, so that nothing below can fail half way.  What touches
 * a range that is there grows it, and what overlaps none cuts none: that needs
 * no room, and nearly every write is of that kind. */
static int reserve(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	int err = 0;

	if (!netfs_ranges_overlaps(&folio->valid, from ? from - 1 : 0, to + 1))
		err = netfs_ranges_reserve(&folio->valid, 1);
	if (!err && netfs_ranges_overlaps(&folio->pending, from, to))
		err = netfs_ranges_reserve(&folio->pending, 1);
	if (!err)
		err = netfs_ranges_reserve(&folio->dirty, 2 + folio->writeback + folio->frozen);
	return err;
}

/*
 * Which case a write is to its folio, for the recorder.  One that goes on where
 * dirty bytes end, or changes some, is the case they were.  Before the sets
 * change.
 */
static void trace_decision(const struct netfs_inode *inode, const struct netfs_folio *folio,
			   uint64_t from, uint64_t to)
{
	if (netfs_ranges_overlaps(&folio->dirty, from ? from - 1 : 0, to + 1))
		return;
	if (to - from == folio->size)
		netfs_trace_folio(folio_mod_whole, folio, from, to, 0);
	else if (netfs_ranges_covers(&folio->valid, folio->start, netfs_folio_end(folio)))
		netfs_trace_folio(folio_mod_uptodate, folio, from, to, 0);
	else if (!netfs_ranges_empty(&folio->dirty))
		netfs_trace_folio(folio_mod_stream_more, folio, from, to,
				  netfs_ranges_count(&folio->dirty));
	else if (from >= inode->size)
		netfs_trace_folio(folio_mod_zero, folio, from, to, 0);
	else
		netfs_trace_folio(folio_mod_stream, folio, from, to, 0);
}

static void mark_dirty(struct netfs_inode *inode, struct netfs_folio *folio, uint64_t from,
		       uint64_t to)
{
	uint64_t before = netfs_ranges_bytes(&folio->dirty);

	trace_decision(inode, folio, from, to);
	netfs_ranges_remove(&folio->pending, from, to);
	netfs_ranges_add(&folio->valid, from, to);
	netfs_ranges_add(&folio->dirty, from, to);
	netfs_inode_dirtied(inode, folio->group, netfs_ranges_bytes(&folio->dirty) - before);
}

/* A new folio is as large as the write, larger where a file is being written
 * in order: a quarter of the run so far, or of the file where it grows. */
static uint32_t wanted_size(const struct netfs_inode *inode, uint64_t pos, size_t len)
{
	uint64_t aim = len, run = pos - inode->write_from;
	uint32_t size = NETFS_PAGE_SIZE;

	if (aim < run / 4)
		aim = run / 4;
	if (pos == inode->write_pos && pos >= inode->size && aim < pos / 4)
		aim = pos / 4;
	while (size < aim && size < NETFS_FOLIO_MAX / 2)
		size *= 2;
	return size;
}

/* Puts as much as fits into one folio.  Bytes written or negative errno. */
static ssize_t write_folio(struct netfs_io *io, uint64_t pos, size_t len)
{
	struct netfs_inode *inode = netfs_io_state(io)->inode;
	struct netfs_folio *folio =
		netfs_folio_make(inode, pos, wanted_size(inode, pos, len), true);
	bool over;
	int err;

	if (!folio)
		return -ENOMEM;
	if (len > netfs_folio_end(folio) - pos)
		len = netfs_folio_end(folio) - pos;
	err = netfs_group_write(folio);
	/* What is dirty already is also valid and not pending: no set changes. */
	over = !err && netfs_ranges_covers(&folio->dirty, pos, pos + len);
	if (!err && !over)
		err = reserve(folio, pos, pos + len);
	if (!err)
		err = netfs_folio_own(folio, pos, pos + len);
	if (err)
		return err;
	copy_in(io, pos, netfs_folio_at(folio, pos), len);
	if (!over)
		mark_dirty(inode, folio, pos, pos + len);
	atomic_store_explicit(&folio->visited, true, memory_order_relaxed);
	return len;
}

/* All of it, under the mutex.  Returns how much was written, or an error. */
static ssize_t write_locked(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	uint64_t pos, end;
	ssize_t n = 0;

	if ((io->flags & NETFS_IO_APPEND) || (state->opener->flags & NETFS_OPENER_APPEND))
		io->start = inode->size;
	if (io->start > INT64_MAX || io->len > INT64_MAX - io->start)
		return -EFBIG;
	pos = io->start;
	end = pos + io->len;
	if (pos != inode->write_pos)
		inode->write_from = pos;
	while (pos < end && (n = write_folio(io, pos, end - pos)) > 0)
		pos += n;
	if (pos == io->start)
		return n;
	if (pos > inode->size)
		inode->size = pos;
	inode->seq++;
	inode->write_pos = pos;
	inode->mtime_ns = netfs_clock_real();
	return pos - io->start;
}

/* -------------------------------------- encrypted: durable by a flush */

/* What follows a write that must be durable; lives until it is told. */
struct durable {
	struct netfs_completion flushed;
	struct netfs_op op;
	struct netfs_io *io;
	struct netfs_handle *handle;
	ssize_t result;
};

static void durable_end(struct durable *durable, int err)
{
	struct netfs_io *io = durable->io;
	ssize_t result = err ? err : durable->result;

	netfs_free(durable);
	netfs_io_complete(io, result);
}

static void durable_synced(struct netfs_op *op, int err)
{
	durable_end(netfs_container_of(op, struct durable, op), err);
}

/* Past the cache: it is at the server at the end, and not kept here. */
static bool must_arrive(struct netfs_io *io)
{
	const struct netfs_io_state *state = netfs_io_state(io);

	return state->inode->core->crypt && !state->journaled &&
	       ((io->flags & NETFS_IO_DIRECT) || (state->opener->flags & NETFS_OPENER_UNBUFFERED));
}

static bool must_be_durable(struct netfs_io *io)
{
	const struct netfs_io_state *state = netfs_io_state(io);

	/* It is, then, when it comes here. */
	if (state->journaled && state->inode->core->sync_local)
		return false;
	return (io->flags & NETFS_IO_DSYNC) || (state->opener->flags & NETFS_OPENER_DSYNC);
}

static void durable_flushed(struct netfs_completion *done, int err)
{
	struct durable *durable = netfs_container_of(done, struct durable, flushed);
	struct netfs_be *be = durable->handle->be;
	struct netfs_inode *inode = done->inode;

	netfs_mutex_lock(&inode->mutex);
	netfs_io_state(durable->io)->flush = NULL;
	netfs_mutex_unlock(&inode->mutex);
	if (err || (be->caps & NETFS_BE_STABLE_WRITES) || !must_be_durable(durable->io))
		durable_end(durable, err);
	else
		be->ops->fsync(durable->handle, true, &durable->op);
}

void netfs_write_finish_io(struct netfs_io *io, ssize_t result)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct durable *durable;

	if (result > 0)
		netfs_count_n(state->inode->core->stats, write_bytes, result);
	if (result > 0 && state->through) {
		netfs_through_sync(io, result);
		return;
	}
	if (result <= 0 || !(must_be_durable(io) || must_arrive(io))) {
		netfs_io_complete(io, result);
		return;
	}
	durable = netfs_zalloc(sizeof(*durable));
	if (!durable) {
		netfs_io_complete(io, -ENOMEM);
		return;
	}
	netfs_count(state->inode->core->stats, write_durable);
	durable->flushed.fn = durable_flushed;
	durable->op.done = durable_synced;
	durable->io = io;
	durable->handle = state->opener->handle;
	durable->result = result;
	netfs_mutex_lock(&state->inode->mutex);
	state->flush = &durable->flushed;
	netfs_mutex_unlock(&state->inode->mutex);
	netfs_inode_flush(state->inode, io->start, io->start + result, &durable->flushed);
}

/* ------------------------------------------------------------ entry */

static void run_locked(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	struct netfs_news news;
	bool through, queued = false;
	ssize_t result;

	netfs_news_init(&news);
	if (!state->cancelled && netfs_crypt_older(inode)) {
		netfs_gate_leave(&inode->gate, &news.admitted);
		netfs_news_unlock(&news, inode);
		netfs_crypt_wait_older(io);
		return;
	}
	result = state->cancelled ? -EINTR : write_locked(io);
	through = result > 0 && state->through;
	if (through)
		netfs_through_send(io, result, &news);
	if (result > 0 && state->journaled)
		queued = netfs_journaled_queue(io, (size_t)result);
	if (result > 0)
		netfs_upload_consider(inode, &news);
	netfs_gate_leave(&inode->gate, &news.admitted);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
	/* One that is to be durable, or in the journal, may have ended and be gone. */
	if (through || queued)
		return;
	if (result > 0 && state->journaled)
		netfs_journaled_refused(io);
	else
		netfs_write_finish_io(io, result);
}

static void admitted(struct netfs_gate_wait *wait)
{
	struct netfs_io_state *state = netfs_container_of(wait, struct netfs_io_state, gate);

	netfs_trace_file(gate_enter, state->inode, state->pos, state->end,
			 netfs_trace_gate(wait->class));
	netfs_mutex_lock(&state->inode->mutex);
	run_locked(netfs_io_of(state));
}

/* A file whose data the server refuses takes no more of it above the limit. */
static int refused(struct netfs_inode *inode)
{
	struct netfs_budget *budget = inode->core->budget;
	int err = 0;

	if (atomic_load_explicit(&budget->dirty, memory_order_relaxed) < budget->dirty_max)
		return 0;
	netfs_mutex_lock(&inode->mutex);
	if (inode->stuck)
		err = inode->wb_error;
	netfs_mutex_unlock(&inode->mutex);
	return err;
}

static void start(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	int err = state->cancelled ? -EINTR : refused(inode);

	if (!err && (io->flags & NETFS_IO_NOWAIT) && netfs_budget_full(inode->core))
		err = -EAGAIN;
	if (err) {
		netfs_io_complete(io, err);
		return;
	}
	if (netfs_budget_throttle(inode->core->budget, io))
		return;
	if (state->through)
		netfs_through_start(io);
	else
		netfs_write_enter(io);
}

void netfs_write_enter(struct netfs_io *io)
{
	if (netfs_io_enter(io, NETFS_GATE_BUFFERED))
		run_locked(io);
}

void netfs_io_begin(struct netfs_io *io, struct netfs_inode *inode, struct netfs_opener *opener)
{
	struct netfs_io_state *state = netfs_io_state(io);

	*state = (struct netfs_io_state){.inode = inode, .opener = opener};
	state->pos = io->start;
	state->end = io->start + io->len;
	netfs_list_init(&state->link);
	netfs_list_init(&state->gate.link);
	state->lent = state->lent_in;
	state->lent_room = NETFS_LENT_INLINE;
	state->iov_room = io->niov < UINT16_MAX ? io->niov : UINT16_MAX;
}

/* Always through memory: what is past it could arrive before what is in the journal,
 * and be undone when that is done again. */
static void journaled_write(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	int err = io->flags & NETFS_IO_NOWAIT ? -EAGAIN : netfs_journaled_new(io);

	if (err) {
		netfs_io_complete(io, err);
		return;
	}
	state->resume = start;
	state->gate.admitted = admitted;
	start(io);
}

void netfs_core_write(struct netfs_inode *inode, struct netfs_opener *opener, struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);

	netfs_count(inode->core->stats, write_calls);
	netfs_io_begin(io, inode, opener);
	state->write = true;
	if (io->len == 0) {
		netfs_io_complete(io, 0);
		return;
	}
	if (inode->journal && !(opener->flags & NETFS_OPENER_REDONE)) {
		journaled_write(io);
		return;
	}
	if ((io->flags & NETFS_IO_NOWAIT) && (must_be_durable(io) || must_arrive(io))) {
		netfs_io_complete(io, -EAGAIN);
		return;
	}
	/* Blocks that are encrypted may need reading first: a flush does that. */
	if (!inode->core->crypt && must_be_durable(io) && netfs_through_new(io)) {
		netfs_io_complete(io, -ENOMEM);
		return;
	}
	if (!inode->core->crypt &&
	    ((opener->flags & NETFS_OPENER_UNBUFFERED) || (io->flags & NETFS_IO_DIRECT))) {
		netfs_direct_write(io);
		return;
	}
	if (must_arrive(io))
		netfs_crypt_direct_write(io);
	state->resume = start;
	state->gate.admitted = admitted;
	start(io);
}
