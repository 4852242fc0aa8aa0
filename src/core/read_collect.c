/* SPDX-License-Identifier: MIT */
/*
 * What becomes of downloaded bytes.
 *
 * A byte becomes valid only where the folio still waits for it: a writer may
 * have been faster, or the folio may have been emptied meanwhile (its
 * generation moved on), and then what came is worth nothing.  Where a writer
 * gave the folio another block, the bytes are copied over.
 */
#include <core/budget.h>
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>
#include <errno.h>
#include <string.h>

void netfs_read_forsake(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	if (netfs_ranges_remove(&folio->pending, from, to) == 0)
		return;
	/* No memory to cut a hole: let all of it be asked for again. */
	netfs_ranges_clear(&folio->pending);
	folio->gen++;
}

static void make_valid(struct netfs_seg *seg, uint64_t from, uint64_t to)
{
	struct netfs_folio *folio = seg->folio;
	struct netfs_range range;

	while (netfs_ranges_next(&folio->pending, from, to, &range)) {
		size_t offset = range.from & (seg->block->size - 1);

		if (folio->block != seg->block)
			memcpy(netfs_folio_at(folio, range.from), seg->block->data + offset,
			       range.to - range.from);
		netfs_read_forsake(folio, range.from, range.to);
		/* Where this fails the bytes are merely read again. */
		netfs_ranges_add(&folio->valid, range.from, range.to);
		netfs_trace_folio(folio_valid, folio, range.from, range.to, 0);
		from = range.to;
	}
}

static void fail_readers(struct netfs_inode *inode, uint64_t from, uint64_t to, int err)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->readers) {
		struct netfs_io_state *state =
			netfs_container_of(link, struct netfs_io_state, link);

		if (state->pos < to && from < state->end && !state->error)
			state->error = err;
	}
}

void netfs_read_settle(struct netfs_request *req, uint64_t from, uint64_t to, int err)
{
	if (from == to)
		return;
	if (req->check) {
		if (!err)
			netfs_crypt_recheck_settle(req);
		return;
	}
	for (unsigned i = req->collect_seg; i < req->nsegs; i++) {
		struct netfs_seg *seg = &req->segs[i];
		uint64_t a = seg->from > from ? seg->from : from;
		uint64_t b = seg->to < to ? seg->to : to;

		if (seg->from >= to)
			break;
		if (a >= b || seg->gen != seg->folio->gen)
			continue;
		if (err) {
			netfs_trace_folio(folio_abandon, seg->folio, a, b, 0);
			netfs_read_forsake(seg->folio, a, b);
		} else {
			make_valid(seg, a, b);
		}
	}
	if (err && req->origin == NETFS_ORIGIN_READ)
		fail_readers(req->inode, from, to, err);
}

/* What came from the disk cache need not be kept for long. */
static void cheapen(struct netfs_request *req, uint64_t from, uint64_t to)
{
	struct netfs_budget *budget = req->inode->core->budget;

	for (unsigned i = req->collect_seg; i < req->nsegs && req->segs[i].from < to; i++) {
		if (req->segs[i].to > from)
			netfs_budget_cheapen(budget, req->segs[i].folio);
	}
}

void netfs_read_collect(struct netfs_subrequest *sub, struct netfs_news *news)
{
	uint64_t got = sub->start + sub->transferred;

	if (sub->req->inode->core->crypt) {
		netfs_crypt_read_collect(sub, news);
		return;
	}
	netfs_read_settle(sub->req, sub->start, got, 0);
	if (sub->cache)
		cheapen(sub->req, sub->start, got);
	else
		netfs_cache_copy(sub->req, sub->start, got, news);
	netfs_read_settle(sub->req, got, sub->start + sub->len, sub->error);
	netfs_read_wake(sub->req->inode, news);
}

void netfs_read_finish(struct netfs_request *req, struct netfs_news *news)
{
	struct netfs_stream *stream = &req->stream[NETFS_STREAM_SERVER];

	if (req->inode->core->crypt)
		netfs_crypt_read_finish(req, news);
	else if (stream->issued_to < req->end)
		netfs_read_settle(req, stream->issued_to, req->end, stream->error);
	netfs_read_wake(req->inode, news);
}

void netfs_read_wake(struct netfs_inode *inode, struct netfs_news *news)
{
	struct netfs_list *link, *tmp;

	netfs_list_for_each_safe (link, tmp, &inode->readers) {
		struct netfs_io_state *state =
			netfs_container_of(link, struct netfs_io_state, link);

		if (netfs_read_blocked(inode, state->pos, state->end))
			continue;
		netfs_list_remove(link);
		netfs_list_push_back(&news->readers, link);
	}
}
