/* SPDX-License-Identifier: MIT */
/*
 * What the files of the mem back end share.  Start with mem.c.
 */
#ifndef BACKEND_MEM_MEM_H
#define BACKEND_MEM_MEM_H

#include <backend/backends.h>
#include <backend/mem/mem_tree.h>

/* Slices above this are taken in parts: a limit like a protocol's. */
#define MEM_SLICE_MAX (1U << 20)

/* One mount.  Lives from connect to disconnect; all of it immutable. */
struct mem_be {
	struct netfs_be be;
	struct netfs_mem_tree *tree;
	bool async; /* complete from a task instead of before we return */
};

/* A reference to a file of the tree, for the engine to address it by. */
struct mem_node {
	struct netfs_node node;
	struct netfs_mem_file *file;
};

/* The same for an open file. */
struct mem_handle {
	struct netfs_handle handle;
	struct netfs_mem_file *file;
	uint32_t type; /* S_IFMT bits of file */
};

/* The bracket around every operation: enter takes the lock of all trees, leave
 * drops it and then completes op.  unlock is for those with nothing to
 * complete. */
struct mem_be *netfs_mem_enter(struct netfs_be *be);
void netfs_mem_leave(struct mem_be *be, struct netfs_op *op, int err);
void netfs_mem_unlock(void);
/* Without the lock: completes op, or a slice of which moved bytes were moved. */
void netfs_mem_op_end(bool async, struct netfs_op *op, int err);
void netfs_mem_slice_end(bool async, struct netfs_slice *slice, size_t moved, int err);
/* Fills in op->node and op->attr.  -ENOMEM. */
int netfs_mem_give_node(struct mem_be *be, struct netfs_op *op, struct netfs_mem_file *file);

/* mem_name.c: as in struct netfs_be_ops. */
void netfs_mem_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op);
void netfs_mem_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op);
void netfs_mem_setattr(struct netfs_node *node, struct netfs_handle *handle,
		       const struct netfs_setattr *set, struct netfs_op *op);
void netfs_mem_readlink(struct netfs_node *node, struct netfs_op *op);
void netfs_mem_mknod(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t rdev_major,
		     uint32_t rdev_minor, struct netfs_op *op);
void netfs_mem_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op);
void netfs_mem_symlink(struct netfs_node *dir, const char *name, const char *target,
		       struct netfs_op *op);
void netfs_mem_link(struct netfs_node *node, struct netfs_node *dir, const char *name,
		    struct netfs_op *op);
void netfs_mem_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op);
void netfs_mem_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op);
void netfs_mem_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
		      struct netfs_node *new_dir, const char *new_name, uint32_t flags,
		      struct netfs_op *op);
void netfs_mem_statfs(struct netfs_node *node, struct netfs_op *op);
void netfs_mem_getxattr(struct netfs_node *node, const char *name, struct netfs_op *op);
void netfs_mem_listxattr(struct netfs_node *node, struct netfs_op *op);
void netfs_mem_setxattr(struct netfs_node *node, const char *name, const void *value, size_t size,
			uint32_t flags, struct netfs_op *op);
void netfs_mem_removexattr(struct netfs_node *node, const char *name, struct netfs_op *op);

/* mem_io.c: the same for open files. */
void netfs_mem_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
		      struct netfs_op *op);
void netfs_mem_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op);
void netfs_mem_handle_free(struct netfs_handle *handle);
void netfs_mem_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op);
ssize_t netfs_mem_read(struct netfs_handle *handle, struct netfs_slice *slice);
ssize_t netfs_mem_write(struct netfs_handle *handle, struct netfs_slice *slice);
void netfs_mem_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op);
void netfs_mem_fallocate(struct netfs_handle *handle, uint32_t mode, uint64_t start, uint64_t len,
			 struct netfs_op *op);
void netfs_mem_copy_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			  uint64_t to_start, uint64_t len, struct netfs_op *op);
void netfs_mem_seek(struct netfs_handle *handle, uint64_t start, int whence, struct netfs_op *op);

#endif
