/* SPDX-License-Identifier: MIT */
/*
 * A frame: some records that go to the disk together, with what proves them.
 * doc/journal.md has the bytes.  Nothing here touches the disk.
 */
#ifndef JOURNAL_FRAME_H
#define JOURNAL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unetfs/cache.h>

#define FRAME_HEAD   96
#define FRAME_RECORD 40
/* Frames begin at multiples of it. */
#define FRAME_ALIGN 512u
/* A name record without its path. */
#define FRAME_NAME 56
/* A body may not be longer: more than anybody writes at once. */
#define FRAME_BODY_MAX (UINT32_C(1) << 30)

enum record_kind {
	RECORD_NAME = 1, /* where the file is, and what it was before */
	RECORD_DATA,
	RECORD_MARK, /* what follows at the server may be our own doing */
	/* Records of the file up to start are worth nothing; RELEASE_ALL: so is the mark. */
	RECORD_RELEASE,
	RECORD_MTIME, /* start: nanoseconds */
	RECORD_KINDS,
};

/* Beside the number: nothing was left. */
#define RELEASE_ALL (UINT64_C(1) << 63)

struct record {
	enum record_kind kind;
	uint64_t seq;
	uint64_t ino;
	uint64_t gen;
	uint64_t start;
	uint32_t len; /* of what follows the record */
	size_t body_at; /* where that is in the body; when it is read */
	const uint8_t *body;
};

/* Content of a name record. */
struct record_name {
	bool known; /* base is what the server had */
	struct netfs_cache_version base;
	const char *path; /* when read: not ended by a zero */
	size_t path_len;
};

struct frame_head {
	uint64_t number; /* counted over the log */
	uint64_t time_ns; /* of the wall clock */
	uint32_t body_len;
	uint32_t nrecords;
	uint8_t log[16]; /* which log it is of */
};

struct netfs_aead;

/* A frame that is being put together.  Zero is an empty one. */
struct frame {
	uint8_t *bytes; /* owned: head and body, room for whole sectors */
	size_t room;
	size_t used; /* head and body */
	uint32_t nrecords;
};

/* Room for the head, and nothing else yet.  -ENOMEM. */
int frame_begin(struct frame *frame);
/* A record, with len bytes behind it that the caller fills in: where.  NULL: no
 * memory. */
uint8_t *frame_add(struct frame *frame, const struct record *record);
/* A name record.  -ENOMEM. */
int frame_add_name(struct frame *frame, struct record record, const struct record_name *name);
/* Writes the head; with aead also hides the body.  Returns the bytes to write, a
 * multiple of FRAME_ALIGN, or a negative errno. */
ssize_t frame_end(struct frame *frame, const struct frame_head *head, struct netfs_aead *aead);
void frame_done(struct frame *frame);

/* The head of what may be a frame.  -EILSEQ: it is none; sealed: and must be one
 * that is, or must not. */
int frame_head_read(const uint8_t bytes[FRAME_HEAD], bool sealed, struct frame_head *ret_head);
/* Is the body, which is read behind the head, what was written?  Opens it in place.
 * -EILSEQ: it is not. */
int frame_open(const uint8_t head[FRAME_HEAD], uint8_t *body, size_t len, struct netfs_aead *aead);
/* The record at *at of a body that was proved; moves on.  False: there is none, or
 * it is damaged. */
bool frame_next(const uint8_t *body, size_t len, size_t *at, struct record *ret_record);
/* -EILSEQ. */
int frame_read_name(const struct record *record, struct record_name *ret_name);

#endif
