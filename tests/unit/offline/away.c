/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "away.h"
#include <backend/backends.h>
#include <base/list.h>
#include <env/alloc.h>
#include <t.h>

enum kind {
	LOOKUP,
	GETATTR,
	SETATTR,
	READLINK,
	READDIR,
	OPEN,
	CREATE,
	MKDIR,
	UNLINK,
	FSYNC,
};

/* A question that waits. */
struct parked {
	struct netfs_list link;
	enum kind kind;
	struct netfs_op *op;
	struct netfs_node *node;
	struct netfs_handle *handle;
	const char *name;
	uint64_t number;
	uint32_t mode;
	const struct netfs_setattr *set;
};

static struct {
	pthread_mutex_t mutex;
	bool cut;
	bool starved; /* a slice was refused */
	int refusal;
	unsigned asked;
	struct netfs_be_host *host;
	struct netfs_list parked;
} link_ = {
	.mutex = PTHREAD_MUTEX_INITIALIZER,
	.refusal = -ECONNREFUSED,
	.parked = {&link_.parked, &link_.parked},
};

static void ask(const struct parked *p)
{
	const struct netfs_be_ops *mem = &netfs_mem_ops;

	switch (p->kind) {
	case LOOKUP:
		mem->lookup(p->node, p->name, p->op);
		break;
	case GETATTR:
		mem->getattr(p->node, p->handle, p->op);
		break;
	case SETATTR:
		mem->setattr(p->node, p->handle, p->set, p->op);
		break;
	case READLINK:
		mem->readlink(p->node, p->op);
		break;
	case READDIR:
		mem->readdir(p->handle, p->number, p->op);
		break;
	case OPEN:
		mem->open(p->node, (uint32_t)p->number, p->op);
		break;
	case CREATE:
		mem->create(p->node, p->name, (uint32_t)p->number, p->mode, p->op);
		break;
	case MKDIR:
		mem->mkdir(p->node, p->name, p->mode, p->op);
		break;
	case UNLINK:
		mem->unlink(p->node, p->name, p->op);
		break;
	case FSYNC:
		mem->fsync(p->handle, false, p->op);
		break;
	}
}

static void pass(struct parked p)
{
	struct parked *later = NULL;

	pthread_mutex_lock(&link_.mutex);
	link_.asked++;
	if (link_.cut) {
		later = netfs_alloc(sizeof(*later));
		*later = p;
		netfs_list_push_back(&link_.parked, &later->link);
	}
	pthread_mutex_unlock(&link_.mutex);
	if (!later)
		ask(&p);
}

static void op_cancel(struct netfs_be *be, struct netfs_op *op)
{
	struct parked *found = NULL;
	struct netfs_list *link;

	pthread_mutex_lock(&link_.mutex);
	netfs_list_for_each (link, &link_.parked) {
		struct parked *p = netfs_container_of(link, struct parked, link);

		if (p->op == op)
			found = p;
	}
	if (found)
		netfs_list_remove(&found->link);
	pthread_mutex_unlock(&link_.mutex);
	if (found)
		op->done(op, -EINTR);
	netfs_free(found);
}

static void away_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	pass((struct parked){.kind = LOOKUP, .op = op, .node = dir, .name = name});
}

static void away_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op)
{
	pass((struct parked){.kind = GETATTR, .op = op, .node = node, .handle = handle});
}

static void away_setattr(struct netfs_node *node, struct netfs_handle *handle,
			 const struct netfs_setattr *set, struct netfs_op *op)
{
	pass((struct parked){
		.kind = SETATTR, .op = op, .node = node, .handle = handle, .set = set});
}

static void away_readlink(struct netfs_node *node, struct netfs_op *op)
{
	pass((struct parked){.kind = READLINK, .op = op, .node = node});
}

static void away_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op)
{
	pass((struct parked){.kind = READDIR, .op = op, .handle = handle, .number = cookie});
}

static void away_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op)
{
	pass((struct parked){.kind = OPEN, .op = op, .node = node, .number = flags});
}

static void away_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
			struct netfs_op *op)
{
	pass((struct parked){.kind = CREATE,
			     .op = op,
			     .node = dir,
			     .name = name,
			     .number = flags,
			     .mode = mode});
}

static void away_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op)
{
	pass((struct parked){.kind = MKDIR, .op = op, .node = dir, .name = name, .mode = mode});
}

static void away_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	pass((struct parked){.kind = UNLINK, .op = op, .node = dir, .name = name});
}

static void away_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	pass((struct parked){.kind = FSYNC, .op = op, .handle = handle});
}

static ssize_t transfer(struct netfs_handle *handle, struct netfs_slice *slice)
{
	bool cut;

	pthread_mutex_lock(&link_.mutex);
	cut = link_.cut;
	if (cut)
		link_.starved = true;
	pthread_mutex_unlock(&link_.mutex);
	return cut ? -EAGAIN : netfs_mem_ops.read(handle, slice);
}

static void away_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
			 struct netfs_op *op)
{
	int err;

	pthread_mutex_lock(&link_.mutex);
	err = link_.cut ? link_.refusal : 0;
	if (!err)
		link_.host = host;
	pthread_mutex_unlock(&link_.mutex);
	if (err && op->buf)
		snprintf(op->buf, op->buf_size, "no way to the server");
	if (err)
		op->done(op, err);
	else
		netfs_mem_ops.connect(config, host, op);
}

void away_cut(bool tell)
{
	struct netfs_be_host *host;

	pthread_mutex_lock(&link_.mutex);
	link_.cut = true;
	host = link_.host;
	pthread_mutex_unlock(&link_.mutex);
	if (tell)
		host->state(host, false, "the link is cut");
}

void away_mend(void)
{
	struct netfs_list list, *link;
	struct netfs_be_host *host;
	bool starved;

	netfs_list_init(&list);
	pthread_mutex_lock(&link_.mutex);
	link_.cut = false;
	host = link_.host;
	starved = link_.starved;
	link_.starved = false;
	netfs_list_splice_back(&list, &link_.parked);
	pthread_mutex_unlock(&link_.mutex);
	if (host)
		host->state(host, true, "the link is mended");
	while ((link = netfs_list_pop_front(&list))) {
		struct parked *p = netfs_container_of(link, struct parked, link);

		ask(p);
		netfs_free(p);
	}
	if (starved && host)
		host->ready(host);
}

void away_forget(void)
{
	pthread_mutex_lock(&link_.mutex);
	link_.host = NULL;
	pthread_mutex_unlock(&link_.mutex);
}

void away_refuse(int err)
{
	pthread_mutex_lock(&link_.mutex);
	link_.refusal = err;
	pthread_mutex_unlock(&link_.mutex);
}

unsigned away_parked(void)
{
	unsigned n = 0;
	struct netfs_list *link;

	pthread_mutex_lock(&link_.mutex);
	netfs_list_for_each (link, &link_.parked)
		n++;
	pthread_mutex_unlock(&link_.mutex);
	return n;
}

unsigned away_asked(void)
{
	unsigned asked;

	pthread_mutex_lock(&link_.mutex);
	asked = link_.asked;
	pthread_mutex_unlock(&link_.mutex);
	return asked;
}

/* The rest is mem's. */
struct netfs_be_ops away_ops;

__attribute__((constructor)) static void make_ops(void)
{
	struct netfs_be_ops *ops = &away_ops;

	*ops = netfs_mem_ops;
	ops->connect = away_connect;
	ops->op_cancel = op_cancel;
	ops->lookup = away_lookup;
	ops->getattr = away_getattr;
	ops->setattr = away_setattr;
	ops->readlink = away_readlink;
	ops->readdir = away_readdir;
	ops->open = away_open;
	ops->create = away_create;
	ops->mkdir = away_mkdir;
	ops->unlink = away_unlink;
	ops->fsync = away_fsync;
	ops->read = transfer;
	ops->write = transfer;
}
