/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine's scheduler: executor, jobs, clock, randomness, and the
 * one place where anything runs.
 *
 *      posted tasks ----+
 *      posted jobs -----+--> runnable --(drawn from the seed)--> runs
 *      timers due ------+
 *
 * Everything that can happen is a task or a job: a segment that arrives is a
 * timer's task, a connection that is answered too.  When nothing is runnable
 * the clock jumps to the next timer.  When there is no timer either, nothing
 * can ever happen again, and whoever waits is deadlocked.
 *
 * One thread, so there is no lock.  Waiting (netfs_event_wait) runs the world
 * from inside; a job may do that, a task may not.  Each running function has a
 * frame on the stack of frames; posting a task that has one sets its rerun, and
 * the task is queued when its function returns.  As on the real machine the
 * task itself is not touched after that return: it may be gone.
 *
 * The digest is a running hash of what ran and when, with functions named by
 * their distance from one of ours, which is the same in every run of a binary.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <base/assert.h>
#include <base/checked_math.h>
#include <base/hash.h>
#include <env/clock.h>
#include <env/lock.h>
#include <env/random.h>
#include <env/sim/sim.h>
#include <env/sim/world.h>
#include <env/thread.h>

enum task_state {
	TASK_IDLE,
	TASK_QUEUED,
};

/* One of the two is set. */
struct runnable {
	struct netfs_task *task;
	struct netfs_job *job;
};

/* A function that runs, on the stack of who called it. */
struct frame {
	struct frame *up;
	struct netfs_task *task; /* NULL: a job */
	bool rerun;
};

#define START_NS      NETFS_NS_PER_SEC
#define START_REAL_NS (UINT64_C(1700000000) * NETFS_NS_PER_SEC)
/* Somebody who waits so long waits for ever, whatever still ticks. */
#define PATIENCE_NS (UINT64_C(7) * 24 * 3600 * NETFS_NS_PER_SEC)

struct netfs_rng netfs_sim_luck;

static struct netfs_rng schedule_luck;
static struct netfs_rng product_luck;
static bool exists;
static bool tracing;
static uint64_t world_seed;
static uint64_t now_ns = START_NS;
static uint64_t real_ns = START_REAL_NS; /* the wall clock at zero of the other */
static uint64_t steps;
static uint64_t digest;
static unsigned users; /* of the executor */
static pthread_t world_thread;

static struct runnable *runnable;
static size_t runnable_count;
static size_t runnable_room;
static struct frame *frames;

/* --------------------------------------------------- words to the outside */

_Noreturn void netfs_sim_die(const char *format, ...)
{
	va_list args;

	fprintf(stderr,
		"unetfs-sim: seed %llu, step %llu, time %.9f: ", (unsigned long long)world_seed,
		(unsigned long long)steps, (double)(now_ns - START_NS) / 1e9);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

void netfs_sim_printf(const char *format, ...)
{
	va_list args;

	if (!tracing)
		return;
	fprintf(stderr, "sim %8llu %14.9f ", (unsigned long long)steps,
		(double)(now_ns - START_NS) / 1e9);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void netfs_sim_trace(bool on)
{
	tracing = on;
}

uint64_t netfs_sim_steps(void)
{
	return steps;
}

uint64_t netfs_sim_digest(void)
{
	return digest;
}

uint64_t netfs_clock_now(void)
{
	return now_ns;
}

uint64_t netfs_clock_real(void)
{
	return real_ns + now_ns;
}

void netfs_sim_jump_real(int64_t ns)
{
	netfs_sim_printf("clock: the wall clock jumps by %lld s",
			 (long long)(ns / (int64_t)NETFS_NS_PER_SEC));
	real_ns += (uint64_t)ns;
}

uint64_t netfs_random_u64(void)
{
	return netfs_rng_u64(&product_luck);
}

uint64_t netfs_random_below(uint64_t bound)
{
	return netfs_rng_below(&product_luck, bound);
}

/* ---------------------------------------------------------------- posting */

static void check_thread(void)
{
	if (exists && !pthread_equal(world_thread, pthread_self()))
		netfs_sim_die("a second thread in a world of one");
}

static void add_runnable(struct runnable entry)
{
	if (runnable_count == runnable_room) {
		runnable_room = runnable_room ? 2 * runnable_room : 64;
		runnable = reallocarray(runnable, runnable_room, sizeof(*runnable));
		if (!runnable)
			netfs_sim_die("the simulator itself is out of memory");
	}
	runnable[runnable_count++] = entry;
}

void netfs_task_init(struct netfs_task *task, void (*fn)(struct netfs_task *task))
{
	netfs_list_init(&task->link);
	task->fn = fn;
	atomic_init(&task->state, TASK_IDLE);
}

void netfs_task_post(struct netfs_task *task)
{
	check_thread();
	if (atomic_load(&task->state) == TASK_QUEUED)
		return;
	for (struct frame *frame = frames; frame; frame = frame->up) {
		if (frame->task == task) {
			frame->rerun = true;
			return;
		}
	}
	atomic_store(&task->state, TASK_QUEUED);
	add_runnable((struct runnable){.task = task});
}

void netfs_job_post(struct netfs_job *job)
{
	check_thread();
	add_runnable((struct runnable){.job = job});
}

void netfs_sim_forget(struct netfs_task *task)
{
	for (size_t i = 0; i < runnable_count; i++) {
		if (runnable[i].task != task)
			continue;
		runnable[i] = runnable[--runnable_count];
		atomic_store(&task->state, TASK_IDLE);
		return;
	}
}

bool netfs_sim_in_task(void)
{
	for (struct frame *frame = frames; frame; frame = frame->up)
		if (frame->task)
			return true;
	return false;
}

/* ---------------------------------------------------------------- running */

/* Where a function is, apart from where the program was loaded. */
static uint64_t place_of(uintptr_t fn)
{
	return (uint64_t)(fn - (uintptr_t)netfs_sim_start);
}

static void note_step(const char *kind, uintptr_t fn)
{
	steps++;
	digest = netfs_hash_u64s(digest, place_of(fn), now_ns);
	netfs_sim_printf("%s netfs_sim_start%+lld, of %zu", kind, (long long)place_of(fn),
			 runnable_count + 1);
}

static void run_task(struct netfs_task *task)
{
	struct frame frame = {.up = frames, .task = task};

	atomic_store(&task->state, TASK_IDLE);
	note_step("task", (uintptr_t)task->fn);
	frames = &frame;
	task->fn(task);
	frames = frame.up;
	if (frame.rerun)
		netfs_task_post(task);
}

static void run_job(struct netfs_job *job)
{
	struct frame frame = {.up = frames};

	note_step("job", (uintptr_t)job->fn);
	frames = &frame;
	job->fn(job);
	frames = frame.up;
}

static void run_one(void)
{
	size_t i = netfs_rng_below(&schedule_luck, runnable_count);
	struct runnable entry = runnable[i];

	runnable[i] = runnable[--runnable_count];
	if (entry.task)
		run_task(entry.task);
	else
		run_job(entry.job);
	netfs_assert_nothing_held();
}

bool netfs_sim_step(uint64_t until_ns)
{
	check_thread();
	netfs_assert_nothing_held();
	netfs_sim_timers_expire(now_ns);
	if (!runnable_count) {
		uint64_t next = netfs_sim_timers_next();

		if (next == UINT64_MAX)
			return false;
		if (next > until_ns) {
			if (until_ns > now_ns)
				now_ns = until_ns;
			return false;
		}
		now_ns = next;
		netfs_sim_timers_expire(now_ns);
	}
	run_one();
	return true;
}

void netfs_thread_pause(uint64_t ns)
{
	uint64_t until_ns = netfs_saturating_add(now_ns, ns);

	netfs_assert(!netfs_sim_in_task());
	while (now_ns < until_ns && netfs_sim_step(until_ns))
		;
	if (now_ns < until_ns)
		now_ns = until_ns;
}

bool netfs_sim_run(bool (*cond)(void *user), void *user, uint64_t limit_ns)
{
	uint64_t until_ns = netfs_saturating_add(now_ns, limit_ns);

	while (!cond(user)) {
		if (now_ns > until_ns || !netfs_sim_step(until_ns))
			return false;
	}
	return true;
}

/* ----------------------------------------------------------------- events */

void netfs_event_init(struct netfs_event *event)
{
	event->happened = false;
}

void netfs_event_set(struct netfs_event *event)
{
	event->happened = true;
}

void netfs_event_wait(struct netfs_event *event)
{
	uint64_t until_ns = netfs_saturating_add(now_ns, PATIENCE_NS);

	netfs_assert_nothing_held();
	if (netfs_sim_in_task() && !event->happened)
		netfs_sim_die("a task waits for an event");
	while (!event->happened)
		if (!netfs_sim_step(until_ns))
			netfs_sim_die("deadlock: nothing is left that could set the event");
}

void netfs_event_done(struct netfs_event *event)
{
}

/* --------------------------------------------------------- start and stop */

int netfs_executor_start(uint32_t threads)
{
	users++;
	return 0;
}

void netfs_executor_stop(void)
{
	netfs_assert(users);
	netfs_assert(!netfs_sim_in_task());
	if (--users)
		return;
	while (runnable_count)
		run_one();
}

static void check_nothing_left(void)
{
	if (frames)
		netfs_sim_die("the world ends while something in it runs");
	if (users)
		netfs_sim_die("%u executor starts without a stop", users);
	if (runnable_count)
		netfs_sim_die("%zu tasks or jobs are left", runnable_count);
	if (netfs_sim_net_left())
		netfs_sim_die("%u sockets are left open", netfs_sim_net_left());
	if (netfs_sim_files_left())
		netfs_sim_die("%u files are left open", netfs_sim_files_left());
	if (netfs_sim_timers_count())
		netfs_sim_die("%u timers are left armed", netfs_sim_timers_count());
	if (netfs_sim_allocs())
		netfs_sim_die("%llu allocations are left", (unsigned long long)netfs_sim_allocs());
}

void netfs_sim_start(uint64_t seed)
{
	if (exists)
		netfs_sim_stop();
	exists = true;
	world_thread = pthread_self();
	world_seed = seed;
	now_ns = START_NS;
	real_ns = START_REAL_NS;
	steps = 0;
	digest = seed;
	netfs_rng_init(&schedule_luck, netfs_hash_u64s(seed, 1, 0));
	netfs_rng_init(&product_luck, netfs_hash_u64s(seed, 2, 0));
	netfs_rng_init(&netfs_sim_luck, netfs_hash_u64s(seed, 3, 0));
	netfs_sim_allocs_start();
	netfs_sim_net_start();
}

void netfs_sim_stop(void)
{
	netfs_assert(exists);
	netfs_sim_net_stop();
	check_nothing_left();
	netfs_sim_allocs_stop();
	free(runnable);
	runnable = NULL;
	runnable_room = 0;
	exists = false;
}
