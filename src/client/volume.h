/* SPDX-License-Identifier: MIT */
/* What the disk cache and the journal call a share. */
#ifndef CLIENT_VOLUME_H
#define CLIENT_VOLUME_H

#include <client/options.h>

/* The share as user uid sees it: what one user may see of it is not what another may.
 * source is as it was given.  The caller's, netfs_free(); NULL: no memory. */
char *netfs_volume_name(const struct netfs_mount_options *options, const char *source,
			uint32_t uid);

#endif
