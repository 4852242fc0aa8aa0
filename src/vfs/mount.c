/* SPDX-License-Identifier: MIT */
/*
 * A mount: birth, what the back end says about it, holds, status.
 *
 * Holds.  Everything that uses the mount and is not covered by an open file has
 * a hold: calls, flushes left behind, work in the background.  A close waits
 * until there is none, and until no vnode is busy in the core.
 *
 * Locks: the mount's mutex.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <base/assert.h>
#include <crypt/crypt.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/random.h>
#include <journal/left.h>
#include <vfs/journal.h>
#include <vfs/mount.h>
#include <vfs/restore.h>
#include <vfs/vcall.h>

/* ---------------------------------------------------- the back end's */

static void host_ready(struct netfs_be_host *host)
{
	struct netfs_mount *mount = host->priv;

	if (mount->core)
		netfs_core_ready(mount->core);
}

static void host_changed(struct netfs_be_host *host, uint64_t ino, uint64_t gen)
{
	struct netfs_mount *mount = host->priv;
	struct netfs_vnode *vnode = netfs_vnode_find(mount, ino, gen);

	if (!vnode)
		return;
	netfs_attr_stale(vnode);
	netfs_vnode_put(vnode);
}

static void host_recall(struct netfs_be_host *host, uint64_t ino, uint64_t gen,
			struct netfs_recall *recall)
{
	struct netfs_mount *mount = host->priv;
	struct netfs_vnode *vnode = netfs_vnode_find(mount, ino, gen);

	if (!vnode) {
		recall->done(recall);
		return;
	}
	netfs_recall_begin(vnode, recall);
	netfs_vnode_put(vnode);
}

/* Told at each failed attempt to connect; what was said already is not news. */
static void host_state(struct netfs_be_host *host, bool connected, const char *text)
{
	struct netfs_mount *mount = host->priv;
	char line[320], state[sizeof(mount->state)];
	bool again, news;

	if (!text || !*text)
		text = connected ? "connected" : "not connected";
	snprintf(state, sizeof(state), "%s", text);
	netfs_mutex_lock(&mount->mutex);
	again = connected && !mount->connected;
	news = connected != mount->connected || strcmp(mount->state, state) != 0;
	mount->connected = connected;
	memcpy(mount->state, state, sizeof(state));
	netfs_mutex_unlock(&mount->mutex);
	if (again && mount->core)
		netfs_count(&mount->stats, reconnects);
	if (!news || !mount->config.log)
		return;
	snprintf(line, sizeof(line), "%.180s: %s", mount->source, state);
	mount->config.log(mount->config.user, connected ? NETFS_LOG_INFO : NETFS_LOG_WARN, line);
}

static void host_note(struct netfs_be_host *host, const char *text)
{
	struct netfs_mount *mount = host->priv;
	char line[320];

	if (!mount->config.log)
		return;
	snprintf(line, sizeof(line), "%.180s: %s", mount->source, text);
	mount->config.log(mount->config.user, NETFS_LOG_WARN, line);
}

void netfs_mount_set_crypt(struct netfs_mount *mount, struct netfs_crypt *crypt)
{
	mount->config.crypt = crypt;
}

static void data_lost(void *user, uint64_t ino, const struct netfs_range *range, uint64_t bytes)
{
	struct netfs_mount *mount = user;
	char what[sizeof(mount->lost_last)], line[400];

	snprintf(what, sizeof(what), "file %llu is gone, %llu bytes of [%llu, %llu)",
		 (unsigned long long)ino, (unsigned long long)bytes,
		 (unsigned long long)range->from, (unsigned long long)range->to);
	netfs_mutex_lock(&mount->mutex);
	memcpy(mount->lost_last, what, sizeof(what));
	netfs_mutex_unlock(&mount->mutex);
	if (!mount->config.log)
		return;
	snprintf(line, sizeof(line), "%.180s: unsent data is given up: %s", mount->source, what);
	mount->config.log(mount->config.user, NETFS_LOG_WARN, line);
}

struct netfs_be_host *netfs_mount_host(struct netfs_mount *mount)
{
	return &mount->host;
}

/* ---------------------------------------------------- birth and end */

int netfs_mount_new(const struct netfs_vfs_config *config, struct netfs_mount **ret_mount)
{
	struct netfs_mount *mount = netfs_zalloc(sizeof(*mount));

	if (!mount)
		return -ENOMEM;
	mount->source = netfs_strdup(config->source);
	if (!mount->source) {
		netfs_free(mount);
		return -ENOMEM;
	}
	mount->config = *config;
	mount->config.source = mount->source;
	mount->host = (struct netfs_be_host){
		.ready = host_ready,
		.changed = host_changed,
		.recall = host_recall,
		.watching = netfs_watch_stands,
		.happened = netfs_watch_happened,
		.state = host_state,
		.note = host_note,
		.priv = mount,
	};
	mount->hash_seed = netfs_random_u64();
	netfs_mutex_init(&mount->mutex, NETFS_RANK_MOUNT);
	netfs_hash_init(&mount->vnodes);
	netfs_names_init(&mount->names);
	netfs_list_init(&mount->all);
	netfs_list_init(&mount->calls);
	netfs_list_init(&mount->silly);
	netfs_list_init(&mount->silly_waiters);
	netfs_hash_init(&mount->held);
	netfs_list_init(&mount->held_wanted);
	netfs_list_init(&mount->held_all);
	netfs_checkpoint_init(mount);
	mount->connected = true;
	snprintf(mount->state, sizeof(mount->state), "connected");
	*ret_mount = mount;
	return 0;
}

void netfs_mount_free(struct netfs_mount *mount)
{
	netfs_assert(netfs_list_empty(&mount->all));
	netfs_assert(netfs_list_empty(&mount->calls) && netfs_list_empty(&mount->silly));
	netfs_restore_done(mount);
	netfs_names_done(&mount->names);
	netfs_bursts_done(&mount->bursts);
	netfs_hash_done(&mount->vnodes);
	netfs_mutex_done(&mount->mutex);
	netfs_crypt_free(mount->config.crypt);
	netfs_free(mount->source);
	netfs_free(mount);
}

int netfs_mount_start(struct netfs_mount *mount, struct netfs_be *be, struct netfs_node *node,
		      const struct netfs_attr *attr)
{
	struct netfs_core_config config = {
		.budget = mount->config.budget,
		.be = be,
		.stats = &mount->stats,
		.dirty_age_ms = mount->config.dirty_age_ms,
		.rasize = mount->config.rasize,
		.rsize = mount->config.rsize,
		.wsize = mount->config.wsize,
		.hard = mount->config.hard,
		.retry_ms = mount->config.retry_ms,
		.crypt = mount->config.crypt,
		.sync_local = mount->config.sync_local,
		.lost = data_lost,
		.lost_user = mount,
	};
	struct netfs_asked asked;
	int err;

	if (!S_ISDIR(attr->mode))
		return -ENOTDIR;
	err = netfs_core_new(&config, &mount->core);
	if (err)
		return err;
	mount->be = be;
	mount->server_locks =
		mount->config.server_locks && (be->caps & NETFS_BE_LOCKS) && be->ops->lock;
	netfs_attr_ask(mount, NULL, &asked);
	err = netfs_vnode_enter(mount, netfs_node_get(node), attr, &asked, false, &mount->root);
	if (err) {
		netfs_core_free(netfs_take(mount->core));
		mount->be = NULL;
		return err;
	}
	netfs_node_put(node);
	return 0;
}

struct netfs_vnode *netfs_mount_root(struct netfs_mount *mount)
{
	return netfs_vnode_get(mount->root);
}

void netfs_mount_set_notify(struct netfs_mount *mount, const struct netfs_notify_ops *ops,
			    void *user)
{
	mount->notify = ops;
	mount->notify_user = user;
}

void netfs_mount_notify_data(struct netfs_mount *mount, uint64_t ino)
{
	if (mount->notify && mount->notify->inval_data)
		mount->notify->inval_data(mount->notify_user, ino, 0, UINT64_MAX);
}

void netfs_mount_notify_attr(struct netfs_mount *mount, uint64_t ino)
{
	if (mount->notify && mount->notify->inval_data)
		mount->notify->inval_data(mount->notify_user, ino, 0, 0);
}

void netfs_mount_notify_entry(struct netfs_mount *mount, uint64_t dir_ino, const char *name)
{
	if (mount->notify && mount->notify->inval_entry)
		mount->notify->inval_entry(mount->notify_user, dir_ino, name);
}

/* ------------------------------------------------------------- holds */

int netfs_mount_hold(struct netfs_mount *mount)
{
	int err = 0;

	if (atomic_load(&mount->aborted))
		return -EIO;
	netfs_mutex_lock(&mount->mutex);
	if (mount->closing)
		err = -ESHUTDOWN;
	else
		mount->holds++;
	netfs_mutex_unlock(&mount->mutex);
	return err;
}

void netfs_mount_hold_more(struct netfs_mount *mount)
{
	netfs_mutex_lock(&mount->mutex);
	mount->holds++;
	netfs_mutex_unlock(&mount->mutex);
}

/* The close that waits, if what it waits for has come. */
static struct netfs_vcall *drained_locked(struct netfs_mount *mount)
{
	netfs_assert_held(&mount->mutex);
	if (mount->holds || (mount->drain_busy && atomic_load(&mount->busy)))
		return NULL;
	return netfs_take(mount->drain);
}

void netfs_mount_drop(struct netfs_mount *mount)
{
	struct netfs_vcall *drained;

	netfs_mutex_lock(&mount->mutex);
	netfs_assert(mount->holds > 0);
	mount->holds--;
	drained = drained_locked(mount);
	netfs_mutex_unlock(&mount->mutex);
	if (drained)
		netfs_vcall_resume(drained, 0);
}

void netfs_mount_busy_end(struct netfs_mount *mount)
{
	struct netfs_vcall *drained;

	netfs_mutex_lock(&mount->mutex);
	netfs_assert(atomic_load(&mount->busy) > 0);
	atomic_fetch_sub(&mount->busy, 1);
	drained = drained_locked(mount);
	netfs_mutex_unlock(&mount->mutex);
	if (drained)
		netfs_vcall_resume(drained, 0);
}

struct netfs_vnode *netfs_mount_next(struct netfs_mount *mount, struct netfs_vnode *after,
				     bool (*want)(struct netfs_vnode *vnode))
{
	struct netfs_vnode *next = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&mount->mutex);
	link = after ? after->all_link.next : mount->all.next;
	for (; link != &mount->all; link = link->next) {
		struct netfs_vnode *vnode = netfs_container_of(link, struct netfs_vnode, all_link);

		if (!want(vnode))
			continue;
		next = netfs_vnode_get(vnode);
		break;
	}
	netfs_mutex_unlock(&mount->mutex);
	if (after)
		netfs_vnode_put(after);
	return next;
}

/* ------------------------------------------------------------- abort */

static struct netfs_vcall *call_to_cancel(struct netfs_mount *mount)
{
	struct netfs_vcall *v = NULL;
	struct netfs_list *link;

	netfs_mutex_lock(&mount->mutex);
	netfs_list_for_each (link, &mount->calls) {
		v = netfs_container_of(link, struct netfs_vcall, link);
		if (!v->aborted) {
			v->aborted = true;
			atomic_fetch_add(&v->refs, 1);
			break;
		}
		v = NULL;
	}
	netfs_mutex_unlock(&mount->mutex);
	return v;
}

int netfs_mount_barrier(struct netfs_mount *mount)
{
	return netfs_core_barrier(mount->core);
}

void netfs_mount_abort(struct netfs_mount *mount)
{
	struct netfs_vcall *v;

	atomic_store(&mount->aborted, true);
	netfs_core_abort(mount->core);
	while ((v = call_to_cancel(mount))) {
		netfs_vcall_cancel(v);
		netfs_vcall_put(v);
	}
}

bool netfs_mount_aborted(const struct netfs_mount *mount)
{
	return atomic_load(&mount->aborted);
}

/* ------------------------------------------------------------ status */

void netfs_mount_status(struct netfs_mount *mount, struct netfs_mount_status *ret_status)
{
	memset(ret_status, 0, sizeof(*ret_status));
	snprintf(ret_status->source, sizeof(ret_status->source), "%s", mount->source);
	snprintf(ret_status->address, sizeof(ret_status->address), "%.255s", mount->be->address);
	snprintf(ret_status->cache_mode, sizeof(ret_status->cache_mode), "%s",
		 mount->config.cache_mode);
	ret_status->read_only = mount->config.read_only;
	ret_status->dirty = netfs_core_dirty(mount->core);
	ret_status->stuck = netfs_core_stuck(mount->core);
	ret_status->lost = netfs_stats_get(&mount->stats, NETFS_STAT_write_lost);
	ret_status->cached = netfs_core_cached(mount->core);
	if (mount->config.journal) {
		ret_status->journalled = netfs_journal_bytes(mount->config.journal);
		ret_status->left = netfs_left_bytes(mount->config.left);
	}
	ret_status->requests = netfs_core_requests(mount->core);
	if (mount->config.cache && mount->config.cache->folder) {
		snprintf(ret_status->cache_folder, sizeof(ret_status->cache_folder), "%s",
			 mount->config.cache->folder);
		ret_status->cache_volume = mount->config.cache->volume;
		ret_status->cache_sealed = mount->config.cache->sealed;
	}
	netfs_mutex_lock(&mount->mutex);
	snprintf(ret_status->state, sizeof(ret_status->state), "%s", mount->state);
	ret_status->connected = mount->connected;
	memcpy(ret_status->lost_last, mount->lost_last, sizeof(mount->lost_last));
	ret_status->vnodes = mount->vnodes.count;
	ret_status->files_open = mount->files_open;
	netfs_mutex_unlock(&mount->mutex);
	if (atomic_load(&mount->aborted)) {
		snprintf(ret_status->state, sizeof(ret_status->state), "aborted");
		ret_status->connected = false;
	}
}

size_t netfs_mount_stats(struct netfs_mount *mount, struct netfs_stat *ret_stats, size_t max)
{
	for (size_t i = 0; i < NETFS_STAT_COUNT && i < max; i++) {
		ret_stats[i].name = netfs_stat_name((enum netfs_stat_id)i);
		ret_stats[i].meaning = netfs_stat_meaning((enum netfs_stat_id)i);
		ret_stats[i].group = netfs_stat_group((enum netfs_stat_id)i);
		ret_stats[i].code = netfs_stat_code((enum netfs_stat_id)i);
		ret_stats[i].value = netfs_stats_get(&mount->stats, (enum netfs_stat_id)i);
	}
	return NETFS_STAT_COUNT;
}

size_t netfs_mount_requests(struct netfs_mount *mount, struct netfs_request_info *ret_requests,
			    size_t max)
{
	return netfs_core_list_requests(mount->core, ret_requests, max);
}
