/* SPDX-License-Identifier: MIT */
/*
 * unetfs sync: waits until all that was written to a mount is durable at its server,
 * also what an earlier mount had left in the journal.  (The kernel does not pass
 * syncfs(2) on to programs like ours.)
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "drain.h"
#include "report.h"

const struct netfs_cli_flag netfs_cli_sync_flags[] = {
	{"-t SECONDS", "wait no longer than this"},
	{NULL, NULL},
};

static int sync_mount(struct netfs_cli_drain *drain, const struct netfs_cli_record *record)
{
	struct netfs_cli_contact contact;
	bool dead = false;
	int code, err;

	drain->path = record->mount_point;
	err = netfs_cli_contact_open(record->socket, "drain", &contact);
	if (err < 0) {
		netfs_cli_error("%s: its process does not answer: %s", drain->path, strerror(-err));
		return NETFS_CLI_FAILED;
	}
	code = netfs_cli_drain(drain, &contact, &dead);
	netfs_cli_contact_close(&contact);
	if (dead) {
		netfs_cli_error("%s: its process ended before everything was sent", drain->path);
		return NETFS_CLI_FAILED;
	}
	if (code == NETFS_CLI_OK && drain->stuck) {
		netfs_cli_drain_break(drain);
		netfs_cli_error("%s: %llu bytes of an earlier mount stay in the journal: its log "
				"says why",
				drain->path, drain->stuck);
		return NETFS_CLI_FAILED;
	}
	if (code == NETFS_CLI_OK)
		netfs_cli_drain_end(drain);
	return code;
}

int netfs_cli_sync(int argc, char **argv)
{
	struct netfs_cli_drain drain = {.tty = isatty(STDERR_FILENO)};
	struct netfs_cli_record record;
	int opt, code = NETFS_CLI_OK;

	opterr = 0;
	while ((opt = getopt(argc, argv, "t:")) != -1 && code == NETFS_CLI_OK) {
		if (opt == 't')
			code = netfs_cli_drain_seconds("sync", optarg, &drain.until);
		else
			code = netfs_cli_usage("sync", "flag -%c", optopt);
	}
	if (code == NETFS_CLI_OK && argc - optind != 1)
		code = netfs_cli_usage("sync", "one directory is wanted");
	if (code == NETFS_CLI_OK)
		code = netfs_cli_report_find(argv[optind], &record);
	return code == NETFS_CLI_OK ? sync_mount(&drain, &record) : code;
}
