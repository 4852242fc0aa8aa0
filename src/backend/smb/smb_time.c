/* SPDX-License-Identifier: MIT */
/*
 * FILETIME and back.  Both count from fixed moments without leap seconds, so only
 * an offset and a unit differ.  Pure functions, no locks.
 */
#include "smb_time.h"

#define PER_SEC	      INT64_C(10000000)
#define EPOCH_SEC     INT64_C(11644473600) /* from 1601 to 1970 */
#define FILETIME_LAST ((uint64_t)INT64_MAX)

struct netfs_time smb_time_get(uint64_t filetime)
{
	int64_t ticks = (int64_t)(filetime > FILETIME_LAST ? FILETIME_LAST : filetime);

	return (struct netfs_time){
		.sec = ticks / PER_SEC - EPOCH_SEC,
		.nsec = (uint32_t)(ticks % PER_SEC) * 100,
	};
}

uint64_t smb_time_put(const struct netfs_time *time)
{
	int64_t ticks;

	if (time->sec < -EPOCH_SEC)
		return 1;
	if (time->sec > INT64_MAX / PER_SEC - EPOCH_SEC - 1)
		return FILETIME_LAST;
	ticks = (time->sec + EPOCH_SEC) * PER_SEC + time->nsec / 100;
	return ticks < 1 ? 1 : (uint64_t)ticks;
}
