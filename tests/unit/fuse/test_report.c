/* SPDX-License-Identifier: MIT */
/*
 * Goal: lines of a report become facts and JSON; anything else is refused.  The
 * path of a mount point is found without touching it.  Method: lines and paths
 * written by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <cli/cli.h>
#include <cli/report.h>
#include <unetfs/unetfs.h>

/* What the files under test link and this test does not use. */
const struct netfs_option_help *netfs_option_help(void)
{
	static const struct netfs_option_help none[1];

	return none;
}

void netfs_cli_error(const char *format, ...)
{
	fail();
}

uint64_t netfs_cli_now_ms(void)
{
	return 0;
}

static struct netfs_cli_fact fact;

static bool parse(const char *text)
{
	static char line[256];

	snprintf(line, sizeof(line), "%s", text);
	return netfs_cli_fact_parse(line, &fact);
}

static void each_kind_of_line_is_taken_apart(void **state)
{
	assert_true(parse("s source dir:/a b"));
	assert_int_equal(fact.kind, 's');
	assert_string_equal(fact.name, "source");
	assert_string_equal(fact.value, "dir:/a b");
	assert_true(parse("s address "));
	assert_string_equal(fact.value, "");
	assert_true(parse("u dirty 123"));
	assert_string_equal(fact.value, "123");
	assert_true(parse("b connected 1"));
	assert_true(parse("c read_bytes 7 Reads DR bytes those reads returned"));
	assert_string_equal(fact.name, "read_bytes");
	assert_string_equal(fact.value, "7");
	assert_string_equal(fact.group, "Reads");
	assert_string_equal(fact.code, "DR");
	assert_string_equal(fact.meaning, "bytes those reads returned");
}

static void malformed_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"s",
		"x name value",
		"sname value",
		"s name",
		"u dirty",
		"u dirty x",
		"u dirty -1",
		"u dirty 1;2",
		"c reads 7",
		"s  value",
		"c reads 7 Reads",
		"c reads 7 Reads DR",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(parse(lines[i]));
}

static void control_characters_are_not_shown(void **state)
{
	assert_true(parse("s source a\x1b[2Jb\x7f"));
	assert_string_equal(fact.value, "a?[2Jb?");
}

static void facts_become_members_of_their_type(void **state)
{
	struct netfs_cli_text text;

	netfs_cli_text_init(&text);
	netfs_cli_json_open(&text, '{');
	assert_true(parse("s source \"x\""));
	netfs_cli_fact_json(&text, &fact);
	assert_true(parse("b connected 0"));
	netfs_cli_fact_json(&text, &fact);
	assert_true(parse("u dirty 18446744073709551615"));
	netfs_cli_fact_json(&text, &fact);
	netfs_cli_json_close(&text, '}');
	assert_string_equal(text.data, "{\"source\":\"\\\"x\\\"\",\"connected\":false,"
				       "\"dirty\":18446744073709551615}");
	netfs_cli_text_done(&text);
}

static void path_of_a_mount_point_resolves_all_but_its_last_name(void **state)
{
	char dir[] = "/tmp/unetfs-path-XXXXXX", given[64], want[64], path[PATH_MAX];

	assert_non_null(mkdtemp(dir));
	snprintf(given, sizeof(given), "%s/../%s/missing//", dir, dir + 5);
	snprintf(want, sizeof(want), "%s/missing", dir);
	assert_int_equal(netfs_cli_path(given, path), 0);
	assert_string_equal(path, want);
	snprintf(given, sizeof(given), "%s/.", dir);
	assert_int_equal(netfs_cli_path(given, path), 0);
	assert_string_equal(path, dir);
	assert_int_equal(netfs_cli_path("/", path), 0);
	assert_string_equal(path, "/");
	assert_int_equal(netfs_cli_path("/tmp", path), 0);
	assert_string_equal(path, "/tmp");
	assert_true(netfs_cli_path("/no/such/parent/x", path) < 0);
	assert_true(netfs_cli_path("", path) < 0);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_line_is_taken_apart),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(control_characters_are_not_shown),
		cmocka_unit_test(facts_become_members_of_their_type),
		cmocka_unit_test(path_of_a_mount_point_resolves_all_but_its_last_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
