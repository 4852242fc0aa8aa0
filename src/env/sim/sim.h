/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine's own controls, for the world around the product
 * (tests/sim).  One thread, virtual time, one seed: the same seed and program
 * give the same run, byte for byte.
 *
 * Time stands still while code runs and jumps to the next event when nothing
 * is runnable.  Runnable tasks, jobs and socket events run in an order drawn
 * from the seed.
 */
#ifndef ENV_SIM_H
#define ENV_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <env/socket.h>

/* Before anything else of env.  Forgets an earlier world; asserts that it left
 * no timer, socket or queued task behind. */
void netfs_sim_start(uint64_t seed);
/* Ends the world.  Asserts that nothing is left over. */
void netfs_sim_stop(void);
/* Runs the world until cond(user) holds (true), or nothing is left that could
 * ever happen, or the virtual clock passes limit_ns from now (false). */
bool netfs_sim_run(bool (*cond)(void *user), void *user, uint64_t limit_ns);
/* One line per event on standard error. */
void netfs_sim_trace(bool on);
void netfs_sim_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Events run so far: two runs of one seed must agree at every point. */
uint64_t netfs_sim_steps(void);
/* A hash of all that ran so far and when; the same in every run of one binary
 * with one seed. */
uint64_t netfs_sim_digest(void);

/* The wall clock jumps by so much; the monotonic one goes on. */
void netfs_sim_jump_real(int64_t ns);

/* ---------------------------------------------------------- network */

/* How the network behaves from now on, for every connection.  A new world has
 * delays of 20 to 200 us and no faults. */
struct netfs_sim_net {
	uint64_t latency_min_ns;
	uint64_t latency_max_ns;
	uint32_t segment_max; /* at most so many bytes arrive at once; 0: all */
	uint32_t cut_per_million; /* chance per arriving segment that the
				   * connection dies after a random part of it */
	bool refuse; /* new connections are refused */
	bool blackhole; /* nothing arrives any more, nobody is told; what
				   * was sent arrives when it is lifted */
};

void netfs_sim_set_net(const struct netfs_sim_net *net);
/* Cuts every living connection now. */
void netfs_sim_cut_all(void);
/* A server at (host, port) or, with port NULL, at unix path host.  accept gets
 * its end of each connection, which it must adopt before it returns.  Passing
 * a NULL accept closes the listener. */
void netfs_sim_listen(const char *host, const char *port,
		      void (*accept)(void *user, struct netfs_socket *socket), void *user);
/* Gives an accepted socket the tasks that netfs_socket_open() gives others. */
void netfs_socket_adopt(struct netfs_socket *socket, struct netfs_task *readable,
			struct netfs_task *writable);

/* Has the other end ended or left the connection, or has it died?  What was sent
 * before may still arrive. */
bool netfs_sim_socket_left(const struct netfs_socket *socket);

/* ----------------------------------------------------------- memory */

/* The n-th allocation from now (1: the next) fails; 0: none.  Counted once. */
void netfs_sim_fail_alloc(uint64_t n);
/* How many have failed in this world. */
uint64_t netfs_sim_allocs_refused(void);
/* How many until that one; 0: it came, or none will fail. */
uint64_t netfs_sim_fail_left(void);
/* Living allocations, so that a run can prove it left none. */
uint64_t netfs_sim_allocs(void);

#endif
