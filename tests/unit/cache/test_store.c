/* SPDX-License-Identifier: MIT */
/*
 * Goal: what was saved is found again, by whoever opens the folder next, and
 * nothing else is: not what was not saved, not what somebody put in its place.
 * Method: a store in a temporary folder, closed and opened between the steps;
 * a second store on the same folder stands for another process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cache/store/files.h>
#include <cache/store/sql.h>
#include <cache/store/store.h>
#include <sqlite3.h>
#include <t.h>

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

static struct netfs_store *store_open(void)
{
	char message[300] = "";
	struct netfs_store *store = NULL;

	assert_int_equal(netfs_store_open(path, false, &store, message, sizeof(message)), 0);
	return store;
}

static struct netfs_store_key key_of(struct netfs_store *store, uint64_t ino)
{
	struct netfs_store_key key = {.ino = ino, .gen = 7};

	assert_int_equal(netfs_store_volume(store, "9p://server/a", &key.volume), 0);
	return key;
}

static void file_name(uint64_t ino, char name[600])
{
	char tail[NETFS_STORE_NAME];

	netfs_files_name("9p://server/a", ino, 7, tail);
	snprintf(name, 600, "%s/%s", path, tail);
}

/* An object with that many blocks from the start. */
static void keep_ranked(struct netfs_store *store, uint64_t ino, unsigned blocks, uint64_t rank)
{
	struct netfs_store_key key = key_of(store, ino);
	struct netfs_store_object object;
	char data[NETFS_MAP_BLOCK];

	memset(data, (int)ino, sizeof(data));
	assert_int_equal(netfs_store_begin(store), 0);
	assert_int_equal(netfs_store_load(store, &key, &object), 0);
	assert_int_equal(netfs_map_reserve(&object.map, 0, blocks * NETFS_MAP_BLOCK), 0);
	for (unsigned i = 0; i < blocks; i++) {
		assert_int_equal(pwrite(object.fd, data, sizeof(data), i * sizeof(data)),
				 sizeof(data));
		netfs_map_add(&object.map, i * NETFS_MAP_BLOCK, NETFS_MAP_BLOCK, ino + i);
	}
	memset(object.version, 'v', sizeof(object.version));
	object.rank = rank;
	assert_int_equal(netfs_store_save(store, &object), 0);
	assert_int_equal(netfs_store_end(store), 0);
	netfs_store_release(&object);
}

static void keep(struct netfs_store *store, uint64_t ino, unsigned blocks)
{
	keep_ranked(store, ino, blocks, 0);
}

/* How many blocks of it the folder has. */
static uint64_t kept(struct netfs_store *store, uint64_t ino)
{
	struct netfs_store_key key = key_of(store, ino);
	struct netfs_store_object object;
	uint64_t blocks;

	assert_int_equal(netfs_store_load(store, &key, &object), 0);
	blocks = object.map.blocks;
	if (netfs_map_has(&object.map, 0))
		assert_int_equal(netfs_map_sum(&object.map, 0), ino);
	netfs_store_release(&object);
	return blocks;
}

static void saved_object_is_found_by_the_next_who_opens(void **state)
{
	struct netfs_store *store = store_open();
	struct netfs_store_space space;
	struct stat st;

	keep(store, 1, 600);
	netfs_store_close(store);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	store = store_open();
	assert_int_equal(kept(store, 1), 600);
	assert_int_equal(kept(store, 2), 0);
	assert_int_equal(netfs_store_space(store, &space), 0);
	assert_int_equal(space.objects, 1);
	assert_int_equal(space.bytes, 600 * NETFS_MAP_BLOCK);
	netfs_store_close(store);
}

static void object_without_a_record_is_empty(void **state)
{
	struct netfs_store *store = store_open();
	struct netfs_store_key key = key_of(store, 3);
	struct netfs_store_object object;

	assert_int_equal(netfs_store_load(store, &key, &object), 0);
	assert_int_equal(pwrite(object.fd, "stray", 5, 0), 5);
	netfs_store_release(&object);
	assert_int_equal(kept(store, 3), 0);
	netfs_store_close(store);
}

/* More than SQLite keeps of one statement without a file. */
static void object_of_many_chunks_is_removed_at_once(void **state)
{
	struct netfs_store *store = store_open();
	struct netfs_store_key key = key_of(store, 8);
	struct netfs_store_object object;
	struct netfs_store_space space;

	assert_int_equal(netfs_store_load(store, &key, &object), 0);
	assert_int_equal(netfs_map_reserve(&object.map, 0, 500 * NETFS_MAP_CHUNK), 0);
	for (unsigned i = 0; i < 500; i++)
		netfs_map_add(&object.map, i * NETFS_MAP_CHUNK, NETFS_MAP_BLOCK, i);
	assert_int_equal(netfs_store_begin(store), 0);
	assert_int_equal(netfs_store_save(store, &object), 0);
	assert_int_equal(netfs_store_end(store), 0);
	assert_int_equal(netfs_store_begin(store), 0);
	assert_int_equal(netfs_store_clear(store, &object), 0);
	assert_int_equal(netfs_store_end(store), 0);
	netfs_store_release(&object);
	assert_int_equal(kept(store, 8), 0);
	assert_int_equal(netfs_store_space(store, &space), 0);
	assert_int_equal(space.objects, 0);
	netfs_store_close(store);
}

/* Removes what is not in use, until that many bytes and objects went. */
static void cull(struct netfs_store *store, uint64_t bytes, uint64_t objects)
{
	struct netfs_store_cull cull = {0};

	assert_int_equal(netfs_store_cull(store, &cull, UINT64_MAX, bytes, objects), 0);
}

static void object_has_one_user_at_a_time(void **state)
{
	struct netfs_store *one = store_open(), *two = store_open();
	struct netfs_store_object object;
	struct netfs_store_key key;

	keep(one, 4, 2);
	key = key_of(one, 4);
	assert_int_equal(netfs_store_load(one, &key, &object), 0);
	cull(two, UINT64_MAX, UINT64_MAX);
	key = key_of(two, 4);
	assert_int_equal(netfs_store_load(two, &key, &(struct netfs_store_object){0}), -EBUSY);
	netfs_store_release(&object);
	assert_int_equal(kept(two, 4), 2);
	netfs_store_close(one);
	netfs_store_close(two);
}

static void objects_of_low_rank_are_culled_first(void **state)
{
	struct netfs_store *store = store_open();
	struct netfs_store_cull up_to = {0};
	struct netfs_store_space space;

	for (uint64_t ino = 10; ino < 20; ino++)
		keep_ranked(store, ino, 4, ino);
	keep_ranked(store, 10, 4, 30);
	/* None is as low as that. */
	assert_int_equal(netfs_store_cull(store, &up_to, 11, UINT64_MAX, 0), 0);
	assert_int_equal(up_to.gone, 0);
	cull(store, 5 * 4 * NETFS_MAP_BLOCK, 0);
	assert_int_equal(netfs_store_space(store, &space), 0);
	assert_int_equal(space.objects, 5);
	assert_int_equal(space.bytes, 5 * 4 * NETFS_MAP_BLOCK);
	assert_int_equal(kept(store, 10), 4);
	assert_int_equal(kept(store, 12), 0);
	assert_int_equal(kept(store, 16), 4);
	cull(store, UINT64_MAX, 0);
	assert_int_equal(netfs_store_space(store, &space), 0);
	assert_int_equal(space.bytes, 0);
	netfs_store_close(store);
}

static void large_objects_are_culled_in_part(void **state)
{
	const uint64_t mib = NETFS_MAP_CHUNK / NETFS_MAP_BLOCK;
	struct netfs_store *store = store_open();
	struct netfs_store_entry entry = {0};
	struct netfs_store_space space;
	int64_t used;
	struct stat st;
	char name[600];

	keep_ranked(store, 1, 20 * mib, 1);
	keep_ranked(store, 2, mib, 2);
	assert_int_equal(netfs_store_next(store, &entry), 1);
	used = entry.used;
	file_name(1, name);
	/* Whole chunks from its end, and nothing else. */
	cull(store, NETFS_MAP_CHUNK + 1, 0);
	assert_int_equal(kept(store, 1), 18 * mib);
	assert_int_equal(kept(store, 2), mib);
	assert_int_equal(netfs_store_space(store, &space), 0);
	assert_int_equal(space.bytes, 19 * NETFS_MAP_CHUNK);
	assert_int_equal(stat(name, &st), 0);
	assert_in_range(st.st_blocks * 512, 18 * NETFS_MAP_CHUNK, 18 * NETFS_MAP_CHUNK + 65536);
	entry = (struct netfs_store_entry){0};
	assert_int_equal(netfs_store_next(store, &entry), 1);
	assert_int_equal(entry.used, used);
	/* Parts are no object less; and below 16 MiB it goes as a whole. */
	cull(store, 5 * NETFS_MAP_CHUNK, 0);
	assert_int_equal(kept(store, 1), 13 * mib);
	cull(store, 1, 0);
	assert_int_equal(kept(store, 1), 0);
	keep_ranked(store, 1, 20 * mib, 1);
	cull(store, 1, 1);
	assert_int_equal(kept(store, 1), 0);
	assert_int_equal(kept(store, 2), mib);
	netfs_store_close(store);
}

/* The object's file as somebody has it mapped who is not asked any more. */
static const uint8_t *expose(struct netfs_store *store, uint64_t ino, size_t len)
{
	struct netfs_store_key key = key_of(store, ino);
	struct netfs_store_object object;
	char name[600];
	void *memory;
	int fd;

	assert_int_equal(netfs_store_load(store, &key, &object), 0);
	assert_false(object.exposed);
	assert_int_equal(netfs_store_expose(&object), 0);
	assert_true(object.exposed);
	netfs_store_release(&object);
	/* As the kernel does, it is opened once more. */
	file_name(ino, name);
	fd = open(name, O_RDONLY);
	assert_true(fd >= 0);
	memory = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	close(fd);
	return memory;
}

static void assert_all(const uint8_t *memory, size_t len, uint8_t byte)
{
	for (size_t i = 0; i < len; i += 512)
		assert_int_equal(memory[i], byte);
}

static void exposed_object_is_culled_as_a_whole(void **state)
{
	const uint64_t mib = NETFS_MAP_CHUNK / NETFS_MAP_BLOCK, len = 20 * NETFS_MAP_CHUNK;
	struct netfs_store *store = store_open();
	const uint8_t *memory;

	keep_ranked(store, 1, 20 * mib, 1);
	keep_ranked(store, 2, mib, 2);
	memory = expose(store, 1, len);
	/* Another process comes to know of it. */
	netfs_store_close(store);
	store = store_open();
	cull(store, NETFS_MAP_CHUNK + 1, 0);
	assert_all(memory, len, 1);
	assert_int_equal(kept(store, 1), 0);
	assert_int_equal(kept(store, 2), mib);
	netfs_store_close(store);
	munmap((void *)(uintptr_t)memory, len);
}

static void exposed_object_gets_no_holes_and_another_file(void **state)
{
	const size_t len = 8 * NETFS_MAP_BLOCK;
	struct netfs_store *store = store_open();
	struct netfs_store_key key;
	struct netfs_store_object object;
	const uint8_t *memory;

	keep(store, 3, 8);
	memory = expose(store, 3, len);
	key = key_of(store, 3);
	/* A block that is not believed any more. */
	assert_int_equal(netfs_store_begin(store), 0);
	assert_int_equal(netfs_store_load(store, &key, &object), 0);
	assert_true(object.exposed);
	netfs_map_remove(&object.map, 0, NETFS_MAP_BLOCK);
	assert_int_equal(netfs_store_save(store, &object), 0);
	assert_int_equal(netfs_store_end(store), 0);
	netfs_store_release(&object);
	assert_all(memory, len, 3);
	assert_int_equal(kept(store, 3), 7);
	/* Another version. */
	assert_int_equal(netfs_store_load(store, &key, &object), 0);
	assert_int_equal(netfs_store_clear(store, &object), 0);
	assert_false(object.exposed);
	assert_int_equal(lseek(object.fd, 0, SEEK_END), 0);
	assert_int_equal(pwrite(object.fd, "new", 3, 0), 3);
	assert_all(memory, len, 3);
	/* That one is locked as the first was. */
	assert_int_equal(netfs_store_load(store, &key, &(struct netfs_store_object){0}), -EBUSY);
	netfs_store_release(&object);
	assert_int_equal(kept(store, 3), 0);
	netfs_store_close(store);
	munmap((void *)(uintptr_t)memory, len);
}

/* Its record is of all rows, and nobody can write another. */
static void large_object_of_another_key_is_culled_as_a_whole(void **state)
{
	const uint64_t mib = NETFS_MAP_CHUNK / NETFS_MAP_BLOCK;
	static const char secret[] = "a secret of thirty-two characters";
	struct netfs_store *store = store_open();
	struct netfs_store_space space;

	assert_int_equal(netfs_store_seal(store, (const uint8_t *)secret, sizeof(secret)), 0);
	keep_ranked(store, 1, 20 * mib, 1);
	netfs_store_close(store);
	store = store_open();
	cull(store, NETFS_MAP_CHUNK, 0);
	assert_int_equal(netfs_store_space(store, &space), 0);
	assert_int_equal(space.objects, 0);
	netfs_store_close(store);
}

/* Steps of SQLite's machine that a walk over all objects takes. */
static int walk_steps(struct netfs_sql *sql, unsigned objects)
{
	sqlite3_stmt *stmt = sql->stmt[NETFS_SQL_OBJECT_NEXT];
	int64_t at[] = {INT64_MIN, INT64_MIN, INT64_MIN};

	for (unsigned n = 0;; n++) {
		int64_t before[] = {at[0], at[1], at[2]};
		int result = netfs_sql_step(netfs_sql_get(sql, NETFS_SQL_OBJECT_NEXT, 3, before));

		if (!result) {
			assert_int_equal(n, objects);
			return sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0);
		}
		assert_int_equal(result, 1);
		at[0] = sqlite3_column_int64(stmt, 6);
		at[1] = sqlite3_column_int64(stmt, 7);
		at[2] = sqlite3_column_int64(stmt, 0);
		assert_true(n == 0 || at[0] > before[0] || at[1] > before[1] || at[2] > before[2]);
		sqlite3_reset(stmt);
	}
}

/* Who reads what is cached stores nothing, so the clock of ranks stands still. */
static void walk_over_equal_ranks_goes_on_where_it_was(void **state)
{
	static const char fill[] =
		"INSERT INTO volumes VALUES(1, 'x');"
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
		" INSERT INTO objects(volume, ino, gen, version, tail, bytes, used, uses, rank, "
		"pinned)"
		" SELECT 1, i, 0, x'00', 0, 4096, 0, 1, 5, i % 10 = 0 FROM n;";
	struct netfs_sql sql;
	int folder;

	folder = open(top, O_RDONLY | O_DIRECTORY);
	assert_true(folder >= 0);
	assert_int_equal(netfs_sql_open(&sql, folder, "catalogue", NETFS_SQL_AS_IS), 0);
	assert_int_equal(sqlite3_exec(sql.db, fill, NULL, NULL, NULL), SQLITE_OK);
	assert_in_range(walk_steps(&sql, 2000), 2000, 2000 * 100);
	netfs_sql_close(&sql);
	close(folder);
}

static void pin(struct netfs_store *store, uint64_t ino, bool pinned)
{
	struct netfs_store_key key = key_of(store, ino);
	struct netfs_store_object object;

	assert_int_equal(netfs_store_load(store, &key, &object), 0);
	object.pinned = pinned;
	assert_int_equal(netfs_store_pin(store, &object), 0);
	netfs_store_release(&object);
}

static void pinned_objects_go_last_and_beyond_their_share(void **state)
{
	struct netfs_store *store = store_open();
	struct netfs_store_cull share = {.pins_max = 8 * NETFS_MAP_BLOCK};
	struct netfs_store_cull again = share;

	for (uint64_t ino = 50; ino < 56; ino++)
		keep_ranked(store, ino, 4, ino);
	for (uint64_t ino = 50; ino < 53; ino++)
		pin(store, ino, true);
	/* Recorded again, it is pinned as before. */
	keep_ranked(store, 51, 4, 51);
	assert_int_equal(netfs_store_cull(store, &share, UINT64_MAX, UINT64_MAX, 0), 0);
	assert_int_equal(share.gone, 4);
	assert_int_equal(kept(store, 50), 0);
	assert_int_equal(kept(store, 51), 4);
	assert_int_equal(kept(store, 52), 4);
	pin(store, 51, false);
	assert_int_equal(netfs_store_cull(store, &again, UINT64_MAX, UINT64_MAX, 0), 0);
	assert_int_equal(kept(store, 51), 0);
	assert_int_equal(kept(store, 52), 4);
	netfs_store_close(store);
}

/* A mount dies that had begun an object: nothing is left of it. */
static void objects_that_were_only_begun_are_swept(void **state)
{
	struct netfs_store *store = store_open();
	struct netfs_store_object used, left;
	struct netfs_store_space space;
	struct netfs_store_key key;
	char name[600];
	struct stat st;

	keep(store, 30, 2);
	key = key_of(store, 31);
	assert_int_equal(netfs_store_load(store, &key, &left), 0);
	assert_int_equal(netfs_store_announce(store, &left), 0);
	assert_int_equal(pwrite(left.fd, "stray", 5, 0), 5);
	netfs_store_release(&left);
	key = key_of(store, 32);
	assert_int_equal(netfs_store_load(store, &key, &used), 0);
	assert_int_equal(netfs_store_announce(store, &used), 0);
	assert_int_equal(netfs_store_sweep(store), 0);
	assert_int_equal(netfs_store_space(store, &space), 0);
	assert_int_equal(space.objects, 2);
	file_name(31, name);
	assert_int_equal(stat(name, &st), -1);
	file_name(32, name);
	assert_int_equal(stat(name, &st), 0);
	netfs_store_release(&used);
	assert_int_equal(kept(store, 30), 2);
	netfs_store_close(store);
}

/* A mount dies that had stored more of an object than it recorded. */
static void what_was_not_recorded_takes_no_space(void **state)
{
	struct netfs_store *store = store_open();
	struct netfs_store_key key = key_of(store, 40);
	static const char data[40 * NETFS_MAP_BLOCK] = {1};
	struct netfs_store_object object;
	struct stat st;

	keep(store, 40, 2);
	for (unsigned times = 0; times < 2; times++) {
		assert_int_equal(netfs_store_load(store, &key, &object), 0);
		assert_int_equal(fstat(object.fd, &st), 0);
		assert_in_range(st.st_blocks * 512, 2 * NETFS_MAP_BLOCK, 8 * NETFS_MAP_BLOCK);
		assert_int_equal(pwrite(object.fd, data, sizeof(data), sizeof(data)), sizeof(data));
		netfs_store_release(&object);
	}
	/* What is recorded and not there becomes a hole when it is saved. */
	assert_int_equal(netfs_store_load(store, &key, &object), 0);
	netfs_map_remove(&object.map, 0, NETFS_MAP_BLOCK);
	assert_int_equal(netfs_store_save(store, &object), 0);
	assert_int_equal(object.map.held, 1);
	assert_int_equal(object.counted, NETFS_MAP_BLOCK);
	assert_int_equal(fstat(object.fd, &st), 0);
	assert_int_equal(st.st_blocks * 512, NETFS_MAP_BLOCK);
	netfs_store_release(&object);
	assert_int_equal(kept(store, 40), 1);
	netfs_store_close(store);
}

/* Puts something else in the place of an object's file. */
static void replace(const char *name, unsigned how, const char *precious)
{
	assert_int_equal(unlink(name), 0);
	if (how == 0)
		assert_int_equal(symlink(precious, name), 0);
	else if (how == 1)
		assert_int_equal(link(precious, name), 0);
	else if (how == 2)
		assert_int_equal(mkfifo(name, 0600), 0);
	else if (how == 3 && getuid() == 0)
		assert_true(mknod(name, S_IFREG | 0600, 0) == 0 && chown(name, 1, 1) == 0);
}

static void what_is_not_our_file_is_never_written_to(void **state)
{
	struct netfs_store *store = store_open();
	char precious[500], name[600], text[10] = "";
	int fd;

	snprintf(precious, sizeof(precious), "%s/precious", top);
	fd = open(precious, O_CREAT | O_RDWR, 0600);
	assert_int_equal(write(fd, "precious", 8), 8);
	for (unsigned how = 0; how < 5; how++) {
		keep(store, 30, 1);
		file_name(30, name);
		replace(name, how, precious);
		keep(store, 30, 1);
		assert_int_equal(pread(fd, text, 9, 0), 8);
		assert_string_equal(text, "precious");
		assert_int_equal(kept(store, 30), 1);
	}
	close(fd);
	netfs_store_close(store);
}

static void folder_of_others_is_refused(void **state)
{
	struct netfs_store *store;
	char message[300] = "";

	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(netfs_store_open(path, false, &store, message, sizeof(message)), -EPERM);
	assert_non_null(strstr(message, "0700"));
	assert_int_equal(chmod(path, 0700), 0);
	netfs_store_close(store_open());
}

static void unknown_format_is_dropped(void **state)
{
	struct netfs_store *store = store_open();
	char name[500];
	sqlite3 *db;
	int fd;

	keep(store, 1, 3);
	netfs_store_close(store);
	snprintf(name, sizeof(name), "%s/catalogue", path);
	assert_int_equal(sqlite3_open(name, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), 0);
	sqlite3_close(db);
	store = store_open();
	assert_int_equal(kept(store, 1), 0);
	keep(store, 1, 3);
	netfs_store_close(store);
	fd = open(name, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "this is no database", 19), 19);
	close(fd);
	store = store_open();
	assert_int_equal(kept(store, 1), 0);
	netfs_store_close(store);
}

static int rows(void *user, int n, char **values, char **names)
{
	*(int *)user += atoi(values[0]);
	return 0;
}

/* With the locks and the index of the WAL that SQLite's own files use. */
static void catalogue_in_use_is_open_to_the_shell(void **state)
{
	struct netfs_store *store = store_open();
	char name[500];
	int objects = 0;
	sqlite3 *db;

	keep(store, 1, 3);
	snprintf(name, sizeof(name), "%s/catalogue", path);
	assert_int_equal(sqlite3_open(name, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "SELECT objects FROM total", rows, &objects, NULL),
			 SQLITE_OK);
	assert_int_equal(objects, 1);
	assert_int_equal(netfs_store_begin(store), 0);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
	assert_int_equal(netfs_store_end(store), 0);
	assert_int_equal(
		sqlite3_exec(db, "BEGIN IMMEDIATE; DELETE FROM objects; COMMIT", NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(kept(store, 1), 0);
	sqlite3_close(db);
	netfs_store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(saved_object_is_found_by_the_next_who_opens, setup,
						teardown),
		cmocka_unit_test_setup_teardown(object_without_a_record_is_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(object_of_many_chunks_is_removed_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(object_has_one_user_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(objects_of_low_rank_are_culled_first, setup,
						teardown),
		cmocka_unit_test_setup_teardown(large_objects_are_culled_in_part, setup, teardown),
		cmocka_unit_test_setup_teardown(exposed_object_is_culled_as_a_whole, setup,
						teardown),
		cmocka_unit_test_setup_teardown(exposed_object_gets_no_holes_and_another_file,
						setup, teardown),
		cmocka_unit_test_setup_teardown(large_object_of_another_key_is_culled_as_a_whole,
						setup, teardown),
		cmocka_unit_test_setup_teardown(walk_over_equal_ranks_goes_on_where_it_was, setup,
						teardown),
		cmocka_unit_test_setup_teardown(pinned_objects_go_last_and_beyond_their_share,
						setup, teardown),
		cmocka_unit_test_setup_teardown(objects_that_were_only_begun_are_swept, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_was_not_recorded_takes_no_space, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_not_our_file_is_never_written_to, setup,
						teardown),
		cmocka_unit_test_setup_teardown(folder_of_others_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_format_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(catalogue_in_use_is_open_to_the_shell, setup,
						teardown),
	};

	return t_run(tests, NULL, NULL);
}
