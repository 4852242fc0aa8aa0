/* SPDX-License-Identifier: MIT */
/*
 * Smaller, larger, and rounding to powers of two.
 */
#ifndef BASE_ROUND_H
#define BASE_ROUND_H

#include <stdbool.h>
#include <stdint.h>

/* Each argument is evaluated once. */
#define netfs_min(a, b)                                                                            \
	({                                                                                         \
		__typeof__(a) min_a_ = (a);                                                        \
		__typeof__(b) min_b_ = (b);                                                        \
		min_a_ < min_b_ ? min_a_ : min_b_;                                                 \
	})
#define netfs_max(a, b)                                                                            \
	({                                                                                         \
		__typeof__(a) max_a_ = (a);                                                        \
		__typeof__(b) max_b_ = (b);                                                        \
		max_a_ > max_b_ ? max_a_ : max_b_;                                                 \
	})

static inline bool netfs_is_power_of_two(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* unit is a power of two. */
static inline uint64_t netfs_round_down(uint64_t x, uint64_t unit)
{
	return x & ~(unit - 1);
}

/* unit is a power of two; x is at most UINT64_MAX - unit + 1. */
static inline uint64_t netfs_round_up(uint64_t x, uint64_t unit)
{
	return (x + unit - 1) & ~(unit - 1);
}

/* The largest power of two that is at most x; x > 0. */
static inline uint64_t netfs_power_of_two_down(uint64_t x)
{
	return UINT64_C(1) << (63 - __builtin_clzll(x));
}

/* The smallest power of two that is at least x; 0 < x <= 1 << 63. */
static inline uint64_t netfs_power_of_two_up(uint64_t x)
{
	return x == 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(x - 1));
}

/* The exponent of the largest power of two that is at most x; x > 0. */
static inline unsigned netfs_log2_down(uint64_t x)
{
	return 63 - (unsigned)__builtin_clzll(x);
}

#endif
