/* SPDX-License-Identifier: MIT */
/*
 * Buffered reads: the caller's side.
 *
 *	enter the gate -> take what is valid -> all there: leave, complete
 *	                        ^                  |
 *	                        |                  v
 *	                   woken by the        something missing: ask for it,
 *	                   collector           wait among the inode's readers
 *
 * A read that finds everything in memory completes in the caller's thread.
 * Bytes are copied, or lent, under the inode's mutex; progress is kept over
 * waits, so nothing is copied twice.
 *
 * A lent read pins the blocks it points at.  When the caller's iovec is too
 * short for the pieces, the bytes are gathered in one block of memory instead.
 */
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <errno.h>
#include <string.h>

/* ---------------------------------------------------------- lending */

static void end_loans(struct netfs_io_state *state)
{
	for (unsigned i = 0; i < state->nlent; i++)
		netfs_block_put(state->lent[i]);
	state->nlent = 0;
	if (state->lent != state->lent_in)
		netfs_free(state->lent);
	state->lent = state->lent_in;
	state->lent_room = NETFS_LENT_INLINE;
}

static size_t memory_size(size_t len)
{
	size_t size = NETFS_PAGE_SIZE;

	while (size < len)
		size *= 2;
	return size;
}

uint8_t *netfs_io_memory(size_t len)
{
	return netfs_block_alloc(memory_size(len));
}

void netfs_core_io_end(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);

	end_loans(state);
	if (state->gathered)
		netfs_block_free(io->iov[0].iov_base, memory_size(io->len));
	state->gathered = false;
}

static bool loan_room(struct netfs_io_state *state)
{
	uint32_t room = state->lent_room * 2;
	struct netfs_block **lent;

	if (state->nlent < state->lent_room)
		return true;
	if (room > UINT16_MAX)
		return false;
	lent = netfs_alloc(room * sizeof(struct netfs_block *));
	if (!lent)
		return false;
	memcpy(lent, state->lent, state->nlent * sizeof(struct netfs_block *));
	if (state->lent != state->lent_in)
		netfs_free(state->lent);
	state->lent = lent;
	state->lent_room = room;
	return true;
}

/* Copies what was lent so far into memory of the io's own. */
static int gather(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	uint8_t *copy = netfs_io_memory(io->len);
	size_t at = 0;

	if (!copy)
		return -ENOMEM;
	for (unsigned i = 0; i < state->nlent; i++) {
		memcpy(copy + at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
	}
	end_loans(state);
	io->iov[0].iov_base = copy;
	state->gathered = true;
	return 0;
}

static int lend(struct netfs_io *io, struct netfs_folio *folio, size_t n)
{
	struct netfs_io_state *state = netfs_io_state(io);
	unsigned i = state->nlent;

	if (!state->gathered && (i == state->iov_room || !loan_room(state))) {
		int err = gather(io);

		if (err)
			return err;
	}
	if (state->gathered) {
		memcpy((uint8_t *)io->iov[0].iov_base + (state->pos - io->start),
		       netfs_folio_at(folio, state->pos), n);
		return 0;
	}
	io->iov[i] = (struct iovec){netfs_folio_at(folio, state->pos), n};
	state->lent[i] = netfs_block_get(folio->block);
	state->nlent++;
	return 0;
}

/* ---------------------------------------------------------- copying */

/* Moves n bytes at src to the io's memory, at the place of state->pos. */
static void copy_out(struct netfs_io *io, const uint8_t *src, size_t n)
{
	struct netfs_io_state *state = netfs_io_state(io);
	size_t skip = state->pos - io->start;

	for (unsigned i = 0; n; i++) {
		size_t room = io->iov[i].iov_len, part;

		if (skip >= room) {
			skip -= room;
			continue;
		}
		part = room - skip < n ? room - skip : n;
		memcpy((uint8_t *)io->iov[i].iov_base + skip, src, part);
		src += part;
		n -= part;
		skip = 0;
	}
}

static void note_use(const struct netfs_opener *opener, struct netfs_folio *folio, uint64_t n)
{
	if (!opener->ra.noreuse)
		atomic_store_explicit(&folio->visited, true, memory_order_relaxed);
	if (folio->ahead)
		netfs_pace_used(folio, n);
}

/* Takes what is valid from state->pos on.  1: everything is there, 0: the byte
 * at pos is missing, or negative errno. */
static int take(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;

	while (state->pos < state->end) {
		struct netfs_folio *folio = netfs_folio_index_find(&inode->folios, state->pos);
		struct netfs_range range;
		int err = 0;

		if (!folio || !netfs_ranges_next(&folio->valid, state->pos, state->end, &range) ||
		    range.from != state->pos)
			return 0;
		note_use(state->opener, folio, range.to - range.from);
		if (io->flags & NETFS_IO_BORROW)
			err = lend(io, folio, range.to - range.from);
		else
			copy_out(io, netfs_folio_at(folio, range.from), range.to - range.from);
		if (err)
			return err;
		state->pos = range.to;
	}
	return 1;
}

/* ------------------------------------------------------------- ends */

/* What the caller is told.  A lent read gives all or an error, because its
 * callers take a short answer for the end of the file. */
ssize_t netfs_read_outcome(struct netfs_io *io, int err)
{
	struct netfs_io_state *state = netfs_io_state(io);
	size_t n = state->pos - io->start;

	if (err && (n == 0 || (io->flags & NETFS_IO_BORROW))) {
		netfs_core_io_end(io);
		return err;
	}
	if (io->flags & NETFS_IO_BORROW) {
		io->niov = state->gathered ? 1 : state->nlent;
		if (state->gathered)
			io->iov[0].iov_len = n;
		if (n == 0)
			netfs_core_io_end(io);
	}
	return n;
}

static void leave(struct netfs_io *io, int err, struct netfs_news *news)
{
	struct netfs_inode *inode = netfs_io_state(io)->inode;
	struct netfs_stats *stats = inode->core->stats;
	ssize_t result;

	netfs_gate_leave(&inode->gate, &news->admitted);
	netfs_inode_settle(inode, news);
	result = netfs_read_outcome(io, err);
	if (result > 0)
		netfs_count_n(stats, read_bytes, result);
	netfs_news_unlock(news, inode);
	netfs_io_complete(io, result);
}

/* Clips to the end of the file, which may have moved while we waited. */
static void clip(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	uint64_t end = io->start + io->len;

	state->end = end < state->inode->size ? end : state->inode->size;
	if (state->end < state->pos)
		state->end = state->pos;
}

/* A read is about to wait, for the first time or again. */
static void note_wait(struct netfs_io *io, struct netfs_news *news)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;

	if (state->waited)
		return;
	state->waited = true;
	if (netfs_list_empty(&news->issue))
		netfs_count(inode->core->stats, read_joined);
	netfs_readahead(inode, state->opener, &(struct netfs_range){io->start, state->end}, true,
			news);
}

/* The byte at pos is missing: sees to it that it comes. */
static int get_more(struct netfs_io *io, struct netfs_news *news)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	struct netfs_range want = {state->pos, state->end};

	if (state->cancelled)
		return -EINTR;
	if (state->error)
		return state->error;
	if (!(io->flags & NETFS_IO_NOWAIT))
		return netfs_read_want(inode, state->opener, &want, NETFS_WANT_NOW, news);
	return netfs_read_known(inode, want.from, want.to) ? -EAGAIN : 0;
}

/* Inside the gate, mutex held: as far as possible, then out or wait. */
static void run_locked(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	struct netfs_news news;
	int got, err = 0;

	netfs_news_init(&news);
	clip(io);
	while ((got = take(io)) == 0) {
		err = get_more(io, &news);
		if (err)
			break;
		if (!(io->flags & NETFS_IO_NOWAIT) &&
		    netfs_read_blocked(inode, state->pos, state->end)) {
			note_wait(io, &news);
			netfs_list_push_back(&inode->readers, &state->link);
			netfs_inode_settle(inode, &news);
			netfs_news_unlock(&news, inode);
			return;
		}
	}
	if (got < 0)
		err = got;
	if (!err && !state->waited)
		netfs_count(inode->core->stats, read_hits);
	if (!state->waited)
		netfs_readahead(inode, state->opener, &(struct netfs_range){io->start, state->pos},
				false, &news);
	leave(io, err, &news);
}

static void run(struct netfs_io *io)
{
	netfs_mutex_lock(&netfs_io_state(io)->inode->mutex);
	run_locked(io);
}

static void admitted(struct netfs_gate_wait *wait)
{
	struct netfs_io_state *state = netfs_container_of(wait, struct netfs_io_state, gate);

	netfs_trace_file(gate_enter, state->inode, state->pos, state->end,
			 netfs_trace_gate(wait->class));
	run(netfs_io_of(state));
}

void netfs_read_start(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);

	state->resume = run;
	state->gate.admitted = admitted;
	if (netfs_io_enter(io, NETFS_GATE_BUFFERED))
		run_locked(io);
}

void netfs_core_read(struct netfs_inode *inode, struct netfs_opener *opener, struct netfs_io *io)
{
	netfs_count(inode->core->stats, read_calls);
	netfs_io_begin(io, inode, opener);
	if (io->start > INT64_MAX || io->len > INT64_MAX - io->start ||
	    ((io->flags & NETFS_IO_BORROW) && io->len > NETFS_FOLIO_MAX)) {
		netfs_io_complete(io, -EINVAL);
		return;
	}
	if ((opener->flags & NETFS_OPENER_UNBUFFERED) || (io->flags & NETFS_IO_DIRECT)) {
		if (inode->core->crypt)
			netfs_crypt_direct_read(io);
		else
			netfs_direct_read(io);
		return;
	}
	netfs_read_start(io);
}
