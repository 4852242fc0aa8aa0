/* SPDX-License-Identifier: MIT */
/* What vfs does about the journal of a mount; nothing where it has none. */
#ifndef VFS_JOURNAL_H
#define VFS_JOURNAL_H

#include <vfs/vcall.h>
#include <vfs/vnode.h>

/* Gives a new vnode of a file its place in the journal.  -ENOMEM. */
int netfs_vnode_journal(struct netfs_vnode *vnode);
/* The last the vnode does with it. */
void netfs_vnode_unjournal(struct netfs_vnode *vnode);
/* Data of vnode is about to be written. */
void netfs_journal_wrote(struct netfs_vnode *vnode);
/* The time of its last change was set. */
void netfs_journal_dated(struct netfs_vnode *vnode, const struct netfs_time *mtime);
/* Is anything of it in the journal? */
bool netfs_vnode_journalled(struct netfs_vnode *vnode);
/* From a step: what of vnode is in the journal becomes durable at the server and is
 * released, before something is done that must not be undone by doing it again.  At
 * once where there is nothing.  vnode must last.  What is written meanwhile is not
 * part of it. */
void netfs_vcall_settle(struct netfs_vcall *v, struct netfs_vnode *vnode, netfs_step_fn next);
/* From a step: what was in the journal when seq was its last record is durable. */
void netfs_vcall_release(struct netfs_vcall *v, struct netfs_vnode *vnode, uint64_t seq,
			 netfs_step_fn next);
/* From a step: where what is written in v->vnode, or below it, may be soon is in the
 * journal: as new_name in new_dir, or the other way round.  Uses v->scratch. */
void netfs_vcall_moving(struct netfs_vcall *v, bool exchange, netfs_step_fn next);
/* The mount is being closed. */
void netfs_checkpoint_stop(struct netfs_mount *mount);
void netfs_checkpoint_init(struct netfs_mount *mount);

#endif
