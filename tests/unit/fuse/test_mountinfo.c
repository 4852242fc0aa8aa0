/* SPDX-License-Identifier: MIT */
/*
 * Goal: lines of the kernel's list of mounts are understood whatever is in their
 * names, and malformed ones are refused.  Method: lines written by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <fuse/mountinfo.h>

static struct netfs_mountinfo info;

static void plain_line_is_taken_apart(void **state)
{
	assert_true(netfs_mountinfo_parse(
		"36 35 0:98 / /mnt rw,noatime shared:1 - fuse.unetfs 9p://h/a rw,user_id=0\n",
		&info));
	assert_int_equal(info.major, 0);
	assert_int_equal(info.minor, 98);
	assert_string_equal(info.mount_point, "/mnt");
	assert_string_equal(info.type, "fuse.unetfs");
	assert_string_equal(info.source, "9p://h/a");
}

static void any_number_of_optional_fields_is_skipped(void **state)
{
	assert_true(netfs_mountinfo_parse("1 2 8:1 / / rw - ext4 /dev/vda rw\n", &info));
	assert_int_equal(info.major, 8);
	assert_string_equal(info.type, "ext4");
	assert_true(netfs_mountinfo_parse(
		"1 2 8:1 / / rw shared:1 master:2 propagate_from:3 - xfs /dev/b rw\n", &info));
	assert_string_equal(info.type, "xfs");
}

static void escapes_in_names_are_undone(void **state)
{
	assert_true(netfs_mountinfo_parse(
		"1 2 0:3 / /a\\040b\\134c\\011d\\012e rw - fuse.unetfs dir:/x\\040y rw\n", &info));
	assert_string_equal(info.mount_point, "/a b\\c\td\ne");
	assert_string_equal(info.source, "dir:/x y");
}

static void malformed_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"\n",
		"1 2\n",
		"1 2 nonsense / / rw - ext4 /dev/vda rw\n",
		"1 2 8:1 / / rw shared:1\n",
		"1 2 8:1 / relative rw - ext4 /dev/vda rw\n",
		"1 2 8:1 / / rw -\n",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(netfs_mountinfo_parse(lines[i], &info));
}

static void overlong_names_are_cut_not_overrun(void **state)
{
	static char line[3 * PATH_MAX];
	size_t n = (size_t)snprintf(line, sizeof(line), "1 2 0:7 / /");

	memset(line + n, 'x', 2 * PATH_MAX);
	strcpy(line + n + 2 * PATH_MAX, " rw - fuse.unetfs src rw\n");
	assert_true(netfs_mountinfo_parse(line, &info));
	assert_int_equal(strlen(info.mount_point), PATH_MAX - 1);
	assert_string_equal(info.source, "src");
}

static void list_of_this_machine_has_a_proc(void **state)
{
	assert_int_equal(netfs_mountinfo_find("/proc", &info), 0);
	assert_string_equal(info.type, "proc");
	assert_true(netfs_mountinfo_find("/no/such/mount", &info) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_line_is_taken_apart),
		cmocka_unit_test(any_number_of_optional_fields_is_skipped),
		cmocka_unit_test(escapes_in_names_are_undone),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(overlong_names_are_cut_not_overrun),
		cmocka_unit_test(list_of_this_machine_has_a_proc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
