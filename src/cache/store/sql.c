/* SPDX-License-Identifier: MIT */
/*
 * SQLite under the catalogue: the schema, the statements, and what SQLite's
 * results are as errno values.
 *
 * WAL with synchronous=NORMAL: a transaction that was lost in a power failure
 * costs what it recorded, and nothing that is recorded can be believed without
 * its checksums fitting.
 *
 * The totals are kept by triggers, so that they are right whoever writes.
 *
 * Locks: SQLite's own.
 */
#include <errno.h>
#include <string.h>
#include <cache/store/sql.h>
#include <cache/store/store.h>
#include <cache/store/vfs.h>

/* Another process' transaction takes milliseconds. */
#define BUSY_MS 5000

static const char schema[] =
	"CREATE TABLE volumes(id INTEGER PRIMARY KEY, key TEXT NOT NULL);"
	"CREATE TABLE objects(id INTEGER PRIMARY KEY, volume INTEGER NOT NULL,"
	" ino INTEGER NOT NULL, gen INTEGER NOT NULL, version BLOB NOT NULL,"
	" tail INTEGER NOT NULL, bytes INTEGER NOT NULL, used INTEGER NOT NULL,"
	" uses INTEGER NOT NULL, rank INTEGER NOT NULL, pinned INTEGER NOT NULL,"
	" UNIQUE(volume, ino, gen));"
	"CREATE INDEX objects_rank ON objects(pinned, rank);"
	"CREATE INDEX objects_begun ON objects(id) WHERE bytes = 0;"
	"CREATE TABLE chunks(object INTEGER NOT NULL, chunk INTEGER NOT NULL,"
	" blocks BLOB NOT NULL, PRIMARY KEY(object, chunk)) WITHOUT ROWID;"
	"CREATE TABLE total(bytes INTEGER NOT NULL, objects INTEGER NOT NULL,"
	" clock INTEGER NOT NULL);"
	"INSERT INTO total VALUES(0, 0, 0);"
	"CREATE TRIGGER object_added AFTER INSERT ON objects BEGIN"
	" UPDATE total SET bytes = bytes + new.bytes, objects = objects + 1; END;"
	"CREATE TRIGGER object_changed AFTER UPDATE OF bytes ON objects BEGIN"
	" UPDATE total SET bytes = bytes + new.bytes - old.bytes; END;"
	"CREATE TRIGGER object_removed AFTER DELETE ON objects BEGIN"
	" UPDATE total SET bytes = bytes - old.bytes, objects = objects - 1;"
	" DELETE FROM chunks WHERE object = old.id; END;";

static const char *const texts[] = {
#define NETFS_SQL_TEXT(name, text) text,
	NETFS_SQL(NETFS_SQL_TEXT)
#undef NETFS_SQL_TEXT
};

static const struct netfs_sql_schema catalogue = {
	.text = schema,
	.parts = 9,
	.format = NETFS_STORE_FORMAT,
	.statements = texts,
	.nstatements = NETFS_SQL_COUNT,
};

_Static_assert(NETFS_SQL_COUNT <= NETFS_SQL_MAX, "the catalogue has more statements");

static int errno_of(int result)
{
	switch (result & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
		return 0;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR:
		return -EUCLEAN;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return -EACCES;
	}
	return -EIO;
}

static int number(sqlite3 *db, const char *text, int64_t *ret_number)
{
	sqlite3_stmt *stmt;
	int result = sqlite3_prepare_v2(db, text, -1, &stmt, NULL);

	if (result == SQLITE_OK && (result = sqlite3_step(stmt)) == SQLITE_ROW) {
		*ret_number = sqlite3_column_int64(stmt, 0);
		result = SQLITE_OK;
	}
	sqlite3_finalize(stmt);
	return errno_of(result);
}

/* Are the tables and triggers those of the schema, and all of them? */
static int check_schema(sqlite3 *db, const struct netfs_sql_schema *as)
{
	sqlite3_stmt *stmt;
	int found = 0, result;

	result = sqlite3_prepare_v2(db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL", -1,
				    &stmt, NULL);
	while (result == SQLITE_OK && (result = sqlite3_step(stmt)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(stmt, 0);

		result = text && strstr(as->text, text) ? SQLITE_OK : SQLITE_CORRUPT;
		found++;
	}
	sqlite3_finalize(stmt);
	return result == SQLITE_DONE && found != as->parts ? -EUCLEAN : errno_of(result);
}

/* Makes the tables of an empty database; several processes may try at once. */
static int make(sqlite3 *db, const struct netfs_sql_schema *as)
{
	int64_t format = 0, tables = 0;
	char mark[64];
	int err = errno_of(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));

	if (!err)
		err = number(db, "PRAGMA user_version", &format);
	if (!err)
		err = number(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (!err && !format && !tables) {
		sqlite3_snprintf(sizeof(mark), mark, "PRAGMA user_version = %d", as->format);
		err = errno_of(sqlite3_exec(db, as->text, NULL, NULL, NULL));
		if (!err)
			err = errno_of(sqlite3_exec(db, mark, NULL, NULL, NULL));
	} else if (!err && format != as->format) {
		err = -EMEDIUMTYPE;
	} else if (!err) {
		err = check_schema(db, as);
	}
	sqlite3_exec(db, err ? "ROLLBACK" : "COMMIT", NULL, NULL, NULL);
	return err;
}

static int open_database(struct netfs_sql *sql, int folder, const char *name)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
		    SQLITE_OPEN_PRIVATECACHE;
	char path[NETFS_VFS_PATH];
	int err = netfs_vfs_register();

	netfs_vfs_path(folder, name, path);
	if (!err)
		err = errno_of(sqlite3_open_v2(path, &sql->db, flags, NETFS_VFS_NAME));
	if (!err)
		sqlite3_busy_timeout(sql->db, BUSY_MS);
	return err;
}

/* Empties the database, whatever is in it, as a transaction that others who
 * have it open see as one. */
static int reset(sqlite3 *db)
{
	int err;

	/* Whether it was in WAL mode; it need not be readable. */
	sqlite3_exec(db, "SELECT 1 FROM sqlite_schema", NULL, NULL, NULL);
	err = errno_of(sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 1, NULL));
	if (!err)
		err = errno_of(sqlite3_exec(db, "VACUUM", NULL, NULL, NULL));
	sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 0, NULL);
	return err;
}

int netfs_sql_open_as(struct netfs_sql *sql, const struct netfs_sql_schema *as, int folder,
		      const char *name, enum netfs_sql_how how)
{
	static const char ways[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
				   " PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
				   " PRAGMA recursive_triggers = OFF; PRAGMA temp_store = MEMORY;"
				   " PRAGMA journal_size_limit = 4194304;";
	int err;

	memset(sql, 0, sizeof(*sql));
	err = open_database(sql, folder, name);
	if (!err && how == NETFS_SQL_EMPTY)
		err = reset(sql->db);
	if (!err)
		err = errno_of(sqlite3_exec(sql->db, ways, NULL, NULL, NULL));
	if (!err)
		err = make(sql->db, as);
	for (unsigned i = 0; !err && i < as->nstatements; i++)
		err = errno_of(sqlite3_prepare_v3(sql->db, as->statements[i], -1,
						  SQLITE_PREPARE_PERSISTENT, &sql->stmt[i], NULL));
	if (err)
		netfs_sql_close(sql);
	return err;
}

int netfs_sql_open(struct netfs_sql *sql, int folder, const char *name, enum netfs_sql_how how)
{
	return netfs_sql_open_as(sql, &catalogue, folder, name, how);
}

void netfs_sql_close(struct netfs_sql *sql)
{
	for (unsigned i = 0; i < NETFS_SQL_MAX; i++)
		sqlite3_finalize(sql->stmt[i]);
	sqlite3_close(sql->db);
	memset(sql, 0, sizeof(*sql));
}

sqlite3_stmt *netfs_sql_get(struct netfs_sql *sql, unsigned id, unsigned n, const int64_t *numbers)
{
	sqlite3_stmt *stmt = sql->stmt[id];

	if (!stmt)
		return NULL;
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	for (unsigned i = 0; i < n; i++)
		sqlite3_bind_int64(stmt, (int)i + 1, numbers[i]);
	return stmt;
}

int netfs_sql_step(sqlite3_stmt *stmt)
{
	int result = stmt ? sqlite3_step(stmt) : SQLITE_IOERR;

	if (result == SQLITE_ROW)
		return 1;
	sqlite3_reset(stmt);
	return errno_of(result);
}

int netfs_sql_run(sqlite3_stmt *stmt)
{
	int result = netfs_sql_step(stmt);

	while (result == 1)
		result = netfs_sql_step(stmt);
	return result;
}
