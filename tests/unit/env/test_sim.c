/* SPDX-License-Identifier: MIT */
/*
 * Goal: the simulated machine repeats itself for a seed and differs between
 * seeds, time jumps as told, and whatever is wrong ends the program: waiting
 * for nothing, waiting in a task, leaving anything behind.
 * Method: small worlds; mistakes in child processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <base/ranges.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/file.h>
#include <env/hostfs.h>
#include <env/random.h>
#include <env/timer.h>
#include <env/sim/disk.h>
#include <env/sim/sim.h>
#include <t.h>

#define ACTORS 20

/* A task that posts itself or its timer until it has lived long enough. */
struct actor {
	struct netfs_task task;
	struct netfs_timer timer;
	struct netfs_job job;
	unsigned left;
	struct t_counter *ended;
};

static void act(struct netfs_task *task)
{
	struct actor *actor = netfs_container_of(task, struct actor, task);

	if (!actor->left--)
		t_counter_add(actor->ended, 1);
	else if (netfs_random_below(3) == 0)
		netfs_task_post(task);
	else if (netfs_random_below(2))
		netfs_timer_start(&actor->timer, netfs_random_below(1000));
	else
		netfs_job_post(&actor->job);
}

static void act_job(struct netfs_job *job)
{
	netfs_task_post(&netfs_container_of(job, struct actor, job)->task);
}

struct outcome {
	uint64_t digest;
	uint64_t steps;
	uint64_t now;
	uint64_t drawn;
};

static struct outcome play(uint64_t seed)
{
	static struct actor actors[ACTORS];
	struct t_counter ended;
	struct outcome outcome;

	netfs_sim_start(seed);
	assert_int_equal(netfs_executor_start(2), 0);
	t_counter_init(&ended);
	for (unsigned i = 0; i < ACTORS; i++) {
		netfs_task_init(&actors[i].task, act);
		netfs_timer_init(&actors[i].timer, &actors[i].task);
		actors[i].job.fn = act_job;
		actors[i].left = 50;
		actors[i].ended = &ended;
		netfs_task_post(&actors[i].task);
	}
	assert_true(t_counter_wait(&ended, ACTORS, 1000));
	outcome = (struct outcome){netfs_sim_digest(), netfs_sim_steps(), netfs_clock_now(),
				   netfs_random_u64()};
	t_counter_done(&ended);
	netfs_executor_stop();
	netfs_sim_stop();
	return outcome;
}

static void one_seed_gives_one_run(void **state)
{
	struct netfs_rng rng;

	t_rng(&rng, __func__);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t seed = netfs_rng_u64(&rng);
		struct outcome first = play(seed);
		struct outcome second = play(seed);
		struct outcome other = play(seed + 1);

		assert_memory_equal(&first, &second, sizeof(first));
		assert_true(first.digest != other.digest);
		assert_true(first.drawn != other.drawn);
	}
}

/* ------------------------------------------------------------------- order */

static unsigned order;

static void note_a(struct netfs_task *task)
{
	order = order * 4 + 1;
}

static void note_b(struct netfs_task *task)
{
	order = order * 4 + 2;
}

static void note_c(struct netfs_task *task)
{
	order = order * 4 + 3;
}

static void the_seed_chooses_among_what_can_run(void **state)
{
	void (*const notes[3])(struct netfs_task * task) = {note_a, note_b, note_c};
	bool seen[64] = {false};
	unsigned orders = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct netfs_task tasks[3];

		netfs_sim_start(seed);
		assert_int_equal(netfs_executor_start(0), 0);
		order = 0;
		for (unsigned i = 0; i < 3; i++) {
			netfs_task_init(&tasks[i], notes[i]);
			netfs_task_post(&tasks[i]);
		}
		netfs_executor_stop();
		netfs_sim_stop();
		orders += !seen[order & 63];
		seen[order & 63] = true;
	}
	assert_int_equal(orders, 6);
}

/* -------------------------------------------------------------------- time */

struct note {
	struct netfs_task task;
	struct netfs_timer timer;
	uint64_t rang_ns;
	unsigned runs;
};

static void note_time(struct netfs_task *task)
{
	struct note *note = netfs_container_of(task, struct note, task);

	note->rang_ns = netfs_clock_now();
	note->runs++;
}

static bool has_rung(void *user)
{
	return ((struct note *)user)->rang_ns;
}

static void time_jumps_to_the_next_timer(void **state)
{
	struct note note = {0};
	uint64_t start;

	netfs_sim_start(1);
	start = netfs_clock_now();
	netfs_task_init(&note.task, note_time);
	netfs_timer_init(&note.timer, &note.task);
	netfs_timer_start(&note.timer, 3600 * NETFS_NS_PER_SEC);
	assert_true(netfs_sim_run(has_rung, &note, UINT64_MAX));
	assert_int_equal(note.rang_ns - start, 3600 * NETFS_NS_PER_SEC);
	assert_int_equal(netfs_clock_now(), note.rang_ns);
	assert_false(netfs_timer_stop(&note.timer));
	netfs_sim_stop();
}

static void a_run_ends_at_its_limit_or_when_nothing_is_left(void **state)
{
	struct note note = {0};
	uint64_t start;

	netfs_sim_start(1);
	start = netfs_clock_now();
	netfs_task_init(&note.task, note_time);
	netfs_timer_init(&note.timer, &note.task);
	assert_false(netfs_sim_run(has_rung, &note, NETFS_NS_PER_SEC));
	netfs_timer_start(&note.timer, NETFS_NS_PER_SEC);
	assert_false(netfs_sim_run(has_rung, &note, NETFS_NS_PER_SEC - 1));
	assert_int_equal(netfs_clock_now() - start, NETFS_NS_PER_SEC - 1);
	assert_true(netfs_sim_run(has_rung, &note, 1));
	netfs_sim_stop();
}

static void post_twice(struct netfs_task *task)
{
	struct note *note = netfs_container_of(task, struct note, task);

	if (++note->runs > 1)
		return;
	netfs_task_post(task);
	netfs_task_post(task);
}

static void a_task_posted_while_it_runs_runs_once_more(void **state)
{
	struct note note = {0};

	netfs_sim_start(1);
	assert_int_equal(netfs_executor_start(0), 0);
	netfs_task_init(&note.task, post_twice);
	netfs_task_post(&note.task);
	netfs_task_post(&note.task);
	netfs_executor_stop();
	assert_int_equal(note.runs, 2);
	netfs_sim_stop();
}

/* ----------------------------------------------------------------- waiting */

struct waiter {
	struct netfs_job job;
	struct netfs_task task;
	struct netfs_event inner;
	struct netfs_event outer;
};

static void set_inner(struct netfs_task *task)
{
	netfs_event_set(&netfs_container_of(task, struct waiter, task)->inner);
}

static void wait_inner(struct netfs_job *job)
{
	struct waiter *waiter = netfs_container_of(job, struct waiter, job);

	netfs_task_post(&waiter->task);
	netfs_event_wait(&waiter->inner);
	netfs_event_set(&waiter->outer);
}

static void a_job_may_wait_for_a_task(void **state)
{
	struct waiter waiter = {.job.fn = wait_inner};

	netfs_sim_start(1);
	netfs_event_init(&waiter.inner);
	netfs_event_init(&waiter.outer);
	netfs_task_init(&waiter.task, set_inner);
	netfs_job_post(&waiter.job);
	netfs_event_wait(&waiter.outer);
	netfs_sim_stop();
}

static void wait_for_nothing(void *user)
{
	struct netfs_event event;

	netfs_sim_start(1);
	netfs_event_init(&event);
	netfs_event_wait(&event);
}

static void tick(struct netfs_task *task)
{
	struct note *note = netfs_container_of(task, struct note, task);

	netfs_timer_start(&note->timer, 60 * NETFS_NS_PER_SEC);
}

static void wait_while_a_clock_ticks(void *user)
{
	struct note note = {0};
	struct netfs_event event;

	netfs_sim_start(1);
	netfs_task_init(&note.task, tick);
	netfs_timer_init(&note.timer, &note.task);
	netfs_task_post(&note.task);
	netfs_event_init(&event);
	netfs_event_wait(&event);
}

static void wait_in_task(struct netfs_task *task)
{
	wait_inner(&netfs_container_of(task, struct waiter, task)->job);
}

static void run_task_that_waits(void *user)
{
	struct waiter waiter = {.job.fn = wait_inner};

	netfs_sim_start(1);
	netfs_event_init(&waiter.inner);
	netfs_event_init(&waiter.outer);
	netfs_task_init(&waiter.task, wait_in_task);
	netfs_task_post(&waiter.task);
	netfs_event_wait(&waiter.outer);
}

static void waiting_for_what_cannot_happen_aborts(void **state)
{
	assert_true(t_aborts(wait_for_nothing, NULL));
	assert_true(t_aborts(wait_while_a_clock_ticks, NULL));
	assert_true(t_aborts(run_task_that_waits, NULL));
}

/* ---------------------------------------------------------------- leftovers */

static void leave_nothing(void *user)
{
	netfs_sim_start(1);
	netfs_free(netfs_alloc(1));
	netfs_sim_stop();
}

static void leave_timer(void *user)
{
	struct note note;

	netfs_sim_start(1);
	netfs_task_init(&note.task, note_time);
	netfs_timer_init(&note.timer, &note.task);
	netfs_timer_start(&note.timer, 1);
	netfs_sim_stop();
}

static void leave_task(void *user)
{
	struct note note;

	netfs_sim_start(1);
	netfs_task_init(&note.task, note_time);
	netfs_task_post(&note.task);
	netfs_sim_stop();
}

static void leave_memory(void *user)
{
	netfs_sim_start(1);
	if (netfs_alloc(1))
		netfs_sim_stop();
}

static void leave_executor(void *user)
{
	netfs_sim_start(1);
	netfs_executor_start(0);
	netfs_sim_stop();
}

static void leaving_anything_behind_aborts(void **state)
{
	assert_false(t_aborts(leave_nothing, NULL));
	assert_true(t_aborts(leave_timer, NULL));
	assert_true(t_aborts(leave_task, NULL));
	assert_true(t_aborts(leave_memory, NULL));
	assert_true(t_aborts(leave_executor, NULL));
}

/* ------------------------------------------------------------------- memory */

static void the_chosen_allocation_fails_once(void **state)
{
	void *a;
	void *b;

	netfs_sim_start(1);
	netfs_sim_fail_alloc(2);
	a = netfs_alloc(1);
	assert_non_null(a);
	assert_null(netfs_block_alloc(4096));
	b = netfs_block_alloc(4096);
	assert_non_null(b);
	assert_int_equal(netfs_sim_allocs(), 2);
	assert_int_equal(netfs_block_living(), 4096);
	netfs_free(a);
	netfs_block_free(b, 4096);
	assert_int_equal(netfs_sim_allocs(), 0);
	netfs_sim_stop();
}

static void memory_of_the_data_structures_counts_too(void **state)
{
	struct netfs_ranges set;

	netfs_sim_start(1);
	netfs_ranges_init(&set);
	netfs_sim_fail_alloc(1);
	assert_int_equal(netfs_ranges_reserve(&set, 100), -ENOMEM);
	assert_int_equal(netfs_ranges_reserve(&set, 100), 0);
	assert_int_equal(netfs_sim_allocs(), 1);
	netfs_ranges_done(&set);
	netfs_sim_stop();
}

/* -------------------------------------------------------------------- files */

static ssize_t file_result;

static void file_done(struct netfs_fio *fio, ssize_t result)
{
	file_result = result;
}

static void file_transfers_reach_the_disk_later(void **state)
{
	struct iovec iov = {(void *)(uintptr_t) "later", 5};
	struct netfs_fio fio = {
		.kind = NETFS_FIO_WRITE, .iov = &iov, .niov = 1, .start = 3, .done = file_done};
	struct netfs_sim_disk *disk = netfs_sim_disk_new(1);
	char bytes[8] = "";

	netfs_sim_start(1);
	netfs_sim_disk_use(disk);
	assert_int_equal(netfs_executor_start(0), 0);
	fio.fd = netfs_hostfs_open(AT_FDCWD, "/file", O_RDWR | O_CREAT, 0600);
	file_result = 1;
	netfs_fio_submit(&fio);
	assert_int_equal(file_result, 1);
	netfs_executor_stop();
	assert_int_equal(file_result, 5);
	assert_int_equal(netfs_hostfs_pread(fio.fd, bytes, 8, 0), 8);
	assert_memory_equal(bytes, "\0\0\0later", 8);
	assert_false(netfs_fio_uring());
	netfs_hostfs_close(fio.fd);
	netfs_sim_disk_use(NULL);
	netfs_sim_disk_free(disk);
	netfs_sim_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_seed_gives_one_run),
		cmocka_unit_test(the_seed_chooses_among_what_can_run),
		cmocka_unit_test(time_jumps_to_the_next_timer),
		cmocka_unit_test(a_run_ends_at_its_limit_or_when_nothing_is_left),
		cmocka_unit_test(a_task_posted_while_it_runs_runs_once_more),
		cmocka_unit_test(a_job_may_wait_for_a_task),
		cmocka_unit_test(waiting_for_what_cannot_happen_aborts),
		cmocka_unit_test(leaving_anything_behind_aborts),
		cmocka_unit_test(the_chosen_allocation_fails_once),
		cmocka_unit_test(memory_of_the_data_structures_counts_too),
		cmocka_unit_test(file_transfers_reach_the_disk_later),
	};

	return t_run(tests, NULL, NULL);
}
