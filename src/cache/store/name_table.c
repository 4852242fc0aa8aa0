/* SPDX-License-Identifier: MIT */
/*
 * The tables of the store of names.
 *
 *	entries	(directory, name) --> number and type, where it was looked up the generation too
 *	objects	number --> attributes, target, and whether all names in it are in entries
 *	facts	one row each: the share, its space
 *
 * A row that is not proved to be what was written (name_rows.c) is dropped when it is
 * met, and its directory is not known to be complete any more.
 *
 * seen says when a row was told last, on a clock that all mounts of this machine share.
 * A listing that was read from start to end removes what was not seen since it began.
 *
 * Locks: SQLite's own.
 */
#include <errno.h>
#include <string.h>
#include <cache/store/name_table.h>

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	FACT_PUT,
	FACT_GET,
	ENTRY_GET,
	ENTRY_PUT,
	ENTRY_SEEN,
	ENTRY_DROP,
	ENTRY_NEXT,
	ENTRIES_OLD,
	ENTRIES_DROP,
	ENTRIES_CULL,
	ENTRIES_NONE,
	OBJECT_GET,
	ATTR_PUT,
	TARGET_PUT,
	COMPLETE_PUT,
	COMPLETE_NONE,
	COMPLETE_CULL,
	OBJECT_DROP,
	OBJECTS_CULL,
	OBJECTS_NONE,
	COUNT,
	ENTRY_OLD,
	OBJECT_OLD,
	STATEMENTS,
};

static const char *const texts[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[FACT_PUT] = "INSERT OR REPLACE INTO facts(id, body) VALUES(?1, ?2)",
	[FACT_GET] = "SELECT body FROM facts WHERE id = ?1",
	[ENTRY_GET] = "SELECT body FROM entries WHERE dir = ?1 AND name = ?2",
	[ENTRY_PUT] = "INSERT INTO entries(dir, name, body, seen) VALUES(?1, ?2, ?3, ?4)"
		      " ON CONFLICT(dir, name) DO UPDATE SET body = ?3, seen = ?4",
	[ENTRY_SEEN] = "UPDATE entries SET seen = ?3 WHERE dir = ?1 AND name = ?2",
	[ENTRY_DROP] = "DELETE FROM entries WHERE dir = ?1 AND name = ?2",
	[ENTRY_NEXT] = "SELECT id, body FROM entries WHERE dir = ?1 AND id > ?2"
		       " ORDER BY id LIMIT 1024",
	[ENTRIES_OLD] = "DELETE FROM entries WHERE dir = ?1 AND seen < ?2",
	[ENTRIES_DROP] = "DELETE FROM entries WHERE dir = ?1",
	[ENTRIES_CULL] = "DELETE FROM entries WHERE seen < ?1",
	[ENTRIES_NONE] = "DELETE FROM entries",
	[OBJECT_GET] = "SELECT attr, target, complete FROM objects WHERE id = ?1",
	[ATTR_PUT] = "INSERT INTO objects(id, attr, complete, seen) VALUES(?1, ?2, 0, ?3)"
		     " ON CONFLICT(id) DO UPDATE SET attr = ?2, seen = ?3",
	[TARGET_PUT] = "INSERT INTO objects(id, target, complete, seen) VALUES(?1, ?2, 0, ?3)"
		       " ON CONFLICT(id) DO UPDATE SET target = ?2, seen = ?3",
	[COMPLETE_PUT] = "INSERT INTO objects(id, complete, seen) VALUES(?1, ?2, ?3)"
			 " ON CONFLICT(id) DO UPDATE SET complete = ?2",
	[COMPLETE_CULL] = "UPDATE objects SET complete = 0 WHERE complete AND id IN"
			  " (SELECT dir FROM entries WHERE seen < ?1)",
	[OBJECT_DROP] = "DELETE FROM objects WHERE id = ?1",
	[COMPLETE_NONE] = "UPDATE objects SET complete = 0 WHERE complete",
	[OBJECTS_CULL] = "DELETE FROM objects WHERE seen < ?1 AND id <> ?2",
	[OBJECTS_NONE] = "DELETE FROM objects WHERE id <> ?1",
	[COUNT] = "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM objects)",
	[ENTRY_OLD] = "SELECT seen FROM entries ORDER BY seen LIMIT 1 OFFSET ?1",
	[OBJECT_OLD] = "SELECT seen FROM objects ORDER BY seen LIMIT 1 OFFSET ?1",
};

_Static_assert(STATEMENTS <= NETFS_SQL_MAX, "there are more statements");

static const struct netfs_sql_schema schema = {
	.text = "CREATE TABLE facts(id INTEGER PRIMARY KEY, body BLOB NOT NULL);"
		"CREATE TABLE entries(id INTEGER PRIMARY KEY, dir BLOB NOT NULL,"
		" name BLOB NOT NULL, body BLOB NOT NULL, seen INTEGER NOT NULL,"
		" UNIQUE(dir, name));"
		"CREATE INDEX entries_dir ON entries(dir);"
		"CREATE TABLE objects(id BLOB PRIMARY KEY, attr BLOB, target BLOB,"
		" complete INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;",
	.parts = 4,
	.format = NETFS_NAMES_FORMAT,
	.statements = texts,
	.nstatements = STATEMENTS,
};

/* Where a name is. */
struct place {
	uint8_t dir[NETFS_ROW_ID];
	uint8_t name[NETFS_ROW_NAME];
	int name_len;
};

/* ------------------------------------------------------------ database */

int netfs_name_table_open(struct netfs_name_table *table)
{
	int err = netfs_sql_open_as(&table->sql, &schema, table->folder, table->file,
				    NETFS_SQL_AS_IS);

	if (err == -EUCLEAN)
		err = netfs_sql_open_as(&table->sql, &schema, table->folder, table->file,
					NETFS_SQL_EMPTY);
	return err;
}

void netfs_name_table_close(struct netfs_name_table *table)
{
	if (table->sql.db)
		netfs_sql_close(&table->sql);
}

static sqlite3_stmt *get(struct netfs_name_table *table, enum statement id)
{
	return netfs_sql_get(&table->sql, id, 0, NULL);
}

int netfs_name_table_begin(struct netfs_name_table *table)
{
	return netfs_sql_run(get(table, BEGIN));
}

int netfs_name_table_end(struct netfs_name_table *table, int err)
{
	if (!err)
		err = netfs_sql_run(get(table, COMMIT));
	if (err)
		netfs_sql_run(get(table, ROLLBACK));
	return err;
}

/* -------------------------------------------------------------- places */

static int place_of(struct netfs_name_table *table, const struct netfs_name_id *dir,
		    const char *name, struct place *ret_place)
{
	int err = netfs_rows_id(table->rows, dir, ret_place->dir);

	if (err)
		return err;
	ret_place->name_len =
		(int)netfs_rows_name(table->rows, ret_place->dir, name, ret_place->name);
	return ret_place->name_len < 0 ? ret_place->name_len : 0;
}

static sqlite3_stmt *at_place(struct netfs_name_table *table, enum statement id,
			      const struct place *place)
{
	sqlite3_stmt *stmt = get(table, id);

	if (stmt) {
		sqlite3_bind_blob(stmt, 1, place->dir, NETFS_ROW_ID, SQLITE_STATIC);
		sqlite3_bind_blob(stmt, 2, place->name, place->name_len, SQLITE_STATIC);
	}
	return stmt;
}

static sqlite3_stmt *at_key(struct netfs_name_table *table, enum statement id,
			    const uint8_t key[NETFS_ROW_ID])
{
	sqlite3_stmt *stmt = get(table, id);

	if (stmt)
		sqlite3_bind_blob(stmt, 1, key, NETFS_ROW_ID, SQLITE_STATIC);
	return stmt;
}

static int set_complete(struct netfs_name_table *table, const uint8_t key[NETFS_ROW_ID],
			bool complete, uint64_t seen)
{
	sqlite3_stmt *stmt = at_key(table, COMPLETE_PUT, key);

	if (stmt) {
		sqlite3_bind_int64(stmt, 2, complete);
		sqlite3_bind_int64(stmt, 3, (int64_t)seen);
	}
	return netfs_sql_run(stmt);
}

static int drop_entry(struct netfs_name_table *table, const struct place *place)
{
	return netfs_sql_run(at_place(table, ENTRY_DROP, place));
}

/* A column of the row a statement stands at, opened. */
static ssize_t column(struct netfs_name_table *table, sqlite3_stmt *stmt, int number,
		      enum netfs_row_kind kind, const uint8_t key[NETFS_ROW_ID], void *out,
		      size_t size)
{
	const void *row = sqlite3_column_blob(stmt, number);

	return netfs_rows_open(table->rows, kind, key, row,
			       (size_t)sqlite3_column_bytes(stmt, number), out, size);
}

static bool entry_open(struct netfs_name_table *table, sqlite3_stmt *stmt, int number,
		       const uint8_t dir[NETFS_ROW_ID], struct netfs_row_entry *ret_entry)
{
	uint8_t body[NETFS_ROW_ENTRY_MAX];
	ssize_t len = column(table, stmt, number, NETFS_ROW_IS_ENTRY, dir, body, sizeof(body));

	return len >= 0 && netfs_row_get_entry(body, (size_t)len, ret_entry);
}

/* 1: there is one, 0: there is none. */
static int get_entry(struct netfs_name_table *table, const struct place *place,
		     struct netfs_row_entry *ret_entry)
{
	sqlite3_stmt *stmt = at_place(table, ENTRY_GET, place);
	int found = netfs_sql_step(stmt);
	bool good;

	if (found != 1)
		return found;
	good = entry_open(table, stmt, 0, place->dir, ret_entry);
	sqlite3_reset(stmt);
	if (good)
		return 1;
	found = drop_entry(table, place);
	return found ? found : set_complete(table, place->dir, false, 0);
}

static int put_entry(struct netfs_name_table *table, const struct place *place,
		     const struct netfs_row_entry *entry, uint64_t seen)
{
	uint8_t body[NETFS_ROW_ENTRY_MAX], row[NETFS_ROW_ENTRY_MAX + NETFS_ROW_PROOF];
	ssize_t len = netfs_rows_close(table->rows, NETFS_ROW_IS_ENTRY, place->dir, body,
				       netfs_row_put_entry(body, entry), row);
	sqlite3_stmt *stmt = at_place(table, ENTRY_PUT, place);

	if (len < 0)
		return (int)len;
	if (stmt) {
		sqlite3_bind_blob(stmt, 3, row, (int)len, SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 4, (int64_t)seen);
	}
	return netfs_sql_run(stmt);
}

static void name_entry(struct netfs_row_entry *entry, const char *name, size_t len)
{
	entry->name_len = (uint8_t)len;
	memcpy(entry->name, name, len);
}

/* --------------------------------------------------------------- notes */

static int put_blob(struct netfs_name_table *table, enum statement id,
		    const uint8_t key[NETFS_ROW_ID], const void *row, ssize_t len, uint64_t seen)
{
	sqlite3_stmt *stmt = at_key(table, id, key);

	if (len < 0)
		return (int)len;
	if (stmt) {
		sqlite3_bind_blob(stmt, 2, row, (int)len, SQLITE_STATIC);
		sqlite3_bind_int64(stmt, 3, (int64_t)seen);
	}
	return netfs_sql_run(stmt);
}

static int note_attr(struct netfs_name_table *table, const struct netfs_note *note)
{
	const struct netfs_name_id id = {note->attr.ino, note->attr.gen};
	uint8_t key[NETFS_ROW_ID], body[NETFS_ROW_ATTR], row[NETFS_ROW_ATTR + NETFS_ROW_PROOF];
	int err = netfs_rows_id(table->rows, &id, key);

	if (err)
		return err;
	netfs_row_put_attr(body, &note->attr);
	return put_blob(
		table, ATTR_PUT, key, row,
		netfs_rows_close(table->rows, NETFS_ROW_IS_ATTR, key, body, sizeof(body), row),
		note->seq);
}

static int note_entry(struct netfs_name_table *table, const struct netfs_note *note)
{
	struct netfs_row_entry entry = {
		.id = {note->attr.ino, note->attr.gen},
		.type = note->attr.mode & 0170000,
		.whole = true,
	};
	struct place place;
	int err = place_of(table, &note->id, note->name, &place);

	if (err)
		return err;
	name_entry(&entry, note->name, strlen(note->name));
	err = put_entry(table, &place, &entry, note->seq);
	return err ? err : note_attr(table, note);
}

static int note_gone(struct netfs_name_table *table, const struct netfs_note *note)
{
	struct place place;
	int err = place_of(table, &note->id, note->name, &place);

	return err ? err : drop_entry(table, &place);
}

static int forget_entry(struct netfs_name_table *table, const struct place *place, uint64_t seen)
{
	int err = drop_entry(table, place);

	return err ? err : set_complete(table, place->dir, false, seen);
}

static int note_unsure(struct netfs_name_table *table, const struct netfs_note *note)
{
	struct place place;
	int err = place_of(table, &note->id, note->name, &place);

	return err ? err : forget_entry(table, &place, note->seq);
}

/* The name at place leads to what was at another, entry, if that is known. */
static int move_entry(struct netfs_name_table *table, const struct place *place, const char *name,
		      int known, struct netfs_row_entry *entry, uint64_t seen)
{
	if (known == 1) {
		name_entry(entry, name, strlen(name));
		return put_entry(table, place, entry, seen);
	}
	/* Something is there, and nobody knows what. */
	return forget_entry(table, place, seen);
}

static int note_moved(struct netfs_name_table *table, const struct netfs_note *note)
{
	struct netfs_row_entry a, b;
	struct place from, to;
	int err = place_of(table, &note->id, note->name, &from), a_known, b_known;

	if (!err)
		err = place_of(table, &note->to, note->to_name, &to);
	if (err)
		return err;
	a_known = get_entry(table, &from, &a);
	b_known = get_entry(table, &to, &b);
	if (a_known < 0 || b_known < 0)
		return a_known < 0 ? a_known : b_known;
	err = move_entry(table, &to, note->to_name, a_known, &a, note->seq);
	if (err)
		return err;
	if (note->flag)
		return move_entry(table, &from, note->name, b_known, &b, note->seq);
	return drop_entry(table, &from);
}

static int note_target(struct netfs_name_table *table, const struct netfs_note *note)
{
	uint8_t key[NETFS_ROW_ID], row[NETFS_ROW_TARGET_MAX + NETFS_ROW_PROOF];
	int err = netfs_rows_id(table->rows, &note->id, key);

	if (err || note->text_len > NETFS_ROW_TARGET_MAX)
		return err;
	return put_blob(table, TARGET_PUT, key, row,
			netfs_rows_close(table->rows, NETFS_ROW_IS_TARGET, key, note->text,
					 note->text_len, row),
			note->seq);
}

/* One of a listing: what is known of it stays, where it still fits. */
static int note_listed_one(struct netfs_name_table *table, const struct netfs_note *note,
			   const struct netfs_dirent *dirent)
{
	struct netfs_row_entry entry;
	char name[NETFS_NAME_MAX + 1];
	struct place place;
	int err;

	memcpy(name, dirent->name, dirent->name_len);
	name[dirent->name_len] = 0;
	err = place_of(table, &note->id, name, &place);
	if (!err)
		err = get_entry(table, &place, &entry);
	if (err < 0)
		return err;
	if (err == 1 && entry.id.ino == dirent->ino &&
	    (!dirent->type || !entry.type || entry.type == dirent->type)) {
		sqlite3_stmt *stmt = at_place(table, ENTRY_SEEN, &place);

		if (stmt)
			sqlite3_bind_int64(stmt, 3, (int64_t)note->seq);
		return netfs_sql_run(stmt);
	}
	entry = (struct netfs_row_entry){.id.ino = dirent->ino, .type = dirent->type};
	name_entry(&entry, name, dirent->name_len);
	return put_entry(table, &place, &entry, note->seq);
}

static int note_listed(struct netfs_name_table *table, const struct netfs_note *note)
{
	uint8_t key[NETFS_ROW_ID];
	struct netfs_dirent dirent;
	size_t at = 0;
	int err = netfs_rows_id(table->rows, &note->id, key);
	sqlite3_stmt *stmt;

	while (!err && netfs_note_next_entry(note->text, note->text_len, &at, &dirent))
		err = note_listed_one(table, note, &dirent);
	if (err || !note->flag)
		return err;
	stmt = at_key(table, ENTRIES_OLD, key);
	if (stmt)
		sqlite3_bind_int64(stmt, 2, (int64_t)note->since);
	err = netfs_sql_run(stmt);
	return err ? err : set_complete(table, key, true, note->seq);
}

static int note_empty(struct netfs_name_table *table, const struct netfs_note *note)
{
	uint8_t key[NETFS_ROW_ID];
	int err = netfs_rows_id(table->rows, &note->id, key);

	if (!err)
		err = netfs_sql_run(at_key(table, ENTRIES_DROP, key));
	return err ? err : set_complete(table, key, true, note->seq);
}

static int note_lost(struct netfs_name_table *table, const struct netfs_note *note)
{
	uint8_t key[NETFS_ROW_ID];
	int err = netfs_rows_id(table->rows, &note->id, key);

	return err ? err : netfs_sql_run(at_key(table, OBJECT_DROP, key));
}

/* Keys of facts are no keys of objects: those are of another kind. */
static int put_fact(struct netfs_name_table *table, enum netfs_row_kind kind, const void *body,
		    size_t len)
{
	static const uint8_t key[NETFS_ROW_ID];
	uint8_t row[NETFS_ROW_SPACE + NETFS_ROW_PROOF];
	ssize_t n = netfs_rows_close(table->rows, kind, key, body, len, row);
	sqlite3_stmt *stmt = get(table, FACT_PUT);

	if (n < 0)
		return (int)n;
	if (stmt) {
		sqlite3_bind_int64(stmt, 1, kind);
		sqlite3_bind_blob(stmt, 2, row, (int)n, SQLITE_STATIC);
	}
	return netfs_sql_run(stmt);
}

static int note_share(struct netfs_name_table *table, const struct netfs_note *note)
{
	uint8_t body[NETFS_ROW_SHARE];

	netfs_row_put_share(body, &note->share);
	return put_fact(table, NETFS_ROW_IS_SHARE, body, sizeof(body));
}

static int note_space(struct netfs_name_table *table, const struct netfs_note *note)
{
	uint8_t body[NETFS_ROW_SPACE];

	netfs_row_put_space(body, &note->statfs);
	return put_fact(table, NETFS_ROW_IS_SPACE, body, sizeof(body));
}

int netfs_name_table_note(struct netfs_name_table *table, const struct netfs_note *note)
{
	switch (note->kind) {
	case NETFS_NOTE_SHARE:
		return note_share(table, note);
	case NETFS_NOTE_SPACE:
		return note_space(table, note);
	case NETFS_NOTE_ENTRY:
		return note_entry(table, note);
	case NETFS_NOTE_GONE:
		return note_gone(table, note);
	case NETFS_NOTE_UNSURE:
		return note_unsure(table, note);
	case NETFS_NOTE_MOVED:
		return note_moved(table, note);
	case NETFS_NOTE_ATTR:
		return note_attr(table, note);
	case NETFS_NOTE_LOST:
		return note_lost(table, note);
	case NETFS_NOTE_TARGET:
		return note_target(table, note);
	case NETFS_NOTE_LISTED:
		return note_listed(table, note);
	case NETFS_NOTE_EMPTY:
		return note_empty(table, note);
	default:
		return -EINVAL;
	}
}

int netfs_name_table_gap(struct netfs_name_table *table)
{
	return netfs_sql_run(get(table, COMPLETE_NONE));
}

int netfs_name_table_forget(struct netfs_name_table *table, const struct netfs_name_id *keep)
{
	uint8_t key[NETFS_ROW_ID];
	int err = netfs_rows_id(table->rows, keep, key);

	if (!err)
		err = netfs_sql_run(get(table, ENTRIES_NONE));
	if (!err)
		err = netfs_sql_run(at_key(table, OBJECTS_NONE, key));
	return err ? err : netfs_name_table_gap(table);
}

/* -------------------------------------------------------------- bounds */

int netfs_name_table_count(struct netfs_name_table *table, uint64_t *ret_names,
			   uint64_t *ret_objects)
{
	sqlite3_stmt *stmt = get(table, COUNT);
	int found = netfs_sql_step(stmt);

	if (found != 1)
		return found ? found : -EUCLEAN;
	*ret_names = (uint64_t)sqlite3_column_int64(stmt, 0);
	*ret_objects = (uint64_t)sqlite3_column_int64(stmt, 1);
	sqlite3_reset(stmt);
	return 0;
}

/* When the one was seen that so many are older than. */
static int seen_after(struct netfs_name_table *table, enum statement id, uint64_t n,
		      int64_t *ret_seen)
{
	const int64_t number = (int64_t)n;
	sqlite3_stmt *stmt = netfs_sql_get(&table->sql, id, 1, &number);
	int found = netfs_sql_step(stmt);

	if (found != 1)
		return found ? found : -EUCLEAN;
	*ret_seen = sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	return 0;
}

static int cull_with(struct netfs_name_table *table, enum statement id, int64_t seen,
		     const uint8_t *keep)
{
	sqlite3_stmt *stmt = netfs_sql_get(&table->sql, id, 1, &seen);

	if (stmt && keep)
		sqlite3_bind_blob(stmt, 2, keep, NETFS_ROW_ID, SQLITE_STATIC);
	return netfs_sql_run(stmt);
}

int netfs_name_table_cull(struct netfs_name_table *table, uint64_t rows,
			  const struct netfs_name_id *keep)
{
	uint64_t names, objects, left = rows - rows / 10;
	uint8_t key[NETFS_ROW_ID];
	int64_t seen;
	int err = netfs_name_table_count(table, &names, &objects);

	if (!err)
		err = netfs_rows_id(table->rows, keep, key);
	if (!err && names > rows) {
		err = seen_after(table, ENTRY_OLD, names - left, &seen);
		if (!err)
			err = cull_with(table, COMPLETE_CULL, seen, NULL);
		if (!err)
			err = cull_with(table, ENTRIES_CULL, seen, NULL);
	}
	if (!err && objects > rows) {
		err = seen_after(table, OBJECT_OLD, objects - left, &seen);
		if (!err)
			err = cull_with(table, OBJECTS_CULL, seen, key);
	}
	return err;
}

/* ----------------------------------------------------------- questions */

/* What is known of an object.  Each may be NULL. */
struct known {
	struct netfs_attr *attr;
	struct netfs_note *target;
	bool complete;
};

/* The rows of an object; -EHOSTDOWN where what was asked for is not there. */
static int get_object(struct netfs_name_table *table, const struct netfs_name_id *id,
		      struct known *known)
{
	uint8_t key[NETFS_ROW_ID], body[NETFS_ROW_ATTR];
	int err = netfs_rows_id(table->rows, id, key);
	sqlite3_stmt *stmt = err ? NULL : at_key(table, OBJECT_GET, key);
	struct netfs_note *note = known->target;
	bool good = true;
	ssize_t len;

	known->complete = false;
	err = err ? err : netfs_sql_step(stmt);
	if (err != 1)
		return err ? err : -EHOSTDOWN;
	if (known->attr) {
		len = column(table, stmt, 0, NETFS_ROW_IS_ATTR, key, body, sizeof(body));
		good = len >= 0 && netfs_row_get_attr(body, (size_t)len, known->attr) &&
		       known->attr->ino == id->ino && known->attr->gen == id->gen;
	}
	if (note) {
		len = column(table, stmt, 1, NETFS_ROW_IS_TARGET, key, note->text, note->text_size);
		good = len >= 0;
		note->text_len = good ? (size_t)len : 0;
	}
	known->complete = sqlite3_column_int64(stmt, 2) == 1;
	sqlite3_reset(stmt);
	return good ? 0 : -EHOSTDOWN;
}

static int ask_entry(struct netfs_name_table *table, struct netfs_note *note)
{
	struct netfs_row_entry entry;
	struct known known = {0};
	struct place place;
	int err = place_of(table, &note->id, note->name, &place);

	if (!err)
		err = get_entry(table, &place, &entry);
	if (err < 0)
		return err;
	if (err == 0) {
		err = get_object(table, &note->id, &known);
		return !err && known.complete ? -ENOENT : err ? err : -EHOSTDOWN;
	}
	if (!entry.whole)
		return -EHOSTDOWN;
	known.attr = &note->attr;
	err = get_object(table, &entry.id, &known);
	if (!err && (note->attr.mode & 0170000) != entry.type)
		return -EHOSTDOWN;
	return err;
}

static int ask_list(struct netfs_name_table *table, struct netfs_note *note)
{
	struct netfs_row_entry entry;
	struct known known = {0};
	uint8_t key[NETFS_ROW_ID];
	int err = get_object(table, &note->id, &known);
	sqlite3_stmt *stmt;

	note->text_len = 0;
	note->flag = false;
	if (err || !known.complete)
		return err ? err : -EHOSTDOWN;
	err = netfs_rows_id(table->rows, &note->id, key);
	if (err)
		return err;
	stmt = at_key(table, ENTRY_NEXT, key);
	if (stmt)
		sqlite3_bind_int64(stmt, 2, (int64_t)note->cookie);
	while ((err = netfs_sql_step(stmt)) == 1) {
		struct netfs_dirent dirent = {.name = entry.name};

		if (!entry_open(table, stmt, 1, key, &entry))
			continue;
		dirent.next = (uint64_t)sqlite3_column_int64(stmt, 0);
		dirent.name_len = entry.name_len;
		dirent.ino = entry.id.ino;
		dirent.type = entry.type;
		if (!netfs_note_add_entry(note->text, note->text_size, &note->text_len, &dirent))
			break;
	}
	if (err == 1)
		sqlite3_reset(stmt);
	note->flag = err == 0 && note->text_len == 0;
	return err < 0 ? err : 0;
}

static int get_fact(struct netfs_name_table *table, enum netfs_row_kind kind, void *body,
		    size_t size)
{
	static const uint8_t key[NETFS_ROW_ID];
	const int64_t number = kind;
	sqlite3_stmt *stmt = netfs_sql_get(&table->sql, FACT_GET, 1, &number);
	int found = netfs_sql_step(stmt);
	ssize_t len;

	if (found != 1)
		return found ? found : -EHOSTDOWN;
	len = column(table, stmt, 0, kind, key, body, size);
	sqlite3_reset(stmt);
	return len == (ssize_t)size ? 0 : -EHOSTDOWN;
}

int netfs_name_table_share(struct netfs_name_table *table, struct netfs_name_share *ret_share)
{
	uint8_t body[NETFS_ROW_SHARE];
	int err = get_fact(table, NETFS_ROW_IS_SHARE, body, sizeof(body));

	if (!err && !netfs_row_get_share(body, sizeof(body), ret_share))
		err = -EHOSTDOWN;
	return err;
}

static int ask_space(struct netfs_name_table *table, struct netfs_note *note)
{
	uint8_t body[NETFS_ROW_SPACE];
	int err = get_fact(table, NETFS_ROW_IS_SPACE, body, sizeof(body));

	if (!err && !netfs_row_get_space(body, sizeof(body), &note->statfs))
		err = -EHOSTDOWN;
	return err;
}

int netfs_name_table_ask(struct netfs_name_table *table, struct netfs_note *note)
{
	struct known attr = {.attr = &note->attr}, target = {.target = note};

	switch (note->kind) {
	case NETFS_ASK_NAME_ENTRY:
		return ask_entry(table, note);
	case NETFS_ASK_NAME_ATTR:
		return get_object(table, &note->id, &attr);
	case NETFS_ASK_NAME_TARGET:
		return get_object(table, &note->id, &target);
	case NETFS_ASK_NAME_LIST:
		return ask_list(table, note);
	case NETFS_ASK_NAME_SPACE:
		return ask_space(table, note);
	default:
		return -EINVAL;
	}
}
