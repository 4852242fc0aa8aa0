/* SPDX-License-Identifier: MIT */
/*
 * Timers on the virtual clock: the same heap as on the real machine.  Several
 * that are due at once only become runnable at once; which of their tasks runs
 * first is the scheduler's draw.
 */
#include <base/checked_math.h>
#include <env/clock.h>
#include <env/timer_heap.h>
#include <env/sim/world.h>

static struct netfs_timer_heap heap;

void netfs_timer_init(struct netfs_timer *timer, struct netfs_task *task)
{
	timer->task = task;
	timer->when_ns = 0;
	timer->slot = 0;
}

void netfs_timer_start(struct netfs_timer *timer, uint64_t delay_ns)
{
	if (timer->slot)
		netfs_timer_heap_remove(&heap, timer);
	timer->when_ns = netfs_saturating_add(netfs_clock_now(), delay_ns);
	netfs_timer_heap_add(&heap, timer);
}

bool netfs_timer_stop(struct netfs_timer *timer)
{
	if (!timer->slot)
		return false;
	netfs_timer_heap_remove(&heap, timer);
	return true;
}

uint64_t netfs_sim_timers_next(void)
{
	struct netfs_timer *first = netfs_timer_heap_first(&heap);

	return first ? first->when_ns : UINT64_MAX;
}

void netfs_sim_timers_expire(uint64_t now_ns)
{
	struct netfs_timer *first = netfs_timer_heap_first(&heap);

	while (first && first->when_ns <= now_ns) {
		netfs_timer_heap_remove(&heap, first);
		netfs_task_post(first->task);
		first = netfs_timer_heap_first(&heap);
	}
}

uint32_t netfs_sim_timers_count(void)
{
	return heap.count;
}
