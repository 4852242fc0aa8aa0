/* SPDX-License-Identifier: MIT */
/*
 * Goal: wherever the power fails, the folder opens again, what it serves is
 * what was stored of that version of the file, its sums agree, and every file
 * can be cached once more.
 * Method: the whole cache, from cookies down, on the simulated disk, with a
 * random workload that plays the engine.  Before each change of the disk a
 * power failure is tried on a copy: the store opens it, walks it, reads every
 * block that is there, and compares with what the file was in that version.  Now
 * and then the run itself goes on with such a copy.  In one world of three the
 * folder is sealed.
 *
 * CACHE_STATES=1000000 tries so many failures instead of 10,000.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <base/hash.h>
#include <cache/cookie.h>
#include <cache/store/sql.h>
#include <cache/store/store.h>
#include <env/clock.h>
#include <env/executor.h>
#include <env/hostfs.h>
#include <env/sim/disk.h>
#include <env/sim/sim.h>
#include <unetfs/cache_folder.h>
#include <t.h>
#include "put_block.h"

#define FOLDER "/cache"
#define VOLUME "9p://server/a"
#define FILES  6
#define BLOCK  NETFS_CACHE_GRANULE
/* The second stretch begins in another chunk of the map. */
#define BLOCKS	 24
#define FAR	 12
#define VERSIONS 1200
#define MOVES	 64
#define STEPS	 500

/* What a version of a file is: its blocks, each by the number of its content,
 * and where it ends. */
struct version {
	unsigned ino;
	uint64_t size;
	uint32_t blocks[BLOCKS];
};

struct file {
	unsigned version; /* in versions[]: what the server has */
	struct netfs_cookie *cookie;
	bool ready; /* its lookup ended */
	struct netfs_cache_wait wait;
};

/* A slice on its way. */
struct move {
	bool busy;
	struct netfs_slice slice;
	struct iovec iov;
	uint8_t buf[4 * BLOCK];
	uint8_t want[4 * BLOCK];
};

static struct world {
	uint64_t seed;
	bool sealed;
	struct netfs_rng rng;
	struct netfs_sim_disk *disk;
	struct netfs_cache *cache;
	struct version versions[VERSIONS];
	unsigned nversions;
	uint32_t contents;
	struct file files[FILES];
	struct move moves[MOVES];
	unsigned flying;
} w;

/* Of all worlds. */
static struct {
	uint64_t goal, states, sealed, served, spoilt, objects, reads, crashes;
} sum;

static uint64_t draw(uint64_t bound)
{
	return netfs_rng_below(&w.rng, bound);
}

static void fail_world(const char *what)
{
	fprintf(stderr, "world %llu, state %llu: %s\n", (unsigned long long)w.seed,
		(unsigned long long)sum.states, what);
	fail();
}

#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_world(#cond);                                                         \
	} while (0)

/* ---------------------------------------------------------- the server */

/* Where the block is in the file. */
static uint64_t place(unsigned block)
{
	return block < FAR ? block * BLOCK : NETFS_MAP_CHUNK + (block - FAR) * BLOCK;
}

static void content(unsigned ino, uint32_t number, uint8_t bytes[BLOCK])
{
	for (unsigned i = 0; i < BLOCK / 8; i++) {
		uint64_t word = netfs_hash_u64s(w.seed + ino, number, i);

		memcpy(bytes + 8 * i, &word, 8);
	}
}

/* Bytes of the block in that version. */
static size_t length(const struct version *version, unsigned block)
{
	uint64_t start = place(block);

	if (start >= version->size)
		return 0;
	return version->size - start < BLOCK ? version->size - start : BLOCK;
}

/* A new version of the file, so far like the one before. */
static struct version *change(struct file *file, unsigned ino)
{
	struct version *version = &w.versions[w.nversions];

	check(w.nversions < VERSIONS);
	*version = w.versions[file->version];
	version->ino = ino;
	file->version = w.nversions++;
	return version;
}

static uint64_t draw_size(void)
{
	unsigned block = draw(BLOCKS);

	/* Not in the gap between the two stretches. */
	return place(block) + 1 + draw(BLOCK);
}

static struct netfs_cache_version told(unsigned number)
{
	return (struct netfs_cache_version){.counter = number, .size = w.versions[number].size};
}

/* --------------------------------------------------- after a power failure */

/* Which version a record says it is of. */
static const struct version *version_of(const struct netfs_store_object *object)
{
	uint8_t bytes[NETFS_STORE_VERSION];

	for (unsigned i = 0; i < w.nversions; i++) {
		struct netfs_cache_version version = told(i);

		cache_version_bytes(&version, bytes);
		if (memcmp(bytes, object->version, sizeof(bytes)) == 0)
			return &w.versions[i];
	}
	check(!"a version that was");
	return NULL;
}

static void check_block(const struct netfs_store_object *object, uint64_t ino, uint64_t at)
{
	uint8_t got[NETFS_MAP_BLOCK], want[BLOCK];
	ssize_t n = netfs_store_read(object, at / BLOCK, got);
	const struct version *version;
	unsigned block = at < NETFS_MAP_CHUNK ? at / BLOCK : FAR + (at - NETFS_MAP_CHUNK) / BLOCK;

	if (n < 0) {
		check(n == -EILSEQ);
		sum.spoilt++;
		return;
	}
	version = version_of(object);
	check(version->ino == ino);
	check((size_t)n == length(version, block));
	content(version->ino, version->blocks[block], want);
	check(memcmp(got, want, (size_t)n) == 0);
	sum.served++;
}

static void check_object(struct netfs_store *store, uint64_t ino)
{
	struct netfs_store_object object;
	struct netfs_store_key key;
	uint64_t from, to, at = 0;

	check(netfs_store_key(store, ino, 7, &key) == 0);
	check(netfs_store_load(store, &key, &object) == 0);
	for (; netfs_map_next(&object.map, at, NETFS_MAP_END, &from, &to); at = to)
		for (at = from; at < to; at += BLOCK)
			check_block(&object, ino, at / BLOCK * BLOCK);
	sum.objects += object.map.blocks > 0;
	netfs_store_release(&object);
}

/* It takes data again, and has it the next time. */
static void check_usable(struct netfs_store *store, const struct netfs_store_key *key)
{
	struct netfs_store_object object;
	uint8_t bytes[BLOCK];

	check(netfs_store_begin(store) == 0);
	check(netfs_store_load(store, key, &object) == 0);
	check(netfs_store_clear(store, &object) == 0);
	check(netfs_map_reserve(&object.map, 0, BLOCK) == 0);
	check(put_block(&object, 0, (const uint8_t *)"again", 5) == 0);
	check(netfs_store_save(store, &object) == 0);
	check(netfs_store_end(store) == 0);
	netfs_store_release(&object);
	check(netfs_store_load(store, key, &object) == 0);
	check(object.map.blocks == 1 && netfs_map_block_len(&object.map, 0) == 5);
	check(netfs_store_read(&object, 0, bytes) == 5 && memcmp(bytes, "again", 5) == 0);
	netfs_store_release(&object);
}

static void check_sums(struct netfs_store *store)
{
	struct netfs_store_entry entry = {0};
	struct netfs_store_space space;
	uint64_t bytes = 0, objects = 0;
	int result;

	while ((result = netfs_store_next(store, &entry)) == 1) {
		bytes += entry.bytes;
		objects++;
	}
	check(result == 0);
	check(netfs_store_space(store, &space) == 0);
	check(space.bytes == bytes && space.objects == objects);
}

static void check_disk(struct netfs_sim_disk *disk)
{
	struct netfs_sim_disk *before = netfs_sim_disk_use(disk);
	struct netfs_store *store = NULL;
	struct netfs_store_key key;
	char why[300] = "";
	int64_t volume;

	if (netfs_store_open(FOLDER, false, &store, why, sizeof(why)))
		fail_world(why);
	check_sums(store);
	if (w.sealed)
		check(netfs_store_seal(store, (const uint8_t *)PUT_SECRET, PUT_SECRET_LEN) == 0);
	check(netfs_store_volume(store, VOLUME, &volume) == 0);
	for (uint64_t ino = 0; ino < FILES; ino++)
		check_object(store, ino);
	check(netfs_store_key(store, sum.states % FILES, 7, &key) == 0);
	check_usable(store, &key);
	check_sums(store);
	netfs_store_close(store);
	netfs_sim_disk_use(before);
}

static struct netfs_sim_disk *crashed(void)
{
	return netfs_sim_disk_crashed(w.disk, netfs_hash_u64s(w.seed, sum.states, 6));
}

static void power_fails(void *user)
{
	struct netfs_sim_disk *disk = crashed();

	check_disk(disk);
	netfs_sim_disk_free(disk);
	sum.states++;
	sum.sealed += w.sealed;
}

/* ------------------------------------------------------------- the cache */

static void open_cache(void)
{
	struct netfs_cache_config config = {
		.folder = FOLDER,
		.volume = VOLUME,
		.secret = w.sealed ? (const uint8_t *)PUT_SECRET : NULL,
		.secret_len = PUT_SECRET_LEN,
		/* One in three is too small for all files. */
		.size = draw(3) ? 0 : FILES * BLOCKS / 3 * BLOCK,
		.blocks = {.run = 7, .cull = 5, .stop = 1},
		.files = {.run = 7, .cull = 5, .stop = 1},
	};
	char why[300] = "";

	check(netfs_executor_start(0) == 0);
	if (netfs_cache_open(&config, &w.cache, why, sizeof(why)))
		fail_world(why);
}

static bool never(void *user)
{
	return false;
}

static void run_for(uint64_t ns)
{
	netfs_sim_run(never, NULL, ns);
}

static bool nothing_flies(void *user)
{
	return w.flying == 0;
}

static void close_file(struct file *file)
{
	check(netfs_sim_run(nothing_flies, NULL, NETFS_NS_PER_SEC));
	if (!file->cookie)
		return;
	w.cache->relinquish(w.cache, file->cookie);
	file->cookie = NULL;
}

static void close_cache(void)
{
	for (unsigned i = 0; i < FILES; i++) {
		/* The engine waits for a lookup before it lets go. */
		while (w.files[i].cookie && !w.files[i].ready)
			run_for(NETFS_NS_PER_MS);
		close_file(&w.files[i]);
	}
	netfs_cache_close(w.cache);
	netfs_executor_stop();
}

/* The catalogue is of a version that is not known. */
static void spoil_format(void)
{
	int folder = netfs_hostfs_open(AT_FDCWD, FOLDER, O_RDONLY | O_DIRECTORY, 0);
	struct netfs_sql sql;

	check(folder >= 0);
	check(netfs_sql_open(&sql, folder, "catalogue", NETFS_SQL_AS_IS) == 0);
	check(sqlite3_exec(sql.db, "PRAGMA user_version = 99", NULL, NULL, NULL) == SQLITE_OK);
	netfs_sql_close(&sql);
	netfs_hostfs_close(folder);
}

/* A new mount; now and then after a power failure, at whatever moment of its end. */
static void reopen(void)
{
	struct netfs_sim_disk *next = draw(3) ? NULL : crashed();

	close_cache();
	if (next) {
		netfs_sim_disk_watch(w.disk, NULL, NULL);
		netfs_sim_disk_use(next);
		netfs_sim_disk_free(w.disk);
		w.disk = next;
		netfs_sim_disk_watch(w.disk, power_fails, NULL);
		sum.crashes++;
	} else if (draw(6) == 0) {
		spoil_format();
	}
	open_cache();
}

/* ------------------------------------------------------------- the engine */

static void looked_up(struct netfs_cache_wait *wait)
{
	netfs_container_of(wait, struct file, wait)->ready = true;
}

static void room(void *user)
{
}

static void open_file(struct file *file, unsigned ino)
{
	struct netfs_cache_file named = {.ino = ino, .gen = 7, .ready = room};
	struct netfs_cache_version version = told(file->version);

	file->cookie = w.cache->acquire(w.cache, &named);
	check(file->cookie != NULL);
	file->cookie->ops->version(file->cookie, &version);
	file->ready = false;
	file->wait = (struct netfs_cache_wait){.done = looked_up};
	file->cookie->ops->use(file->cookie, &file->wait);
}

static void moved(struct netfs_slice *slice, size_t bytes, int err, unsigned flags)
{
	struct move *move = netfs_container_of(slice, struct move, slice);

	if (slice->kind == NETFS_SLICE_READ) {
		check(memcmp(move->buf, move->want, bytes) == 0);
		sum.reads += bytes > 0;
	}
	move->busy = false;
	w.flying--;
}

/* A free one, with what the file has from that block on; NULL: nothing there. */
static struct move *move_new(struct file *file, unsigned ino, unsigned block, unsigned n)
{
	const struct version *version = &w.versions[file->version];
	struct move *move = w.moves;
	size_t len = 0;

	while (move < w.moves + MOVES && move->busy)
		move++;
	if (move == w.moves + MOVES)
		return NULL;
	for (unsigned i = block; i < block + n && i < (block < FAR ? FAR : BLOCKS); i++) {
		content(ino, version->blocks[i], move->want + len);
		len += length(version, i);
		if (len % BLOCK)
			break;
	}
	if (!len)
		return NULL;
	move->iov = (struct iovec){move->buf, len};
	move->slice = (struct netfs_slice){
		.start = place(block), .len = len, .iov = &move->iov, .niov = 1, .done = moved};
	return move;
}

static void begin(struct file *file, struct move *move, enum netfs_slice_kind kind)
{
	const struct netfs_cache_ops *ops = file->cookie->ops;
	ssize_t taken;

	move->slice.kind = kind;
	move->busy = true;
	w.flying++;
	taken = kind == NETFS_SLICE_READ ? ops->read(file->cookie, &move->slice)
					 : ops->write(file->cookie, &move->slice);
	if (taken < 0) {
		move->busy = false;
		w.flying--;
	}
}

static void put(struct file *file, unsigned ino, unsigned block, unsigned n)
{
	struct move *move = move_new(file, ino, block, n);

	if (!move)
		return;
	memcpy(move->buf, move->want, move->slice.len);
	begin(file, move, NETFS_SLICE_WRITE);
}

static void get(struct file *file, unsigned ino)
{
	unsigned block = draw(BLOCKS);
	struct move *move = move_new(file, ino, block, 1 + draw(4));
	uint64_t from, to;

	if (!move)
		return;
	if (!file->cookie->ops->present(file->cookie, move->slice.start,
					move->slice.start + move->slice.len, &from, &to) ||
	    from != move->slice.start)
		return;
	move->slice.len = move->iov.iov_len = to - from;
	memset(move->buf, 0xee, sizeof(move->buf));
	begin(file, move, NETFS_SLICE_READ);
}

/* A write here: the cache is told before, gets the bytes, and learns later what
 * the version of that is. */
static void write_here(struct file *file, unsigned ino)
{
	unsigned block = draw(BLOCKS), n = 1 + draw(4);
	struct version *version;
	struct netfs_cache_version news;

	if (block < FAR && block + n > FAR)
		n = FAR - block;
	if (block + n > BLOCKS)
		n = BLOCKS - block;
	file->cookie->ops->invalidate(file->cookie, place(block), place(block) + n * BLOCK);
	version = change(file, ino);
	for (unsigned i = block; i < block + n; i++)
		version->blocks[i] = ++w.contents;
	put(file, ino, block, n);
	if (draw(4) == 0)
		run_for(draw(NETFS_NS_PER_MS));
	news = told(file->version);
	if (draw(5))
		file->cookie->ops->version(file->cookie, &news);
}

/* What comes behind the shorter of the two ends is another file's. */
static void resize(struct file *file, unsigned ino)
{
	uint64_t size = draw_size(), old = w.versions[file->version].size;
	uint64_t from = (size < old ? size : old) / BLOCK * BLOCK;
	struct netfs_cache_version news;
	struct version *version;

	if (file->cookie)
		file->cookie->ops->invalidate(file->cookie, from, UINT64_MAX);
	version = change(file, ino);
	version->size = size;
	for (unsigned i = 0; i < BLOCKS; i++)
		if (place(i) >= from)
			version->blocks[i] = ++w.contents;
	news = told(file->version);
	if (file->cookie && draw(5))
		file->cookie->ops->version(file->cookie, &news);
}

static void change_at_server(struct file *file, unsigned ino)
{
	struct version *version = change(file, ino);

	for (unsigned i = 0; i < BLOCKS; i++)
		if (draw(2))
			version->blocks[i] = ++w.contents;
}

/* As unetfs cache evict does. */
static void evict(void)
{
	struct netfs_cache_folder *folder;
	struct netfs_cache_object object = {0};

	check(netfs_cache_folder_open(FOLDER, &folder, NULL, 0) == 0);
	while (netfs_cache_folder_next(folder, &object) == 1) {
		struct netfs_cache_checked checked;

		if (draw(2))
			netfs_cache_folder_evict(folder, &object);
		else
			netfs_cache_folder_check(folder, &object, &checked);
	}
	netfs_cache_folder_close(folder);
}

/* Something with a file that is open. */
static void use_file(struct file *file, unsigned ino)
{
	unsigned what = draw(30);

	if (!file->ready)
		run_for(draw(NETFS_NS_PER_MS));
	else if (what == 0)
		close_file(file);
	else if (what == 1)
		resize(file, ino);
	else if (what < 5)
		write_here(file, ino);
	else if (what < 16)
		get(file, ino);
	else
		put(file, ino, draw(BLOCKS), 1 + draw(4));
}

static void step(void)
{
	unsigned ino = draw(FILES), what = draw(40);
	struct file *file = &w.files[ino];

	if (what == 0)
		reopen();
	else if (what == 1 && draw(3) == 0)
		evict();
	else if (what < 3)
		run_for(draw(2 * NETFS_NS_PER_SEC));
	else if (file->cookie)
		use_file(file, ino);
	else if (what < 4)
		resize(file, ino);
	else if (what < 7)
		change_at_server(file, ino);
	else
		open_file(file, ino);
	if (draw(3))
		run_for(1 + draw(NETFS_NS_PER_MS));
}

static void run_world(uint64_t seed)
{
	memset(&w, 0, sizeof(w));
	w.seed = seed;
	w.sealed = seed % 3 == 0;
	netfs_rng_init(&w.rng, seed);
	netfs_sim_start(seed);
	/* SQLite's own chance, which is in its files. */
	sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(seed & 0x7fffffff) | 1, NULL);
	w.disk = netfs_sim_disk_new(seed);
	netfs_sim_disk_use(w.disk);
	netfs_sim_disk_watch(w.disk, power_fails, NULL);
	w.nversions = FILES;
	for (unsigned i = 0; i < FILES; i++) {
		w.files[i].version = i;
		w.versions[i] = (struct version){.ino = i, .size = draw_size()};
	}
	open_cache();
	for (unsigned i = 0; i < STEPS; i++)
		step();
	close_cache();
	power_fails(NULL);
	netfs_sim_disk_use(NULL);
	netfs_sim_disk_watch(w.disk, NULL, NULL);
	netfs_sim_disk_free(w.disk);
	netfs_sim_stop();
}

static void no_power_failure_serves_a_wrong_byte(void **state)
{
	uint64_t seed = t_seed();

	for (uint64_t i = 0; sum.states < sum.goal || !sum.sealed; i++)
		run_world(seed + i);
	printf("%llu power failures (%llu of a sealed folder), %llu of them went on; %llu objects "
	       "with %llu blocks that fit "
	       "and %llu that did not; %llu reads meanwhile\n",
	       (unsigned long long)sum.states, (unsigned long long)sum.sealed,
	       (unsigned long long)sum.crashes, (unsigned long long)sum.objects,
	       (unsigned long long)sum.served, (unsigned long long)sum.spoilt,
	       (unsigned long long)sum.reads);
	/* Each of these must happen, or nothing was tested. */
	assert_true(sum.served > sum.goal && sum.spoilt > sum.goal / 10 && sum.reads > 20);
	assert_true(sum.crashes > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_power_failure_serves_a_wrong_byte),
	};
	const char *states = getenv("CACHE_STATES");

	sum.goal = states ? strtoull(states, NULL, 10) : 10000;
	return t_run(tests, NULL, NULL);
}
