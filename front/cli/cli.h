/* SPDX-License-Identifier: MIT */
/*
 * What the files of the program share: the table of verbs, exit codes, texts.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes as mount(8) has them. */
enum netfs_cli_exit {
	NETFS_CLI_OK = 0,
	NETFS_CLI_USAGE = 1, /* wrong use, or not permitted */
	NETFS_CLI_SYSTEM = 2, /* out of memory, no process, no file */
	NETFS_CLI_FAILED = 32,
};

/* One flag of a verb, for the help and the manual. */
struct netfs_cli_flag {
	const char *flag; /* "-o OPTIONS"; NULL ends the list */
	const char *meaning;
};

/* One verb: everything that is said about it, and what it does. */
struct netfs_cli_verb {
	const char *name;
	const char *arguments; /* "[-f] SOURCE DIR" */
	const char *summary; /* half a line */
	const char *text; /* the paragraph of the manual */
	const struct netfs_cli_flag *flags;
	/* argv[0] is the verb's name.  Returns the exit code. */
	int (*run)(int argc, char **argv);
};

/* All verbs; the last has a NULL name. */
extern const struct netfs_cli_verb netfs_cli_verbs[];
const struct netfs_cli_verb *netfs_cli_verb_find(const char *name);

int netfs_cli_mount(int argc, char **argv);
int netfs_cli_umount(int argc, char **argv);
int netfs_cli_sync(int argc, char **argv);
int netfs_cli_status(int argc, char **argv);
int netfs_cli_stats(int argc, char **argv);
int netfs_cli_trace(int argc, char **argv);
int netfs_cli_cache(int argc, char **argv);
/* "unetfs cache replay", from that word on. */
int netfs_cli_journal(int argc, char **argv);
int netfs_cli_replay(int argc, char **argv);
int netfs_cli_help(int argc, char **argv);
/* Called as mount.unetfs by mount(8). */
int netfs_cli_mount_helper(int argc, char **argv);
extern const struct netfs_cli_flag netfs_cli_mount_flags[];
extern const struct netfs_cli_flag netfs_cli_umount_flags[];
extern const struct netfs_cli_flag netfs_cli_sync_flags[];
extern const struct netfs_cli_flag netfs_cli_status_flags[];
extern const struct netfs_cli_flag netfs_cli_json_flags[];
extern const struct netfs_cli_flag netfs_cli_cache_flags[];
extern const struct netfs_cli_flag netfs_cli_help_flags[];

/* "unetfs: ...\n" on stderr: one line, whatever is in it. */
void netfs_cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and how the verb is used; returns NETFS_CLI_USAGE. */
int netfs_cli_usage(const char *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* "12.3 MiB", "1 byte". */
const char *netfs_cli_size(char buf[32], uint64_t bytes);
/* Milliseconds on a clock that never goes back. */
uint64_t netfs_cli_now_ms(void);
void netfs_cli_pause_ms(unsigned ms);

#endif
