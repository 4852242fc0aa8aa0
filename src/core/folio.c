/* SPDX-License-Identifier: MIT */
/*
 * Folios and their blocks: making, sharing, forgetting.
 *
 * Everything here but netfs_block_put() runs under the mutex of the folio's
 * inode.  Byte sets may need memory to grow; a function that cannot get it
 * leaves the folio as it was.
 */
#include <core/folio.h>
#include <core/budget.h>
#include <core/core_internal.h>
#include <core/inode.h>
#include <core/trace.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <errno.h>
#include <string.h>

struct netfs_block *netfs_block_new(struct netfs_inode *inode, uint32_t size, bool must)
{
	struct netfs_budget *budget = inode->core->budget;
	struct netfs_block *block;

	if (!netfs_budget_charge(budget, size, inode, must))
		return NULL;
	block = netfs_alloc(sizeof(*block));
	if (block)
		block->data = netfs_block_alloc(size);
	if (!block || !block->data) {
		netfs_free(block);
		netfs_budget_uncharge(budget, size);
		return NULL;
	}
	atomic_init(&block->refs, 1);
	block->size = size;
	block->budget = budget;
	return block;
}

void netfs_block_put(struct netfs_block *block)
{
	if (atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1)
		return;
	netfs_budget_uncharge(block->budget, block->size);
	netfs_block_free(block->data, block->size);
	netfs_free(block);
}

/* The largest size up to wanted at which a folio around pos overlaps no
 * neighbour. */
static uint32_t fitting_size(struct netfs_inode *inode, uint64_t pos, uint32_t wanted)
{
	uint32_t size = wanted;

	while (size > NETFS_PAGE_SIZE) {
		uint64_t start = pos & ~(uint64_t)(size - 1);
		struct netfs_folio *next = netfs_folio_index_next(&inode->folios, start);

		if (!next || next->start >= start + size)
			break;
		size /= 2;
	}
	return size;
}

struct netfs_folio *netfs_folio_make(struct netfs_inode *inode, uint64_t pos, uint32_t wanted,
				     bool must)
{
	struct netfs_folio *folio = netfs_folio_index_find(&inode->folios, pos);
	struct netfs_block *block;
	uint32_t size;

	if (folio)
		return folio;
	size = fitting_size(inode, pos, wanted);
	block = netfs_block_new(inode, size, must);
	if (!block && size > NETFS_PAGE_SIZE) {
		size = NETFS_PAGE_SIZE;
		block = netfs_block_new(inode, size, must);
	}
	if (!block)
		return NULL;
	folio = netfs_zalloc(sizeof(*folio));
	if (!folio) {
		netfs_block_put(block);
		return NULL;
	}
	folio->inode = inode;
	folio->start = pos & ~(uint64_t)(size - 1);
	folio->size = size;
	folio->refs = 1;
	folio->block = block;
	atomic_init(&folio->visited, false);
	netfs_ranges_init(&folio->valid);
	netfs_ranges_init(&folio->dirty);
	netfs_ranges_init(&folio->pending);
	netfs_list_init(&folio->queue);
	if (netfs_folio_index_insert(&inode->folios, folio)) {
		netfs_folio_put(folio);
		return NULL;
	}
	folio->indexed = true;
	atomic_fetch_add_explicit(&inode->core->cached, size, memory_order_relaxed);
	netfs_budget_enqueue(block->budget, folio);
	netfs_count(inode->core->stats, folio_made);
	netfs_trace_folio(folio_make, folio, folio->start, netfs_folio_end(folio), 0);
	return folio;
}

void netfs_folio_put(struct netfs_folio *folio)
{
	netfs_assert(folio->refs > 0);
	if (--folio->refs)
		return;
	netfs_assert(!folio->indexed);
	netfs_pace_unused(folio, false);
	netfs_ranges_done(&folio->valid);
	netfs_ranges_done(&folio->dirty);
	netfs_ranges_done(&folio->pending);
	netfs_block_put(folio->block);
	netfs_free(folio);
}

void netfs_folio_remove(struct netfs_folio *folio)
{
	struct netfs_inode *inode = folio->inode;

	netfs_assert(folio->indexed);
	netfs_trace_folio(folio_remove, folio, folio->start, netfs_folio_end(folio), 0);
	netfs_folio_index_remove(&inode->folios, folio);
	folio->indexed = false;
	folio->gen++;
	atomic_fetch_sub_explicit(&inode->core->cached, folio->size, memory_order_relaxed);
	netfs_budget_dequeue(folio->block->budget, folio);
	netfs_folio_put(folio);
}

/* A block of the folio's own with the valid bytes copied over. */
static int copy_block(struct netfs_folio *folio)
{
	struct netfs_block *block = netfs_block_new(folio->inode, folio->size, true);

	if (!block)
		return -ENOMEM;
	for (uint32_t i = 0; i < netfs_ranges_count(&folio->valid); i++) {
		const struct netfs_range range = netfs_ranges_at(&folio->valid, i);
		uint64_t offset = range.from - folio->start;

		memcpy(block->data + offset, folio->block->data + offset, range.to - range.from);
	}
	netfs_block_put(folio->block);
	folio->block = block;
	folio->exposed = false;
	netfs_count(folio->inode->core->stats, write_copied);
	netfs_trace_folio(folio_own, folio, folio->start, netfs_folio_end(folio), 0);
	return 0;
}

int netfs_folio_renew(struct netfs_folio *folio)
{
	if (!folio->exposed)
		return 0;
	if (!netfs_block_alone(folio->block))
		return copy_block(folio);
	folio->exposed = false;
	return 0;
}

int netfs_folio_own(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	if (netfs_block_alone(folio->block))
		return 0;
	if (!folio->exposed && !netfs_ranges_overlaps(&folio->valid, from, to) &&
	    !netfs_ranges_overlaps(&folio->pending, from, to))
		return 0;
	return copy_block(folio);
}

/* Downloads under way are worth nothing any more, also for bytes that nobody
 * waits for because they were written meanwhile: asked for again, they must come
 * from a later answer.  They go on writing into the block they know, so the folio
 * gets another one; whoever wrote has done that already. */
static void abandon_pending(struct netfs_folio *folio)
{
	if (!netfs_ranges_empty(&folio->pending) && copy_block(folio))
		return;
	netfs_ranges_clear(&folio->pending);
	folio->gen++;
}

/* What is not dirty in [from, to) is not valid any more.  Only cutting the
 * middle out of a range can need memory; without, more is forgotten, as far as
 * the next dirty byte.  False: there are dirty bytes on both sides. */
static bool invalidate(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	uint64_t start = folio->start, end = netfs_folio_end(folio);

	if (!netfs_ranges_empty(&folio->valid) && !netfs_block_alone(folio->block))
		folio->exposed = true;
	if (netfs_ranges_remove(&folio->valid, from, to) == 0)
		return true;
	if (!netfs_ranges_overlaps(&folio->dirty, to, end))
		return netfs_ranges_remove(&folio->valid, from, end) == 0;
	if (!netfs_ranges_overlaps(&folio->dirty, start, from))
		return netfs_ranges_remove(&folio->valid, start, to) == 0;
	return false;
}

uint64_t netfs_folio_forget(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	struct netfs_range range;
	uint64_t dirty = 0, pos = from;

	while (netfs_ranges_next(&folio->dirty, pos, to, &range)) {
		dirty += range.to - range.from;
		pos = range.to;
	}
	/* Those who cut the middle out of a file have sent it before, so here
	 * there is nothing dirty on both sides. */
	if (netfs_ranges_remove(&folio->dirty, from, to))
		return 0;
	invalidate(folio, from, to);
	abandon_pending(folio);
	netfs_trace_folio(folio_forget, folio, from, to, dirty);
	return dirty;
}

bool netfs_folio_forget_clean(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	struct netfs_range gap;
	bool all;

	netfs_trace_folio(folio_forget_clean, folio, from, to, 0);
	abandon_pending(folio);
	all = netfs_ranges_empty(&folio->pending);
	while (netfs_ranges_next_gap(&folio->dirty, from, to, &gap)) {
		all &= invalidate(folio, gap.from, gap.to);
		from = gap.to;
	}
	return all;
}

bool netfs_folio_idle(const struct netfs_folio *folio)
{
	return folio->refs == 1 && netfs_ranges_empty(&folio->dirty) && folio->writeback == 0 &&
	       netfs_ranges_empty(&folio->pending) && netfs_block_alone(folio->block);
}

void netfs_folio_check(const struct netfs_folio *folio)
{
	uint64_t end = netfs_folio_end(folio);

	netfs_assert(folio->block->size == folio->size);
	netfs_assert((folio->start & (folio->size - 1)) == 0);
	for (uint32_t i = 0; i < netfs_ranges_count(&folio->valid); i++) {
		const struct netfs_range range = netfs_ranges_at(&folio->valid, i);

		netfs_assert(range.from >= folio->start && range.to <= end);
		netfs_assert(!netfs_ranges_overlaps(&folio->pending, range.from, range.to));
	}
	for (uint32_t i = 0; i < netfs_ranges_count(&folio->dirty); i++) {
		const struct netfs_range range = netfs_ranges_at(&folio->dirty, i);

		netfs_assert(netfs_ranges_covers(&folio->valid, range.from, range.to));
	}
}
