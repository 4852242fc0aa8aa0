/* SPDX-License-Identifier: MIT */
/*
 * Text that grows, and the few lines it takes to write JSON.
 *
 * Whether a comma is needed is seen from the last character written: none after
 * an opening bracket or a colon.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "text.h"

void netfs_cli_text_init(struct netfs_cli_text *text)
{
	memset(text, 0, sizeof(*text));
}

void netfs_cli_text_done(struct netfs_cli_text *text)
{
	free(text->data);
	netfs_cli_text_init(text);
}

static bool make_room(struct netfs_cli_text *text, size_t n)
{
	size_t room = text->room ? text->room : 256;
	char *bigger;

	if (text->failed)
		return false;
	if (text->len + n + 1 <= text->room)
		return true;
	while (room < text->len + n + 1)
		room *= 2;
	bigger = realloc(text->data, room);
	if (!bigger) {
		text->failed = true;
		return false;
	}
	text->data = bigger;
	text->room = room;
	return true;
}

void netfs_cli_text_put(struct netfs_cli_text *text, const char *bytes, size_t n)
{
	if (!make_room(text, n))
		return;
	memcpy(text->data + text->len, bytes, n);
	text->len += n;
	text->data[text->len] = '\0';
}

void netfs_cli_text_add(struct netfs_cli_text *text, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !make_room(text, (size_t)n))
		return;
	va_start(args, format);
	vsnprintf(text->data + text->len, (size_t)n + 1, format, args);
	va_end(args);
	text->len += (size_t)n;
}

/* Bytes of the well-formed UTF-8 sequence at s, 0 where there is none:
 * neither overlong forms nor surrogates nor anything past U+10FFFF. */
static size_t sequence(const unsigned char *s)
{
	size_t n = 0;
	unsigned low = 0x80, high = 0xbf;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (n && (s[1] < low || s[1] > high))
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

static void put_char(struct netfs_cli_text *text, const unsigned char *s, size_t n)
{
	if (n == 0)
		netfs_cli_text_put(text, "\\ufffd", 6);
	else if (*s == '"' || *s == '\\')
		netfs_cli_text_add(text, "\\%c", *s);
	else if (*s < 0x20 || *s == 0x7f)
		netfs_cli_text_add(text, "\\u%04x", *s);
	else
		netfs_cli_text_put(text, (const char *)s, n);
}

void netfs_cli_json_string(struct netfs_cli_text *text, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	netfs_cli_text_put(text, "\"", 1);
	while (*s) {
		size_t n = sequence(s);

		put_char(text, s, n);
		s += n ? n : 1;
	}
	netfs_cli_text_put(text, "\"", 1);
}

void netfs_cli_json_next(struct netfs_cli_text *text)
{
	char last = text->len ? text->data[text->len - 1] : '[';

	if (last != '[' && last != '{' && last != ':')
		netfs_cli_text_put(text, ",", 1);
}

void netfs_cli_json_key(struct netfs_cli_text *text, const char *name)
{
	netfs_cli_json_next(text);
	netfs_cli_json_string(text, name);
	netfs_cli_text_put(text, ":", 1);
}

void netfs_cli_json_open(struct netfs_cli_text *text, char bracket)
{
	netfs_cli_text_put(text, &bracket, 1);
}

void netfs_cli_json_close(struct netfs_cli_text *text, char bracket)
{
	netfs_cli_text_put(text, &bracket, 1);
}
