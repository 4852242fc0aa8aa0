/* SPDX-License-Identifier: MIT */
/*
 * The engine against a byte array.
 *
 * Goal: whatever mix of buffered and direct reads and writes, truncation,
 * holes, flushes, remote changes and eviction runs on one file, every read
 * returns the bytes of a plain array, and in the end the server has them too.
 *
 * Method: the real core on the simulated machine, over a scripted back end
 * that takes slices of any size, refuses some, answers late, short, out of
 * order or with errors that heal; half of the seeds with a disk cache beside it
 * that fails, forgets and falls behind, which must change no byte.  Operations
 * run in batches; within a batch only reads overlap.  Each seed is one run in
 * clear and one encrypted; the seed is printed first.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <core/budget.h>
#include <core/core.h>
#include <env/alloc.h>
#include <env/random.h>
#include <env/sim/sim.h>
#include <env/timer.h>
#include <cache_script.h>
#include "crypt_script.h"
#include "engine_server.h"

#define BATCH	 6
#define LIMIT_NS (UINT64_C(4000) * 1000000000)

/* --------------------------------------------------------- the world */

struct world {
	struct server server;
	struct cache_script cache;
	bool cached; /* it is in use */
	struct netfs_crypt *crypt; /* NULL: plain */
	struct netfs_stats stats;
	struct netfs_budget *budget;
	struct netfs_core *core;
	struct netfs_inode inode;
	struct netfs_opener opener[2];
	int refs; /* busy minus idle */
	uint8_t model[FILE_MAX];
	uint64_t size;
	uint64_t ops;
};

static struct world *the_world;

static void count_busy(struct netfs_inode *inode)
{
	the_world->refs++;
}

static void count_idle(struct netfs_inode *inode)
{
	the_world->refs--;
}

static const struct netfs_inode_ops inode_ops = {count_busy, count_idle};

static void cache_has_room(void *user)
{
	netfs_core_ready(((struct world *)user)->core);
}

static void world_add_cache(struct world *world)
{
	cache_script_init(&world->cache, cache_has_room, world);
	world->cached = true;
	netfs_inode_set_cookie(&world->inode, &world->cache.cookie);
}

/* New content for the model and the server, of world->size bytes. */
static void world_fill(struct world *world)
{
	crypt_script_fill(world->model, 0, world->size);
	if (world->crypt)
		crypt_script_encrypt(world->crypt, world->model, world->server.data, world->size);
	else
		memcpy(world->server.data, world->model, world->size);
}

/* The server must have exactly the model. */
static void world_compare(struct world *world)
{
	assert_int_equal(world->server.size, world->size);
	if (world->crypt)
		crypt_script_check(world->crypt, world->server.data, world->model, world->size);
	else
		assert_memory_equal(world->server.data, world->model, world->size);
}

static void world_start_as(struct world *world, uint64_t seed, bool crypt)
{
	struct netfs_core_config config = {.dirty_age_ms = 500, .hard = true};

	netfs_sim_start(seed);
	memset(world, 0, sizeof(*world));
	the_world = world;
	server_init(&world->server);
	assert_int_equal(netfs_budget_new(chance(50) ? 128 << 10 : 4 << 20,
					  chance(50) ? 64 << 10 : 1 << 20, &world->budget),
			 0);
	config.budget = world->budget;
	world->crypt = crypt ? crypt_script_key() : NULL;
	world->server.crypt = crypt;
	config.crypt = world->crypt;
	config.be = &world->server.be;
	config.stats = &world->stats;
	config.rasize = chance(50) ? 0 : 256 << 10;
	assert_int_equal(netfs_core_new(&config, &world->core), 0);
	world->server.core = world->core;
	world->server.size = world->size = netfs_random_below(FILE_MAX / 2);
	world_fill(world);
	netfs_inode_init(&world->inode, world->core, &inode_ops, world->size, false);
	assert_int_equal(netfs_inode_attach_handle(&world->inode, &world->server.handle), 0);
	netfs_opener_init(&world->opener[0], &world->server.handle, 0);
	netfs_opener_init(&world->opener[1], &world->server.handle, NETFS_OPENER_UNBUFFERED);
}

static void world_start(struct world *world, uint64_t seed)
{
	world_start_as(world, seed, false);
}

static bool never(void *user)
{
	return false;
}

static bool is_idle(void *user)
{
	return ((struct world *)user)->refs == 0;
}

static void world_stop(struct world *world)
{
	netfs_inode_detach_handle(&world->inode, &world->server.handle);
	assert_true(netfs_sim_run(is_idle, world, LIMIT_NS));
	assert_int_equal(netfs_core_dirty(world->core), 0);
	assert_int_equal(netfs_core_stuck(world->core), 0);
	assert_int_equal(netfs_core_requests(world->core), 0);
	if (world->cached) {
		if (world->crypt)
			crypt_script_check_cache(world->crypt, &world->cache, world->server.data,
						 world->size);
		else
			cache_script_check(&world->cache, world->server.data, world->server.size);
		netfs_inode_set_cookie(&world->inode, NULL);
		cache_script_done(&world->cache);
	}
	netfs_inode_done(&world->inode);
	assert_int_equal(netfs_budget_used(world->budget), 0);
	netfs_core_free(world->core);
	/* The task that looks after groups may still have been queued. */
	netfs_sim_run(never, NULL, 1000000);
	netfs_budget_free(world->budget);
	netfs_crypt_free(world->crypt);
	assert_int_equal(world->server.handle.refs, 1);
	netfs_sim_stop();
}

static void world_end(struct world *world)
{
	world_stop(world);
	free(world);
}

/* ---------------------------------------------------------- operations */

struct step {
	struct netfs_io io;
	struct iovec iov[300];
	struct netfs_completion done;
	uint8_t *buf;
	uint64_t start;
	size_t len;
	ssize_t result;
	bool write;
	bool finished;
};

static void io_done(struct netfs_io *io, ssize_t result)
{
	struct step *step = io->user;

	assert_false(step->finished);
	step->result = result;
	step->finished = true;
}

static void completion_done(struct netfs_completion *done, int err)
{
	struct step *step = netfs_container_of(done, struct step, done);

	step->result = err;
	step->finished = true;
}

static bool step_finished(void *user)
{
	return ((struct step *)user)->finished;
}

static int run_completion(struct world *world,
			  void (*fn)(struct netfs_inode *, struct netfs_completion *))
{
	struct step step = {0};

	step.done.fn = completion_done;
	fn(&world->inode, &step.done);
	assert_true(netfs_sim_run(step_finished, &step, LIMIT_NS));
	return (int)step.result;
}

static void flush_all(struct netfs_inode *inode, struct netfs_completion *done)
{
	netfs_inode_flush(inode, 0, UINT64_MAX, done);
}

static void pick_range(struct step *step)
{
	static const uint32_t lengths[] = {1, 100, 4096, 5000, 40000, 150000};

	step->len = 1 + netfs_random_below(lengths[netfs_random_below(6)]);
	step->start = netfs_random_below(FILE_MAX - step->len);
	if (chance(30))
		step->start &= ~UINT64_C(4095);
}

static void start_io(struct world *world, struct step *step)
{
	bool direct = chance(20);
	bool borrow = !step->write && chance(40);

	step->buf = malloc(step->len);
	step->iov[0] = (struct iovec){step->buf, step->len};
	step->io = (struct netfs_io){.done = io_done,
				     .user = step,
				     .iov = step->iov,
				     .niov = 1,
				     .start = step->start,
				     .len = step->len};
	if (borrow) {
		step->io.flags = NETFS_IO_BORROW;
		step->io.niov = chance(50) ? 300 : 1 + netfs_random_below(4);
	} else if (step->len > 10 && chance(30)) {
		step->iov[0].iov_len = step->len / 3;
		step->iov[1] = (struct iovec){step->buf + step->len / 3, step->len - step->len / 3};
		step->io.niov = 2;
	}
	if (chance(10))
		step->io.flags |= NETFS_IO_NOWAIT;
	if (step->write) {
		crypt_script_fill(step->buf, step->start, step->len);
		netfs_core_write(&world->inode, &world->opener[direct], &step->io);
	} else {
		memset(step->buf, 0xa5, step->len);
		netfs_core_read(&world->inode, &world->opener[direct], &step->io);
	}
}

static void check_read(struct world *world, struct step *step, uint64_t size)
{
	size_t want = step->start >= size ? 0 : size - step->start;
	size_t at = 0;

	if (want > step->len)
		want = step->len;
	/* One that must not wait may have got less, or nothing. */
	if ((step->io.flags & NETFS_IO_NOWAIT) && step->result != want) {
		if (step->result == -EAGAIN)
			return;
		assert_false(step->io.flags & NETFS_IO_BORROW);
		assert_in_range(step->result, 1, want);
		want = step->result;
	}
	assert_int_equal(step->result, want);
	if (!(step->io.flags & NETFS_IO_BORROW)) {
		assert_memory_equal(step->buf, world->model + step->start, want);
		return;
	}
	for (unsigned i = 0; want && i < step->io.niov; i++) {
		assert_memory_equal(step->iov[i].iov_base, world->model + step->start + at,
				    step->iov[i].iov_len);
		at += step->iov[i].iov_len;
	}
	assert_int_equal(at, want);
	if (want)
		netfs_core_io_end(&step->io);
}

static bool overlaps(const struct step *a, const struct step *b)
{
	return a->start < b->start + b->len && b->start < a->start + a->len;
}

/* A few reads and writes at the same time.  Reads that a write of the batch
 * touches, or that lie where the size moves, are left out. */
static void run_batch(struct world *world)
{
	static struct step steps[BATCH];
	unsigned n = 1 + netfs_random_below(BATCH);
	uint64_t before = world->size;

	memset(steps, 0, sizeof(steps));
	for (unsigned i = 0; i < n; i++) {
		bool clash = false;

		steps[i].write = chance(50);
		pick_range(&steps[i]);
		for (unsigned j = 0; j < i; j++)
			clash |= overlaps(&steps[i], &steps[j]) &&
				 (steps[i].write || steps[j].write);
		if (!steps[i].write && steps[i].start + steps[i].len > before)
			clash |= i > 0;
		if (steps[i].write && steps[i].start + steps[i].len > before)
			for (unsigned j = 0; j < i; j++)
				clash |= !steps[j].write && steps[j].start + steps[j].len > before;
		if (clash) {
			n = i;
			break;
		}
	}
	for (unsigned i = 0; i < n; i++)
		start_io(world, &steps[i]);
	for (unsigned i = 0; i < n; i++) {
		assert_true(netfs_sim_run(step_finished, &steps[i], LIMIT_NS));
		world->ops++;
		if (!steps[i].write)
			check_read(world, &steps[i], before);
	}
	for (unsigned i = 0; i < n; i++) {
		if (steps[i].write) {
			if ((steps[i].io.flags & NETFS_IO_NOWAIT) && steps[i].result == -EAGAIN) {
				free(steps[i].buf);
				continue;
			}
			assert_int_equal(steps[i].result, steps[i].len);
			memcpy(world->model + steps[i].start, steps[i].buf, steps[i].len);
			if (steps[i].start + steps[i].len > world->size)
				world->size = steps[i].start + steps[i].len;
		}
		free(steps[i].buf);
	}
}

static uint64_t the_size;

static void prepare_resize(struct netfs_inode *inode, struct netfs_completion *done)
{
	netfs_inode_prepare_resize(inode, the_size, done);
}

static void flush_locked(struct netfs_inode *inode, struct netfs_completion *done)
{
	netfs_inode_flush_locked(inode, 0, UINT64_MAX, done);
}

static void truncate_to(struct world *world, uint64_t size)
{
	struct server *server = &world->server;

	assert_int_equal(run_completion(world, netfs_inode_lock), 0);
	the_size = size;
	assert_int_equal(run_completion(world, prepare_resize), 0);
	if (size < server->size)
		memset(server->data + size, 0, server->size - size);
	server->size = size;
	netfs_inode_resized(&world->inode, size);
	if (world->crypt)
		assert_int_equal(run_completion(world, flush_locked), 0);
	netfs_inode_unlock(&world->inode);
	if (size < world->size)
		memset(world->model + size, 0, world->size - size);
	world->size = size;
}

static void run_punch(struct world *world)
{
	struct step range;
	uint64_t end;

	pick_range(&range);
	if (range.start >= world->size)
		return;
	end = range.start + range.len < world->size ? range.start + range.len : world->size;
	if (world->crypt) {
		/* The layer above rounds, and sends what is dirty first. */
		range.start = netfs_crypt_down(range.start);
		end = end < world->size ? netfs_crypt_up(end) : end;
		if (end > world->size)
			end = world->size;
		assert_int_equal(run_completion(world, flush_all), 0);
	}
	assert_int_equal(run_completion(world, netfs_inode_lock), 0);
	memset(world->server.data + range.start, 0, end - range.start);
	netfs_inode_discard(&world->inode, range.start, end);
	if (chance(50))
		netfs_inode_set_zero(&world->inode, range.start, end);
	else
		netfs_inode_clear_zero(&world->inode, range.start, end);
	/* Dropped dirty data may have been what made the file so long. */
	if (world->server.size < world->size)
		world->server.size = world->size;
	netfs_inode_resized(&world->inode, world->size);
	netfs_inode_unlock(&world->inode);
	memset(world->model + range.start, 0, end - range.start);
}

/* Somebody else changes the file at the server; we learn of it. */
static void run_remote_change(struct world *world)
{
	struct netfs_inode_view view;
	uint64_t size = netfs_random_below(FILE_MAX);

	assert_int_equal(run_completion(world, flush_all), 0);
	netfs_inode_view(&world->inode, &view);
	assert_false(view.dirty);
	memset(world->server.data, 0, FILE_MAX);
	memset(world->model, 0, FILE_MAX);
	world->server.size = world->size = size;
	world_fill(world);
	assert_true(netfs_inode_remote_update(&world->inode, size, view.seq, true));
}

static void prepare_io(struct step *step, uint64_t start, size_t len)
{
	memset(step, 0, sizeof(*step));
	step->buf = malloc(len);
	step->len = len;
	memset(step->buf, 0x5a, len);
	step->iov[0] = (struct iovec){step->buf, len};
	step->io = (struct netfs_io){.done = io_done,
				     .user = step,
				     .iov = step->iov,
				     .niov = 1,
				     .start = start,
				     .len = len};
}

static void do_write(struct world *world, struct step *step, uint64_t start, size_t len)
{
	prepare_io(step, start, len);
	netfs_core_write(&world->inode, &world->opener[0], &step->io);
}

static void do_read(struct world *world, struct step *step, uint64_t start, size_t len)
{
	prepare_io(step, start, len);
	memset(step->buf, 0xa5, len);
	netfs_core_read(&world->inode, &world->opener[0], &step->io);
}

static void run_flush(struct world *world)
{
	assert_int_equal(run_completion(world, flush_all), 0);
	world_compare(world);
}

/* Somebody else changed a part of a block, which we never hear of, and we write
 * another part: both are there in the end. */
static void run_neighbour(struct world *world)
{
	static struct step step;
	uint8_t *block;
	uint64_t at;
	size_t half = NETFS_CRYPT_BLOCK / 2, low = netfs_random_below(half);

	if (!world->crypt || world->size < NETFS_CRYPT_BLOCK)
		return;
	assert_int_equal(run_completion(world, flush_all), 0);
	at = netfs_crypt_down(netfs_random_below(world->size - NETFS_CRYPT_BLOCK + 1));
	block = world->model + at;
	crypt_script_fill(block + half, at + half, 1 + netfs_random_below(half));
	assert_int_equal(netfs_crypt_encrypt(world->crypt, 0, at, block, world->server.data + at,
					     NETFS_CRYPT_BLOCK),
			 0);
	do_write(world, &step, at + low, 1 + netfs_random_below(half - low));
	assert_true(netfs_sim_run(step_finished, &step, LIMIT_NS));
	memcpy(block + low, step.buf, step.len);
	free(step.buf);
	run_flush(world);
}

/* Hints change nothing that can be read. */
static void run_advice(struct world *world)
{
	uint64_t start = netfs_random_below(FILE_MAX);

	assert_int_equal(
		netfs_core_advise(&world->inode, &world->opener[0], start,
				  netfs_random_below(FILE_MAX),
				  (enum netfs_advice)netfs_random_below(NETFS_ADVICE_DONTNEED + 1)),
		0);
}

static void run_seed(uint64_t seed, unsigned rounds, bool crypt)
{
	struct world *world = malloc(sizeof(*world));
	bool barriers;

	world_start_as(world, seed, crypt);
	barriers = chance(50);
	if (chance(50))
		world_add_cache(world);
	for (unsigned i = 0; i < rounds; i++) {
		unsigned what = netfs_random_below(100);

		if (chance(20))
			run_advice(world);
		if (barriers && chance(10))
			netfs_core_barrier(world->core);
		if (what < 80)
			run_batch(world);
		else if (what < 86)
			truncate_to(world, netfs_random_below(FILE_MAX));
		else if (what < 91)
			run_punch(world);
		else if (what < 93)
			run_remote_change(world);
		else if (what < 94)
			run_neighbour(world);
		else if (what < 97)
			netfs_inode_invalidate(&world->inode, 0, netfs_random_below(FILE_MAX));
		else
			run_flush(world);
	}
	assert_int_equal(run_completion(world, flush_all), 0);
	world_compare(world);
	world_end(world);
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
		run_seed(seed, 120, crypt);
	}
}

static void random_mix_matches_the_array(void **state)
{
	run_seeds(false);
	run_seeds(true);
}

/* --------------------------------------------------- single behaviours */

/* Memory is wanted elsewhere: the clean folios go. */
static void evict_all(struct world *world)
{
	uint64_t much = 64 << 20;

	while (netfs_core_cached(world->core)) {
		assert_false(netfs_budget_charge(world->budget, much, NULL, false));
	}
}

/* The server is full: the flush says so, the data stays, each opener is told
 * once, and after the server has room the data arrives. */
static void refused_data_is_kept_and_sent_later(void **state)
{
	struct world *world = malloc(sizeof(*world));
	static struct step step;
	uint32_t opener_a, opener_b;

	world_start(world, 7);
	opener_a = opener_b = netfs_inode_error_sample(&world->inode);
	world->server.refuse_writes = -ENOSPC;
	do_write(world, &step, 100, 5000);
	assert_true(step.finished);
	assert_int_equal(step.result, 5000);
	free(step.buf);
	assert_int_equal(run_completion(world, flush_all), -ENOSPC);
	assert_true(netfs_core_stuck(world->core) > 0);
	assert_int_equal(netfs_core_dirty(world->core), 5000);
	assert_int_equal(netfs_inode_error_check(&world->inode, &opener_a), -ENOSPC);
	assert_int_equal(netfs_inode_error_check(&world->inode, &opener_a), 0);
	assert_int_equal(netfs_inode_error_check(&world->inode, &opener_b), -ENOSPC);
	assert_int_equal(run_completion(world, flush_all), -ENOSPC);
	world->server.refuse_writes = 0;
	assert_int_equal(run_completion(world, flush_all), 0);
	assert_int_equal(netfs_core_stuck(world->core), 0);
	for (unsigned i = 100; i < 5100; i++)
		assert_int_equal(world->server.data[i], 0x5a);
	world_end(world);
}

static bool no_requests(void *user)
{
	return netfs_core_requests(((struct world *)user)->core) == 0;
}

/* What the server refused is not in the cache either: after a crash it would be
 * taken for the server's. */
static void refused_data_is_not_cached(void **state)
{
	struct world *world = malloc(sizeof(*world));
	static struct step step;

	for (uint64_t seed = 20; seed < 60; seed++) {
		world_start(world, seed);
		world_add_cache(world);
		world->cache.error_pct = world->cache.short_pct = world->cache.cull_pct = 0;
		world->cache.dead = false;
		world->server.refuse_writes = -EDQUOT;
		do_write(world, &step, 0, 100000);
		assert_int_equal(run_completion(world, flush_all), -EDQUOT);
		assert_true(netfs_sim_run(no_requests, world, LIMIT_NS));
		assert_false(netfs_ranges_overlaps(&world->cache.there, 0, 100000));
		world->server.refuse_writes = 0;
		assert_int_equal(run_completion(world, flush_all), 0);
		assert_true(netfs_sim_run(no_requests, world, LIMIT_NS));
		assert_true(netfs_ranges_covers(&world->cache.there, 0, 98304));
		free(step.buf);
		world_stop(world);
	}
	free(world);
}

/* What the cache has is not asked of the server. */
static void cached_data_is_read_from_the_cache(void **state)
{
	struct world *world = malloc(sizeof(*world));
	static struct step step;
	unsigned asked;

	world_start(world, 13);
	world_add_cache(world);
	world->cache.error_pct = world->cache.short_pct = world->cache.cull_pct = 0;
	world->cache.dead = false;
	do_write(world, &step, 0, 100000);
	free(step.buf);
	assert_int_equal(run_completion(world, flush_all), 0);
	assert_true(netfs_sim_run(no_requests, world, LIMIT_NS));
	evict_all(world);
	asked = world->server.reads;
	/* Not from the start, which would look like a stream. */
	do_read(world, &step, 4096, 80000);
	assert_true(netfs_sim_run(step_finished, &step, LIMIT_NS));
	assert_int_equal(step.result, 80000);
	assert_memory_equal(step.buf, world->server.data + 4096, 80000);
	assert_int_equal(world->server.reads, asked);
	assert_true(world->cache.reads > 0);
	free(step.buf);
	world_end(world);
}

/* A write that changes bytes under upload does not wait for the upload. */
static void writer_does_not_wait_for_upload(void **state)
{
	struct world *world = malloc(sizeof(*world));
	static struct step first, second, flush;

	world_start(world, 8);
	world->server.error_pct = world->server.short_pct = 0;
	do_write(world, &first, 0, 4096);
	flush = (struct step){.done.fn = completion_done};
	netfs_inode_flush(&world->inode, 0, UINT64_MAX, &flush.done);
	assert_false(flush.finished);
	do_write(world, &second, 0, 4096);
	assert_true(second.finished);
	assert_false(flush.finished);
	assert_int_equal(netfs_stats_get(&world->stats, NETFS_STAT_write_copied), 1);
	assert_true(netfs_sim_run(step_finished, &flush, LIMIT_NS));
	assert_int_equal(run_completion(world, flush_all), 0);
	free(first.buf);
	free(second.buf);
	world_end(world);
}

/* An aborted core lets nobody wait, although the server never answers. */
static void abort_ends_everything(void **state)
{
	struct world *world = malloc(sizeof(*world));
	static struct step read, write, flush;

	world_start(world, 9);
	world->server.deaf = true;
	world->server.size = 300000;
	netfs_inode_remote_update(&world->inode, 300000, 0, true);
	do_write(world, &write, 0, 100);
	do_read(world, &read, 200000, 1000);
	flush = (struct step){.done.fn = completion_done};
	netfs_inode_flush(&world->inode, 0, UINT64_MAX, &flush.done);
	netfs_core_abort(world->core);
	assert_true(netfs_sim_run(step_finished, &read, LIMIT_NS));
	assert_true(netfs_sim_run(step_finished, &flush, LIMIT_NS));
	/* What was on its way becomes dirty again when its answer is looked at. */
	assert_true(netfs_sim_run(no_requests, world, LIMIT_NS));
	assert_true(read.result < 0);
	assert_true(flush.result < 0);
	assert_int_equal(netfs_inode_drop_dirty(&world->inode), 100);
	free(read.buf);
	free(write.buf);
	world_end(world);
}

/* A read nobody needs any more ends at once, and nothing is left of it. */
static void cancelled_read_ends(void **state)
{
	struct world *world = malloc(sizeof(*world));
	static struct step step;

	for (int direct = 0; direct < 2; direct++) {
		world_start(world, 10 + direct);
		world->server.size = 300000;
		netfs_inode_remote_update(&world->inode, 300000, 0, true);
		world->opener[0] = world->opener[direct];
		do_read(world, &step, 0, 1000);
		assert_false(step.finished);
		netfs_core_io_cancel(&world->inode, &step.io);
		assert_true(netfs_sim_run(step_finished, &step, LIMIT_NS));
		assert_int_equal(step.result, -EINTR);
		free(step.buf);
		world_stop(world);
	}
	free(world);
}

/* Dirty data that is cut off while a flush waits for it does not come any
 * more, and the flush must not wait for it for ever. */
static void flush_does_not_wait_for_discarded_data(void **state)
{
	struct world *world = malloc(sizeof(*world));
	static struct step write, flush;

	world_start(world, 12);
	do_write(world, &write, 0, 10000);
	assert_int_equal(run_completion(world, netfs_inode_lock), 0);
	flush = (struct step){.done.fn = completion_done};
	netfs_inode_flush(&world->inode, 0, UINT64_MAX, &flush.done);
	assert_false(flush.finished);
	world->server.size = 0;
	netfs_inode_resized(&world->inode, 0);
	netfs_inode_unlock(&world->inode);
	assert_true(netfs_sim_run(step_finished, &flush, LIMIT_NS));
	assert_int_equal(flush.result, 0);
	assert_int_equal(world->server.writes, 0);
	free(write.buf);
	world_end(world);
}

static struct world *encrypted_world(uint64_t seed)
{
	struct world *world = malloc(sizeof(*world));

	world_start_as(world, seed, true);
	world->server.size = world->size = 5000;
	memset(world->model, 0, FILE_MAX);
	memset(world->server.data, 0, FILE_MAX);
	world_fill(world);
	netfs_inode_remote_update(&world->inode, world->size, 0, true);
	return world;
}

/* Others write, and we never hear of it.  What is ours is not in the model yet. */
static void others_write(struct world *world, uint64_t start, size_t len)
{
	crypt_script_fill(world->model + start, start, len);
	if (start + len > world->size)
		world->server.size = world->size = start + len;
	crypt_script_encrypt(world->crypt, world->model, world->server.data, world->size);
}

static void ours_is_sent(struct world *world, uint64_t start, size_t len)
{
	memset(world->model + start, 0x5a, len);
	run_flush(world);
}

static void read_is_right(struct world *world, uint64_t start, size_t len)
{
	struct step *step = malloc(sizeof(*step));

	do_read(world, step, start, len);
	assert_true(netfs_sim_run(step_finished, step, LIMIT_NS));
	assert_memory_equal(step->buf, world->model + start, len);
	free(step->buf);
	free(step);
}

static bool has_grown(void *user)
{
	return ((struct world *)user)->server.size > 2 * NETFS_CRYPT_BLOCK;
}

/* A crash at any moment must not leave an old last block of the wrong length. */
static void growing_file_sends_its_last_block_first(void **state)
{
	static struct step step;

	for (uint64_t seed = 30; seed < 60; seed++) {
		struct world *world = encrypted_world(seed);

		do_write(world, &step, 300000, 100);
		assert_true(netfs_sim_run(has_grown, world, LIMIT_NS));
		crypt_script_check(world->crypt, world->server.data, world->model,
				   2 * NETFS_CRYPT_BLOCK);
		free(step.buf);
		world_end(world);
	}
}

/* Without the rest of its block a byte cannot be sent: the writer is told. */
static void block_whose_rest_cannot_be_read_is_kept(void **state)
{
	struct world *world = encrypted_world(61);
	static struct step step;

	world->server.refuse_reads = -EACCES;
	do_write(world, &step, 100, 10);
	assert_int_equal(run_completion(world, flush_all), -EACCES);
	assert_int_equal(world->server.writes, 0);
	assert_true(netfs_core_stuck(world->core) > 0);
	world->server.refuse_reads = 0;
	memset(world->model + 100, 0x5a, 10);
	run_flush(world);
	free(step.buf);
	world_end(world);
}

/* What others did to the rest of a block meanwhile is not undone. */
static void direct_write_reads_the_rest_anew(void **state)
{
	struct world *world = encrypted_world(62);
	static struct step step;

	read_is_right(world, 0, 4000);
	world_fill(world);
	world->opener[0] = world->opener[1];
	do_write(world, &step, 100, 10);
	assert_true(netfs_sim_run(step_finished, &step, LIMIT_NS));
	memset(world->model + 100, 0x5a, 10);
	world_compare(world);
	free(step.buf);
	world_end(world);
}

/* What others did to the rest of a block that is in memory is not undone, and is
 * seen here when ours was sent. */
static void change_beside_ours_is_kept(void **state)
{
	struct world *world = encrypted_world(63);
	static struct step step;

	read_is_right(world, 0, 4000);
	do_write(world, &step, 100, 10);
	free(step.buf);
	others_write(world, 50, 2000);
	ours_is_sent(world, 100, 10);
	assert_int_equal(netfs_stats_get(&world->stats, NETFS_STAT_crypt_conflicts), 2);
	read_is_right(world, 0, 4000);
	world_end(world);
}

/* Where others and we wrote the same bytes ours stay, also those that were
 * written while the block was read again. */
static void ours_stay_where_others_wrote_too(void **state)
{
	struct world *world = encrypted_world(64);
	static struct step first, second, flush;

	read_is_right(world, 0, 4000);
	do_write(world, &first, 100, 10);
	others_write(world, 0, 1000);
	flush = (struct step){.done.fn = completion_done};
	netfs_inode_flush(&world->inode, 0, UINT64_MAX, &flush.done);
	do_write(world, &second, 500, 10);
	memset(world->model + 100, 0x5a, 10);
	assert_true(netfs_sim_run(step_finished, &flush, LIMIT_NS));
	assert_int_equal(flush.result, 0);
	ours_is_sent(world, 500, 10);
	read_is_right(world, 0, 4000);
	free(first.buf);
	free(second.buf);
	world_end(world);
}

/* Only blocks that are ours in part are read again, and our own uploads are no
 * change by others. */
static void blocks_of_ours_are_not_read_again(void **state)
{
	static const struct {
		unsigned start, len, checks;
	} writes[] = {{100, 10, 1},  {300, 10, 1},  {0, 4096, 0},    {0, 5000, 0},  {4096, 904, 0},
		      {10, 4990, 1}, {4000, 96, 1}, {4000, 1000, 1}, {4000, 200, 2}};
	struct world *world = encrypted_world(65);
	static struct step step;
	uint64_t checks = 0;

	for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		do_write(world, &step, writes[i].start, writes[i].len);
		free(step.buf);
		ours_is_sent(world, writes[i].start, writes[i].len);
		checks += writes[i].checks;
		assert_int_equal(netfs_stats_get(&world->stats, NETFS_STAT_crypt_checks), checks);
	}
	assert_int_equal(netfs_stats_get(&world->stats, NETFS_STAT_crypt_conflicts), 0);
	world_end(world);
}

/* The bytes of a last block depend on its length: what others appended to it
 * would become garbage. */
static void last_block_that_others_made_longer_is_kept(void **state)
{
	struct world *world = encrypted_world(66);
	struct netfs_inode_view view;
	static struct step step;

	read_is_right(world, 0, 5000);
	do_write(world, &step, 4200, 10);
	free(step.buf);
	others_write(world, 5000, 1000);
	ours_is_sent(world, 4200, 10);
	netfs_inode_view(&world->inode, &view);
	assert_int_equal(view.size, 6000);
	read_is_right(world, 0, 6000);
	world_end(world);
}

/* The block in which a file is cut is written anew, with what others did to it. */
static void cut_keeps_what_others_wrote(void **state)
{
	struct world *world = encrypted_world(68);

	read_is_right(world, 0, 5000);
	others_write(world, 100, 1000);
	truncate_to(world, 2000);
	run_flush(world);
	read_is_right(world, 0, 2000);
	others_write(world, 100, 1000);
	truncate_to(world, 3000);
	run_flush(world);
	world_end(world);
}

/* Who may not read the file sends what is in memory or a hole. */
static void unreadable_file_is_not_read_again(void **state)
{
	struct world *world = encrypted_world(67);
	static struct step step;

	truncate_to(world, 8192);
	read_is_right(world, 0, 8192);
	world->server.handle.readable = false;
	do_write(world, &step, 100, 10);
	free(step.buf);
	ours_is_sent(world, 100, 10);
	do_write(world, &step, 20000, 10);
	free(step.buf);
	world->size = 20010;
	ours_is_sent(world, 20000, 10);
	assert_int_equal(netfs_stats_get(&world->stats, NETFS_STAT_crypt_checks), 0);
	world_end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writer_does_not_wait_for_upload),
		cmocka_unit_test(refused_data_is_kept_and_sent_later),
		cmocka_unit_test(refused_data_is_not_cached),
		cmocka_unit_test(cached_data_is_read_from_the_cache),
		cmocka_unit_test(cancelled_read_ends),
		cmocka_unit_test(flush_does_not_wait_for_discarded_data),
		cmocka_unit_test(abort_ends_everything),
		cmocka_unit_test(growing_file_sends_its_last_block_first),
		cmocka_unit_test(block_whose_rest_cannot_be_read_is_kept),
		cmocka_unit_test(direct_write_reads_the_rest_anew),
		cmocka_unit_test(change_beside_ours_is_kept),
		cmocka_unit_test(ours_stay_where_others_wrote_too),
		cmocka_unit_test(blocks_of_ours_are_not_read_again),
		cmocka_unit_test(last_block_that_others_made_longer_is_kept),
		cmocka_unit_test(cut_keeps_what_others_wrote),
		cmocka_unit_test(unreadable_file_is_not_read_again),
		cmocka_unit_test(random_mix_matches_the_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
