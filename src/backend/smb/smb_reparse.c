/* SPDX-License-Identifier: MIT */
/*
 * Reparse points (MS-FSCC 2.1.2.2 to 2.1.2.7): a tag, a length, and what the tag
 * says.
 *
 *	SMB_TAG_SYMLINK		offsets and lengths of two names, flags, the names
 *	SMB_TAG_MOUNT_POINT	the same without flags
 *	SMB_TAG_NFS		what it is as 8 bytes, then a name or a device number
 *	SMB_TAG_LX_SYMLINK	a version, then UTF-8
 *	SMB_TAG_LX_FIFO, ...	nothing
 *
 * Pure functions, no locks.
 */
#include "smb_reparse.h"

#include <errno.h>
#include "smb_fields.h"

#define HEAD		 8u
#define SYMLINK_RELATIVE 1u
#define LX_VERSION	 2u

/* 2.1.2.6: characters, as they stand in a 64-bit number. */
#define NFS_LNK	 UINT64_C(0x00000000014b4e4c)
#define NFS_CHR	 UINT64_C(0x0000000000524843)
#define NFS_BLK	 UINT64_C(0x00000000004b4c42)
#define NFS_FIFO UINT64_C(0x000000004f464946)
#define NFS_SOCK UINT64_C(0x000000004b434f53)

static const struct {
	uint64_t type;
	uint8_t kind;
} nfs_types[] = {
	{NFS_LNK, SMB_REPARSE_SYMLINK}, {NFS_CHR, SMB_REPARSE_CHAR},
	{NFS_BLK, SMB_REPARSE_BLOCK},	{NFS_FIFO, SMB_REPARSE_FIFO},
	{NFS_SOCK, SMB_REPARSE_SOCKET},
};

static const struct {
	uint32_t tag;
	uint8_t kind;
} lx_tags[] = {
	{SMB_TAG_AF_UNIX, SMB_REPARSE_SOCKET},
	{SMB_TAG_LX_FIFO, SMB_REPARSE_FIFO},
	{SMB_TAG_LX_CHR, SMB_REPARSE_CHAR},
	{SMB_TAG_LX_BLK, SMB_REPARSE_BLOCK},
};

static void put_symlink(struct netfs_writer *w, const struct smb_reparse *reparse)
{
	uint32_t target = reparse->target.len, print = reparse->print.len;

	if (target > UINT16_MAX || print > UINT16_MAX - target)
		w->bad = true;
	netfs_writer_u16(w, 0);
	netfs_writer_u16(w, (uint16_t)target);
	netfs_writer_u16(w, (uint16_t)target);
	netfs_writer_u16(w, (uint16_t)print);
	netfs_writer_u32(w, reparse->relative ? SYMLINK_RELATIVE : 0);
	netfs_writer_bytes(w, reparse->target.p, target);
	netfs_writer_bytes(w, reparse->print.p, print);
}

static void put_nfs(struct netfs_writer *w, const struct smb_reparse *reparse)
{
	for (size_t i = 0; i < sizeof(nfs_types) / sizeof(nfs_types[0]); i++) {
		if (nfs_types[i].kind == reparse->kind)
			netfs_writer_u64(w, nfs_types[i].type);
	}
	if (reparse->kind == SMB_REPARSE_SYMLINK)
		netfs_writer_bytes(w, reparse->target.p, reparse->target.len);
	if (reparse->kind == SMB_REPARSE_CHAR || reparse->kind == SMB_REPARSE_BLOCK) {
		netfs_writer_u32(w, reparse->major);
		netfs_writer_u32(w, reparse->minor);
	}
}

static uint8_t lx_kind(uint32_t tag)
{
	for (size_t i = 0; i < sizeof(lx_tags) / sizeof(lx_tags[0]); i++) {
		if (lx_tags[i].tag == tag)
			return lx_tags[i].kind;
	}
	return SMB_REPARSE_OTHER;
}

static bool goes_together(const struct smb_reparse *reparse)
{
	switch (reparse->tag) {
	case SMB_TAG_SYMLINK:
	case SMB_TAG_LX_SYMLINK:
		return reparse->kind == SMB_REPARSE_SYMLINK &&
		       reparse->utf8 == (reparse->tag == SMB_TAG_LX_SYMLINK);
	case SMB_TAG_NFS:
		return reparse->kind != SMB_REPARSE_OTHER && !reparse->utf8;
	default:
		return reparse->kind != SMB_REPARSE_OTHER && lx_kind(reparse->tag) == reparse->kind;
	}
}

static void put_data(struct netfs_writer *w, const struct smb_reparse *reparse)
{
	switch (reparse->tag) {
	case SMB_TAG_SYMLINK:
		put_symlink(w, reparse);
		break;
	case SMB_TAG_NFS:
		put_nfs(w, reparse);
		break;
	case SMB_TAG_LX_SYMLINK:
		netfs_writer_u32(w, LX_VERSION);
		netfs_writer_bytes(w, reparse->target.p, reparse->target.len);
		break;
	}
}

ssize_t smb_reparse_encode(const struct smb_reparse *reparse, void *buf, size_t size)
{
	struct netfs_writer w, head;

	if (!goes_together(reparse))
		return -EINVAL;
	smb_writer_init(&w, buf, size);
	smb_put_zeros(&w, HEAD);
	put_data(&w, reparse);
	if (w.bad || w.pos > SMB_REPARSE_MAX)
		return -EMSGSIZE;
	netfs_writer_init(&head, buf, HEAD);
	netfs_writer_u32(&head, reparse->tag);
	netfs_writer_u16(&head, (uint16_t)(w.pos - HEAD));
	return (ssize_t)w.pos;
}

static bool get_symlink(struct netfs_reader *r, struct smb_reparse *reparse)
{
	uint16_t target_off = netfs_reader_u16(r), target_len = netfs_reader_u16(r);
	uint16_t print_off = netfs_reader_u16(r), print_len = netfs_reader_u16(r);
	uint32_t flags = reparse->tag == SMB_TAG_SYMLINK ? netfs_reader_u32(r) : 0;

	reparse->relative = flags & SYMLINK_RELATIVE;
	reparse->kind = SMB_REPARSE_SYMLINK;
	return !r->bad && smb_slice(r->pos, r->left, target_off, target_len, &reparse->target) &&
	       smb_slice(r->pos, r->left, print_off, print_len, &reparse->print) &&
	       reparse->target.len > 0;
}

static bool get_nfs(struct netfs_reader *r, struct smb_reparse *reparse)
{
	uint64_t type = netfs_reader_u64(r);

	for (size_t i = 0; i < sizeof(nfs_types) / sizeof(nfs_types[0]); i++) {
		if (nfs_types[i].type == type)
			reparse->kind = nfs_types[i].kind;
	}
	if (reparse->kind == SMB_REPARSE_SYMLINK) {
		smb_get_buf(r, r->left, &reparse->target);
		return !r->bad && reparse->target.len > 0;
	}
	if (reparse->kind == SMB_REPARSE_CHAR || reparse->kind == SMB_REPARSE_BLOCK) {
		reparse->major = netfs_reader_u32(r);
		reparse->minor = netfs_reader_u32(r);
	}
	return !r->bad;
}

static bool get_data(struct netfs_reader *r, struct smb_reparse *reparse)
{
	switch (reparse->tag) {
	case SMB_TAG_SYMLINK:
	case SMB_TAG_MOUNT_POINT:
		return get_symlink(r, reparse);
	case SMB_TAG_NFS:
		return get_nfs(r, reparse);
	case SMB_TAG_LX_SYMLINK:
		reparse->kind = SMB_REPARSE_SYMLINK;
		reparse->utf8 = true;
		if (netfs_reader_u32(r) != LX_VERSION)
			return false;
		smb_get_buf(r, r->left, &reparse->target);
		return reparse->target.len > 0;
	default:
		reparse->kind = lx_kind(reparse->tag);
		return true;
	}
}

int smb_reparse_decode(const void *bytes, size_t size, struct smb_reparse *ret_reparse)
{
	struct netfs_reader r;
	uint16_t length;

	*ret_reparse = (struct smb_reparse){0};
	netfs_reader_init(&r, bytes, size);
	ret_reparse->tag = netfs_reader_u32(&r);
	length = netfs_reader_u16(&r);
	netfs_reader_u16(&r);
	if (r.bad || length > r.left)
		return -EPROTO;
	r.left = length;
	return get_data(&r, ret_reparse) ? 0 : -EPROTO;
}
