/* SPDX-License-Identifier: MIT */
/*
 * Tables that say how a structure travels: one entry per field, in the order of
 * the wire.  Messages, information classes and control payloads are described
 * with them.  Inside of the codecs; nothing else includes this.
 */
#ifndef SMB_FIELDS_H
#define SMB_FIELDS_H

#include <wire/cursor.h>
#include "smb_pdu.h"
#include "smb_sid.h"

enum smb_field_kind {
	SMB_F_END,
	SMB_F_U8,
	SMB_F_U16,
	SMB_F_U32,
	SMB_F_U64,
	SMB_F_ZERO, /* arg reserved bytes */
	SMB_F_BYTE, /* one byte, arg */
	SMB_F_FID,
	SMB_F_GUID,
	SMB_F_TIMES,
	SMB_F_SID,
	SMB_F_LEN16, /* of a struct smb_buf: its length */
	SMB_F_LEN32,
	SMB_F_OFF8, /* its offset, at a multiple of 8 behind all fields */
	SMB_F_OFF16,
	SMB_F_OFF32, /* 0 where it is empty */
	SMB_F_TAIL32, /* its offset; it goes to the end */
	SMB_F_INLINE, /* its bytes follow all fields; the length came before */
	SMB_F_DIALECTS, /* the array; its count came before */
	SMB_F_LOCKS,
};

struct smb_field {
	uint8_t kind; /* enum smb_field_kind */
	uint8_t arg;
	uint16_t offset; /* in the structure */
	const char *name;
};

/* A field's entry; its kind is checked against its type when compiled. */
#define SMB_FIELD(k, s, m, ctype)                                                                  \
	{                                                                                          \
		.kind = (k),                                                                       \
		.offset = offsetof(s, m) + 0 * sizeof(char[__builtin_types_compatible_p(           \
								   __typeof__(((s *)0)->m), ctype) \
								   ? 1                             \
								   : -1]),                         \
		.name = #m                                                                         \
	}
#define SMB_ZERO(n)                                                                                \
	{                                                                                          \
		.kind = SMB_F_ZERO, .arg = (n)                                                     \
	}

/* Bytes being decoded: have of total are there. */
struct smb_span {
	const uint8_t *bytes;
	size_t have;
	size_t total;
};

/* Bytes all fields up to the end take, their buffers left out. */
size_t smb_fields_size(const struct smb_field *fields, const void *base);
/* Writes the structure at base; offsets count from the writer's position 0. */
void smb_fields_put(struct netfs_writer *w, const struct smb_field *fields, const void *base);
/* Reads from span->bytes + at into base.  False: something is not there. */
bool smb_fields_get(const struct smb_span *span, size_t at, const struct smb_field *fields,
		    void *base);
/* What an encoder returns. */
ssize_t smb_written(const struct netfs_writer *w);
/* Zeros up to a multiple of align; of what the writer counts, not of memory. */
void smb_pad(struct netfs_writer *w, size_t align);
void smb_put_guid(struct netfs_writer *w, const struct smb_guid *guid);
void smb_get_guid(struct netfs_reader *r, struct smb_guid *guid);
void smb_put_fid(struct netfs_writer *w, const struct smb_fid *fid);
void smb_get_fid(struct netfs_reader *r, struct smb_fid *fid);
/* Zero bytes. */
void smb_put_zeros(struct netfs_writer *w, size_t n);
/* Points buf at the next len bytes and skips them; off counts from bytes. */
void smb_get_buf(struct netfs_reader *r, size_t len, struct smb_buf *ret_buf);
/* The len bytes at off of size; false: they are not there. */
bool smb_slice(const void *bytes, size_t size, size_t off, size_t len, struct smb_buf *ret_buf);
/* A writer over buf, or one that only counts where buf is NULL. */
void smb_writer_init(struct netfs_writer *w, void *buf, size_t size);

#endif
