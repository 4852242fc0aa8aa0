/* SPDX-License-Identifier: MIT */
/*
 * Reproducible chance: a generator with 256 bits of state that a 64-bit seed
 * fills.  The same seed gives the same numbers on every machine.  Not for keys.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct netfs_rng {
	uint64_t s[4];
};

static inline uint64_t netfs_rng_rotate(uint64_t x, int bits)
{
	return (x << bits) | (x >> (64 - bits));
}

/* Spreads neighbouring seeds over the whole state; never all zero. */
static inline void netfs_rng_init(struct netfs_rng *rng, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		rng->s[i] = z ^ (z >> 31);
	}
}

static inline uint64_t netfs_rng_u64(struct netfs_rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = netfs_rng_rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = netfs_rng_rotate(s[3], 45);
	return result;
}

/* Uniform in [0, bound), bound > 0: numbers from the incomplete last stretch
 * of the 64-bit range are thrown away. */
static inline uint64_t netfs_rng_below(struct netfs_rng *rng, uint64_t bound)
{
	uint64_t skip = -bound % bound;
	uint64_t x;

	do
		x = netfs_rng_u64(rng);
	while (x < skip);
	return x % bound;
}

#endif
