/* SPDX-License-Identifier: MIT */
/*
 * The mem back end, for those who want to write one of their own.
 *
 * A back end is the client's side of one server protocol: a table of functions
 * (at the end of this file) behind the contract <unetfs/backend.h>.  The engine
 * above does the caching, read-ahead, write-back and retrying; what is left is
 * names, attributes, and "read this slice, write this slice".  The server here
 * is a tree in the memory of this very process, mem_tree.h, so that nothing
 * hides the four things every back end does:
 *
 * 1. It embeds.  struct netfs_be, netfs_node and netfs_handle are the first
 *    members of our own structs, so a pointer to one is a pointer to the other.
 *    A node is how we address an object of the server, a handle how we address
 *    an open file: here a pointer, elsewhere a path, a fid or a file handle.
 *    They are counted; when the last reference goes, node_free or handle_free
 *    is called.  Two lookups of one file may give two nodes: attr.ino says
 *    that they are the same.
 *
 * 2. It never makes its caller wait.  A real back end would put a message into
 *    its send queue, return, and complete the operation when the reply comes.
 *    Memory answers at once, so we complete before we return; the contract
 *    allows both, and the option "async" turns the one into the other so that
 *    tests see each engine path in both orders.
 *
 * 3. It completes everything it was handed exactly once, holding no lock.
 *    Whoever is completed may call us again at once, and may free the operation
 *    or slice: after done() it is no longer ours to look at.  Every operation
 *    is therefore netfs_mem_enter(), what is to be done, netfs_mem_leave();
 *    the last first drops the lock and then completes.
 *
 * 4. It trusts nothing.  What the server sends is checked before it is used.
 *    Here the server is us, so what is left are the limits: file sizes, names.
 *
 * The source is "mem:" for a tree of one's own, or "mem:NAME" for the tree of
 * that name in the process, which lives as long as some mount has it open.
 * Permissions are not checked; a server that has users would.
 *
 * Here are the connection, the completions and the table; mem_name.c has names
 * and attributes, mem_io.c open files and data; the "server" is mem_tree.c,
 * mem_data.c and mem_xattr.c.  doc/writing-a-backend.md tells the rest.
 *
 * Locks: one mutex for all trees, held for short and never in a completion or
 * in a call of op->fill.  struct mem_be never changes after connect.
 */
#include <errno.h>
#include <stdio.h>
#include <backend/mem/mem.h>
#include <env/alloc.h>
#include <env/executor.h>
#include <env/lock.h>

/* A completion that was put off.  Frees itself. */
struct mem_later {
	struct netfs_task task;
	struct netfs_op *op; /* this, or else: */
	struct netfs_slice *slice;
	size_t moved;
	int err;
	unsigned flags;
};

static struct netfs_mutex mem_lock;

__attribute__((constructor)) static void mem_lock_init(void)
{
	netfs_mutex_init(&mem_lock, NETFS_RANK_BACKEND);
}

/* ---------------------------------------------------- completing */

static void later_run(struct netfs_task *task)
{
	struct mem_later later = *netfs_container_of(task, struct mem_later, task);

	netfs_free(netfs_container_of(task, struct mem_later, task));
	if (later.op)
		later.op->done(later.op, later.err);
	else
		later.slice->done(later.slice, later.moved, later.err, later.flags);
}

/* False where there is no memory to remember it: completing now is as good. */
static bool later_post(const struct mem_later *what)
{
	struct mem_later *later = netfs_alloc(sizeof(*later));

	if (!later)
		return false;
	*later = *what;
	netfs_task_init(&later->task, later_run);
	netfs_task_post(&later->task);
	return true;
}

void netfs_mem_op_end(bool async, struct netfs_op *op, int err)
{
	if (!async || !later_post(&(struct mem_later){.op = op, .err = err}))
		op->done(op, err);
}

void netfs_mem_slice_end(bool async, struct netfs_slice *slice, size_t moved, int err)
{
	/* A read is short only where the file ends. */
	bool eof = slice->kind == NETFS_SLICE_READ && moved < slice->len && !err;
	struct mem_later later = {
		.slice = slice, .moved = moved, .err = err, .flags = eof ? NETFS_SLICE_EOF : 0};

	if (!async || !later_post(&later))
		slice->done(slice, moved, err, later.flags);
}

struct mem_be *netfs_mem_enter(struct netfs_be *be)
{
	netfs_mutex_lock(&mem_lock);
	return (struct mem_be *)be;
}

void netfs_mem_leave(struct mem_be *be, struct netfs_op *op, int err)
{
	bool async = be->async;

	netfs_mutex_unlock(&mem_lock);
	netfs_mem_op_end(async, op, err);
}

void netfs_mem_unlock(void)
{
	netfs_mutex_unlock(&mem_lock);
}

/* ---------------------------------------------------------- nodes */

/* The results of all that find or make a file. */
int netfs_mem_give_node(struct mem_be *be, struct netfs_op *op, struct netfs_mem_file *file)
{
	struct mem_node *node = netfs_zalloc(sizeof(*node));

	if (!node)
		return -ENOMEM;
	atomic_init(&node->node.refs, 1);
	node->node.be = &be->be;
	node->file = file;
	file->refs++;
	op->node = &node->node;
	op->attr = file->attr;
	return 0;
}

static void mem_node_free(struct netfs_node *node)
{
	netfs_mem_enter(node->be);
	netfs_mem_file_put(((struct mem_node *)node)->file);
	netfs_mem_unlock();
	netfs_free(node);
}

/* ---------------------------------------------------- connection */

static void mem_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
			struct netfs_op *op)
{
	bool async = netfs_config_option(config, "async") != NULL;
	struct mem_be *be = netfs_zalloc(sizeof(*be));
	int err = -ENOMEM;

	netfs_mutex_lock(&mem_lock);
	if (be)
		err = netfs_mem_tree_open(config->source->path, &be->tree);
	if (!err) {
		be->be = (struct netfs_be){
			.ops = &netfs_mem_ops,
			.caps = NETFS_BE_OPEN_UNLINKED | NETFS_BE_RENAME_FLAGS |
				NETFS_BE_CHANGE_COUNTER | NETFS_BE_LOCAL,
			.rsize = MEM_SLICE_MAX,
			.wsize = MEM_SLICE_MAX,
			.depth = 8,
			.address = "memory",
		};
		be->async = async;
		err = netfs_mem_give_node(be, op, be->tree->root);
		if (err)
			netfs_mem_tree_close(be->tree);
	}
	netfs_mutex_unlock(&mem_lock);
	if (err) {
		netfs_free(be);
		if (op->buf)
			snprintf(op->buf, op->buf_size, "no memory for the tree");
	} else {
		op->be = &be->be;
	}
	netfs_mem_op_end(async, op, err);
}

static void mem_disconnect(struct netfs_be *netfs_be, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(netfs_be);
	bool async = be->async;

	netfs_mem_tree_close(be->tree);
	netfs_mutex_unlock(&mem_lock);
	netfs_free(be);
	netfs_mem_op_end(async, op, 0);
}

/* Everything is on its way to its completion already, so there is nothing to
 * cut short.  A real back end would send its protocol's cancel message. */
static void mem_op_cancel(struct netfs_be *be, struct netfs_op *op)
{
}

static void mem_slice_cancel(struct netfs_be *be, struct netfs_slice *slice)
{
}

/* --------------------------------------------------------- table */

static const struct netfs_option_info mem_options[] = {
	{"async", "complete every request from another thread (for tests)"},
	{NULL, NULL},
};

/* What is optional and not here (locks between clients, as there are none) is
 * NULL, and the engine answers it by itself. */
const struct netfs_be_ops netfs_mem_ops = {
	.scheme = "mem",
	.summary = "a tree in the memory of the process: mem: or mem:NAME",
	.options = mem_options,
	.connect = mem_connect,
	.disconnect = mem_disconnect,
	.node_free = mem_node_free,
	.handle_free = netfs_mem_handle_free,
	.op_cancel = mem_op_cancel,
	.slice_cancel = mem_slice_cancel,
	.lookup = netfs_mem_lookup,
	.getattr = netfs_mem_getattr,
	.setattr = netfs_mem_setattr,
	.readlink = netfs_mem_readlink,
	.mknod = netfs_mem_mknod,
	.mkdir = netfs_mem_mkdir,
	.symlink = netfs_mem_symlink,
	.link = netfs_mem_link,
	.unlink = netfs_mem_unlink,
	.rmdir = netfs_mem_rmdir,
	.rename = netfs_mem_rename,
	.create = netfs_mem_create,
	.open = netfs_mem_open,
	.readdir = netfs_mem_readdir,
	.read = netfs_mem_read,
	.write = netfs_mem_write,
	.fsync = netfs_mem_fsync,
	.fallocate = netfs_mem_fallocate,
	.copy_range = netfs_mem_copy_range,
	.seek = netfs_mem_seek,
	.statfs = netfs_mem_statfs,
	.getxattr = netfs_mem_getxattr,
	.listxattr = netfs_mem_listxattr,
	.setxattr = netfs_mem_setxattr,
	.removexattr = netfs_mem_removexattr,
};
