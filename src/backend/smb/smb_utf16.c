/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 to UTF-16LE and back, one code point at a time.  Only what has exactly
 * one form is taken, in both directions, so a name that went to the server
 * comes back as the same bytes.
 *
 * With SMB_MAP_POSIX a character that servers reserve travels as a code point of
 * the private use area, the one that Windows and other clients use for it.
 * A name that holds such a private code point itself could not come back as it
 * was, so it is refused on its way out (-EILSEQ).  Pure functions, no locks.
 */
#include "smb_utf16.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <wire/cursor.h>

#define PRIVATE	     0xf000u
#define BAD	     UINT32_MAX
#define LAST_UNICODE 0x10ffffu

/* Takes one code point off UTF-8; BAD: there is none. */
static uint32_t take_utf8(struct netfs_reader *r)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	uint32_t c = netfs_reader_u8(r);
	unsigned more;

	if (c < 0x80)
		return c;
	more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
	if (c < 0xc0 || c >= 0xf8)
		return BAD;
	c &= 0x3fu >> more;
	for (unsigned i = 0; i < more; i++) {
		uint32_t next = netfs_reader_u8(r);

		if (next >> 6 != 2)
			return BAD;
		c = c << 6 | (next & 0x3f);
	}
	if (r->bad || c < least[more] || c > LAST_UNICODE || (c >= 0xd800 && c < 0xe000))
		return BAD;
	return c;
}

static void put_utf8(struct netfs_writer *w, uint32_t c)
{
	unsigned more = c >= 0x10000 ? 3 : c >= 0x800 ? 2 : c >= 0x80 ? 1 : 0;

	if (more == 0) {
		netfs_writer_u8(w, (uint8_t)c);
		return;
	}
	netfs_writer_u8(w, (uint8_t)(0xff00u >> (more + 1) | c >> (6 * more)));
	while (more-- > 0)
		netfs_writer_u8(w, (uint8_t)(0x80 | (c >> (6 * more) & 0x3f)));
}

/* Takes one code point off UTF-16LE; BAD: a lone surrogate, or half a unit. */
static uint32_t take_utf16(struct netfs_reader *r)
{
	uint32_t c = netfs_reader_u16(r), low;

	if (c < 0xd800 || c >= 0xe000)
		return r->bad ? BAD : c;
	low = netfs_reader_u16(r);
	if (c >= 0xdc00 || r->bad || low < 0xdc00 || low >= 0xe000)
		return BAD;
	return 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
}

static void put_utf16(struct netfs_writer *w, uint32_t c)
{
	if (c < 0x10000) {
		netfs_writer_u16(w, (uint16_t)c);
		return;
	}
	netfs_writer_u16(w, (uint16_t)(0xd800 + ((c - 0x10000) >> 10)));
	netfs_writer_u16(w, (uint16_t)(0xdc00 + (c & 0x3ff)));
}

/* What U+F020 and those behind it stand for; the last two only at a name's end.
 * Control characters c are U+F000 + c. */
static const char reserved[] = "\"*:<>?\\| .";

#define FIRST_RESERVED 0xf020u
#define AT_END	       8u /* in reserved: from here on */

/* "." and ".." are names of their own, not ones that end in a dot. */
static bool is_dots(const char *text, size_t len)
{
	return len > 0 && len <= 2 && memcmp(text, "..", len) == 0;
}

static uint32_t map(uint32_t c, bool last)
{
	const char *found;

	if (c < 0x20)
		return PRIVATE + c;
	found = c < 0x7f ? strchr(reserved, (int)c) : NULL;
	if (!found || (found - reserved >= (int)AT_END && !last))
		return c;
	return FIRST_RESERVED + (uint32_t)(found - reserved);
}

static uint32_t unmap(uint32_t c)
{
	if (c > PRIVATE && c < FIRST_RESERVED)
		return c - PRIVATE;
	if (c >= FIRST_RESERVED && c < FIRST_RESERVED + sizeof(reserved) - 1)
		return (uint32_t)reserved[c - FIRST_RESERVED];
	return c;
}

ssize_t smb_utf16_put(const char *text, size_t len, enum smb_map mapping, void *buf, size_t size)
{
	bool mapped = mapping == SMB_MAP_POSIX && !is_dots(text, len);
	struct netfs_writer w;
	struct netfs_reader r;

	netfs_reader_init(&r, text, len);
	netfs_writer_init(&w, buf, buf ? size : INT32_MAX);
	while (r.left > 0) {
		uint32_t c = take_utf8(&r);

		if (c == BAD || c == 0)
			return -EILSEQ;
		if (mapped && unmap(c) != c)
			return -EILSEQ;
		put_utf16(&w, mapped ? map(c, r.left == 0) : c);
	}
	return w.bad ? -EMSGSIZE : (ssize_t)w.pos;
}

ssize_t smb_utf16_get(const void *bytes, size_t len, enum smb_map mapping, char *buf, size_t size)
{
	struct netfs_writer w;
	struct netfs_reader r;

	netfs_reader_init(&r, bytes, len);
	netfs_writer_init(&w, buf, buf ? size : INT32_MAX);
	while (r.left > 0) {
		uint32_t c = take_utf16(&r);

		if (c == BAD || c == 0)
			return -EILSEQ;
		put_utf8(&w, mapping == SMB_MAP_POSIX ? unmap(c) : c);
	}
	return w.bad ? -EMSGSIZE : (ssize_t)w.pos;
}
