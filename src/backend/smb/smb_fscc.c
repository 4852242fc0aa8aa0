/* SPDX-License-Identifier: MIT */
/*
 * Information classes that are one structure: their layouts, in the order of
 * MS-FSCC 2.4 and 2.5.  Those that are lists are in smb_dirent.c and smb_list.c.
 * Pure functions, no locks.
 */
#include "smb_fscc.h"

#include <errno.h>
#include <string.h>
#include "smb_fields.h"

#define F(k, m, ctype) SMB_FIELD(k, union smb_info, m, ctype)
#define U8(m)	       F(SMB_F_U8, m, uint8_t)
#define U32(m)	       F(SMB_F_U32, m, uint32_t)
#define U64(m)	       F(SMB_F_U64, m, uint64_t)
#define TIMES(m)       F(SMB_F_TIMES, m, struct smb_times)
#define SID(m)	       F(SMB_F_SID, m, struct smb_sid)
#define LEN32(m)       F(SMB_F_LEN32, m, struct smb_buf)
#define INLINE(m)      F(SMB_F_INLINE, m, struct smb_buf)
#define ZERO(n)	       SMB_ZERO(n)

#define CLASS_FIELDS_MAX 20

struct layout {
	uint8_t type; /* enum smb_info_type */
	uint8_t info_class;
	struct smb_field field[CLASS_FIELDS_MAX + 1];
};

#define FILE_CLASS(c) SMB_INFO_FILE, SMB_FILE_##c
#define FS_CLASS(c)   SMB_INFO_FILESYSTEM, SMB_FS_##c
#define RENAME                                                                                     \
	{                                                                                          \
		U32(rename.flags), ZERO(12), LEN32(rename.name), INLINE(rename.name)               \
	}

/* clang-format off */
static const struct layout layouts[] = {
	{FILE_CLASS(BASIC), {TIMES(basic.times), U32(basic.attributes), ZERO(4)}},
	{FILE_CLASS(STANDARD), {
		U64(standard.allocation), U64(standard.size), U32(standard.nlink),
		U8(standard.delete_pending), U8(standard.directory), ZERO(2)}},
	{FILE_CLASS(INTERNAL), {U64(value64)}},
	{FILE_CLASS(EA), {U32(value32)}},
	{FILE_CLASS(RENAME), RENAME},
	{FILE_CLASS(LINK), RENAME},
	{FILE_CLASS(RENAME_EX), RENAME},
	{FILE_CLASS(LINK_EX), RENAME},
	{FILE_CLASS(DISPOSITION), {U8(value8)}},
	{FILE_CLASS(ALL), {
		TIMES(all.basic.times), U32(all.basic.attributes), ZERO(4),
		U64(all.standard.allocation), U64(all.standard.size), U32(all.standard.nlink),
		U8(all.standard.delete_pending), U8(all.standard.directory), ZERO(2),
		U64(all.index), U32(all.ea_size), U32(all.access), U64(all.position),
		U32(all.mode), U32(all.alignment), LEN32(all.name), INLINE(all.name)}},
	{FILE_CLASS(ALLOCATION), {U64(value64)}},
	{FILE_CLASS(EOF), {U64(value64)}},
	{FILE_CLASS(NETWORK_OPEN), {
		TIMES(network_open.times), U64(network_open.allocation),
		U64(network_open.size), U32(network_open.attributes), ZERO(4)}},
	{FILE_CLASS(ATTRIBUTE_TAG), {U32(attribute_tag.attributes), U32(attribute_tag.tag)}},
	{FILE_CLASS(NORMALIZED_NAME), {LEN32(name), INLINE(name)}},
	{FILE_CLASS(DISPOSITION_EX), {U32(value32)}},
	{FILE_CLASS(POSIX), {
		TIMES(posix.times), U64(posix.size), U64(posix.allocation),
		U32(posix.attributes), U64(posix.inode), U32(posix.device), ZERO(4),
		U32(posix.nlink), U32(posix.reparse_tag), U32(posix.mode), SID(posix.owner),
		SID(posix.group)}},
	{FS_CLASS(VOLUME), {
		U64(volume.created), U32(volume.serial), LEN32(volume.label),
		U8(volume.objects), ZERO(1), INLINE(volume.label)}},
	{FS_CLASS(ATTRIBUTE), {
		U32(attribute.attributes), U32(attribute.name_max), LEN32(attribute.name),
		INLINE(attribute.name)}},
	{FS_CLASS(FULL_SIZE), {
		U64(full_size.total), U64(full_size.caller_free), U64(full_size.free),
		U32(full_size.sectors_per_unit), U32(full_size.bytes_per_sector)}},
	{FS_CLASS(SECTOR), {
		U32(sector.logical), U32(sector.physical_atomic), U32(sector.physical),
		U32(sector.effective_atomic), U32(sector.flags), U32(sector.sector_offset),
		U32(sector.partition_offset)}},
	{FS_CLASS(POSIX), {
		U32(fs_posix.transfer_size), U32(fs_posix.block_size), U64(fs_posix.blocks),
		U64(fs_posix.blocks_free), U64(fs_posix.blocks_avail), U64(fs_posix.files),
		U64(fs_posix.files_free), U64(fs_posix.fsid)}},
};
/* clang-format on */

static const struct layout *layout_of(uint8_t type, uint8_t info_class)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (layouts[i].type == type && layouts[i].info_class == info_class)
			return &layouts[i];
	}
	return NULL;
}

/* A rename is shorter than its structure in memory when its name is (2.4.42: the
 * structure is 24 bytes with padding), and Windows insists on those. */
static bool is_rename(uint8_t type, uint8_t info_class)
{
	return type == SMB_INFO_FILE &&
	       (info_class == SMB_FILE_RENAME || info_class == SMB_FILE_RENAME_EX ||
		info_class == SMB_FILE_LINK || info_class == SMB_FILE_LINK_EX);
}

#define RENAME_MIN 24u

ssize_t smb_info_encode(uint8_t type, uint8_t info_class, const union smb_info *info, void *buf,
			size_t size)
{
	const struct layout *layout = layout_of(type, info_class);
	struct netfs_writer w;

	if (!layout)
		return -EINVAL;
	smb_writer_init(&w, buf, size);
	smb_fields_put(&w, layout->field, info);
	if (is_rename(type, info_class) && w.pos < RENAME_MIN)
		smb_put_zeros(&w, RENAME_MIN - w.pos);
	return smb_written(&w);
}

int smb_info_decode(uint8_t type, uint8_t info_class, const void *bytes, size_t size,
		    union smb_info *ret_info)
{
	const struct layout *layout = layout_of(type, info_class);
	struct smb_span span = {.bytes = bytes, .have = size, .total = size};

	memset(ret_info, 0, sizeof(*ret_info));
	if (!layout)
		return -EINVAL;
	if (!smb_fields_get(&span, 0, layout->field, ret_info))
		return -EPROTO;
	/* Without Ex the first byte alone counts, the others are reserved. */
	if (type == SMB_INFO_FILE && (info_class == SMB_FILE_RENAME || info_class == SMB_FILE_LINK))
		ret_info->rename.flags &= 0xff;
	return 0;
}
