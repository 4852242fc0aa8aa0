/* SPDX-License-Identifier: MIT */
/*
 * Streams of operations: all of them, or those of a list.  With a list nothing
 * else limits a run; without one the run's quota does (world.c).
 */
#include <stdarg.h>
#include <stdio.h>
#include "world.h"

/* The first number from stream->next on that the list has, or -1. */
static int listed(const struct op_list *only, const struct op_stream *stream)
{
	int first = -1;

	for (unsigned i = 0; i < only->count; i++) {
		const struct op_id *id = &only->ids[i];

		if (id->stretch != stream->stretch || id->stream != stream->stream ||
		    id->number < stream->next)
			continue;
		if (first < 0 || id->number < first)
			first = id->number;
	}
	return first;
}

static void enter_stretch(struct world *world, struct op_stream *stream)
{
	if (stream->stretch == world->stretch)
		return;
	stream->stretch = world->stretch;
	stream->next = 0;
}

bool ops_left(struct world *world, struct op_stream *stream)
{
	enter_stretch(world, stream);
	if (world->options->only)
		return listed(world->options->only, stream) >= 0;
	return world->steps < world->steps_max;
}

static void note(struct world *world, const struct op_stream *stream, unsigned number)
{
	struct op_report *report = world->options->report;

	if (!report || report->ops.count == OPS_MAX)
		return;
	report->texts[report->ops.count][0] = 0;
	report->ops.ids[report->ops.count++] =
		(struct op_id){stream->stretch, stream->stream, (uint16_t)number};
}

bool ops_next(struct world *world, struct op_stream *stream, struct rng *ret_rng)
{
	unsigned number;

	if (!ops_left(world, stream))
		return false;
	number = stream->next;
	if (world->options->only)
		number = (unsigned)listed(world->options->only, stream);
	stream->next = (uint16_t)(number + 1);
	rng_init(ret_rng, world->options->seed ^ rng_mix((uint64_t)stream->stretch << 40 |
							 (uint64_t)stream->stream << 32 | number));
	note(world, stream, number);
	return true;
}

void ops_describe(struct world *world, const char *format, ...)
{
	struct op_report *report = world->options->report;
	va_list args;

	if (!report || !report->ops.count || report->texts[report->ops.count - 1][0])
		return;
	va_start(args, format);
	vsnprintf(report->texts[report->ops.count - 1], OP_TEXT_MAX, format, args);
	va_end(args);
}
