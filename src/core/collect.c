/* SPDX-License-Identifier: MIT */
/*
 * The collector: looks at answered subrequests, decides what becomes of each,
 * and settles them in file order.
 *
 *	ANSWERED  --all moved------------->  DONE
 *	          --short, with progress-->  READY    (its rest is sent at once)
 *	          --may heal-------------->  WAITING  (its rest is sent later)
 *	          --for good-------------->  DONE     (with an error)
 *
 * What the disk cache could not give is READY again, for the server.
 *
 * It runs under the inode's mutex, as a task or at the end of the issuer, and
 * only writes down what is to be told (struct netfs_news).  While the issuer is
 * inside the back end, or somebody cancels, the subrequests have to stay where
 * they are: then the collector does nothing, and the other one calls it later.
 */
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>
#include <errno.h>
#include <string.h>

/* Zeroes for what a finished read did not bring. */
static void zero_rest(struct netfs_subrequest *sub)
{
	size_t skip = sub->moved;

	for (unsigned i = 0; i < sub->slice.niov; i++) {
		struct iovec *piece = &sub->iov[i];

		if (skip >= piece->iov_len) {
			skip -= piece->iov_len;
			continue;
		}
		memset((uint8_t *)piece->iov_base + skip, 0, piece->iov_len - skip);
		skip = 0;
	}
	netfs_trace_sub(sreq_clear, sub, sub->asked - sub->moved, 0);
	sub->transferred += sub->asked - sub->moved;
}

static void fail(struct netfs_subrequest *sub, int err)
{
	struct netfs_request *req = sub->req;

	sub->error = err;
	sub->state = NETFS_SUB_DONE;
	sub->stream->failed = true;
	if (!sub->stream->error)
		sub->stream->error = err;
	netfs_trace_sub(sreq_fail, sub, sub->len - sub->transferred, 0);
	if (sub->cache) {
		netfs_count(req->inode->core->stats, cache_write_errors);
	} else if (netfs_request_writes(req)) {
		netfs_count(req->inode->core->stats, upload_errors);
		netfs_trace_sub(failure_write, sub, sub->len - sub->transferred, 0);
	} else {
		netfs_count(req->inode->core->stats, download_errors);
		netfs_trace_sub(failure_read, sub, sub->len - sub->transferred, 0);
	}
}

/* What would have healed fails for what the others of its stream failed for. */
static int reason(const struct netfs_subrequest *sub)
{
	if (sub->flags & NETFS_SLICE_RETRY && sub->stream->error)
		return sub->stream->error;
	return sub->error;
}

static void count_moved(const struct netfs_subrequest *sub)
{
	struct netfs_stats *stats = sub->req->inode->core->stats;

	if (sub->cache && netfs_request_writes(sub->req)) {
		netfs_count_n(stats, cache_write_bytes, sub->moved);
	} else if (sub->cache) {
		netfs_count_n(stats, cache_read_bytes, sub->moved);
	} else if (netfs_request_writes(sub->req)) {
		netfs_count_n(stats, upload_bytes, sub->moved);
		netfs_count_n(stats, upload_done, sub->error == 0);
	} else {
		netfs_count_n(stats, download_bytes, sub->moved);
		netfs_count_n(stats, download_done, sub->error == 0);
		netfs_count_n(stats, short_reads, sub->error == 0 && sub->moved < sub->asked);
	}
}

/* The cache did not have it after all: the server will.  What it still believes
 * to have of the rest is not asked for again. */
static void go_to_server(struct netfs_subrequest *sub)
{
	struct netfs_inode *inode = sub->req->inode;

	netfs_count(inode->core->stats, cache_read_errors);
	sub->transferred = netfs_crypt_again(inode, sub->start + sub->transferred) - sub->start;
	netfs_cache_forget(inode, sub->start + sub->transferred, sub->start + sub->len);
	sub->cache = false;
	sub->error = 0;
	sub->first_ns = 0;
	sub->state = NETFS_SUB_READY;
}

/* What becomes of an answered subrequest. */
static void judge(struct netfs_subrequest *sub)
{
	bool eof = sub->flags & NETFS_SLICE_EOF, filled = false;

	netfs_assert(sub->moved <= sub->asked);
	count_moved(sub);
	netfs_pace_answered(sub);
	sub->transferred += sub->moved;
	if (sub->cache && sub->transferred < sub->len && (sub->error || sub->moved < sub->asked)) {
		if (netfs_request_writes(sub->req))
			fail(sub, sub->error ? sub->error : -EIO);
		else
			go_to_server(sub);
		return;
	}
	if (sub->error == 0 && sub->moved < sub->asked && sub->slice.kind == NETFS_SLICE_READ) {
		if (eof)
			netfs_crypt_note_eof(sub);
		if (eof && sub->req->origin == NETFS_ORIGIN_DIRECT_READ) {
			sub->state = NETFS_SUB_DONE;
			return;
		}
		filled = eof || (sub->flags & NETFS_SLICE_HOLE);
		if (filled)
			zero_rest(sub);
	}
	if (sub->transferred == sub->len) {
		sub->error = 0;
		sub->state = NETFS_SUB_DONE;
	} else if (sub->error && netfs_retry_may(sub)) {
		netfs_retry_wait(sub);
	} else if (sub->error) {
		fail(sub, reason(sub));
	} else if (sub->moved == 0 && !filled) {
		netfs_trace_sub(failure_short, sub, sub->asked, 0);
		fail(sub, -EIO);
	} else {
		sub->state = NETFS_SUB_READY;
		netfs_trace_sub(sreq_short, sub, sub->len - sub->transferred, 0);
	}
}

static bool passed(const struct netfs_request *req, const struct netfs_seg *seg)
{
	for (unsigned i = 0; i < NETFS_STREAMS; i++) {
		if (req->stream[i].active && netfs_seg_to(seg, i) > req->stream[i].collected_to)
			return false;
	}
	return netfs_crypt_passed(req, seg);
}

/* Lets go of the segments that are settled. */
void netfs_request_advance(struct netfs_request *req)
{
	unsigned first = req->collect_seg;

	while (req->collect_seg < req->nsegs && passed(req, &req->segs[req->collect_seg])) {
		if (netfs_request_uploads(req))
			netfs_write_drop_stale(req->segs[req->collect_seg].folio);
		netfs_request_drop_seg(req);
	}
	if (req->collect_seg > first)
		netfs_crypt_let_go(req);
}

static void settle_head(struct netfs_subrequest *sub, struct netfs_news *news)
{
	struct netfs_request *req = sub->req;

	netfs_list_remove(&sub->link);
	netfs_trace_sub(sreq_consume, sub, sub->transferred, 0);
	sub->stream->collected_to = sub->start + sub->len;
	if (req->io)
		netfs_direct_collect(sub);
	else if (sub->stream == &req->stream[NETFS_STREAM_CACHE])
		netfs_cache_collect(sub);
	else if (netfs_request_writes(req))
		netfs_write_collect(sub, news);
	else
		netfs_read_collect(sub, news);
	netfs_request_advance(req);
	netfs_sub_free(sub);
}

static void trace_advance(const struct netfs_stream *stream, const struct netfs_request *req,
			  uint64_t before)
{
	netfs_trace(collect, .inode = req->inode->id, .request = req->id,
		    .start = stream->collected_to, .len = stream->collected_to - before,
		    .extra = stream - req->stream, .error = stream->error);
}

static void collect_stream(struct netfs_request *req, struct netfs_stream *stream,
			   struct netfs_news *news)
{
	uint64_t before = stream->collected_to;
	struct netfs_list *link, *tmp;

	netfs_list_for_each (link, &stream->subs) {
		struct netfs_subrequest *sub =
			netfs_container_of(link, struct netfs_subrequest, link);

		if (sub->state == NETFS_SUB_ANSWERED)
			judge(sub);
	}
	netfs_list_for_each (link, &stream->subs) {
		struct netfs_subrequest *sub =
			netfs_container_of(link, struct netfs_subrequest, link);

		if (sub->state != NETFS_SUB_READY && sub->state != NETFS_SUB_WAITING)
			continue;
		if (stream->failed)
			fail(sub, stream->error);
		else if (sub->state == NETFS_SUB_READY ? !req->stalled : !req->timer_armed)
			req->reissue = true;
	}
	netfs_list_for_each_safe (link, tmp, &stream->subs) {
		struct netfs_subrequest *sub =
			netfs_container_of(link, struct netfs_subrequest, link);

		if (sub->state != NETFS_SUB_DONE)
			break;
		settle_head(sub, news);
	}
	if (stream->collected_to != before)
		trace_advance(stream, req, before);
	if (req->serial && !stream->failed && stream->issued_to < stream->end &&
	    netfs_list_empty(&stream->subs))
		req->reissue = true;
}

static bool all_settled(const struct netfs_request *req)
{
	if (req->crypt_busy)
		return false;
	for (unsigned i = 0; i < NETFS_STREAMS; i++) {
		const struct netfs_stream *stream = &req->stream[i];

		if (!stream->active)
			continue;
		if (!netfs_list_empty(&stream->subs))
			return false;
		if (!stream->failed && stream->issued_to < stream->end)
			return false;
	}
	return true;
}

/* Nobody will come back to it from outside. */
static void let_go(struct netfs_request *req, struct netfs_news *news)
{
	struct netfs_core *core = req->inode->core;
	bool stalled;

	netfs_mutex_lock(&core->stall_mutex);
	stalled = !netfs_list_empty(&req->stall);
	netfs_list_remove(&req->stall);
	netfs_mutex_unlock(&core->stall_mutex);
	if (stalled)
		netfs_request_put(req, NETFS_REF_STALLED, news);
	if (req->timer_armed && netfs_timer_stop(&req->timer)) {
		req->timer_armed = false;
		netfs_request_put(req, NETFS_REF_TIMER, news);
	}
}

static void finish(struct netfs_request *req, struct netfs_news *news)
{
	struct netfs_inode *inode = req->inode;

	netfs_trace_request(rreq_done, req, 0);
	req->finished = true;
	req->reissue = false;
	let_go(req, news);
	if (netfs_request_uploads(req))
		inode->uploads--;
	else if (!netfs_request_writes(req))
		inode->downloads--;
	netfs_list_remove(&req->link);
	if (req->io)
		netfs_list_push_back(&news->direct, &req->link);
	if (netfs_request_uploads(req))
		netfs_write_finish(req, news);
	else if (req->origin == NETFS_ORIGIN_COPY)
		netfs_cache_copied(req);
	else if (!req->io)
		netfs_read_finish(req, news);
	netfs_inode_check_quiet(inode, news);
	if (!req->io)
		netfs_request_put(req, NETFS_REF_LIST, news);
}

void netfs_request_collect(struct netfs_request *req, struct netfs_news *news)
{
	if (req->finished || req->issuing || req->cancelling)
		return;
	for (unsigned i = 0; i < NETFS_STREAMS; i++) {
		if (req->stream[i].active)
			collect_stream(req, &req->stream[i], news);
	}
	netfs_request_check(req);
	if (all_settled(req))
		finish(req, news);
}

void netfs_request_post(struct netfs_request *req)
{
	struct netfs_inode *inode = req->inode;

	if (netfs_list_empty(&req->collect)) {
		netfs_request_get(req, NETFS_REF_COLLECTOR);
		netfs_list_push_back(&inode->collect, &req->collect);
	}
	if (!inode->collect_posted) {
		inode->collect_posted = true;
		netfs_task_post(&inode->collect_task);
	}
}

void netfs_collect_run(struct netfs_task *task)
{
	struct netfs_inode *inode = netfs_container_of(task, struct netfs_inode, collect_task);
	struct netfs_news news;
	struct netfs_list *link;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	inode->collect_posted = false;
	while ((link = netfs_list_pop_front(&inode->collect))) {
		struct netfs_request *req = netfs_container_of(link, struct netfs_request, collect);

		netfs_request_collect(req, &news);
		/* The reference goes on with it to the issuer. */
		if (req->reissue && !req->finished && !req->issuing) {
			netfs_trace_request(rreq_reissue, req, 0);
			netfs_request_pass(req, NETFS_REF_COLLECTOR, NETFS_REF_ISSUER);
			netfs_list_push_back(&news.issue, &req->issue);
		} else {
			netfs_request_put(req, NETFS_REF_COLLECTOR, &news);
		}
	}
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}
