/* SPDX-License-Identifier: MIT */
/*
 * Making records for the flight recorder.
 *
 *	netfs_trace(sreq_submit, .request = id, .start = pos, .len = n);
 *
 * Any thread, any lock held, never fails, never waits, allocates nothing.  The
 * time and the thread are added.  The cost is that of reading the clock and of
 * writing one line of memory that is this thread's own; so a path that is
 * taken for each hit in memory makes none.
 *
 * Where the machine has <sys/sdt.h> each place is also a probe of the provider
 * "unetfs", named like the event: inode, request, sub, start, len, error.
 *
 * Reading is in include/unetfs/trace.h.
 */
#ifndef OBS_TRACE_H
#define OBS_TRACE_H

#include <stdint.h>
#include <obs/events.h>
#include <obs/probe.h>

/* What a caller knows; what does not apply is left out. */
struct netfs_trace_info {
	uint64_t inode; /* the file's number */
	uint64_t start;
	uint64_t len;
	uint64_t extra; /* as events.h says */
	uint32_t request;
	uint16_t sub;
	int error;
};

/* The first eight bytes of a word, as a number. */
static inline uint64_t netfs_trace_word(const char *text)
{
	uint64_t word = 0;

	for (unsigned i = 0; i < 8 && text[i]; i++)
		word |= (uint64_t)(uint8_t)text[i] << (8 * i);
	return word;
}

void netfs_trace_put(enum netfs_trace_event event, const struct netfs_trace_info *info);

#define netfs_trace(event, ...) netfs_trace_from(event, ((struct netfs_trace_info){__VA_ARGS__}))

/* The same with the info in one piece, from a function that makes one.  Without
 * the recorder only to measure what it costs (bench/hit.c). */
#if NETFS_TRACE_OFF
#define netfs_trace_from(event, from) ((void)sizeof(from))
#else
#define netfs_trace_from(event, from)                                                              \
	do {                                                                                       \
		struct netfs_trace_info trace_info_ = (from);                                      \
                                                                                                   \
		NETFS_PROBE(event, trace_info_);                                                   \
		netfs_trace_put(NETFS_TRACE_##event, &trace_info_);                                \
	} while (0)
#endif

/* Forgets what was recorded so far.  For tests. */
void netfs_trace_clear(void);

#endif
