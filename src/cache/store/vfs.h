/* SPDX-License-Identifier: MIT */
/* SQLite's files, by way of src/env. */
#ifndef CACHE_STORE_VFS_H
#define CACHE_STORE_VFS_H

#include <sqlite3.h>

/* What sqlite3_open_v2() wants as the last argument. */
#define NETFS_VFS_NAME "unetfs"
/* Of a name that means a file in an open folder. */
#define NETFS_VFS_PATH 128

/* Makes it known to SQLite; any thread, any number of times.  -ENOMEM. */
int netfs_vfs_register(void);
/* How SQLite is to call the file of that name in the folder, which stays open
 * for as long as the database does. */
void netfs_vfs_path(int folder, const char *name, char path[NETFS_VFS_PATH]);

/* Makes a temporary file of the memory that SQLite gives for one. */
void netfs_vfs_temp(sqlite3_file *file);
/* Bytes that is at least. */
#define NETFS_VFS_FILE_MIN 64

#endif
