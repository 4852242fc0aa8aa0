/* SPDX-License-Identifier: MIT */
/*
 * One line of text for each message, from the same layouts as the codec:
 * "CLOSE request mid 7 flags 0x1 fid 5.9".  What does not print in a name is
 * escaped, so that a hostile server cannot write control characters into a log.
 * The line is cut at the buffer's end.  Pure functions, no locks.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "smb_layout.h"
#include "smb_status.h"

#define PRINT_CHARS_MAX 80 /* of one name */

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

static void add_utf16(struct line *line, const struct smb_buf *buf)
{
	const uint8_t *p = buf->p;
	unsigned chars = p ? buf->len / 2 : 0;

	add(line, " '");
	for (unsigned i = 0; i < chars && i < PRINT_CHARS_MAX; i++) {
		unsigned c = p[2 * i] | (unsigned)p[2 * i + 1] << 8;

		if (c < 0x20 || c >= 0x7f || c == '\'')
			add(line, "\\u%04x", c);
		else
			add(line, "%c", (char)c);
	}
	add(line, chars > PRINT_CHARS_MAX ? "...'" : "'");
}

static bool is_name(const char *name)
{
	return strcmp(name, "name") == 0 || strcmp(name, "path") == 0 ||
	       strcmp(name, "pattern") == 0;
}

static void add_buf(struct line *line, const char *name, const struct smb_buf *buf)
{
	if (is_name(name))
		add_utf16(line, buf);
	else
		add(line, " %" PRIu32 " bytes", buf->len);
}

static void add_guid(struct line *line, const struct smb_guid *guid)
{
	add(line, " ");
	for (unsigned i = 0; i < sizeof(guid->b); i++)
		add(line, "%02x", guid->b[i]);
}

static void add_locks(struct line *line, const struct smb_lock_element *v)
{
	const struct smb_locks *locks =
		(const void *)((const char *)v - offsetof(struct smb_locks, v));

	for (unsigned i = 0; i < locks->count && i < SMB_LOCKS_MAX; i++)
		add(line, " %" PRIu64 "+%" PRIu64 ":0x%" PRIx32, v[i].offset, v[i].length,
		    v[i].flags);
}

static void add_dialects(struct line *line, const uint16_t *v)
{
	const struct smb_dialects *dialects =
		(const void *)((const char *)v - offsetof(struct smb_dialects, v));

	for (unsigned i = 0; i < dialects->count && i < SMB_DIALECTS_MAX; i++)
		add(line, " 0x%x", v[i]);
}

/* Positions and lengths read better in decimal, everything else in hexadecimal. */
static void add_number(struct line *line, const char *name, uint64_t value)
{
	static const char *const decimal[] = {
		"length",    "offset",	      "count",	      "size",
		"remaining", "minimum",	      "max_output",   "max_input",
		"max_read",  "max_write",     "max_transact", "allocation",
		"epoch",     "context_count", "info_class",   "info_type",
	};

	for (size_t i = 0; i < sizeof(decimal) / sizeof(decimal[0]); i++) {
		if (strcmp(name, decimal[i]) == 0) {
			add(line, " %" PRIu64, value);
			return;
		}
	}
	add(line, " 0x%" PRIx64, value);
}

static void add_value(struct line *line, uint8_t kind, const char *name, const void *field)
{
	switch (kind) {
	case SMB_F_U8:
		add_number(line, name, *(const uint8_t *)field);
		break;
	case SMB_F_U16:
		add_number(line, name, *(const uint16_t *)field);
		break;
	case SMB_F_U32:
		add_number(line, name, *(const uint32_t *)field);
		break;
	case SMB_F_U64:
		add_number(line, name, *(const uint64_t *)field);
		break;
	case SMB_F_FID:
		add(line, " %" PRIx64 ".%" PRIx64, ((const struct smb_fid *)field)->persistent,
		    ((const struct smb_fid *)field)->transient);
		break;
	case SMB_F_GUID:
		add_guid(line, field);
		break;
	case SMB_F_TIMES:
		add(line, " written %" PRIu64, ((const struct smb_times *)field)->written);
		break;
	case SMB_F_DIALECTS:
		add_dialects(line, field);
		break;
	case SMB_F_LOCKS:
		add_locks(line, field);
		break;
	default:
		add_buf(line, name, field);
	}
}

/* "create_req.name" is "name", "negotiate_req.dialects.count" is "count". */
static const char *short_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (dot && strcmp(dot, ".v") == 0)
		return strchr(name, '.') + 1;
	return dot ? dot + 1 : name;
}

static void add_header(struct line *line, const char *name, const struct smb_header *hdr,
		       bool reply)
{
	add(line, "%s mid %" PRIu64, name, hdr->message_id);
	if (hdr->flags & SMB_FLAG_ASYNC)
		add(line, " async %" PRIu64, hdr->async_id);
	if (reply)
		add(line, " granted %u", hdr->credits);
	else
		add(line, " charge %u", hdr->credit_charge);
	if (reply && hdr->status)
		add(line, " %s (0x%08" PRIx32 ")", smb_status_name(hdr->status), hdr->status);
}

char *smb_print(const struct smb_msg *msg, char *buf, size_t size)
{
	const struct smb_layout *layout = smb_layout_of(msg->kind);
	struct line line = {.buf = buf, .size = size};
	bool reply = msg->hdr.flags & SMB_FLAG_REPLY || msg->kind == SMB_ERROR;

	if (size > 0)
		buf[0] = '\0';
	if (!layout) {
		add_header(&line, "message", &msg->hdr, reply);
		return buf;
	}
	if (msg->kind == SMB_ERROR)
		add(&line, "%s ", smb_command_name(msg->hdr.command));
	add_header(&line, layout->name, &msg->hdr, reply);
	for (const struct smb_field *f = layout->field; f->kind != SMB_F_END; f++) {
		if (!f->name || (f->kind >= SMB_F_LEN16 && f->kind <= SMB_F_LEN32))
			continue;
		add(&line, " %s", short_name(f->name));
		add_value(&line, f->kind, short_name(f->name), (const char *)msg + f->offset);
	}
	return buf;
}
