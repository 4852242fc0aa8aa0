/* SPDX-License-Identifier: MIT */
/*
 * Counters of one mount.  Any thread may count; reading gives each counter's
 * own value, not one moment of all.
 *
 * Each counter is the sum of several, in parts of the struct that different
 * threads use: two that read from memory at the same time would otherwise spend
 * most of it on passing the counters to each other.
 */
#ifndef OBS_STATS_H
#define OBS_STATS_H

#include <stdatomic.h>
#include <stdint.h>
#include <env/thread.h>

/* X(identifier, "what it counts").  The printed name is the identifier. */
#define NETFS_STATS(X)                                                                             \
	X(read_calls, "reads asked of the library")                                                \
	X(read_bytes, "bytes those reads returned")                                                \
	X(read_hits, "reads answered from memory alone")                                           \
	X(read_requests, "requests to the server that a reader waits for")                         \
	X(readahead_requests, "requests to the server that nobody waits for yet")                  \
	X(read_joined, "reads that waited for another's request")                                  \
	X(read_zeroes, "bytes known to be zero without asking")                                    \
	X(zero_fills, "ranges filled with zeroes without asking")                                  \
	X(short_reads, "answers that brought less than was asked for")                             \
	X(readahead_bytes, "bytes asked for ahead of any reader")                                  \
	X(readahead_used, "of these, bytes a reader took")                                         \
	X(readahead_unused, "of these, bytes dropped before any reader came")                      \
	X(readahead_short, "times there was no memory to read ahead")                              \
	X(write_calls, "writes asked of the library")                                              \
	X(write_bytes, "bytes those writes brought")                                               \
	X(write_throttled, "writes that waited for the dirty limit")                               \
	X(write_copied, "folios copied because their upload was under way")                        \
	X(write_lost, "written bytes given up because their file is gone")                         \
	X(write_durable, "writes that ended when they were durable")                               \
	X(journal_bytes, "written bytes that went to the journal")                                 \
	X(journal_refused, "writes the journal could not take, sent to the server instead")        \
	X(journal_released, "times all of a file in it was durable at the server")                 \
	X(writeback_requests, "requests that send dirty ranges")                                   \
	X(writethrough_requests, "requests that send what a durable write brought")                \
	X(flush_calls, "waits for dirty ranges to arrive")                                         \
	X(direct_reads, "reads past the cache")                                                    \
	X(direct_writes, "writes past the cache")                                                  \
	X(download_slices, "read requests sent to the server")                                     \
	X(download_done, "of these, answered without an error")                                    \
	X(download_bytes, "bytes they brought")                                                    \
	X(download_retries, "read requests sent again")                                            \
	X(download_retry_passes, "times a request went to send reads again")                       \
	X(download_errors, "read requests that failed for good")                                   \
	X(upload_slices, "write requests sent to the server")                                      \
	X(upload_done, "of these, answered without an error")                                      \
	X(upload_bytes, "bytes they took")                                                         \
	X(upload_retries, "write requests sent again")                                             \
	X(upload_retry_passes, "times a request went to send writes again")                        \
	X(upload_errors, "write requests that failed for good")                                    \
	X(cache_read_slices, "read requests sent to the disk cache")                               \
	X(cache_read_bytes, "bytes they brought")                                                  \
	X(cache_read_errors, "of these requests, made at the server instead")                      \
	X(cache_write_slices, "write requests sent to the disk cache")                             \
	X(cache_write_bytes, "bytes they took")                                                    \
	X(cache_write_errors, "of these requests, failed; the bytes are not cached")               \
	X(cache_misfits, "uploaded bytes the cache could not take, lacking whole blocks")          \
	X(cache_skipped, "downloaded bytes not given to a cache that is behind")                   \
	X(passthrough_files, "times the kernel got a file of the disk cache to read by itself")    \
	X(passthrough_living, "of these files, those it has now")                                  \
	X(group_frozen, "folios whose dirty bytes were set aside for an older group")              \
	X(group_waits, "writes to encrypted files that waited for data of an older group")         \
	X(crypt_checks, "encrypted blocks read again before a part of them was sent")              \
	X(crypt_conflicts, "stretches of these that somebody else had changed meanwhile")          \
	X(slice_refused, "slices the back end had no room for")                                    \
	X(requests_living, "read and write requests there are now")                                \
	X(subrequests_living, "slices of them there are now")                                      \
	X(segments_living, "pieces of folios in them now")                                         \
	X(gate_waits, "operations that waited for others on the file")                             \
	X(folio_made, "folios made")                                                               \
	X(folio_evicted, "folios dropped to make room")                                            \
	X(name_calls, "operations on names and attributes asked")                                  \
	X(name_requests, "of these, sent to the server")                                           \
	X(name_hits, "lookups answered from the name cache")                                       \
	X(name_negative, "lookups answered with a remembered absence")                             \
	X(attr_hits, "attributes answered without asking")                                         \
	X(whole_hits, "listings and link targets answered from memory")                            \
	X(invalidations, "files whose cached data was dropped as stale")                           \
	X(recalls, "files whose lease the server wanted back")                                     \
	X(watches, "times the server began to tell what changes in a directory")                   \
	X(watch_notices, "changes it told of")                                                     \
	X(reconnects, "connections made again")

/* X("group", its first counter).  A group goes on until the next begins. */
#define NETFS_STAT_GROUPS(X)                                                                       \
	X("Reads", read_calls)                                                                     \
	X("Writes", write_calls)                                                                   \
	X("Direct", direct_reads)                                                                  \
	X("Downloads", download_slices)                                                            \
	X("Uploads", upload_slices)                                                                \
	X("Objects", slice_refused)                                                                \
	X("Names", name_calls)

/* X(counter, "what Linux's fs/netfs/stats calls it"), where it has it. */
#define NETFS_STAT_CODES(X)                                                                        \
	X(direct_reads, "DR")                                                                      \
	X(readahead_requests, "RA")                                                                \
	X(read_requests, "RF")                                                                     \
	X(write_calls, "BW")                                                                       \
	X(direct_writes, "DW")                                                                     \
	X(writethrough_requests, "WT")                                                             \
	X(writeback_requests, "WP")                                                                \
	X(zero_fills, "ZR")                                                                        \
	X(short_reads, "sh")                                                                       \
	X(download_slices, "DL")                                                                   \
	X(download_done, "ds")                                                                     \
	X(download_errors, "df")                                                                   \
	X(download_retry_passes, "rq")                                                             \
	X(download_retries, "rs")                                                                  \
	X(upload_slices, "UL")                                                                     \
	X(upload_done, "us")                                                                       \
	X(upload_errors, "uf")                                                                     \
	X(upload_retry_passes, "wq")                                                               \
	X(upload_retries, "ws")                                                                    \
	X(requests_living, "rr")                                                                   \
	X(subrequests_living, "sr")                                                                \
	X(segments_living, "foq")

enum netfs_stat_id {
#define NETFS_STAT_ENUM(name, meaning) NETFS_STAT_##name,
	NETFS_STATS(NETFS_STAT_ENUM)
#undef NETFS_STAT_ENUM
	NETFS_STAT_COUNT
};

/* Parts: threads that count at the same time, mostly. */
#define NETFS_STATS_PARTS 8

struct netfs_stats_part {
	_Atomic uint64_t value[NETFS_STAT_COUNT]; /* wraps: only the sum means something */
	uint64_t apart[8]; /* the next one is in another line of the processor's cache */
};

struct netfs_stats {
	struct netfs_stats_part part[NETFS_STATS_PARTS];
};

static inline _Atomic uint64_t *netfs_stats_mine(struct netfs_stats *stats, enum netfs_stat_id id)
{
	return &stats->part[netfs_thread_number() % NETFS_STATS_PARTS].value[id];
}

/* For the few that say how many there are now. */
static inline void netfs_stats_sub(struct netfs_stats *stats, enum netfs_stat_id id, uint64_t n)
{
	atomic_fetch_sub_explicit(netfs_stats_mine(stats, id), n, memory_order_relaxed);
}

static inline void netfs_stats_add(struct netfs_stats *stats, enum netfs_stat_id id, uint64_t n)
{
	atomic_fetch_add_explicit(netfs_stats_mine(stats, id), n, memory_order_relaxed);
}

#define netfs_count(stats, name)      netfs_stats_add(stats, NETFS_STAT_##name, 1)
#define netfs_count_n(stats, name, n) netfs_stats_add(stats, NETFS_STAT_##name, n)

uint64_t netfs_stats_get(const struct netfs_stats *stats, enum netfs_stat_id id);
/* Name and meaning of a counter; static. */
const char *netfs_stat_name(enum netfs_stat_id id);
const char *netfs_stat_meaning(enum netfs_stat_id id);
/* The group it stands in, and its name in Linux or "-"; static. */
const char *netfs_stat_group(enum netfs_stat_id id);
const char *netfs_stat_code(enum netfs_stat_id id);

#endif
