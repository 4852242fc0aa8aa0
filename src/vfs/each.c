/* SPDX-License-Identifier: MIT */
/*
 * Many vnodes at once: a call starts a window of children, waits until all of
 * them ended, and goes on with the next window.
 *
 * The walk over the mount's vnodes keeps a reference to where it stands, so
 * vnodes may come and go meanwhile.
 *
 * Locks: the call mutex guards the list of children against a cancel.
 */
#include <errno.h>
#include <base/limits.h>
#include <env/alloc.h>
#include <vfs/each.h>

/* v->scratch. */
struct each {
	bool (*want)(struct netfs_vnode *vnode);
	netfs_step_fn first;
	netfs_step_fn next;
	bool over; /* all vnodes were seen */
	_Atomic int err; /* the first */
	_Atomic uint64_t count;
	_Atomic uint32_t pending; /* children, and the one that starts them */
	struct netfs_vcall *children[NETFS_EACH_WINDOW]; /* c: references */
};

static struct each *each_of(struct netfs_vcall *v)
{
	return v->scratch;
}

static void child_ended(struct netfs_vcall *v)
{
	if (atomic_fetch_sub(&each_of(v)->pending, 1) == 1)
		netfs_vcall_resume(v, 0);
}

void netfs_each_done(struct netfs_vcall *child, uint64_t count, int err)
{
	struct netfs_vcall *v = child->parent;
	struct each *each = each_of(v);
	int none = 0;

	if (err)
		atomic_compare_exchange_strong(&each->err, &none, err);
	atomic_fetch_add(&each->count, count);
	netfs_vcall_finish(child, err);
	child_ended(v);
}

static void put_children(struct netfs_vcall *v)
{
	struct each *each = each_of(v);

	for (uint32_t i = 0; i < NETFS_EACH_WINDOW; i++) {
		struct netfs_vcall *child;

		netfs_mutex_lock(v->mount->config.call_mutex);
		child = netfs_take(each->children[i]);
		netfs_mutex_unlock(v->mount->config.call_mutex);
		if (child)
			netfs_vcall_put(child);
	}
}

static void each_interrupt(struct netfs_vcall *v)
{
	struct each *each = each_of(v);

	for (uint32_t i = 0; i < NETFS_EACH_WINDOW; i++) {
		struct netfs_vcall *child;

		netfs_mutex_lock(v->mount->config.call_mutex);
		child = each->children[i];
		if (child)
			atomic_fetch_add(&child->refs, 1);
		netfs_mutex_unlock(v->mount->config.call_mutex);
		if (!child)
			continue;
		netfs_vcall_cancel(child);
		netfs_vcall_put(child);
	}
}

static void start_child(struct netfs_vcall *v, uint32_t slot)
{
	struct each *each = each_of(v);
	struct netfs_vcall *child = netfs_vcall_new_raw(v->mount, NULL, true);
	int none = 0;

	if (!child) {
		atomic_compare_exchange_strong(&each->err, &none, -ENOMEM);
		return;
	}
	child->parent = v;
	child->vnode = netfs_vnode_get(v->target);
	child->flags = v->flags;
	atomic_fetch_add(&child->refs, 1);
	netfs_mutex_lock(v->mount->config.call_mutex);
	each->children[slot] = child;
	netfs_mutex_unlock(v->mount->config.call_mutex);
	atomic_fetch_add(&each->pending, 1);
	netfs_vcall_start(child, each->first);
}

static void each_window(struct netfs_vcall *v, int err)
{
	struct each *each = each_of(v);
	uint32_t slot = 0;

	put_children(v);
	if (each->over) {
		v->len = atomic_load(&each->count);
		each->next(v, atomic_load(&each->err));
		return;
	}
	atomic_store(&each->pending, 1);
	netfs_vcall_await(v, each_window, each_interrupt);
	while (slot < NETFS_EACH_WINDOW) {
		v->target = netfs_mount_next(v->mount, v->target, each->want);
		if (!v->target) {
			each->over = true;
			break;
		}
		start_child(v, slot++);
	}
	netfs_vcall_armed(v);
	child_ended(v);
}

void netfs_vcall_each(struct netfs_vcall *v, bool (*want)(struct netfs_vnode *vnode),
		      netfs_step_fn first, netfs_step_fn next)
{
	if (!v->scratch)
		v->scratch = netfs_zalloc(sizeof(struct each));
	if (!v->scratch) {
		next(v, -ENOMEM);
		return;
	}
	each_of(v)->want = want;
	each_of(v)->first = first;
	each_of(v)->next = next;
	each_of(v)->over = false;
	atomic_store(&each_of(v)->err, 0);
	atomic_store(&each_of(v)->count, 0);
	each_window(v, 0);
}
