/* SPDX-License-Identifier: MIT */
/*
 * Everything the recorder can hold.  Groups and codes are those of Linux's
 * network-filesystem library where it has the event, so that who knows its
 * traces can read ours.
 *
 *	X(identifier, "group", "CODE", "what extra is" or NULL, "meaning")
 *
 * Where what extra is begins with a $, extra is a word: netfs_trace_word().
 *
 * A record is made with netfs_trace(identifier, ...), see trace.h.
 */
#ifndef OBS_EVENTS_H
#define OBS_EVENTS_H

/* What began, with the range of the whole request: the origins. */
#define NETFS_TRACE_BEGIN_EVENTS(X)                                                                \
	X(read_page, "netfs_read", "READPAGE", "segs", "a reader waits for it")                    \
	X(read_ahead, "netfs_read", "READAHEAD", "segs", "nobody waits for it yet")                \
	X(read_direct, "netfs_read", "DIO-READ", NULL, "a read past the cache")                    \
	X(read_gaps, "netfs_read", "READ-GAPS", NULL, "around what was written")                   \
	X(read_single, "netfs_read", "READ-SNGL", NULL, "an object that is read whole")            \
	X(read_expanded, "netfs_read", "EXPANDED", "by", "to the granule of cache or server")      \
	X(write_back, "netfs_write", "WRITEBACK", "segs", "dirty ranges are sent")                 \
	X(write_through, "netfs_write", "WRITETHRU", NULL, "a write that must be durable")         \
	X(write_direct, "netfs_write", "DIO-WRITE", NULL, "a write past the cache")                \
	X(write_single, "netfs_write", "WB-SINGLE", NULL, "an object that is written whole")       \
	X(write_cache, "netfs_write", "COPY2CACH", NULL, "what was read goes to the cache")

/* The life of a request. */
#define NETFS_TRACE_RREQ_EVENTS(X)                                                                 \
	X(rreq_new, "netfs_rreq", "NEW", "$origin", "it was made")                                 \
	X(rreq_abandon, "netfs_rreq", "ABNDN", NULL, "it stayed empty")                            \
	X(rreq_reissue, "netfs_rreq", "RESUBMT", NULL, "the issuer looks at it again")             \
	X(rreq_pause, "netfs_rreq", "PAUSE", NULL, "the back end has no room for a slice")         \
	X(rreq_retry_wait, "netfs_rreq", "WAIT-RETRY", "delay_ns", "it waits to send again")       \
	X(rreq_cancel, "netfs_rreq", "INTR", NULL, "somebody calls it off")                        \
	X(rreq_done, "netfs_rreq", "DONE", NULL, "all is settled")                                 \
	X(rreq_free, "netfs_rreq", "FREE", "$origin", "nobody holds it any more")                  \
	X(collect, "netfs_collect", "STREAM", "stream", "a stream is settled as far as start")

/* The life of a subrequest. */
#define NETFS_TRACE_SREQ_EVENTS(X)                                                                 \
	X(sreq_prepare, "netfs_sreq", "PREP", "stream", "it was cut, at most so long")             \
	X(sreq_submit, "netfs_sreq", "SUBMT", "retries", "the back end took it")                   \
	X(sreq_limit, "netfs_sreq", "LIMIT", "offered", "the back end took less than offered")     \
	X(sreq_refused, "netfs_sreq", "_WAIT", NULL, "the back end has no room for it")            \
	X(sreq_answer, "netfs_sreq", "TERM", "flags", "the answer came, so many bytes")            \
	X(sreq_clear, "netfs_sreq", "CLEAR", NULL, "the rest is zero")                             \
	X(sreq_short, "netfs_sreq", "SHORT", NULL, "an answer fell short; the rest is asked for")  \
	X(sreq_retry, "netfs_sreq", "RETRY", "delay_ns", "it may heal, so it is sent again")       \
	X(sreq_fail, "netfs_sreq", "FAIL", NULL, "it failed for good")                             \
	X(sreq_cancel, "netfs_sreq", "CANCL", NULL, "the back end is asked to give it up")         \
	X(sreq_split, "netfs_sreq", "SPLIT", NULL, "more slices than before for its range")        \
	X(sreq_discard, "netfs_sreq", "DSCRD", NULL, "fewer slices than before for its range")     \
	X(sreq_consume, "netfs_sreq", "CONSM", NULL, "settled, so many bytes moved")               \
	X(sreq_cache_prepare, "netfs_sreq", "CA-PR", NULL, "prepared for the cache")               \
	X(sreq_cache_write, "netfs_sreq", "CA-WR", NULL, "goes to the cache")                      \
	X(sreq_cache_refused, "netfs_sreq", "CA-NW", NULL, "the cache does not take it")           \
	X(failure_read, "netfs_failure", "read", NULL, "a download failed for good")               \
	X(failure_short, "netfs_failure", "short-read", NULL, "an answer brought nothing")         \
	X(failure_write, "netfs_failure", "write", NULL, "an upload failed for good")

/* What happens to folios; the decisions of writes are the mod- codes. */
#define NETFS_TRACE_FOLIO_EVENTS(X)                                                                \
	X(folio_make, "netfs_folio", "add", NULL, "it was made")                                   \
	X(folio_evict, "netfs_folio", "evict", NULL, "it made room for others")                    \
	X(folio_remove, "netfs_folio", "kill", NULL, "it was taken out")                           \
	X(folio_read, "netfs_folio", "read", NULL, "missing bytes are on their way")               \
	X(folio_valid, "netfs_folio", "read-done", NULL, "they came")                              \
	X(folio_abandon, "netfs_folio", "abandon", NULL, "they are not to be had")                 \
	X(folio_zero, "netfs_folio", "zero", NULL, "known to be zero, filled in")                  \
	X(folio_mod_uptodate, "netfs_folio", "mod-uptodate", NULL, "write into a valid folio")     \
	X(folio_mod_whole, "netfs_folio", "mod-whole-f", NULL, "write of a whole folio")           \
	X(folio_mod_zero, "netfs_folio", "mod-n-clear", NULL, "write beyond the end of the file")  \
	X(folio_mod_stream, "netfs_folio", "mod-streamw", NULL, "write into a folio with gaps")    \
	X(folio_mod_stream_more, "netfs_folio", "mod-streamw+", "ranges", "and apart from others") \
	X(folio_own, "netfs_folio", "copy", NULL, "copied because others look at its bytes")       \
	X(folio_store, "netfs_folio", "store", NULL, "dirty bytes go under upload")                \
	X(folio_clean, "netfs_folio", "clear", NULL, "the server has them")                        \
	X(folio_redirty, "netfs_folio", "redirtied", NULL, "the server does not have them")        \
	X(folio_drop, "netfs_folio", "cancel-store", NULL, "given up: the file is gone")           \
	X(folio_forget, "netfs_folio", "inval", "dirty", "forgotten, dirty bytes too")             \
	X(folio_forget_clean, "netfs_folio", "inval-clean", NULL, "clean bytes forgotten")         \
	X(folio_stale, "netfs_folio", "inval-late", NULL, "to be forgotten after its upload")

/* Waiting, sizes, decisions about a file. */
#define NETFS_TRACE_FILE_EVENTS(X)                                                                 \
	X(gate_wait, "netfs_gate", "WAIT", "$class", "others are inside the file's gate")          \
	X(gate_enter, "netfs_gate", "ENTER", "$class", "its turn has come")                        \
	X(flush_begin, "netfs_flush", "BEGIN", "ranges", "waits for so many dirty ranges")         \
	X(flush_end, "netfs_flush", "END", NULL, "they have arrived, or not")                      \
	X(throttle_wait, "netfs_throttle", "WAIT", NULL, "a writer waits for the dirty limit")     \
	X(throttle_resume, "netfs_throttle", "RESUME", NULL, "it goes on")                         \
	X(ra_start, "netfs_readahead", "START", "window", "a stream was recognized")               \
	X(ra_more, "netfs_readahead", "MORE", "window", "half the window is used up")              \
	X(file_resize, "netfs_file", "RESIZE", "before", "the file has this length now")           \
	X(file_remote, "netfs_file", "REMOTE", "before", "the server told another length")         \
	X(file_error, "netfs_file", "ERROR", "stuck", "a write-back error was kept")               \
	X(file_drop, "netfs_file", "DROP", NULL, "dirty bytes given up by a forced unmount")

/* Names, connections, the disk cache. */
#define NETFS_TRACE_OTHER_EVENTS(X)                                                                \
	X(name_ask, "netfs_name", "ASK", "$kind", "a question to the server")                      \
	X(name_answer, "netfs_name", "ANSWER", "$kind", "its answer")                              \
	X(conn_try, "netfs_conn", "TRY", "attempt", "a connection is being made")                  \
	X(conn_hello, "netfs_conn", "HELLO", NULL, "connected; the protocol is agreed on")         \
	X(conn_ready, "netfs_conn", "READY", "epoch", "usable")                                    \
	X(conn_lost, "netfs_conn", "LOST", "attempts", "broken, or given up")                      \
	X(conn_cancel, "netfs_conn", "CANCEL", "tag", "the server is asked to drop a message")     \
	X(conn_probe, "netfs_conn", "PROBE", NULL, "is the server alive?")                         \
	X(conn_close, "netfs_conn", "CLOSE", NULL, "ended on our side")                            \
	X(cache_acquire, "fscache", "ACQUIRE", NULL, "a file is looked up in the cache")           \
	X(cache_relinquish, "fscache", "RELINQUISH", NULL, "it is let go")                         \
	X(cache_invalidate, "fscache", "INVALIDATE", NULL, "what the cache has is worthless")      \
	X(cache_forget, "cachefiles", "forget", NULL, "a slice of the range failed")               \
	X(cache_resize, "fscache", "RESIZE", NULL, "the cached file has this length now")          \
	X(cache_have, "cachefiles", "have-data", NULL, "the range is in the cache")                \
	X(cache_part, "cachefiles", "found-part", NULL, "its beginning is")                        \
	X(cache_hole, "cachefiles", "no-data", NULL, "it is not")                                  \
	X(cache_read, "cachefiles", "read", NULL, "read from the cache disk")                      \
	X(cache_write, "cachefiles", "write", NULL, "written to the cache disk")                   \
	X(cache_backing, "fscache", "BACKING", NULL, "its file is given to somebody outside")      \
	X(cache_coherent, "cachefiles", "OK", NULL, "what is saved fits the server's version")     \
	X(cache_stale, "cachefiles", "BAD", NULL, "it does not")                                   \
	X(cache_cull, "cachefiles", "was_culled", NULL, "dropped to make room")                    \
	X(cache_no_space, "cachefiles", "no_space", NULL, "the cache disk is full")                \
	X(cache_error, "cachefiles", "io_error", NULL, "the cache disk failed")

#define NETFS_TRACE_EVENTS(X)                                                                      \
	NETFS_TRACE_BEGIN_EVENTS(X)                                                                \
	NETFS_TRACE_RREQ_EVENTS(X)                                                                 \
	NETFS_TRACE_SREQ_EVENTS(X)                                                                 \
	NETFS_TRACE_FOLIO_EVENTS(X)                                                                \
	NETFS_TRACE_FILE_EVENTS(X)                                                                 \
	NETFS_TRACE_OTHER_EVENTS(X)

enum netfs_trace_event {
#define NETFS_TRACE_ENUM(id, group, code, extra, meaning) NETFS_TRACE_##id,
	NETFS_TRACE_EVENTS(NETFS_TRACE_ENUM)
#undef NETFS_TRACE_ENUM
	NETFS_TRACE_COUNT
};

#endif
