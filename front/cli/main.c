/* SPDX-License-Identifier: MIT */
/*
 * The program: finds the verb in the table and runs it.  Called as
 * mount.unetfs or mount.fuse.unetfs it is the helper of mount(8).
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unetfs/unetfs.h>
#include "cli.h"

const struct netfs_cli_verb netfs_cli_verbs[] = {
	{
		.name = "mount",
		.arguments = "[-f] [-v] [-o OPTIONS] SOURCE DIR",
		.summary = "mounts a share; returns when it is ready",
		.text = "Mounts SOURCE on DIR and returns when the mount is ready, or with one "
			"line that says why not.\nWith -f the mount's process is the program "
			"itself, as systemd wants it.",
		.flags = netfs_cli_mount_flags,
		.run = netfs_cli_mount,
	},
	{
		.name = "umount",
		.arguments = "[-f | -l] [-t SECONDS] DIR",
		.summary = "sends everything, then unmounts",
		.text = "Sends what is unsent, unmounts DIR, and returns when the mount's "
			"process has ended.\nA mount that is in use, or whose data could not be "
			"sent, stays; the reason is said.\nIt also takes away a mount whose "
			"process is dead.",
		.flags = netfs_cli_umount_flags,
		.run = netfs_cli_umount,
	},
	{
		.name = "status",
		.arguments = "[--json] [--requests] [DIR]",
		.summary = "what mounts are doing; all of them without DIR",
		.text = "Says of the mount at DIR, or of all, where it comes from, whether it "
			"is connected, what is unsent, cached and open, and what the kernel "
			"offers.\nWith --json the counters of stats are included.\nWith "
			"--requests it lists what is on its way just now: file, range, how far, "
			"since when, and who holds it.",
		.flags = netfs_cli_status_flags,
		.run = netfs_cli_status,
	},
	{
		.name = "stats",
		.arguments = "[--json] DIR",
		.summary = "the counters of a mount",
		.text = "Prints all counters of the mount at DIR since it was made, in groups, "
			"each "
			"with its name in Linux's /proc/fs/netfs/stats where it has one.",
		.flags = netfs_cli_json_flags,
		.run = netfs_cli_stats,
	},
	{
		.name = "trace",
		.arguments = "[--json] DIR",
		.summary = "what a mount did last",
		.text = "Prints the flight recorder of the mount at DIR, oldest first: the last "
			"few "
			"thousand events of each of its threads, which are always kept.\nA line "
			"has "
			"the time, the thread, the event in the words of Linux's traces, the "
			"file's "
			"number, the range, and the error; all but the time in hexadecimal.\nWith "
			"--json it is in the format of chrome://tracing and ui.perfetto.dev.",
		.flags = netfs_cli_json_flags,
		.run = netfs_cli_trace,
	},
	{
		.name = "sync",
		.arguments = "[-t SECONDS] DIR",
		.summary = "wait until everything written is at the server",
		.text = "Sends all that was written to the mount at DIR and waits until it is "
			"durable at the server, also what an earlier mount had left in the "
			"journal.",
		.flags = netfs_cli_sync_flags,
		.run = netfs_cli_sync,
	},
	{
		.name = "cache",
		.arguments =
			"ls | stat | check [--cachekey FILE] | evict [--json] [FOLDER | PATH], or "
			"warm | pin | unpin [--json] PATH..., or replay [-o OPTIONS] SOURCE, or "
			"journal [--json] [--export DIR] [-o OPTIONS] SOURCE",
		.summary = "looks into a cache folder, checks, empties or fills it",
		.text = "Works on the cache in FOLDER (what mounts have as cachedir=; without "
			"it /var/cache/unetfs, that of -o fsc), which mounts may use meanwhile: "
			"what they have in use is left alone, and said.  Or on what the mount that "
			"PATH is on has in its cache: of all its files where PATH is the mount "
			"point, else of PATH and what is below.",
		.flags = netfs_cli_cache_flags,
		.run = netfs_cli_cache,
	},
	{
		.name = "help",
		.arguments = "[--man | COMMAND]",
		.summary = "this text, or more about one command",
		.text = "Prints what there is to know about COMMAND, or about everything.",
		.flags = netfs_cli_help_flags,
		.run = netfs_cli_help,
	},
	{0},
};

const struct netfs_cli_verb *netfs_cli_verb_find(const char *name)
{
	const struct netfs_cli_verb *verb;

	for (verb = netfs_cli_verbs; verb->name; verb++) {
		if (strcmp(verb->name, name) == 0)
			return verb;
	}
	return NULL;
}

/* One line: what others sent us may contain more. */
static void print_line(const char *format, va_list args, const char *tail)
{
	char line[2048];

	vsnprintf(line, sizeof(line), format, args);
	for (char *c = line; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	}
	fprintf(stderr, "unetfs: %s%s\n", line, tail);
}

void netfs_cli_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line(format, args, "");
	va_end(args);
}

int netfs_cli_usage(const char *name, const char *format, ...)
{
	const struct netfs_cli_verb *verb = name ? netfs_cli_verb_find(name) : NULL;
	char tail[256];
	va_list args;

	if (verb)
		snprintf(tail, sizeof(tail), "; usage: unetfs %s %s", verb->name, verb->arguments);
	else
		snprintf(tail, sizeof(tail), "; see unetfs --help");
	va_start(args, format);
	print_line(format, args, tail);
	va_end(args);
	return NETFS_CLI_USAGE;
}

const char *netfs_cli_size(char buf[32], uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	unsigned unit = 0;

	if (bytes < 1024) {
		snprintf(buf, 32, "%u byte%s", (unsigned)bytes, bytes == 1 ? "" : "s");
		return buf;
	}
	for (value /= 1024; value >= 1024 && unit < 3; value /= 1024)
		unit++;
	snprintf(buf, 32, "%.1f %s", value, units[unit]);
	return buf;
}

uint64_t netfs_cli_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void netfs_cli_pause_ms(unsigned ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

static bool is_helper(const char *argv0)
{
	const char *slash = strrchr(argv0, '/'), *name = slash ? slash + 1 : argv0;

	return strcmp(name, "mount.unetfs") == 0 || strcmp(name, "mount.fuse.unetfs") == 0;
}

int main(int argc, char **argv)
{
	const struct netfs_cli_verb *verb;

	if (argc > 0 && is_helper(argv[0]))
		return netfs_cli_mount_helper(argc, argv);
	if (argc < 2)
		return netfs_cli_usage(NULL, "a command is wanted");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return netfs_cli_help(1, argv);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		printf("unetfs %s\n", NETFS_VERSION);
		return NETFS_CLI_OK;
	}
	verb = netfs_cli_verb_find(argv[1]);
	if (!verb)
		return netfs_cli_usage(NULL, "no command \"%s\"", argv[1]);
	if (argc == 3 && strcmp(argv[2], "--help") == 0)
		return netfs_cli_help(2, argv);
	return verb->run(argc - 1, argv + 1);
}
