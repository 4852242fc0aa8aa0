/* SPDX-License-Identifier: MIT */
/*
 * Reads past the cache of encrypted files.  Folios serve as bounce buffers: what
 * is here of the range is sent, then forgotten, and then the read is like any
 * other.  Writes past the cache are buffered writes that forget what is clean in
 * their blocks first and end with a flush of their range (write.c).
 *
 * Locks: the inode's mutex.
 */
#include <core/crypt_stage.h>
#include <core/io.h>
#include <env/alloc.h>
#include <errno.h>

/* The flush that comes first; lives until it is told. */
struct flush {
	struct netfs_completion done;
	struct netfs_io *io;
};

static void flushed(struct netfs_completion *done, int err)
{
	struct flush *flush = netfs_container_of(done, struct flush, done);
	struct netfs_io *io = flush->io;
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode *inode = state->inode;
	struct netfs_news news;

	netfs_free(flush);
	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	state->flush = NULL;
	if (!err)
		netfs_inode_forget_clean(inode, netfs_crypt_down(io->start),
					 netfs_crypt_up(io->start + io->len));
	netfs_read_wake(inode, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
	if (err)
		netfs_io_complete(io, err);
	else
		netfs_read_start(io);
}

void netfs_crypt_direct_read(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct flush *flush;

	/* What came has to be decrypted, and that is waited for. */
	if (io->flags & NETFS_IO_NOWAIT) {
		netfs_io_complete(io, -EAGAIN);
		return;
	}
	netfs_count(state->inode->core->stats, direct_reads);
	flush = netfs_zalloc(sizeof(*flush));
	if (!flush) {
		netfs_io_complete(io, -ENOMEM);
		return;
	}
	flush->done.fn = flushed;
	flush->io = io;
	netfs_mutex_lock(&state->inode->mutex);
	state->flush = &flush->done;
	netfs_mutex_unlock(&state->inode->mutex);
	netfs_inode_flush(state->inode, io->start, io->start + io->len, &flush->done);
}

void netfs_crypt_direct_write(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_inode_view view;
	uint64_t start = io->start, first;

	netfs_count(state->inode->core->stats, direct_writes);
	netfs_inode_view(state->inode, &view);
	if ((io->flags & NETFS_IO_APPEND) || (state->opener->flags & NETFS_OPENER_APPEND))
		start = view.size;
	/* The last block changes with its length. */
	first = start < view.size ? start : view.size;
	netfs_inode_invalidate(state->inode, netfs_crypt_down(first),
			       netfs_crypt_up(start + io->len));
}
