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
#include <core/trace.h>
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
	bool must; /* over the memory budget, if it must be */
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
	netfs_trace_folio(folio_read, folio, from, to, 0);
	if (walk->readahead)
		netfs_pace_ahead(folio, to - from);
	return 0;
}

static int fill_zeroes(struct walk *walk, struct netfs_folio *folio, uint64_t from, uint64_t to)
{
	int err = netfs_ranges_add(&folio->valid, from, to);

	if (err)
		return err;
	memset(netfs_folio_at(folio, from), 0, to - from);
	netfs_count_n(walk->inode->core->stats, read_zeroes, to - from);
	netfs_count(walk->inode->core->stats, zero_fills);
	netfs_trace_folio(folio_zero, folio, from, to, 0);
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
	struct netfs_folio *folio = netfs_folio_make(inode, pos, walk->wanted, walk->must);
	struct netfs_range gap, other;

	if (!folio || netfs_folio_renew(folio))
		return -ENOMEM;
	if (end > netfs_folio_end(folio))
		end = netfs_folio_end(folio);
	if (inode->core->crypt)
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

/* ---------------------------------------------------------- granules */

/* The first stretch of folio in [from, to) that is neither here nor on its
 * way. */
static bool folio_lacks(const struct netfs_folio *folio, uint64_t from, uint64_t to,
			struct netfs_range *ret_gap)
{
	struct netfs_range pending;

	while (netfs_ranges_next_gap(&folio->valid, from, to, ret_gap)) {
		if (!netfs_ranges_next(&folio->pending, ret_gap->from, ret_gap->to, &pending))
			return true;
		if (pending.from > ret_gap->from) {
			ret_gap->to = pending.from;
			return true;
		}
		from = pending.to;
	}
	return false;
}

/* Is there a byte in [from, to) that has to be asked for? */
static bool missing(struct netfs_inode *inode, uint64_t from, uint64_t to)
{
	while (from < to) {
		struct netfs_folio *folio = netfs_folio_index_next(&inode->folios, from);
		struct netfs_range gap = {from, to};

		if (folio && folio->start > from && folio->start < to)
			gap.to = folio->start;
		if (folio && folio->start <= from) {
			uint64_t end = netfs_folio_end(folio) < to ? netfs_folio_end(folio) : to;

			if (!folio_lacks(folio, from, end, &gap))
				gap.from = gap.to = end;
		}
		if (!netfs_ranges_covers(&inode->zero, gap.from, gap.to))
			return true;
		from = gap.to;
	}
	return false;
}

/*
 * Walks need, a piece that lies in one granule, and where something of it is
 * missing the whole granule.  What lies around need is taken along if there is
 * memory for it.  Moves need->from to where it came.
 */
static int walk_piece(struct walk *walk, struct netfs_range *need, uint64_t granule)
{
	struct netfs_inode *inode = walk->inode;
	uint64_t pos = need->from, end = need->to, next;

	if (granule && missing(inode, pos, end)) {
		pos &= ~(granule - 1);
		end = (end + granule - 1) & ~(granule - 1);
		if (end > inode->size)
			end = inode->size;
	}
	while (pos < end) {
		bool needed = pos >= need->from && pos < need->to;
		int err;

		walk->must = needed && !walk->readahead;
		err = step(walk, pos, end, &next);
		if (err && pos < need->from)
			next = need->from;
		else if (err)
			return needed ? err : 0;
		pos = next;
		if (need->from < pos)
			need->from = pos < need->to ? pos : need->to;
	}
	return 0;
}

int netfs_read_want(struct netfs_inode *inode, struct netfs_opener *opener,
		    struct netfs_range *range, enum netfs_want how, struct netfs_news *news)
{
	uint64_t granule = inode->core->granule, first = range->from;
	uint64_t pos = first & ~(NETFS_PAGE_SIZE - 1);
	uint64_t end = (range->to + NETFS_PAGE_SIZE - 1) & ~(NETFS_PAGE_SIZE - 1);
	struct walk walk = {.inode = inode,
			    .opener = opener,
			    .news = news,
			    .readahead = how == NETFS_WANT_AHEAD};
	int err = 0;

	if (end > inode->size)
		end = inode->size;
	walk.wanted = folio_size_for(end - pos < granule ? granule : end - pos);
	inode->keep_from = granule ? pos & ~(granule - 1) : pos;
	inode->keep_to = end + granule;
	while (pos < end && !err) {
		struct netfs_range need = {pos, end};

		if (granule && need.to > (pos | (granule - 1)) + 1)
			need.to = (pos | (granule - 1)) + 1;
		err = walk_piece(&walk, &need, granule);
		pos = need.from;
	}
	inode->keep_from = inode->keep_to = 0;
	if (walk.req && walk.req->nsegs == 0)
		netfs_request_abandon(walk.req, news);
	else
		close_request(&walk);
	/* What lies behind the end of the file need not come. */
	range->from = err ? pos : range->to;
	return pos > first ? 0 : err;
}

int netfs_read_known(struct netfs_inode *inode, uint64_t pos, uint64_t end)
{
	struct walk walk = {.inode = inode, .wanted = NETFS_PAGE_SIZE};
	struct netfs_range range;
	uint64_t next;

	if (inode->core->crypt || !netfs_ranges_next(&inode->zero, pos, end, &range) ||
	    range.from != pos || netfs_read_blocked(inode, pos, pos + 1))
		return -EAGAIN;
	/* The known stretch is no longer than to the end of the folio, or to what
	 * is on its way. */
	return step(&walk, pos, range.to, &next);
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
