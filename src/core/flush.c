/* SPDX-License-Identifier: MIT */
/*
 * Flushes: waiting until what is dirty now has arrived.
 *
 * A flush writes down which bytes are dirty or under upload when it begins
 * (awaited) and at which change of the file that was (seq).  Every upload that
 * arrives is taken off; an upload that was made before the flush began only
 * counts for bytes that were not written again.  So a flush ends although
 * others go on writing.
 */
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/trace.h>
#include <base/assert.h>
#include <errno.h>

static int add_clipped(struct netfs_completion *done, uint64_t from, uint64_t to,
		       const struct netfs_range *clip)
{
	if (from < clip->from)
		from = clip->from;
	if (to > clip->to)
		to = clip->to;
	return from < to ? netfs_ranges_add(&done->awaited, from, to) : 0;
}

static int add_dirty(struct netfs_inode *inode, struct netfs_completion *done,
		     const struct netfs_range *clip)
{
	struct netfs_folio *folio = netfs_folio_index_next(&inode->folios, clip->from);

	while (folio && folio->start < clip->to) {
		for (uint32_t i = 0; i < netfs_ranges_count(&folio->dirty); i++) {
			struct netfs_range range = netfs_ranges_at(&folio->dirty, i);
			int err;

			if (range.to <= clip->from || range.from >= clip->to)
				continue;
			netfs_crypt_whole(inode, &range);
			err = add_clipped(done, range.from, range.to, clip);

			if (err)
				return err;
		}
		folio = netfs_folio_index_next(&inode->folios, netfs_folio_end(folio));
	}
	return 0;
}

static int add_uploading(struct netfs_inode *inode, struct netfs_completion *done,
			 const struct netfs_range *clip)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->requests) {
		struct netfs_request *req = netfs_container_of(link, struct netfs_request, link);
		uint64_t settled = req->stream[NETFS_STREAM_SERVER].collected_to;

		if (!netfs_request_uploads(req))
			continue;
		for (unsigned i = req->collect_seg; i < req->nsegs; i++) {
			uint64_t from = req->segs[i].from;
			int err;

			if (from < settled)
				from = settled;
			if (from >= req->segs[i].to)
				continue;
			err = add_clipped(done, from, req->segs[i].to, clip);
			if (err)
				return err;
		}
	}
	return 0;
}

void netfs_flush_start(struct netfs_inode *inode, uint64_t start, uint64_t end,
		       struct netfs_completion *done, struct netfs_news *news)
{
	struct netfs_range clip = {start, end};

	netfs_crypt_whole(inode, &clip);

	done->inode = inode;
	done->seq = inode->seq;
	done->err = 0;
	netfs_ranges_init(&done->awaited);
	if (inode->dirty || inode->uploading)
		done->err = add_dirty(inode, done, &clip);
	if (!done->err && inode->nfrozen)
		done->err = netfs_frozen_each(inode, &clip, add_clipped, done);
	done->sent = netfs_ranges_empty(&done->awaited);
	if (!done->err && inode->uploading)
		done->err = add_uploading(inode, done, &clip);
	if (done->err || netfs_ranges_empty(&done->awaited)) {
		netfs_list_push_back(&news->done, &done->link);
		return;
	}
	netfs_count(inode->core->stats, flush_calls);
	netfs_trace_file(flush_begin, inode, start, end, netfs_ranges_count(&done->awaited));
	netfs_list_push_back(&inode->flushers, &done->link);
	if (done->locked)
		inode->upload_locked = true;
	if (done->sent && !atomic_load_explicit(&inode->core->aborted, memory_order_acquire))
		return;
	inode->upload_all = true;
	if (netfs_groups_wait(inode->core)) {
		/* What is older has to go first, wherever it is. */
		atomic_store(&inode->core->group_error, 0);
		netfs_core_kick(inode->core, true);
	}
	netfs_upload_some(inode, news);
}

static void flush(struct netfs_inode *inode, const struct netfs_range *range, bool locked,
		  struct netfs_completion *done)
{
	struct netfs_news news;

	netfs_news_init(&news);
	done->locked = locked;
	netfs_mutex_lock(&inode->mutex);
	netfs_flush_start(inode, range->from, range->to, done, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

void netfs_inode_flush(struct netfs_inode *inode, uint64_t start, uint64_t end,
		       struct netfs_completion *done)
{
	flush(inode, &(struct netfs_range){start, end}, false, done);
}

void netfs_inode_flush_locked(struct netfs_inode *inode, uint64_t start, uint64_t end,
			      struct netfs_completion *done)
{
	flush(inode, &(struct netfs_range){start, end}, true, done);
}

/* The flush is over; it was the lock holder's if it says so. */
static void end_flush(struct netfs_inode *inode, struct netfs_completion *done,
		      struct netfs_news *news)
{
	netfs_list_remove(&done->link);
	netfs_trace(flush_end, .inode = inode->id, .error = done->err);
	if (done->locked)
		inode->upload_locked = false;
	netfs_list_push_back(&news->done, &done->link);
}

void netfs_flush_unlocked(struct netfs_inode *inode)
{
	struct netfs_list *link;

	inode->upload_locked = false;
	netfs_list_for_each (link, &inode->flushers)
		netfs_container_of(link, struct netfs_completion, link)->locked = false;
}

void netfs_flush_forget(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->flushers) {
		struct netfs_completion *done =
			netfs_container_of(link, struct netfs_completion, link);

		/* Not waiting for a byte too many matters more than for it. */
		if (netfs_ranges_remove(&done->awaited, start, end))
			netfs_ranges_clear(&done->awaited);
	}
}

void netfs_flush_wake(struct netfs_inode *inode, struct netfs_news *news)
{
	struct netfs_list *link, *tmp;

	netfs_list_for_each_safe (link, tmp, &inode->flushers) {
		struct netfs_completion *done =
			netfs_container_of(link, struct netfs_completion, link);

		if (!done->err && !netfs_ranges_empty(&done->awaited))
			continue;
		/* Whoever holds the lock goes on to change the file, so
		 * nothing may be on its way any more. */
		if (done->locked && (inode->uploads || (inode->core->crypt && inode->downloads))) {
			inode->upload_locked = false;
			continue;
		}
		end_flush(inode, done, news);
	}
}

void netfs_flush_fail(struct netfs_inode *inode, int err, struct netfs_news *news)
{
	while (!netfs_list_empty(&inode->flushers)) {
		struct netfs_completion *done =
			netfs_container_of(inode->flushers.next, struct netfs_completion, link);

		done->err = err;
		end_flush(inode, done, news);
	}
}

void netfs_inode_flush_cancel(struct netfs_inode *inode, struct netfs_completion *done)
{
	struct netfs_list *link, *tmp;
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_list_for_each_safe (link, tmp, &inode->flushers) {
		if (link != &done->link)
			continue;
		done->err = -EINTR;
		end_flush(inode, done, &news);
	}
	netfs_news_unlock(&news, inode);
}
