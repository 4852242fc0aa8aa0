/* SPDX-License-Identifier: MIT */
/*
 * What mem cannot do and the double can: fallocate in all its modes and copies
 * on the server and looking for holes, made of mem's own reads, writes and sizes.  Files are small:
 * a whole one is read, changed as an array and written back.
 *
 * Locks: none.  The double is for the simulator, which has one thread.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <backend/backends.h>
#include <t.h>
#include "double.h"

#define ROOM (256u << 10)

struct content {
	uint8_t bytes[ROOM];
	uint64_t size;
};

static int range_error;
static bool done_all_the_same;
static uint64_t copy_limit;
static bool clones;

void double_fail_ranges(int err, bool done)
{
	range_error = err;
	done_all_the_same = done;
}

void double_allow_clones(bool allow)
{
	clones = allow;
}

void double_limit_copies(uint64_t most)
{
	copy_limit = most;
}

/* ------------------------------------------------------- the server's file */

struct move {
	struct netfs_slice slice;
	struct iovec iov;
	size_t moved;
	bool ended;
};

static void moved(struct netfs_slice *slice, size_t n, int err, unsigned flags)
{
	struct move *move = (struct move *)slice;

	assert_int_equal(err, 0);
	move->moved = n;
	move->ended = true;
}

/* Without "async" mem answers before it returns. */
static uint64_t move_all(struct netfs_handle *handle, enum netfs_slice_kind kind, uint8_t *buf,
			 uint64_t len)
{
	uint64_t at = 0;

	while (at < len) {
		struct move move = {.iov = {buf + at, len - at}};

		move.slice = (struct netfs_slice){.kind = kind,
						  .start = at,
						  .len = len - at,
						  .iov = &move.iov,
						  .niov = 1,
						  .done = moved};
		if (kind == NETFS_SLICE_READ)
			netfs_mem_ops.read(handle, &move.slice);
		else
			netfs_mem_ops.write(handle, &move.slice);
		assert_true(move.ended);
		if (move.moved == 0)
			break;
		at += move.moved;
	}
	return at;
}

static void ignore(struct netfs_op *op, int err)
{
	assert_int_equal(err, 0);
}

static struct content *load(struct netfs_handle *handle)
{
	struct content *content = calloc(1, sizeof(*content));

	content->size = move_all(handle, NETFS_SLICE_READ, content->bytes, ROOM);
	return content;
}

static void store(struct netfs_handle *handle, struct content *content)
{
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE, .size = content->size};
	struct netfs_op op = {.done = ignore};

	/* Nodes and handles of mem are the same struct. */
	netfs_mem_ops.setattr((struct netfs_node *)handle, handle, &set, &op);
	assert_int_equal(move_all(handle, NETFS_SLICE_WRITE, content->bytes, content->size),
			 content->size);
	free(content);
}

/* -------------------------------------------------------------- the calls */

static int collapse(struct content *content, uint64_t start, uint64_t len)
{
	if (start + len >= content->size)
		return -EINVAL;
	memmove(content->bytes + start, content->bytes + start + len, content->size - start - len);
	content->size -= len;
	memset(content->bytes + content->size, 0, len);
	return 0;
}

static int insert(struct content *content, uint64_t start, uint64_t len)
{
	if (start >= content->size)
		return -EINVAL;
	memmove(content->bytes + start + len, content->bytes + start, content->size - start);
	memset(content->bytes + start, 0, len);
	content->size += len;
	return 0;
}

static int change(struct content *content, uint32_t mode, uint64_t start, uint64_t len)
{
	uint64_t end = start + len;

	if (mode & FALLOC_FL_COLLAPSE_RANGE)
		return collapse(content, start, len);
	if (mode & FALLOC_FL_INSERT_RANGE)
		return insert(content, start, len);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > content->size)
		content->size = end;
	if (end > content->size)
		end = content->size;
	if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) && start < end)
		memset(content->bytes + start, 0, end - start);
	return 0;
}

void double_fallocate(struct netfs_handle *handle, uint32_t mode, uint64_t start, uint64_t len,
		      struct netfs_op *op)
{
	int err = 0;

	double_note("fallocate");
	if (!range_error || done_all_the_same) {
		struct content *content = load(handle);

		err = change(content, mode, start, len);
		store(handle, content);
	}
	op->done(op, range_error ? range_error : err);
}

void double_copy_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
		       uint64_t to_start, uint64_t len, struct netfs_op *op)
{
	struct content *source = load(from), *target = load(to);

	double_note("copy");
	if (copy_limit && len > copy_limit)
		len = copy_limit;
	if (from_start >= source->size)
		len = 0;
	else if (len > source->size - from_start)
		len = source->size - from_start;
	memcpy(target->bytes + to_start, source->bytes + from_start, len);
	if (len && to_start + len > target->size)
		target->size = to_start + len;
	free(source);
	if (range_error && !done_all_the_same)
		free(target);
	else
		store(to, target);
	op->count = len;
	op->done(op, range_error);
}

/* Bytes that are not zero are data, down to a single one. */
void double_seek(struct netfs_handle *handle, uint64_t start, int whence, struct netfs_op *op)
{
	struct content *content = load(handle);
	int err = range_error;

	double_note("seek");
	if (!err && start >= content->size)
		err = -ENXIO;
	while (start < content->size && (content->bytes[start] != 0) != (whence == SEEK_DATA))
		start++;
	if (!err && whence == SEEK_DATA && start == content->size)
		err = -ENXIO;
	free(content);
	op->offset = start;
	op->done(op, err);
}

void double_clone_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			uint64_t to_start, uint64_t len, struct netfs_op *op)
{
	double_note("clone");
	if (!clones)
		op->done(op, -EOPNOTSUPP);
	else if (range_error && !done_all_the_same)
		op->done(op, range_error);
	else if (range_error)
		double_copy_range(from, from_start, to, to_start, len, op);
	else
		netfs_mem_ops.clone_range(from, from_start, to, to_start, len, op);
}
