/* SPDX-License-Identifier: MIT */
/* Which thread this is. */
#ifndef ENV_THREAD_H
#define ENV_THREAD_H

#include <stdint.h>

#define NETFS_THREAD_NONE UINT32_MAX

/*
 * The calling thread's number: the smallest that no living thread has, from 0
 * to NETFS_THREADS_MAX - 1; NETFS_THREAD_NONE where all are taken.  It stays
 * the thread's until it ends.  Always 0 in env/sim.
 */
uint32_t netfs_thread_number(void);

#endif
