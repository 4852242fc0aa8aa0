/* SPDX-License-Identifier: MIT */
/*
 * Files that are held back: what a mount that died had written to them is not at the
 * server yet, and is being written again while this mount serves.
 *
 *	hold_back (before it serves) -> somebody looks it up: waits, and it is next
 *	                             -> restored: who waited goes on
 *
 * A file is reached by its name first, so who looks one up waits, whoever wants to
 * replace or remove it as well, and a listing has it without attributes.  Who renames
 * a directory waits for all files, since they are found by their paths.
 *
 * Locks: the mount's mutex.
 */
#include <errno.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <vfs/restore.h>

/* I: immutable; m: the mount's mutex. */
struct netfs_held {
	struct netfs_hash_link hash_link; /* m */
	struct netfs_list link; /* m: of mount->held_wanted, while somebody waits */
	struct netfs_list waiters; /* m: struct netfs_vcall */
	uint64_t ino; /* I */
	uint64_t gen; /* I */
	uint32_t count; /* m: how often it is held back */
	void *what; /* m: the restorer's */
};

static uint64_t hash_of(const struct netfs_mount *mount, uint64_t ino, uint64_t gen)
{
	return netfs_hash_u64s(mount->hash_seed, ino, gen);
}

static struct netfs_held *find_locked(struct netfs_mount *mount, uint64_t ino, uint64_t gen)
{
	struct netfs_hash_link *link;

	netfs_assert_held(&mount->mutex);
	link = netfs_hash_find(&mount->held, hash_of(mount, ino, gen));
	for (; link; link = netfs_hash_find_next(link)) {
		struct netfs_held *held = netfs_container_of(link, struct netfs_held, hash_link);

		if (held->ino == ino && held->gen == gen)
			return held;
	}
	return NULL;
}

/* ------------------------------------------------------- the restorer's */

static struct netfs_held *held_new(uint64_t ino, uint64_t gen, void *what)
{
	struct netfs_held *held = netfs_zalloc(sizeof(*held));

	if (!held)
		return NULL;
	netfs_list_init(&held->link);
	netfs_list_init(&held->waiters);
	held->ino = ino;
	held->gen = gen;
	held->what = what;
	return held;
}

int netfs_mount_hold_back(struct netfs_mount *mount, uint64_t ino, uint64_t gen, void *what)
{
	struct netfs_held *fresh = held_new(ino, gen, what), *held;

	if (!fresh)
		return -ENOMEM;
	netfs_mutex_lock(&mount->mutex);
	held = find_locked(mount, ino, gen);
	if (!held) {
		held = netfs_take(fresh);
		netfs_hash_insert(&mount->held, &held->hash_link, hash_of(mount, ino, gen));
	}
	held->count++;
	atomic_fetch_add(&mount->held_count, 1);
	netfs_mutex_unlock(&mount->mutex);
	netfs_free(fresh);
	return 0;
}

void *netfs_mount_held_wanted(struct netfs_mount *mount)
{
	void *what = NULL;

	netfs_mutex_lock(&mount->mutex);
	if (!netfs_list_empty(&mount->held_wanted))
		what = netfs_container_of(mount->held_wanted.next, struct netfs_held, link)->what;
	netfs_mutex_unlock(&mount->mutex);
	return what;
}

/* One less; who need not wait any longer comes to the list. */
static struct netfs_held *let_go_locked(struct netfs_mount *mount, struct netfs_held *held,
					void *next, struct netfs_list *ret_waiters)
{
	held->count--;
	held->what = next;
	if (held->count == 0) {
		netfs_hash_remove(&mount->held, &held->hash_link);
		netfs_list_remove(&held->link);
		netfs_list_splice_back(ret_waiters, &held->waiters);
	}
	if (atomic_fetch_sub(&mount->held_count, 1) == 1)
		netfs_list_splice_back(ret_waiters, &mount->held_all);
	return held->count ? NULL : held;
}

void netfs_mount_restored(struct netfs_mount *mount, uint64_t ino, uint64_t gen, void *next)
{
	struct netfs_list waiters;
	struct netfs_held *held;

	netfs_list_init(&waiters);
	netfs_mutex_lock(&mount->mutex);
	held = find_locked(mount, ino, gen);
	netfs_assert(held);
	held = let_go_locked(mount, held, next, &waiters);
	netfs_vcall_wake_locked(mount, &waiters);
	netfs_mutex_unlock(&mount->mutex);
	netfs_free(held);
}

void netfs_mount_set_restorer(struct netfs_mount *mount, const struct netfs_call *call)
{
	mount->restorer = call;
}

void netfs_restore_done(struct netfs_mount *mount)
{
	netfs_assert(atomic_load(&mount->held_count) == 0);
	netfs_hash_done(&mount->held);
}

/* ------------------------------------------------------------- to wait */

bool netfs_mount_restoring(const struct netfs_mount *mount)
{
	return atomic_load(&mount->held_count) > 0;
}

bool netfs_vnode_held_back(struct netfs_vcall *v, const struct netfs_vnode *vnode)
{
	struct netfs_mount *mount = v->mount;
	bool held;

	if (!netfs_mount_restoring(mount) || v->call == mount->restorer)
		return false;
	netfs_mutex_lock(&mount->mutex);
	held = find_locked(mount, vnode->ino, vnode->gen) != NULL;
	netfs_mutex_unlock(&mount->mutex);
	return held;
}

/* list: NULL where there is nothing to wait for. */
static void wait_locked(struct netfs_vcall *v, struct netfs_list *list, netfs_step_fn next)
{
	if (list) {
		netfs_vcall_wait_unlock(v, list, next);
		return;
	}
	netfs_mutex_unlock(&v->mount->mutex);
	next(v, 0);
}

void netfs_vcall_restored(struct netfs_vcall *v, struct netfs_vnode *vnode, netfs_step_fn next)
{
	struct netfs_mount *mount = v->mount;
	struct netfs_held *held;

	if (!netfs_mount_restoring(mount) || v->call == mount->restorer) {
		next(v, 0);
		return;
	}
	netfs_mutex_lock(&mount->mutex);
	held = find_locked(mount, vnode->ino, vnode->gen);
	if (held && netfs_list_empty(&held->link))
		netfs_list_push_back(&mount->held_wanted, &held->link);
	wait_locked(v, held ? &held->waiters : NULL, next);
}

void netfs_vcall_all_restored(struct netfs_vcall *v, netfs_step_fn next)
{
	struct netfs_mount *mount = v->mount;

	if (!netfs_mount_restoring(mount) || v->call == mount->restorer) {
		next(v, 0);
		return;
	}
	netfs_mutex_lock(&mount->mutex);
	wait_locked(v, netfs_mount_restoring(mount) ? &mount->held_all : NULL, next);
}
