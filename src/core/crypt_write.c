/* SPDX-License-Identifier: MIT */
/*
 * Uploads of encrypted files: which blocks may go, and their ciphertext.
 *
 * A block goes when all of it is here, up to the end of the file.  The rest of
 * one is read right before (crypt_check.c); when that ends the upload is
 * considered again (crypt_read.c), and where it failed the dirty bytes count as
 * stuck like those a server refused.
 *
 * Ciphertext is made by the request's task, one slice's worth at a time and in
 * the order of the file, while what was made before is on the wire.  All of it
 * in a core is bounded; a request of which none is left may always make the
 * next piece, so uploads go on.
 */
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <base/assert.h>
#include <errno.h>

/* Ciphertext of all uploads of a mount; each request may add one piece. */
#define CIPHERTEXT_MAX (UINT64_C(16) << 20)

/* ------------------------------------------------------ what may go */

int netfs_crypt_dirty(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	uint64_t before = netfs_ranges_bytes(&folio->dirty);
	/* Room for what is under upload and may come back. */
	int err = netfs_ranges_reserve(&folio->dirty, 2 + folio->writeback);

	if (err)
		return err;
	netfs_crypt_join(folio);
	netfs_ranges_add(&folio->dirty, from, to);
	netfs_inode_dirtied(folio->inode, folio->group, netfs_ranges_bytes(&folio->dirty) - before);
	return 0;
}

void netfs_crypt_whole(const struct netfs_inode *inode, struct netfs_range *range)
{
	if (!inode->core->crypt)
		return;
	range->from = netfs_crypt_down(range->from);
	range->to = netfs_crypt_up(range->to);
	if (range->to > inode->size)
		range->to = inode->size;
}

static bool block_dirty(const struct netfs_folio *folio, uint64_t block)
{
	return netfs_ranges_overlaps(&folio->dirty, block, block + NETFS_CRYPT_BLOCK);
}

void netfs_crypt_whole_clean(const struct netfs_folio *folio, struct netfs_range *range)
{
	uint64_t first = netfs_crypt_down(range->from), last = netfs_crypt_down(range->to - 1);

	if (!folio->inode->core->crypt)
		return;
	if (block_dirty(folio, first))
		range->from = first + NETFS_CRYPT_BLOCK;
	if (block_dirty(folio, last))
		range->to = last;
}

/* Only the first and the last block of a dirty stretch may be ours in part. */
static bool complete(struct netfs_folio *folio, const struct netfs_range *range,
		     struct netfs_news *news)
{
	uint64_t last = netfs_crypt_down(range->to - 1);
	bool whole = netfs_crypt_recheck(folio, range->from, news);

	return (last == range->from || netfs_crypt_recheck(folio, last, news)) && whole;
}

bool netfs_crypt_next(struct netfs_folio *folio, uint64_t *pos, uint64_t limit,
		      struct netfs_range *ret_range, struct netfs_news *news)
{
	uint64_t size = folio->inode->size, end = netfs_folio_end(folio);
	struct netfs_range range;

	while (netfs_ranges_next(&folio->dirty, *pos, end, &range)) {
		range.from = netfs_crypt_down(range.from);
		range.to = netfs_crypt_up(range.to);
		if (range.to > size)
			range.to = size;
		if (range.to > limit)
			range.to = limit;
		if (range.from >= range.to)
			return false;
		*pos = range.to;
		if (!complete(folio, &range, news) ||
		    netfs_crypt_dirty(folio, range.from, range.to))
			continue;
		netfs_crypt_sent(folio->inode, &range);
		*ret_range = range;
		return true;
	}
	return false;
}

/* How far the server's file will reach when all uploads under way arrived. */
static uint64_t reach(struct netfs_inode *inode, bool *ret_under_way)
{
	uint64_t end = inode->remote_size;
	struct netfs_list *link;

	*ret_under_way = false;
	netfs_list_for_each (link, &inode->requests) {
		struct netfs_request *req = netfs_container_of(link, struct netfs_request, link);

		/* One that is being built is empty; one that arrived may still be
		 * at the cache. */
		if (req->origin != NETFS_ORIGIN_WRITEBACK || req->nsegs == 0 || req->end < end ||
		    req->stream[NETFS_STREAM_SERVER].collected_to == req->end)
			continue;
		end = req->end;
		*ret_under_way = true;
	}
	return end;
}

/*
 * The server's file ends inside a block, and ours goes on: before anything
 * behind that block is sent it must be there in its new length.
 */
uint64_t netfs_crypt_limit(struct netfs_inode *inode, struct netfs_news *news)
{
	struct netfs_folio *folio;
	bool under_way;
	uint64_t end = reach(inode, &under_way), block = netfs_crypt_down(end);

	if (!under_way || inode->remote_size >= inode->crypt_tail ||
	    inode->remote_size == inode->size)
		inode->crypt_tail = 0;
	if (inode->crypt_tail)
		return inode->crypt_tail;

	if (end == block || end >= inode->size)
		return UINT64_MAX;
	if (under_way)
		return block + NETFS_CRYPT_BLOCK;
	folio = netfs_folio_make(inode, block, NETFS_PAGE_SIZE, true);
	if (folio && netfs_crypt_recheck(folio, block, news) &&
	    !netfs_crypt_dirty(folio, block, end))
		inode->crypt_tail = block + NETFS_CRYPT_BLOCK;
	return block + NETFS_CRYPT_BLOCK;
}

/* [from, to) belongs to a block that is dirty elsewhere. */
static void torn_part(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	struct netfs_folio *folio;

	if (from >= to)
		return;
	folio = netfs_folio_index_find(&inode->folios, from);
	/* What is not here cannot be sent again; the block stays as it is. */
	if (folio && block_dirty(folio, netfs_crypt_down(from)) &&
	    netfs_ranges_covers(&folio->valid, from, to))
		netfs_crypt_dirty(folio, from, to);
}

void netfs_crypt_torn(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	struct netfs_range whole = {from, to};

	if (!inode->core->crypt)
		return;
	netfs_crypt_whole(inode, &whole);
	torn_part(inode, whole.from, from);
	torn_part(inode, to, whole.to);
}

/* --------------------------------------------------------- ciphertext */

static bool encrypts(const struct netfs_request *req)
{
	return req->inode->core->crypt && netfs_request_writes(req);
}

unsigned netfs_crypt_ready(const struct netfs_request *req)
{
	return encrypts(req) ? req->crypt_seg : req->nsegs;
}

size_t netfs_crypt_trim(const struct netfs_request *req, uint64_t start, size_t len, size_t most)
{
	uint64_t end;

	if (len <= most)
		return len;
	end = netfs_crypt_down(start + most);
	return req->inode->core->crypt && end > start ? end - start : most;
}

void netfs_crypt_prepare(struct netfs_request *req)
{
	struct netfs_core *core = req->inode->core;

	if (!encrypts(req) || req->crypt_busy || req->crypt_seg == req->nsegs ||
	    netfs_request_failed(req) || (req->crypt_short && req->timer_armed))
		return;
	if (atomic_load_explicit(&core->ciphertext, memory_order_relaxed) >= CIPHERTEXT_MAX &&
	    req->collect_seg < req->crypt_seg)
		return;
	req->crypt_busy = true;
	netfs_request_get(req, NETFS_REF_CRYPT);
	netfs_task_post(&req->crypt_task);
}

void netfs_crypt_let_go(struct netfs_request *req)
{
	if (encrypts(req) && req->crypt_seg < req->nsegs)
		req->reissue = true;
}

/* What of seg is encrypted: what one of the streams takes. */
static struct netfs_range share(const struct netfs_request *req, const struct netfs_seg *seg)
{
	if (req->origin == NETFS_ORIGIN_COPY)
		return (struct netfs_range){seg->cache_from, seg->cache_to};
	return (struct netfs_range){seg->from, seg->to};
}

static int make_room(struct netfs_request *req, struct netfs_seg *seg)
{
	struct netfs_range range = share(req, seg);
	uint32_t size = NETFS_CRYPT_BLOCK;

	if (range.from == range.to)
		return 0;
	while (size < range.to - range.from)
		size *= 2;
	seg->cipher = netfs_block_new(req->inode, size, true);
	if (!seg->cipher)
		return -ENOMEM;
	seg->cipher_at = range.from;
	atomic_fetch_add_explicit(&req->inode->core->ciphertext, size, memory_order_relaxed);
	return 0;
}

void netfs_crypt_drop_seg(struct netfs_request *req, struct netfs_seg *seg)
{
	if (req->check)
		seg->folio->checks--;
	if (!seg->cipher)
		return;
	atomic_fetch_sub_explicit(&req->inode->core->ciphertext, seg->cipher->size,
				  memory_order_relaxed);
	netfs_block_put(seg->cipher);
	seg->cipher = NULL;
}

/* Memory for about a slice from crypt_seg on; the segment behind the last. */
static unsigned make_some_room(struct netfs_request *req)
{
	unsigned i = req->crypt_seg;
	uint64_t bytes = 0;

	while (i < req->nsegs && bytes < req->inode->core->wsize) {
		bytes += req->segs[i].to - req->segs[i].from;
		if (make_room(req, &req->segs[i]))
			break;
		i++;
	}
	return i;
}

/* With the mutex dropped: the request's blocks stay as they are. */
static int encrypt_seg(struct netfs_request *req, struct netfs_seg *seg)
{
	struct netfs_range range = share(req, seg);

	if (!seg->cipher)
		return 0;
	return netfs_crypt_encrypt(req->inode->core->crypt, NETFS_CRYPT_TWEAK, range.from,
				   seg->block->data + (range.from & (seg->block->size - 1)),
				   seg->cipher->data, range.to - range.from);
}

void netfs_crypt_encrypt_some(struct netfs_request *req)
{
	struct netfs_inode *inode = req->inode;
	unsigned from, to, done;

	netfs_mutex_lock(&inode->mutex);
	from = done = req->crypt_seg;
	to = make_some_room(req);
	netfs_mutex_unlock(&inode->mutex);
	while (done < to && encrypt_seg(req, &req->segs[done]) == 0)
		done++;
	netfs_mutex_lock(&inode->mutex);
	for (unsigned i = done; i < to; i++)
		netfs_crypt_drop_seg(req, &req->segs[i]);
	req->crypt_seg = done;
	req->crypt_busy = false;
	req->crypt_short = done == from;
	if (req->crypt_short)
		netfs_request_later(req);
	netfs_mutex_unlock(&inode->mutex);
	netfs_request_issue(req, NETFS_REF_CRYPT);
}
