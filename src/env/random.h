/* SPDX-License-Identifier: MIT */
/* Chance: for jitter, identifiers and silly names, not for keys. */
#ifndef ENV_RANDOM_H
#define ENV_RANDOM_H

#include <stdint.h>

/* Any thread.  In env/sim it comes from the run's seed. */
uint64_t netfs_random_u64(void);
/* Uniform in [0, bound), bound > 0. */
uint64_t netfs_random_below(uint64_t bound);

#endif
