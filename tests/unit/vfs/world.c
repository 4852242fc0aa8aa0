/* SPDX-License-Identifier: MIT */
/*
 * Blocking forms of the public calls, and a world to make them in.  A second
 * mount, straight on mem, keeps the tree alive while tests mount anew.
 *
 * Locks: none.
 */
#include <errno.h>
#include <backend/backends.h>
#include <base/list.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/sim/sim.h>
#include <env/timer.h>
#include "double.h"
#include "world.h"

struct netfs_mount *world_mount(struct world *world, const struct netfs_be_ops *ops,
				const char *options)
{
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	netfs_mount_open_with(world->client, ops, "mem:share", options, &call);
	err = netfs_call_wait(&call);
	if (err)
		fail_msg("mount: %d: %s", err, call.message);
	return call.mount;
}

void world_start(struct world *world, const struct netfs_be_ops *ops, const char *options)
{
	struct netfs_client_config config = {
		.struct_size = sizeof(config),
		.memory_max = 64 << 20,
	};

	netfs_sim_start(1);
	double_reset();
	assert_int_equal(netfs_client_new(&config, &world->client), 0);
	world->keeper = world_mount(world, &netfs_mem_ops, "");
	world->mount = world_mount(world, ops, options);
	world->root = netfs_mount_root(world->mount);
}

void world_remount(struct world *world, const char *options)
{
	netfs_vnode_put(world->root);
	assert_int_equal(world_close(world->mount, 0), 0);
	world->mount = world_mount(world, &double_ops, options);
	world->root = netfs_mount_root(world->mount);
}

int world_close(struct netfs_mount *mount, uint32_t flags)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_mount_close(mount, flags, &call);
	return netfs_call_wait(&call);
}

void world_stop(struct world *world)
{
	if (world->mount) {
		netfs_vnode_put(world->root);
		assert_int_equal(world_close(world->mount, 0), 0);
	}
	assert_int_equal(world_close(world->keeper, 0), 0);
	netfs_client_free(world->client);
	assert_int_equal(double_nodes(), 0);
	netfs_sim_stop();
	assert_int_equal(netfs_sim_allocs(), 0);
}

static bool never(void *user)
{
	return false;
}

void world_idle(void)
{
	netfs_sim_run(never, NULL, 0);
}

static bool later(void *user)
{
	return netfs_clock_now() >= *(uint64_t *)user;
}

static void nothing(struct netfs_task *task)
{
}

void world_sleep_ms(uint64_t ms)
{
	uint64_t when = netfs_clock_now() + ms * NETFS_NS_PER_MS;
	struct netfs_timer timer;
	struct netfs_task task;

	netfs_task_init(&task, nothing);
	netfs_timer_init(&timer, &task);
	netfs_timer_start(&timer, ms * NETFS_NS_PER_MS);
	netfs_sim_run(later, &when, (ms + 1) * NETFS_NS_PER_MS);
	netfs_timer_stop(&timer);
	world_idle();
}

uint64_t world_stat(struct netfs_mount *mount, const char *name)
{
	struct netfs_stat stats[128];
	size_t n = netfs_mount_stats(mount, stats, 128);

	assert_true(n <= 128);
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(stats[i].name, name))
			return stats[i].value;
	}
	fail_msg("no counter %s", name);
	return 0;
}

int w_lookup(struct netfs_vnode *dir, const char *name, struct netfs_vnode **ret_vnode)
{
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	netfs_lookup(dir, name, &call);
	err = netfs_call_wait(&call);
	if (!err)
		*ret_vnode = call.vnode;
	return err;
}

struct netfs_vnode *w_find(struct netfs_vnode *dir, const char *name)
{
	struct netfs_vnode *vnode;

	assert_int_equal(w_lookup(dir, name, &vnode), 0);
	return vnode;
}

struct netfs_vnode *w_mkdir(struct netfs_vnode *dir, const char *name)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_mkdir(dir, name, 0755, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	return call.vnode;
}

struct netfs_file *w_create(struct netfs_vnode *dir, const char *name,
			    struct netfs_vnode **ret_vnode)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_create(dir, name, O_RDWR, 0644, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	if (ret_vnode)
		*ret_vnode = call.vnode;
	else
		netfs_vnode_put(call.vnode);
	return call.file;
}

struct netfs_file *w_open(struct netfs_vnode *vnode, uint32_t flags, bool *ret_keep)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_open(vnode, flags, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	if (ret_keep)
		*ret_keep = call.keep_pages;
	return call.file;
}

void w_write(struct netfs_file *file, const char *text, uint64_t start)
{
	assert_int_equal(netfs_pwrite(file, text, strlen(text), start, 0), strlen(text));
}

void w_expect(struct netfs_file *file, const char *text, uint64_t start)
{
	char buf[4096];
	ssize_t n = netfs_pread(file, buf, sizeof(buf) - 1, start, 0);

	assert_true(n >= 0);
	buf[n] = 0;
	assert_string_equal(buf, text);
}

int w_flush(struct netfs_file *file)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_flush(file, 0, &call);
	return netfs_call_wait(&call);
}

void w_close(struct netfs_file *file)
{
	assert_int_equal(w_flush(file), 0);
	netfs_release(file);
}

struct netfs_attr w_getattr(struct netfs_vnode *vnode)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_getattr(vnode, NULL, &call);
	assert_int_equal(netfs_call_wait(&call), 0);
	return call.attr;
}

int w_unlink(struct netfs_vnode *dir, const char *name)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_unlink(dir, name, &call);
	return netfs_call_wait(&call);
}

int w_rename(struct netfs_vnode *dir, const char *from, const char *to, uint32_t flags)
{
	struct netfs_call call;

	netfs_call_init(&call, NULL);
	netfs_rename(dir, from, dir, to, flags, &call);
	return netfs_call_wait(&call);
}

void w_put(struct netfs_vnode *dir, const char *name, const char *text)
{
	struct netfs_file *file = w_create(dir, name, NULL);

	w_write(file, text, 0);
	w_close(file);
}

static void w_call_done(struct netfs_call *call, int err)
{
	struct w_call *w = netfs_container_of(call, struct w_call, call);

	assert_false(w->ended);
	w->ended = true;
	w->err = err;
}

void w_call_init(struct w_call *call)
{
	call->ended = false;
	call->err = 0;
	netfs_call_init(&call->call, w_call_done);
}
