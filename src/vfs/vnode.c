/* SPDX-License-Identifier: MIT */
/*
 * Vnodes: the table, references, birth and end.
 *
 * A vnode in the table has at least one reference, so that one found there
 * under the mount's mutex can be given another.  The last reference is
 * therefore dropped under that mutex: the vnode leaves the table and the name
 * cache in the same moment, after which nobody can find it, and is then freed
 * without a lock.  All others are dropped without any lock.
 *
 * The core holds a reference while it is busy with the inode.  It says so with
 * its own mutex held, hence that hook touches atomics only.
 *
 * Who holds no reference: the name cache (its entries go with the vnode), and
 * a directory its parent, which is remembered by number and may be gone.
 *
 * Locks: the mount's mutex, then the vnode's.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unetfs/cache.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <vfs/locks.h>
#include <vfs/journal.h>
#include <vfs/mount.h>
#include <vfs/vnode.h>

static void vnode_busy(struct netfs_inode *inode)
{
	struct netfs_vnode *vnode = netfs_container_of(inode, struct netfs_vnode, inode);

	atomic_fetch_add_explicit(&vnode->refs, 1, memory_order_relaxed);
	atomic_fetch_add(&vnode->mount->busy, 1);
	atomic_fetch_add(&vnode->busy, 1);
}

static void vnode_idle(struct netfs_inode *inode)
{
	struct netfs_vnode *vnode = netfs_container_of(inode, struct netfs_vnode, inode);
	struct netfs_mount *mount = vnode->mount;

	netfs_mutex_lock(&vnode->mutex);
	vnode->changed_stamp = netfs_mount_stamp(mount);
	netfs_mutex_unlock(&vnode->mutex);
	netfs_times_settle(vnode);
	/* The next busy may already have come. */
	atomic_fetch_sub(&vnode->busy, 1);
	netfs_vnode_put(vnode);
	netfs_mount_busy_end(mount);
}

static const struct netfs_inode_ops vnode_inode_ops = {
	.busy = vnode_busy,
	.idle = vnode_idle,
};

static uint64_t vnode_hash(struct netfs_mount *mount, uint64_t ino, uint64_t gen)
{
	return netfs_hash_u64s(mount->hash_seed, ino, gen);
}

/* One of that number, of that type unless type is 0. */
static struct netfs_vnode *find_locked(struct netfs_mount *mount, uint64_t ino, uint64_t gen,
				       uint32_t type)
{
	struct netfs_hash_link *link;

	netfs_assert_held(&mount->mutex);
	link = netfs_hash_find(&mount->vnodes, vnode_hash(mount, ino, gen));
	for (; link; link = netfs_hash_find_next(link)) {
		struct netfs_vnode *vnode = netfs_container_of(link, struct netfs_vnode, hash_link);

		if (vnode->ino == ino && vnode->gen == gen && (!type || vnode->type == type))
			return vnode;
	}
	return NULL;
}

static void unhash_locked(struct netfs_vnode *vnode)
{
	if (!vnode->hashed)
		return;
	vnode->hashed = false;
	netfs_hash_remove(&vnode->mount->vnodes, &vnode->hash_link);
	netfs_names_forget(vnode);
}

struct netfs_vnode *netfs_vnode_find(struct netfs_mount *mount, uint64_t ino, uint64_t gen)
{
	struct netfs_vnode *vnode;

	netfs_mutex_lock(&mount->mutex);
	vnode = find_locked(mount, ino, gen, 0);
	if (vnode)
		netfs_vnode_get(vnode);
	netfs_mutex_unlock(&mount->mutex);
	return vnode;
}

void netfs_vnode_unhash(struct netfs_vnode *vnode)
{
	struct netfs_mount *mount = vnode->mount;

	netfs_mutex_lock(&mount->mutex);
	unhash_locked(vnode);
	netfs_mutex_unlock(&mount->mutex);
}

static bool same_time(const struct netfs_time *a, const struct netfs_time *b)
{
	return a->sec == b->sec && a->nsec == b->nsec;
}

static bool time_known(const struct netfs_time *time)
{
	return time->sec || time->nsec;
}

/* The server gave the number of a file that is gone to a new one. */
static bool another_life(struct netfs_vnode *vnode, const struct netfs_attr *attr)
{
	bool other;

	netfs_mutex_lock(&vnode->mutex);
	other = time_known(&vnode->attr.btime) && time_known(&attr->btime) &&
		!same_time(&vnode->attr.btime, &attr->btime);
	netfs_mutex_unlock(&vnode->mutex);
	return other;
}

static void cache_ready(void *user)
{
	netfs_core_ready(user);
}

/* Where its generation is not for ever, the version alone tells another file of that
 * number. */
static void acquire_cookie(struct netfs_vnode *vnode)
{
	struct netfs_mount *mount = vnode->mount;
	bool moves = mount->be->caps & NETFS_BE_GEN_MOVES;
	struct netfs_cache *cache = mount->config.cache;
	struct netfs_cache_file file = {
		.ino = vnode->ino,
		.gen = moves ? 0 : vnode->gen,
		.ready = cache_ready,
		.user = mount->core,
	};

	if (cache && !mount->config.unbuffered)
		netfs_inode_set_cookie(&vnode->inode, cache->acquire(cache, &file));
}

static struct netfs_vnode *vnode_make(struct netfs_mount *mount, const struct netfs_attr *attr,
				      bool created)
{
	struct netfs_vnode *vnode = netfs_zalloc(sizeof(*vnode));

	if (!vnode)
		return NULL;
	vnode->mount = mount;
	vnode->ino = attr->ino;
	vnode->gen = attr->gen;
	vnode->type = attr->mode & S_IFMT;
	atomic_init(&vnode->refs, 1);
	netfs_mutex_init(&vnode->mutex, NETFS_RANK_VNODE);
	netfs_list_init(&vnode->children);
	netfs_list_init(&vnode->aliases);
	netfs_list_init(&vnode->all_link);
	netfs_list_init(&vnode->files);
	if (netfs_vnode_regular(vnode)) {
		netfs_inode_init(&vnode->inode, mount->core, &vnode_inode_ops, attr->size, created);
		acquire_cookie(vnode);
	}
	if (netfs_vnode_regular(vnode) && netfs_vnode_journal(vnode)) {
		netfs_vnode_destroy(vnode);
		return NULL;
	}
	vnode->inode.id = attr->ino;
	return vnode;
}

/* The first thing that is known about a new vnode. */
static void vnode_first_attr(struct netfs_vnode *vnode, const struct netfs_attr *attr)
{
	vnode->attr = *attr;
	vnode->version = (struct netfs_version){
		.counter = attr->version,
		.mtime = attr->mtime,
		.ctime = attr->ctime,
		.size = attr->size,
	};
	netfs_mutex_lock(&vnode->mutex);
	netfs_attr_tell_cache_locked(vnode, true);
	netfs_mutex_unlock(&vnode->mutex);
}

/* The vnode to use, with a reference: an old one, or fresh, which then is in
 * the table.  An old one that cannot be meant leaves the table. */
static struct netfs_vnode *settle_locked(struct netfs_vnode *fresh, const struct netfs_attr *attr,
					 bool created)
{
	struct netfs_mount *mount = fresh->mount;
	struct netfs_vnode *old = find_locked(mount, fresh->ino, fresh->gen, fresh->type);

	if (old && !created && !another_life(old, attr))
		return netfs_vnode_get(old);
	while ((old = find_locked(mount, fresh->ino, fresh->gen, 0)))
		unhash_locked(old);
	fresh->hashed = true;
	netfs_list_push_back(&mount->all, &fresh->all_link);
	netfs_hash_insert(&mount->vnodes, &fresh->hash_link,
			  vnode_hash(mount, fresh->ino, fresh->gen));
	return fresh;
}

static struct netfs_vnode *find_usable(struct netfs_mount *mount, const struct netfs_attr *attr)
{
	struct netfs_vnode *vnode;

	netfs_mutex_lock(&mount->mutex);
	vnode = find_locked(mount, attr->ino, attr->gen, attr->mode & S_IFMT);
	if (vnode && another_life(vnode, attr))
		vnode = NULL;
	if (vnode)
		netfs_vnode_get(vnode);
	netfs_mutex_unlock(&mount->mutex);
	return vnode;
}

static void replace_node(struct netfs_vnode *vnode, struct netfs_node *node)
{
	struct netfs_node *old;

	netfs_mutex_lock(&vnode->mutex);
	old = vnode->node;
	if (old != node)
		vnode->attr_promise = 0;
	vnode->node = node;
	netfs_mutex_unlock(&vnode->mutex);
	netfs_node_put(old);
}

int netfs_vnode_enter(struct netfs_mount *mount, struct netfs_node *node,
		      const struct netfs_attr *attr, const struct netfs_asked *asked, bool created,
		      struct netfs_vnode **ret_vnode)
{
	struct netfs_vnode *vnode = created ? NULL : find_usable(mount, attr);
	struct netfs_vnode *fresh = NULL;

	if (!vnode) {
		fresh = vnode_make(mount, attr, created);
		if (!fresh) {
			netfs_node_put(node);
			return -ENOMEM;
		}
		vnode_first_attr(fresh, attr);
		fresh->node = netfs_node_get(node);
		netfs_mutex_lock(&mount->mutex);
		vnode = settle_locked(fresh, attr, created);
		netfs_mutex_unlock(&mount->mutex);
		if (vnode != fresh)
			netfs_vnode_destroy(fresh);
	}
	replace_node(vnode, node);
	netfs_attr_answer(vnode, attr, asked);
	*ret_vnode = vnode;
	return 0;
}

struct netfs_node *netfs_vnode_node(struct netfs_vnode *vnode)
{
	struct netfs_node *node;

	netfs_mutex_lock(&vnode->mutex);
	node = netfs_node_get(vnode->node);
	netfs_mutex_unlock(&vnode->mutex);
	return node;
}

void netfs_vnode_destroy(struct netfs_vnode *vnode)
{
	netfs_assert(netfs_list_empty(&vnode->files));
	netfs_assert(!vnode->silly_name);
	if (netfs_vnode_regular(vnode)) {
		struct netfs_cookie *cookie = vnode->inode.cookie;

		netfs_vnode_unjournal(vnode);
		netfs_inode_done(&vnode->inode);
		if (cookie)
			vnode->mount->config.cache->relinquish(vnode->mount->config.cache, cookie);
	}
	netfs_object_put(vnode->whole);
	netfs_locks_free(vnode->locks);
	netfs_node_put(vnode->node);
	netfs_mutex_done(&vnode->mutex);
	netfs_free(vnode);
}

struct netfs_vnode *netfs_vnode_get(struct netfs_vnode *vnode)
{
	atomic_fetch_add_explicit(&vnode->refs, 1, memory_order_relaxed);
	return vnode;
}

void netfs_vnode_put_many(struct netfs_vnode *vnode, uint64_t n)
{
	uint64_t refs = atomic_load_explicit(&vnode->refs, memory_order_relaxed);
	struct netfs_mount *mount = vnode->mount;
	bool last;

	/* Release: pairs with the acquire of the last put below. */
	while (refs > n) {
		if (atomic_compare_exchange_weak_explicit(&vnode->refs, &refs, refs - n,
							  memory_order_release,
							  memory_order_relaxed))
			return;
	}
	netfs_mutex_lock(&mount->mutex);
	refs = atomic_fetch_sub_explicit(&vnode->refs, n, memory_order_acq_rel);
	netfs_assert(refs >= n);
	last = refs == n;
	if (last) {
		unhash_locked(vnode);
		netfs_names_forget(vnode);
		netfs_list_remove(&vnode->all_link);
	}
	netfs_mutex_unlock(&mount->mutex);
	if (last)
		netfs_vnode_destroy(vnode);
}

void netfs_vnode_put(struct netfs_vnode *vnode)
{
	netfs_vnode_put_many(vnode, 1);
}

uint64_t netfs_vnode_ino(const struct netfs_vnode *vnode)
{
	return vnode->ino;
}
