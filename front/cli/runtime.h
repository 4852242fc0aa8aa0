/* SPDX-License-Identifier: MIT */
/*
 * Where a running mount is found: a socket and a text record in /run/unetfs
 * (root), $XDG_RUNTIME_DIR/unetfs or /tmp/unetfs-UID.
 */
#ifndef CLI_RUNTIME_H
#define CLI_RUNTIME_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

/* Room for the path of a socket. */
#define NETFS_CLI_SOCKET_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)

/* One mount as its record has it. */
struct netfs_cli_record {
	char socket[NETFS_CLI_SOCKET_SIZE];
	char mount_point[PATH_MAX];
	char source[512];
	int pid;
};

/* Makes the folder of the calling user and the path of the socket for a mount.
 * 0 or negative errno. */
int netfs_cli_runtime_path(const char *mount_point, uint32_t minor,
			   char path[NETFS_CLI_SOCKET_SIZE]);
/* Writes and removes what belongs to record->socket. */
int netfs_cli_runtime_write(const struct netfs_cli_record *record);
void netfs_cli_runtime_remove(const char *socket);
/* The record of a mount that this user may see.  -ENOENT. */
int netfs_cli_runtime_find(const char *mount_point, uint32_t minor,
			   struct netfs_cli_record *ret_record);
/* Calls fn for each record this user may see, until it returns false. */
void netfs_cli_runtime_each(bool (*fn)(void *user, const struct netfs_cli_record *record),
			    void *user);

/*
 * The path of a mount point: absolute, without links, and without touching the
 * mount itself, which may be dead.  0 or negative errno.
 */
int netfs_cli_path(const char *dir, char path[PATH_MAX]);

#endif
