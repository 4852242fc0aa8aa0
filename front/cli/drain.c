/* SPDX-License-Identifier: MIT */
/*
 * The side that waits of "drain" (control.h), for umount and sync.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"
#include "drain.h"

/* A daemon that works answers in this time. */
#define ANSWER_MS 300

int netfs_cli_drain_left(const struct netfs_cli_drain *drain)
{
	uint64_t now = netfs_cli_now_ms();

	if (!drain->until)
		return -1;
	return drain->until > now ? (int)(drain->until - now) : 0;
}

static void show_left(struct netfs_cli_drain *drain, uint64_t left)
{
	char size[32];

	if (drain->tty)
		fprintf(stderr, "\r%s left to send    ", netfs_cli_size(size, left));
	else if (!drain->shown)
		fprintf(stderr, "unetfs: sending %s %s%s\n", netfs_cli_size(size, left),
			drain->unmounting ? "before unmounting " : "of ", drain->path);
	drain->shown = true;
}

void netfs_cli_drain_end(struct netfs_cli_drain *drain)
{
	if (!drain->shown)
		return;
	if (drain->tty)
		fprintf(stderr, "\r%*s\r", 40, "");
	else
		fprintf(stderr, "unetfs: everything was sent\n");
	drain->shown = false;
}

void netfs_cli_drain_break(struct netfs_cli_drain *drain)
{
	if (drain->shown && drain->tty)
		fputc('\n', stderr);
	drain->shown = false;
}

static const char *fate(const struct netfs_cli_drain *drain)
{
	return drain->unmounting ? " stays mounted" : "";
}

static int give_up_waiting(struct netfs_cli_drain *drain, uint64_t left)
{
	char size[32];

	netfs_cli_drain_break(drain);
	netfs_cli_error("%s%s: %s not sent in time", drain->path, fate(drain),
			netfs_cli_size(size, left));
	return NETFS_CLI_FAILED;
}

static int report_failed(struct netfs_cli_drain *drain, const char *line)
{
	unsigned long long left = 0;
	char size[32], reason[256] = "";
	int err = 0;

	netfs_cli_drain_break(drain);
	sscanf(line, "failed %d %llu %255[^\n]", &err, &left, reason);
	netfs_cli_error("%s%s: %s could not be sent: %s", drain->path, fate(drain),
			netfs_cli_size(size, left), reason);
	return NETFS_CLI_FAILED;
}

/* Even who does not want to wait is told how much is left. */
static int time_for_line(const struct netfs_cli_drain *drain, bool first)
{
	int left = netfs_cli_drain_left(drain);

	return first && left >= 0 && left < ANSWER_MS ? ANSWER_MS : left;
}

int netfs_cli_drain(struct netfs_cli_drain *drain, struct netfs_cli_contact *contact, bool *dead)
{
	unsigned long long left = 0;
	bool first = true;
	char line[512];

	*dead = false;
	while (true) {
		int n = netfs_cli_contact_line(contact, line, sizeof(line),
					       time_for_line(drain, first));

		first = false;
		if (n == -ETIMEDOUT)
			return give_up_waiting(drain, left);
		*dead = n <= 0;
		if (*dead || sscanf(line, "synced %llu", &drain->stuck) == 1)
			return NETFS_CLI_OK;
		if (sscanf(line, "left %llu", &left) == 1) {
			if (left)
				show_left(drain, left);
		} else if (strncmp(line, "failed", 6) == 0) {
			return report_failed(drain, line);
		}
	}
}

int netfs_cli_drain_seconds(const char *verb, const char *text, uint64_t *ret_until)
{
	char *end;
	unsigned long seconds = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || seconds > 1000000)
		return netfs_cli_usage(verb, "-t %s is not a number of seconds", text);
	*ret_until = netfs_cli_now_ms() + seconds * 1000;
	return NETFS_CLI_OK;
}
