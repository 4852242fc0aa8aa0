/* SPDX-License-Identifier: MIT */
/*
 * The operations of a run as a list that can be cut down.
 *
 * Who does operations has a stream of them.  Each operation has a name: the
 * stretch of the run, the stream, a number; and chance of its own, drawn from
 * its name and the seed.  So leaving one out changes what the others meet but
 * not what they do, and a list of names replays a part of a run.
 */
#ifndef TESTS_SIM_OPS_H
#define TESTS_SIM_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include "../fsx/rng.h"

#define OPS_MAX	     4096
#define OP_TEXT_MAX  96
#define STREAM_WORLD 31 /* what concerns the run as a whole */

struct op_id {
	uint8_t stretch;
	uint8_t stream;
	uint16_t number;
};

struct op_list {
	unsigned count;
	struct op_id ids[OPS_MAX];
};

/* What a run leaves for the process that looks at it; in shared memory. */
struct op_report {
	char what[512]; /* why it failed; "": it did not */
	char kind[160]; /* the same without the numbers */
	struct op_list ops; /* those that were begun, in that order */
	char texts[OPS_MAX][OP_TEXT_MAX];
};

struct op_stream {
	uint8_t stream;
	uint8_t stretch;
	uint16_t next; /* number of the next one in this stretch */
};

struct world;

/* Is there another operation for this stream in the present stretch? */
bool ops_left(struct world *world, struct op_stream *stream);
/* Takes the next one and its chance; false where there is none. */
bool ops_next(struct world *world, struct op_stream *stream, struct rng *ret_rng);
/* What the operation taken last turned out to be. */
void ops_describe(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
