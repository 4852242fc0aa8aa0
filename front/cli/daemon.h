/* SPDX-License-Identifier: MIT */
/* The process behind a mount, from connecting to the last byte sent. */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

#include <limits.h>
#include "options.h"

/* What is to be mounted. */
struct netfs_cli_mount_request {
	char source[512];
	char mount_point[PATH_MAX]; /* as netfs_cli_path() gives it */
	struct netfs_cli_options options;
	const char *option_text; /* as the user wrote them, for status */
	bool foreground;
	bool verbose;
	bool replay; /* only sends what is in the journal; no mount_point */
	int report_fd; /* where the exit code goes when ready, or -1 */
};

/* An empty one with what such a user gets by default; free().  NULL was said. */
struct netfs_cli_mount_request *netfs_cli_request_new(void);
/* Adds a list of options to those before it.  False was said. */
bool netfs_cli_options_add(char all[NETFS_CLI_OPTIONS_MAX], const char *more);
/* An exit code; what is wrong with it was said. */
int netfs_cli_check_source(const char *source);

/* Mounts and serves until the mount has ended; the exit code. */
int netfs_cli_daemon_run(const struct netfs_cli_mount_request *request);

#endif
