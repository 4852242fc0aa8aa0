/* SPDX-License-Identifier: MIT */
/*
 * Groups of writes reach the server in order.
 *
 * Goal: no byte written after a barrier arrives before every byte written
 * before it, in whatever file, has arrived and was made durable; each version
 * of a byte arrives.  Method: two files whose bytes say which group wrote them,
 * over a back end that answers late, out of order and short, fails, and checks
 * at each arrival what must have come before.  Each seed is one run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <core/core.h>
#include <env/random.h>
#include <env/sim/sim.h>
#include <env/timer.h>

#define FILES	 2
#define FILE_MAX (64u << 10)
#define GROUPS	 8
#define SLOTS	 6
#define LIMIT_NS (UINT64_C(4000) * 1000000000)

struct server;

struct pending {
	struct server *server;
	struct netfs_slice *slice;
	unsigned file;
	struct netfs_timer timer;
	struct netfs_task task;
	bool busy;
};

struct file_handle {
	struct netfs_handle handle;
	unsigned file;
	struct server *server;
};

struct server {
	struct netfs_be be;
	struct file_handle handle[FILES];
	struct netfs_core *core;
	struct pending slot[SLOTS];
	uint8_t data[FILES][FILE_MAX];
	/* What was written in a group and has not arrived, and how much. */
	uint8_t owed[GROUPS][FILES][FILE_MAX];
	uint64_t nowed[GROUPS];
	bool synced[GROUPS][FILES]; /* since a byte of it arrived */
	unsigned short_pct, error_pct, sync_error_pct;
	int refuse_file; /* whose writes are refused for good; -1: none */
	int refuse_error; /* 0: -ENOSPC */
	bool refused_some;
	unsigned syncs;
};

static bool chance(unsigned percent)
{
	return netfs_random_below(100) < percent;
}

static struct file_handle *of(struct netfs_handle *handle)
{
	return netfs_container_of(handle, struct file_handle, handle);
}

/* One byte of group arrives. */
static void byte_arrives(struct server *server, unsigned file, uint64_t at, uint8_t group)
{
	for (unsigned older = 0; older < group; older++) {
		assert_int_equal(server->nowed[older], 0);
		for (unsigned i = 0; i < FILES; i++)
			assert_true(server->synced[older][i]);
	}
	if (server->owed[group][file][at]) {
		server->owed[group][file][at] = 0;
		server->nowed[group]--;
	}
	server->synced[group][file] = false;
	assert_true(server->data[file][at] <= group);
	server->data[file][at] = group;
}

static size_t serve(struct server *server, const struct pending *pending, size_t most)
{
	const struct netfs_slice *slice = pending->slice;
	size_t done = 0;

	for (unsigned i = 0; i < slice->niov; i++) {
		const uint8_t *from = slice->iov[i].iov_base;

		for (size_t j = 0; j < slice->iov[i].iov_len && done < most; j++, done++)
			byte_arrives(server, pending->file, slice->start + done, from[j]);
	}
	return done;
}

static void answer(struct netfs_task *task)
{
	struct pending *pending = netfs_container_of(task, struct pending, task);
	struct server *server = pending->server;
	struct netfs_slice *slice = pending->slice;
	size_t most = slice->len, moved = 0;
	unsigned flags = 0;
	int err = 0;

	if (chance(server->short_pct))
		most = 1 + netfs_random_below(slice->len);
	if ((int)pending->file == server->refuse_file) {
		err = server->refuse_error ? server->refuse_error : -ENOSPC;
		most = 0;
	} else if (chance(server->error_pct)) {
		err = -ECONNRESET;
		flags = NETFS_SLICE_RETRY;
		most = 0;
	}
	moved = serve(server, pending, most);
	pending->busy = false;
	slice->done(slice, moved, err, flags);
	if (server->refused_some) {
		server->refused_some = false;
		netfs_core_ready(server->core);
	}
}

static ssize_t take(struct netfs_handle *handle, struct netfs_slice *slice)
{
	struct server *server = of(handle)->server;

	for (unsigned i = 0; i < SLOTS; i++) {
		struct pending *pending = &server->slot[i];

		if (pending->busy)
			continue;
		if (chance(30))
			netfs_slice_trim(slice, 1 + netfs_random_below(slice->len));
		pending->busy = true;
		pending->slice = slice;
		pending->file = of(handle)->file;
		netfs_timer_start(&pending->timer, 1 + netfs_random_below(3000000));
		return slice->len;
	}
	server->refused_some = true;
	return -EAGAIN;
}

static void make_durable(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	struct server *server = of(handle)->server;
	int err = chance(server->sync_error_pct) ? -EIO : 0;

	server->syncs++;
	for (unsigned group = 0; !err && group < GROUPS; group++)
		server->synced[group][of(handle)->file] = true;
	op->done(op, err);
}

static void cancel(struct netfs_be *be, struct netfs_slice *slice)
{
}

static void keep_handle(struct netfs_handle *handle)
{
	fail_msg("the test holds a reference of its own");
}

static const struct netfs_be_ops server_ops = {
	.scheme = "groups",
	.read = take,
	.write = take,
	.fsync = make_durable,
	.slice_cancel = cancel,
	.handle_free = keep_handle,
};

/* --------------------------------------------------------- the world */

struct world {
	struct server server;
	struct netfs_stats stats;
	struct netfs_budget *budget;
	struct netfs_core *core;
	struct netfs_inode inode[FILES];
	struct netfs_opener opener[FILES];
	uint8_t model[FILES][FILE_MAX];
	int refs;
	unsigned group;
};

static struct world *world;

static void count_busy(struct netfs_inode *inode)
{
	world->refs++;
}

static void count_idle(struct netfs_inode *inode)
{
	world->refs--;
}

static const struct netfs_inode_ops inode_ops = {count_busy, count_idle};

static void server_start(struct server *server)
{
	server->be.ops = &server_ops;
	server->be.rsize = server->be.wsize = 4096u << netfs_random_below(4);
	server->be.depth = SLOTS;
	server->refuse_file = -1;
	memset(server->synced, true, sizeof(server->synced));
	for (unsigned i = 0; i < SLOTS; i++) {
		struct pending *pending = &server->slot[i];

		pending->server = server;
		netfs_task_init(&pending->task, answer);
		netfs_timer_init(&pending->timer, &pending->task);
	}
	for (unsigned i = 0; i < FILES; i++) {
		server->handle[i] = (struct file_handle){.file = i, .server = server};
		server->handle[i].handle = (struct netfs_handle){
			.refs = 1, .be = &server->be, .readable = true, .writable = true};
	}
}

static void world_start(uint64_t seed)
{
	struct netfs_core_config config = {.dirty_age_ms = 500, .hard = true};

	netfs_sim_start(seed);
	world = calloc(1, sizeof(*world));
	server_start(&world->server);
	assert_int_equal(netfs_budget_new(8 << 20, 4 << 20, &world->budget), 0);
	config.budget = world->budget;
	config.be = &world->server.be;
	config.stats = &world->stats;
	assert_int_equal(netfs_core_new(&config, &world->core), 0);
	world->server.core = world->core;
	for (unsigned i = 0; i < FILES; i++) {
		struct netfs_handle *handle = &world->server.handle[i].handle;

		netfs_inode_init(&world->inode[i], world->core, &inode_ops, 0, true);
		assert_int_equal(netfs_inode_attach_handle(&world->inode[i], handle), 0);
		netfs_opener_init(&world->opener[i], handle, 0);
	}
}

static bool never(void *user)
{
	return false;
}

static bool is_idle(void *user)
{
	return world->refs == 0;
}

static void world_stop(void)
{
	for (unsigned i = 0; i < FILES; i++)
		netfs_inode_detach_handle(&world->inode[i], &world->server.handle[i].handle);
	assert_true(netfs_sim_run(is_idle, NULL, LIMIT_NS));
	assert_int_equal(netfs_core_dirty(world->core), 0);
	for (unsigned i = 0; i < FILES; i++) {
		assert_memory_equal(world->server.data[i], world->model[i], FILE_MAX);
		netfs_inode_done(&world->inode[i]);
		assert_int_equal(world->server.handle[i].handle.refs, 1);
	}
	assert_int_equal(netfs_budget_used(world->budget), 0);
	netfs_core_free(world->core);
	/* The task that looks after groups may still have been queued. */
	netfs_sim_run(never, NULL, 1000000);
	netfs_budget_free(world->budget);
	free(world);
	netfs_sim_stop();
}

/* ------------------------------------------------------------- steps */

struct wait {
	struct netfs_completion done;
	bool finished;
	int err;
};

static void wait_done(struct netfs_completion *done, int err)
{
	struct wait *wait = netfs_container_of(done, struct wait, done);

	wait->err = err;
	wait->finished = true;
}

static bool wait_over(void *user)
{
	return ((struct wait *)user)->finished;
}

static int flush(unsigned file)
{
	struct wait wait = {.done.fn = wait_done};

	netfs_inode_flush(&world->inode[file], 0, UINT64_MAX, &wait.done);
	assert_true(netfs_sim_run(wait_over, &wait, LIMIT_NS));
	return wait.err;
}

static void io_done(struct netfs_io *io, ssize_t result)
{
	*(ssize_t *)io->user = result;
}

/* Marks [start, start + len) of file with the group of now. */
static void put(unsigned file, uint64_t start, size_t len)
{
	static uint8_t buf[FILE_MAX];
	struct server *server = &world->server;
	ssize_t result = -1;
	struct iovec iov = {buf, len};
	struct netfs_io io = {.done = io_done,
			      .user = &result,
			      .iov = &iov,
			      .niov = 1,
			      .start = start,
			      .len = len};

	memset(buf, world->group, len);
	for (uint64_t at = start; at < start + len; at++) {
		server->nowed[world->group] += !server->owed[world->group][file][at];
		server->owed[world->group][file][at] = 1;
	}
	memset(world->model[file] + start, world->group, len);
	netfs_core_write(&world->inode[file], &world->opener[file], &io);
	assert_int_equal(result, len);
}

static void put_somewhere(void)
{
	size_t len = 1 + netfs_random_below(chance(50) ? 300 : 20000);

	put(netfs_random_below(FILES), netfs_random_below(FILE_MAX - len), len);
}

static void barrier(void)
{
	assert_int_equal(netfs_core_barrier(world->core), 0);
	world->group++;
}

static void run_seed(uint64_t seed)
{
	world_start(seed);
	world->server.short_pct = chance(50) ? netfs_random_below(60) : 0;
	world->server.error_pct = chance(50) ? netfs_random_below(30) : 0;
	world->server.sync_error_pct = chance(30) ? netfs_random_below(60) : 0;
	/* Group 0 would be taken for what was never written. */
	barrier();
	while (world->group < GROUPS - 1) {
		unsigned what = netfs_random_below(100);

		if (what < 70)
			put_somewhere();
		else if (what < 85)
			netfs_sim_run(never, NULL, netfs_random_below(5000000));
		else if (what < 90 && world->server.sync_error_pct == 0)
			assert_int_equal(flush(netfs_random_below(FILES)), 0);
		else
			barrier();
	}
	world->server.sync_error_pct = 0;
	world_stop();
}

static void groups_arrive_in_order(void **state)
{
	const char *one = getenv("UNETFS_TEST_SEED");
	const char *many = getenv("UNETFS_TEST_RUNS");
	uint64_t first = one ? strtoull(one, NULL, 0) : 1;
	uint64_t runs = one ? 1 : many ? strtoull(many, NULL, 0) : 150;

	for (uint64_t seed = first; seed < first + runs; seed++) {
		if (seed == first || seed % 50 == 0)
			fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
		run_seed(seed);
	}
}

/* The same byte in two groups: both versions are sent, the older one first, and
 * a reader sees the newer one all along. */
static void both_versions_of_a_byte_arrive(void **state)
{
	world_start(1);
	barrier();
	put(0, 0, 5000);
	barrier();
	put(0, 0, 4000);
	assert_int_equal(netfs_stats_get(&world->stats, NETFS_STAT_group_frozen), 1);
	assert_int_equal(netfs_core_dirty(world->core), 9000);
	assert_int_equal(flush(0), 0);
	assert_int_equal(world->server.nowed[1] + world->server.nowed[2], 0);
	assert_true(world->server.syncs > 0);
	world_stop();
}

/* An older file's data is refused: who flushes newer data is told instead of
 * waiting, and everything arrives once there is room. */
static void a_flush_does_not_wait_for_refused_data_elsewhere(void **state)
{
	world_start(2);
	barrier();
	put(0, 0, 5000);
	barrier();
	put(1, 0, 5000);
	world->server.refuse_file = 0;
	assert_int_equal(flush(1), -ENOSPC);
	assert_int_equal(world->server.data[1][0], 0);
	world->server.refuse_file = -1;
	assert_int_equal(flush(1), 0);
	assert_int_equal(world->server.data[1][0], 2);
	world_stop();
}

/* Data of a file that is gone is let go; that is no failure of another file. */
static void data_that_is_let_go_holds_nobody_up(void **state)
{
	world_start(5);
	barrier();
	put(0, 0, 5000);
	barrier();
	put(1, 0, 5000);
	world->server.refuse_file = 0;
	world->server.refuse_error = -ESTALE;
	/* It need not arrive any more. */
	memset(world->server.owed[1][0], 0, FILE_MAX);
	world->server.nowed[1] = 0;
	memset(world->model[0], 0, FILE_MAX);
	assert_int_equal(flush(1), 0);
	assert_int_equal(world->server.data[1][0], 2);
	assert_int_equal(netfs_core_dirty(world->core), 0);
	world_stop();
}

/* What a file we made has at the server is known to be zero, until something
 * arrives: also in a version that was written over before it was sent. */
static void frozen_data_is_not_taken_for_zeroes(void **state)
{
	struct netfs_inode *inode;

	world_start(6);
	inode = &world->inode[0];
	assert_true(netfs_ranges_covers(&inode->zero, 0, 5000));
	barrier();
	put(0, 0, 5000);
	barrier();
	put(0, 4000, 10);
	assert_int_equal(flush(0), 0);
	assert_false(netfs_ranges_overlaps(&inode->zero, 0, 5000));
	assert_true(netfs_ranges_covers(&inode->zero, 5000, FILE_MAX));
	world_stop();
}

/* Frozen data that is refused stays older than what was written after it. */
static void refused_frozen_data_keeps_its_place(void **state)
{
	world_start(3);
	barrier();
	put(0, 0, 5000);
	barrier();
	put(0, 1000, 2000);
	world->server.refuse_file = 0;
	assert_int_equal(flush(0), -ENOSPC);
	assert_int_equal(netfs_core_dirty(world->core), 7000);
	barrier();
	put(0, 0, 100);
	world->server.refuse_file = -1;
	assert_int_equal(flush(0), 0);
	assert_int_equal(world->server.nowed[1] + world->server.nowed[2], 0);
	world_stop();
}

static void too_many_groups_are_refused(void **state)
{
	unsigned n = 0;

	world_start(4);
	put(0, 0, 10);
	while (netfs_core_barrier(world->core) == 0)
		n++;
	assert_int_equal(n, 63);
	assert_int_equal(netfs_core_barrier(world->core), -EBUSY);
	assert_int_equal(flush(0), 0);
	netfs_sim_run(never, NULL, 1000000);
	assert_int_equal(netfs_core_barrier(world->core), 0);
	world_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_versions_of_a_byte_arrive),
		cmocka_unit_test(a_flush_does_not_wait_for_refused_data_elsewhere),
		cmocka_unit_test(data_that_is_let_go_holds_nobody_up),
		cmocka_unit_test(frozen_data_is_not_taken_for_zeroes),
		cmocka_unit_test(refused_frozen_data_keeps_its_place),
		cmocka_unit_test(too_many_groups_are_refused),
		cmocka_unit_test(groups_arrive_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
