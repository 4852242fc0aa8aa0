/* SPDX-License-Identifier: MIT */
/*
 * How a running mount is asked: a unix socket, one request line, lines in
 * answer.
 *
 *	report		the state of the mount, one fact a line, then the end:
 *			"s name text", "u name number", "b name 0|1",
 *			"c name number group code meaning" for a counter
 *	requests	the living requests, see inside.h
 *	trace		the flight recorder, see inside.h
 *	drain		sends everything: "left N" now and then, at last
 *			"synced" or "failed ERRNO LEFT reason"
 *	abort		gives up everything: "dropping N"
 *
 * After drain and abort the connection stays open until the mount has ended:
 * "closed LOST" when all was given back, LOST bytes never sent; "kept LEFT
 * reason" each time the rest could not be sent and is kept.
 */
#ifndef CLI_CONTROL_H
#define CLI_CONTROL_H

#include <unetfs/unetfs.h>
#include "text.h"

struct netfs_cli_control;

/* What the server asks the mount.  From its own thread. */
struct netfs_cli_control_ops {
	void (*report)(void *user, struct netfs_cli_text *text);
	void (*requests)(void *user, struct netfs_cli_text *text);
	void (*trace)(void *user, struct netfs_cli_text *text);
	/* Starts a sync; false where the mount is being closed already. */
	bool (*sync)(void *user, struct netfs_call *call);
	uint64_t (*dirty)(void *user);
	/* Gives everything up; the bytes that were unsent. */
	uint64_t (*abort)(void *user);
};

/* Listens at path.  0 or negative errno. */
int netfs_cli_control_start(const char *path, const struct netfs_cli_control_ops *ops, void *user,
			    struct netfs_cli_control **ret_control);
/* Tells everybody who waits for the end.  Any thread. */
void netfs_cli_control_tell(struct netfs_cli_control *control, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Ends a sync that is under way, and begins no other; returns when none is. */
void netfs_cli_control_quiesce(struct netfs_cli_control *control);
/* Syncs may begin again. */
void netfs_cli_control_resume(struct netfs_cli_control *control);
/* NULL is allowed. */
void netfs_cli_control_stop(struct netfs_cli_control *control);

#endif
