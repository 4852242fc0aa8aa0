/* SPDX-License-Identifier: MIT */
/*
 * Counters of one mount.  Any thread may count; reading gives each counter's
 * own value, not one moment of all.
 */
#ifndef OBS_STATS_H
#define OBS_STATS_H

#include <stdatomic.h>
#include <stdint.h>

/* X(identifier, "what it counts").  The printed name is the identifier. */
#define NETFS_STATS(X)                                                                             \
	X(read_calls, "reads asked of the library")                                                \
	X(read_bytes, "bytes those reads returned")                                                \
	X(read_hits, "reads answered from memory alone")                                           \
	X(read_joined, "reads that waited for another's request")                                  \
	X(read_zeroes, "bytes known to be zero without asking")                                    \
	X(readahead_bytes, "bytes asked for ahead of any reader")                                  \
	X(readahead_used, "of these, bytes a reader took")                                         \
	X(readahead_unused, "of these, bytes dropped before any reader came")                      \
	X(readahead_short, "times there was no memory to read ahead")                              \
	X(write_calls, "writes asked of the library")                                              \
	X(write_bytes, "bytes those writes brought")                                               \
	X(write_throttled, "writes that waited for the dirty limit")                               \
	X(write_copied, "folios copied because their upload was under way")                        \
	X(direct_reads, "reads past the cache")                                                    \
	X(direct_writes, "writes past the cache")                                                  \
	X(download_slices, "read requests sent to the server")                                     \
	X(download_bytes, "bytes they brought")                                                    \
	X(download_retries, "read requests sent again")                                            \
	X(download_errors, "read requests that failed for good")                                   \
	X(upload_slices, "write requests sent to the server")                                      \
	X(upload_bytes, "bytes they took")                                                         \
	X(upload_retries, "write requests sent again")                                             \
	X(upload_errors, "write requests that failed for good")                                    \
	X(cache_read_slices, "read requests sent to the disk cache")                               \
	X(cache_read_bytes, "bytes they brought")                                                  \
	X(cache_read_errors, "of these requests, made at the server instead")                      \
	X(cache_write_slices, "write requests sent to the disk cache")                             \
	X(cache_write_bytes, "bytes they took")                                                    \
	X(cache_write_errors, "of these requests, failed; the bytes are not cached")               \
	X(cache_misfits, "uploaded bytes the cache could not take, lacking whole blocks")          \
	X(cache_skipped, "downloaded bytes not given to a cache that is behind")                   \
	X(group_frozen, "folios whose dirty bytes were set aside for an older group")              \
	X(slice_refused, "slices the back end had no room for")                                    \
	X(folio_evicted, "folios dropped to make room")                                            \
	X(name_calls, "operations on names and attributes asked")                                  \
	X(name_requests, "of these, sent to the server")                                           \
	X(name_hits, "lookups answered from the name cache")                                       \
	X(name_negative, "lookups answered with a remembered absence")                             \
	X(attr_hits, "attributes answered without asking")                                         \
	X(invalidations, "files whose cached data was dropped as stale")                           \
	X(reconnects, "connections made again")

enum netfs_stat_id {
#define NETFS_STAT_ENUM(name, meaning) NETFS_STAT_##name,
	NETFS_STATS(NETFS_STAT_ENUM)
#undef NETFS_STAT_ENUM
	NETFS_STAT_COUNT
};

struct netfs_stats {
	_Atomic uint64_t value[NETFS_STAT_COUNT];
};

static inline void netfs_stats_add(struct netfs_stats *stats, enum netfs_stat_id id, uint64_t n)
{
	atomic_fetch_add_explicit(&stats->value[id], n, memory_order_relaxed);
}

#define netfs_count(stats, name)      netfs_stats_add(stats, NETFS_STAT_##name, 1)
#define netfs_count_n(stats, name, n) netfs_stats_add(stats, NETFS_STAT_##name, n)

/* Name and meaning of a counter; static. */
const char *netfs_stat_name(enum netfs_stat_id id);
const char *netfs_stat_meaning(enum netfs_stat_id id);

#endif
