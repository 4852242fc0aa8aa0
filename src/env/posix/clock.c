/* SPDX-License-Identifier: MIT */
/*
 * The machine's clocks.  Both are read without entering the kernel.
 */
#include <time.h>
#include <env/clock.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NETFS_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t netfs_clock_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t netfs_clock_real(void)
{
	return read_clock(CLOCK_REALTIME);
}
