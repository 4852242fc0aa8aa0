/* SPDX-License-Identifier: MIT */
/*
 * Groups of writes reach the server in order.
 *
 * Goal: no byte written after a barrier arrives before every byte written
 * before it, in whatever file, has arrived and was made durable; each version
 * of a byte arrives.  Method: two files whose bytes say which group wrote them,
 * over a back end that answers late, out of order and short, fails, and checks
 * at each arrival what must have come before.  Where content is encrypted it
 * looks at what blocks that arrive say in clear.  Each seed is one run in clear
 * and one encrypted.
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
#include "crypt_script.h"

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
	struct netfs_crypt *crypt; /* NULL: plain */
	uint8_t cipher[FILES][FILE_MAX];
	uint64_t size[FILES]; /* of it */
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

/* What a block says that arrived: bytes of its rest were there before. */
static void block_arrives(struct server *server, unsigned file, uint64_t block)
{
	uint64_t left = server->size[file] - block;
	size_t len = left < NETFS_CRYPT_BLOCK ? left : NETFS_CRYPT_BLOCK;
	uint8_t plain[NETFS_CRYPT_BLOCK];

	assert_int_equal(netfs_crypt_decrypt(server->crypt, 0, block, server->cipher[file] + block,
					     plain, len),
			 0);
	for (size_t i = 0; i < len; i++) {
		assert_in_range(plain[i], 0, GROUPS - 1);
		if (plain[i] != server->data[file][block + i] ||
		    server->owed[plain[i]][file][block + i])
			byte_arrives(server, file, block + i, plain[i]);
	}
}

static size_t serve_encrypted(struct server *server, const struct pending *pending, size_t most)
{
	const struct netfs_slice *slice = pending->slice;
	unsigned file = pending->file;
	uint64_t end = slice->start + most;
	size_t done = 0;

	if (end > server->size[file] && most)
		server->size[file] = end;
	for (unsigned i = 0; i < slice->niov && done < most; i++) {
		size_t n =
			slice->iov[i].iov_len < most - done ? slice->iov[i].iov_len : most - done;

		memcpy(server->cipher[file] + slice->start + done, slice->iov[i].iov_base, n);
		done += n;
	}
	for (uint64_t at = slice->start; at < end; at += NETFS_CRYPT_BLOCK)
		block_arrives(server, file, at);
	return done;
}

static size_t serve_read(struct server *server, const struct pending *pending, size_t most,
			 unsigned *flags)
{
	const struct netfs_slice *slice = pending->slice;
	uint64_t size = server->size[pending->file];
	uint64_t left = slice->start < size ? size - slice->start : 0;
	size_t done = 0;

	if (most > left) {
		most = left;
		*flags |= NETFS_SLICE_EOF;
	}
	for (unsigned i = 0; i < slice->niov && done < most; i++) {
		size_t n =
			slice->iov[i].iov_len < most - done ? slice->iov[i].iov_len : most - done;

		memcpy(slice->iov[i].iov_base, server->cipher[pending->file] + slice->start + done,
		       n);
		done += n;
	}
	return done;
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

	/* A part of a block says nothing. */
	if ((!server->crypt || slice->kind == NETFS_SLICE_READ) && chance(server->short_pct))
		most = 1 + netfs_random_below(slice->len);
	if ((int)pending->file == server->refuse_file && slice->kind == NETFS_SLICE_WRITE) {
		err = server->refuse_error ? server->refuse_error : -ENOSPC;
		most = 0;
	} else if (chance(server->error_pct)) {
		err = -ECONNRESET;
		flags = NETFS_SLICE_RETRY;
		most = 0;
	}
	if (slice->kind == NETFS_SLICE_READ)
		moved = serve_read(server, pending, most, &flags);
	else if (server->crypt)
		moved = serve_encrypted(server, pending, most);
	else
		moved = serve(server, pending, most);
	pending->busy = false;
	slice->done(slice, moved, err, flags);
	if (server->refused_some) {
		server->refused_some = false;
		netfs_core_ready(server->core);
	}
}

/* So much of an upload that no block is cut. */
static size_t whole_blocks(const struct server *server, const struct netfs_slice *slice, size_t len)
{
	if (!server->crypt || slice->kind == NETFS_SLICE_READ)
		return len;
	assert_int_equal(slice->start % NETFS_CRYPT_BLOCK, 0);
	len = netfs_crypt_up(len);
	return len < slice->len ? len : slice->len;
}

static ssize_t take(struct netfs_handle *handle, struct netfs_slice *slice)
{
	struct server *server = of(handle)->server;

	for (unsigned i = 0; i < SLOTS; i++) {
		struct pending *pending = &server->slot[i];

		if (pending->busy)
			continue;
		if (chance(30))
			netfs_slice_trim(slice, whole_blocks(server, slice,
							     1 + netfs_random_below(slice->len)));
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

static void world_start_as(uint64_t seed, bool crypt)
{
	struct netfs_core_config config = {.dirty_age_ms = 500, .hard = true};

	netfs_sim_start(seed);
	world = calloc(1, sizeof(*world));
	server_start(&world->server);
	assert_int_equal(netfs_budget_new(8 << 20, 4 << 20, &world->budget), 0);
	config.budget = world->budget;
	world->server.crypt = crypt ? crypt_script_key() : NULL;
	config.crypt = world->server.crypt;
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

static void world_start(uint64_t seed)
{
	world_start_as(seed, false);
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
	netfs_crypt_free(world->server.crypt);
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

#define PENDING -9999

static void io_done(struct netfs_io *io, ssize_t result)
{
	*(ssize_t *)io->user = result;
}

static bool io_over(void *user)
{
	return *(ssize_t *)user != PENDING;
}

/* Ends at once, but for an encrypted file with data of an older group. */
static ssize_t try_put(unsigned file, uint64_t start, size_t len)
{
	static uint8_t buf[FILE_MAX];
	ssize_t result = PENDING;
	struct iovec iov = {buf, len};
	struct netfs_io io = {.done = io_done,
			      .user = &result,
			      .iov = &iov,
			      .niov = 1,
			      .start = start,
			      .len = len};

	memset(buf, world->group, len);
	netfs_core_write(&world->inode[file], &world->opener[file], &io);
	if (!world->server.crypt)
		assert_int_equal(result, len);
	assert_true(netfs_sim_run(io_over, &result, LIMIT_NS));
	return result;
}

/* Marks [start, start + len) of file with the group of now. */
static void put(unsigned file, uint64_t start, size_t len)
{
	struct server *server = &world->server;
	ssize_t result;

	for (uint64_t at = start; at < start + len; at++) {
		server->nowed[world->group] += !server->owed[world->group][file][at];
		server->owed[world->group][file][at] = 1;
	}
	memset(world->model[file] + start, world->group, len);
	/* A file that could not be made durable is tried again. */
	do
		result = try_put(file, start, len);
	while (result == -EIO && server->sync_error_pct);
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

static void run_seed(uint64_t seed, bool crypt)
{
	world_start_as(seed, crypt);
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

static void run_seeds(bool crypt)
{
	const char *one = getenv("UNETFS_TEST_SEED");
	const char *many = getenv("UNETFS_TEST_RUNS");
	uint64_t first = one ? strtoull(one, NULL, 0) : 1;
	uint64_t runs = one ? 1 : many ? strtoull(many, NULL, 0) : 150;

	for (uint64_t seed = first; seed < first + runs; seed++) {
		if (seed == first || seed % 50 == 0)
			fprintf(stderr, "seed %llu%s\n", (unsigned long long)seed,
				crypt ? ", encrypted" : "");
		run_seed(seed, crypt);
	}
}

static void groups_arrive_in_order(void **state)
{
	run_seeds(false);
}

static void groups_of_blocks_arrive_in_order(void **state)
{
	run_seeds(true);
}

/* A write to a block that has unsent bytes of an older group waits until these
 * are sent; one to a file without such does not. */
static void a_newer_write_to_an_encrypted_file_waits(void **state)
{
	world_start_as(7, true);
	barrier();
	put(0, 0, 5000);
	barrier();
	put(1, 100, 10);
	assert_int_equal(netfs_stats_get(&world->stats, NETFS_STAT_group_waits), 0);
	assert_int_equal(world->server.nowed[1], 5000);
	put(0, 1000, 10);
	assert_int_equal(netfs_stats_get(&world->stats, NETFS_STAT_group_waits), 1);
	assert_int_equal(world->server.nowed[1], 0);
	assert_int_equal(world->server.nowed[2], 20);
	put(0, 1010, 10);
	assert_int_equal(netfs_stats_get(&world->stats, NETFS_STAT_group_waits), 1);
	assert_int_equal(flush(0), 0);
	assert_int_equal(flush(1), 0);
	assert_int_equal(world->server.nowed[2], 0);
	world_stop();
}

/* Where the older data is refused the newer write fails, and changes nothing. */
static void a_newer_write_fails_where_older_data_is_refused(void **state)
{
	world_start_as(8, true);
	barrier();
	put(0, 0, 5000);
	barrier();
	world->server.refuse_file = 0;
	assert_int_equal(try_put(0, 1000, 10), -ENOSPC);
	assert_int_equal(netfs_core_dirty(world->core), 5000);
	world->server.refuse_file = -1;
	put(0, 1000, 10);
	assert_int_equal(world->server.nowed[1], 0);
	assert_int_equal(flush(0), 0);
	world_stop();
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

/* What is frozen is not at the server: a direct read that must not wait for it
 * would read what was there before. */
static void a_direct_read_does_not_pass_frozen_data(void **state)
{
	uint8_t byte = 0;
	ssize_t result = PENDING;
	struct iovec iov = {&byte, 1};
	struct netfs_io io = {.done = io_done,
			      .user = &result,
			      .iov = &iov,
			      .niov = 1,
			      .len = 1,
			      .flags = NETFS_IO_DIRECT | NETFS_IO_NOWAIT};

	world_start(9);
	barrier();
	put(0, 0, 100);
	barrier();
	put(0, 50, 10);
	netfs_core_read(&world->inode[0], &world->opener[0], &io);
	assert_int_equal(result, -EAGAIN);
	assert_int_equal(flush(0), 0);
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
		cmocka_unit_test(a_direct_read_does_not_pass_frozen_data),
		cmocka_unit_test(too_many_groups_are_refused),
		cmocka_unit_test(a_newer_write_to_an_encrypted_file_waits),
		cmocka_unit_test(a_newer_write_fails_where_older_data_is_refused),
		cmocka_unit_test(groups_arrive_in_order),
		cmocka_unit_test(groups_of_blocks_arrive_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
