/* SPDX-License-Identifier: MIT */
/*
 * Reads /proc/self/mountinfo.  A line is
 *
 *	36 35 98:0 /root /mount/point options optional... - type source super
 *
 * with blanks, tabs, newlines and backslashes of names written as \ooo.  The
 * number of optional fields varies; a lone "-" ends them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mountinfo.h"

static bool octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Copies the field at text to out, escapes undone; returns what follows it
 * and its blanks. */
static const char *take_field(const char *text, char *out, size_t size)
{
	size_t n = 0;

	while (*text && *text != ' ' && *text != '\n') {
		char c = *text++;

		if (c == '\\' && octal(text[0]) && octal(text[1]) && octal(text[2])) {
			c = (char)((text[0] - '0') * 64 + (text[1] - '0') * 8 + (text[2] - '0'));
			text += 3;
		}
		if (n + 1 < size)
			out[n++] = c;
	}
	if (size)
		out[n] = '\0';
	while (*text == ' ')
		text++;
	return text;
}

bool netfs_mountinfo_parse(const char *line, struct netfs_mountinfo *ret_info)
{
	char number[32], word[64];

	line = take_field(line, word, sizeof(word)); /* mount id */
	line = take_field(line, word, sizeof(word)); /* parent */
	line = take_field(line, number, sizeof(number));
	if (sscanf(number, "%u:%u", &ret_info->major, &ret_info->minor) != 2)
		return false;
	line = take_field(line, word, sizeof(word)); /* root */
	line = take_field(line, ret_info->mount_point, sizeof(ret_info->mount_point));
	do {
		if (!*line || *line == '\n')
			return false;
		line = take_field(line, word, sizeof(word));
	} while (strcmp(word, "-") != 0);
	line = take_field(line, ret_info->type, sizeof(ret_info->type));
	take_field(line, ret_info->source, sizeof(ret_info->source));
	return ret_info->mount_point[0] == '/' && ret_info->type[0];
}

int netfs_mountinfo_each(const char *type, bool (*fn)(void *user, struct netfs_mountinfo *info),
			 void *user)
{
	struct netfs_mountinfo info;
	char *line = NULL;
	size_t size = 0;
	FILE *list = fopen("/proc/self/mountinfo", "re");

	if (!list)
		return -errno;
	while (getline(&line, &size, list) > 0) {
		if (!netfs_mountinfo_parse(line, &info))
			continue;
		if (type && strcmp(type, info.type) != 0)
			continue;
		if (!fn(user, &info))
			break;
	}
	free(line);
	fclose(list);
	return 0;
}

struct search {
	const char *mount_point;
	struct netfs_mountinfo *info;
	bool found;
};

/* Goes on to the end: the last mount at a path is the one on top. */
static bool match(void *user, struct netfs_mountinfo *info)
{
	struct search *search = user;

	if (strcmp(info->mount_point, search->mount_point) == 0) {
		*search->info = *info;
		search->found = true;
	}
	return true;
}

int netfs_mountinfo_find(const char *mount_point, struct netfs_mountinfo *ret_info)
{
	struct search search = {.mount_point = mount_point, .info = ret_info};
	int err = netfs_mountinfo_each(NULL, match, &search);

	if (err < 0)
		return err;
	return search.found ? 0 : -ENOENT;
}
