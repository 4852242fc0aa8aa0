/* SPDX-License-Identifier: MIT */
/*
 * Each function writes its line into the log, then either holds the request,
 * or sends it on to mem with a completion of ours that can hold the reply.
 *
 * Locks: none.  The double is for the simulator, which has one thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <backend/backends.h>
#include <base/assert.h>
#include <base/list.h>
#include <env/alloc.h>
#include <env/executor.h>
#include <t.h>
#include "double.h"

/* One request under way. */
struct held {
	struct netfs_list link;
	enum double_kind kind;
	struct netfs_op *op;
	void (*done)(struct netfs_op *op, int err);
	bool waiting; /* it is held */
	bool replied;
	int err;
	/* The request, for one that is held before the server. */
	void (*send)(struct held *held);
	struct netfs_node *node;
	struct netfs_node *dir;
	struct netfs_handle *handle;
	const void *argument;
	const char *name;
	const char *new_name;
	uint32_t flags;
	uint32_t mode;
	uint64_t cookie;
};

static struct {
	bool ready;
	struct netfs_list all;
	bool hold[DOUBLE_KINDS];
	enum double_when when[DOUBLE_KINDS];
	uint32_t caps_clear;
	uint32_t caps_set;
	unsigned blocked;
	int write_error;
	int open_error;
	bool tell_dirs;
	struct netfs_be_host *host; /* of the last mount */
	int nodes;
	char log[1 << 16];
	size_t logged;
} state;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	state.logged += (size_t)vsnprintf(state.log + state.logged,
					  sizeof(state.log) - state.logged, format, args);
	va_end(args);
	if (state.logged >= sizeof(state.log))
		state.logged = 0;
}

static void end(struct held *held)
{
	struct netfs_op *op = held->op;
	int err = held->err;

	netfs_list_remove(&held->link);
	op->done = held->done;
	netfs_free(held);
	op->done(op, err);
}

static struct held *find(struct netfs_op *op)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &state.all) {
		struct held *held = netfs_container_of(link, struct held, link);

		if (held->op == op)
			return held;
	}
	return NULL;
}

static void dir_told(struct netfs_op *op, int err)
{
	assert_int_equal(err, 0);
}

/* The directory as it is now, in op. */
static void tell_dir(struct netfs_node *dir, struct netfs_op *op)
{
	struct netfs_op own = {.done = dir_told};

	if (!state.tell_dirs)
		return;
	netfs_mem_ops.getattr(dir, NULL, &own);
	op->dir_attr = own.attr;
	op->has_dir_attr = true;
}

static void replied(struct netfs_op *op, int err)
{
	struct held *held = find(op);

	assert_non_null(held);
	held->err = err;
	held->replied = true;
	if (!err && (held->kind == DOUBLE_CREATE || held->kind == DOUBLE_UNLINK))
		tell_dir(held->node, op);
	if (op->node)
		state.nodes++;
	if (op->handle)
		state.nodes++;
	if (state.hold[held->kind] && state.when[held->kind] == DOUBLE_REPLY) {
		held->waiting = true;
		return;
	}
	end(held);
}

/* Everything that can be held comes through here. */
static void start(struct held how, struct netfs_op *op)
{
	struct held *held = netfs_alloc(sizeof(*held));

	*held = how;
	held->op = op;
	held->done = op->done;
	op->done = replied;
	netfs_list_push_back(&state.all, &held->link);
	if (state.hold[held->kind] && state.when[held->kind] == DOUBLE_REQUEST)
		held->waiting = true;
	else
		held->send(held);
}

/* ------------------------------------------------------------- requests */

static void send_lookup(struct held *held)
{
	netfs_mem_ops.lookup(held->node, held->name, held->op);
}

static void double_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	say("lookup %s;", name);
	start((struct held){.kind = DOUBLE_LOOKUP, .send = send_lookup, .node = dir, .name = name},
	      op);
}

static void send_getattr(struct held *held)
{
	netfs_mem_ops.getattr(held->node, held->handle, held->op);
}

static void double_getattr(struct netfs_node *node, struct netfs_handle *handle,
			   struct netfs_op *op)
{
	say("getattr;");
	start((struct held){.kind = DOUBLE_GETATTR,
			    .send = send_getattr,
			    .node = node,
			    .handle = handle},
	      op);
}

static void send_setattr(struct held *held)
{
	netfs_mem_ops.setattr(held->node, held->handle, held->argument, held->op);
}

static void double_setattr(struct netfs_node *node, struct netfs_handle *handle,
			   const struct netfs_setattr *set, struct netfs_op *op)
{
	say("setattr %s;", set->valid & NETFS_SET_SIZE ? "size" : "other");
	start((struct held){.kind = DOUBLE_SETATTR,
			    .send = send_setattr,
			    .node = node,
			    .handle = handle,
			    .argument = set},
	      op);
}

static void send_unlink(struct held *held)
{
	netfs_mem_ops.unlink(held->node, held->name, held->op);
}

static void double_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	say("unlink %s;", name);
	start((struct held){.kind = DOUBLE_UNLINK, .send = send_unlink, .node = dir, .name = name},
	      op);
}

static void send_rename(struct held *held)
{
	netfs_mem_ops.rename(held->node, held->dir, held->name,
			     (struct netfs_node *)(uintptr_t)held->argument, held->new_name,
			     held->flags, held->op);
}

static void double_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
			  struct netfs_node *new_dir, const char *new_name, uint32_t flags,
			  struct netfs_op *op)
{
	say("rename %s %.8s;", old_name, new_name);
	start((struct held){.kind = DOUBLE_RENAME,
			    .send = send_rename,
			    .node = node,
			    .dir = old_dir,
			    .name = old_name,
			    .argument = new_dir,
			    .new_name = new_name,
			    .flags = flags},
	      op);
}

static void send_create(struct held *held)
{
	netfs_mem_ops.create(held->node, held->name, held->flags, held->mode, held->op);
}

static void double_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
			  struct netfs_op *op)
{
	say("create %s;", name);
	start((struct held){.kind = DOUBLE_CREATE,
			    .send = send_create,
			    .node = dir,
			    .name = name,
			    .flags = flags,
			    .mode = mode},
	      op);
}

static void send_open(struct held *held)
{
	netfs_mem_ops.open(held->node, held->flags, held->op);
}

static void double_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op)
{
	say("open;");
	if (state.open_error) {
		op->done(op, state.open_error);
		return;
	}
	start((struct held){.kind = DOUBLE_OPEN, .send = send_open, .node = node, .flags = flags},
	      op);
}

static void send_readdir(struct held *held)
{
	netfs_mem_ops.readdir(held->handle, held->cookie, held->op);
}

static void double_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op)
{
	say("readdir;");
	start((struct held){.kind = DOUBLE_READDIR,
			    .send = send_readdir,
			    .handle = handle,
			    .cookie = cookie},
	      op);
}

static void send_fsync(struct held *held)
{
	netfs_mem_ops.fsync(held->handle, false, held->op);
}

static void double_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	say("fsync;");
	start((struct held){.kind = DOUBLE_FSYNC, .send = send_fsync, .handle = handle}, op);
}

static void send_lock(struct held *held)
{
	const struct netfs_lock *lock = held->argument;

	held->op->lock_result = NETFS_LOCK_GRANTED;
	if (lock->type != NETFS_LOCK_UNLOCK && state.blocked) {
		state.blocked--;
		held->op->lock_result = NETFS_LOCK_BLOCKED;
	}
	held->op->done(held->op, 0);
}

static void double_lock(struct netfs_handle *handle, const struct netfs_lock *lock,
			struct netfs_op *op)
{
	static const char *const names[] = {"read", "write", "un"};

	say("%slock;", names[lock->type]);
	start(
		(struct held){
			.kind = DOUBLE_LOCK, .send = send_lock, .handle = handle, .argument = lock},
		op);
}

static ssize_t double_write(struct netfs_handle *handle, struct netfs_slice *slice)
{
	say("write;");
	if (state.write_error)
		return state.write_error;
	return netfs_mem_ops.write(handle, slice);
}

/* ----------------------------------------------- connection, references */

static void double_cancel(struct netfs_be *be, struct netfs_op *op)
{
	struct held *held = find(op);

	if (!held || !held->waiting)
		return;
	say("cancelled;");
	if (held->replied) {
		netfs_node_put(op->node);
		netfs_handle_put(op->handle);
		op->node = NULL;
		op->handle = NULL;
	}
	held->err = -EINTR;
	end(held);
}

static void double_node_free(struct netfs_node *node)
{
	state.nodes--;
	netfs_mem_ops.node_free(node);
}

static void double_handle_free(struct netfs_handle *handle)
{
	state.nodes--;
	netfs_mem_ops.handle_free(handle);
}

/* What is under way where nothing can come between. */
static void (*passing_done)(struct netfs_op *op, int err);

static void double_connected(struct netfs_op *op, int err)
{
	op->done = passing_done;
	if (!err) {
		op->be->ops = &double_ops;
		op->be->caps &= ~state.caps_clear;
		op->be->caps |= state.caps_set;
		state.nodes++;
	}
	op->done(op, err);
}

static void double_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
			   struct netfs_op *op)
{
	state.host = host;
	passing_done = op->done;
	op->done = double_connected;
	netfs_mem_ops.connect(config, host, op);
}

static void made(struct netfs_op *op, int err)
{
	op->done = passing_done;
	if (op->node)
		state.nodes++;
	op->done(op, err);
}

static void double_mkdir(struct netfs_node *dir, const char *name, uint32_t mode,
			 struct netfs_op *op)
{
	say("mkdir %s;", name);
	passing_done = op->done;
	op->done = made;
	netfs_mem_ops.mkdir(dir, name, mode, op);
}

static void double_symlink(struct netfs_node *dir, const char *name, const char *target,
			   struct netfs_op *op)
{
	say("symlink %s;", name);
	passing_done = op->done;
	op->done = made;
	netfs_mem_ops.symlink(dir, name, target, op);
}

static void double_link(struct netfs_node *node, struct netfs_node *dir, const char *name,
			struct netfs_op *op)
{
	say("link %s;", name);
	netfs_mem_ops.link(node, dir, name, op);
}

static void double_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	say("rmdir %s;", name);
	netfs_mem_ops.rmdir(dir, name, op);
}

static void double_readlink(struct netfs_node *node, struct netfs_op *op)
{
	say("readlink;");
	netfs_mem_ops.readlink(node, op);
}

static ssize_t double_read(struct netfs_handle *handle, struct netfs_slice *slice)
{
	say("read;");
	return netfs_mem_ops.read(handle, slice);
}

static void double_disconnect(struct netfs_be *be, struct netfs_op *op)
{
	be->ops = &netfs_mem_ops;
	netfs_mem_ops.disconnect(be, op);
}

static void double_slice_cancel(struct netfs_be *be, struct netfs_slice *slice)
{
	if (netfs_mem_ops.slice_cancel)
		netfs_mem_ops.slice_cancel(be, slice);
}

static void double_watch(struct netfs_node *dir, uint64_t ino, uint64_t gen)
{
	say("watch;");
}

const struct netfs_be_ops double_ops = {
	.scheme = "mem",
	.summary = "mem, with a hand on the wire",
	.connect = double_connect,
	.disconnect = double_disconnect,
	.node_free = double_node_free,
	.handle_free = double_handle_free,
	.op_cancel = double_cancel,
	.slice_cancel = double_slice_cancel,
	.lookup = double_lookup,
	.getattr = double_getattr,
	.setattr = double_setattr,
	.mkdir = double_mkdir,
	.symlink = double_symlink,
	.readlink = double_readlink,
	.link = double_link,
	.unlink = double_unlink,
	.rmdir = double_rmdir,
	.rename = double_rename,
	.create = double_create,
	.open = double_open,
	.readdir = double_readdir,
	.read = double_read,
	.write = double_write,
	.fsync = double_fsync,
	.lock = double_lock,
	.fallocate = double_fallocate,
	.copy_range = double_copy_range,
	.seek = double_seek,
	.watch = double_watch,
	.clone_range = double_clone_range,
};

/* ------------------------------------------------------------- controls */

void double_reset(void)
{
	if (state.ready)
		assert_true(netfs_list_empty(&state.all));
	memset(&state, 0, sizeof(state));
	netfs_list_init(&state.all);
	state.ready = true;
}

void double_caps(uint32_t clear, uint32_t set)
{
	state.caps_clear = clear;
	state.caps_set = set;
}

void double_hold(enum double_kind kind, enum double_when when)
{
	state.hold[kind] = true;
	state.when[kind] = when;
}

void double_pass(enum double_kind kind)
{
	state.hold[kind] = false;
}

unsigned double_held(enum double_kind kind)
{
	struct netfs_list *link;
	unsigned n = 0;

	netfs_list_for_each (link, &state.all) {
		struct held *held = netfs_container_of(link, struct held, link);

		n += held->kind == kind && held->waiting;
	}
	return n;
}

static struct held *next_held(enum double_kind kind)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &state.all) {
		struct held *held = netfs_container_of(link, struct held, link);

		if (held->kind == kind && held->waiting)
			return held;
	}
	return NULL;
}

void double_release(enum double_kind kind)
{
	bool hold = state.hold[kind];
	struct held *held;

	state.hold[kind] = false;
	while ((held = next_held(kind))) {
		held->waiting = false;
		if (held->replied)
			end(held);
		else
			held->send(held);
	}
	state.hold[kind] = hold;
}

void double_note(const char *what)
{
	say("%s;", what);
}

const char *double_log(void)
{
	return state.log;
}

void double_log_clear(void)
{
	state.logged = 0;
	state.log[0] = 0;
}

unsigned double_logged(const char *what)
{
	const char *at = state.log;
	unsigned n = 0;

	while ((at = strstr(at, what))) {
		n++;
		at += strlen(what);
	}
	return n;
}

void double_tell_dirs(bool tell)
{
	state.tell_dirs = tell;
}

void double_block_locks(unsigned n)
{
	state.blocked = n;
}

void double_fail_writes(int err)
{
	state.write_error = err;
}

void double_fail_opens(int err)
{
	state.open_error = err;
}

void double_ready(void)
{
	state.host->ready(state.host);
}

struct netfs_be_host *double_host(void)
{
	return state.host;
}

int double_nodes(void)
{
	return state.nodes;
}
