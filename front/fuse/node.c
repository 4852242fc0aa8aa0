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
 * A node's number is its file's, so that it is the same whenever the file is
 * looked up again, except:
 *
 *  - the root is FUSE_ROOT_ID, and who has that number gets the root's;
 *  - servers give the number of a removed file to a new one while the kernel
 *    still holds the old: the new one then gets a number of a range of its own.
 *
 * Locks: one for both tables, held for one search.  The lock of the notice
 * queue is taken inside, so that a notice cannot outlive its node.  The library
 * is called with none held.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "session.h"

#define FIRST_BUCKETS 256
/* How long the absence of capabilities is believed.  They are set once in the
 * life of a file, and the server drops them at a write by itself; where the
 * mount honours none the answer is only seen by who copies them. */
#define NO_CAPS_MS	  5000
#define NO_CAPS_NOSUID_MS 60000
/* Numbers of nodes whose own number is taken. */
#define SPARE_RANGE (UINT64_C(1) << 63)

/* Spreads numbers that differ in any bits. */
static size_t slot(const struct netfs_fuse_nodes *nodes, uint64_t number)
{
	number ^= number >> 32;
	number *= UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(number ^ (number >> 29)) & (nodes->nbuckets - 1);
}

static struct netfs_list *buckets_alloc(size_t n)
{
	struct netfs_list *buckets = malloc(n * sizeof(*buckets));

	for (size_t i = 0; buckets && i < n; i++)
		netfs_list_init(&buckets[i]);
	return buckets;
}

static struct netfs_fuse_node *find_locked(struct netfs_fuse_nodes *nodes, uint64_t nodeid)
{
	struct netfs_list *pos, *bucket = &nodes->by_id[slot(nodes, nodeid)];

	netfs_list_for_each (pos, bucket) {
		struct netfs_fuse_node *node =
			netfs_container_of(pos, struct netfs_fuse_node, id_link);

		if (node->nodeid == nodeid)
			return node;
	}
	return NULL;
}

static struct netfs_fuse_node *find_vnode_locked(struct netfs_fuse_nodes *nodes, uint64_t ino,
						 const struct netfs_vnode *vnode)
{
	struct netfs_list *pos, *bucket = &nodes->by_ino[slot(nodes, ino)];

	netfs_list_for_each (pos, bucket) {
		struct netfs_fuse_node *node =
			netfs_container_of(pos, struct netfs_fuse_node, ino_link);

		if (node->vnode == vnode)
			return node;
	}
	return NULL;
}

static void link_locked(struct netfs_fuse_nodes *nodes, struct netfs_fuse_node *node)
{
	netfs_list_push_front(&nodes->by_id[slot(nodes, node->nodeid)], &node->id_link);
	netfs_list_push_front(&nodes->by_ino[slot(nodes, node->ino)], &node->ino_link);
}

/* Twice the buckets; where there is no memory the lists just get longer. */
static void grow_locked(struct netfs_fuse_nodes *nodes)
{
	struct netfs_list *old_id = nodes->by_id, *old_ino = nodes->by_ino, *link;
	size_t n = nodes->nbuckets;
	struct netfs_list *by_id = buckets_alloc(n * 2), *by_ino = buckets_alloc(n * 2);

	if (!by_id || !by_ino) {
		free(by_id);
		free(by_ino);
		return;
	}
	nodes->by_id = by_id;
	nodes->by_ino = by_ino;
	nodes->nbuckets = n * 2;
	for (size_t i = 0; i < n; i++) {
		while ((link = netfs_list_pop_front(&old_id[i]))) {
			struct netfs_fuse_node *node =
				netfs_container_of(link, struct netfs_fuse_node, id_link);

			netfs_list_remove(&node->ino_link);
			link_locked(nodes, node);
		}
	}
	free(old_id);
	free(old_ino);
}

/* The number a file would like to have; 0 is no number for the kernel. */
static uint64_t wanted_id(const struct netfs_fuse_nodes *nodes, uint64_t ino)
{
	if (ino == nodes->root_ino)
		return FUSE_ROOT_ID;
	if (ino == FUSE_ROOT_ID)
		return nodes->root_ino;
	return ino;
}

static uint64_t choose_id_locked(struct netfs_fuse_nodes *nodes, uint64_t ino)
{
	uint64_t nodeid = wanted_id(nodes, ino);

	while (nodeid == 0 || find_locked(nodes, nodeid))
		nodeid = SPARE_RANGE | ++nodes->last_spare;
	return nodeid;
}

static struct netfs_fuse_node *new_locked(struct netfs_fuse_nodes *nodes, uint64_t ino,
					  struct netfs_vnode *vnode)
{
	struct netfs_fuse_node *node = malloc(sizeof(*node));

	if (!node)
		return NULL;
	if (nodes->nnodes >= nodes->nbuckets)
		grow_locked(nodes);
	node->nodeid = choose_id_locked(nodes, ino);
	node->ino = ino;
	node->vnode = vnode;
	node->count = 0;
	node->no_caps_until = 0;
	node->caps_changes = 0;
	netfs_notice_init(&node->notice, node->nodeid);
	link_locked(nodes, node);
	nodes->nnodes++;
	return node;
}

int netfs_fuse_node_enter(struct netfs_fuse_nodes *nodes, struct netfs_vnode *vnode,
			  uint64_t *ret_nodeid)
{
	uint64_t ino = netfs_vnode_ino(vnode);
	struct netfs_fuse_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = find_vnode_locked(nodes, ino, vnode);
	if (!node)
		node = new_locked(nodes, ino, vnode);
	if (node) {
		node->count++;
		*ret_nodeid = node->nodeid;
	}
	pthread_mutex_unlock(&nodes->lock);
	if (node)
		return 0;
	netfs_vnode_put(vnode);
	return -ENOMEM;
}

static void unlink_locked(struct netfs_fuse_nodes *nodes, struct netfs_fuse_node *node)
{
	netfs_notice_forget(&nodes->notices, &node->notice);
	netfs_list_remove(&node->id_link);
	netfs_list_remove(&node->ino_link);
	nodes->nnodes--;
}

void netfs_fuse_node_forget(struct netfs_fuse_nodes *nodes, uint64_t nodeid, uint64_t count)
{
	struct netfs_vnode *vnode = NULL;
	struct netfs_fuse_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, nodeid);
	if (node) {
		vnode = node->vnode;
		if (count > node->count)
			count = node->count;
		node->count -= count;
		if (node->count == 0) {
			unlink_locked(nodes, node);
			free(node);
		}
	}
	pthread_mutex_unlock(&nodes->lock);
	if (vnode && count)
		netfs_vnode_put_many(vnode, count);
}

struct netfs_vnode *netfs_fuse_node_find(struct netfs_fuse_nodes *nodes, uint64_t nodeid)
{
	struct netfs_fuse_node *node;
	struct netfs_vnode *vnode;

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, nodeid);
	vnode = node ? node->vnode : NULL;
	pthread_mutex_unlock(&nodes->lock);
	return vnode;
}

/* ------------------------------------------------------- capabilities */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void caps_changed_locked(struct netfs_fuse_node *node)
{
	node->no_caps_until = 0;
	node->caps_changes++;
}

bool netfs_fuse_node_has_no_caps(struct netfs_fuse_nodes *nodes, uint64_t nodeid,
				 uint32_t *ret_mark)
{
	struct netfs_fuse_node *node;
	bool none = false;

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, nodeid);
	if (node) {
		none = node->no_caps_until && now_ms() < node->no_caps_until;
		*ret_mark = node->caps_changes;
	}
	pthread_mutex_unlock(&nodes->lock);
	return none;
}

void netfs_fuse_node_no_caps(struct netfs_fuse_nodes *nodes, uint64_t nodeid, uint32_t mark)
{
	struct netfs_fuse_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, nodeid);
	if (node && node->caps_changes == mark)
		node->no_caps_until = now_ms() + nodes->no_caps_ms;
	pthread_mutex_unlock(&nodes->lock);
}

void netfs_fuse_node_created(struct netfs_fuse_nodes *nodes, uint64_t nodeid)
{
	uint32_t mark = 0;

	if (!netfs_fuse_node_has_no_caps(nodes, nodeid, &mark))
		netfs_fuse_node_no_caps(nodes, nodeid, mark);
}

void netfs_fuse_node_caps_changed(struct netfs_fuse_nodes *nodes, uint64_t nodeid)
{
	struct netfs_fuse_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = find_locked(nodes, nodeid);
	if (node)
		caps_changed_locked(node);
	pthread_mutex_unlock(&nodes->lock);
}

/* ------------------------------------------------------------- notices */

/* Of two files of one number the notice means one; the other loses its pages
 * for nothing, which does no harm. */
void netfs_fuse_node_stale(struct netfs_fuse_nodes *nodes, uint64_t ino, uint64_t start,
			   uint64_t end)
{
	struct netfs_list *pos, *bucket;

	pthread_mutex_lock(&nodes->lock);
	bucket = &nodes->by_ino[slot(nodes, ino)];
	netfs_list_for_each (pos, bucket) {
		struct netfs_fuse_node *node =
			netfs_container_of(pos, struct netfs_fuse_node, ino_link);

		if (node->ino != ino)
			continue;
		caps_changed_locked(node);
		netfs_notice_data(&nodes->notices, &node->notice, start, end);
	}
	pthread_mutex_unlock(&nodes->lock);
}

/* The same for names: in each directory of that number. */
void netfs_fuse_node_stale_name(struct netfs_fuse_nodes *nodes, uint64_t dir_ino, const char *name)
{
	struct netfs_list *pos, *bucket;

	pthread_mutex_lock(&nodes->lock);
	bucket = &nodes->by_ino[slot(nodes, dir_ino)];
	netfs_list_for_each (pos, bucket) {
		struct netfs_fuse_node *node =
			netfs_container_of(pos, struct netfs_fuse_node, ino_link);

		if (node->ino == dir_ino && !netfs_notice_name(&nodes->notices, node->nodeid, name))
			netfs_notice_data(&nodes->notices, &node->notice, 0, UINT64_MAX);
	}
	pthread_mutex_unlock(&nodes->lock);
}

int netfs_fuse_nodes_init(struct netfs_fuse_nodes *nodes, struct netfs_vnode *root, bool nosuid)
{
	uint64_t nodeid;
	int err = -ENOMEM;

	memset(nodes, 0, sizeof(*nodes));
	nodes->root_ino = netfs_vnode_ino(root);
	nodes->no_caps_ms = nosuid ? NO_CAPS_NOSUID_MS : NO_CAPS_MS;
	netfs_notice_queue_init(&nodes->notices);
	pthread_mutex_init(&nodes->lock, NULL);
	nodes->nbuckets = FIRST_BUCKETS;
	nodes->by_id = buckets_alloc(FIRST_BUCKETS);
	nodes->by_ino = buckets_alloc(FIRST_BUCKETS);
	if (nodes->by_id && nodes->by_ino)
		err = netfs_fuse_node_enter(nodes, root, &nodeid);
	else
		netfs_vnode_put(root);
	if (err < 0)
		netfs_fuse_nodes_done(nodes);
	return err;
}

/* Takes the first node of one bucket out.  NULL: it is empty. */
static struct netfs_fuse_node *take_first(struct netfs_fuse_nodes *nodes, size_t bucket)
{
	struct netfs_fuse_node *node = NULL;

	pthread_mutex_lock(&nodes->lock);
	if (!netfs_list_empty(&nodes->by_id[bucket])) {
		node = netfs_container_of(nodes->by_id[bucket].next, struct netfs_fuse_node,
					  id_link);
		unlink_locked(nodes, node);
	}
	pthread_mutex_unlock(&nodes->lock);
	return node;
}

/* The number of buckets stands still: nothing enters any more. */
void netfs_fuse_nodes_clear(struct netfs_fuse_nodes *nodes)
{
	struct netfs_fuse_node *node;

	for (size_t i = 0; i < nodes->nbuckets; i++) {
		while ((node = take_first(nodes, i))) {
			netfs_vnode_put_many(node->vnode, node->count);
			free(node);
		}
	}
}

void netfs_fuse_nodes_done(struct netfs_fuse_nodes *nodes)
{
	free(nodes->by_id);
	free(nodes->by_ino);
	pthread_mutex_destroy(&nodes->lock);
	netfs_notice_queue_done(&nodes->notices);
}
