/* SPDX-License-Identifier: MIT */
/*
 * Entries of directories in the classes that a client may ask for (MS-FSCC 2.4.14,
 * 2.4.17, 2.4.18, 2.4.20 and the POSIX extensions), all of them one structure to it.
 * Short names are not read.  Pure functions, no locks.
 */
#include <errno.h>
#include <string.h>
#include "smb_list.h"

#define F(k, m, ctype) SMB_FIELD(k, struct smb_dirent, m, ctype)
#define U32(m)	       F(SMB_F_U32, m, uint32_t)
#define U64(m)	       F(SMB_F_U64, m, uint64_t)
#define TIMES(m)       F(SMB_F_TIMES, m, struct smb_times)
#define SID(m)	       F(SMB_F_SID, m, struct smb_sid)
#define LEN32(m)       F(SMB_F_LEN32, m, struct smb_buf)
#define INLINE(m)      F(SMB_F_INLINE, m, struct smb_buf)
#define ZERO(n)	       SMB_ZERO(n)

#define ENTRY_ALIGN	  8u
#define ENTRY_FIELDS_MAX  16
#define SHORT_NAME_FIELDS 28 /* of the class that has them */

/* Behind the distance to the next one: FileIndex is reserved in every class. */
#define ALL_CLASSES                                                                                \
	ZERO(4), TIMES(times), U64(size), U64(allocation), U32(attributes), LEN32(name),           \
		U32(ea_size)

static const struct {
	uint8_t info_class;
	struct smb_field field[ENTRY_FIELDS_MAX + 1];
} layouts[] = {
	{SMB_FILE_FULL_DIRECTORY, {ALL_CLASSES, INLINE(name)}},
	{SMB_FILE_ID_FULL_DIRECTORY, {ALL_CLASSES, ZERO(4), U64(file_id), INLINE(name)}},
	{SMB_FILE_ID_BOTH_DIRECTORY,
	 {ALL_CLASSES, ZERO(SHORT_NAME_FIELDS), U64(file_id), INLINE(name)}},
	{SMB_FILE_ID_EXTD_DIRECTORY,
	 {ALL_CLASSES, U32(reparse_tag), U64(file_id), U64(file_id_high), INLINE(name)}},
	{SMB_FILE_POSIX,
	 {ZERO(4), TIMES(times), U64(size), U64(allocation), U32(attributes), U64(file_id),
	  U32(device), ZERO(4), U32(nlink), U32(reparse_tag), U32(mode), SID(owner), SID(group),
	  LEN32(name), INLINE(name)}},
};

static const struct smb_field *fields_of(uint8_t info_class)
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (layouts[i].info_class == info_class)
			return layouts[i].field;
	}
	return NULL;
}

/* Has this class its tag in the place of EaSize? (2.4.17 and its like) */
static bool tag_in_ea_size(uint8_t info_class, uint32_t attributes)
{
	return attributes & SMB_ATTR_REPARSE && info_class != SMB_FILE_POSIX &&
	       info_class != SMB_FILE_ID_EXTD_DIRECTORY;
}

int smb_dirent_next(struct smb_list *list, struct smb_dirent *ret_entry)
{
	const struct smb_field *fields = fields_of(list->info_class);
	struct smb_span span;
	int got;

	if (!fields)
		return -EPROTO;
	got = smb_list_step(list, &span);
	if (got <= 0)
		return got;
	memset(ret_entry, 0, sizeof(*ret_entry));
	if (!smb_fields_get(&span, 4, fields, ret_entry) || ret_entry->name.len == 0) {
		list->p = NULL;
		return -EPROTO;
	}
	if (tag_in_ea_size(list->info_class, ret_entry->attributes)) {
		ret_entry->reparse_tag = ret_entry->ea_size;
		ret_entry->ea_size = 0;
	}
	return 1;
}

int smb_dirent_put(struct smb_list_writer *writer, const struct smb_dirent *entry)
{
	const struct smb_field *fields = fields_of(writer->info_class);
	struct smb_dirent wire = *entry;
	struct netfs_writer w;

	if (!fields || entry->name.len == 0)
		return -EMSGSIZE;
	if (tag_in_ea_size(writer->info_class, entry->attributes))
		wire.ea_size = entry->reparse_tag;
	smb_list_begin(writer, ENTRY_ALIGN, &w);
	smb_fields_put(&w, fields, &wire);
	return smb_list_end(writer, ENTRY_ALIGN, &w);
}
