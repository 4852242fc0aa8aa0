/* SPDX-License-Identifier: MIT */
/*
 * What was left in journals, and how it gets done.
 *
 *	open: scan.c reads all logs -> next, read, mark, done -> close
 *
 * What was marked and done is told by frames at the end of the log it concerns.
 *
 * Locks: none; one thread at a time.
 */
#include <errno.h>
#include <string.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/hostfs.h>
#include <journal/left_impl.h>

void netfs_left_close(struct netfs_left *left)
{
	if (!left)
		return;
	while (!netfs_list_empty(&left->files))
		left_entry_free(netfs_container_of(left->files.next, struct left_entry, link));
	while (!netfs_list_empty(&left->logs))
		left_log_free(netfs_container_of(left->logs.next, struct netfs_journal_log, link));
	log_dir_close(&left->dir);
	frame_done(&left->read);
	netfs_free(left);
}

int netfs_left_open(const struct netfs_journal_config *config, struct netfs_left **ret_left,
		    char *message, size_t message_size)
{
	struct netfs_left *left = netfs_zalloc(sizeof(*left));
	int err;

	if (!left)
		return -ENOMEM;
	netfs_list_init(&left->logs);
	netfs_list_init(&left->files);
	err = log_dir_open(&left->dir, config);
	if (!err)
		err = scan_left(left, message, message_size);
	if (err) {
		netfs_left_close(left);
		return err;
	}
	*ret_left = left;
	return 0;
}

uint64_t netfs_left_bytes(struct netfs_left *left)
{
	return atomic_load(&left->bytes);
}

uint64_t netfs_left_others(const struct netfs_left *left)
{
	return left->others;
}

struct netfs_left_file *netfs_left_next(struct netfs_left *left, struct netfs_left_file *file)
{
	struct netfs_list *next = left->files.next;

	if (file)
		next = netfs_container_of(file, struct left_entry, file)->link.next;
	return next == &left->files ? NULL
				    : &netfs_container_of(next, struct left_entry, link)->file;
}

static struct segment *segment_of(const struct netfs_journal_log *log, uint32_t number)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &log->segments) {
		struct segment *segment = netfs_container_of(link, struct segment, link);

		if (segment->number == number)
			return segment;
	}
	return NULL;
}

int netfs_left_read(struct netfs_left *left, const struct netfs_left_file *file,
		    const struct netfs_left_extent *extent, uint32_t offset, void *buf, size_t len)
{
	const struct segment *segment = segment_of(file->log, extent->segment);
	struct frame_head head;
	int err = segment ? 0 : -EILSEQ;

	netfs_assert(offset + len <= extent->len);
	if (!err && (left->read_segment != segment || left->read_at != extent->place)) {
		left->read_segment = NULL;
		err = left_load(left, segment, extent->place, &head);
	}
	if (!err && (size_t)extent->at + extent->len > left->read.used - FRAME_HEAD)
		err = -EILSEQ;
	if (err)
		return err;
	left->read_segment = segment;
	left->read_at = extent->place;
	memcpy(buf, left->read.bytes + FRAME_HEAD + extent->at + offset, len);
	return 0;
}

/* One record of the file, written to its log. */
static int append(struct netfs_left *left, const struct netfs_left_file *file, struct record record)
{
	struct netfs_journal_log *log = file->log;
	struct frame_head head = log_head(log);
	struct segment *segment;
	ssize_t size;
	int err = frame_begin(&left->dir.frame);

	record.ino = file->ino;
	record.gen = file->gen;
	record.seq = file->seq;
	if (!err && !frame_add(&left->dir.frame, &record))
		err = -ENOMEM;
	if (err)
		return err;
	size = frame_end(&left->dir.frame, &head, left->dir.seal);
	if (size < 0)
		return (int)size;
	return log_append(&left->dir, log, &left->dir.frame, (size_t)size, &segment);
}

int netfs_left_mark(struct netfs_left *left, struct netfs_left_file *file)
{
	return append(left, file, (struct record){.kind = RECORD_MARK});
}

int netfs_left_done(struct netfs_left *left, struct netfs_left_file *file)
{
	struct left_entry *entry = netfs_container_of(file, struct left_entry, file);
	struct netfs_journal_log *log = file->log;
	int err = append(left, file, (struct record){.kind = RECORD_RELEASE, .start = UINT64_MAX});

	if (err)
		return err;
	for (size_t i = 0; i < file->nextents; i++)
		atomic_fetch_sub(&segment_of(log, file->extents[i].segment)->live, 1);
	atomic_fetch_sub(&left->bytes, file->bytes);
	left_entry_free(entry);
	left->read_segment = NULL; /* it may be removed */
	log_trim(&left->dir, log, true);
	return 0;
}
