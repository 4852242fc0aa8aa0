/* SPDX-License-Identifier: MIT */
/*
 * The text format of recorded operations, the one that file exercisers share:
 * one operation a line, numbers in hexadecimal, the size of the file before
 * the operation last:
 *
 *	write 0x27 0x8f65 0x377d3
 *	copy_range 0x1000 0x200 0x8000 0x377d3
 *	skip punch_hole 0x0 0x0 0x0
 *	fallocate 0x6be7 0x8fc5 0x377d3 keep_size close_open
 *
 * A "*" (some writers mark lines so) is skipped; "#" begins a comment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fsx.h"

static const char *const names[FSX_KINDS] = {
	[FSX_READ] = "read",
	[FSX_WRITE] = "write",
	[FSX_MAPREAD] = "mapread",
	[FSX_MAPWRITE] = "mapwrite",
	[FSX_TRUNCATE] = "truncate",
	[FSX_FALLOCATE] = "fallocate",
	[FSX_PUNCH_HOLE] = "punch_hole",
	[FSX_ZERO_RANGE] = "zero_range",
	[FSX_COLLAPSE_RANGE] = "collapse_range",
	[FSX_INSERT_RANGE] = "insert_range",
	[FSX_COPY_RANGE] = "copy_range",
	[FSX_CLONE_RANGE] = "clone_range",
	[FSX_FSYNC] = "fsync",
};

static bool has_dest(const struct fsx_op *op)
{
	return op->kind == FSX_COPY_RANGE || op->kind == FSX_CLONE_RANGE;
}

const char *fsx_kind_name(enum fsx_kind kind)
{
	return names[kind];
}

void fsx_op_print(const struct fsx_op *op, char *buf, size_t size)
{
	char dest[32] = "";

	if (has_dest(op))
		snprintf(dest, sizeof(dest), "0x%llx ", (unsigned long long)op->dest);
	snprintf(buf, size, "%s%s 0x%llx 0x%llx %s0x%llx%s%s",
		 op->flags & FSX_SKIPPED ? "skip " : "", names[op->kind],
		 (unsigned long long)op->start, (unsigned long long)op->len, dest,
		 (unsigned long long)op->size, op->flags & FSX_KEEP_SIZE ? " keep_size" : "",
		 op->flags & FSX_CLOSE_OPEN ? " close_open" : "");
}

static int kind_parse(const char *word)
{
	for (int i = 0; i < FSX_KINDS; i++)
		if (!strcmp(names[i], word))
			return i;
	return -EINVAL;
}

/* The words after the operation's name. */
static int arguments_parse(struct fsx_op *op, char **rest)
{
	uint64_t *fields[4] = {&op->start, &op->len, &op->size, NULL};
	unsigned count = 0;
	char *word;

	if (has_dest(op)) {
		fields[2] = &op->dest;
		fields[3] = &op->size;
	}
	while ((word = strtok_r(NULL, " \t\r\n", rest))) {
		char *end;

		if (!strcmp(word, "keep_size")) {
			op->flags |= FSX_KEEP_SIZE;
		} else if (!strcmp(word, "close_open")) {
			op->flags |= FSX_CLOSE_OPEN;
		} else if (strcmp(word, "*")) {
			if (count == 4 || !fields[count])
				return -EINVAL;
			*fields[count++] = strtoull(word, &end, 0);
			if (*end)
				return -EINVAL;
		}
	}
	/* Only the size may be left out. */
	return count + 1 < (has_dest(op) ? 4 : 3) && op->kind != FSX_FSYNC ? -EINVAL : 0;
}

int fsx_op_parse(const char *line, struct fsx_op *ret_op)
{
	struct fsx_op op = {0};
	char copy[256];
	char *rest, *word;
	int kind, err;

	if (strlen(line) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, line);
	word = strtok_r(copy, " \t\r\n", &rest);
	if (!word || word[0] == '#')
		return 0;
	if (!strcmp(word, "skip")) {
		op.flags |= FSX_SKIPPED;
		word = strtok_r(NULL, " \t\r\n", &rest);
	}
	kind = word ? kind_parse(word) : -EINVAL;
	if (kind < 0)
		return kind;
	op.kind = kind;
	err = arguments_parse(&op, &rest);
	if (err)
		return err;
	*ret_op = op;
	return 1;
}
