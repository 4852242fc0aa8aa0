/* SPDX-License-Identifier: MIT */
/*
 * The exerciser's target on a plain array, for testing the exerciser itself:
 * right as it is, and wrong in one way where a defect is asked for.  The
 * defects are ones that real systems had.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include "fsx.h"

struct array_target {
	struct fsx_target target;
	enum defect {
		DEFECT_NONE,
		DEFECT_STALE_TAIL, /* growing shows what was cut off before */
		DEFECT_LOST_WRITE, /* a write of several pages loses its last byte */
		DEFECT_SHORT_READ, /* a read across a megabyte's quarter ends there */
		DEFECT_SHRINK, /* a write inside the file ends it */
		DEFECT_ZERO_EARLY, /* a punched hole begins one byte too early */
		DEFECT_COUNT,
	} defect;
	uint8_t *bytes;
	uint64_t size;
	uint64_t room;
};

static const char *const defect_names[DEFECT_COUNT] = {
	[DEFECT_NONE] = "",
	[DEFECT_STALE_TAIL] = "stale-tail",
	[DEFECT_LOST_WRITE] = "lost-write",
	[DEFECT_SHORT_READ] = "short-read",
	[DEFECT_SHRINK] = "shrink",
	[DEFECT_ZERO_EARLY] = "zero-early",
};

static struct array_target *of(struct fsx_target *target)
{
	return (struct array_target *)target;
}

static int array_open(struct fsx_target *target, bool with_create)
{
	if (with_create)
		of(target)->size = 0;
	return 0;
}

static int array_close(struct fsx_target *target)
{
	return 0;
}

static ssize_t array_read(struct fsx_target *target, unsigned handle, void *buf, size_t len,
			  uint64_t start)
{
	struct array_target *array = of(target);

	if (start >= array->size)
		return 0;
	if (len > array->size - start)
		len = array->size - start;
	if (array->defect == DEFECT_SHORT_READ && start < 65536 && start + len > 65536)
		len = 65536 - start;
	memcpy(buf, array->bytes + start, len);
	return len;
}

static int reserve(struct array_target *array, uint64_t room)
{
	uint8_t *bytes;

	if (room <= array->room)
		return 0;
	bytes = realloc(array->bytes, room);
	if (!bytes)
		return -ENOMEM;
	memset(bytes + array->room, 0, room - array->room);
	array->bytes = bytes;
	array->room = room;
	return 0;
}

static int array_truncate(struct fsx_target *target, unsigned handle, uint64_t size)
{
	struct array_target *array = of(target);
	int err = reserve(array, size);

	if (err)
		return err;
	if (size > array->size && array->defect != DEFECT_STALE_TAIL)
		memset(array->bytes + array->size, 0, size - array->size);
	array->size = size;
	return 0;
}

static ssize_t array_write(struct fsx_target *target, unsigned handle, const void *buf, size_t len,
			   uint64_t start)
{
	struct array_target *array = of(target);
	int err = 0;

	if (start + len > array->size)
		err = array_truncate(target, handle, start + len);
	else if (array->defect == DEFECT_SHRINK && start < 4096)
		array->size = start + len;
	if (err)
		return err;
	memcpy(array->bytes + start, buf,
	       array->defect == DEFECT_LOST_WRITE && len > 16384 ? len - 1 : len);
	return len;
}

static int array_fallocate(struct fsx_target *target, unsigned handle, int mode, uint64_t start,
			   uint64_t len)
{
	struct array_target *array = of(target);

	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (start >= array->size)
		return 0;
	if (len > array->size - start)
		len = array->size - start;
	if (array->defect == DEFECT_ZERO_EARLY && start)
		start--, len++;
	memset(array->bytes + start, 0, len);
	return 0;
}

static int array_fsync(struct fsx_target *target, unsigned handle)
{
	return 0;
}

static int array_size(struct fsx_target *target, unsigned handle, uint64_t *ret_size)
{
	*ret_size = of(target)->size;
	return 0;
}

static void array_free(struct fsx_target *target)
{
	free(of(target)->bytes);
	free(target);
}

static const struct fsx_target_ops array_ops = {
	.open = array_open,
	.close = array_close,
	.read = array_read,
	.write = array_write,
	.truncate = array_truncate,
	.fallocate = array_fallocate,
	.fsync = array_fsync,
	.size = array_size,
	.free = array_free,
};

int fsx_target_array(const char *defect, unsigned handles, struct fsx_target **ret_target)
{
	struct array_target *array;
	unsigned at = 0;

	while (at < DEFECT_COUNT && strcmp(defect_names[at], defect))
		at++;
	if (at == DEFECT_COUNT)
		return -EINVAL;
	array = calloc(1, sizeof(*array));
	if (!array)
		return -ENOMEM;
	array->target = (struct fsx_target){&array_ops, handles};
	array->defect = at;
	*ret_target = &array->target;
	return 0;
}
