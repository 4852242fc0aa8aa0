/* SPDX-License-Identifier: MIT */
/* The files of a cache folder.  Every function may block. */
#ifndef CACHE_STORE_FILES_H
#define CACHE_STORE_FILES_H

#include <cache/store/store.h>

/* Opens the folder at an absolute path; make: with mode 0700 where it is
 * missing.  -EPERM: not a folder of ours alone. */
int netfs_files_open(const char *path, bool make);
/* The name of an object's file. */
void netfs_files_name(const char *volume, uint64_t ino, uint64_t gen, char name[NETFS_STORE_NAME]);
/* Opens it for data and locks it.  make: also where it is missing, and what is in
 * its place and not a file of ours alone is taken away first.  -EBUSY, -ENOENT,
 * -EUCLEAN (it is not, and make was not said or did not help). */
int netfs_files_object(int folder, const char *name, bool make);
int netfs_files_unlink(int folder, const char *name);
/* May a file of that name be used: is it ours alone, or missing? */
int netfs_files_check(int folder, const char *name);

#endif
