/* SPDX-License-Identifier: MIT */
/*
 * Names that move.
 *
 * Before the server is asked:
 *  - what moves is found, so that the back end can keep its address;
 *  - the target is looked for.  Where one is, the unsent data of what moves is
 *    sent first: others who look at the target must never see the new file
 *    empty or half written.  If that fails, nothing is renamed.
 *  - a target that is open gets a silly name where the server needs that
 *    (silly.c); for a moment there is then no target.
 *
 * NOREPLACE on a server without rename flags is our look at the target; a file
 * made by somebody else between that look and the rename is replaced.
 *
 * Locks: none of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vfs/file.h>
#include <vfs/journal.h>
#include <vfs/restore.h>
#include <vfs/vcall.h>

#define KNOWN_FLAGS (RENAME_NOREPLACE | RENAME_EXCHANGE)

static bool server_flags(const struct netfs_vcall *v)
{
	return (v->mount->be->caps & NETFS_BE_RENAME_FLAGS) != 0;
}

static void rename_over(struct netfs_vcall *v, int err)
{
	netfs_name_changed(v->dir, v->name);
	netfs_name_changed(v->new_dir, v->new_name);
	netfs_attr_expire(v->vnode);
	if (v->target)
		netfs_attr_expire(v->target);
	/* Two names of one file: the server does nothing. */
	if (!err && v->target != v->vnode) {
		netfs_name_made(v->new_dir, v->new_name, v->vnode);
		if (v->target && (v->flags & RENAME_EXCHANGE))
			netfs_name_made(v->dir, v->name, v->target);
	}
	if (!err && v->mount->config.journal)
		netfs_journal_renamed(v->mount->config.journal);
	netfs_vcall_finish(v, err);
}

static void rename_again(struct netfs_vcall *v, int err);

static void renamed(struct netfs_vcall *v, int err)
{
	if (err != -ENOTEMPTY || !v->target ||
	    !netfs_vcall_silly_clear(v, v->target, v->new_dir, rename_again))
		rename_over(v, err);
}

static void rename_noted(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask;

	ask = netfs_vcall_prepare(v, NETFS_ASK_RENAME);
	ask->node = netfs_vnode_node(v->vnode);
	ask->dir = netfs_vnode_node(v->dir);
	ask->name = v->name;
	ask->new_dir = netfs_vnode_node(v->new_dir);
	ask->new_name = v->new_name;
	ask->flags = server_flags(v) ? v->flags : 0;
	netfs_vcall_ask(v, renamed);
}

/* What was in the way of the directory that is replaced is elsewhere. */
static void rename_again(struct netfs_vcall *v, int err)
{
	if (err)
		rename_over(v, err == -EINTR ? err : -ENOTEMPTY);
	else
		rename_noted(v, 0);
}

static void rename_restored(struct netfs_vcall *v, int err)
{
	if (err)
		netfs_vcall_finish(v, err);
	else
		netfs_vcall_moving(v, v->flags & RENAME_EXCHANGE, rename_noted);
}

/* Files that are held back are found by their paths. */
static void rename_ask(struct netfs_vcall *v, int err)
{
	bool moves_dir =
		netfs_vnode_directory(v->vnode) || (v->target && netfs_vnode_directory(v->target));

	if (err || !moves_dir)
		rename_restored(v, err);
	else
		netfs_vcall_all_restored(v, rename_restored);
}

/* What is unsent of the target needs its name to be there; whether it could be
 * sent makes no difference any more. */
static void target_flushed(struct netfs_vcall *v, int err)
{
	rename_ask(v, err == -EINTR ? err : 0);
}

static void rename_settled(struct netfs_vcall *v, int err)
{
	bool replaces = v->target != v->vnode && !(v->flags & RENAME_EXCHANGE);

	if (err || !replaces)
		rename_ask(v, err);
	else if (netfs_silly_needed(v->target))
		netfs_vcall_silly(v, v->new_dir, v->new_name, rename_ask);
	else
		netfs_vcall_flush(v, v->target, 0, UINT64_MAX, target_flushed);
}

/* What is replaced must not be written again. */
static void rename_flushed(struct netfs_vcall *v, int err)
{
	if (err)
		netfs_vcall_finish(v, err);
	else
		netfs_vcall_settle(v, v->target, rename_settled);
}

static void rename_target(struct netfs_vcall *v, int err)
{
	if (err == -ENOENT) {
		if (v->flags & RENAME_EXCHANGE)
			netfs_vcall_finish(v, -ENOENT);
		else
			rename_ask(v, 0);
	} else if (err) {
		netfs_vcall_finish(v, err);
	} else if ((v->flags & RENAME_NOREPLACE) && !server_flags(v)) {
		netfs_vcall_finish(v, -EEXIST);
	} else {
		netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, rename_flushed);
	}
}

static void rename_source(struct netfs_vcall *v, int err)
{
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	v->vnode = v->target;
	v->target = NULL;
	netfs_vcall_resolve(v, v->new_dir, v->new_name, rename_target);
}

static int rename_check(struct netfs_vcall *v)
{
	int err = netfs_name_check_change(v->dir, v->name);

	if (!err)
		err = netfs_name_check_change(v->new_dir, v->new_name);
	if (!err && ((v->flags & ~KNOWN_FLAGS) || v->flags == KNOWN_FLAGS))
		err = -EINVAL;
	if (!err && (v->flags & RENAME_EXCHANGE) && !server_flags(v))
		err = -EINVAL;
	if (!err && netfs_silly_hidden(v->dir, v->name, strlen(v->name)))
		err = -ENOENT;
	return err;
}

static void rename_start(struct netfs_vcall *v, int err)
{
	err = rename_check(v);
	if (err)
		netfs_vcall_finish(v, err);
	else
		netfs_vcall_resolve(v, v->dir, v->name, rename_source);
}

void netfs_rename(struct netfs_vnode *old_dir, const char *old_name, struct netfs_vnode *new_dir,
		  const char *new_name, uint32_t flags, struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(old_dir->mount, call);

	if (!v)
		return;
	v->dir = netfs_vnode_get(old_dir);
	v->name = old_name;
	v->new_dir = netfs_vnode_get(new_dir);
	v->new_name = new_name;
	v->flags = flags;
	netfs_vcall_start(v, rename_start);
}
