/* SPDX-License-Identifier: MIT */
/*
 * Operations that change a file as a whole: the exclusive lock, sizes,
 * forgetting data, news from the server.
 *
 * The lock is the gate's exclusive class plus quiet: no download and no upload
 * lives.  While it is held sizes and known zeroes change in step with the
 * server's file, so no answer can be older than the change.
 */
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/trace.h>
#include <base/assert.h>
#include <env/clock.h>
#include <errno.h>

/* ------------------------------------------------------------- lock */

/* Inside the gate: done once it is quiet. */
static void wait_for_quiet(struct netfs_completion *done)
{
	struct netfs_inode *inode = done->inode;
	struct netfs_news news;

	netfs_news_init(&news);
	done->err = 0;
	netfs_list_push_back(&inode->lockers, &done->link);
	netfs_inode_check_quiet(inode, &news);
	netfs_news_unlock(&news, inode);
}

static void lock_admitted(struct netfs_gate_wait *wait)
{
	struct netfs_completion *done = netfs_container_of(wait, struct netfs_completion, gate);

	netfs_trace_file(gate_enter, done->inode, 0, 0, netfs_trace_gate(wait->class));
	netfs_mutex_lock(&done->inode->mutex);
	wait_for_quiet(done);
}

void netfs_inode_lock(struct netfs_inode *inode, struct netfs_completion *done)
{
	done->inode = inode;
	done->gate.admitted = lock_admitted;
	netfs_list_init(&done->link);
	netfs_list_init(&done->gate.link);
	netfs_ranges_init(&done->awaited);
	netfs_mutex_lock(&inode->mutex);
	if (netfs_gate_enter(&inode->gate, NETFS_GATE_EXCLUSIVE, &done->gate)) {
		wait_for_quiet(done);
	} else {
		netfs_note_gate(inode, &done->gate, 0, 0);
		netfs_mutex_unlock(&inode->mutex);
	}
}

void netfs_inode_lock_cancel(struct netfs_inode *inode, struct netfs_completion *done)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	if (!netfs_list_empty(&done->gate.link)) {
		netfs_gate_cancel(&inode->gate, &done->gate, &news.admitted);
		done->err = -EINTR;
		netfs_list_push_back(&news.done, &done->link);
	} else if (!netfs_list_empty(&inode->lockers) && inode->lockers.next == &done->link) {
		netfs_list_remove(&done->link);
		netfs_gate_leave(&inode->gate, &news.admitted);
		done->err = -EINTR;
		netfs_list_push_back(&news.done, &done->link);
	}
	netfs_news_unlock(&news, inode);
}

void netfs_inode_unlock(struct netfs_inode *inode)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_assert(inode->gate.class == NETFS_GATE_EXCLUSIVE);
	netfs_flush_unlocked(inode);
	netfs_gate_leave(&inode->gate, &news.admitted);
	netfs_upload_consider(inode, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

/* ------------------------------------------------------- forgetting */

uint64_t netfs_inode_forget(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	struct netfs_folio *folio = netfs_folio_index_next(&inode->folios, start);
	uint64_t dirty = netfs_frozen_forget(inode, start, end);

	while (folio && folio->start < end) {
		uint64_t next = netfs_folio_end(folio), less;

		less = netfs_folio_forget(folio, start > folio->start ? start : folio->start,
					  end < next ? end : next);
		netfs_inode_cleaned(inode, folio->group, less);
		dirty += less;
		if (netfs_ranges_empty(&folio->valid) && netfs_ranges_empty(&folio->pending) &&
		    folio->writeback == 0 && folio->frozen == 0)
			netfs_folio_remove(folio);
		folio = netfs_folio_index_next(&inode->folios, next);
	}
	netfs_crypt_sent(inode, &(struct netfs_range){start, end});
	netfs_cache_invalidate(inode, start, end);
	netfs_flush_forget(inode, start, end);
	inode->dirty -= dirty;
	netfs_inode_unstick(inode, inode->dirty);
	return dirty;
}

/* Forgets clean data.  Which bytes of a folio are under upload is not known
 * folio by folio, so with patience one that has any is marked stale and
 * emptied by the collector; without, the caller knows that none of the range
 * is. */
static void forget_clean(struct netfs_inode *inode, uint64_t start, uint64_t end, bool patience)
{
	struct netfs_folio *folio = netfs_folio_index_next(&inode->folios, start);

	while (folio && folio->start < end) {
		uint64_t next = netfs_folio_end(folio);
		bool all = true;

		if (patience && (folio->writeback || folio->frozen)) {
			folio->stale = true;
			netfs_trace_folio(folio_stale, folio, folio->start, next, 0);
		} else {
			all = netfs_folio_forget_clean(folio,
						       start > folio->start ? start : folio->start,
						       end < next ? end : next);
		}
		/* One that holds nothing of ours goes as a whole rather than
		 * keep a byte that is wrong. */
		if (folio->writeback == 0 && folio->frozen == 0 &&
		    (netfs_ranges_empty(&folio->valid) ||
		     (!all && netfs_ranges_empty(&folio->dirty))))
			netfs_folio_remove(folio);
		folio = netfs_folio_index_next(&inode->folios, next);
	}
}

void netfs_inode_forget_clean(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	forget_clean(inode, start, end, true);
}

void netfs_inode_forget_flushed(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	forget_clean(inode, start, end, false);
}

void netfs_inode_invalidate(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_inode_forget_clean(inode, start, end);
	netfs_cache_invalidate(inode, start, end);
	netfs_read_wake(inode, &news);
	netfs_news_unlock(&news, inode);
}

uint64_t netfs_inode_drop_dirty(struct netfs_inode *inode)
{
	struct netfs_news news;
	uint64_t dirty;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	dirty = inode->dirty;
	if (dirty) {
		netfs_trace_file(file_drop, inode, 0, dirty, 0);
		inode->seq++;
		netfs_inode_forget(inode, 0, UINT64_MAX);
		news.cleaned = true;
	}
	netfs_flush_fail(inode, -EIO, &news);
	netfs_read_wake(inode, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
	return dirty;
}

/* ------------------------------------------------------ under the lock */

/* The server's bytes of the range are zero, or might not be.  To believe too
 * little is always right. */
static void set_zero(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	if (netfs_ranges_add(&inode->zero, start, end))
		netfs_ranges_remove(&inode->zero, start, end);
}

void netfs_inode_not_zero(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	if (netfs_ranges_remove(&inode->zero, from, to))
		netfs_ranges_clear(&inode->zero);
}

void netfs_inode_resized(struct netfs_inode *inode, uint64_t size)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_assert(inode->downloads == 0 && inode->uploads == 0);
	netfs_trace_file(file_resize, inode, 0, size, inode->size);
	if (size < inode->size)
		netfs_inode_forget(inode, size, UINT64_MAX);
	/* Cutting off and growing again leaves zeroes behind. */
	if (size < inode->size || size < inode->remote_size)
		set_zero(inode, size, UINT64_MAX);
	inode->size = size;
	inode->remote_size = size;
	inode->seq++;
	inode->mtime_ns = netfs_clock_real();
	news.cleaned = true;
	netfs_flush_wake(inode, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

void netfs_inode_discard(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_assert(inode->downloads == 0 && inode->uploads == 0);
	netfs_inode_forget(inode, start, end);
	inode->seq++;
	news.cleaned = true;
	netfs_flush_wake(inode, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

void netfs_inode_set_zero(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	netfs_mutex_lock(&inode->mutex);
	set_zero(inode, start, end);
	netfs_mutex_unlock(&inode->mutex);
}

void netfs_inode_clear_zero(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	netfs_mutex_lock(&inode->mutex);
	netfs_inode_not_zero(inode, start, end);
	netfs_mutex_unlock(&inode->mutex);
}

/* -------------------------------------------------- news from the server */

static bool locked(const struct netfs_inode *inode)
{
	return inode->gate.inside && inode->gate.class == NETFS_GATE_EXCLUSIVE;
}

bool netfs_inode_remote_update(struct netfs_inode *inode, uint64_t size, uint64_t seq, bool changed)
{
	struct netfs_news news;
	bool told = changed;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	if (inode->seq != seq || inode->uploading || locked(inode)) {
		netfs_mutex_unlock(&inode->mutex);
		return false;
	}
	if (changed || size != inode->remote_size) {
		told = true;
		netfs_trace_file(file_remote, inode, 0, size, inode->remote_size);
		netfs_inode_forget_clean(inode, 0, UINT64_MAX);
		netfs_cache_invalidate(inode, 0, UINT64_MAX);
		/* Below that size may be anything, above it is nothing. */
		netfs_inode_not_zero(inode, 0, size);
		set_zero(inode, size, UINT64_MAX);
	}
	inode->remote_size = size;
	if (inode->dirty == 0) {
		if (inode->size != size)
			told = true;
		inode->size = size;
	} else if (size > inode->size) {
		inode->size = size;
	}
	netfs_read_wake(inode, &news);
	netfs_news_unlock(&news, inode);
	return told;
}
