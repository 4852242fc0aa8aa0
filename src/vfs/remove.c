/* SPDX-License-Identifier: MIT */
/*
 * Names that go: unlink, rmdir, and the file that is still open then.
 *
 * Where the server does not keep open files alive without a name, unlinking
 * one gives it a name of our own instead ("silly rename"): ".unetfs-" and 16
 * hexadecimal digits, in the same directory.  This mount hides it; it is
 * removed in the background after the last file was released.  A mount that
 * dies leaves it behind, visible and removable.
 *
 * Two races are left to the server: somebody opens the file between our look at
 * who has it open and the removal; and a program of another client sees the
 * silly name.
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
#include <vfs/restore.h>
#include <vfs/vcall.h>

#define SILLY_PREFIX ".unetfs-"
#define SILLY_SIZE   (sizeof(SILLY_PREFIX) + 16)

/* ------------------------------------------------------------- silly */

/* Our name for a file that is open and has none any more. */
struct netfs_silly_name {
	struct netfs_list link; /* in mount->silly; the mount's mutex */
	struct netfs_vnode *dir; /* where it is; a reference */
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
	netfs_mutex_unlock(&mount->mutex);
	netfs_vnode_put(silly->dir);
	netfs_free(silly);
}

static void silly_removed(struct netfs_vcall *v, int err)
{
	netfs_attr_expire_names(v->dir);
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

/* ----------------------------------------------------- unlink, rmdir */

static void remove_finish(struct netfs_vcall *v, int err)
{
	netfs_vcall_finish(v, err);
}

static void removed(struct netfs_vcall *v, int err)
{
	struct netfs_vnode *gone = v->target;

	netfs_name_changed(v->dir, v->name);
	if (gone)
		netfs_attr_expire(gone);
	if (!err && gone && netfs_vnode_directory(gone))
		netfs_vnode_unhash(gone);
	netfs_vcall_finish(v, err);
}

static void remove_ask(struct netfs_vcall *v, enum netfs_ask_kind kind)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, kind);

	ask->dir = netfs_vnode_node(v->dir);
	ask->name = v->name;
	netfs_vcall_ask(v, removed);
}

static void unlink_flushed(struct netfs_vcall *v, int err)
{
	if (err == -EINTR)
		netfs_vcall_finish(v, err);
	else
		remove_ask(v, NETFS_ASK_UNLINK);
}

/* Nothing is left that would be written again.  What the server refuses goes with
 * the file. */
static void unlink_settled(struct netfs_vcall *v, int err)
{
	if (err == -EINTR)
		netfs_vcall_finish(v, err);
	else if (netfs_silly_needed(v->target))
		netfs_vcall_silly(v, v->dir, v->name, remove_finish);
	else
		netfs_vcall_flush(v, v->target, 0, UINT64_MAX, unlink_flushed);
}

static void unlink_resolved(struct netfs_vcall *v, int err)
{
	if (err)
		netfs_vcall_finish(v, err);
	else
		netfs_vcall_settle(v, v->target, unlink_settled);
}

/* Might the file be open, or have data that could not be sent without it? */
static bool care_needed(struct netfs_mount *mount)
{
	bool open;

	if (mount->config.journal && netfs_journal_bytes(mount->config.journal))
		return true;
	if (netfs_mount_restoring(mount))
		return true;
	if (mount->be->caps & NETFS_BE_OPEN_UNLINKED)
		return false;
	netfs_mutex_lock(&mount->mutex);
	open = mount->files_open > 0;
	netfs_mutex_unlock(&mount->mutex);
	return open || netfs_core_dirty(mount->core) > 0;
}

static int remove_check(struct netfs_vcall *v)
{
	int err = netfs_name_check_change(v->dir, v->name);

	if (!err && netfs_silly_hidden(v->dir, v->name, strlen(v->name)))
		err = -ENOENT;
	return err;
}

static void unlink_start(struct netfs_vcall *v, int err)
{
	err = remove_check(v);
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	if (care_needed(v->mount)) {
		netfs_vcall_resolve(v, v->dir, v->name, unlink_resolved);
		return;
	}
	v->target = netfs_name_hint(v->dir, v->name);
	remove_ask(v, NETFS_ASK_UNLINK);
}

static void rmdir_start(struct netfs_vcall *v, int err)
{
	err = remove_check(v);
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	v->target = netfs_name_hint(v->dir, v->name);
	remove_ask(v, NETFS_ASK_RMDIR);
}

static void remove_begin(struct netfs_vnode *dir, const char *name, netfs_step_fn first,
			 struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(dir->mount, call);

	if (!v)
		return;
	v->dir = netfs_vnode_get(dir);
	v->name = name;
	netfs_vcall_start(v, first);
}

void netfs_unlink(struct netfs_vnode *dir, const char *name, struct netfs_call *call)
{
	remove_begin(dir, name, unlink_start, call);
}

void netfs_rmdir(struct netfs_vnode *dir, const char *name, struct netfs_call *call)
{
	remove_begin(dir, name, rmdir_start, call);
}
