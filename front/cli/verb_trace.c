/* SPDX-License-Identifier: MIT */
/*
 * unetfs trace: the flight recorder of a running mount, as lines for people or
 * as Chrome trace events.
 *
 * What came is printed as it comes, because it may be much; whether it was all
 * is known at the end, and then it is said.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "inside.h"
#include "report.h"

struct printer {
	const struct netfs_cli_record *record;
	struct netfs_cli_text text; /* of one record */
	bool json;
	bool any; /* json: something was printed before */
	bool whole; /* the last line came */
	int64_t lost;
	uint64_t malformed;
};

static void print_record(struct printer *printer, const struct netfs_trace_record *record)
{
	char line[256];

	if (!printer->json) {
		netfs_trace_text(record, line, sizeof(line));
		puts(line);
		return;
	}
	printer->text.len = 0;
	netfs_cli_inside_event(&printer->text, record, printer->record->pid);
	if (!printer->text.failed)
		printf("%s%s", printer->any ? ",\n" : "", printer->text.data);
	printer->any = true;
}

static void take_line(void *user, char *line)
{
	struct printer *printer = user;
	struct netfs_trace_record record;
	char *words[NETFS_CLI_WORDS_MAX];
	unsigned n = netfs_cli_words(line, words);

	if (netfs_cli_inside_record(words, n, &record))
		print_record(printer, &record);
	else if (n == 3 && strcmp(words[0], "end") == 0)
		printer->whole = netfs_cli_number(words[2], &printer->lost);
	else
		printer->malformed++;
}

static int print_all(struct printer *printer)
{
	const char *dir = printer->record->mount_point;
	int err;

	if (printer->json)
		printf("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
	err = netfs_cli_ask(printer->record, "trace", take_line, printer);
	if (printer->json)
		printf("\n]}\n");
	if (fflush(stdout) != 0 || printer->text.failed)
		return NETFS_CLI_SYSTEM;
	if (err < 0) {
		netfs_cli_error("%s: its process does not answer: %s", dir, strerror(-err));
		return NETFS_CLI_FAILED;
	}
	if (!printer->whole || printer->malformed) {
		netfs_cli_error("%s: its answer is not whole", dir);
		return NETFS_CLI_FAILED;
	}
	if (printer->lost)
		netfs_cli_error("%s: %lld events of threads beyond the last ring are missing", dir,
				(long long)printer->lost);
	return NETFS_CLI_OK;
}

int netfs_cli_trace(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
	struct netfs_cli_record record;
	struct printer printer = {.record = &record};
	int opt, code;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt != 'j')
			return netfs_cli_usage("trace", "%s", argv[optind - 1]);
		printer.json = true;
	}
	if (argc - optind != 1)
		return netfs_cli_usage("trace", "one directory is wanted");
	code = netfs_cli_report_find(argv[optind], &record);
	if (code != NETFS_CLI_OK)
		return code;
	netfs_cli_text_init(&printer.text);
	code = print_all(&printer);
	netfs_cli_text_done(&printer.text);
	return code;
}
