/* SPDX-License-Identifier: MIT */
/*
 * What the files of the 9P back end share.
 *
 *	p9.c           the operations table
 *	p9_config.c    source and options to a connection
 *	p9_conn.c      life of the connection: connect, lose, back off, time out, end
 *	p9_hello.c     Tversion, Tauth, Tattach
 *	p9_req.c       tags, send queue, Tflush
 *	p9_recv.c      replies
 *	p9_fid.c       fid numbers and clunking
 *	p9_node.c      nodes and their paths
 *	p9_call.c      operations of several messages, waiting and starting again
 *	p9_handle.c    open files, opening them again, remembered locks
 *	p9_walk.c p9_name.c p9_make.c p9_attr.c p9_xattr.c p9_dir.c p9_io.c p9_lock.c
 *	               the operations
 *	p9_msg.[ch] p9_codec.c p9_print.c   the messages
 *
 * Locks: conn->lock (NETFS_RANK_BACKEND) guards tags, fids, nodes' places,
 * handles, calls; conn->send_lock (NETFS_RANK_BACKEND_IO), taken inside it or
 * alone, guards the socket pointer and the send queue and is held while the
 * socket takes bytes (which never blocks).  One task per connection (conn->task)
 * owns the socket's life and everything that is received.  Nothing is called
 * upwards with a lock held.
 *
 * Letters in the structures below: I set before publication, c conn->lock,
 * s conn->send_lock, o only the connection's task, a atomic, p whoever runs the
 * call at that moment (one at a time).
 */
#ifndef P9_H
#define P9_H

#include <errno.h>
#include <unetfs/backend.h>
#include <base/assert.h>
#include <base/list.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/executor.h>
#include <env/lock.h>
#include <env/socket.h>
#include <env/timer.h>
#include "p9_msg.h"

#define P9_MSIZE_WANT	(1u << 20) /* offered by default */
#define P9_MSIZE_MIN	4096u /* a server below that is refused */
#define P9_MSIZE_MAX	(16u << 20)
#define P9_TAGS		1024u /* requests in flight; more wait for a tag */
#define P9_TAG_FLUSH	0x4000u /* tag of the Tflush for tag t is this + t */
#define P9_ROOT_FID	0u
#define P9_TAG_PROBE	0x7fffu /* is the server still there? */
#define P9_SLICES_MAX	32u /* slices in flight, then -EAGAIN */
#define P9_REPLY_MAX	8192u /* longest reply apart from Rread and Rreaddir */
#define P9_HEAD_INLINE	64u /* encoded requests up to this need no memory */
#define P9_RESTARTS_MAX 8u /* of a call that met a moving directory */
#define P9_IOV_MAX	64u /* pieces per send or receive */

#define P9_TIMEO_DEFAULT_DS 600u /* a minute, as nfs has it */
#define P9_CONNECT_NS	    (20 * NETFS_NS_PER_SEC) /* connect and attach */
#define P9_FLUSH_NS	    (5 * NETFS_NS_PER_SEC) /* to answer a cancellation */
#define P9_BACKOFF_MIN_NS   (100 * NETFS_NS_PER_MS)
#define P9_BACKOFF_MAX_NS   (5 * NETFS_NS_PER_SEC)

struct p9_conn;
struct p9_req;
struct p9_call;

/* ------------------------------------------------------------ requests */

/* How a request ended. */
enum p9_end {
	P9_REPLIED, /* reply is valid until done() returns */
	P9_REFUSED, /* Rlerror: req->err says why */
	P9_FLUSHED, /* Rflush came first: as if it had never been sent */
	P9_LOST, /* the connection went; req->sent: it may have been executed */
	P9_BROKEN, /* its reply broke the protocol */
};

/* Bytes on their way into the socket: a head, then the caller's data. */
struct p9_frame {
	struct netfs_list link; /* s conn->send_queue */
	const uint8_t *head; /* I */
	size_t head_len; /* I */
	const struct iovec *data; /* I may be NULL */
	unsigned ndata; /* I */
	size_t length; /* I of head and data together */
	size_t done; /* s bytes the socket took */
	struct p9_req *req; /* I NULL: heap memory, freed when sent */
};

/*
 * One request and its reply.  Lives inside a call, a fid or the connection,
 * which must outlive it; it is the connection's from p9_req_send() to done().
 */
struct p9_req {
	struct p9_frame frame;
	struct netfs_list pending; /* c conn->pending while there is no tag */
	uint8_t inline_head[P9_HEAD_INLINE];
	uint8_t *heap_head; /* p where the encoding is longer */
	uint16_t tag; /* c */
	uint8_t type; /* I */
	bool in_flight; /* c between send and end: has a tag or is pending */
	bool sent; /* s all of it went into the socket */
	uint32_t count; /* I most bytes a read may bring, a write may take */
	/* Where the data of Rread and Rreaddir goes. */
	const struct iovec *into;
	unsigned ninto;
	int err; /* with P9_REFUSED and P9_BROKEN */
	/* Last use of the request by the connection.  No lock held. */
	void (*done)(struct p9_req *req, enum p9_end end, const struct p9_msg *reply);
};

/* ------------------------------------------------------------ fids */

/*
 * A fid of one session.  Counted: a node or handle holds it, and every call
 * that uses its number does, so that the number is not clunked and reused
 * under a request.  The last put sends Tclunk and frees it afterwards.
 */
struct p9_fid {
	struct p9_conn *conn;
	_Atomic uint32_t refs; /* a */
	uint32_t num; /* I */
	uint64_t session; /* I conn->session it was made in */
	bool known; /* p the server may know it: clunk it */
	struct p9_node *copy_of; /* p while a spare is made: whose, a reference */
	struct p9_fid *original; /* p likewise: from what, a reference */
	uint64_t epoch; /* I of a spare: conn->epoch its original was good in */
	struct p9_req req; /* Twalk of a spare, Tclunk */
};

/* ------------------------------------------------------------ nodes, handles */

/* A name of an object: in parent, under name. */
struct p9_place {
	struct p9_node *parent; /* a reference */
	char *name;
};

#define P9_PLACES_MAX	8 /* names remembered of one file */
#define P9_NODE_BUCKETS 256u /* of the table of nodes */

/*
 * An object and the names it is known by, the likeliest first.  There is one
 * node for each qid path, so that a file found under a second name is still
 * found when the first is gone.  The fid is good while epoch is the
 * connection's.  A node that is somebody's parent has exactly one place: so the
 * way to the root is one, and no circle can arise that was not looked for.
 */
struct p9_node {
	struct netfs_node base;
	struct netfs_list link; /* c conn->nodes */
	struct p9_place places[P9_PLACES_MAX]; /* c */
	unsigned nplaces; /* c 0: the root or an orphan */
	bool has_children; /* c somebody's parent */
	struct p9_fid *fid; /* c NULL before the first walk */
	uint64_t epoch; /* c conn->epoch when fid was walked; 0: walk again */
	struct p9_handle *open; /* c the handle that was opened last, or NULL */
	struct p9_fid *spare; /* c a copy of fid for the next create, or NULL */
	uint64_t qid_path; /* I what the server must still say it is */
	uint32_t moves; /* c times its places changed */
	uint32_t renaming; /* c renames in flight that move it */
	uint8_t qid_type; /* I */
	bool is_root; /* I */
};

/* A lock granted through a handle. */
struct p9_held {
	uint64_t start, end, owner;
	bool write;
};

/* An open file or directory. */
struct p9_handle {
	struct netfs_handle base;
	struct netfs_list link; /* c conn->handles */
	struct p9_node *node; /* I a reference */
	uint32_t flags; /* I what a re-open passes to Tlopen */
	struct p9_fid *fid; /* c */
	uint32_t iounit; /* c 0: none given */
	uint64_t epoch; /* c conn->epoch when it was opened */
	uint32_t moves; /* c node->moves then */
	bool reopening; /* c a call is at it; others wait in: */
	struct netfs_list waiting; /* c calls by park */
	int err; /* c it could not be opened again: for good */
	struct p9_held *held; /* c locks to set again */
	unsigned nheld, held_room; /* c */
	unsigned lock_calls; /* c in flight: there is room for two more for each */
	bool held_lost; /* c held is too much: memory was short */
	bool relock_again; /* held shrank while it is being set again */
};

/* ------------------------------------------------------------ calls */

typedef void p9_step_fn(struct p9_call *call);

#define P9_CALL_NODES 3

/*
 * One operation or slice in flight: a chain of requests, each with the step
 * that follows it.  Starts by making the fids of its nodes and its handle
 * current (p9_node.c, p9_handle.c), then runs body.  When the connection goes
 * it drops its fids, waits in conn->parked, and starts again from the top.
 */
struct p9_call {
	struct p9_req req;
	struct p9_conn *conn; /* I */
	struct netfs_list all; /* c conn->calls */
	struct netfs_list park; /* c conn->parked, conn->moving or handle->waiting */
	/* In a word of their own: others are read as a whole, without the lock. */
	bool parked; /* c */
	bool cancelled; /* c */
	struct netfs_op *op; /* I one of the two, or neither for our own */
	struct netfs_slice *slice; /* I */
	uint64_t deadline_ns; /* I 0: waits for ever */
	bool counted; /* I one of conn->slices */
	bool moves_dir; /* p one of conn->dir_renames */
	bool moves_node; /* p one of moving->renaming */
	uint32_t moves; /* p of all its nodes together, at the start */

	p9_step_fn *body; /* I */
	p9_step_fn *next; /* p after the reply */
	p9_step_fn *after; /* p after a walk by one name */
	p9_step_fn *end; /* I told the result in err, before op; or NULL */
	bool try; /* p next also sees a refusal, in err */
	bool changing; /* p the request in flight changes something */
	bool changed; /* p the change was made: do not ask for it again */
	bool by_handle; /* I body comes first, and asks for the nodes if it needs them */
	bool resent; /* p an earlier try may have made the change */
	int err; /* p of the last request */
	const struct p9_msg *reply; /* p during next */
	uint64_t epoch; /* p conn->epoch at the start */
	uint64_t session; /* p conn->session then: its fids are good in no other */
	uint32_t restarts; /* p */

	struct p9_node *node[P9_CALL_NODES]; /* I caller's references */
	struct p9_fid *fid[P9_CALL_NODES]; /* p theirs, a reference each */
	struct p9_handle *handle; /* I */
	struct netfs_handle *opened; /* I what a call of our own opens again, or may use */
	struct p9_fid *hfid; /* p the handle's, a reference */
	struct p9_fid *tmp; /* p a fid this call made itself */
	char *path; /* p names of a walk, each with its NUL */
	unsigned path_count, path_pos; /* p */
	unsigned place; /* p which name of the node is tried */
	bool looked_again; /* p its nodes were found stale once and walked again */
	unsigned walk_names; /* p of the walk in flight */
	bool walk_try; /* p after also sees that it failed */

	/* Arguments and scratch of the operation. */
	const char *name, *name2;
	const struct netfs_setattr *set;
	const struct netfs_lock *lock;
	const void *value;
	uint32_t flags, mode, major, minor;
	uint64_t cookie, moved, size;
	unsigned index, slice_flags;
	bool is_dir; /* unlink: rmdir; made: a directory */
	bool owner; /* what is made belongs to op->cred */
	bool creates; /* tmp becomes op->handle */
	struct p9_node *moving; /* I rename: what moves */
	struct p9_qid qid; /* p what the last walk by a name came to */
	uint32_t iounit; /* p */
	uint8_t *buf; /* p heap, freed at the end */
	struct iovec iov; /* p */
};

/* ------------------------------------------------------------ connection */

enum p9_state {
	P9_DOWN, /* no socket; tries again at retry_ns */
	P9_CONNECTING, /* socket on its way */
	P9_HELLO, /* version and attach on their way */
	P9_READY, /* requests go out */
	P9_GONE, /* no socket and none to come: an inherited fd was lost */
};

struct p9_tag {
	struct p9_req *req; /* NULL: done, but its Rflush is still to come */
	bool flushing; /* a Tflush is out */
};

struct p9_conn {
	struct netfs_be be;
	struct netfs_be_host *host; /* I */
	struct netfs_socket_address address; /* I points into strings */
	char *strings[6]; /* I owned copies */
	const char *aname, *uname; /* I */
	char client_id[32]; /* I of our locks, the same for ever */
	uint32_t uid; /* I who we attach as */
	uint32_t msize_want; /* I */
	bool hard; /* I */
	uint64_t soft_ns; /* I a soft call fails after this */
	uint64_t silent_ns; /* I a silent server is dead after this */

	struct netfs_task task; /* everything that happens by itself */
	struct netfs_timer timer; /* posts task */
	_Atomic uint32_t busy; /* a threads that may still touch conn */

	struct netfs_mutex lock;
	enum p9_state state; /* c written by o */
	uint64_t session; /* c one more with every attach */
	uint64_t epoch; /* c one more with every attach or moved directory */
	uint32_t msize; /* c negotiated */
	struct p9_tag tags[P9_TAGS]; /* c */
	uint16_t free_tags[P9_TAGS]; /* c stack */
	uint32_t nfree_tags; /* c */
	struct netfs_list pending; /* c requests without a tag */
	uint32_t outstanding; /* c tags in use */
	uint64_t heard_ns; /* c last sign of life, or first request after idling */
	bool timer_on; /* c */
	uint32_t *free_fids; /* c stack of numbers */
	uint32_t nfree_fids, free_fids_room; /* c */
	uint32_t next_fid; /* c */
	uint32_t flushing; /* c cancelled requests without an answer */
	uint64_t flush_ns; /* c when the first of them went, or the last was answered */
	uint32_t fids_busy; /* c fids being given back or copied ahead */
	struct netfs_list calls; /* c all of them */
	struct netfs_list parked; /* c calls waiting for the connection */
	struct netfs_list moving; /* c calls waiting for dir_renames to end */
	struct netfs_list moved; /* c calls waiting for a rename of their node */
	struct netfs_list handles; /* c */
	struct netfs_list nodes[P9_NODE_BUCKETS]; /* c by qid_path; not the root */
	uint32_t dir_renames; /* c in flight */
	_Atomic uint32_t slices; /* a in flight; changed with lock held */
	bool starved; /* c a slice was refused; host->ready() is due */
	bool no_renameat, no_unlinkat; /* c the server has no such message */
	struct p9_fid root_fid; /* I number P9_ROOT_FID, attached anew each session */
	struct netfs_op *end_op; /* c disconnect, or the connect that failed */
	bool closing; /* c disconnect was asked for */
	uint64_t close_ns; /* c and waits for clunks no longer than this */

	struct netfs_mutex send_lock;
	struct netfs_socket *socket; /* s changed by o */
	struct netfs_list send_queue; /* s frames */
	bool send_failed; /* s the socket broke while sending */

	/* Owned by the task. */
	struct netfs_op *connect_op; /* o until the first attach */
	int end_err; /* o result for end_op */
	bool ending; /* o socket and timer are gone: free next time */
	bool left; /* o all threads that were in here */
	bool was_ready; /* o the host was told "connected" */
	uint32_t attempts; /* o since the last good reply */
	uint64_t retry_ns; /* o */
	uint64_t deadline_ns; /* o of connect and hello */
	int fault; /* o why the connection has to go */
	char fault_text[160]; /* o */
	struct p9_req hello; /* o version, auth, attach, first getattr */
	struct p9_qid root_qid; /* o from the first attach */
	uint32_t hello_msize; /* o */
	bool probing; /* o a probe is out */

	/* Receiving: bytes of the message being read, or its data. */
	uint8_t stage[P9_REPLY_MAX]; /* o */
	size_t have; /* o bytes in stage */
	size_t skip; /* o bytes of an unwanted message to drop */
	struct p9_req *data_req; /* o whose data is being received */
	size_t data_done, data_left; /* o */
};

static inline struct p9_conn *p9_conn_of(struct netfs_be *be)
{
	return netfs_container_of(be, struct p9_conn, be);
}

static inline struct p9_node *p9_node_of(struct netfs_node *node)
{
	return netfs_container_of(node, struct p9_node, base);
}

static inline struct p9_handle *p9_handle_of(struct netfs_handle *handle)
{
	return netfs_container_of(handle, struct p9_handle, base);
}

/* A reference, unless the last one is already gone. */
static inline bool p9_refs_try(_Atomic uint32_t *refs)
{
	uint32_t n = atomic_load_explicit(refs, memory_order_relaxed);

	while (n > 0 && !atomic_compare_exchange_weak_explicit(
				refs, &n, n + 1, memory_order_relaxed, memory_order_relaxed))
		;
	return n > 0;
}

/* --- p9_config.c */
extern const struct netfs_option_info p9_options[];
/* A connection not yet started.  On failure one line in message. */
int p9_config_read(const struct netfs_be_config *config, struct p9_conn *conn, char *message,
		   size_t size);

/* --- p9_conn.c */
void p9_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
		struct netfs_op *op);
void p9_disconnect(struct netfs_be *be, struct netfs_op *op);
/* Says why the connection has to go; the task then takes it down.  From the
 * task only.  Returns err. */
int p9_conn_fault(struct p9_conn *conn, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The attach went through. */
void p9_conn_ready(struct p9_conn *conn, struct netfs_node *root, const struct netfs_attr *attr);
/* Bytes of data that one message has room for. */
uint32_t p9_conn_room(struct p9_conn *conn);
/* Keeps conn alive across work that may complete the caller's own call. */
void p9_conn_enter(struct p9_conn *conn);
void p9_conn_leave(struct p9_conn *conn);

/* --- p9_hello.c */
void p9_hello_start(struct p9_conn *conn);

/* --- p9_req.c */
/* Encodes msg into req; data is what follows the head.  -ENOMEM, -EMSGSIZE. */
int p9_req_prepare(struct p9_req *req, const struct p9_msg *msg, const struct iovec *data,
		   unsigned ndata);
void p9_req_done(struct p9_req *req); /* frees what prepare allocated */
/* Gives a prepared request to the connection, whose state is the caller's
 * business.  Lock held; p9_send() must follow without it. */
void p9_req_queue_locked(struct p9_conn *conn, struct p9_req *req);
/* The same for conn->hello with Tversion, which has no tag. */
void p9_req_queue_notag_locked(struct p9_conn *conn, struct p9_req *req);
/* Moves what it can from the send queue into the socket. */
void p9_send(struct p9_conn *conn);
/* Asks the server to drop a request; p9_send() must follow.  Lock held.  True
 * where it was not yet sent and is withdrawn: the caller ends it. */
bool p9_req_flush_locked(struct p9_conn *conn, struct p9_req *req);
/* Asks for a sign of life. */
void p9_send_probe(struct p9_conn *conn);
/* The request a reply belongs to, NULL where it is to be dropped.  ret_early:
 * it answers what was not sent. */
struct p9_req *p9_req_find(struct p9_conn *conn, uint16_t tag, bool *ret_early);
/* Takes an answered request out of the table. */
void p9_req_take(struct p9_conn *conn, struct p9_req *req);
/* An Rflush came.  Returns the request it ends, if that is still waiting. */
struct p9_req *p9_req_flushed(struct p9_conn *conn, uint16_t tag);
/* Empties table and queues; the requests are linked by pending into list. */
void p9_req_steal_locked(struct p9_conn *conn, struct netfs_list *list);

/* --- p9_recv.c */
/* Receives until there is no more, at most a fair share.  0, 1 when there may
 * be more, or what ended the connection. */
int p9_recv(struct p9_conn *conn);
void p9_recv_reset(struct p9_conn *conn);
/* Where the next bytes belong; the number of pieces in iov. */
unsigned p9_recv_iov(struct p9_conn *conn, struct iovec iov[P9_IOV_MAX]);
/* count bytes were put there.  0 or negative errno after p9_conn_fault(). */
int p9_recv_got(struct p9_conn *conn, size_t count);

/* --- p9_fid.c */
/* A fid with one reference and a fresh number.  NULL: no memory. */
struct p9_fid *p9_fid_new(struct p9_conn *conn);
struct p9_fid *p9_fid_get(struct p9_fid *fid);
/* NULL is allowed.  No lock held. */
void p9_fid_put(struct p9_fid *fid);
/* Has the server copy call->fid[0] for call->node[0]->spare. */
void p9_fid_copy_ahead(struct p9_call *call);
/* node's spare, which is the caller's now; NULL where there is no good one. */
struct p9_fid *p9_fid_take_spare(struct p9_node *node);

/* --- p9_node.c */
void p9_node_table_init(struct p9_conn *conn);
/* The node of that object, with one reference and fid (which is taken over, and
 * may be NULL) as its fid.  NULL: no memory, fid is not taken. */
struct p9_node *p9_node_found(struct p9_call *call, const struct p9_qid *qid, struct p9_fid *fid);
struct p9_node *p9_node_root(struct p9_conn *conn, const struct p9_qid *qid);
void p9_node_free(struct netfs_node *node);
int p9_path(struct netfs_node *node, char *buf, size_t size);
/* Makes call->fid[i] current for all nodes, then goes on with call->body. */
void p9_node_ensure(struct p9_call *call);
/* Is a the same as or above b?  Lock held. */
bool p9_node_above_locked(const struct p9_node *a, const struct p9_node *b);
/* The object has this name now, or no more.  Adding takes name over (heap). */
void p9_node_add_place(struct p9_conn *conn, struct p9_node *node, struct p9_node *parent,
		       char *name);
void p9_node_drop_place(struct p9_conn *conn, struct p9_node *node, struct p9_node *parent,
			const char *name);
/* The same for whatever node has that qid path, if there is one. */
void p9_node_unlinked(struct p9_conn *conn, const struct p9_qid *qid, struct p9_node *parent,
		      const char *name);
/* A call met err: are there nodes of it worth walking to again? */
bool p9_node_doubt(struct p9_call *call, int err);

/* --- p9_call.c */
/* A call with its arguments empty; NULL (and op completed) without memory. */
struct p9_call *p9_call_new(struct p9_conn *conn, struct netfs_op *op, p9_step_fn *body);
/* The same about a node, in node[0]; about a name in it, which is checked; about
 * a handle. */
struct p9_call *p9_call_on_node(struct netfs_node *node, struct netfs_op *op, p9_step_fn *body);
struct p9_call *p9_call_on_name(struct netfs_node *dir, const char *name, struct netfs_op *op,
				p9_step_fn *body);
struct p9_call *p9_call_on_handle(struct netfs_handle *handle, struct netfs_op *op,
				  p9_step_fn *body);
/* From the top.  Last use of call by the caller, as with all that follows. */
void p9_call_start(struct p9_call *call);
/* Sends msg, then runs next when it was answered well; else the call ends. */
void p9_call_send(struct p9_call *call, const struct p9_msg *msg, p9_step_fn *next);
/* The same, but next also runs when it was refused, with call->err set. */
void p9_call_try(struct p9_call *call, const struct p9_msg *msg, p9_step_fn *next);
/* p9_call_try() of a message that must not take effect twice. */
void p9_call_change(struct p9_call *call, const struct p9_msg *msg, p9_step_fn *next);
/* With data that follows the head. */
void p9_call_send_data(struct p9_call *call, const struct p9_msg *msg, const struct iovec *data,
		       unsigned ndata);
void p9_call_finish(struct p9_call *call, int err);
/* Moves the calls parked in from into list, a private one.  Lock held. */
void p9_call_unpark_locked(struct netfs_list *from, struct netfs_list *list);
/* Runs all calls of a list (by park) from the top. */
void p9_call_start_all(struct netfs_list *list);
/* A fresh fid in call->tmp.  False: the call was finished. */
bool p9_call_new_tmp(struct p9_call *call);
void p9_call_drop_tmp(struct p9_call *call);
/* Puts a call into a list until somebody starts it.  Lock held. */
void p9_call_park_locked(struct p9_call *call, struct netfs_list *list);
void p9_op_cancel(struct netfs_be *be, struct netfs_op *op);
void p9_slice_cancel(struct netfs_be *be, struct netfs_slice *slice);
/* Fails parked soft calls whose time is over; the next such time, or 0. */
uint64_t p9_call_expire(struct p9_conn *conn, uint64_t now);
/* Ends every parked call of the connection with err. */
void p9_call_fail_parked(struct p9_conn *conn, int err);

/* --- p9_walk.c */
/* Twalk from call->fid[0] by call->name, then p9_walk_result(). */
void p9_walk_name(struct p9_call *call);
/* call->tmp is what was asked for: sets its owner, asks its attributes and ends
 * the call with op->node and op->attr, and with op->handle if call->creates. */
void p9_walk_result(struct p9_call *call);
/* Twalk from a fid by one name (NULL: none, a copy) into call->tmp. */
void p9_walk(struct p9_call *call, struct p9_fid *from, const char *name, p9_step_fn *after);
/* The same, but after also sees errors, in call->err. */
void p9_walk_try(struct p9_call *call, struct p9_fid *from, const char *name, p9_step_fn *after);
/* Tlopen of call->tmp; of the flags O_ACCMODE, O_TRUNC and O_DIRECTORY count. */
void p9_walk_open(struct p9_call *call, uint32_t flags, p9_step_fn *next);
void p9_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op);
/* Is it a name that may go into a message or come out of one? */
bool p9_name_good(const char *name, size_t len);

/* --- p9_handle.c */
struct p9_handle *p9_handle_new(struct p9_conn *conn, struct p9_node *node, uint32_t flags);
/* Puts the opened fid in place.  Takes over the reference. */
void p9_handle_install(struct p9_handle *handle, struct p9_fid *fid, uint32_t iounit);
void p9_handle_free(struct netfs_handle *handle);
/* Makes call->hfid current; true where it is, else the call waits or ended. */
bool p9_handle_ensure(struct p9_call *call);
/* Starts re-opening all handles that hold locks. */
void p9_handle_reclaim(struct p9_conn *conn);
void p9_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op);

/* --- p9_lock.c */
void p9_lock(struct netfs_handle *handle, const struct netfs_lock *lock, struct netfs_op *op);
void p9_getlock(struct netfs_handle *handle, const struct netfs_lock *lock, struct netfs_op *op);
void p9_lock_msg(struct p9_conn *conn, const struct p9_held *held, uint8_t type, uint32_t fid,
		 struct p9_msg *ret_msg);

/* --- p9_attr.c */
void p9_attr_read(const struct p9_attr *from, struct netfs_attr *ret_attr);
void p9_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op);
void p9_setattr(struct netfs_node *node, struct netfs_handle *handle,
		const struct netfs_setattr *set, struct netfs_op *op);
void p9_statfs(struct netfs_node *node, struct netfs_op *op);

/* --- p9_xattr.c */
void p9_getxattr(struct netfs_node *node, const char *name, struct netfs_op *op);
void p9_listxattr(struct netfs_node *node, struct netfs_op *op);
void p9_setxattr(struct netfs_node *node, const char *name, const void *value, size_t size,
		 uint32_t flags, struct netfs_op *op);
void p9_removexattr(struct netfs_node *node, const char *name, struct netfs_op *op);

/* --- p9_make.c */
void p9_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
	       struct netfs_op *op);
void p9_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op);
void p9_mknod(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t rdev_major,
	      uint32_t rdev_minor, struct netfs_op *op);
void p9_symlink(struct netfs_node *dir, const char *name, const char *target, struct netfs_op *op);

/* --- p9_name.c */
void p9_readlink(struct netfs_node *node, struct netfs_op *op);
void p9_link(struct netfs_node *node, struct netfs_node *dir, const char *name,
	     struct netfs_op *op);
void p9_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op);
void p9_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op);
void p9_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
	       struct netfs_node *new_dir, const char *new_name, uint32_t flags,
	       struct netfs_op *op);
/* A rename whose request was sent ends without its answer: the file may be
 * found by either name from now on. */
void p9_rename_unknown(struct p9_call *call);

/* --- p9_dir.c */
void p9_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op);

/* --- p9_io.c */
ssize_t p9_read(struct netfs_handle *handle, struct netfs_slice *slice);
ssize_t p9_write(struct netfs_handle *handle, struct netfs_slice *slice);
void p9_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op);

#endif
