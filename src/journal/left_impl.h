/* SPDX-License-Identifier: MIT */
/* What was left, as its own files see it. */
#ifndef JOURNAL_LEFT_IMPL_H
#define JOURNAL_LEFT_IMPL_H

#include <base/hash.h>
#include <journal/left.h>
#include <journal/log.h>

/* A file that was left. */
struct left_entry {
	struct netfs_list link; /* of left->files */
	struct netfs_hash_link hash_link; /* while its log is being read */
	struct netfs_left_file file;
	size_t extents_room;
};

/* Of the one thread that looks at it, but for bytes. */
struct netfs_left {
	struct log_dir dir;
	struct netfs_list logs; /* of mounts that died; locked */
	struct netfs_list files; /* struct left_entry */
	_Atomic uint64_t bytes;
	uint64_t others;
	struct frame read; /* the frame that was read last, of: */
	const struct segment *read_segment;
	uint64_t read_at;
};

/* Fills it.  message as netfs_left_open(). */
int scan_left(struct netfs_left *all, char *message, size_t message_size);
/* Reads the frame at a place into all->read.  -EILSEQ: there is none. */
int left_load(struct netfs_left *all, const struct segment *segment, uint64_t at,
	      struct frame_head *ret_head);
void left_entry_free(struct left_entry *left);
void left_log_free(struct netfs_journal_log *log);

#endif
