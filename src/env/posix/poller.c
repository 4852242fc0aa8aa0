/* SPDX-License-Identifier: MIT */
/*
 * Waiting for descriptors: one epoll instance, watched by whichever worker is
 * the poller, and the eventfd that wakes it.
 *
 * Everything is edge-triggered.  The eventfd is written and never read: each
 * write is an edge, and its counter cannot overflow in the life of a machine.
 *
 * Closing against events in flight.  The kernel is given not a pointer but a
 * key: a slot in a table and the slot's generation.  Removing a source changes
 * the generation under the executor's lock; events are delivered under the
 * same lock and dropped where the generation differs.  So after a removal the
 * source may be freed at once, also while the poller carries an event for it
 * from the kernel to the table.
 *
 * Locks: the table is guarded by the executor's lock; the descriptors change
 * only while there is no worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/clock.h>
#include <env/posix/exec.h>

#define KICK_KEY  UINT64_MAX
#define SLOTS_MIN 16

struct slot {
	struct netfs_poll_source *source; /* NULL: free */
	uint32_t generation;
	uint32_t next_free; /* slot number + 1; 0: none */
};

static int epoll_fd = -1;
static int kick_fd = -1;
/* Guarded by the executor's lock. */
static struct slot *slots;
static uint32_t slot_count;
static uint32_t first_free; /* slot number + 1; 0: none */

int netfs_poller_start(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = KICK_KEY};
	int err;

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return -errno;
	kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kick_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, kick_fd, &event) < 0) {
		err = -errno;
		netfs_poller_stop();
		return err;
	}
	return 0;
}

void netfs_poller_stop(void)
{
	if (kick_fd >= 0)
		close(kick_fd);
	close(epoll_fd);
	kick_fd = -1;
	epoll_fd = -1;
	for (uint32_t i = 0; i < slot_count; i++)
		netfs_assert(!slots[i].source);
	free(slots);
	slots = NULL;
	slot_count = 0;
	first_free = 0;
}

void netfs_poller_kick(void)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(kick_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

static int wait_events(struct epoll_event *events, uint64_t until_ns)
{
	struct timespec timeout = {0};
	uint64_t now;

	if (until_ns == UINT64_MAX)
		return epoll_wait(epoll_fd, events, NETFS_POLL_EVENTS_MAX, -1);
	now = until_ns ? netfs_clock_now() : 0;
	if (until_ns > now) {
		timeout.tv_sec = (time_t)((until_ns - now) / NETFS_NS_PER_SEC);
		timeout.tv_nsec = (long)((until_ns - now) % NETFS_NS_PER_SEC);
	}
	return epoll_pwait2(epoll_fd, events, NETFS_POLL_EVENTS_MAX, &timeout, NULL);
}

static void deliver_locked(const struct epoll_event *event)
{
	uint32_t number = (uint32_t)event->data.u64;
	uint32_t generation = (uint32_t)(event->data.u64 >> 32);

	if (event->data.u64 == KICK_KEY)
		return;
	if (slots[number].generation != generation || !slots[number].source)
		return;
	slots[number].source->ready(slots[number].source, event->events);
}

void netfs_poller_wait(uint64_t until_ns)
{
	struct epoll_event events[NETFS_POLL_EVENTS_MAX];
	int n = wait_events(events, until_ns);

	netfs_assert(n >= 0 || errno == EINTR);
	netfs_exec_lock();
	for (int i = 0; i < n; i++)
		deliver_locked(&events[i]);
}

/* Lock held.  -ENOMEM. */
static int grow_slots_locked(void)
{
	uint32_t count = slot_count ? 2 * slot_count : SLOTS_MIN;
	struct slot *bigger = reallocarray(slots, count, sizeof(*slots));

	if (!bigger)
		return -ENOMEM;
	slots = bigger;
	for (uint32_t i = slot_count; i < count; i++) {
		slots[i] = (struct slot){.next_free = first_free};
		first_free = i + 1;
	}
	slot_count = count;
	return 0;
}

static void free_slot_locked(uint32_t number)
{
	slots[number].source = NULL;
	slots[number].generation++;
	slots[number].next_free = first_free;
	first_free = number + 1;
}

int netfs_poller_add(struct netfs_poll_source *source, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events | EPOLLET};
	uint32_t number;
	int err;

	netfs_exec_lock();
	err = first_free ? 0 : grow_slots_locked();
	if (err)
		goto out;
	number = first_free - 1;
	first_free = slots[number].next_free;
	slots[number].source = source;
	source->key = (uint64_t)slots[number].generation << 32 | number;
	event.data.u64 = source->key;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		err = -errno;
		free_slot_locked(number);
	}
out:
	netfs_exec_unlock();
	return err;
}

void netfs_poller_change_locked(const struct netfs_poll_source *source, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events | EPOLLET, .data.u64 = source->key};
	int failed = epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event);

	netfs_assert(!failed);
}

void netfs_poller_remove(struct netfs_poll_source *source, int fd)
{
	netfs_exec_lock();
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	free_slot_locked((uint32_t)source->key);
	netfs_exec_unlock();
}
