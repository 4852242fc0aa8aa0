/* SPDX-License-Identifier: MIT */
/*
 * The retryer: whether, when and how what fell short or failed is sent again.
 *
 *	sent	[   sub 1   ][   sub 2   ]      both lost with the connection
 *	offered	[          sub 1         ]      one run again, where it may be
 *	taken	[ sub 1 ][ sub 3 ][ s 4  ]      by what the back end takes now
 *
 * What a back end takes at once may have changed meanwhile, in both directions,
 * and only it knows where a slice must end.  So neighbours that wait to be sent
 * again are offered as one, and what it does not take of that becomes a
 * subrequest of its own, which goes out beside the first.  A request that sends
 * one slice after the other sends its pieces so too.
 *
 * How long something is tried depends on who wants it: nobody waits for
 * read-ahead, so it is given up soon, and who comes for the bytes asks anew; all
 * else is tried for as long as the mount is to be patient, each slice from when
 * it was sent first.  The delay between doubles, with jitter so that many do
 * not come at once.
 */
#include <core/core_internal.h>
#include <core/trace.h>
#include <env/clock.h>
#include <env/random.h>

#define BACKOFF_MIN_NS	(20 * NETFS_NS_PER_MS)
#define BACKOFF_MAX_NS	(5 * NETFS_NS_PER_SEC)
#define AHEAD_TRIES_MAX 4u /* sent again so often: a third of a second in all */

static uint64_t backoff(uint32_t retries)
{
	uint64_t delay = BACKOFF_MIN_NS << (retries < 8 ? retries : 8);

	if (delay > BACKOFF_MAX_NS)
		delay = BACKOFF_MAX_NS;
	return delay / 2 + netfs_random_below(delay / 2 + 1);
}

bool netfs_retry_may(const struct netfs_subrequest *sub)
{
	struct netfs_core *core = sub->req->inode->core;

	if (!(sub->flags & NETFS_SLICE_RETRY) || sub->stream->failed || sub->cache)
		return false;
	if (sub->req->origin == NETFS_ORIGIN_READAHEAD && sub->retries >= AHEAD_TRIES_MAX)
		return false;
	return core->hard || netfs_clock_now() - sub->first_ns < core->retry_ns;
}

void netfs_retry_wait(struct netfs_subrequest *sub)
{
	uint64_t delay = backoff(sub->retries++);

	sub->retry_at_ns = netfs_clock_now() + delay;
	sub->state = NETFS_SUB_WAITING;
	netfs_trace_sub(sreq_retry, sub, sub->len - sub->transferred, delay);
}

void netfs_retry_split(struct netfs_subrequest *sub, size_t taken)
{
	size_t len = sub->len - sub->transferred - taken;
	struct netfs_subrequest *rest;

	if (len == 0 || sub->req->serial || (sub->cache && sub->req->inode->core->crypt))
		return;
	/* Without memory it follows when this part has arrived. */
	rest = netfs_sub_new(sub->req, sub->stream, sub->start + sub->len - len, len);
	if (!rest)
		return;
	rest->cache = sub->cache;
	rest->retries = sub->retries;
	rest->first_ns = sub->first_ns;
	rest->state = NETFS_SUB_READY;
	sub->len -= len;
	netfs_list_push_front(&sub->link, &rest->link);
	netfs_trace_sub(sreq_split, rest, len, 0);
}

/* One that would still wait goes along: they failed together. */
static bool may_join(const struct netfs_subrequest *sub, const struct netfs_subrequest *next)
{
	if (next->state != NETFS_SUB_READY && next->state != NETFS_SUB_WAITING)
		return false;
	return next->start == sub->start + sub->len && next->transferred == 0 &&
	       next->cache == sub->cache;
}

void netfs_retry_merge(struct netfs_subrequest *sub, size_t most)
{
	while (!sub->req->serial && sub->link.next != &sub->stream->subs) {
		struct netfs_subrequest *next =
			netfs_container_of(sub->link.next, struct netfs_subrequest, link);

		if (!may_join(sub, next) || sub->len - sub->transferred + next->len > most)
			break;
		netfs_trace_sub(sreq_discard, next, next->len, 0);
		sub->len += next->len;
		if (next->first_ns && (!sub->first_ns || next->first_ns < sub->first_ns))
			sub->first_ns = next->first_ns;
		if (next->retries > sub->retries)
			sub->retries = next->retries;
		netfs_list_remove(&next->link);
		netfs_sub_free(next);
	}
}
