/* SPDX-License-Identifier: MIT */
/*
 * Writes that are in the journal before they end.
 *
 *	copy into folios, and to the journal's queue -> it is on the disk -> out
 *	                       no room, or it failed -> all of the file is sent
 *	                              -> durable -> its records released -> out
 *
 * Both orders, that of the folios and that of the journal, come from the inode's
 * mutex.  The caller's memory is read once more by the journal, so a write ends
 * when that is over.
 *
 * Where the journal cannot take a write it must not keep older ones either: done
 * again after a crash, they would undo this one.  So their fate is the server's
 * before the write ends.
 *
 * Nothing of a file with records is sent before the journal has a mark of it
 * (netfs_journal_mark()); the file keeps a handle to make it durable with until its
 * last record is released.
 */
#include <core/core_internal.h>
#include <core/io.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <errno.h>
#include <journal/journal.h>

/* Its io's, until that ends. */
struct netfs_journaled {
	struct netfs_journal_write write;
	struct netfs_journal_wait release;
	struct netfs_completion flushed;
	struct netfs_op op;
	struct netfs_io *io;
	ssize_t result;
	uint64_t seq; /* of what is released */
};

int netfs_journaled_new(struct netfs_io *io)
{
	struct netfs_journaled *journaled = netfs_zalloc(sizeof(*journaled));

	if (!journaled)
		return -ENOMEM;
	journaled->io = io;
	netfs_io_state(io)->journaled = journaled;
	return 0;
}

void netfs_journaled_free(struct netfs_journaled *journaled)
{
	netfs_free(journaled);
}

/* ----------------------------------------- where the journal refused it */

static void released(struct netfs_journal_wait *wait, int err)
{
	struct netfs_journaled *journaled =
		netfs_container_of(wait, struct netfs_journaled, release);

	/* A journal that cannot even take that is not found again as it was, or shows
	 * by its age that it is old. */
	netfs_io_complete(journaled->io, journaled->result);
}

static void synced(struct netfs_op *op, int err)
{
	struct netfs_journaled *journaled = netfs_container_of(op, struct netfs_journaled, op);

	if (err) {
		netfs_io_complete(journaled->io, err);
		return;
	}
	journaled->release.done = released;
	netfs_inode_release(netfs_io_state(journaled->io)->inode, journaled->seq,
			    &journaled->release);
}

static void flushed(struct netfs_completion *done, int err)
{
	struct netfs_journaled *journaled =
		netfs_container_of(done, struct netfs_journaled, flushed);
	struct netfs_io_state *state = netfs_io_state(journaled->io);
	struct netfs_be *be = state->opener->handle->be;

	netfs_mutex_lock(&state->inode->mutex);
	state->flush = NULL;
	netfs_mutex_unlock(&state->inode->mutex);
	journaled->op.done = synced;
	if (err || (be->caps & NETFS_BE_STABLE_WRITES))
		synced(&journaled->op, err);
	else
		be->ops->fsync(state->opener->handle, true, &journaled->op);
}

void netfs_journaled_refused(struct netfs_io *io)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_journaled *journaled = state->journaled;
	struct netfs_inode *inode = state->inode;

	netfs_count(inode->core->stats, journal_refused);
	journaled->flushed.fn = flushed;
	netfs_mutex_lock(&inode->mutex);
	journaled->seq = netfs_journal_seq(inode->journal);
	state->flush = &journaled->flushed;
	netfs_mutex_unlock(&inode->mutex);
	netfs_inode_flush(inode, 0, UINT64_MAX, &journaled->flushed);
}

/* ------------------------------------------------------------ the queue */

static void written(struct netfs_journal_wait *wait, int err)
{
	struct netfs_journal_write *write =
		netfs_container_of(wait, struct netfs_journal_write, wait);
	struct netfs_journaled *journaled =
		netfs_container_of(write, struct netfs_journaled, write);

	if (err)
		netfs_journaled_refused(journaled->io);
	else
		netfs_write_finish_io(journaled->io, journaled->result);
}

bool netfs_journaled_queue(struct netfs_io *io, size_t result)
{
	struct netfs_io_state *state = netfs_io_state(io);
	struct netfs_journaled *journaled = state->journaled;

	netfs_assert_held(&state->inode->mutex);
	netfs_count_n(state->inode->core->stats, journal_bytes, result);
	journaled->result = (ssize_t)result;
	journaled->write.wait.done = written;
	journaled->write.start = io->start;
	journaled->write.len = result;
	journaled->write.iov = io->iov;
	return netfs_journal_write(state->inode->journal, &journaled->write) == 0;
}

/* ------------------------------------------------------------ the file */

void netfs_inode_set_journal(struct netfs_inode *inode, struct netfs_journal_file *file)
{
	netfs_mutex_lock(&inode->mutex);
	inode->journal = file;
	netfs_mutex_unlock(&inode->mutex);
}

void netfs_inode_journal_marked(struct netfs_inode *inode)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_upload_some(inode, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

void netfs_inode_journal_idle(struct netfs_inode *inode)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_journal_told(inode->journal);
	netfs_inode_drop_kept(inode, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

void netfs_inode_release(struct netfs_inode *inode, uint64_t seq, struct netfs_journal_wait *wait)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_journal_release(inode->journal, seq, wait);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

void netfs_inode_note_mtime(struct netfs_inode *inode, uint64_t mtime_ns)
{
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_journal_mtime(inode->journal, mtime_ns);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

struct netfs_handle *netfs_inode_writer(struct netfs_inode *inode)
{
	struct netfs_handle *handle;

	netfs_mutex_lock(&inode->mutex);
	handle = netfs_inode_handle(inode, true);
	netfs_mutex_unlock(&inode->mutex);
	return handle;
}
