/* SPDX-License-Identifier: MIT */
/*
 * What is inside messages, for the decoders.  An input's first byte chooses among
 * the forms a target has.
 */
#include <backend/smb/smb_context.h>
#include <backend/smb/smb_fsctl.h>
#include <backend/smb/smb_reparse.h>
#include <backend/smb/smb_sid.h>
#include <backend/smb/smb_status.h>
#include <backend/smb/smb_utf16.h>
#include <errno.h>
#include <string.h>
#include "smb_decoders.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t scratch[1 << 18], scratch2[1 << 18];

#define TEXT16(ascii) ((struct smb_buf){.p = u"" ascii, .len = sizeof(u"" ascii) - 2})

static const struct smb_guid guid1 = {"one one one one"}, guid2 = {"two two two two"};

/* --------------------------------------------------------------- contexts */

struct smb_buf smb_sample_negotiate(bool reply, uint16_t *ret_count)
{
	static uint8_t buf[512];
	struct smb_negotiate_contexts contexts = {
		.hashes = {1, {SMB_HASH_SHA512}},
		.salt = {.p = "a salt of 32 bytes, or nearly so", .len = 32},
		.ciphers = {reply ? 1 : 3, {SMB_AES_128_GCM, SMB_AES_256_GCM, SMB_AES_128_CCM}},
		.signings = {reply ? 1 : 2, {SMB_AES_GMAC, SMB_AES_CMAC}},
		.netname = TEXT16("server"),
		.posix = true,
	};
	ssize_t length = smb_negotiate_contexts_encode(&contexts, buf, sizeof(buf), ret_count);

	smb_must(length > 0);
	return (struct smb_buf){.p = buf, .len = (uint32_t)length};
}

int smb_consume_negotiate(const struct smb_buf *buf, uint16_t count)
{
	struct smb_negotiate_contexts contexts, again;
	int err = smb_negotiate_contexts_decode(buf, count, &contexts);
	struct smb_buf encoded = {.p = scratch};
	ssize_t length;

	if (err)
		return err;
	length = smb_negotiate_contexts_encode(&contexts, scratch, sizeof(scratch), &count);
	smb_must(length >= 0);
	encoded.len = (uint32_t)length;
	smb_must(smb_negotiate_contexts_decode(&encoded, count, &again) == 0);
	smb_must(memcmp(&contexts.hashes, &again.hashes, sizeof(again.hashes)) == 0);
	smb_must(memcmp(&contexts.ciphers, &again.ciphers, sizeof(again.ciphers)) == 0);
	smb_must(memcmp(&contexts.signings, &again.signings, sizeof(again.signings)) == 0);
	smb_must(contexts.posix == again.posix && contexts.netname.len == again.netname.len);
	return 0;
}

struct smb_buf smb_sample_create(bool reply)
{
	static uint8_t buf[2048];
	struct smb_create_contexts contexts = {
		.has = 0x3ff & ~(uint32_t)SMB_CTX_LEASE_V1,
		.lease = {guid1, 7, SMB_LEASE_HAS_PARENT, guid2, 5},
		.durable = {60000, SMB_DURABLE_PERSISTENT, guid1},
		.reconnect = {{1, 2}, guid2, 0},
		.maximal = {0, 0x1f01ff},
		.disk_id = {11, 12},
		.timewarp = 13,
		.posix = {.mode = 0644,
			  .nlink = 1,
			  .owner = smb_sid_of(SMB_SID_UID, 1000),
			  .group = smb_sid_of(SMB_SID_GID, 1001)},
		.security = {.p = "descriptor", .len = 10},
		.allocation = 14,
	};
	ssize_t length = smb_create_contexts_encode(&contexts, reply, buf, sizeof(buf));

	smb_must(length > 0);
	return (struct smb_buf){.p = buf, .len = (uint32_t)length};
}

int smb_consume_create(const struct smb_buf *buf, bool reply)
{
	struct smb_create_contexts contexts, again;
	int err = smb_create_contexts_decode(buf, reply, &contexts);
	struct smb_buf encoded = {.p = scratch};
	ssize_t length;

	if (err)
		return err;
	length = smb_create_contexts_encode(&contexts, reply, scratch, sizeof(scratch));
	smb_must(length >= 0);
	encoded.len = (uint32_t)length;
	smb_must(smb_create_contexts_decode(&encoded, reply, &again) == 0);
	smb_must(contexts.security.len == again.security.len);
	contexts.security = again.security;
	smb_must(memcmp(&contexts, &again, sizeof(again)) == 0);
	return 0;
}

struct smb_buf smb_sample_error(unsigned i, uint8_t *ret_count, uint32_t *ret_status)
{
	static uint8_t buf[512];
	static const struct {
		uint32_t part, status;
	} parts[] = {{SMB_ERR_SYMLINK, SMB_STATUS_STOPPED_ON_SYMLINK},
		     {SMB_ERR_REDIRECT, SMB_STATUS_BAD_NETWORK_NAME},
		     {SMB_ERR_NEEDED, SMB_STATUS_BUFFER_TOO_SMALL}};
	struct smb_error_info info = {
		.symlink = {4, true, TEXT16("..\\x"), TEXT16("../x")},
		.redirect = {TEXT16("share"), 2, {{false, {127, 0, 0, 1}}, {true, {1}}}},
		.needed = 77};
	ssize_t length;

	if (i >= COUNT(parts))
		return (struct smb_buf){0};
	info.has = parts[i].part;
	*ret_status = parts[i].status;
	length = smb_error_info_encode(&info, buf, sizeof(buf), ret_count);
	smb_must(length > 0);
	return (struct smb_buf){.p = buf, .len = (uint32_t)length};
}

int smb_consume_error(const struct smb_buf *buf, uint8_t count, uint32_t status)
{
	struct smb_error_info info, again;
	struct smb_buf encoded = {.p = scratch};
	int err = smb_error_info_decode(buf, count, status, &info);
	ssize_t length;

	if (err)
		return err;
	length = smb_error_info_encode(&info, scratch, sizeof(scratch), &count);
	if (length < 0) { /* names that overlapped and are too long apart */
		smb_must(info.symlink.substitute.len + info.symlink.print.len > 60000);
		return 0;
	}
	encoded.len = (uint32_t)length;
	smb_must(smb_error_info_decode(&encoded, count, status, &again) == 0);
	smb_must(again.has == info.has && again.needed == info.needed);
	smb_must(again.symlink.substitute.len == info.symlink.substitute.len);
	smb_must(memcmp(again.redirect.addresses, info.redirect.addresses,
			sizeof(info.redirect.addresses)) == 0);
	return 0;
}

static size_t sample_create(unsigned i, uint8_t *buf)
{
	struct smb_buf contexts;

	if (i > 1)
		return 0;
	contexts = smb_sample_create(i == 1);
	buf[0] = (uint8_t)i;
	memcpy(buf + 1, contexts.p, contexts.len);
	return 1 + contexts.len;
}

static int consume_create(const uint8_t *bytes, size_t size)
{
	struct smb_buf buf = {.p = bytes + 1, .len = (uint32_t)size - 1};

	return smb_consume_create(&buf, bytes[0] & 1);
}

static size_t sample_contexts(unsigned i, uint8_t *buf)
{
	struct smb_buf contexts;
	uint16_t count;

	if (i > 1)
		return 0;
	contexts = smb_sample_negotiate(i == 1, &count);
	buf[0] = (uint8_t)count;
	memcpy(buf + 1, contexts.p, contexts.len);
	return 1 + contexts.len;
}

static int consume_contexts(const uint8_t *bytes, size_t size)
{
	struct smb_buf buf = {.p = bytes + 1, .len = (uint32_t)size - 1};

	return smb_consume_negotiate(&buf, bytes[0]);
}

/* ------------------------------------------------------------ information */

static const struct {
	uint8_t type, info_class;
} infos[] = {
	{SMB_INFO_FILE, SMB_FILE_BASIC},	 {SMB_INFO_FILE, SMB_FILE_STANDARD},
	{SMB_INFO_FILE, SMB_FILE_INTERNAL},	 {SMB_INFO_FILE, SMB_FILE_EA},
	{SMB_INFO_FILE, SMB_FILE_RENAME},	 {SMB_INFO_FILE, SMB_FILE_LINK},
	{SMB_INFO_FILE, SMB_FILE_RENAME_EX},	 {SMB_INFO_FILE, SMB_FILE_LINK_EX},
	{SMB_INFO_FILE, SMB_FILE_DISPOSITION},	 {SMB_INFO_FILE, SMB_FILE_DISPOSITION_EX},
	{SMB_INFO_FILE, SMB_FILE_ALL},		 {SMB_INFO_FILE, SMB_FILE_ALLOCATION},
	{SMB_INFO_FILE, SMB_FILE_EOF},		 {SMB_INFO_FILE, SMB_FILE_NETWORK_OPEN},
	{SMB_INFO_FILE, SMB_FILE_ATTRIBUTE_TAG}, {SMB_INFO_FILE, SMB_FILE_NORMALIZED_NAME},
	{SMB_INFO_FILE, SMB_FILE_POSIX},	 {SMB_INFO_FILESYSTEM, SMB_FS_VOLUME},
	{SMB_INFO_FILESYSTEM, SMB_FS_ATTRIBUTE}, {SMB_INFO_FILESYSTEM, SMB_FS_FULL_SIZE},
	{SMB_INFO_FILESYSTEM, SMB_FS_SECTOR},	 {SMB_INFO_FILESYSTEM, SMB_FS_POSIX},
};

static void info_names(uint8_t type, uint8_t info_class, union smb_info *info)
{
	if (type == SMB_INFO_FILESYSTEM && info_class == SMB_FS_VOLUME)
		info->volume.label = TEXT16("label");
	if (type == SMB_INFO_FILESYSTEM && info_class == SMB_FS_ATTRIBUTE)
		info->attribute.name = TEXT16("NTFS");
	if (type != SMB_INFO_FILE)
		return;
	if (info_class == SMB_FILE_ALL)
		info->all.name = TEXT16("name");
	if (info_class == SMB_FILE_NORMALIZED_NAME)
		info->name = TEXT16("normal\\name");
	if (info_class == SMB_FILE_RENAME || info_class == SMB_FILE_RENAME_EX ||
	    info_class == SMB_FILE_LINK || info_class == SMB_FILE_LINK_EX)
		info->rename = (struct smb_file_rename){1, TEXT16("new\\name")};
	if (info_class == SMB_FILE_POSIX) {
		info->posix.owner = smb_sid_of(SMB_SID_UID, 5);
		info->posix.group = smb_sid_of(SMB_SID_GID, 6);
	}
}

static size_t sample_info(unsigned i, uint8_t *buf)
{
	union smb_info info;
	ssize_t length;

	if (i >= COUNT(infos))
		return 0;
	memset(&info, 0x11, sizeof(info));
	info_names(infos[i].type, infos[i].info_class, &info);
	buf[0] = (uint8_t)i;
	length = smb_info_encode(infos[i].type, infos[i].info_class, &info, buf + 1,
				 SMB_SAMPLE_MAX - 1);
	smb_must(length > 0);
	return 1 + (size_t)length;
}

int smb_consume_info(uint8_t type, uint8_t info_class, const void *bytes, size_t size)
{
	union smb_info info, again;
	int err = smb_info_decode(type, info_class, bytes, size, &info);
	ssize_t length, length2;

	if (err)
		return err;
	length = smb_info_encode(type, info_class, &info, scratch, sizeof(scratch));
	smb_must(length > 0);
	smb_must(smb_info_decode(type, info_class, scratch, (size_t)length, &again) == 0);
	length2 = smb_info_encode(type, info_class, &again, scratch2, sizeof(scratch2));
	smb_must(length == length2 && memcmp(scratch, scratch2, (size_t)length) == 0);
	return 0;
}

static int consume_info(const uint8_t *bytes, size_t size)
{
	unsigned i = bytes[0] % COUNT(infos);

	return smb_consume_info(infos[i].type, infos[i].info_class, bytes + 1, size - 1);
}

static const uint8_t classes[] = {SMB_FILE_FULL_DIRECTORY, SMB_FILE_ID_FULL_DIRECTORY,
				  SMB_FILE_ID_BOTH_DIRECTORY, SMB_FILE_ID_EXTD_DIRECTORY,
				  SMB_FILE_POSIX};

struct smb_buf smb_sample_directory(uint8_t info_class)
{
	static uint8_t buf[1024];
	struct smb_dirent entry = {.times = {1, 2, 3, 4},
				   .size = 5,
				   .allocation = 4096,
				   .attributes = SMB_ATTR_ARCHIVE,
				   .ea_size = 6,
				   .file_id = 7,
				   .nlink = 1,
				   .mode = 0644,
				   .owner = smb_sid_of(SMB_SID_UID, 1),
				   .group = smb_sid_of(SMB_SID_GID, 2),
				   .name = TEXT16("first")};
	struct smb_list_writer list;

	smb_list_writer_init(&list, info_class, buf, sizeof(buf));
	smb_must(smb_dirent_put(&list, &entry) == 0);
	entry.attributes |= SMB_ATTR_REPARSE;
	entry.reparse_tag = SMB_TAG_SYMLINK;
	entry.ea_size = 0;
	entry.name = TEXT16("second one");
	smb_must(smb_dirent_put(&list, &entry) == 0);
	return (struct smb_buf){.p = buf, .len = (uint32_t)list.pos};
}

static bool same_entry(const struct smb_dirent *a, const struct smb_dirent *b)
{
	return a->size == b->size && a->file_id == b->file_id && a->mode == b->mode &&
	       a->attributes == b->attributes && a->reparse_tag == b->reparse_tag &&
	       a->name.len == b->name.len && memcmp(a->name.p, b->name.p, a->name.len) == 0;
}

int smb_consume_directory(uint8_t info_class, const void *bytes, size_t size)
{
	struct smb_list list, again;
	struct smb_list_writer writer;
	struct smb_dirent entry, entry2;
	unsigned count = 0;
	int got;

	smb_list_writer_init(&writer, info_class, scratch, sizeof(scratch));
	smb_list_init(&list, info_class, bytes, size);
	while ((got = smb_dirent_next(&list, &entry)) > 0) {
		smb_must(smb_dirent_put(&writer, &entry) == 0);
		count++;
	}
	smb_must(count <= size / 8 + 1);
	if (got < 0)
		return got;
	smb_list_init(&list, info_class, bytes, size);
	smb_list_init(&again, info_class, scratch, writer.pos);
	while (smb_dirent_next(&list, &entry) > 0) {
		smb_must(smb_dirent_next(&again, &entry2) == 1);
		smb_must(same_entry(&entry, &entry2));
	}
	smb_must(smb_dirent_next(&again, &entry2) == 0);
	return 0;
}

static size_t sample_directory(unsigned i, uint8_t *buf)
{
	struct smb_buf entries;

	if (i >= COUNT(classes))
		return 0;
	entries = smb_sample_directory(classes[i]);
	buf[0] = (uint8_t)i;
	memcpy(buf + 1, entries.p, entries.len);
	return 1 + entries.len;
}

static int consume_directory(const uint8_t *bytes, size_t size)
{
	return smb_consume_directory(classes[bytes[0] % COUNT(classes)], bytes + 1, size - 1);
}

/* ------------------------------------------------------------------ lists */

enum list_form {
	EAS,
	EA_NAMES,
	STREAMS,
	CHANGES,
	INTERFACES,
	LIST_FORMS
};

static size_t sample_list(unsigned i, uint8_t *buf)
{
	struct smb_list_writer list;
	struct smb_buf name = {.p = "user.a", .len = 6}, wide = TEXT16("::$DATA");
	struct smb_ea ea = {0, name, {.p = "value", .len = 5}};
	struct smb_stream stream = {wide, 1, 2};
	struct smb_change change = {SMB_CHANGE_ADDED, wide};
	struct smb_interface interface = {1, 0, 1000000000, {false, {10, 0, 0, 1}}};

	buf[0] = (uint8_t)i;
	smb_list_writer_init(&list, 0, buf + 1, SMB_SAMPLE_MAX - 1);
	for (unsigned n = 0; n < 3 && i < LIST_FORMS; n++) {
		int err = i == EAS	  ? smb_ea_put(&list, &ea)
			  : i == EA_NAMES ? smb_ea_name_put(&list, &name)
			  : i == STREAMS  ? smb_stream_put(&list, &stream)
			  : i == CHANGES  ? smb_change_put(&list, &change)
					  : smb_interface_put(&list, &interface);

		smb_must(err == 0);
		interface.address.ipv6 = true;
		ea.value.len = n;
	}
	return i < LIST_FORMS ? 1 + list.pos : 0;
}

/* The next entry of form, which is also put into writer. */
static int step(enum list_form form, struct smb_list *list, struct smb_list_writer *writer)
{
	struct smb_interface interface;
	struct smb_stream stream;
	struct smb_change change;
	struct smb_buf name;
	struct smb_ea ea;
	int got;

	switch (form) {
	case EAS:
		got = smb_ea_next(list, &ea);
		smb_must(got <= 0 || smb_ea_put(writer, &ea) == 0);
		return got;
	case EA_NAMES:
		got = smb_ea_name_next(list, &name);
		smb_must(got <= 0 || smb_ea_name_put(writer, &name) == 0);
		return got;
	case STREAMS:
		got = smb_stream_next(list, &stream);
		smb_must(got <= 0 || smb_stream_put(writer, &stream) == 0);
		return got;
	case CHANGES:
		got = smb_change_next(list, &change);
		smb_must(got <= 0 || smb_change_put(writer, &change) == 0);
		return got;
	default:
		got = smb_interface_next(list, &interface);
		smb_must(got <= 0 || smb_interface_put(writer, &interface) == 0);
		return got;
	}
}

static int consume_form(enum list_form form, const void *bytes, size_t size)
{
	struct smb_list_writer writer, writer2;
	struct smb_list list;
	int got;

	smb_list_writer_init(&writer, 0, scratch, sizeof(scratch));
	smb_list_init(&list, 0, bytes, size);
	while ((got = step(form, &list, &writer)) > 0)
		;
	if (got < 0)
		return got;
	smb_list_writer_init(&writer2, 0, scratch2, sizeof(scratch2));
	smb_list_init(&list, 0, scratch, writer.pos);
	while ((got = step(form, &list, &writer2)) > 0)
		;
	smb_must(got == 0 && writer.pos == writer2.pos);
	smb_must(memcmp(scratch, scratch2, writer.pos) == 0);
	return 0;
}

int smb_consume_lists(const void *bytes, size_t size)
{
	for (unsigned form = 0; form < LIST_FORMS; form++)
		consume_form(form, bytes, size);
	return 0;
}

static int consume_list(const uint8_t *bytes, size_t size)
{
	return consume_form(bytes[0] % LIST_FORMS, bytes + 1, size - 1);
}

/* ----------------------------------------------------------------- fsctls */

static const struct {
	uint32_t code;
	bool reply;
} fsctls[] = {
	{SMB_FSCTL_SET_ZERO_DATA, false},	  {SMB_FSCTL_QUERY_ALLOCATED_RANGES, false},
	{SMB_FSCTL_DUPLICATE_EXTENTS, false},	  {SMB_FSCTL_COPYCHUNK, false},
	{SMB_FSCTL_REQUEST_RESUME_KEY, true},	  {SMB_FSCTL_COPYCHUNK_WRITE, true},
	{SMB_FSCTL_QUERY_ALLOCATED_RANGES, true},
};

static int consume_ranges(const void *bytes, size_t size)
{
	struct smb_range range;
	size_t pos = 0, i = 0;
	int got;

	while ((got = smb_allocated_range(bytes, size, i++, &range)) > 0)
		smb_must(smb_allocated_range_put(&range, scratch, sizeof(scratch), &pos) == 0);
	smb_must(got < 0 || (pos == size && (size == 0 || memcmp(scratch, bytes, size) == 0)));
	return got;
}

int smb_consume_fsctl(uint32_t code, bool reply, const void *bytes, size_t size)
{
	union smb_fsctl_in in;
	union smb_fsctl_out out;
	ssize_t length;
	int err;

	if (reply && code == SMB_FSCTL_QUERY_ALLOCATED_RANGES)
		return consume_ranges(bytes, size);
	if (reply) {
		err = smb_fsctl_out_decode(code, bytes, size, &out);
		smb_must(err || smb_fsctl_out_encode(code, &out, scratch, sizeof(scratch)) > 0);
		return err;
	}
	err = smb_fsctl_in_decode(code, bytes, size, &in);
	if (err)
		return err;
	length = smb_fsctl_in_encode(code, &in, scratch, sizeof(scratch));
	smb_must(length > 0 && (size == 0 || (size_t)length <= size));
	return 0;
}

static size_t sample_fsctl(unsigned i, uint8_t *buf)
{
	union smb_fsctl_in in = {.copychunk = {.count = 0}};
	union smb_fsctl_out out = {.key = {"key"}};
	struct smb_range range = {65536, 131072};
	size_t pos = 0;

	if (i >= COUNT(fsctls))
		return 0;
	buf[0] = (uint8_t)i;
	if (fsctls[i].code == SMB_FSCTL_COPYCHUNK)
		in.copychunk = (struct smb_copychunk){{"key"}, 2, {{1, 2, 3}, {4, 5, 6}}};
	else if (fsctls[i].code == SMB_FSCTL_DUPLICATE_EXTENTS)
		in.duplicate = (struct smb_duplicate){{1, 2}, 3, 4, 5};
	else
		in.range = range;
	if (i + 1 == COUNT(fsctls)) {
		smb_must(smb_allocated_range_put(&range, buf + 1, 64, &pos) == 0);
		return 1 + pos;
	}
	if (fsctls[i].reply)
		return 1 + (size_t)smb_fsctl_out_encode(fsctls[i].code, &out, buf + 1, 512);
	return 1 + (size_t)smb_fsctl_in_encode(fsctls[i].code, &in, buf + 1, 512);
}

static int consume_fsctl(const uint8_t *bytes, size_t size)
{
	unsigned i = bytes[0] % COUNT(fsctls);

	return smb_consume_fsctl(fsctls[i].code, fsctls[i].reply, bytes + 1, size - 1);
}

/* The key alone; what follows is for show. */
static size_t fsctl_needs(const uint8_t *bytes, size_t size)
{
	bool key = fsctls[bytes[0] % COUNT(fsctls)].code == SMB_FSCTL_REQUEST_RESUME_KEY;

	return key ? 1 + 24 + 4 : size;
}

/* ---------------------------------------------------- reparse and security */

static const struct smb_reparse reparses[] = {
	{SMB_TAG_SYMLINK,
	 SMB_REPARSE_SYMLINK,
	 true,
	 false,
	 {u"..\\a", 8, 0},
	 {u"../a", 8, 0},
	 0,
	 0},
	{SMB_TAG_NFS, SMB_REPARSE_SYMLINK, false, false, {u"../a", 8, 0}, {0}, 0, 0},
	{SMB_TAG_NFS, SMB_REPARSE_CHAR, false, false, {0}, {0}, 5, 1},
	{SMB_TAG_NFS, SMB_REPARSE_FIFO, false, false, {0}, {0}, 0, 0},
	{SMB_TAG_LX_SYMLINK, SMB_REPARSE_SYMLINK, false, true, {"../a", 4, 0}, {0}, 0, 0},
	{SMB_TAG_AF_UNIX, SMB_REPARSE_SOCKET, false, false, {0}, {0}, 0, 0},
};

static size_t sample_reparse(unsigned i, uint8_t *buf)
{
	ssize_t length;

	if (i >= COUNT(reparses))
		return 0;
	length = smb_reparse_encode(&reparses[i], buf, SMB_SAMPLE_MAX);
	smb_must(length > 0);
	return (size_t)length;
}

int smb_consume_reparse(const void *bytes, size_t size)
{
	struct smb_reparse reparse, again;
	int err = smb_reparse_decode(bytes, size, &reparse);
	ssize_t length;

	if (err)
		return err;
	length = smb_reparse_encode(&reparse, scratch, sizeof(scratch));
	if (length < 0) {
		smb_must(length == -EMSGSIZE || reparse.kind == SMB_REPARSE_OTHER ||
			 reparse.tag == SMB_TAG_MOUNT_POINT);
		return 0;
	}
	smb_must(smb_reparse_decode(scratch, (size_t)length, &again) == 0);
	smb_must(again.kind == reparse.kind && again.major == reparse.major);
	smb_must(again.target.len == reparse.target.len);
	return 0;
}

static int consume_reparse(const uint8_t *bytes, size_t size)
{
	return smb_consume_reparse(bytes, size);
}

static size_t sample_security(unsigned i, uint8_t *buf)
{
	struct smb_security security = {.owner = smb_sid_of(SMB_SID_UID, 1000),
					.group = smb_sid_of(SMB_SID_GID, 1000)};

	if (i > 1)
		return 0;
	if (i == 1)
		smb_security_set(&security,
				 &(const struct smb_security_change){security.owner, security.group,
								     0640, SMB_SECURITY_EXACT});
	return (size_t)smb_security_encode(&security, buf, SMB_SAMPLE_MAX);
}

/* Whatever it was, it comes to the mode that is set. */
static void change_security(struct smb_security *security, size_t seed)
{
	const struct smb_security_change change = {
		smb_sid_of(SMB_SID_UID, 1), smb_sid_of(SMB_SID_GID, 2), seed * 4099 & 07777,
		seed & 1 ? SMB_SECURITY_EXACT : SMB_SECURITY_LIST};
	static uint8_t bytes[65536];
	uint32_t mode;
	ssize_t len;

	if (smb_security_set(security, &change))
		return;
	len = smb_security_encode(security, bytes, sizeof(bytes));
	if (len < 0)
		return;
	smb_must(smb_security_decode(bytes, (size_t)len, security) == 0);
	smb_must(smb_security_mode(security, change.how, &mode));
	smb_must(mode == (change.how == SMB_SECURITY_EXACT ? change.mode : change.mode & 0777));
}

static int consume_security(const uint8_t *bytes, size_t size)
{
	static struct smb_security security;
	int err = smb_security_decode(bytes, size, &security);
	uint32_t mode, number;
	char text[256];

	if (err)
		return err;
	smb_sid_number(&security.owner, &number);
	smb_sid_print(&security.owner, text, sizeof(text));
	smb_must(!smb_security_mode(&security, SMB_SECURITY_EXACT, &mode) || mode <= 07777);
	smb_must(!smb_security_mode(&security, SMB_SECURITY_LIST, &mode) || mode <= 0777);
	change_security(&security, size);
	return 0;
}

/* ------------------------------------------------------------------- text */

static size_t sample_text(unsigned i, uint8_t *buf)
{
	buf[0] = (uint8_t)i;
	if (i == 0) {
		smb_must(smb_xsym_encode("../target", 9, buf + 1) == 0);
		return 1 + SMB_XSYM_SIZE;
	}
	if (i > 2)
		return 0;
	memcpy(buf + 1, u"a\u20ac\U0001f600:", 10);
	return 11;
}

static int consume_text(const uint8_t *bytes, size_t size)
{
	enum smb_map map = bytes[0] & 1 ? SMB_MAP_POSIX : SMB_MAP_NONE;
	const char *target;
	ssize_t length, again;
	size_t len;

	if (bytes[0] % 3 == 0)
		return smb_xsym_decode(bytes + 1, size - 1, &target, &len);
	length = smb_utf16_get(bytes + 1, size - 1, map, (char *)scratch, sizeof(scratch));
	if (length < 0)
		return (int)length;
	again = smb_utf16_put((char *)scratch, (size_t)length, map, scratch2, sizeof(scratch2));
	smb_must(again == (ssize_t)size - 1);
	smb_must(map == SMB_MAP_POSIX || memcmp(scratch2, bytes + 1, size - 1) == 0);
	return 0;
}

/* Half a text is a text. */
static size_t text_needs(const uint8_t *bytes, size_t size)
{
	return bytes[0] % 3 == 0 ? size : 1;
}

const struct smb_target smb_payload_targets[] = {
	{"contexts", consume_contexts, sample_contexts, NULL},
	{"create", consume_create, sample_create, NULL},
	{"info", consume_info, sample_info, NULL},
	{"directory", consume_directory, sample_directory, NULL},
	{"list", consume_list, sample_list, NULL},
	{"fsctl", consume_fsctl, sample_fsctl, fsctl_needs},
	{"reparse", consume_reparse, sample_reparse, NULL},
	{"security", consume_security, sample_security, NULL},
	{"text", consume_text, sample_text, text_needs},
};
const size_t smb_npayload_targets = COUNT(smb_payload_targets);
