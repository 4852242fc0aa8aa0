/* SPDX-License-Identifier: MIT */
/*
 * The time of a write that is sent late.
 *
 * Where close(2) does not wait for data, a server gives a file the time at which
 * its data happened to arrive.  Then an object file seems newer than the program
 * that was linked from it a moment later, and make(1) builds again.  So a file
 * that was written through memory owes the server its time: stat(2) shows that
 * of the last write here, and when nobody has it open for writing and all of it
 * was sent, the server is told.  Where it refuses, its own time counts.
 *
 * Who sets the times of such a file himself takes the inode's lock, and so does
 * this, so that the younger of the two is the one that stays.
 *
 * Locks: the vnode's mutex; the inode's lock while the server is asked.
 */
#include <env/clock.h>
#include <vfs/file.h>
#include <vfs/vcall.h>

void netfs_times_wrote(struct netfs_vnode *vnode)
{
	/* Every write passes here: only the first changes anything. */
	if (!vnode->mount->config.close_writes &&
	    !atomic_load_explicit(&vnode->owes_mtime, memory_order_relaxed))
		atomic_store(&vnode->owes_mtime, true);
}

static struct netfs_time time_of(const struct netfs_inode_view *view)
{
	return (struct netfs_time){
		.sec = (int64_t)(view->mtime_ns / NETFS_NS_PER_SEC),
		.nsec = (uint32_t)(view->mtime_ns % NETFS_NS_PER_SEC),
	};
}

void netfs_times_show(struct netfs_vnode *vnode, const struct netfs_inode_view *view,
		      struct netfs_attr *attr)
{
	if (view->mtime_ns && atomic_load(&vnode->owes_mtime))
		attr->mtime = time_of(view);
}

/* Is it to be told now? */
static bool due(struct netfs_vnode *vnode, struct netfs_inode_view *ret_view)
{
	bool due;

	/* At a forced end data was dropped, and is not what the time would be of. */
	if (!atomic_load(&vnode->owes_mtime) || atomic_load(&vnode->mount->aborted))
		return false;
	netfs_mutex_lock(&vnode->mutex);
	netfs_inode_view(&vnode->inode, ret_view);
	due = vnode->writers == 0 && !ret_view->dirty && ret_view->mtime_ns;
	netfs_mutex_unlock(&vnode->mutex);
	return due;
}

/* Told, or refused; a write since then owes anew. */
static void told(struct netfs_vcall *v, int err)
{
	struct netfs_inode_view view;

	if (err)
		netfs_attr_expire(v->vnode);
	else
		netfs_attr_changed(v->vnode, &v->ask.op.attr, &v->asked);
	if (due(v->vnode, &view) && view.seq == v->start)
		atomic_store(&v->vnode->owes_mtime, false);
	netfs_vcall_ungate(v);
	netfs_vcall_finish(v, err);
}

static void locked(struct netfs_vcall *v, int err)
{
	struct netfs_inode_view view;
	struct netfs_ask *ask;

	if (err) {
		netfs_vcall_finish(v, err);
		return;
	}
	if (!due(v->vnode, &view)) {
		netfs_vcall_ungate(v);
		netfs_vcall_finish(v, 0);
		return;
	}
	v->start = view.seq;
	v->set = (struct netfs_setattr){.valid = NETFS_SET_MTIME, .mtime = time_of(&view)};
	ask = netfs_vcall_prepare(v, NETFS_ASK_SETATTR);
	ask->node = netfs_vnode_node(v->vnode);
	ask->set = &v->set;
	ask->op.cred = v->cred;
	netfs_attr_ask(v->mount, v->vnode, &v->asked);
	netfs_vcall_ask(v, told);
}

static void lock(struct netfs_vcall *v, int err)
{
	netfs_vcall_gate(v, v->vnode, locked);
}

void netfs_times_settle(struct netfs_vnode *vnode)
{
	struct netfs_inode_view view;
	struct netfs_vcall *v;

	if (!due(vnode, &view))
		return;
	/* Without memory it is shown here, and told after the next write. */
	v = netfs_vcall_new_raw(vnode->mount, NULL, true);
	if (!v)
		return;
	v->vnode = netfs_vnode_get(vnode);
	netfs_mutex_lock(&vnode->mutex);
	v->cred = (struct netfs_cred){.uid = vnode->attr.uid, .gid = vnode->attr.gid};
	netfs_mutex_unlock(&vnode->mutex);
	netfs_vcall_start(v, lock);
}
