/* SPDX-License-Identifier: MIT */
/*
 * Goal: lines about the inside of a mount become records and trace events;
 * anything else is refused.  Method: lines written by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <cli/inside.h>

static struct netfs_trace_record record;

static bool parse(const char *text)
{
	static char line[512];
	char *words[NETFS_CLI_WORDS_MAX];

	snprintf(line, sizeof(line), "%s", text);
	return netfs_cli_inside_record(words, netfs_cli_words(line, words), &record);
}

static void a_line_becomes_a_record(void **state)
{
	assert_true(parse("t 12345 3 netfs_rreq NEW 42 1 18446744073709551615 4096 512 -5 "
			  "origin 17234 RC"));
	assert_int_equal(record.time_ns, 12345);
	assert_int_equal(record.thread, 3);
	assert_string_equal(record.group, "netfs_rreq");
	assert_string_equal(record.code, "NEW");
	assert_int_equal(record.request, 42);
	assert_int_equal(record.sub, 1);
	assert_true(record.inode == UINT64_MAX);
	assert_int_equal(record.start, 4096);
	assert_int_equal(record.len, 512);
	assert_int_equal(record.error, -5);
	assert_string_equal(record.extra_name, "origin");
	assert_int_equal(record.extra, 17234);
	assert_string_equal(record.extra_text, "RC");
	assert_true(parse("t 1 0 g c 0 0 0 0 0 0 - 0 -"));
	assert_null(record.extra_name);
	assert_string_equal(record.extra_text, "");
}

static void malformed_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"t",
		"x 1 0 g c 0 0 0 0 0 0 - 0 -",
		"t 1 0 g c 0 0 0 0 0 0 - 0",
		"t 1 0 g c 0 0 0 0 0 0 - 0 - -",
		"t x 0 g c 0 0 0 0 0 0 - 0 -",
		"t 1 0 g c 0 0 0 0 0 0x1 - 0 -",
		"t 1 0 g c 0 0 0 0 0 - - 0 -",
		"t 18446744073709551616 0 g c 0 0 0 0 0 0 - 0 -",
		"t 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(parse(lines[i]));
}

static void what_would_break_json_is_not_shown(void **state)
{
	assert_true(parse("t 1 0 g\" c\\ 0 0 0 0 0 0 - 0 \x1b[2J"));
	assert_string_equal(record.group, "g?");
	assert_string_equal(record.code, "c?");
	assert_string_equal(record.extra_text, "?[2J");
}

static void expect_event(const char *line, const char *want)
{
	struct netfs_cli_text text;

	netfs_cli_text_init(&text);
	assert_true(parse(line));
	netfs_cli_inside_event(&text, &record, 77);
	assert_string_equal(text.data, want);
	netfs_cli_text_done(&text);
}

static void requests_and_attempts_become_slices_others_instants(void **state)
{
	expect_event("t 1002003 2 netfs_rreq NEW 42 0 9 0 0 0 origin 1 RA",
		     "{\"ph\":\"b\",\"cat\":\"request\",\"id\":\"2a\",\"name\":\"RA\","
		     "\"ts\":1002.003,\"pid\":77,\"tid\":2,\"args\":{\"request\":42,\"sub\":0,"
		     "\"inode\":9,\"start\":0,\"len\":0,\"error\":0,\"origin\":\"RA\"}}");
	expect_event("t 1002003 2 netfs_rreq FREE 42 0 9 0 0 0 origin 1 RA",
		     "{\"ph\":\"e\",\"cat\":\"request\",\"id\":\"2a\",\"name\":\"RA\","
		     "\"ts\":1002.003,\"pid\":77,\"tid\":2,\"args\":{\"request\":42,\"sub\":0,"
		     "\"inode\":9,\"start\":0,\"len\":0,\"error\":0,\"origin\":\"RA\"}}");
	expect_event("t 1000 2 netfs_sreq TERM 42 3 9 10 20 -5 flags 1 -",
		     "{\"ph\":\"e\",\"cat\":\"subrequest\",\"id\":\"2a.3\",\"name\":\"R=2a[3]\","
		     "\"ts\":1.000,\"pid\":77,\"tid\":2,\"args\":{\"request\":42,\"sub\":3,"
		     "\"inode\":9,\"start\":10,\"len\":20,\"error\":-5,\"flags\":1}}");
	expect_event("t 1000 2 netfs_folio add 0 0 9 0 4096 0 - 0 -",
		     "{\"ph\":\"i\",\"s\":\"t\",\"cat\":\"netfs_folio\",\"name\":\"add\","
		     "\"ts\":1.000,\"pid\":77,\"tid\":2,\"args\":{\"request\":0,\"sub\":0,"
		     "\"inode\":9,\"start\":0,\"len\":4096,\"error\":0}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_becomes_a_record),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(what_would_break_json_is_not_shown),
		cmocka_unit_test(requests_and_attempts_become_slices_others_instants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
