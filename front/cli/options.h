/* SPDX-License-Identifier: MIT */
/*
 * Mount options: which are for the kernel and the program, and which go to the
 * library.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <unetfs/unetfs.h>

#define NETFS_CLI_OPTIONS_MAX 4096

struct netfs_cli_options {
	unsigned long mount_flags; /* MS_ of mount(2) */
	bool allow_other;
	bool kernel_writeback;
	bool mlock; /* the program stays in memory */
	uint32_t readahead_kb;
	bool sloppy; /* leave out what nobody knows */
	struct netfs_client_config client;
	char rest[NETFS_CLI_OPTIONS_MAX]; /* for netfs_mount_open() */
};

/* One option of the program itself, for the help and the manual. */
struct netfs_cli_option_help {
	const char *name; /* NULL ends the list */
	const char *meaning;
};

extern const struct netfs_cli_option_help netfs_cli_option_help[];

/* root: what such a user gets by default. */
void netfs_cli_options_init(struct netfs_cli_options *options, bool root);
/*
 * Adds the comma-separated words of text.  A comma inside a value is written
 * \, or between double quotes.  -EINVAL, with the reason in why.
 */
int netfs_cli_options_parse(struct netfs_cli_options *options, const char *text, char why[256]);
/* The next word of a list, quotes and backslashes undone.  Returns where to go
 * on, NULL at the end; an overlong word is cut and *ret_cut set. */
const char *netfs_cli_options_word(const char *text, char *word, size_t size, bool *ret_cut);
/* "64K", "10M", "2G" or plain bytes.  False where it is none. */
bool netfs_cli_options_size(const char *text, uint64_t *ret_size);

#endif
