/* SPDX-License-Identifier: MIT */
/*
 * Goal: who has a sealed cache folder and not its key learns nothing of content,
 * shares and files from it, and whatever he does to it, no wrong byte is read.
 * Method: two objects in a temporary folder, recorded in two versions one after
 * the other; the states of the first are kept, and bytes, rows and records are
 * exchanged between objects, places and times with SQLite and plain writes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sqlite3.h>
#include <unetfs/cache_folder.h>
#include <t.h>
#include "put_block.h"

#define VOLUME	"1000 9p://server.example/precious"
#define PATTERN "plain text, for all to see. "
/* Number of a file that is easy to find, in either byte order. */
#define INO 0x6c6561667468676eULL
#define GEN 0x0102030405060708ULL
/* The last block, which is short, is in another chunk. */
#define BLOCKS 5
#define TAIL   100

static char *top;
static char path[400];

static int setup(void **state)
{
	top = t_temp_dir();
	snprintf(path, sizeof(path), "%s/cache", top);
	return 0;
}

static int teardown(void **state)
{
	t_temp_dir_remove(top);
	return 0;
}

/* secret NULL: plain. */
static struct netfs_store *store_open(const char *secret)
{
	struct netfs_store *store = NULL;
	int64_t volume;

	assert_int_equal(netfs_store_open(path, false, &store, NULL, 0), 0);
	if (secret)
		assert_int_equal(netfs_store_seal(store, (const uint8_t *)secret, strlen(secret)),
				 0);
	assert_int_equal(netfs_store_volume(store, VOLUME, &volume), 0);
	return store;
}

static uint64_t place(unsigned i)
{
	return i < BLOCKS - 1 ? i : NETFS_MAP_CHUNK_BLOCKS + 3;
}

static size_t length(unsigned i)
{
	return i < BLOCKS - 1 ? NETFS_MAP_BLOCK : TAIL;
}

static void content(uint64_t ino, unsigned version, unsigned i, uint8_t bytes[NETFS_MAP_BLOCK])
{
	char line[80];
	int n = snprintf(line, sizeof(line), PATTERN "%llx %u %u\n", (unsigned long long)ino,
			 version, i);

	for (size_t at = 0; at < NETFS_MAP_BLOCK; at++)
		bytes[at] = (uint8_t)line[at % (size_t)n];
}

static void load(struct netfs_store *store, uint64_t ino, struct netfs_store_object *object)
{
	struct netfs_store_key key;

	assert_int_equal(netfs_store_key(store, ino, GEN, &key), 0);
	assert_int_equal(netfs_store_load(store, &key, object), 0);
}

/* All blocks of that version of the file, or (one) one of them, are recorded. */
static void keep_some(struct netfs_store *store, uint64_t ino, unsigned version, bool one)
{
	struct netfs_store_object object;
	uint8_t bytes[NETFS_MAP_BLOCK];

	load(store, ino, &object);
	assert_int_equal(netfs_store_begin(store), 0);
	assert_int_equal(netfs_map_reserve(&object.map, 0, 2 * NETFS_MAP_CHUNK), 0);
	for (unsigned i = 0; i < (one ? 1 : BLOCKS); i++) {
		content(ino, version, i, bytes);
		assert_int_equal(put_block(&object, place(i), bytes, length(i)), 0);
	}
	memset(object.version, (int)('0' + version), sizeof(object.version));
	assert_int_equal(netfs_store_save(store, &object), 0);
	assert_int_equal(netfs_store_end(store), 0);
	netfs_store_release(&object);
}

static void keep(struct netfs_store *store, uint64_t ino, unsigned version)
{
	keep_some(store, ino, version, false);
}

/* A bit for each block that is there and read as it is in the version that is
 * recorded; what is read otherwise fails. */
static unsigned read_back(struct netfs_store *store, uint64_t ino)
{
	uint8_t got[NETFS_MAP_BLOCK], want[NETFS_MAP_BLOCK];
	struct netfs_store_object object;
	unsigned good = 0;

	load(store, ino, &object);
	for (unsigned i = 0; i < BLOCKS; i++) {
		ssize_t n = netfs_map_has(&object.map, place(i))
				    ? netfs_store_read(&object, place(i), got)
				    : -EILSEQ;

		if (n < 0) {
			assert_int_equal(n, -EILSEQ);
			continue;
		}
		assert_int_equal(n, length(i));
		content(ino, object.version[0] - '0', i, want);
		assert_memory_equal(got, want, length(i));
		good |= 1U << i;
	}
	netfs_store_release(&object);
	return good;
}

#define ALL ((1U << BLOCKS) - 1)

static void file_of(struct netfs_store *store, uint64_t ino, char name[500])
{
	char tail[NETFS_STORE_NAME];
	struct netfs_store_key key;

	assert_int_equal(netfs_store_key(store, ino, GEN, &key), 0);
	assert_int_equal(netfs_store_name(store, &key, tail), 0);
	snprintf(name, 500, "%s/%s", path, tail);
}

/* ------------------------------------------------------------- looking */

static bool found_in(const char *name, const void *bytes, size_t len)
{
	static char all[4 << 20];
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, all, sizeof(all));

	assert_true(n >= 0 && n < (ssize_t)sizeof(all));
	close(fd);
	return memmem(all, (size_t)n, bytes, len) != NULL;
}

/* In a file of the folder, or below. */
static bool found(const char *folder, const void *bytes, size_t len)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	bool yes = false;

	assert_non_null(dir);
	while ((entry = readdir(dir)) && !yes) {
		char name[800];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
		yes = entry->d_type == DT_DIR ? found(name, bytes, len)
					      : found_in(name, bytes, len);
	}
	closedir(dir);
	return yes;
}

/* How many of the things that are to be hidden are seen. */
static unsigned seen(void)
{
	uint64_t ino = INO, ino_big = __builtin_bswap64(INO);
	uint64_t gen = GEN, gen_big = __builtin_bswap64(GEN);
	const struct {
		const void *bytes;
		size_t len;
	} things[] = {
		{"for all to see", 14},
		{"server.example", 14},
		{"precious", 8},
		{"11111111", 8},
		{&ino, 8},
		{&ino_big, 8},
		{&gen, 8},
		{&gen_big, 8},
		{PUT_SECRET, 16},
	};
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(things) / sizeof(things[0]); i++)
		n += found(path, things[i].bytes, things[i].len);
	return n;
}

static void nothing_of_it_is_to_be_seen(void **state)
{
	struct netfs_store *store = store_open(PUT_SECRET);
	char wal[420];
	struct stat st;

	keep(store, INO, 1);
	snprintf(wal, sizeof(wal), "%s/catalogue-wal", path);
	assert_int_equal(stat(wal, &st), 0);
	assert_true(st.st_size > 0);
	assert_int_equal(seen(), 0);
	netfs_store_close(store);
	assert_int_equal(seen(), 0);
	/* All of it, but for the secret and one order of bytes, in a plain one. */
	store = store_open(NULL);
	keep(store, INO, 1);
	assert_int_equal(seen(), 6);
	netfs_store_close(store);
}

static void another_key_finds_nothing(void **state)
{
	struct netfs_store *store = store_open(PUT_SECRET);

	keep(store, INO, 1);
	netfs_store_close(store);
	store = store_open("another secret, which is as long");
	assert_int_equal(read_back(store, INO), 0);
	keep(store, INO, 3);
	netfs_store_close(store);
	store = store_open(NULL);
	assert_int_equal(read_back(store, INO), 0);
	keep(store, INO, 4);
	netfs_store_close(store);
	/* They were in nobody's way. */
	store = store_open(PUT_SECRET);
	assert_int_equal(read_back(store, INO), ALL);
	netfs_store_close(store);
	store = store_open(NULL);
	assert_int_equal(read_back(store, INO), ALL);
	netfs_store_close(store);
}

/* ----------------------------------------------------------- tampering */

/* The first object's data as it was in version 1, and the names of both files. */
static struct {
	char name[500], other[500];
	uint8_t data[(NETFS_MAP_CHUNK_BLOCKS + 4) * NETFS_MAP_BLOCK];
	ssize_t len;
} old;

static sqlite3 *catalogue(void)
{
	char name[420], attach[500];
	sqlite3 *db;

	snprintf(name, sizeof(name), "%s/catalogue", path);
	snprintf(attach, sizeof(attach), "ATTACH '%s/old' AS old", top);
	assert_int_equal(sqlite3_open(name, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, attach, NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static void change(const char *text)
{
	sqlite3 *db = catalogue();
	char *why = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	/* What changes nothing tests nothing. */
	assert_true(sqlite3_total_changes(db) > 0);
	sqlite3_close(db);
}

/* Flips a bit of the blob that the first statement gives and the second takes;
 * false: it is not that long. */
static bool flip_blob(const char *get, const char *put, size_t bit)
{
	static uint8_t blob[2 * NETFS_MAP_SEALED_ROW];
	sqlite3 *db = catalogue();
	sqlite3_stmt *stmt;
	int size;

	assert_int_equal(sqlite3_prepare_v2(db, get, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	size = sqlite3_column_bytes(stmt, 0);
	assert_true(size > 0 && size < (int)sizeof(blob));
	memcpy(blob, sqlite3_column_blob(stmt, 0), (size_t)size);
	sqlite3_finalize(stmt);
	if (bit / 8 < (size_t)size) {
		blob[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(sqlite3_prepare_v2(db, put, -1, &stmt, NULL), SQLITE_OK);
		sqlite3_bind_blob(stmt, 1, blob, size, SQLITE_STATIC);
		assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
		sqlite3_finalize(stmt);
	}
	sqlite3_close(db);
	return bit / 8 < (size_t)size;
}

static ssize_t slurp(const char *name, uint8_t *bytes, size_t size)
{
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, bytes, size);

	assert_true(n > 0);
	close(fd);
	return n;
}

static void put_bytes(uint64_t at, const uint8_t *bytes, size_t len)
{
	int fd = open(old.name, O_WRONLY);

	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), len);
	close(fd);
}

/* Objects 1 (of INO) and 2 (of INO + 1) in version 2; beside the catalogue what
 * it had of version 1. */
static void make_two(void)
{
	struct netfs_store *store = store_open(PUT_SECRET);

	keep(store, INO, 1);
	keep(store, INO + 1, 1);
	file_of(store, INO, old.name);
	file_of(store, INO + 1, old.other);
	old.len = slurp(old.name, old.data, sizeof(old.data));
	change("CREATE TABLE old.objects AS SELECT * FROM objects;"
	       "CREATE TABLE old.chunks AS SELECT * FROM chunks;"
	       "CREATE TABLE old.t(x); INSERT INTO old.t VALUES(1)");
	keep(store, INO, 2);
	keep(store, INO + 1, 2);
	netfs_store_close(store);
}

static void flip_a_bit_of_block_1(void)
{
	uint8_t byte = 0;
	int fd = open(old.name, O_RDWR);

	assert_int_equal(pread(fd, &byte, 1, 6000), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, 6000), 1);
	close(fd);
}

static void swap_blocks_0_and_1(void)
{
	static uint8_t now[sizeof(old.data)];

	slurp(old.name, now, sizeof(now));
	put_bytes(0, now + NETFS_MAP_BLOCK, NETFS_MAP_BLOCK);
	put_bytes(NETFS_MAP_BLOCK, now, NETFS_MAP_BLOCK);
}

static void take_block_0_of_the_other(void)
{
	static uint8_t now[sizeof(old.data)];

	slurp(old.other, now, sizeof(now));
	put_bytes(0, now, NETFS_MAP_BLOCK);
}

static void swap_files(void)
{
	assert_int_equal(renameat2(AT_FDCWD, old.name, AT_FDCWD, old.other, RENAME_EXCHANGE), 0);
}

static void cut_the_file(void)
{
	assert_int_equal(truncate(old.name, 2 * NETFS_MAP_BLOCK), 0);
}

static void put_old_block_2_back(void)
{
	put_bytes(2 * NETFS_MAP_BLOCK, old.data + 2 * NETFS_MAP_BLOCK, NETFS_MAP_BLOCK);
}

static void put_old_data_back(void)
{
	put_bytes(0, old.data, (size_t)old.len);
}

#define OLD_ROW                                                                                    \
	"UPDATE chunks SET blocks = (SELECT blocks FROM old.chunks WHERE object = 1 AND"           \
	" chunk = 0) WHERE object = 1 AND chunk = 0;"
#define OLD_ROWS                                                                                   \
	"DELETE FROM chunks WHERE object = 1;"                                                     \
	"INSERT INTO chunks SELECT * FROM old.chunks WHERE object = 1;"
#define OLD_RECORD                                                                                 \
	"UPDATE objects SET version = (SELECT version FROM old.objects WHERE id = 1)"              \
	" WHERE id = 1;"

static const struct {
	const char *what;
	void (*files)(void);
	const char *sql;
	unsigned left; /* blocks that are read all the same */
} tampers[] = {
	{"a bit flips", flip_a_bit_of_block_1, NULL, ALL & ~2U},
	{"two blocks change places", swap_blocks_0_and_1, NULL, ALL & ~3U},
	{"a block of another object", take_block_0_of_the_other, NULL, ALL & ~1U},
	{"two files change places", swap_files, NULL, 0},
	{"the file is cut", cut_the_file, NULL, 3},
	{"an old block", put_old_block_2_back, NULL, ALL & ~4U},
	{"all old blocks", put_old_data_back, NULL, 0},
	{"an old block and its row", put_old_block_2_back, OLD_ROW, 0},
	{"an old row", NULL, OLD_ROW, 0},
	{"all old blocks and rows", put_old_data_back, OLD_ROWS, 0},
	{"an old record", NULL, OLD_RECORD, 0},
	{"an old record and one of two rows", NULL, OLD_RECORD OLD_ROW, 0},
	{"the other's row", NULL,
	 "UPDATE chunks SET blocks = (SELECT blocks FROM chunks AS c WHERE c.object = 2 AND"
	 " c.chunk = 0) WHERE object = 1 AND chunk = 0",
	 0},
	{"the other's record", NULL,
	 "UPDATE objects SET version = (SELECT version FROM objects AS o WHERE o.id = 2)"
	 " WHERE id = 1",
	 0},
	{"all of the other", swap_files,
	 "UPDATE objects SET version = (SELECT version FROM objects AS o WHERE o.id = 2)"
	 " WHERE id = 1; DELETE FROM chunks WHERE object = 1;"
	 "INSERT INTO chunks SELECT 1, chunk, blocks FROM chunks WHERE object = 2",
	 0},
	{"a row in another place", NULL,
	 "UPDATE chunks SET chunk = 5 WHERE object = 1 AND chunk = 1", 0},
	{"two rows change places", NULL,
	 "UPDATE chunks SET chunk = 9 WHERE object = 1 AND chunk = 1;"
	 "UPDATE chunks SET chunk = 1 WHERE object = 1 AND chunk = 0;"
	 "UPDATE chunks SET chunk = 0 WHERE object = 1 AND chunk = 9",
	 0},
	{"a row is gone", NULL, "DELETE FROM chunks WHERE object = 1 AND chunk = 1", 0},
	{"all rows are gone", NULL, "DELETE FROM chunks WHERE object = 1", 0},
	{"a row too many", NULL,
	 "INSERT INTO chunks SELECT 1, 7, blocks FROM chunks WHERE object = 1 AND chunk = 1", 0},
	{"a row is too short", NULL,
	 "UPDATE chunks SET blocks = substr(blocks, 1, length(blocks) - 20) WHERE object = 1 AND "
	 "chunk = 0",
	 0},
	{"the record is too short", NULL,
	 "UPDATE objects SET version = substr(version, 1, 8) WHERE id = 1", 0},
	{"a plain version", NULL, "UPDATE objects SET version = zeroblob(8) WHERE id = 1", 0},
	/* The tail is in the record. */
	{"another tail", NULL, "UPDATE objects SET tail = 99 WHERE id = 1", ALL},
};

static void what_was_tampered_with_is_not_read(void **state)
{
	for (unsigned i = 0; i < sizeof(tampers) / sizeof(tampers[0]); i++) {
		struct netfs_store *store;
		unsigned left;

		snprintf(path, sizeof(path), "%s/cache-%u", top, i);
		make_two();
		if (tampers[i].files)
			tampers[i].files();
		if (tampers[i].sql)
			change(tampers[i].sql);
		store = store_open(PUT_SECRET);
		left = read_back(store, INO);
		if (left != tampers[i].left)
			fail_msg("%s: read %x", tampers[i].what, left);
		/* It can be used again. */
		keep(store, INO, 3);
		assert_int_equal(read_back(store, INO), ALL);
		netfs_store_close(store);
		snprintf(path, sizeof(path), "%s/old", top);
		assert_int_equal(unlink(path), 0);
	}
}

/* As it was altogether: then it is of the old version, and says so. */
static void an_old_object_is_of_an_old_version(void **state)
{
	struct netfs_store_object object;
	struct netfs_store *store;

	make_two();
	put_old_data_back();
	change(OLD_ROWS OLD_RECORD);
	store = store_open(PUT_SECRET);
	load(store, INO, &object);
	assert_int_equal(object.map.blocks, BLOCKS);
	assert_int_equal(object.version[0], '1');
	netfs_store_release(&object);
	assert_int_equal(read_back(store, INO), ALL);
	netfs_store_close(store);
}

static void each_bit_of_a_record_counts(void **state)
{
	struct netfs_store *store = store_open(PUT_SECRET);

	change("CREATE TABLE old.t(x); INSERT INTO old.t VALUES(1)");
	for (size_t bit = 0;; bit += 13) {
		keep(store, INO, 1);
		if (!flip_blob("SELECT version FROM objects", "UPDATE objects SET version = ?",
			       bit))
			break;
		assert_int_equal(read_back(store, INO), 0);
	}
	for (size_t bit = 0;; bit += bit < 64 ? 1 : 997) {
		keep(store, INO, 1);
		if (!flip_blob("SELECT blocks FROM chunks WHERE chunk = 0",
			       "UPDATE chunks SET blocks = ? WHERE chunk = 0", bit))
			break;
		assert_int_equal(read_back(store, INO), 0);
	}
	assert_int_equal(read_back(store, INO), ALL);
	netfs_store_close(store);
}

/* Many times over, so that rows are of different ages; then some of it goes. */
static void parts_of_different_age_are_one_object(void **state)
{
	struct netfs_store *store = store_open(PUT_SECRET);
	struct netfs_store_object object;

	keep(store, INO, 1);
	for (unsigned i = 0; i < 10; i++) {
		keep_some(store, INO, 1, true);
		assert_int_equal(read_back(store, INO), ALL);
	}
	load(store, INO, &object);
	netfs_map_remove(&object.map, NETFS_MAP_CHUNK, NETFS_MAP_END);
	assert_int_equal(netfs_store_save(store, &object), 0);
	netfs_store_release(&object);
	assert_int_equal(read_back(store, INO), ALL & ~(1U << (BLOCKS - 1)));
	netfs_store_close(store);
}

/* ------------------------------------------------------- from outside */

static void write_key(char name[420])
{
	int fd;

	snprintf(name, 420, "%s/key", top);
	fd = open(name, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, PUT_SECRET, PUT_SECRET_LEN), PUT_SECRET_LEN);
	close(fd);
}

static void only_who_has_the_key_can_check_it(void **state)
{
	struct netfs_store *store = store_open(PUT_SECRET);
	struct netfs_cache_object object = {0};
	struct netfs_cache_checked checked;
	struct netfs_cache_folder *folder;
	char key[420], why[300] = "";

	keep(store, INO, 1);
	file_of(store, INO, old.name);
	netfs_store_close(store);
	flip_a_bit_of_block_1();
	write_key(key);
	assert_int_equal(netfs_cache_folder_open(path, &folder, why, sizeof(why)), 0);
	assert_int_equal(netfs_cache_folder_next(folder, &object), 1);
	assert_true(object.sealed);
	assert_int_equal(strncmp(object.volume, "sealed ", 7), 0);
	assert_int_equal(strlen(object.volume), 7 + 16);
	assert_true(object.ino != INO && object.gen != GEN);
	assert_int_equal(netfs_cache_folder_check(folder, &object, &checked), -ENOKEY);
	assert_int_equal(netfs_cache_folder_key(folder, path, why, sizeof(why)), -EISDIR);
	assert_non_null(strstr(why, "cannot read the key file"));
	assert_int_equal(netfs_cache_folder_key(folder, key, why, sizeof(why)), 0);
	assert_int_equal(netfs_cache_folder_check(folder, &object, &checked), 0);
	assert_int_equal(checked.blocks, BLOCKS);
	assert_int_equal(checked.bad, 1);
	assert_int_equal(netfs_cache_folder_check(folder, &object, &checked), 0);
	assert_int_equal(checked.blocks, BLOCKS - 1);
	assert_int_equal(checked.bad, 0);
	netfs_cache_folder_close(folder);
	store = store_open(PUT_SECRET);
	assert_int_equal(read_back(store, INO), ALL & ~2U);
	netfs_store_close(store);
	/* Removed it can be without. */
	assert_int_equal(netfs_cache_folder_open(path, &folder, why, sizeof(why)), 0);
	object.id[1] = 0;
	assert_int_equal(netfs_cache_folder_next(folder, &object), 1);
	assert_int_equal(netfs_cache_folder_evict(folder, &object), 0);
	netfs_cache_folder_close(folder);
	assert_int_equal(access(old.name, F_OK), -1);
}

/* More than a page for secrets has room for. */
static void many_objects_are_open_at_once(void **state)
{
	static struct netfs_store_object objects[300];
	struct netfs_store *store = store_open(PUT_SECRET);
	uint8_t bytes[NETFS_MAP_BLOCK] = {0}, got[NETFS_MAP_BLOCK];

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 300; i++) {
			load(store, i, &objects[i]);
			assert_int_equal(netfs_map_reserve(&objects[i].map, 0, 4096), 0);
			bytes[0] = (uint8_t)i;
			assert_int_equal(put_block(&objects[i], 0, bytes, 100), 0);
		}
		for (unsigned i = 0; i < 300; i++) {
			unsigned at = (i * 7 + round) % 300;

			assert_int_equal(netfs_store_read(&objects[at], 0, got), 100);
			assert_int_equal(got[0], (uint8_t)at);
			netfs_store_release(&objects[at]);
		}
	}
	netfs_store_close(store);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(nothing_of_it_is_to_be_seen),
		CASE(another_key_finds_nothing),
		CASE(what_was_tampered_with_is_not_read),
		CASE(an_old_object_is_of_an_old_version),
		CASE(each_bit_of_a_record_counts),
		CASE(parts_of_different_age_are_one_object),
		CASE(only_who_has_the_key_can_check_it),
		CASE(many_objects_are_open_at_once),
	};

	return t_run(tests, NULL, NULL);
}
