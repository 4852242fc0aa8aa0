/* SPDX-License-Identifier: MIT */
/* What a mount is of: scheme://host[:port]/path or scheme:path. */
#ifndef CLIENT_SOURCE_H
#define CLIENT_SOURCE_H

#include <stddef.h>
#include <unetfs/backend.h>

/* A source taken apart.  Zero is an empty one. */
struct netfs_source_parts {
	struct netfs_source source; /* points into text */
	char *text; /* owned */
};

/* -EINVAL (message then says why in one line), -ENOMEM. */
int netfs_source_parse(const char *text, struct netfs_source_parts *ret_parts, char *message,
		       size_t message_size);
void netfs_source_done(struct netfs_source_parts *parts);

#endif
