/* SPDX-License-Identifier: MIT */
/*
 * Goal: a cache never takes more of the disk than it may, also while all it has
 * is of files that are open, and goes on taking what is new.
 * Method: the cache on the simulated disk; files larger than the limit are
 * stored in it piece by piece; after each piece the disk is asked what it takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <env/alloc.h>
#include <base/rng.h>
#include <cache/cache.h>
#include <cache/store/files.h>
#include <env/clock.h>
#include <env/executor.h>
#include <env/hostfs.h>
#include <env/sim/disk.h>
#include <env/sim/sim.h>
#include <t.h>

#define BLOCK  NETFS_CACHE_GRANULE
#define PIECE  (8 * BLOCK)
#define FILES  2
#define LIMIT  (UINT64_C(4) << 20)
#define PIECES 400
#define VOLUME "9p://server/a"

static struct netfs_sim_disk *disk;
static struct netfs_cache *cache;
static struct netfs_cookie *cookies[FILES];

struct move {
	struct netfs_slice slice;
	struct iovec iov;
	uint8_t buf[PIECE];
	ssize_t result;
};

static bool never(void *user)
{
	return false;
}

static void settle(void)
{
	netfs_sim_run(never, NULL, NETFS_NS_PER_MS);
}

static void done(struct netfs_slice *slice, size_t moved, int err, unsigned flags)
{
	netfs_container_of(slice, struct move, slice)->result = err ? err : (ssize_t)moved;
}

static ssize_t move_begin(struct netfs_cookie *cookie, struct move *move,
			  enum netfs_slice_kind kind, uint64_t start)
{
	move->iov = (struct iovec){move->buf, PIECE};
	move->slice = (struct netfs_slice){.kind = kind,
					   .start = start,
					   .len = PIECE,
					   .iov = &move->iov,
					   .niov = 1,
					   .done = done};
	move->result = -EINPROGRESS;
	return kind == NETFS_SLICE_READ ? cookie->ops->read(cookie, &move->slice)
					: cookie->ops->write(cookie, &move->slice);
}

static ssize_t move(struct netfs_cookie *cookie, struct move *move, enum netfs_slice_kind kind,
		    uint64_t start)
{
	ssize_t taken = move_begin(cookie, move, kind, start);

	settle();
	return taken < 0 ? taken : move->result;
}

static void ready(void *user)
{
}

static void used(struct netfs_cache_wait *wait)
{
}

static void open_file(unsigned ino)
{
	static struct netfs_cache_wait waits[FILES];
	struct netfs_cache_file file = {.ino = ino, .gen = 7, .ready = ready};
	struct netfs_cache_version version = {.counter = 1};

	cookies[ino] = cache->acquire(cache, &file);
	cookies[ino]->ops->version(cookies[ino], &version);
	waits[ino].done = used;
	cookies[ino]->ops->use(cookies[ino], &waits[ino]);
	settle();
}

static void open_cache(void)
{
	char message[300] = "";
	struct netfs_cache_config config = {
		.folder = "/cache",
		.volume = VOLUME,
		.size = LIMIT,
		.blocks = {.run = 7, .cull = 5, .stop = 1},
		.files = {.run = 7, .cull = 5, .stop = 1},
	};

	assert_int_equal(netfs_executor_start(0), 0);
	assert_int_equal(netfs_cache_open(&config, &cache, message, sizeof(message)), 0);
	for (unsigned i = 0; i < FILES; i++)
		open_file(i);
}

static void close_file(unsigned ino)
{
	cache->relinquish(cache, netfs_take(cookies[ino]));
	settle();
}

static void close_cache(void)
{
	for (unsigned i = 0; i < FILES; i++)
		close_file(i);
	netfs_cache_close(cache);
	netfs_executor_stop();
}

static int setup(void **state)
{
	netfs_sim_start(1);
	disk = netfs_sim_disk_new(1);
	netfs_sim_disk_use(disk);
	return 0;
}

static int teardown(void **state)
{
	netfs_sim_disk_use(NULL);
	netfs_sim_disk_free(disk);
	netfs_sim_stop();
	return 0;
}

/* Bytes of the disk that the objects take. */
static uint64_t taken(void)
{
	char name[NETFS_STORE_NAME], path[80];
	struct timespec btime;
	struct stat st;
	uint64_t sum = 0;

	for (unsigned i = 0; i < FILES; i++) {
		netfs_files_name(VOLUME, i, 7, name);
		snprintf(path, sizeof(path), "/cache/%s", name);
		if (netfs_hostfs_stat(AT_FDCWD, path, &st, &btime) == 0)
			sum += (uint64_t)st.st_blocks * 512;
	}
	return sum;
}

static uint64_t present(unsigned ino)
{
	uint64_t from, to, at = 0, sum = 0;

	for (; cookies[ino]->ops->present(cookies[ino], at, PIECES * PIECE, &from, &to); at = to)
		sum += to - from;
	return sum;
}

/* Each file from its start to its end, in turn; more than the cache may have. */
static void fill(void)
{
	static struct move piece;
	unsigned refused = 0;

	for (unsigned i = 0; i < PIECES; i++) {
		ssize_t result;

		memset(piece.buf, (int)(1 + i % 200), PIECE);
		result = move(cookies[i % FILES], &piece, NETFS_SLICE_WRITE, i * PIECE);
		assert_true(result == PIECE || result == -ENOSPC);
		refused += result < 0;
		assert_true(taken() <= LIMIT);
	}
	/* Room is made before there is none. */
	assert_int_equal(refused, 0);
}

static void limit_holds_inside_open_files(void **state)
{
	static struct move piece;
	uint64_t kept;

	open_cache();
	fill();
	kept = present(0) + present(1);
	assert_in_range(kept, LIMIT * 9 / 10 - PIECE, LIMIT);
	/* What is there is what was stored, and what was used last is there. */
	for (unsigned i = PIECES - 20; i < PIECES; i++) {
		ssize_t result = move(cookies[i % FILES], &piece, NETFS_SLICE_READ, i * PIECE);

		assert_true(result == PIECE || result == -ESTALE);
		if (result == PIECE)
			assert_int_equal(piece.buf[PIECE - 1], 1 + i % 200);
	}
	close_cache();
}

/* The bytes of a chunk that goes may be recorded already, or not yet. */
static void limit_holds_with_what_was_recorded_before(void **state)
{
	uint64_t before;

	open_cache();
	fill();
	close_cache();
	assert_true(taken() <= LIMIT);
	open_cache();
	before = present(0) + present(1);
	assert_true(before > LIMIT / 2);
	fill();
	close_cache();
	assert_true(taken() <= LIMIT);
}

/* Writes that are overtaken, fail or are forgotten take their space once. */
static void limit_holds_whatever_becomes_of_writes(void **state)
{
	static struct move pieces[3];
	struct netfs_rng rng;
	unsigned stored = 0;

	t_rng(&rng, __func__);
	open_cache();
	for (unsigned i = 0; i < 4000; i++) {
		struct netfs_cookie *cookie = cookies[netfs_rng_below(&rng, FILES)];
		unsigned n = 1 + netfs_rng_below(&rng, 3);

		for (unsigned k = 0; k < n; k++)
			move_begin(cookie, &pieces[k], NETFS_SLICE_WRITE,
				   netfs_rng_below(&rng, PIECES) * PIECE);
		if (netfs_rng_below(&rng, 2))
			cookie->ops->forget(cookie, 0, netfs_rng_below(&rng, PIECES) * PIECE);
		settle();
		assert_true(taken() <= LIMIT);
	}
	for (unsigned i = 0; i < 20; i++)
		stored += move(cookies[0], &pieces[0], NETFS_SLICE_WRITE, (PIECES + i) * PIECE) ==
			  PIECE;
	assert_in_range(stored, 15, 20);
	close_cache();
	assert_true(taken() <= LIMIT);
}

/* Puts the first MiB of a file there, or reads it from there. */
static void pass(unsigned ino, enum netfs_slice_kind kind)
{
	static struct move piece;

	memset(piece.buf, 'h', PIECE);
	for (unsigned i = 0; i < (1 << 20) / PIECE; i++)
		assert_int_equal(move(cookies[ino], &piece, kind, i * PIECE), PIECE);
}

/* Twelve turnovers of another file. */
static void flood(void)
{
	static struct move piece;

	for (unsigned i = 0; i < 12 * LIMIT / PIECE; i++)
		move(cookies[1], &piece, NETFS_SLICE_WRITE, i * PIECE);
}

/* What is used again and again outlives a scan, whether it is open or not. */
static void scan_leaves_what_is_used_again(void **state)
{
	static struct move piece;

	open_cache();
	pass(0, NETFS_SLICE_WRITE);
	for (unsigned again = 0; again < 3; again++) {
		close_cache();
		open_cache();
		pass(0, NETFS_SLICE_READ);
	}
	for (unsigned i = 0; i < 2 * LIMIT / PIECE; i++)
		move(cookies[1], &piece, NETFS_SLICE_WRITE, i * PIECE);
	assert_int_equal(present(0), 1 << 20);
	close_cache();
	open_cache();
	close_file(0);
	for (unsigned i = 0; i < LIMIT / PIECE; i++)
		move(cookies[1], &piece, NETFS_SLICE_WRITE, (400 + i) * PIECE);
	open_file(0);
	assert_int_equal(present(0), 1 << 20);
	/* Nor does it stay for ever. */
	flood();
	assert_true(present(0) < 1 << 20);
	close_cache();
}

static void pinned_file_stays(void **state)
{
	open_cache();
	assert_int_equal(cookies[0]->ops->pin(cookies[0], true), 0);
	pass(0, NETFS_SLICE_WRITE);
	flood();
	assert_int_equal(present(0), 1 << 20);
	close_cache();
	/* Closed, and a mount later. */
	open_cache();
	close_file(0);
	flood();
	open_file(0);
	assert_int_equal(present(0), 1 << 20);
	pass(0, NETFS_SLICE_READ);
	assert_int_equal(cookies[0]->ops->pin(cookies[0], false), 0);
	flood();
	assert_true(present(0) < 1 << 20);
	cookies[0]->ops->unuse(cookies[0]);
	assert_int_equal(cookies[0]->ops->pin(cookies[0], true), -EBUSY);
	close_cache();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(limit_holds_inside_open_files, setup, teardown),
		cmocka_unit_test_setup_teardown(limit_holds_with_what_was_recorded_before, setup,
						teardown),
		cmocka_unit_test_setup_teardown(limit_holds_whatever_becomes_of_writes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(scan_leaves_what_is_used_again, setup, teardown),
		cmocka_unit_test_setup_teardown(pinned_file_stays, setup, teardown),
	};

	return t_run(tests, NULL, NULL);
}
