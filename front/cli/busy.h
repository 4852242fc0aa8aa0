/* SPDX-License-Identifier: MIT */
/* Who uses a mount. */
#ifndef CLI_BUSY_H
#define CLI_BUSY_H

#include <stddef.h>

/* Writes "name (pid), name (pid)" of at most 5 processes into out; how many
 * were found.  Never touches the mount. */
size_t netfs_cli_busy(const char *mount_point, char *out, size_t size);

#endif
