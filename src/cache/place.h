/* SPDX-License-Identifier: MIT */
/*
 * A folder inside the cache's folder for somebody else's files, with the same care:
 * opened beneath it, through no link, and only what is ours alone.  Every function
 * may block.
 */
#ifndef CACHE_PLACE_H
#define CACHE_PLACE_H

#include <stdbool.h>

/* Bytes of the path of the cache's folder, with its end. */
#define NETFS_PLACE_PATH 4096

/* Opens the folder name in the one at an absolute path, and makes both where they are
 * missing, with mode 0700; when this returns they are on the disk.  -EPERM,
 * -EUCLEAN: there is something that is not ours alone; -ENAMETOOLONG. */
int netfs_place_open(const char *path, const char *name);
/* Opens a file in it, and locks it for as long as it is open.  -EBUSY: somebody has
 * it; -EUCLEAN: it is no file of ours alone; -ENOENT: it is missing, and make was
 * not said. */
int netfs_place_file(int place, const char *name, bool make);

#endif
