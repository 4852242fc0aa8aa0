/* SPDX-License-Identifier: MIT */
/*
 * What ends the use of a file: flush (each close(2)), fsync, release.
 *
 * flush sends the data of a file that was open for writing and waits, unless
 * the cache mode says otherwise; then it learns the version the server gave to
 * that data, so that the next open does not take it for somebody else's.  While
 * the server promises that nobody else has the file, that can wait.
 *
 * An error of write-back is told to each file once.  As long as the data is
 * not at the server, fsync says so each time.
 *
 * release never waits.  The core keeps the handle while data that was not sent
 * needs it; locks at the server and silly names go in the background.
 *
 * Locks: the vnode's mutex, for the list of files.
 */
#include <errno.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <vfs/file.h>
#include <vfs/journal.h>
#include <vfs/lock_calls.h>
#include <vfs/vcall.h>

int netfs_file_error(struct netfs_file *file)
{
	if (!netfs_vnode_regular(file->vnode))
		return 0;
	return netfs_inode_error_check(&file->vnode->inode, &file->errors_seen);
}

static void told(struct netfs_vcall *v, int err)
{
	/* Not knowing the new version costs a little, it is no failure. */
	netfs_vcall_finish(v, v->first_err);
}

/* All data is at the server, or v->first_err says why not. */
static void adopt(struct netfs_vcall *v)
{
	struct netfs_vnode *vnode = v->vnode;

	if (v->first_err || v->mount->config.unbuffered || !netfs_attr_unadopted(vnode) ||
	    netfs_attr_adopt_late(vnode)) {
		netfs_vcall_finish(v, v->first_err);
		return;
	}
	v->then = told;
	netfs_vcall_refetch(v, vnode, v->handle);
}

static struct netfs_vcall *close_new(struct netfs_file *file, struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(file->vnode->mount, call);

	if (!v)
		return NULL;
	v->vnode = netfs_vnode_get(file->vnode);
	v->handle = netfs_handle_get(file->handle);
	v->file = file;
	return v;
}

/* ------------------------------------------------------------- flush */

static void flush_sent(struct netfs_vcall *v, int err)
{
	int late = netfs_file_error(v->file);

	v->first_err = late ? late : err;
	adopt(v);
}

static void flush_unlocked(struct netfs_vcall *v, int err)
{
	if (!v->file->writable || !netfs_vnode_regular(v->vnode))
		netfs_vcall_finish(v, 0);
	else if (!v->mount->config.close_writes)
		netfs_vcall_finish(v, netfs_file_error(v->file));
	else
		netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, flush_sent);
}

static void flush_start(struct netfs_vcall *v, int err)
{
	struct netfs_lock_filter mine = {
		.owner = v->start,
		.end = UINT64_MAX,
	};

	netfs_vcall_unlock(v, &mine, flush_unlocked);
}

void netfs_flush(struct netfs_file *file, uint64_t lock_owner, struct netfs_call *call)
{
	struct netfs_vcall *v = close_new(file, call);

	if (!v)
		return;
	v->start = lock_owner;
	netfs_vcall_start(v, flush_start);
}

/* ------------------------------------------------------------- fsync */

static void fsync_released(struct netfs_vcall *v, int err)
{
	adopt(v);
}

static void fsync_durable(struct netfs_vcall *v, int err)
{
	int late = netfs_file_error(v->file);

	v->first_err = err ? err : late;
	netfs_vcall_release(v, v->vnode, v->first_err ? 0 : v->settle_seq, fsync_released);
}

static void fsync_sent(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask;

	if (err || (v->mount->be->caps & NETFS_BE_STABLE_WRITES) || v->mount->config.read_only) {
		fsync_durable(v, err);
		return;
	}
	ask = netfs_vcall_prepare(v, NETFS_ASK_FSYNC);
	ask->handle = netfs_handle_get(v->handle);
	ask->flags = v->flags;
	netfs_vcall_ask(v, fsync_durable);
}

static void fsync_start(struct netfs_vcall *v, int err)
{
	/* Names are at the server when their calls return. */
	struct netfs_vnode *vnode = v->vnode;

	if (!netfs_vnode_regular(vnode)) {
		netfs_vcall_finish(v, 0);
		return;
	}
	if (v->mount->config.sync_local && vnode->inode.journal &&
	    !(v->file->opener.flags & NETFS_OPENER_REDONE)) {
		netfs_vcall_finish(v, netfs_file_error(v->file));
		return;
	}
	if (vnode->inode.journal)
		v->settle_seq = netfs_journal_seq(vnode->inode.journal);
	netfs_vcall_flush(v, vnode, 0, UINT64_MAX, fsync_sent);
}

void netfs_fsync(struct netfs_file *file, bool datasync, struct netfs_call *call)
{
	struct netfs_vcall *v = close_new(file, call);

	if (!v)
		return;
	v->flags = datasync;
	netfs_vcall_start(v, fsync_start);
}

/* ----------------------------------------------------------- release */

static void release_done(struct netfs_vcall *v, int err)
{
	netfs_vcall_finish(v, err);
}

/* The locks that were taken through a handle go with it. */
static void release_unlock(struct netfs_vcall *v, int err)
{
	struct netfs_lock_filter all = {
		.any_owner = true,
		.any_kind = true,
		.handle = v->handle,
		.end = UINT64_MAX,
	};

	netfs_vcall_unlock(v, &all, release_done);
}

static void release_locks(struct netfs_file *file)
{
	struct netfs_vcall *v;

	if (!atomic_load(&file->locked))
		return;
	v = netfs_vcall_new_raw(file->vnode->mount, NULL, true);
	/* Without memory for asking, the server is told by the handle's end. */
	if (!v) {
		netfs_locks_drop(file->vnode->locks, file->handle);
		return;
	}
	v->vnode = netfs_vnode_get(file->vnode);
	v->handle = netfs_handle_get(file->handle);
	netfs_vcall_start(v, release_unlock);
}

static void file_delist(struct netfs_file *file)
{
	struct netfs_vnode *vnode = file->vnode;

	netfs_mutex_lock(&vnode->mutex);
	netfs_list_remove(&file->link);
	if (file->writable) {
		vnode->writers--;
		vnode->changed_stamp = netfs_mount_stamp(vnode->mount);
	}
	netfs_mutex_unlock(&vnode->mutex);
}

void netfs_release(struct netfs_file *file)
{
	struct netfs_vnode *vnode = file->vnode;
	struct netfs_mount *mount = vnode->mount;

	/* The mount must not end before the last line. */
	netfs_mount_hold_more(mount);
	release_locks(file);
	file_delist(file);
	if (netfs_vnode_regular(vnode))
		netfs_inode_detach_handle(&vnode->inode, file->handle);
	netfs_file_unuse_cache(vnode);
	netfs_handle_put(file->handle);
	netfs_batch_free(file->batch);
	netfs_free(file);
	netfs_silly_release(vnode);
	netfs_times_settle(vnode);
	netfs_vnode_put(vnode);
	netfs_mutex_lock(&mount->mutex);
	mount->files_open--;
	netfs_mutex_unlock(&mount->mutex);
	netfs_mount_drop(mount);
}
