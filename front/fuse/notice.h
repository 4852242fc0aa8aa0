/* SPDX-License-Identifier: MIT */
/*
 * Notices to the kernel that wait to be sent: "these bytes are stale", "this
 * name may mean something else".  Filled from any thread, emptied by the
 * notifier alone.
 *
 * A data notice lives inside the record of its node, so that it needs no
 * memory and several for one node become one: the queue is never longer than
 * the list of files the kernel knows.  Names need memory and are limited.
 */
#ifndef FUSE_NOTICE_H
#define FUSE_NOTICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <base/list.h>

#define NETFS_NOTICE_NAMES_MAX 4096
#define NETFS_NOTICE_BUCKETS   256

/* The data notice of one node.  All of it is guarded by the queue's lock. */
struct netfs_notice {
	struct netfs_list link; /* in netfs_notice_queue.data while queued */
	uint64_t nodeid;
	uint64_t start; /* stale bytes [start, end); empty: attributes only */
	uint64_t end;
	bool queued;
	/* Not about a node: called when all data notices before it were sent. */
	void (*fence)(struct netfs_notice *notice);
};

struct netfs_notice_queue {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct netfs_list data; /* netfs_notice.link, oldest first */
	struct netfs_list names; /* name records, oldest first */
	struct netfs_list buckets[NETFS_NOTICE_BUCKETS]; /* the same, by hash */
	size_t nnames;
	bool sending; /* what was taken out last may not be sent yet */
	bool stop;
};

/* One notice taken out to be sent. */
struct netfs_notice_order {
	uint64_t nodeid; /* the directory's for a name */
	uint64_t start;
	uint64_t end;
	char name[256]; /* empty for a data notice */
	struct netfs_notice *fence; /* its turn has come; nothing else is set */
};

void netfs_notice_queue_init(struct netfs_notice_queue *queue);
/* The notices of nodes must have been forgotten or be left alone. */
void netfs_notice_queue_done(struct netfs_notice_queue *queue);
void netfs_notice_init(struct netfs_notice *notice, uint64_t nodeid);
/* Adds [start, end) to what notice says and queues it. */
void netfs_notice_data(struct netfs_notice_queue *queue, struct netfs_notice *notice,
		       uint64_t start, uint64_t end);
/* Takes notice out of the queue: its node goes away. */
void netfs_notice_forget(struct netfs_notice_queue *queue, struct netfs_notice *notice);
/* False where there are too many names or no memory: the caller then
 * invalidates the whole directory. */
bool netfs_notice_name(struct netfs_notice_queue *queue, uint64_t nodeid, const char *name);
/* Queues notice, whose fence is set.  False: no data notice is on its way, and it
 * was not queued. */
bool netfs_notice_fence(struct netfs_notice_queue *queue, struct netfs_notice *notice);
/* Waits for the next notice.  False once the queue was stopped and no fence is left. */
bool netfs_notice_next(struct netfs_notice_queue *queue, struct netfs_notice_order *ret_order);
void netfs_notice_stop(struct netfs_notice_queue *queue);

#endif
