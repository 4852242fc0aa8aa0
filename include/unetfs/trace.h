/* SPDX-License-Identifier: MIT */
/*
 * Seeing inside: the flight recorder of this process, and the living requests
 * of a mount.
 *
 * Every thread keeps its last records in a ring of its own, always.  Reading
 * them disturbs nobody: what is overwritten meanwhile is left out.
 */
#ifndef UNETFS_TRACE_H
#define UNETFS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netfs_mount;

/* ---------------------------------------------------------- recorder */

/* One record.  A number that does not apply is 0. */
struct netfs_trace_record {
	uint64_t time_ns; /* on a clock that never goes back */
	const char *group; /* "netfs_sreq" */
	const char *code; /* "SUBMT" */
	const char *meaning; /* one line */
	const char *extra_name; /* what extra is; NULL: nothing */
	uint32_t event; /* its number in this version */
	uint32_t thread; /* small numbers, used again after a thread ended */
	uint32_t request;
	uint32_t sub; /* index of the subrequest in its request */
	uint64_t inode; /* the file's number */
	uint64_t start;
	uint64_t len;
	uint64_t extra;
	char extra_text[9]; /* extra as a word, "" where it is a number */
	int error; /* 0 or negative errno */
};

/* The youngest records of all threads, at most max, in order of time.  Returns
 * how many.  Any thread. */
size_t netfs_trace_read(struct netfs_trace_record *ret_records, size_t max);
/* How many records there can be at most. */
size_t netfs_trace_room(void);
/* Records that were not kept because too many threads lived. */
uint64_t netfs_trace_lost(void);

/* A record as one line of text; returns its length, as snprintf. */
int netfs_trace_text(const struct netfs_trace_record *record, char *buf, size_t size);

/* ---------------------------------------------------------- requests */

#define NETFS_REQUEST_STREAMS_MAX 4
#define NETFS_REQUEST_REFS_MAX	  8

/* How many subrequests are in which state. */
struct netfs_request_subs {
	uint32_t ready; /* may be sent */
	uint32_t sent; /* the server has them, or is just given them */
	uint32_t answered; /* not looked at yet */
	uint32_t waiting; /* to be sent again later */
	uint32_t done; /* wait for those before them */
};

/* One place that a request exchanges data with. */
struct netfs_request_stream {
	uint64_t issued_to; /* everything before was given to a subrequest */
	uint64_t collected_to; /* everything before is settled */
	struct netfs_request_subs subs;
	bool failed;
	int error;
};

/* References by reason. */
struct netfs_request_ref {
	const char *reason; /* "list" */
	uint32_t count;
};

/* One living request, all of it at one moment. */
struct netfs_request_info {
	uint32_t id;
	const char *origin; /* "readahead" */
	uint64_t inode; /* the file's number */
	uint64_t age_ns;
	bool in_use; /* a thread was at work on its file: nothing more is known */
	uint64_t start;
	uint64_t end;
	bool stalled; /* the back end had no room */
	bool cancelled; /* somebody is calling it off */
	unsigned nstreams;
	struct netfs_request_stream stream[NETFS_REQUEST_STREAMS_MAX];
	unsigned nrefs;
	struct netfs_request_ref ref[NETFS_REQUEST_REFS_MAX]; /* those that are there */
};

/* Fills at most max, oldest first; returns how many there are.  Any thread. */
size_t netfs_mount_requests(struct netfs_mount *mount, struct netfs_request_info *ret_requests,
			    size_t max);

#endif
