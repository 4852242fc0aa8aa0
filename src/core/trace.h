/* SPDX-License-Identifier: MIT */
/*
 * Records of the engine's things, one line each.  The event is an identifier
 * of obs/events.h; extra is what that says.  All run under the inode's mutex.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include <core/folio.h>
#include <core/inode.h>
#include <core/request.h>
#include <obs/trace.h>

static inline struct netfs_trace_info netfs_trace_of_request(const struct netfs_request *req,
							     uint64_t extra)
{
	return (struct netfs_trace_info){
		.inode = req->inode->id,
		.start = req->start,
		.len = req->end - req->start,
		.extra = extra,
		.request = req->id,
		.error = req->stream[0].error,
	};
}

static inline struct netfs_trace_info netfs_trace_of_sub(const struct netfs_subrequest *sub,
							 uint64_t len, uint64_t extra)
{
	return (struct netfs_trace_info){
		.inode = sub->req->inode->id,
		.start = sub->start + sub->transferred,
		.len = len,
		.extra = extra,
		.request = sub->req->id,
		.sub = sub->index,
		.error = sub->error,
	};
}

static inline struct netfs_trace_info
netfs_trace_of_range(const struct netfs_inode *inode, uint64_t from, uint64_t to, uint64_t extra)
{
	return (struct netfs_trace_info){
		.inode = inode->id,
		.start = from,
		.len = to - from,
		.extra = extra,
	};
}

/* A request: its whole range and its first stream's error. */
#define netfs_trace_request(event, req, extra)                                                     \
	netfs_trace_from(event, netfs_trace_of_request(req, extra))
/* A subrequest: where its rest starts, len as the event says, its error. */
#define netfs_trace_sub(event, sub, len, extra)                                                    \
	netfs_trace_from(event, netfs_trace_of_sub(sub, len, extra))
/* A range of a folio, or of a file. */
#define netfs_trace_folio(event, folio, from, to, extra)                                           \
	netfs_trace_from(event, netfs_trace_of_range((folio)->inode, from, to, extra))
#define netfs_trace_file(event, inode, from, to, extra)                                            \
	netfs_trace_from(event, netfs_trace_of_range(inode, from, to, extra))

/* A gate's class as extra. */
static inline uint64_t netfs_trace_gate(enum netfs_gate_class class)
{
	static const char *const words[] = {"buffered", "direct", "alone"};

	return netfs_trace_word(words[class]);
}

#endif
