/* SPDX-License-Identifier: MIT */
/* All files of a tree. */
#ifndef CLI_TREE_H
#define CLI_TREE_H

#include <sys/stat.h>

struct netfs_cli_tree {
	/* A regular file. */
	void (*file)(void *user, const char *path, const struct stat *st);
	/* errno says why the path, or what is in it, could not be had. */
	void (*failed)(void *user, const char *path);
	void *user;
};

/* Calls file for path or all below it, in no order.  Follows no links. */
void netfs_cli_tree_walk(const struct netfs_cli_tree *tree, const char *path);

#endif
