/* SPDX-License-Identifier: MIT */
/*
 * Private to env/sim: the scheduler as the other parts see it.
 */
#ifndef ENV_SIM_WORLD_H
#define ENV_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <base/rng.h>
#include <env/executor.h>

/* ------------------------------------------------------------- world.c */

/* Drawn from by the network, so that its luck does not depend on how often the
 * product asks for random numbers. */
extern struct netfs_rng netfs_sim_luck;
/* Runs what can run, or lets time pass up to until_ns.  False: neither. */
bool netfs_sim_step(uint64_t until_ns);
/* Ends the program with the seed and the step. */
_Noreturn void netfs_sim_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Takes a task off the queue, for an owner that is about to free it. */
void netfs_sim_forget(struct netfs_task *task);
/* Is the caller, directly or further up, a task? */
bool netfs_sim_in_task(void);

/* ------------------------------------------------------------- timer.c */

/* When the next timer goes off, UINT64_MAX where none is armed. */
uint64_t netfs_sim_timers_next(void);
/* Posts the tasks of those that are due. */
void netfs_sim_timers_expire(uint64_t now_ns);
uint32_t netfs_sim_timers_count(void);

/* ------------------------------------------------------------- alloc.c */

/* A new world: counts from here, no failure planned. */
void netfs_sim_allocs_start(void);
void netfs_sim_allocs_stop(void);

/* --------------------------------------------------------------- net.c */

void netfs_sim_net_start(void);
/* Sockets not closed. */
unsigned netfs_sim_net_left(void);
void netfs_sim_net_stop(void);

/* ------------------------------------------------------------- hostfs.c */

/* Files of the simulated disk not closed. */
unsigned netfs_sim_files_left(void);

#endif
