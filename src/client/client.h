/* SPDX-License-Identifier: MIT */
/*
 * The assembler: a source and options become a mount.  The public functions
 * are in <unetfs/unetfs.h>; here is the one for those who bring their own back
 * end (tests, the simulator).
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <unetfs/backend.h>
#include <unetfs/unetfs.h>

/* As netfs_mount_open() with the back end given instead of looked up by the
 * scheme of source. */
void netfs_mount_open_with(struct netfs_client *client, const struct netfs_be_ops *ops,
			   const char *source, const char *options, struct netfs_call *call);

#endif
