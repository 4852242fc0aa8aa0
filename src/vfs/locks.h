/* SPDX-License-Identifier: MIT */
/*
 * The table of advisory locks of one vnode: byte ranges as fcntl(2) knows them,
 * and whole-file locks as flock(2) does, which never meet one another.
 *
 * A request is first reserved: from then on it excludes others like a lock,
 * while the server may be asked.  Then it is applied, or dropped.  Those that
 * conflict wait in order of arrival; one that can be reserved is taken out of
 * the queue and told.  Deadlocks between owners are not detected.
 */
#ifndef VFS_LOCKS_H
#define VFS_LOCKS_H

#include <stdbool.h>
#include <base/list.h>
#include <env/lock.h>
#include <unetfs/backend.h>

struct netfs_held;

/*
 * One who wants a lock; the caller's until it is applied, dropped or dequeued.
 *
 * I: immutable while in a table; t: the table's mutex; o: the caller's.
 */
struct netfs_lock_request {
	struct netfs_list link; /* t: in waiting or reserved */
	struct netfs_lock lock; /* I */
	struct netfs_handle *handle; /* I: through which it is taken; a reference */
	struct netfs_held *spare[2]; /* o: memory for applying it */
	bool waits; /* t: in the queue */
	struct netfs_list told_link; /* on the list of one who tells it */
	/* It was waiting and is reserved now.  No lock held. */
	void (*granted)(struct netfs_lock_request *request);
};

/* t: mutex. */
struct netfs_lock_table {
	struct netfs_mutex mutex;
	struct netfs_list held; /* t: struct netfs_held */
	struct netfs_list reserved; /* t: struct netfs_lock_request */
	struct netfs_list waiting; /* t: struct netfs_lock_request, oldest first */
};

/* Which locks are meant. */
struct netfs_lock_filter {
	bool any_owner;
	bool any_kind; /* flock or not */
	bool flock;
	uint64_t owner;
	struct netfs_handle *handle; /* NULL: any */
	uint64_t start;
	uint64_t end;
};

enum netfs_locks_answer {
	NETFS_LOCKS_RESERVED,
	NETFS_LOCKS_CONFLICT, /* and it was not to wait */
	NETFS_LOCKS_WAITING, /* granted() will be called */
};

/* NULL where there is no memory. */
struct netfs_lock_table *netfs_locks_new(void);
/* Nobody waits.  Drops what is held.  NULL is allowed. */
void netfs_locks_free(struct netfs_lock_table *table);

/* Prepares a request for lock (not UNLOCK); takes a reference to handle.
 * -ENOMEM. */
int netfs_locks_prepare(struct netfs_lock_request *request, const struct netfs_lock *lock,
			struct netfs_handle *handle);
/* Frees what prepare got.  Not while it is in a table; harmless twice. */
void netfs_locks_unprepare(struct netfs_lock_request *request);
enum netfs_locks_answer netfs_locks_reserve(struct netfs_lock_table *table,
					    struct netfs_lock_request *request, bool wait);
/* A reserved request becomes a lock of its owner, in place of what that owner
 * had in the range. */
void netfs_locks_apply(struct netfs_lock_table *table, struct netfs_lock_request *request);
/* A reserved request is given up. */
void netfs_locks_unreserve(struct netfs_lock_table *table, struct netfs_lock_request *request);
/* Takes a request out of the queue.  False where it is not there. */
bool netfs_locks_dequeue(struct netfs_lock_table *table, struct netfs_lock_request *request);

/* Is something held that filter means?  ret_one (may be NULL): what is meant of
 * that lock's owner, kind and handle alone; its handle comes with a reference. */
bool netfs_locks_find(struct netfs_lock_table *table, const struct netfs_lock_filter *filter,
		      struct netfs_lock_filter *ret_one);
/* Does another owner hold (or is about to hold) something that conflicts? */
bool netfs_locks_conflict(struct netfs_lock_table *table, const struct netfs_lock *lock,
			  struct netfs_lock *ret_lock);
/* Unlocks what filter means.  -ENOMEM where a lock had to be cut in two and
 * could not; nothing was unlocked then. */
int netfs_locks_unlock(struct netfs_lock_table *table, const struct netfs_lock_filter *filter);
/* Unlocks all that was taken through handle.  NULL table is allowed. */
void netfs_locks_drop(struct netfs_lock_table *table, struct netfs_handle *handle);

#endif
