/* SPDX-License-Identifier: MIT */
/*
 * What the files of the FUSE front end share: the session, its threads, the
 * nodes the kernel knows, and the requests it waits for.
 *
 * Locks, in order of acquisition: the node table, the notice queue;
 * the session's lock stands alone.  None is held while the library or libfuse
 * is called, but that of passthrough.c while files are given away.
 */
#ifndef FUSE_SESSION_H
#define FUSE_SESSION_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unetfs/unetfs.h>
#include <base/list.h>
#include "fuse_front.h"
#include "notice.h"
#include "passthrough.h"

/* Largest read or write of one request: more gained nothing when measured. */
#define NETFS_FUSE_DATA_MAX (1u << 20)
/* Pieces of a borrowed answer: every page of the largest read, and the two
 * ends. */
#define NETFS_FUSE_IOV_MAX (NETFS_FUSE_DATA_MAX / 4096 + 2)
/* A name with its end. */
#define NETFS_FUSE_NAME_SIZE   256
#define NETFS_FUSE_THREADS_MAX 4

/* ------------------------------------------------------------- nodes */

/* One vnode the kernel holds references to.  Guarded by the table's lock. */
struct netfs_fuse_node {
	struct netfs_list id_link;
	struct netfs_list ino_link;
	uint64_t nodeid; /* what the kernel calls it */
	uint64_t ino; /* what the library calls it; not always unique */
	struct netfs_vnode *vnode; /* count references of ours */
	uint64_t count; /* lookups the kernel has not forgotten */
	uint64_t no_caps_until; /* ms; until then it has no capabilities */
	uint32_t caps_changes; /* counts what may have given it some */
	struct netfs_notice notice;
};

struct netfs_fuse_nodes {
	uint64_t root_ino;
	uint64_t no_caps_ms; /* how long the absence of capabilities is believed */
	struct netfs_notice_queue notices;

	pthread_mutex_t lock; /* guards the rest */
	struct netfs_list *by_id;
	struct netfs_list *by_ino;
	size_t nbuckets; /* of each; a power of two */
	size_t nnodes;
	uint64_t last_spare; /* the last number given where the own was taken */
};

/* root: one reference, which the table takes.  nosuid: the mount honours no
 * capabilities.  -ENOMEM. */
int netfs_fuse_nodes_init(struct netfs_fuse_nodes *nodes, struct netfs_vnode *root, bool nosuid);
/* Gives all references back; notices find nothing from here on. */
void netfs_fuse_nodes_clear(struct netfs_fuse_nodes *nodes);
/* After clear, when nobody can give notice any more. */
void netfs_fuse_nodes_done(struct netfs_fuse_nodes *nodes);
/* Takes the reference of vnode over for one more lookup by the kernel; on
 * failure it is put.  -ENOMEM. */
int netfs_fuse_node_enter(struct netfs_fuse_nodes *nodes, struct netfs_vnode *vnode,
			  uint64_t *ret_nodeid);
/* The kernel drops count lookups. */
void netfs_fuse_node_forget(struct netfs_fuse_nodes *nodes, uint64_t nodeid, uint64_t count);
/* The vnode of a number, valid while the kernel holds it.  NULL: unknown. */
struct netfs_vnode *netfs_fuse_node_find(struct netfs_fuse_nodes *nodes, uint64_t nodeid);
/*
 * File capabilities, which the kernel asks for before every write.  Are there
 * surely none?  If not, ret_mark is for node_no_caps() later, when the library
 * said that there are none.
 */
bool netfs_fuse_node_has_no_caps(struct netfs_fuse_nodes *nodes, uint64_t nodeid,
				 uint32_t *ret_mark);
void netfs_fuse_node_no_caps(struct netfs_fuse_nodes *nodes, uint64_t nodeid, uint32_t mark);
/* A file made just now has none. */
void netfs_fuse_node_created(struct netfs_fuse_nodes *nodes, uint64_t nodeid);
/* They may have changed. */
void netfs_fuse_node_caps_changed(struct netfs_fuse_nodes *nodes, uint64_t nodeid);
/* Queue what the library noticed.  Any thread; never blocks. */
void netfs_fuse_node_stale(struct netfs_fuse_nodes *nodes, uint64_t ino, uint64_t start,
			   uint64_t end);
void netfs_fuse_node_stale_name(struct netfs_fuse_nodes *nodes, uint64_t dir_ino, const char *name);

/* ---------------------------------------------------------- requests */

/* Room for one message of the kernel or one answer to it. */
struct netfs_fuse_buffer {
	struct netfs_list link;
	char *map; /* the mapping; this struct is at its start */
	char *mem; /* where a message is received: the data of a write in it
		     * begins at a page */
	char *data; /* that page: NETFS_FUSE_DATA_MAX bytes */
};

enum netfs_fuse_state {
	NETFS_FUSE_STARTING, /* the library is being called */
	NETFS_FUSE_PENDING, /* it will complete later; whoever completes replies */
	NETFS_FUSE_DONE, /* it completed */
};

/* One open file or directory; fi->fh points to it. */
struct netfs_fuse_handle {
	struct netfs_list link; /* s in the session's list */
	struct netfs_file *file;
	struct netfs_fuse_passed *passed; /* what the kernel was told of it; NULL: nothing */
};

/*
 * One request of the kernel while the library works on it.  Its memory stays
 * a request until the session ends, because a late interrupt may still point
 * to it.  s: guarded by the session's lock; o: the thread that starts it, then
 * the one that completes it.
 */
struct netfs_fuse_request {
	struct netfs_list link; /* s free list, pending or interrupted ones */
	struct netfs_fuse_session *session;
	_Atomic(fuse_req_t) req; /* NULL once replied; compared under s */
	unsigned pins; /* s interrupts at work on it */
	bool listed; /* s among the pending or interrupted ones */
	_Atomic int state; /* enum netfs_fuse_state */
	bool is_io; /* o io counts, not call */
	bool is_lock_wait; /* o any signal ends it */
	pid_t caller; /* o the thread that waits; 0: none that can be seen */
	int err; /* o result of a call */
	ssize_t result; /* o result of an io */
	void (*reply)(struct netfs_fuse_request *r, int err);
	struct netfs_file *file; /* o io: whose it is */
	struct netfs_fuse_handle *handle; /* o open: the one being made */
	struct netfs_fuse_buffer *buffer; /* o received message or answer */
	void *mem; /* o malloc()ed, freed at the end */
	size_t used; /* o readdir: bytes of answer in mem */
	size_t size; /* o room the kernel offers */
	uint64_t nodeid; /* o the node asked about */
	uint64_t start; /* o write: where the kernel meant it */
	uint32_t mark; /* o getxattr: of node_has_no_caps() */
	struct fuse_file_info fi; /* o open, create: the answer */
	union {
		struct netfs_call call;
		struct netfs_io io;
	};
	char name[2][NETFS_FUSE_NAME_SIZE];
	struct iovec iov[NETFS_FUSE_IOV_MAX];
};

/* A thread that receives requests. */
struct netfs_fuse_thread {
	struct netfs_fuse_session *session;
	pthread_t thread;
	struct netfs_fuse_buffer *buffer; /* what the next request is read into */
	struct netfs_list free; /* requests, without a lock */
	unsigned nfree;
};

/*
 * A request for a call of the library; reply is called once with the result.
 * NULL where there is no memory: the kernel then has its error already.
 */
struct netfs_fuse_request *
netfs_fuse_call_begin(fuse_req_t req, void (*reply)(struct netfs_fuse_request *r, int err));
/* The same about a node, whose vnode it gives.  NULL: already answered. */
struct netfs_fuse_request *netfs_fuse_node_begin(fuse_req_t req, uint64_t nodeid,
						 void (*reply)(struct netfs_fuse_request *r,
							       int err),
						 struct netfs_vnode **ret_vnode);
/* The same for reading and writing a file. */
struct netfs_fuse_request *netfs_fuse_io_begin(fuse_req_t req, struct netfs_file *file,
					       void (*reply)(struct netfs_fuse_request *r,
							     int err));
/* Copies a name; false: too long, answered, r is gone. */
bool netfs_fuse_request_name(struct netfs_fuse_request *r, unsigned slot, const char *name);
/* Answers with an error, or 0, before a call of the library was made. */
void netfs_fuse_request_fail(struct netfs_fuse_request *r, int err);
/* To be called right after the function of the library that was given r:
 * replies if it has completed, and lets interrupts in if not.  r is gone. */
void netfs_fuse_request_started(struct netfs_fuse_request *r);
/* The same where the library reads from the received message: if it has not
 * completed, the buffer of this thread goes with the request. */
void netfs_fuse_request_started_with_message(struct netfs_fuse_request *r);
/* s of the session held: puts r on the free list. */
void netfs_fuse_request_free_locked(struct netfs_fuse_request *r);
/* Asks everything pending to end, and waits until nothing is left; false:
 * something still is after timeout_ms. */
bool netfs_fuse_requests_drain(struct netfs_fuse_session *session, unsigned timeout_ms);
/* Frees the memory of all requests and buffers. */
void netfs_fuse_requests_free(struct netfs_fuse_session *session);

/* interrupt.c: r, which is listed, may be interrupted from here on. */
void netfs_fuse_interrupts_allow(struct netfs_fuse_request *r);
/* Asks r to end early; it completes as always. */
void netfs_fuse_request_cancel(struct netfs_fuse_request *r);
/* The same for all that are listed. */
void netfs_fuse_requests_cancel(struct netfs_fuse_session *session);
/* The thread that looks after interrupted requests, until stopped. */
void *netfs_fuse_interrupts_main(void *session);
void netfs_fuse_interrupts_stop(struct netfs_fuse_session *session);

/* NULL where there is no memory. */
struct netfs_fuse_buffer *netfs_fuse_buffer_get(struct netfs_fuse_session *session);
void netfs_fuse_buffer_put(struct netfs_fuse_session *session, struct netfs_fuse_buffer *buffer);
/* Bytes that can be received into a buffer. */
size_t netfs_fuse_buffer_size(void);
/* Makes thread the one of the calling thread. */
void netfs_fuse_thread_enter(struct netfs_fuse_thread *thread);

/* ----------------------------------------------------------- session */

struct netfs_fuse_session {
	const struct netfs_fuse_config *config;
	struct netfs_mount *mount;
	struct fuse_session *se;
	int fd; /* /dev/fuse, the session's of libfuse */
	uint32_t minor;
	uint32_t max_read; /* the mount option, as far as libfuse saw it; else 0 */
	struct netfs_fuse_nodes nodes;
	struct netfs_fuse_passthrough pass;
	struct netfs_fuse_thread threads[NETFS_FUSE_THREADS_MAX];
	unsigned nthreads;
	pthread_t notifier;
	pthread_t interrupter;
	_Atomic unsigned living; /* threads that still receive */
	_Atomic unsigned inflight; /* requests begun and not ended */
	_Atomic bool stopping; /* finish() waits for inflight */
	_Atomic bool ready; /* INIT was answered, or the session is over */
	bool notifying; /* the notifier was started */
	bool interrupting; /* the interrupter was started */
	char features[512]; /* set by INIT */

	pthread_mutex_t lock; /* the rest, and what says s above */
	pthread_cond_t cond;
	bool running; /* start() succeeded: the end is to be told */
	struct netfs_list pending;
	struct netfs_list interrupted; /* pending too, and a signal came */
	pthread_cond_t interrupts; /* that list is no longer empty, or: stop */
	bool interrupts_stop;
	struct netfs_list free_requests;
	struct netfs_list free_buffers;
	struct netfs_list handles;
	unsigned nfree_buffers;
};

void netfs_fuse_log(const struct netfs_fuse_config *config, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* mount.c: creates libfuse's session and mounts.  Negative errno, with the
 * reason in why. */
int netfs_fuse_attach(struct netfs_fuse_session *session, const struct fuse_lowlevel_ops *ops,
		      char why[256]);
/* Tells the kernel how far to read ahead; only root may. */
void netfs_fuse_set_readahead(const struct netfs_fuse_config *config, uint32_t major,
			      uint32_t minor);

/* init.c */
void netfs_fuse_op_init(void *user, struct fuse_conn_info *conn);

/* Each fills in its operations. */
void netfs_fuse_name_ops(struct fuse_lowlevel_ops *ops);
void netfs_fuse_attr_ops(struct fuse_lowlevel_ops *ops);
void netfs_fuse_file_ops(struct fuse_lowlevel_ops *ops);
void netfs_fuse_lock_ops(struct fuse_lowlevel_ops *ops);
void netfs_fuse_dir_ops(struct fuse_lowlevel_ops *ops);
void netfs_fuse_data_ops(struct fuse_lowlevel_ops *ops);

/* reply.c: answers used by several operations. */
void netfs_fuse_reply_result(struct netfs_fuse_request *r, int err);
void netfs_fuse_reply_attr(struct netfs_fuse_request *r, int err);
/* Of a call that gave a vnode. */
void netfs_fuse_reply_entry(struct netfs_fuse_request *r, int err);
void netfs_fuse_reply_count(struct netfs_fuse_request *r, int err);
void netfs_fuse_stat_fill(struct stat *st, const struct netfs_attr *attr, uint64_t ino);
/* The answer to a lookup; takes call->vnode over.  0 or negative errno. */
int netfs_fuse_entry_fill(struct netfs_fuse_session *session, struct netfs_call *call,
			  struct fuse_entry_param *entry);
struct netfs_fuse_session *netfs_fuse_session_of(fuse_req_t req);

static inline struct netfs_file *netfs_fuse_file(const struct fuse_file_info *fi)
{
	return fi ? ((struct netfs_fuse_handle *)(uintptr_t)fi->fh)->file : NULL;
}

/* An open file's record; the list keeps it for the end.  NULL: no memory. */
struct netfs_fuse_handle *netfs_fuse_handle_new(struct netfs_fuse_session *session);
/* Releases the file, where there is one, and frees handle. */
void netfs_fuse_handle_free(struct netfs_fuse_session *session, struct netfs_fuse_handle *handle);

#endif
