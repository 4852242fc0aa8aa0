/* SPDX-License-Identifier: MIT */
/*
 * How much to want ahead of a reader.
 *
 * An opener that reads where it stopped, or from the start, is streaming: its
 * window starts small, doubles with every further request, and is asked for
 * again when half of it is used up.  Requests of one stream may arrive out of
 * order by a little (a kernel reads ahead in parallel), so "where it stopped"
 * allows for a window's width.  Anything else ends the stream.
 *
 * Read-ahead never goes over the memory budget and is given up silently.
 */
#include <core/core_internal.h>
#include <core/io.h>

#define WINDOW_FIRST (UINT32_C(128) << 10)
#define REORDER_MAX  (UINT64_C(2) << 20)

static bool continues(const struct netfs_opener *opener, uint64_t pos)
{
	uint64_t next = opener->ra_next;

	return pos <= next + REORDER_MAX && next <= pos + REORDER_MAX;
}

/* Notes the read and says whether its opener is streaming. */
static bool note(struct netfs_opener *opener, uint64_t pos, uint64_t end)
{
	if (opener->ra_next == 0 ? pos != 0 : !continues(opener, pos)) {
		opener->ra_next = end;
		opener->ra_end = end;
		opener->ra_window = 0;
		opener->ra_hits = 0;
		return false;
	}
	if (end > opener->ra_next)
		opener->ra_next = end;
	opener->ra_hits++;
	return true;
}

void netfs_readahead(struct netfs_inode *inode, struct netfs_opener *opener, uint64_t pos,
		     uint64_t end, struct netfs_news *news)
{
	uint32_t most = inode->core->rasize;
	struct netfs_range want;

	if (end <= pos || most == 0 || (opener->flags & NETFS_OPENER_UNBUFFERED) ||
	    !note(opener, pos, end))
		return;
	if (opener->ra_end < end)
		opener->ra_end = end;
	if (opener->ra_window && opener->ra_end - opener->ra_next > opener->ra_window / 2)
		return;
	opener->ra_window = opener->ra_window ? opener->ra_window * 2 : WINDOW_FIRST;
	if (opener->ra_window > most)
		opener->ra_window = most;
	want.from = opener->ra_end;
	want.to = opener->ra_next + opener->ra_window;
	if (want.to > inode->size)
		want.to = inode->size;
	if (want.from >= want.to)
		return;
	opener->ra_end = want.to;
	netfs_read_want(inode, opener, &want, true, news);
}
