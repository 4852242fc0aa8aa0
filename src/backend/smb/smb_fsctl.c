/* SPDX-License-Identifier: MIT */
/*
 * What goes in and out of control codes.  An input or output that is one structure
 * has a table; copychunk and the lists are written out.  Pure functions, no locks.
 */
#include "smb_fsctl.h"

#include <errno.h>
#include <string.h>
#include "smb_list.h"

#define IN(k, m, ctype)	 SMB_FIELD(k, union smb_fsctl_in, m, ctype)
#define OUT(k, m, ctype) SMB_FIELD(k, union smb_fsctl_out, m, ctype)

#define FAMILY_IPV4	2u /* 2.2.32.5.1 */
#define FAMILY_IPV6	23u
#define INTERFACE_ALIGN 8u
#define STORAGE		128u /* of an address */
#define RANGE_SIZE	16u

static const struct smb_field zero_fields[] = {
	IN(SMB_F_U64, range.start, uint64_t),
	IN(SMB_F_U64, range.end, uint64_t),
	{.kind = SMB_F_END},
};
static const struct smb_field duplicate_fields[] = {
	IN(SMB_F_FID, duplicate.source, struct smb_fid),
	IN(SMB_F_U64, duplicate.source_offset, uint64_t),
	IN(SMB_F_U64, duplicate.target_offset, uint64_t),
	IN(SMB_F_U64, duplicate.length, uint64_t),
	{.kind = SMB_F_END},
};
static const struct smb_field copied_fields[] = {
	OUT(SMB_F_U32, copied.chunks, uint32_t),
	OUT(SMB_F_U32, copied.chunk_bytes, uint32_t),
	OUT(SMB_F_U32, copied.bytes, uint32_t),
	{.kind = SMB_F_END},
};

static void put_key(struct netfs_writer *w, const struct smb_resume_key *key)
{
	netfs_writer_bytes(w, key->b, sizeof(key->b));
}

static void get_key(struct netfs_reader *r, struct smb_resume_key *key)
{
	for (unsigned i = 0; i < sizeof(key->b); i++)
		key->b[i] = netfs_reader_u8(r);
}

static void put_range(struct netfs_writer *w, const struct smb_range *range)
{
	if (range->end < range->start)
		w->bad = true;
	netfs_writer_u64(w, range->start);
	netfs_writer_u64(w, range->end - range->start);
}

/* Both are signed on the wire. */
static void get_range(struct netfs_reader *r, struct smb_range *range)
{
	uint64_t length;

	range->start = netfs_reader_u64(r);
	length = netfs_reader_u64(r);
	range->end = range->start + length;
	if (range->start > INT64_MAX || length > INT64_MAX)
		r->bad = true;
}

static void put_copychunk(struct netfs_writer *w, const struct smb_copychunk *copy)
{
	if (copy->count > SMB_CHUNKS_MAX) {
		w->bad = true;
		return;
	}
	put_key(w, &copy->source);
	netfs_writer_u32(w, copy->count);
	netfs_writer_u32(w, 0);
	for (unsigned i = 0; i < copy->count; i++) {
		netfs_writer_u64(w, copy->chunks[i].source);
		netfs_writer_u64(w, copy->chunks[i].target);
		netfs_writer_u32(w, copy->chunks[i].length);
		netfs_writer_u32(w, 0);
	}
}

static void get_copychunk(struct netfs_reader *r, struct smb_copychunk *copy)
{
	get_key(r, &copy->source);
	copy->count = netfs_reader_u32(r);
	netfs_reader_u32(r);
	if (copy->count > SMB_CHUNKS_MAX)
		r->bad = true;
	for (unsigned i = 0; i < copy->count && !r->bad; i++) {
		copy->chunks[i].source = netfs_reader_u64(r);
		copy->chunks[i].target = netfs_reader_u64(r);
		copy->chunks[i].length = netfs_reader_u32(r);
		netfs_reader_u32(r);
	}
}

ssize_t smb_fsctl_in_encode(uint32_t code, const union smb_fsctl_in *in, void *buf, size_t size)
{
	struct netfs_writer w;

	smb_writer_init(&w, buf, size);
	switch (code) {
	case SMB_FSCTL_SET_ZERO_DATA:
		w.bad = in->range.end < in->range.start;
		smb_fields_put(&w, zero_fields, in);
		break;
	case SMB_FSCTL_QUERY_ALLOCATED_RANGES:
		put_range(&w, &in->range);
		break;
	case SMB_FSCTL_DUPLICATE_EXTENTS:
		smb_fields_put(&w, duplicate_fields, in);
		break;
	case SMB_FSCTL_COPYCHUNK:
	case SMB_FSCTL_COPYCHUNK_WRITE:
		put_copychunk(&w, &in->copychunk);
		break;
	case SMB_FSCTL_SET_SPARSE:
		netfs_writer_u8(&w, in->sparse);
		break;
	default:
		return -EINVAL;
	}
	return smb_written(&w);
}

int smb_fsctl_in_decode(uint32_t code, const void *bytes, size_t size, union smb_fsctl_in *ret_in)
{
	struct smb_span span = {.bytes = bytes, .have = size, .total = size};
	struct netfs_reader r;

	memset(ret_in, 0, sizeof(*ret_in));
	netfs_reader_init(&r, bytes, size);
	switch (code) {
	case SMB_FSCTL_SET_ZERO_DATA:
		if (!smb_fields_get(&span, 0, zero_fields, ret_in) ||
		    ret_in->range.end < ret_in->range.start || ret_in->range.end > INT64_MAX)
			return -EPROTO;
		return 0;
	case SMB_FSCTL_QUERY_ALLOCATED_RANGES:
		get_range(&r, &ret_in->range);
		break;
	case SMB_FSCTL_DUPLICATE_EXTENTS:
		return smb_fields_get(&span, 0, duplicate_fields, ret_in) ? 0 : -EPROTO;
	case SMB_FSCTL_COPYCHUNK:
	case SMB_FSCTL_COPYCHUNK_WRITE:
		get_copychunk(&r, &ret_in->copychunk);
		break;
	case SMB_FSCTL_SET_SPARSE:
		ret_in->sparse = size > 0 ? netfs_reader_u8(&r) : 1;
		break;
	default:
		return -EINVAL;
	}
	return r.bad ? -EPROTO : 0;
}

ssize_t smb_fsctl_out_encode(uint32_t code, const union smb_fsctl_out *out, void *buf, size_t size)
{
	struct netfs_writer w;

	smb_writer_init(&w, buf, size);
	switch (code) {
	case SMB_FSCTL_REQUEST_RESUME_KEY:
		put_key(&w, &out->key);
		smb_put_zeros(&w, 8); /* ContextLength, and a Context that servers send */
		break;
	case SMB_FSCTL_COPYCHUNK:
	case SMB_FSCTL_COPYCHUNK_WRITE:
		smb_fields_put(&w, copied_fields, out);
		break;
	default:
		return -EINVAL;
	}
	return smb_written(&w);
}

int smb_fsctl_out_decode(uint32_t code, const void *bytes, size_t size,
			 union smb_fsctl_out *ret_out)
{
	struct smb_span span = {.bytes = bytes, .have = size, .total = size};
	struct netfs_reader r;

	memset(ret_out, 0, sizeof(*ret_out));
	netfs_reader_init(&r, bytes, size);
	switch (code) {
	case SMB_FSCTL_REQUEST_RESUME_KEY:
		get_key(&r, &ret_out->key);
		netfs_reader_u32(&r);
		return r.bad ? -EPROTO : 0;
	case SMB_FSCTL_COPYCHUNK:
	case SMB_FSCTL_COPYCHUNK_WRITE:
		return smb_fields_get(&span, 0, copied_fields, ret_out) ? 0 : -EPROTO;
	default:
		return -EINVAL;
	}
}

int smb_allocated_range(const void *bytes, size_t size, size_t i, struct smb_range *ret_range)
{
	struct netfs_reader r;

	if (size % RANGE_SIZE != 0)
		return -EPROTO;
	if (i >= size / RANGE_SIZE)
		return 0;
	netfs_reader_init(&r, (const uint8_t *)bytes + i * RANGE_SIZE, RANGE_SIZE);
	get_range(&r, ret_range);
	return r.bad ? -EPROTO : 1;
}

int smb_allocated_range_put(const struct smb_range *range, void *buf, size_t size, size_t *pos)
{
	struct netfs_writer w;

	if (*pos > size)
		return -EMSGSIZE;
	netfs_writer_init(&w, (uint8_t *)buf + *pos, size - *pos);
	put_range(&w, range);
	if (w.bad)
		return -EMSGSIZE;
	*pos += w.pos;
	return 0;
}

static void get_address(struct netfs_reader *r, unsigned family, struct smb_address *address)
{
	unsigned size = family == FAMILY_IPV6 ? 16 : 4;

	netfs_reader_u16(r); /* the port, 0 */
	if (family == FAMILY_IPV6)
		netfs_reader_u32(r); /* flow information */
	address->ipv6 = family == FAMILY_IPV6;
	for (unsigned i = 0; i < size; i++)
		address->b[i] = netfs_reader_u8(r);
}

int smb_interface_next(struct smb_list *list, struct smb_interface *ret_interface)
{
	struct smb_span entry;
	struct netfs_reader r;
	unsigned family;
	int got;

	while ((got = smb_list_step(list, &entry)) > 0) {
		memset(ret_interface, 0, sizeof(*ret_interface));
		netfs_reader_init(&r, entry.bytes, entry.have);
		netfs_reader_u32(&r);
		ret_interface->index = netfs_reader_u32(&r);
		ret_interface->capabilities = netfs_reader_u32(&r);
		netfs_reader_u32(&r);
		ret_interface->speed = netfs_reader_u64(&r);
		if (r.left < STORAGE) {
			list->p = NULL;
			return -EPROTO;
		}
		family = netfs_reader_u16(&r);
		if (family != FAMILY_IPV4 && family != FAMILY_IPV6)
			continue;
		get_address(&r, family, &ret_interface->address);
		return 1;
	}
	return got;
}

int smb_interface_put(struct smb_list_writer *writer, const struct smb_interface *interface)
{
	const struct smb_address *address = &interface->address;
	struct netfs_writer w;
	size_t end;

	smb_list_begin(writer, INTERFACE_ALIGN, &w);
	netfs_writer_u32(&w, interface->index);
	netfs_writer_u32(&w, interface->capabilities);
	netfs_writer_u32(&w, 0);
	netfs_writer_u64(&w, interface->speed);
	end = w.pos + STORAGE;
	netfs_writer_u16(&w, address->ipv6 ? FAMILY_IPV6 : FAMILY_IPV4);
	smb_put_zeros(&w, address->ipv6 ? 6 : 2);
	netfs_writer_bytes(&w, address->b, address->ipv6 ? 16 : 4);
	if (!w.bad)
		smb_put_zeros(&w, end - w.pos);
	return smb_list_end(writer, INTERFACE_ALIGN, &w);
}
