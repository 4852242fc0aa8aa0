/* SPDX-License-Identifier: MIT */
/*
 * The journal of a mount, seen from its names and calls.
 *
 * Data becomes durable at the server in the background, a while after it was
 * written (a checkpoint), and then leaves the journal.  What a crash leaves in it is
 * written again by the next mount, at the place where the file was last.  So calls
 * that change what doing it again would undo (a new size, holes, copies, a file's
 * name or end) first see to it that nothing of the file is there:
 *
 *	settle:  flush -> fsync -> released -> the call goes on
 *
 * Of a file that is gone at the server the records stay: the next mount keeps them
 * in a file of their own.
 *
 * Locks: the vnode's mutex, to look at its version.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <journal/journal.h>
#include <vfs/each.h>
#include <vfs/file.h>
#include <vfs/journal.h>

/* ---------------------------------------------------------- a vnode's */

static struct netfs_vnode *vnode_of(void *user)
{
	return netfs_container_of((struct netfs_inode *)user, struct netfs_vnode, inode);
}

static int where(void *user, char buf[NETFS_JOURNAL_PATH])
{
	struct netfs_vnode *vnode = vnode_of(user);
	struct netfs_node *node = netfs_vnode_node(vnode);
	int err = vnode->mount->be->ops->path(node, buf, NETFS_JOURNAL_PATH);

	netfs_node_put(node);
	return err;
}

static void marked(void *user)
{
	netfs_inode_journal_marked(user);
}

static void idle(void *user)
{
	netfs_inode_journal_idle(user);
}

static const struct netfs_journal_ops journal_ops = {
	.path = where,
	.marked = marked,
	.idle = idle,
};

int netfs_vnode_journal(struct netfs_vnode *vnode)
{
	struct netfs_journal *journal = vnode->mount->config.journal;
	struct netfs_journal_file *file;
	int err;

	if (!journal || vnode->mount->config.read_only)
		return 0;
	err = netfs_journal_file_new(journal, vnode->ino, vnode->gen, &vnode->inode, &file);
	if (!err)
		netfs_inode_set_journal(&vnode->inode, file);
	return err;
}

void netfs_vnode_unjournal(struct netfs_vnode *vnode)
{
	netfs_journal_file_free(vnode->inode.journal);
}

bool netfs_vnode_journalled(struct netfs_vnode *vnode)
{
	return netfs_vnode_regular(vnode) && vnode->inode.journal &&
	       netfs_journal_live(vnode->inode.journal);
}

void netfs_journal_wrote(struct netfs_vnode *vnode)
{
	struct netfs_mount *mount = vnode->mount;
	struct netfs_version version;
	bool known = netfs_attr_certain(vnode, &version);
	struct netfs_cache_version base = {
		.counter = version.counter,
		.mtime = version.mtime,
		.ctime = version.ctime,
		.size = version.size,
	};

	netfs_journal_base(vnode->inode.journal, &base, known);
	if (!atomic_exchange(&mount->checkpoint_armed, true)) {
		netfs_mount_hold_more(mount);
		netfs_timer_start(&mount->checkpoint_timer,
				  mount->config.dirty_age_ms * NETFS_NS_PER_MS / 2 + 1);
	}
}

void netfs_journal_dated(struct netfs_vnode *vnode, const struct netfs_time *mtime)
{
	if (netfs_vnode_journalled(vnode) && mtime->sec >= 0)
		netfs_inode_note_mtime(&vnode->inode,
				       (uint64_t)mtime->sec * NETFS_NS_PER_SEC + mtime->nsec);
}

void netfs_file_redo(struct netfs_file *file)
{
	file->opener.flags |= NETFS_OPENER_REDONE;
}

static void undo_gated(struct netfs_vcall *v, int err)
{
	if (!err) {
		netfs_inode_discard(&v->vnode->inode, 0, UINT64_MAX);
		netfs_vcall_ungate(v);
		netfs_attr_stale(v->vnode);
	}
	netfs_vcall_finish(v, err);
}

static void undo_start(struct netfs_vcall *v, int err)
{
	/* Of an encrypted block half may be at the server: it has to follow. */
	if (v->mount->config.crypt)
		netfs_vcall_finish(v, -EOPNOTSUPP);
	else
		netfs_vcall_gate(v, v->vnode, undo_gated);
}

void netfs_file_undo(struct netfs_file *file, struct netfs_call *call)
{
	struct netfs_vcall *v = netfs_vcall_new(file->vnode->mount, call);

	if (!v)
		return;
	v->vnode = netfs_vnode_get(file->vnode);
	netfs_vcall_start(v, undo_start);
}

/* ---------------------------------------------------------- to settle */

static void settle_done(struct netfs_vcall *v, int err)
{
	netfs_step_fn next = v->settle_next;

	netfs_handle_put(netfs_take(v->settle_handle));
	v->settle_next = NULL;
	next(v, err);
}

static void on_the_disk(struct netfs_journal_wait *wait, int err)
{
	netfs_vcall_resume(netfs_container_of(wait, struct netfs_vcall, journal_wait), 0);
}

void netfs_vcall_release(struct netfs_vcall *v, struct netfs_vnode *vnode, uint64_t seq,
			 netfs_step_fn next)
{
	if (!seq || !netfs_vnode_journalled(vnode)) {
		next(v, 0);
		return;
	}
	netfs_count(&v->mount->stats, journal_released);
	v->journal_wait.done = on_the_disk;
	netfs_vcall_await(v, next, NULL);
	netfs_inode_release(&vnode->inode, seq, &v->journal_wait);
}

static void settle_synced(struct netfs_vcall *v, int err)
{
	if (err == -ESTALE) {
		netfs_journal_abandon(v->settle_vnode->inode.journal);
		settle_done(v, 0);
	} else if (err) {
		settle_done(v, err);
	} else {
		netfs_vcall_release(v, v->settle_vnode, v->settle_seq, settle_done);
	}
}

static void settle_sent(struct netfs_vcall *v, int err)
{
	struct netfs_ask *ask;

	if (err || (v->mount->be->caps & NETFS_BE_STABLE_WRITES)) {
		settle_synced(v, err);
		return;
	}
	v->settle_handle = netfs_inode_writer(&v->settle_vnode->inode);
	if (!v->settle_handle) {
		settle_done(v, netfs_vnode_journalled(v->settle_vnode) ? -EBADF : 0);
		return;
	}
	ask = netfs_vcall_prepare(v, NETFS_ASK_FSYNC);
	ask->handle = netfs_handle_get(v->settle_handle);
	ask->flags = true;
	netfs_vcall_ask(v, settle_synced);
}

void netfs_vcall_settle(struct netfs_vcall *v, struct netfs_vnode *vnode, netfs_step_fn next)
{
	if (!netfs_vnode_journalled(vnode)) {
		next(v, 0);
		return;
	}
	netfs_assert(!v->settle_next);
	v->settle_next = next;
	v->settle_vnode = vnode;
	v->settle_seq = netfs_journal_seq(vnode->inode.journal);
	netfs_vcall_flush(v, vnode, 0, UINT64_MAX, settle_sent);
}

/* ------------------------------------------------------------- names */

/* v->scratch. */
struct moving {
	bool exchange; /* and the other way round is still to come */
	struct netfs_journal_wait wait;
	struct netfs_vcall *v;
	char from[NETFS_JOURNAL_PATH];
	char to[NETFS_JOURNAL_PATH];
};

static int path_of(struct netfs_vnode *vnode, char buf[NETFS_JOURNAL_PATH])
{
	return where(&vnode->inode, buf);
}

static int paths_of(struct netfs_vcall *v, struct moving *moving)
{
	int err = path_of(v->vnode, moving->from);
	size_t len;

	if (!err)
		err = path_of(v->new_dir, moving->to);
	if (err)
		return err;
	len = strlen(moving->to);
	if (len + strlen(v->new_name) + 2 > sizeof(moving->to))
		return -ENAMETOOLONG;
	snprintf(moving->to + len, sizeof(moving->to) - len, "%s%s", len ? "/" : "", v->new_name);
	return 0;
}

static void moves_noted(struct netfs_journal_wait *wait, int err)
{
	netfs_vcall_resume(netfs_container_of(wait, struct moving, wait)->v, 0);
}

static void moving_more(struct netfs_vcall *v, int err)
{
	struct netfs_journal *journal = v->mount->config.journal;
	struct moving *moving = v->scratch;
	bool back = moving->exchange;

	if (!back) {
		netfs_free(netfs_take(v->scratch));
		netfs_vcall_return(v, 0);
		return;
	}
	moving->exchange = false;
	moving->wait.done = moves_noted;
	netfs_vcall_await(v, moving_more, NULL);
	if (!netfs_journal_moving(journal, moving->to, moving->from, &moving->wait))
		netfs_vcall_resume(v, 0);
}

void netfs_vcall_moving(struct netfs_vcall *v, bool exchange, netfs_step_fn next)
{
	struct netfs_journal *journal = v->mount->config.journal;
	struct moving *moving = journal ? netfs_zalloc(sizeof(*moving)) : NULL;

	/* A place that nobody can tell is no reason not to rename: what is written there
	 * would be kept in a file of its own. */
	if (!moving || paths_of(v, moving)) {
		netfs_free(moving);
		next(v, 0);
		return;
	}
	netfs_assert(!v->scratch && !v->then);
	v->scratch = moving;
	v->then = next;
	moving->v = v;
	moving->exchange = exchange;
	moving->wait.done = moves_noted;
	netfs_vcall_await(v, moving_more, NULL);
	if (!netfs_journal_moving(journal, moving->from, moving->to, &moving->wait))
		netfs_vcall_resume(v, 0);
}

/* -------------------------------------------------------- checkpoints */

static bool due(struct netfs_vnode *vnode)
{
	struct netfs_mount *mount = vnode->mount;
	uint64_t age;

	if (!netfs_vnode_regular(vnode) || !vnode->inode.journal)
		return false;
	age = netfs_journal_age(vnode->inode.journal);
	return age && (age >= mount->config.dirty_age_ms * NETFS_NS_PER_MS ||
		       netfs_journal_pressed(mount->config.journal));
}

static void child_told(struct netfs_vcall *child, int err)
{
	netfs_each_done(child, 0, 0);
}

/* The server's version of what is durable is learned, so that what is written next
 * is known to be based on it.  An error stays where it was latched, and what could
 * not be sent is tried again. */
static void child_settled(struct netfs_vcall *child, int err)
{
	if (err || !netfs_attr_unadopted(child->vnode)) {
		netfs_each_done(child, 0, 0);
		return;
	}
	child->then = child_told;
	netfs_vcall_refetch(child, child->vnode, NULL);
}

static void child_settle(struct netfs_vcall *child, int err)
{
	netfs_vcall_settle(child, child->vnode, child_settled);
}

/* The hold of the armed timer goes on, or goes. */
static void rearm(struct netfs_mount *mount, bool on)
{
	if (on) {
		netfs_timer_start(&mount->checkpoint_timer,
				  mount->config.dirty_age_ms * NETFS_NS_PER_MS / 2 + 1);
		return;
	}
	atomic_store(&mount->checkpoint_armed, false);
	netfs_mount_drop(mount);
}

static void checkpoint_over(struct netfs_vcall *v, int err)
{
	struct netfs_mount *mount = v->mount;
	bool more = netfs_journal_bytes(mount->config.journal) > 0;
	bool closing;

	netfs_mutex_lock(&mount->mutex);
	closing = mount->closing;
	netfs_mutex_unlock(&mount->mutex);
	rearm(mount, more && !closing);
	netfs_vcall_finish(v, 0);
}

static void checkpoint_start(struct netfs_vcall *v, int err)
{
	netfs_vcall_each(v, due, child_settle, checkpoint_over);
}

static void checkpoint(struct netfs_task *task)
{
	struct netfs_mount *mount = netfs_container_of(task, struct netfs_mount, checkpoint_task);
	struct netfs_vcall *v = netfs_vcall_new(mount, NULL);

	if (v)
		netfs_vcall_start(v, checkpoint_start);
	else
		rearm(mount, false);
}

void netfs_checkpoint_stop(struct netfs_mount *mount)
{
	if (mount->config.journal && netfs_timer_stop(&mount->checkpoint_timer))
		rearm(mount, false);
}

void netfs_checkpoint_init(struct netfs_mount *mount)
{
	netfs_task_init(&mount->checkpoint_task, checkpoint);
	netfs_timer_init(&mount->checkpoint_timer, &mount->checkpoint_task);
	if (mount->config.journal)
		netfs_journal_set_ops(mount->config.journal, &journal_ops);
}
