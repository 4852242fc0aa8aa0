/* SPDX-License-Identifier: MIT */
/* What time it is.  Virtual in env/sim. */
#ifndef ENV_CLOCK_H
#define ENV_CLOCK_H

#include <stdint.h>

#define NETFS_NS_PER_MS	 UINT64_C(1000000)
#define NETFS_NS_PER_SEC UINT64_C(1000000000)

/* Nanoseconds on a clock that never goes back; the only one for time-outs. */
uint64_t netfs_clock_now(void);
/* Nanoseconds since 1970, for time stamps in attributes only. */
uint64_t netfs_clock_real(void);

#endif
