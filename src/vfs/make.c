/* SPDX-License-Identifier: MIT */
/*
 * Names that come into being: mknod, mkdir, symlink, link.  (create, which also
 * opens, is in open.c.)
 *
 * Whatever the server answers, what was believed about the name is forgotten:
 * an error may have come after the change was made.
 *
 * Locks: none of its own.
 */
#include <errno.h>
#include <string.h>
#include <env/alloc.h>
#include <vfs/file.h>
#include <vfs/vcall.h>

static void made(struct netfs_vcall *v, int err)
{
	struct netfs_vnode *vnode;

	netfs_vcall_name_changed(v);
	if (!err)
		err = netfs_vcall_enter(v, v->dir, v->name, true, &vnode);
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	netfs_burst_made(v);
	v->call->vnode = vnode;
	netfs_vcall_show(v, vnode);
	netfs_vcall_finish(v, 0);
}

static void make(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask;

	err = netfs_name_check_change(v->dir, v->name);
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	ask = netfs_vcall_prepare(v, (enum netfs_ask_kind)v->flags);
	ask->dir = netfs_vnode_node(v->dir);
	ask->name = v->name;
	ask->new_name = v->new_name;
	ask->mode = v->mode;
	ask->rdev_major = v->rdev_major;
	ask->rdev_minor = v->rdev_minor;
	netfs_attr_ask(v->mount, NULL, &v->asked);
	netfs_vcall_ask(v, made);
}

static struct netfs_vcall *make_new(struct netfs_vnode *dir, const char *name,
				    enum netfs_ask_kind kind, struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(dir->mount, call);

	if (!v)
		return NULL;
	v->dir = netfs_vnode_get(dir);
	v->name = name;
	v->flags = kind;
	return v;
}

void netfs_mknod(struct netfs_vnode *dir, const char *name, uint32_t mode, uint32_t rdev_major,
		 uint32_t rdev_minor, struct netfs_call *call)
{
	struct netfs_vcall *v = make_new(dir, name, NETFS_ASK_MKNOD, call);

	if (!v)
		return;
	v->mode = mode;
	v->rdev_major = rdev_major;
	v->rdev_minor = rdev_minor;
	netfs_vcall_start(v, make);
}

void netfs_mkdir(struct netfs_vnode *dir, const char *name, uint32_t mode, struct netfs_call *call)
{
	struct netfs_vcall *v = make_new(dir, name, NETFS_ASK_MKDIR, call);

	if (!v)
		return;
	v->mode = mode;
	netfs_vcall_start(v, make);
}

void netfs_symlink(struct netfs_vnode *dir, const char *name, const char *target,
		   struct netfs_call *call)
{
	struct netfs_vcall *v = make_new(dir, name, NETFS_ASK_SYMLINK, call);

	if (!v)
		return;
	v->new_name = target;
	netfs_vcall_start(v, make);
}

/* -------------------------------------------------------------- link */

static void linked(struct netfs_vcall *v, int err)
{
	netfs_name_changed(v->dir, v->name);
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	netfs_attr_changed(v->vnode, &v->ask.op.attr, &v->asked);
	netfs_name_made(v->dir, v->name, v->vnode);
	v->call->vnode = netfs_vnode_get(v->vnode);
	v->call->entry_ttl_ms = v->mount->config.entry_ttl_ms;
	netfs_vcall_show(v, v->vnode);
	netfs_vcall_finish(v, 0);
}

static void link_start(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask;

	err = netfs_name_check_change(v->dir, v->name);
	if (!err && netfs_vnode_directory(v->vnode))
		err = -EPERM;
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	ask = netfs_vcall_prepare(v, NETFS_ASK_LINK);
	ask->node = netfs_vnode_node(v->vnode);
	ask->dir = netfs_vnode_node(v->dir);
	ask->name = v->name;
	netfs_attr_ask(v->mount, v->vnode, &v->asked);
	netfs_vcall_ask(v, linked);
}

void netfs_link(struct netfs_vnode *vnode, struct netfs_vnode *dir, const char *name,
		struct netfs_call *call)
{
	struct netfs_vcall *v = make_new(dir, name, NETFS_ASK_LINK, call);

	if (!v)
		return;
	v->vnode = netfs_vnode_get(vnode);
	netfs_vcall_start(v, link_start);
}
