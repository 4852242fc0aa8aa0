/* SPDX-License-Identifier: MIT */
/*
 * Contexts of NEGOTIATE (MS-SMB2 2.2.3.1 and 2.2.4.1).  Each one begins at a
 * multiple of 8:
 *
 *	| type | length | 0 | data ... | pad | type | length | 0 | ...
 *
 * Pure functions, no locks.
 */
#include <errno.h>
#include <string.h>
#include "smb_context.h"
#include "smb_fields.h"

enum type {
	PREAUTH = 1,
	ENCRYPTION = 2,
	NETNAME = 5,
	SIGNING = 8,
	POSIX = 0x100,
};

#define ALIGN 8u

/* POSIX: what both ends name the extensions. */
static const struct smb_guid posix_guid = {{0x93, 0xad, 0x25, 0x50, 0x9c, 0xb4, 0x11, 0xe7, 0xb4,
					    0x23, 0x83, 0xde, 0x96, 0x8b, 0xcd, 0x7c}};

static void put_head(struct netfs_writer *w, enum type type, size_t length, uint16_t *count)
{
	smb_pad(w, ALIGN);
	if (length > UINT16_MAX)
		w->bad = true;
	netfs_writer_u16(w, (uint16_t)type);
	netfs_writer_u16(w, (uint16_t)length);
	netfs_writer_u32(w, 0);
	++*count;
}

static void put_algorithms(struct netfs_writer *w, const struct smb_algorithms *algorithms)
{
	if (algorithms->count > SMB_ALGORITHMS_MAX) {
		w->bad = true;
		return;
	}
	for (unsigned i = 0; i < algorithms->count; i++)
		netfs_writer_u16(w, algorithms->v[i]);
}

ssize_t smb_negotiate_contexts_encode(const struct smb_negotiate_contexts *contexts, void *buf,
				      size_t size, uint16_t *ret_count)
{
	struct netfs_writer w;
	uint16_t count = 0;

	smb_writer_init(&w, buf, size);
	if (contexts->hashes.count) {
		put_head(&w, PREAUTH, 4 + 2u * contexts->hashes.count + contexts->salt.len, &count);
		netfs_writer_u16(&w, contexts->hashes.count);
		netfs_writer_u16(&w, (uint16_t)contexts->salt.len);
		put_algorithms(&w, &contexts->hashes);
		netfs_writer_bytes(&w, contexts->salt.p, contexts->salt.len);
	}
	if (contexts->ciphers.count) {
		put_head(&w, ENCRYPTION, 2 + 2u * contexts->ciphers.count, &count);
		netfs_writer_u16(&w, contexts->ciphers.count);
		put_algorithms(&w, &contexts->ciphers);
	}
	if (contexts->netname.len) {
		put_head(&w, NETNAME, contexts->netname.len, &count);
		netfs_writer_bytes(&w, contexts->netname.p, contexts->netname.len);
	}
	if (contexts->signings.count) {
		put_head(&w, SIGNING, 2 + 2u * contexts->signings.count, &count);
		netfs_writer_u16(&w, contexts->signings.count);
		put_algorithms(&w, &contexts->signings);
	}
	if (contexts->posix) {
		put_head(&w, POSIX, sizeof(posix_guid.b), &count);
		smb_put_guid(&w, &posix_guid);
	}
	*ret_count = count;
	return smb_written(&w);
}

static void get_algorithms(struct netfs_reader *r, uint16_t count,
			   struct smb_algorithms *ret_algorithms)
{
	if (count == 0 || count > SMB_ALGORITHMS_MAX || ret_algorithms->count > 0) {
		r->bad = true;
		return;
	}
	ret_algorithms->count = count;
	for (unsigned i = 0; i < count; i++)
		ret_algorithms->v[i] = netfs_reader_u16(r);
}

static void get_one(struct netfs_reader *r, uint16_t type, struct smb_negotiate_contexts *contexts)
{
	uint16_t count, salt;
	struct smb_guid guid;

	switch (type) {
	case PREAUTH:
		count = netfs_reader_u16(r);
		salt = netfs_reader_u16(r);
		get_algorithms(r, count, &contexts->hashes);
		smb_get_buf(r, salt, &contexts->salt);
		break;
	case ENCRYPTION:
		get_algorithms(r, netfs_reader_u16(r), &contexts->ciphers);
		break;
	case SIGNING:
		get_algorithms(r, netfs_reader_u16(r), &contexts->signings);
		break;
	case NETNAME:
		smb_get_buf(r, r->left, &contexts->netname);
		break;
	case POSIX:
		smb_get_guid(r, &guid);
		contexts->posix = !r->bad && memcmp(&guid, &posix_guid, sizeof(guid)) == 0;
		break;
	}
}

int smb_negotiate_contexts_decode(const struct smb_buf *buf, uint16_t count,
				  struct smb_negotiate_contexts *ret_contexts)
{
	struct netfs_reader r, body;

	memset(ret_contexts, 0, sizeof(*ret_contexts));
	if (count > SMB_CONTEXTS_MAX || (buf->len > 0 && !buf->p))
		return -EPROTO;
	netfs_reader_init(&r, buf->p, buf->len);
	for (unsigned i = 0; i < count; i++) {
		uint16_t type, length;
		const void *bytes;

		if (i > 0)
			netfs_reader_bytes(&r, (ALIGN - (buf->len - r.left) % ALIGN) % ALIGN);
		type = netfs_reader_u16(&r);
		length = netfs_reader_u16(&r);
		netfs_reader_u32(&r);
		bytes = netfs_reader_bytes(&r, length);
		if (r.bad)
			return -EPROTO;
		netfs_reader_init(&body, bytes, length);
		get_one(&body, type, ret_contexts);
		if (body.bad)
			return -EPROTO;
	}
	return 0;
}
