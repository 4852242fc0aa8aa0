/* SPDX-License-Identifier: MIT */
/*
 * Where work runs that must not run where it was noticed.
 *
 * A task is a function that runs later on an executor thread.  It is a work
 * item: posting it while it is queued does nothing; posting it while it runs
 * makes it run once more afterwards; it never runs on two threads at a time.
 * The function must not block.  It may free or reuse the memory that holds the
 * task as its last act, provided nobody posts it again, and nobody has since this run
 * began.
 */
#ifndef ENV_EXECUTOR_H
#define ENV_EXECUTOR_H

#include <stdatomic.h>
#include <stdint.h>
#include <base/list.h>

struct netfs_task {
	struct netfs_list link;
	void (*fn)(struct netfs_task *task);
	_Atomic uint32_t state; /* the executor's */
};

/* One per process.  Nested starts count; the last stop waits for queued tasks
 * and ends the threads.  threads 0: two.  -ENOMEM, -EAGAIN. */
int netfs_executor_start(uint32_t threads);
void netfs_executor_stop(void);

void netfs_task_init(struct netfs_task *task, void (*fn)(struct netfs_task *task));
/* Any thread, also from tasks and with locks held. */
void netfs_task_post(struct netfs_task *task);

/*
 * A function that may block (name lookups, calls of the local file system),
 * run on a pool thread.  Not a work item: a job is posted once and is the
 * function's from then on.  Unbounded queue; order between jobs is not kept.
 */
struct netfs_job {
	struct netfs_list link;
	void (*fn)(struct netfs_job *job);
};

void netfs_job_post(struct netfs_job *job);

#endif
