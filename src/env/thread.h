/* SPDX-License-Identifier: MIT */
/* Which thread this is, and how it rests. */
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

/* Blocks for about so long.  Only for a job that has to try again what another
 * process stands in the way of, and that can be told in no other way. */
void netfs_thread_pause(uint64_t ns);

#endif
