/* SPDX-License-Identifier: MIT */
/* Waiting, with progress for people, until a mount has sent everything. */
#ifndef CLI_DRAIN_H
#define CLI_DRAIN_H

#include <stdbool.h>
#include <stdint.h>
#include "contact.h"

struct netfs_cli_drain {
	const char *path; /* of the mount */
	bool unmounting; /* what it is for: goes into what is said */
	uint64_t until; /* netfs_cli_now_ms() when to stop waiting; 0: never */
	bool tty;
	bool shown; /* a line of progress stands on the terminal */
	unsigned long long stuck; /* result: bytes of earlier mounts that could not be sent */
};

/* Milliseconds left, -1: without end. */
int netfs_cli_drain_left(const struct netfs_cli_drain *drain);
/* After "drain" was sent: an exit code, and what went wrong was said.  *dead: the mount's
 * process ended meanwhile. */
int netfs_cli_drain(struct netfs_cli_drain *drain, struct netfs_cli_contact *contact, bool *dead);
/* All went well. */
void netfs_cli_drain_end(struct netfs_cli_drain *drain);
/* An error is about to be said: it starts on a line of its own. */
void netfs_cli_drain_break(struct netfs_cli_drain *drain);
/* Seconds as options have them; a usage error of verb is said. */
int netfs_cli_drain_seconds(const char *verb, const char *text, uint64_t *ret_until);

#endif
