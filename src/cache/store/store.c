/* SPDX-License-Identifier: MIT */
/*
 * The store: what the catalogue says and what is in the files, kept together.
 *
 * A record says which blocks of a file are there, with a checksum of each.  The
 * file says nothing: what is in it where no record is, is nothing.  So the order
 * is always data, record, and for removing record, file; a crash between
 * the two leaves a file nobody believes, which the next object of that name
 * starts from.
 *
 * A catalogue that cannot be read, or has another format, is moved out of the
 * way by making a new one: the files of its objects are then such files too.
 *
 * Locks: none; the owner uses it from one thread at a time.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include <base/assert.h>
#include <cache/store/files.h>
#include <cache/store/sql.h>
#include <crypt/aead.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/hostfs.h>

#define CATALOGUE "catalogue"
/* Bytes of a file that are no reason to look for unrecorded ones. */
#define SLACK (UINT64_C(64) << 10)
/* Of objects that have so many bytes only those go that are wanted. */
#define LARGE (UINT64_C(16) << 20)
/* Nobody runs an object: this bit of its mode says that it is exposed. */
#define EXPOSED S_IXUSR

struct netfs_store {
	int folder;
	struct netfs_sql sql;
	bool began;
	bool damaged; /* the catalogue is to be made anew */
	int64_t volume; /* the one that was asked for, and its key; NULL: none */
	char *volume_key;
	struct netfs_seal *seal; /* NULL: nothing we store is sealed */
};

static const char *const catalogue_files[] = {CATALOGUE, CATALOGUE "-wal", CATALOGUE "-shm"};

#define CATALOGUE_FILES (sizeof(catalogue_files) / sizeof(catalogue_files[0]))

/* -------------------------------------------------------------- life */

/* SQLite gives its other files the mode of this one. */
static int open_sql(struct netfs_store *store, enum netfs_sql_how how)
{
	int fd = netfs_hostfs_open(store->folder, CATALOGUE, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		return fd;
	netfs_hostfs_close(fd);
	return netfs_sql_open(&store->sql, store->folder, CATALOGUE, how);
}

/* An empty catalogue in the place of one that cannot be used.  A damaged one is
 * emptied, so that others who have it open go on with the same; where that does
 * not help, or it is of another format, it is removed. */
static int make_anew(struct netfs_store *store, int why)
{
	int err = why == -EUCLEAN ? open_sql(store, NETFS_SQL_EMPTY) : why;

	if (err != -EUCLEAN && err != -EMEDIUMTYPE)
		return err;
	for (unsigned i = 0; i < CATALOGUE_FILES; i++)
		netfs_hostfs_unlink(store->folder, catalogue_files[i], 0);
	return open_sql(store, NETFS_SQL_AS_IS);
}

static int open_catalogue(struct netfs_store *store, bool only)
{
	struct timespec btime;
	struct stat st;
	int err = 0;

	for (unsigned i = 0; i < CATALOGUE_FILES && !err; i++)
		err = netfs_files_check(store->folder, catalogue_files[i]);
	if (err)
		return -EPERM;
	if (only && netfs_hostfs_stat(store->folder, CATALOGUE, &st, &btime))
		return -ENOENT;
	err = open_sql(store, NETFS_SQL_AS_IS);
	if (only)
		return err == -EMEDIUMTYPE ? -EUCLEAN : err;
	return err == -EUCLEAN || err == -EMEDIUMTYPE ? make_anew(store, err) : err;
}

static const char *why(int err)
{
	if (err == -EPERM)
		return "it must belong to you alone (mode 0700)";
	if (err == -EUCLEAN)
		return "its catalogue is damaged or of another format; the next mount makes it "
		       "anew";
	return err == -ENOENT ? "there is no cache in it" : strerrordesc_np(-err);
}

int netfs_store_open(const char *path, bool only, struct netfs_store **ret_store, char *message,
		     size_t message_size)
{
	struct netfs_store *store = netfs_zalloc(sizeof(*store));
	int err;

	if (!store)
		return -ENOMEM;
	store->folder = err = netfs_files_open(path, !only);
	if (err >= 0)
		err = open_catalogue(store, only);
	if (err < 0) {
		if (message)
			snprintf(message, message_size, "cannot use cache folder %s: %s", path,
				 why(err));
		netfs_hostfs_close(store->folder);
		netfs_free(store);
		return err;
	}
	*ret_store = store;
	return 0;
}

void netfs_store_close(struct netfs_store *store)
{
	if (!store)
		return;
	netfs_sql_close(&store->sql);
	netfs_hostfs_close(store->folder);
	netfs_seal_free(store->seal);
	netfs_free(store->volume_key);
	netfs_free(store);
}

/* What came of a statement; damage is remembered until the next transaction. */
static int noted(struct netfs_store *store, int result)
{
	if (result == -EUCLEAN)
		store->damaged = true;
	return result;
}

static int add_volume(struct netfs_store *store)
{
	sqlite3_stmt *stmt;

	if (!store->volume_key)
		return 0;
	stmt = netfs_sql_get(&store->sql, NETFS_SQL_VOLUME_ADD, 1, &store->volume);
	sqlite3_bind_text(stmt, 2, store->volume_key, -1, SQLITE_STATIC);
	return netfs_sql_run(stmt);
}

/* Whatever is open stays so, and is recorded in the new one. */
static int mend(struct netfs_store *store)
{
	int err;

	netfs_sql_close(&store->sql);
	err = make_anew(store, -EUCLEAN);
	if (!err)
		err = add_volume(store);
	store->damaged = err != 0;
	return err;
}

int netfs_store_begin(struct netfs_store *store)
{
	int err = store->damaged ? mend(store) : 0;

	if (!err)
		err = netfs_sql_run(netfs_sql_get(&store->sql, NETFS_SQL_BEGIN, 0, NULL));
	store->began = !err;
	return noted(store, err);
}

int netfs_store_end(struct netfs_store *store)
{
	int err;

	if (!store->began)
		return 0;
	store->began = false;
	err = netfs_sql_run(netfs_sql_get(&store->sql, NETFS_SQL_COMMIT, 0, NULL));
	if (err)
		netfs_sql_run(netfs_sql_get(&store->sql, NETFS_SQL_ROLLBACK, 0, NULL));
	return noted(store, err);
}

/* That the number is another's by chance happens to nobody. */
static int check_volume(struct netfs_store *store)
{
	sqlite3_stmt *stmt = netfs_sql_get(&store->sql, NETFS_SQL_VOLUME_KEY, 1, &store->volume);
	int result = netfs_sql_step(stmt);
	const char *key;

	if (result != 1)
		return result ? result : -EUCLEAN;
	key = (const char *)sqlite3_column_text(stmt, 0);
	result = key && strcmp(key, store->volume_key) == 0 ? 0 : -EUCLEAN;
	sqlite3_reset(stmt);
	return result;
}

int netfs_store_seal(struct netfs_store *store, const uint8_t *secret, size_t len)
{
	netfs_assert(!store->seal && !store->volume_key);
	return netfs_seal_new(secret, len, &store->seal);
}

int netfs_store_volume(struct netfs_store *store, const char *key, int64_t *ret_volume)
{
	char text[NETFS_SEAL_VOLUME], *copy;
	int err = store->seal ? netfs_seal_volume(store->seal, key, text) : 0;

	if (err)
		return err;
	if (store->seal)
		key = text;
	copy = netfs_strdup(key);
	if (!copy)
		return -ENOMEM;
	netfs_free(store->volume_key);
	store->volume_key = copy;
	/* The same in every catalogue, so that it outlives a damaged one; and short, because
	 * each object has it twice. */
	store->volume = (int64_t)(XXH3_64bits(key, strlen(key)) >> 33);
	err = add_volume(store);
	if (!err)
		err = check_volume(store);
	if (err == -EUCLEAN && !store->began)
		err = mend(store);
	if (!err)
		*ret_volume = store->volume;
	return noted(store, err);
}

/* ----------------------------------------------------------- objects */

int netfs_store_key(const struct netfs_store *store, uint64_t ino, uint64_t gen,
		    struct netfs_store_key *ret_key)
{
	struct netfs_seal_name name = {ino, gen};
	int err = 0;

	if (store->seal)
		err = netfs_seal_name(store->seal, store->volume_key, ino, gen, &name);
	if (!err)
		*ret_key = (struct netfs_store_key){
			.volume = store->volume, .ino = name.ino, .gen = name.gen};
	return err;
}

/* What the text of its volume says of an object: its name, and (unless NULL)
 * whether it is sealed. */
static int judge(const struct netfs_store *store, const char *text,
		 const struct netfs_store_key *key, char name[NETFS_STORE_NAME], bool *ret_sealed)
{
	bool sealed = netfs_seal_is_sealed(text);

	netfs_files_name(text, key->ino, key->gen, name);
	if (!ret_sealed)
		return 0;
	*ret_sealed = sealed;
	return sealed && !(store->seal && netfs_seal_is_ours(store->seal, text)) ? -ENOKEY : 0;
}

static int find(struct netfs_store *store, const struct netfs_store_key *key,
		char name[NETFS_STORE_NAME], bool *ret_sealed)
{
	sqlite3_stmt *stmt;
	const char *text;
	int result;

	if (store->volume_key && store->volume == key->volume)
		return judge(store, store->volume_key, key, name, ret_sealed);
	stmt = netfs_sql_get(&store->sql, NETFS_SQL_VOLUME_KEY, 1, &key->volume);
	result = netfs_sql_step(stmt);
	if (result != 1)
		return result ? noted(store, result) : -EUCLEAN;
	text = (const char *)sqlite3_column_text(stmt, 0);
	result = judge(store, text ? text : "", key, name, ret_sealed);
	sqlite3_reset(stmt);
	return result;
}

int netfs_store_name(struct netfs_store *store, const struct netfs_store_key *key,
		     char name[NETFS_STORE_NAME])
{
	return find(store, key, name, NULL);
}

static sqlite3_stmt *with_key(struct netfs_store *store, enum netfs_sql_id id,
			      const struct netfs_store_key *key)
{
	int64_t numbers[] = {key->volume, (int64_t)key->ino, (int64_t)key->gen};

	return netfs_sql_get(&store->sql, id, 3, numbers);
}

static int load_chunk(struct netfs_store_object *object, uint64_t chunk, const void *row,
		      size_t len)
{
	/* SQLite gives no bytes at all where there are none. */
	if (!row)
		return -EUCLEAN;
	if (object->map.sealed)
		return netfs_seal_row_open(&object->seal, chunk, row, len, &object->map);
	return netfs_map_load(&object->map, chunk, row, len);
}

static int load_chunks(struct netfs_store *store, int64_t id, struct netfs_store_object *object)
{
	sqlite3_stmt *stmt = netfs_sql_get(&store->sql, NETFS_SQL_CHUNKS_GET, 1, &id);
	int result;

	while ((result = netfs_sql_step(stmt)) == 1) {
		int err = load_chunk(object, (uint64_t)sqlite3_column_int64(stmt, 0),
				     sqlite3_column_blob(stmt, 1),
				     (size_t)sqlite3_column_bytes(stmt, 1));

		if (err) {
			sqlite3_reset(stmt);
			return err;
		}
	}
	return result;
}

/* A number of the catalogue, which anybody may have written. */
static uint64_t bounded(int64_t number, uint64_t most)
{
	if (number < 0)
		return 0;
	return (uint64_t)number < most ? (uint64_t)number : most;
}

/* A key for what the object has from now on, or by the salt of what it has. */
static int make_key(struct netfs_store *store, struct netfs_store_object *object,
		    const uint8_t *salt)
{
	struct netfs_seal_name name = {object->key.ino, object->key.gen};

	return netfs_seal_key_make(store->seal, &name, salt, &object->seal);
}

/* Version and tail of an object as they are sealed. */
static void put_text(const struct netfs_store_object *object, uint8_t text[NETFS_SEAL_TEXT])
{
	uint64_t tail = htole64(object->map.tail);

	_Static_assert(NETFS_SEAL_TEXT == NETFS_STORE_VERSION + sizeof(tail), "room for both");
	memcpy(text, object->version, NETFS_STORE_VERSION);
	memcpy(text + NETFS_STORE_VERSION, &tail, sizeof(tail));
}

/* What one row of objects says. */
struct record {
	int64_t id;
	uint64_t tail;
	uint8_t bytes[NETFS_SEAL_RECORD]; /* the version, or what seals it */
};

/* 1, or 0 where there is none. */
static int read_record(struct netfs_store *store, struct netfs_store_object *object,
		       struct record *record)
{
	sqlite3_stmt *stmt = with_key(store, NETFS_SQL_OBJECT_GET, &object->key);
	int result = netfs_sql_step(stmt);
	int size = object->map.sealed ? NETFS_SEAL_RECORD : NETFS_STORE_VERSION;

	if (result != 1)
		return result;
	record->id = sqlite3_column_int64(stmt, 0);
	record->tail = (uint64_t)sqlite3_column_int64(stmt, 2);
	object->counted = (uint64_t)sqlite3_column_int64(stmt, 3);
	object->uses = bounded(sqlite3_column_int64(stmt, 4), NETFS_STORE_USES);
	object->rank = bounded(sqlite3_column_int64(stmt, 5), NETFS_STORE_RANK);
	object->pinned = sqlite3_column_int64(stmt, 6) > 0;
	if (sqlite3_column_bytes(stmt, 1) != size)
		result = -EUCLEAN;
	else
		memcpy(record->bytes, sqlite3_column_blob(stmt, 1), (size_t)size);
	sqlite3_reset(stmt);
	return result;
}

/* A sealed one becomes what a plain one is. */
static int open_record(struct netfs_store_object *object, struct record *record)
{
	uint8_t text[NETFS_SEAL_TEXT];
	int err = netfs_seal_record_open(&object->seal, &object->map, record->bytes, text);

	if (err)
		return err;
	memcpy(record->bytes, text, NETFS_STORE_VERSION);
	memcpy(&record->tail, text + NETFS_STORE_VERSION, sizeof(record->tail));
	record->tail = le64toh(record->tail);
	return 0;
}

/* What the catalogue has of it: 1, or 0 where it has nothing. */
static int load_record(struct netfs_store *store, struct netfs_store_object *object)
{
	struct record record;
	int err, result = read_record(store, object, &record);

	if (result != 1)
		return result;
	err = object->map.sealed ? make_key(store, object, record.bytes) : 0;
	if (!err)
		err = load_chunks(store, record.id, object);
	if (!err && object->map.sealed)
		err = open_record(object, &record);
	if (err)
		return err;
	memcpy(object->version, record.bytes, NETFS_STORE_VERSION);
	if (record.tail % NETFS_MAP_BLOCK &&
	    netfs_map_has(&object->map, record.tail / NETFS_MAP_BLOCK))
		object->map.tail = record.tail;
	return 1;
}

/* Gives the disk back what the record does not say is there. */
static int punch_rest(const struct netfs_store_object *object, uint64_t size)
{
	uint64_t at = 0, from = 0, to = 0;
	int err = 0;

	while (!err && netfs_map_next(&object->map, at, NETFS_MAP_END, &from, &to)) {
		if (from > at)
			err = netfs_store_punch(object, at, from);
		at = (to + NETFS_MAP_BLOCK - 1) & ~(NETFS_MAP_BLOCK - 1);
	}
	return !err && size > at ? netfs_hostfs_truncate(object->fd, at) : err;
}

/* A mount that died stored more than it recorded.  What the file system itself
 * takes is no such thing. */
static int trim(const struct netfs_store_object *object, const struct stat *st)
{
	uint64_t held = object->map.held * NETFS_MAP_BLOCK;

	if (object->exposed || (uint64_t)st->st_blocks * 512 <= held + held / 64 + SLACK)
		return 0;
	return punch_rest(object, (uint64_t)st->st_size);
}

static int look_at(struct netfs_store_object *object, struct stat *st)
{
	struct timespec btime;
	int err = netfs_hostfs_stat(object->fd, "", st, &btime);

	object->exposed = !err && (st->st_mode & EXPOSED);
	return err;
}

int netfs_store_load(struct netfs_store *store, const struct netfs_store_key *key,
		     struct netfs_store_object *ret_object)
{
	struct netfs_store_object object = {.key = *key};
	char name[NETFS_STORE_NAME];
	struct stat st;
	int result = find(store, key, name, &object.map.sealed);

	if (result)
		return result;
	object.fd = netfs_files_object(store->folder, name, true);
	if (object.fd < 0)
		return object.fd;
	object.open = true;
	result = look_at(&object, &st);
	if (result) {
		netfs_store_release(&object);
		return result;
	}
	result = load_record(store, &object);
	/* None, or one that nobody wrote: the object begins anew. */
	if (result == 0 || result == -EUCLEAN) {
		netfs_map_done(&object.map);
		result = netfs_store_clear(store, &object);
	} else if (result == 1) {
		result = trim(&object, &st);
	}
	if (result < 0) {
		netfs_store_release(&object);
		return result;
	}
	*ret_object = object;
	return 0;
}

/* Who reads the file by himself keeps what he has. */
static int replace_file(struct netfs_store *store, struct netfs_store_object *object)
{
	char name[NETFS_STORE_NAME];
	int err = netfs_store_name(store, &object->key, name), fd;

	if (!err)
		err = netfs_files_unlink(store->folder, name);
	if (err)
		return err;
	fd = netfs_files_object(store->folder, name, true);
	if (fd < 0)
		return fd;
	netfs_hostfs_close(object->fd);
	object->fd = fd;
	object->exposed = false;
	/* Another user of the folder may have come first, and gone. */
	return netfs_hostfs_truncate(fd, 0);
}

int netfs_store_clear(struct netfs_store *store, struct netfs_store_object *object)
{
	int err = netfs_sql_run(with_key(store, NETFS_SQL_OBJECT_DROP, &object->key));

	if (err)
		return noted(store, err);
	netfs_map_done(&object->map);
	object->counted = 0;
	object->uses = 0;
	err = object->exposed ? replace_file(store, object) : netfs_hostfs_truncate(object->fd, 0);
	if (!err && object->map.sealed)
		err = make_key(store, object, NULL);
	return err;
}

/* Seals what changed, and then all of it: record is what the catalogue gets. */
static int seal_object(struct netfs_store_object *object, uint8_t record[NETFS_SEAL_RECORD])
{
	uint8_t text[NETFS_SEAL_TEXT];
	const struct netfs_map *map = &object->map;
	int err = 0;

	for (uint32_t i = 0; i < map->nchunks && !err; i++) {
		struct netfs_map_chunk *chunk = map->chunks[i];

		if (chunk && chunk->changed && chunk->count)
			err = netfs_seal_row_close(&object->seal, i, chunk);
	}
	put_text(object, text);
	return err ? err : netfs_seal_record_close(&object->seal, map, text, record);
}

static int save_chunks(struct netfs_store *store, int64_t id, struct netfs_map *map)
{
	uint8_t row[NETFS_MAP_SEALED_ROW];
	int err = 0;

	for (uint32_t i = 0; i < map->nchunks && !err; i++) {
		struct netfs_map_chunk *chunk = map->chunks[i];
		int64_t numbers[] = {id, i};
		sqlite3_stmt *stmt;
		size_t len;

		if (!chunk || !chunk->changed)
			continue;
		stmt = netfs_sql_get(&store->sql,
				     chunk->count ? NETFS_SQL_CHUNK_PUT : NETFS_SQL_CHUNK_DROP, 2,
				     numbers);
		len = !chunk->count ? 0
		      : map->sealed ? netfs_seal_row_put(chunk, row)
				    : netfs_map_store(chunk, row);
		if (len)
			sqlite3_bind_blob(stmt, 3, row, (int)len, SQLITE_STATIC);
		err = netfs_sql_run(stmt);
		chunk->changed = err != 0;
	}
	return err;
}

static int punch_rubbish(struct netfs_store_object *object)
{
	uint64_t from, to, at = 0;
	int err = 0;

	for (; !err && !object->exposed &&
	       netfs_map_rubbish(&object->map, at, NETFS_MAP_END, &from, &to);
	     at = to) {
		err = netfs_store_punch(object, from, to);
		if (!err)
			netfs_map_yield(&object->map, from, to);
	}
	return err;
}

static int put_object(struct netfs_store *store, struct netfs_store_object *object, int64_t *ret_id)
{
	sqlite3_stmt *stmt;
	uint8_t record[NETFS_SEAL_RECORD];
	bool sealed = object->map.sealed;
	int result = sealed ? seal_object(object, record) : 0;

	if (result)
		return result;
	stmt = with_key(store, NETFS_SQL_OBJECT_PUT, &object->key);
	if (sealed)
		sqlite3_bind_blob(stmt, 4, record, sizeof(record), SQLITE_STATIC);
	else
		sqlite3_bind_blob(stmt, 4, object->version, NETFS_STORE_VERSION, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 5, sealed ? 0 : (int64_t)object->map.tail);
	sqlite3_bind_int64(stmt, 6, (int64_t)(object->map.blocks * NETFS_MAP_BLOCK));
	sqlite3_bind_int64(stmt, 7, (int64_t)(netfs_clock_real() / NETFS_NS_PER_MS));
	sqlite3_bind_int64(stmt, 8, object->uses);
	sqlite3_bind_int64(stmt, 9, (int64_t)object->rank);
	sqlite3_bind_int64(stmt, 10, object->pinned);
	result = netfs_sql_step(stmt);
	if (result == 1)
		*ret_id = sqlite3_column_int64(stmt, 0);
	return result == 1 ? netfs_sql_run(stmt) : result;
}

int netfs_store_announce(struct netfs_store *store, struct netfs_store_object *object)
{
	int64_t id;

	netfs_assert(!object->map.blocks);
	return noted(store, put_object(store, object, &id));
}

int netfs_store_save(struct netfs_store *store, struct netfs_store_object *object)
{
	int64_t id = 0;
	int err = punch_rubbish(object);

	if (!err)
		err = put_object(store, object, &id);
	if (!err)
		err = save_chunks(store, id, &object->map);
	if (!err)
		object->counted = object->map.blocks * NETFS_MAP_BLOCK;
	return noted(store, err);
}

/* A block as the disk has it, in place. */
static int unlock(const struct netfs_store_object *object, uint64_t block, uint8_t *buf, size_t len)
{
	struct netfs_aead *aead;
	int err = netfs_aead_new(object->seal.bytes, NETFS_AEAD_OPEN, &aead);

	if (err)
		return err;
	err = netfs_seal_unlock(aead, block, buf, buf, len, netfs_map_seal(&object->map, block));
	netfs_aead_free(aead);
	return err == -EBADMSG ? -EILSEQ : err;
}

int netfs_store_prove(const struct netfs_store_object *object, uint64_t block, uint8_t *bytes)
{
	size_t len = netfs_map_block_len(&object->map, block);

	if (object->map.sealed)
		return unlock(object, block, bytes, len);
	return XXH3_64bits(bytes, len) == netfs_map_sum(&object->map, block) ? 0 : -EILSEQ;
}

ssize_t netfs_store_read(const struct netfs_store_object *object, uint64_t block,
			 uint8_t buf[NETFS_MAP_BLOCK])
{
	size_t len = netfs_map_block_len(&object->map, block);
	ssize_t n = netfs_hostfs_pread(object->fd, buf, len, block * NETFS_MAP_BLOCK);
	int err = n < 0		     ? (int)n
		  : n < (ssize_t)len ? -EILSEQ
				     : netfs_store_prove(object, block, buf);

	return err ? err : n;
}

int netfs_store_punch(const struct netfs_store_object *object, uint64_t start, uint64_t end)
{
	netfs_assert(!object->exposed);
	return netfs_hostfs_fallocate(object->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
				      end - start);
}

/* Only compared. */
static uint64_t ns_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * NETFS_NS_PER_SEC + (uint64_t)time->tv_nsec;
}

int netfs_store_stamp(const struct netfs_store_object *object, struct netfs_store_stamp *ret_stamp)
{
	struct timespec btime;
	struct stat st;
	int err = netfs_hostfs_stat(object->fd, "", &st, &btime);

	if (!err)
		*ret_stamp = (struct netfs_store_stamp){
			.number = st.st_ino,
			.size = (uint64_t)st.st_size,
			.mtime_ns = ns_of(&st.st_mtim),
			.ctime_ns = ns_of(&st.st_ctim),
		};
	return err;
}

int netfs_store_expose(struct netfs_store_object *object)
{
	int err = object->exposed ? 0 : netfs_hostfs_chmod(object->fd, "", 0600 | EXPOSED);

	object->exposed = !err;
	return err;
}

int netfs_store_pin(struct netfs_store *store, const struct netfs_store_object *object)
{
	sqlite3_stmt *stmt = with_key(store, NETFS_SQL_OBJECT_PIN, &object->key);

	sqlite3_bind_int64(stmt, 4, object->pinned);
	return noted(store, netfs_sql_run(stmt));
}

int netfs_store_remove(struct netfs_store *store, struct netfs_store_object *object)
{
	char name[NETFS_STORE_NAME];
	int err = netfs_sql_run(with_key(store, NETFS_SQL_OBJECT_DROP, &object->key));

	object->counted = 0;
	if (!err)
		err = netfs_store_name(store, &object->key, name);
	return err ? noted(store, err) : netfs_files_unlink(store->folder, name);
}

void netfs_store_release(struct netfs_store_object *object)
{
	if (object->open)
		netfs_hostfs_close(object->fd);
	netfs_map_done(&object->map);
	netfs_seal_key_drop(&object->seal);
	object->open = false;
}

/* ------------------------------------------------------------- space */

int netfs_store_space(struct netfs_store *store, struct netfs_store_space *ret_space)
{
	sqlite3_stmt *stmt = netfs_sql_get(&store->sql, NETFS_SQL_TOTAL_GET, 0, NULL);
	int result = netfs_sql_step(stmt);
	struct statvfs vfs;

	if (result != 1)
		return noted(store, result ? result : -EUCLEAN);
	ret_space->bytes = (uint64_t)sqlite3_column_int64(stmt, 0);
	ret_space->objects = (uint64_t)sqlite3_column_int64(stmt, 1);
	ret_space->clock = bounded(sqlite3_column_int64(stmt, 2), NETFS_STORE_RANK);
	sqlite3_reset(stmt);
	result = netfs_hostfs_statvfs(store->folder, &vfs);
	if (result)
		return result;
	ret_space->disk_bytes = vfs.f_blocks * vfs.f_frsize;
	ret_space->disk_free = vfs.f_bavail * vfs.f_frsize;
	ret_space->disk_files = vfs.f_files;
	ret_space->disk_files_free = vfs.f_favail;
	return 0;
}

int netfs_store_tick(struct netfs_store *store, uint64_t clock)
{
	int64_t number = (int64_t)clock;

	return noted(store,
		     netfs_sql_run(netfs_sql_get(&store->sql, NETFS_SQL_TOTAL_CLOCK, 1, &number)));
}

/* The row of a walk: 1, 0 where there is none. */
static int next_row(struct netfs_store *store, sqlite3_stmt *stmt, struct netfs_store_entry *entry)
{
	int result = netfs_sql_step(stmt);
	const char *volume;

	if (result != 1)
		return noted(store, result);
	entry->id = sqlite3_column_int64(stmt, 0);
	entry->key = (struct netfs_store_key){
		.volume = sqlite3_column_int64(stmt, 1),
		.ino = (uint64_t)sqlite3_column_int64(stmt, 2),
		.gen = (uint64_t)sqlite3_column_int64(stmt, 3),
	};
	entry->bytes = (uint64_t)sqlite3_column_int64(stmt, 4);
	entry->used = sqlite3_column_int64(stmt, 5);
	entry->pinned = sqlite3_column_int64(stmt, 6) > 0;
	entry->rank = sqlite3_column_int64(stmt, 7);
	volume = (const char *)sqlite3_column_text(stmt, 8);
	snprintf(entry->volume, sizeof(entry->volume), "%s", volume ? volume : "");
	netfs_files_name(volume ? volume : "", entry->key.ino, entry->key.gen, entry->name);
	sqlite3_reset(stmt);
	return 1;
}

int netfs_store_next(struct netfs_store *store, struct netfs_store_entry *entry)
{
	int64_t first[] = {INT64_MIN, INT64_MIN, INT64_MIN};
	int64_t after[] = {entry->pinned, entry->rank, entry->id};
	const int64_t *at = entry->id ? after : first;

	return next_row(store, netfs_sql_get(&store->sql, NETFS_SQL_OBJECT_NEXT, 3, at), entry);
}

/* The lock is held until its record is gone for good. */
int netfs_store_evict(struct netfs_store *store, const struct netfs_store_entry *entry)
{
	int fd = netfs_files_object(store->folder, entry->name, false), err;

	if (fd == -EBUSY)
		return fd;
	err = netfs_store_begin(store);
	if (!err)
		err = netfs_sql_run(with_key(store, NETFS_SQL_OBJECT_DROP, &entry->key));
	if (!err)
		err = netfs_store_end(store);
	if (!err && (fd >= 0 || fd == -EUCLEAN))
		netfs_files_unlink(store->folder, entry->name);
	if (err)
		netfs_store_end(store);
	netfs_hostfs_close(fd);
	return noted(store, err);
}

/* All of it was seen; the totals should have been that much. */
static int mend_totals(struct netfs_store *store, uint64_t bytes, uint64_t objects)
{
	struct netfs_store_space space;
	int err = netfs_store_space(store, &space);

	if (err || (space.bytes == bytes && space.objects == objects))
		return err;
	return noted(store,
		     netfs_sql_run(netfs_sql_get(&store->sql, NETFS_SQL_TOTAL_SET, 0, NULL)));
}

/* Is a pinned object one too many? */
static bool over_pinned(struct netfs_store *store, struct netfs_store_cull *cull)
{
	sqlite3_stmt *stmt;

	if (!cull->pins_known) {
		stmt = netfs_sql_get(&store->sql, NETFS_SQL_OBJECT_PINS, 0, NULL);
		if (netfs_sql_step(stmt) == 1) {
			cull->pins = bounded(sqlite3_column_int64(stmt, 0), INT64_MAX);
			sqlite3_reset(stmt);
		}
		cull->pins_known = true;
	}
	return cull->pins > cull->pins_max;
}

/* Chunks at the end of it go until so many bytes did. */
static void drop_end(struct netfs_map *map, uint64_t bytes)
{
	uint64_t before = map->blocks;

	for (uint64_t i = map->nchunks; i > 0 && (before - map->blocks) * NETFS_MAP_BLOCK < bytes;
	     i--)
		netfs_map_remove(map, (i - 1) * NETFS_MAP_CHUNK, i * NETFS_MAP_CHUNK);
}

/* It keeps its rank, and its time. */
static int save_rest(struct netfs_store *store, struct netfs_store_object *object, int64_t used)
{
	sqlite3_stmt *stmt;
	int err;

	if (!object->map.blocks)
		return netfs_store_remove(store, object);
	err = netfs_store_save(store, object);
	if (err)
		return err;
	stmt = with_key(store, NETFS_SQL_OBJECT_USED, &object->key);
	sqlite3_bind_int64(stmt, 4, used);
	return noted(store, netfs_sql_run(stmt));
}

/* About so many bytes of the object at hand go, from its end; what it has left stays
 * in entry->bytes.  -EBUSY; -ENOKEY, and -EROFS of one that is exposed: it goes as a whole
 * or not at all. */
static int shrink(struct netfs_store *store, struct netfs_store_entry *entry, uint64_t bytes)
{
	struct netfs_store_object object;
	int err = netfs_store_begin(store), end;

	if (err)
		return err;
	err = netfs_store_load(store, &entry->key, &object);
	if (err) {
		netfs_store_end(store);
		return err;
	}
	if (!object.exposed)
		drop_end(&object.map, bytes);
	err = object.exposed ? -EROFS : save_rest(store, &object, entry->used);
	end = netfs_store_end(store);
	if (!err && !end)
		entry->bytes = object.map.blocks * NETFS_MAP_BLOCK;
	netfs_store_release(&object);
	return err ? err : end;
}

/* One that is large goes in part.  True: it did, or is in use. */
static bool cull_part(struct netfs_store *store, struct netfs_store_cull *cull, uint64_t bytes,
		      int *ret_err)
{
	struct netfs_store_entry *entry = &cull->at;
	uint64_t before = entry->bytes;

	if (entry->pinned || before < LARGE || bytes >= before)
		return false;
	*ret_err = shrink(store, entry, bytes);
	if (*ret_err == -ENOKEY || *ret_err == -EROFS)
		return false;
	if (*ret_err && *ret_err != -EBUSY)
		return true;
	*ret_err = 0;
	cull->freed += before - entry->bytes;
	cull->busy_bytes += entry->bytes;
	cull->busy += entry->bytes > 0;
	cull->gone += !entry->bytes;
	return true;
}

/* Removes the next one of the walk, or about that many bytes of it, if it may go. */
static int cull_one(struct netfs_store *store, struct netfs_store_cull *cull, uint64_t bytes)
{
	const struct netfs_store_entry *entry = &cull->at;
	int err;

	if (cull_part(store, cull, bytes, &err))
		return err;
	err = entry->pinned && !over_pinned(store, cull) ? -EBUSY : netfs_store_evict(store, entry);
	if (err && err != -EBUSY)
		return err;
	cull->freed += err ? 0 : entry->bytes;
	cull->gone += !err;
	cull->busy_bytes += err ? entry->bytes : 0;
	cull->busy += err != 0;
	if (!err && entry->pinned)
		cull->pins -= entry->bytes < cull->pins ? entry->bytes : cull->pins;
	return 0;
}

int netfs_store_cull(struct netfs_store *store, struct netfs_store_cull *cull, uint64_t rank,
		     uint64_t bytes, uint64_t objects)
{
	int err = 0;

	while (!err && !cull->over && (cull->freed < bytes || cull->gone < objects)) {
		struct netfs_store_entry next = cull->at;
		int result = netfs_store_next(store, &next);

		if (result < 0)
			return result;
		if (result == 0) {
			cull->over = true;
			return mend_totals(store, cull->busy_bytes, cull->busy);
		}
		if (next.pinned ? rank <= NETFS_STORE_RANK
				: bounded(next.rank, NETFS_STORE_RANK) >= rank)
			return 0;
		cull->at = next;
		/* Where objects are too many, parts of them are no help. */
		err = cull_one(store, cull,
			       cull->gone < objects ? UINT64_MAX : bytes - cull->freed);
	}
	return err;
}

int netfs_store_sweep(struct netfs_store *store)
{
	struct netfs_store_entry entry = {0};
	int result;

	while ((result = next_row(store,
				  netfs_sql_get(&store->sql, NETFS_SQL_OBJECT_BEGUN, 1, &entry.id),
				  &entry)) == 1) {
		result = netfs_store_evict(store, &entry);
		if (result && result != -EBUSY)
			break;
	}
	return result;
}
