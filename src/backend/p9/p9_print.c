/* SPDX-License-Identifier: MIT */
/*
 * One line of text for each message, from the same layouts as the codec:
 * "Tlopen tag 3 fid 7 flags 0x0".  Bytes of names that do not print are
 * escaped, so that a hostile server cannot write control characters into a
 * log.  The line is cut at the buffer's end.  Pure functions, no locks.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "p9_msg.h"

#define PRINT_BYTES_MAX 80 /* of one string */

struct line {
	char *buf;
	size_t size;
	size_t pos;
};

static __attribute__((format(printf, 2, 3))) void add(struct line *line, const char *format, ...)
{
	va_list args;
	int n;

	if (line->pos + 1 >= line->size)
		return;
	va_start(args, format);
	n = vsnprintf(line->buf + line->pos, line->size - line->pos, format, args);
	va_end(args);
	if (n > 0)
		line->pos += (size_t)n;
	if (line->pos >= line->size)
		line->pos = line->size - 1;
}

static void add_str(struct line *line, const struct p9_str *str)
{
	add(line, " '");
	for (size_t i = 0; i < str->len && i < PRINT_BYTES_MAX; i++) {
		unsigned char c = (unsigned char)str->p[i];

		if (c < 0x20 || c >= 0x7f || c == '\'' || c == '\\')
			add(line, "\\x%02x", c);
		else
			add(line, "%c", c);
	}
	add(line, str->len > PRINT_BYTES_MAX ? "...'" : "'");
}

static void add_qid(struct line *line, const struct p9_qid *qid)
{
	add(line, " (%02x %" PRIu32 " %" PRIu64 ")", qid->type, qid->version, qid->path);
}

static void add_names(struct line *line, const struct p9_names *names)
{
	add(line, " %u", names->count);
	for (unsigned i = 0; i < names->count && i < P9_WALK_MAX; i++)
		add_str(line, &names->v[i]);
}

static void add_qids(struct line *line, const struct p9_qids *qids)
{
	add(line, " %u", qids->count);
	for (unsigned i = 0; i < qids->count && i < P9_WALK_MAX; i++)
		add_qid(line, &qids->v[i]);
}

/* Masks and flags read better in hexadecimal, modes in octal. */
static const char *number_format(const char *name)
{
	if (strcmp(name, "mode") == 0)
		return " 0%" PRIo64;
	if (strcmp(name, "mask") == 0 || strcmp(name, "valid") == 0 || strcmp(name, "flags") == 0)
		return " 0x%" PRIx64;
	return " %" PRIu64;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void add_number(struct line *line, const char *name, uint64_t value)
{
	add(line, number_format(name), value);
}
#pragma GCC diagnostic pop

static void add_field(struct line *line, uint8_t kind, const char *name, const void *field)
{
	add(line, " %s", name);
	switch (kind) {
	case P9_U8:
		add_number(line, name, *(const uint8_t *)field);
		break;
	case P9_U16:
		add_number(line, name, *(const uint16_t *)field);
		break;
	case P9_U32:
		add_number(line, name, *(const uint32_t *)field);
		break;
	case P9_U64:
		add_number(line, name, *(const uint64_t *)field);
		break;
	case P9_STR:
		add_str(line, field);
		break;
	case P9_QID:
		add_qid(line, field);
		break;
	case P9_DATA:
		add(line, " %" PRIu32, ((const struct p9_data *)field)->count);
		break;
	case P9_NAMES:
		add_names(line, field);
		break;
	case P9_QIDS:
		add_qids(line, field);
		break;
	}
}

char *p9_print(const struct p9_msg *msg, char *buf, size_t size)
{
	const struct p9_layout *layout = p9_layout_of(msg->type);
	struct line line = {.buf = buf, .size = size};

	if (size > 0)
		buf[0] = '\0';
	if (!layout) {
		add(&line, "message %u tag %u", msg->type, msg->tag);
		return buf;
	}
	add(&line, "%s tag %u", layout->name, msg->tag);
	for (unsigned i = 0; layout->field[i].kind != P9_END; i++) {
		/* Field names are "message.field". */
		const char *name = strchr(layout->field[i].name, '.') + 1;

		add_field(&line, layout->field[i].kind, name,
			  (const char *)msg + layout->field[i].offset);
	}
	return buf;
}
