/* SPDX-License-Identifier: MIT */
/*
 * Timers of the real machine: the heap, under the executor's lock.  The poller
 * sleeps until the first one; arming an earlier one wakes it.  Going off is
 * leaving the heap and posting the task in one critical section, so that
 * stopping a timer either prevents the post or finds it done.
 */
#include <base/checked_math.h>
#include <env/clock.h>
#include <env/timer_heap.h>
#include <env/posix/exec.h>

static struct netfs_timer_heap heap; /* guarded by the executor's lock */

void netfs_timer_init(struct netfs_timer *timer, struct netfs_task *task)
{
	timer->task = task;
	timer->when_ns = 0;
	timer->slot = 0;
}

void netfs_timer_start(struct netfs_timer *timer, uint64_t delay_ns)
{
	uint64_t when_ns = netfs_saturating_add(netfs_clock_now(), delay_ns);
	bool kick;

	netfs_exec_lock();
	if (timer->slot)
		netfs_timer_heap_remove(&heap, timer);
	timer->when_ns = when_ns;
	netfs_timer_heap_add(&heap, timer);
	kick = netfs_exec_oversleeps_locked(when_ns);
	netfs_exec_unlock();
	if (kick)
		netfs_poller_kick();
}

bool netfs_timer_stop(struct netfs_timer *timer)
{
	bool armed;

	netfs_exec_lock();
	armed = timer->slot;
	if (armed)
		netfs_timer_heap_remove(&heap, timer);
	netfs_exec_unlock();
	return armed;
}

uint64_t netfs_timers_next_locked(void)
{
	struct netfs_timer *first = netfs_timer_heap_first(&heap);

	return first ? first->when_ns : UINT64_MAX;
}

void netfs_timers_expire_locked(void)
{
	struct netfs_timer *first = netfs_timer_heap_first(&heap);
	uint64_t now;

	if (!first)
		return;
	now = netfs_clock_now();
	while (first && first->when_ns <= now) {
		netfs_timer_heap_remove(&heap, first);
		netfs_exec_post_locked(first->task);
		first = netfs_timer_heap_first(&heap);
	}
}
