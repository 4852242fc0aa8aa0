/* SPDX-License-Identifier: MIT */
/*
 * What becomes of uploaded bytes.
 *
 * Arrived: they are clean, the server's file reaches at least so far, and the
 * flushes that waited for them are a step nearer.  Refused: they are dirty
 * again, stay readable, count as stuck, and the error is kept for every
 * opener; a later flush or the age timer tries them again.  Only where the
 * server says that the file is gone (-ESTALE) they are let go, with the error.
 */
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <base/assert.h>
#include <errno.h>

/* Calls off every flush that still waits for a byte of the range. */
static void fail_flushers(struct netfs_inode *inode, uint64_t from, uint64_t to, int err)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->flushers) {
		struct netfs_completion *done =
			netfs_container_of(link, struct netfs_completion, link);

		if (!done->err && netfs_ranges_overlaps(&done->todo, from, to))
			done->err = err;
	}
}

/* The bytes [from, to) of folio, as they were when the request was made, are
 * at the server.  A flush that began later wants newer ones where the folio is
 * dirty again. */
static void advance_flushers(struct netfs_request *req, struct netfs_folio *folio, uint64_t from,
			     uint64_t to)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &req->inode->flushers) {
		struct netfs_completion *done =
			netfs_container_of(link, struct netfs_completion, link);
		struct netfs_range gap;
		uint64_t pos = from;

		if (req->seq >= done->seq) {
			if (netfs_ranges_remove(&done->todo, from, to))
				done->err = -ENOMEM;
			continue;
		}
		while (netfs_ranges_next_gap(&folio->dirty, pos, to, &gap)) {
			if (netfs_ranges_remove(&done->todo, gap.from, gap.to))
				done->err = -ENOMEM;
			pos = gap.to;
		}
	}
}

static void arrived(struct netfs_request *req, struct netfs_folio *folio, uint64_t from,
		    uint64_t to)
{
	struct netfs_inode *inode = req->inode;

	inode->uploading -= to - from;
	netfs_inode_cleaned(inode, to - from);
	if (to > inode->remote_size)
		inode->remote_size = to;
	advance_flushers(req, folio, from, to);
}

/* Back to dirty.  The writers left room for it, so adding cannot fail. */
static void returned(struct netfs_request *req, struct netfs_folio *folio, uint64_t from,
		     uint64_t to)
{
	struct netfs_inode *inode = req->inode;
	uint64_t before = netfs_ranges_bytes(&folio->dirty);
	int err = netfs_ranges_add(&folio->dirty, from, to);
	uint64_t more = netfs_ranges_bytes(&folio->dirty) - before;

	netfs_assert(err == 0);
	inode->uploading -= to - from;
	inode->dirty += more;
	/* What was written again meanwhile had been counted twice. */
	netfs_inode_cleaned(inode, to - from - more);
}

/* The file is gone at the server, so nobody will ever take the bytes: they are
 * let go, and the error tells it. */
static void dropped(struct netfs_request *req, uint64_t from, uint64_t to)
{
	req->inode->uploading -= to - from;
	netfs_inode_cleaned(req->inode, to - from);
}

enum outcome {
	ARRIVED,
	RETURNED,
	DROPPED,
};

static void settle(struct netfs_request *req, uint64_t from, uint64_t to, enum outcome outcome)
{
	for (unsigned i = req->collect_seg; i < req->nsegs; i++) {
		struct netfs_seg *seg = &req->segs[i];
		uint64_t a = seg->from > from ? seg->from : from;
		uint64_t b = seg->to < to ? seg->to : to;

		if (seg->from >= to)
			break;
		if (a >= b)
			continue;
		if (outcome == ARRIVED)
			arrived(req, seg->folio, a, b);
		else if (outcome == RETURNED)
			returned(req, seg->folio, a, b);
		else
			dropped(req, a, b);
		if (b == seg->to)
			seg->folio->writeback--;
	}
}

/* Remembers why, for every opener, and that the bytes are stuck. */
static void latch(struct netfs_inode *inode, uint64_t bytes, int err)
{
	struct netfs_core *core = inode->core;

	inode->wb_error = err;
	inode->wb_error_seq++;
	if (bytes > inode->dirty - inode->stuck)
		bytes = inode->dirty - inode->stuck;
	inode->stuck += bytes;
	atomic_fetch_add_explicit(&core->stuck, bytes, memory_order_relaxed);
	netfs_budget_stuck(core->budget, bytes, 0);
}

void netfs_write_stuck(struct netfs_inode *inode, const struct netfs_range *range, int err,
		       struct netfs_news *news)
{
	latch(inode, range->to - range->from, err);
	fail_flushers(inode, range->from, range->to, err);
	netfs_flush_wake(inode, news);
}

/* The cache must not keep what the server does not have. */
static void refused(struct netfs_request *req, uint64_t from, uint64_t to)
{
	req->stream[NETFS_STREAM_CACHE].failed = true;
	netfs_cache_forget(req->inode, from, to);
}

void netfs_write_collect(struct netfs_subrequest *sub, struct netfs_news *news)
{
	struct netfs_request *req = sub->req;
	uint64_t got = sub->start + sub->transferred, end = sub->start + sub->len;

	settle(req, sub->start, got, ARRIVED);
	if (got < end) {
		bool gone = sub->error == -ESTALE;

		refused(req, got, end);
		settle(req, got, end, gone ? DROPPED : RETURNED);
		netfs_crypt_torn(req->inode, got);
		if (sub->error != -EINTR)
			latch(req->inode, gone ? 0 : end - got, sub->error);
		fail_flushers(req->inode, got, end, sub->error);
	}
	news->cleaned = true;
	netfs_flush_wake(req->inode, news);
}

void netfs_write_drop_stale(struct netfs_folio *folio)
{
	if (!folio->stale || folio->writeback || !folio->indexed)
		return;
	folio->stale = false;
	netfs_folio_forget_clean(folio, folio->start, netfs_folio_end(folio));
}

void netfs_write_finish(struct netfs_request *req, struct netfs_news *news)
{
	struct netfs_inode *inode = req->inode;
	struct netfs_stream *stream = &req->stream[NETFS_STREAM_SERVER];

	if (stream->issued_to < req->end) {
		refused(req, stream->issued_to, req->end);
		settle(req, stream->issued_to, req->end,
		       stream->error == -ESTALE ? DROPPED : RETURNED);
		netfs_crypt_torn(inode, stream->issued_to);
		fail_flushers(inode, stream->issued_to, req->end, stream->error);
	}
	for (unsigned i = req->collect_seg; i < req->nsegs; i++)
		netfs_write_drop_stale(req->segs[i].folio);
	news->cleaned = true;
	netfs_flush_wake(inode, news);
	netfs_upload_consider(inode, news);
}
