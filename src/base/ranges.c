/* SPDX-License-Identifier: MIT */
/*
 * Sets of byte positions as sorted arrays of half-open ranges.
 *
 *      add       [===)   [====)      [==)
 *                    ^--------------^            joins what it touches
 *      gives     [===)---------------===)        into one range
 *
 * Always true: from < to in each range, and each range ends before the next
 * one starts (touching ranges are joined), so that a stretch is covered only
 * if one single range covers it.  Every search is a binary search for the
 * first range that ends behind (or at) a position.
 *
 * A change replaces a run of neighbouring ranges by at most two new ones, in
 * place.  The only step that can fail, growing the array, comes first.
 * An array is kept until the set is cleared: dirty ranges come and go.
 */
#include <errno.h>
#include <string.h>
#include <base/mem.h>
#include <base/ranges.h>

/* Index of the first range that ends behind pos, count where there is none. */
static uint32_t first_ending_after(const struct netfs_ranges *set, uint64_t pos)
{
	uint32_t low = 0;
	uint32_t high = netfs_ranges_count(set);

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (netfs_ranges_at(set, middle).to > pos)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void netfs_ranges_init(struct netfs_ranges *set)
{
	*set = (struct netfs_ranges){0};
}

void netfs_ranges_done(struct netfs_ranges *set)
{
	netfs_ranges_clear(set);
}

void netfs_ranges_clear(struct netfs_ranges *set)
{
	if (set->from == NETFS_RANGES_MANY)
		netfs_mem_free(set->array);
	netfs_ranges_init(set);
}

/* Makes the set hold at least count ranges. */
static int make_room(struct netfs_ranges *set, uint64_t count)
{
	struct netfs_range_array *array = set->from == NETFS_RANGES_MANY ? set->array : NULL;
	uint64_t room = array ? array->room : 1;
	struct netfs_range one = {set->from, set->to};

	if (count <= room)
		return 0;
	room *= 2;
	if (room < count)
		room = count;
	if (room > UINT32_MAX)
		return -ENOMEM;
	array = netfs_mem_realloc(array, sizeof(*array) + room * sizeof(array->at[0]));
	if (!array)
		return -ENOMEM;
	if (set->from != NETFS_RANGES_MANY) {
		array->count = netfs_ranges_count(set);
		array->at[0] = one;
	}
	array->room = (uint32_t)room;
	set->from = NETFS_RANGES_MANY;
	set->array = array;
	return 0;
}

int netfs_ranges_reserve(struct netfs_ranges *set, uint32_t n)
{
	return make_room(set, (uint64_t)netfs_ranges_count(set) + n);
}

/* Puts the n ranges at with in the place of those in [first, end). */
static int replace(struct netfs_ranges *set, uint32_t first, uint32_t end,
		   const struct netfs_range *with, uint32_t n)
{
	uint32_t before = netfs_ranges_count(set);
	uint64_t count = (uint64_t)before - (end - first) + n;
	int err = make_room(set, count);

	if (err)
		return err;
	if (set->from == NETFS_RANGES_MANY) {
		struct netfs_range *all = set->array->at;

		memmove(all + first + n, all + end, (before - end) * sizeof(*all));
		memcpy(all + first, with, n * sizeof(*all));
		set->array->count = (uint32_t)count;
	} else if (n) {
		set->from = with->from;
		set->to = with->to;
	} else if (count == 0) {
		netfs_ranges_init(set);
	}
	return 0;
}

int netfs_ranges_add(struct netfs_ranges *set, uint64_t from, uint64_t to)
{
	struct netfs_range joined = {from, to};
	uint32_t first;
	uint32_t end;

	if (from >= to)
		return 0;
	/* The first range that ends at from or behind it; position 0 touches
	 * nothing on its left. */
	first = from ? first_ending_after(set, from - 1) : 0;
	/* The last to join starts at to or before it; the one that ends behind
	 * to is the only candidate that may start behind it. */
	end = first_ending_after(set, to);
	if (end < netfs_ranges_count(set) && netfs_ranges_at(set, end).from <= to)
		end++;
	if (first < end) {
		if (netfs_ranges_at(set, first).from < from)
			joined.from = netfs_ranges_at(set, first).from;
		if (netfs_ranges_at(set, end - 1).to > to)
			joined.to = netfs_ranges_at(set, end - 1).to;
	}
	return replace(set, first, end, &joined, 1);
}

int netfs_ranges_remove(struct netfs_ranges *set, uint64_t from, uint64_t to)
{
	struct netfs_range left[2];
	uint32_t n = 0;
	uint32_t first;
	uint32_t end;

	if (from >= to)
		return 0;
	first = first_ending_after(set, from);
	end = first_ending_after(set, to);
	if (end < netfs_ranges_count(set) && netfs_ranges_at(set, end).from < to)
		end++;
	if (first == end)
		return 0;
	if (netfs_ranges_at(set, first).from < from)
		left[n++] = (struct netfs_range){netfs_ranges_at(set, first).from, from};
	if (netfs_ranges_at(set, end - 1).to > to)
		left[n++] = (struct netfs_range){to, netfs_ranges_at(set, end - 1).to};
	return replace(set, first, end, left, n);
}

int netfs_ranges_add_all(struct netfs_ranges *set, const struct netfs_ranges *other)
{
	if (set == other)
		return 0;
	for (uint32_t i = 0; i < netfs_ranges_count(other); i++) {
		const struct netfs_range range = netfs_ranges_at(other, i);
		int err = netfs_ranges_add(set, range.from, range.to);

		if (err)
			return err;
	}
	return 0;
}

bool netfs_ranges_covers(const struct netfs_ranges *set, uint64_t from, uint64_t to)
{
	uint32_t i;

	if (from >= to)
		return true;
	i = first_ending_after(set, from);
	return i < netfs_ranges_count(set) && netfs_ranges_at(set, i).from <= from &&
	       netfs_ranges_at(set, i).to >= to;
}

bool netfs_ranges_overlaps(const struct netfs_ranges *set, uint64_t from, uint64_t to)
{
	struct netfs_range ignored;

	return netfs_ranges_next(set, from, to, &ignored);
}

bool netfs_ranges_next(const struct netfs_ranges *set, uint64_t from, uint64_t to,
		       struct netfs_range *ret_range)
{
	struct netfs_range range;
	uint32_t i;

	if (from >= to)
		return false;
	i = first_ending_after(set, from);
	if (i == netfs_ranges_count(set))
		return false;
	range = netfs_ranges_at(set, i);
	if (range.from >= to)
		return false;
	ret_range->from = range.from > from ? range.from : from;
	ret_range->to = range.to < to ? range.to : to;
	return true;
}

bool netfs_ranges_next_gap(const struct netfs_ranges *set, uint64_t from, uint64_t to,
			   struct netfs_range *ret_range)
{
	uint64_t end = to;
	uint32_t i;

	if (from >= to)
		return false;
	i = first_ending_after(set, from);
	/* Ranges do not touch, so the byte behind one is in no other. */
	if (i < netfs_ranges_count(set) && netfs_ranges_at(set, i).from <= from)
		from = netfs_ranges_at(set, i++).to;
	if (from >= to)
		return false;
	if (i < netfs_ranges_count(set) && netfs_ranges_at(set, i).from < to)
		end = netfs_ranges_at(set, i).from;
	*ret_range = (struct netfs_range){from, end};
	return true;
}

uint64_t netfs_ranges_bytes(const struct netfs_ranges *set)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < netfs_ranges_count(set); i++)
		bytes += netfs_ranges_at(set, i).to - netfs_ranges_at(set, i).from;
	return bytes;
}
