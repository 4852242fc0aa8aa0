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
#include <core/trace.h>
#include <base/assert.h>
#include <errno.h>

/* Calls off every flush that still waits for a byte of the range. */
static void fail_flushers(struct netfs_inode *inode, uint64_t from, uint64_t to, int err)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->flushers) {
		struct netfs_completion *done =
			netfs_container_of(link, struct netfs_completion, link);

		if (!done->err && netfs_ranges_overlaps(&done->awaited, from, to))
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
			if (netfs_ranges_remove(&done->awaited, from, to))
				done->err = -ENOMEM;
			continue;
		}
		while (netfs_group_next_newest(req, folio, &(struct netfs_range){pos, to}, &gap)) {
			pos = gap.to;
			netfs_crypt_whole_clean(folio, &gap);
			if (gap.from < gap.to &&
			    netfs_ranges_remove(&done->awaited, gap.from, gap.to))
				done->err = -ENOMEM;
		}
		/* Newer bytes than those that arrived. */
		if (netfs_ranges_overlaps(&done->awaited, from, to))
			done->sent = false;
	}
}

/* The bytes are not on their way any more. */
static void unsend(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->flushers) {
		struct netfs_completion *done =
			netfs_container_of(link, struct netfs_completion, link);

		if (netfs_ranges_overlaps(&done->awaited, from, to))
			done->sent = false;
	}
}

/* Back to dirty.  The writers left room for one range a segment.  Where more came
 * back, with others between them that arrived, and there is no memory for that,
 * those are sent again as well. */
static void returned(struct netfs_request *req, struct netfs_seg *seg, uint64_t from, uint64_t to)
{
	struct netfs_inode *inode = req->inode;
	struct netfs_folio *folio = seg->folio;
	uint64_t before = netfs_ranges_bytes(&folio->dirty), more;
	int err;

	inode->uploading -= to - from;
	unsend(inode, from, to);
	netfs_trace_folio(folio_redirty, folio, from, to, 0);
	if (netfs_group_return(req, seg, from, to)) {
		inode->dirty += to - from;
		return;
	}
	err = netfs_ranges_add(&folio->dirty, from, to);
	if (err)
		err = netfs_ranges_add(&folio->dirty, seg->from, to);
	netfs_assert(err == 0);
	more = netfs_ranges_bytes(&folio->dirty) - before;
	/* What was written again meanwhile had been counted twice. */
	netfs_inode_cleaned(inode, req->group, to - from);
	netfs_inode_dirtied(inode, folio->group, more);
}

static void arrived(struct netfs_request *req, struct netfs_seg *seg, uint64_t from, uint64_t to)
{
	struct netfs_inode *inode = req->inode;

	if (!netfs_group_settled(req, from, to)) {
		returned(req, seg, from, to);
		return;
	}
	inode->uploading -= to - from;
	netfs_inode_cleaned(inode, req->group, to - from);
	if (to > inode->remote_size)
		inode->remote_size = to;
	netfs_trace_folio(folio_clean, seg->folio, from, to, 0);
	advance_flushers(req, seg->folio, from, to);
}

static void note_lost(struct netfs_inode *inode, const struct netfs_range *range, uint64_t bytes,
		      struct netfs_news *news)
{
	netfs_trace_file(folio_drop, inode, range->from, range->to, 0);
	netfs_count_n(inode->core->stats, write_lost, bytes);
	if (news->lost_bytes == 0)
		news->lost = *range;
	if (range->from < news->lost.from)
		news->lost.from = range->from;
	if (range->to > news->lost.to)
		news->lost.to = range->to;
	news->lost_bytes += bytes;
}

/* The file is gone at the server, so nobody will ever take the bytes: they are
 * let go, and the error tells it. */
static void dropped(struct netfs_request *req, struct netfs_seg *seg,
		    const struct netfs_range *range, struct netfs_news *news)
{
	uint64_t from = range->from, to = range->to;

	if (!netfs_group_settled(req, from, to)) {
		returned(req, seg, from, to);
		return;
	}
	req->inode->uploading -= to - from;
	note_lost(req->inode, range, to - from, news);
	netfs_inode_cleaned(req->inode, req->group, to - from);
}

/* A segment is not under upload any more.  Room for what could have come back
 * goes with the last one. */
static void upload_over(struct netfs_folio *folio)
{
	if (--folio->writeback == 0 && folio->frozen == 0 && netfs_ranges_empty(&folio->dirty))
		netfs_ranges_clear(&folio->dirty);
}

enum outcome {
	ARRIVED,
	RETURNED,
	DROPPED,
};

static void settle(struct netfs_request *req, const struct netfs_range *range, enum outcome outcome,
		   struct netfs_news *news)
{
	uint64_t from = range->from, to = range->to;

	for (unsigned i = req->collect_seg; i < req->nsegs; i++) {
		struct netfs_seg *seg = &req->segs[i];
		uint64_t a = seg->from > from ? seg->from : from;
		uint64_t b = seg->to < to ? seg->to : to;

		if (seg->from >= to)
			break;
		if (a >= b)
			continue;
		if (outcome == ARRIVED)
			arrived(req, seg, a, b);
		else if (outcome == RETURNED)
			returned(req, seg, a, b);
		else
			dropped(req, seg, &(struct netfs_range){a, b}, news);
		if (b == seg->to)
			upload_over(seg->folio);
	}
}

/* Nothing of the file is sent until it is tried again, so all that is unsent
 * of it is stuck: also what was never offered. */
static void stick(struct netfs_inode *inode)
{
	uint64_t bytes;

	/* An upload that is being built may have taken some already. */
	if (inode->stuck >= inode->dirty)
		return;
	bytes = inode->dirty - inode->stuck;
	inode->stuck += bytes;
	atomic_fetch_add_explicit(&inode->core->stuck, bytes, memory_order_relaxed);
	netfs_budget_stuck(inode->core->budget, bytes, 0);
}

/* Remembers why, for every opener. */
static void latch(struct netfs_inode *inode, int err)
{
	struct netfs_core *core = inode->core;

	inode->wb_error = err;
	inode->wb_error_seq++;
	inode->upload_all = false;
	if (err != -ESTALE)
		stick(inode);
	/* What is let go holds nobody up. */
	if (err != -ESTALE && netfs_groups_wait(core)) {
		/* Others wait for these bytes without knowing. */
		atomic_store(&core->group_error, err);
		netfs_core_kick(core, false);
	}
	netfs_trace(file_error, .inode = inode->id, .len = inode->dirty, .extra = inode->stuck,
		    .error = err);
}

void netfs_write_stuck(struct netfs_inode *inode, const struct netfs_range *range, int err,
		       struct netfs_news *news)
{
	latch(inode, err);
	fail_flushers(inode, range->from, range->to, err);
	netfs_flush_wake(inode, news);
}

void netfs_write_lose(struct netfs_inode *inode, struct netfs_news *news)
{
	struct netfs_range all = {0, inode->size};
	uint64_t bytes;

	latch(inode, -ESTALE);
	fail_flushers(inode, 0, UINT64_MAX, -ESTALE);
	bytes = netfs_inode_forget(inode, 0, UINT64_MAX);
	if (bytes)
		note_lost(inode, &all, bytes, news);
	news->cleaned = true;
	netfs_flush_wake(inode, news);
	netfs_upload_consider(inode, news);
}

/* The cache must not keep what the server does not have. */
static void refused(struct netfs_request *req, uint64_t from, uint64_t to)
{
	req->stream[NETFS_STREAM_CACHE].failed = true;
	netfs_cache_invalidate(req->inode, from, to);
}

void netfs_write_collect(struct netfs_subrequest *sub, struct netfs_news *news)
{
	struct netfs_request *req = sub->req;
	uint64_t got = sub->start + sub->transferred, end = sub->start + sub->len;

	netfs_group_uploaded(req);
	settle(req, &(struct netfs_range){sub->start, got}, ARRIVED, news);
	if (got < end) {
		refused(req, got, end);
		settle(req, &(struct netfs_range){got, end},
		       sub->error == -ESTALE ? DROPPED : RETURNED, news);
		netfs_crypt_torn(req->inode, got, end);
		if (sub->error != -EINTR)
			latch(req->inode, sub->error);
		fail_flushers(req->inode, got, end, sub->error);
	}
	news->cleaned = true;
	netfs_flush_wake(req->inode, news);
}

void netfs_write_drop_stale(struct netfs_folio *folio)
{
	if (!folio->stale || folio->writeback || folio->frozen || !folio->indexed)
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
		settle(req, &(struct netfs_range){stream->issued_to, req->end},
		       stream->error == -ESTALE ? DROPPED : RETURNED, news);
		netfs_crypt_torn(inode, stream->issued_to, req->end);
		if (inode->stuck)
			stick(inode);
		fail_flushers(inode, stream->issued_to, req->end, stream->error);
	}
	netfs_frozen_finish(req);
	for (unsigned i = req->collect_seg; i < req->nsegs; i++)
		netfs_write_drop_stale(req->segs[i].folio);
	news->cleaned = true;
	netfs_crypt_stay_fresh(inode);
	netfs_flush_wake(inode, news);
	netfs_upload_consider(inode, news);
}
