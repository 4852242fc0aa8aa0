/* SPDX-License-Identifier: MIT */
/*
 * What is read and kept whole of a vnode that is no file: the listing of a
 * directory, the target of a symbolic link.
 */
#ifndef VFS_WHOLE_H
#define VFS_WHOLE_H

#include <vfs/vnode.h>

struct netfs_dirent;

/* The version that what is read from now on will at least be of.  False where
 * a change could not be told from it, so that nothing may be kept. */
bool netfs_whole_begin(struct netfs_vnode *vnode, struct netfs_version *ret_version);
/* Keeps what was read whole since that version was begun with, if there is
 * memory for it. */
void netfs_whole_keep(struct netfs_vnode *vnode, const struct netfs_version *version,
		      const void *data, size_t size);
/* Is something kept, of whatever version? */
bool netfs_whole_kept(struct netfs_vnode *vnode);
/* Do the attributes tell a version from before a change of ours? */
bool netfs_whole_outdated(struct netfs_vnode *vnode);
/* What is kept, if it is of the version that the attributes tell, which the
 * caller has seen to be fresh.  Ends with netfs_object_unpin().  NULL: nothing. */
struct netfs_object *netfs_whole_pin(struct netfs_vnode *vnode, const void **ret_data,
				     size_t *ret_size);
void netfs_whole_drop(struct netfs_vnode *vnode);

/* A listing in the making. */
struct netfs_listing {
	bool on; /* it may be kept in the end */
	struct netfs_version version;
	uint8_t *mem; /* owned */
	size_t used;
	size_t room;
};

void netfs_listing_begin(struct netfs_listing *listing, struct netfs_vnode *dir);
/* The next entry.  Without memory for it nothing will be kept. */
void netfs_listing_add(struct netfs_listing *listing, const struct netfs_dirent *entry);
/* That was all. */
void netfs_listing_end(struct netfs_listing *listing, struct netfs_vnode *dir);
/* It will not be finished. */
void netfs_listing_drop(struct netfs_listing *listing);
/* The entry at *at of a kept one; moves on.  False at the end. */
bool netfs_listing_next(const void *data, size_t size, size_t *at, struct netfs_dirent *ret_entry);

#endif
