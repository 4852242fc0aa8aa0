/* SPDX-License-Identifier: MIT */
/* What a disk cache has of the files at some path of a mount. */
#ifndef CLI_SELECTION_H
#define CLI_SELECTION_H

#include <limits.h>
#include <stdbool.h>
#include <unetfs/cache_folder.h>

struct netfs_cli_selection;

/* Path is a mount, or on one: asks that where its cache is, and looks which files there
 * are.  0, or an exit code that was reported. */
int netfs_cli_selection_make(const char *path, char ret_folder[PATH_MAX],
			     struct netfs_cli_selection **ret_selection);
/* Is it of one of the files?  Then also of which; NULL where all of the mount was meant. */
bool netfs_cli_selection_has(const struct netfs_cli_selection *selection,
			     const struct netfs_cache_object *object, const char **ret_path);
/* NULL is allowed. */
void netfs_cli_selection_free(struct netfs_cli_selection *selection);

#endif
