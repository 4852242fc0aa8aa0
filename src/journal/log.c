/* SPDX-License-Identifier: MIT */
/*
 * A log on the disk: files that are written from front to end, one after the other,
 * and removed in that order, oldest first.
 *
 * What releases a record is written after it.  So whoever finds a file of the log
 * also finds what releases the records in it, as long as no younger file goes
 * before it: each removal is on the disk before the next.
 *
 * A file that failed to take a frame gets no other: what is in it may or may not be
 * found later.
 *
 * Locks: none; who has the log is one thread at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <cache/place.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/hostfs.h>
#include <journal/log.h>

void log_name(const struct log_dir *dir, const struct netfs_journal_log *log, uint32_t number,
	      char name[SEGMENT_NAME])
{
	char *to = name + snprintf(name, SEGMENT_NAME, "%016llx-", (unsigned long long)dir->volume);

	for (unsigned i = 0; i < sizeof(log->id); i++)
		to += snprintf(to, 3, "%02x", log->id[i]);
	snprintf(to, 10, "-%08x", number);
}

static int hex(const char **at, unsigned digits, uint64_t *ret_value)
{
	*ret_value = 0;
	for (unsigned i = 0; i < digits; i++, (*at)++) {
		const char *all = "0123456789abcdef", *found;

		if (!**at || !(found = strchr(all, **at)))
			return -EILSEQ;
		*ret_value = *ret_value << 4 | (uint64_t)(found - all);
	}
	return 0;
}

int log_name_read(const struct log_dir *dir, const char *name, uint8_t ret_id[16],
		  uint32_t *ret_number)
{
	const char *at = name;
	uint64_t value;

	if (hex(&at, 16, &value) || value != dir->volume || *at++ != '-')
		return -EILSEQ;
	for (unsigned i = 0; i < 16; i++) {
		if (hex(&at, 2, &value))
			return -EILSEQ;
		ret_id[i] = (uint8_t)value;
	}
	if (*at++ != '-' || hex(&at, 8, &value) || *at)
		return -EILSEQ;
	*ret_number = (uint32_t)value;
	return 0;
}

static struct segment *last(struct netfs_journal_log *log)
{
	if (netfs_list_empty(&log->segments))
		return NULL;
	return netfs_container_of(log->segments.prev, struct segment, link);
}

static void segment_free(struct segment *segment)
{
	netfs_list_remove(&segment->link);
	netfs_hostfs_close(segment->fd);
	netfs_free(segment);
}

static int begin(const struct log_dir *dir, struct netfs_journal_log *log)
{
	struct segment *segment = netfs_zalloc(sizeof(*segment));
	char name[SEGMENT_NAME];
	int err;

	if (!segment)
		return -ENOMEM;
	log_name(dir, log, log->next, name);
	segment->fd = netfs_place_file(dir->place, name, true);
	err = segment->fd < 0 ? segment->fd : netfs_hostfs_fsync(dir->place);
	if (err) {
		if (segment->fd >= 0)
			netfs_hostfs_close(segment->fd);
		netfs_free(segment);
		return err;
	}
	segment->number = log->next++;
	netfs_list_push_back(&log->segments, &segment->link);
	return 0;
}

int log_append(const struct log_dir *dir, struct netfs_journal_log *log, const struct frame *frame,
	       size_t size, struct segment **ret_segment)
{
	struct segment *segment = last(log);
	int err = 0;

	*ret_segment = NULL;
	if (!segment || segment->bad || segment->tail >= dir->segment)
		err = begin(dir, log);
	if (err)
		return err;
	segment = last(log);
	err = netfs_hostfs_pwrite(segment->fd, frame->bytes, size, segment->tail);
	if (!err)
		err = netfs_hostfs_fsync(segment->fd);
	segment->tail += size;
	log->frames++;
	segment->bad = err != 0;
	if (!err)
		*ret_segment = segment;
	return err;
}

struct frame_head log_head(const struct netfs_journal_log *log)
{
	struct frame_head head = {.number = log->frames + 1, .time_ns = netfs_clock_real()};

	memcpy(head.log, log->id, sizeof(head.log));
	return head;
}

/* Counts nothing in it any more? */
static bool dead(const struct segment *segment)
{
	return atomic_load(&segment->live) == 0;
}

void log_trim(const struct log_dir *dir, struct netfs_journal_log *log, bool all)
{
	while (!netfs_list_empty(&log->segments) && !log->keep) {
		struct segment *segment =
			netfs_container_of(log->segments.next, struct segment, link);
		char name[SEGMENT_NAME];
		int err;

		if (!dead(segment))
			return;
		if (segment == last(log) && !all && segment->tail < dir->segment)
			return;
		log_name(dir, log, segment->number, name);
		/* It may be gone already, where that could not be made durable. */
		err = netfs_hostfs_unlink(dir->place, name, 0);
		if ((err && err != -ENOENT) || netfs_hostfs_fsync(dir->place))
			return;
		segment_free(segment);
	}
}

void log_close(struct netfs_journal_log *log)
{
	while (!netfs_list_empty(&log->segments))
		segment_free(netfs_container_of(log->segments.next, struct segment, link));
}
