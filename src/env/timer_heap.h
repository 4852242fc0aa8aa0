/* SPDX-License-Identifier: MIT */
/*
 * Armed timers, the next one first.  Used by both environments; the owner
 * guards it.
 */
#ifndef ENV_TIMER_HEAP_H
#define ENV_TIMER_HEAP_H

#include <base/limits.h>
#include <env/timer.h>

struct netfs_timer_heap {
	uint32_t count;
	struct netfs_timer *at[NETFS_TIMERS_MAX];
};

/* Arms timer for its when_ns; it must not be armed. */
void netfs_timer_heap_add(struct netfs_timer_heap *heap, struct netfs_timer *timer);
/* Disarms timer; it must be armed. */
void netfs_timer_heap_remove(struct netfs_timer_heap *heap, struct netfs_timer *timer);
/* The next one to go off, NULL where none is armed. */
static inline struct netfs_timer *netfs_timer_heap_first(const struct netfs_timer_heap *heap)
{
	return heap->count ? heap->at[0] : NULL;
}

#endif
