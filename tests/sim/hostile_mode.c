/* SPDX-License-Identifier: MIT */
/*
 * A server that lies and signs it, or whose words are changed on the way: one after
 * the other a call is made while it does, and must end, at the latest when the
 * server is honest again.  What it says meanwhile is worth nothing and not looked at;
 * that nothing crashes, leaks or waits for ever is.
 *
 * Bytes under somebody who tampers, and cannot sign, are checked by the whole workload,
 * which has that as one of its faults.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <env/alloc.h>
#include "world.h"

#define LIES_NS (UINT64_C(40) * NETFS_NS_PER_SEC)
#define BYTES	200000

struct hostile {
	struct world *world;
	struct netfs_vnode *root;
	struct netfs_vnode *vnode; /* NULL: not found yet */
	struct netfs_file *file; /* NULL: not open */
	struct netfs_call call;
	struct netfs_io io;
	struct iovec iov;
	uint8_t buf[BYTES];
	bool done;
	int err;
};

static void call_done(struct netfs_call *call, int err)
{
	struct hostile *h = call->user;

	h->err = err;
	h->done = true;
}

static void io_done(struct netfs_io *io, ssize_t result)
{
	struct hostile *h = io->user;

	h->err = result < 0 ? (int)result : 0;
	h->done = true;
}

static bool is_done(void *user)
{
	return ((struct hostile *)user)->done;
}

static void issue_io(struct hostile *h, bool write)
{
	struct rng *rng = &h->world->rng;
	uint64_t start = rng_below(rng, BYTES);

	h->iov = (struct iovec){h->buf, BYTES - start};
	h->io = (struct netfs_io){.done = io_done,
				  .user = h,
				  .iov = &h->iov,
				  .niov = 1,
				  .start = start,
				  .len = BYTES - start};
	if (write)
		netfs_write(h->file, &h->io);
	else
		netfs_read(h->file, &h->io);
}

/* Calls that need the file, from 0 to 4, and others. */
static void issue(struct hostile *h, uint64_t which)
{
	netfs_call_init(&h->call, call_done);
	h->call.user = h;
	switch (which) {
	case 0:
	case 1:
		issue_io(h, which);
		break;
	case 2:
		netfs_fsync(h->file, false, &h->call);
		break;
	case 3:
		netfs_getattr(h->vnode, h->file, &h->call);
		break;
	case 4:
		netfs_flush(h->file, 1, &h->call);
		break;
	case 5:
		netfs_lookup(h->root, "other", &h->call);
		break;
	case 6:
		netfs_mkdir(h->root, "dir", 0755, &h->call);
		break;
	case 7:
		netfs_rmdir(h->root, "dir", &h->call);
		break;
	default:
		netfs_rename(h->root, "other", h->root, "another", 0, &h->call);
		break;
	}
}

/* What is found or opened is given back, but for the file itself. */
static void take(struct hostile *h, uint64_t which)
{
	if (!h->err && (which == 5 || which == 6))
		netfs_vnode_put(h->call.vnode);
}

static void wait_for(struct hostile *h, uint64_t ns)
{
	if (!netfs_sim_run(is_done, h, ns) && ns == LIVENESS_NS)
		world_fail(h->world, "V7: a call never ends after the server lied");
}

/* In honest times: the file is found and open. */
static void prepare(struct hostile *h)
{
	for (unsigned tries = 0; !h->file; tries++) {
		if (tries > 20)
			world_fail(h->world, "V7: cannot open a file after the server lied: %s",
				   strerror(-h->err));
		netfs_call_init(&h->call, call_done);
		h->call.user = h;
		h->done = false;
		if (h->vnode)
			netfs_open(h->vnode, O_RDWR, &h->call);
		else
			netfs_lookup(h->root, "file", &h->call);
		wait_for(h, LIVENESS_NS);
		if (!h->err && h->vnode)
			h->file = h->call.file;
		else if (!h->err)
			h->vnode = h->call.vnode;
		else if (h->vnode)
			netfs_vnode_put(netfs_take(h->vnode));
	}
}

static void let_go(struct hostile *h)
{
	if (h->file)
		netfs_release(netfs_take(h->file));
	if (h->vnode)
		netfs_vnode_put(netfs_take(h->vnode));
}

static void make_tree(struct world *world)
{
	struct node *node;
	uint8_t bytes[BYTES];

	memset(bytes, 'x', sizeof(bytes));
	for (unsigned i = 0; i < 2; i++)
		if (tree_make(world->server.tree, world->server.tree->root, i ? "other" : "file",
			      S_IFREG | 0644, &node) ||
		    node_write(node, 0, bytes, sizeof(bytes)) || node_flush(node))
			world_fail(world, "no memory");
}

static void issue_close(struct world *world, struct netfs_call *call, void *user)
{
	netfs_mount_close(world->mount, 0, call);
}

static void end(struct world *world)
{
	struct netfs_call call;
	int err;

	for (unsigned i = 0; i < DIRS_MAX; i++)
		netfs_vnode_put(world->dirs[i].vnode);
	for (unsigned tries = 0; tries < 20; tries++) {
		err = world_call(world, &call, "unmounting", issue_close, NULL);
		if (!err)
			return;
		world_nap(world, NETFS_NS_PER_SEC);
	}
	world_fail(world, "V7: cannot unmount after the server lied: %s", strerror(-err));
}

void hostile_mode(struct world *world)
{
	struct smb_server *server = &world->server.cifs;
	static struct hostile h;

	h = (struct hostile){.world = world};
	make_tree(world);
	mount_start(world);
	h.root = netfs_mount_root(world->mount);
	for (uint64_t i = 0; i < world->options->hostile; i++) {
		uint64_t which = rng_below(&world->rng, 9);

		prepare(&h);
		netfs_sim_printf("call %" PRIu64 " of kind %" PRIu64 " to a liar", i, which);
		h.done = false;
		server->config.hostile_after = server->replies + rng_below(&world->rng, 6);
		issue(&h, which);
		wait_for(&h, LIES_NS);
		server->config.hostile_after = 0;
		wait_for(&h, LIVENESS_NS);
		take(&h, which);
		world->steps++;
		if (h.err || rng_one_in(&world->rng, 4))
			let_go(&h);
	}
	let_go(&h);
	netfs_vnode_put(h.root);
	end(world);
}
