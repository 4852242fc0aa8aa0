/* SPDX-License-Identifier: MIT */
/*
 * The per-file context: birth and end, handles, busy and idle, the view that
 * the layer above takes of it, and write-back errors.
 *
 * An inode is busy while data is dirty or under upload, a request object of it
 * lives, or one of its tasks is queued.  The layer above holds a reference for
 * that time, so no task and no request ever meets an inode that is gone.
 */
#include <core/core_internal.h>
#include <core/folio.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <errno.h>
#include <journal/journal.h>

/* Calls off every request.  The mutex is dropped for each. */
static void abort_requests(struct netfs_inode *inode, struct netfs_news *news)
{
	struct netfs_list *link = inode->requests.next;

	while (link != &inode->requests) {
		struct netfs_request *req = netfs_container_of(link, struct netfs_request, link);

		link = link->next;
		if (netfs_request_failed(req))
			continue;
		netfs_request_get(req, NETFS_REF_CANCELLER);
		netfs_request_cancel(req, -EIO);
		netfs_request_put(req, NETFS_REF_CANCELLER, news);
		link = inode->requests.next;
	}
}

void netfs_inode_ask_abort(struct netfs_inode *inode)
{
	if (!inode->busy)
		return;
	atomic_store(&inode->upload_asked, true);
	if (!atomic_exchange(&inode->upload_posted, true))
		netfs_task_post(&inode->upload_task);
}

static void upload_run(struct netfs_task *task)
{
	struct netfs_inode *inode = netfs_container_of(task, struct netfs_inode, upload_task);
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	atomic_store(&inode->upload_posted, false);
	if (atomic_exchange(&inode->upload_asked, false))
		inode->upload_all = true;
	if (atomic_load_explicit(&inode->core->aborted, memory_order_acquire))
		abort_requests(inode, &news);
	netfs_upload_some(inode, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

static void init_lists(struct netfs_inode *inode)
{
	netfs_list_init(&inode->handles);
	netfs_list_init(&inode->readers);
	netfs_list_init(&inode->flushers);
	netfs_list_init(&inode->requests);
	netfs_list_init(&inode->lockers);
	netfs_list_init(&inode->collect);
	netfs_list_init(&inode->core_link);
	netfs_list_init(&inode->dirty_link);
	netfs_list_init(&inode->frozen);
	netfs_list_init(&inode->sync_link);
}

void netfs_inode_init(struct netfs_inode *inode, struct netfs_core *core,
		      const struct netfs_inode_ops *ops, uint64_t server_size, bool created)
{
	*inode = (struct netfs_inode){.core = core, .ops = ops};
	netfs_mutex_init(&inode->mutex, NETFS_RANK_FILE);
	netfs_ranges_init(&inode->zero);
	netfs_ranges_init(&inode->crypt_fresh);
	netfs_folio_index_init(&inode->folios);
	netfs_gate_init(&inode->gate);
	init_lists(inode);
	netfs_task_init(&inode->upload_task, upload_run);
	netfs_task_init(&inode->collect_task, netfs_collect_run);
	inode->size = server_size;
	inode->remote_size = server_size;
	/* One range in the set's own memory: this cannot fail. */
	netfs_ranges_add(&inode->zero, created ? 0 : server_size, UINT64_MAX);
	netfs_mutex_lock(&core->wb_mutex);
	netfs_list_push_back(&core->inodes, &inode->core_link);
	netfs_mutex_unlock(&core->wb_mutex);
}

void netfs_inode_done(struct netfs_inode *inode)
{
	struct netfs_folio *folio;

	netfs_mutex_lock(&inode->mutex);
	netfs_assert(!inode->busy && inode->nrequests == 0);
	netfs_assert(inode->dirty == 0 && inode->uploading == 0);
	netfs_assert(netfs_list_empty(&inode->handles) && netfs_list_empty(&inode->readers));
	netfs_assert(inode->gate.inside == 0);
	netfs_assert(netfs_list_empty(&inode->frozen));
	while ((folio = netfs_folio_index_next(&inode->folios, 0)))
		netfs_folio_remove(folio);
	netfs_mutex_unlock(&inode->mutex);
	netfs_mutex_lock(&inode->core->wb_mutex);
	netfs_list_remove(&inode->core_link);
	netfs_mutex_unlock(&inode->core->wb_mutex);
	netfs_ranges_done(&inode->zero);
	netfs_ranges_done(&inode->crypt_fresh);
	netfs_mutex_done(&inode->mutex);
}

/* ----------------------------------------------------- busy and idle */

/* Takes a clean inode out of the dirty ones; after that nobody posts its
 * upload task without the inode's mutex. */
static void leave_dirty_list(struct netfs_inode *inode)
{
	netfs_mutex_lock(&inode->core->wb_mutex);
	netfs_list_remove(&inode->dirty_link);
	netfs_mutex_unlock(&inode->core->wb_mutex);
}

/* Is a handle needed although nobody has the file open? */
static bool needs_writer(const struct netfs_inode *inode)
{
	return inode->dirty || inode->uploading ||
	       (inode->journal && netfs_journal_live(inode->journal));
}

static void drop_kept_handles(struct netfs_inode *inode, struct netfs_news *news)
{
	struct netfs_list *link, *tmp;

	netfs_list_for_each_safe (link, tmp, &inode->handles) {
		struct netfs_file_ref *ref = netfs_container_of(link, struct netfs_file_ref, link);

		if (ref->openers)
			continue;
		netfs_list_remove(&ref->link);
		netfs_list_push_back(&news->handles, &ref->link);
	}
}

void netfs_inode_drop_kept(struct netfs_inode *inode, struct netfs_news *news)
{
	if (!needs_writer(inode))
		drop_kept_handles(inode, news);
}

void netfs_inode_settle(struct netfs_inode *inode, struct netfs_news *news)
{
	bool clean = inode->dirty == 0 && inode->uploading == 0;
	bool busy;

	if (clean && inode->listed_dirty) {
		inode->listed_dirty = false;
		inode->upload_all = false;
		leave_dirty_list(inode);
		netfs_inode_drop_kept(inode, news);
	}
	busy = !clean || inode->nrequests || inode->collect_posted || inode->sync_waits ||
	       atomic_load(&inode->upload_posted) ||
	       (inode->journal && netfs_journal_live(inode->journal));
	if (busy && !inode->busy) {
		inode->busy = true;
		inode->ops->busy(inode);
	} else if (!busy && inode->busy) {
		inode->busy = false;
		news->idle = true;
	}
}

void netfs_inode_check_quiet(struct netfs_inode *inode, struct netfs_news *news)
{
	struct netfs_list *link;

	if (inode->downloads || inode->uploads)
		return;
	while ((link = netfs_list_pop_front(&inode->lockers)))
		netfs_list_push_back(&news->done, link);
}

void netfs_note_gate(struct netfs_inode *inode, const struct netfs_gate_wait *wait, uint64_t start,
		     uint64_t len)
{
	netfs_count(inode->core->stats, gate_waits);
	netfs_trace_file(gate_wait, inode, start, start + len, netfs_trace_gate(wait->class));
}

/* ---------------------------------------------------------- handles */

int netfs_inode_attach_handle(struct netfs_inode *inode, struct netfs_handle *handle)
{
	struct netfs_file_ref *ref = netfs_zalloc(sizeof(*ref));

	if (!ref)
		return -ENOMEM;
	ref->handle = netfs_handle_get(handle);
	ref->openers = 1;
	netfs_mutex_lock(&inode->mutex);
	netfs_list_push_front(&inode->handles, &ref->link);
	netfs_mutex_unlock(&inode->mutex);
	return 0;
}

static bool another_writer(struct netfs_inode *inode, const struct netfs_file_ref *but)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->handles) {
		struct netfs_file_ref *ref = netfs_container_of(link, struct netfs_file_ref, link);

		if (ref != but && ref->handle->writable)
			return true;
	}
	return false;
}

void netfs_inode_detach_handle(struct netfs_inode *inode, struct netfs_handle *handle)
{
	struct netfs_file_ref *ref = NULL;
	struct netfs_news news;
	struct netfs_list *link;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_list_for_each (link, &inode->handles) {
		ref = netfs_container_of(link, struct netfs_file_ref, link);
		if (ref->handle == handle && ref->openers)
			break;
		ref = NULL;
	}
	netfs_assert(ref);
	ref->openers = 0;
	if (!handle->writable || !needs_writer(inode) || another_writer(inode, ref)) {
		netfs_list_remove(&ref->link);
		netfs_list_push_back(&news.handles, &ref->link);
	}
	netfs_news_unlock(&news, inode);
}

struct netfs_handle *netfs_inode_handle(struct netfs_inode *inode, bool write)
{
	struct netfs_handle *found = NULL;
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->handles) {
		struct netfs_handle *handle =
			netfs_container_of(link, struct netfs_file_ref, link)->handle;

		if (!(write ? handle->writable : handle->readable))
			continue;
		/* A dead one only tells why it is. */
		if (!netfs_handle_dead(handle))
			return netfs_handle_get(handle);
		found = handle;
	}
	return found ? netfs_handle_get(found) : NULL;
}

/* ------------------------------------------------------ view, errors */

void netfs_inode_view(struct netfs_inode *inode, struct netfs_inode_view *ret_view)
{
	netfs_mutex_lock(&inode->mutex);
	ret_view->size = inode->size;
	ret_view->remote_size = inode->remote_size;
	ret_view->seq = inode->seq;
	ret_view->mtime_ns = inode->mtime_ns;
	ret_view->dirty = inode->dirty || inode->uploading;
	ret_view->cached = inode->folios.count > 0;
	netfs_mutex_unlock(&inode->mutex);
}

uint32_t netfs_inode_error_sample(struct netfs_inode *inode)
{
	uint32_t seq;

	netfs_mutex_lock(&inode->mutex);
	seq = inode->wb_error_seq;
	netfs_mutex_unlock(&inode->mutex);
	return seq;
}

int netfs_inode_error_check(struct netfs_inode *inode, uint32_t *since)
{
	int err = 0;

	netfs_mutex_lock(&inode->mutex);
	if (*since != inode->wb_error_seq) {
		*since = inode->wb_error_seq;
		err = inode->wb_error;
	}
	netfs_mutex_unlock(&inode->mutex);
	return err;
}

void netfs_inode_set_cookie(struct netfs_inode *inode, struct netfs_cookie *cookie)
{
	netfs_mutex_lock(&inode->mutex);
	netfs_assert(netfs_list_empty(&inode->requests));
	inode->cookie = cookie;
	netfs_mutex_unlock(&inode->mutex);
}

/* Adds the unsent data of folio to the list; returns the new count. */
static unsigned list_dirty(const struct netfs_folio *folio, struct netfs_range *ranges,
			   unsigned count, unsigned max)
{
	for (uint32_t i = 0; i < netfs_ranges_count(&folio->dirty); i++) {
		const struct netfs_range range = netfs_ranges_at(&folio->dirty, i);

		if (count && ranges[count - 1].to == range.from)
			ranges[count - 1].to = range.to;
		else if (count < max)
			ranges[count++] = range;
	}
	return count;
}

unsigned netfs_inode_stuck(struct netfs_inode *inode, struct netfs_range *ranges, unsigned max)
{
	struct netfs_folio *folio = NULL;
	unsigned count = 0;

	netfs_mutex_lock(&inode->mutex);
	if (inode->stuck)
		folio = netfs_folio_index_next(&inode->folios, 0);
	while (folio) {
		count = list_dirty(folio, ranges, count, max);
		folio = netfs_folio_index_next(&inode->folios, netfs_folio_end(folio));
	}
	netfs_mutex_unlock(&inode->mutex);
	return count;
}

void netfs_opener_init(struct netfs_opener *opener, struct netfs_handle *handle, unsigned flags)
{
	*opener = (struct netfs_opener){.handle = handle, .flags = flags};
}

bool netfs_io_enter(struct netfs_io *io, enum netfs_gate_class class)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	bool patient = !(io->flags & NETFS_IO_NOWAIT), inside;

	netfs_mutex_lock(&inode->mutex);
	inside = patient ? netfs_gate_enter(&inode->gate, class, &state->gate)
			 : netfs_gate_try(&inode->gate, class);
	if (inside)
		return true;
	if (patient)
		netfs_note_gate(inode, &state->gate, io->start, io->len);
	netfs_mutex_unlock(&inode->mutex);
	if (!patient)
		netfs_io_complete(io, -EAGAIN);
	return false;
}

void netfs_io_complete(struct netfs_io *io, ssize_t result)
{
	netfs_assert_nothing_held();
	netfs_through_put(netfs_io_state(io)->through);
	netfs_journaled_free(netfs_io_state(io)->journaled);
	io->done(io, result);
}
