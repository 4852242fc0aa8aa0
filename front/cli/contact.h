/* SPDX-License-Identifier: MIT */
/* Talking to a running mount through its control socket; see control.h. */
#ifndef CLI_CONTACT_H
#define CLI_CONTACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netfs_cli_contact {
	int fd;
	int pid; /* of the mount's process, from the kernel */
	size_t used;
	char buf[1024];
};

/* Connects and sends one request.  0 or negative errno. */
int netfs_cli_contact_open(const char *socket, const char *request,
			   struct netfs_cli_contact *ret_contact);
/*
 * The next line without its end.  1: a line, 0: the other side has closed,
 * -ETIMEDOUT after timeout_ms (negative: never), or another error.  A line that
 * is too long is cut.
 */
int netfs_cli_contact_line(struct netfs_cli_contact *contact, char *line, size_t size,
			   int timeout_ms);
void netfs_cli_contact_close(struct netfs_cli_contact *contact);

#endif
