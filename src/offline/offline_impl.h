/* SPDX-License-Identifier: MIT */
/* The back end of this folder, for its files. */
#ifndef OFFLINE_OFFLINE_IMPL_H
#define OFFLINE_OFFLINE_IMPL_H

#include <stdatomic.h>
#include <base/hash.h>
#include <base/list.h>
#include <cache/namestore.h>
#include <env/executor.h>
#include <env/lock.h>
#include <env/timer.h>
#include <offline/offline.h>

struct offline_call;
struct offline_handle;
struct offline_node;

enum offline_state {
	OFFLINE_CONNECTING, /* the first connection is being made, and waited for */
	OFFLINE_HERE, /* the server is asked */
	OFFLINE_DOUBTED, /* it is lost, and asked all the same: it may come back soon */
	OFFLINE_AWAY, /* what is known is the answer */
	OFFLINE_CLOSING, /* nobody asks any more */
};

/* The source and the options, for a connection that is made later.  Owned strings. */
struct offline_config {
	struct netfs_be_config config;
	struct netfs_source source;
	struct netfs_option *options;
	char *text; /* where all of them are */
};

/*
 * One connection to one share, there or not.  Made by netfs_offline_connect(), freed by
 * its task at the end.
 *
 * I: immutable; l: lock; a: atomic; t: the task's.
 */
struct offline {
	struct netfs_be be; /* I, once connect ended */
	struct netfs_be_ops ops; /* I: the table, without what the server cannot do */
	const struct netfs_be_ops *inner_ops; /* I */
	struct netfs_be_host host; /* I: what the one behind is told */
	struct netfs_be_host *up; /* I */
	struct netfs_namestore *names; /* I */
	struct offline_config config; /* I */
	uint64_t patience_ns; /* I */
	uint64_t retry_max_ns; /* I */
	_Atomic uint64_t stamp; /* a: grows with each question and each change */

	struct netfs_mutex lock;
	enum offline_state state; /* l */
	struct netfs_be *inner; /* l: NULL until the server was met, then constant */
	bool lost; /* l: the one behind says that it is not connected */
	bool short_of_memory; /* l: a slice was refused for that */
	bool ended; /* l: all is closed, the task frees it */
	char lost_text[160]; /* l: what it says about that */
	uint64_t lost_ns; /* l: since when */
	struct netfs_hash objects; /* l: struct offline_object */
	struct netfs_list calls; /* l: struct offline_call, all of them */
	struct netfs_list bindings; /* l: struct offline_binding, on their way */
	struct netfs_list moves; /* l: struct offline_move, likewise */
	uint64_t seed; /* I: of the hash */

	struct netfs_task task;
	struct netfs_timer timer;
	struct netfs_op *connect_op; /* t: who waits for the first connection */
	struct netfs_op *close_op; /* l: disconnect, or a connect that failed */
	int close_err; /* l: what to end it with */
	struct netfs_cred cred; /* I: who connects */
	struct netfs_op inner_op; /* of connecting and disconnecting the one behind */
	enum {
		TRY_NONE,
		TRY_RUNNING,
		TRY_ANSWERED,
		TRY_CLOSING, /* the one behind is being disconnected */
	} try_state; /* l */
	int try_err; /* l */
	char try_text[256]; /* why it failed */
	uint64_t retry_ns; /* t: not before */
	uint64_t started_ns; /* I: when the first connection began */
	uint64_t away_real_ns; /* t: since when it is away, for people */
	unsigned tries; /* t */
	bool leaving; /* t: the next run is the last */
	bool told_refusal; /* t */
	struct offline_node *root; /* t: while nobody else has it */
};

/*
 * What is known of one object.  As long as it has nodes.
 *
 * All l but the numbers.
 */
struct offline_object {
	struct netfs_hash_link link; /* in offline->objects */
	uint64_t ino; /* I */
	uint64_t gen; /* I */
	struct netfs_list nodes; /* struct offline_node */
	struct netfs_attr attr; /* as told last, and what we wrote since */
	bool known; /* attr is */
	bool grown; /* attr has more than was told */
	uint32_t flying; /* changes of ours on their way */
	uint64_t changed; /* stamp of the end of the last: what was asked before is old */
	uint64_t names_changed; /* likewise, of a directory's names */
	uint32_t names_flying;
};

enum offline_bound {
	OFFLINE_UNBOUND, /* nobody has asked the server about it */
	OFFLINE_BINDING, /* it is being asked */
	OFFLINE_BOUND,
};

/* Somebody who waits until a node or a handle is bound. */
struct offline_wait {
	struct netfs_list link;
	void (*done)(struct offline_wait *wait, int err);
	struct netfs_cred cred;
};

/* A question about an address.  Part of a node or a handle, which has a reference for
 * as long as it is asked. */
struct offline_binding {
	struct netfs_op op;
	struct netfs_list link; /* l: in offline->bindings while it is asked */
	bool given_up; /* l: it was called off */
	struct netfs_node *node; /* I: whose it is, */
	struct netfs_handle *handle; /* I: or this; no reference */
};

/* An address of an object: that of the one behind, or a name.
 * I: immutable; l: the lock. */
struct offline_node {
	struct netfs_node node; /* behind: set when it is bound */
	struct offline_object *object; /* I */
	struct netfs_list link; /* l: in object->nodes */
	enum offline_bound bound; /* l */
	struct offline_node *parent; /* l: a reference; of an unbound one, but the root */
	char *name; /* l: owned, likewise */
	struct netfs_list waits; /* l: struct offline_wait, while it is binding */
	struct offline_wait wait; /* for its parent */
	struct offline_binding binding; /* a lookup */
};

struct offline_handle {
	struct netfs_handle handle; /* behind: set when it is bound */
	struct offline_node *node; /* I: a reference */
	uint32_t flags; /* I: as it was opened */
	enum offline_bound bound; /* l */
	int err; /* l: why it could not be, for a slice that waited; -ESTALE stays */
	struct netfs_list waits; /* l */
	struct offline_wait wait; /* for its node */
	struct offline_binding binding; /* an open */
	bool starved; /* l: a slice was refused until it is bound */
	bool slice_binds; /* l: slice_wait is in use */
	struct offline_wait slice_wait; /* of a slice that was refused */
	struct netfs_cred cred; /* I */
	/* A listing, for one readdir after the other. */
	uint64_t list_next; /* l: the cookie that goes on with it */
	uint64_t list_since; /* l: when it began; 0: it will not be whole */
	uint64_t list_stamp; /* l */
	bool list_known; /* l: cookies are the store's */
};

/* A slice on its way. */
struct offline_move {
	struct netfs_slice slice; /* what the one behind gets */
	struct netfs_slice *outer;
	struct offline_handle *handle; /* a reference */
	struct netfs_list link; /* l: in offline->moves */
	bool given_up; /* l: the server went away, or its owner called it off */
	bool given_back; /* l: outer has its length */
	_Atomic uint32_t refs;
};

static inline struct offline *offline_of(struct netfs_be *be)
{
	return netfs_container_of(be, struct offline, be);
}

static inline struct offline_node *offline_node_of(struct netfs_node *node)
{
	return netfs_container_of(node, struct offline_node, node);
}

static inline struct offline_handle *offline_handle_of(struct netfs_handle *handle)
{
	return netfs_container_of(handle, struct offline_handle, handle);
}

/* NULL: it is not bound. */
static inline struct netfs_node *offline_inner_node(struct offline_node *node)
{
	return atomic_load_explicit(&node->node.behind, memory_order_acquire);
}

static inline struct netfs_handle *offline_inner_handle(struct offline_handle *handle)
{
	return atomic_load_explicit(&handle->handle.behind, memory_order_acquire);
}

static inline uint64_t offline_stamp(struct offline *offline)
{
	return atomic_fetch_add(&offline->stamp, 1) + 1;
}

/* -------------------------------------------------------------- link.c */

bool offline_away_locked(const struct offline *offline);
bool offline_away(struct offline *offline);
/* A slice found no memory: it is asked for again in a while. */
void offline_short(struct offline *offline);
/* A call has ended, perhaps the last. */
void offline_calls_end(struct offline *offline);
void offline_disconnect(struct netfs_be *be, struct netfs_op *op);

/* ------------------------------------------------------------ object.c */

/* A node for what attr is of, with a reference: an old one, or NULL without memory.
 * inner: its address, which is taken over in any case; NULL: it is name in parent,
 * or the root where parent is NULL. */
struct offline_node *offline_node_get(struct offline *offline, const struct netfs_attr *attr,
				      struct netfs_node *inner, struct offline_node *parent,
				      const char *name);
/* The root of one that was met later has an address: inner, which is taken over. */
void offline_node_found(struct offline_node *node, struct netfs_node *inner);
void offline_node_free(struct netfs_node *node);
struct offline_handle *offline_handle_new(struct offline_node *node, uint32_t flags,
					  struct netfs_handle *inner,
					  const struct netfs_cred *cred);
void offline_handle_free(struct netfs_handle *handle);
/* wait->done() follows, perhaps before it returns, with 0, -ESTALE: it is not there
 * any more, -EHOSTDOWN, or what the server said. */
void offline_node_bind(struct offline_node *node, struct offline_wait *wait);
void offline_handle_bind(struct offline_handle *handle, struct offline_wait *wait);
/* Calls off all that is being bound. */
void offline_bindings_give_up(struct offline *offline);
int offline_path(struct netfs_node *node, char *buf, size_t size);

/* What an answer is to the store. */
enum offline_news {
	OFFLINE_NO_NEWS,
	OFFLINE_NEWS,
	OFFLINE_OUR_NEWS, /* what we wrote made it so */
};

/* The server told attr, asked at stamp. */
enum offline_news offline_object_told(struct offline_node *node, const struct netfs_attr *attr,
				      uint64_t stamp);
/* A change of ours begins, of the object or of the names in it, and ends. */
void offline_change_begin(struct offline_node *node, bool names);
void offline_change_end(struct offline_node *node, bool names, bool unknown);
/* Ends the change that was a write of the bytes up to end. */
void offline_change_wrote(struct offline_node *node, uint64_t end);
/* attr is what the store has.  True: it is now what is known here.  False: nobody
 * knows. */
bool offline_object_recall(struct offline_node *node, struct netfs_attr *attr);
/* attr as it is known.  False: it is not. */
bool offline_object_known(struct offline_node *node, struct netfs_attr *ret_attr);

/* ------------------------------------------- ops.c, call.c, read_write.c */

/* The table for one that stands before another with the table inner. */
void offline_ops_fill(struct netfs_be_ops *ops, const struct netfs_be_ops *inner);
/* Which of the optional ones there are, as a word; and without those. */
uint64_t offline_ops_word(const struct netfs_be_ops *ops);
void offline_ops_limit(struct netfs_be_ops *ops, uint64_t word);
/* AWAY began: questions end; or it ended: what waited goes on. */
void offline_calls_give_up(struct offline *offline);
void offline_calls_resume(struct offline *offline);
void offline_moves_give_up(struct offline *offline);
ssize_t offline_read(struct netfs_handle *handle, struct netfs_slice *slice);
ssize_t offline_write(struct netfs_handle *handle, struct netfs_slice *slice);
void offline_op_cancel(struct netfs_be *be, struct netfs_op *op);
void offline_slice_cancel(struct netfs_be *be, struct netfs_slice *slice);

#endif
