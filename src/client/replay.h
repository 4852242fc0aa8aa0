/* SPDX-License-Identifier: MIT */
/*
 * Writes once more what mounts that died had in their journals, through a mount that
 * has just been opened, while that serves.
 */
#ifndef CLIENT_REPLAY_H
#define CLIENT_REPLAY_H

#include <unetfs/unetfs.h>

struct netfs_left;

/* Begins, before anybody uses the mount, which holds the files back and waits at its
 * end.  What cannot be written is told, and stays.  left is the mount's.  log: one
 * line for people for each file that is not just written again, and one for the sum;
 * may be NULL; user must last as long as the mount.  -ENOMEM: nothing is done. */
int netfs_replay_start(struct netfs_mount *mount, struct netfs_left *left,
		       const struct netfs_cred *cred, const char *source,
		       void (*log)(void *user, int level, const char *line), void *user);

#endif
