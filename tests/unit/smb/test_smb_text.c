/* SPDX-License-Identifier: MIT */
/*
 * Goal: names, times, statuses, identifiers and links are translated exactly
 * and back.  Method: known values, and round trips over ranges.
 */
#include "t.h"

#include <backend/smb/smb_reparse.h>
#include <backend/smb/smb_sid.h>
#include <backend/smb/smb_status.h>
#include <backend/smb/smb_time.h>
#include <backend/smb/smb_utf16.h>
#include <errno.h>
#include <string.h>

static void names_go_over_and_back(void **state)
{
	const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
	uint8_t wide[32];
	char back[32];

	assert_int_equal(smb_utf16_put(text, 10, SMB_MAP_NONE, wide, sizeof(wide)), 10);
	assert_memory_equal(wide, "a\0\xe9\0\xac\x20\x3d\xd8\x00\xde", 10);
	assert_int_equal(smb_utf16_put(text, 10, SMB_MAP_NONE, NULL, 0), 10);
	assert_int_equal(smb_utf16_put(text, 10, SMB_MAP_NONE, wide, 9), -EMSGSIZE);
	assert_int_equal(smb_utf16_get(wide, 10, SMB_MAP_NONE, back, sizeof(back)), 10);
	assert_memory_equal(back, text, 10);
}

static void every_code_point_comes_back(void **state)
{
	for (uint32_t c = 1; c <= 0x10ffff; c++) {
		uint8_t wide[4] = {(uint8_t)c, (uint8_t)(c >> 8)}, again[4];
		size_t size = 2;
		char text[4];
		ssize_t len;

		if (c >= 0x10000) {
			uint32_t high = 0xd800 + ((c - 0x10000) >> 10), low = 0xdc00 + (c & 0x3ff);

			memcpy(wide,
			       (uint8_t[]){(uint8_t)high, (uint8_t)(high >> 8), (uint8_t)low,
					   (uint8_t)(low >> 8)},
			       4);
			size = 4;
		}
		len = smb_utf16_get(wide, size, SMB_MAP_NONE, text, sizeof(text));
		if (c >= 0xd800 && c < 0xe000) {
			assert_int_equal(len, -EILSEQ);
			continue;
		}
		assert_true(len > 0);
		assert_int_equal(smb_utf16_put(text, len, SMB_MAP_NONE, again, 4), size);
		assert_memory_equal(again, wide, size);
	}
}

static void what_is_not_utf8_is_refused(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xc0\xaf",
		"\xc1\xbf",
		"\xe0\x80\xaf",
		"\xed\xa0\x80",
		"\xf0\x80\x80\xaf",
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80",
		"\xff",
		"\xe2\x82",
		"\xc3(",
		"a\xf0\x9f",
	};
	uint8_t wide[32];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(smb_utf16_put(bad[i], strlen(bad[i]), SMB_MAP_NONE, wide, 32),
				 -EILSEQ);
	assert_int_equal(smb_utf16_put("a\0b", 3, SMB_MAP_NONE, wide, 32), -EILSEQ);
	assert_int_equal(smb_utf16_get("a", 1, SMB_MAP_NONE, (char *)wide, 32), -EILSEQ);
	assert_int_equal(smb_utf16_get("\0", 2, SMB_MAP_NONE, (char *)wide, 32), -EILSEQ);
	assert_int_equal(smb_utf16_get("\x3d\xd8", 2, SMB_MAP_NONE, (char *)wide, 32), -EILSEQ);
}

static void check_mapped(const char *name, const char *expected, size_t size)
{
	uint8_t wide[64];
	char back[64];

	assert_int_equal(smb_utf16_put(name, strlen(name), SMB_MAP_POSIX, wide, 64), size);
	assert_memory_equal(wide, expected, size);
	assert_int_equal(smb_utf16_get(wide, size, SMB_MAP_POSIX, back, 64), strlen(name));
	assert_memory_equal(back, name, strlen(name));
}

static void reserved_characters_are_mapped(void **state)
{
	uint8_t wide[8];

	check_mapped("a:b",
		     "a\0\x22\xf0"
		     "b\0",
		     6);
	check_mapped("*\\?", "\x21\xf0\x26\xf0\x25\xf0", 6);
	check_mapped("\"<>|", "\x20\xf0\x23\xf0\x24\xf0\x27\xf0", 8);
	check_mapped("\x01", "\x01\xf0", 2);
	check_mapped("a.", "a\0\x29\xf0", 4);
	check_mapped("a ", "a\0\x28\xf0", 4);
	check_mapped(". .a", ".\0 \0.\0a\0", 8);
	check_mapped("..", ".\0.\0", 4);
	check_mapped(".", ".\0", 2);
	/* It would come back as a colon. */
	assert_int_equal(smb_utf16_put("\xef\x80\xa2", 3, SMB_MAP_POSIX, wide, 8), -EILSEQ);
}

static void times_are_exact(void **state)
{
	static const struct {
		uint64_t filetime;
		struct netfs_time time;
	} known[] = {
		{116444736000000000, {0, 0}},	       {116444736000000001, {0, 100}},
		{116444735999999999, {-1, 999999900}}, {1, {-11644473600, 100}},
		{133485408000000000, {1704067200, 0}}, /* 2024-01-01 */
	};
	struct netfs_time early = {-20000000000, 5}, late = {INT64_MAX, 999999999};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct netfs_time time = smb_time_get(known[i].filetime);

		assert_int_equal(time.sec, known[i].time.sec);
		assert_int_equal(time.nsec, known[i].time.nsec);
		assert_int_equal(smb_time_put(&time), known[i].filetime);
	}
	assert_int_equal(smb_time_put(&early), 1);
	assert_int_equal(smb_time_put(&late), INT64_MAX);
	assert_true(smb_time_get(UINT64_MAX).nsec < 1000000000);
}

static void statuses_have_names_and_meanings(void **state)
{
	static const int errors[] = {EPERM,   ENOENT, EIO,	 EBADF,	    EAGAIN,	  EACCES,
				     EBUSY,   EEXIST, EXDEV,	 ENOTDIR,   EISDIR,	  EINVAL,
				     ENOSPC,  EROFS,  EMLINK,	 ENOTEMPTY, ENAMETOOLONG, ELOOP,
				     ENODATA, EDQUOT, ECANCELED, ETIMEDOUT, EOPNOTSUPP,	  ERANGE,
				     EREMOTE, 0};

	assert_int_equal(smb_status_errno(SMB_STATUS_ACCESS_DENIED), -EACCES);
	assert_int_equal(smb_status_errno(SMB_STATUS_DISK_FULL), -ENOSPC);
	assert_int_equal(smb_status_errno(SMB_STATUS_PENDING), 0);
	assert_int_equal(smb_status_errno(0xc0ffffff), -EIO);
	assert_string_equal(smb_status_name(SMB_STATUS_SHARING_VIOLATION),
			    "STATUS_SHARING_VIOLATION");
	assert_string_equal(smb_status_name(SMB_STATUS_OK), "STATUS_OK");
	assert_string_equal(smb_status_name(SMB_STATUS_NO_PREAUTH_HASH_OVERLAP),
			    "STATUS_NO_PREAUTH_HASH_OVERLAP");
	assert_string_equal(smb_status_name(0xc0ffffff), "STATUS_?");
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		assert_int_equal(smb_status_errno(smb_status_of_errno(-errors[i])), -errors[i]);
}

static void identifiers_carry_numbers(void **state)
{
	struct smb_sid mode = smb_sid_of(SMB_SID_MODE, 0644), uid = smb_sid_of(SMB_SID_UID, 1000);
	struct smb_sid everyone = smb_sid_everyone();
	uint32_t number;
	char text[64];

	assert_string_equal(smb_sid_print(&mode, text, sizeof(text)), "S-1-5-88-3-420");
	assert_string_equal(smb_sid_print(&uid, text, sizeof(text)), "S-1-22-1-1000");
	assert_int_equal(smb_sid_number(&mode, &number), SMB_SID_MODE);
	assert_int_equal(number, 0644);
	assert_int_equal(smb_sid_number(&uid, &number), SMB_SID_UID);
	assert_int_equal(number, 1000);
	assert_int_equal(smb_sid_number(&everyone, &number), SMB_SID_OTHER);
	uid = (struct smb_sid){
		.revision = 1, .count = 3, .authority = {0, 0, 0, 0, 0, 5}, .sub = {88, 1, 7}};
	assert_int_equal(smb_sid_number(&uid, &number), SMB_SID_UID);
	assert_int_equal(number, 7);
}

static void links_in_files_are_known_by_length_and_hash(void **state)
{
	char file[SMB_XSYM_SIZE], target[SMB_XSYM_TARGET + 1];
	const char *found;
	size_t len;

	assert_int_equal(smb_xsym_encode("a", 1, file), 0);
	assert_memory_equal(file, "XSym\n0001\n0cc175b9c0f1b6a831c399e269772661\na\n  ", 47);
	assert_int_equal(file[SMB_XSYM_SIZE - 1], ' ');
	assert_int_equal(smb_xsym_decode(file, sizeof(file), &found, &len), 0);
	assert_int_equal(len, 1);
	assert_int_equal(smb_xsym_decode(file, sizeof(file) - 1, &found, &len), -EINVAL);
	file[43] = 'b';
	assert_int_equal(smb_xsym_decode(file, sizeof(file), &found, &len), -EINVAL);
	memset(target, 'x', sizeof(target));
	assert_int_equal(smb_xsym_encode(target, SMB_XSYM_TARGET, file), 0);
	assert_int_equal(smb_xsym_decode(file, sizeof(file), &found, &len), 0);
	assert_int_equal(len, SMB_XSYM_TARGET);
	assert_int_equal(smb_xsym_encode(target, sizeof(target), file), -ENAMETOOLONG);
	assert_int_equal(smb_xsym_encode("", 0, file), -EINVAL);
	assert_int_equal(smb_xsym_encode("a\nb", 3, file), -EINVAL);
}

/* MS-FSCC 2.1.2.4 and 2.1.2.6 */
static void reparse_points_are_these_bytes(void **state)
{
	static const uint8_t link[] = {0x0c, 0, 0, 0xa0, 14, 0, 0, 0, 0, 0,   2,
				       0,    2, 0, 0,	 0,  1, 0, 0, 0, 'x', 0};
	static const uint8_t fifo[] = {0x14, 0,	  0,   0x80, 8, 0, 0, 0,
				       'F',  'I', 'F', 'O',  0, 0, 0, 0};
	struct smb_reparse reparse = {.tag = SMB_TAG_SYMLINK,
				      .kind = SMB_REPARSE_SYMLINK,
				      .relative = true,
				      .target = {.p = u"x", .len = 2}};
	uint8_t bytes[64];

	assert_int_equal(smb_reparse_encode(&reparse, bytes, sizeof(bytes)), sizeof(link));
	assert_memory_equal(bytes, link, sizeof(link));
	reparse = (struct smb_reparse){.tag = SMB_TAG_NFS, .kind = SMB_REPARSE_FIFO};
	assert_int_equal(smb_reparse_encode(&reparse, bytes, sizeof(bytes)), sizeof(fifo));
	assert_memory_equal(bytes, fifo, sizeof(fifo));
	reparse.tag = SMB_TAG_SYMLINK;
	assert_int_equal(smb_reparse_encode(&reparse, bytes, sizeof(bytes)), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_go_over_and_back),
		cmocka_unit_test(every_code_point_comes_back),
		cmocka_unit_test(what_is_not_utf8_is_refused),
		cmocka_unit_test(reserved_characters_are_mapped),
		cmocka_unit_test(times_are_exact),
		cmocka_unit_test(statuses_have_names_and_meanings),
		cmocka_unit_test(identifiers_carry_numbers),
		cmocka_unit_test(links_in_files_are_known_by_length_and_hash),
		cmocka_unit_test(reparse_points_are_these_bytes),
	};

	return t_run(tests, NULL, NULL);
}
