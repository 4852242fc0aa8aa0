/* SPDX-License-Identifier: MIT */
/* A walk over a tree, by names. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "tree.h"

static void walk_folder(const struct netfs_cli_tree *tree, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char below[PATH_MAX];

	if (!dir) {
		tree->failed(tree->user, path);
		return;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) <
		    (int)sizeof(below)) {
			netfs_cli_tree_walk(tree, below);
			continue;
		}
		errno = ENAMETOOLONG;
		tree->failed(tree->user, path);
	}
	closedir(dir);
}

void netfs_cli_tree_walk(const struct netfs_cli_tree *tree, const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		tree->failed(tree->user, path);
	else if (S_ISDIR(st.st_mode))
		walk_folder(tree, path);
	else if (S_ISREG(st.st_mode))
		tree->file(tree->user, path, &st);
}
