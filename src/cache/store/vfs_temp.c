/* SPDX-License-Identifier: MIT */
/*
 * SQLite's temporary files, in memory: what one statement has to undo, and a
 * database that is made anew.  They have no name, and end with the connection.
 *
 * Locks: SQLite's.
 */
#include <stdint.h>
#include <string.h>
#include <sqlite3.h>
#include <cache/store/vfs.h>
#include <env/alloc.h>

/* SQLite's memory. */
struct temp {
	sqlite3_file file; /* SQLite's part, first */
	uint8_t *data;
	uint64_t size;
	uint64_t room;
};

_Static_assert(sizeof(struct temp) <= NETFS_VFS_FILE_MIN, "SQLite gives less");

static struct temp *temp_of(sqlite3_file *file)
{
	return (struct temp *)file;
}

static int temp_close(sqlite3_file *sql)
{
	netfs_free(temp_of(sql)->data);
	return SQLITE_OK;
}

static int temp_read(sqlite3_file *sql, void *buf, int size, sqlite3_int64 start)
{
	struct temp *temp = temp_of(sql);
	uint64_t left = temp->size > (uint64_t)start ? temp->size - (uint64_t)start : 0;
	size_t n = left < (uint64_t)size ? (size_t)left : (size_t)size;

	if (n)
		memcpy(buf, temp->data + start, n);
	memset((char *)buf + n, 0, (size_t)size - n);
	return n == (size_t)size ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int temp_write(sqlite3_file *sql, const void *buf, int size, sqlite3_int64 start)
{
	struct temp *temp = temp_of(sql);
	uint64_t end = (uint64_t)start + (uint64_t)size;

	if (end > temp->room) {
		uint8_t *data = netfs_realloc(temp->data, 2 * end);

		if (!data)
			return SQLITE_IOERR_NOMEM;
		temp->data = data;
		temp->room = 2 * end;
	}
	if ((uint64_t)start > temp->size)
		memset(temp->data + temp->size, 0, (uint64_t)start - temp->size);
	memcpy(temp->data + start, buf, (size_t)size);
	if (end > temp->size)
		temp->size = end;
	return SQLITE_OK;
}

static int temp_truncate(sqlite3_file *sql, sqlite3_int64 size)
{
	if ((uint64_t)size < temp_of(sql)->size)
		temp_of(sql)->size = (uint64_t)size;
	return SQLITE_OK;
}

static int temp_sync(sqlite3_file *sql, int flags)
{
	return SQLITE_OK;
}

static int temp_size(sqlite3_file *sql, sqlite3_int64 *ret_size)
{
	*ret_size = (sqlite3_int64)temp_of(sql)->size;
	return SQLITE_OK;
}

static int temp_lock(sqlite3_file *sql, int level)
{
	return SQLITE_OK;
}

static int temp_reserved(sqlite3_file *sql, int *ret_reserved)
{
	*ret_reserved = 0;
	return SQLITE_OK;
}

static int temp_control(sqlite3_file *sql, int op, void *arg)
{
	return SQLITE_NOTFOUND;
}

static int temp_zero(sqlite3_file *sql)
{
	/* The sector is SQLite's choice; there are no ways. */
	return 0;
}

void netfs_vfs_temp(sqlite3_file *sql)
{
	static const sqlite3_io_methods methods = {
		.iVersion = 1,
		.xClose = temp_close,
		.xRead = temp_read,
		.xWrite = temp_write,
		.xTruncate = temp_truncate,
		.xSync = temp_sync,
		.xFileSize = temp_size,
		.xLock = temp_lock,
		.xUnlock = temp_lock,
		.xCheckReservedLock = temp_reserved,
		.xFileControl = temp_control,
		.xSectorSize = temp_zero,
		.xDeviceCharacteristics = temp_zero,
	};

	*temp_of(sql) = (struct temp){.file.pMethods = &methods};
}
