/* SPDX-License-Identifier: MIT */
/*
 * One share, as the layers above see it: the tables of vnodes and names, the
 * calls in flight, and the connection.
 */
#ifndef VFS_MOUNT_H
#define VFS_MOUNT_H

#include <stdatomic.h>
#include <base/hash.h>
#include <base/list.h>
#include <core/core.h>
#include <env/timer.h>
#include <vfs/burst.h>
#include <vfs/names.h>
#include <vfs/vfs.h>

struct netfs_vcall;
struct netfs_vnode;

/*
 * Made by netfs_mount_new(), freed by a close that succeeded.
 *
 * I: set before the mount is handed out, never changed; a: atomic; m: mutex.
 */
struct netfs_mount {
	struct netfs_vfs_config config; /* I */
	char *source; /* I: owned */
	struct netfs_be_host host; /* I */
	struct netfs_be *be; /* I */
	struct netfs_core *core; /* I; NULL until connected */
	struct netfs_vnode *root; /* I: a reference */
	uint64_t hash_seed; /* I: unknown to servers */
	bool server_locks; /* I: wanted, and the server has them */
	struct netfs_stats stats; /* a */
	_Atomic uint64_t stamp; /* a: grows with each question and change */
	_Atomic bool aborted; /* a */
	_Atomic bool checkpoint_armed; /* a: the timer is, or its task under way; has a hold */
	struct netfs_timer checkpoint_timer;
	struct netfs_task checkpoint_task;
	_Atomic uint32_t busy; /* a, to zero under m: vnodes the core needs */

	const struct netfs_notify_ops *notify; /* I: before the first vnode is used */
	void *notify_user; /* I */

	struct netfs_mutex mutex;
	struct netfs_hash vnodes; /* m: by ino, gen and type */
	struct netfs_list all; /* m: all living vnodes */
	struct netfs_names names; /* m */
	struct netfs_bursts bursts; /* m */
	struct netfs_list calls; /* m: struct netfs_vcall in flight */
	struct netfs_list silly; /* m: struct netfs_silly_name, last names that are ours */
	struct netfs_list silly_waiters; /* m: struct netfs_vcall; until one of them goes */
	uint32_t holds; /* m: what must end before the mount may */
	uint32_t files_open; /* m */
	bool closing; /* m: no new calls */
	struct netfs_vcall *drain; /* m: the close that waits until holds is zero */
	bool drain_busy; /* m: and busy too */
	const struct netfs_call *restorer; /* I: before the first file is held back */
	_Atomic uint32_t held_count; /* a; changes under m */
	struct netfs_hash held; /* m: struct netfs_held, by ino and gen; restore.c */
	struct netfs_list held_wanted; /* m: of them, those that somebody waits for */
	struct netfs_list held_all; /* m: struct netfs_vcall that wait for all */
	bool connected; /* m */
	char state[128]; /* m: for people */
	char lost_last[128]; /* m: data given up, for people */
};

/* Keeps the mount from being freed.  -ESHUTDOWN while it is being closed,
 * -EIO after an abort. */
int netfs_mount_hold(struct netfs_mount *mount);
/* A further hold for one who has one, or who holds an open file. */
void netfs_mount_hold_more(struct netfs_mount *mount);
void netfs_mount_drop(struct netfs_mount *mount);
/* A vnode became idle: the last the vnode's owner does with the mount. */
void netfs_mount_busy_end(struct netfs_mount *mount);

/* A number larger than all before it in this mount. */
static inline uint64_t netfs_mount_stamp(struct netfs_mount *mount)
{
	return atomic_fetch_add_explicit(&mount->stamp, 1, memory_order_acq_rel) + 1;
}

/* Tells the front end, if it wants to know. */
void netfs_mount_notify_data(struct netfs_mount *mount, uint64_t ino);
void netfs_mount_notify_attr(struct netfs_mount *mount, uint64_t ino);
void netfs_mount_notify_entry(struct netfs_mount *mount, uint64_t dir_ino, const char *name);

/* The vnode after the given one (NULL: the first) for which want() holds, with
 * a reference; the one given is put.  NULL at the end.  Vnodes that come while
 * somebody walks are found as well. */
struct netfs_vnode *netfs_mount_next(struct netfs_mount *mount, struct netfs_vnode *after,
				     bool (*want)(struct netfs_vnode *vnode));

#endif
