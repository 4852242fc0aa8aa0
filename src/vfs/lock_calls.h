/* SPDX-License-Identifier: MIT */
/* The steps of locking that other calls use. */
#ifndef VFS_LOCK_CALLS_H
#define VFS_LOCK_CALLS_H

#include <vfs/vcall.h>

/* From a step: unlocks what filter means of v->vnode, at the server first; next
 * gets 0 or what went wrong there.  Uses v->then, v->unlock. */
void netfs_vcall_unlock(struct netfs_vcall *v, const struct netfs_lock_filter *filter,
			netfs_step_fn next);

#endif
