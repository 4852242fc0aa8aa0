/* SPDX-License-Identifier: MIT */
/*
 * The job pool: threads for functions that block.
 *
 * A job goes to a waiting thread; where none waits a new one is started, up to
 * NETFS_JOB_THREADS_MAX.  A thread that found nothing for NETFS_JOB_IDLE_SEC
 * ends, except the first, which exists from start to stop so that a job can
 * always run, even when no further thread can be had.
 *
 * Locks: one for everything here; no other is taken under it.  The executor
 * counts each job as work in progress (netfs_exec_hold) until its function
 * returned, so it does not end before the last job has.
 */
#include <errno.h>
#include <time.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/lock.h>
#include <env/posix/exec.h>

enum slot_state {
	SLOT_FREE,
	SLOT_LIVE,
	SLOT_ENDED, /* its thread returned and is to be joined */
};

struct slot {
	enum slot_state state;
	pthread_t thread;
};

/* All guarded by lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond;
static struct netfs_list queue = {&queue, &queue};
static struct slot pool[NETFS_JOB_THREADS_MAX];
static uint32_t waiting; /* threads in the condition's wait */
static uint32_t queued;
static bool started;
static bool stopping;

/* Lock held.  False when it was time to end. */
static bool wait_locked(const struct slot *slot)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += NETFS_JOB_IDLE_SEC;
	waiting++;
	while (!queued && !stopping && !err) {
		if (slot == pool)
			pthread_cond_wait(&cond, &lock);
		else
			err = pthread_cond_timedwait(&cond, &lock, &until);
	}
	waiting--;
	return queued;
}

static void *pool_main(void *arg)
{
	struct slot *slot = arg;

	pthread_mutex_lock(&lock);
	while (queued || wait_locked(slot)) {
		struct netfs_list *link = netfs_list_pop_front(&queue);
		struct netfs_job *job = netfs_container_of(link, struct netfs_job, link);

		queued--;
		pthread_mutex_unlock(&lock);
		job->fn(job);
		netfs_assert_nothing_held();
		netfs_exec_release();
		pthread_mutex_lock(&lock);
	}
	slot->state = SLOT_ENDED;
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Lock held.  0 or negative errno. */
static int add_thread_locked(void)
{
	for (uint32_t i = 0; i < NETFS_JOB_THREADS_MAX; i++) {
		struct slot *slot = &pool[i];
		int err;

		if (slot->state == SLOT_LIVE)
			continue;
		if (slot->state == SLOT_ENDED)
			pthread_join(slot->thread, NULL);
		slot->state = SLOT_FREE;
		err = netfs_exec_spawn(&slot->thread, pool_main, slot, "netfs-job");
		if (!err)
			slot->state = SLOT_LIVE;
		return err;
	}
	return -EAGAIN;
}

int netfs_jobs_start(void)
{
	pthread_condattr_t attr;
	int err;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cond, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_lock(&lock);
	stopping = false;
	err = add_thread_locked();
	started = !err;
	pthread_mutex_unlock(&lock);
	return err;
}

void netfs_jobs_stop(void)
{
	pthread_mutex_lock(&lock);
	stopping = true;
	started = false;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
	for (uint32_t i = 0; i < NETFS_JOB_THREADS_MAX; i++) {
		bool exists;

		pthread_mutex_lock(&lock);
		exists = pool[i].state != SLOT_FREE;
		pthread_mutex_unlock(&lock);
		if (exists)
			pthread_join(pool[i].thread, NULL);
		pool[i].state = SLOT_FREE;
	}
	netfs_assert(!queued);
	pthread_cond_destroy(&cond);
}

void netfs_job_post(struct netfs_job *job)
{
	netfs_exec_hold();
	pthread_mutex_lock(&lock);
	netfs_assert(started);
	netfs_list_push_back(&queue, &job->link);
	queued++;
	/* A failure leaves the job to the threads that there are. */
	if (queued > waiting)
		add_thread_locked();
	else
		pthread_cond_signal(&cond);
	pthread_mutex_unlock(&lock);
}
