/* SPDX-License-Identifier: MIT */
/*
 * Which mutexes the calling thread holds, and whether it may take another.
 * Used by both environments; in unchecked builds all of it is nothing.
 */
#ifndef ENV_LOCK_CHECK_H
#define ENV_LOCK_CHECK_H

#include <env/lock.h>

#if NETFS_CHECKED
static inline void netfs_lock_check_init(struct netfs_mutex *mutex, enum netfs_lock_rank rank)
{
	mutex->rank = rank;
	mutex->owner = 0;
}
/* Does any thread hold it, as far as is known? */
static inline bool netfs_lock_check_busy(const struct netfs_mutex *mutex)
{
	return mutex->owner;
}
/* Before taking it: aborts, naming both, where the order forbids it. */
void netfs_lock_check_order(const struct netfs_mutex *mutex);
/* After it was taken, and before it is given back. */
void netfs_lock_check_taken(struct netfs_mutex *mutex);
void netfs_lock_check_given(struct netfs_mutex *mutex);
/* Does the calling thread hold it? */
bool netfs_lock_check_owns(const struct netfs_mutex *mutex);
#else
static inline void netfs_lock_check_init(struct netfs_mutex *mutex, enum netfs_lock_rank rank)
{
}
static inline bool netfs_lock_check_busy(const struct netfs_mutex *mutex)
{
	return false;
}
static inline void netfs_lock_check_order(const struct netfs_mutex *mutex)
{
}
static inline void netfs_lock_check_taken(struct netfs_mutex *mutex)
{
}
static inline void netfs_lock_check_given(struct netfs_mutex *mutex)
{
}
#endif

#endif
