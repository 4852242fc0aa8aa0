/* SPDX-License-Identifier: MIT */
/*
 * The mem back end's names and attributes.  Each operation is enter, one call
 * to the tree, leave; what goes wrong is the tree's answer.
 *
 * Locks: see mem.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <backend/mem/mem.h>

static struct netfs_mem_file *file_of(struct netfs_node *node)
{
	return ((struct mem_node *)node)->file;
}

/* ---------------------------------------------------- attributes */

void netfs_mem_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(node->be);

	op->attr = file_of(node)->attr;
	netfs_mem_leave(be, op, 0);
}

void netfs_mem_setattr(struct netfs_node *node, struct netfs_handle *handle,
		       const struct netfs_setattr *set, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(node->be);
	int err = netfs_mem_file_setattr(file_of(node), set);

	if (!err)
		op->attr = file_of(node)->attr;
	netfs_mem_leave(be, op, err);
}

void netfs_mem_readlink(struct netfs_node *node, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(node->be);
	const char *target = file_of(node)->target;
	size_t len = target ? strlen(target) : 0;
	int err = !target ? -EINVAL : len > op->buf_size ? -ERANGE : 0;

	if (!err) {
		memcpy(op->buf, target, len);
		op->count = len;
	}
	netfs_mem_leave(be, op, err);
}

void netfs_mem_statfs(struct netfs_node *node, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(node->be);

	netfs_mem_tree_statfs(be->tree, &op->statfs);
	netfs_mem_leave(be, op, 0);
}

void netfs_mem_getxattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(node->be);

	netfs_mem_leave(be, op, netfs_mem_xattr_get(file_of(node), name, op));
}

void netfs_mem_listxattr(struct netfs_node *node, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(node->be);

	netfs_mem_leave(be, op, netfs_mem_xattr_list(file_of(node), op));
}

void netfs_mem_setxattr(struct netfs_node *node, const char *name, const void *value, size_t size,
			uint32_t flags, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(node->be);

	netfs_mem_leave(be, op, netfs_mem_xattr_set(file_of(node), name, value, size, flags));
}

void netfs_mem_removexattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(node->be);

	netfs_mem_leave(be, op, netfs_mem_xattr_remove(file_of(node), name));
}

/* --------------------------------------------------------- names */

void netfs_mem_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(dir->be);
	struct netfs_mem_file *file;
	int err = netfs_mem_dir_find(file_of(dir), name, &file);

	netfs_mem_leave(be, op, err ? err : netfs_mem_give_node(be, op, file));
}

static int make(struct mem_be *be, struct netfs_node *dir, const char *name,
		struct netfs_attr *attr, const char *target, struct netfs_op *op)
{
	struct netfs_mem_file *file;
	int err;

	attr->uid = op->cred.uid;
	attr->gid = op->cred.gid;
	err = netfs_mem_dir_make(file_of(dir), name, attr, target, &file);
	return err ? err : netfs_mem_give_node(be, op, file);
}

void netfs_mem_mknod(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t rdev_major,
		     uint32_t rdev_minor, struct netfs_op *op)
{
	struct netfs_attr attr = {.mode = mode & S_IFMT ? mode : mode | S_IFREG,
				  .rdev_major = rdev_major,
				  .rdev_minor = rdev_minor};
	struct mem_be *be = netfs_mem_enter(dir->be);

	netfs_mem_leave(be, op, S_ISDIR(mode) ? -EPERM : make(be, dir, name, &attr, NULL, op));
}

void netfs_mem_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op)
{
	struct netfs_attr attr = {.mode = S_IFDIR | (mode & 07777)};
	struct mem_be *be = netfs_mem_enter(dir->be);

	netfs_mem_leave(be, op, make(be, dir, name, &attr, NULL, op));
}

void netfs_mem_symlink(struct netfs_node *dir, const char *name, const char *target,
		       struct netfs_op *op)
{
	struct netfs_attr attr = {.mode = S_IFLNK | 0777};
	struct mem_be *be = netfs_mem_enter(dir->be);

	netfs_mem_leave(be, op, make(be, dir, name, &attr, target, op));
}

void netfs_mem_link(struct netfs_node *node, struct netfs_node *dir, const char *name,
		    struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(dir->be);
	int err = netfs_mem_dir_link(file_of(dir), name, file_of(node));

	if (!err)
		op->attr = file_of(node)->attr;
	netfs_mem_leave(be, op, err);
}

void netfs_mem_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(dir->be);

	netfs_mem_leave(be, op, netfs_mem_dir_remove(file_of(dir), name, false));
}

void netfs_mem_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(dir->be);

	netfs_mem_leave(be, op, netfs_mem_dir_remove(file_of(dir), name, true));
}

/* A node is a pointer to the file and not its path, so node needs no change. */
void netfs_mem_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
		      struct netfs_node *new_dir, const char *new_name, uint32_t flags,
		      struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(old_dir->be);

	netfs_mem_leave(be, op,
			netfs_mem_dir_rename(file_of(old_dir), old_name, file_of(new_dir), new_name,
					     flags));
}
