/* SPDX-License-Identifier: MIT */
/*
 * Reads the lines about a mount's inside; runs in the command's process.  They
 * are another process's text, so each is checked.
 *
 * In the Chrome trace format a request is an asynchronous slice from NEW to
 * FREE, an attempt of a subrequest one from SUBMT to TERM, and every other
 * record an instant on its thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "inside.h"

unsigned netfs_cli_words(char *line, char **ret_words)
{
	char *rest = NULL, *word = strtok_r(line, " ", &rest);
	unsigned n = 0;

	for (; word; word = strtok_r(NULL, " ", &rest)) {
		if (n == NETFS_CLI_WORDS_MAX)
			return 0;
		for (char *c = word; *c; c++) {
			if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\')
				*c = '?';
		}
		ret_words[n++] = word;
	}
	return n;
}

bool netfs_cli_number(const char *word, int64_t *ret_number)
{
	bool negative = *word == '-';
	const char *digits = word + negative;
	char *end;

	if (*digits < '0' || *digits > '9')
		return false;
	/* File numbers and ends of files use all 64 bits. */
	errno = 0;
	*ret_number = (int64_t)strtoull(digits, &end, 10);
	if (negative)
		*ret_number = -*ret_number;
	return errno == 0 && *end == '\0';
}

/* Numbers of a record line, by the place of their word. */
enum place {
	TIME = 1,
	THREAD,
	GROUP,
	CODE,
	REQUEST,
	SUB,
	INODE,
	START,
	LEN,
	ERROR,
	EXTRA_NAME,
	EXTRA,
	EXTRA_TEXT,
	PLACES,
};

bool netfs_cli_inside_record(char **words, unsigned nwords, struct netfs_trace_record *ret_record)
{
	int64_t number[PLACES] = {0};

	if (nwords != PLACES || strcmp(words[0], "t") != 0)
		return false;
	for (unsigned i = TIME; i < PLACES; i++) {
		if (i == GROUP || i == CODE || i == EXTRA_NAME || i == EXTRA_TEXT)
			continue;
		if (!netfs_cli_number(words[i], &number[i]))
			return false;
	}
	*ret_record = (struct netfs_trace_record){
		.time_ns = (uint64_t)number[TIME],
		.thread = (uint32_t)number[THREAD],
		.group = words[GROUP],
		.code = words[CODE],
		.request = (uint32_t)number[REQUEST],
		.sub = (uint32_t)number[SUB],
		.inode = (uint64_t)number[INODE],
		.start = (uint64_t)number[START],
		.len = (uint64_t)number[LEN],
		.extra = (uint64_t)number[EXTRA],
		.error = (int)number[ERROR],
	};
	if (strcmp(words[EXTRA_NAME], "-") != 0)
		ret_record->extra_name = words[EXTRA_NAME];
	if (strcmp(words[EXTRA_TEXT], "-") != 0)
		strncpy(ret_record->extra_text, words[EXTRA_TEXT], 8);
	return true;
}

static bool is(const struct netfs_trace_record *record, const char *group, const char *code)
{
	return strcmp(record->group, group) == 0 && strcmp(record->code, code) == 0;
}

/* What kind of event the record becomes. */
static void event_head(struct netfs_cli_text *text, const struct netfs_trace_record *r)
{
	bool request = is(r, "netfs_rreq", "NEW") || is(r, "netfs_rreq", "FREE");
	bool attempt = is(r, "netfs_sreq", "SUBMT") || is(r, "netfs_sreq", "TERM");
	bool begins = r->code[0] == 'N' || r->code[0] == 'S';

	if (request)
		netfs_cli_text_add(
			text, "\"ph\":\"%c\",\"cat\":\"request\",\"id\":\"%x\",\"name\":\"%s\"",
			begins ? 'b' : 'e', r->request, r->extra_text);
	else if (attempt)
		netfs_cli_text_add(text,
				   "\"ph\":\"%c\",\"cat\":\"subrequest\",\"id\":\"%x.%u\","
				   "\"name\":\"R=%x[%u]\"",
				   begins ? 'b' : 'e', r->request, r->sub, r->request, r->sub);
	else
		netfs_cli_text_add(text, "\"ph\":\"i\",\"s\":\"t\",\"cat\":\"%s\",\"name\":\"%s\"",
				   r->group, r->code);
}

void netfs_cli_inside_event(struct netfs_cli_text *text, const struct netfs_trace_record *record,
			    int64_t pid)
{
	const struct netfs_trace_record *r = record;

	netfs_cli_text_add(text, "{");
	event_head(text, r);
	netfs_cli_text_add(
		text, ",\"ts\":%" PRIu64 ".%03" PRIu64 ",\"pid\":%" PRId64 ",\"tid\":%u,\"args\":{",
		(r->time_ns / 1000), (r->time_ns % 1000), pid, r->thread);
	netfs_cli_text_add(text, "\"request\":%u,\"sub\":%u,\"inode\":%" PRIu64, r->request, r->sub,
			   r->inode);
	netfs_cli_text_add(text, ",\"start\":%" PRIu64 ",\"len\":%" PRIu64 ",\"error\":%d",
			   r->start, r->len, r->error);
	if (r->extra_name && r->extra_text[0])
		netfs_cli_text_add(text, ",\"%s\":\"%s\"", r->extra_name, r->extra_text);
	else if (r->extra_name)
		netfs_cli_text_add(text, ",\"%s\":%" PRIu64, r->extra_name, r->extra);
	netfs_cli_text_add(text, "}}");
}
