/* SPDX-License-Identifier: MIT */
/* Stays in memory, for those whose memory may be on the mount. */
#ifndef CLI_MLOCK_H
#define CLI_MLOCK_H

#include <stddef.h>

/*
 * Locks all memory of the process, what it has and what it will have, and keeps the
 * kernel from ending it, or waiting for swap on its behalf, where that is allowed.
 * To be called before the process has other threads: they inherit it.
 *
 * 0, with what was not allowed in why, "" for nothing.  -errno with the reason there:
 * then nothing is promised.
 */
int netfs_cli_mlock(char *why, size_t size);

#endif
