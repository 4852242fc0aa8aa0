/* SPDX-License-Identifier: MIT */
/*
 * Hints: what a reader says about its reads, and what it says about a range.
 *
 * A hint never waits.  Reading a range ahead goes through the gate like any
 * read, so that no download meets a change of size; where the gate is not open
 * the hint is lost.  Dropping a range drops whole folios that nobody needs: one
 * that is dirty, under way in either direction, lent or only partly in the
 * range stays.  What is dirty is sent, so that the next such hint can drop it.
 */
#include <core/core_internal.h>
#include <core/folio.h>
#include <errno.h>

/* A range read ahead at once: so much of all memory, and no more. */
#define WILLNEED_PART 4

static void will_need(struct netfs_inode *inode, struct netfs_opener *opener, uint64_t start,
		      uint64_t end, struct netfs_news *news)
{
	uint64_t most = inode->core->budget->memory_max / WILLNEED_PART;
	struct netfs_range want = {start, end};

	if (opener->flags & NETFS_OPENER_UNBUFFERED)
		return;
	if (want.to > inode->size)
		want.to = inode->size;
	if (want.to <= want.from || !netfs_gate_try(&inode->gate, NETFS_GATE_BUFFERED))
		return;
	if (want.to - want.from > most)
		want.to = want.from + most;
	netfs_read_want(inode, opener, &want, NETFS_WANT_AHEAD, news);
	netfs_gate_leave(&inode->gate, &news->admitted);
}

static void drop(struct netfs_inode *inode, uint64_t start, uint64_t end)
{
	struct netfs_folio *folio = netfs_folio_index_next(&inode->folios, start);

	while (folio && folio->start < end) {
		uint64_t next = netfs_folio_end(folio);
		/* The last page counts as a whole. */
		bool inside = folio->start >= start && (next <= end || end >= inode->size);

		if (inside && netfs_folio_idle(folio))
			netfs_folio_remove(folio);
		folio = netfs_folio_index_next(&inode->folios, next);
	}
}

static void send(struct netfs_inode *inode, struct netfs_news *news)
{
	if (inode->dirty == 0 || inode->stuck)
		return;
	inode->upload_all = true;
	netfs_upload_some(inode, news);
}

static void set_mode(struct netfs_ra *ra, enum netfs_ra_mode mode, bool noreuse)
{
	ra->mode = mode;
	ra->noreuse = noreuse;
}

int netfs_core_advise(struct netfs_inode *inode, struct netfs_opener *opener, uint64_t start,
		      uint64_t len, enum netfs_advice advice)
{
	uint64_t end = len && len < UINT64_MAX - start ? start + len : UINT64_MAX;
	struct netfs_news news;
	int err = 0;

	netfs_news_init(&news);
	netfs_mutex_lock(&inode->mutex);
	switch (advice) {
	case NETFS_ADVICE_NORMAL:
		set_mode(&opener->ra, NETFS_RA_NORMAL, false);
		break;
	case NETFS_ADVICE_SEQUENTIAL:
		set_mode(&opener->ra, NETFS_RA_EAGER, opener->ra.noreuse);
		break;
	case NETFS_ADVICE_RANDOM:
		set_mode(&opener->ra, NETFS_RA_OFF, opener->ra.noreuse);
		break;
	case NETFS_ADVICE_NOREUSE:
		set_mode(&opener->ra, opener->ra.mode, true);
		break;
	case NETFS_ADVICE_WILLNEED:
		will_need(inode, opener, start, end, &news);
		break;
	case NETFS_ADVICE_DONTNEED:
		drop(inode, start, end);
		send(inode, &news);
		break;
	default:
		err = -EINVAL;
		break;
	}
	netfs_inode_settle(inode, &news);
	netfs_news_unlock(&news, inode);
	return err;
}
