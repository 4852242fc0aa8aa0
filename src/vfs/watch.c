/* SPDX-License-Identifier: MIT */
/*
 * Directories that a server watches for us, where it can: what is known of them is
 * believed for longer, and what it tells of is not believed any more at once.
 *
 *	used, and used again --> ops->watch() --> host->watching() --> dir->watch is odd
 *	                                                                    |
 *	a name, a listing, attributes: asked under that number ------------ they hold
 *
 * Covered are names that are there and that are not, the listing and attributes of
 * the directory itself, and attributes of what is in it, unless that is a directory,
 * whose attributes change with what is in there, or has other names, by which it may
 * be changed.  Servers tell late of a file that is being written, so its attributes
 * are covered only once they were told twice, a while apart, and were the same.
 *
 * A notice may be lost or late; nobody can tell.  So nothing is believed for more
 * than watched_ms longer than without a watch, the kernel for no longer at all, and
 * an open asks as it always does.
 *
 * A notice for a name meets answers that are still on their way: those asked for
 * before it are handed on and not kept (names_stamp, stale_stamp).
 *
 * Locks: the mount's mutex, then a vnode's.  dir->watch is read without.
 */
#include <base/checked_math.h>
#include <base/limits.h>
#include <env/clock.h>
#include <unetfs/backend.h>
#include <vfs/mount.h>
#include <vfs/vnode.h>
#include <vfs/whole.h>

void netfs_watch_used(struct netfs_vnode *dir)
{
	struct netfs_mount *mount = dir->mount;
	uint64_t now = netfs_clock_now(), since;
	struct netfs_node *node = NULL;

	if (!mount->config.watched_ms || !mount->be->ops->watch)
		return;
	netfs_mutex_lock(&dir->mutex);
	since = dir->used_ns ? now - dir->used_ns : UINT64_MAX;
	if (since >= NETFS_WATCH_ROUND_MS * NETFS_NS_PER_MS) {
		dir->used_ns = now;
		if (since <= NETFS_WATCH_UNUSED_MS * NETFS_NS_PER_MS)
			node = netfs_node_get(dir->node);
	}
	netfs_mutex_unlock(&dir->mutex);
	if (!node)
		return;
	mount->be->ops->watch(node, dir->ino, dir->gen);
	netfs_node_put(node);
}

uint32_t netfs_watch_now(struct netfs_vnode *dir)
{
	uint32_t watch = atomic_load(&dir->watch);

	return watch & 1 ? watch : 0;
}

bool netfs_watch_covers(const struct netfs_vnode *dir, uint32_t watch, uint64_t from_ns)
{
	uint64_t more = dir->mount->config.watched_ms * NETFS_NS_PER_MS;

	return watch && atomic_load(&dir->watch) == watch &&
	       netfs_clock_now() < netfs_saturating_add(from_ns, more);
}

static bool tells_enough_locked(const struct netfs_vnode *vnode, const struct netfs_asked *asked)
{
	uint64_t steady =
		netfs_saturating_add(vnode->steady_ns, NETFS_WATCH_ROUND_MS * NETFS_NS_PER_MS);

	return asked->stamp >= vnode->stale_stamp && vnode->attr.nlink <= 1 &&
	       netfs_clock_now() >= steady;
}

void netfs_watch_tell_locked(struct netfs_vnode *dir, struct netfs_vnode *vnode,
			     const struct netfs_asked *asked)
{
	netfs_assert_held(&dir->mount->mutex);
	if (!asked->dir_watch || netfs_vnode_directory(vnode))
		return;
	netfs_mutex_lock(&vnode->mutex);
	if (tells_enough_locked(vnode, asked)) {
		vnode->told_dir = dir;
		vnode->told_watch = asked->dir_watch;
	}
	netfs_mutex_unlock(&vnode->mutex);
}

void netfs_watch_untell_locked(const struct netfs_vnode *dir, struct netfs_vnode *vnode)
{
	netfs_assert_held(&dir->mount->mutex);
	netfs_mutex_lock(&vnode->mutex);
	if (vnode->told_dir == dir) {
		vnode->told_dir = NULL;
		vnode->told_watch = 0;
	}
	netfs_mutex_unlock(&vnode->mutex);
}

/* ---------------------------------------------------- the back end's */

void netfs_watch_stands(struct netfs_be_host *host, uint64_t ino, uint64_t gen, bool stands)
{
	struct netfs_mount *mount = host->priv;
	struct netfs_vnode *dir = netfs_vnode_find(mount, ino, gen);
	uint32_t watch;

	if (!dir)
		return;
	netfs_mutex_lock(&dir->mutex);
	watch = atomic_load(&dir->watch);
	if (stands != (watch & 1))
		atomic_store(&dir->watch, watch + 1);
	netfs_mutex_unlock(&dir->mutex);
	if (stands && !(watch & 1))
		netfs_count(&mount->stats, watches);
	netfs_vnode_put(dir);
}

struct notice {
	struct netfs_vnode *dir;
	enum netfs_change change;
};

/* Those above only queue what they are told, so they may be told with the lock.  What
 * was not told under a watch they believe for a moment only; and it may be our own
 * change that is told of, which the kernel knows: to forget the name of a directory
 * that somebody works in would leave him without one until it is looked up again. */
static bool name_meant(void *user, const struct netfs_name_found *found)
{
	const struct notice *notice = user;
	bool goes = notice->change == NETFS_CHANGE_GONE;

	/* What is known to be there was asked for after it was made. */
	if (notice->change == NETFS_CHANGE_MADE)
		goes = !found->vnode;
	else if (found->vnode)
		netfs_attr_touched(found->vnode);
	if (goes && found->watched)
		netfs_mount_notify_entry(notice->dir->mount, notice->dir->ino, found->text);
	return goes;
}

void netfs_watch_happened(struct netfs_be_host *host, uint64_t ino, uint64_t gen, const char *name,
			  enum netfs_change change)
{
	struct netfs_mount *mount = host->priv;
	struct notice notice = {netfs_vnode_find(mount, ino, gen), change};

	if (!notice.dir)
		return;
	netfs_count(&mount->stats, watch_notices);
	netfs_mutex_lock(&mount->mutex);
	notice.dir->names_stamp = netfs_mount_stamp(mount);
	netfs_names_each_like(notice.dir, name, name_meant, &notice);
	netfs_burst_there_locked(notice.dir, name);
	netfs_mutex_unlock(&mount->mutex);
	if (change != NETFS_CHANGE_TOUCHED) {
		netfs_attr_touched(notice.dir);
		/* Its version tells another one now, and we know why: the others stay. */
		netfs_mutex_lock(&notice.dir->mutex);
		notice.dir->names_changed = true;
		netfs_mutex_unlock(&notice.dir->mutex);
		netfs_whole_drop(notice.dir);
		netfs_mount_notify_data(mount, ino);
	}
	netfs_vnode_put(notice.dir);
}
