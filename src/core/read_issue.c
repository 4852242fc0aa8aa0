/* SPDX-License-Identifier: MIT */
/*
 * What a read has to ask for.
 *
 *	file      |  valid  |  pending  |  missing  |  known zero  | missing |
 *	              take     join        request     fill in        request
 *
 * Walks a range folio by folio, makes folios where there are none, fills in
 * what is known to be zero, leaves alone what is here or on its way, and puts
 * the rest into requests.  All under the inode's mutex; the requests are
 * handed to the issuer once it is dropped.
 */
#include <core/core_internal.h>
#include <core/crypt_stage.h>
#include <core/folio.h>
#include <core/io.h>
#include <base/assert.h>
#include <base/limits.h>
#include <errno.h>
#include <string.h>

/* A walk over the range, and the request it is filling. */
struct walk {
	struct netfs_inode *inode;
	struct netfs_opener *opener;
	struct netfs_news *news;
	struct netfs_request *req;
	uint64_t first; /* of the request */
	uint64_t last;
	uint32_t wanted; /* size of new folios */
	bool readahead;
};

static void close_request(struct walk *walk)
{
	if (!walk->req)
		return;
	netfs_request_seal(walk->req, walk->first, walk->last);
	netfs_list_push_back(&walk->news->issue, &walk->req->issue);
	walk->req = NULL;
}

static int open_request(struct walk *walk, uint64_t pos)
{
	enum netfs_origin origin = walk->readahead ? NETFS_ORIGIN_READAHEAD : NETFS_ORIGIN_READ;
	struct netfs_handle *handle;

	if (walk->opener && walk->opener->handle->readable)
		handle = netfs_handle_get(walk->opener->handle);
	else
		handle = netfs_inode_handle(walk->inode, false);
	if (!handle)
		return -EBADF;
	walk->req = netfs_request_new(walk->inode, origin, handle);
	if (!walk->req) {
		/* The opener holds it too, so this is not the last one. */
		netfs_handle_put(handle);
		return -ENOMEM;
	}
	walk->req->for_upload = !walk->opener;
	walk->first = pos;
	walk->last = pos;
	return 0;
}

/* A request that has room for what begins at from. */
static int have_request(struct walk *walk, uint64_t from)
{
	if (walk->req && (walk->req->nsegs >= NETFS_REQUEST_SEGS_MAX ||
			  walk->last - walk->first >= NETFS_REQUEST_BYTES_MAX))
		close_request(walk);
	return walk->req ? 0 : open_request(walk, from);
}

/* Puts [from, to) of folio on its way. */
static int request_range(struct walk *walk, struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	int err = have_request(walk, from);

	if (err)
		return err;
	err = netfs_ranges_add(&folio->pending, from, to);
	if (err)
		return err;
	err = netfs_request_add(walk->req, folio, from, to);
	if (err) {
		/* Removing what was just added gives memory back. */
		netfs_ranges_remove(&folio->pending, from, to);
		return err;
	}
	walk->last = to;
	if (walk->readahead)
		netfs_count_n(walk->inode->core->stats, readahead_bytes, to - from);
	return 0;
}

static int fill_zeroes(struct walk *walk, struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	int err = netfs_ranges_add(&folio->valid, from, to);

	if (err)
		return err;
	memset(netfs_folio_at(folio, from), 0, to - from);
	netfs_count_n(walk->inode->core->stats, read_zeroes, to - from);
	return 0;
}

/* What lies at pos of an encrypted file, by whole blocks. */
static int crypt_step(struct walk *walk, struct netfs_folio *folio, const struct netfs_range *range,
		      uint64_t *ret_next)
{
	struct netfs_crypt_piece piece;
	int err = netfs_crypt_look(walk->inode, folio, range, &piece);

	*ret_next = piece.next;
	if (err || piece.from == piece.to)
		return err;
	err = have_request(walk, piece.from);
	if (!err)
		err = netfs_crypt_request(walk->req, folio, &piece);
	if (err)
		return err;
	walk->last = piece.to;
	if (walk->readahead)
		netfs_count_n(walk->inode->core->stats, readahead_bytes, piece.to - piece.from);
	return 0;
}

/* Deals with what lies at pos; *ret_next is where to go on. */
static int step(struct walk *walk, uint64_t pos, uint64_t end, uint64_t *ret_next)
{
	struct netfs_inode *inode = walk->inode;
	struct netfs_folio *folio = netfs_folio_make(inode, pos, walk->wanted, !walk->readahead);
	struct netfs_range gap, other;

	if (!folio)
		return -ENOMEM;
	if (end > netfs_folio_end(folio))
		end = netfs_folio_end(folio);
	if (inode->crypt)
		return crypt_step(walk, folio, &(struct netfs_range){pos, end}, ret_next);
	if (!netfs_ranges_next_gap(&folio->valid, pos, end, &gap)) {
		*ret_next = end;
		return 0;
	}
	if (netfs_ranges_next(&folio->pending, gap.from, gap.to, &other)) {
		if (other.from == gap.from) {
			*ret_next = other.to;
			return 0;
		}
		gap.to = other.from;
	}
	*ret_next = gap.to;
	if (netfs_ranges_next(&inode->zero, gap.from, gap.to, &other)) {
		if (other.from == gap.from) {
			*ret_next = other.to;
			return fill_zeroes(walk, folio, other.from, other.to);
		}
		*ret_next = gap.to = other.from;
	}
	return request_range(walk, folio, gap.from, gap.to);
}

static uint32_t folio_size_for(uint64_t len)
{
	uint32_t size = NETFS_PAGE_SIZE;

	while (size < len && size < NETFS_FOLIO_MAX)
		size *= 2;
	return size;
}

int netfs_read_want(struct netfs_inode *inode, struct netfs_opener *opener,
		    const struct netfs_range *range, bool readahead, struct netfs_news *news)
{
	uint64_t pos = range->from & ~(NETFS_PAGE_SIZE - 1);
	uint64_t end = (range->to + NETFS_PAGE_SIZE - 1) & ~(NETFS_PAGE_SIZE - 1);
	struct walk walk = {.inode = inode, .opener = opener, .news = news, .readahead = readahead};
	int err = 0;

	if (end > inode->size)
		end = inode->size;
	walk.wanted = folio_size_for(end - pos);
	inode->keep_from = pos;
	inode->keep_to = end;
	while (pos < end) {
		uint64_t next;

		err = step(&walk, pos, end, &next);
		if (err)
			break;
		pos = next;
	}
	inode->keep_from = inode->keep_to = 0;
	if (walk.req && walk.req->nsegs == 0)
		netfs_request_abandon(walk.req, news);
	else
		close_request(&walk);
	return pos > range->from ? 0 : err;
}

bool netfs_read_blocked(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	struct netfs_folio *folio = netfs_folio_index_next(&inode->folios, from);

	while (folio && folio->start < to) {
		if (netfs_ranges_overlaps(&folio->pending, from, to))
			return true;
		folio = netfs_folio_index_next(&inode->folios, netfs_folio_end(folio));
	}
	return false;
}
