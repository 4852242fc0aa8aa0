/* SPDX-License-Identifier: MIT */
/*
 * Goal: whatever bytes a name has, the JSON around it is valid.  Method: strings
 * with each kind of byte, compared with what a JSON reader must see.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <cli/text.h>

static struct netfs_cli_text text;

static int setup(void **state)
{
	netfs_cli_text_init(&text);
	return 0;
}

static int teardown(void **state)
{
	netfs_cli_text_done(&text);
	return 0;
}

static void string_is(const char *value, const char *json)
{
	netfs_cli_text_done(&text);
	netfs_cli_json_string(&text, value);
	assert_string_equal(text.data, json);
}

static void plain_text_stays(void **state)
{
	string_is("", "\"\"");
	string_is("/mnt/a b", "\"/mnt/a b\"");
}

static void quotes_backslashes_and_controls_are_escaped(void **state)
{
	string_is("a\"b\\c", "\"a\\\"b\\\\c\"");
	string_is("\n\t\x01\x7f", "\"\\u000a\\u0009\\u0001\\u007f\"");
}

static void well_formed_utf8_stays(void **state)
{
	string_is("gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\"");
	string_is("\xe2\x82\xac \xf0\x9f\x98\x80", "\"\xe2\x82\xac \xf0\x9f\x98\x80\"");
}

static void other_bytes_are_replaced_one_by_one(void **state)
{
	string_is("a\xff"
		  "b",
		  "\"a\\ufffdb\"");
	string_is("\xc3", "\"\\ufffd\"");
	string_is("\xe2\x82", "\"\\ufffd\\ufffd\"");
	string_is("\xc0\x80", "\"\\ufffd\\ufffd\"");
	string_is("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");
	string_is("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
	string_is("\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\"");
}

static void commas_stand_between_members_only(void **state)
{
	netfs_cli_json_open(&text, '[');
	for (int i = 0; i < 2; i++) {
		netfs_cli_json_next(&text);
		netfs_cli_json_open(&text, '{');
		netfs_cli_json_key(&text, "a");
		netfs_cli_json_string(&text, ":");
		netfs_cli_json_key(&text, "b");
		netfs_cli_json_open(&text, '{');
		netfs_cli_json_key(&text, "c");
		netfs_cli_text_add(&text, "%d", i);
		netfs_cli_json_close(&text, '}');
		netfs_cli_json_close(&text, '}');
	}
	netfs_cli_json_close(&text, ']');
	assert_string_equal(text.data,
			    "[{\"a\":\":\",\"b\":{\"c\":0}},{\"a\":\":\",\"b\":{\"c\":1}}]");
}

static void text_grows_as_needed(void **state)
{
	for (int i = 0; i < 5000; i++)
		netfs_cli_text_add(&text, "%d ", i % 10);
	assert_int_equal(text.len, 10000);
	assert_int_equal(strlen(text.data), 10000);
	assert_false(text.failed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_text_stays),
		TEST(quotes_backslashes_and_controls_are_escaped),
		TEST(well_formed_utf8_stays),
		TEST(other_bytes_are_replaced_one_by_one),
		TEST(commas_stand_between_members_only),
		TEST(text_grows_as_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
