/* SPDX-License-Identifier: MIT */
/*
 * A call of the public interface on its way through vfs, as a chain of short
 * step functions.
 *
 * A step does something and then either asks for one thing that may take time
 * (netfs_vcall_ask() and its kin, naming the next step) or finishes the call.
 * It is the only one that touches the call meanwhile, whatever completes
 * where; steps never nest, however soon the answers come.
 */
#ifndef VFS_VCALL_H
#define VFS_VCALL_H

#include <stdatomic.h>
#include <base/list.h>
#include <core/core.h>
#include <env/executor.h>
#include <env/timer.h>
#include <journal/journal.h>
#include <unetfs/cache.h>
#include <vfs/ask.h>
#include <vfs/locks.h>
#include <vfs/mount.h>
#include <vfs/vnode.h>

struct netfs_file;
struct netfs_flush_wait;
struct netfs_vcall;

typedef void (*netfs_step_fn)(struct netfs_vcall *v, int err);

/*
 * Made by netfs_vcall_new(), freed when it finished and no cancellation looks
 * at it any more.
 *
 * I: immutable; a: atomic; c: the client's call mutex; m: the mount's mutex;
 * all else is the running step's.
 */
struct netfs_vcall {
	struct netfs_ask ask;
	struct netfs_call *call; /* I: the caller's; NULL in the background */
	struct netfs_mount *mount; /* I */
	bool holding; /* a hold of the mount is ours */
	bool finished;
	int err; /* of what was awaited, then the result */
	netfs_step_fn step;
	_Atomic uint32_t turn; /* a: whose turn it is */
	_Atomic uint32_t refs; /* a */
	_Atomic bool cancelled; /* a */
	_Atomic bool abort_only; /* a: only an abort cuts short what is under way */
	void (*_Atomic interrupt)(struct netfs_vcall *v); /* a: ends the wait */
	struct netfs_list link; /* m: mount->calls */
	struct netfs_list wait_link; /* m: in the list that it waits in */
	bool aborted; /* m: told of the abort */

	/* What it may wait for. */
	struct netfs_cache_wait cache_wait; /* the disk cache to find the file */
	struct netfs_flush_wait *flush; /* c */
	struct netfs_completion gate; /* the lock of an inode */
	bool gated; /* it is held */
	bool attached; /* handle was opened for this call, and the inode uses it */
	struct netfs_completion resize; /* netfs_inode_prepare_resize() */
	struct netfs_vnode *gate_vnode; /* whose, until the end; a reference */
	struct netfs_timer timer;
	struct netfs_task timer_task;
	struct netfs_lock_request lock; /* netfs_lock() */
	struct netfs_lock_filter unlock; /* netfs_vcall_unlock(): what is meant */
	struct netfs_lock_filter unlock_one; /* what the server is asked about */
	struct netfs_lock unlock_lock; /* as it is asked */

	/* What it is about.  References, all of them, dropped at the end. */
	struct netfs_vnode *vnode;
	struct netfs_vnode *dir;
	struct netfs_vnode *new_dir;
	struct netfs_vnode *target;
	struct netfs_handle *handle;
	struct netfs_file *file; /* the caller's, lives longer than the call */
	struct netfs_file *file_from; /* copy_range, clone_range: likewise */
	const char *name; /* the caller's, or text */
	const char *new_name;
	char *text; /* owned */
	struct netfs_silly_name *silly; /* owned: a new one, until it has its file */
	struct netfs_vnode *silly_file; /* whose silly name is being moved; a reference */
	struct netfs_cred cred; /* in the background: who it is done for */
	struct netfs_asked asked;
	struct netfs_setattr set;
	struct netfs_vnode *refetched; /* whose attributes were asked for; no reference */
	struct netfs_vnode *resolve_dir; /* what netfs_vcall_resolve() asked; no reference */
	const char *resolve_name;
	bool wants_vnode; /* the result has a vnode and its attributes */
	bool upgraded; /* more access was asked for than the caller wants */
	netfs_step_fn then; /* where a family of steps shared by calls returns */
	const void *value;
	uint32_t flags;
	uint32_t mode;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t tries;
	uint32_t whole; /* lookup: bytes of it that may be read next, as struct netfs_op's reads */
	uint64_t start;
	uint64_t start_to;
	uint64_t len;
	int first_err; /* told first, when all is done */
	/* netfs_vcall_settle() */
	netfs_step_fn settle_next;
	struct netfs_vnode *settle_vnode; /* no reference */
	struct netfs_handle *settle_handle;
	uint64_t settle_seq;
	struct netfs_journal_wait journal_wait;

	struct netfs_vcall *parent; /* a child's; see each.c */
	struct netfs_recall *recall; /* the back end's */
	void *scratch; /* of one family of calls; freed with the call */
};

/*
 * Begins a call; call may be NULL for work in the background.  Where that
 * fails (-ENOMEM, the mount is closing) the call is completed with the error
 * and NULL is returned.
 */
struct netfs_vcall *netfs_vcall_new(struct netfs_mount *mount, struct netfs_call *call);
/* The same where the hold is not to be taken: for opening and closing, and for
 * work in the background of one who holds the mount open (holding: a hold is
 * taken all the same). */
struct netfs_vcall *netfs_vcall_new_raw(struct netfs_mount *mount, struct netfs_call *call,
					bool holding);
/* Runs the first step. */
void netfs_vcall_start(struct netfs_vcall *v, netfs_step_fn first);
/* From a step: the call ends with err. */
void netfs_vcall_finish(struct netfs_vcall *v, int err);
/* From a family of shared steps: goes on at v->then. */
void netfs_vcall_return(struct netfs_vcall *v, int err);
/* From where the awaited thing ended. */
void netfs_vcall_resume(struct netfs_vcall *v, int err);

/* From a step: a question to the back end.  prepare it, fill in its arguments,
 * then ask. */
struct netfs_ask *netfs_vcall_prepare(struct netfs_vcall *v, enum netfs_ask_kind kind);
void netfs_vcall_ask(struct netfs_vcall *v, netfs_step_fn next);
/* From a step: waits until the dirty data of [start, end) is at the server. */
void netfs_vcall_flush(struct netfs_vcall *v, struct netfs_vnode *vnode, uint64_t start,
		       uint64_t end, netfs_step_fn next);
/* From a step: takes the lock of vnode's inode; one per call at a time. */
void netfs_vcall_gate(struct netfs_vcall *v, struct netfs_vnode *vnode, netfs_step_fn next);
void netfs_vcall_ungate(struct netfs_vcall *v);
/* From a step that holds the lock: makes ready for a new size, where content is
 * encrypted. */
void netfs_vcall_prepare_resize(struct netfs_vcall *v, uint64_t size, netfs_step_fn next);
/* From a step: waits. */
void netfs_vcall_sleep(struct netfs_vcall *v, uint32_t delay_ms, netfs_step_fn next);
/* From a step: what comes next will be resumed by somebody; interrupt (may be
 * NULL) ends the wait early, is harmless at any time, and may be called from
 * several threads.  Call netfs_vcall_armed() once it is under way. */
void netfs_vcall_await(struct netfs_vcall *v, netfs_step_fn next,
		       void (*interrupt)(struct netfs_vcall *v));
void netfs_vcall_armed(struct netfs_vcall *v);
/* From a step that holds the mount's mutex, which this lets go: waits in the list, of the
 * mount's mutex, until it is woken or interrupted (-EINTR). */
void netfs_vcall_wait_unlock(struct netfs_vcall *v, struct netfs_list *list, netfs_step_fn next);
/* Those in the list go on.  The mount's mutex is held, and let go for each of them; the
 * list is the caller's own, or stays where it is meanwhile. */
void netfs_vcall_wake_locked(struct netfs_mount *mount, struct netfs_list *list);

/* Begins to comply with a recall of what was promised about vnode. */
void netfs_recall_begin(struct netfs_vnode *vnode, struct netfs_recall *recall);

/* Ends it early.  The caller has a reference to v. */
void netfs_vcall_cancel(struct netfs_vcall *v);
void netfs_vcall_put(struct netfs_vcall *v);

#endif
