/* SPDX-License-Identifier: MIT */
/*
 * Locks: the lane's mutex; not held while a step, a beat or the end runs.
 */
#include <base/assert.h>
#include <client/lane.h>
#include <env/alloc.h>

static void run_locked(struct netfs_lane *lane)
{
	if (lane->running)
		return;
	lane->running = true;
	netfs_job_post(&lane->job);
}

/* Nothing is to be done; true: and nothing will be. */
static bool rest_locked(struct netfs_lane *lane)
{
	lane->running = false;
	if (!lane->ended)
		return false;
	if (lane->armed && netfs_timer_stop(&lane->timer))
		lane->armed = false;
	return !lane->armed;
}

static void end(struct netfs_lane *lane)
{
	netfs_mutex_done(&lane->mutex);
	lane->ended(lane->user);
}

static void run(struct netfs_job *job)
{
	struct netfs_lane *lane = netfs_container_of(job, struct netfs_lane, job);
	void (*next)(void *user);
	bool over;

	while (true) {
		netfs_mutex_lock(&lane->mutex);
		next = netfs_take(lane->step);
		if (!next && lane->due && !lane->ended) {
			lane->due = false;
			next = lane->beat;
		}
		over = !next && rest_locked(lane);
		netfs_mutex_unlock(&lane->mutex);
		if (!next)
			break;
		next(lane->user);
	}
	if (over)
		end(lane);
}

static void time_for_beat(struct netfs_task *task)
{
	struct netfs_lane *lane = netfs_container_of(task, struct netfs_lane, task);
	bool over;

	netfs_mutex_lock(&lane->mutex);
	lane->armed = !lane->ended;
	lane->due = lane->armed;
	if (lane->armed) {
		netfs_timer_start(&lane->timer, lane->every_ns);
		run_locked(lane);
	}
	over = !lane->armed && !lane->running;
	netfs_mutex_unlock(&lane->mutex);
	if (over)
		end(lane);
}

void netfs_lane_begin(struct netfs_lane *lane, uint64_t every_ns, void (*beat)(void *user),
		      void *user)
{
	*lane = (struct netfs_lane){
		.beat = beat,
		.user = user,
		.every_ns = every_ns,
		.armed = true,
		.job.fn = run,
	};
	netfs_mutex_init(&lane->mutex, NETFS_RANK_JOURNAL);
	netfs_task_init(&lane->task, time_for_beat);
	netfs_timer_init(&lane->timer, &lane->task);
	netfs_timer_start(&lane->timer, every_ns);
}

void netfs_lane_post(struct netfs_lane *lane, void (*step)(void *user))
{
	netfs_mutex_lock(&lane->mutex);
	netfs_assert(!lane->step && !lane->ended);
	lane->step = step;
	run_locked(lane);
	netfs_mutex_unlock(&lane->mutex);
}

void netfs_lane_end(struct netfs_lane *lane, void (*ended)(void *user))
{
	netfs_mutex_lock(&lane->mutex);
	netfs_assert(!lane->step);
	lane->ended = ended;
	netfs_mutex_unlock(&lane->mutex);
}
