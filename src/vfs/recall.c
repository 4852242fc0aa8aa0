/* SPDX-License-Identifier: MIT */
/*
 * The server takes back what it promised about a file, because somebody else
 * wants to use it, and that somebody waits:
 *
 *	recall --> what is unsent is sent --> what may become old is forgotten --> done
 *
 * Where data cannot be sent it stays, as ever, and the promise goes all the same:
 * the server would take it anyway.  How long that may last is the back end's to
 * decide, which need not wait for done().
 */
#include <unetfs/backend.h>
#include <vfs/vcall.h>

static void recall_sent(struct netfs_vcall *v, int err)
{
	if (v->recall->lost & NETFS_PROMISE_READ)
		netfs_attr_recalled(v->vnode);
	v->recall->done(v->recall);
	netfs_vcall_finish(v, err);
}

static void recall_start(struct netfs_vcall *v, int err)
{
	netfs_vcall_flush(v, v->vnode, 0, UINT64_MAX, recall_sent);
}

void netfs_recall_begin(struct netfs_vnode *vnode, struct netfs_recall *recall)
{
	struct netfs_vcall *v = netfs_vcall_new(vnode->mount, NULL);

	netfs_count(&vnode->mount->stats, recalls);
	/* Being closed, which sends everything too, or out of memory. */
	if (!v) {
		if (recall->lost & NETFS_PROMISE_READ)
			netfs_attr_recalled(vnode);
		recall->done(recall);
		return;
	}
	v->vnode = netfs_vnode_get(vnode);
	v->recall = recall;
	netfs_vcall_start(v, recall_start);
}
