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
