/* SPDX-License-Identifier: MIT */
/*
 * The back end void:SIZE of unetfs-core-bench: a server without cost, so that
 * what is measured is ours.
 *
 * Each number is the name of a file of SIZE bytes, up to whatever fits a file
 * position.  Reads give zeroes, writes are taken and forgotten, everything is
 * answered at once.
 *
 * Locks: none; references are atomic, and the rest never changes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <backend/backends.h>
#include <backend/registry.h>
#include <env/alloc.h>

#define SLICE_LIMIT (1u << 20)
#define ROOT_INO    1u

struct void_be {
	struct netfs_be be;
	uint64_t size; /* of each file */
};

struct void_node {
	struct netfs_node node;
	uint64_t ino;
};

static const struct netfs_be_ops void_ops;

static struct netfs_attr attr_of(const struct netfs_node *netfs_node)
{
	const struct void_node *node = (const struct void_node *)netfs_node;
	const struct void_be *be = (const struct void_be *)node->node.be;
	bool root = node->ino == ROOT_INO;

	return (struct netfs_attr){.ino = node->ino,
				   .version = 1,
				   .mode = root ? S_IFDIR | 0755 : S_IFREG | 0644,
				   .nlink = 1,
				   .size = root ? 0 : be->size,
				   .blksize = 4096};
}

static void give_node(struct netfs_be *be, uint64_t ino, struct netfs_op *op)
{
	struct void_node *node = netfs_alloc(sizeof(*node));

	if (node) {
		*node = (struct void_node){.node = {.refs = 1, .be = be}, .ino = ino};
		op->node = &node->node;
		op->attr = attr_of(op->node);
	}
	op->done(op, node ? 0 : -ENOMEM);
}

static void void_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
			 struct netfs_op *op)
{
	struct void_be *be = netfs_zalloc(sizeof(*be));

	if (!be) {
		op->done(op, -ENOMEM);
		return;
	}
	be->be = (struct netfs_be){.ops = &void_ops,
				   .caps = NETFS_BE_CHANGE_COUNTER | NETFS_BE_STABLE_WRITES,
				   .rsize = SLICE_LIMIT,
				   .wsize = SLICE_LIMIT,
				   .depth = 8,
				   .address = "nowhere"};
	be->size = strtoull(config->source->path, NULL, 10);
	op->be = &be->be;
	give_node(&be->be, ROOT_INO, op);
}

static void void_disconnect(struct netfs_be *be, struct netfs_op *op)
{
	netfs_free(be);
	op->done(op, 0);
}

static void void_node_free(struct netfs_node *node)
{
	netfs_free(node);
}

static void void_handle_free(struct netfs_handle *handle)
{
	netfs_free(handle);
}

/* Everything is answered before it could be called off. */
static void void_op_cancel(struct netfs_be *be, struct netfs_op *op)
{
}

static void void_slice_cancel(struct netfs_be *be, struct netfs_slice *slice)
{
}

static void void_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	char *end;
	uint64_t number = strtoull(name, &end, 10);

	if (*end)
		op->done(op, -ENOENT);
	else
		give_node(dir->be, ROOT_INO + 1 + number, op);
}

static void void_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op)
{
	op->attr = attr_of(node);
	op->done(op, 0);
}

static void void_setattr(struct netfs_node *node, struct netfs_handle *handle,
			 const struct netfs_setattr *set, struct netfs_op *op)
{
	op->attr = attr_of(node);
	if (set->valid & NETFS_SET_SIZE)
		op->attr.size = set->size;
	op->done(op, 0);
}

static void void_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op)
{
	struct netfs_handle *handle = netfs_alloc(sizeof(*handle));

	if (handle) {
		*handle = (struct netfs_handle){
			.refs = 1, .be = node->be, .readable = true, .writable = true};
		op->handle = handle;
	}
	op->done(op, handle ? 0 : -ENOMEM);
}

static ssize_t void_transfer(struct netfs_handle *handle, struct netfs_slice *slice)
{
	size_t len = slice->len < SLICE_LIMIT ? slice->len : SLICE_LIMIT;

	netfs_slice_trim(slice, len);
	if (slice->kind == NETFS_SLICE_READ) {
		for (unsigned i = 0; i < slice->niov; i++)
			memset(slice->iov[i].iov_base, 0, slice->iov[i].iov_len);
	}
	slice->done(slice, len, 0, 0);
	return (ssize_t)len;
}

static void void_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	op->done(op, 0);
}

static const struct netfs_be_ops void_ops = {
	.scheme = "void",
	.summary = "files of one size without content: void:BYTES",
	.options = (const struct netfs_option_info[]){{NULL, NULL}},
	.connect = void_connect,
	.disconnect = void_disconnect,
	.node_free = void_node_free,
	.handle_free = void_handle_free,
	.op_cancel = void_op_cancel,
	.slice_cancel = void_slice_cancel,
	.lookup = void_lookup,
	.getattr = void_getattr,
	.setattr = void_setattr,
	.open = void_open,
	.read = void_transfer,
	.write = void_transfer,
	.fsync = void_fsync,
};

/* The program's list of back ends, instead of the library's. */
static const struct netfs_be_ops *const all[] = {&netfs_mem_ops, &void_ops};

#define BACKENDS (sizeof(all) / sizeof(all[0]))

const struct netfs_be_ops *netfs_backend_at(unsigned i)
{
	return i < BACKENDS ? all[i] : NULL;
}

const struct netfs_be_ops *netfs_backend_find(const char *scheme)
{
	for (unsigned i = 0; i < BACKENDS; i++) {
		if (!strcmp(all[i]->scheme, scheme))
			return all[i];
	}
	return NULL;
}
