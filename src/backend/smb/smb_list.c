/* SPDX-License-Identifier: MIT */
/*
 * Lists of extended attributes, streams and changes (MS-FSCC 2.4.16, 2.4.49, 2.7.1).
 *
 *	| next ---------> | next ------> | 0 ... to the end |
 *	|<-- entry ------>|
 *
 * A distance leads forward by SMB_STEP_MIN at least and stays inside the list, so a
 * list ends.  What an entry speaks of lies inside the entry.  Pure functions, no locks.
 */
#include "smb_list.h"

#include <errno.h>

#define EA_ALIGN     4u
#define STREAM_ALIGN 8u
#define CHANGE_ALIGN 4u

void smb_list_init(struct smb_list *list, uint8_t info_class, const void *bytes, size_t size)
{
	*list = (struct smb_list){
		.p = size > 0 ? bytes : NULL, .left = size, .info_class = info_class};
}

int smb_list_step(struct smb_list *list, struct smb_span *ret_entry)
{
	struct netfs_reader r;
	uint32_t next;
	size_t size;

	if (!list->p)
		return 0;
	netfs_reader_init(&r, list->p, list->left);
	next = netfs_reader_u32(&r);
	size = next ? next : list->left;
	if (r.bad || (next && (next < SMB_STEP_MIN || next >= list->left))) {
		list->p = NULL;
		return -EPROTO;
	}
	*ret_entry = (struct smb_span){.bytes = list->p, .have = size, .total = size};
	list->p = next ? list->p + next : NULL;
	list->left -= size;
	return 1;
}

static size_t align_up(size_t pos, size_t align)
{
	return (pos + align - 1) / align * align;
}

void smb_list_writer_init(struct smb_list_writer *writer, uint8_t info_class, void *buf,
			  size_t size)
{
	*writer = (struct smb_list_writer){.buf = buf, .size = size, .info_class = info_class};
}

void smb_list_begin(struct smb_list_writer *list, size_t align, struct netfs_writer *ret_w)
{
	size_t start = align_up(list->pos, align);

	netfs_writer_init(ret_w, list->buf + start, start < list->size ? list->size - start : 0);
	netfs_writer_u32(ret_w, 0);
}

int smb_list_end(struct smb_list_writer *list, size_t align, const struct netfs_writer *w)
{
	size_t start = align_up(list->pos, align);
	struct netfs_writer link;

	if (w->bad)
		return -EMSGSIZE;
	if (list->pos > 0) {
		netfs_writer_init(&link, list->buf + list->last, list->size - list->last);
		netfs_writer_u32(&link, (uint32_t)(start - list->last));
		netfs_writer_init(&link, list->buf + list->pos, start - list->pos);
		smb_put_zeros(&link, start - list->pos);
	}
	list->last = start;
	list->pos = start + w->pos;
	return 0;
}

int smb_ea_next(struct smb_list *list, struct smb_ea *ret_ea)
{
	struct smb_span entry;
	struct netfs_reader r;
	int got = smb_list_step(list, &entry);
	uint8_t name_len;
	uint16_t value_len;

	if (got <= 0)
		return got;
	netfs_reader_init(&r, entry.bytes, entry.have);
	netfs_reader_u32(&r);
	ret_ea->flags = netfs_reader_u8(&r);
	name_len = netfs_reader_u8(&r);
	value_len = netfs_reader_u16(&r);
	smb_get_buf(&r, name_len, &ret_ea->name);
	netfs_reader_u8(&r);
	smb_get_buf(&r, value_len, &ret_ea->value);
	if (r.bad || name_len == 0) {
		list->p = NULL;
		return -EPROTO;
	}
	return 1;
}

int smb_ea_put(struct smb_list_writer *writer, const struct smb_ea *ea)
{
	struct netfs_writer w;

	if (ea->name.len == 0 || ea->name.len > UINT8_MAX || ea->value.len > UINT16_MAX)
		return -EMSGSIZE;
	smb_list_begin(writer, EA_ALIGN, &w);
	netfs_writer_u8(&w, ea->flags);
	netfs_writer_u8(&w, (uint8_t)ea->name.len);
	netfs_writer_u16(&w, (uint16_t)ea->value.len);
	netfs_writer_bytes(&w, ea->name.p, ea->name.len);
	netfs_writer_u8(&w, 0);
	netfs_writer_bytes(&w, ea->value.p, ea->value.len);
	return smb_list_end(writer, EA_ALIGN, &w);
}

int smb_ea_name_next(struct smb_list *list, struct smb_buf *ret_name)
{
	struct smb_span entry;
	struct netfs_reader r;
	int got = smb_list_step(list, &entry);
	uint8_t name_len;

	if (got <= 0)
		return got;
	netfs_reader_init(&r, entry.bytes, entry.have);
	netfs_reader_u32(&r);
	name_len = netfs_reader_u8(&r);
	smb_get_buf(&r, name_len, ret_name);
	netfs_reader_u8(&r);
	if (r.bad || name_len == 0) {
		list->p = NULL;
		return -EPROTO;
	}
	return 1;
}

int smb_ea_name_put(struct smb_list_writer *writer, const struct smb_buf *name)
{
	struct netfs_writer w;

	if (name->len == 0 || name->len > UINT8_MAX)
		return -EMSGSIZE;
	smb_list_begin(writer, EA_ALIGN, &w);
	netfs_writer_u8(&w, (uint8_t)name->len);
	netfs_writer_bytes(&w, name->p, name->len);
	netfs_writer_u8(&w, 0);
	return smb_list_end(writer, EA_ALIGN, &w);
}

#define STREAM(k, m, ctype) SMB_FIELD(k, struct smb_stream, m, ctype)
#define CHANGE(k, m, ctype) SMB_FIELD(k, struct smb_change, m, ctype)

/* Behind the distance. */
static const struct smb_field stream_fields[] = {
	STREAM(SMB_F_LEN32, name, struct smb_buf),
	STREAM(SMB_F_U64, size, uint64_t),
	STREAM(SMB_F_U64, allocation, uint64_t),
	STREAM(SMB_F_INLINE, name, struct smb_buf),
	{.kind = SMB_F_END},
};
static const struct smb_field change_fields[] = {
	CHANGE(SMB_F_U32, action, uint32_t),
	CHANGE(SMB_F_LEN32, name, struct smb_buf),
	CHANGE(SMB_F_INLINE, name, struct smb_buf),
	{.kind = SMB_F_END},
};

static int next_by_fields(struct smb_list *list, const struct smb_field *fields, void *ret)
{
	struct smb_span entry;
	int got = smb_list_step(list, &entry);

	if (got <= 0)
		return got;
	if (!smb_fields_get(&entry, 4, fields, ret)) {
		list->p = NULL;
		return -EPROTO;
	}
	return 1;
}

int smb_stream_next(struct smb_list *list, struct smb_stream *ret_stream)
{
	return next_by_fields(list, stream_fields, ret_stream);
}

int smb_stream_put(struct smb_list_writer *writer, const struct smb_stream *stream)
{
	struct netfs_writer w;

	smb_list_begin(writer, STREAM_ALIGN, &w);
	smb_fields_put(&w, stream_fields, stream);
	return smb_list_end(writer, STREAM_ALIGN, &w);
}

int smb_change_next(struct smb_list *list, struct smb_change *ret_change)
{
	return next_by_fields(list, change_fields, ret_change);
}

int smb_change_put(struct smb_list_writer *writer, const struct smb_change *change)
{
	struct netfs_writer w;

	smb_list_begin(writer, CHANGE_ALIGN, &w);
	smb_fields_put(&w, change_fields, change);
	return smb_list_end(writer, CHANGE_ALIGN, &w);
}
