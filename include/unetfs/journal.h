/* SPDX-License-Identifier: MIT */
/*
 * What mounts with writeback=journal had not sent when they died, seen from outside:
 * for tools that list it, or save it elsewhere.  Nothing is changed.
 *
 * Every function may block.  One thread at a time.  Needs no client and no executor;
 * meanwhile no mount finds what is looked at.
 */
#ifndef UNETFS_JOURNAL_H
#define UNETFS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netfs_journal_look;

/* source and options are those of the mount that died, uid whose it was.  -EINVAL,
 * -EPERM, -ENOMEM, -EIO; message then says what is wrong, in one line. */
int netfs_journal_look_open(const char *source, const char *options, uint32_t uid,
			    struct netfs_journal_look **ret_look, char *message,
			    size_t message_size);
/* NULL is allowed. */
void netfs_journal_look_close(struct netfs_journal_look *look);

/* One file; valid until the next is asked for. */
struct netfs_journal_kept {
	const char *path; /* where it was last, from the root of the share */
	uint64_t ino; /* the server's numbers of it */
	uint64_t gen;
	uint64_t bytes; /* of data, all pieces together */
	uint64_t pieces;
	uint64_t written_ns; /* the last change, since 1970 */
	bool sent; /* some of it may be at the server already */
};

/* The next one; false: there are no more. */
bool netfs_journal_look_next(struct netfs_journal_look *look, struct netfs_journal_kept *ret_kept);
/* A piece of the file that came last, by number, in the order of the writes: where it
 * belongs, and how long it is. */
void netfs_journal_look_piece(struct netfs_journal_look *look, uint64_t piece, uint64_t *ret_start,
			      uint32_t *ret_len);
/* len bytes of it from offset.  0, -EILSEQ: they are not what was written, or another
 * negative errno. */
int netfs_journal_look_read(struct netfs_journal_look *look, uint64_t piece, uint32_t offset,
			    void *buf, size_t len);
/* Files in the folder of journals that are of other shares, users or keys, or of mounts
 * that are alive. */
uint64_t netfs_journal_look_others(const struct netfs_journal_look *look);

#endif
