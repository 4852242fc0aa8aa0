/* SPDX-License-Identifier: MIT */
/*
 * Goal: every form of source is taken apart as documented, and every broken
 * one is refused with a line that says why.
 * Method: a table of both.
 */
#include <errno.h>
#include <string.h>
#include <client/source.h>
#include <t.h>

struct good {
	const char *text;
	const char *scheme, *host, *port, *path;
};

static const struct good good[] = {
	{"mem:", "mem", "", "", ""},
	{"mem:share", "mem", "", "", "share"},
	{"dir:/srv/data", "dir", "", "", "/srv/data"},
	{"dir:relative/path", "dir", "", "", "relative/path"},
	{"9p://host", "9p", "host", "", ""},
	{"9p://host/", "9p", "host", "", "/"},
	{"9p://host/export/home", "9p", "host", "", "/export/home"},
	{"9p://host:564/export", "9p", "host", "564", "/export"},
	{"9p://host:9pfs", "9p", "host", "9pfs", ""},
	{"9p://[::1]:564/x", "9p", "::1", "564", "/x"},
	{"9p://[fe80::1]/x", "9p", "fe80::1", "", "/x"},
	{"9p:///run/diod.sock", "9p", "", "", "/run/diod.sock"},
	{"dir:/with%20and:colons//slashes/", "dir", "", "", "/with%20and:colons//slashes/"},
	{"9p://10.0.0.1:564/a:b", "9p", "10.0.0.1", "564", "/a:b"},
};

struct bad {
	const char *text;
	const char *says;
};

static const struct bad bad[] = {
	{"", "no scheme"},
	{"/srv/data", "no scheme"},
	{":/x", "no scheme"},
	{"NoScheme:/x", "no scheme"},
	{"9p://host:/x", "port is missing"},
	{"9p://:564/x", "host is missing"},
	{"9p://::1/x", "brackets"},
	{"9p://[::1/x", "']' is missing"},
	{"9p://[::1]564/x", "after ']'"},
};

static void good_sources_are_taken_apart(void **unused)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct netfs_source_parts parts;
		char message[256] = "";

		if (netfs_source_parse(good[i].text, &parts, message, sizeof(message)))
			fail_msg("%s: %s", good[i].text, message);
		assert_string_equal(parts.source.scheme, good[i].scheme);
		assert_string_equal(parts.source.host, good[i].host);
		assert_string_equal(parts.source.port, good[i].port);
		assert_string_equal(parts.source.path, good[i].path);
		netfs_source_done(&parts);
	}
}

static void bad_sources_are_refused_with_a_reason(void **unused)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct netfs_source_parts parts;
		char message[256] = "";

		assert_int_equal(netfs_source_parse(bad[i].text, &parts, message, sizeof(message)),
				 -EINVAL);
		if (!strstr(message, bad[i].says))
			fail_msg("'%s' says '%s'", bad[i].text, message);
	}
}

static void an_endless_source_is_refused(void **unused)
{
	struct netfs_source_parts parts;
	char text[6000], message[256];

	memset(text, 'a', sizeof(text));
	memcpy(text, "mem:", 4);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(netfs_source_parse(text, &parts, message, sizeof(message)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_sources_are_taken_apart),
		cmocka_unit_test(bad_sources_are_refused_with_a_reason),
		cmocka_unit_test(an_endless_source_is_refused),
	};

	return t_run(tests, NULL, NULL);
}
