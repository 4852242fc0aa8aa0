/* SPDX-License-Identifier: MIT */
/*
 * Mutexes and events of the real machine, on POSIX threads.
 *
 * An event is set, and its waiters are woken, with the event's mutex held: a
 * waiter that returns has seen the setter leave, so it may free the event.
 */
#include <base/assert.h>
#include <env/lock_check.h>
#include <env/posix/exec.h>

void netfs_mutex_init(struct netfs_mutex *mutex, enum netfs_lock_rank rank)
{
	int err = pthread_mutex_init(&mutex->mutex, NULL);

	netfs_assert(!err);
	netfs_lock_check_init(mutex, rank);
}

void netfs_mutex_done(struct netfs_mutex *mutex)
{
	int err = pthread_mutex_destroy(&mutex->mutex);

	netfs_assert(!err);
}

void netfs_mutex_lock(struct netfs_mutex *mutex)
{
	netfs_lock_check_order(mutex);
	pthread_mutex_lock(&mutex->mutex);
	netfs_lock_check_taken(mutex);
}

bool netfs_mutex_trylock(struct netfs_mutex *mutex)
{
	if (pthread_mutex_trylock(&mutex->mutex))
		return false;
	netfs_lock_check_taken(mutex);
	return true;
}

void netfs_mutex_unlock(struct netfs_mutex *mutex)
{
	netfs_lock_check_given(mutex);
	pthread_mutex_unlock(&mutex->mutex);
}

void netfs_event_init(struct netfs_event *event)
{
	int err = pthread_mutex_init(&event->mutex, NULL);

	netfs_assert(!err);
	err = pthread_cond_init(&event->cond, NULL);
	netfs_assert(!err);
	event->happened = false;
}

void netfs_event_set(struct netfs_event *event)
{
	pthread_mutex_lock(&event->mutex);
	event->happened = true;
	pthread_cond_broadcast(&event->cond);
	pthread_mutex_unlock(&event->mutex);
}

void netfs_event_wait(struct netfs_event *event)
{
	/* A task that waits may wait for one that will never get a thread. */
	netfs_assert(!netfs_exec_here());
	netfs_assert_nothing_held();
	pthread_mutex_lock(&event->mutex);
	while (!event->happened)
		pthread_cond_wait(&event->cond, &event->mutex);
	pthread_mutex_unlock(&event->mutex);
}

void netfs_event_done(struct netfs_event *event)
{
	pthread_cond_destroy(&event->cond);
	pthread_mutex_destroy(&event->mutex);
}
