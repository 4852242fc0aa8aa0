/* SPDX-License-Identifier: MIT */
/*
 * From a name to a vnode: the public lookup, and the steps other calls use to
 * learn what a name stands for.
 *
 * A name that was found is kept only if none of our own changes to that
 * directory ended after the question was sent: the answer may be older than
 * the change.  The directory's names_stamp, under the mount's mutex, tells.
 *
 * Locks: the mount's mutex, for the name cache.
 */
#include <errno.h>
#include <string.h>
#include <base/assert.h>
#include <base/checked_math.h>
#include <base/limits.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <vfs/file.h>
#include <vfs/restore.h>
#include <vfs/vcall.h>

int netfs_name_check(const char *name)
{
	size_t len = strlen(name);

	if (len > NETFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (len == 0)
		return -ENOENT;
	if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	return 0;
}

bool netfs_name_of_key(const struct netfs_vnode *dir, const char *name, size_t len)
{
	return dir->mount->config.crypt && dir == dir->mount->root &&
	       len == strlen(NETFS_CRYPT_NAME) && !memcmp(name, NETFS_CRYPT_NAME, len);
}

int netfs_name_check_change(struct netfs_vnode *dir, const char *name)
{
	int err;

	if (!netfs_vnode_directory(dir))
		return -ENOTDIR;
	err = netfs_name_check(name);
	if (err)
		return err;
	if (netfs_name_of_key(dir, name, strlen(name)))
		return -EPERM;
	return dir->mount->config.read_only ? -EROFS : 0;
}

static uint64_t name_until(uint64_t from_ns, uint32_t ttl_ms)
{
	if (ttl_ms == NETFS_TTL_FOREVER)
		return UINT64_MAX;
	return netfs_saturating_add(from_ns, ttl_ms * NETFS_NS_PER_MS);
}

static uint32_t ms_left(uint64_t until_ns)
{
	uint64_t now = netfs_clock_now(), left;

	if (until_ns <= now)
		return 0;
	left = (until_ns - now) / NETFS_NS_PER_MS;
	return left < NETFS_TTL_FOREVER ? (uint32_t)left : NETFS_TTL_FOREVER;
}

static uint64_t name_changed(struct netfs_vnode *dir, const char *name, uint64_t since)
{
	uint64_t stamp = netfs_attr_expire_names(dir, since);

	netfs_mutex_lock(&dir->mount->mutex);
	netfs_names_drop(dir, name);
	netfs_burst_there_locked(dir, name);
	netfs_mutex_unlock(&dir->mount->mutex);
	return stamp;
}

void netfs_name_changed(struct netfs_vnode *dir, const char *name)
{
	name_changed(dir, name, 0);
}

/* What the answer says of the directory is as it was after this change: it counts unless
 * the directory was changed, told of or asked about since the question. */
void netfs_vcall_name_changed(struct netfs_vcall *v)
{
	struct netfs_asked asked = {.sent_ns = v->asked.sent_ns, .about = v->dir};

	asked.stamp = name_changed(v->dir, v->name, v->asked.stamp);
	if (asked.stamp && v->ask.op.has_dir_attr)
		netfs_attr_answer(v->dir, &v->ask.op.dir_attr, &asked);
}

static void set_parent_locked(struct netfs_vnode *vnode, struct netfs_vnode *dir)
{
	if (!netfs_vnode_directory(vnode))
		return;
	vnode->parent_ino = dir->ino;
	vnode->parent_gen = dir->gen;
}

void netfs_name_made(struct netfs_vnode *dir, const char *name, struct netfs_vnode *vnode)
{
	struct netfs_mount *mount = dir->mount;
	uint64_t until_ns = name_until(netfs_clock_now(), mount->config.entry_ttl_ms);

	netfs_mutex_lock(&mount->mutex);
	set_parent_locked(vnode, dir);
	netfs_names_set(dir, name, vnode, until_ns, 0);
	netfs_burst_there_locked(dir, name);
	netfs_mutex_unlock(&mount->mutex);
}

struct netfs_vnode *netfs_name_hint(struct netfs_vnode *dir, const char *name)
{
	struct netfs_mount *mount = dir->mount;
	struct netfs_vnode *vnode = NULL;
	uint64_t until_ns;

	netfs_mutex_lock(&mount->mutex);
	netfs_names_find(dir, name, &vnode, &until_ns);
	if (vnode)
		netfs_vnode_get(vnode);
	netfs_mutex_unlock(&mount->mutex);
	return vnode;
}

void netfs_vcall_show(struct netfs_vcall *v, struct netfs_vnode *vnode)
{
	netfs_attr_show(vnode, &v->call->attr, &v->call->attr_ttl_ms);
}

/* ----------------------------------------------------------- answers */

int netfs_name_enter(struct netfs_vnode *dir, const char *name, struct netfs_ask *ask,
		     const struct netfs_asked *asked, bool created, struct netfs_vnode **ret_vnode,
		     uint32_t *ret_ttl_ms)
{
	struct netfs_mount *mount = dir->mount;
	uint32_t ttl_ms = mount->config.entry_ttl_ms;
	struct netfs_vnode *vnode;
	int err;

	err = netfs_vnode_enter(mount, netfs_take(ask->op.node), &ask->op.attr, asked, created,
				&vnode);
	if (err)
		return err;
	netfs_mutex_lock(&mount->mutex);
	set_parent_locked(vnode, dir);
	netfs_burst_there_locked(dir, name);
	if (!created && asked->stamp <= dir->names_stamp)
		ttl_ms = 0;
	else if (netfs_names_set(dir, name, vnode, name_until(asked->sent_ns, ttl_ms),
				 asked->dir_watch))
		netfs_watch_tell_locked(dir, vnode, asked);
	netfs_mutex_unlock(&mount->mutex);
	*ret_vnode = vnode;
	*ret_ttl_ms = ttl_ms;
	return 0;
}

int netfs_vcall_enter(struct netfs_vcall *v, struct netfs_vnode *dir, const char *name,
		      bool created, struct netfs_vnode **ret_vnode)
{
	uint32_t ttl_ms;
	int err;

	if (created || v->ask.op.promise)
		v->asked.promise = v->ask.op.promise;
	err = netfs_name_enter(dir, name, &v->ask, &v->asked, created, ret_vnode, &ttl_ms);

	if (!err && v->call)
		v->call->entry_ttl_ms = ttl_ms;
	return err;
}

/* The server knows no such name. */
static void enter_negative(struct netfs_vcall *v, struct netfs_vnode *dir, const char *name)
{
	struct netfs_mount *mount = v->mount;
	uint32_t ttl_ms = mount->config.negative_ttl_ms;

	netfs_mutex_lock(&mount->mutex);
	netfs_burst_missed_locked(dir, name);
	if (v->asked.stamp <= dir->names_stamp)
		ttl_ms = 0;
	else if (ttl_ms || v->asked.dir_watch)
		netfs_names_set(dir, name, NULL, name_until(v->asked.sent_ns, ttl_ms),
				v->asked.dir_watch);
	else
		netfs_names_drop(dir, name);
	netfs_mutex_unlock(&mount->mutex);
	if (v->call)
		v->call->entry_ttl_ms = ttl_ms;
}

/* What the cache knows; a vnode comes with a reference. */
static enum netfs_name_state cached(struct netfs_vnode *dir, const char *name,
				    struct netfs_vnode **ret_vnode, uint32_t *ret_ttl_ms)
{
	struct netfs_mount *mount = dir->mount;
	struct netfs_vnode *vnode = NULL;
	enum netfs_name_state state;
	uint64_t until_ns = 0;

	netfs_mutex_lock(&mount->mutex);
	state = netfs_names_find(dir, name, &vnode, &until_ns);
	if (vnode)
		netfs_vnode_get(vnode);
	netfs_mutex_unlock(&mount->mutex);
	*ret_vnode = vnode;
	*ret_ttl_ms = ms_left(until_ns);
	/* The server tells us when that changes, and we the kernel. */
	if (state == NETFS_NAME_PRESENT && !*ret_ttl_ms)
		*ret_ttl_ms = mount->config.entry_ttl_ms;
	return state;
}

struct netfs_vnode *netfs_name_cached(struct netfs_vnode *dir, const char *name,
				      uint32_t *ret_ttl_ms)
{
	struct netfs_vnode *vnode;

	if (cached(dir, name, &vnode, ret_ttl_ms) == NETFS_NAME_PRESENT)
		return vnode;
	if (vnode)
		netfs_vnode_put(vnode);
	return NULL;
}

/* Who looks up a small file may read it as a whole next. */
static uint32_t reads_expected(const struct netfs_vcall *v)
{
	const struct netfs_vfs_config *config = &v->mount->config;

	if (config->unbuffered || config->crypt)
		return 0;
	if (!v->target)
		return NETFS_SMALL_FILE;
	return netfs_attr_promised(v->target) ? 0 : netfs_file_reads(v->target);
}

static void ask_lookup(struct netfs_vcall *v, struct netfs_vnode *dir, const char *name,
		       netfs_step_fn next)
{
	struct netfs_ask *ask = netfs_vcall_prepare(v, NETFS_ASK_LOOKUP);

	ask->dir = netfs_vnode_node(dir);
	ask->name = name;
	ask->op.reads = v->whole;
	ask->op.cached = v->mount->config.cache;
	netfs_attr_ask(v->mount, v->target, &v->asked);
	v->asked.dir_watch = netfs_watch_now(dir);
	netfs_vcall_ask(v, next);
}

/* ----------------------------------------------------------- resolve */

static void resolve_answered(struct netfs_vcall *v, int err)
{
	struct netfs_vnode *vnode = NULL;

	if (!err)
		err = netfs_vcall_enter(v, v->resolve_dir, v->resolve_name, false, &vnode);
	else if (err == -ENOENT)
		enter_negative(v, v->resolve_dir, v->resolve_name);
	if (v->target)
		netfs_vnode_put(v->target);
	v->target = vnode;
	if (err)
		netfs_vcall_return(v, err);
	else
		netfs_vcall_restored(v, vnode, netfs_vcall_return);
}

void netfs_vcall_resolve(struct netfs_vcall *v, struct netfs_vnode *dir, const char *name,
			 netfs_step_fn next)
{
	enum netfs_name_state state;
	uint32_t ttl_ms;

	netfs_assert(!v->then);
	if (v->target)
		netfs_vnode_put(netfs_take(v->target));
	state = cached(dir, name, &v->target, &ttl_ms);
	if (state == NETFS_NAME_PRESENT) {
		netfs_count(&v->mount->stats, name_hits);
		netfs_vcall_restored(v, v->target, next);
		return;
	}
	if (state == NETFS_NAME_NEGATIVE) {
		netfs_count(&v->mount->stats, name_hits);
		next(v, -ENOENT);
		return;
	}
	v->then = next;
	v->resolve_dir = dir;
	v->resolve_name = name;
	ask_lookup(v, dir, name, resolve_answered);
}

/* ------------------------------------------------------------ lookup */

/* It is v->target, and not held back. */
static void found(struct netfs_vcall *v, int err)
{
	if (!err) {
		v->call->vnode = netfs_vnode_get(v->target);
		netfs_vcall_show(v, v->target);
	}
	netfs_vcall_finish(v, err);
}

static void lookup_answered(struct netfs_vcall *v, int err)
{
	struct netfs_vnode *vnode = NULL;

	if (!err)
		err = netfs_vcall_enter(v, v->dir, v->name, false, &vnode);
	else if (err == -ENOENT)
		enter_negative(v, v->dir, v->name);
	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	if (v->target)
		netfs_vnode_put(v->target);
	v->target = vnode;
	netfs_vcall_restored(v, vnode, found);
}

/* "." and "..": v->target is it. */
static void lookup_special(struct netfs_vcall *v, int err)
{
	if (!v->target) {
		netfs_vcall_finish(v, -ESTALE);
		return;
	}
	if (netfs_attr_fresh(v->target)) {
		found(v, 0);
		return;
	}
	v->then = found;
	netfs_vcall_refetch(v, v->target, NULL);
}

static struct netfs_vnode *parent_of(struct netfs_vnode *dir)
{
	uint64_t ino, gen;

	if (dir == dir->mount->root)
		return netfs_vnode_get(dir);
	netfs_mutex_lock(&dir->mount->mutex);
	ino = dir->parent_ino;
	gen = dir->parent_gen;
	netfs_mutex_unlock(&dir->mount->mutex);
	return netfs_vnode_find(dir->mount, ino, gen);
}

static void lookup_start(struct netfs_vcall *v, int err)
{
	enum netfs_name_state state;
	uint32_t ttl_ms;

	netfs_watch_used(v->dir);
	state = cached(v->dir, v->name, &v->target, &ttl_ms);
	if (state == NETFS_NAME_NEGATIVE) {
		netfs_count(&v->mount->stats, name_negative);
		v->call->entry_ttl_ms = ttl_ms;
		netfs_vcall_finish(v, -ENOENT);
	} else if (state == NETFS_NAME_PRESENT && netfs_attr_fresh(v->target)) {
		netfs_count(&v->mount->stats, name_hits);
		v->call->entry_ttl_ms = ttl_ms;
		netfs_vcall_restored(v, v->target, found);
	} else if (state == NETFS_NAME_UNKNOWN && netfs_burst_missing(v->dir, v->name)) {
		netfs_count(&v->mount->stats, name_negative);
		netfs_vcall_finish(v, -ENOENT);
	} else {
		v->whole = reads_expected(v);
		ask_lookup(v, v->dir, v->name, lookup_answered);
	}
}

static int lookup_check(struct netfs_vnode *dir, const char *name)
{
	int err;

	if (!netfs_vnode_directory(dir))
		return -ENOTDIR;
	err = netfs_name_check(name);
	if (!err && netfs_silly_hidden(dir, name, strlen(name)))
		err = -ENOENT;
	return err;
}

static void lookup_refused(struct netfs_vcall *v, int err)
{
	netfs_vcall_finish(v, v->first_err);
}

void netfs_lookup(struct netfs_vnode *dir, const char *name, struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(dir->mount, call);
	netfs_step_fn first = lookup_start;

	if (!v)
		return;
	v->dir = netfs_vnode_get(dir);
	v->name = name;
	if (netfs_vnode_directory(dir) && !strcmp(name, ".")) {
		v->target = netfs_vnode_get(dir);
		first = lookup_special;
	} else if (netfs_vnode_directory(dir) && !strcmp(name, "..")) {
		v->target = parent_of(dir);
		first = lookup_special;
	} else {
		v->first_err = lookup_check(dir, name);
		if (v->first_err)
			first = lookup_refused;
	}
	netfs_vcall_start(v, first);
}
