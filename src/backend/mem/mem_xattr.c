/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes of a file in memory: a list, since files have few.
 *
 * Locks: the caller's, see mem_tree.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <backend/mem/mem_tree.h>
#include <env/alloc.h>

/* The limits of Linux, so that what fits here fits anywhere. */
#define XATTR_NAME_SIZE_MAX  255
#define XATTR_VALUE_SIZE_MAX 65536

/* One attribute; owned by the list of its file. */
struct mem_xattr {
	struct netfs_list link;
	size_t size;
	char *value; /* behind the name, in the same memory */
	char name[];
};

static struct mem_xattr *xattr_find(struct netfs_mem_file *file, const char *name)
{
	struct netfs_list *pos;

	netfs_list_for_each (pos, &file->xattrs) {
		struct mem_xattr *xattr = netfs_container_of(pos, struct mem_xattr, link);

		if (!strcmp(xattr->name, name))
			return xattr;
	}
	return NULL;
}

static void xattr_free(struct mem_xattr *xattr)
{
	netfs_list_remove(&xattr->link);
	netfs_free(xattr);
}

int netfs_mem_xattr_get(struct netfs_mem_file *file, const char *name, struct netfs_op *op)
{
	struct mem_xattr *xattr = xattr_find(file, name);

	if (!xattr)
		return -ENODATA;
	if (op->buf_size && op->buf_size < xattr->size)
		return -ERANGE;
	if (op->buf_size)
		memcpy(op->buf, xattr->value, xattr->size);
	op->count = xattr->size;
	return 0;
}

int netfs_mem_xattr_list(struct netfs_mem_file *file, struct netfs_op *op)
{
	struct netfs_list *pos;
	size_t sum = 0;

	netfs_list_for_each (pos, &file->xattrs) {
		const char *name = netfs_container_of(pos, struct mem_xattr, link)->name;
		size_t size = strlen(name) + 1;

		if (op->buf_size && op->buf_size - sum < size)
			return -ERANGE;
		if (op->buf_size)
			memcpy((char *)op->buf + sum, name, size);
		sum += size;
	}
	op->count = sum;
	return 0;
}

int netfs_mem_xattr_set(struct netfs_mem_file *file, const char *name, const void *value,
			size_t size, uint32_t flags)
{
	struct mem_xattr *old = xattr_find(file, name), *xattr;
	size_t name_size = strlen(name) + 1;

	if (name_size == 1 || name_size > XATTR_NAME_SIZE_MAX + 1)
		return -ERANGE;
	if (size > XATTR_VALUE_SIZE_MAX)
		return -E2BIG;
	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE))
		return -ENODATA;
	xattr = netfs_alloc(sizeof(*xattr) + name_size + size);
	if (!xattr)
		return -ENOSPC;
	memcpy(xattr->name, name, name_size);
	xattr->value = xattr->name + name_size;
	xattr->size = size;
	if (size)
		memcpy(xattr->value, value, size);
	netfs_list_push_back(&file->xattrs, &xattr->link);
	if (old)
		xattr_free(old);
	netfs_mem_file_changed(file);
	return 0;
}

int netfs_mem_xattr_remove(struct netfs_mem_file *file, const char *name)
{
	struct mem_xattr *xattr = xattr_find(file, name);

	if (!xattr)
		return -ENODATA;
	xattr_free(xattr);
	netfs_mem_file_changed(file);
	return 0;
}

void netfs_mem_xattr_free(struct netfs_mem_file *file)
{
	struct netfs_list *pos, *tmp;

	netfs_list_for_each_safe (pos, tmp, &file->xattrs)
		xattr_free(netfs_container_of(pos, struct mem_xattr, link));
}
