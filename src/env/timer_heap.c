/* SPDX-License-Identifier: MIT */
/*
 * A binary heap of timers by due time.  Each timer knows its place (slot - 1),
 * so that stopping one costs no search.  The array has its full size from the
 * start and is only touched as far as it is used: arming cannot fail.
 */
#include <base/assert.h>
#include <env/timer_heap.h>

static void put(struct netfs_timer_heap *heap, uint32_t i, struct netfs_timer *timer)
{
	heap->at[i] = timer;
	timer->slot = i + 1;
}

static void sift_up(struct netfs_timer_heap *heap, uint32_t i, struct netfs_timer *timer)
{
	while (i) {
		uint32_t parent = (i - 1) / 2;

		if (heap->at[parent]->when_ns <= timer->when_ns)
			break;
		put(heap, i, heap->at[parent]);
		i = parent;
	}
	put(heap, i, timer);
}

static void sift_down(struct netfs_timer_heap *heap, uint32_t i, struct netfs_timer *timer)
{
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    heap->at[child + 1]->when_ns < heap->at[child]->when_ns)
			child++;
		if (timer->when_ns <= heap->at[child]->when_ns)
			break;
		put(heap, i, heap->at[child]);
		i = child;
	}
	put(heap, i, timer);
}

void netfs_timer_heap_add(struct netfs_timer_heap *heap, struct netfs_timer *timer)
{
	netfs_assert(!timer->slot);
	netfs_assert(heap->count < NETFS_TIMERS_MAX);
	sift_up(heap, heap->count++, timer);
}

void netfs_timer_heap_remove(struct netfs_timer_heap *heap, struct netfs_timer *timer)
{
	uint32_t i = timer->slot - 1;
	struct netfs_timer *last;

	netfs_assert(timer->slot && i < heap->count && heap->at[i] == timer);
	timer->slot = 0;
	last = heap->at[--heap->count];
	if (last == timer)
		return;
	if (i && last->when_ns < heap->at[(i - 1) / 2]->when_ns)
		sift_up(heap, i, last);
	else
		sift_down(heap, i, last);
}
