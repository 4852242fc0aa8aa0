/* SPDX-License-Identifier: MIT */
/*
 * Rows of the store of names: how they are written, and how it is told that they are
 * what was written.  Without a key each ends with a checksum; with one, names and
 * numbers are hashed with it and the rest is hidden.  Nothing here touches the disk.
 *
 * The owner of the store guards it all.
 */
#ifndef CACHE_STORE_NAME_ROWS_H
#define CACHE_STORE_NAME_ROWS_H

#include <sys/types.h>
#include <cache/namestore.h>

/* What stands for an object, in bytes. */
#define NETFS_ROW_ID 16
/* What stands for a name: itself, or as many bytes as an object. */
#define NETFS_ROW_NAME NETFS_NAME_MAX
/* Bytes beyond what is in a row. */
#define NETFS_ROW_PROOF 28
#define NETFS_ROW_ATTR	116
#define NETFS_ROW_SHARE 44
#define NETFS_ROW_SPACE 48
/* An entry: what it leads to, and its name. */
#define NETFS_ROW_ENTRY	     24
#define NETFS_ROW_ENTRY_MAX  (NETFS_ROW_ENTRY + NETFS_NAME_MAX)
#define NETFS_ROW_TARGET_MAX 4096
#define NETFS_ROW_FILE	     (32 + 4)

/* How the rows of one volume are written. */
struct netfs_rows;

enum netfs_row_kind {
	NETFS_ROW_IS_ENTRY,
	NETFS_ROW_IS_ATTR,
	NETFS_ROW_IS_TARGET,
	NETFS_ROW_IS_SHARE,
	NETFS_ROW_IS_SPACE,
};

/* What an entry leads to. */
struct netfs_row_entry {
	struct netfs_name_id id;
	uint32_t type; /* S_IFMT bits, 0 where unknown */
	bool whole; /* gen is known: it was looked up */
	uint8_t name_len;
	char name[NETFS_NAME_MAX + 1]; /* not terminated */
};

/* file: what the database of the volume is called.  -ENOMEM, -EIO. */
int netfs_rows_new(const char *volume, const uint8_t *secret, size_t secret_len,
		   struct netfs_rows **ret_rows, char file[NETFS_ROW_FILE]);
/* Overwrites the key.  NULL is allowed. */
void netfs_rows_free(struct netfs_rows *rows);
/* -ENOMEM, -EIO. */
int netfs_rows_id(const struct netfs_rows *rows, const struct netfs_name_id *id,
		  uint8_t ret_key[NETFS_ROW_ID]);
/* The same of a name; returns its length. */
ssize_t netfs_rows_name(const struct netfs_rows *rows, const uint8_t dir[NETFS_ROW_ID],
			const char *name, uint8_t ret_key[NETFS_ROW_NAME]);
/* The row for what stands at key: body, len bytes, becomes so many bytes in out, which
 * has room for NETFS_ROW_PROOF more.  -EIO. */
ssize_t netfs_rows_close(struct netfs_rows *rows, enum netfs_row_kind kind,
			 const uint8_t key[NETFS_ROW_ID], const void *body, size_t len,
			 uint8_t *out);
/* The other way; out has room for size bytes.  -EUCLEAN: that was not written there. */
ssize_t netfs_rows_open(struct netfs_rows *rows, enum netfs_row_kind kind,
			const uint8_t key[NETFS_ROW_ID], const void *row, size_t len, void *out,
			size_t size);

/* What is in a row.  The second of each pair: bytes from the disk; false where they
 * cannot be what they should be. */
void netfs_row_put_attr(uint8_t body[NETFS_ROW_ATTR], const struct netfs_attr *attr);
bool netfs_row_get_attr(const uint8_t *body, size_t len, struct netfs_attr *ret_attr);
size_t netfs_row_put_entry(uint8_t body[NETFS_ROW_ENTRY_MAX], const struct netfs_row_entry *entry);
bool netfs_row_get_entry(const uint8_t *body, size_t len, struct netfs_row_entry *ret_entry);
void netfs_row_put_share(uint8_t body[NETFS_ROW_SHARE], const struct netfs_name_share *share);
bool netfs_row_get_share(const uint8_t *body, size_t len, struct netfs_name_share *ret_share);
void netfs_row_put_space(uint8_t body[NETFS_ROW_SPACE], const struct netfs_statfs *statfs);
bool netfs_row_get_space(const uint8_t *body, size_t len, struct netfs_statfs *ret_statfs);

#endif
