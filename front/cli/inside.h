/* SPDX-License-Identifier: MIT */
/*
 * The inside of a mount as lines of its control socket: living requests and
 * the flight recorder.  Words have no blanks; "-" stands for none.
 *
 *	r ID ORIGIN INODE AGE_NS IN_USE START END STALLED CANCELLED
 *		a request; what it has follows in these:
 *	m INDEX ISSUED_TO COLLECTED_TO READY SENT ANSWERED WAITING DONE FAILED ERROR
 *		a stream of it
 *	h REASON COUNT
 *		who holds it
 *	t TIME_NS THREAD GROUP CODE REQUEST SUB INODE START LEN ERROR EXTRA VALUE WORD
 *		a record
 *	end COUNT [LOST]
 *		the last line: the answer is whole; LOST records could not be kept
 *
 * Numbers are decimal; IN_USE, STALLED, CANCELLED and FAILED are 0 or 1.
 */
#ifndef CLI_INSIDE_H
#define CLI_INSIDE_H

#include <unetfs/trace.h>
#include "text.h"

void netfs_cli_inside_requests(struct netfs_cli_text *text, struct netfs_mount *mount);
void netfs_cli_inside_trace(struct netfs_cli_text *text);

/* The most words a line has. */
#define NETFS_CLI_WORDS_MAX 16

/* Cuts a line into words, in place; returns how many, 0 where too many. */
unsigned netfs_cli_words(char *line, char **ret_words);
/* A decimal number that stands there alone.  False where it is none. */
bool netfs_cli_number(const char *word, int64_t *ret_number);

/* A record from the words of a line that begins with "t"; its texts point into
 * them.  False where the line is malformed. */
bool netfs_cli_inside_record(char **words, unsigned nwords, struct netfs_trace_record *ret_record);
/* The same as an event of the Chrome trace format, without a comma. */
void netfs_cli_inside_event(struct netfs_cli_text *text, const struct netfs_trace_record *record,
			    int64_t pid);

#endif
