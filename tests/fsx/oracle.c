/* SPDX-License-Identifier: MIT */
/*
 * The byte oracle: a file as an array.  Nothing here is clever, so that it can
 * be believed.  The one invariant is that everything from size to room is zero;
 * then growing needs no work and a hole is what it must be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fsx.h"

int fsx_oracle_init(struct fsx_oracle *oracle, uint64_t room)
{
	oracle->bytes = calloc(1, room ? room : 1);
	if (!oracle->bytes)
		return -ENOMEM;
	oracle->size = 0;
	oracle->room = room;
	return 0;
}

void fsx_oracle_done(struct fsx_oracle *oracle)
{
	free(oracle->bytes);
	oracle->bytes = NULL;
}

static void resize(struct fsx_oracle *oracle, uint64_t size)
{
	if (size < oracle->size)
		memset(oracle->bytes + size, 0, oracle->size - size);
	oracle->size = size;
}

static void grow(struct fsx_oracle *oracle, uint64_t size)
{
	if (size > oracle->size)
		oracle->size = size;
}

/* Zeroes what of the range is inside the file. */
static void zero(struct fsx_oracle *oracle, uint64_t start, uint64_t len)
{
	if (start >= oracle->size)
		return;
	if (len > oracle->size - start)
		len = oracle->size - start;
	memset(oracle->bytes + start, 0, len);
}

static void collapse(struct fsx_oracle *oracle, uint64_t start, uint64_t len)
{
	uint64_t tail = oracle->size - start - len;

	memmove(oracle->bytes + start, oracle->bytes + start + len, tail);
	resize(oracle, oracle->size - len);
}

static void insert(struct fsx_oracle *oracle, uint64_t start, uint64_t len)
{
	uint64_t tail = oracle->size - start;

	oracle->size += len;
	memmove(oracle->bytes + start + len, oracle->bytes + start, tail);
	memset(oracle->bytes + start, 0, len);
}

void fsx_oracle_apply(struct fsx_oracle *oracle, const struct fsx_op *op, const void *data)
{
	if (op->flags & FSX_SKIPPED)
		return;
	switch (op->kind) {
	case FSX_WRITE:
	case FSX_MAPWRITE:
		grow(oracle, op->start + op->len);
		memcpy(oracle->bytes + op->start, data, op->len);
		break;
	case FSX_TRUNCATE:
		resize(oracle, op->len);
		break;
	case FSX_FALLOCATE:
		if (!(op->flags & FSX_KEEP_SIZE))
			grow(oracle, op->start + op->len);
		break;
	case FSX_PUNCH_HOLE:
		zero(oracle, op->start, op->len);
		break;
	case FSX_ZERO_RANGE:
		zero(oracle, op->start, op->len);
		if (!(op->flags & FSX_KEEP_SIZE))
			grow(oracle, op->start + op->len);
		break;
	case FSX_COLLAPSE_RANGE:
		collapse(oracle, op->start, op->len);
		break;
	case FSX_INSERT_RANGE:
		insert(oracle, op->start, op->len);
		break;
	case FSX_COPY_RANGE:
	case FSX_CLONE_RANGE:
		grow(oracle, op->dest + op->len);
		memmove(oracle->bytes + op->dest, oracle->bytes + op->start, op->len);
		break;
	default:
		break;
	}
}

bool fsx_oracle_differs(const struct fsx_oracle *oracle, uint64_t start, const void *got,
			size_t len, uint64_t *ret_at)
{
	const uint8_t *bytes = got;
	size_t inside = start >= oracle->room ? 0 : oracle->room - start;

	if (inside > len)
		inside = len;
	if (inside == len && memcmp(oracle->bytes + start, bytes, len) == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint8_t want = i < inside ? oracle->bytes[start + i] : 0;

		if (bytes[i] != want) {
			*ret_at = start + i;
			return true;
		}
	}
	return false;
}

void fsx_fill(void *buf, uint64_t seed, uint64_t op_number, uint64_t start, size_t len)
{
	uint64_t key = rng_mix(seed ^ (op_number * UINT64_C(0x9e3779b97f4a7c15)));
	uint8_t *out = buf;

	for (size_t i = 0; i < len;) {
		uint64_t at = start + i;
		uint64_t word = rng_mix(key + (at >> 3)) | UINT64_C(0x0101010101010101);

		for (unsigned byte = at & 7; byte < 8 && i < len; byte++, i++)
			out[i] = word >> (8 * byte);
	}
}
