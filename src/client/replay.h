/* SPDX-License-Identifier: MIT */
/*
 * Writes once more what a mount that died had in its journal, through a mount that
 * has just been opened and that nobody else uses yet.
 */
#ifndef CLIENT_REPLAY_H
#define CLIENT_REPLAY_H

#include <unetfs/unetfs.h>

struct netfs_journal;
struct netfs_replay;

/* What came of it. */
struct netfs_replay_result {
	uint64_t files; /* written again, or found to be there */
	uint64_t bytes;
	uint64_t conflicts; /* kept in files of their own beside what others made */
	uint64_t stuck; /* that could not be written, and stay in the journal */
	uint64_t stuck_bytes;
};

/* Begins.  done() comes once, perhaps before this returns; what could not be
 * written is no error.  log: one line for people for each file that is not just
 * written again; may be NULL.  -ENOMEM. */
int netfs_replay_start(struct netfs_mount *mount, struct netfs_journal *journal,
		       const struct netfs_cred *cred,
		       void (*log)(void *user, int level, const char *line),
		       void (*done)(void *user, const struct netfs_replay_result *result),
		       void *user);

#endif
