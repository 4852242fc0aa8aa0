/* SPDX-License-Identifier: MIT */
/*
 * Downloads of encrypted files.
 *
 * How long the last block is at the server, the server says: it is asked for
 * all of the block, and where it ends early the block ends there.  So a file
 * that somebody else made longer a moment ago is not taken for garbage.  Only a
 * disk cache, which cannot know more than we do, is asked for what we believe.
 *
 * The collector notes how far ciphertext is here without a gap (arrived_to);
 * the request's task decrypts whole blocks up to there with the mutex dropped
 * and moves clear_to.  Segments stay until clear_to passed them.
 *
 *	start     clear_to    arrived_to           end
 *	|  valid  | decrypting | on the way ....... |
 */
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <base/assert.h>
#include <errno.h>
#include <string.h>

/* -------------------------------------------------------------- want */

/* Fills gaps of [from, to) that nobody waits for with zeroes. */
static int fill_zeroes(struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	struct netfs_stats *stats = folio->inode->core->stats;
	struct netfs_range gap, other;

	while (netfs_ranges_next_gap(&folio->valid, from, to, &gap)) {
		if (netfs_ranges_next(&folio->pending, gap.from, gap.to, &other)) {
			if (other.from == gap.from) {
				from = other.to;
				continue;
			}
			gap.to = other.from;
		}
		if (netfs_ranges_add(&folio->valid, gap.from, gap.to))
			return -ENOMEM;
		memset(netfs_folio_at(folio, gap.from), 0, gap.to - gap.from);
		netfs_count_n(stats, read_zeroes, gap.to - gap.from);
		from = gap.to;
	}
	return 0;
}

/* How far the server has nothing but zeroes from block on, by whole blocks. */
static uint64_t zeroes_to(const struct netfs_inode *inode, uint64_t block, uint64_t end)
{
	struct netfs_range zero;

	if (block >= inode->remote_size)
		return end;
	if (!netfs_ranges_next(&inode->zero, block, end, &zero) || zero.from != block)
		return block;
	if (zero.to >= inode->remote_size || zero.to >= end)
		return end;
	return netfs_crypt_down(zero.to);
}

/* Whole blocks of which nothing is here, on its way or known. */
static uint64_t missing_to(const struct netfs_inode *inode, const struct netfs_folio *folio,
			   const struct netfs_range *gap)
{
	uint64_t to = gap->to < inode->remote_size ? gap->to : inode->remote_size;
	struct netfs_range other;

	if (netfs_ranges_next(&folio->pending, gap->from, to, &other))
		to = other.from;
	if (gap->from < to && netfs_ranges_next(&inode->zero, gap->from, to, &other))
		to = other.from;
	to = netfs_crypt_down(to);
	return to > gap->from ? to : gap->from;
}

/* Is a byte of [from, to) neither here nor on its way? */
static bool lacks(const struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	struct netfs_range gap;

	while (from < to && netfs_ranges_next_gap(&folio->valid, from, to, &gap)) {
		if (!netfs_ranges_covers(&folio->pending, gap.from, gap.to))
			return true;
		from = gap.to;
	}
	return false;
}

static uint64_t ask_to(struct netfs_inode *inode, uint64_t block)
{
	uint64_t end = block + NETFS_CRYPT_BLOCK, from, to;

	if (end <= inode->remote_size || !inode->cookie ||
	    !inode->cookie->ops->present(inode->cookie, block, inode->remote_size, &from, &to))
		return end;
	return from == block && to == inode->remote_size ? to : end;
}

/* A block of which something is here, or that the server's file ends in. */
static int look_at_block(struct netfs_folio *folio, uint64_t block, uint64_t end,
			 struct netfs_crypt_piece *piece)
{
	struct netfs_inode *inode = folio->inode;
	uint64_t server = end < inode->remote_size ? end : inode->remote_size;
	int err = server < end ? fill_zeroes(folio, server, end) : 0;

	piece->next = end;
	if (err || !lacks(folio, block, server))
		return err;
	piece->from = block;
	piece->to = ask_to(inode, block);
	piece->beside = true;
	return 0;
}

int netfs_crypt_look(struct netfs_inode *inode, struct netfs_folio *folio,
		     const struct netfs_range *range, struct netfs_crypt_piece *ret_piece)
{
	uint64_t block, end, to;
	struct netfs_range gap;

	*ret_piece = (struct netfs_crypt_piece){.next = range->to};
	if (!netfs_ranges_next_gap(&folio->valid, netfs_crypt_down(range->from), range->to, &gap))
		return 0;
	block = netfs_crypt_down(gap.from);
	to = zeroes_to(inode, block, range->to);
	if (to > block) {
		ret_piece->next = to;
		return fill_zeroes(folio, block, to);
	}
	if (gap.from == block) {
		to = missing_to(inode, folio, &gap);
		if (to > block) {
			ret_piece->from = block;
			ret_piece->to = ret_piece->next = to;
			return 0;
		}
	}
	end = block + NETFS_CRYPT_BLOCK;
	return look_at_block(folio, block, end < inode->size ? end : inode->size, ret_piece);
}

/* Marks what is missing of the piece as on its way. */
static int await(struct netfs_folio *folio, const struct netfs_crypt_piece *piece)
{
	const struct netfs_inode *inode = folio->inode;
	uint64_t from = piece->from, to = piece->to;
	struct netfs_range gap;
	int err = 0;

	if (to > inode->remote_size)
		to = inode->remote_size;
	if (to > inode->size)
		to = inode->size;
	while (!err && netfs_ranges_next_gap(&folio->valid, from, to, &gap)) {
		err = netfs_ranges_add(&folio->pending, gap.from, gap.to);
		from = gap.to;
	}
	return err;
}

int netfs_crypt_request(struct netfs_request *req, struct netfs_folio *folio,
			const struct netfs_crypt_piece *piece)
{
	struct netfs_block *beside = NULL;
	int err;

	if (piece->beside) {
		beside = netfs_block_new(folio->inode, NETFS_CRYPT_BLOCK, true);
		if (!beside)
			return -ENOMEM;
	}
	err = await(folio, piece);
	if (!err)
		err = netfs_request_add(req, folio, piece->from, piece->to);
	if (err) {
		/* Others who wait for a part of it ask again. */
		netfs_read_forsake(folio, piece->from, piece->to);
		if (beside)
			netfs_block_put(beside);
		return err;
	}
	if (beside) {
		struct netfs_seg *seg = &req->segs[req->nsegs - 1];

		netfs_block_put(seg->block);
		seg->block = beside;
	}
	return 0;
}

void netfs_crypt_one_place(const struct netfs_inode *inode, uint64_t end, uint64_t *from,
			   uint64_t *to)
{
	if (!inode->core->crypt)
		return;
	*from = netfs_crypt_up(*from);
	if (*to < end)
		*to = netfs_crypt_down(*to);
}

uint64_t netfs_crypt_again(const struct netfs_inode *inode, uint64_t pos)
{
	return inode->core->crypt ? netfs_crypt_down(pos) : pos;
}

/* ----------------------------------------------------------- decrypt */

/* One segment's share of [from, to), with the mutex dropped.  Nobody else
 * looks at the bytes of a download. */
static int decrypt_seg(struct netfs_request *req, const struct netfs_seg *seg,
		       const struct netfs_range *range, uint64_t eof)
{
	uint64_t from = range->from > seg->from ? range->from : seg->from;
	uint64_t to = range->to < seg->to ? range->to : seg->to;
	uint64_t end = to < eof ? to : eof;
	uint8_t *at = seg->block->data + (from & (seg->block->size - 1));

	if (from >= to)
		return 0;
	if (end < from)
		end = from;
	memset(at + (end - from), 0, to - end);
	return netfs_crypt_decrypt(req->inode->core->crypt, NETFS_CRYPT_TWEAK, from, at, at,
				   end - from);
}

static int decrypt_range(struct netfs_request *req, const struct netfs_range *range, unsigned first,
			 uint64_t eof)
{
	int err = 0;

	for (unsigned i = first; i < req->nsegs && req->segs[i].from < range->to && !err; i++)
		err = decrypt_seg(req, &req->segs[i], range, eof);
	return err;
}

/* Nothing will come from that block on.  What of it nobody writes into any more,
 * up to to, is settled now, the rest as it ends. */
static void give_up(struct netfs_request *req, uint64_t from, uint64_t to, int err)
{
	if (from < req->clear_to)
		from = req->clear_to;
	req->bad_from = from;
	req->arrived_to = from;
	netfs_read_settle(req, from, to, err);
}

/* The cache gets what the server has.  What follows its end is zero here, but a
 * last block that was made longer by that would not be the server's. */
static void copy_fresh(struct netfs_request *req, const struct netfs_range *range,
		       struct netfs_news *news)
{
	uint64_t size = req->inode->size < req->eof_at ? req->inode->size : req->eof_at;
	uint64_t end = range->to < size ? range->to : size, pos = range->from;
	struct netfs_range part;

	while (netfs_ranges_next(&req->fresh, pos, end, &part)) {
		netfs_cache_copy(req, part.from, part.to, news);
		pos = part.to;
	}
}

/* What is here and not decrypted; false: no whole block. */
static bool next_range(const struct netfs_request *req, struct netfs_range *ret_range)
{
	ret_range->from = req->clear_to;
	ret_range->to = req->arrived_to == req->end ? req->end : netfs_crypt_down(req->arrived_to);
	return ret_range->from < ret_range->to;
}

static void decrypt_run(struct netfs_request *req)
{
	struct netfs_inode *inode = req->inode;
	struct netfs_range range;
	struct netfs_news news;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	while (next_range(req, &range)) {
		unsigned first = req->collect_seg;
		uint64_t eof = req->eof_at;
		int err;

		netfs_mutex_unlock(&inode->mutex);
		err = decrypt_range(req, &range, first, eof);
		netfs_mutex_lock(&inode->mutex);
		if (err) {
			give_up(req, range.from, req->arrived_to, err);
			continue;
		}
		req->clear_to = range.to;
		netfs_read_settle(req, range.from, range.to, 0);
		copy_fresh(req, &range, &news);
		netfs_request_advance(req);
	}
	req->crypt_busy = false;
	netfs_read_wake(inode, &news);
	netfs_request_collect(req, &news);
	netfs_request_put(req, NETFS_REF_CRYPT, &news);
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
}

/* ----------------------------------------------------------- collect */

void netfs_crypt_note_eof(struct netfs_subrequest *sub)
{
	uint64_t eof = sub->slice.start + sub->moved;

	if (eof < sub->req->eof_at)
		sub->req->eof_at = eof;
}

/* Why nothing comes from bad_from on. */
static int why_bad(const struct netfs_request *req)
{
	int err = req->stream[NETFS_STREAM_SERVER].error;

	return err ? err : -EIO;
}

void netfs_crypt_read_collect(struct netfs_subrequest *sub, struct netfs_news *news)
{
	struct netfs_request *req = sub->req;
	uint64_t got = sub->start + sub->transferred, end = sub->start + sub->len;
	struct netfs_range range;

	if (req->bad_from != UINT64_MAX) {
		/* It may have come, but what lies before it did not. */
		netfs_read_settle(req, sub->start, end, sub->error ? sub->error : why_bad(req));
	} else {
		/* Without memory for it the cache gets less. */
		if (!sub->cache && !req->check && req->inode->cookie && got > sub->start)
			netfs_ranges_add(&req->fresh, sub->start, got);
		req->arrived_to = got;
		if (got < end)
			give_up(req, netfs_crypt_down(got), end, sub->error);
	}
	if (!req->crypt_busy && next_range(req, &range)) {
		req->crypt_busy = true;
		netfs_request_get(req, NETFS_REF_CRYPT);
		netfs_task_post(&req->crypt_task);
	}
	netfs_read_wake(req->inode, news);
}

/* The upload that waited for it looks again. */
static void upload_again(struct netfs_request *req, struct netfs_news *news)
{
	struct netfs_range range = {req->start, req->end};
	struct netfs_inode *inode = req->inode;
	int err = req->stream[NETFS_STREAM_SERVER].error;

	if (req->bad_from != UINT64_MAX)
		err = why_bad(req);
	if (inode->crypt_resize)
		netfs_crypt_resize_again(inode, req->for_upload && !req->check ? err : 0, news);
	if (!req->check)
		return;
	netfs_crypt_stay_fresh(inode);
	if (err == -ESTALE)
		netfs_write_lose(inode, news);
	else if (err)
		netfs_write_stuck(inode, &range, err, news);
	else
		netfs_upload_some(inode, news);
}

void netfs_crypt_read_finish(struct netfs_request *req, struct netfs_news *news)
{
	struct netfs_stream *stream = &req->stream[NETFS_STREAM_SERVER];
	int err = why_bad(req);

	/* What was given up before may be on its way again, in another request. */
	if (req->bad_from != UINT64_MAX && stream->issued_to < req->end)
		netfs_read_settle(req, stream->issued_to, req->end, err);
	else if (req->bad_from == UINT64_MAX && req->clear_to < req->end)
		give_up(req, req->clear_to, req->end, err);
	while (req->check && req->collect_seg < req->nsegs)
		netfs_request_drop_seg(req);
	upload_again(req, news);
	/* A flush by the holder of the lock may have waited for it. */
	if (req->inode->downloads == 0)
		netfs_flush_wake(req->inode, news);
}

bool netfs_crypt_passed(const struct netfs_request *req, const struct netfs_seg *seg)
{
	return !req->inode->core->crypt || netfs_request_writes(req) || seg->to <= req->clear_to;
}

/* ---------------------------------------------------------- the task */

static void crypt_run(struct netfs_task *task)
{
	struct netfs_request *req = netfs_container_of(task, struct netfs_request, crypt_task);

	if (netfs_request_writes(req))
		netfs_crypt_encrypt_some(req);
	else
		decrypt_run(req);
}

void netfs_crypt_request_init(struct netfs_request *req)
{
	req->bad_from = UINT64_MAX;
	req->eof_at = UINT64_MAX;
	netfs_ranges_init(&req->fresh);
	netfs_task_init(&req->crypt_task, crypt_run);
}
