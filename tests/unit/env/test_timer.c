/* SPDX-License-Identifier: MIT */
/*
 * Goal: a timer posts its task once, not early, and not at all where stop()
 * said so; an earlier timer wakes a poller that sleeps for a later one.
 * Method: random starts and stops from several threads; every timer is then
 * accounted for as fired or stopped.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <env/clock.h>
#include <env/timer.h>
#include <t.h>

#define TIMERS	   200
#define TIMEOUT_MS 30000

struct alarm_clock {
	struct netfs_timer timer;
	struct netfs_task task;
	uint64_t not_before_ns;
	struct t_counter *rang;
};

static int setup(void **state)
{
	return netfs_executor_start(2);
}

static int teardown(void **state)
{
	netfs_executor_stop();
	return 0;
}

static void ring(struct netfs_task *task)
{
	struct alarm_clock *alarm_clock = netfs_container_of(task, struct alarm_clock, task);

	if (netfs_clock_now() < alarm_clock->not_before_ns)
		abort();
	t_counter_add(alarm_clock->rang, 1);
}

static void set_up(struct alarm_clock *alarm_clock, struct t_counter *rang)
{
	netfs_task_init(&alarm_clock->task, ring);
	netfs_timer_init(&alarm_clock->timer, &alarm_clock->task);
	alarm_clock->rang = rang;
	alarm_clock->not_before_ns = 0;
}

static void wind(struct alarm_clock *alarm_clock, uint64_t delay_ns)
{
	alarm_clock->not_before_ns = netfs_clock_now() + delay_ns;
	netfs_timer_start(&alarm_clock->timer, delay_ns);
}

static void timers_ring_in_time_and_not_before(void **state)
{
	struct alarm_clock *alarms = calloc(TIMERS, sizeof(*alarms));
	struct t_counter rang;
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	t_counter_init(&rang);
	for (unsigned i = 0; i < TIMERS; i++) {
		set_up(&alarms[i], &rang);
		wind(&alarms[i], netfs_rng_below(&rng, 20 * NETFS_NS_PER_MS));
	}
	assert_true(t_counter_wait(&rang, TIMERS, TIMEOUT_MS));
	for (unsigned i = 0; i < TIMERS; i++)
		assert_false(netfs_timer_stop(&alarms[i].timer));
	t_counter_done(&rang);
	free(alarms);
}

static void an_earlier_timer_does_not_wait_for_a_later_one(void **state)
{
	struct alarm_clock late;
	struct alarm_clock early;
	struct t_counter rang;
	uint64_t start = netfs_clock_now();

	t_counter_init(&rang);
	set_up(&late, &rang);
	set_up(&early, &rang);
	wind(&late, 3600 * NETFS_NS_PER_SEC);
	for (unsigned i = 1; i <= 20; i++) {
		wind(&early, NETFS_NS_PER_MS);
		assert_true(t_counter_wait(&rang, i, TIMEOUT_MS));
	}
	assert_true(netfs_clock_now() - start < 25 * NETFS_NS_PER_SEC);
	assert_true(netfs_timer_stop(&late.timer));
	t_counter_done(&rang);
}

static void starting_again_moves_a_timer(void **state)
{
	struct alarm_clock alarm_clock;
	struct t_counter rang;

	t_counter_init(&rang);
	set_up(&alarm_clock, &rang);
	netfs_timer_start(&alarm_clock.timer, 3600 * NETFS_NS_PER_SEC);
	wind(&alarm_clock, 2 * NETFS_NS_PER_MS);
	assert_true(t_counter_wait(&rang, 1, TIMEOUT_MS));
	netfs_timer_start(&alarm_clock.timer, NETFS_NS_PER_MS);
	netfs_timer_start(&alarm_clock.timer, 3600 * NETFS_NS_PER_SEC);
	/* Either it was moved in time, or it rang and the second start holds. */
	assert_true(netfs_timer_stop(&alarm_clock.timer));
	assert_false(netfs_timer_stop(&alarm_clock.timer));
	t_counter_done(&rang);
}

struct racer {
	struct alarm_clock alarms[TIMERS];
	struct netfs_rng rng;
	uint64_t stopped; /* the thread's; then the test's */
};

static void *race(void *arg)
{
	struct racer *racer = arg;

	for (unsigned i = 0; i < TIMERS; i++)
		netfs_timer_start(&racer->alarms[i].timer,
				  netfs_rng_below(&racer->rng, 3 * NETFS_NS_PER_MS));
	for (unsigned i = 0; i < TIMERS; i++)
		racer->stopped += netfs_timer_stop(&racer->alarms[i].timer);
	return NULL;
}

static void a_stopped_timer_does_not_ring_and_the_others_do(void **state)
{
	struct racer *racers = calloc(3, sizeof(*racers));
	pthread_t threads[3];
	struct t_counter rang;
	uint64_t stopped = 0;

	t_counter_init(&rang);
	for (unsigned i = 0; i < 3; i++) {
		netfs_rng_init(&racers[i].rng, t_seed() + i);
		for (unsigned j = 0; j < TIMERS; j++)
			set_up(&racers[i].alarms[j], &rang);
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		stopped += racers[i].stopped;
	}
	assert_true(t_counter_wait(&rang, 3 * TIMERS - stopped, TIMEOUT_MS));
	netfs_executor_stop();
	assert_int_equal(t_counter_value(&rang), 3 * TIMERS - stopped);
	assert_int_equal(netfs_executor_start(2), 0);
	t_counter_done(&rang);
	free(racers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_ring_in_time_and_not_before),
		cmocka_unit_test(an_earlier_timer_does_not_wait_for_a_later_one),
		cmocka_unit_test(starting_again_moves_a_timer),
		cmocka_unit_test(a_stopped_timer_does_not_ring_and_the_others_do),
	};

	return t_run(tests, setup, teardown);
}
