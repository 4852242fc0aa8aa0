/* SPDX-License-Identifier: MIT */
/*
 * The guard of a mount: a small process that frees everybody when the daemon
 * dies without having unmounted.
 */
#ifndef CLI_SUPERVISOR_H
#define CLI_SUPERVISOR_H

#include <limits.h>
#include <stdint.h>

/* The daemon's end of the line to its guard. */
struct netfs_cli_supervisor {
	int fd;
	int pid;
};

/* Starts the guard of the calling process, which has no other threads yet.
 * 0 or negative errno. */
int netfs_cli_supervisor_start(const char *mount_point, struct netfs_cli_supervisor *ret);
/* The mount stands: what is to be taken away when we die. */
void netfs_cli_supervisor_mounted(struct netfs_cli_supervisor *supervisor, uint32_t minor,
				  const char *socket);
/* Nothing is mounted any more: the guard ends. */
void netfs_cli_supervisor_done(struct netfs_cli_supervisor *supervisor);

#endif
