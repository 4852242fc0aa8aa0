/* SPDX-License-Identifier: MIT */
/*
 * The vnodes the kernel holds, by number.
 *
 * The kernel counts how often it was told a number and says later how many of
 * these it forgets; each is one reference to the vnode here.  Numbers and not
 * addresses go to the kernel, because with file handles (NFS export,
 * open_by_handle_at) any number may come back long after it was forgotten: it
 * is then unknown, which is answered with ESTALE.
 *
 * Locks: the table is cut into shards by number, each with a lock of its own,
 * held for one search.  The lock of the notice queue is taken inside, so that a
 * notice cannot outlive its node.  The library is called with none held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "session.h"

#define FIRST_BUCKETS 64

/* Spreads numbers that differ in any bits. */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ (x >> 29);
}

static struct netfs_fuse_shard *shard_of(struct netfs_fuse_nodes *nodes, uint64_t nodeid)
{
	return &nodes->shards[mix(nodeid) % NETFS_FUSE_SHARDS];
}

static struct netfs_list *bucket_of(struct netfs_fuse_shard *shard, uint64_t nodeid)
{
	return &shard->buckets[(mix(nodeid) / NETFS_FUSE_SHARDS) & (shard->nbuckets - 1)];
}

/* The root and whoever has its number change places; 0 is no number. */
static uint64_t nodeid_of(const struct netfs_fuse_nodes *nodes, uint64_t ino)
{
	if (ino == nodes->root_ino)
		return FUSE_ROOT_ID;
	if (ino == FUSE_ROOT_ID)
		return nodes->root_ino;
	return ino;
}

static struct netfs_list *buckets_alloc(size_t n)
{
	struct netfs_list *buckets = malloc(n * sizeof(*buckets));

	for (size_t i = 0; buckets && i < n; i++)
		netfs_list_init(&buckets[i]);
	return buckets;
}

static struct netfs_fuse_node *find_locked(struct netfs_fuse_shard *shard, uint64_t nodeid)
{
	struct netfs_list *pos, *bucket = bucket_of(shard, nodeid);

	netfs_list_for_each (pos, bucket) {
		struct netfs_fuse_node *node =
			netfs_container_of(pos, struct netfs_fuse_node, link);

		if (node->nodeid == nodeid)
			return node;
	}
	return NULL;
}

/* Twice the buckets; where there is no memory the lists just get longer. */
static void grow_locked(struct netfs_fuse_shard *shard)
{
	struct netfs_list *old = shard->buckets, *link;
	size_t nold = shard->nbuckets;
	struct netfs_list *bigger = buckets_alloc(nold * 2);

	if (!bigger)
		return;
	shard->buckets = bigger;
	shard->nbuckets = nold * 2;
	for (size_t i = 0; i < nold; i++) {
		while ((link = netfs_list_pop_front(&old[i]))) {
			struct netfs_fuse_node *node =
				netfs_container_of(link, struct netfs_fuse_node, link);

			netfs_list_push_back(bucket_of(shard, node->nodeid), link);
		}
	}
	free(old);
}

static void insert_locked(struct netfs_fuse_shard *shard, struct netfs_fuse_node *node)
{
	if (shard->nnodes >= shard->nbuckets * 2)
		grow_locked(shard);
	netfs_list_push_front(bucket_of(shard, node->nodeid), &node->link);
	shard->nnodes++;
}

static struct netfs_fuse_node *node_new(uint64_t nodeid, struct netfs_vnode *vnode)
{
	struct netfs_fuse_node *node = malloc(sizeof(*node));

	if (!node)
		return NULL;
	node->nodeid = nodeid;
	node->vnode = vnode;
	node->count = 1;
	netfs_notice_init(&node->notice, nodeid);
	return node;
}

int netfs_fuse_node_enter(struct netfs_fuse_nodes *nodes, struct netfs_vnode *vnode,
			  uint64_t *ret_nodeid)
{
	uint64_t nodeid = nodeid_of(nodes, netfs_vnode_ino(vnode));
	struct netfs_fuse_shard *shard = shard_of(nodes, nodeid);
	struct netfs_fuse_node *node;
	int err = 0;

	pthread_mutex_lock(&shard->lock);
	node = find_locked(shard, nodeid);
	if (node && node->vnode == vnode) {
		node->count++;
	} else if (node || nodeid == 0) {
		err = -EIO;
	} else {
		node = node_new(nodeid, vnode);
		if (node)
			insert_locked(shard, node);
		else
			err = -ENOMEM;
	}
	pthread_mutex_unlock(&shard->lock);
	if (err < 0)
		netfs_vnode_put(vnode);
	else
		*ret_nodeid = nodeid;
	return err;
}

void netfs_fuse_node_forget(struct netfs_fuse_nodes *nodes, uint64_t nodeid, uint64_t count)
{
	struct netfs_fuse_shard *shard = shard_of(nodes, nodeid);
	struct netfs_vnode *vnode = NULL;
	struct netfs_fuse_node *node;

	pthread_mutex_lock(&shard->lock);
	node = find_locked(shard, nodeid);
	if (node) {
		vnode = node->vnode;
		if (count > node->count)
			count = node->count;
		node->count -= count;
		if (node->count == 0) {
			netfs_notice_forget(&nodes->notices, &node->notice);
			netfs_list_remove(&node->link);
			shard->nnodes--;
			free(node);
		}
	}
	pthread_mutex_unlock(&shard->lock);
	if (vnode && count)
		netfs_vnode_put_many(vnode, count);
}

struct netfs_vnode *netfs_fuse_node_find(struct netfs_fuse_nodes *nodes, uint64_t nodeid)
{
	struct netfs_fuse_shard *shard = shard_of(nodes, nodeid);
	struct netfs_fuse_node *node;
	struct netfs_vnode *vnode;

	pthread_mutex_lock(&shard->lock);
	node = find_locked(shard, nodeid);
	vnode = node ? node->vnode : NULL;
	pthread_mutex_unlock(&shard->lock);
	return vnode;
}

void netfs_fuse_node_stale(struct netfs_fuse_nodes *nodes, uint64_t ino, uint64_t start,
			   uint64_t end)
{
	uint64_t nodeid = nodeid_of(nodes, ino);
	struct netfs_fuse_shard *shard = shard_of(nodes, nodeid);
	struct netfs_fuse_node *node;

	pthread_mutex_lock(&shard->lock);
	node = find_locked(shard, nodeid);
	if (node)
		netfs_notice_data(&nodes->notices, &node->notice, start, end);
	pthread_mutex_unlock(&shard->lock);
}

void netfs_fuse_node_stale_name(struct netfs_fuse_nodes *nodes, uint64_t dir_ino, const char *name)
{
	if (!netfs_notice_name(&nodes->notices, nodeid_of(nodes, dir_ino), name))
		netfs_fuse_node_stale(nodes, dir_ino, 0, UINT64_MAX);
}

int netfs_fuse_nodes_init(struct netfs_fuse_nodes *nodes, struct netfs_vnode *root)
{
	uint64_t nodeid;
	int err = 0;

	memset(nodes, 0, sizeof(*nodes));
	nodes->root_ino = netfs_vnode_ino(root);
	netfs_notice_queue_init(&nodes->notices);
	for (unsigned i = 0; i < NETFS_FUSE_SHARDS; i++) {
		struct netfs_fuse_shard *shard = &nodes->shards[i];

		pthread_mutex_init(&shard->lock, NULL);
		shard->nbuckets = FIRST_BUCKETS;
		shard->buckets = buckets_alloc(FIRST_BUCKETS);
		if (!shard->buckets)
			err = -ENOMEM;
	}
	if (err == 0)
		err = netfs_fuse_node_enter(nodes, root, &nodeid);
	else
		netfs_vnode_put(root);
	if (err < 0) {
		netfs_fuse_nodes_clear(nodes);
		netfs_fuse_nodes_done(nodes);
	}
	return err;
}

/* Takes the first node of one bucket out.  NULL: it is empty. */
static struct netfs_fuse_node *take_first(struct netfs_fuse_nodes *nodes,
					  struct netfs_fuse_shard *shard, size_t bucket)
{
	struct netfs_fuse_node *node = NULL;
	struct netfs_list *link;

	pthread_mutex_lock(&shard->lock);
	link = netfs_list_pop_front(&shard->buckets[bucket]);
	if (link) {
		node = netfs_container_of(link, struct netfs_fuse_node, link);
		netfs_notice_forget(&nodes->notices, &node->notice);
		shard->nnodes--;
	}
	pthread_mutex_unlock(&shard->lock);
	return node;
}

/* The number of buckets stands still: nothing enters any more. */
static void shard_clear(struct netfs_fuse_nodes *nodes, struct netfs_fuse_shard *shard)
{
	struct netfs_fuse_node *node;

	for (size_t i = 0; shard->buckets && i < shard->nbuckets; i++) {
		while ((node = take_first(nodes, shard, i))) {
			netfs_vnode_put_many(node->vnode, node->count);
			free(node);
		}
	}
}

void netfs_fuse_nodes_clear(struct netfs_fuse_nodes *nodes)
{
	for (unsigned i = 0; i < NETFS_FUSE_SHARDS; i++)
		shard_clear(nodes, &nodes->shards[i]);
}

void netfs_fuse_nodes_done(struct netfs_fuse_nodes *nodes)
{
	for (unsigned i = 0; i < NETFS_FUSE_SHARDS; i++) {
		free(nodes->shards[i].buckets);
		pthread_mutex_destroy(&nodes->shards[i].lock);
	}
	netfs_notice_queue_done(&nodes->notices);
}
