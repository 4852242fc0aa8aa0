/* SPDX-License-Identifier: MIT */
/*
 * Chance for tests: small, fast, the same on every machine, and with a state
 * of its own, so that one part of a run does not shift the draws of another.
 */
#ifndef TESTS_RNG_H
#define TESTS_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* Scrambles x; neighbours give unrelated results. */
static inline uint64_t rng_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	return x;
}

static inline void rng_init(struct rng *rng, uint64_t seed)
{
	rng->state = rng_mix(seed + UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t rng_u64(struct rng *rng)
{
	rng->state += UINT64_C(0x9e3779b97f4a7c15);
	return rng_mix(rng->state);
}

/* Uniform in [0, bound), bound > 0. */
static inline uint64_t rng_below(struct rng *rng, uint64_t bound)
{
	return rng_u64(rng) % bound;
}

/* Uniform in [low, high]. */
static inline uint64_t rng_between(struct rng *rng, uint64_t low, uint64_t high)
{
	return low + rng_below(rng, high - low + 1);
}

/* True once in n draws; n 0 means never. */
static inline bool rng_one_in(struct rng *rng, uint64_t n)
{
	return n && rng_below(rng, n) == 0;
}

/* True per_million times in a million draws. */
static inline bool rng_chance(struct rng *rng, uint32_t per_million)
{
	return per_million && rng_below(rng, 1000000) < per_million;
}

#endif
