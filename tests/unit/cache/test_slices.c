/* SPDX-License-Identifier: MIT */
/*
 * Goal: slices of any shape come back from the disk as they went there, up to the
 * first block that was damaged; and writes of a sealed folder wait for memory.
 * Method: one cookie on the simulated disk beside an array of bytes, plain and
 * sealed; slices are cut into pieces of random lengths.  The disk moves only
 * when the test says so, so that writes pile up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <cache/cache.h>
#include <env/clock.h>
#include <env/executor.h>
#include <env/hostfs.h>
#include <env/sim/disk.h>
#include <env/sim/sim.h>
#include <t.h>
#include "put_block.h"

#define FOLDER "/cache"
#define VOLUME "9p://server/a"
#define BLOCK  NETFS_CACHE_GRANULE
#define BLOCKS 40
#define SIZE   (BLOCKS * BLOCK - 1000)
#define PIECES 30
#define BIG    (UINT64_C(1) << 20)
/* What a cache may have in memory of sealed writes. */
#define BIG_MAX 32

static struct netfs_sim_disk *disk;
static struct netfs_cache *cache;
static struct netfs_rng rng;
static uint8_t file[BLOCKS * BLOCK];

static uint64_t draw(uint64_t bound)
{
	return netfs_rng_below(&rng, bound);
}

static void world_start(bool sealed, const char *name)
{
	struct netfs_cache_config config = {
		.folder = FOLDER,
		.volume = VOLUME,
		.secret = sealed ? (const uint8_t *)PUT_SECRET : NULL,
		.secret_len = PUT_SECRET_LEN,
		.blocks = {.run = 7, .cull = 5, .stop = 1},
		.files = {.run = 7, .cull = 5, .stop = 1},
	};

	t_rng(&rng, name);
	netfs_sim_start(t_seed());
	disk = netfs_sim_disk_new(t_seed());
	netfs_sim_disk_use(disk);
	assert_int_equal(netfs_executor_start(0), 0);
	assert_int_equal(netfs_cache_open(&config, &cache, NULL, 0), 0);
}

static void world_stop(void)
{
	netfs_cache_close(cache);
	netfs_executor_stop();
	netfs_sim_disk_use(NULL);
	netfs_sim_disk_free(disk);
	netfs_sim_stop();
}

static bool is_true(void *user)
{
	return *(bool *)user;
}

static void wait_until(bool *what)
{
	assert_true(netfs_sim_run(is_true, what, 10 * NETFS_NS_PER_SEC));
}

/* -------------------------------------------------------------- a file */

static unsigned told; /* there is room again */

static void ready(void *user)
{
	told++;
}

struct use {
	struct netfs_cache_wait wait;
	bool done;
};

static void used(struct netfs_cache_wait *wait)
{
	netfs_container_of(wait, struct use, wait)->done = true;
}

static struct netfs_cookie *open_cookie(uint64_t ino)
{
	struct netfs_cache_file named = {.ino = ino, .gen = 7, .ready = ready};
	struct netfs_cookie *cookie = cache->acquire(cache, &named);
	struct netfs_cache_version version = {.counter = 1, .size = SIZE};
	struct use use = {.wait.done = used};

	assert_non_null(cookie);
	cookie->ops->version(cookie, &version);
	cookie->ops->use(cookie, &use.wait);
	wait_until(&use.done);
	return cookie;
}

struct move {
	struct netfs_slice slice;
	struct iovec iov[PIECES];
	size_t moved;
	int err;
	bool done;
};

static void moved(struct netfs_slice *slice, size_t bytes, int err, unsigned flags)
{
	struct move *move = netfs_container_of(slice, struct move, slice);

	move->moved = bytes;
	move->err = err;
	move->done = true;
}

static ssize_t begin(struct netfs_cookie *cookie, struct move *move)
{
	move->slice.iov = move->iov;
	move->slice.done = moved;
	return move->slice.kind == NETFS_SLICE_READ ? cookie->ops->read(cookie, &move->slice)
						    : cookie->ops->write(cookie, &move->slice);
}

/* Cuts memory into pieces. */
static void cut(struct move *move, uint8_t *bytes)
{
	struct netfs_slice *slice = &move->slice;
	size_t at = 0;

	for (slice->niov = 0; at < slice->len; slice->niov++) {
		size_t len = draw(3) ? 1 + draw(2 * BLOCK) : BLOCK;

		if (len > slice->len - at || slice->niov == PIECES - 1)
			len = slice->len - at;
		move->iov[slice->niov] = (struct iovec){bytes + at, len};
		at += len;
	}
}

static void put(struct netfs_cookie *cookie, unsigned first, unsigned n)
{
	struct move move = {.slice = {.kind = NETFS_SLICE_WRITE, .start = first * BLOCK}};
	uint64_t end = (first + n) * BLOCK;

	move.slice.len = (end < SIZE ? end : SIZE) - first * BLOCK;
	for (size_t i = 0; i < move.slice.len; i++)
		file[first * BLOCK + i] = (uint8_t)netfs_rng_u64(&rng);
	cut(&move, file + first * BLOCK);
	assert_int_equal(begin(cookie, &move), move.slice.len);
	wait_until(&move.done);
	assert_int_equal(move.err, 0);
	assert_int_equal(move.moved, move.slice.len);
}

/* Reads what is there from a place on; what came of it. */
static struct move get(struct netfs_cookie *cookie, uint64_t start, uint64_t end)
{
	static uint8_t bytes[BLOCKS * BLOCK];
	struct move move = {.slice = {.kind = NETFS_SLICE_READ}};
	uint64_t from, to;

	if (!cookie->ops->present(cookie, start, end, &from, &to))
		return move;
	move.slice.start = from;
	move.slice.len = to - from;
	cut(&move, bytes);
	assert_int_equal(begin(cookie, &move), move.slice.len);
	wait_until(&move.done);
	assert_true(move.moved <= move.slice.len);
	assert_memory_equal(bytes, file + from, move.moved);
	return move;
}

/* Flips a bit of that block on the disk. */
static void damage(uint64_t ino, bool sealed, unsigned block)
{
	char name[NETFS_STORE_NAME], path[80];
	struct netfs_store *store;
	struct netfs_store_key key;
	int64_t volume;
	uint8_t byte;
	int fd;

	assert_int_equal(netfs_store_open(FOLDER, true, &store, NULL, 0), 0);
	if (sealed)
		assert_int_equal(
			netfs_store_seal(store, (const uint8_t *)PUT_SECRET, PUT_SECRET_LEN), 0);
	assert_int_equal(netfs_store_volume(store, VOLUME, &volume), 0);
	assert_int_equal(netfs_store_key(store, ino, 7, &key), 0);
	assert_int_equal(netfs_store_name(store, &key, name), 0);
	netfs_store_close(store);
	snprintf(path, sizeof(path), "%s/%s", FOLDER, name);
	fd = netfs_hostfs_open(AT_FDCWD, path, O_RDWR, 0);
	assert_true(fd >= 0);
	assert_int_equal(netfs_hostfs_pread(fd, &byte, 1, block * BLOCK + 99), 1);
	byte ^= 0x10;
	assert_int_equal(netfs_hostfs_pwrite(fd, &byte, 1, block * BLOCK + 99), 0);
	netfs_hostfs_close(fd);
}

static void any_shape_comes_back(bool sealed)
{
	struct netfs_cookie *cookie;
	unsigned reads = 0, cuts = 0;

	world_start(sealed, "shapes");
	cookie = open_cookie(5);
	put(cookie, 0, BLOCKS);
	for (unsigned i = 0; i < 400; i++) {
		unsigned block = (unsigned)draw(BLOCKS), bad;
		uint64_t start = draw(SIZE), end = start + 1 + draw(SIZE - start);
		struct move move;

		put(cookie, block, 1 + (unsigned)draw(BLOCKS - block < 8 ? BLOCKS - block : 8));
		move = get(cookie, start, end);
		assert_int_equal(move.err, 0);
		assert_true(move.slice.start == start && move.moved == end - start);
		reads++;
		if (draw(4))
			continue;
		/* One block is damaged: what is before it is read, and it is gone. */
		bad = (unsigned)draw(BLOCKS);
		damage(5, sealed, bad);
		move = get(cookie, 0, SIZE);
		assert_int_equal(move.err, -EILSEQ);
		assert_int_equal(move.moved, bad * BLOCK);
		move = get(cookie, bad * BLOCK, bad * BLOCK + 1);
		assert_int_equal(move.slice.len, 0);
		put(cookie, bad, 1);
		cuts++;
	}
	assert_true(reads == 400 && cuts > 20);
	cache->relinquish(cache, cookie);
	world_stop();
}

static void plain_slices_of_any_shape_come_back(void **state)
{
	any_shape_comes_back(false);
}

static void sealed_slices_of_any_shape_come_back(void **state)
{
	any_shape_comes_back(true);
}

/* ---------------------------------------------------------- buffers */

static uint8_t big[BIG];

static ssize_t put_big(struct netfs_cookie *cookie, struct move *move, uint64_t n)
{
	*move = (struct move){
		.slice = {.kind = NETFS_SLICE_WRITE, .start = n * BIG, .len = BIG, .niov = 1}};
	move->iov[0] = (struct iovec){big, BIG};
	return begin(cookie, move);
}

static void sealed_writes_wait_for_memory(void **state)
{
	static struct move moves[BIG_MAX + 1], other;
	struct netfs_cookie *one, *two;

	world_start(true, "buffers");
	told = 0;
	one = open_cookie(5);
	two = open_cookie(6);
	for (unsigned i = 0; i < BIG_MAX; i++)
		assert_int_equal(put_big(one, &moves[i], i), BIG);
	assert_int_equal(put_big(one, &moves[BIG_MAX], BIG_MAX), -EAGAIN);
	/* It was refused as it was. */
	assert_int_equal(moves[BIG_MAX].slice.len, BIG);
	/* One that has nothing under way nobody would tell: it gets a little. */
	assert_int_equal(put_big(two, &other, 0), 64 << 10);
	assert_int_equal(other.slice.len, 64 << 10);
	assert_int_equal(other.iov[0].iov_len, 64 << 10);
	assert_int_equal(told, 0);
	wait_until(&other.done);
	assert_int_equal(other.moved, 64 << 10);
	for (unsigned i = 0; i < BIG_MAX; i++) {
		wait_until(&moves[i].done);
		assert_int_equal(moves[i].moved, BIG);
	}
	assert_int_equal(told, 1);
	assert_int_equal(put_big(one, &moves[BIG_MAX], BIG_MAX), BIG);
	wait_until(&moves[BIG_MAX].done);
	cache->relinquish(cache, one);
	cache->relinquish(cache, two);
	world_stop();
}

static void plain_writes_need_none(void **state)
{
	static struct move moves[BIG_MAX + 1];
	struct netfs_cookie *cookie;

	world_start(false, "no buffers");
	cookie = open_cookie(5);
	for (unsigned i = 0; i <= BIG_MAX; i++)
		assert_int_equal(put_big(cookie, &moves[i], i), BIG);
	for (unsigned i = 0; i <= BIG_MAX; i++)
		wait_until(&moves[i].done);
	cache->relinquish(cache, cookie);
	world_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_slices_of_any_shape_come_back),
		cmocka_unit_test(sealed_slices_of_any_shape_come_back),
		cmocka_unit_test(sealed_writes_wait_for_memory),
		cmocka_unit_test(plain_writes_need_none),
	};

	return t_run(tests, NULL, NULL);
}
