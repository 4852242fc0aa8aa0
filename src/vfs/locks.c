/* SPDX-License-Identifier: MIT */
/*
 * The lock table of a vnode.  Everything here happens at once; who waits, and
 * for what, is lock_calls.c's.
 *
 * What is held is a list of disjoint pieces per owner and kind.  A new lock
 * first cuts its range out of what its owner has there, then grows over
 * touching pieces that are like it.  Lists are short: a file with thousands of
 * locks pays for it.
 *
 * Locks: the table's mutex (rank LOCKS).  Handles of pieces that went, and
 * requests that may go on, are put aside and dealt with after it is released.
 */
#include <errno.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <vfs/locks.h>

struct netfs_held {
	struct netfs_list link;
	struct netfs_lock lock;
	struct netfs_handle *handle; /* a reference */
};

/* What is left to do once the mutex is released. */
struct aftermath {
	struct netfs_list gone; /* struct netfs_held, to be freed */
	struct netfs_list granted; /* struct netfs_lock_request, to be told */
};

static struct netfs_held *held_of(struct netfs_list *link)
{
	return netfs_container_of(link, struct netfs_held, link);
}

static struct netfs_lock_request *request_of(struct netfs_list *link)
{
	return netfs_container_of(link, struct netfs_lock_request, link);
}

static bool overlap(uint64_t a_start, uint64_t a_end, uint64_t b_start, uint64_t b_end)
{
	return a_start < b_end && b_start < a_end;
}

static bool conflicts(const struct netfs_lock *a, const struct netfs_lock *b)
{
	if (a->flock != b->flock || a->owner == b->owner)
		return false;
	if (a->type == NETFS_LOCK_READ && b->type == NETFS_LOCK_READ)
		return false;
	return overlap(a->start, a->end, b->start, b->end);
}

static bool means(const struct netfs_lock_filter *filter, const struct netfs_held *held)
{
	return (filter->any_owner || held->lock.owner == filter->owner) &&
	       (filter->any_kind || held->lock.flock == filter->flock) &&
	       (!filter->handle || held->handle == filter->handle) &&
	       overlap(filter->start, filter->end, held->lock.start, held->lock.end);
}

/* What conflicts with lock, other than itself; NULL: nothing. */
static const struct netfs_lock *conflict_locked(struct netfs_lock_table *table,
						const struct netfs_lock *lock)
{
	struct netfs_list *link;

	netfs_assert_held(&table->mutex);
	netfs_list_for_each (link, &table->held) {
		if (conflicts(&held_of(link)->lock, lock))
			return &held_of(link)->lock;
	}
	netfs_list_for_each (link, &table->reserved) {
		if (conflicts(&request_of(link)->lock, lock))
			return &request_of(link)->lock;
	}
	return NULL;
}

static void aftermath_init(struct aftermath *after)
{
	netfs_list_init(&after->gone);
	netfs_list_init(&after->granted);
}

/* Something went: those who waited for it are reserved, oldest first. */
static void wake_locked(struct netfs_lock_table *table, struct aftermath *after)
{
	struct netfs_list *link, *tmp;

	netfs_list_for_each_safe (link, tmp, &table->waiting) {
		struct netfs_lock_request *request = request_of(link);

		if (conflict_locked(table, &request->lock))
			continue;
		netfs_list_remove(&request->link);
		request->waits = false;
		netfs_list_push_back(&table->reserved, &request->link);
		netfs_list_push_back(&after->granted, &request->told_link);
	}
}

static void held_free(struct netfs_held *held)
{
	if (!held)
		return;
	netfs_handle_put(held->handle);
	netfs_free(held);
}

static void aftermath_run(struct aftermath *after)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(&after->gone)))
		held_free(held_of(link));
	while ((link = netfs_list_pop_front(&after->granted))) {
		struct netfs_lock_request *request =
			netfs_container_of(link, struct netfs_lock_request, told_link);

		request->granted(request);
	}
}

struct netfs_lock_table *netfs_locks_new(void)
{
	struct netfs_lock_table *table = netfs_zalloc(sizeof(*table));

	if (!table)
		return NULL;
	netfs_mutex_init(&table->mutex, NETFS_RANK_LOCKS);
	netfs_list_init(&table->held);
	netfs_list_init(&table->reserved);
	netfs_list_init(&table->waiting);
	return table;
}

void netfs_locks_free(struct netfs_lock_table *table)
{
	struct netfs_list *link;

	if (!table)
		return;
	netfs_assert(netfs_list_empty(&table->waiting));
	netfs_assert(netfs_list_empty(&table->reserved));
	while ((link = netfs_list_pop_front(&table->held)))
		held_free(held_of(link));
	netfs_mutex_done(&table->mutex);
	netfs_free(table);
}

/* ---------------------------------------------------------- requests */

int netfs_locks_prepare(struct netfs_lock_request *request, const struct netfs_lock *lock,
			struct netfs_handle *handle)
{
	netfs_assert(lock->type != NETFS_LOCK_UNLOCK && lock->start < lock->end);
	netfs_list_init(&request->link);
	netfs_list_init(&request->told_link);
	request->lock = *lock;
	request->spare[0] = netfs_zalloc(sizeof(struct netfs_held));
	request->spare[1] = netfs_zalloc(sizeof(struct netfs_held));
	request->handle = netfs_handle_get(handle);
	if (request->spare[0] && request->spare[1])
		return 0;
	netfs_locks_unprepare(request);
	return -ENOMEM;
}

void netfs_locks_unprepare(struct netfs_lock_request *request)
{
	netfs_free(netfs_take(request->spare[0]));
	netfs_free(netfs_take(request->spare[1]));
	netfs_handle_put(netfs_take(request->handle));
}

enum netfs_locks_answer netfs_locks_reserve(struct netfs_lock_table *table,
					    struct netfs_lock_request *request, bool wait)
{
	enum netfs_locks_answer answer = NETFS_LOCKS_CONFLICT;

	netfs_mutex_lock(&table->mutex);
	netfs_assert(netfs_list_empty(&request->link));
	if (!conflict_locked(table, &request->lock)) {
		netfs_list_push_back(&table->reserved, &request->link);
		answer = NETFS_LOCKS_RESERVED;
	} else if (wait) {
		netfs_list_push_back(&table->waiting, &request->link);
		request->waits = true;
		answer = NETFS_LOCKS_WAITING;
	}
	netfs_mutex_unlock(&table->mutex);
	return answer;
}

bool netfs_locks_dequeue(struct netfs_lock_table *table, struct netfs_lock_request *request)
{
	bool waited;

	netfs_mutex_lock(&table->mutex);
	waited = request->waits;
	if (waited) {
		netfs_list_remove(&request->link);
		request->waits = false;
	}
	netfs_mutex_unlock(&table->mutex);
	return waited;
}

void netfs_locks_unreserve(struct netfs_lock_table *table, struct netfs_lock_request *request)
{
	struct aftermath after;

	aftermath_init(&after);
	netfs_mutex_lock(&table->mutex);
	netfs_assert(!request->waits && !netfs_list_empty(&request->link));
	netfs_list_remove(&request->link);
	wake_locked(table, &after);
	netfs_mutex_unlock(&table->mutex);
	aftermath_run(&after);
}

/* ------------------------------------------------------------ pieces */

/* Cuts [start, end) out of held, which overlaps it.  A piece that is left on
 * the right of a hole uses *spare. */
static void cut_locked(struct netfs_held *held, uint64_t start, uint64_t end,
		       struct netfs_held **spare, struct aftermath *after)
{
	struct netfs_held *right;

	if (held->lock.start >= start && held->lock.end <= end) {
		netfs_list_remove(&held->link);
		netfs_list_push_back(&after->gone, &held->link);
	} else if (held->lock.start >= start) {
		held->lock.start = end;
	} else if (held->lock.end <= end) {
		held->lock.end = start;
	} else {
		right = netfs_take(*spare);
		netfs_assert(right);
		right->lock = held->lock;
		right->handle = netfs_handle_get(held->handle);
		right->lock.start = end;
		held->lock.end = start;
		netfs_list_insert(&held->link, &right->link);
	}
}

static bool alike(const struct netfs_held *a, const struct netfs_held *b)
{
	return a->lock.owner == b->lock.owner && a->lock.flock == b->lock.flock &&
	       a->lock.type == b->lock.type && a->handle == b->handle;
}

/* Grows held over the pieces that touch it and are like it. */
static void merge_locked(struct netfs_lock_table *table, struct netfs_held *held,
			 struct aftermath *after)
{
	struct netfs_list *link, *tmp;

	netfs_list_for_each_safe (link, tmp, &table->held) {
		struct netfs_held *other = held_of(link);

		if (other == held || !alike(other, held))
			continue;
		if (other->lock.end == held->lock.start)
			held->lock.start = other->lock.start;
		else if (other->lock.start == held->lock.end)
			held->lock.end = other->lock.end;
		else
			continue;
		netfs_list_remove(&other->link);
		netfs_list_push_back(&after->gone, &other->link);
	}
}

void netfs_locks_apply(struct netfs_lock_table *table, struct netfs_lock_request *request)
{
	const struct netfs_lock *lock = &request->lock;
	struct netfs_held *held = netfs_take(request->spare[0]);
	struct netfs_list *link, *tmp;
	struct aftermath after;

	aftermath_init(&after);
	held->lock = *lock;
	held->handle = netfs_take(request->handle);
	netfs_mutex_lock(&table->mutex);
	netfs_assert(!request->waits && !netfs_list_empty(&request->link));
	netfs_list_remove(&request->link);
	netfs_list_for_each_safe (link, tmp, &table->held) {
		struct netfs_held *old = held_of(link);

		if (old->lock.owner == lock->owner && old->lock.flock == lock->flock &&
		    overlap(old->lock.start, old->lock.end, lock->start, lock->end))
			cut_locked(old, lock->start, lock->end, &request->spare[1], &after);
	}
	netfs_list_push_back(&table->held, &held->link);
	merge_locked(table, held, &after);
	/* A write lock may have become a read lock. */
	wake_locked(table, &after);
	netfs_mutex_unlock(&table->mutex);
	netfs_locks_unprepare(request);
	aftermath_run(&after);
}

/* --------------------------------------------------- looking, unlocking */

bool netfs_locks_find(struct netfs_lock_table *table, const struct netfs_lock_filter *filter,
		      struct netfs_lock_filter *ret_one)
{
	const struct netfs_held *held = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&table->mutex);
	netfs_list_for_each (link, &table->held) {
		if (!means(filter, held_of(link)))
			continue;
		held = held_of(link);
		break;
	}
	if (held && ret_one)
		*ret_one = (struct netfs_lock_filter){
			.flock = held->lock.flock,
			.owner = held->lock.owner,
			.handle = netfs_handle_get(held->handle),
			.start = filter->start,
			.end = filter->end,
		};
	netfs_mutex_unlock(&table->mutex);
	return held != NULL;
}

bool netfs_locks_conflict(struct netfs_lock_table *table, const struct netfs_lock *lock,
			  struct netfs_lock *ret_lock)
{
	const struct netfs_lock *other;

	netfs_mutex_lock(&table->mutex);
	other = conflict_locked(table, lock);
	if (other)
		*ret_lock = *other;
	netfs_mutex_unlock(&table->mutex);
	return other != NULL;
}

/* Locks that filter would cut in two. */
static uint32_t splits_locked(struct netfs_lock_table *table,
			      const struct netfs_lock_filter *filter)
{
	struct netfs_list *link;
	uint32_t n = 0;

	netfs_list_for_each (link, &table->held) {
		const struct netfs_held *held = held_of(link);

		if (means(filter, held) && held->lock.start < filter->start &&
		    held->lock.end > filter->end)
			n++;
	}
	return n;
}

int netfs_locks_unlock(struct netfs_lock_table *table, const struct netfs_lock_filter *filter)
{
	struct netfs_held *spare = NULL;
	struct netfs_list *link, *tmp;
	struct aftermath after;

	/* One owner's pieces are disjoint, so at most one is cut in two; more
	 * than one owner is only meant together with all of the file. */
	netfs_assert(!filter->any_owner || (filter->start == 0 && filter->end == UINT64_MAX));
	if (filter->start != 0 || filter->end != UINT64_MAX) {
		spare = netfs_zalloc(sizeof(*spare));
		if (!spare)
			return -ENOMEM;
	}
	aftermath_init(&after);
	netfs_mutex_lock(&table->mutex);
	netfs_assert(splits_locked(table, filter) <= (spare ? 1 : 0));
	netfs_list_for_each_safe (link, tmp, &table->held) {
		if (means(filter, held_of(link)))
			cut_locked(held_of(link), filter->start, filter->end, &spare, &after);
	}
	wake_locked(table, &after);
	netfs_mutex_unlock(&table->mutex);
	netfs_free(spare);
	aftermath_run(&after);
	return 0;
}

void netfs_locks_drop(struct netfs_lock_table *table, struct netfs_handle *handle)
{
	struct netfs_lock_filter all = {
		.any_owner = true,
		.any_kind = true,
		.handle = handle,
		.end = UINT64_MAX,
	};

	/* Nothing is cut in two, so this cannot fail. */
	if (table)
		netfs_locks_unlock(table, &all);
}
