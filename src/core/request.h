/* SPDX-License-Identifier: MIT */
/*
 * A request is one logical transfer of a stretch of a file; it is cut into
 * subrequests, one slice each, which run on streams.
 *
 *	segments    |--folio--|--folio--|....|--folio--|      gaps allowed
 *	server      [ sub 1 ][ sub 2 ]      [ sub 3 ] .
 *	cache       [    sub 1   ][ sub 2 ] .         ^issued_to
 *	                     ^collected_to
 *
 * What is uploaded goes to the server and, in stretches of its own, to the disk
 * cache where the file has one.  What is downloaded is one stream, of which
 * each subrequest comes from the place that has it.
 *
 * The issuer moves issued_to, the collector moves collected_to; both only
 * grow, and collected_to never passes issued_to.  A subrequest that fell short
 * or failed in a way that may heal is sent again for its rest, which retry.c may
 * cut anew.
 *
 * Everything here is guarded by the inode's mutex unless said otherwise.
 */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include <unetfs/backend.h>
#include <unetfs/cache.h>
#include <base/list.h>
#include <base/ranges.h>
#include <env/executor.h>
#include <env/timer.h>

struct netfs_block;
struct netfs_folio;
struct netfs_frozen;
struct netfs_inode;
struct netfs_io;
struct netfs_news;
struct netfs_request;

/* X(identifier, "what Linux's traces call it"). */
#define NETFS_ORIGINS(X)                                                                           \
	X(READ, "RP") /* somebody waits for it */                                                  \
	X(READAHEAD, "RA")                                                                         \
	X(WRITEBACK, "WB")                                                                         \
	X(WRITETHROUGH, "WT") /* the bytes of a write that wants to be durable */                  \
	X(DIRECT_READ, "DR")                                                                       \
	X(DIRECT_WRITE, "DW")                                                                      \
	X(COPY, "2C") /* what was downloaded, for the cache alone */

enum netfs_origin {
#define NETFS_ORIGIN_ENUM(name, code) NETFS_ORIGIN_##name,
	NETFS_ORIGINS(NETFS_ORIGIN_ENUM)
#undef NETFS_ORIGIN_ENUM
};

/* A piece of a folio that takes part.  Holds a reference to both until all
 * streams have passed it. */
struct netfs_seg {
	struct netfs_folio *folio;
	struct netfs_block *block; /* where the bytes are or go */
	struct netfs_block *cipher; /* an upload: what is sent instead; NULL: block */
	uint64_t cipher_at; /* the file position of its first byte */
	uint64_t from;
	uint64_t to;
	uint64_t cache_from; /* what of the block the cache gets; empty: nothing */
	uint64_t cache_to;
	uint32_t gen; /* folio->gen when it joined */
};

enum netfs_sub_state {
	NETFS_SUB_READY, /* its rest may be sent */
	NETFS_SUB_SENDING, /* inside their function */
	NETFS_SUB_EARLY, /* answered before that returned */
	NETFS_SUB_SENT, /* the server or the cache has it */
	NETFS_SUB_ANSWERED, /* the collector has not looked yet */
	NETFS_SUB_WAITING, /* sent again when its time comes */
	NETFS_SUB_DONE, /* all of it moved, or nothing more will */
};

#define NETFS_SUB_IOV_INLINE 8

/* One slice.  Owned by its stream's list until collected. */
struct netfs_subrequest {
	struct netfs_list link;
	struct netfs_request *req;
	struct netfs_stream *stream;
	struct netfs_slice slice; /* of the current attempt */
	enum netfs_sub_state state;
	bool cache; /* the disk cache has the slice, not the server */
	uint64_t start;
	size_t len;
	size_t transferred; /* contiguous from start, over all attempts */
	size_t asked; /* what the last attempt took on */
	size_t moved; /* what came of it */
	int error; /* answer, then the final verdict */
	unsigned flags; /* answer */
	uint16_t index; /* in its request, for people */
	uint32_t retries;
	uint64_t first_ns; /* when it was sent first */
	uint64_t sent_ns; /* the last attempt */
	uint64_t delivered; /* what the mount had received by then */
	bool alone; /* nothing else was in flight then */
	uint64_t retry_at_ns; /* WAITING: when to send again */
	struct iovec *iov; /* iov_in, or allocated */
	unsigned iov_room;
	struct iovec iov_in[NETFS_SUB_IOV_INLINE];
};

/* A lane of slices to one place. */
struct netfs_stream {
	struct netfs_list subs; /* in file order, disjoint */
	uint64_t issued_to; /* everything before was given to a slice */
	uint64_t collected_to; /* everything before is settled */
	uint64_t end; /* nothing of the stream lies behind */
	unsigned issue_seg; /* where the issuer stands */
	bool active; /* the request uses it */
	bool failed; /* nothing more is sent */
	int error; /* why */
};

enum netfs_stream_nr {
	NETFS_STREAM_SERVER, /* all downloads too */
	NETFS_STREAM_CACHE,
	NETFS_STREAMS,
};

/* Who holds a request.  X(identifier, "reason", "for how long"). */
#define NETFS_REFS(X)                                                                              \
	X(LIST, "list", "the inode's list, until all is collected")                                \
	X(ISSUER, "issuer", "on its way to the issuer, or inside it")                              \
	X(COLLECTOR, "collector", "has answers the collector has not seen")                        \
	X(STALLED, "stalled", "the back end had no room")                                          \
	X(TIMER, "timer", "an armed timer, or its task")                                           \
	X(CRYPT, "crypt", "its bytes are being encrypted or decrypted")                            \
	X(CANCELLER, "canceller", "somebody calls it off")

enum netfs_ref {
#define NETFS_REF_ENUM(name, reason, meaning) NETFS_REF_##name,
	NETFS_REFS(NETFS_REF_ENUM)
#undef NETFS_REF_ENUM
	NETFS_REF_COUNT
};

/*
 * Two references at birth: one of the inode's list, dropped when everything is
 * collected, and one for the issuer.
 */
struct netfs_request {
	struct netfs_list link; /* inode->requests */
	struct netfs_list collect; /* inode->collect, or unlinked */
	struct netfs_list issue; /* a netfs_news list, or unlinked */
	struct netfs_list stall; /* core->stalled; its stall_mutex */
	struct netfs_list living; /* core->living; its living_mutex */
	struct netfs_inode *inode;
	struct netfs_handle *handle; /* a reference; NULL: a copy */
	enum netfs_origin origin;
	uint32_t id; /* for people */
	uint32_t group; /* write-back: of its bytes */
	struct netfs_frozen *frozen; /* write-back: whose bytes it uploads, or NULL */
	uint16_t next_index; /* of its subrequests */
	uint32_t refs; /* the sum of: */
	uint16_t ref[NETFS_REF_COUNT]; /* who holds it */
	uint64_t born_ns;
	uint64_t start;
	uint64_t end; /* of the server's stream, or of the copy */
	uint64_t seq; /* inode->seq at birth */
	struct netfs_seg *segs; /* in file order; none for direct I/O */
	unsigned nsegs;
	unsigned segs_room;
	unsigned collect_seg; /* those before are let go */
	struct netfs_io *io; /* direct I/O: whose memory it is */
	uint64_t zero_to; /* direct read: what is missing below is zero */
	bool serial; /* one slice in flight at a time */
	bool issuing; /* a thread is in the issuer */
	bool reissue; /* somebody shall look again */
	bool stalled; /* the back end had no room for a slice */
	bool fed; /* but for another, since the issuer came */
	bool timer_armed; /* with a reference */
	uint32_t cancelling; /* threads that need the subrequests to stay */
	bool finished;
	struct netfs_stream stream[NETFS_STREAMS];
	struct netfs_timer timer;
	struct netfs_task retry_task;

	/* Of an encrypted file; see crypt_stage.h. */
	bool crypt_busy; /* crypt_task is queued or runs, with a reference */
	bool crypt_short; /* memory was: the timer comes back to it */
	bool for_upload; /* a download that an upload waits for */
	bool check; /* as that: one block, see crypt_check.c */
	unsigned crypt_seg; /* an upload: segments before are encrypted */
	uint64_t arrived_to; /* a download: ciphertext before is here */
	uint64_t clear_to; /* a download: before it is decrypted and valid */
	uint64_t bad_from; /* a download: from here on nothing will come */
	uint64_t eof_at; /* a download: the server's file ended here */
	struct netfs_ranges fresh; /* a download: what came from the server */
	struct netfs_task crypt_task;
};

/* Does it send dirty bytes of folios? */
static inline bool netfs_request_uploads(const struct netfs_request *req)
{
	return req->origin == NETFS_ORIGIN_WRITEBACK || req->origin == NETFS_ORIGIN_WRITETHROUGH;
}

static inline bool netfs_request_writes(const struct netfs_request *req)
{
	return netfs_request_uploads(req) || req->origin == NETFS_ORIGIN_DIRECT_WRITE ||
	       req->origin == NETFS_ORIGIN_COPY;
}

/* What of seg goes over a stream, in file order; empty: nothing. */
static inline uint64_t netfs_seg_from(const struct netfs_seg *seg, enum netfs_stream_nr nr)
{
	return nr == NETFS_STREAM_CACHE ? seg->cache_from : seg->from;
}

static inline uint64_t netfs_seg_to(const struct netfs_seg *seg, enum netfs_stream_nr nr)
{
	return nr == NETFS_STREAM_CACHE ? seg->cache_to : seg->to;
}

/* A new request on the inode's list, empty.  Takes over handle.  NULL: no
 * memory, and handle is still the caller's. */
struct netfs_request *netfs_request_new(struct netfs_inode *inode, enum netfs_origin origin,
					struct netfs_handle *handle);
/* Adds [from, to) of folio behind what is there.  -ENOMEM. */
int netfs_request_add(struct netfs_request *req, struct netfs_folio *folio, uint64_t from,
		      uint64_t to);
/* Everything is in; sets the streams up. */
void netfs_request_seal(struct netfs_request *req, uint64_t start, uint64_t end);
/* Undoes netfs_request_new() of one that stayed empty. */
void netfs_request_abandon(struct netfs_request *req, struct netfs_news *news);
/* A reference for a reason; under the inode's mutex, as the next two. */
struct netfs_request *netfs_request_get(struct netfs_request *req, enum netfs_ref why);
/* Drops one of that reason; after the last of all news frees it. */
void netfs_request_put(struct netfs_request *req, enum netfs_ref why, struct netfs_news *news);
/* A reference changes hands. */
void netfs_request_pass(struct netfs_request *req, enum netfs_ref from, enum netfs_ref to);

/* A slice of the stream, in no list yet.  NULL: no memory. */
struct netfs_subrequest *netfs_sub_new(struct netfs_request *req, struct netfs_stream *stream,
				       uint64_t start, size_t len);
/* In no list any more. */
void netfs_sub_free(struct netfs_subrequest *sub);
/* Will nothing more be sent? */
bool netfs_request_failed(const struct netfs_request *req);
/* Lets go of the first segment that is still held. */
void netfs_request_drop_seg(struct netfs_request *req);

/* Ends what the last put left.  No lock held. */
void netfs_request_free(struct netfs_request *req);

/* Sends what can be sent.  No lock held; uses up one reference of that reason. */
void netfs_request_issue(struct netfs_request *req, enum netfs_ref why);
/* Asks the back end to give up what it has; nothing more is sent, and what is
 * left ends with err.  Called with
 * the inode's mutex held, which it drops and retakes; the caller holds a
 * reference. */
void netfs_request_cancel(struct netfs_request *req, int err);
/* Looks at what was answered and settles it; sets reissue where something is to
 * be sent.  Under the inode's mutex. */
void netfs_request_collect(struct netfs_request *req, struct netfs_news *news);
/* Lets go of the segments that all streams have passed. */
void netfs_request_advance(struct netfs_request *req);
/* Offers what is not sent yet after a while, as memory was short. */
void netfs_request_later(struct netfs_request *req);
/* Puts what has an answer before the collector.  Under the inode's mutex. */
void netfs_request_post(struct netfs_request *req);
/* Aborts where the watermarks or states do not fit. */
void netfs_request_check(const struct netfs_request *req);
/* The task of an inode's collector. */
void netfs_collect_run(struct netfs_task *task);

#endif
