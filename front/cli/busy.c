/* SPDX-License-Identifier: MIT */
/*
 * Finds processes that have something open in a mount, by the names the kernel
 * shows in /proc: working directory, root, program, descriptors, mappings.  They
 * are compared as text, so a dead mount cannot make us wait.  We ourselves may
 * have inherited a descriptor and do not count.
 */
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "busy.h"

#define SHOWN_MAX 5

static bool inside(const char *path, const char *mount_point)
{
	size_t n = strlen(mount_point);

	return strncmp(path, mount_point, n) == 0 &&
	       (path[n] == '/' || path[n] == '\0' || path[n] == ' ' || path[n] == '\n');
}

static bool link_inside(const char *link, const char *mount_point)
{
	char target[PATH_MAX];
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = '\0';
	return inside(target, mount_point);
}

static bool fds_inside(const char *proc, const char *mount_point)
{
	char path[64 + NAME_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/fd", proc);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/fd/%s", proc, entry->d_name);
		found = link_inside(path, mount_point);
	}
	closedir(dir);
	return found;
}

static bool maps_inside(const char *proc, const char *mount_point)
{
	char path[64], *line = NULL;
	bool found = false;
	size_t size = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "%s/maps", proc);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	while (!found && getline(&line, &size, maps) > 0) {
		const char *name = strchr(line, '/');

		found = name && inside(name, mount_point);
	}
	free(line);
	fclose(maps);
	return found;
}

static bool uses(const char *proc, const char *mount_point)
{
	static const char *const links[] = {"cwd", "root", "exe"};
	char path[64];

	for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", proc, links[i]);
		if (link_inside(path, mount_point))
			return true;
	}
	return fds_inside(proc, mount_point) || maps_inside(proc, mount_point);
}

static void name_of(const char *proc, char name[64])
{
	char path[64];
	FILE *comm;

	snprintf(path, sizeof(path), "%s/comm", proc);
	snprintf(name, 64, "?");
	comm = fopen(path, "re");
	if (!comm)
		return;
	if (fgets(name, 64, comm))
		name[strcspn(name, "\n")] = '\0';
	fclose(comm);
}

size_t netfs_cli_busy(const char *mount_point, char *out, size_t size)
{
	char proc[32], name[64];
	struct dirent *entry;
	size_t found = 0, used = 0;
	DIR *dir = opendir("/proc");

	out[0] = '\0';
	while (dir && found < SHOWN_MAX && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
			continue;
		snprintf(proc, sizeof(proc), "/proc/%.16s", entry->d_name);
		if (!uses(proc, mount_point))
			continue;
		name_of(proc, name);
		if (used < size)
			used += (size_t)snprintf(out + used, size - used, "%s%s (%.16s)",
						 found ? ", " : "", name, entry->d_name);
		found++;
	}
	if (dir)
		closedir(dir);
	return found;
}
