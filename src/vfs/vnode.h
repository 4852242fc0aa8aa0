/* SPDX-License-Identifier: MIT */
/*
 * One file or directory of a mount, and what is known about it.
 */
#ifndef VFS_VNODE_H
#define VFS_VNODE_H

#include <stdatomic.h>
#include <base/hash.h>
#include <base/list.h>
#include <core/core.h>
#include <env/lock.h>
#include <unetfs/backend.h>
#include <unetfs/unetfs.h>

struct netfs_lock_table;
struct netfs_mount;

/* What tells two states of a file apart: the server's change counter where it
 * has one, else the times and the size. */
struct netfs_version {
	uint64_t counter;
	struct netfs_time mtime;
	struct netfs_time ctime;
	uint64_t size;
};

/*
 * Found by (ino, gen, type) while it is in the mount's table.  It dies with
 * its last reference, which the core holds as well while it works on it.
 *
 * I: immutable; a: atomic; m: the mount's mutex; v: mutex.
 */
struct netfs_vnode {
	struct netfs_inode inode; /* regular files only */
	struct netfs_mount *mount; /* I */
	uint64_t ino; /* I */
	uint64_t gen; /* I */
	_Atomic uint64_t refs; /* a; to zero under m */
	/* Small fields stand together: there may be a million of these structs. */
	uint32_t writers; /* v: of its files, open for writing */
	uint16_t type; /* I: S_IFMT bits */
	_Atomic uint8_t busy; /* a: how often the core is busy with it: 0, 1, for a moment 2 */
	_Atomic bool silly; /* a: has a silly name that nobody removes yet */
	_Atomic bool owes_mtime; /* a: the server does not have the time of the last write */
	bool hashed; /* m: can be found */
	bool names_changed : 1; /* v: by us, or told of, since version was adopted */
	bool meta_changed : 1; /* v: so were the names or rights of a file */
	bool told : 1; /* v: there was an opener */
	bool doubted : 1; /* v: a change of ours may have made another version since */
	bool adopts_late : 1; /* v: what we sent under attr_promise has no version yet */
	uint32_t attr_promise; /* v: attr holds while node->promise is like this; 0: it may not */
	struct netfs_hash_link hash_link; /* m */
	struct netfs_list children; /* m: names in this directory */
	struct netfs_list aliases; /* m: names that lead here */
	uint64_t parent_ino; /* m: where a directory was last seen */
	uint64_t parent_gen; /* m */
	uint64_t names_stamp; /* m: the last change of names in here */
	struct netfs_silly_name *silly_name; /* m: owned; NULL: it has its own name */
	struct netfs_list all_link; /* m: in mount->all */

	struct netfs_mutex mutex;
	struct netfs_node *node; /* v: the newest address at the server */
	struct netfs_attr attr; /* v: as the server told last */
	uint64_t attr_stamp; /* v: older answers are worth nothing */
	uint64_t attr_until_ns; /* v: believed until then; 0: not */
	uint64_t stale_stamp; /* v: what was asked before is not believed */
	uint64_t look_again_ns; /* v: a notice was taken for ours; asked again then; 0: none */
	uint64_t steady_ns; /* v: since then the answers tell of no change */
	/* A directory's: odd while the server tells what changes in it; another number
	 * each time it begins. */
	_Atomic uint32_t watch; /* a */
	uint32_t told_watch; /* v: attr holds while told_dir->watch is this; 0: no longer */
	/* v: itself, or whose name leads here as long as this is set; no reference */
	struct netfs_vnode *told_dir;
	uint64_t used_ns; /* v: a directory's: the last use that counted, watch.c */
	struct netfs_version version; /* v: what our data came from */
	uint64_t version_seq; /* v: the view's seq when it was adopted */
	uint64_t size_stamp; /* v: of the answer whose size counts */
	uint64_t size_seq; /* v: the view's seq when that was asked for */
	uint64_t changed_stamp; /* v: the last local change of data ended before */
	uint64_t epoch; /* v: how often others changed the data */
	uint64_t told_epoch; /* v: what the last opener was told */
	struct netfs_list files; /* v: struct netfs_file */
	struct netfs_object *whole; /* v: its listing or target, kept whole; owned */
	struct netfs_lock_table *locks; /* v: NULL until somebody locks */
};

/* What was known when a question about a vnode was sent: what its answer is
 * worth depends on what happened meanwhile. */
struct netfs_asked {
	uint64_t stamp;
	uint64_t sent_ns;
	const struct netfs_vnode *about; /* whose the next two are; only compared */
	bool dirty;
	uint64_t seq;
	uint32_t promise; /* node->promise that the answer is told under; 0: none */
	uint32_t watch; /* netfs_watch_now() of it */
	uint32_t dir_watch; /* and of the directory that it was looked up in */
};

/*
 * The vnode for what a back end just told: found or made.  node is taken over
 * in any case.  created: by us, a moment ago, so that a vnode of the same
 * number is one that is gone.  asked: when.  -ENOMEM.
 */
int netfs_vnode_enter(struct netfs_mount *mount, struct netfs_node *node,
		      const struct netfs_attr *attr, const struct netfs_asked *asked, bool created,
		      struct netfs_vnode **ret_vnode);
/* A reference to the vnode of that number, or NULL. */
struct netfs_vnode *netfs_vnode_find(struct netfs_mount *mount, uint64_t ino, uint64_t gen);
/* Its last name is gone at the server: it is not found any more. */
void netfs_vnode_unhash(struct netfs_vnode *vnode);
/* Frees it whoever may still have a reference; at the end of a mount. */
void netfs_vnode_destroy(struct netfs_vnode *vnode);
/* The address to use now, with a reference. */
struct netfs_node *netfs_vnode_node(struct netfs_vnode *vnode);

static inline bool netfs_vnode_regular(const struct netfs_vnode *vnode)
{
	return vnode->type == 0100000; /* S_IFREG */
}

static inline bool netfs_vnode_directory(const struct netfs_vnode *vnode)
{
	return vnode->type == 0040000; /* S_IFDIR */
}

/* ------------------------------------------------ attributes, attr.c */

/* A question is about to be sent; vnode is what it is about, NULL where that
 * is not known yet. */
void netfs_attr_ask(struct netfs_mount *mount, struct netfs_vnode *vnode,
		    struct netfs_asked *ret_asked);
/* The answer.  Data of another version is dropped, and those above are told. */
void netfs_attr_answer(struct netfs_vnode *vnode, const struct netfs_attr *attr,
		       const struct netfs_asked *asked);
/* The answer to a change that we made. */
void netfs_attr_changed(struct netfs_vnode *vnode, const struct netfs_attr *attr,
			const struct netfs_asked *asked);
/* The same where the size or the data was changed, under the lock of the inode
 * and after netfs_inode_resized().  attr NULL: the answer did not tell. */
void netfs_attr_resized(struct netfs_vnode *vnode, const struct netfs_attr *attr,
			const struct netfs_asked *asked);
/* We changed something whose attributes the answer did not tell. */
void netfs_attr_expire(struct netfs_vnode *vnode);
/* Names in dir were changed by us just now.  Returns the stamp of that; 0: its attributes
 * may be other ones for another reason since the stamp given. */
uint64_t netfs_attr_expire_names(struct netfs_vnode *dir, uint64_t since);
/* Are its attributes still believed? */
bool netfs_attr_fresh(struct netfs_vnode *vnode);
/* Is the server's file of the version we know, as far as we had to do with it? */
bool netfs_attr_certain(struct netfs_vnode *vnode, struct netfs_version *ret_version);
/* Are they so because the server would tell of a change? */
bool netfs_attr_watched(struct netfs_vnode *vnode);
/* Was data written since the version was adopted? */
bool netfs_attr_unadopted(struct netfs_vnode *vnode);
/* May its version be learned with whatever is asked next?  Then that is noted. */
bool netfs_attr_adopt_late(struct netfs_vnode *vnode);
/* ----------------------------------------- times of late uploads, times.c */

/* Data is about to be written through memory. */
void netfs_times_wrote(struct netfs_vnode *vnode);
/* What stat(2) shows of them.  The vnode's mutex is held. */
void netfs_times_show(struct netfs_vnode *vnode, const struct netfs_inode_view *view,
		      struct netfs_attr *attr);
/* It was sent, or closed: tells the server in the background, if that is due.
 * The caller holds the mount open. */
void netfs_times_settle(struct netfs_vnode *vnode);

/* What stat(2) shows, and how long that may be believed. */
void netfs_attr_show(struct netfs_vnode *vnode, struct netfs_attr *ret_attr, uint32_t *ret_ttl_ms);
/* Tells the disk cache what its data is of; known: or that nobody knows.  The
 * vnode's mutex is held. */
void netfs_attr_tell_cache_locked(struct netfs_vnode *vnode, bool known);
/* Does the server promise that what is known of it has not changed? */
bool netfs_attr_promised(struct netfs_vnode *vnode);
/* And that nobody else uses it? */
bool netfs_attr_exclusive(struct netfs_vnode *vnode);
/* The server took back that promise: whatever is known may be old. */
void netfs_attr_recalled(struct netfs_vnode *vnode);
/* Somebody else changed it, says the server. */
void netfs_attr_stale(struct netfs_vnode *vnode);
/* A server that watches the directory tells that it was changed.  Ours are among
 * these changes: what a lease covers stays, where it may be one. */
void netfs_attr_touched(struct netfs_vnode *vnode);

/* ------------------------------------------- watched directories, watch.c */

/* A name in dir is used, or dir is opened or listed. */
void netfs_watch_used(struct netfs_vnode *dir);
/* What is asked in dir from now on is told under this; 0: nobody watches it. */
uint32_t netfs_watch_now(struct netfs_vnode *dir);
/* Is what was told under that still true, if it is not older than from_ns, when it
 * ceases to be believed without? */
bool netfs_watch_covers(const struct netfs_vnode *dir, uint32_t watch, uint64_t from_ns);
/* The name (dir, name) leads to vnode, and that was told together with its
 * attributes: they are good as long as dir is watched and the name cache knows that
 * name.  The mount's mutex is held, as by the next. */
void netfs_watch_tell_locked(struct netfs_vnode *dir, struct netfs_vnode *vnode,
			     const struct netfs_asked *asked);
/* The name cache forgets that name. */
void netfs_watch_untell_locked(const struct netfs_vnode *dir, struct netfs_vnode *vnode);
/* The back end's, see <unetfs/backend.h>. */
void netfs_watch_stands(struct netfs_be_host *host, uint64_t ino, uint64_t gen, bool stands);
void netfs_watch_happened(struct netfs_be_host *host, uint64_t ino, uint64_t gen, const char *name,
			  enum netfs_change change);

#endif
