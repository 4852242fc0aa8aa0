/* SPDX-License-Identifier: MIT */
/*
 * What one opener's reads look like: the streams found in them, and the last
 * few reads, in which new streams are found.  Guarded by the inode's mutex.
 */
#ifndef CORE_READAHEAD_H
#define CORE_READAHEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <base/ranges.h>

/* Streams of one opener at a time, and reads among which new ones are found:
 * enough for three interleaved patterns that need three reads each. */
#define NETFS_RA_STREAMS 4
#define NETFS_RA_PAST	 9

enum netfs_ra_kind {
	NETFS_RA_NONE,
	NETFS_RA_FORWARD, /* each read where the last one ended */
	NETFS_RA_STRIDED, /* records at a constant distance, gaps between */
	NETFS_RA_BACKWARD, /* each read ends where the last one began */
};

enum netfs_ra_mode {
	NETFS_RA_NORMAL,
	NETFS_RA_EAGER, /* the full window at once */
	NETFS_RA_OFF,
};

/*
 *	forward	  .......from====to~~~~~~~~~ahead
 *	backward	     ahead~~~~~~~~~from====to
 *	strided	  ...from=to.....~~.....~~.....ahead
 */
struct netfs_ra_stream {
	enum netfs_ra_kind kind;
	uint32_t used; /* netfs_ra.reads when it was last followed */
	uint32_t window; /* bytes to stay ahead; 0: not begun */
	uint64_t from; /* the last read; strided: record */
	uint64_t to;
	uint64_t stride; /* strided: from one record to the next */
	uint64_t len; /* strided: of the largest record */
	uint64_t ahead; /* asked for as far as this */
};

struct netfs_ra {
	enum netfs_ra_mode mode;
	bool noreuse; /* what is read need not be kept */
	uint32_t reads; /* noted so far */
	struct netfs_ra_stream stream[NETFS_RA_STREAMS];
	struct netfs_range past[NETFS_RA_PAST]; /* newest at (reads - 1) % PAST */
};

#endif
