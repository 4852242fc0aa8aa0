/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes past the cache.
 *
 *	gate (direct) -> flush the range -> write: forget the range
 *	              -> one request over the caller's memory -> out
 *
 * What is cached of the range has arrived before, and is forgotten before a
 * write is sent, so the two ways see each other's bytes.  Reads, and writes
 * below the end of the server's file, keep many slices in flight; a write that
 * makes the file longer sends one after the other, so that a full disk leaves
 * no hole.  A write that appends has the file to itself, because where it
 * starts depends on the one before it.
 *
 * Only the contiguous part from the start counts; slices that arrived behind a
 * failed one do not.
 */
#include <core/core_internal.h>
#include <core/folio.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <errno.h>
#include <string.h>

/* The flush that comes first; lives until it is told. */
struct direct_flush {
	struct netfs_completion done;
	struct netfs_io *io;
};

/* ------------------------------------------------------------- ends */

/* Leaves the gate and tells the caller.  Mutex held on entry. */
static void leave(struct netfs_io *io, ssize_t result, struct netfs_news *news)
{
	struct netfs_inode *inode = netfs_io_state(io)->inode;

	netfs_gate_leave(&inode->gate, &news->admitted);
	netfs_inode_settle(inode, news);
	netfs_news_unlock(news, inode);
	if (netfs_io_state(io)->write) {
		netfs_write_finish_io(io, result);
		return;
	}
	if (result > 0)
		netfs_count_n(inode->core->stats, read_bytes, result);
	netfs_io_complete(io, result);
}

void netfs_direct_collect(struct netfs_subrequest *sub)
{
	struct netfs_io_state *state = netfs_io_state(sub->req->io);

	if (state->pos == sub->start)
		state->pos += sub->transferred;
	if (sub->error && !state->error)
		state->error = sub->error;
	/* The end of the file: what lies behind need not be asked for. */
	if (sub->transferred < sub->len && !sub->error)
		sub->stream->end = sub->stream->issued_to;
}

static void zero_user(struct netfs_io *io, uint64_t from, uint64_t to)
{
	uint64_t at = io->start;

	for (unsigned i = 0; i < io->niov && at < to; i++) {
		uint64_t end = at + io->iov[i].iov_len;
		uint64_t a = from > at ? from : at, b = to < end ? to : end;

		if (a < b)
			memset((uint8_t *)io->iov[i].iov_base + (a - at), 0, b - a);
		at = end;
	}
}

/* The server's file ended early, but ours went on with what the server did not
 * have when the read began: holes of ours are zero. */
static void extend_read(struct netfs_request *req)
{
	struct netfs_io_state *state = netfs_io_state(req->io);

	if (state->error || state->pos >= req->zero_to)
		return;
	zero_user(req->io, state->pos, req->zero_to);
	state->pos = req->zero_to;
}

static void note_write(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;

	if (state->pos > inode->remote_size)
		inode->remote_size = state->pos;
	if (state->pos > inode->size)
		inode->size = state->pos;
	inode->seq++;
	inode->mtime_ns = netfs_clock_real();
}

void netfs_direct_end(struct netfs_request *req)
{
	struct netfs_io *io = req->io;
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	struct netfs_news news;
	ssize_t result;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	state->req = NULL;
	if (!state->write)
		extend_read(req);
	netfs_request_put(req, NETFS_REF_LIST, &news);
	if (state->write) {
		/* A size asked for in between was one of the way there. */
		netfs_inode_not_zero(inode, io->start, state->end);
		if (state->pos > io->start)
			note_write(io);
		result = state->pos > io->start ? (ssize_t)(state->pos - io->start) : state->error;
	} else {
		result = netfs_read_outcome(io, state->error);
	}
	leave(io, result, &news);
}

/* ------------------------------------------------------------- begin */

static struct netfs_handle *handle_for(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_handle *own = state->opener->handle;

	if (state->write ? own->writable : own->readable)
		return netfs_handle_get(own);
	return netfs_inode_handle(state->inode, state->write);
}

/* A write's share: where it goes, and that nothing cached outlives it. */
static int prepare_write(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;

	if (inode->gate.class == NETFS_GATE_EXCLUSIVE)
		io->start = inode->size;
	if (io->start > INT64_MAX || io->len > INT64_MAX - io->start)
		return -EFBIG;
	state->pos = io->start;
	state->end = io->start + io->len;
	netfs_inode_forget_flushed(inode, state->pos, state->end);
	netfs_cache_invalidate(inode, state->pos, state->end);
	netfs_inode_not_zero(inode, state->pos, state->end);
	inode->seq++;
	return 0;
}

/* A lent read has no memory of its own to read into. */
static int prepare_read(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);

	state->pos = io->start;
	state->end = io->start + io->len;
	if (!(io->flags & NETFS_IO_BORROW))
		return 0;
	io->iov[0].iov_base = netfs_io_memory(io->len);
	io->iov[0].iov_len = io->len;
	io->niov = 1;
	state->gathered = io->iov[0].iov_base;
	return state->gathered ? 0 : -ENOMEM;
}

/* Inside the gate, mutex held, nothing dirty in the range. */
static void begin(struct netfs_io *io, int err, struct netfs_news *news)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	struct netfs_handle *handle = NULL;
	struct netfs_request *req = NULL;

	if (!err && state->cancelled)
		err = -EINTR;
	if (!err)
		err = state->write ? prepare_write(io) : prepare_read(io);
	if (!err) {
		handle = handle_for(io);
		err = handle ? 0 : -EBADF;
	}
	if (!err) {
		req = netfs_request_new(
			inode, state->write ? NETFS_ORIGIN_DIRECT_WRITE : NETFS_ORIGIN_DIRECT_READ,
			handle);
		err = req ? 0 : -ENOMEM;
	}
	if (err) {
		netfs_handle_put(handle); /* an opener holds it too */
		if (!state->write)
			netfs_core_io_end(io);
		leave(io, err, news);
		return;
	}
	req->io = io;
	req->serial = state->write && state->end > inode->remote_size;
	if (inode->size > inode->remote_size)
		req->zero_to = state->end < inode->size ? state->end : inode->size;
	netfs_request_seal(req, state->pos, state->end);
	state->req = req;
	netfs_list_push_back(&news->issue, &req->issue);
	netfs_inode_settle(inode, news);
	netfs_news_unlock(news, inode);
}

static void flushed(struct netfs_completion *done, int err)
{
	struct direct_flush *flush = netfs_container_of(done, struct direct_flush, done);
	struct netfs_io *io = flush->io;
	struct netfs_news news;

	netfs_free(flush);
	netfs_news_init(&news);
	netfs_mutex_lock(&netfs_io_state(io)->inode->mutex);
	netfs_io_state(io)->flush = NULL;
	begin(io, err, &news);
}

/* Is there anything in its range that the server does not have yet? */
static bool unsent(struct netfs_io *io, bool append)
{
	struct netfs_inode *inode = netfs_io_state(io)->inode;
	uint64_t from = append ? 0 : io->start, to = append ? UINT64_MAX : io->start + io->len;
	struct netfs_folio *folio = netfs_folio_index_next(&inode->folios, from);

	while (folio && folio->start < to) {
		if (folio->writeback || folio->frozen ||
		    netfs_ranges_overlaps(&folio->dirty, from, to))
			return true;
		folio = netfs_folio_index_next(&inode->folios, netfs_folio_end(folio));
	}
	return false;
}

static void run_locked(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	bool append = inode->gate.class == NETFS_GATE_EXCLUSIVE;
	struct direct_flush *flush;
	struct netfs_news news;

	netfs_news_init(&news);
	if (inode->dirty == 0 && inode->uploading == 0) {
		begin(io, 0, &news);
		return;
	}
	if (io->flags & NETFS_IO_NOWAIT) {
		begin(io, unsent(io, append) ? -EAGAIN : 0, &news);
		return;
	}
	flush = netfs_zalloc(sizeof(*flush));
	if (!flush) {
		begin(io, -ENOMEM, &news);
		return;
	}
	flush->done.fn = flushed;
	flush->done.locked = append;
	flush->io = io;
	state->flush = &flush->done;
	netfs_flush_start(inode, append ? 0 : io->start, append ? UINT64_MAX : io->start + io->len,
			  &flush->done, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

static void admitted(struct netfs_gate_wait *wait)
{
	struct netfs_io_state *state = netfs_container_of(wait, struct netfs_io_state, gate);

	netfs_trace_file(gate_enter, state->inode, state->pos, state->end,
			 netfs_trace_gate(wait->class));
	netfs_mutex_lock(&state->inode->mutex);
	run_locked(netfs_io_of(state));
}

static void enter(struct netfs_io *io, enum netfs_gate_class class)
{
	struct netfs_io_state *state = netfs_io_state(io);

	state->gate.admitted = admitted;
	if (netfs_io_enter(io, class))
		run_locked(io);
}

void netfs_direct_read(struct netfs_io *io)
{
	netfs_count(netfs_io_state(io)->inode->core->stats, direct_reads);
	if (io->len == 0) {
		netfs_io_complete(io, 0);
		return;
	}
	enter(io, NETFS_GATE_DIRECT);
}

void netfs_direct_write(struct netfs_io *io)
{
	bool append = (io->flags & NETFS_IO_APPEND) ||
		      (netfs_io_state(io)->opener->flags & NETFS_OPENER_APPEND);

	netfs_count(netfs_io_state(io)->inode->core->stats, direct_writes);
	enter(io, append ? NETFS_GATE_EXCLUSIVE : NETFS_GATE_DIRECT);
}

/* ---------------------------------------------------------- cancelling */

static void cancel_request(struct netfs_inode *inode, struct netfs_request *req)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_request_get(req, NETFS_REF_CANCELLER);
	netfs_request_cancel(req, -EINTR);
	netfs_request_put(req, NETFS_REF_CANCELLER, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

/* Takes a queued io out of the gate.  Mutex held on entry. */
static void cancel_queued(struct netfs_inode *inode, struct netfs_io *io)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_gate_cancel(&inode->gate, &netfs_io_state(io)->gate, &news.admitted);
	netfs_news_unlock(&news, inode);
	netfs_io_complete(io, -EINTR);
}

void netfs_core_io_cancel(struct netfs_inode *inode, struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);

	if (state->write && netfs_budget_unthrottle(inode->core->budget, io)) {
		netfs_io_complete(io, -EINTR);
		return;
	}
	netfs_mutex_lock(&inode->mutex);
	state->cancelled = true;
	if (!netfs_list_empty(&state->gate.link)) {
		cancel_queued(inode, io);
	} else if (!state->write && !netfs_list_empty(&state->link)) {
		netfs_list_remove(&state->link);
		netfs_mutex_unlock(&inode->mutex);
		netfs_io_resume(state);
	} else if (state->flush) {
		struct netfs_completion *flush = state->flush;

		netfs_mutex_unlock(&inode->mutex);
		netfs_inode_flush_cancel(inode, flush);
	} else if (state->req) {
		cancel_request(inode, state->req);
	} else if (state->syncing) {
		netfs_through_cancel(io);
	} else {
		netfs_mutex_unlock(&inode->mutex);
	}
}
