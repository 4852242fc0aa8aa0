/* SPDX-License-Identifier: MIT */
/*
 * Groups of writes (group.c) to encrypted files.
 *
 * A block is sent whole, and so are the bytes of its length, so it must not hold
 * bytes of two groups that are not at the server: all unsent data of a file
 * belongs to one group.  A write of a newer group to a file with older data has
 * that sent first and waits for it; files that have none go on at once.
 *
 *	file	| group 1, unsent |		write of group 2 arrives
 *		| group 1, on its way |		it waits
 *		| clean |			it enters; sent when group 1 is
 *						durable everywhere
 *
 * The other way, to freeze the older block as plain files do, is not open: its
 * rest is not here when it is frozen, and what it is read from later may have
 * been cut or made longer by then (doc/decisions/0006-groups-of-encrypted-files.md).
 *
 * Locks: the inode's mutex unless said otherwise.
 */
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/io.h>
#include <env/alloc.h>
#include <errno.h>

/* The flush that comes first; lives until it is told. */
struct older {
	struct netfs_completion done;
	struct netfs_io *io;
};

static bool unsent(const struct netfs_inode *inode)
{
	return inode->dirty || inode->uploading;
}

void netfs_crypt_join(struct netfs_folio *folio)
{
	struct netfs_inode *inode = folio->inode;

	if (!unsent(inode))
		inode->crypt_group =
			atomic_load_explicit(&inode->core->group, memory_order_acquire);
	folio->group = inode->crypt_group;
}

bool netfs_crypt_older(const struct netfs_inode *inode)
{
	uint32_t group = atomic_load_explicit(&inode->core->group, memory_order_acquire);

	return inode->core->crypt && unsent(inode) && inode->crypt_group != group;
}

bool netfs_crypt_closed(const struct netfs_inode *inode)
{
	return inode->core->crypt && unsent(inode) &&
	       !netfs_group_is_open(inode->core, inode->crypt_group);
}

static void older_sent(struct netfs_completion *done, int err)
{
	struct older *older = netfs_container_of(done, struct older, done);
	struct netfs_io *io = older->io;
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;

	netfs_free(older);
	netfs_mutex_lock(&inode->mutex);
	state->flush = NULL;
	netfs_mutex_unlock(&inode->mutex);
	if (err)
		netfs_io_complete(io, err);
	else
		netfs_io_resume(state);
}

void netfs_crypt_wait_older(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct older *older;

	if (io->flags & NETFS_IO_NOWAIT) {
		netfs_io_complete(io, -EAGAIN);
		return;
	}
	older = netfs_zalloc(sizeof(*older));
	if (!older) {
		netfs_io_complete(io, -ENOMEM);
		return;
	}
	older->done.fn = older_sent;
	older->io = io;
	netfs_count(state->inode->core->stats, group_waits);
	netfs_mutex_lock(&state->inode->mutex);
	state->flush = &older->done;
	netfs_mutex_unlock(&state->inode->mutex);
	netfs_inode_flush(state->inode, 0, UINT64_MAX, &older->done);
}
