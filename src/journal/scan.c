/* SPDX-License-Identifier: MIT */
/*
 * What mounts that died have left: their logs are read from front to end, and what
 * was not released in them is kept in lists, without its bytes.
 *
 *	name  --> where the file is; its base, where nothing of the file counts yet
 *	data  --> an extent
 *	mark, mtime --> noted
 *	release --> the extents up to it go
 *
 * The end of a log may be torn: what nobody was told of.  Rubbish elsewhere is
 * skipped, and said.  The lock on its files tells whether a mount is alive.
 *
 * Whoever redoes the work writes on into new files of the same log, so that it is
 * known which of it was done.
 *
 * Locks: none; one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <base/round.h>
#include <cache/place.h>
#include <env/alloc.h>
#include <env/hostfs.h>
#include <journal/left_impl.h>

/* Files of one volume that are looked at. */
#define NAMES_MAX 4096u

struct found {
	uint8_t id[16];
	uint32_t number;
};

struct names {
	struct netfs_left *all;
	struct found *found; /* owned */
	size_t count;
	size_t room;
	int err;
};

/* A log that is being read. */
struct scan {
	struct netfs_left *all;
	struct netfs_journal_log *log;
	struct segment *segment;
	struct netfs_hash files;
	struct netfs_list list; /* of them */
	uint64_t frame_at;
	uint64_t alive_ns;
	uint64_t frame_ns;
	uint64_t damaged; /* bytes that are no frames, with frames behind them */
	int err;
};

/* ---------------------------------------------------------- the files */

void left_entry_free(struct left_entry *left)
{
	for (unsigned i = 0; i < left->file.npaths; i++)
		netfs_free(left->file.paths[i]);
	netfs_free(left->file.extents);
	netfs_list_remove(&left->link);
	netfs_free(left);
}

static struct left_entry *find(struct scan *scan, const struct record *record)
{
	uint64_t hash = netfs_hash_u64s(0, record->ino, record->gen);
	struct netfs_hash_link *link = netfs_hash_find(&scan->files, hash);
	struct left_entry *left;

	for (; link; link = netfs_hash_find_next(link)) {
		left = netfs_container_of(link, struct left_entry, hash_link);
		if (left->file.ino == record->ino && left->file.gen == record->gen)
			return left;
	}
	left = netfs_zalloc(sizeof(*left));
	if (!left) {
		scan->err = -ENOMEM;
		return NULL;
	}
	left->file.ino = record->ino;
	left->file.gen = record->gen;
	left->file.log = scan->log;
	netfs_list_push_back(&scan->list, &left->link);
	netfs_hash_insert(&scan->files, &left->hash_link, hash);
	return left;
}

/* The newest place comes first; one that was known moves there. */
static int add_path(struct netfs_left_file *file, const struct record_name *name)
{
	char *path = netfs_alloc(name->path_len + 1), *out = NULL;
	unsigned i;

	if (!path)
		return -ENOMEM;
	memcpy(path, name->path, name->path_len);
	path[name->path_len] = 0;
	for (i = 0; i < file->npaths && strcmp(file->paths[i], path) != 0; i++)
		;
	if (i < file->npaths)
		out = file->paths[i];
	else if (i < NETFS_JOURNAL_PATHS)
		file->npaths++;
	else
		out = file->paths[--i];
	memmove(file->paths + 1, file->paths, i * sizeof(*file->paths));
	file->paths[0] = path;
	netfs_free(out);
	return 0;
}

static int add_extent(struct scan *scan, struct left_entry *left, const struct record *record)
{
	struct netfs_left_file *file = &left->file;

	if (file->nextents == left->extents_room) {
		size_t room = left->extents_room ? 2 * left->extents_room : 4;
		struct netfs_left_extent *extents =
			netfs_realloc(file->extents, room * sizeof(*extents));

		if (!extents)
			return -ENOMEM;
		file->extents = extents;
		left->extents_room = room;
	}
	file->extents[file->nextents++] = (struct netfs_left_extent){
		.seq = record->seq,
		.start = record->start,
		.place = scan->frame_at,
		.at = (uint32_t)record->body_at,
		.segment = scan->segment->number,
		.len = record->len,
	};
	file->bytes += record->len;
	file->mtime_ns = scan->frame_ns;
	return 0;
}

/* The mark lasts while anything is left, also what is not found here because its file
 * of the log went. */
static void release(struct netfs_left_file *file, uint64_t value)
{
	uint64_t seq = value & ~RELEASE_ALL;
	size_t n = 0;

	for (size_t i = 0; i < file->nextents; i++) {
		if (file->extents[i].seq > seq)
			file->extents[n++] = file->extents[i];
		else
			file->bytes -= file->extents[i].len;
	}
	file->nextents = n;
	if (value & RELEASE_ALL)
		file->marked = false;
}

static int note_name(struct netfs_left_file *file, const struct record *record)
{
	struct record_name name;
	int err = frame_read_name(record, &name);

	if (err)
		return 0;
	if (file->nextents == 0) {
		file->base = name.base;
		file->base_known = name.known;
	}
	return add_path(file, &name);
}

static void note(struct scan *scan, const struct record *record)
{
	struct left_entry *left = find(scan, record);
	int err = 0;

	if (!left)
		return;
	if (record->seq > left->file.seq)
		left->file.seq = record->seq;
	switch (record->kind) {
	case RECORD_NAME:
		err = note_name(&left->file, record);
		break;
	case RECORD_DATA:
		err = add_extent(scan, left, record);
		break;
	case RECORD_MARK:
		/* Also before the first extent: one may have failed to get here. */
		left->file.marked = true;
		break;
	case RECORD_RELEASE:
		release(&left->file, record->start);
		break;
	case RECORD_MTIME:
		left->file.mtime_ns = record->start;
		break;
	case RECORD_KINDS:
		break;
	}
	if (err)
		scan->err = err;
}

/* -------------------------------------------------------- the frames */

int left_load(struct netfs_left *all, const struct segment *segment, uint64_t at,
	      struct frame_head *ret_head)
{
	struct frame *frame = &all->read;
	uint8_t head[FRAME_HEAD];
	ssize_t n = netfs_hostfs_pread(segment->fd, head, sizeof(head), at);
	uint8_t *bytes;
	int err;

	if (n != sizeof(head))
		return n < 0 ? (int)n : -EILSEQ;
	err = frame_head_read(head, all->dir.open != NULL, ret_head);
	if (err || at + FRAME_HEAD + ret_head->body_len > segment->tail)
		return -EILSEQ;
	if (frame->room < FRAME_HEAD + (size_t)ret_head->body_len) {
		bytes = netfs_realloc(frame->bytes, FRAME_HEAD + (size_t)ret_head->body_len);
		if (!bytes)
			return -ENOMEM;
		frame->bytes = bytes;
		frame->room = FRAME_HEAD + (size_t)ret_head->body_len;
	}
	memcpy(frame->bytes, head, sizeof(head));
	n = netfs_hostfs_pread(segment->fd, frame->bytes + FRAME_HEAD, ret_head->body_len,
			       at + FRAME_HEAD);
	if (n != (ssize_t)ret_head->body_len)
		return n < 0 ? (int)n : -EILSEQ;
	frame->used = FRAME_HEAD + (size_t)ret_head->body_len;
	return frame_open(head, frame->bytes + FRAME_HEAD, ret_head->body_len, all->dir.open);
}

static void read_records(struct scan *scan, const struct frame *frame)
{
	size_t len = frame->used - FRAME_HEAD, at = 0;
	struct record record;

	while (!scan->err && frame_next(frame->bytes + FRAME_HEAD, len, &at, &record))
		note(scan, &record);
}

/* From front to end; tail is the length of the file. */
static void read_segment(struct scan *scan)
{
	struct netfs_left *all = scan->all;
	struct netfs_journal_log *log = scan->log;
	uint64_t skipped = 0, at = 0;

	while (at < scan->segment->tail && !scan->err) {
		struct frame_head head;
		int err = left_load(all, scan->segment, at, &head);

		if (err && err != -EILSEQ) {
			scan->err = err;
			return;
		}
		if (err || memcmp(head.log, log->id, sizeof(log->id)) != 0 ||
		    head.number <= log->frames) {
			at += FRAME_ALIGN;
			skipped += FRAME_ALIGN;
			continue;
		}
		scan->damaged += skipped;
		skipped = 0;
		log->frames = head.number;
		scan->frame_at = at;
		scan->frame_ns = head.time_ns;
		if (head.time_ns > scan->alive_ns)
			scan->alive_ns = head.time_ns;
		read_records(scan, &all->read);
		at = netfs_round_up(at + all->read.used, FRAME_ALIGN);
	}
}

static int segment_open(struct scan *scan, uint32_t number)
{
	struct segment *segment = netfs_zalloc(sizeof(*segment));
	struct timespec btime;
	char name[SEGMENT_NAME];
	struct stat st;
	int err;

	if (!segment)
		return -ENOMEM;
	log_name(&scan->all->dir, scan->log, number, name);
	segment->fd = netfs_place_file(scan->all->dir.place, name, false);
	if (segment->fd < 0) {
		err = segment->fd;
		netfs_free(segment);
		return err;
	}
	err = netfs_hostfs_stat(segment->fd, "", &st, &btime);
	segment->number = number;
	segment->bad = true; /* what is written from now on goes to others */
	segment->tail = err ? 0 : (uint64_t)st.st_size;
	netfs_list_push_back(&scan->log->segments, &segment->link);
	scan->log->next = number + 1;
	return err;
}

/* ------------------------------------------------------------ a log */

/* Where it was is in the part that is damaged: it gets a name that leads nowhere. */
static int name_lost(struct netfs_left_file *file)
{
	char text[32];
	struct record_name name = {.path = text};

	name.path_len =
		(size_t)snprintf(text, sizeof(text), "lost-%llx", (unsigned long long)file->ino);
	return add_path(file, &name);
}

/* What is not released counts in its segment; what has nothing left goes. */
static void keep_files(struct scan *scan)
{
	struct netfs_list *link, *tmp;

	netfs_hash_done(&scan->files);
	netfs_list_for_each_safe (link, tmp, &scan->list) {
		struct left_entry *left = netfs_container_of(link, struct left_entry, link);
		struct netfs_list *place;

		if (left->file.nextents == 0) {
			left_entry_free(left);
			continue;
		}
		if (left->file.npaths == 0 && name_lost(&left->file))
			scan->err = -ENOMEM;
		left->file.alive_ns = scan->alive_ns;
		for (size_t i = 0; i < left->file.nextents; i++) {
			netfs_list_for_each (place, &scan->log->segments) {
				struct segment *segment =
					netfs_container_of(place, struct segment, link);

				segment->live += segment->number == left->file.extents[i].segment;
			}
		}
		atomic_fetch_add(&scan->all->bytes, left->file.bytes);
	}
	netfs_list_splice_back(&scan->all->files, &scan->list);
}

void left_log_free(struct netfs_journal_log *log)
{
	log_close(log);
	netfs_list_remove(&log->link);
	netfs_free(log);
}

/* The files of one log, by number.  -EBUSY: its mount is alive. */
static int read_log(struct netfs_left *all, const struct found *found, size_t count,
		    uint64_t *ret_damaged)
{
	struct scan scan = {.all = all, .log = netfs_zalloc(sizeof(*scan.log))};
	struct netfs_list *link;
	bool none;

	if (!scan.log)
		return -ENOMEM;
	netfs_list_init(&scan.log->link);
	netfs_list_init(&scan.log->segments);
	netfs_list_init(&scan.list);
	netfs_hash_init(&scan.files);
	memcpy(scan.log->id, found->id, sizeof(found->id));
	for (size_t i = 0; i < count && !scan.err; i++)
		scan.err = segment_open(&scan, found[i].number);
	netfs_list_for_each (link, &scan.log->segments) {
		scan.segment = netfs_container_of(link, struct segment, link);
		if (!scan.err)
			read_segment(&scan);
	}
	none = netfs_list_empty(&scan.list);
	keep_files(&scan);
	*ret_damaged += scan.damaged;
	if (scan.err || none) {
		left_log_free(scan.log);
		return scan.err;
	}
	netfs_list_push_back(&all->logs, &scan.log->link);
	log_trim(&all->dir, scan.log, true);
	return 0;
}

/* ------------------------------------------------------------- all logs */

static void note_file(void *user, const char *name)
{
	struct names *names = user;
	struct found found;

	if (names->err)
		return;
	if (log_name_read(&names->all->dir, name, found.id, &found.number)) {
		names->all->others++;
		return;
	}
	if (names->count == names->room) {
		size_t room = names->room ? 2 * names->room : 16;
		struct found *more = netfs_realloc(names->found, room * sizeof(*more));

		if (!more || room > NAMES_MAX) {
			names->err = more ? -E2BIG : -ENOMEM;
			names->found = more ? more : names->found;
			return;
		}
		names->found = more;
		names->room = room;
	}
	names->found[names->count++] = found;
}

static int by_number(const void *a, const void *b)
{
	const struct found *one = a, *other = b;
	int order = memcmp(one->id, other->id, sizeof(one->id));

	if (order)
		return order;
	return one->number < other->number ? -1 : one->number > other->number;
}

int scan_left(struct netfs_left *all, char *message, size_t message_size)
{
	struct names names = {.all = all};
	uint64_t damaged = 0;
	size_t from = 0, to;
	int err;

	err = netfs_hostfs_list(all->dir.place, note_file, &names);
	if (!err)
		err = names.err;
	if (names.count)
		qsort(names.found, names.count, sizeof(*names.found), by_number);
	for (; from < names.count && !err; from = to) {
		for (to = from; to < names.count && memcmp(names.found[to].id, names.found[from].id,
							   sizeof(names.found[0].id)) == 0;
		     to++)
			;
		err = read_log(all, names.found + from, to - from, &damaged);
		if (err == -EBUSY) {
			all->others += to - from;
			err = 0;
		}
	}
	netfs_free(names.found);
	if (!err && damaged)
		snprintf(message, message_size, "%llu bytes of the journal are damaged",
			 (unsigned long long)damaged);
	return err;
}
