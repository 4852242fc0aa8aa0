/* SPDX-License-Identifier: MIT */
/*
 * The kernel's list of mounts, /proc/self/mountinfo.  Reading it never touches
 * a file system, so it works where stat(2) of a dead mount would hang.
 */
#ifndef FUSE_MOUNTINFO_H
#define FUSE_MOUNTINFO_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/* The file system type of our mounts. */
#define NETFS_FUSE_TYPE "fuse.unetfs"

/* One line of the list.  Longer texts are cut. */
struct netfs_mountinfo {
	uint32_t major;
	uint32_t minor;
	char mount_point[PATH_MAX];
	char type[64];
	char source[512];
};

/* Takes line apart; escapes are undone.  False where it is malformed. */
bool netfs_mountinfo_parse(const char *line, struct netfs_mountinfo *ret_info);
/* The mount seen at exactly this path (the topmost).  0, -ENOENT, or why the
 * list could not be read. */
int netfs_mountinfo_find(const char *mount_point, struct netfs_mountinfo *ret_info);
/* Calls fn for every mount of type, in order, until it returns false. */
int netfs_mountinfo_each(const char *type, bool (*fn)(void *user, struct netfs_mountinfo *info),
			 void *user);

#endif
