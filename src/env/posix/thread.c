/* SPDX-License-Identifier: MIT */
/*
 * Numbers of threads.  A bit for each number says whether it is taken; a
 * thread takes the lowest free one when it first asks, and the destructor of a
 * thread-specific value gives it back.  A thread that asks once more after
 * that, from another destructor, takes a number again, and the destructor runs
 * again.  And the one way to sleep.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <base/limits.h>
#include <env/clock.h>
#include <env/thread.h>

_Static_assert(NETFS_THREADS_MAX == 64, "the numbers are the bits of one word");

static _Atomic uint64_t taken;
static _Thread_local uint32_t own_plus_one; /* 0: not asked yet */
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void give_back(void *value)
{
	uint64_t bit = UINT64_C(1) << ((uintptr_t)value - 1);

	own_plus_one = 0;
	/* Release: what this thread did with its number is over; pairs with
	 * the acquire in take(). */
	atomic_fetch_and_explicit(&taken, ~bit, memory_order_release);
}

static void make_key(void)
{
	if (pthread_key_create(&key, give_back))
		atomic_store(&taken, UINT64_MAX);
}

static uint32_t take(void)
{
	uint64_t old = atomic_load_explicit(&taken, memory_order_relaxed);
	uint32_t number;

	do {
		if (old == UINT64_MAX)
			return NETFS_THREAD_NONE;
		number = __builtin_ctzll(~old);
	} while (!atomic_compare_exchange_weak_explicit(&taken, &old, old | UINT64_C(1) << number,
							memory_order_acquire,
							memory_order_relaxed));
	/* Without a destructor the number would never come back. */
	if (pthread_setspecific(key, (void *)(uintptr_t)(number + 1))) {
		give_back((void *)(uintptr_t)(number + 1));
		return NETFS_THREAD_NONE;
	}
	own_plus_one = number + 1;
	return number;
}

uint32_t netfs_thread_number(void)
{
	if (own_plus_one)
		return own_plus_one - 1;
	pthread_once(&once, make_key);
	return take();
}

void netfs_thread_pause(uint64_t ns)
{
	struct timespec time = {
		.tv_sec = (time_t)(ns / NETFS_NS_PER_SEC),
		.tv_nsec = (long)(ns % NETFS_NS_PER_SEC),
	};

	/* Cut short by a signal, the next try comes sooner. */
	nanosleep(&time, NULL);
}
