/* SPDX-License-Identifier: MIT */
/*
 * Open files without a name.
 *
 * Where the server does not keep open files alive without a name, unlinking
 * one gives it a name of our own instead ("silly rename"): ".unetfs-" and 16
 * hexadecimal digits, in the same directory.  This mount hides it; it is
 * removed in the background after the last file was released.  A mount that
 * dies leaves it behind, visible and removable.
 *
 * A directory that holds nothing else is empty for those who look, so it can be
 * removed: the silly name moves to where the directory was, or who removes it
 * waits for the one that is being removed just now.
 *
 * Two races are left to the server: somebody opens the file between our look at
 * who has it open and the removal; and a program of another client sees the
 * silly name.
 *
 * vnode->silly is a token: who changes it to false may remove the silly name, or
 * move it, and nobody else changes what it consists of.
 *
 * Locks: the mount's mutex guards the list of silly names.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/random.h>
#include <vfs/file.h>
#include <vfs/journal.h>
#include <vfs/vcall.h>

#define SILLY_PREFIX ".unetfs-"
#define SILLY_SIZE   (sizeof(SILLY_PREFIX) + 16)

/* Our name for a file that is open and has none any more. */
struct netfs_silly_name {
	struct netfs_list link; /* in mount->silly; the mount's mutex */
	struct netfs_vnode *dir; /* where it is; a reference; changes under the mount's mutex */
	struct netfs_vnode *file; /* lives as long as this is listed */
	struct netfs_cred cred; /* who removed the file */
	char text[SILLY_SIZE];
};

bool netfs_name_silly(const char *name)
{
	return strlen(name) == SILLY_SIZE - 1 &&
	       memcmp(name, SILLY_PREFIX, sizeof(SILLY_PREFIX) - 1) == 0;
}

bool netfs_silly_hidden(struct netfs_vnode *dir, const char *name, size_t len)
{
	struct netfs_mount *mount = dir->mount;
	struct netfs_list *link;
	bool hidden = false;

	if (netfs_name_of_key(dir, name, len))
		return true;
	if (len != SILLY_SIZE - 1 || memcmp(name, SILLY_PREFIX, sizeof(SILLY_PREFIX) - 1) != 0)
		return false;
	netfs_mutex_lock(&mount->mutex);
	netfs_list_for_each (link, &mount->silly) {
		struct netfs_silly_name *silly =
			netfs_container_of(link, struct netfs_silly_name, link);

		if (silly->dir == dir && !memcmp(silly->text, name, len))
			hidden = true;
	}
	netfs_mutex_unlock(&mount->mutex);
	return hidden;
}

bool netfs_silly_needed(struct netfs_vnode *target)
{
	bool needed;

	if ((target->mount->be->caps & NETFS_BE_OPEN_UNLINKED) || !netfs_vnode_regular(target) ||
	    atomic_load(&target->silly))
		return false;
	netfs_mutex_lock(&target->mutex);
	needed = !netfs_list_empty(&target->files);
	netfs_mutex_unlock(&target->mutex);
	return needed;
}

static void silly_forget(struct netfs_vnode *vnode)
{
	struct netfs_mount *mount = vnode->mount;
	struct netfs_silly_name *silly;

	netfs_mutex_lock(&mount->mutex);
	silly = netfs_take(vnode->silly_name);
	netfs_list_remove(&silly->link);
	netfs_vcall_wake_locked(mount, &mount->silly_waiters);
	netfs_mutex_unlock(&mount->mutex);
	netfs_vnode_put(silly->dir);
	netfs_free(silly);
}

static void silly_removed(struct netfs_vcall *v, int err)
{
	netfs_attr_expire_names(v->dir, 0);
	silly_forget(v->vnode);
	netfs_vcall_finish(v, err);
}

static void silly_remove(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_UNLINK);

	ask->dir = netfs_vnode_node(v->dir);
	ask->name = v->name;
	ask->op.cred = v->cred;
	ask->op.wait = true;
	netfs_vcall_ask(v, silly_removed);
}

/* What is still unsent needs the file to be there; whether it could be sent
 * makes no difference any more. */
static void silly_flush(struct netfs_vcall *v, int err)
{
	netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, silly_remove);
}

/* Takes the silly name over, if there is one that nobody is removing yet. */
static bool silly_take(struct netfs_vnode *vnode)
{
	bool unused;

	netfs_mutex_lock(&vnode->mutex);
	unused = netfs_list_empty(&vnode->files) && atomic_exchange(&vnode->silly, false);
	netfs_mutex_unlock(&vnode->mutex);
	return unused;
}

void netfs_silly_release(struct netfs_vnode *vnode)
{
	struct netfs_vcall *v;

	if (!silly_take(vnode))
		return;
	v = netfs_vcall_new_raw(vnode->mount, NULL, true);
	if (!v) {
		silly_forget(vnode);
		return;
	}
	/* Until silly_forget() nobody changes what these point to. */
	v->vnode = netfs_vnode_get(vnode);
	v->dir = netfs_vnode_get(vnode->silly_name->dir);
	v->name = vnode->silly_name->text;
	v->cred = vnode->silly_name->cred;
	netfs_vcall_start(v, silly_flush);
}

static void silly_renamed(struct netfs_vcall *v, int err)
{
	struct netfs_vnode *target = v->target;
	struct netfs_silly_name *silly = v->silly;

	if (!err) {
		v->silly = NULL;
		silly->dir = netfs_vnode_get(v->resolve_dir);
		silly->file = target;
		silly->cred = v->ask.op.cred;
		netfs_mutex_lock(&v->mount->mutex);
		target->silly_name = silly;
		netfs_list_push_back(&v->mount->silly, &silly->link);
		netfs_mutex_unlock(&v->mount->mutex);
		atomic_store(&target->silly, true);
		if (v->mount->config.journal)
			netfs_journal_renamed(v->mount->config.journal);
		netfs_attr_expire(target);
		/* They may all have been released meanwhile. */
		netfs_silly_release(target);
	}
	netfs_name_changed(v->resolve_dir, v->resolve_name);
	netfs_vcall_return(v, err);
}

void netfs_vcall_silly(struct netfs_vcall *v, struct netfs_vnode *dir, const char *name,
		       netfs_step_fn next)
{
	struct netfs_ask *ask;

	netfs_assert(!v->then && !v->silly);
	v->silly = netfs_zalloc(sizeof(*v->silly));
	if (!v->silly) {
		next(v, -ENOMEM);
		return;
	}
	netfs_list_init(&v->silly->link);
	snprintf(v->silly->text, SILLY_SIZE, SILLY_PREFIX "%016" PRIx64, netfs_random_u64());
	v->then = next;
	v->resolve_dir = dir;
	v->resolve_name = name;
	ask = netfs_vcall_prepare(v, NETFS_ASK_RENAME);
	ask->node = netfs_vnode_node(v->target);
	ask->dir = netfs_vnode_node(dir);
	ask->name = name;
	ask->new_dir = netfs_vnode_node(dir);
	ask->new_name = v->silly->text;
	netfs_vcall_ask(v, silly_renamed);
}

/* ------------------------------------------ what stands in a directory */

static struct netfs_silly_name *in_locked(const struct netfs_mount *mount,
					  const struct netfs_vnode *dir)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &mount->silly) {
		struct netfs_silly_name *silly =
			netfs_container_of(link, struct netfs_silly_name, link);

		if (silly->dir == dir)
			return silly;
	}
	return NULL;
}

static void silly_moved(struct netfs_vcall *v, int err)
{
	struct netfs_vnode *file = netfs_take(v->silly_file), *left = NULL;
	struct netfs_mount *mount = v->mount;

	netfs_mutex_lock(&mount->mutex);
	if (!err) {
		left = file->silly_name->dir;
		file->silly_name->dir = netfs_vnode_get(v->resolve_dir);
		file->silly_name->cred = v->ask.op.cred;
	}
	atomic_store(&file->silly, true);
	netfs_vcall_wake_locked(mount, &mount->silly_waiters);
	netfs_mutex_unlock(&mount->mutex);
	if (left)
		netfs_vnode_put(left);
	if (!err && mount->config.journal)
		netfs_journal_renamed(mount->config.journal);
	netfs_attr_expire(file);
	/* They may all have been released meanwhile. */
	netfs_silly_release(file);
	netfs_vnode_put(file);
	netfs_vcall_return(v, err);
}

static void silly_move(struct netfs_vcall *v, const char *text, struct netfs_vnode *dir,
		       struct netfs_vnode *to)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_RENAME);

	v->resolve_dir = to;
	ask->node = netfs_vnode_node(v->silly_file);
	ask->dir = netfs_vnode_node(dir);
	ask->name = text;
	ask->new_dir = netfs_vnode_node(to);
	ask->new_name = text;
	netfs_vcall_ask(v, silly_moved);
}

bool netfs_vcall_silly_clear(struct netfs_vcall *v, struct netfs_vnode *dir, struct netfs_vnode *to,
			     netfs_step_fn next)
{
	struct netfs_mount *mount = v->mount;
	struct netfs_silly_name *silly;

	netfs_assert(!v->then && !v->silly_file);
	netfs_mutex_lock(&mount->mutex);
	silly = in_locked(mount, dir);
	if (!silly) {
		netfs_mutex_unlock(&mount->mutex);
		return false;
	}
	if (!atomic_exchange(&silly->file->silly, false)) {
		netfs_vcall_wait_unlock(v, &mount->silly_waiters, next);
		return true;
	}
	v->silly_file = netfs_vnode_get(silly->file);
	netfs_mutex_unlock(&mount->mutex);
	v->then = next;
	silly_move(v, silly->text, dir, to);
	return true;
}
