/* SPDX-License-Identifier: MIT */
/*
 * The memory budget: accounting, eviction, throttling of writers.
 *
 * Eviction is SIEVE: new folios enter at the head of one queue and never move;
 * a hand walks from the tail to the head, forgives what was used since it came
 * by last, and drops the rest.  One pass of a big reader therefore cannot push
 * out what is used again and again.
 *
 *	head (new)  F5 F4 F3 F2 F1  tail (old)
 *	                  ^ hand, moving left
 *
 * What came from the disk cache has a queue of its own, and more than CHEAP_MAX of it
 * is not kept: it is in the kernel's memory already, as the cache's file and mostly
 * as pages of the mount, and memory that is used again at once costs less than the
 * kernel's clearing of new memory.  The oldest goes first.
 *
 * Whole objects (object.c) go before any folio but those.
 *
 * Locks: the queue's mutex nests inside the mutex of the file that asks for
 * memory.  Victims are other files' folios, so their mutex is only tried; a
 * file that is busy right now keeps its folios for this round.  A file leaves
 * the queue (netfs_inode_done) under both locks, so a folio found in the queue
 * belongs to a living file as long as the queue's mutex is held.
 */
#include <core/budget.h>
#include <core/core.h>
#include <core/core_internal.h>
#include <core/folio.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <errno.h>

/* How far the hand goes for one charge before it gives up. */
#define SCAN_MAX 256
/* Bytes kept of what the disk cache has: some windows of read-ahead. */
#define CHEAP_MAX (UINT64_C(64) << 20)

int netfs_budget_new(uint64_t memory_max, uint64_t dirty_max, struct netfs_budget **ret_budget)
{
	struct netfs_budget *budget = netfs_zalloc(sizeof(*budget));

	if (!budget)
		return -ENOMEM;
	budget->memory_max = memory_max;
	budget->dirty_max = dirty_max;
	budget->cheap_max = memory_max / 4 < CHEAP_MAX ? memory_max / 4 : CHEAP_MAX;
	atomic_init(&budget->used, 0);
	atomic_init(&budget->cheap_bytes, 0);
	atomic_init(&budget->dirty, 0);
	atomic_init(&budget->stuck, 0);
	netfs_mutex_init(&budget->mutex, NETFS_RANK_BUDGET);
	netfs_mutex_init(&budget->dirty_mutex, NETFS_RANK_WRITEBACK);
	netfs_mutex_init(&budget->cores_mutex, NETFS_RANK_CORES);
	netfs_list_init(&budget->queue);
	netfs_list_init(&budget->cheap);
	netfs_list_init(&budget->objects);
	netfs_list_init(&budget->throttled);
	netfs_list_init(&budget->cores);
	*ret_budget = budget;
	return 0;
}

void netfs_budget_free(struct netfs_budget *budget)
{
	if (!budget)
		return;
	netfs_assert(netfs_list_empty(&budget->cores));
	netfs_assert(netfs_list_empty(&budget->queue) && netfs_list_empty(&budget->cheap));
	netfs_assert(budget->object_bytes == 0);
	netfs_assert(netfs_list_empty(&budget->throttled));
	netfs_assert(atomic_load(&budget->used) == 0);
	netfs_mutex_done(&budget->mutex);
	netfs_mutex_done(&budget->dirty_mutex);
	netfs_mutex_done(&budget->cores_mutex);
	netfs_free(budget);
}

uint64_t netfs_budget_used(struct netfs_budget *budget)
{
	return atomic_load_explicit(&budget->used, memory_order_relaxed);
}

/* ---------------------------------------------------------- eviction */

static void unlink_locked(struct netfs_budget *budget, struct netfs_folio *folio)
{
	if (budget->hand == &folio->queue)
		budget->hand = folio->queue.prev;
	netfs_list_remove(&folio->queue);
	budget->queued--;
	if (folio->cheap)
		atomic_fetch_sub_explicit(&budget->cheap_bytes, folio->size, memory_order_relaxed);
	folio->cheap = false;
}

void netfs_budget_enqueue(struct netfs_budget *budget, struct netfs_folio *folio)
{
	netfs_mutex_lock(&budget->mutex);
	netfs_list_push_front(&budget->queue, &folio->queue);
	budget->queued++;
	netfs_mutex_unlock(&budget->mutex);
}

void netfs_budget_dequeue(struct netfs_budget *budget, struct netfs_folio *folio)
{
	netfs_mutex_lock(&budget->mutex);
	if (!netfs_list_empty(&folio->queue))
		unlink_locked(budget, folio);
	netfs_mutex_unlock(&budget->mutex);
}

void netfs_budget_cheapen(struct netfs_budget *budget, struct netfs_folio *folio)
{
	netfs_mutex_lock(&budget->mutex);
	if (!netfs_list_empty(&folio->queue) && !folio->cheap) {
		unlink_locked(budget, folio);
		netfs_list_push_front(&budget->cheap, &folio->queue);
		budget->queued++;
		folio->cheap = true;
		atomic_fetch_add_explicit(&budget->cheap_bytes, folio->size, memory_order_relaxed);
	}
	netfs_mutex_unlock(&budget->mutex);
}

/* Drops folio if nobody needs it.  Holds the queue's mutex and the file's. */
static bool evict_locked(struct netfs_budget *budget, struct netfs_folio *folio)
{
	struct netfs_inode *inode = folio->inode;

	if (!netfs_folio_idle(folio))
		return false;
	if (folio->start < inode->keep_to && inode->keep_from < netfs_folio_end(folio))
		return false;
	netfs_trace_folio(folio_evict, folio, folio->start, netfs_folio_end(folio), 0);
	unlink_locked(budget, folio);
	netfs_folio_index_remove(&inode->folios, folio);
	folio->indexed = false;
	atomic_fetch_sub_explicit(&inode->core->cached, folio->size, memory_order_relaxed);
	netfs_count(inode->core->stats, folio_evicted);
	netfs_pace_unused(folio, true);
	netfs_folio_put(folio);
	return true;
}

/* The same, where the mutex of one file is held already. */
static bool try_locked(struct netfs_budget *budget, struct netfs_folio *folio,
		       struct netfs_inode *held)
{
	struct netfs_inode *inode = folio->inode;
	bool freed;

	if (inode == held)
		return evict_locked(budget, folio);
	if (!netfs_mutex_trylock(&inode->mutex))
		return false;
	freed = evict_locked(budget, folio);
	netfs_mutex_unlock(&inode->mutex);
	return freed;
}

/* One step of the hand. */
static void sweep_locked(struct netfs_budget *budget, struct netfs_inode *held)
{
	struct netfs_folio *folio;

	if (!budget->hand || budget->hand == &budget->queue)
		budget->hand = budget->queue.prev;
	folio = netfs_container_of(budget->hand, struct netfs_folio, queue);
	budget->hand = budget->hand->prev;
	if (!atomic_exchange_explicit(&folio->visited, false, memory_order_relaxed))
		try_locked(budget, folio, held);
}

/* The oldest cheap one goes, or is the newest where somebody needs it. */
static void sweep_cheap_locked(struct netfs_budget *budget, struct netfs_inode *held)
{
	struct netfs_list *last = budget->cheap.prev;
	struct netfs_folio *folio = netfs_container_of(last, struct netfs_folio, queue);

	if (try_locked(budget, folio, held))
		return;
	netfs_list_remove(last);
	netfs_list_push_front(&budget->cheap, last);
}

static bool is_over(struct netfs_budget *budget)
{
	return netfs_budget_used(budget) > budget->memory_max;
}

static bool is_cheap_over(struct netfs_budget *budget)
{
	return atomic_load_explicit(&budget->cheap_bytes, memory_order_relaxed) > budget->cheap_max;
}

static void make_room(struct netfs_budget *budget, struct netfs_inode *held)
{
	unsigned steps = 0;

	netfs_mutex_lock(&budget->mutex);
	while ((is_over(budget) || is_cheap_over(budget)) && steps++ < SCAN_MAX &&
	       !netfs_list_empty(&budget->cheap))
		sweep_cheap_locked(budget, held);
	while (is_over(budget) && netfs_budget_drop_object(budget))
		;
	steps = 0;
	while (is_over(budget) && steps++ < SCAN_MAX && !netfs_list_empty(&budget->queue))
		sweep_locked(budget, held);
	netfs_mutex_unlock(&budget->mutex);
}

bool netfs_budget_charge(struct netfs_budget *budget, uint64_t size, struct netfs_inode *held,
			 bool must)
{
	uint64_t used = atomic_fetch_add_explicit(&budget->used, size, memory_order_relaxed);

	if (used + size <= budget->memory_max && !is_cheap_over(budget))
		return true;
	make_room(budget, held);
	if (must || !is_over(budget))
		return true;
	netfs_budget_uncharge(budget, size);
	return false;
}

void netfs_budget_uncharge(struct netfs_budget *budget, uint64_t size)
{
	uint64_t used = atomic_fetch_sub_explicit(&budget->used, size, memory_order_relaxed);

	netfs_assert(used >= size);
}
