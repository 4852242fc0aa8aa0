/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing the mount of a run, with the options of its seed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <backend/backends.h>
#include <client/client.h>
#include "world.h"

/* A call that the run itself waits for. */
struct waiting {
	struct netfs_call *call;
	bool done;
	int err;
};

static void call_done(struct netfs_call *call, int err)
{
	struct waiting *waiting = call->user;

	waiting->err = err;
	waiting->done = true;
}

static bool is_done(void *user)
{
	return ((struct waiting *)user)->done;
}

int world_call(struct world *world, struct netfs_call *call, const char *what,
	       void (*issue)(struct world *world, struct netfs_call *call, void *user), void *user)
{
	struct waiting waiting = {.call = call};

	netfs_call_init(call, call_done);
	call->user = &waiting;
	issue(world, call, user);
	world_wait(world, is_done, &waiting, what);
	return waiting.err;
}

static void add_option(struct world *world, const char *name, unsigned value)
{
	size_t len = strlen(world->mount_options);

	snprintf(world->mount_options + len, sizeof(world->mount_options) - len, ",%s=%u", name,
		 value);
}

void mount_draw_options(struct world *world)
{
	static const char *const modes[] = {"none", "strict", "strict", "loose"};
	static const unsigned msizes[] = {4096, 8192, 16384, 65536, 262144};
	struct rng *rng = &world->rng;
	unsigned mode = rng_below(rng, 4);
	unsigned msize;

	/* With cache=none there is no disk cache. */
	if (world->cachedisk.on && mode == 0)
		mode = 1;
	world->cached = mode != 0;
	world->close_writes = mode != 3;
	world->sync = rng_one_in(rng, 12);
	if (world->cachedisk.on && world->cachedisk.journal)
		world->close_writes = false;
	snprintf(world->mount_options, sizeof(world->mount_options), "cache=%s", modes[mode]);
	msize = msizes[rng_below(rng, 5)];
	/* An encrypted block must fit into one request. */
	if (world->cipher.on && msize == 4096)
		msize = 8192;
	server_add_options(&world->server, msize, world->mount_options,
			   sizeof(world->mount_options));
	if (world->sync)
		strcat(world->mount_options, ",sync");
	if (rng_one_in(rng, 3))
		add_option(world, "rsize", 4096U << rng_below(rng, 5));
	if (rng_one_in(rng, 3))
		add_option(world, "wsize", 4096U << rng_below(rng, 5));
	if (rng_one_in(rng, 3))
		add_option(world, "rasize", 4096U << rng_below(rng, 10));
	if (rng_one_in(rng, 3))
		add_option(world, "dirtyage", rng_below(rng, 20));
	if (rng_one_in(rng, 3))
		add_option(world, "actimeo", rng_below(rng, 100));
	/* Of the two only 9P goes by this one where a mount is hard. */
	if (rng_one_in(rng, 4))
		add_option(world, "timeo", rng_between(rng, 10, 600));
	if (world->cipher.on)
		strcat(world->mount_options, CIPHER_OPTION ",encrypt_init=force");
	cachedisk_add_options(world, world->mount_options, sizeof(world->mount_options));
	netfs_sim_printf("mount options: %s", world->mount_options);
}

static void issue_open(struct world *world, struct netfs_call *call, void *user)
{
	netfs_mount_open_with(world->client, server_ops(&world->server),
			      server_source(&world->server), world->mount_options, call);
}

static void issue_lookup(struct world *world, struct netfs_call *call, void *user)
{
	struct netfs_vnode *root = netfs_mount_root(world->mount);

	netfs_lookup(root, user, call);
	netfs_vnode_put(root);
}

static void find_dirs(struct world *world)
{
	for (unsigned i = 0; i < DIRS_MAX; i++) {
		struct netfs_call call;
		int err, tries = 0;

		do {
			err = world_call(world, &call, "lookup of a directory", issue_lookup,
					 world->dirs[i].name);
			/* Nobody says for how long the server is away. */
			if (err == -EHOSTDOWN)
				world_nap(world, NETFS_NS_PER_SEC);
			else if (err && ++tries > 30)
				world_fail(world, "lookup of %s: %s", world->dirs[i].name,
					   strerror(-err));
		} while (err);
		world->dirs[i].vnode = call.vnode;
	}
}

void mount_start(struct world *world)
{
	struct netfs_call call;
	int err;

	mount_draw_options(world);
	/* The first connection may fail while the server is away; that is for
	 * whoever mounts to try again. */
	for (unsigned tries = 0;; tries++) {
		err = world_call(world, &call, "mounting", issue_open, NULL);
		if (!err)
			break;
		if (tries > 1000 || (!world->faults.active && tries > 2))
			world_fail(world, "cannot mount with %s: %s (%s)", world->mount_options,
				   strerror(-err), call.message);
		world_nap(world, NETFS_NS_PER_SEC);
	}
	world->mount = call.mount;
	cachedisk_mounted(world);
	find_dirs(world);
}

static void issue_close(struct world *world, struct netfs_call *call, void *user)
{
	netfs_mount_close(world->mount, 0, call);
}

void mount_check(struct world *world)
{
	struct netfs_mount_status status;

	netfs_mount_status(world->mount, &status);
	if (status.files_open)
		world_fail(world, "V13: %llu files open after all were released",
			   (unsigned long long)status.files_open);
}

static bool nobody_connected(void *user)
{
	struct world *world = user;

	return !server_connected(&world->server, world->share.on ? PARTIES : 0);
}

void mount_end(struct world *world)
{
	struct netfs_call call;
	bool told = false;
	int err;

	cachedisk_unmount(world);
	for (unsigned i = 0; i < DIRS_MAX; i++)
		netfs_vnode_put(world->dirs[i].vnode);
	for (unsigned tries = 0;; tries++) {
		err = world_call(world, &call, "unmounting", issue_close, NULL);
		if (!err)
			break;
		/* A removed file's data that the server had refused is lost
		 * when the connection is; that is told once. */
		if (err == -ESTALE && !told) {
			told = true;
			continue;
		}
		/* Only injected errors excuse it, and only for a while. */
		if (!world->faults.active || !faults_errors(&world->faults) || tries > 30)
			world_fail(world, "V7: cannot unmount: %s (%s)", strerror(-err),
				   call.message);
		world_nap(world, NETFS_NS_PER_SEC);
	}
	if (call.count)
		world_fail(world, "V1: unmount dropped %llu bytes", (unsigned long long)call.count);
	world->mount = NULL;
	world_wait(world, nobody_connected, world, "hanging up");
	if (!world->faults.active && server_left(&world->server))
		world_fail(world, "V13: the server still has %llu open files",
			   (unsigned long long)server_left(&world->server));
	check_tree(world);
}

static void issue_death(struct world *world, struct netfs_call *call, void *user)
{
	netfs_mount_close(world->mount, NETFS_CLOSE_FORCE, call);
}

/* Without memory for it nothing happens. */
static void die(struct world *world, struct netfs_call *call)
{
	int err;

	while ((err = world_call(world, call, "dying", issue_death, NULL)) == -ENOMEM)
		world_nap(world, NETFS_NS_PER_SEC);
	if (err)
		world_fail(world, "V7: a forced unmount failed: %s (%s)", strerror(-err),
			   call->message);
	world->mount = NULL;
	world_wait(world, nobody_connected, world, "hanging up");
}

static void issue_sync(struct world *world, struct netfs_call *call, void *user)
{
	netfs_mount_sync(world->mount, call);
}

static void issue_peek(struct world *world, struct netfs_call *call, void *user)
{
	struct slot *slot = user;

	netfs_lookup(world->dirs[slot->dir].vnode, slot->name, call);
}

/* Looks at a file while what the dead mount left is being written again.  NULL: as it
 * must be if that comes to a good end. */
static const struct slot *peek(struct world *world)
{
	struct slot *slot = &world->slots[rng_below(&world->cachedisk.rng, world->slot_count)];
	struct netfs_call call;
	uint64_t size;

	if (slot->state != SLOT_PRESENT || slot->lossy ||
	    world_call(world, &call, "a look at a file", issue_peek, slot))
		return NULL;
	size = call.attr.size;
	netfs_vnode_put(call.vnode);
	return size == slot->model.size ? NULL : slot;
}

/* The next one redoes what the dead one left, unless the server or the disk refuse
 * that: then it is tried by yet another. */
static void revive(struct world *world)
{
	struct netfs_mount_status status;
	const struct slot *wrong;
	struct netfs_call call;

	for (unsigned tries = 0;; tries++) {
		mount_start(world);
		wrong = peek(world);
		while (world_call(world, &call, "sending what was left", issue_sync, NULL) ==
		       -ENOMEM)
			world_nap(world, NETFS_NS_PER_SEC);
		netfs_mount_status(world->mount, &status);
		if (!status.left && wrong)
			world_fail(world, "V2: %s was shown before what was left of it was sent",
				   wrong->name);
		if (!status.left)
			return;
		if (tries > 100 || (!faults_errors(&world->faults) && !world->cachedisk.on))
			world_fail(world, "V1: %llu bytes stay in the journal",
				   (unsigned long long)status.left);
		mount_check(world);
		for (unsigned i = 0; i < DIRS_MAX; i++)
			netfs_vnode_put(world->dirs[i].vnode);
		die(world, &(struct netfs_call){0});
		world_nap(world, NETFS_NS_PER_SEC);
	}
}

void mount_dies(struct world *world)
{
	struct netfs_call call;

	mount_check(world);
	cachedisk_unmount(world);
	for (unsigned i = 0; i < DIRS_MAX; i++)
		netfs_vnode_put(world->dirs[i].vnode);
	die(world, &call);
	if (call.count)
		world_fail(world, "V1: %llu bytes were not in the journal",
			   (unsigned long long)call.count);
	netfs_sim_printf("the mount died, %llu bytes are in its journal",
			 (unsigned long long)call.offset);
	cachedisk_between(world);
	revive(world);
}

void mount_again(struct world *world)
{
	mount_check(world);
	mount_end(world);
	cachedisk_between(world);
	mount_start(world);
}
