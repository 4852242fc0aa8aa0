/* SPDX-License-Identifier: MIT */
/* The catalogue's statements.  Every function may block; one thread at a time. */
#ifndef CACHE_STORE_SQL_H
#define CACHE_STORE_SQL_H

#include <stdint.h>
#include <sqlite3.h>

/* X(identifier, "text") */
#define NETFS_SQL(X)                                                                               \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(COMMIT, "COMMIT")                                                                        \
	X(ROLLBACK, "ROLLBACK")                                                                    \
	X(VOLUME_ADD, "INSERT OR IGNORE INTO volumes(id, key) VALUES(?1, ?2)")                     \
	X(VOLUME_KEY, "SELECT key FROM volumes WHERE id = ?1")                                     \
	X(OBJECT_GET, "SELECT id, version, tail, bytes, uses, rank, pinned FROM objects"           \
		      " WHERE volume = ?1 AND ino = ?2 AND gen = ?3")                              \
	X(OBJECT_PUT, "INSERT INTO objects(volume, ino, gen, version, tail, bytes, used, uses,"    \
		      " rank, pinned) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"             \
		      " ON CONFLICT(volume, ino, gen) DO UPDATE SET version = ?4, tail = ?5,"      \
		      " bytes = ?6, used = ?7, uses = ?8, rank = ?9 RETURNING id")                 \
	X(OBJECT_PIN, "UPDATE objects SET pinned = ?4"                                             \
		      " WHERE volume = ?1 AND ino = ?2 AND gen = ?3")                              \
	X(OBJECT_USED, "UPDATE objects SET used = ?4"                                              \
		       " WHERE volume = ?1 AND ino = ?2 AND gen = ?3")                             \
	X(OBJECT_PINS, "SELECT coalesce(sum(bytes), 0) FROM objects WHERE pinned > 0")             \
	X(OBJECT_DROP, "DELETE FROM objects WHERE volume = ?1 AND ino = ?2 AND gen = ?3")          \
	X(OBJECT_NEXT, "SELECT objects.id, volume, ino, gen, bytes, used, pinned, rank, key"       \
		       " FROM objects JOIN volumes ON volumes.id = volume"                         \
		       " WHERE objects.id = coalesce("                                             \
		       "(SELECT id FROM objects WHERE pinned = ?1 AND rank = ?2 AND id > ?3"       \
		       " ORDER BY id LIMIT 1), "                                                   \
		       "(SELECT id FROM objects WHERE (pinned, rank) > (?1, ?2)"                   \
		       " ORDER BY pinned, rank, id LIMIT 1))")                                     \
	X(OBJECT_BEGUN, "SELECT objects.id, volume, ino, gen, bytes, used, pinned, rank, key"      \
			" FROM objects JOIN volumes ON volumes.id = volume"                        \
			" WHERE bytes = 0 AND objects.id > ?1 ORDER BY objects.id LIMIT 1")        \
	X(CHUNKS_GET, "SELECT chunk, blocks FROM chunks WHERE object = ?1")                        \
	X(CHUNK_PUT, "INSERT OR REPLACE INTO chunks(object, chunk, blocks) VALUES(?1, ?2, ?3)")    \
	X(CHUNK_DROP, "DELETE FROM chunks WHERE object = ?1 AND chunk = ?2")                       \
	X(TOTAL_SET, "UPDATE total SET (bytes, objects) ="                                         \
		     " (SELECT coalesce(sum(bytes), 0), count(*) FROM objects)")                   \
	X(TOTAL_CLOCK, "UPDATE total SET clock = max(clock, ?1)")                                  \
	X(TOTAL_GET, "SELECT bytes, objects, clock FROM total")

enum netfs_sql_id {
#define NETFS_SQL_ENUM(name, text) NETFS_SQL_##name,
	NETFS_SQL(NETFS_SQL_ENUM)
#undef NETFS_SQL_ENUM
	NETFS_SQL_COUNT
};

/* Statements of one database. */
#define NETFS_SQL_MAX 32

struct netfs_sql {
	sqlite3 *db;
	sqlite3_stmt *stmt[NETFS_SQL_MAX];
};

/* What a database of ours is like.  All of it static. */
struct netfs_sql_schema {
	const char *text; /* makes it */
	int parts; /* tables, indexes and triggers that text makes */
	int format;
	const char *const *statements;
	unsigned nstatements;
};

enum netfs_sql_how {
	NETFS_SQL_AS_IS,
	NETFS_SQL_EMPTY, /* whatever is in it is dropped */
};

/* Opens the catalogue of that name in the folder, which stays open until close;
 * makes it where it is missing.  -EUCLEAN: it is none, or damaged;
 * -EMEDIUMTYPE: it is of another format. */
int netfs_sql_open(struct netfs_sql *sql, int folder, const char *name, enum netfs_sql_how how);
/* Likewise a database of another schema. */
int netfs_sql_open_as(struct netfs_sql *sql, const struct netfs_sql_schema *schema, int folder,
		      const char *name, enum netfs_sql_how how);
void netfs_sql_close(struct netfs_sql *sql);
/* The statement (enum netfs_sql_id, of another schema its own), with the numbers
 * bound to its first parameters.  NULL where the catalogue could not be opened again;
 * more may be bound to it all the same, and each step of it is an -EIO. */
sqlite3_stmt *netfs_sql_get(struct netfs_sql *sql, unsigned id, unsigned n, const int64_t *numbers);
/* One step: 1 a row, 0 the end, else a negative errno.  Without a row the
 * statement is reset. */
int netfs_sql_step(sqlite3_stmt *stmt);
/* All of it, for one that has no rows. */
int netfs_sql_run(sqlite3_stmt *stmt);

#endif
