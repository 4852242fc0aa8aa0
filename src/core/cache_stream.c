/* SPDX-License-Identifier: MIT */
/*
 * What the disk cache of a file is given.
 *
 * The cache holds whole granules.  Uploads are of any bytes, so each segment is
 * grown to the granules around it where the folio has all of them, and cut to
 * those inside it where it has not; the others the cache forgets, before the
 * server is told anything.
 *
 *	granules   |----|----|----|----|
 *	valid	    ##############
 *	dirty	      ======= ==
 *	cached	        |----|			the rest is forgotten
 *
 * The bytes around a segment stay as they are for as long as the request holds
 * the block, because a writer would copy it first.
 *
 * What was downloaded is given to the cache by a request of its own, which
 * nobody waits for.  A cache that cannot keep up is given less.
 */
#include <core/core_internal.h>
#include <core/folio.h>
#include <core/trace.h>
#include <base/assert.h>
#include <errno.h>

/* Bytes of a mount on their way from the server to the cache. */
#define COPY_WINDOW (UINT64_C(16) << 20)

static uint64_t round_down(uint64_t pos)
{
	return pos & ~(NETFS_CACHE_GRANULE - 1);
}

static uint64_t round_up(uint64_t pos)
{
	if (pos > UINT64_MAX - NETFS_CACHE_GRANULE)
		return UINT64_MAX;
	return round_down(pos + NETFS_CACHE_GRANULE - 1);
}

/* What a request has not handed to the cache yet would come after, and be old. */
static void call_off(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->requests) {
		struct netfs_request *req = netfs_container_of(link, struct netfs_request, link);
		struct netfs_stream *stream = &req->stream[NETFS_STREAM_CACHE];

		if (!stream->active || stream->failed || stream->collected_to >= to ||
		    stream->end <= from)
			continue;
		stream->failed = true;
		stream->error = -ESTALE;
		netfs_request_post(req);
	}
}

void netfs_cache_invalidate(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	struct netfs_cookie *cookie = inode->cookie;

	if (!cookie || from >= to)
		return;
	from = round_down(from);
	to = round_up(to);
	call_off(inode, from, to);
	netfs_trace_file(cache_invalidate, inode, from, to, 0);
	cookie->ops->invalidate(cookie, from, to);
}

void netfs_cache_forget(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	struct netfs_cookie *cookie = inode->cookie;

	if (!cookie || from >= to)
		return;
	from = round_down(from);
	to = round_up(to);
	call_off(inode, from, to);
	netfs_trace_file(cache_forget, inode, from, to, 0);
	cookie->ops->forget(cookie, from, to);
}

void netfs_cache_count_sent(const struct netfs_subrequest *sub)
{
	struct netfs_stats *stats = sub->req->inode->core->stats;

	if (netfs_request_writes(sub->req)) {
		netfs_count(stats, cache_write_slices);
		netfs_trace_sub(cache_write, sub, sub->slice.len, 0);
	} else {
		netfs_count(stats, cache_read_slices);
		netfs_trace_sub(cache_read, sub, sub->slice.len, 0);
	}
}

/* -------------------------------------------------------------- plan */

/* The end of the granule pos is in, or of the file. */
static uint64_t granule_end(const struct netfs_inode *inode, uint64_t pos)
{
	uint64_t end = round_down(pos) + NETFS_CACHE_GRANULE;

	return inode->size > pos && inode->size < end ? inode->size : end;
}

/* Is the rest of a granule here, and no newer than the request? */
static bool settled(const struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	return netfs_ranges_covers(&folio->valid, from, to) &&
	       !netfs_ranges_overlaps(&folio->dirty, from, to);
}

/* What of seg the cache gets, behind what it got before.  A copy never grows:
 * the bytes around it may be on their way to the server. */
static void plan_seg(const struct netfs_request *req, struct netfs_seg *seg, uint64_t before)
{
	/* An encrypted segment has whole blocks, and no ciphertext around it. */
	bool grow = netfs_request_uploads(req) && !req->frozen && !req->inode->core->crypt;
	uint64_t from = round_down(seg->from), to = granule_end(req->inode, seg->to - 1);

	if (from < before)
		from = before;
	else if (from < seg->from && (!grow || !settled(seg->folio, from, seg->from)))
		from = round_up(seg->from);
	if (to > seg->to && (!grow || !settled(seg->folio, seg->to, to)))
		to = round_down(seg->to);
	if (from >= to)
		from = to = before;
	seg->cache_from = from;
	seg->cache_to = to;
	if (to - from < seg->to - seg->from)
		netfs_count_n(req->inode->core->stats, cache_misfits,
			      seg->to - seg->from - (to - from));
}

void netfs_cache_plan(struct netfs_request *req, struct netfs_stream *stream)
{
	struct netfs_inode *inode = req->inode;
	uint64_t before = 0, start = UINT64_MAX;

	if (!inode->cookie)
		return;
	for (unsigned i = 0; i < req->nsegs; i++) {
		struct netfs_seg *seg = &req->segs[i];

		if (netfs_request_uploads(req))
			netfs_cache_invalidate(inode, seg->from, seg->to);
		plan_seg(req, seg, before);
		before = seg->cache_to;
		if (seg->cache_from == seg->cache_to)
			continue;
		if (start == UINT64_MAX)
			start = seg->cache_from;
		stream->end = seg->cache_to;
	}
	if (start == UINT64_MAX)
		return;
	stream->active = true;
	stream->issued_to = stream->collected_to = start;
}

void netfs_cache_collect(struct netfs_subrequest *sub)
{
	netfs_cache_forget(sub->req->inode, sub->start + sub->transferred, sub->start + sub->len);
}

/* -------------------------------------------------------------- copy */

/* Adds [from, to) of folio to the copy, which it begins.  False: no memory. */
static bool copy_add(struct netfs_inode *inode, struct netfs_request **copy,
		     struct netfs_folio *folio, const struct netfs_range *range)
{
	if (!*copy)
		*copy = netfs_request_new(inode, NETFS_ORIGIN_COPY, NULL);
	return *copy && netfs_request_add(*copy, folio, range->from, range->to) == 0;
}

/* Puts into a copy what of [from, to) of req's folios is here and clean. */
static struct netfs_request *copy_build(struct netfs_request *req, uint64_t from, uint64_t to)
{
	struct netfs_request *copy = NULL;

	for (unsigned i = req->collect_seg; i < req->nsegs && req->segs[i].from < to; i++) {
		struct netfs_seg *seg = &req->segs[i];
		struct netfs_range range = {
			.from = seg->from > from ? seg->from : from,
			.to = seg->to < to ? seg->to : to,
		};

		if (range.from >= range.to || seg->gen != seg->folio->gen ||
		    !settled(seg->folio, range.from, range.to))
			continue;
		if (!copy_add(req->inode, &copy, seg->folio, &range))
			break;
	}
	return copy;
}

void netfs_cache_copy(struct netfs_request *req, uint64_t from, uint64_t to,
		      struct netfs_news *news)
{
	struct netfs_inode *inode = req->inode;
	struct netfs_core *core = inode->core;
	struct netfs_request *copy;

	if (!inode->cookie || from >= to)
		return;
	if (atomic_load_explicit(&core->copying, memory_order_relaxed) >= COPY_WINDOW) {
		netfs_count_n(core->stats, cache_skipped, to - from);
		return;
	}
	copy = copy_build(req, from, to);
	if (!copy)
		return;
	if (copy->nsegs == 0) {
		netfs_request_abandon(copy, news);
		return;
	}
	netfs_request_seal(copy, copy->segs[0].from, copy->segs[copy->nsegs - 1].to);
	atomic_fetch_add_explicit(&core->copying, copy->end - copy->start, memory_order_relaxed);
	netfs_list_push_back(&news->issue, &copy->issue);
}

void netfs_cache_copied(struct netfs_request *req)
{
	atomic_fetch_sub_explicit(&req->inode->core->copying, req->end - req->start,
				  memory_order_relaxed);
}
