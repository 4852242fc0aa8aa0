/* SPDX-License-Identifier: MIT */
/*
 * Reads reports of running mounts.  What comes over the socket is another
 * process's text: each line is checked, and shown without control characters.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fuse/fuse_front.h>
#include "cli.h"
#include "contact.h"
#include "report.h"

/* A mount that works answers at once. */
#define REPORT_MS 10000

static bool digits(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

bool netfs_cli_fact_parse(char *line, struct netfs_cli_fact *ret_fact)
{
	char *name = line + 2, *value, *rest[3] = {NULL, NULL, NULL};

	if (!line[0] || !strchr("subc", line[0]) || line[1] != ' ')
		return false;
	value = strchr(name, ' ');
	if (!value || value == name)
		return false;
	*value++ = '\0';
	for (unsigned i = 0; line[0] == 'c' && i < 3; i++) {
		rest[i] = strchr(i ? rest[i - 1] : value, ' ');
		if (!rest[i])
			return false;
		*rest[i]++ = '\0';
	}
	if (line[0] != 's' && !digits(value))
		return false;
	for (char *c = value; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	*ret_fact = (struct netfs_cli_fact){line[0], name, value, "", "", ""};
	if (line[0] != 'c')
		return true;
	ret_fact->group = rest[0];
	ret_fact->code = rest[1];
	ret_fact->meaning = rest[2];
	return true;
}

int netfs_cli_ask(const struct netfs_cli_record *record, const char *request,
		  void (*fn)(void *user, char *line), void *user)
{
	struct netfs_cli_contact contact;
	char line[1024];
	int n, err = netfs_cli_contact_open(record->socket, request, &contact);

	if (err < 0)
		return err;
	while ((n = netfs_cli_contact_line(&contact, line, sizeof(line), REPORT_MS)) > 0)
		fn(user, line);
	netfs_cli_contact_close(&contact);
	return n;
}

struct reader {
	void (*fn)(void *user, const struct netfs_cli_fact *fact);
	void *user;
};

static void take_fact(void *user, char *line)
{
	struct reader *reader = user;
	struct netfs_cli_fact fact;

	if (netfs_cli_fact_parse(line, &fact))
		reader->fn(reader->user, &fact);
}

int netfs_cli_report(const struct netfs_cli_record *record,
		     void (*fn)(void *user, const struct netfs_cli_fact *fact), void *user)
{
	struct reader reader = {fn, user};

	return netfs_cli_ask(record, "report", take_fact, &reader);
}

struct search {
	const char *path;
	struct netfs_mountinfo best;
	size_t length; /* of the best one's mount point */
};

/* The mount that path is in is the one with the longest name; of two at one
 * place the later. */
static bool match(void *user, struct netfs_mountinfo *info)
{
	struct search *search = user;
	size_t n = strlen(info->mount_point);
	char next = search->path[n < strlen(search->path) ? n : strlen(search->path)];

	if (strncmp(search->path, info->mount_point, n) != 0 || (next != '/' && next != '\0'))
		return true;
	if (n >= search->length) {
		search->best = *info;
		search->length = n;
	}
	return true;
}

bool netfs_cli_report_is_mount(const char *dir)
{
	struct search search = {0};
	char path[PATH_MAX];

	search.path = path;
	return netfs_cli_path(dir, path) == 0 &&
	       netfs_mountinfo_each(NETFS_FUSE_TYPE, match, &search) == 0 && search.length;
}

int netfs_cli_report_find(const char *dir, struct netfs_cli_record *ret_record)
{
	struct search search = {0};
	char path[PATH_MAX];
	int err = netfs_cli_path(dir, path);

	search.path = path;
	if (err == 0)
		err = netfs_mountinfo_each(NETFS_FUSE_TYPE, match, &search);
	if (err < 0) {
		netfs_cli_error("%s: %s", dir, strerror(-err));
		return NETFS_CLI_USAGE;
	}
	if (!search.length) {
		netfs_cli_error("%s is not in a mount of unetfs", path);
		return NETFS_CLI_USAGE;
	}
	if (netfs_cli_runtime_find(search.best.mount_point, search.best.minor, ret_record) == 0)
		return NETFS_CLI_OK;
	netfs_cli_error("%s: its process is gone, or belongs to another user",
			search.best.mount_point);
	return NETFS_CLI_FAILED;
}

void netfs_cli_fact_json(struct netfs_cli_text *text, const struct netfs_cli_fact *fact)
{
	netfs_cli_json_key(text, fact->name);
	if (fact->kind == 's')
		netfs_cli_json_string(text, fact->value);
	else if (fact->kind == 'b')
		netfs_cli_text_add(text, "%s", strcmp(fact->value, "0") == 0 ? "false" : "true");
	else
		netfs_cli_text_add(text, "%llu", strtoull(fact->value, NULL, 10));
}
