/* SPDX-License-Identifier: MIT */
/*
 * Dirty bytes of a client: how many there are, and who waits because there are
 * too many.
 *
 * A writer that finds the limit reached is queued and every file with dirty
 * data is told to send.  When uploads bring the sum below the limit again the
 * collector resumes the writers in order of arrival.  Where a client has several
 * mounts each may always have its share of the limit.
 *
 * Bytes the server refused do not count against other files' writers, who
 * could wait for them for ever; a file that has such bytes gets the server's
 * error instead of a place in the queue (see write.c).
 */
#include <core/budget.h>
#include <core/core_internal.h>
#include <core/io.h>
#include <core/trace.h>
#include <base/assert.h>

static bool over(struct netfs_budget *budget)
{
	uint64_t dirty = atomic_load_explicit(&budget->dirty, memory_order_relaxed);
	uint64_t stuck = atomic_load_explicit(&budget->stuck, memory_order_relaxed);

	return dirty >= budget->dirty_max + stuck;
}

/* Has the mount its share of the limit?  One with less goes on although others
 * used the limit up, so that a server that does not answer stops nobody else:
 * all together have at most twice the limit. */
static bool has_share(const struct netfs_core *core)
{
	struct netfs_budget *budget = core->budget;
	uint32_t ncores = atomic_load_explicit(&budget->ncores, memory_order_relaxed);
	uint64_t dirty = atomic_load_explicit(&core->dirty, memory_order_relaxed);
	uint64_t stuck = atomic_load_explicit(&core->stuck, memory_order_relaxed);

	return ncores < 2 || dirty >= budget->dirty_max / ncores + stuck;
}

bool netfs_budget_full(const struct netfs_core *core)
{
	return over(core->budget) && has_share(core);
}

static void trace_resume(const struct netfs_io_state *state)
{
	netfs_trace_file(throttle_resume, state->inode, state->pos, state->end, 0);
}

/* Takes the first out that may go on; NULL: there is none. */
static struct netfs_io_state *next_to_resume(struct netfs_budget *budget)
{
	struct netfs_io_state *found = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&budget->dirty_mutex);
	netfs_list_for_each (link, &budget->throttled) {
		struct netfs_io_state *state =
			netfs_container_of(link, struct netfs_io_state, link);

		if (netfs_budget_full(state->inode->core))
			continue;
		netfs_list_remove(link);
		found = state;
		break;
	}
	netfs_mutex_unlock(&budget->dirty_mutex);
	return found;
}

void netfs_budget_resume(struct netfs_budget *budget)
{
	struct netfs_io_state *state;

	while ((state = next_to_resume(budget))) {
		trace_resume(state);
		netfs_io_resume(state);
	}
}

void netfs_budget_dirtied(struct netfs_budget *budget, uint64_t bytes)
{
	atomic_fetch_add_explicit(&budget->dirty, bytes, memory_order_relaxed);
}

void netfs_budget_cleaned(struct netfs_budget *budget, uint64_t bytes)
{
	uint64_t before = atomic_fetch_sub_explicit(&budget->dirty, bytes, memory_order_relaxed);

	netfs_assert(before >= bytes);
}

void netfs_budget_stuck(struct netfs_budget *budget, uint64_t more, uint64_t less)
{
	atomic_fetch_add_explicit(&budget->stuck, more, memory_order_relaxed);
	atomic_fetch_sub_explicit(&budget->stuck, less, memory_order_relaxed);
}

bool netfs_budget_throttle(struct netfs_budget *budget, struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	const struct netfs_core *core = state->inode->core;
	bool queued = false;

	if (!netfs_budget_full(core))
		return false;
	netfs_mutex_lock(&budget->dirty_mutex);
	if (netfs_budget_full(core)) {
		netfs_count(state->inode->core->stats, write_throttled);
		netfs_trace_file(throttle_wait, state->inode, state->pos, state->end, 0);
		netfs_list_push_back(&budget->throttled, &state->link);
		queued = true;
	}
	netfs_mutex_unlock(&budget->dirty_mutex);
	if (!queued)
		return false;
	netfs_core_kick_all(budget);
	/* The limit may have been left before we were in the list. */
	netfs_budget_resume(budget);
	return true;
}

bool netfs_budget_unthrottle(struct netfs_budget *budget, struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	bool found;

	netfs_mutex_lock(&budget->dirty_mutex);
	found = !netfs_list_empty(&state->link);
	netfs_list_remove(&state->link);
	netfs_mutex_unlock(&budget->dirty_mutex);
	return found;
}
