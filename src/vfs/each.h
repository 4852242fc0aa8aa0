/* SPDX-License-Identifier: MIT */
/*
 * Doing something to many vnodes at once, on behalf of one call.
 */
#ifndef VFS_EACH_H
#define VFS_EACH_H

#include <vfs/vcall.h>

/*
 * From a step: runs first as the first step of a child call for each vnode of
 * the mount that want() accepts; child->vnode is the vnode.  Each child ends
 * with netfs_each_done().  next gets the first error, and v->len the sum of
 * what they counted.  Uses v->scratch, v->target.
 */
void netfs_vcall_each(struct netfs_vcall *v, bool (*want)(struct netfs_vnode *vnode),
		      netfs_step_fn first, netfs_step_fn next);
/* From a step of a child: it is done. */
void netfs_each_done(struct netfs_vcall *child, uint64_t count, int err);

#endif
