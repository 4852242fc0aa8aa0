/* SPDX-License-Identifier: MIT */
/* Who has to wait for files that are being brought up to date; see restore.c. */
#ifndef VFS_RESTORE_H
#define VFS_RESTORE_H

#include <vfs/vcall.h>

/* Is any file held back? */
bool netfs_mount_restoring(const struct netfs_mount *mount);
/* Is it one?  Not for the one who restores them. */
bool netfs_vnode_held_back(struct netfs_vcall *v, const struct netfs_vnode *vnode);
/* From a step: waits until vnode is not held back.  vnode must last. */
void netfs_vcall_restored(struct netfs_vcall *v, struct netfs_vnode *vnode, netfs_step_fn next);
/* From a step: the same of all files, which may be below a directory that moves. */
void netfs_vcall_all_restored(struct netfs_vcall *v, netfs_step_fn next);
/* No file is held back any more. */
void netfs_restore_done(struct netfs_mount *mount);

#endif
