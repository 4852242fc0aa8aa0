/* SPDX-License-Identifier: MIT */
/*
 * The database of the store of names: each note done, each question answered.  Every
 * function may block; one thread at a time.  Errors that are not named are those of the
 * database, which then is as it was before the transaction.
 */
#ifndef CACHE_STORE_NAME_TABLE_H
#define CACHE_STORE_NAME_TABLE_H

#include <cache/store/name_rows.h>
#include <cache/store/sql.h>

#define NETFS_NAMES_FORMAT 1

/* Zero is one that is closed. */
struct netfs_name_table {
	struct netfs_sql sql;
	struct netfs_rows *rows; /* outlives it */
	int folder; /* likewise: where it is */
	const char *file; /* likewise: what it is called */
};

/* table has rows, folder and file.  What is damaged is emptied.  -EMEDIUMTYPE: of
 * another format. */
int netfs_name_table_open(struct netfs_name_table *table);
void netfs_name_table_close(struct netfs_name_table *table);
int netfs_name_table_begin(struct netfs_name_table *table);
/* err: it is undone. */
int netfs_name_table_end(struct netfs_name_table *table, int err);

/* Within begin and end. */
int netfs_name_table_note(struct netfs_name_table *table, const struct netfs_note *note);
/* Something was not told: no directory is known to have no other names. */
int netfs_name_table_gap(struct netfs_name_table *table);
/* A change was not told, of anything: nothing is known but keep, the share and its space. */
int netfs_name_table_forget(struct netfs_name_table *table, const struct netfs_name_id *keep);
/* What was seen longest ago goes, until a tenth less than rows is left of names and of
 * objects, if there are more; keep does not. */
int netfs_name_table_cull(struct netfs_name_table *table, uint64_t rows,
			  const struct netfs_name_id *keep);
/* -EHOSTDOWN, -ENOENT, -ERANGE as in namestore.h. */
int netfs_name_table_ask(struct netfs_name_table *table, struct netfs_note *note);
int netfs_name_table_share(struct netfs_name_table *table, struct netfs_name_share *ret_share);
int netfs_name_table_count(struct netfs_name_table *table, uint64_t *ret_names,
			   uint64_t *ret_objects);

#endif
