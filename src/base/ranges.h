/* SPDX-License-Identifier: MIT */
/*
 * A set of byte positions, kept as sorted, disjoint, non-touching half-open
 * ranges [from, to).  Sets of one range live inside the struct.
 *
 * Not locked: the owner guards it.  Growing may need memory; the functions
 * that can fail return -ENOMEM and leave the set as it was.
 */
#ifndef BASE_RANGES_H
#define BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netfs_range {
	uint64_t from;
	uint64_t to;
};

struct netfs_range_array;

/* More than one range; from is above every range's, so the two cannot be mixed up. */
#define NETFS_RANGES_MANY UINT64_MAX

/*
 * Nearly all sets are empty or one range, and there are three in each folio: so
 * one range is all that is inside.
 */
struct netfs_ranges {
	uint64_t from; /* of the only range; both 0: empty; NETFS_RANGES_MANY: */
	union {
		uint64_t to;
		struct netfs_range_array *array; /* the set's own */
	};
};

/* The ranges of a set that has, or had, more than one. */
struct netfs_range_array {
	uint32_t count;
	uint32_t room;
	struct netfs_range at[];
};

void netfs_ranges_init(struct netfs_ranges *set);
void netfs_ranges_done(struct netfs_ranges *set);
/* Makes it empty; keeps no memory. */
void netfs_ranges_clear(struct netfs_ranges *set);

/* How many ranges there are. */
static inline uint32_t netfs_ranges_count(const struct netfs_ranges *set)
{
	return set->from == NETFS_RANGES_MANY ? set->array->count : set->to != 0;
}

static inline bool netfs_ranges_empty(const struct netfs_ranges *set)
{
	return netfs_ranges_count(set) == 0;
}

/* The i-th of them, as a value: they move when the set changes. */
static inline struct netfs_range netfs_ranges_at(const struct netfs_ranges *set, uint32_t i)
{
	return set->from == NETFS_RANGES_MANY ? set->array->at[i]
					      : (struct netfs_range){set->from, set->to};
}

/* Adds or removes [from, to); an empty range does nothing.  -ENOMEM. */
int netfs_ranges_add(struct netfs_ranges *set, uint64_t from, uint64_t to);
int netfs_ranges_remove(struct netfs_ranges *set, uint64_t from, uint64_t to);
/* Adds what is in other.  On -ENOMEM a part may have been added. */
int netfs_ranges_add_all(struct netfs_ranges *set, const struct netfs_ranges *other);
/* Makes room so that the next n adds or removes cannot fail. */
int netfs_ranges_reserve(struct netfs_ranges *set, uint32_t n);

/* Is all of [from, to) in the set?  True for an empty range. */
bool netfs_ranges_covers(const struct netfs_ranges *set, uint64_t from, uint64_t to);
/* Is any byte of [from, to) in the set? */
bool netfs_ranges_overlaps(const struct netfs_ranges *set, uint64_t from, uint64_t to);
/* The first stretch of the set inside [from, to), clipped to it.  False where
 * there is none. */
bool netfs_ranges_next(const struct netfs_ranges *set, uint64_t from, uint64_t to,
		       struct netfs_range *ret_range);
/* The first stretch of [from, to) that is not in the set. */
bool netfs_ranges_next_gap(const struct netfs_ranges *set, uint64_t from, uint64_t to,
			   struct netfs_range *ret_range);
/* Bytes in the set. */
uint64_t netfs_ranges_bytes(const struct netfs_ranges *set);

#endif
