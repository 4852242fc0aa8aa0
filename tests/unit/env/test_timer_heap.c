/* SPDX-License-Identifier: MIT */
/*
 * Goal: the first timer of the heap is always the next one due, whatever is
 * added and taken out in between.
 * Method: random changes beside a plain array.
 */
#include <env/timer_heap.h>
#include <t.h>

#define TIMERS 60

static struct netfs_timer_heap heap;
static struct netfs_timer timers[TIMERS];

static void check_heap(void)
{
	uint64_t soonest = UINT64_MAX;
	uint32_t armed = 0;

	for (unsigned i = 0; i < TIMERS; i++) {
		if (!timers[i].slot)
			continue;
		armed++;
		assert_ptr_equal(heap.at[timers[i].slot - 1], &timers[i]);
		if (timers[i].when_ns < soonest)
			soonest = timers[i].when_ns;
	}
	assert_int_equal(heap.count, armed);
	if (armed)
		assert_true(netfs_timer_heap_first(&heap)->when_ns == soonest);
	else
		assert_null(netfs_timer_heap_first(&heap));
}

static void the_first_is_always_the_next_one_due(void **state)
{
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	for (unsigned round = 0; round < 20000; round++) {
		struct netfs_timer *timer = &timers[netfs_rng_below(&rng, TIMERS)];

		if (timer->slot) {
			netfs_timer_heap_remove(&heap, timer);
		} else {
			timer->when_ns = netfs_rng_below(&rng, 100);
			netfs_timer_heap_add(&heap, timer);
		}
		check_heap();
	}
}

static void timers_leave_in_order(void **state)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < TIMERS; i++) {
		if (timers[i].slot)
			continue;
		timers[i].when_ns = (i * 37) % 50;
		netfs_timer_heap_add(&heap, &timers[i]);
	}
	for (unsigned i = 0; i < TIMERS; i++) {
		struct netfs_timer *first = netfs_timer_heap_first(&heap);

		assert_true(first->when_ns >= last);
		last = first->when_ns;
		netfs_timer_heap_remove(&heap, first);
	}
	assert_null(netfs_timer_heap_first(&heap));
}

static void remove_unarmed(void *user)
{
	struct netfs_timer timer = {0};

	netfs_timer_heap_remove(&heap, &timer);
}

static void taking_out_what_is_not_in_aborts(void **state)
{
	assert_true(t_aborts(remove_unarmed, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_always_the_next_one_due),
		cmocka_unit_test(timers_leave_in_order),
		cmocka_unit_test(taking_out_what_is_not_in_aborts),
	};

	return t_run(tests, NULL, NULL);
}
