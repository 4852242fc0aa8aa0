/* SPDX-License-Identifier: MIT */
/* The report of a running mount, read from its control socket. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>
#include "runtime.h"
#include "text.h"

/* One line of a report; the texts are valid during the call. */
struct netfs_cli_fact {
	char kind; /* 's' text, 'u' number, 'b' truth, 'c' counter */
	const char *name;
	const char *value;
	const char *group; /* of a counter, as the next two */
	const char *code;
	const char *meaning;
};

/* Takes a line apart, in place.  False where it is malformed. */
bool netfs_cli_fact_parse(char *line, struct netfs_cli_fact *ret_fact);
/* Asks a mount; fn is called for each line of the answer.  0 or negative errno. */
int netfs_cli_ask(const struct netfs_cli_record *record, const char *request,
		  void (*fn)(void *user, char *line), void *user);
/* Asks for the report; fn is called for each fact.  0 or negative errno. */
int netfs_cli_report(const struct netfs_cli_record *record,
		     void (*fn)(void *user, const struct netfs_cli_fact *fact), void *user);
/* unetfs status --requests; the exit code. */
int netfs_cli_requests_print(const struct netfs_cli_record *record, bool json);
/* Is path on a mount, one that lives or a dead one? */
bool netfs_cli_report_is_mount(const char *path);
/*
 * The mount that dir is, or is in.  0, or an exit code, reported.
 */
int netfs_cli_report_find(const char *dir, struct netfs_cli_record *ret_record);
/* Adds the fact to a JSON object. */
void netfs_cli_fact_json(struct netfs_cli_text *text, const struct netfs_cli_fact *fact);

#endif
