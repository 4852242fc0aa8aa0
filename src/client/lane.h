/* SPDX-License-Identifier: MIT */
/*
 * Blocking steps of one piece of work, one after the other on a pool thread, and
 * between them a beat every few seconds, also while the work waits for something else.
 */
#ifndef CLIENT_LANE_H
#define CLIENT_LANE_H

#include <stdbool.h>
#include <env/executor.h>
#include <env/lock.h>
#include <env/timer.h>

/* I: immutable; m: mutex. */
struct netfs_lane {
	void (*beat)(void *user); /* I */
	void *user; /* I */
	uint64_t every_ns; /* I */
	struct netfs_mutex mutex;
	void (*step)(void *user); /* m: the next, or NULL */
	void (*ended)(void *user); /* m: nothing more comes, and this is to be told */
	bool running; /* m: the job is posted or runs */
	bool due; /* m: a beat */
	bool armed; /* m: the timer is, or its task under way */
	struct netfs_job job;
	struct netfs_timer timer;
	struct netfs_task task;
};

/* Beats every so many nanoseconds until netfs_lane_end(). */
void netfs_lane_begin(struct netfs_lane *lane, uint64_t every_ns, void (*beat)(void *user),
		      void *user);
/* Runs step once those before it have ended; one at a time waits.  Any thread. */
void netfs_lane_post(struct netfs_lane *lane, void (*step)(void *user));
/* From a step, which is the last: once it returned and no beat is under way ended() is
 * called, which may free the lane. */
void netfs_lane_end(struct netfs_lane *lane, void (*ended)(void *user));

#endif
