/* SPDX-License-Identifier: MIT */
/*
 * Goal: each mount option goes where it belongs, and what cannot be is refused
 * with its name.  Method: lists of words; the library's table is ours.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <cmocka.h>
#include <cli/cli.h>
#include <cli/options.h>

static struct netfs_cli_options options;
static char why[256];

/* The words this library knows. */
const struct netfs_option_help *netfs_option_help(void)
{
	static const struct netfs_option_help help[] = {
		{"ro", "read only", ""},
		{"rsize", "bytes", ""},
		{"cache", "mode", ""},
		{NULL, NULL, NULL},
	};

	return help;
}

/* What the file under test links and this test does not use. */
void netfs_cli_error(const char *format, ...)
{
	fail();
}

uint64_t netfs_cli_now_ms(void)
{
	return 0;
}

static void parse(const char *text)
{
	netfs_cli_options_init(&options, true);
	assert_int_equal(netfs_cli_options_parse(&options, text, why), 0);
}

static void refused(const char *text, const char *word)
{
	netfs_cli_options_init(&options, false);
	why[0] = '\0';
	assert_int_equal(netfs_cli_options_parse(&options, text, why), -EINVAL);
	assert_non_null(strstr(why, word));
}

static void words_are_split_at_commas(void **state)
{
	char word[16];
	bool cut;
	const char *pos = netfs_cli_options_word("a,b=c,,d", word, sizeof(word), &cut);

	assert_string_equal(word, "a");
	pos = netfs_cli_options_word(pos, word, sizeof(word), &cut);
	assert_string_equal(word, "b=c");
	pos = netfs_cli_options_word(pos, word, sizeof(word), &cut);
	assert_string_equal(word, "");
	pos = netfs_cli_options_word(pos, word, sizeof(word), &cut);
	assert_string_equal(word, "d");
	assert_null(netfs_cli_options_word(pos, word, sizeof(word), &cut));
}

static void quotes_and_backslashes_keep_commas(void **state)
{
	char word[16];
	bool cut;

	netfs_cli_options_word("a=\"x,y\",b", word, sizeof(word), &cut);
	assert_string_equal(word, "a=x,y");
	netfs_cli_options_word("a=x\\,y\\\\,b", word, sizeof(word), &cut);
	assert_string_equal(word, "a=x,y\\");
	assert_false(cut);
	netfs_cli_options_word("0123456789abcdefgh", word, sizeof(word), &cut);
	assert_true(cut);
	assert_string_equal(word, "0123456789abcde");
}

static void defaults_are_safe(void **state)
{
	parse("");
	assert_int_equal(options.mount_flags, MS_NOSUID | MS_NODEV);
	assert_true(options.allow_other);
	assert_string_equal(options.rest, "");
	netfs_cli_options_init(&options, false);
	assert_false(options.allow_other);
}

static void flags_are_taken_and_overridden(void **state)
{
	parse("suid,dev,noexec,noatime");
	assert_int_equal(options.mount_flags, MS_NOEXEC | MS_NOATIME);
	parse("ro,rw");
	assert_false(options.mount_flags & MS_RDONLY);
}

static void mlock_is_for_the_program(void **state)
{
	parse("hard");
	assert_false(options.mlock);
	parse("mlock,hard");
	assert_true(options.mlock);
	assert_string_equal(options.rest, "hard");
}

static void a_word_for_both_goes_to_both(void **state)
{
	parse("ro,rsize=1M");
	assert_true(options.mount_flags & MS_RDONLY);
	assert_string_equal(options.rest, "ro,rsize=1M");
}

static void words_of_fstab_are_accepted(void **state)
{
	parse("defaults,auto,nofail,_netdev,users,comment=mine,x-systemd.automount,x-gvfs-show");
	assert_string_equal(options.rest, "");
}

static void unknown_words_go_to_the_library_unless_sloppy(void **state)
{
	parse("nosuchword,cache=loose");
	assert_string_equal(options.rest, "nosuchword,cache=loose");
	netfs_cli_options_init(&options, true);
	options.sloppy = true;
	assert_int_equal(netfs_cli_options_parse(&options, "nosuchword,cache=loose", why), 0);
	assert_string_equal(options.rest, "cache=loose");
}

static void commas_survive_the_way_to_the_library(void **state)
{
	char word[64];
	bool cut;

	parse("aname=\"/a,b\\\\\"");
	assert_string_equal(options.rest, "aname=/a\\,b\\\\");
	netfs_cli_options_word(options.rest, word, sizeof(word), &cut);
	assert_string_equal(word, "aname=/a,b\\");
}

static void sizes_and_times_are_understood(void **state)
{
	parse("memory=64M,dirtymax=2g,threads=3,rasize=2M,kcache=writeback");
	assert_int_equal(options.client.memory_max, 64 << 20);
	assert_int_equal(options.client.dirty_max, UINT64_C(2) << 30);
	assert_int_equal(options.client.threads, 3);
	assert_int_equal(options.readahead_kb, 2048);
	assert_true(options.kernel_writeback);
	parse("rasize=1G");
	assert_int_equal(options.readahead_kb, 4096);
}

static void bad_values_are_refused(void **state)
{
	refused("memory=lots", "memory");
	refused("memory=", "memory");
	refused("memory", "memory");
	refused("dirtymax=0", "dirtymax");
	refused("threads=-1", "threads");
	refused("memory=99999999999999999999", "memory");
	refused("memory=99999999999T", "memory");
	refused("memory=1Mx", "memory");
	refused("kcache=sometimes", "kcache");
	refused("=value", "=value");
}

static void passwords_are_refused_without_repeating_them(void **state)
{
	refused("password=hunter2", "password");
	assert_null(strstr(why, "hunter2"));
	refused("ro,pass=hunter2", "pass");
	assert_null(strstr(why, "hunter2"));
}

static void endless_lists_are_refused(void **state)
{
	static char list[2 * NETFS_CLI_OPTIONS_MAX];

	for (size_t i = 0; i + 8 < sizeof(list); i += 7)
		memcpy(list + i, "unknown", 8);
	for (size_t i = 6; i + 8 < sizeof(list); i += 7)
		list[i] = ',';
	refused(list, "too long");
	memset(list, 'x', 2000);
	list[2000] = '\0';
	refused(list, "too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_split_at_commas),
		cmocka_unit_test(quotes_and_backslashes_keep_commas),
		cmocka_unit_test(defaults_are_safe),
		cmocka_unit_test(flags_are_taken_and_overridden),
		cmocka_unit_test(mlock_is_for_the_program),
		cmocka_unit_test(a_word_for_both_goes_to_both),
		cmocka_unit_test(words_of_fstab_are_accepted),
		cmocka_unit_test(unknown_words_go_to_the_library_unless_sloppy),
		cmocka_unit_test(commas_survive_the_way_to_the_library),
		cmocka_unit_test(sizes_and_times_are_understood),
		cmocka_unit_test(bad_values_are_refused),
		cmocka_unit_test(passwords_are_refused_without_repeating_them),
		cmocka_unit_test(endless_lists_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
