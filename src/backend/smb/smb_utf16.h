/* SPDX-License-Identifier: MIT */
/*
 * Names between UTF-8 and the wire's UTF-16LE (MS-SMB2 2.2), with the characters that
 * servers reserve mapped into Unicode's private use area and back.
 */
#ifndef SMB_UTF16_H
#define SMB_UTF16_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum smb_map {
	SMB_MAP_NONE,
	/* One name (no separators): " * : < > ? \ | become U+F020 to U+F027, a last
	 * space or dot U+F028 or U+F029, controls U+F000 and their code. */
	SMB_MAP_POSIX,
};

/*
 * UTF-8 of len bytes to UTF-16LE.  Returns bytes written; with buf NULL only counts.
 * -EILSEQ: not UTF-8 (overlong forms and surrogates included), or a NUL in it;
 * -EMSGSIZE: more than size.
 */
ssize_t smb_utf16_put(const char *text, size_t len, enum smb_map map, void *buf, size_t size);
/*
 * UTF-16LE of len bytes to UTF-8, not terminated.  Returns bytes written; with buf
 * NULL only counts.  -EILSEQ: odd length, a lone surrogate, a NUL; -EMSGSIZE.
 */
ssize_t smb_utf16_get(const void *bytes, size_t len, enum smb_map map, char *buf, size_t size);

#endif
