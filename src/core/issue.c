/* SPDX-License-Identifier: MIT */
/*
 * The issuer: cuts a request into slices and hands them to the back end.
 *
 * One thread at a time is in the issuer of a request (req->issuing); another
 * that wants something sent leaves a note (req->reissue) and goes.  The mutex
 * is dropped around the call into the back end, so an answer may arrive before
 * the call returns: the subrequest is SENDING meanwhile, and the answer only
 * marks it EARLY, because how much was taken is not known yet.
 *
 * A download asks the disk cache, where the file has one, what it has, and cuts
 * its slices so that each comes from one place.
 *
 * A slice the back end has no room for (-EAGAIN) puts the request among the
 * stalled; netfs_core_ready() comes back to it.
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

#define SLICE_PIECES_MAX 1024u
/* A local file gains nothing by more. */
#define CACHE_SLICE_MAX	   (UINT32_C(1) << 20)
#define NO_MEMORY_DELAY_NS (10 * NETFS_NS_PER_MS)

/* ------------------------------------------------------- the answer */

static void note_answer(struct netfs_subrequest *sub)
{
	sub->state = NETFS_SUB_ANSWERED;
	netfs_trace_sub(sreq_answer, sub, sub->moved, sub->flags);
	netfs_request_post(sub->req);
}

static void slice_done(struct netfs_slice *slice, size_t moved, int err, unsigned flags)
{
	struct netfs_subrequest *sub = netfs_container_of(slice, struct netfs_subrequest, slice);
	struct netfs_inode *inode = sub->req->inode;

	netfs_mutex_lock(&inode->mutex);
	sub->moved = moved;
	sub->error = err;
	sub->flags = flags;
	if (sub->state == NETFS_SUB_SENDING)
		sub->state = NETFS_SUB_EARLY;
	else
		note_answer(sub);
	netfs_mutex_unlock(&inode->mutex);
}

/* -------------------------------------------------------- the slice */

static int iov_reserve(struct netfs_subrequest *sub, unsigned n)
{
	unsigned room = sub->iov_room;
	struct iovec *iov;

	if (n <= room)
		return 0;
	while (room < n)
		room *= 2;
	iov = netfs_alloc(room * sizeof(*iov));
	if (!iov)
		return -ENOMEM;
	for (unsigned i = 0; i < sub->slice.niov; i++)
		iov[i] = sub->iov[i];
	if (sub->iov != sub->iov_in)
		netfs_free(sub->iov);
	sub->iov = iov;
	sub->iov_room = room;
	return 0;
}

/* Adds a piece of memory to the slice; false when there is no room. */
static bool add_piece(struct netfs_subrequest *sub, void *base, size_t len)
{
	struct netfs_slice *slice = &sub->slice;

	if (slice->niov == SLICE_PIECES_MAX || iov_reserve(sub, slice->niov + 1))
		return false;
	sub->iov[slice->niov++] = (struct iovec){.iov_base = base, .iov_len = len};
	slice->len += len;
	return true;
}

/* Where what is moved at position pos of the file is, or goes. */
static uint8_t *bytes_at(const struct netfs_seg *seg, uint64_t pos)
{
	if (seg->cipher)
		return seg->cipher->data + (pos - seg->cipher_at);
	return seg->block->data + (pos & (seg->block->size - 1));
}

static void fill_from_segs(struct netfs_subrequest *sub, uint64_t pos, size_t len)
{
	struct netfs_request *req = sub->req;
	enum netfs_stream_nr nr = sub->stream - req->stream;

	for (unsigned i = req->collect_seg; i < req->nsegs && len; i++) {
		struct netfs_seg *seg = &req->segs[i];
		uint64_t to = netfs_seg_to(seg, nr);
		size_t n;

		if (to <= pos || netfs_seg_from(seg, nr) == to)
			continue;
		if (netfs_seg_from(seg, nr) > pos)
			break;
		n = to - pos < len ? to - pos : len;
		if (!add_piece(sub, bytes_at(seg, pos), n))
			break;
		pos += n;
		len -= n;
	}
}

static void fill_from_user(struct netfs_subrequest *sub, uint64_t pos, size_t len)
{
	struct netfs_io *io = sub->req->io;
	uint64_t at = sub->req->start;

	for (unsigned i = 0; i < io->niov && len; i++) {
		size_t room = io->iov[i].iov_len;
		size_t skip, n;

		if (at + room <= pos) {
			at += room;
			continue;
		}
		skip = pos - at;
		n = room - skip < len ? room - skip : len;
		if (!add_piece(sub, (uint8_t *)io->iov[i].iov_base + skip, n))
			break;
		pos += n;
		len -= n;
		at += room;
	}
}

/* Points the slice at the memory of its rest.  Where the pieces are too many
 * for one slice it ends earlier. */
static void prepare_slice(struct netfs_subrequest *sub)
{
	struct netfs_request *req = sub->req;
	uint64_t pos = sub->start + sub->transferred;
	size_t len = sub->len - sub->transferred;

	sub->slice.kind = netfs_request_writes(req) ? NETFS_SLICE_WRITE : NETFS_SLICE_READ;
	sub->slice.for_upload = req->check;
	sub->slice.start = pos;
	sub->slice.len = 0;
	sub->slice.niov = 0;
	sub->slice.done = slice_done;
	if (req->io)
		fill_from_user(sub, pos, len);
	else
		fill_from_segs(sub, pos, len);
	sub->slice.iov = sub->iov;
	netfs_assert(sub->slice.len > 0);
}

/* --------------------------------------------------------- sending */

static ssize_t offer(struct netfs_subrequest *sub)
{
	struct netfs_request *req = sub->req;
	struct netfs_cookie *cookie = req->inode->cookie;
	const struct netfs_be_ops *ops = req->inode->core->be->ops;
	bool write = sub->slice.kind == NETFS_SLICE_WRITE;

	if (atomic_load_explicit(&req->inode->core->aborted, memory_order_acquire))
		return -EIO;
	if (sub->cache)
		return write ? cookie->ops->write(cookie, &sub->slice)
			     : cookie->ops->read(cookie, &sub->slice);
	return write ? ops->write(req->handle, &sub->slice) : ops->read(req->handle, &sub->slice);
}

/* Where a request waits among those the back end had no room for.  One that got
 * room for a slice lets those pass that got none, so that a long one does not
 * take all there is for as long as it lasts; read-ahead lets everything else
 * pass. */
static struct netfs_list *stall_place(struct netfs_core *core, const struct netfs_request *req)
{
	struct netfs_list *link;

	if (req->origin == NETFS_ORIGIN_READAHEAD)
		return &core->stalled;
	netfs_list_for_each (link, &core->stalled) {
		const struct netfs_request *other =
			netfs_container_of(link, struct netfs_request, stall);

		if (other->origin == NETFS_ORIGIN_READAHEAD || (other->fed && !req->fed))
			break;
	}
	return link;
}

/* Waits for the back end to have room again; heard is core->heard_ready from
 * before it said that it has none.  If it called since, it is asked again. */
static void stall(struct netfs_request *req, uint64_t heard)
{
	struct netfs_core *core = req->inode->core;

	netfs_count(core->stats, slice_refused);
	netfs_trace_request(rreq_pause, req, 0);
	netfs_mutex_lock(&core->stall_mutex);
	if (core->heard_ready != heard) {
		req->reissue = true;
	} else {
		req->stalled = true;
		if (netfs_list_empty(&req->stall)) {
			netfs_request_get(req, NETFS_REF_STALLED);
			netfs_list_push_back(stall_place(core, req), &req->stall);
		}
	}
	netfs_mutex_unlock(&core->stall_mutex);
}

static uint64_t heard_ready(struct netfs_core *core)
{
	uint64_t heard;

	netfs_mutex_lock(&core->stall_mutex);
	heard = core->heard_ready;
	netfs_mutex_unlock(&core->stall_mutex);
	return heard;
}

static void count_sent(struct netfs_request *req, const struct netfs_subrequest *sub)
{
	struct netfs_stats *stats = req->inode->core->stats;

	if (sub->cache) {
		netfs_cache_count_sent(sub);
		return;
	}
	if (netfs_request_writes(req))
		netfs_count(stats, upload_slices);
	else
		netfs_count(stats, download_slices);
	if (sub->retries == 0)
		return;
	if (netfs_request_writes(req))
		netfs_count(stats, upload_retries);
	else
		netfs_count(stats, download_retries);
}

/* Sends the rest of sub.  Drops and retakes the mutex.  False: no room. */
static bool send(struct netfs_subrequest *sub, bool first)
{
	struct netfs_request *req = sub->req;
	struct netfs_inode *inode = req->inode;
	uint64_t heard = heard_ready(inode->core);
	ssize_t taken;
	size_t offered;

	prepare_slice(sub);
	offered = sub->slice.len;
	sub->state = NETFS_SUB_SENDING;
	netfs_pace_sent(sub);
	if (!sub->first_ns)
		sub->first_ns = sub->sent_ns;
	netfs_mutex_unlock(&inode->mutex);
	taken = offer(sub);
	netfs_mutex_lock(&inode->mutex);
	if (taken == -EAGAIN) {
		sub->state = NETFS_SUB_READY;
		netfs_pace_refused(sub);
		netfs_trace_sub(sreq_refused, sub, offered, 0);
		stall(req, heard);
		return false;
	}
	req->fed = true;
	count_sent(req, sub);
	if (taken < 0) {
		sub->asked = sub->moved = 0;
		sub->error = (int)taken;
		sub->flags = 0;
		sub->state = NETFS_SUB_ANSWERED;
		netfs_trace_sub(sreq_answer, sub, 0, 0);
		return true;
	}
	netfs_trace_sub(sreq_submit, sub, taken, sub->retries);
	if (taken < offered)
		netfs_trace_sub(sreq_limit, sub, taken, offered);
	if (first) {
		sub->len = taken;
		sub->stream->issued_to = sub->start + taken;
	} else {
		netfs_retry_split(sub, taken);
	}
	sub->asked = taken;
	if (sub->state == NETFS_SUB_EARLY) {
		sub->state = NETFS_SUB_ANSWERED;
		netfs_trace_sub(sreq_answer, sub, sub->moved, sub->flags);
	} else {
		sub->state = NETFS_SUB_SENT;
	}
	return true;
}

/* Where the next slice starts and how long the run from there is; 0: at the
 * end.  Skips the gaps between segments. */
static size_t next_run(struct netfs_request *req, struct netfs_stream *stream)
{
	enum netfs_stream_nr nr = stream - req->stream;
	const struct netfs_seg *seg, *last = req->segs + netfs_crypt_ready(req);
	uint64_t pos = stream->issued_to, end;

	if (req->io)
		return stream->end - pos;
	seg = req->segs + stream->issue_seg;
	while (seg < last && netfs_seg_to(seg, nr) <= pos)
		seg++;
	/* What has nothing for this stream is empty and lies behind. */
	while (seg < last && netfs_seg_from(seg, nr) == netfs_seg_to(seg, nr))
		seg++;
	stream->issue_seg = seg - req->segs;
	if (seg == last) {
		if (last == req->segs + req->nsegs)
			stream->issued_to = stream->end;
		return 0;
	}
	if (netfs_seg_from(seg, nr) > pos)
		stream->issued_to = pos = netfs_seg_from(seg, nr);
	for (end = netfs_seg_to(seg, nr); ++seg < last && netfs_seg_from(seg, nr) == end;)
		end = netfs_seg_to(seg, nr);
	return end - pos;
}

/* The place that has what is to be downloaded at the start of the run, which is
 * cut where another place has it.  True: the cache. */
static bool choose_place(struct netfs_request *req, uint64_t pos, size_t *len)
{
	struct netfs_cookie *cookie = req->inode->cookie;
	uint64_t from, to;

	if (!cookie || req->io || req->check ||
	    !cookie->ops->present(cookie, pos, pos + *len, &from, &to))
		return false;
	netfs_crypt_one_place(req->inode, pos + *len, &from, &to);
	if (from >= to)
		return false;
	*len = (from == pos ? to : from) - pos;
	return from == pos;
}

static struct netfs_subrequest *sub_new(struct netfs_request *req, struct netfs_stream *stream,
					size_t len)
{
	struct netfs_subrequest *sub = netfs_sub_new(req, stream, stream->issued_to, len);

	if (!sub)
		return NULL;
	stream->issued_to += len;
	netfs_list_push_back(&stream->subs, &sub->link);
	netfs_trace_sub(sreq_prepare, sub, len, stream - req->stream);
	return sub;
}

static size_t slice_max(const struct netfs_request *req, bool cache)
{
	const struct netfs_core *core = req->inode->core;

	if (cache)
		return CACHE_SLICE_MAX;
	if (netfs_request_writes(req))
		return core->wsize;
	/* What the server sends goes to the cache in whole granules. */
	if (req->inode->cookie && core->rsize > NETFS_CACHE_GRANULE)
		return core->rsize & ~(NETFS_CACHE_GRANULE - 1);
	return core->rsize;
}

static void retry_later(struct netfs_request *req, uint64_t delay_ns)
{
	if (req->timer_armed)
		return;
	req->timer_armed = true;
	netfs_request_get(req, NETFS_REF_TIMER);
	netfs_trace_request(rreq_retry_wait, req, delay_ns);
	netfs_timer_start(&req->timer, delay_ns);
}

void netfs_request_later(struct netfs_request *req)
{
	retry_later(req, NO_MEMORY_DELAY_NS);
}

/* Sends again what waits for it, and sees to it that what must wait longer is
 * looked at in time.  False: the back end has no room. */
static bool resend(struct netfs_request *req, struct netfs_stream *stream)
{
	uint64_t now = netfs_clock_now(), soonest = 0;
	struct netfs_list *link;
	bool room = true;

	netfs_list_for_each (link, &stream->subs) {
		struct netfs_subrequest *sub =
			netfs_container_of(link, struct netfs_subrequest, link);

		if (sub->state == NETFS_SUB_WAITING && now >= sub->retry_at_ns)
			sub->state = NETFS_SUB_READY;
		if (sub->state == NETFS_SUB_READY && room)
			netfs_retry_merge(sub, slice_max(req, sub->cache));
		if (sub->state == NETFS_SUB_WAITING && (!soonest || sub->retry_at_ns < soonest))
			soonest = sub->retry_at_ns;
		if (sub->state == NETFS_SUB_READY && room && !stream->failed)
			room = send(sub, false);
	}
	if (soonest)
		retry_later(req, soonest - now);
	return room;
}

static void send_new(struct netfs_request *req, struct netfs_stream *stream)
{
	while (!stream->failed && stream->issued_to < stream->end) {
		bool cache = stream == &req->stream[NETFS_STREAM_CACHE];
		struct netfs_subrequest *sub;
		size_t len = next_run(req, stream), most;

		if (len == 0 || (req->serial && !netfs_list_empty(&stream->subs)))
			return;
		if (!netfs_request_writes(req))
			cache = choose_place(req, stream->issued_to, &len);
		most = slice_max(req, cache);
		sub = sub_new(req, stream, netfs_crypt_trim(req, stream->issued_to, len, most));
		if (!sub) {
			netfs_request_later(req);
			return;
		}
		sub->cache = cache;
		if (!send(sub, true))
			return;
	}
}

static void pass(struct netfs_request *req)
{
	req->issuing = true;
	req->reissue = false;
	req->stalled = false;
	req->fed = false;
	for (unsigned i = 0; i < NETFS_STREAMS; i++) {
		if (req->stream[i].active && resend(req, &req->stream[i]))
			send_new(req, &req->stream[i]);
	}
	netfs_crypt_prepare(req);
	req->issuing = false;
}

void netfs_request_issue(struct netfs_request *req, enum netfs_ref why)
{
	struct netfs_inode *inode = req->inode;
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	req->reissue = true;
	while (req->reissue && !req->issuing && !req->finished) {
		pass(req);
		netfs_request_collect(req, &news);
	}
	netfs_request_put(req, why, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

static void call_off(struct netfs_subrequest *sub)
{
	struct netfs_cookie *cookie = sub->req->inode->cookie;
	struct netfs_be *be = sub->req->inode->core->be;

	if (sub->cache)
		cookie->ops->slice_cancel(cookie, &sub->slice);
	else
		be->ops->slice_cancel(be, &sub->slice);
}

/*
 * The collector leaves a request alone while somebody cancels it, so its
 * subrequests stay where they are although the mutex is dropped; those that
 * were answered meanwhile are none the back end knows any more.
 */
void netfs_request_cancel(struct netfs_request *req, int err)
{
	struct netfs_inode *inode = req->inode;
	struct netfs_list *link;

	netfs_assert_held(&inode->mutex);
	req->cancelling++;
	netfs_trace_request(rreq_cancel, req, 0);
	for (unsigned i = 0; i < NETFS_STREAMS; i++) {
		struct netfs_stream *stream = &req->stream[i];

		stream->failed = true;
		if (!stream->error)
			stream->error = err;
		netfs_list_for_each (link, &stream->subs) {
			struct netfs_subrequest *sub =
				netfs_container_of(link, struct netfs_subrequest, link);

			if (sub->state != NETFS_SUB_SENT)
				continue;
			netfs_trace_sub(sreq_cancel, sub, sub->asked, 0);
			netfs_mutex_unlock(&inode->mutex);
			call_off(sub);
			netfs_mutex_lock(&inode->mutex);
		}
	}
	req->cancelling--;
	netfs_request_post(req);
}
