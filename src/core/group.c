/* SPDX-License-Identifier: MIT */
/*
 * Groups of writes: epochs of a mount that reach the server in order.
 *
 *	barrier		    barrier
 *	   |  group 1	       |  group 2
 *	---+-------------------+-------------->  writes
 *	   ^ open: all of group 0 is durable; group 1 may be sent
 *
 * core->group is what is being written into, core->group_open what may be sent.
 * They are the same until somebody sets a barrier, and then nothing here costs
 * anything.  A group is over when none of its bytes is left here and the files
 * it went to are durable; then the next one opens and every file with dirty
 * data is told.
 *
 * A folio's dirty bytes are of one group.  A writer that finds an older group's
 * there freezes them: they leave the folio's dirty set with a reference to the
 * block as it is, so that both versions arrive, in order.  Frozen bytes are
 * uploaded by requests of their own, one folio each, before anything newer of
 * the folio.  Encrypted files have no frozen bytes: there the writer waits, see
 * crypt_group.c.
 *
 * Files that must be made durable are put in line one by one; the file is busy
 * until that happened.  Whether a barrier will come is not known when a file's
 * data arrives, so a mount that ever saw one gets another with each turn of the
 * age timer for as long as files are in line.  Where making durable fails it is
 * tried again, because opening the next group would break the promise; but a
 * flush that waits for it is told.
 */
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <errno.h>

/* Bytes of a folio, as they were when a newer group wrote to it. */
struct netfs_frozen {
	struct netfs_list link; /* inode->frozen, oldest first */
	struct netfs_folio *folio; /* a reference */
	struct netfs_block *block; /* a reference */
	struct netfs_ranges dirty; /* what is not at the server */
	uint32_t group;
	bool taken; /* a request uploads it */
};

static _Atomic uint64_t *bytes_of(struct netfs_core *core, uint32_t group)
{
	return &core->group_bytes[group % NETFS_GROUPS_MAX];
}

bool netfs_groups_wait(const struct netfs_core *core)
{
	return atomic_load_explicit(&core->group, memory_order_acquire) !=
	       atomic_load_explicit(&core->group_open, memory_order_acquire);
}

bool netfs_group_is_open(const struct netfs_core *core, uint32_t group)
{
	uint32_t open = atomic_load_explicit(&core->group_open, memory_order_acquire);

	return (int32_t)(group - open) <= 0;
}

/* --------------------------------------------------------- the order */

/* The next file to make durable; NULL: none, and *ret_opened says whether newer
 * groups may be sent now. */
static struct netfs_inode *next_step(struct netfs_core *core, bool *ret_opened)
{
	struct netfs_inode *inode = NULL;

	netfs_mutex_lock(&core->group_mutex);
	while (netfs_groups_wait(core) && !core->group_syncing) {
		uint32_t open = atomic_load(&core->group_open);
		struct netfs_list *link;

		if (atomic_load(bytes_of(core, open)))
			break;
		link = netfs_list_pop_front(&core->group_syncs);
		if (link) {
			inode = netfs_container_of(link, struct netfs_inode, sync_link);
			core->group_syncing = inode;
			break;
		}
		atomic_store(&core->group_open, open + 1);
		atomic_store(&core->group_error, 0);
		*ret_opened = true;
	}
	netfs_mutex_unlock(&core->group_mutex);
	return inode;
}

static void advance(struct netfs_core *core)
{
	bool opened = false;
	struct netfs_inode *inode = next_step(core, &opened);

	if (opened)
		netfs_core_kick(core, true);
	if (!inode)
		return;
	core->group_op = (struct netfs_op){.done = netfs_group_synced};
	if (atomic_load_explicit(&core->aborted, memory_order_acquire))
		netfs_group_synced(&core->group_op, -EIO);
	else
		core->be->ops->fsync(inode->sync_handle, true, &core->group_op);
}

void netfs_group_abort(struct netfs_core *core)
{
	bool syncing;

	netfs_mutex_lock(&core->group_mutex);
	syncing = core->group_syncing;
	netfs_mutex_unlock(&core->group_mutex);
	if (syncing)
		core->be->ops->op_cancel(core->be, &core->group_op);
	netfs_core_settle_groups(core);
	netfs_group_poke(core);
}

/* The file need not be kept any more. */
static void release(struct netfs_inode *inode, struct netfs_handle *handle)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	inode->sync_waits = false;
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
	netfs_handle_put(handle);
}

void netfs_group_synced(struct netfs_op *op, int err)
{
	struct netfs_core *core = netfs_container_of(op, struct netfs_core, group_op);
	bool aborted = atomic_load_explicit(&core->aborted, memory_order_acquire);
	struct netfs_handle *handle;
	struct netfs_inode *inode;

	netfs_mutex_lock(&core->group_mutex);
	inode = core->group_syncing;
	core->group_syncing = NULL;
	handle = inode->sync_handle;
	/* A file that is gone has nothing to lose. */
	if (err && err != -ESTALE && !aborted) {
		netfs_list_push_front(&core->group_syncs, &inode->sync_link);
		atomic_store(&core->group_error, err);
	} else {
		err = 0;
		inode->sync_handle = NULL;
	}
	netfs_mutex_unlock(&core->group_mutex);
	if (err) {
		/* Tried again by the age timer. */
		netfs_core_kick(core, false);
		return;
	}
	netfs_group_poke(core);
	release(inode, handle);
}

void netfs_group_run(struct netfs_task *task)
{
	struct netfs_core *core = netfs_container_of(task, struct netfs_core, group_task);

	atomic_store(&core->group_posted, false);
	advance(core);
	netfs_core_put(core);
}

void netfs_group_poke(struct netfs_core *core)
{
	if (!netfs_groups_wait(core) || atomic_exchange(&core->group_posted, true))
		return;
	netfs_core_get(core);
	netfs_task_post(&core->group_task);
}

int netfs_core_barrier(struct netfs_core *core)
{
	int err = 0;

	netfs_mutex_lock(&core->group_mutex);
	if (atomic_load(&core->group) - atomic_load(&core->group_open) >= NETFS_GROUPS_MAX - 1)
		err = -EBUSY;
	else
		atomic_fetch_add(&core->group, 1);
	netfs_mutex_unlock(&core->group_mutex);
	if (!err)
		netfs_group_poke(core);
	return err;
}

bool netfs_groups_unsynced(struct netfs_core *core)
{
	bool unsynced;

	netfs_mutex_lock(&core->group_mutex);
	unsynced = !netfs_list_empty(&core->group_syncs) || core->group_syncing;
	netfs_mutex_unlock(&core->group_mutex);
	return unsynced;
}

void netfs_core_settle_groups(struct netfs_core *core)
{
	if (netfs_groups_unsynced(core) && !netfs_groups_wait(core))
		netfs_core_barrier(core);
}

/* ---------------------------------------------------------- counting */

void netfs_inode_dirtied(struct netfs_inode *inode, uint32_t group, uint64_t bytes)
{
	struct netfs_core *core = inode->core;

	if (bytes == 0)
		return;
	inode->dirty += bytes;
	atomic_fetch_add_explicit(&core->dirty, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(bytes_of(core, group), bytes, memory_order_relaxed);
	netfs_budget_dirtied(core->budget, bytes);
}

void netfs_inode_cleaned(struct netfs_inode *inode, uint32_t group, uint64_t bytes)
{
	struct netfs_core *core = inode->core;
	uint64_t before;

	if (bytes == 0)
		return;
	atomic_fetch_sub_explicit(&core->dirty, bytes, memory_order_relaxed);
	before = atomic_fetch_sub(bytes_of(core, group), bytes);
	netfs_assert(before >= bytes);
	netfs_budget_cleaned(core->budget, bytes);
	if (before == bytes)
		netfs_group_poke(core);
}

void netfs_group_uploaded(struct netfs_request *req)
{
	struct netfs_inode *inode = req->inode;
	struct netfs_core *core = inode->core;

	if (inode->sync_waits || atomic_load_explicit(&core->group, memory_order_acquire) == 0 ||
	    (core->be->caps & NETFS_BE_STABLE_WRITES))
		return;
	inode->sync_waits = true;
	netfs_mutex_lock(&core->group_mutex);
	inode->sync_handle = netfs_handle_get(req->handle);
	netfs_list_push_back(&core->group_syncs, &inode->sync_link);
	netfs_mutex_unlock(&core->group_mutex);
}

/* ----------------------------------------------------------- freezing */

static void frozen_free(struct netfs_inode *inode, struct netfs_frozen *frozen)
{
	netfs_list_remove(&frozen->link);
	inode->nfrozen--;
	frozen->folio->frozen--;
	netfs_write_drop_stale(frozen->folio);
	netfs_block_put(frozen->block);
	netfs_folio_put(frozen->folio);
	netfs_ranges_done(&frozen->dirty);
	netfs_free(frozen);
}

static struct netfs_frozen *frozen_new(struct netfs_folio *folio, struct netfs_block *block,
				       uint32_t group)
{
	struct netfs_frozen *frozen = netfs_zalloc(sizeof(*frozen));

	if (!frozen)
		return NULL;
	folio->refs++;
	folio->frozen++;
	folio->inode->nfrozen++;
	frozen->folio = folio;
	frozen->block = netfs_block_get(block);
	frozen->group = group;
	netfs_ranges_init(&frozen->dirty);
	netfs_list_init(&frozen->link);
	return frozen;
}

int netfs_group_write(struct netfs_folio *folio)
{
	struct netfs_inode *inode = folio->inode;
	uint32_t group = atomic_load_explicit(&inode->core->group, memory_order_acquire);
	struct netfs_frozen *frozen;

	if (inode->core->crypt) {
		netfs_crypt_join(folio);
		return 0;
	}
	if (!netfs_ranges_empty(&folio->dirty) && folio->group != group) {
		frozen = frozen_new(folio, folio->block, folio->group);
		if (!frozen)
			return -ENOMEM;
		/* The set moves as it is. */
		frozen->dirty = folio->dirty;
		netfs_ranges_init(&folio->dirty);
		netfs_list_push_back(&inode->frozen, &frozen->link);
		netfs_count(inode->core->stats, group_frozen);
	}
	folio->group = group;
	return 0;
}

bool netfs_group_return(struct netfs_request *req, struct netfs_seg *seg, uint64_t from,
			uint64_t to)
{
	struct netfs_frozen *frozen;

	if (req->frozen)
		return true;
	if (req->group == seg->folio->group || netfs_ranges_empty(&seg->folio->dirty)) {
		seg->folio->group = req->group;
		return false;
	}
	frozen = frozen_new(seg->folio, seg->block, req->group);
	if (!frozen)
		return false;
	/* One range in the set's own memory: this cannot fail. */
	netfs_ranges_add(&frozen->dirty, from, to);
	netfs_list_push_front(&req->inode->frozen, &frozen->link);
	return true;
}

bool netfs_group_settled(struct netfs_request *req, uint64_t from, uint64_t to)
{
	/* Mostly in file order, which cuts off the front and needs no memory. */
	return !req->frozen || netfs_ranges_remove(&req->frozen->dirty, from, to) == 0;
}

uint64_t netfs_frozen_forget(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	struct netfs_list *link, *tmp;
	uint64_t bytes = 0;

	netfs_list_for_each_safe (link, tmp, &inode->frozen) {
		struct netfs_frozen *frozen = netfs_container_of(link, struct netfs_frozen, link);
		uint64_t before = netfs_ranges_bytes(&frozen->dirty), less;

		if (frozen->taken)
			continue;
		/* Without memory to cut a hole it is sent after all. */
		netfs_ranges_remove(&frozen->dirty, from, to);
		less = before - netfs_ranges_bytes(&frozen->dirty);
		netfs_inode_cleaned(inode, frozen->group, less);
		bytes += less;
		if (netfs_ranges_empty(&frozen->dirty))
			frozen_free(inode, frozen);
	}
	return bytes;
}

int netfs_frozen_each(struct netfs_inode *inode, const struct netfs_range *clip,
		      int (*fn)(struct netfs_completion *done, uint64_t from, uint64_t to,
				const struct netfs_range *clip),
		      struct netfs_completion *done)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->frozen) {
		struct netfs_frozen *frozen = netfs_container_of(link, struct netfs_frozen, link);

		for (uint32_t i = 0; i < netfs_ranges_count(&frozen->dirty) && !frozen->taken;
		     i++) {
			const struct netfs_range range = netfs_ranges_at(&frozen->dirty, i);
			int err = fn(done, range.from, range.to, clip);

			if (err)
				return err;
		}
	}
	return 0;
}

/* Cuts range before what of folio is frozen and not req's own; where it begins
 * with that, *ret_skip is where that ends. */
static bool cut_frozen(const struct netfs_request *req, const struct netfs_folio *folio,
		       struct netfs_range *range, uint64_t *ret_skip)
{
	struct netfs_list *link;
	struct netfs_range newer;

	netfs_list_for_each (link, &req->inode->frozen) {
		struct netfs_frozen *frozen = netfs_container_of(link, struct netfs_frozen, link);

		if (frozen == req->frozen || frozen->folio != folio ||
		    !netfs_ranges_next(&frozen->dirty, range->from, range->to, &newer))
			continue;
		if (newer.from == range->from) {
			*ret_skip = newer.to;
			return false;
		}
		range->to = newer.from;
	}
	return true;
}

bool netfs_group_next_newest(const struct netfs_request *req, const struct netfs_folio *folio,
			     const struct netfs_range *range, struct netfs_range *ret_range)
{
	uint64_t pos = range->from;

	while (netfs_ranges_next_gap(&folio->dirty, pos, range->to, ret_range)) {
		if (folio->frozen == 0 || cut_frozen(req, folio, ret_range, &pos))
			return true;
	}
	return false;
}

static struct netfs_frozen *first_sendable(const struct netfs_inode *inode)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->frozen) {
		struct netfs_frozen *frozen = netfs_container_of(link, struct netfs_frozen, link);

		if (!frozen->taken && frozen->folio->writeback == 0 &&
		    netfs_group_is_open(inode->core, frozen->group))
			return frozen;
	}
	return NULL;
}

bool netfs_frozen_take(struct netfs_request *req, struct netfs_range *ret_range)
{
	struct netfs_inode *inode = req->inode;
	struct netfs_frozen *frozen = first_sendable(inode);

	if (!frozen)
		return false;
	for (uint32_t i = 0; i < netfs_ranges_count(&frozen->dirty); i++) {
		const struct netfs_range range = netfs_ranges_at(&frozen->dirty, i);

		if (netfs_request_add(req, frozen->folio, range.from, range.to))
			break;
		netfs_block_put(req->segs[i].block);
		req->segs[i].block = netfs_block_get(frozen->block);
		frozen->folio->writeback++;
		inode->dirty -= range.to - range.from;
		inode->uploading += range.to - range.from;
		netfs_inode_not_zero(inode, range.from, range.to);
		ret_range->to = range.to;
	}
	if (req->nsegs == 0)
		return false;
	frozen->taken = true;
	req->frozen = frozen;
	req->group = frozen->group;
	/* What a flush waits for may be newer. */
	req->seq = 0;
	ret_range->from = req->segs[0].from;
	return true;
}

void netfs_frozen_finish(struct netfs_request *req)
{
	struct netfs_frozen *frozen = req->frozen;

	if (!frozen)
		return;
	req->frozen = NULL;
	frozen->taken = false;
	if (netfs_ranges_empty(&frozen->dirty))
		frozen_free(req->inode, frozen);
}
