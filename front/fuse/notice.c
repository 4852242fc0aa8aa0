/* SPDX-License-Identifier: MIT */
/*
 * The queue between those who notice a change and the notifier.
 *
 * One lock guards everything and is held for a few instructions; it is taken
 * inside the lock of the node table and never the other way round.
 *
 * Two data notices of one node are joined to the smallest range that holds
 * both.  That may invalidate bytes in between, which is right and only costs
 * time; two ranges per node would not be worth their bookkeeping.  Names go
 * before data, because a wrong name hurts more than old bytes of a file that is
 * being read.
 */
#include <stdlib.h>
#include <string.h>
#include "notice.h"

struct name_record {
	struct netfs_list link;
	struct netfs_list bucket;
	uint64_t nodeid;
	char name[];
};

void netfs_notice_queue_init(struct netfs_notice_queue *queue)
{
	memset(queue, 0, sizeof(*queue));
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->more, NULL);
	netfs_list_init(&queue->data);
	netfs_list_init(&queue->names);
	for (size_t i = 0; i < NETFS_NOTICE_BUCKETS; i++)
		netfs_list_init(&queue->buckets[i]);
}

void netfs_notice_queue_done(struct netfs_notice_queue *queue)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(&queue->names)))
		free(netfs_container_of(link, struct name_record, link));
	pthread_cond_destroy(&queue->more);
	pthread_mutex_destroy(&queue->lock);
}

void netfs_notice_init(struct netfs_notice *notice, uint64_t nodeid)
{
	memset(notice, 0, sizeof(*notice));
	netfs_list_init(&notice->link);
	notice->nodeid = nodeid;
}

static void join(struct netfs_notice *notice, uint64_t start, uint64_t end)
{
	if (start >= end)
		return;
	if (notice->start >= notice->end) {
		notice->start = start;
		notice->end = end;
		return;
	}
	if (start < notice->start)
		notice->start = start;
	if (end > notice->end)
		notice->end = end;
}

void netfs_notice_data(struct netfs_notice_queue *queue, struct netfs_notice *notice,
		       uint64_t start, uint64_t end)
{
	pthread_mutex_lock(&queue->lock);
	if (!notice->queued) {
		notice->queued = true;
		notice->start = 0;
		notice->end = 0;
		netfs_list_push_back(&queue->data, &notice->link);
		pthread_cond_signal(&queue->more);
	}
	join(notice, start, end);
	pthread_mutex_unlock(&queue->lock);
}

bool netfs_notice_fence(struct netfs_notice_queue *queue, struct netfs_notice *notice)
{
	bool some;

	pthread_mutex_lock(&queue->lock);
	some = !queue->stop && (queue->sending || !netfs_list_empty(&queue->data));
	if (some) {
		notice->queued = true;
		netfs_list_push_back(&queue->data, &notice->link);
		pthread_cond_signal(&queue->more);
	}
	pthread_mutex_unlock(&queue->lock);
	return some;
}

void netfs_notice_forget(struct netfs_notice_queue *queue, struct netfs_notice *notice)
{
	pthread_mutex_lock(&queue->lock);
	netfs_list_remove(&notice->link);
	notice->queued = false;
	pthread_mutex_unlock(&queue->lock);
}

/* FNV-1a over the directory and the name. */
static struct netfs_list *bucket_of(struct netfs_notice_queue *queue, uint64_t nodeid,
				    const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ nodeid;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	hash ^= hash >> 32;
	return &queue->buckets[hash % NETFS_NOTICE_BUCKETS];
}

static bool known(const struct netfs_list *bucket, uint64_t nodeid, const char *name)
{
	struct netfs_list *pos;

	netfs_list_for_each (pos, bucket) {
		struct name_record *record = netfs_container_of(pos, struct name_record, bucket);

		if (record->nodeid == nodeid && strcmp(record->name, name) == 0)
			return true;
	}
	return false;
}

static bool name_locked(struct netfs_notice_queue *queue, uint64_t nodeid, const char *name)
{
	struct netfs_list *bucket = bucket_of(queue, nodeid, name);
	size_t size = strlen(name) + 1;
	struct name_record *record;

	if (queue->stop || known(bucket, nodeid, name))
		return true;
	if (queue->nnames >= NETFS_NOTICE_NAMES_MAX)
		return false;
	if (size > sizeof(((struct netfs_notice_order *)0)->name))
		return false;
	record = malloc(sizeof(*record) + size);
	if (!record)
		return false;
	record->nodeid = nodeid;
	memcpy(record->name, name, size);
	netfs_list_push_back(&queue->names, &record->link);
	netfs_list_push_back(bucket, &record->bucket);
	queue->nnames++;
	pthread_cond_signal(&queue->more);
	return true;
}

bool netfs_notice_name(struct netfs_notice_queue *queue, uint64_t nodeid, const char *name)
{
	bool taken;

	pthread_mutex_lock(&queue->lock);
	taken = name_locked(queue, nodeid, name);
	pthread_mutex_unlock(&queue->lock);
	return taken;
}

static void take_name(struct netfs_notice_queue *queue, struct netfs_notice_order *ret_order)
{
	struct netfs_list *link = netfs_list_pop_front(&queue->names);
	struct name_record *record = netfs_container_of(link, struct name_record, link);

	netfs_list_remove(&record->bucket);
	queue->nnames--;
	ret_order->fence = NULL;
	ret_order->nodeid = record->nodeid;
	ret_order->start = ret_order->end = 0;
	strcpy(ret_order->name, record->name);
	free(record);
}

static void take_data(struct netfs_notice_queue *queue, struct netfs_notice_order *ret_order)
{
	struct netfs_list *link = netfs_list_pop_front(&queue->data);
	struct netfs_notice *notice = netfs_container_of(link, struct netfs_notice, link);

	notice->queued = false;
	ret_order->fence = notice->fence ? notice : NULL;
	ret_order->nodeid = notice->nodeid;
	ret_order->start = notice->start;
	ret_order->end = notice->end;
	ret_order->name[0] = '\0';
}

/* Nobody hears notices any more, but who waits for them is to be told. */
static void skip_to_fence(struct netfs_notice_queue *queue)
{
	while (!netfs_list_empty(&queue->data)) {
		struct netfs_notice *notice =
			netfs_container_of(queue->data.next, struct netfs_notice, link);

		if (notice->fence)
			return;
		netfs_list_remove(&notice->link);
		notice->queued = false;
	}
}

bool netfs_notice_next(struct netfs_notice_queue *queue, struct netfs_notice_order *ret_order)
{
	bool some;

	pthread_mutex_lock(&queue->lock);
	queue->sending = false;
	while (!queue->stop && netfs_list_empty(&queue->names) && netfs_list_empty(&queue->data))
		pthread_cond_wait(&queue->more, &queue->lock);
	if (queue->stop)
		skip_to_fence(queue);
	some = !queue->stop || !netfs_list_empty(&queue->data);
	queue->sending = some;
	if (some && !queue->stop && !netfs_list_empty(&queue->names))
		take_name(queue, ret_order);
	else if (some)
		take_data(queue, ret_order);
	pthread_mutex_unlock(&queue->lock);
	return some;
}

void netfs_notice_stop(struct netfs_notice_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->stop = true;
	pthread_cond_broadcast(&queue->more);
	pthread_mutex_unlock(&queue->lock);
}
