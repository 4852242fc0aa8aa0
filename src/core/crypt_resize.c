/* SPDX-License-Identifier: MIT */
/*
 * Changing the size of an encrypted file.
 *
 * The bytes of the last block depend on its length, so a file that is cut
 * inside a block, or grows from inside one, needs that block written anew.
 *
 *	shorter	fetch the block -> dirty -> (server cuts) -> flush
 *	longer	flush all -> fetch the block -> longer by zeroes -> flush
 *		-> (server grows)
 *
 * When a file grows nothing is ever lost: its last block is full, or as long as
 * it will be, before the server is told.  When it is cut the server's block is
 * unreadable from the cut to the end of the flush, and dirty here meanwhile.
 */
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <errno.h>
#include <string.h>

/* One preparation; freed before done is told. */
struct netfs_crypt_resize {
	struct netfs_completion flush;
	struct netfs_completion *done;
	struct netfs_inode *inode;
	uint64_t size;
	bool over; /* only downloads of more than was needed are left */
	int err; /* with which it ends then */
};

static void finish(struct netfs_crypt_resize *resize, int err, struct netfs_news *news)
{
	struct netfs_completion *done = resize->done;

	/* What was asked for may have been widened, and nothing may be on its way
	 * when the size changes. */
	if (resize->inode->downloads) {
		resize->over = true;
		resize->err = err;
		resize->inode->crypt_resize = resize;
		return;
	}
	netfs_free(resize);
	done->err = err;
	netfs_ranges_init(&done->awaited);
	netfs_list_push_back(&news->done, &done->link);
}

static void grown_flushed(struct netfs_completion *flush, int err)
{
	struct netfs_crypt_resize *resize =
		netfs_container_of(flush, struct netfs_crypt_resize, flush);
	struct netfs_inode *inode = resize->inode;
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	finish(resize, err, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

/* [from, to) becomes zeroes that the server does not have. */
static int write_zeroes(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	int err = netfs_ranges_reserve(&folio->valid, 1);

	if (!err)
		err = netfs_folio_own(folio, from, to);
	if (!err)
		err = netfs_crypt_dirty(folio, from, to);
	if (err)
		return err;
	netfs_ranges_add(&folio->valid, from, to);
	memset(netfs_folio_at(folio, from), 0, to - from);
	folio->inode->seq++;
	return 0;
}

/* The block is longer by zeroes, here; the server is next. */
static int lengthen(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	int err = write_zeroes(folio, from, to);

	if (!err)
		folio->inode->size = to;
	return err;
}

int netfs_inode_write_zeroes(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	struct netfs_folio *folio;
	struct netfs_news news;
	int err = -ENOMEM;

	if (start >= end)
		return 0;
	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	netfs_assert(end <= inode->size);
	folio = netfs_folio_make(inode, start, NETFS_PAGE_SIZE, true);
	if (folio)
		err = write_zeroes(folio, start, end);
	netfs_upload_consider(inode, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
	return err;
}

/* The block that changes its length is here. */
static int change(struct netfs_crypt_resize *resize, struct netfs_folio *folio, uint64_t end)
{
	struct netfs_inode *inode = resize->inode;
	uint64_t block = netfs_crypt_down(end), to = block + NETFS_CRYPT_BLOCK;
	int err = netfs_crypt_dirty(folio, block, end);

	if (!err && resize->size > end && inode->size == end)
		err = lengthen(folio, end, to < resize->size ? to : resize->size);
	return err;
}

/* Fetches and changes the block.  Under the mutex; err: of the last try. */
static void step(struct netfs_crypt_resize *resize, int err, struct netfs_news *news)
{
	struct netfs_inode *inode = resize->inode;
	uint64_t end = resize->size < inode->remote_size ? resize->size : inode->remote_size;
	struct netfs_range range = {netfs_crypt_down(end), end}, want = range;
	struct netfs_folio *folio;

	inode->crypt_resize = NULL;
	if (err || range.from == end || resize->size == inode->remote_size) {
		finish(resize, err, news);
		return;
	}
	folio = netfs_folio_make(inode, range.from, NETFS_PAGE_SIZE, true);
	err = folio ? 0 : -ENOMEM;
	if (!err && !netfs_ranges_covers(&folio->valid, range.from, end))
		err = netfs_read_want(inode, NULL, &want, NETFS_WANT_NOW, news);
	if (!err && !netfs_ranges_covers(&folio->valid, range.from, end)) {
		inode->crypt_resize = resize;
		return;
	}
	if (!err)
		err = change(resize, folio, end);
	netfs_upload_consider(inode, news);
	/* A shorter block is sent when the server has cut the old one. */
	if (err || resize->size < inode->remote_size) {
		finish(resize, err, news);
		return;
	}
	resize->flush.fn = grown_flushed;
	resize->flush.locked = true;
	netfs_flush_start(inode, 0, UINT64_MAX, &resize->flush, news);
}

/* The first step.  What is here of the block and not ours is read again: others
 * may have changed it. */
static void begin(struct netfs_crypt_resize *resize, int err, struct netfs_news *news)
{
	struct netfs_inode *inode = resize->inode;
	uint64_t end = resize->size < inode->remote_size ? resize->size : inode->remote_size;
	struct netfs_range range = {netfs_crypt_down(end), netfs_crypt_up(end)};
	struct netfs_handle *handle = NULL;

	if (!err && resize->size != inode->remote_size)
		handle = netfs_inode_handle(inode, false);
	if (handle) {
		netfs_handle_put(handle); /* the inode's list holds it too */
		netfs_inode_forget_clean(inode, range.from, range.to);
		netfs_cache_invalidate(inode, range.from, range.to);
	}
	step(resize, err, news);
}

void netfs_crypt_resize_again(struct netfs_inode *inode, int err, struct netfs_news *news)
{
	struct netfs_crypt_resize *resize = netfs_take(inode->crypt_resize);

	if (resize->over)
		finish(resize, resize->err, news);
	else
		step(resize, err, news);
}

/* What was dirty is at the server: a file that grows has the server's length. */
static void all_flushed(struct netfs_completion *flush, int err)
{
	struct netfs_crypt_resize *resize =
		netfs_container_of(flush, struct netfs_crypt_resize, flush);
	struct netfs_inode *inode = resize->inode;
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	begin(resize, err, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

void netfs_inode_prepare_resize(struct netfs_inode *inode, uint64_t size,
				struct netfs_completion *done)
{
	struct netfs_crypt_resize *resize = NULL;
	struct netfs_news news;

	if (inode->core->crypt)
		resize = netfs_zalloc(sizeof(*resize));
	if (!resize) {
		done->fn(done, inode->core->crypt ? -ENOMEM : 0);
		return;
	}
	resize->inode = inode;
	resize->size = size;
	resize->done = done;
	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	if (size > inode->remote_size && (inode->dirty || inode->uploading)) {
		resize->flush.fn = all_flushed;
		resize->flush.locked = true;
		netfs_flush_start(inode, 0, UINT64_MAX, &resize->flush, &news);
	} else {
		begin(resize, 0, &news);
	}
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}
