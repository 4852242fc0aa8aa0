/* SPDX-License-Identifier: MIT */
/*
 * The executor: worker threads around one queue of tasks.
 *
 * Leader and followers.  A worker runs tasks while there are any.  When there
 * is none, it becomes the poller if nobody is (waits for sockets, completed
 * file I/O and timers, and turns them into tasks), else it sleeps.  What the
 * poller brings back it runs itself: a reply that finds an idle program costs
 * one wake-up and no hand-over.  Another worker is woken only when a second
 * task is runnable.
 *
 *      posted by            queue was empty            queue was not
 *      another thread       wake a sleeper, else       the same, unless one
 *                           kick the poller            is already waking up
 *      a worker             nothing: it runs it next   as above
 *
 * A worker that was woken looks at the queue and wakes the next one if there
 * is more than it takes ("waking" allows one at a time), so a burst wakes as
 * many workers as it needs and no more.
 *
 * Invariant: while a worker sleeps, another polls or runs.  One goes to sleep
 * only while somebody polls, and a poller that found something runs it and
 * then comes back to take the place of the poller if it is empty.  A worker
 * that runs task after task looks at the poller's events every
 * NETFS_EXECUTOR_BURST tasks if nobody else does.
 *
 * When a task may run, and who may touch it.  task->state says QUEUED or IDLE
 * and is touched under the lock only.  A worker takes a task off the queue,
 * makes it IDLE, and notes it in its own "current", all under the lock; then it
 * calls the function without the lock.  Posting a task that some worker has as
 * its current one does not queue it but sets that worker's "rerun"; when the
 * function returned, the worker queues the task if rerun is set and else does
 * not touch it any more.
 *   - It never runs twice at a time: to be taken it must be queued, and it is
 *     not queued between being taken and the return of its function.
 *   - No post is lost: it either queues, finds it queued (the run to come is
 *     after the post), or sets rerun (the same).
 *   - A freed task is not touched: after the function returned the worker uses
 *     only its own record; rerun is set only by a post during the run, and a
 *     task that frees itself is not posted any more.
 *   - Memory freed during the run may be a new task at the same address, posted
 *     while the old function is returning.  It is then taken for a rerun, and
 *     queued by the worker after that return: it runs once for that post, as it
 *     should, and it is alive since it was posted.
 *
 * Lock order: the executor's lock is the innermost one of the program; nothing
 * is called under it but the posting side of sources and timers.
 */
#include <errno.h>
#include <signal.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/lock.h>
#include <env/posix/exec.h>

enum task_state {
	TASK_IDLE,
	TASK_QUEUED,
};

/* One thread.  Everything but thread and cond is guarded by the lock. */
struct worker {
	pthread_t thread;
	pthread_cond_t cond; /* woken is true, or the end has come */
	struct netfs_list idle_link;
	struct netfs_task *current; /* what it runs; an address, not a reference */
	bool rerun; /* current was posted while it runs */
	bool woken;
	uint32_t number;
};

/* Starts and stops, one at a time. */
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users;

/* Guarded by lock; workers and worker_count change only while there is no
 * other thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct netfs_list queue = {&queue, &queue};
static struct netfs_list sleepers = {&sleepers, &sleepers};
static uint32_t queued;
static uint32_t running;
static bool polling; /* a worker is in netfs_poller_wait() */
static uint64_t poll_until;
static bool kicked; /* it was already told to come back */
static bool waking; /* a worker was woken and has not looked yet */
static bool ended; /* stopping, and nothing is left to do */
static struct worker workers[NETFS_EXECUTOR_THREADS_MAX];
static uint32_t worker_count;

/* Partners: a release that sees stopping takes the lock and wakes a worker; a
 * worker that saw holds > 0 under the lock is asleep only after that. */
static _Atomic bool stopping;
static _Atomic uint64_t holds;

static __thread struct worker *self;

void netfs_exec_lock(void)
{
	pthread_mutex_lock(&lock);
}

void netfs_exec_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

bool netfs_exec_here(void)
{
	return self;
}

uint32_t netfs_exec_lane(void)
{
	static _Atomic uint32_t last;
	static __thread uint32_t lane;

	if (self)
		return self->number;
	if (!lane)
		lane = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	return lane;
}

/* ------------------------------------------------------------- waking */

/* Lock held.  Chooses who is to come and look at the queue.  True where that
 * is the poller, whom the caller kicks after it let the lock go. */
static bool wake_one_locked(void)
{
	struct netfs_list *link;
	struct worker *worker;

	if (waking)
		return false;
	link = netfs_list_pop_front(&sleepers);
	if (link) {
		worker = netfs_container_of(link, struct worker, idle_link);
		worker->woken = true;
		waking = true;
		pthread_cond_signal(&worker->cond);
		return false;
	}
	if (!polling || kicked)
		return false;
	kicked = true;
	waking = true;
	return true;
}

/* Lock held: queues it, or notes that it has to run again.  True where it is
 * newly queued. */
static bool queue_locked(struct netfs_task *task)
{
	if (atomic_load_explicit(&task->state, memory_order_relaxed) == TASK_QUEUED)
		return false;
	for (uint32_t i = 0; i < worker_count; i++) {
		if (workers[i].current == task) {
			workers[i].rerun = true;
			return false;
		}
	}
	atomic_store_explicit(&task->state, TASK_QUEUED, memory_order_relaxed);
	netfs_list_push_back(&queue, &task->link);
	queued++;
	return true;
}

void netfs_exec_post_locked(struct netfs_task *task)
{
	queue_locked(task);
}

void netfs_task_init(struct netfs_task *task, void (*fn)(struct netfs_task *task))
{
	netfs_list_init(&task->link);
	task->fn = fn;
	atomic_init(&task->state, TASK_IDLE);
}

void netfs_task_post(struct netfs_task *task)
{
	bool kick = false;

	pthread_mutex_lock(&lock);
	/* A worker takes the first one itself, as soon as it is done. */
	if (queue_locked(task) && (!self || queued > 1))
		kick = wake_one_locked();
	pthread_mutex_unlock(&lock);
	if (kick)
		netfs_poller_kick();
}

bool netfs_exec_oversleeps_locked(uint64_t when_ns)
{
	if (!polling || kicked || when_ns >= poll_until)
		return false;
	kicked = true;
	return true;
}

void netfs_exec_hold(void)
{
	atomic_fetch_add(&holds, 1);
}

void netfs_exec_release(void)
{
	bool kick;

	if (atomic_fetch_sub(&holds, 1) != 1 || !atomic_load(&stopping))
		return;
	pthread_mutex_lock(&lock);
	kick = wake_one_locked();
	pthread_mutex_unlock(&lock);
	if (kick)
		netfs_poller_kick();
}

/* ------------------------------------------------------------ workers */

/* Lock held, and held again on return. */
static void run_one_locked(struct worker *worker)
{
	struct netfs_list *link = netfs_list_pop_front(&queue);
	struct netfs_task *task = netfs_container_of(link, struct netfs_task, link);
	void (*fn)(struct netfs_task * task) = task->fn;
	bool kick;

	queued--;
	running++;
	atomic_store_explicit(&task->state, TASK_IDLE, memory_order_relaxed);
	worker->current = task;
	worker->rerun = false;
	kick = queued && wake_one_locked();
	pthread_mutex_unlock(&lock);
	if (kick)
		netfs_poller_kick();

	fn(task);
	netfs_assert_nothing_held();

	pthread_mutex_lock(&lock);
	running--;
	worker->current = NULL;
	if (worker->rerun)
		queue_locked(task);
}

/* Lock held, and held again on return. */
static void poll_locked(bool wait)
{
	polling = true;
	kicked = false;
	poll_until = wait ? netfs_timers_next_locked() : 0;
	pthread_mutex_unlock(&lock);
	netfs_poller_wait(poll_until);
	polling = false;
	/* Whoever kicked it has had his answer. */
	if (kicked)
		waking = false;
	netfs_timers_expire_locked();
}

static void sleep_locked(struct worker *worker)
{
	worker->woken = false;
	netfs_list_push_front(&sleepers, &worker->idle_link);
	while (!worker->woken && !ended)
		pthread_cond_wait(&worker->cond, &lock);
	if (worker->woken)
		waking = false;
	else
		netfs_list_remove(&worker->idle_link);
}

/* Lock held.  Nothing is left and nothing can come: everybody goes home. */
static bool drained_locked(void)
{
	if (!atomic_load(&stopping) || queued || running || atomic_load(&holds))
		return false;
	ended = true;
	for (uint32_t i = 0; i < worker_count; i++)
		pthread_cond_signal(&workers[i].cond);
	netfs_poller_kick();
	return true;
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	unsigned burst = 0;

	self = worker;
	pthread_mutex_lock(&lock);
	while (!ended) {
		if (queued && (burst < NETFS_EXECUTOR_BURST || polling)) {
			run_one_locked(worker);
			burst++;
			continue;
		}
		burst = 0;
		if (drained_locked())
			break;
		if (!polling)
			poll_locked(!queued);
		else
			sleep_locked(worker);
	}
	pthread_mutex_unlock(&lock);
	self = NULL;
	return NULL;
}

/* ----------------------------------------------------- start and stop */

int netfs_exec_spawn(pthread_t *ret_thread, void *(*fn)(void *arg), void *arg, const char *name)
{
	sigset_t all;
	sigset_t before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(ret_thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
	pthread_setname_np(*ret_thread, name);
	return 0;
}

/* Ends the threads; they are asked to finish what is queued first. */
static void stop_workers(void)
{
	uint32_t count = worker_count;

	atomic_store(&stopping, true);
	/* Somebody polls or runs; he finds out, and tells the others. */
	netfs_poller_kick();
	for (uint32_t i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		pthread_cond_destroy(&workers[i].cond);
	}
	pthread_mutex_lock(&lock);
	worker_count = 0;
	ended = false;
	waking = false;
	pthread_mutex_unlock(&lock);
	atomic_store(&stopping, false);
}

static int start_workers(uint32_t threads)
{
	int err = 0;

	for (uint32_t i = 0; i < threads && !err; i++) {
		struct worker *worker = &workers[i];

		pthread_mutex_lock(&lock);
		*worker = (struct worker){.number = i};
		pthread_cond_init(&worker->cond, NULL);
		netfs_list_init(&worker->idle_link);
		err = netfs_exec_spawn(&worker->thread, worker_main, worker, "netfs-worker");
		if (!err)
			worker_count++;
		pthread_mutex_unlock(&lock);
	}
	if (err)
		stop_workers();
	return err;
}

static int start_all(uint32_t threads)
{
	int err = netfs_poller_start();

	if (err)
		return err;
	err = netfs_jobs_start();
	if (err)
		goto no_jobs;
	netfs_fio_start();
	err = start_workers(threads);
	if (err)
		goto no_workers;
	return 0;

no_workers:
	netfs_fio_stop();
	netfs_jobs_stop();
no_jobs:
	netfs_poller_stop();
	return err;
}

int netfs_executor_start(uint32_t threads)
{
	int err = 0;

	if (!threads)
		threads = NETFS_EXECUTOR_THREADS_DEFAULT;
	if (threads > NETFS_EXECUTOR_THREADS_MAX)
		threads = NETFS_EXECUTOR_THREADS_MAX;
	pthread_mutex_lock(&users_lock);
	if (!users)
		err = start_all(threads);
	if (!err)
		users++;
	pthread_mutex_unlock(&users_lock);
	return err;
}

void netfs_executor_stop(void)
{
	netfs_assert(!self);
	pthread_mutex_lock(&users_lock);
	netfs_assert(users);
	if (!--users) {
		stop_workers();
		netfs_fio_stop();
		netfs_jobs_stop();
		netfs_poller_stop();
	}
	pthread_mutex_unlock(&users_lock);
}
