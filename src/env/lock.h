/* SPDX-License-Identifier: MIT */
/*
 * Mutual exclusion with a rank, and the one way to wait for something.
 */
#ifndef ENV_LOCK_H
#define ENV_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <env/lock_rank.h>

/* Held for short and never across I/O, a call into a back end, or a
 * completion.  Zero is not a valid mutex. */
struct netfs_mutex {
	pthread_mutex_t mutex; /* unused in env/sim */
#if NETFS_CHECKED
	enum netfs_lock_rank rank;
	int owner; /* thread number while held, 0 otherwise */
#endif
};

void netfs_mutex_init(struct netfs_mutex *mutex, enum netfs_lock_rank rank);
void netfs_mutex_done(struct netfs_mutex *mutex);
void netfs_mutex_lock(struct netfs_mutex *mutex);
/* Allowed against the order of ranks. */
bool netfs_mutex_trylock(struct netfs_mutex *mutex);
void netfs_mutex_unlock(struct netfs_mutex *mutex);
/* Aborts where the caller does not hold it (checked builds only). */
void netfs_assert_held(const struct netfs_mutex *mutex);
/* Aborts where the caller holds any netfs_mutex (checked builds only). */
void netfs_assert_nothing_held(void);

/*
 * Something that happens once.  set may be called from any thread; after wait
 * returned the event may be freed.  In env/sim wait runs the world until then.
 */
struct netfs_event {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool happened;
};

void netfs_event_init(struct netfs_event *event);
void netfs_event_set(struct netfs_event *event);
void netfs_event_wait(struct netfs_event *event);
void netfs_event_done(struct netfs_event *event);

#endif
