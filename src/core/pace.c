/* SPDX-License-Identifier: MIT */
/*
 * How large read-ahead windows are worth being.
 *
 * A window pays as long as it is not larger than what the path to the server
 * holds: its bandwidth times its delay.  Both are measured on the slices that
 * are read anyway, from the server; a disk cache says nothing about the path.
 * A slice's own bandwidth would say little, because many are
 * in flight; so each remembers how much the mount had received when it was
 * sent, and what came until its answer is what the path delivers in that time.
 * That is at most one window's worth, hence windows are made a few times larger
 * than the measure: while the path has room the measure grows with them, and
 * when it is full it does not.
 *
 * The rate follows rises at once and falls slowly, and small slices never pull
 * it down, because a reader with little to ask for says nothing about the path.
 * The delay is that of slices which had the path to themselves: when many are
 * in flight they wait for each other, and windows that followed that wait would
 * grow without end.  Others can only show that the delay is less.
 *
 * Memory comes first.  All windows are halved when read-ahead finds no memory,
 * or when what it brought is evicted before anybody used it, and grow again
 * with bytes that were used.
 *
 * No locks of its own; the numbers are estimates and each stands for itself.
 */
#include <core/core_internal.h>
#include <core/folio.h>
#include <core/pace.h>
#include <base/assert.h>
#include <env/clock.h>

#define WINDOW_MIN (UINT64_C(128) << 10)
/* Times the measure: a part of a window is always used up already, and the
 * measure has to be able to grow. */
#define GAIN 4
/* Two slices of this size are worth having whatever the path holds, because
 * each slice costs something itself. */
#define SLICE_WORTH (UINT64_C(512) << 10)
/* A slice below this does not pull the rate down. */
#define SMALL_SLICE (UINT64_C(64) << 10)
#define RATE_FALL   32
#define RTT_RISE    8
/* One opener's part of all memory that no dirty data is in, at most. */
#define MEMORY_PART 8
#define SQUEEZE_MAX 6

static uint64_t get(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint64_t *value, uint64_t to)
{
	atomic_store_explicit(value, to, memory_order_relaxed);
}

/* ----------------------------------------------------- measuring */

void netfs_pace_sent(struct netfs_subrequest *sub)
{
	struct netfs_pace *pace = &sub->req->inode->core->pace;

	sub->sent_ns = netfs_clock_now();
	if (sub->cache)
		return;
	sub->delivered = get(&pace->delivered);
	sub->alone = atomic_fetch_add_explicit(&pace->flying, 1, memory_order_relaxed) == 0;
}

void netfs_pace_refused(struct netfs_subrequest *sub)
{
	if (sub->cache)
		return;
	atomic_fetch_sub_explicit(&sub->req->inode->core->pace.flying, 1, memory_order_relaxed);
}

void netfs_pace_answered(const struct netfs_subrequest *sub)
{
	struct netfs_pace *pace = &sub->req->inode->core->pace;
	uint64_t took, sum, sample, rate = get(&pace->rate), rtt = get(&pace->rtt_ns);

	if (sub->cache)
		return;
	atomic_fetch_sub_explicit(&pace->flying, 1, memory_order_relaxed);
	if (netfs_request_writes(sub->req) || sub->moved == 0)
		return;
	sum = atomic_fetch_add_explicit(&pace->delivered, sub->moved, memory_order_relaxed) +
	      sub->moved;
	took = netfs_clock_now() - sub->sent_ns + 1;
	sample = (uint64_t)((double)(sum - sub->delivered) * NETFS_NS_PER_SEC / (double)took);
	if (sample > rate)
		set(&pace->rate, sample);
	else if (sub->moved >= SMALL_SLICE)
		set(&pace->rate, rate - (rate - sample) / RATE_FALL);
	if (rtt == 0 || took < rtt)
		set(&pace->rtt_ns, took);
	else if (sub->alone)
		set(&pace->rtt_ns, rtt + (took - rtt) / RTT_RISE);
}

/* -------------------------------------------------------- windows */

static uint64_t worth(struct netfs_core *core)
{
	uint64_t slice = core->rsize < SLICE_WORTH ? core->rsize : SLICE_WORTH;
	double path = (double)get(&core->pace.rate) * (double)get(&core->pace.rtt_ns) * GAIN /
		      NETFS_NS_PER_SEC;
	uint64_t least = 2 * slice < WINDOW_MIN ? WINDOW_MIN : 2 * slice;

	if (path == 0 || path > core->rasize)
		return core->rasize;
	return path < least ? least : (uint64_t)path;
}

static uint64_t affordable(struct netfs_core *core)
{
	uint64_t all = core->budget->memory_max;
	uint64_t dirty = atomic_load_explicit(&core->budget->dirty, memory_order_relaxed);

	return (dirty < all ? all - dirty : 0) / MEMORY_PART;
}

uint32_t netfs_pace_window(struct netfs_core *core)
{
	uint64_t window = worth(core), most = affordable(core);

	window >>= atomic_load_explicit(&core->pace.squeeze, memory_order_relaxed);
	if (window < WINDOW_MIN)
		window = WINDOW_MIN;
	if (window > most)
		window = most;
	if (window > core->rasize)
		window = core->rasize;
	return (uint32_t)window;
}

/* Two who change it at once may lose one step; nobody counts them. */
static void squeeze_by(struct netfs_pace *pace, int step)
{
	uint32_t now = atomic_load_explicit(&pace->squeeze, memory_order_relaxed);

	set(&pace->good, 0);
	set(&pace->lost, 0);
	if (step < 0 ? now > 0 : now < SQUEEZE_MAX)
		atomic_store_explicit(&pace->squeeze, now + step, memory_order_relaxed);
}

void netfs_pace_squeeze(struct netfs_core *core)
{
	netfs_count(core->stats, readahead_short);
	squeeze_by(&core->pace, 1);
}

/* ----------------------------------------------------- what came of it */

/* A folio remembers how many bytes, not which ones: a byte read twice may be
 * counted for another that nobody read. */
void netfs_pace_ahead(struct netfs_folio *folio, uint64_t n)
{
	netfs_count_n(folio->inode->core->stats, readahead_bytes, n);
	folio->ahead = folio->ahead + n < folio->size ? folio->ahead + (uint32_t)n : folio->size;
}

void netfs_pace_used(struct netfs_folio *folio, uint64_t n)
{
	struct netfs_core *core = folio->inode->core;
	uint64_t good;

	if (n > folio->ahead)
		n = folio->ahead;
	folio->ahead -= n;
	netfs_count_n(core->stats, readahead_used, n);
	if (atomic_load_explicit(&core->pace.squeeze, memory_order_relaxed) == 0)
		return;
	good = atomic_fetch_add_explicit(&core->pace.good, n, memory_order_relaxed) + n;
	if (good > core->rasize)
		squeeze_by(&core->pace, -1);
}

void netfs_pace_unused(struct netfs_folio *folio, int evicted)
{
	struct netfs_core *core = folio->inode->core;
	uint64_t lost;

	netfs_count_n(core->stats, readahead_unused, folio->ahead);
	if (evicted) {
		lost = atomic_fetch_add_explicit(&core->pace.lost, folio->ahead,
						 memory_order_relaxed) +
		       folio->ahead;
		if (lost > netfs_pace_window(core) / 2)
			squeeze_by(&core->pace, 1);
	}
	folio->ahead = 0;
}
