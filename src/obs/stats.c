/* SPDX-License-Identifier: MIT */
/*
 * Names and meanings of the counters, from the one list in stats.h.  The
 * counting itself is inline there: relaxed atomic additions, no lock.
 */
#include <base/assert.h>
#include <obs/stats.h>

static const char *const names[] = {
#define NETFS_STAT_NAME(name, meaning) #name,
	NETFS_STATS(NETFS_STAT_NAME)
#undef NETFS_STAT_NAME
};

static const char *const meanings[] = {
#define NETFS_STAT_MEANING(name, meaning) meaning,
	NETFS_STATS(NETFS_STAT_MEANING)
#undef NETFS_STAT_MEANING
};

static const char *const group_begins[NETFS_STAT_COUNT] = {
#define NETFS_STAT_GROUP(group, name) [NETFS_STAT_##name] = group,
	NETFS_STAT_GROUPS(NETFS_STAT_GROUP)
#undef NETFS_STAT_GROUP
};

static const char *const codes[NETFS_STAT_COUNT] = {
#define NETFS_STAT_CODE(name, code) [NETFS_STAT_##name] = code,
	NETFS_STAT_CODES(NETFS_STAT_CODE)
#undef NETFS_STAT_CODE
};

const char *netfs_stat_name(enum netfs_stat_id id)
{
	netfs_assert((unsigned)id < NETFS_STAT_COUNT);
	return names[id];
}

const char *netfs_stat_meaning(enum netfs_stat_id id)
{
	netfs_assert((unsigned)id < NETFS_STAT_COUNT);
	return meanings[id];
}

const char *netfs_stat_group(enum netfs_stat_id id)
{
	unsigned i = id;

	netfs_assert(i < NETFS_STAT_COUNT);
	/* The first of all counters begins a group. */
	while (!group_begins[i])
		i--;
	return group_begins[i];
}

const char *netfs_stat_code(enum netfs_stat_id id)
{
	netfs_assert((unsigned)id < NETFS_STAT_COUNT);
	return codes[id] ? codes[id] : "-";
}

uint64_t netfs_stats_get(const struct netfs_stats *stats, enum netfs_stat_id id)
{
	uint64_t sum = 0;

	netfs_assert((unsigned)id < NETFS_STAT_COUNT);
	for (unsigned i = 0; i < NETFS_STATS_PARTS; i++)
		sum += atomic_load_explicit(&stats->part[i].value[id], memory_order_relaxed);
	return sum;
}
