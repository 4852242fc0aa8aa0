/* SPDX-License-Identifier: MIT */
/*
 * Bytes of 9P2000.L for the simulated server.  Written apart from the client's
 * encoder on purpose: a mistake made once must not cancel itself out.
 *
 * Reading past the end sets bad and gives zeroes; writing past the room sets
 * bad and is dropped.  Users look at bad once, at the end.
 */
#ifndef TESTS_SIM_WIRE9_H
#define TESTS_SIM_WIRE9_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	T_LERROR = 6,
	T_STATFS = 8,
	T_LOPEN = 12,
	T_LCREATE = 14,
	T_SYMLINK = 16,
	T_MKNOD = 18,
	T_RENAME = 20,
	T_READLINK = 22,
	T_GETATTR = 24,
	T_SETATTR = 26,
	T_XATTRWALK = 30,
	T_XATTRCREATE = 32,
	T_READDIR = 40,
	T_FSYNC = 50,
	T_LOCK = 52,
	T_GETLOCK = 54,
	T_LINK = 70,
	T_MKDIR = 72,
	T_RENAMEAT = 74,
	T_UNLINKAT = 76,
	T_VERSION = 100,
	T_AUTH = 102,
	T_ATTACH = 104,
	T_FLUSH = 108,
	T_WALK = 110,
	T_READ = 116,
	T_WRITE = 118,
	T_CLUNK = 120,
	T_REMOVE = 122,
	T_MAX = 128,
};

#define HEADER_LEN 7
#define NO_TAG	   0xffff
#define NO_FID	   0xffffffffU

struct in9 {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

struct out9 {
	uint8_t *buf;
	size_t len;
	size_t room;
	bool bad;
};

static inline uint64_t in_number(struct in9 *in, unsigned bytes)
{
	uint64_t value = 0;

	if (in->end - in->at < bytes) {
		in->bad = true;
		in->at = in->end;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)in->at[i] << (8 * i);
	in->at += bytes;
	return value;
}

static inline uint8_t in_u8(struct in9 *in)
{
	return in_number(in, 1);
}

static inline uint16_t in_u16(struct in9 *in)
{
	return in_number(in, 2);
}

static inline uint32_t in_u32(struct in9 *in)
{
	return in_number(in, 4);
}

static inline uint64_t in_u64(struct in9 *in)
{
	return in_number(in, 8);
}

static inline const uint8_t *in_bytes(struct in9 *in, size_t len)
{
	const uint8_t *at = in->at;

	if ((size_t)(in->end - in->at) < len) {
		in->bad = true;
		return NULL;
	}
	in->at += len;
	return at;
}

/* A string into buf, terminated; one that does not fit is bad. */
static inline void in_string(struct in9 *in, char *buf, size_t size)
{
	size_t len = in_u16(in);
	const uint8_t *at = len < size ? in_bytes(in, len) : NULL;

	buf[0] = '\0';
	if (!at || memchr(at, '\0', len)) {
		in->bad = true;
		return;
	}
	memcpy(buf, at, len);
	buf[len] = '\0';
}

static inline void out_number(struct out9 *out, uint64_t value, unsigned bytes)
{
	if (out->room - out->len < bytes) {
		out->bad = true;
		return;
	}
	for (unsigned i = 0; i < bytes; i++)
		out->buf[out->len++] = value >> (8 * i);
}

static inline void out_u8(struct out9 *out, uint8_t value)
{
	out_number(out, value, 1);
}

static inline void out_u16(struct out9 *out, uint16_t value)
{
	out_number(out, value, 2);
}

static inline void out_u32(struct out9 *out, uint32_t value)
{
	out_number(out, value, 4);
}

static inline void out_u64(struct out9 *out, uint64_t value)
{
	out_number(out, value, 8);
}

static inline void out_bytes(struct out9 *out, const void *bytes, size_t len)
{
	if (out->room - out->len < len) {
		out->bad = true;
		return;
	}
	if (len)
		memcpy(out->buf + out->len, bytes, len);
	out->len += len;
}

static inline void out_string(struct out9 *out, const char *text)
{
	size_t len = strlen(text);

	out_u16(out, len);
	out_bytes(out, text, len);
}

#endif
