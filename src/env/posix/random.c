/* SPDX-License-Identifier: MIT */
/*
 * A generator per thread, seeded by the kernel at its first use.  Nothing is
 * shared, so nothing is locked.
 */
#include <stdbool.h>
#include <sys/random.h>
#include <base/rng.h>
#include <env/clock.h>
#include <env/random.h>

static __thread struct netfs_rng generator;
static __thread bool seeded;

static struct netfs_rng *own_generator(void)
{
	uint64_t seed;

	if (!seeded) {
		/* The kernel may have no entropy yet, early after boot; the clock
		 * and an address of this thread do for jitter and names. */
		if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
			seed = netfs_clock_now() ^ (uint64_t)(uintptr_t)&generator;
		netfs_rng_init(&generator, seed);
		seeded = true;
	}
	return &generator;
}

uint64_t netfs_random_u64(void)
{
	return netfs_rng_u64(own_generator());
}

uint64_t netfs_random_below(uint64_t bound)
{
	return netfs_rng_below(own_generator(), bound);
}
