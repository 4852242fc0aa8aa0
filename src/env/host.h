/* SPDX-License-Identifier: MIT */
/* Who this process is. */
#ifndef ENV_HOST_H
#define ENV_HOST_H

#include <stdint.h>

/* The effective user id; 0 in env/sim. */
uint32_t netfs_host_uid(void);

#endif
