/* SPDX-License-Identifier: MIT */
/* Who this process is, and on what. */
#ifndef ENV_HOST_H
#define ENV_HOST_H

#include <stdint.h>

/* The effective user and group id; 0 in env/sim. */
uint32_t netfs_host_uid(void);
uint32_t netfs_host_gid(void);
/* Bytes of memory the machine has; 1 GiB in env/sim. */
uint64_t netfs_host_memory(void);

#endif
