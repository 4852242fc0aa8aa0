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

/* The blocks of [from, *to) before the first one of an upload, which *to becomes;
 * returns where they begin, *to if there are none. */
static uint64_t not_uploading(struct netfs_inode *inode, uint64_t from, uint64_t *to)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &inode->requests) {
		struct netfs_request *req = netfs_container_of(link, struct netfs_request, link);

		for (unsigned i = req->collect_seg; i < req->nsegs && netfs_request_writes(req);
		     i++) {
			uint64_t start = netfs_crypt_down(req->segs[i].from);
			uint64_t end = netfs_crypt_up(req->segs[i].to);

			if (end <= from || start >= *to)
				continue;
			if (start <= from)
				from = end < *to ? end : *to;
			else
				*to = start;
		}
	}
	return from;
}

/* Forgets what is clean and not under upload.  By blocks: the rest of a folio may be
 * on its way to the server for long, and what is read anew must be new. */
static void forget(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t end = to, start = not_uploading(inode, from, &end);

		if (start < end && not_uploading(inode, start, &end) == start) {
			netfs_inode_forget_flushed(inode, start, end);
			netfs_inode_not_zero(inode, start, end);
			start = end;
		}
		from = start;
	}
}

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
		forget(inode, netfs_crypt_down(io->start), netfs_crypt_up(io->start + io->len));
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
	struct netfs_inode *inode = state->inode;
	uint64_t start = io->start, first, end;
	struct netfs_news news;

	netfs_count(inode->core->stats, direct_writes);
	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	if ((io->flags & NETFS_IO_APPEND) || (state->opener->flags & NETFS_OPENER_APPEND))
		start = inode->size;
	/* The last block changes with its length. */
	first = netfs_crypt_down(start < inode->size ? start : inode->size);
	end = netfs_crypt_up(start + io->len);
	forget(inode, first, end);
	netfs_cache_invalidate(inode, first, end);
	netfs_read_wake(inode, &news);
	netfs_news_unlock(&news, inode);
}
