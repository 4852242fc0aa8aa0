/* SPDX-License-Identifier: MIT */
/*
 * The name cache.
 *
 * One hash table per mount; each entry is also on its directory's list of
 * children, on the list of aliases of the vnode it leads to (unless it says
 * that there is none), and on the list of use, whose head makes room when the
 * cache is full.
 *
 * Locks: the mount's mutex, held by every caller.
 */
#include <string.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <vfs/mount.h>
#include <vfs/names.h>
#include <vfs/vnode.h>

struct name {
	struct netfs_hash_link hash_link;
	struct netfs_list used_link;
	struct netfs_list child_link;
	struct netfs_list alias_link; /* unlinked where vnode is NULL */
	struct netfs_vnode *dir;
	struct netfs_vnode *vnode; /* NULL: the name does not exist */
	uint64_t until_ns;
	uint32_t watch; /* longer than that while dir->watch is this; 0: no longer */
	char text[];
};

static uint64_t name_hash(struct netfs_vnode *dir, const char *text)
{
	return netfs_hash_bytes(dir->mount->hash_seed ^ (uintptr_t)dir, text, strlen(text));
}

static struct name *name_find(struct netfs_vnode *dir, const char *text)
{
	struct netfs_hash_link *link =
		netfs_hash_find(&dir->mount->names.table, name_hash(dir, text));

	for (; link; link = netfs_hash_find_next(link)) {
		struct name *name = netfs_container_of(link, struct name, hash_link);

		if (name->dir == dir && strcmp(name->text, text) == 0)
			return name;
	}
	return NULL;
}

static void name_free(struct netfs_names *names, struct name *name)
{
	if (name->vnode)
		netfs_watch_untell_locked(name->dir, name->vnode);
	netfs_hash_remove(&names->table, &name->hash_link);
	netfs_list_remove(&name->used_link);
	netfs_list_remove(&name->child_link);
	netfs_list_remove(&name->alias_link);
	names->count--;
	netfs_free(name);
}

static struct name *name_make(struct netfs_vnode *dir, const char *text)
{
	struct netfs_names *names = &dir->mount->names;
	size_t size = strlen(text) + 1;
	struct name *name;

	if (names->count >= NETFS_NAMES_MAX)
		name_free(names, netfs_container_of(names->used.next, struct name, used_link));
	name = netfs_zalloc(sizeof(*name) + size);
	if (!name)
		return NULL;
	memcpy(name->text, text, size);
	name->dir = dir;
	netfs_list_init(&name->alias_link);
	netfs_list_push_back(&names->used, &name->used_link);
	netfs_list_push_back(&dir->children, &name->child_link);
	netfs_hash_insert(&names->table, &name->hash_link, name_hash(dir, text));
	names->count++;
	return name;
}

void netfs_names_init(struct netfs_names *names)
{
	netfs_hash_init(&names->table);
	netfs_list_init(&names->used);
	names->count = 0;
}

void netfs_names_done(struct netfs_names *names)
{
	netfs_assert(names->count == 0);
	netfs_hash_done(&names->table);
}

enum netfs_name_state netfs_names_find(struct netfs_vnode *dir, const char *text,
				       struct netfs_vnode **ret_vnode, uint64_t *ret_until_ns)
{
	struct name *name;

	netfs_assert_held(&dir->mount->mutex);
	name = name_find(dir, text);
	if (!name)
		return NETFS_NAME_UNKNOWN;
	netfs_list_remove(&name->used_link);
	netfs_list_push_back(&dir->mount->names.used, &name->used_link);
	*ret_until_ns = name->until_ns;
	if (name->until_ns <= netfs_clock_now() &&
	    !netfs_watch_covers(dir, name->watch, name->until_ns)) {
		if (!name->vnode)
			return NETFS_NAME_UNKNOWN;
		*ret_vnode = name->vnode;
		return NETFS_NAME_EXPIRED;
	}
	if (!name->vnode)
		return NETFS_NAME_NEGATIVE;
	*ret_vnode = name->vnode;
	return NETFS_NAME_PRESENT;
}

bool netfs_names_set(struct netfs_vnode *dir, const char *text, struct netfs_vnode *vnode,
		     uint64_t until_ns, uint32_t watch)
{
	struct name *name;

	netfs_assert_held(&dir->mount->mutex);
	name = name_find(dir, text);
	if (!name)
		name = name_make(dir, text);
	if (!name)
		return false;
	netfs_list_remove(&name->alias_link);
	if (name->vnode && name->vnode != vnode)
		netfs_watch_untell_locked(dir, name->vnode);
	name->vnode = vnode;
	name->until_ns = until_ns;
	name->watch = watch;
	if (vnode)
		netfs_list_push_back(&vnode->aliases, &name->alias_link);
	return true;
}

void netfs_names_drop(struct netfs_vnode *dir, const char *text)
{
	struct name *name;

	netfs_assert_held(&dir->mount->mutex);
	name = name_find(dir, text);
	if (name)
		name_free(&dir->mount->names, name);
}

void netfs_names_drop_children(struct netfs_vnode *dir)
{
	netfs_assert_held(&dir->mount->mutex);
	netfs_burst_drop_locked(dir);
	while (!netfs_list_empty(&dir->children))
		name_free(&dir->mount->names,
			  netfs_container_of(dir->children.next, struct name, child_link));
}

void netfs_names_forget(struct netfs_vnode *vnode)
{
	netfs_names_drop_children(vnode);
	while (!netfs_list_empty(&vnode->aliases))
		name_free(&vnode->mount->names,
			  netfs_container_of(vnode->aliases.next, struct name, alias_link));
}

void netfs_names_each(struct netfs_vnode *dir, void (*fn)(void *user, const char *name), void *user)
{
	struct netfs_list *link;

	netfs_assert_held(&dir->mount->mutex);
	netfs_list_for_each (link, &dir->children) {
		struct name *name = netfs_container_of(link, struct name, child_link);

		if (name->vnode)
			fn(user, name->text);
	}
}

static bool foreign(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text >= 0x80)
			return true;
	}
	return false;
}

static char folded(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Which letters beyond ASCII are the same only the server knows. */
static bool alike(const char *a, const char *b)
{
	if (foreign(a) && foreign(b))
		return true;
	for (; *a && folded(*a) == folded(*b); a++)
		b++;
	return *a == *b;
}

void netfs_names_each_like(struct netfs_vnode *dir, const char *text,
			   bool (*fn)(void *user, const struct netfs_name_found *found), void *user)
{
	struct netfs_list *link, *tmp;

	netfs_assert_held(&dir->mount->mutex);
	netfs_list_for_each_safe (link, tmp, &dir->children) {
		struct name *name = netfs_container_of(link, struct name, child_link);
		struct netfs_name_found found = {name->text, name->vnode, name->watch};

		if (alike(name->text, text) && fn(user, &found))
			name_free(&dir->mount->names, name);
	}
}
