/* SPDX-License-Identifier: MIT */
/*
 * The write-back issuer: when to send, and what.
 *
 * Dirty data of a file is sent when somebody flushes it, when there is enough
 * for full slices, when it grows old, and when the client has too much of it.
 * A file may have several upload requests in flight, up to a window of bytes.
 * A folio takes part in one of them at a time, which is what keeps overlapping
 * uploads in order; what is written to it meanwhile is sent by the next.
 *
 *	folios    |ddd..ddd|..uuuu..|dddddddd|      d dirty, u under upload
 *	request    [---][--]         [------]       pieces glued where they touch
 *
 * While a size-changing operation is inside the gate nothing is sent, except
 * for a flush by its holder.
 */
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/clock.h>
#include <errno.h>
#include <journal/journal.h>

/* However short the age is, the timer must not keep a thread busy. */
#define AGE_TICK_MIN_NS (10 * NETFS_NS_PER_MS)

/* What the request under construction covers. */
struct build {
	struct netfs_inode *inode;
	struct netfs_request *req;
	struct netfs_news *news;
	uint64_t limit; /* nothing from here on yet */
	uint64_t first;
	uint64_t last;
};

/* May dirty data of the folio be sent now? */
static bool sendable(const struct netfs_inode *inode, const struct netfs_folio *folio)
{
	if (netfs_ranges_empty(&folio->dirty) || folio->writeback || folio->frozen || folio->checks)
		return false;
	if (!netfs_group_is_open(inode->core, folio->group))
		return false;
	if (inode->upload_all)
		return true;
	/* Leave the folio alone that a writer is just filling. */
	return !(folio->start < inode->write_pos && inode->write_pos < netfs_folio_end(folio));
}

/* Moves range, which is dirty, into the request.  To cut a hole into a dirty
 * range the set must have room.  -ENOMEM. */
static int move_range(struct build *build, struct netfs_folio *folio, struct netfs_range range)
{
	struct netfs_inode *inode = build->inode;
	int err = netfs_request_add(build->req, folio, range.from, range.to);

	if (err)
		return err;
	/* Removing from the front of a range needs no memory. */
	netfs_ranges_remove(&folio->dirty, range.from, range.to);
	folio->writeback++;
	netfs_trace_folio(folio_store, folio, range.from, range.to, 0);
	inode->dirty -= range.to - range.from;
	inode->uploading += range.to - range.from;
	if (build->req->nsegs == 1) {
		build->first = range.from;
		build->req->group = folio->group;
	}
	build->last = range.to;
	/* Once it is at the server it may leave our memory. */
	netfs_inode_not_zero(inode, range.from, range.to);
	return 0;
}

static bool full(const struct build *build)
{
	return build->req->nsegs >= NETFS_REQUEST_SEGS_MAX ||
	       build->last - build->first >= NETFS_REQUEST_BYTES_MAX;
}

/* The first dirty range of folio from *pos on that can be sent, which is moved
 * behind it. */
static bool next_range(struct build *build, struct netfs_folio *folio, uint64_t *pos,
		       struct netfs_range *ret_range)
{
	if (build->inode->core->crypt)
		return netfs_crypt_next(folio, pos, build->limit, ret_range, build->news);
	return netfs_ranges_next(&folio->dirty, *pos, netfs_folio_end(folio), ret_range);
}

/* Fills the request from position pos on.  True: it is full. */
static bool gather(struct build *build, uint64_t pos)
{
	struct netfs_folio *folio = netfs_folio_index_next(&build->inode->folios, pos);

	while (folio) {
		if (sendable(build->inode, folio) &&
		    (build->req->nsegs == 0 || build->req->group == folio->group)) {
			struct netfs_range range;
			uint64_t at = folio->start;

			while (next_range(build, folio, &at, &range)) {
				if (move_range(build, folio, range) || full(build))
					return true;
			}
		}
		folio = netfs_folio_index_next(&build->inode->folios, netfs_folio_end(folio));
	}
	return false;
}

static bool fill(struct build *build)
{
	struct netfs_inode *inode = build->inode;
	struct netfs_range range;

	if (inode->nfrozen && netfs_frozen_take(build->req, &range)) {
		build->first = range.from;
		build->last = range.to;
		return true;
	}
	gather(build, inode->upload_from);
	if (build->req->nsegs == 0 && inode->upload_from)
		gather(build, 0);
	inode->upload_from = build->last;
	return build->req->nsegs > 0;
}

/* Dirty data that waits for older data of another file, which is refused: who
 * flushes must not wait for that. */
static void fail_blocked(struct netfs_inode *inode, struct netfs_news *news)
{
	int err = atomic_load(&inode->core->group_error);

	if (err && inode->dirty && inode->uploading == 0 && netfs_groups_wait(inode->core))
		netfs_flush_fail(inode, err, news);
}

/* One request with what comes next.  False: there is nothing to send, or no
 * way to. */
static bool build_request(struct netfs_inode *inode, struct netfs_news *news)
{
	struct build build = {.inode = inode, .news = news, .limit = UINT64_MAX};
	struct netfs_handle *handle = netfs_inode_handle(inode, true);

	if (!handle) {
		netfs_flush_fail(inode, -EBADF, news);
		return false;
	}
	build.req = netfs_request_new(inode, NETFS_ORIGIN_WRITEBACK, handle);
	if (!build.req) {
		netfs_handle_put(handle); /* the inode's list holds it too */
		return false;
	}
	if (inode->core->crypt)
		build.limit = netfs_crypt_limit(inode, news);
	if (!fill(&build)) {
		netfs_request_abandon(build.req, news);
		return false;
	}
	netfs_request_seal(build.req, build.first, build.last);
	netfs_list_push_back(&news->issue, &build.req->issue);
	return true;
}

/* A request for what comes next of a write.  -ENOMEM, with handle dropped. */
static int through_begin(struct build *build, struct netfs_handle *handle)
{
	build->req = netfs_request_new(build->inode, NETFS_ORIGIN_WRITETHROUGH, handle);
	if (build->req)
		return 0;
	netfs_handle_put(handle); /* the opener holds it too */
	return -ENOMEM;
}

static void through_end(struct build *build, struct netfs_news *news)
{
	if (!build->req)
		return;
	if (build->req->nsegs) {
		netfs_request_seal(build->req, build->first, build->last);
		netfs_list_push_back(&news->issue, &build->req->issue);
	} else {
		netfs_request_abandon(build->req, news);
	}
	build->req = NULL;
}

static bool through_sendable(const struct netfs_inode *inode, struct netfs_folio *folio)
{
	if (folio->writeback || folio->frozen || !netfs_group_is_open(inode->core, folio->group))
		return false;
	/* For the hole that is cut, and for the bytes to come back. */
	return netfs_ranges_reserve(&folio->dirty, 2) == 0;
}

void netfs_upload_through(struct netfs_inode *inode, struct netfs_handle *handle,
			  const struct netfs_range *range, struct netfs_news *news)
{
	struct build build = {.inode = inode};
	struct netfs_folio *folio = netfs_folio_index_next(&inode->folios, range->from);

	for (; folio && folio->start < range->to;
	     folio = netfs_folio_index_next(&inode->folios, netfs_folio_end(folio))) {
		struct netfs_range part = {
			.from = range->from > folio->start ? range->from : folio->start,
			.to = range->to < netfs_folio_end(folio) ? range->to
								 : netfs_folio_end(folio),
		};

		if (!through_sendable(inode, folio))
			continue;
		if (build.req && (full(&build) || build.req->group != folio->group))
			through_end(&build, news);
		if (!build.req && through_begin(&build, netfs_handle_get(handle)))
			break;
		if (move_range(&build, folio, part))
			break;
	}
	through_end(&build, news);
	/* What was refused does not count twice where it was written again. */
	netfs_inode_unstick(inode, inode->dirty);
	netfs_handle_put(handle);
}

static bool blocked(const struct netfs_inode *inode)
{
	return inode->gate.inside && inode->gate.class == NETFS_GATE_EXCLUSIVE &&
	       !inode->upload_locked;
}

void netfs_inode_unstick(struct netfs_inode *inode, uint64_t most)
{
	struct netfs_core *core = inode->core;
	uint64_t less;

	if (inode->stuck <= most)
		return;
	less = inode->stuck - most;
	inode->stuck = most;
	atomic_fetch_sub_explicit(&core->stuck, less, memory_order_relaxed);
	netfs_budget_stuck(core->budget, 0, less);
}

void netfs_upload_some(struct netfs_inode *inode, struct netfs_news *news)
{
	struct netfs_core *core = inode->core;

	netfs_assert_held(&inode->mutex);
	if (atomic_load_explicit(&core->aborted, memory_order_acquire)) {
		netfs_flush_fail(inode, -EIO, news);
		return;
	}
	if (blocked(inode) || (inode->stuck && !inode->upload_all))
		return;
	if (inode->dirty && inode->journal && !netfs_journal_mark(inode->journal))
		return;
	/* What was refused is tried once more. */
	netfs_inode_unstick(inode, 0);
	while (inode->dirty && !inode->stuck && inode->uploading < core->upload_window &&
	       !netfs_crypt_closed(inode)) {
		if (!build_request(inode, news))
			break;
	}
	/* A block of which the rest could not be had is stuck, not what was sent
	 * beside it. */
	netfs_inode_unstick(inode, inode->dirty);
	if (inode->dirty == 0)
		inode->upload_all = false;
	fail_blocked(inode, news);
}

/* Posts the upload task; under the inode's mutex. */
static void post_upload(struct netfs_inode *inode)
{
	if (!atomic_exchange(&inode->upload_posted, true))
		netfs_task_post(&inode->upload_task);
}

static void list_dirty(struct netfs_inode *inode)
{
	struct netfs_core *core = inode->core;

	inode->listed_dirty = true;
	netfs_mutex_lock(&core->wb_mutex);
	inode->dirty_since_ns = netfs_clock_now();
	if (netfs_list_empty(&core->dirty_inodes) && !core->age_armed) {
		core->age_armed = true;
		core->refs++;
		netfs_timer_start(&core->age_timer, core->dirty_age_ns);
	}
	netfs_list_push_back(&core->dirty_inodes, &inode->dirty_link);
	netfs_mutex_unlock(&core->wb_mutex);
}

/* Does a flush wait for bytes that are not on their way? */
static bool flush_wants(const struct netfs_inode *inode)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->flushers) {
		if (!netfs_container_of(link, struct netfs_completion, link)->sent)
			return true;
	}
	return false;
}

void netfs_upload_consider(struct netfs_inode *inode, struct netfs_news *news)
{
	struct netfs_core *core = inode->core;

	if (inode->dirty == 0 && inode->uploading == 0)
		return;
	if (!inode->listed_dirty)
		list_dirty(inode);
	if (flush_wants(inode)) {
		/* What was refused waits for the next flush or the age timer. */
		inode->upload_all = inode->stuck == 0;
		netfs_upload_some(inode, news);
	} else if (inode->dirty >= core->upload_batch || netfs_budget_background(core->budget)) {
		post_upload(inode);
	}
}

/* Asks an inode on the dirty list to send everything.  Holds wb_mutex. */
static void ask(struct netfs_inode *inode)
{
	atomic_store(&inode->upload_asked, true);
	post_upload(inode);
}

void netfs_core_age(struct netfs_task *task)
{
	struct netfs_core *core = netfs_container_of(task, struct netfs_core, age_task);
	uint64_t now = netfs_clock_now();
	struct netfs_list *link;

	netfs_mutex_lock(&core->wb_mutex);
	core->age_armed = false;
	netfs_list_for_each (link, &core->dirty_inodes) {
		struct netfs_inode *inode =
			netfs_container_of(link, struct netfs_inode, dirty_link);

		if (now - inode->dirty_since_ns < core->dirty_age_ns)
			continue;
		inode->dirty_since_ns = now;
		ask(inode);
	}
	if (!netfs_list_empty(&core->dirty_inodes) || netfs_groups_unsynced(core)) {
		core->age_armed = true;
		core->refs++;
		netfs_timer_start(&core->age_timer, core->dirty_age_ns / 4 + AGE_TICK_MIN_NS);
	}
	netfs_mutex_unlock(&core->wb_mutex);
	netfs_core_settle_groups(core);
	netfs_group_poke(core);
	netfs_core_put(core);
}

void netfs_core_kick(struct netfs_core *core, bool all)
{
	struct netfs_list *link;

	netfs_mutex_lock(&core->wb_mutex);
	netfs_list_for_each (link, &core->dirty_inodes) {
		struct netfs_inode *inode =
			netfs_container_of(link, struct netfs_inode, dirty_link);

		if (all)
			atomic_store(&inode->upload_asked, true);
		post_upload(inode);
	}
	netfs_mutex_unlock(&core->wb_mutex);
}

void netfs_core_kick_all(struct netfs_budget *budget)
{
	struct netfs_list *link;

	netfs_mutex_lock(&budget->cores_mutex);
	netfs_list_for_each (link, &budget->cores)
		netfs_core_kick(netfs_container_of(link, struct netfs_core, budget_link), true);
	netfs_mutex_unlock(&budget->cores_mutex);
}
