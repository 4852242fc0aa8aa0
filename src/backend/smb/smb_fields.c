/* SPDX-License-Identifier: MIT */
/*
 * Structures to bytes and back, driven by tables of their fields.  For each
 * kind its encoder stands beside its decoder.  Only cursors touch bytes.
 *
 *	| fields in their order | array or inline bytes | pad | buffer | pad | buffer |
 *	     \____________ offset, length ___________________^
 *
 * Buffers are put in the order of their offsets' fields.  A decoder takes them in
 * any order, as long as each lies behind the fields and inside the message.
 * Pure functions, no locks.
 */
#include "smb_fields.h"

#include <base/round.h>
#include <errno.h>

#define BUFFER_ALIGN 8u /* 2.2: what contexts need, and no buffer minds */

void smb_writer_init(struct netfs_writer *w, void *buf, size_t size)
{
	netfs_writer_init(w, buf, buf ? size : INT32_MAX);
}

ssize_t smb_written(const struct netfs_writer *w)
{
	return w->bad ? -EMSGSIZE : (ssize_t)w->pos;
}

void smb_put_zeros(struct netfs_writer *w, size_t n)
{
	while (n-- > 0)
		netfs_writer_u8(w, 0);
}

void smb_pad(struct netfs_writer *w, size_t align)
{
	smb_put_zeros(w, (align - w->pos % align) % align);
}

void smb_put_guid(struct netfs_writer *w, const struct smb_guid *guid)
{
	netfs_writer_bytes(w, guid->b, sizeof(guid->b));
}

void smb_get_guid(struct netfs_reader *r, struct smb_guid *guid)
{
	for (unsigned i = 0; i < sizeof(guid->b); i++)
		guid->b[i] = netfs_reader_u8(r);
}

void smb_put_fid(struct netfs_writer *w, const struct smb_fid *fid)
{
	netfs_writer_u64(w, fid->persistent);
	netfs_writer_u64(w, fid->transient);
}

void smb_get_fid(struct netfs_reader *r, struct smb_fid *fid)
{
	fid->persistent = netfs_reader_u64(r);
	fid->transient = netfs_reader_u64(r);
}

void smb_get_buf(struct netfs_reader *r, size_t len, struct smb_buf *ret_buf)
{
	const void *p = netfs_reader_bytes(r, len);

	*ret_buf = (struct smb_buf){.p = len > 0 ? p : NULL, .len = p ? (uint32_t)len : 0};
}

bool smb_slice(const void *bytes, size_t size, size_t off, size_t len, struct smb_buf *ret_buf)
{
	*ret_buf = (struct smb_buf){0};
	if (len == 0)
		return true;
	if (off > size || len > size - off || len > UINT32_MAX)
		return false;
	*ret_buf = (struct smb_buf){
		.p = (const uint8_t *)bytes + off, .len = (uint32_t)len, .off = (uint32_t)off};
	return true;
}

static void put_times(struct netfs_writer *w, const struct smb_times *times)
{
	netfs_writer_u64(w, times->created);
	netfs_writer_u64(w, times->accessed);
	netfs_writer_u64(w, times->written);
	netfs_writer_u64(w, times->changed);
}

static void get_times(struct netfs_reader *r, struct smb_times *times)
{
	times->created = netfs_reader_u64(r);
	times->accessed = netfs_reader_u64(r);
	times->written = netfs_reader_u64(r);
	times->changed = netfs_reader_u64(r);
}

/* The array's count was written or read as a field of its own. */
static const struct smb_dialects *dialects_at(const void *v)
{
	return (const void *)((const char *)v - offsetof(struct smb_dialects, v));
}

static const struct smb_locks *locks_at(const void *v)
{
	return (const void *)((const char *)v - offsetof(struct smb_locks, v));
}

static void put_dialects(struct netfs_writer *w, const uint16_t *v)
{
	unsigned count = dialects_at(v)->count;

	if (count > SMB_DIALECTS_MAX)
		w->bad = true;
	for (unsigned i = 0; i < count && !w->bad; i++)
		netfs_writer_u16(w, v[i]);
}

static void get_dialects(struct netfs_reader *r, uint16_t *v)
{
	unsigned count = dialects_at(v)->count;

	if (count > SMB_DIALECTS_MAX)
		r->bad = true;
	for (unsigned i = 0; i < count && !r->bad; i++)
		v[i] = netfs_reader_u16(r);
}

static void put_locks(struct netfs_writer *w, const struct smb_lock_element *v)
{
	unsigned count = locks_at(v)->count;

	if (count > SMB_LOCKS_MAX)
		w->bad = true;
	for (unsigned i = 0; i < count && !w->bad; i++) {
		netfs_writer_u64(w, v[i].offset);
		netfs_writer_u64(w, v[i].length);
		netfs_writer_u32(w, v[i].flags);
		netfs_writer_u32(w, 0);
	}
}

static void get_locks(struct netfs_reader *r, struct smb_lock_element *v)
{
	unsigned count = locks_at(v)->count;

	if (count > SMB_LOCKS_MAX)
		r->bad = true;
	for (unsigned i = 0; i < count && !r->bad; i++) {
		v[i].offset = netfs_reader_u64(r);
		v[i].length = netfs_reader_u64(r);
		v[i].flags = netfs_reader_u32(r);
		netfs_reader_u32(r);
	}
}

static size_t field_size(const struct smb_field *f, const void *field)
{
	switch (f->kind) {
	case SMB_F_ZERO:
		return f->arg;
	case SMB_F_U8:
	case SMB_F_BYTE:
	case SMB_F_OFF8:
		return 1;
	case SMB_F_U16:
	case SMB_F_LEN16:
	case SMB_F_OFF16:
		return 2;
	case SMB_F_U32:
	case SMB_F_LEN32:
	case SMB_F_OFF32:
	case SMB_F_TAIL32:
		return 4;
	case SMB_F_U64:
		return 8;
	case SMB_F_FID:
	case SMB_F_GUID:
		return 16;
	case SMB_F_TIMES:
		return 32;
	case SMB_F_SID:
		return 8 + 4u * ((const struct smb_sid *)field)->count;
	case SMB_F_DIALECTS:
		return 2u * dialects_at(field)->count;
	case SMB_F_LOCKS:
		return 24u * locks_at(field)->count;
	default:
		return 0;
	}
}

size_t smb_fields_size(const struct smb_field *fields, const void *base)
{
	size_t size = 0;

	for (; fields->kind != SMB_F_END; fields++)
		size += field_size(fields, (const char *)base + fields->offset);
	return size;
}

static bool is_buffer(const struct smb_field *f)
{
	return f->kind >= SMB_F_OFF8 && f->kind <= SMB_F_INLINE;
}

static size_t align_of(const struct smb_field *f)
{
	return f->kind == SMB_F_INLINE ? 1 : BUFFER_ALIGN;
}

/* The place of a buffer when *next bytes are taken, which it adds itself to. */
static uint64_t place(const struct smb_field *f, const struct smb_buf *buf, uint64_t *next)
{
	uint64_t align = align_of(f), off = (*next + align - 1) / align * align;

	if (buf->len == 0)
		return f->kind == SMB_F_OFF32 || f->kind == SMB_F_TAIL32 ? 0 : off;
	*next = off + buf->len;
	return off;
}

/* A number that has to fit into bits. */
static void put_fitting(struct netfs_writer *w, unsigned bits, uint64_t value)
{
	if (value >> bits)
		w->bad = true;
	if (bits == 8)
		netfs_writer_u8(w, (uint8_t)value);
	else if (bits == 16)
		netfs_writer_u16(w, (uint16_t)value);
	else
		netfs_writer_u32(w, (uint32_t)value);
}

static void put_buffer_field(struct netfs_writer *w, const struct smb_field *f,
			     const struct smb_buf *buf, uint64_t *next)
{
	uint64_t off;

	if (f->kind == SMB_F_LEN16) {
		put_fitting(w, 16, buf->len);
		return;
	}
	if (f->kind == SMB_F_LEN32) {
		netfs_writer_u32(w, buf->len);
		return;
	}
	off = place(f, buf, next);
	if (f->kind == SMB_F_OFF8)
		put_fitting(w, 8, off);
	else if (f->kind == SMB_F_OFF16)
		put_fitting(w, 16, off);
	else if (f->kind != SMB_F_INLINE)
		put_fitting(w, 32, off);
}

static void put_field(struct netfs_writer *w, const struct smb_field *f, const void *field,
		      uint64_t *next)
{
	switch (f->kind) {
	case SMB_F_U8:
		netfs_writer_u8(w, *(const uint8_t *)field);
		break;
	case SMB_F_U16:
		netfs_writer_u16(w, *(const uint16_t *)field);
		break;
	case SMB_F_U32:
		netfs_writer_u32(w, *(const uint32_t *)field);
		break;
	case SMB_F_U64:
		netfs_writer_u64(w, *(const uint64_t *)field);
		break;
	case SMB_F_ZERO:
		smb_put_zeros(w, f->arg);
		break;
	case SMB_F_BYTE:
		netfs_writer_u8(w, f->arg);
		break;
	case SMB_F_FID:
		smb_put_fid(w, field);
		break;
	case SMB_F_GUID:
		smb_put_guid(w, field);
		break;
	case SMB_F_TIMES:
		put_times(w, field);
		break;
	case SMB_F_SID:
		smb_sid_put(w, field);
		break;
	case SMB_F_DIALECTS:
		put_dialects(w, field);
		break;
	case SMB_F_LOCKS:
		put_locks(w, field);
		break;
	default:
		put_buffer_field(w, f, field, next);
	}
}

void smb_fields_put(struct netfs_writer *w, const struct smb_field *fields, const void *base)
{
	uint64_t next = w->pos + smb_fields_size(fields, base);

	for (const struct smb_field *f = fields; f->kind != SMB_F_END; f++)
		put_field(w, f, (const char *)base + f->offset, &next);
	for (const struct smb_field *f = fields; f->kind != SMB_F_END; f++) {
		const struct smb_buf *buf = (const void *)((const char *)base + f->offset);

		if (!is_buffer(f) || buf->len == 0)
			continue;
		smb_pad(w, align_of(f));
		if (!buf->p)
			return;
		netfs_writer_bytes(w, buf->p, buf->len);
	}
}

static void get_buffer_field(struct netfs_reader *r, const struct smb_field *f, struct smb_buf *buf,
			     size_t pos)
{
	switch (f->kind) {
	case SMB_F_LEN16:
		buf->len = netfs_reader_u16(r);
		break;
	case SMB_F_LEN32:
		buf->len = netfs_reader_u32(r);
		break;
	case SMB_F_OFF8:
		buf->off = netfs_reader_u8(r);
		break;
	case SMB_F_OFF16:
		buf->off = netfs_reader_u16(r);
		break;
	case SMB_F_OFF32:
	case SMB_F_TAIL32:
		buf->off = netfs_reader_u32(r);
		break;
	case SMB_F_INLINE:
		buf->off = (uint32_t)pos;
		break;
	}
}

static void get_field(struct netfs_reader *r, const struct smb_field *f, void *field, size_t pos)
{
	switch (f->kind) {
	case SMB_F_U8:
		*(uint8_t *)field = netfs_reader_u8(r);
		break;
	case SMB_F_U16:
		*(uint16_t *)field = netfs_reader_u16(r);
		break;
	case SMB_F_U32:
		*(uint32_t *)field = netfs_reader_u32(r);
		break;
	case SMB_F_U64:
		*(uint64_t *)field = netfs_reader_u64(r);
		break;
	case SMB_F_ZERO:
		netfs_reader_bytes(r, f->arg);
		break;
	case SMB_F_BYTE:
		netfs_reader_u8(r);
		break;
	case SMB_F_FID:
		smb_get_fid(r, field);
		break;
	case SMB_F_GUID:
		smb_get_guid(r, field);
		break;
	case SMB_F_TIMES:
		get_times(r, field);
		break;
	case SMB_F_SID:
		smb_sid_get(r, field);
		break;
	case SMB_F_DIALECTS:
		get_dialects(r, field);
		break;
	case SMB_F_LOCKS:
		get_locks(r, field);
		break;
	default:
		get_buffer_field(r, f, field, pos);
	}
}

/* Turns offset and length, as they came, into a buffer; end is where the fields
 * end.  False: it lies elsewhere. */
static bool resolve(const struct smb_span *span, const struct smb_field *f, size_t end,
		    struct smb_buf *buf)
{
	uint64_t off = buf->off;

	if (f->kind == SMB_F_TAIL32)
		buf->len = off >= end && off < span->total ? (uint32_t)(span->total - off) : 0;
	if (buf->len == 0) {
		*buf = (struct smb_buf){0};
		return true;
	}
	if (off < end || off + buf->len > span->total)
		return false;
	buf->p = off + buf->len <= span->have ? span->bytes + off : NULL;
	return true;
}

bool smb_fields_get(const struct smb_span *span, size_t at, const struct smb_field *fields,
		    void *base)
{
	struct netfs_reader r;
	size_t end;

	if (at > span->have)
		return false;
	netfs_reader_init(&r, span->bytes + at, span->have - at);
	for (const struct smb_field *f = fields; f->kind != SMB_F_END; f++)
		get_field(&r, f, (char *)base + f->offset, span->have - r.left);
	if (r.bad)
		return false;
	end = span->have - r.left;
	for (const struct smb_field *f = fields; f->kind != SMB_F_END; f++) {
		if (is_buffer(f) && !resolve(span, f, end, (void *)((char *)base + f->offset)))
			return false;
	}
	return true;
}
