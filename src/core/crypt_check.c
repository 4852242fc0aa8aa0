/* SPDX-License-Identifier: MIT */
/*
 * What others did to a block of which we changed a part.
 *
 * A block is sent whole.  Where only a part of it is ours (dirty), the rest must
 * be what the server has, or the change of another client is undone.  So such a
 * block is read once more, from the server itself, right before it is sent, and
 * what came replaces the rest:
 *
 *	memory	|rrrrDDDDrr|	D dirty, r as old as the last look at the file
 *	server	|RRRRRRRRRR|	read again
 *	sent	|RRRRDDDDRR|
 *
 * While that is on its way nothing of the folio is sent, so the answer is never
 * older than an upload of ours; what is written meanwhile is dirty and stays.
 * Then the block is fresh: it is sent as soon as what else is under way of the
 * folio has ended, else after FRESH_MS of quiet it is read again.
 *
 * A block that was given to an upload is ours as a whole until that arrived: the
 * server may have half of it, and then nothing there is worth reading.
 */
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <env/clock.h>
#include <errno.h>
#include <string.h>

/* How long after an upload or a check of the file ended. */
#define FRESH_MS 1000

static uint32_t now_ms(void)
{
	return (uint32_t)(netfs_clock_now() / NETFS_NS_PER_MS);
}

static bool fresh(struct netfs_folio *folio, uint64_t block, uint64_t end)
{
	struct netfs_inode *inode = folio->inode;

	if (netfs_ranges_empty(&inode->crypt_fresh))
		return false;
	if (now_ms() - inode->crypt_fresh_ms > FRESH_MS)
		netfs_ranges_clear(&inode->crypt_fresh);
	return netfs_ranges_covers(&inode->crypt_fresh, block, block + NETFS_CRYPT_BLOCK) &&
	       netfs_ranges_covers(&folio->valid, block, end);
}

/* Is the block being read again? */
static bool under_way(const struct netfs_folio *folio, uint64_t block)
{
	struct netfs_list *link;

	if (folio->checks == 0)
		return false;
	netfs_list_for_each (link, &folio->inode->requests) {
		struct netfs_request *req = netfs_container_of(link, struct netfs_request, link);

		if (req->check && req->start == block)
			return true;
	}
	return false;
}

/* Reads the block beside the folio; uses up handle.  Without memory the next
 * look at the file's dirty data does it. */
static void ask(struct netfs_folio *folio, uint64_t block, struct netfs_handle *handle,
		struct netfs_news *news)
{
	struct netfs_inode *inode = folio->inode;
	struct netfs_request *req = NULL;
	struct netfs_block *beside;

	/* To make room for the block the folio must not go. */
	folio->refs++;
	beside = netfs_block_new(inode, NETFS_CRYPT_BLOCK, true);
	netfs_folio_put(folio);
	if (beside)
		req = netfs_request_new(inode, NETFS_ORIGIN_READ, handle);
	if (!req) {
		netfs_handle_put(handle); /* the inode's list holds it too */
	} else if (netfs_request_add(req, folio, block, block + NETFS_CRYPT_BLOCK)) {
		netfs_request_abandon(req, news);
		req = NULL;
	}
	if (!req) {
		if (beside)
			netfs_block_put(beside);
		return;
	}
	netfs_block_put(req->segs[0].block);
	req->segs[0].block = beside;
	req->for_upload = req->check = true;
	folio->checks++;
	netfs_count(inode->core->stats, crypt_checks);
	netfs_request_seal(req, block, block + NETFS_CRYPT_BLOCK);
	netfs_list_push_back(&news->issue, &req->issue);
}

/* Nobody here may read the file: what is in memory or known to be zero has to
 * do. */
static bool without_reading(struct netfs_folio *folio, const struct netfs_range *range,
			    struct netfs_news *news)
{
	struct netfs_range want = *range;
	int err = 0;

	if (!netfs_ranges_covers(&folio->valid, range->from, range->to))
		err = netfs_read_want(folio->inode, NULL, &want, NETFS_WANT_NOW, news);
	if (err && err != -ENOMEM)
		netfs_write_stuck(folio->inode, range, err, news);
	return netfs_ranges_covers(&folio->valid, range->from, range->to);
}

bool netfs_crypt_recheck(struct netfs_folio *folio, uint64_t block, struct netfs_news *news)
{
	struct netfs_inode *inode = folio->inode;
	uint64_t end = block + NETFS_CRYPT_BLOCK;
	struct netfs_handle *handle;

	if (end > inode->size)
		end = inode->size;
	if (netfs_ranges_covers(&folio->dirty, block, end) || fresh(folio, block, end))
		return true;
	if (under_way(folio, block))
		return false;
	handle = netfs_inode_handle(inode, false);
	if (handle) {
		ask(folio, block, handle, news);
		return false;
	}
	return without_reading(folio, &(struct netfs_range){block, end}, news);
}

void netfs_crypt_sent(struct netfs_inode *inode, const struct netfs_range *range)
{
	/* Forgetting too much means reading once more. */
	if (netfs_ranges_remove(&inode->crypt_fresh, range->from, netfs_crypt_up(range->to)))
		netfs_ranges_clear(&inode->crypt_fresh);
}

void netfs_crypt_stay_fresh(struct netfs_inode *inode)
{
	if (!netfs_ranges_empty(&inode->crypt_fresh))
		inode->crypt_fresh_ms = now_ms();
}

/* ------------------------------------------------------------ answer */

/* The server's file reaches at least to end. */
static void longer(struct netfs_inode *inode, uint64_t end)
{
	if (end <= inode->remote_size)
		return;
	netfs_inode_not_zero(inode, inode->remote_size, end);
	inode->remote_size = end;
	if (end <= inode->size)
		return;
	inode->size = end;
	inode->seq++;
}

/* A stretch that is not dirty becomes what the server has. */
static int replace(struct netfs_folio *folio, const struct netfs_range *range, const uint8_t *now)
{
	size_t n = range->to - range->from;
	bool here = netfs_ranges_covers(&folio->valid, range->from, range->to);
	int err;

	if (here && !memcmp(netfs_folio_at(folio, range->from), now, n))
		return 0;
	if (here)
		netfs_count(folio->inode->core->stats, crypt_conflicts);
	err = netfs_ranges_reserve(&folio->valid, 1);
	if (!err)
		err = netfs_folio_own(folio, range->from, range->to);
	if (err)
		return err;
	memcpy(netfs_folio_at(folio, range->from), now, n);
	/* What is still on its way is older. */
	netfs_read_forsake(folio, range->from, range->to);
	return netfs_ranges_add(&folio->valid, range->from, range->to);
}

void netfs_crypt_recheck_settle(struct netfs_request *req)
{
	struct netfs_inode *inode = req->inode;
	const struct netfs_seg *seg = &req->segs[0];
	uint64_t block = seg->from, end = seg->to, pos = block;
	struct netfs_range gap;

	if (seg->gen != seg->folio->gen)
		return;
	longer(inode, req->eof_at < end ? req->eof_at : end);
	if (end > inode->size)
		end = inode->size;
	while (pos < end && netfs_ranges_next_gap(&seg->folio->dirty, pos, end, &gap)) {
		if (replace(seg->folio, &gap, seg->block->data + (gap.from - block)))
			return;
		pos = gap.to;
	}
	if (netfs_ranges_add(&inode->crypt_fresh, block, block + NETFS_CRYPT_BLOCK) == 0)
		netfs_crypt_stay_fresh(inode);
}
