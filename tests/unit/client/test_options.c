/* SPDX-License-Identifier: MIT */
/*
 * Goal: mount options mean what the manual says, words of fstab do no harm,
 * and whatever is not understood is refused.
 * Method: tables of words, and what comes out.
 */
#include <errno.h>
#include <string.h>
#include <client/options.h>
#include <vfs/vfs.h>
#include <t.h>

static const struct netfs_option_info words[] = {
	{"delay", "how slow"},
	{"some_word", "something"},
	{"timeo", "also ours"},
	{NULL, NULL},
};

static const struct netfs_be_ops plain = {.scheme = "plain", .options = words};
static const struct netfs_be_ops p9 = {.scheme = "9p"};

static struct netfs_mount_options parse(const char *text, const struct netfs_be_ops *ops)
{
	struct netfs_mount_options options;
	char message[256] = "";

	if (netfs_options_parse(text, ops, &options, message, sizeof(message)))
		fail_msg("'%s': %s", text ? text : "", message);
	return options;
}

static void without_options_the_scheme_decides_the_mode(void **unused)
{
	struct netfs_mount_options options = parse(NULL, &plain);

	assert_string_equal(options.mode->name, "strict");
	assert_false(options.read_only);
	assert_false(options.soft);
	assert_false(options.local_locks);
	assert_int_equal(netfs_options_attr_ttl(&options), 1000);
	assert_int_equal(netfs_options_negative_ttl(&options), 0);
	assert_true(options.rsize == NETFS_OPTION_UNSET);
	netfs_options_done(&options);

	options = parse("", &p9);
	assert_string_equal(options.mode->name, "none");
	assert_true(options.mode->unbuffered);
	assert_int_equal(netfs_options_attr_ttl(&options), 0);
	netfs_options_done(&options);
}

static void modes_and_times_go_together(void **unused)
{
	struct netfs_mount_options options = parse("cache=loose", &p9);

	assert_int_equal(netfs_options_attr_ttl(&options), 60000);
	assert_int_equal(netfs_options_entry_ttl(&options), 60000);
	assert_false(options.mode->close_writes);
	netfs_options_done(&options);

	options = parse("cache=loose,actimeo=3,negtimeo=0.5", &p9);
	assert_int_equal(netfs_options_attr_ttl(&options), 3000);
	assert_int_equal(netfs_options_dir_ttl(&options), 3000);
	assert_int_equal(netfs_options_negative_ttl(&options), 500);
	netfs_options_done(&options);

	options = parse("acregmax=7,acdirmax=9", &plain);
	assert_int_equal(netfs_options_attr_ttl(&options), 7000);
	assert_int_equal(netfs_options_dir_ttl(&options), 9000);
	assert_int_equal(netfs_options_entry_ttl(&options), 9000);
	netfs_options_done(&options);

	options = parse("noac", &plain);
	assert_int_equal(netfs_options_attr_ttl(&options), 0);
	assert_int_equal(netfs_options_entry_ttl(&options), 0);
	netfs_options_done(&options);

	options = parse("cache=immutable", &plain);
	assert_true(options.read_only);
	assert_true(netfs_options_attr_ttl(&options) == NETFS_TTL_FOREVER);
	netfs_options_done(&options);
}

static void numbers_have_units(void **unused)
{
	struct netfs_mount_options options =
		parse("rsize=64k,wsize=1M,rasize=4096,timeo=30,retrans=5,dirtyage=2", &plain);

	assert_int_equal(options.rsize, 65536);
	assert_int_equal(options.wsize, 1 << 20);
	assert_int_equal(options.rasize, 4096);
	assert_int_equal(options.timeo, 30);
	assert_int_equal(options.retrans, 5);
	assert_int_equal(options.dirtyage, 2000);
	netfs_options_done(&options);
}

static void switches_switch(void **unused)
{
	struct netfs_mount_options options = parse("ro,soft,sync,nobrl", &plain);

	assert_true(options.read_only);
	assert_true(options.soft);
	assert_true(options.sync);
	assert_true(options.local_locks);
	netfs_options_done(&options);
	options = parse("ro,rw,soft,hard,nolock,locks=server", &plain);
	assert_false(options.read_only);
	assert_false(options.soft);
	assert_false(options.local_locks);
	netfs_options_done(&options);
}

static void words_of_fstab_do_no_harm(void **unused)
{
	struct netfs_mount_options options =
		parse("defaults,_netdev,noauto,nofail,user,users,nosuid,nodev,noexec,noatime,"
		      "relatime,nodiratime,x-systemd.automount,x-gvfs-hide,comment=mine,,",
		      &plain);

	assert_int_equal(options.nbackend, 0);
	netfs_options_done(&options);
}

static void the_back_end_gets_its_own_words(void **unused)
{
	struct netfs_mount_options options =
		parse("delay=5\\,6,some-word,timeo=9,delay=\"7,8\"", &plain);

	assert_int_equal(options.nbackend, 4);
	assert_string_equal(options.backend[0].name, "delay");
	assert_string_equal(options.backend[0].value, "5,6");
	assert_string_equal(options.backend[1].name, "some_word");
	assert_string_equal(options.backend[1].value, "");
	assert_string_equal(options.backend[2].name, "timeo");
	assert_string_equal(options.backend[3].value, "7,8");
	assert_int_equal(options.timeo, 9);
	netfs_options_done(&options);
}

static const char *const refused[] = {
	"bogus",
	"cach=none",
	"cache",
	"cache=sometimes",
	"rsize",
	"rsize=",
	"rsize=12q",
	"rsize=-1",
	"rsize=5g",
	"actimeo=soon",
	"actimeo=1.2.3",
	"locks=maybe",
	"timeo=99999999999",
	"ro=yes",
	"noac=1",
	"actimeo=9999999999999999999999",
	"delays=1",
};

static void what_is_not_understood_is_refused(void **unused)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct netfs_mount_options options;
		char message[256] = "";

		if (netfs_options_parse(refused[i], &plain, &options, message, sizeof(message)) !=
		    -EINVAL)
			fail_msg("'%s' was accepted", refused[i]);
		assert_true(strlen(message) > 10);
	}
}

static void a_misspelt_option_is_named(void **unused)
{
	struct netfs_mount_options options;
	char message[256] = "";

	assert_int_equal(
		netfs_options_parse("ro,bogus=1", &plain, &options, message, sizeof(message)),
		-EINVAL);
	assert_string_equal(message, "unknown option 'bogus'; see unetfs mount --help");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_options_the_scheme_decides_the_mode),
		cmocka_unit_test(modes_and_times_go_together),
		cmocka_unit_test(numbers_have_units),
		cmocka_unit_test(switches_switch),
		cmocka_unit_test(words_of_fstab_do_no_harm),
		cmocka_unit_test(the_back_end_gets_its_own_words),
		cmocka_unit_test(what_is_not_understood_is_refused),
		cmocka_unit_test(a_misspelt_option_is_named),
	};

	return t_run(tests, NULL, NULL);
}
