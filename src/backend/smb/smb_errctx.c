/* SPDX-License-Identifier: MIT */
/*
 * What an ERROR body says beyond its status (MS-SMB2 2.2.2): where a symbolic link
 * leads, where a share has gone, how large a buffer had to be.  Servers of 3.1.1
 * wrap it into contexts, others put it there as it is.  Pure functions, no locks.
 */
#include <errno.h>
#include <string.h>
#include "smb_context.h"
#include "smb_fields.h"
#include "smb_reparse.h"
#include "smb_status.h"

#define ID_DEFAULT	 0u
#define ID_REDIRECT	 UINT32_C(0x72645253)
#define SYMLINK_TAG	 UINT32_C(0x4c4d5953)
#define SYMLINK_RELATIVE 1u
#define SYMLINK_HEAD	 28u /* before the names */
#define REDIRECT_TYPE	 3u
#define REDIRECT_HEAD	 24u
#define ADDRESS_SIZE	 24u
#define ADDRESS_IPV4	 1u
#define ADDRESS_IPV6	 2u
#define ALIGN		 8u

static void put_symlink(struct netfs_writer *w, const struct smb_error_info *info)
{
	uint32_t target = info->symlink.substitute.len, print = info->symlink.print.len;

	if (target + 0ull + print > UINT16_MAX - SYMLINK_HEAD)
		w->bad = true;
	netfs_writer_u32(w, SYMLINK_HEAD - 4 + target + print);
	netfs_writer_u32(w, SYMLINK_TAG);
	netfs_writer_u32(w, SMB_TAG_SYMLINK);
	netfs_writer_u16(w, (uint16_t)(12 + target + print));
	netfs_writer_u16(w, info->symlink.unparsed);
	netfs_writer_u16(w, 0);
	netfs_writer_u16(w, (uint16_t)target);
	netfs_writer_u16(w, (uint16_t)target);
	netfs_writer_u16(w, (uint16_t)print);
	netfs_writer_u32(w, info->symlink.relative ? SYMLINK_RELATIVE : 0);
	netfs_writer_bytes(w, info->symlink.substitute.p, target);
	netfs_writer_bytes(w, info->symlink.print.p, print);
}

static void get_symlink(struct netfs_reader *r, struct smb_error_info *info)
{
	uint16_t target_at, target_len, print_at, print_len;
	uint32_t tag, reparse;

	info->has |= SMB_ERR_SYMLINK;
	netfs_reader_u32(r);
	tag = netfs_reader_u32(r);
	reparse = netfs_reader_u32(r);
	netfs_reader_u16(r);
	info->symlink.unparsed = netfs_reader_u16(r);
	target_at = netfs_reader_u16(r);
	target_len = netfs_reader_u16(r);
	print_at = netfs_reader_u16(r);
	print_len = netfs_reader_u16(r);
	info->symlink.relative = netfs_reader_u32(r) & SYMLINK_RELATIVE;
	if (r->bad || tag != SYMLINK_TAG || reparse != SMB_TAG_SYMLINK || target_len == 0 ||
	    !smb_slice(r->pos, r->left, target_at, target_len, &info->symlink.substitute) ||
	    !smb_slice(r->pos, r->left, print_at, print_len, &info->symlink.print))
		r->bad = true;
}

static void put_redirect(struct netfs_writer *w, const struct smb_error_info *info)
{
	uint32_t count = info->redirect.naddresses;
	uint32_t name_at = REDIRECT_HEAD + ADDRESS_SIZE * count;

	if (count > SMB_ADDRESSES_MAX) {
		w->bad = true;
		return;
	}
	netfs_writer_u32(w, name_at + info->redirect.resource.len);
	netfs_writer_u32(w, REDIRECT_TYPE);
	netfs_writer_u32(w, name_at);
	netfs_writer_u32(w, info->redirect.resource.len);
	netfs_writer_u32(w, 0);
	netfs_writer_u32(w, count);
	for (unsigned i = 0; i < count; i++) {
		netfs_writer_u32(w, info->redirect.addresses[i].ipv6 ? ADDRESS_IPV6 : ADDRESS_IPV4);
		netfs_writer_u32(w, 0);
		netfs_writer_bytes(w, info->redirect.addresses[i].b, 16);
	}
	netfs_writer_bytes(w, info->redirect.resource.p, info->redirect.resource.len);
}

static void get_redirect(struct netfs_reader *r, struct smb_error_info *info)
{
	uint32_t type, name_at, name_len, count;
	const uint8_t *start = r->pos;
	size_t size = r->left;

	info->has |= SMB_ERR_REDIRECT;
	netfs_reader_u32(r);
	type = netfs_reader_u32(r);
	name_at = netfs_reader_u32(r);
	name_len = netfs_reader_u32(r);
	netfs_reader_u32(r);
	count = netfs_reader_u32(r);
	if (r->bad || type != REDIRECT_TYPE || count > SMB_ADDRESSES_MAX ||
	    !smb_slice(start, size, name_at, name_len, &info->redirect.resource)) {
		r->bad = true;
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		struct smb_address *address = &info->redirect.addresses[i];

		type = netfs_reader_u32(r);
		netfs_reader_u32(r);
		address->ipv6 = type == ADDRESS_IPV6;
		for (unsigned b = 0; b < sizeof(address->b); b++)
			address->b[b] = netfs_reader_u8(r);
		if (type != ADDRESS_IPV4 && type != ADDRESS_IPV6)
			r->bad = true;
	}
	info->redirect.naddresses = count;
}

static void put_needed(struct netfs_writer *w, const struct smb_error_info *info)
{
	netfs_writer_u32(w, info->needed);
}

static void get_needed(struct netfs_reader *r, struct smb_error_info *info)
{
	info->has |= SMB_ERR_NEEDED;
	info->needed = netfs_reader_u32(r);
}

static const struct {
	uint32_t part; /* enum smb_error_part */
	uint32_t id;
	uint32_t status;
	void (*put)(struct netfs_writer *w, const struct smb_error_info *info);
	void (*get)(struct netfs_reader *r, struct smb_error_info *info);
} parts[] = {
	{SMB_ERR_SYMLINK, ID_DEFAULT, SMB_STATUS_STOPPED_ON_SYMLINK, put_symlink, get_symlink},
	{SMB_ERR_REDIRECT, ID_REDIRECT, SMB_STATUS_BAD_NETWORK_NAME, put_redirect, get_redirect},
	{SMB_ERR_NEEDED, ID_DEFAULT, SMB_STATUS_BUFFER_TOO_SMALL, put_needed, get_needed},
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

ssize_t smb_error_info_encode(const struct smb_error_info *info, void *buf, size_t size,
			      uint8_t *ret_count)
{
	struct netfs_writer w, counter;

	*ret_count = 0;
	smb_writer_init(&w, buf, size);
	for (size_t i = 0; i < PARTS; i++) {
		if (!(info->has & parts[i].part))
			continue;
		smb_writer_init(&counter, NULL, 0);
		parts[i].put(&counter, info);
		smb_pad(&w, ALIGN);
		netfs_writer_u32(&w, (uint32_t)counter.pos);
		netfs_writer_u32(&w, parts[i].id);
		parts[i].put(&w, info);
		++*ret_count;
	}
	return smb_written(&w);
}

static bool get_one(const void *bytes, size_t size, uint32_t id, uint32_t status,
		    struct smb_error_info *info)
{
	struct netfs_reader r;

	netfs_reader_init(&r, bytes, size);
	for (size_t i = 0; i < PARTS; i++) {
		if (parts[i].id != id || parts[i].status != status)
			continue;
		if (info->has & parts[i].part)
			return false;
		parts[i].get(&r, info);
	}
	return !r.bad;
}

/* Without contexts: what the status announces, where there is anything. */
static int get_bare(const struct smb_buf *data, uint32_t status, struct smb_error_info *info)
{
	if (data->len <= 1 || status == SMB_STATUS_BAD_NETWORK_NAME)
		return 0;
	return get_one(data->p, data->len, ID_DEFAULT, status, info) ? 0 : -EPROTO;
}

int smb_error_info_decode(const struct smb_buf *data, uint8_t context_count, uint32_t status,
			  struct smb_error_info *ret_info)
{
	struct netfs_reader r;

	memset(ret_info, 0, sizeof(*ret_info));
	if (data->len > 0 && !data->p)
		return -EPROTO;
	if (context_count == 0)
		return get_bare(data, status, ret_info);
	if (context_count > SMB_CONTEXTS_MAX)
		return -EPROTO;
	netfs_reader_init(&r, data->p, data->len);
	for (unsigned i = 0; i < context_count; i++) {
		uint32_t length, id;
		const void *bytes;

		if (i > 0)
			netfs_reader_bytes(&r, (ALIGN - (data->len - r.left) % ALIGN) % ALIGN);
		length = netfs_reader_u32(&r);
		id = netfs_reader_u32(&r);
		bytes = netfs_reader_bytes(&r, length);
		if (r.bad || !get_one(bytes, length, id, status, ret_info))
			return -EPROTO;
	}
	return 0;
}
