/* SPDX-License-Identifier: MIT */
/*
 * From a path on a mount to objects of its cache.
 *
 * The mount says where its cache is and which volume of it is its own; what an object
 * is of is the number of a file there, which is that of stat(2).  So the files below
 * the path are listed with their numbers, sorted by them.  For the mount point itself
 * that is not needed: then the volume is meant, with what the server has no more.
 *
 * Objects of sealed volumes hide their numbers.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cli.h"
#include "report.h"
#include "selection.h"
#include "tree.h"

struct file {
	uint64_t ino;
	char *path;
};

struct netfs_cli_selection {
	char folder[PATH_MAX]; /* "": the mount has no cache */
	uint64_t volume;
	bool sealed;
	bool all;
	bool failed; /* no memory, or what could not be read, which was reported */
	dev_t dev; /* of the mount */
	struct file *files;
	size_t n;
	size_t room;
};

static void take_fact(void *user, const struct netfs_cli_fact *fact)
{
	struct netfs_cli_selection *selection = user;

	if (strcmp(fact->name, "cachedir") == 0)
		snprintf(selection->folder, sizeof(selection->folder), "%s", fact->value);
	else if (strcmp(fact->name, "cachevolume") == 0)
		selection->volume = strtoull(fact->value, NULL, 10);
	else if (strcmp(fact->name, "cachesealed") == 0)
		selection->sealed = strcmp(fact->value, "0") != 0;
}

static bool has_room(struct netfs_cli_selection *selection)
{
	size_t room = selection->room ? selection->room * 2 : 64;
	struct file *files;

	if (selection->n < selection->room)
		return true;
	files = reallocarray(selection->files, room, sizeof(*files));
	if (!files)
		return false;
	selection->files = files;
	selection->room = room;
	return true;
}

static void walk_failed(void *user, const char *path)
{
	struct netfs_cli_selection *selection = user;

	selection->failed = true;
	netfs_cli_error("%s: %s", path, strerror(errno));
}

/* Another mount may be below. */
static void add_file(void *user, const char *path, const struct stat *st)
{
	struct netfs_cli_selection *selection = user;
	char *copy;

	if (st->st_dev != selection->dev)
		return;
	copy = has_room(selection) ? strdup(path) : NULL;
	if (copy)
		selection->files[selection->n++] = (struct file){st->st_ino, copy};
	else
		walk_failed(selection, path);
}

static int compare(const void *a, const void *b)
{
	const struct file *left = a, *right = b;

	return left->ino < right->ino ? -1 : left->ino > right->ino;
}

static int find_files(struct netfs_cli_selection *selection, const char *path)
{
	const struct netfs_cli_tree tree = {
		.file = add_file, .failed = walk_failed, .user = selection};
	struct stat st;

	if (selection->sealed) {
		netfs_cli_error("%s: its cache is sealed, and does not show what is of which file; "
				"name the mount point for all of it",
				path);
		return NETFS_CLI_USAGE;
	}
	if (lstat(path, &st)) {
		netfs_cli_error("%s: %s", path, strerror(errno));
		return NETFS_CLI_USAGE;
	}
	selection->dev = st.st_dev;
	netfs_cli_tree_walk(&tree, path);
	if (selection->n)
		qsort(selection->files, selection->n, sizeof(selection->files[0]), compare);
	return selection->failed ? NETFS_CLI_FAILED : NETFS_CLI_OK;
}

static int fill(struct netfs_cli_selection *selection, const char *given)
{
	struct netfs_cli_record record;
	char path[PATH_MAX];
	int err, code = netfs_cli_report_find(given, &record);

	if (code)
		return code;
	err = netfs_cli_report(&record, take_fact, selection);
	if (err < 0) {
		netfs_cli_error("%s: %s", record.mount_point, strerror(-err));
		return NETFS_CLI_FAILED;
	}
	if (!selection->folder[0]) {
		netfs_cli_error("%s has no disk cache; mount with -o fsc", record.mount_point);
		return NETFS_CLI_USAGE;
	}
	selection->all = netfs_cli_path(given, path) == 0 && !strcmp(path, record.mount_point);
	return selection->all ? NETFS_CLI_OK : find_files(selection, given);
}

int netfs_cli_selection_make(const char *path, char ret_folder[PATH_MAX],
			     struct netfs_cli_selection **ret_selection)
{
	struct netfs_cli_selection *selection = calloc(1, sizeof(*selection));
	int code;

	if (!selection) {
		netfs_cli_error("%s: %s", path, strerror(ENOMEM));
		return NETFS_CLI_SYSTEM;
	}
	code = fill(selection, path);
	if (code) {
		netfs_cli_selection_free(selection);
		return code;
	}
	memcpy(ret_folder, selection->folder, PATH_MAX);
	*ret_selection = selection;
	return NETFS_CLI_OK;
}

bool netfs_cli_selection_has(const struct netfs_cli_selection *selection,
			     const struct netfs_cache_object *object, const char **ret_path)
{
	const struct file key = {.ino = object->ino};
	const struct file *found = NULL;

	if (object->volume_id != selection->volume)
		return false;
	if (!selection->all && selection->n)
		found = bsearch(&key, selection->files, selection->n, sizeof(key), compare);
	*ret_path = found ? found->path : NULL;
	return selection->all || found;
}

void netfs_cli_selection_free(struct netfs_cli_selection *selection)
{
	if (!selection)
		return;
	for (size_t i = 0; i < selection->n; i++)
		free(selection->files[i].path);
	free(selection->files);
	free(selection);
}
