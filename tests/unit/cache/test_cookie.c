/* SPDX-License-Identifier: MIT */
/*
 * Goal: a cookie gives what was stored of the version that is wanted, and
 * nothing else, whatever happens to it meanwhile: another mount that has the
 * object, an invalidation at any moment, a folder that goes away or is full.
 * Method: caches on a folder of this machine, with the executor's threads; the
 * test plays the engine.  Edges by their number in doc/edge-cases.md.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <base/assert.h>
#include <cache/cache.h>
#include <env/executor.h>
#include <t.h>

#define BLOCK	NETFS_CACHE_GRANULE
#define PATIENT 20000 /* ms */

static char *top;
static bool sealed;

static int setup(void **state)
{
	top = t_temp_dir();
	return netfs_executor_start(2);
}

static int teardown(void **state)
{
	netfs_executor_stop();
	t_temp_dir_remove(top);
	return 0;
}

static struct netfs_cache *cache_open(uint64_t size)
{
	char folder[300], message[300] = "";
	struct netfs_cache_config config = {
		.folder = folder,
		.volume = "9p://server/a",
		.secret = sealed ? (const uint8_t *)"a secret that is as long as it needs to be"
				 : NULL,
		.secret_len = 40,
		.size = size,
		.blocks = {.run = 7, .cull = 5, .stop = 1},
		.files = {.run = 7, .cull = 5, .stop = 1},
	};
	struct netfs_cache *cache = NULL;

	snprintf(folder, sizeof(folder), "%s/cache", top);
	assert_int_equal(netfs_cache_open(&config, &cache, message, sizeof(message)), 0);
	return cache;
}

/* The end of a mount: what is to be recorded is, when this returns. */
static void cache_end(struct netfs_cache *cache)
{
	netfs_cache_close(cache);
	netfs_executor_stop();
	assert_int_equal(netfs_executor_start(2), 0);
}

/* ------------------------------------------------------------- a file */

static void ready(void *user)
{
}

static struct netfs_cookie *acquire(struct netfs_cache *cache, uint64_t ino)
{
	struct netfs_cache_file file = {.ino = ino, .gen = 7, .ready = ready};
	struct netfs_cookie *cookie = cache->acquire(cache, &file);

	assert_non_null(cookie);
	return cookie;
}

static void tell_version(struct netfs_cookie *cookie, uint64_t number)
{
	struct netfs_cache_version version = {.counter = number, .size = 100 * BLOCK};

	cookie->ops->version(cookie, number ? &version : NULL);
}

struct user {
	struct netfs_cache_wait wait;
	struct t_counter done;
};

static void used(struct netfs_cache_wait *wait)
{
	t_counter_add(&netfs_container_of(wait, struct user, wait)->done, 1);
}

static void use_begin(struct netfs_cookie *cookie, struct user *user)
{
	*user = (struct user){.wait.done = used};
	t_counter_init(&user->done);
	cookie->ops->use(cookie, &user->wait);
}

static void use_end(struct user *user)
{
	assert_true(t_counter_wait(&user->done, 1, PATIENT));
	t_counter_done(&user->done);
}

static void use(struct netfs_cookie *cookie)
{
	struct user user;

	use_begin(cookie, &user);
	use_end(&user);
}

/* How much of the first 100 blocks is there. */
static uint64_t present(struct netfs_cookie *cookie)
{
	uint64_t from, to, at = 0, sum = 0;

	for (; cookie->ops->present(cookie, at, 100 * BLOCK, &from, &to); at = to)
		sum += to - from;
	return sum;
}

/* ------------------------------------------------------------- slices */

struct move {
	struct netfs_slice slice;
	struct iovec iov;
	uint8_t buf[4 * BLOCK];
	size_t moved;
	int err;
	struct t_counter done;
};

static void moved(struct netfs_slice *slice, size_t bytes, int err, unsigned flags)
{
	struct move *move = netfs_container_of(slice, struct move, slice);

	move->moved = bytes;
	move->err = err;
	t_counter_add(&move->done, 1);
}

static ssize_t move_begin(struct netfs_cookie *cookie, struct move *move,
			  enum netfs_slice_kind kind, uint64_t start, size_t len)
{
	assert_true(len <= sizeof(move->buf));
	move->iov = (struct iovec){move->buf, len};
	move->slice = (struct netfs_slice){.kind = kind,
					   .start = start,
					   .len = len,
					   .iov = &move->iov,
					   .niov = 1,
					   .done = moved};
	t_counter_init(&move->done);
	return kind == NETFS_SLICE_READ ? cookie->ops->read(cookie, &move->slice)
					: cookie->ops->write(cookie, &move->slice);
}

/* What came of it: bytes, or a negative errno. */
static ssize_t move_end(struct move *move, ssize_t taken)
{
	if (taken >= 0)
		assert_true(t_counter_wait(&move->done, 1, PATIENT));
	t_counter_done(&move->done);
	if (taken < 0)
		return taken;
	return move->err ? move->err : (ssize_t)move->moved;
}

static ssize_t store(struct netfs_cookie *cookie, uint64_t start, size_t len, uint8_t byte)
{
	static struct move move;

	memset(move.buf, byte, len);
	return move_end(&move, move_begin(cookie, &move, NETFS_SLICE_WRITE, start, len));
}

static ssize_t fetch(struct netfs_cookie *cookie, uint64_t start, size_t len, uint8_t byte)
{
	static struct move move;
	ssize_t result = move_end(&move, move_begin(cookie, &move, NETFS_SLICE_READ, start, len));

	for (ssize_t i = 0; i < result; i++)
		assert_int_equal(move.buf[i], byte);
	return result;
}

/* A file of four blocks of version 1 is in the folder. */
static void store_a_file(uint64_t ino, uint8_t byte)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = acquire(cache, ino);

	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(store(cookie, 0, 4 * BLOCK, byte), 4 * BLOCK);
	cache->relinquish(cache, cookie);
	cache_end(cache);
}

/* How much of it a new mount finds, that wants that version. */
static uint64_t found(uint64_t ino, uint64_t version, uint8_t byte)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = acquire(cache, ino);
	uint64_t bytes;

	tell_version(cookie, version);
	use(cookie);
	bytes = present(cookie);
	for (uint64_t at = 0; at < bytes; at += BLOCK)
		assert_int_equal(fetch(cookie, at, BLOCK, byte), BLOCK);
	cache->relinquish(cache, cookie);
	cache_end(cache);
	return bytes;
}

/* -------------------------------------------------------------- tests */

static void a_version_is_found_and_no_other(void **state)
{
	store_a_file(5, 0x11);
	assert_int_equal(found(5, 1, 0x11), 4 * BLOCK);
	assert_int_equal(found(6, 1, 0x11), 0);
	assert_int_equal(found(5, 2, 0x11), 0);
	/* It was of no use to anybody any more. */
	assert_int_equal(found(5, 1, 0x11), 0);
}

/* Edge 86. */
static void a_second_mount_goes_without(void **state)
{
	struct netfs_cache *one, *two;
	struct netfs_cookie *first, *second;

	store_a_file(5, 0x22);
	one = cache_open(0);
	two = cache_open(0);
	first = acquire(one, 5);
	second = acquire(two, 5);
	tell_version(first, 1);
	tell_version(second, 1);
	use(first);
	use(second);
	assert_int_equal(present(first), 4 * BLOCK);
	assert_int_equal(present(second), 0);
	assert_true(fetch(second, 0, BLOCK, 0) < 0);
	assert_true(store(second, 0, BLOCK, 0x33) < 0);
	assert_int_equal(fetch(first, 0, 4 * BLOCK, 0x22), 4 * BLOCK);
	two->relinquish(two, second);
	netfs_cache_close(two);
	one->relinquish(one, first);
	cache_end(one);
	assert_int_equal(found(5, 1, 0x22), 4 * BLOCK);
}

/* Edge 87: the new one waits until the old one let go, and finds it all. */
static void a_file_that_comes_back_is_found(void **state)
{
	for (unsigned i = 0; i < 50; i++) {
		struct netfs_cache *cache = cache_open(0);
		struct netfs_cookie *old = acquire(cache, 100 + i), *new;

		tell_version(old, 1);
		use(old);
		assert_int_equal(store(old, 0, 4 * BLOCK, 0x44), 4 * BLOCK);
		new = acquire(cache, 100 + i);
		tell_version(new, 1);
		cache->relinquish(cache, old);
		use(new);
		assert_int_equal(present(new), 4 * BLOCK);
		cache->relinquish(cache, new);
		cache_end(cache);
	}
}

/* Edge 88: whoever uses it while it is recorded waits, and finds it all. */
static void a_use_at_the_moment_of_letting_go(void **state)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = acquire(cache, 5);
	struct netfs_cookie *others[200];

	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(store(cookie, 0, 4 * BLOCK, 0x55), 4 * BLOCK);
	for (unsigned i = 0; i < 200; i++) {
		struct user user;

		/* Another cookie's push makes the worker look at the idle. */
		cookie->ops->unuse(cookie);
		others[i] = acquire(cache, 1000 + i);
		use_begin(cookie, &user);
		use_end(&user);
		assert_int_equal(present(cookie), 4 * BLOCK);
		cache->relinquish(cache, others[i]);
	}
	cache->relinquish(cache, cookie);
	cache_end(cache);
	assert_int_equal(found(5, 1, 0x55), 4 * BLOCK);
}

/* Edge 89: nothing hangs, nothing is invented; the folder is made again. */
static void the_folder_goes_away_under_load(void **state)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = acquire(cache, 5), *late;
	char command[400];

	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(store(cookie, 0, 4 * BLOCK, 0x66), 4 * BLOCK);
	snprintf(command, sizeof(command), "rm -rf '%s/cache'", top);
	assert_int_equal(system(command), 0);
	/* The file is open. */
	assert_int_equal(fetch(cookie, 0, 4 * BLOCK, 0x66), 4 * BLOCK);
	assert_int_equal(store(cookie, 8 * BLOCK, BLOCK, 0x66), BLOCK);
	late = acquire(cache, 6);
	tell_version(late, 1);
	use(late);
	assert_int_equal(present(late), 0);
	store(late, 0, BLOCK, 0x66);
	cache->relinquish(cache, late);
	cache->relinquish(cache, cookie);
	cache_end(cache);
	assert_int_equal(found(5, 1, 0x66), 0);
	store_a_file(5, 0x77);
	assert_int_equal(found(5, 1, 0x77), 4 * BLOCK);
}

/* Edge 90: told while the worker opens it, or before anybody uses it. */
static void an_invalidation_while_it_is_looked_up(void **state)
{
	for (unsigned i = 0; i < 50; i++) {
		struct netfs_cache *cache;
		struct netfs_cookie *cookie;
		struct user user;

		store_a_file(5, 0x11);
		cache = cache_open(0);
		cookie = acquire(cache, 5);
		tell_version(cookie, 1);
		if (i % 2)
			cookie->ops->invalidate(cookie, 0, UINT64_MAX);
		use_begin(cookie, &user);
		if (i % 2 == 0)
			cookie->ops->invalidate(cookie, 0, UINT64_MAX);
		use_end(&user);
		assert_int_equal(present(cookie), 0);
		cache->relinquish(cache, cookie);
		cache_end(cache);
		assert_int_equal(found(5, 1, 0x11), 0);
	}
}

/* Edge 91: a read under way ends with the old bytes or an error, and what a
 * write under way stores is not there. */
static void an_invalidation_while_slices_move(void **state)
{
	static struct move get, put;
	unsigned spoilt = 0;

	for (unsigned i = 0; i < 200; i++) {
		struct netfs_cache *cache = cache_open(0);
		struct netfs_cookie *cookie = acquire(cache, 100 + i);
		ssize_t got, taken, stored;

		tell_version(cookie, 1);
		use(cookie);
		assert_int_equal(store(cookie, 0, 4 * BLOCK, 0x12), 4 * BLOCK);
		memset(put.buf, 0x34, sizeof(put.buf));
		taken = move_begin(cookie, &get, NETFS_SLICE_READ, 0, 4 * BLOCK);
		stored = move_begin(cookie, &put, NETFS_SLICE_WRITE, 8 * BLOCK, 4 * BLOCK);
		cookie->ops->invalidate(cookie, 0, UINT64_MAX);
		assert_int_equal(present(cookie), 0);
		got = move_end(&get, taken);
		assert_true(got == 4 * BLOCK || got == -ESTALE);
		for (ssize_t j = 0; j < got; j++)
			assert_int_equal(get.buf[j], 0x12);
		spoilt += got == -ESTALE;
		move_end(&put, stored);
		assert_int_equal(present(cookie), 0);
		cache->relinquish(cache, cookie);
		netfs_cache_close(cache);
	}
	assert_true(spoilt > 0);
	cache_end(cache_open(0));
}

/* A slice that failed says nothing about the version: the rest is kept. */
static void a_failed_slice_costs_its_own_bytes(void **state)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = acquire(cache, 5);

	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(store(cookie, 0, 4 * BLOCK, 0x13), 4 * BLOCK);
	cookie->ops->forget(cookie, 2 * BLOCK, 4 * BLOCK);
	assert_int_equal(present(cookie), 2 * BLOCK);
	cache->relinquish(cache, cookie);
	cache_end(cache);
	assert_int_equal(found(5, 1, 0x13), 2 * BLOCK);
}

/* But a change of the file that follows it does, in the same range too. */
static void a_change_after_a_failed_slice_counts(void **state)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = acquire(cache, 5);

	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(store(cookie, 0, 4 * BLOCK, 0x14), 4 * BLOCK);
	assert_true(fetch(cookie, 8 * BLOCK, BLOCK, 0) < 0);
	cookie->ops->forget(cookie, 8 * BLOCK, 9 * BLOCK);
	cookie->ops->invalidate(cookie, 8 * BLOCK, 9 * BLOCK);
	cache->relinquish(cache, cookie);
	cache_end(cache);
	assert_int_equal(found(5, 1, 0x14), 0);
}

/* Edge 93: the process dies while a file is changed whose record says that it
 * is there.  What was overwritten does not fit its checksum any more. */
static void a_crash_while_a_file_was_written(void **state)
{
	struct netfs_cache *cache;
	struct netfs_cookie *cookie;
	pid_t pid;
	int status;

	store_a_file(5, 0x21);
	netfs_executor_stop();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (netfs_executor_start(2))
			_exit(1);
		cache = cache_open(0);
		cookie = acquire(cache, 5);
		tell_version(cookie, 1);
		use(cookie);
		cookie->ops->invalidate(cookie, BLOCK, 2 * BLOCK);
		_exit(store(cookie, BLOCK, BLOCK, 0x99) == BLOCK ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(netfs_executor_start(2), 0);
	cache = cache_open(0);
	cookie = acquire(cache, 5);
	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(fetch(cookie, 0, BLOCK, 0x21), BLOCK);
	assert_int_equal(fetch(cookie, BLOCK, BLOCK, 0x21), -EILSEQ);
	assert_int_equal(fetch(cookie, 2 * BLOCK, 2 * BLOCK, 0x21), 2 * BLOCK);
	cache->relinquish(cache, cookie);
	cache_end(cache);
}

/* Edges 96 and 98: what is under way counts, so the limit holds at any time. */
static void space_is_taken_before_it_is_used(void **state)
{
	struct netfs_cache *cache = cache_open(16 * BLOCK);
	struct netfs_cookie *cookie = acquire(cache, 5);
	static struct move moves[8];
	ssize_t taken[8];
	uint64_t stored = 0;

	tell_version(cookie, 1);
	use(cookie);
	for (unsigned i = 0; i < 8; i++)
		taken[i] =
			move_begin(cookie, &moves[i], NETFS_SLICE_WRITE, i * 4 * BLOCK, 4 * BLOCK);
	for (unsigned i = 0; i < 8; i++) {
		ssize_t result = move_end(&moves[i], taken[i]);

		assert_true(result == 4 * BLOCK || result == -ENOSPC);
		stored += result > 0 ? (uint64_t)result : 0;
	}
	assert_true(stored >= 16 * BLOCK);
	/* Some of it may have gone for what came later. */
	assert_true(present(cookie) <= 16 * BLOCK);
	cache->relinquish(cache, cookie);
	cache_end(cache);
}

/* Edges 95 and 97: the last block may be shorter; it is what it was stored as. */
static void the_last_block_is_as_long_as_it_was(void **state)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = acquire(cache, 5);

	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(store(cookie, 0, 2 * BLOCK + 100, 0x31), 2 * BLOCK + 100);
	assert_int_equal(present(cookie), 2 * BLOCK + 100);
	/* Cut inside a block: all of the block is forgotten. */
	cookie->ops->invalidate(cookie, BLOCK, UINT64_MAX);
	assert_int_equal(present(cookie), BLOCK);
	assert_int_equal(store(cookie, BLOCK, 7, 0x31), 7);
	assert_int_equal(present(cookie), BLOCK + 7);
	tell_version(cookie, 1);
	cache->relinquish(cache, cookie);
	cache_end(cache);
	cache = cache_open(0);
	cookie = acquire(cache, 5);
	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(present(cookie), BLOCK + 7);
	assert_int_equal(fetch(cookie, 0, BLOCK + 7, 0x31), BLOCK + 7);
	cache->relinquish(cache, cookie);
	cache_end(cache);
}

static int seal(void **state)
{
	sealed = true;
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* What was pushed before was looked at. */
static void pass_worker(struct netfs_cache *cache)
{
	struct netfs_cookie *other = acquire(cache, 99);

	use(other);
	cache->relinquish(cache, other);
}

/* An open that will come finds the object open. */
static void what_is_hurried_is_there_before_it_is_used(void **state)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = acquire(cache, 1);

	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(store(cookie, 0, 4 * BLOCK, 0x45), 4 * BLOCK);
	cache->relinquish(cache, cookie);
	cache_end(cache);
	cache = cache_open(0);
	cookie = acquire(cache, 1);
	/* All of it would be old. */
	cookie->ops->hurry(cookie);
	pass_worker(cache);
	assert_int_equal(present(cookie), 0);
	tell_version(cookie, 1);
	/* Nobody came for a second, on a slow machine: then it was closed again. */
	for (unsigned i = 0; i < 10 && !present(cookie); i++) {
		cookie->ops->hurry(cookie);
		cookie->ops->hurry(cookie);
		pass_worker(cache);
	}
	assert_int_equal(present(cookie), 4 * BLOCK);
	use(cookie);
	assert_int_equal(present(cookie), 4 * BLOCK);
	cookie->ops->unuse(cookie);
	cookie->ops->hurry(cookie);
	cache->relinquish(cache, cookie);
	cache_end(cache);
	/* Nor is it in the way of the end. */
	cache = cache_open(0);
	cookie = acquire(cache, 1);
	tell_version(cookie, 1);
	cookie->ops->hurry(cookie);
	cache->relinquish(cache, cookie);
	cookie = acquire(cache, 1);
	tell_version(cookie, 1);
	use(cookie);
	assert_int_equal(present(cookie), 4 * BLOCK);
	cache->relinquish(cache, cookie);
	cache_end(cache);
}

/* ---------------------------------------------------------- given away */

/* The file as others get it, once it was proved; -EAGAIN where it never is. */
static int backing(struct netfs_cache *cache, struct netfs_cookie *cookie, uint64_t size)
{
	int fd = -EAGAIN;

	for (unsigned i = 0; i < 300 && fd == -EAGAIN; i++) {
		fd = cookie->ops->backing_begin(cookie, size);
		if (fd == -EAGAIN)
			pass_worker(cache);
	}
	return fd;
}

static void assert_bytes(int fd, uint64_t start, size_t len, uint8_t byte)
{
	static uint8_t buf[8 * BLOCK];

	assert_int_equal(pread(fd, buf, len, (off_t)start), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf[i], byte);
}

static struct netfs_cookie *used_cookie(struct netfs_cache *cache, uint64_t ino)
{
	struct netfs_cookie *cookie = acquire(cache, ino);

	tell_version(cookie, 1);
	use(cookie);
	return cookie;
}

static void what_is_whole_and_proved_is_given_away(void **state)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = used_cookie(cache, 5);
	uint64_t size = 3 * BLOCK + 100;
	int fd;

	assert_int_equal(store(cookie, 0, size, 0x71), size);
	if (sealed) {
		assert_int_equal(backing(cache, cookie, size), -EOPNOTSUPP);
		cache->relinquish(cache, cookie);
		cache_end(cache);
		return;
	}
	assert_int_equal(cookie->ops->backing_begin(cookie, size), -EAGAIN);
	fd = backing(cache, cookie, size);
	assert_true(fd >= 0);
	assert_bytes(fd, 0, size, 0x71);
	/* It has no other bytes. */
	assert_int_equal(lseek(fd, 0, SEEK_END), size);
	/* The second one need not wait. */
	assert_int_equal(cookie->ops->backing_begin(cookie, size), fd);
	cookie->ops->backing_end(cookie);
	/* Nothing is written to it meanwhile, whatever is thought of it. */
	assert_int_equal(store(cookie, BLOCK, BLOCK, 0x72), -ENOBUFS);
	cookie->ops->invalidate(cookie, BLOCK, 2 * BLOCK);
	assert_int_equal(store(cookie, BLOCK, BLOCK, 0x72), -ENOBUFS);
	assert_bytes(fd, 0, size, 0x71);
	assert_int_equal(cookie->ops->backing_begin(cookie, size), -EAGAIN);
	cookie->ops->backing_end(cookie);
	/* What is written afterwards is to be proved again. */
	tell_version(cookie, 1);
	assert_int_equal(store(cookie, BLOCK, BLOCK, 0x72), BLOCK);
	assert_int_equal(cookie->ops->backing_begin(cookie, size), -EAGAIN);
	fd = backing(cache, cookie, size);
	assert_true(fd >= 0);
	assert_bytes(fd, BLOCK, BLOCK, 0x72);
	cookie->ops->backing_end(cookie);
	cache->relinquish(cache, cookie);
	cache_end(cache);
}

static void a_part_or_another_size_is_not_given_away(void **state)
{
	struct netfs_cache *cache = cache_open(0);
	struct netfs_cookie *cookie = used_cookie(cache, 5);

	assert_int_equal(store(cookie, 0, 4 * BLOCK, 0x73), 4 * BLOCK);
	assert_true(backing(cache, cookie, 4 * BLOCK + 1) < 0);
	/* It has more bytes than the file. */
	assert_true(backing(cache, cookie, 3 * BLOCK) < 0);
	cookie->ops->forget(cookie, 2 * BLOCK, 3 * BLOCK);
	assert_true(backing(cache, cookie, 4 * BLOCK) < 0);
	/* Nor where nobody knows what version it is of. */
	assert_int_equal(store(cookie, 2 * BLOCK, BLOCK, 0x73), BLOCK);
	tell_version(cookie, 0);
	assert_true(backing(cache, cookie, 4 * BLOCK) < 0);
	cache->relinquish(cache, cookie);
	cache_end(cache);
}

/* One byte of the only object in the folder. */
static void damage(uint64_t at)
{
	char command[600];

	snprintf(command, sizeof(command),
		 "printf X | dd of=$(echo '%s'/cache/*/*) bs=1 seek=%llu conv=notrunc status=none",
		 top, (unsigned long long)at);
	assert_int_equal(system(command), 0);
}

static void a_damaged_block_is_found_before(void **state)
{
	struct netfs_cookie *cookie;
	struct netfs_cache *cache;
	int fd;

	if (sealed)
		return;
	store_a_file(5, 0x74);
	damage(2 * BLOCK + 17);
	cache = cache_open(0);
	cookie = used_cookie(cache, 5);
	assert_int_equal(present(cookie), 4 * BLOCK);
	assert_int_equal(backing(cache, cookie, 4 * BLOCK), -EAGAIN);
	/* It is asked for at the server, and then all is well. */
	assert_int_equal(present(cookie), 3 * BLOCK);
	assert_int_equal(store(cookie, 2 * BLOCK, BLOCK, 0x74), BLOCK);
	fd = backing(cache, cookie, 4 * BLOCK);
	assert_true(fd >= 0);
	assert_bytes(fd, 0, 4 * BLOCK, 0x74);
	cookie->ops->backing_end(cookie);
	cache->relinquish(cache, cookie);
	cache_end(cache);
}

/* Waits until another mount can have the object; it then has. */
static struct netfs_cookie *other_has(struct netfs_cache *cache, uint64_t ino)
{
	struct netfs_cookie *cookie = used_cookie(cache, ino);

	for (unsigned i = 0; i < 100000 && !present(cookie); i++) {
		cookie->ops->unuse(cookie);
		use(cookie);
	}
	assert_int_equal(present(cookie), 4 * BLOCK);
	return cookie;
}

/* A cookie that let its object go believes the proof if nobody changed the file. */
static void a_proof_is_of_one_state_of_the_file(void **state)
{
	for (unsigned changed = 0; changed < 2 && !sealed; changed++) {
		struct netfs_cache *cache = cache_open(0), *two = cache_open(0);
		struct netfs_cookie *cookie = used_cookie(cache, 5), *other;

		assert_int_equal(store(cookie, 0, 4 * BLOCK, 0x75), 4 * BLOCK);
		assert_true(backing(cache, cookie, 4 * BLOCK) >= 0);
		cookie->ops->backing_end(cookie);
		cookie->ops->unuse(cookie);
		other = other_has(two, 5);
		if (changed)
			assert_int_equal(store(other, BLOCK, BLOCK, 0x75), BLOCK);
		two->relinquish(two, other);
		netfs_cache_close(two);
		use(cookie);
		assert_int_equal(present(cookie), 4 * BLOCK);
		if (changed) {
			assert_int_equal(cookie->ops->backing_begin(cookie, 4 * BLOCK), -EAGAIN);
		} else {
			assert_true(cookie->ops->backing_begin(cookie, 4 * BLOCK) >= 0);
			cookie->ops->backing_end(cookie);
		}
		cache->relinquish(cache, cookie);
		cache_end(cache);
	}
}

#define OTHERS 20

/* Room is made of everything else, though that was used more, and later. */
static void what_is_given_away_is_not_culled(void **state)
{
	struct netfs_cache *cache = cache_open(20 * BLOCK);
	struct netfs_cookie *cookie = used_cookie(cache, 5), *others[OTHERS];
	bool culled = false;
	int fd;

	for (unsigned i = 0; i < OTHERS; i++)
		others[i] = used_cookie(cache, 100 + i);
	assert_int_equal(store(cookie, 0, 4 * BLOCK, 0x76), 4 * BLOCK);
	fd = sealed ? -1 : backing(cache, cookie, 4 * BLOCK);
	assert_true(sealed || fd >= 0);
	for (unsigned i = 0; i < 200000 && !culled; i++) {
		struct netfs_cookie *other = others[i % OTHERS];
		bool stored = store(other, 0, 4 * BLOCK, 0x77) == 4 * BLOCK;

		pass_worker(cache);
		culled = stored && present(sealed ? cookie : other) < 4 * BLOCK;
		fetch(other, 0, BLOCK, 0x77);
		fetch(other, 0, BLOCK, 0x77);
	}
	assert_true(culled);
	if (!sealed) {
		assert_int_equal(present(cookie), 4 * BLOCK);
		assert_bytes(fd, 0, 4 * BLOCK, 0x76);
		cookie->ops->backing_end(cookie);
	}
	for (unsigned i = 0; i < OTHERS; i++)
		cache->relinquish(cache, others[i]);
	cache->relinquish(cache, cookie);
	cache_end(cache);
}

/* The line moves on, and nothing is used that is gone. */
static void files_are_let_go_while_they_are_proved(void **state)
{
	for (unsigned round = 0; round < 6; round++) {
		struct netfs_cache *cache = cache_open(0);
		struct netfs_cookie *cookies[10];
		int fd = 0;

		for (unsigned i = 0; i < 10; i++) {
			cookies[i] = used_cookie(cache, 200 + i);
			assert_int_equal(store(cookies[i], 0, 4 * BLOCK, 0x78), 4 * BLOCK);
		}
		for (unsigned i = 0; i < 10; i++)
			assert_true(cookies[i]->ops->backing_begin(cookies[i], 4 * BLOCK) < 0);
		for (unsigned i = 0; i < 9; i++)
			cache->relinquish(cache, cookies[i]);
		if (round % 2 && !sealed)
			fd = backing(cache, cookies[9], 4 * BLOCK);
		assert_true(fd >= 0);
		if (fd)
			cookies[9]->ops->backing_end(cookies[9]);
		cache->relinquish(cache, cookies[9]);
		cache_end(cache);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_version_is_found_and_no_other),
		CASE(a_second_mount_goes_without),
		CASE(a_file_that_comes_back_is_found),
		CASE(a_use_at_the_moment_of_letting_go),
		CASE(the_folder_goes_away_under_load),
		CASE(an_invalidation_while_it_is_looked_up),
		CASE(an_invalidation_while_slices_move),
		CASE(a_failed_slice_costs_its_own_bytes),
		CASE(a_change_after_a_failed_slice_counts),
		CASE(a_crash_while_a_file_was_written),
		CASE(space_is_taken_before_it_is_used),
		CASE(the_last_block_is_as_long_as_it_was),
		CASE(what_is_hurried_is_there_before_it_is_used),
		CASE(what_is_whole_and_proved_is_given_away),
		CASE(a_part_or_another_size_is_not_given_away),
		CASE(a_damaged_block_is_found_before),
		CASE(a_proof_is_of_one_state_of_the_file),
		CASE(what_is_given_away_is_not_culled),
		CASE(files_are_let_go_while_they_are_proved),
	};

	/* Then all of it with a sealed folder. */
	return t_run(tests, NULL, NULL) || t_run(tests, seal, NULL);
}
