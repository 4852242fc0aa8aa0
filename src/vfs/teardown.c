/* SPDX-License-Identifier: MIT */
/*
 * Sending everything (sync), and the end of a mount.
 *
 * A close goes through these, in order:
 *  0. wait until no file is held back (restore.c);
 *  1. no new calls; wait until those in flight, and the work in the background
 *     that releases left, have ended;
 *  2. send all data and wait; an error ends the close, and the mount goes on.
 *     A forced close aborts the core instead and drops what is unsent;
 *  3. wait until the core needs no vnode any more;
 *  4. now nothing can reach a vnode: free them all, whoever holds references;
 *  5. free the core, disconnect, free the mount.
 *
 * Open files are the caller's mistake in step 1: -EBUSY.
 *
 * Locks: the mount's mutex.
 */
#include <errno.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <vfs/each.h>
#include <vfs/file.h>
#include <journal/left.h>
#include <vfs/journal.h>
#include <vfs/restore.h>
#include <vfs/vcall.h>

#define DROP_AGAIN_MS 10

/* -------------------------------------------------------------- sync */

static bool wants_sync(struct netfs_vnode *vnode)
{
	struct netfs_inode_view view;

	if (!netfs_vnode_regular(vnode))
		return false;
	netfs_inode_view(&vnode->inode, &view);
	return view.dirty || view.seq > 0 || netfs_vnode_journalled(vnode);
}

static bool is_dirty(struct netfs_vnode *vnode)
{
	struct netfs_inode_view view;

	if (!netfs_vnode_regular(vnode))
		return false;
	netfs_inode_view(&vnode->inode, &view);
	return view.dirty || netfs_vnode_journalled(vnode);
}

static struct netfs_handle *writable_handle(struct netfs_vnode *vnode)
{
	struct netfs_handle *handle = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&vnode->mutex);
	netfs_list_for_each (link, &vnode->files) {
		struct netfs_file *file = netfs_container_of(link, struct netfs_file, link);

		if (file->handle->writable) {
			handle = netfs_handle_get(file->handle);
			break;
		}
	}
	netfs_mutex_unlock(&vnode->mutex);
	return handle;
}

static void child_over(struct netfs_vcall *child, int err)
{
	netfs_each_done(child, 0, err);
}

/* Files that were closed are as durable as the server makes a close. */
static void child_settled(struct netfs_vcall *child, int err)
{
	struct netfs_handle *handle = NULL;
	struct netfs_ask *ask;

	if (!err && !(child->mount->be->caps & NETFS_BE_STABLE_WRITES))
		handle = writable_handle(child->vnode);
	if (!handle) {
		netfs_each_done(child, 0, err);
		return;
	}
	ask = netfs_vcall_prepare(child, NETFS_ASK_FSYNC);
	ask->handle = handle;
	netfs_vcall_ask(child, child_over);
}

static void child_sent(struct netfs_vcall *child, int err)
{
	if (err)
		child_settled(child, err);
	else
		netfs_vcall_settle(child, child->vnode, child_settled);
}

static void child_sync(struct netfs_vcall *child, int err)
{
	netfs_vcall_flush(child, child->vnode, 0, UINT64_MAX, child_sent);
}

static void sync_over(struct netfs_vcall *v, int err)
{
	netfs_vcall_finish(v, err);
}

static void sync_restored(struct netfs_vcall *v, int err)
{
	if (err)
		netfs_vcall_finish(v, err);
	else
		netfs_vcall_each(v, wants_sync, child_sync, sync_over);
}

static void sync_start(struct netfs_vcall *v, int err)
{
	netfs_vcall_all_restored(v, sync_restored);
}

void netfs_mount_sync(struct netfs_mount *mount, struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(mount, call);

	if (v)
		netfs_vcall_start(v, sync_start);
}

/* ------------------------------------------------------------- close */

/* From a step: goes on once nothing holds the mount (and nothing is busy). */
static void drain(struct netfs_vcall *v, bool busy, netfs_step_fn next)
{
	struct netfs_mount *mount = v->mount;
	bool now;

	netfs_vcall_await(v, next, NULL);
	netfs_mutex_lock(&mount->mutex);
	mount->drain_busy = busy;
	now = !mount->holds && !(busy && atomic_load(&mount->busy));
	if (!now)
		mount->drain = v;
	netfs_mutex_unlock(&mount->mutex);
	if (now)
		netfs_vcall_resume(v, 0);
}

static void free_vnodes(struct netfs_mount *mount)
{
	struct netfs_list *link;

	netfs_mutex_lock(&mount->mutex);
	while ((link = netfs_list_pop_front(&mount->all))) {
		struct netfs_vnode *vnode = netfs_container_of(link, struct netfs_vnode, all_link);

		netfs_mutex_unlock(&mount->mutex);
		netfs_vnode_unhash(vnode);
		netfs_mutex_lock(&mount->mutex);
		netfs_names_forget(vnode);
		netfs_mutex_unlock(&mount->mutex);
		netfs_vnode_destroy(vnode);
		netfs_mutex_lock(&mount->mutex);
	}
	netfs_mutex_unlock(&mount->mutex);
}

static void journal_closed(void *user)
{
	netfs_vcall_resume(user, 0);
}

static void close_over(struct netfs_vcall *v, int err)
{
	struct netfs_mount *mount = v->mount;
	void (*closed)(void *user, struct netfs_cache *cache) = mount->config.closed;
	struct netfs_cache *cache = mount->config.cache;
	void *user = mount->config.user;

	netfs_mount_free(mount);
	if (closed)
		closed(user, cache);
	/* Nothing is left that an error could be about. */
	netfs_vcall_finish(v, 0);
}

/* The next mount may come when this call ends, and must find what is left. */
static void close_disconnected(struct netfs_vcall *v, int err)
{
	struct netfs_journal *journal = v->mount->config.journal;

	netfs_left_close(v->mount->config.left);
	if (!journal) {
		close_over(v, 0);
		return;
	}
	netfs_vcall_await(v, close_over, NULL);
	netfs_journal_close(journal, journal_closed, v);
}

static void disconnect_done(struct netfs_op *op, int err)
{
	struct netfs_ask *ask = netfs_container_of(op, struct netfs_ask, op);

	netfs_vcall_resume(netfs_container_of(ask, struct netfs_vcall, ask), err);
}

static void close_idle(struct netfs_vcall *v, int err)
{
	struct netfs_mount *mount = v->mount;

	free_vnodes(mount);
	mount->root = NULL;
	netfs_core_free(netfs_take(mount->core));
	netfs_vcall_await(v, close_disconnected, NULL);
	v->ask.op.done = disconnect_done;
	mount->be->ops->disconnect(mount->be, &v->ask.op);
}

static void close_quiet(struct netfs_vcall *v, int err);

/* Is there a file that was passed over, for want of memory? */
static bool passed_over(struct netfs_mount *mount)
{
	struct netfs_vnode *vnode = netfs_mount_next(mount, NULL, is_dirty);

	if (vnode)
		netfs_vnode_put(vnode);
	return vnode != NULL;
}

static void close_sent(struct netfs_vcall *v, int err)
{
	v->start += v->len;
	/* What is not dropped would be waited for without an end. */
	if (err && (v->flags & NETFS_CLOSE_FORCE) && passed_over(v->mount)) {
		atomic_store(&v->cancelled, false);
		netfs_vcall_sleep(v, DROP_AGAIN_MS, close_quiet);
		return;
	}
	if (err && !(v->flags & NETFS_CLOSE_FORCE)) {
		netfs_mutex_lock(&v->mount->mutex);
		v->mount->closing = false;
		netfs_mutex_unlock(&v->mount->mutex);
		netfs_vcall_finish(v, err);
		return;
	}
	v->call->count = v->start;
	if (v->mount->config.journal)
		v->call->offset = netfs_journal_kept(v->mount->config.journal);
	netfs_core_settle_groups(v->mount->core);
	drain(v, true, close_idle);
}

/* Quiet: what was under upload is dirty again, and goes. */
static void child_quiet(struct netfs_vcall *child, int err)
{
	uint64_t dropped = 0;

	if (!err) {
		dropped = netfs_inode_drop_dirty(&child->vnode->inode);
		/* What nobody was told of is not lost; all else is in the journal. */
		if (netfs_vnode_journalled(child->vnode)) {
			netfs_journal_abandon(child->vnode->inode.journal);
			dropped = 0;
		}
		netfs_vcall_ungate(child);
	}
	netfs_each_done(child, dropped, err);
}

static void child_drop(struct netfs_vcall *child, int err)
{
	/* The abort that came before is not meant for this one. */
	atomic_store(&child->cancelled, false);
	netfs_vcall_gate(child, child->vnode, child_quiet);
}

static void child_flushed(struct netfs_vcall *child, int err)
{
	if (err)
		child_over(child, err);
	else
		netfs_vcall_settle(child, child->vnode, child_over);
}

static void child_close(struct netfs_vcall *child, int err)
{
	netfs_vcall_flush(child, child->vnode, 0, UINT64_MAX, child_flushed);
}

static void close_quiet(struct netfs_vcall *v, int err)
{
	netfs_vcall_each(v, is_dirty, v->flags & NETFS_CLOSE_FORCE ? child_drop : child_close,
			 close_sent);
}

/* No file is held back; err: somebody would not wait for that. */
static void close_begin(struct netfs_vcall *v, int err)
{
	struct netfs_mount *mount = v->mount;
	bool refused;

	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	netfs_mutex_lock(&mount->mutex);
	refused = mount->closing || mount->files_open;
	if (!refused)
		mount->closing = true;
	netfs_mutex_unlock(&mount->mutex);
	if (refused) {
		netfs_vcall_finish(v, -EBUSY);
		return;
	}
	netfs_checkpoint_stop(mount);
	drain(v, false, close_quiet);
}

static void close_start(struct netfs_vcall *v, int err)
{
	if (v->flags & NETFS_CLOSE_FORCE) {
		netfs_mount_abort(v->mount);
		/* That is not meant for this one, which ends soon. */
		atomic_store(&v->cancelled, false);
	}
	netfs_vcall_all_restored(v, close_begin);
}

void netfs_mount_close(struct netfs_mount *mount, uint32_t flags, struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new_raw(mount, call, false);

	if (!v)
		return;
	v->flags = flags;
	netfs_vcall_start(v, close_start);
}
