/* SPDX-License-Identifier: MIT */
/*
 * The name cache of a mount: (directory, name) leads to a vnode, or to the
 * knowledge that there is none, until a time.
 *
 * An entry keeps no vnode alive: it goes with its directory and with what it
 * leads to.  Guarded by the mount's mutex, which every function here needs
 * held.
 */
#ifndef VFS_NAMES_H
#define VFS_NAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <base/hash.h>
#include <base/list.h>

struct netfs_mount;
struct netfs_vnode;

struct netfs_names {
	struct netfs_hash table;
	struct netfs_list used; /* least recently used first */
	uint32_t count;
};

enum netfs_name_state {
	NETFS_NAME_UNKNOWN,
	NETFS_NAME_EXPIRED, /* led to the vnode given some time ago */
	NETFS_NAME_PRESENT, /* leads to the vnode given */
	NETFS_NAME_NEGATIVE, /* does not exist */
};

void netfs_names_init(struct netfs_names *names);
void netfs_names_done(struct netfs_names *names);
/* ret_vnode: not referenced, so use it before the mutex is dropped.
 * ret_until_ns: where the answer is not UNKNOWN. */
enum netfs_name_state netfs_names_find(struct netfs_vnode *dir, const char *name,
				       struct netfs_vnode **ret_vnode, uint64_t *ret_until_ns);
/* vnode NULL: the name does not exist.  watch: what dir->watch was when that was
 * asked, 0: not watched.  False: there is no memory, and the name is forgotten. */
bool netfs_names_set(struct netfs_vnode *dir, const char *name, struct netfs_vnode *vnode,
		     uint64_t until_ns, uint32_t watch);
void netfs_names_drop(struct netfs_vnode *dir, const char *name);
/* All names in dir, and what names there are not. */
void netfs_names_drop_children(struct netfs_vnode *dir);
/* All names in vnode and all that lead to it, because it goes. */
void netfs_names_forget(struct netfs_vnode *vnode);
/* Calls fn for each name in dir that is believed to exist. */
void netfs_names_each(struct netfs_vnode *dir, void (*fn)(void *user, const char *name),
		      void *user);
/* A name that netfs_names_each_like() found. */
struct netfs_name_found {
	const char *text;
	struct netfs_vnode *vnode; /* NULL: it is believed not to exist */
	bool watched; /* it was told under a watch */
};

/* Calls fn for each name in dir that a server may mean by name, which is one of its
 * own: another case may be the same.  True from fn: it is forgotten. */
void netfs_names_each_like(struct netfs_vnode *dir, const char *name,
			   bool (*fn)(void *user, const struct netfs_name_found *found),
			   void *user);

#endif
