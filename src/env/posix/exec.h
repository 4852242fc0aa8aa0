/* SPDX-License-Identifier: MIT */
/*
 * Private to env/posix: what the parts of the executor (workers, poller,
 * timers, jobs, files) know of each other.
 */
#ifndef ENV_POSIX_EXEC_H
#define ENV_POSIX_EXEC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <env/executor.h>

/* ---------------------------------------------------------- executor.c */

/* The executor's lock: queue, workers, sources, timers. */
void netfs_exec_lock(void);
void netfs_exec_unlock(void);
/* As netfs_task_post(), by a worker that holds the executor's lock. */
void netfs_exec_post_locked(struct netfs_task *task);
/* Is the caller an executor thread? */
bool netfs_exec_here(void);
/* Number of the calling executor thread, or one that spreads other threads. */
uint32_t netfs_exec_lane(void);
/* Work outside the queue that will post something: stop waits for it. */
void netfs_exec_hold(void);
void netfs_exec_release(void);
/* A thread that takes no signal of the program.  0 or negative errno. */
int netfs_exec_spawn(pthread_t *ret_thread, void *(*fn)(void *arg), void *arg, const char *name);

/* ------------------------------------------------------------ poller.c */

/* A descriptor the poller watches, edge-triggered. */
struct netfs_poll_source {
	/* Called by a worker with the executor's lock held; it may only post. */
	void (*ready)(struct netfs_poll_source *source, uint32_t events);
	uint64_t key; /* slot and generation; the poller's */
};

int netfs_poller_start(void);
void netfs_poller_stop(void);
/* Makes a netfs_poller_wait() in progress, or the next one, return. */
void netfs_poller_kick(void);
/* Waits for events until the given time on netfs_clock_now() (0: does not
 * wait), then delivers them under the executor's lock, which it takes and
 * which the caller owns afterwards. */
void netfs_poller_wait(uint64_t until_ns);
/* events as for epoll_ctl(2).  0 or negative errno. */
int netfs_poller_add(struct netfs_poll_source *source, int fd, uint32_t events);
/* Watches for other events from now on; those that are there already are told.
 * Lock held. */
void netfs_poller_change_locked(const struct netfs_poll_source *source, int fd, uint32_t events);
/* After it returned ready() does not run and will not be called. */
void netfs_poller_remove(struct netfs_poll_source *source, int fd);

/* ------------------------------------------------------------- timer.c */

/* Both with the executor's lock held.  When the next timer goes off,
 * UINT64_MAX where none is armed; posts the tasks of those that did. */
uint64_t netfs_timers_next_locked(void);
void netfs_timers_expire_locked(void);
/* For timer.c: is a poller asleep that has to wake up by then?  Lock held. */
bool netfs_exec_oversleeps_locked(uint64_t when_ns);

/* --------------------------------------------------------------- job.c */

int netfs_jobs_start(void);
/* No job is left; ends the threads. */
void netfs_jobs_stop(void);

/* ------------------------------------------------ file.c and its parts */

struct netfs_fio;

void netfs_fio_start(void);
void netfs_fio_stop(void);
/* Hands fio back to its owner; from an executor thread. */
void netfs_fio_complete(struct netfs_fio *fio, ssize_t result);

/* False where this machine has no usable io_uring. */
bool netfs_uring_start(void);
void netfs_uring_stop(void);
void netfs_uring_submit(struct netfs_fio *fio);

void netfs_fio_pool_start(void);
void netfs_fio_pool_submit(struct netfs_fio *fio);

#endif
