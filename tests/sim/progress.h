/* SPDX-License-Identifier: MIT */
/*
 * A long series of seeds that can be stopped and gone on with: what was done so
 * far stands in a small file.  It belongs to one program; another build begins
 * anew, so that what is reported was run on one tree.
 */
#ifndef TESTS_SIM_PROGRESS_H
#define TESTS_SIM_PROGRESS_H

#include "world.h"

/* Seeds between two lines of progress. */
#define PROGRESS_EVERY 250

struct totals {
	struct world_result sum;
	uint64_t runs;
	uint64_t encrypted; /* of those */
	uint64_t smb; /* of those */
	uint64_t disk; /* of those */
	uint64_t failed;
	double seconds; /* parts of the series before this one */
	double processor; /* likewise, of processor time */
	struct world_options first_failed;
};

/* Where a series from seed first stands: how many of its seeds are done, with
 * their totals.  0 where there is no file, or another program's, or series'. */
uint64_t progress_read(const char *path, uint64_t first, struct totals *ret_totals);
/* Errors are printed: a series that cannot be gone on with is still a series. */
void progress_write(const char *path, uint64_t first, const struct totals *totals);
void progress_print(const struct totals *totals);
/* Begins to take the time. */
void progress_start(void);

#endif
