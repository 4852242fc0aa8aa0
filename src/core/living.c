/* SPDX-License-Identifier: MIT */
/*
 * The list of living requests, for people.
 *
 * The list has a mutex of its own, which comes after the files'.  So who walks
 * it may only try to take a file's mutex; where somebody works on the file
 * just now, what is known without it is told, and after a few rounds that is
 * all.  A request leaves the list under both, so one that is found there and
 * whose file's mutex is held is whole.
 */
#include <core/core_internal.h>
#include <env/clock.h>

/* Rounds in the hope that a file is free meanwhile. */
#define TRIES_MAX 50

_Static_assert(NETFS_STREAMS <= NETFS_REQUEST_STREAMS_MAX, "the public struct has too few");
_Static_assert(NETFS_REF_COUNT <= NETFS_REQUEST_REFS_MAX, "the public struct has too few");

static const char *const origins[] = {
#define NETFS_ORIGIN_NAME(name, code) code,
	NETFS_ORIGINS(NETFS_ORIGIN_NAME)
#undef NETFS_ORIGIN_NAME
};

static const char *const refs[] = {
#define NETFS_REF_NAME(name, reason, meaning) reason,
	NETFS_REFS(NETFS_REF_NAME)
#undef NETFS_REF_NAME
};

const char *netfs_origin_name(enum netfs_origin origin)
{
	return origins[origin];
}

const char *netfs_ref_name(enum netfs_ref why)
{
	return refs[why];
}

static void count_sub(const struct netfs_subrequest *sub, struct netfs_request_subs *ret_subs)
{
	switch (sub->state) {
	case NETFS_SUB_READY:
		ret_subs->ready++;
		break;
	case NETFS_SUB_SENDING:
	case NETFS_SUB_SENT:
		ret_subs->sent++;
		break;
	case NETFS_SUB_EARLY:
	case NETFS_SUB_ANSWERED:
		ret_subs->answered++;
		break;
	case NETFS_SUB_WAITING:
		ret_subs->waiting++;
		break;
	case NETFS_SUB_DONE:
		ret_subs->done++;
		break;
	}
}

static void show_stream(const struct netfs_stream *stream, struct netfs_request_stream *ret_stream)
{
	struct netfs_list *link;

	ret_stream->issued_to = stream->issued_to;
	ret_stream->collected_to = stream->collected_to;
	ret_stream->failed = stream->failed;
	ret_stream->error = stream->error;
	netfs_list_for_each (link, &stream->subs)
		count_sub(netfs_container_of(link, struct netfs_subrequest, link),
			  &ret_stream->subs);
}

/* The rest, under the mutex of its file. */
static void show_inside(const struct netfs_request *req, struct netfs_request_info *ret_info)
{
	ret_info->start = req->start;
	ret_info->end = req->end;
	ret_info->stalled = req->stalled;
	ret_info->cancelled = req->cancelling > 0;
	for (unsigned i = 0; i < NETFS_STREAMS; i++) {
		if (req->stream[i].active)
			show_stream(&req->stream[i], &ret_info->stream[ret_info->nstreams++]);
	}
	for (unsigned i = 0; i < NETFS_REF_COUNT; i++) {
		if (req->ref[i])
			ret_info->ref[ret_info->nrefs++] =
				(struct netfs_request_ref){refs[i], req->ref[i]};
	}
}

/* False: its file was in use. */
static bool show(const struct netfs_request *req, uint64_t now, struct netfs_request_info *ret_info)
{
	struct netfs_mutex *mutex = &req->inode->mutex;

	*ret_info = (struct netfs_request_info){
		.id = req->id,
		.origin = origins[req->origin],
		.inode = req->inode->id,
		.age_ns = now > req->born_ns ? now - req->born_ns : 0,
		.in_use = true,
	};
	if (!netfs_mutex_trylock(mutex))
		return false;
	ret_info->in_use = false;
	show_inside(req, ret_info);
	netfs_mutex_unlock(mutex);
	return true;
}

/* One round; false: a file was in use. */
static bool list_once(struct netfs_core *core, struct netfs_request_info *ret_requests, size_t max,
		      size_t *ret_count)
{
	uint64_t now = netfs_clock_now();
	struct netfs_list *link;
	bool whole = true;
	size_t n = 0;

	netfs_mutex_lock(&core->living_mutex);
	netfs_list_for_each (link, &core->living) {
		if (n < max)
			whole &= show(netfs_container_of(link, struct netfs_request, living), now,
				      &ret_requests[n]);
		n++;
	}
	netfs_mutex_unlock(&core->living_mutex);
	*ret_count = n;
	return whole;
}

size_t netfs_core_list_requests(struct netfs_core *core, struct netfs_request_info *ret_requests,
				size_t max)
{
	size_t n;

	for (unsigned i = 0; i < TRIES_MAX; i++) {
		if (list_once(core, ret_requests, max, &n))
			break;
	}
	return n;
}
