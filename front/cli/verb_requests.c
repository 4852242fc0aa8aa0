/* SPDX-License-Identifier: MIT */
/*
 * unetfs status --requests: what is on its way in a mount just now.  For
 * people a request is a line and one more for each stream; with --json it is
 * an object in a list.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "inside.h"
#include "report.h"

struct lister {
	struct netfs_cli_text text;
	bool json;
	bool in_request; /* json: its object is open */
	const char *in_list; /* json: of the request: "streams", "references" */
	bool whole; /* the last line came */
	bool malformed; /* a line was no such thing */
};

/* Ends what is open of the request before. */
static void close_request(struct lister *lister)
{
	if (lister->in_list)
		netfs_cli_json_close(&lister->text, ']');
	if (lister->in_request)
		netfs_cli_json_close(&lister->text, '}');
	lister->in_list = NULL;
	lister->in_request = false;
}

static void open_list(struct lister *lister, const char *name)
{
	if (lister->in_list != name) {
		if (lister->in_list)
			netfs_cli_json_close(&lister->text, ']');
		netfs_cli_json_key(&lister->text, name);
		netfs_cli_json_open(&lister->text, '[');
		lister->in_list = name;
	}
	netfs_cli_json_next(&lister->text);
}

static void json_number(struct lister *lister, const char *name, int64_t number)
{
	netfs_cli_json_key(&lister->text, name);
	netfs_cli_text_add(&lister->text, "%llu", (unsigned long long)number);
}

static void json_truth(struct lister *lister, const char *name, int64_t number)
{
	netfs_cli_json_key(&lister->text, name);
	netfs_cli_text_add(&lister->text, "%s", number ? "true" : "false");
}

static void json_word(struct lister *lister, const char *name, const char *word)
{
	netfs_cli_json_key(&lister->text, name);
	netfs_cli_json_string(&lister->text, word);
}

/* r ID ORIGIN INODE AGE_NS IN_USE START END STALLED CANCELLED */
static void take_request(struct lister *lister, char **words, const int64_t *number)
{
	if (lister->json) {
		close_request(lister);
		netfs_cli_json_next(&lister->text);
		netfs_cli_json_open(&lister->text, '{');
		lister->in_request = true;
		json_number(lister, "id", number[1]);
		json_word(lister, "origin", words[2]);
		json_number(lister, "inode", number[3]);
		json_number(lister, "age_ns", number[4]);
		json_truth(lister, "in_use", number[5]);
		json_number(lister, "start", number[6]);
		json_number(lister, "end", number[7]);
		json_truth(lister, "stalled", number[8]);
		json_truth(lister, "cancelled", number[9]);
		return;
	}
	netfs_cli_text_add(
		&lister->text, "R=%08llx %s i=%llx %llx+%llx age %lld.%03lld s%s%s%s\n",
		(long long)number[1], words[2], (long long)number[3], (long long)number[6],
		(long long)(number[7] - number[6]), (long long)(number[4] / 1000000000),
		(long long)(number[4] / 1000000 % 1000), number[5] ? ", its file is in use" : "",
		number[8] ? ", stalled" : "", number[9] ? ", being cancelled" : "");
}

/* m INDEX ISSUED_TO COLLECTED_TO READY SENT ANSWERED WAITING DONE FAILED ERROR */
static void take_stream(struct lister *lister, const int64_t *number)
{
	static const char *const names[] = {"ready", "sent", "answered", "waiting", "done"};

	if (lister->json) {
		open_list(lister, "streams");
		netfs_cli_json_open(&lister->text, '{');
		json_number(lister, "issued_to", number[2]);
		json_number(lister, "collected_to", number[3]);
		for (unsigned i = 0; i < 5; i++)
			json_number(lister, names[i], number[4 + i]);
		json_truth(lister, "failed", number[9]);
		netfs_cli_json_key(&lister->text, "error");
		netfs_cli_text_add(&lister->text, "%lld", (long long)number[10]);
		netfs_cli_json_close(&lister->text, '}');
		return;
	}
	netfs_cli_text_add(&lister->text, "  stream %lld: issued to %llx, collected to %llx",
			   (long long)number[1], (long long)number[2], (long long)number[3]);
	for (unsigned i = 0; i < 5; i++) {
		if (number[4 + i])
			netfs_cli_text_add(&lister->text, ", %lld %s", (long long)number[4 + i],
					   names[i]);
	}
	if (number[9])
		netfs_cli_text_add(&lister->text, ", failed e=%lld", (long long)number[10]);
	netfs_cli_text_add(&lister->text, "\n");
}

/* h REASON COUNT */
static void take_holder(struct lister *lister, char **words, const int64_t *number)
{
	if (lister->json) {
		open_list(lister, "references");
		netfs_cli_json_open(&lister->text, '{');
		json_word(lister, "reason", words[1]);
		json_number(lister, "count", number[2]);
		netfs_cli_json_close(&lister->text, '}');
		return;
	}
	netfs_cli_text_add(&lister->text, "  held by %s (%lld)\n", words[1], (long long)number[2]);
}

/* All words of a line but its kind and the one at place text are numbers. */
static bool numbers(char **words, unsigned n, unsigned text, int64_t *ret_number)
{
	for (unsigned i = 1; i < n; i++) {
		if (i != text && !netfs_cli_number(words[i], &ret_number[i]))
			return false;
	}
	return true;
}

static void take_line(void *user, char *line)
{
	int64_t number[NETFS_CLI_WORDS_MAX] = {0};
	char *words[NETFS_CLI_WORDS_MAX];
	struct lister *lister = user;
	unsigned n = netfs_cli_words(line, words);

	if (n == 10 && strcmp(words[0], "r") == 0 && numbers(words, n, 2, number))
		take_request(lister, words, number);
	else if (n == 11 && strcmp(words[0], "m") == 0 && numbers(words, n, 0, number))
		take_stream(lister, number);
	else if (n == 3 && strcmp(words[0], "h") == 0 && numbers(words, n, 1, number))
		take_holder(lister, words, number);
	else if (n == 2 && strcmp(words[0], "end") == 0)
		lister->whole = true;
	else
		lister->malformed = true;
}

int netfs_cli_requests_print(const struct netfs_cli_record *record, bool json)
{
	struct lister lister = {.json = json};
	int code = NETFS_CLI_OK;
	int err;

	if (json)
		netfs_cli_json_open(&lister.text, '[');
	err = netfs_cli_ask(record, "requests", take_line, &lister);
	close_request(&lister);
	if (json)
		netfs_cli_text_put(&lister.text, "]\n", 2);
	if (err < 0 || !lister.whole || lister.malformed) {
		netfs_cli_error("%s: %s%s", record->mount_point,
				err < 0 ? "its process does not answer: " : "it has ended",
				err < 0 ? strerror(-err) : "");
		code = NETFS_CLI_FAILED;
	} else if (lister.text.failed ||
		   fputs(lister.text.data ? lister.text.data : "", stdout) < 0 ||
		   fflush(stdout) != 0) {
		code = NETFS_CLI_SYSTEM;
	}
	netfs_cli_text_done(&lister.text);
	return code;
}
