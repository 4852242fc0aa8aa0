/* SPDX-License-Identifier: MIT */
/*
 * The rank checker.  Each thread keeps a short stack of the mutexes it holds;
 * taking one whose rank is not above all of theirs is a deadlock waiting for
 * its day and ends the program at once, on any schedule.
 *
 * A mutex taken by trylock may be out of order (nobody waits there), so the
 * comparison is with the highest rank held, not with the last one taken.
 * The owner field is written by the holder only; a thread that does not hold
 * the mutex may still read it to find that out, hence the atomic accesses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <base/assert.h>
#include <env/lock_check.h>

#if NETFS_CHECKED

#define HELD_MAX 16

static const char *const rank_names[] = {
#define NETFS_RANK_NAME(name, guards) #name,
	NETFS_LOCK_RANKS(NETFS_RANK_NAME)
#undef NETFS_RANK_NAME
};

static __thread const struct netfs_mutex *held[HELD_MAX];
static __thread unsigned held_count;
static __thread int thread_number;
static int last_thread_number;

static int own_number(void)
{
	if (!thread_number)
		thread_number = __atomic_add_fetch(&last_thread_number, 1, __ATOMIC_RELAXED);
	return thread_number;
}

static const char *name_of(const struct netfs_mutex *mutex)
{
	return (unsigned)mutex->rank < NETFS_RANK_COUNT ? rank_names[mutex->rank] : "unknown";
}

void netfs_lock_check_order(const struct netfs_mutex *mutex)
{
	for (unsigned i = 0; i < held_count; i++) {
		if (mutex->rank > held[i]->rank)
			continue;
		fprintf(stderr, "unetfs: lock order: taking %s (%p) while holding %s (%p)\n",
			name_of(mutex), (const void *)mutex, name_of(held[i]),
			(const void *)held[i]);
		abort();
	}
}

void netfs_lock_check_taken(struct netfs_mutex *mutex)
{
	netfs_assert(held_count < HELD_MAX);
	held[held_count++] = mutex;
	__atomic_store_n(&mutex->owner, own_number(), __ATOMIC_RELAXED);
}

void netfs_lock_check_given(struct netfs_mutex *mutex)
{
	unsigned i = held_count;

	netfs_assert_held(mutex);
	while (i && held[i - 1] != mutex)
		i--;
	netfs_assert(i);
	for (; i < held_count; i++)
		held[i - 1] = held[i];
	held_count--;
	__atomic_store_n(&mutex->owner, 0, __ATOMIC_RELAXED);
}

bool netfs_lock_check_owns(const struct netfs_mutex *mutex)
{
	return __atomic_load_n(&mutex->owner, __ATOMIC_RELAXED) == own_number();
}

void netfs_assert_held(const struct netfs_mutex *mutex)
{
	if (netfs_lock_check_owns(mutex))
		return;
	fprintf(stderr, "unetfs: mutex %s (%p) is not held by the caller\n", name_of(mutex),
		(const void *)mutex);
	abort();
}

void netfs_assert_nothing_held(void)
{
	if (!held_count)
		return;
	fprintf(stderr, "unetfs: mutex %s (%p) is held where none may be\n",
		name_of(held[held_count - 1]), (const void *)held[held_count - 1]);
	abort();
}

#else

void netfs_assert_held(const struct netfs_mutex *mutex)
{
}

void netfs_assert_nothing_held(void)
{
}

#endif
