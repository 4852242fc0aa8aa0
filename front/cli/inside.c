/* SPDX-License-Identifier: MIT */
/*
 * Writes the lines about a mount's inside; runs in the mount's process.  Events
 * travel by name, because the command that reads may be of another version.
 */
#include <inttypes.h>
#include <stdlib.h>
#include "inside.h"

/* Requests listed at once; more than these are no help to anybody. */
#define REQUESTS_MAX 4096

/* ------------------------------------------------------------- writing */

static void write_request(struct netfs_cli_text *text, const struct netfs_request_info *info)
{
	netfs_cli_text_add(text,
			   "r %u %s %" PRIu64 " %" PRIu64 " %d %" PRIu64 " %" PRIu64 " %d %d\n",
			   info->id, info->origin, info->inode, info->age_ns, info->in_use,
			   info->start, info->end, info->stalled, info->cancelled);
	for (unsigned i = 0; i < info->nstreams; i++) {
		const struct netfs_request_stream *stream = &info->stream[i];
		const struct netfs_request_subs *subs = &stream->subs;

		netfs_cli_text_add(text, "m %u %" PRIu64 " %" PRIu64 " %u %u %u %u %u %d %d\n", i,
				   stream->issued_to, stream->collected_to, subs->ready, subs->sent,
				   subs->answered, subs->waiting, subs->done, stream->failed,
				   stream->error);
	}
	for (unsigned i = 0; i < info->nrefs; i++)
		netfs_cli_text_add(text, "h %s %u\n", info->ref[i].reason, info->ref[i].count);
}

void netfs_cli_inside_requests(struct netfs_cli_text *text, struct netfs_mount *mount)
{
	struct netfs_request_info *requests = calloc(REQUESTS_MAX, sizeof(*requests));
	size_t n;

	if (!requests) {
		text->failed = true;
		return;
	}
	n = netfs_mount_requests(mount, requests, REQUESTS_MAX);
	for (size_t i = 0; i < n && i < REQUESTS_MAX; i++)
		write_request(text, &requests[i]);
	netfs_cli_text_add(text, "end %zu\n", n);
	free(requests);
}

static const char *or_none(const char *word)
{
	return word && word[0] ? word : "-";
}

void netfs_cli_inside_trace(struct netfs_cli_text *text)
{
	size_t n, room = netfs_trace_room();
	struct netfs_trace_record *records = calloc(room, sizeof(*records));

	if (!records) {
		text->failed = true;
		return;
	}
	n = netfs_trace_read(records, room);
	for (size_t i = 0; i < n; i++) {
		const struct netfs_trace_record *r = &records[i];

		netfs_cli_text_add(text,
				   "t %" PRIu64 " %u %s %s %u %u %" PRIu64 " %" PRIu64 " %" PRIu64
				   " %d %s %" PRIu64 " %s\n",
				   r->time_ns, r->thread, r->group, r->code, r->request, r->sub,
				   r->inode, r->start, r->len, r->error, or_none(r->extra_name),
				   r->extra, or_none(r->extra_text));
	}
	netfs_cli_text_add(text, "end %zu %" PRIu64 "\n", n, netfs_trace_lost());
	free(records);
}
