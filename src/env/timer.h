/* SPDX-License-Identifier: MIT */
/*
 * A task posted later.
 */
#ifndef ENV_TIMER_H
#define ENV_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#include <env/executor.h>

struct netfs_timer {
	struct netfs_task *task; /* posted when the time comes */
	uint64_t when_ns; /* on netfs_clock_now() */
	uint32_t slot; /* place in the heap + 1; 0: not armed */
};

void netfs_timer_init(struct netfs_timer *timer, struct netfs_task *task);
/* Arms it, or moves it where it was armed.  Any thread, also with locks held. */
void netfs_timer_start(struct netfs_timer *timer, uint64_t delay_ns);
/* Disarms it.  True where it was armed: the task will not be posted by it.
 * False where it was not, or the task is already posted. */
bool netfs_timer_stop(struct netfs_timer *timer);

#endif
