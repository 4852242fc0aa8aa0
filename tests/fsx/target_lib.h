/* SPDX-License-Identifier: MIT */
/*
 * The exerciser's target on the library.  The same code runs on the real
 * machine and in the simulator; what differs is how one waits.
 */
#ifndef TESTS_FSX_TARGET_LIB_H
#define TESTS_FSX_TARGET_LIB_H

#include <unetfs/unetfs.h>
#include <env/lock.h>
#include "fsx.h"

struct fsx_lib_config {
	struct netfs_mount *mount; /* outlives the target */
	const char *name; /* of the file in the root */
	unsigned handles;
	unsigned flags; /* enum fsx_target_flags; AIO: always netfs_io */
	/* Returns when event has happened, or -ETIMEDOUT where it never will;
	 * after that the target does nothing any more. */
	int (*wait)(struct netfs_event *event);
	uint64_t seed; /* of the draws between equal ways of doing a thing */
};

int fsx_target_lib(const struct fsx_lib_config *config, struct fsx_target **ret_target);

#endif
