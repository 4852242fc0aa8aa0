/* SPDX-License-Identifier: MIT */
/*
 * What files, directories and file systems tell of themselves and have set: the
 * information classes of MS-FSCC (sections are its) and those of the POSIX
 * extensions, as structures.  No I/O, no memory taken; names are UTF-16LE and
 * point into the bytes they came from, unless said otherwise.
 */
#ifndef SMB_FSCC_H
#define SMB_FSCC_H

#include <stdbool.h>
#include "smb_pdu.h"
#include "smb_sid.h"

/* 2.4, for SMB_INFO_FILE and QUERY_DIRECTORY. */
enum smb_file_class {
	SMB_FILE_FULL_DIRECTORY = 2,
	SMB_FILE_BASIC = 4,
	SMB_FILE_STANDARD = 5,
	SMB_FILE_INTERNAL = 6,
	SMB_FILE_EA = 7,
	SMB_FILE_RENAME = 10,
	SMB_FILE_LINK = 11,
	SMB_FILE_DISPOSITION = 13,
	SMB_FILE_FULL_EA = 15,
	SMB_FILE_ALL = 18,
	SMB_FILE_ALLOCATION = 19,
	SMB_FILE_EOF = 20,
	SMB_FILE_STREAM = 22,
	SMB_FILE_NETWORK_OPEN = 34,
	SMB_FILE_ATTRIBUTE_TAG = 35,
	SMB_FILE_ID_BOTH_DIRECTORY = 37,
	SMB_FILE_ID_FULL_DIRECTORY = 38,
	SMB_FILE_NORMALIZED_NAME = 48,
	SMB_FILE_ID_EXTD_DIRECTORY = 60,
	SMB_FILE_DISPOSITION_EX = 64,
	SMB_FILE_RENAME_EX = 65,
	SMB_FILE_LINK_EX = 72,
	SMB_FILE_POSIX = 100, /* POSIX extensions; also of a directory */
};

/* 2.5, for SMB_INFO_FILESYSTEM. */
enum smb_fs_class {
	SMB_FS_VOLUME = 1,
	SMB_FS_SIZE = 3,
	SMB_FS_ATTRIBUTE = 5,
	SMB_FS_FULL_SIZE = 7,
	SMB_FS_SECTOR = 11,
	SMB_FS_POSIX = 100, /* POSIX extensions */
};

/* 2.5.1 */
enum smb_fs_attributes {
	SMB_FS_CASE_SENSITIVE = 0x00000001,
	SMB_FS_CASE_PRESERVED = 0x00000002,
	SMB_FS_UNICODE = 0x00000004,
	SMB_FS_ACLS = 0x00000008,
	SMB_FS_QUOTAS = 0x00000020,
	SMB_FS_SPARSE = 0x00000040,
	SMB_FS_REPARSE = 0x00000080,
	SMB_FS_STREAMS = 0x00040000,
	SMB_FS_READ_ONLY = 0x00080000,
	SMB_FS_HARD_LINKS = 0x00400000,
	SMB_FS_EAS = 0x00800000,
	SMB_FS_OPEN_BY_ID = 0x01000000,
	SMB_FS_BLOCK_REFCOUNTING = 0x08000000, /* duplicate extents */
	SMB_FS_POSIX_UNLINK_RENAME = 0x00000400,
};

/* 2.4.7; times may be SMB_TIME_KEEP and its like (smb_time.h), attributes 0: keep */
struct smb_file_basic {
	struct smb_times times;
	uint32_t attributes;
};

/* 2.4.47 */
struct smb_file_standard {
	uint64_t allocation, size;
	uint32_t nlink;
	uint8_t delete_pending, directory;
};

/* 2.4.2 */
struct smb_file_all {
	struct smb_file_basic basic;
	struct smb_file_standard standard;
	uint64_t index;
	uint32_t ea_size, access;
	uint64_t position;
	uint32_t mode, alignment;
	struct smb_buf name;
};

/* 2.4.33 */
struct smb_file_network_open {
	struct smb_times times;
	uint64_t allocation, size;
	uint32_t attributes;
};

/* 2.4.6 */
struct smb_file_attribute_tag {
	uint32_t attributes, tag;
};

/* POSIX: of a file, and of each entry of a directory. */
struct smb_file_posix {
	struct smb_times times;
	uint64_t size, allocation;
	uint32_t attributes;
	uint64_t inode;
	uint32_t device;
	uint32_t nlink, reparse_tag, mode;
	struct smb_sid owner, group;
};

/* Flags of the Ex forms: 2.4.12, 2.4.43, 2.4.28. */
enum smb_disposition_flags {
	SMB_DISPOSITION_DELETE = 0x01,
	SMB_DISPOSITION_POSIX = 0x02,
	SMB_DISPOSITION_ON_CLOSE = 0x08,
	SMB_DISPOSITION_IGNORE_READONLY = 0x10,
};

enum smb_rename_flags {
	SMB_RENAME_REPLACE = 0x01,
	SMB_RENAME_POSIX = 0x02,
	SMB_RENAME_IGNORE_READONLY = 0x40,
};

/* 2.4.42 and 2.4.43, 2.4.27 and 2.4.28: rename or link.  The forms without Ex know
 * SMB_RENAME_REPLACE only. */
struct smb_file_rename {
	uint32_t flags; /* enum smb_rename_flags */
	struct smb_buf name; /* from the share's root, without a leading separator */
};

/* 2.5.4 */
struct smb_fs_full_size {
	uint64_t total, caller_free, free; /* in units */
	uint32_t sectors_per_unit, bytes_per_sector;
};

/* 2.5.1 */
struct smb_fs_attribute {
	uint32_t attributes; /* enum smb_fs_attributes */
	uint32_t name_max; /* characters of one name */
	struct smb_buf name; /* of the file system */
};

/* 2.5.9 */
struct smb_fs_volume {
	uint64_t created;
	uint32_t serial;
	uint8_t objects;
	struct smb_buf label;
};

/* 2.5.7 */
struct smb_fs_sector {
	uint32_t logical, physical_atomic, physical, effective_atomic, flags;
	uint32_t sector_offset, partition_offset;
};

/* POSIX: counts in block_size, UINT64_MAX where unknown */
struct smb_fs_posix {
	uint32_t transfer_size, block_size;
	uint64_t blocks, blocks_free, blocks_avail, files, files_free, fsid;
};

/* The payload of QUERY_INFO and SET_INFO, told apart by type and class. */
union smb_info {
	struct smb_file_basic basic; /* SMB_FILE_BASIC */
	struct smb_file_standard standard; /* SMB_FILE_STANDARD */
	struct smb_file_all all; /* SMB_FILE_ALL */
	struct smb_file_network_open network_open; /* SMB_FILE_NETWORK_OPEN */
	struct smb_file_attribute_tag attribute_tag; /* SMB_FILE_ATTRIBUTE_TAG */
	struct smb_file_posix posix; /* SMB_FILE_POSIX */
	uint64_t value64; /* SMB_FILE_INTERNAL, _ALLOCATION, _EOF */
	uint32_t value32; /* SMB_FILE_DISPOSITION_EX, _EA */
	uint8_t value8; /* SMB_FILE_DISPOSITION */
	struct smb_file_rename rename; /* SMB_FILE_RENAME, _EX, SMB_FILE_LINK, _EX */
	struct smb_buf name; /* SMB_FILE_NORMALIZED_NAME */
	struct smb_fs_full_size full_size; /* SMB_FS_FULL_SIZE */
	struct smb_fs_attribute attribute; /* SMB_FS_ATTRIBUTE */
	struct smb_fs_volume volume; /* SMB_FS_VOLUME */
	struct smb_fs_sector sector; /* SMB_FS_SECTOR */
	struct smb_fs_posix fs_posix; /* SMB_FS_POSIX */
};

/* type is enum smb_info_type, info_class of enum smb_file_class or smb_fs_class.
 * Returns the length; -EMSGSIZE; -EINVAL where this class is none of union
 * smb_info.  buf NULL only counts. */
ssize_t smb_info_encode(uint8_t type, uint8_t info_class, const union smb_info *info, void *buf,
			size_t size);
/* -EPROTO: cut or malformed; a name that was cut (STATUS_BUFFER_OVERFLOW) too.
 * -EINVAL as above.  Bytes behind are allowed. */
int smb_info_decode(uint8_t type, uint8_t info_class, const void *bytes, size_t size,
		    union smb_info *ret_info);

/* One entry of a directory.  What its class does not tell is 0. */
struct smb_dirent {
	struct smb_times times;
	uint64_t size, allocation;
	uint32_t attributes;
	uint32_t reparse_tag; /* with SMB_ATTR_REPARSE */
	uint32_t ea_size; /* without */
	uint64_t file_id;
	uint64_t file_id_high; /* 128-bit ids of SMB_FILE_ID_EXTD_DIRECTORY */
	uint32_t device; /* from here SMB_FILE_POSIX */
	uint32_t nlink, mode;
	struct smb_sid owner, group;
	struct smb_buf name; /* not empty */
};

/* Where a list of entries, extended attributes, streams, changes or interfaces is
 * being read. */
struct smb_list {
	const uint8_t *p; /* the next one; NULL: at the end */
	size_t left;
	uint8_t info_class; /* of directories */
};

/* bytes and size may be NULL and 0: an empty list. */
void smb_list_init(struct smb_list *list, uint8_t info_class, const void *bytes, size_t size);
/*
 * The next entry: 1 with it, 0 at the end, -EPROTO where the list is malformed.
 * A list of n bytes has at most n / 8 entries.  info_class is
 * SMB_FILE_FULL_DIRECTORY, SMB_FILE_ID_FULL_, _BOTH_, _EXTD_DIRECTORY or
 * SMB_FILE_POSIX; with another one it is -EPROTO.
 */
int smb_dirent_next(struct smb_list *list, struct smb_dirent *ret_entry);
/*
 * A list under construction.  Each entry begins at a multiple of align and is
 * linked from the one before.
 */
struct smb_list_writer {
	uint8_t *buf;
	size_t size;
	size_t pos; /* length so far */
	size_t last; /* where the last entry begins */
	uint8_t info_class;
};

void smb_list_writer_init(struct smb_list_writer *writer, uint8_t info_class, void *buf,
			  size_t size);
/* 0; -EMSGSIZE: it did not fit and the list is as before. */
int smb_dirent_put(struct smb_list_writer *writer, const struct smb_dirent *entry);

/* 2.4.16: an extended attribute; name is ASCII, without its NUL. */
struct smb_ea {
	uint8_t flags;
	struct smb_buf name; /* 1 to 255 bytes */
	struct smb_buf value; /* at most 65535; len 0 removes the attribute */
};

int smb_ea_next(struct smb_list *list, struct smb_ea *ret_ea);
int smb_ea_put(struct smb_list_writer *writer, const struct smb_ea *ea);
/* 2.4.16.1: the input of a query for these attributes only. */
int smb_ea_name_next(struct smb_list *list, struct smb_buf *ret_name);
int smb_ea_name_put(struct smb_list_writer *writer, const struct smb_buf *name);

/* 2.4.49; "::$DATA" is the file itself */
struct smb_stream {
	struct smb_buf name;
	uint64_t size, allocation;
};

int smb_stream_next(struct smb_list *list, struct smb_stream *ret_stream);
int smb_stream_put(struct smb_list_writer *writer, const struct smb_stream *stream);

/* 2.7.1 */
enum smb_change_action {
	SMB_CHANGE_ADDED = 1,
	SMB_CHANGE_REMOVED = 2,
	SMB_CHANGE_MODIFIED = 3,
	SMB_CHANGE_OLD_NAME = 4,
	SMB_CHANGE_NEW_NAME = 5,
};

struct smb_change {
	uint32_t action; /* enum smb_change_action; streams' are above 5 */
	struct smb_buf name; /* from the watched directory */
};

int smb_change_next(struct smb_list *list, struct smb_change *ret_change);
int smb_change_put(struct smb_list_writer *writer, const struct smb_change *change);

#endif
