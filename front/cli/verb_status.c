/* SPDX-License-Identifier: MIT */
/*
 * unetfs status and unetfs stats: what running mounts say of themselves.
 *
 * For people a fact is a line; with --json a mount is an object, all mounts are
 * a list, and the counters are in a member "stats".
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fuse/fuse_front.h>
#include "cli.h"
#include "report.h"

const struct netfs_cli_flag netfs_cli_status_flags[] = {
	{"--json", "for programs"},
	{"--requests", "the living requests of the mount at DIR instead"},
	{NULL, NULL},
};

const struct netfs_cli_flag netfs_cli_json_flags[] = {
	{"--json", "for programs"},
	{NULL, NULL},
};

/* One mount being shown. */
struct view {
	struct netfs_cli_text text;
	bool json;
	bool counters_open; /* json: inside the member "stats" */
	char group[32]; /* of the last counter */
	unsigned mounts;
};

static bool is_size(const char *name)
{
	return strcmp(name, "dirty") == 0 || strcmp(name, "stuck") == 0 ||
	       strcmp(name, "lost") == 0 || strcmp(name, "cached") == 0 ||
	       strcmp(name, "journal") == 0 || strcmp(name, "left") == 0;
}

static void show_fact(void *user, const struct netfs_cli_fact *fact)
{
	struct view *view = user;
	char size[32];

	if (view->json) {
		if (fact->kind == 'c' && !view->counters_open) {
			netfs_cli_json_key(&view->text, "stats");
			netfs_cli_json_open(&view->text, '{');
			view->counters_open = true;
		}
		netfs_cli_fact_json(&view->text, fact);
		return;
	}
	if (fact->kind == 'c' || strcmp(fact->name, "mount_point") == 0)
		return;
	if (fact->kind == 'b')
		netfs_cli_text_add(&view->text, "  %-11s %s\n", fact->name,
				   strcmp(fact->value, "0") == 0 ? "no" : "yes");
	else if (is_size(fact->name))
		netfs_cli_text_add(&view->text, "  %-11s %s\n", fact->name,
				   netfs_cli_size(size, strtoull(fact->value, NULL, 10)));
	else
		netfs_cli_text_add(&view->text, "  %-11s %s\n", fact->name,
				   fact->value[0] ? fact->value : "-");
}

/* Was left behind by a process that was killed, and is no mount any more? */
static bool is_stale(const struct netfs_cli_record *record, int err)
{
	struct netfs_mountinfo info;

	return (err == -ECONNREFUSED || err == -ENOENT) &&
	       netfs_mountinfo_find(record->mount_point, &info) == -ENOENT;
}

/* A record whose process does not answer. */
static void show_dead(struct view *view, const struct netfs_cli_record *record)
{
	const struct netfs_cli_fact name = {
		.kind = 's', .name = "mount_point", .value = record->mount_point};
	const struct netfs_cli_fact source = {
		.kind = 's', .name = "source", .value = record->source};
	const struct netfs_cli_fact state = {
		.kind = 's', .name = "state", .value = "dead: its process does not answer"};

	show_fact(view, &name);
	show_fact(view, &source);
	show_fact(view, &state);
}

/* What comes before and after the facts of one mount. */
static void open_mount(struct view *view, const struct netfs_cli_record *record)
{
	view->counters_open = false;
	if (view->json) {
		netfs_cli_json_next(&view->text);
		netfs_cli_json_open(&view->text, '{');
	} else {
		netfs_cli_text_add(&view->text, "%s%s\n", view->mounts ? "\n" : "",
				   record->mount_point);
	}
	view->mounts++;
}

static void close_mount(struct view *view)
{
	if (view->counters_open)
		netfs_cli_json_close(&view->text, '}');
	if (view->json)
		netfs_cli_json_close(&view->text, '}');
}

/* An answer is shown only when it is whole. */
static bool show_mount(void *user, const struct netfs_cli_record *record)
{
	struct view *view = user, one = {.json = view->json, .mounts = view->mounts};
	int err;

	open_mount(&one, record);
	err = netfs_cli_report(record, show_fact, &one);
	if (is_stale(record, err)) {
		netfs_cli_runtime_remove(record->socket);
		netfs_cli_text_done(&one.text);
		return true;
	}
	if (err < 0) {
		netfs_cli_text_done(&one.text);
		one.mounts = view->mounts;
		open_mount(&one, record);
		show_dead(&one, record);
	}
	close_mount(&one);
	if (view->json)
		netfs_cli_json_next(&view->text);
	if (one.text.data)
		netfs_cli_text_put(&view->text, one.text.data, one.text.len);
	view->text.failed |= one.text.failed;
	view->mounts = one.mounts;
	netfs_cli_text_done(&one.text);
	return true;
}

static int print(struct netfs_cli_text *text)
{
	int code = NETFS_CLI_OK;

	if (text->failed || (text->len && fwrite(text->data, text->len, 1, stdout) != 1) ||
	    fflush(stdout) != 0)
		code = NETFS_CLI_SYSTEM;
	netfs_cli_text_done(text);
	return code;
}

/* Flags anywhere, at most one directory.  ret_requests NULL: no such flag.  0
 * or an exit code. */
static int parse(int argc, char **argv, bool *ret_json, bool *ret_requests, const char **ret_dir)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"requests", no_argument, NULL, 'r'}, {0}};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'j')
			*ret_json = true;
		else if (opt == 'r' && ret_requests)
			*ret_requests = true;
		else
			return netfs_cli_usage(argv[0], "%s", argv[optind - 1]);
	}
	if (argc - optind > 1)
		return netfs_cli_usage(argv[0], "one directory is wanted");
	*ret_dir = argv[optind];
	return NETFS_CLI_OK;
}

static int status_all(struct view *view)
{
	if (view->json)
		netfs_cli_json_open(&view->text, '[');
	netfs_cli_runtime_each(show_mount, view);
	if (view->json)
		netfs_cli_json_close(&view->text, ']');
	else if (!view->mounts)
		netfs_cli_text_add(&view->text, "nothing is mounted\n");
	if (view->json)
		netfs_cli_text_put(&view->text, "\n", 1);
	return print(&view->text);
}

int netfs_cli_status(int argc, char **argv)
{
	struct netfs_cli_record record;
	struct view view = {0};
	const char *dir = NULL;
	bool requests = false;
	int code = parse(argc, argv, &view.json, &requests, &dir);

	if (code == NETFS_CLI_OK && requests && !dir)
		code = netfs_cli_usage("status", "--requests wants a directory");
	if (code != NETFS_CLI_OK)
		return code;
	if (!dir)
		return status_all(&view);
	code = netfs_cli_report_find(dir, &record);
	if (code != NETFS_CLI_OK)
		return code;
	if (requests)
		return netfs_cli_requests_print(&record, view.json);
	show_mount(&view, &record);
	if (view.json)
		netfs_cli_text_put(&view.text, "\n", 1);
	return print(&view.text);
}

static void show_counter(void *user, const struct netfs_cli_fact *fact)
{
	struct view *view = user;

	if (fact->kind != 'c')
		return;
	if (view->json) {
		netfs_cli_fact_json(&view->text, fact);
		return;
	}
	if (strcmp(view->group, fact->group) != 0)
		netfs_cli_text_add(&view->text, "%s%s\n", view->group[0] ? "\n" : "", fact->group);
	snprintf(view->group, sizeof(view->group), "%s", fact->group);
	netfs_cli_text_add(&view->text, "  %-22s %15s  %-3s %s\n", fact->name, fact->value,
			   fact->code, fact->meaning);
}

int netfs_cli_stats(int argc, char **argv)
{
	struct netfs_cli_record record;
	struct view view = {0};
	const char *dir = NULL;
	int err, code = parse(argc, argv, &view.json, NULL, &dir);

	if (code == NETFS_CLI_OK && !dir)
		code = netfs_cli_usage("stats", "a directory is wanted");
	if (code == NETFS_CLI_OK)
		code = netfs_cli_report_find(dir, &record);
	if (code != NETFS_CLI_OK)
		return code;
	if (view.json)
		netfs_cli_json_open(&view.text, '{');
	err = netfs_cli_report(&record, show_counter, &view);
	if (err < 0) {
		netfs_cli_error("%s: its process does not answer: %s", record.mount_point,
				strerror(-err));
		netfs_cli_text_done(&view.text);
		return NETFS_CLI_FAILED;
	}
	if (view.json)
		netfs_cli_text_put(&view.text, "}\n", 2);
	return print(&view.text);
}
