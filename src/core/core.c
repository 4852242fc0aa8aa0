/* SPDX-License-Identifier: MIT */
/*
 * The engine of one mount: its limits, its list of files, slices the back end
 * had no room for, and the end of it all.
 */
#include <core/core_internal.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <errno.h>

#define UPLOAD_WINDOW_MIN (UINT64_C(4) << 20)
#define UPLOAD_BATCH_MIN  (UINT64_C(256) << 10)
#define DEPTH_DEFAULT	  16

static uint32_t limit(uint32_t asked, uint32_t server)
{
	if (server == 0)
		server = NETFS_FOLIO_MAX / 2;
	return asked && asked < server ? asked : server;
}

/* Pages are the granule of everything anyway, and one folio is enough. */
static uint64_t granule(uint32_t wanted)
{
	if (wanted <= NETFS_PAGE_SIZE || (wanted & (wanted - 1)))
		return 0;
	return wanted < NETFS_FOLIO_MAX ? wanted : NETFS_FOLIO_MAX;
}

static void set_limits(struct netfs_core *core, const struct netfs_core_config *config)
{
	uint32_t depth = config->be->depth ? config->be->depth : DEPTH_DEFAULT;

	core->rsize = limit(config->rsize, config->be->rsize);
	core->wsize = limit(config->wsize, config->be->wsize);
	core->rasize = config->rasize;
	core->granule = granule(config->be->granule);
	core->dirty_age_ns = (uint64_t)config->dirty_age_ms * 1000000;
	core->retry_ns = (uint64_t)config->retry_ms * 1000000;
	core->hard = config->hard;
	core->sync_local = config->sync_local;
	core->upload_window = (uint64_t)core->wsize * depth;
	if (core->upload_window < UPLOAD_WINDOW_MIN)
		core->upload_window = UPLOAD_WINDOW_MIN;
	core->upload_batch = (uint64_t)core->wsize * 4;
	if (core->upload_batch < UPLOAD_BATCH_MIN)
		core->upload_batch = UPLOAD_BATCH_MIN;
	if (core->upload_batch > config->budget->dirty_max / 4)
		core->upload_batch = config->budget->dirty_max / 4;
}

int netfs_core_new(const struct netfs_core_config *config, struct netfs_core **ret_core)
{
	struct netfs_core *core = netfs_zalloc(sizeof(*core));
	struct netfs_budget *budget = config->budget;

	if (!core)
		return -ENOMEM;
	core->budget = budget;
	core->be = config->be;
	core->stats = config->stats;
	core->crypt = config->crypt;
	core->lost = config->lost;
	core->lost_user = config->lost_user;
	core->refs = 1;
	atomic_init(&core->next_id, 1);
	set_limits(core, config);
	netfs_mutex_init(&core->wb_mutex, NETFS_RANK_WRITEBACK);
	netfs_mutex_init(&core->stall_mutex, NETFS_RANK_STALLED);
	netfs_list_init(&core->dirty_inodes);
	netfs_list_init(&core->inodes);
	netfs_mutex_init(&core->living_mutex, NETFS_RANK_OBS);
	netfs_list_init(&core->living);
	netfs_list_init(&core->stalled);
	netfs_mutex_init(&core->group_mutex, NETFS_RANK_GROUP);
	netfs_list_init(&core->group_syncs);
	netfs_task_init(&core->group_task, netfs_group_run);
	netfs_task_init(&core->age_task, netfs_core_age);
	netfs_timer_init(&core->age_timer, &core->age_task);
	netfs_mutex_lock(&budget->cores_mutex);
	netfs_list_push_back(&budget->cores, &core->budget_link);
	atomic_fetch_add_explicit(&core->budget->ncores, 1, memory_order_relaxed);
	netfs_mutex_unlock(&budget->cores_mutex);
	*ret_core = core;
	return 0;
}

void netfs_core_get(struct netfs_core *core)
{
	netfs_mutex_lock(&core->wb_mutex);
	core->refs++;
	netfs_mutex_unlock(&core->wb_mutex);
}

/* The last reference may be the age timer's, whose task was already on its
 * way when the timer was stopped. */
void netfs_core_put(struct netfs_core *core)
{
	uint32_t left;

	netfs_mutex_lock(&core->wb_mutex);
	left = --core->refs;
	netfs_mutex_unlock(&core->wb_mutex);
	if (left)
		return;
	netfs_mutex_done(&core->wb_mutex);
	netfs_mutex_done(&core->stall_mutex);
	netfs_mutex_done(&core->group_mutex);
	netfs_mutex_done(&core->living_mutex);
	netfs_free(core);
}

void netfs_core_free(struct netfs_core *core)
{
	struct netfs_budget *budget;

	if (!core)
		return;
	budget = core->budget;
	netfs_mutex_lock(&budget->cores_mutex);
	netfs_list_remove(&core->budget_link);
	atomic_fetch_sub_explicit(&core->budget->ncores, 1, memory_order_relaxed);
	netfs_mutex_unlock(&budget->cores_mutex);
	netfs_mutex_lock(&core->wb_mutex);
	netfs_assert(netfs_list_empty(&core->inodes));
	netfs_assert(netfs_list_empty(&core->dirty_inodes));
	netfs_assert(netfs_list_empty(&core->stalled));
	netfs_assert(netfs_list_empty(&core->group_syncs));
	if (core->age_armed && netfs_timer_stop(&core->age_timer)) {
		core->age_armed = false;
		core->refs--;
	}
	netfs_mutex_unlock(&core->wb_mutex);
	netfs_core_put(core);
}

/* Those that are refused again join the list anew, behind this round. */
void netfs_core_ready(struct netfs_core *core)
{
	struct netfs_list round, *link;

	netfs_list_init(&round);
	netfs_mutex_lock(&core->stall_mutex);
	core->heard_ready++;
	netfs_list_splice_back(&round, &core->stalled);
	while ((link = netfs_list_pop_front(&round))) {
		netfs_mutex_unlock(&core->stall_mutex);
		/* The list's reference goes to the issuer. */
		netfs_request_issue(netfs_container_of(link, struct netfs_request, stall),
				    NETFS_REF_STALLED);
		netfs_mutex_lock(&core->stall_mutex);
	}
	netfs_mutex_unlock(&core->stall_mutex);
}

/* Has each inode's own task call off what is under way.  An inode that is
 * locked at the moment is tried again; true: there was one. */
static bool abort_inodes(struct netfs_core *core)
{
	struct netfs_list *link;
	bool missed = false;

	netfs_mutex_lock(&core->wb_mutex);
	netfs_list_for_each (link, &core->inodes) {
		struct netfs_inode *inode = netfs_container_of(link, struct netfs_inode, core_link);

		if (atomic_load(&inode->upload_asked))
			continue;
		if (!netfs_mutex_trylock(&inode->mutex)) {
			missed = true;
			continue;
		}
		netfs_inode_ask_abort(inode);
		netfs_mutex_unlock(&inode->mutex);
	}
	netfs_mutex_unlock(&core->wb_mutex);
	return missed;
}

void netfs_core_abort(struct netfs_core *core)
{
	atomic_store_explicit(&core->aborted, true, memory_order_release);
	while (abort_inodes(core))
		;
	netfs_core_ready(core);
	netfs_group_abort(core);
}

uint64_t netfs_core_dirty(struct netfs_core *core)
{
	return atomic_load_explicit(&core->dirty, memory_order_relaxed);
}

uint64_t netfs_core_stuck(struct netfs_core *core)
{
	return atomic_load_explicit(&core->stuck, memory_order_relaxed);
}

uint64_t netfs_core_cached(struct netfs_core *core)
{
	return atomic_load_explicit(&core->cached, memory_order_relaxed);
}

uint64_t netfs_core_requests(struct netfs_core *core)
{
	return atomic_load_explicit(&core->requests, memory_order_relaxed);
}
