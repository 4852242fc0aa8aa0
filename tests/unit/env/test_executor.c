/* SPDX-License-Identifier: MIT */
/*
 * Goal: tasks run as work items should: at least once after each post, never
 * on two threads at a time, and their memory is not touched after they freed
 * it.  Jobs run once, several at a time.
 * Method: many threads post few tasks without pause; each task looks for
 * company and compares what was posted with what it saw.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <base/limits.h>
#include <env/executor.h>
#include <t.h>

#define POSTERS	   3
#define POSTS	   3000
#define TASKS	   4
#define TIMEOUT_MS 30000

struct work {
	struct netfs_task task;
	_Atomic uint32_t inside;
	_Atomic uint64_t asked; /* raised before each post */
	uint64_t seen; /* asked, as of the last run; the task's only */
	uint64_t runs; /* the task's only */
	struct t_counter *done; /* raised by what is newly seen */
};

static int setup(void **state)
{
	return netfs_executor_start(3);
}

static int teardown(void **state)
{
	netfs_executor_stop();
	return 0;
}

static void look(struct netfs_task *task)
{
	struct work *work = netfs_container_of(task, struct work, task);
	uint64_t asked;
	uint64_t fresh;

	/* A wrong answer must not be lost in another thread: it ends all. */
	if (atomic_fetch_add(&work->inside, 1))
		abort();
	asked = atomic_load(&work->asked);
	/* An invitation to others to come in. */
	if (asked % 16 == 0)
		sched_yield();
	fresh = asked - work->seen;
	work->seen = asked;
	work->runs++;
	atomic_fetch_sub(&work->inside, 1);
	t_counter_add(work->done, fresh);
}

static void *post_many(void *arg)
{
	struct work *works = arg;

	for (unsigned i = 0; i < POSTS; i++) {
		struct work *work = &works[i % TASKS];

		atomic_fetch_add(&work->asked, 1);
		netfs_task_post(&work->task);
	}
	return NULL;
}

static void every_post_is_followed_by_a_run_and_runs_never_meet(void **state)
{
	struct work works[TASKS] = {0};
	struct t_counter done;
	pthread_t threads[POSTERS];

	t_counter_init(&done);
	for (unsigned i = 0; i < TASKS; i++) {
		netfs_task_init(&works[i].task, look);
		works[i].done = &done;
	}
	for (unsigned i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, works), 0);
	/* Each post is seen by a run that began after it. */
	assert_true(t_counter_wait(&done, POSTERS * POSTS, TIMEOUT_MS));
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(t_counter_value(&done), POSTERS * POSTS);
	/* The last posts may have left runs with nothing new to see. */
	netfs_executor_stop();
	for (unsigned i = 0; i < TASKS; i++)
		assert_in_range(works[i].runs, 1, works[i].seen);
	assert_int_equal(netfs_executor_start(3), 0);
	t_counter_done(&done);
}

/* A task that stays inside until it is let go. */
struct guest {
	struct netfs_task task;
	pthread_barrier_t *leave;
	struct t_counter entered;
};

static void stay(struct netfs_task *task)
{
	struct guest *guest = netfs_container_of(task, struct guest, task);

	t_counter_add(&guest->entered, 1);
	/* Against the rules, to see what the other workers do meanwhile. */
	pthread_barrier_wait(guest->leave);
}

static void pass_by(struct netfs_task *task)
{
	t_counter_add(&netfs_container_of(task, struct guest, task)->entered, 1);
}

static void a_task_posted_while_it_runs_waits_for_its_own_end(void **state)
{
	struct guest guest;
	struct guest other;
	pthread_barrier_t leave;

	pthread_barrier_init(&leave, NULL, 2);
	guest.leave = &leave;
	t_counter_init(&guest.entered);
	t_counter_init(&other.entered);
	netfs_task_init(&guest.task, stay);
	netfs_task_init(&other.task, pass_by);
	netfs_task_post(&guest.task);
	assert_true(t_counter_wait(&guest.entered, 1, TIMEOUT_MS));
	netfs_task_post(&guest.task);
	/* Who runs this one would have run the guest before it. */
	netfs_task_post(&other.task);
	assert_true(t_counter_wait(&other.entered, 1, TIMEOUT_MS));
	assert_int_equal(t_counter_value(&guest.entered), 1);
	pthread_barrier_wait(&leave);
	assert_true(t_counter_wait(&guest.entered, 2, TIMEOUT_MS));
	pthread_barrier_wait(&leave);
	netfs_executor_stop();
	assert_int_equal(t_counter_value(&guest.entered), 2);
	assert_int_equal(netfs_executor_start(3), 0);
	t_counter_done(&guest.entered);
	t_counter_done(&other.entered);
	pthread_barrier_destroy(&leave);
}

/* ------------------------------------------------------------- free-self */

struct mortal {
	struct netfs_task task;
	struct t_counter *dead;
};

static void die(struct netfs_task *task)
{
	struct mortal *mortal = netfs_container_of(task, struct mortal, task);
	struct t_counter *dead = mortal->dead;

	free(mortal);
	t_counter_add(dead, 1);
}

static void *breed(void *arg)
{
	for (unsigned i = 0; i < POSTS; i++) {
		struct mortal *mortal = malloc(sizeof(*mortal));

		netfs_task_init(&mortal->task, die);
		mortal->dead = arg;
		netfs_task_post(&mortal->task);
	}
	return NULL;
}

static void tasks_may_free_themselves_and_their_memory_be_tasks_again(void **state)
{
	struct t_counter dead;
	pthread_t threads[POSTERS];

	t_counter_init(&dead);
	for (unsigned i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, breed, &dead), 0);
	assert_true(t_counter_wait(&dead, POSTERS * POSTS, TIMEOUT_MS));
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	t_counter_done(&dead);
}

/* Same memory, new task, posted from the old one's last act. */
struct phoenix {
	struct netfs_task task;
	unsigned life;
	struct t_counter *ended;
};

static void reborn(struct netfs_task *task)
{
	struct phoenix *phoenix = netfs_container_of(task, struct phoenix, task);

	if (++phoenix->life == 1000) {
		t_counter_add(phoenix->ended, 1);
		return;
	}
	netfs_task_init(&phoenix->task, reborn);
	netfs_task_post(&phoenix->task);
}

static void a_task_may_post_a_new_one_in_its_own_place(void **state)
{
	struct t_counter ended;
	struct phoenix phoenix = {.ended = &ended};

	t_counter_init(&ended);
	netfs_task_init(&phoenix.task, reborn);
	netfs_task_post(&phoenix.task);
	assert_true(t_counter_wait(&ended, 1, TIMEOUT_MS));
	/* The counter was raised inside the task: let it return. */
	netfs_executor_stop();
	assert_int_equal(phoenix.life, 1000);
	assert_int_equal(netfs_executor_start(3), 0);
	t_counter_done(&ended);
}

/* ------------------------------------------------------------------ chains */

struct tree_task {
	struct netfs_task task;
	unsigned depth;
	struct t_counter *leaves;
};

static struct tree_task *tree_new(unsigned depth, struct t_counter *leaves);

static void grow_tree(struct netfs_task *task)
{
	struct tree_task *node = netfs_container_of(task, struct tree_task, task);

	if (!node->depth) {
		t_counter_add(node->leaves, 1);
	} else {
		netfs_task_post(&tree_new(node->depth - 1, node->leaves)->task);
		netfs_task_post(&tree_new(node->depth - 1, node->leaves)->task);
	}
	free(node);
}

static struct tree_task *tree_new(unsigned depth, struct t_counter *leaves)
{
	struct tree_task *node = malloc(sizeof(*node));

	netfs_task_init(&node->task, grow_tree);
	node->depth = depth;
	node->leaves = leaves;
	return node;
}

static void tasks_post_tasks(void **state)
{
	struct t_counter leaves;

	t_counter_init(&leaves);
	netfs_task_post(&tree_new(12, &leaves)->task);
	assert_true(t_counter_wait(&leaves, 1 << 12, TIMEOUT_MS));
	t_counter_done(&leaves);
}

static void stopping_runs_what_is_queued(void **state)
{
	struct t_counter leaves;

	t_counter_init(&leaves);
	netfs_task_post(&tree_new(10, &leaves)->task);
	netfs_executor_stop();
	assert_int_equal(t_counter_value(&leaves), 1 << 10);
	assert_int_equal(netfs_executor_start(0), 0);
	t_counter_done(&leaves);
}

static void starts_nest(void **state)
{
	struct t_counter leaves;

	t_counter_init(&leaves);
	assert_int_equal(netfs_executor_start(1), 0);
	netfs_executor_stop();
	netfs_task_post(&tree_new(0, &leaves)->task);
	assert_true(t_counter_wait(&leaves, 1, TIMEOUT_MS));
	t_counter_done(&leaves);
}

/* Two tasks that can only end together need two threads. */
struct meeting {
	struct netfs_task task;
	pthread_barrier_t *barrier;
	struct t_counter *ended;
};

static void meet(struct netfs_task *task)
{
	struct meeting *meeting = netfs_container_of(task, struct meeting, task);

	/* Against the rules, to see that a second worker comes. */
	pthread_barrier_wait(meeting->barrier);
	t_counter_add(meeting->ended, 1);
}

static void a_second_task_gets_a_second_worker(void **state)
{
	struct meeting meetings[2];
	struct t_counter ended;
	pthread_barrier_t barrier;

	t_counter_init(&ended);
	pthread_barrier_init(&barrier, NULL, 2);
	for (unsigned i = 0; i < 2; i++) {
		netfs_task_init(&meetings[i].task, meet);
		meetings[i].barrier = &barrier;
		meetings[i].ended = &ended;
	}
	for (unsigned round = 1; round <= 200; round++) {
		netfs_task_post(&meetings[0].task);
		netfs_task_post(&meetings[1].task);
		assert_true(t_counter_wait(&ended, 2 * round, TIMEOUT_MS));
	}
	netfs_executor_stop();
	assert_int_equal(netfs_executor_start(3), 0);
	pthread_barrier_destroy(&barrier);
	t_counter_done(&ended);
}

/* -------------------------------------------------------------------- jobs */

struct one_job {
	struct netfs_job job;
	struct t_counter *ended;
	pthread_barrier_t *barrier; /* NULL: none */
};

static void run_one_job(struct netfs_job *job)
{
	struct one_job *one = netfs_container_of(job, struct one_job, job);

	if (one->barrier)
		pthread_barrier_wait(one->barrier);
	t_counter_add(one->ended, 1);
	free(one);
}

static void post_jobs(unsigned n, struct t_counter *ended, pthread_barrier_t *barrier)
{
	for (unsigned i = 0; i < n; i++) {
		struct one_job *one = malloc(sizeof(*one));

		one->job.fn = run_one_job;
		one->ended = ended;
		one->barrier = barrier;
		netfs_job_post(&one->job);
	}
}

static void jobs_run_once_each(void **state)
{
	struct t_counter ended;

	t_counter_init(&ended);
	post_jobs(500, &ended, NULL);
	assert_true(t_counter_wait(&ended, 500, TIMEOUT_MS));
	post_jobs(100, &ended, NULL);
	netfs_executor_stop();
	assert_int_equal(t_counter_value(&ended), 600);
	assert_int_equal(netfs_executor_start(3), 0);
	t_counter_done(&ended);
}

static void as_many_jobs_block_at_once_as_the_pool_has_threads(void **state)
{
	struct t_counter ended;
	pthread_barrier_t barrier;

	t_counter_init(&ended);
	pthread_barrier_init(&barrier, NULL, NETFS_JOB_THREADS_MAX);
	post_jobs(NETFS_JOB_THREADS_MAX, &ended, &barrier);
	assert_true(t_counter_wait(&ended, NETFS_JOB_THREADS_MAX, TIMEOUT_MS));
	pthread_barrier_destroy(&barrier);
	t_counter_done(&ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_post_is_followed_by_a_run_and_runs_never_meet),
		cmocka_unit_test(a_task_posted_while_it_runs_waits_for_its_own_end),
		cmocka_unit_test(tasks_may_free_themselves_and_their_memory_be_tasks_again),
		cmocka_unit_test(a_task_may_post_a_new_one_in_its_own_place),
		cmocka_unit_test(tasks_post_tasks),
		cmocka_unit_test(stopping_runs_what_is_queued),
		cmocka_unit_test(starts_nest),
		cmocka_unit_test(a_second_task_gets_a_second_worker),
		cmocka_unit_test(jobs_run_once_each),
		cmocka_unit_test(as_many_jobs_block_at_once_as_the_pool_has_threads),
	};

	return t_run(tests, setup, teardown);
}
