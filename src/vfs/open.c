/* SPDX-License-Identifier: MIT */
/*
 * Open and create.
 *
 * Close-to-open: after an open no byte older than the last close elsewhere is
 * read.  So an open asks for the attributes after the server opened the file;
 * an answer of another version drops our data (attr.c), and the opener is told
 * whether pages cached above us may stay (keep_pages): they may while the
 * vnode's epoch is the one the last opener saw.
 *
 * The server is never asked to append, and where data is cached it is asked to
 * open for reading as well, so that any handle can serve any reader; a file
 * that may be written but not read is opened as asked.
 *
 * A create always asks for O_EXCL: success then means that the file is ours and
 * empty.  Where it exists already and may, it is looked up and opened instead.
 *
 * Locks: the vnode's mutex guards its list of files; the core's lock of the
 * inode is held while O_TRUNC empties a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/alloc.h>
#include <obs/trace.h>
#include <unetfs/cache.h>
#include <vfs/file.h>
#include <vfs/vcall.h>

/* ------------------------------------------------------------- files */

static unsigned opener_flags(const struct netfs_mount *mount, uint32_t flags)
{
	unsigned opener = 0;

	if (mount->config.unbuffered || (flags & O_DIRECT))
		opener |= NETFS_OPENER_UNBUFFERED;
	if (flags & O_APPEND)
		opener |= NETFS_OPENER_APPEND;
	/* O_SYNC contains the bit of O_DSYNC. */
	if (mount->config.sync || (flags & O_DSYNC))
		opener |= NETFS_OPENER_DSYNC;
	return opener;
}

static void file_enlist(struct netfs_file *file)
{
	struct netfs_vnode *vnode = file->vnode;
	struct netfs_mount *mount = vnode->mount;

	netfs_mutex_lock(&mount->mutex);
	mount->files_open++;
	netfs_mutex_unlock(&mount->mutex);
	netfs_mutex_lock(&vnode->mutex);
	netfs_list_push_back(&vnode->files, &file->link);
	if (file->writable)
		vnode->writers++;
	netfs_mutex_unlock(&vnode->mutex);
}

int netfs_file_make(struct netfs_vnode *vnode, struct netfs_handle *handle, uint32_t flags,
		    struct netfs_file **ret_file)
{
	struct netfs_file *file = netfs_zalloc(sizeof(*file));
	int err = file ? 0 : -ENOMEM;

	if (!err && netfs_vnode_regular(vnode))
		err = netfs_inode_attach_handle(&vnode->inode, handle);
	if (err) {
		netfs_handle_put(handle);
		netfs_free(file);
		return err;
	}
	file->vnode = netfs_vnode_get(vnode);
	file->handle = handle;
	file->flags = flags;
	file->readable = (flags & O_ACCMODE) != O_WRONLY;
	file->writable = (flags & O_ACCMODE) != O_RDONLY;
	netfs_list_init(&file->link);
	netfs_opener_init(&file->opener, handle, opener_flags(vnode->mount, flags));
	if (netfs_vnode_regular(vnode))
		file->errors_seen = netfs_inode_error_sample(&vnode->inode);
	file_enlist(file);
	*ret_file = file;
	return 0;
}

void netfs_file_unuse_cache(struct netfs_vnode *vnode)
{
	struct netfs_cookie *cookie = netfs_vnode_regular(vnode) ? vnode->inode.cookie : NULL;

	if (cookie && cookie->ops->unuse)
		cookie->ops->unuse(cookie);
}

struct netfs_vnode *netfs_file_vnode(struct netfs_file *file)
{
	return file->vnode;
}

/* May pages cached above us stay?  Remembers what this opener is told. */
static bool keep_pages(struct netfs_vnode *vnode)
{
	bool keep;

	netfs_mutex_lock(&vnode->mutex);
	keep = vnode->told && vnode->told_epoch == vnode->epoch && !vnode->mount->config.unbuffered;
	vnode->told = true;
	vnode->told_epoch = vnode->epoch;
	netfs_mutex_unlock(&vnode->mutex);
	return keep;
}

/* -------------------------------------------------------------- open */

static void open_done(struct netfs_vcall *v, int err)
{
	struct netfs_file *file;

	err = netfs_file_make(v->vnode, netfs_take(v->handle), v->flags, &file);
	if (err)
		netfs_file_unuse_cache(v->vnode);
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	v->call->file = file;
	v->call->keep_pages = keep_pages(v->vnode);
	if (v->wants_vnode) {
		v->call->vnode = netfs_vnode_get(v->vnode);
		netfs_vcall_show(v, v->vnode);
	}
	netfs_vcall_finish(v, 0);
}

static void cache_found(struct netfs_cache_wait *wait)
{
	netfs_vcall_resume(netfs_container_of(wait, struct netfs_vcall, cache_wait), 0);
}

/* The version is known now, and with it what of the disk cache is of use. */
static void open_cached(struct netfs_vcall *v, int err)
{
	struct netfs_cookie *cookie = netfs_vnode_regular(v->vnode) ? v->vnode->inode.cookie : NULL;

	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	if (!cookie || !cookie->ops->use) {
		open_done(v, 0);
		return;
	}
	v->cache_wait.done = cache_found;
	netfs_vcall_await(v, open_done, NULL);
	cookie->ops->use(cookie, &v->cache_wait);
}

static void open_revalidate(struct netfs_vcall *v)
{
	/* Told with the open, or promised: then there is nothing to ask. */
	if (v->ask.op.has_attr) {
		v->asked.promise = v->ask.op.promise;
		netfs_attr_answer(v->vnode, &v->ask.op.attr, &v->asked);
		open_cached(v, 0);
		return;
	}
	if (!netfs_vnode_regular(v->vnode) || netfs_attr_promised(v->vnode) ||
	    (!v->mount->config.revalidate && netfs_attr_fresh(v->vnode))) {
		open_cached(v, 0);
		return;
	}
	v->then = open_cached;
	netfs_vcall_refetch(v, v->vnode, v->handle);
}

static void open_ask(struct netfs_vcall *v, int err);

static void open_answered(struct netfs_vcall *v, int err)
{
	if (v->upgraded && (err == -EACCES || err == -EPERM)) {
		v->upgraded = false;
		open_ask(v, 0);
		return;
	}
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	v->handle = netfs_take(v->ask.op.handle);
	if (v->flags & O_TRUNC) {
		v->set = (struct netfs_setattr){.valid = NETFS_SET_SIZE};
		v->then = open_cached;
		netfs_vcall_resize(v);
	} else {
		open_revalidate(v);
	}
}

/* Will a writer's file be read through it, for others or for whole blocks? */
static bool wants_to_read(const struct netfs_mount *mount)
{
	return !mount->config.unbuffered || mount->config.crypt;
}

/* The access to ask the server for. */
static uint32_t access_wanted(const struct netfs_vcall *v)
{
	uint32_t access = v->flags & O_ACCMODE;

	return access == O_WRONLY && v->upgraded ? O_RDWR : access;
}

uint32_t netfs_file_reads(struct netfs_vnode *vnode)
{
	const struct netfs_vfs_config *config = &vnode->mount->config;
	struct netfs_inode_view view;
	bool alone;

	/* What is encrypted is read in blocks. */
	if (!netfs_vnode_regular(vnode) || config->unbuffered || config->crypt)
		return 0;
	netfs_inode_view(&vnode->inode, &view);
	netfs_mutex_lock(&vnode->mutex);
	alone = vnode->writers == 0;
	netfs_mutex_unlock(&vnode->mutex);
	if (!alone || view.dirty || view.cached || view.size > NETFS_SMALL_FILE)
		return 0;
	return (uint32_t)view.size;
}

static void open_ask(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_OPEN);

	ask->node = netfs_vnode_node(v->vnode);
	ask->flags = access_wanted(v);
	if (!(v->flags & (O_ACCMODE | O_DIRECT)))
		ask->op.reads = netfs_file_reads(v->vnode);
	ask->op.cached = v->mount->config.cache;
	netfs_attr_ask(v->mount, v->vnode, &v->asked);
	netfs_vcall_ask(v, open_answered);
}

static int open_check(const struct netfs_vcall *v)
{
	uint32_t access = v->flags & O_ACCMODE;
	bool change = access != O_RDONLY || (v->flags & O_TRUNC);

	if (access == O_ACCMODE)
		return -EINVAL;
	if (change && v->mount->config.read_only)
		return -EROFS;
	if (netfs_vnode_directory(v->vnode))
		return change ? -EISDIR : 0;
	if (v->vnode->type == S_IFLNK)
		return -ELOOP;
	if (!netfs_vnode_regular(v->vnode))
		return -ENXIO;
	/* Emptying needs the right to write. */
	return (v->flags & O_TRUNC) && access == O_RDONLY ? -EACCES : 0;
}

/* The cache looks while the server does. */
static void hurry_cache(struct netfs_vcall *v)
{
	struct netfs_cookie *cookie = netfs_vnode_regular(v->vnode) ? v->vnode->inode.cookie : NULL;

	if (cookie && cookie->ops->hurry && !(v->flags & O_TRUNC))
		cookie->ops->hurry(cookie);
}

static void open_start(struct netfs_vcall *v, int err)
{
	err = open_check(v);
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	/* The kernel may know what is in it, and ask for nothing more. */
	if (netfs_vnode_directory(v->vnode))
		netfs_watch_used(v->vnode);
	v->upgraded = wants_to_read(v->mount);
	hurry_cache(v);
	open_ask(v, 0);
}

void netfs_open(struct netfs_vnode *vnode, uint32_t flags, struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(vnode->mount, call);

	if (!v)
		return;
	v->vnode = netfs_vnode_get(vnode);
	v->flags = flags;
	netfs_vcall_start(v, open_start);
}

/* ------------------------------------------------------------ create */

static void create_ask(struct netfs_vcall *v, int err);

/* It was there when we wanted to make it. */
static void create_resolved(struct netfs_vcall *v, int err)
{
	if (err == -ENOENT && ++v->tries < NETFS_CREATE_TRIES_MAX) {
		create_ask(v, 0);
		return;
	}
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	v->vnode = netfs_take(v->target);
	v->wants_vnode = true;
	open_start(v, 0);
}

static void create_entered(struct netfs_vcall *v)
{
	struct netfs_handle *handle = netfs_take(v->ask.op.handle);
	struct netfs_vnode *vnode;
	int err;

	err = netfs_vcall_enter(v, v->dir, v->name, true, &vnode);
	if (err) {
		netfs_handle_put(handle);
		netfs_vcall_finish(v, err);
		return;
	}
	v->vnode = vnode;
	v->handle = handle;
	v->wants_vnode = true;
	netfs_burst_made(v);
	open_cached(v, netfs_vnode_regular(vnode) ? 0 : -EIO);
}

static void create_answered(struct netfs_vcall *v, int err)
{
	netfs_vcall_name_changed(v);
	if (!err)
		create_entered(v);
	else if (err == -EEXIST && !(v->flags & O_EXCL))
		netfs_vcall_resolve(v, v->dir, v->name, create_resolved);
	else
		netfs_vcall_finish(v, err);
}

static void create_ask(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_CREATE);

	ask->dir = netfs_vnode_node(v->dir);
	ask->name = v->name;
	ask->flags = access_wanted(v) | O_EXCL;
	ask->mode = v->mode;
	netfs_attr_ask(v->mount, NULL, &v->asked);
	netfs_vcall_ask(v, create_answered);
}

static void create_start(struct netfs_vcall *v, int err)
{
	err = netfs_name_check_change(v->dir, v->name);
	if (!err && (v->flags & O_ACCMODE) == O_ACCMODE)
		err = -EINVAL;
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	v->upgraded = wants_to_read(v->mount);
	create_ask(v, 0);
}

void netfs_create(struct netfs_vnode *dir, const char *name, uint32_t flags, uint32_t mode,
		  struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(dir->mount, call);

	if (!v)
		return;
	v->dir = netfs_vnode_get(dir);
	v->name = name;
	v->flags = flags;
	v->mode = mode;
	netfs_vcall_start(v, create_start);
}

/* ------------------------------------------------------------- backings */

/* What somebody else reads without us can never be called back. */
static struct netfs_cookie *lasting_cookie(struct netfs_vnode *vnode)
{
	const struct netfs_vfs_config *config = &vnode->mount->config;
	struct netfs_cookie *cookie = netfs_vnode_regular(vnode) ? vnode->inode.cookie : NULL;

	if (!config->immutable || config->crypt || !cookie || !cookie->ops->backing_begin)
		return NULL;
	return cookie;
}

int netfs_backing_begin(struct netfs_vnode *vnode)
{
	struct netfs_cookie *cookie = lasting_cookie(vnode);
	struct netfs_stats *stats = &vnode->mount->stats;
	struct netfs_inode_view view;
	int result;

	if (!cookie)
		return -EOPNOTSUPP;
	netfs_inode_view(&vnode->inode, &view);
	result = view.size ? cookie->ops->backing_begin(cookie, view.size) : -EOPNOTSUPP;
	if (result < 0)
		return result;
	netfs_count(stats, passthrough_files);
	netfs_count(stats, passthrough_living);
	netfs_trace(cache_backing, .inode = vnode->ino, .len = view.size);
	return result;
}

void netfs_backing_end(struct netfs_vnode *vnode)
{
	struct netfs_cookie *cookie = lasting_cookie(vnode);

	netfs_assert(cookie);
	cookie->ops->backing_end(cookie);
	netfs_stats_sub(&vnode->mount->stats, NETFS_STAT_passthrough_living, 1);
}

/* ----------------------------------------------------------------- pins */

int netfs_pin(struct netfs_vnode *vnode, bool pinned)
{
	struct netfs_cookie *cookie = netfs_vnode_regular(vnode) ? vnode->inode.cookie : NULL;

	return cookie && cookie->ops->pin ? cookie->ops->pin(cookie, pinned) : -EOPNOTSUPP;
}
