/* SPDX-License-Identifier: MIT */
/*
 * What to want ahead of a reader.
 *
 * Each opener follows a few streams at once.  A read either goes on with one of
 * them or is held against the last few reads: two that adjoin, or a read at the
 * start of the file, begin a forward stream; three at equal distances a strided
 * one, or where the distance is small or negative a forward or backward one.
 * Whatever fits nothing is a random read and costs nothing but its place among
 * the last few.  A stream that is not followed is replaced by a newer one.
 *
 * Reads of a forward or backward stream may arrive out of order by a little (a
 * kernel reads ahead in parallel), so "goes on" allows for some distance there.
 *
 * A window starts small, doubles each time a part of it is used up and asked
 * for anew, and ends where more of it brings nothing: see pace.c, which also makes it smaller when
 * memory is short.  Read-ahead never goes over the memory budget and is given
 * up silently; its requests stand behind those somebody waits for.
 *
 * Everything runs under the inode's mutex.
 */
#include <core/core_internal.h>
#include <core/io.h>
#include <core/trace.h>

#define WINDOW_FIRST (UINT32_C(128) << 10)
#define PART_MIN     (UINT32_C(256) << 10)
#define REORDER_MAX  (UINT64_C(2) << 20)
/* Records further apart than this many times their length are read one by one;
 * closer ones cost less when the gaps are read as well. */
#define DENSE 4
/* Records asked for ahead at most: each is a request of its own. */
#define RECORDS_MAX 64
/* Records of a stream that may be left out or come in another order. */
#define RECORDS_SKIPPED_MAX 8
/* Two reads further apart than this have nothing to do with each other. */
#define STRIDE_MAX (INT64_C(1) << 30)

/* -------------------------------------------------- finding streams */

static bool close_to(uint64_t a, uint64_t b)
{
	return a <= b + REORDER_MAX && b <= a + REORDER_MAX;
}

static bool next_record(const struct netfs_ra_stream *stream, uint64_t pos)
{
	uint64_t distance = pos - stream->from;

	return pos > stream->from && distance % stream->stride == 0 &&
	       distance / stream->stride <= RECORDS_SKIPPED_MAX;
}

static bool goes_on(const struct netfs_ra_stream *stream, uint64_t pos, uint64_t end)
{
	switch (stream->kind) {
	case NETFS_RA_FORWARD:
		return pos == stream->to;
	case NETFS_RA_BACKWARD:
		return end == stream->from;
	case NETFS_RA_STRIDED:
		return pos == stream->to || next_record(stream, pos);
	case NETFS_RA_NONE:
		break;
	}
	return false;
}

static bool almost_goes_on(const struct netfs_ra_stream *stream, uint64_t pos, uint64_t end)
{
	if (stream->kind == NETFS_RA_FORWARD)
		return close_to(pos, stream->to);
	if (stream->kind == NETFS_RA_BACKWARD)
		return close_to(end, stream->from);
	return false;
}

static bool began_at(const struct netfs_ra *ra, uint64_t pos)
{
	uint32_t n = ra->reads < NETFS_RA_PAST ? ra->reads : NETFS_RA_PAST;

	for (uint32_t i = 0; i < n; i++) {
		if (ra->past[i].from == pos)
			return true;
	}
	return false;
}

/* What the read looks like beside one of the past. */
static enum netfs_ra_kind compare(const struct netfs_ra *ra, const struct netfs_range *past,
				  const struct netfs_range *read, uint64_t *ret_stride)
{
	int64_t distance = (int64_t)(read->from - past->from);
	int64_t near = (int64_t)(read->to - read->from) * DENSE;

	if (past->to == read->from)
		return NETFS_RA_FORWARD;
	if (past->from == read->to && began_at(ra, past->to))
		return NETFS_RA_BACKWARD;
	if (distance == 0 || distance > STRIDE_MAX || distance < -near ||
	    !began_at(ra, past->from - distance))
		return NETFS_RA_NONE;
	if (distance < 0)
		return NETFS_RA_BACKWARD;
	*ret_stride = distance;
	return distance <= near ? NETFS_RA_FORWARD : NETFS_RA_STRIDED;
}

static enum netfs_ra_kind recognize(const struct netfs_ra *ra, const struct netfs_range *read,
				    uint64_t *ret_stride)
{
	uint32_t n = ra->reads < NETFS_RA_PAST ? ra->reads : NETFS_RA_PAST;

	if (read->from == 0)
		return NETFS_RA_FORWARD;
	for (uint32_t back = 1; back <= n; back++) {
		const struct netfs_range *past = &ra->past[(ra->reads - back) % NETFS_RA_PAST];
		enum netfs_ra_kind kind = compare(ra, past, read, ret_stride);

		if (kind != NETFS_RA_NONE)
			return kind;
	}
	return NETFS_RA_NONE;
}

static void begin(struct netfs_ra_stream *stream, enum netfs_ra_kind kind,
		  const struct netfs_range *read, uint64_t stride)
{
	*stream = (struct netfs_ra_stream){
		.kind = kind,
		.from = read->from,
		.to = read->to,
		.stride = stride,
		.len = read->to - read->from,
	};
	if (kind == NETFS_RA_FORWARD)
		stream->ahead = read->to;
	else if (kind == NETFS_RA_BACKWARD)
		stream->ahead = read->from;
	else
		stream->ahead = read->from + stride;
}

/* A record read in several parts; one that has become long is a stream. */
static void move_in_records(struct netfs_ra_stream *stream, const struct netfs_range *read)
{
	if (read->from != stream->to)
		stream->from = read->from;
	stream->to = read->to;
	if (stream->len < stream->to - stream->from)
		stream->len = stream->to - stream->from;
	if (stream->len * DENSE >= stream->stride)
		begin(stream, NETFS_RA_FORWARD, read, 0);
	else if (stream->ahead <= stream->from)
		stream->ahead = stream->from + stream->stride;
}

static void move(struct netfs_ra_stream *stream, const struct netfs_range *read)
{
	switch (stream->kind) {
	case NETFS_RA_FORWARD:
		if (stream->to < read->to)
			stream->to = read->to;
		if (stream->ahead < stream->to)
			stream->ahead = stream->to;
		break;
	case NETFS_RA_BACKWARD:
		if (stream->from > read->from)
			stream->from = read->from;
		if (stream->ahead > stream->from)
			stream->ahead = stream->from;
		break;
	case NETFS_RA_STRIDED:
		move_in_records(stream, read);
		break;
	case NETFS_RA_NONE:
		break;
	}
}

static struct netfs_ra_stream *oldest(struct netfs_ra *ra)
{
	struct netfs_ra_stream *found = &ra->stream[0];

	for (unsigned i = 0; i < NETFS_RA_STREAMS; i++) {
		struct netfs_ra_stream *stream = &ra->stream[i];

		if (stream->kind == NETFS_RA_NONE)
			return stream;
		if (ra->reads - stream->used > ra->reads - found->used)
			found = stream;
	}
	return found;
}

/* missed: it was not all in memory.  What is there needs nothing ahead of it,
 * so it goes on with a stream but begins none, and costs a hit next to nothing. */
static struct netfs_ra_stream *find(struct netfs_ra *ra, const struct netfs_range *read,
				    bool missed)
{
	struct netfs_ra_stream *stream, *almost = NULL;
	enum netfs_ra_kind kind;
	uint64_t stride = 0;

	for (unsigned i = 0; i < NETFS_RA_STREAMS; i++) {
		stream = &ra->stream[i];
		if (goes_on(stream, read->from, read->to)) {
			move(stream, read);
			return stream;
		}
		if (!almost && almost_goes_on(stream, read->from, read->to))
			almost = stream;
	}
	if (!missed) {
		if (almost)
			move(almost, read);
		return almost;
	}
	kind = recognize(ra, read, &stride);
	if (almost && kind != NETFS_RA_STRIDED &&
	    (kind != NETFS_RA_BACKWARD || almost->kind == NETFS_RA_BACKWARD)) {
		move(almost, read);
		return almost;
	}
	if (kind == NETFS_RA_NONE)
		return NULL;
	stream = almost ? almost : oldest(ra);
	begin(stream, kind, read, stride);
	return stream;
}

/* The stream that the read belongs to, or NULL. */
static struct netfs_ra_stream *note(struct netfs_ra *ra, const struct netfs_range *read,
				    bool missed)
{
	struct netfs_ra_stream *stream = find(ra, read, missed);

	ra->past[ra->reads % NETFS_RA_PAST] = *read;
	ra->reads++;
	if (stream)
		stream->used = ra->reads;
	return stream;
}

/* ------------------------------------------------------ staying ahead */

/* One reader's share of the work below. */
struct ahead {
	struct netfs_inode *inode;
	struct netfs_opener *opener;
	struct netfs_ra_stream *stream;
	struct netfs_news *news;
	bool first; /* nothing was asked for ahead of the stream before */
};

static void widen(struct ahead *a)
{
	struct netfs_ra_stream *stream = a->stream;
	uint32_t most = netfs_pace_window(a->inode->core);

	a->first = stream->window == 0;
	if (a->opener->ra.mode == NETFS_RA_EAGER)
		stream->window = most;
	else
		stream->window = stream->window ? stream->window * 2 : WINDOW_FIRST;
	if (stream->window > most)
		stream->window = most;
}

/* Asks for [from, to).  False: there is no memory for all of it; how far it
 * came is in *ret_to. */
static bool ask(struct ahead *a, uint64_t from, uint64_t to, uint64_t *ret_to)
{
	struct netfs_range want = {from, to};
	struct netfs_list *last = a->news->issue.prev;

	netfs_read_want(a->inode, a->opener, &want, NETFS_WANT_AHEAD, a->news);
	/* What is in memory already is no news. */
	if (a->news->issue.prev != last && a->first)
		netfs_trace_file(ra_start, a->inode, from, to, a->stream->window);
	else if (a->news->issue.prev != last)
		netfs_trace_file(ra_more, a->inode, from, to, a->stream->window);
	*ret_to = want.from < to ? want.from : to;
	if (want.from >= to)
		return true;
	a->stream->window /= 2;
	netfs_pace_squeeze(a->inode->core);
	return false;
}

/* A quarter of the window is worth asking for, so that three are always on
 * their way or there; of a small one half, or the slices would be too small. */
static bool enough(const struct netfs_ra_stream *stream, uint64_t left)
{
	uint32_t part = stream->window / 4;

	if (part < PART_MIN)
		part = stream->window / 2 < PART_MIN ? stream->window / 2 : PART_MIN;
	return stream->window && left > stream->window - part;
}

static void ahead_forward(struct ahead *a)
{
	struct netfs_ra_stream *stream = a->stream;
	uint64_t to;

	if (enough(stream, stream->ahead - stream->to))
		return;
	widen(a);
	to = stream->to + stream->window;
	if (to > a->inode->size)
		to = a->inode->size;
	if (stream->ahead < to)
		ask(a, stream->ahead, to, &stream->ahead);
}

/* The highest piece first, because it is needed first. */
static void ahead_backward(struct ahead *a)
{
	struct netfs_ra_stream *stream = a->stream;
	uint64_t piece = a->inode->core->rsize, down, end;

	if (enough(stream, stream->from - stream->ahead))
		return;
	widen(a);
	down = stream->from > stream->window ? stream->from - stream->window : 0;
	while (stream->ahead > down) {
		uint64_t from = stream->ahead > down + piece ? stream->ahead - piece : down;

		if (!ask(a, from, stream->ahead, &end))
			return;
		stream->ahead = from;
	}
}

static void ahead_strided(struct ahead *a)
{
	struct netfs_ra_stream *stream = a->stream;
	uint64_t records = stream->window / stream->len, end;
	uint64_t asked = (stream->ahead - stream->from) / stream->stride - 1;

	if (stream->window && asked > (records < RECORDS_MAX ? records : RECORDS_MAX) / 2)
		return;
	widen(a);
	records = stream->window / stream->len;
	if (records > RECORDS_MAX)
		records = RECORDS_MAX;
	for (; asked < records && stream->ahead < a->inode->size; asked++) {
		if (!ask(a, stream->ahead, stream->ahead + stream->len, &end))
			return;
		stream->ahead += stream->stride;
	}
}

void netfs_readahead(struct netfs_inode *inode, struct netfs_opener *opener,
		     const struct netfs_range *read, bool missed, struct netfs_news *news)
{
	struct ahead a = {.inode = inode, .opener = opener, .news = news};

	if (read->to <= read->from || inode->core->rasize == 0 || opener->ra.mode == NETFS_RA_OFF ||
	    (opener->flags & NETFS_OPENER_UNBUFFERED))
		return;
	a.stream = note(&opener->ra, read, missed);
	if (!a.stream)
		return;
	if (a.stream->kind == NETFS_RA_FORWARD)
		ahead_forward(&a);
	else if (a.stream->kind == NETFS_RA_BACKWARD)
		ahead_backward(&a);
	else
		ahead_strided(&a);
}
