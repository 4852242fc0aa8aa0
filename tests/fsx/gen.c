/* SPDX-License-Identifier: MIT */
/*
 * The generator: which operation comes next, where and how long.  It looks at
 * nothing but its own chance and the size of the file, so that a seed and a
 * configuration give the same operations on every target.
 *
 * Half of the lengths are small and the sizes cluster around page boundaries
 * and the end of the file, because that is where the bugs are.
 */
#include <string.h>
#include "fsx.h"

void fsx_gen_init(struct fsx_gen *gen, const struct fsx_gen_config *config, uint64_t seed)
{
	gen->config = *config;
	rng_init(&gen->rng, seed);
}

static uint64_t down(uint64_t value, uint64_t align)
{
	return align > 1 ? value - value % align : value;
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

static uint64_t draw_len(struct fsx_gen *gen)
{
	const struct fsx_gen_config *config = &gen->config;

	if (config->op_exact)
		return config->op_max;
	if (rng_one_in(&gen->rng, 2))
		return rng_between(&gen->rng, 1, at_most(config->op_max, 4200));
	return rng_between(&gen->rng, 1, config->op_max);
}

/* A position below limit, often one next to a page boundary or the end. */
static uint64_t draw_start(struct fsx_gen *gen, uint64_t limit)
{
	uint64_t start = rng_below(&gen->rng, limit ? limit : 1);

	if (rng_one_in(&gen->rng, 4))
		start = down(start, 4096) + rng_below(&gen->rng, 3) - 1;
	else if (rng_one_in(&gen->rng, 8))
		start = limit - at_most(limit, rng_below(&gen->rng, 64));
	return start < limit ? start : 0;
}

/* A range inside [0, limit), aligned; length 0 where there is no room. */
static void draw_range(struct fsx_gen *gen, uint64_t limit, uint64_t align, struct fsx_op *op)
{
	op->len = draw_len(gen);
	op->start = down(draw_start(gen, limit), align);
	op->len = at_most(op->len, limit - at_most(limit, op->start));
	if (align > 1)
		op->len = down(op->len + align - 1, align);
	if (op->start + op->len > limit)
		op->len = down(limit - at_most(limit, op->start), align);
}

static uint64_t draw_size(struct fsx_gen *gen, uint64_t size)
{
	const struct fsx_gen_config *config = &gen->config;
	uint64_t to;

	if (config->small_cuts)
		to = size - at_most(size, rng_below(&gen->rng, 4096));
	else if (rng_one_in(&gen->rng, 4))
		to = size + rng_below(&gen->rng, 8192) - at_most(size, 4096);
	else
		to = rng_below(&gen->rng, config->file_max + 1);
	return down(at_most(to, config->file_max), config->trunc_align);
}

static void draw_read(struct fsx_gen *gen, struct fsx_op *op)
{
	const struct fsx_gen_config *config = &gen->config;
	bool past = config->past_end && rng_one_in(&gen->rng, 16);

	draw_range(gen, past ? config->file_max : op->size, config->read_align, op);
	/* The end of the file itself is a place that an aligned read must
	 * be able to reach. */
	if (!past && config->read_align > 1 && op->len == 0 && op->size) {
		op->start = down(op->size - 1, config->read_align);
		op->len = config->read_align;
	}
}

static void draw_copy(struct fsx_gen *gen, struct fsx_op *op, uint64_t align)
{
	const struct fsx_gen_config *config = &gen->config;
	uint64_t limit = config->fixed_size ? op->size : config->file_max;

	draw_range(gen, op->size, align, op);
	if (op->len == 0)
		return;
	for (int tries = 0; tries < 8; tries++) {
		op->dest = down(draw_start(gen, limit), align);
		op->len = at_most(op->len, limit - at_most(limit, op->dest));
		op->len = down(op->len, align);
		if (op->len && (op->dest + op->len <= op->start || op->start + op->len <= op->dest))
			return;
	}
	/* copy_file_range(2) refuses ranges of one file that overlap. */
	op->len = 0;
}

static void draw_shift(struct fsx_gen *gen, struct fsx_op *op)
{
	uint64_t block = gen->config.block;
	uint64_t limit = op->size;

	if (op->kind == FSX_INSERT_RANGE)
		limit = at_most(op->size, gen->config.file_max - op->size);
	draw_range(gen, limit, block, op);
	if (op->kind == FSX_COLLAPSE_RANGE && op->start + op->len >= op->size)
		op->len = 0;
	if (op->kind == FSX_INSERT_RANGE && op->start >= op->size)
		op->len = 0;
}

static enum fsx_kind draw_kind(struct fsx_gen *gen)
{
	/* Reads and writes come three times as often as each of the rest. */
	static const uint8_t weights[FSX_KINDS] = {
		[FSX_READ] = 3,		[FSX_WRITE] = 3,      [FSX_MAPREAD] = 2,
		[FSX_MAPWRITE] = 2,	[FSX_TRUNCATE] = 2,   [FSX_FALLOCATE] = 1,
		[FSX_PUNCH_HOLE] = 1,	[FSX_ZERO_RANGE] = 1, [FSX_COLLAPSE_RANGE] = 1,
		[FSX_INSERT_RANGE] = 1, [FSX_COPY_RANGE] = 1, [FSX_CLONE_RANGE] = 1,
		[FSX_FSYNC] = 1,
	};
	unsigned sum = 0, draw;

	for (unsigned i = 0; i < FSX_KINDS; i++)
		if (gen->config.kinds & (1U << i))
			sum += weights[i];
	draw = rng_below(&gen->rng, sum ? sum : 1);
	for (unsigned i = 0; i < FSX_KINDS; i++) {
		if (!(gen->config.kinds & (1U << i)))
			continue;
		if (draw < weights[i])
			return i;
		draw -= weights[i];
	}
	return FSX_READ;
}

static void draw_arguments(struct fsx_gen *gen, struct fsx_op *op)
{
	const struct fsx_gen_config *config = &gen->config;
	uint64_t limit = config->fixed_size ? op->size : config->file_max;

	switch (op->kind) {
	case FSX_READ:
		draw_read(gen, op);
		break;
	case FSX_MAPREAD:
		draw_range(gen, op->size, config->read_align, op);
		break;
	case FSX_WRITE:
	case FSX_MAPWRITE:
		draw_range(gen, limit, config->write_align, op);
		break;
	case FSX_TRUNCATE:
		op->len = draw_size(gen, op->size);
		break;
	case FSX_FALLOCATE:
	case FSX_ZERO_RANGE:
		draw_range(gen, limit, config->write_align, op);
		if (config->always_keep_size || rng_one_in(&gen->rng, 2))
			op->flags |= FSX_KEEP_SIZE;
		break;
	case FSX_PUNCH_HOLE:
		draw_range(gen, op->size, config->write_align, op);
		break;
	case FSX_COLLAPSE_RANGE:
	case FSX_INSERT_RANGE:
		draw_shift(gen, op);
		break;
	case FSX_COPY_RANGE:
		draw_copy(gen, op, config->write_align);
		break;
	case FSX_CLONE_RANGE:
		draw_copy(gen, op, config->block);
		break;
	default:
		break;
	}
}

void fsx_gen_next(struct fsx_gen *gen, uint64_t size, struct fsx_op *ret_op)
{
	struct fsx_op op = {.size = size};
	const uint32_t resizing =
		1U << FSX_TRUNCATE | 1U << FSX_COLLAPSE_RANGE | 1U << FSX_INSERT_RANGE;

	op.kind = draw_kind(gen);
	draw_arguments(gen, &op);
	if (gen->config.fixed_size && (resizing & (1U << op.kind)))
		op.flags |= FSX_SKIPPED;
	if (op.len == 0 && op.kind != FSX_TRUNCATE && op.kind != FSX_FSYNC)
		op.flags |= FSX_SKIPPED;
	if (rng_one_in(&gen->rng, gen->config.close_one_in))
		op.flags |= FSX_CLOSE_OPEN;
	*ret_op = op;
}
