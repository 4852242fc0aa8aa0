/* SPDX-License-Identifier: MIT */
/*
 * Mutexes of a world with one thread: they only check.  Nobody waits while he
 * holds one, so one that is taken when it is wanted was taken by the caller
 * himself, and on the real machine he would wait for ever.
 */
#include <base/assert.h>
#include <env/lock_check.h>
#include <env/sim/world.h>

void netfs_mutex_init(struct netfs_mutex *mutex, enum netfs_lock_rank rank)
{
	netfs_lock_check_init(mutex, rank);
}

void netfs_mutex_done(struct netfs_mutex *mutex)
{
	netfs_assert(!netfs_lock_check_busy(mutex));
}

void netfs_mutex_lock(struct netfs_mutex *mutex)
{
	if (netfs_lock_check_busy(mutex))
		netfs_sim_die("mutex %p is taken twice", (void *)mutex);
	netfs_lock_check_order(mutex);
	netfs_lock_check_taken(mutex);
}

bool netfs_mutex_trylock(struct netfs_mutex *mutex)
{
	if (netfs_lock_check_busy(mutex))
		return false;
	netfs_lock_check_taken(mutex);
	return true;
}

void netfs_mutex_unlock(struct netfs_mutex *mutex)
{
	netfs_lock_check_given(mutex);
}
