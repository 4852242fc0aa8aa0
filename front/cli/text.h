/* SPDX-License-Identifier: MIT */
/* Text that grows, and JSON in it. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Always terminated.  Once memory is short nothing more is added and failed
 * says so. */
struct netfs_cli_text {
	char *data;
	size_t len;
	size_t room;
	bool failed;
};

void netfs_cli_text_init(struct netfs_cli_text *text);
void netfs_cli_text_done(struct netfs_cli_text *text);
void netfs_cli_text_add(struct netfs_cli_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void netfs_cli_text_put(struct netfs_cli_text *text, const char *bytes, size_t n);

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void netfs_cli_json_string(struct netfs_cli_text *text, const char *value);
/* Members of an object: a comma where one is needed, the name, the value. */
void netfs_cli_json_key(struct netfs_cli_text *text, const char *name);
void netfs_cli_json_open(struct netfs_cli_text *text, char bracket);
void netfs_cli_json_close(struct netfs_cli_text *text, char bracket);
/* Before an element of a list: a comma where one is needed. */
void netfs_cli_json_next(struct netfs_cli_text *text);

#endif
