/* SPDX-License-Identifier: MIT */
/*
 * The life of a request: made under the inode's mutex, filled with segments,
 * sealed, handed to the issuer, settled by the collector, freed with the last
 * reference.
 *
 * References: the inode's list holds one until the request is finished; the
 * news list that carries it to the issuer holds one; an armed timer and a
 * place among the stalled hold one each.  The inode stays busy until the last
 * reference is gone, so whoever holds one may take the inode's mutex.
 */
#include <core/request.h>
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/trace.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <errno.h>

static void count_pass(const struct netfs_request *req)
{
	struct netfs_stats *stats = req->inode->core->stats;

	if (netfs_request_writes(req))
		netfs_count(stats, upload_retry_passes);
	else
		netfs_count(stats, download_retry_passes);
}

static void retry_now(struct netfs_task *task)
{
	struct netfs_request *req = netfs_container_of(task, struct netfs_request, retry_task);

	netfs_mutex_lock(&req->inode->mutex);
	req->timer_armed = false;
	count_pass(req);
	netfs_mutex_unlock(&req->inode->mutex);
	netfs_request_issue(req, NETFS_REF_TIMER);
}

static void enter_living(struct netfs_request *req)
{
	struct netfs_core *core = req->inode->core;

	netfs_mutex_lock(&core->living_mutex);
	netfs_list_push_back(&core->living, &req->living);
	netfs_mutex_unlock(&core->living_mutex);
	netfs_count(core->stats, requests_living);
}

/* The inode's mutex is held, so who finds it in the list and then has that
 * mutex has a request that is whole. */
static void leave_living(struct netfs_request *req)
{
	struct netfs_core *core = req->inode->core;

	netfs_mutex_lock(&core->living_mutex);
	netfs_list_remove(&req->living);
	netfs_mutex_unlock(&core->living_mutex);
	netfs_stats_sub(core->stats, NETFS_STAT_requests_living, 1);
}

struct netfs_request *netfs_request_new(struct netfs_inode *inode, enum netfs_origin origin,
					struct netfs_handle *handle)
{
	struct netfs_core *core = inode->core;
	struct netfs_request *req = netfs_zalloc(sizeof(*req));

	netfs_assert_held(&inode->mutex);
	if (!req)
		return NULL;
	req->inode = inode;
	req->handle = handle;
	req->origin = origin;
	req->id = atomic_fetch_add_explicit(&core->next_id, 1, memory_order_relaxed);
	req->refs = 2;
	req->ref[NETFS_REF_LIST] = req->ref[NETFS_REF_ISSUER] = 1;
	req->born_ns = netfs_clock_now();
	req->seq = inode->seq;
	netfs_list_init(&req->collect);
	netfs_list_init(&req->issue);
	netfs_list_init(&req->stall);
	for (unsigned i = 0; i < NETFS_STREAMS; i++)
		netfs_list_init(&req->stream[i].subs);
	netfs_crypt_request_init(req);
	netfs_task_init(&req->retry_task, retry_now);
	netfs_timer_init(&req->timer, &req->retry_task);
	netfs_list_push_back(&inode->requests, &req->link);
	enter_living(req);
	inode->nrequests++;
	atomic_fetch_add_explicit(&core->requests, 1, memory_order_relaxed);
	if (netfs_request_uploads(req))
		inode->uploads++;
	else if (!netfs_request_writes(req))
		inode->downloads++;
	netfs_trace_request(rreq_new, req, netfs_trace_word(netfs_origin_name(origin)));
	return req;
}

int netfs_request_add(struct netfs_request *req, struct netfs_folio *folio, uint64_t from,
		      uint64_t to)
{
	struct netfs_seg *seg;

	if (req->nsegs == req->segs_room) {
		unsigned room = req->segs_room ? req->segs_room * 2 : 4;
		struct netfs_seg *segs = netfs_realloc(req->segs, room * sizeof(*segs));

		if (!segs)
			return -ENOMEM;
		req->segs = segs;
		req->segs_room = room;
	}
	seg = &req->segs[req->nsegs++];
	seg->folio = folio;
	folio->refs++;
	seg->block = netfs_block_get(folio->block);
	seg->from = from;
	seg->to = to;
	seg->cipher = NULL;
	seg->cache_from = to;
	seg->cache_to = to;
	seg->gen = folio->gen;
	netfs_count(req->inode->core->stats, segments_living);
	return 0;
}

/* Counts and records what begins here. */
static void note_sealed(const struct netfs_request *req)
{
	struct netfs_stats *stats = req->inode->core->stats;

	switch (req->origin) {
	case NETFS_ORIGIN_READ:
		netfs_count(stats, read_requests);
		netfs_trace_request(read_page, req, req->nsegs);
		break;
	case NETFS_ORIGIN_READAHEAD:
		netfs_count(stats, readahead_requests);
		netfs_trace_request(read_ahead, req, req->nsegs);
		break;
	case NETFS_ORIGIN_WRITEBACK:
		netfs_count(stats, writeback_requests);
		netfs_trace_request(write_back, req, req->nsegs);
		break;
	case NETFS_ORIGIN_WRITETHROUGH:
		netfs_count(stats, writethrough_requests);
		netfs_trace_request(write_through, req, 0);
		break;
	case NETFS_ORIGIN_DIRECT_READ:
		netfs_trace_request(read_direct, req, 0);
		break;
	case NETFS_ORIGIN_DIRECT_WRITE:
		netfs_trace_request(write_direct, req, 0);
		break;
	case NETFS_ORIGIN_COPY:
		netfs_trace_request(write_cache, req, req->nsegs);
		break;
	}
}

void netfs_request_seal(struct netfs_request *req, uint64_t start, uint64_t end)
{
	struct netfs_stream *server = &req->stream[NETFS_STREAM_SERVER];
	struct netfs_stream *cache = &req->stream[NETFS_STREAM_CACHE];

	req->start = start;
	req->end = end;
	server->active = req->origin != NETFS_ORIGIN_COPY;
	server->issued_to = server->collected_to = start;
	server->end = end;
	req->arrived_to = req->clear_to = start;
	if (netfs_request_uploads(req) || req->origin == NETFS_ORIGIN_COPY)
		netfs_cache_plan(req, cache);
	note_sealed(req);
}

struct netfs_subrequest *netfs_sub_new(struct netfs_request *req, struct netfs_stream *stream,
				       uint64_t start, size_t len)
{
	struct netfs_subrequest *sub = netfs_zalloc(sizeof(*sub));

	if (!sub)
		return NULL;
	netfs_list_init(&sub->link);
	sub->req = req;
	sub->stream = stream;
	sub->start = start;
	sub->len = len;
	sub->iov = sub->iov_in;
	sub->iov_room = NETFS_SUB_IOV_INLINE;
	sub->index = req->next_index++;
	netfs_count(req->inode->core->stats, subrequests_living);
	return sub;
}

void netfs_sub_free(struct netfs_subrequest *sub)
{
	netfs_stats_sub(sub->req->inode->core->stats, NETFS_STAT_subrequests_living, 1);
	if (sub->iov != sub->iov_in)
		netfs_free(sub->iov);
	netfs_free(sub);
}

bool netfs_request_failed(const struct netfs_request *req)
{
	for (unsigned i = 0; i < NETFS_STREAMS; i++) {
		if (req->stream[i].active && !req->stream[i].failed)
			return false;
	}
	return true;
}

void netfs_request_abandon(struct netfs_request *req, struct netfs_news *news)
{
	netfs_assert(req->nsegs == 0 && !req->io);
	req->finished = true;
	netfs_list_remove(&req->link);
	if (netfs_request_uploads(req))
		req->inode->uploads--;
	else if (!netfs_request_writes(req))
		req->inode->downloads--;
	netfs_trace_request(rreq_abandon, req, 0);
	netfs_request_put(req, NETFS_REF_ISSUER, news);
	netfs_request_put(req, NETFS_REF_LIST, news);
}

struct netfs_request *netfs_request_get(struct netfs_request *req, enum netfs_ref why)
{
	req->refs++;
	req->ref[why]++;
	return req;
}

void netfs_request_pass(struct netfs_request *req, enum netfs_ref from, enum netfs_ref to)
{
	netfs_assert(req->ref[from] > 0);
	req->ref[from]--;
	req->ref[to]++;
}

void netfs_request_put(struct netfs_request *req, enum netfs_ref why, struct netfs_news *news)
{
	netfs_assert(req->refs > 0);
	netfs_assert(req->ref[why] > 0);
	req->ref[why]--;
	if (--req->refs)
		return;
	netfs_assert(req->finished);
	for (unsigned i = 0; i < NETFS_REF_COUNT; i++)
		netfs_assert(req->ref[i] == 0);
	netfs_trace_request(rreq_free, req, netfs_trace_word(netfs_origin_name(req->origin)));
	leave_living(req);
	while (req->collect_seg < req->nsegs)
		netfs_request_drop_seg(req);
	req->inode->nrequests--;
	atomic_fetch_sub_explicit(&req->inode->core->requests, 1, memory_order_relaxed);
	netfs_list_push_back(&news->dead, &req->issue);
}

void netfs_request_drop_seg(struct netfs_request *req)
{
	struct netfs_seg *seg = &req->segs[req->collect_seg++];

	netfs_stats_sub(req->inode->core->stats, NETFS_STAT_segments_living, 1);
	netfs_crypt_drop_seg(req, seg);
	netfs_block_put(seg->block);
	netfs_folio_put(seg->folio);
}

void netfs_request_free(struct netfs_request *req)
{
	if (req->handle)
		netfs_handle_put(req->handle);
	netfs_ranges_done(&req->fresh);
	netfs_free(req->segs);
	netfs_free(req);
}

void netfs_request_check(const struct netfs_request *req)
{
	for (unsigned i = 0; i < NETFS_STREAMS; i++) {
		const struct netfs_stream *stream = &req->stream[i];
		uint64_t pos = stream->collected_to;
		struct netfs_list *link;

		netfs_assert(stream->collected_to <= stream->issued_to);
		netfs_assert(stream->issued_to <= stream->end);
		netfs_list_for_each (link, &stream->subs) {
			struct netfs_subrequest *sub =
				netfs_container_of(link, struct netfs_subrequest, link);

			netfs_assert(sub->start >= pos && sub->transferred <= sub->len);
			pos = sub->start + sub->len;
		}
		netfs_assert(pos <= stream->issued_to);
	}
}
