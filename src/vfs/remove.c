/* SPDX-License-Identifier: MIT */
/*
 * Names that go: unlink and rmdir.  A file that is still open then gets another one
 * where that is needed (silly.c).
 *
 * Locks: the mount's mutex, for a look at what is open.
 */
#include <errno.h>
#include <string.h>
#include <vfs/file.h>
#include <vfs/journal.h>
#include <vfs/restore.h>
#include <vfs/vcall.h>

static void remove_finish(struct netfs_vcall *v, int err)
{
	netfs_vcall_finish(v, err);
}

static void remove_over(struct netfs_vcall *v, int err)
{
	struct netfs_vnode *gone = v->target;

	netfs_vcall_name_changed(v);
	if (gone)
		netfs_attr_expire(gone);
	if (!err && gone && netfs_vnode_directory(gone))
		netfs_vnode_unhash(gone);
	netfs_vcall_finish(v, err);
}

static void rmdir_again(struct netfs_vcall *v, int err);

static void removed(struct netfs_vcall *v, int err)
{
	if (err != -ENOTEMPTY || !v->target ||
	    !netfs_vcall_silly_clear(v, v->target, v->dir, rmdir_again))
		remove_over(v, err);
}

static void remove_ask(struct netfs_vcall *v, enum netfs_ask_kind kind)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, kind);

	ask->dir = netfs_vnode_node(v->dir);
	ask->name = v->name;
	netfs_attr_ask(v->mount, NULL, &v->asked);
	netfs_vcall_ask(v, removed);
}

/* What was in its way is elsewhere. */
static void rmdir_again(struct netfs_vcall *v, int err)
{
	if (err)
		remove_over(v, err == -EINTR ? err : -ENOTEMPTY);
	else
		remove_ask(v, NETFS_ASK_RMDIR);
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
