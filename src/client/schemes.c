/* SPDX-License-Identifier: MIT */
/*
 * What depends on the list of back ends: finding one by its scheme, and the
 * help on options.  Apart from mount_open.c, so that a program which brings its
 * own back end need not link the others.
 *
 * Locks: none; the table of help is filled before main().
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <backend/registry.h>
#include <base/assert.h>
#include <client/client.h>
#include <client/options.h>
#include <client/source.h>
#include <vfs/vfs.h>

#define HELP_MAX 256

static struct netfs_option_help help[HELP_MAX];

static void help_add(unsigned *at, const char *name, const char *meaning, const char *scheme)
{
	netfs_assert(*at < HELP_MAX - 1);
	help[(*at)++] = (struct netfs_option_help){
		.name = name,
		.meaning = meaning,
		.scheme = scheme,
	};
}

__attribute__((constructor)) static void help_fill(void)
{
	const struct netfs_be_ops *ops;
	const char *name, *meaning;
	unsigned at = 0;

	for (unsigned i = 0; netfs_options_help_at(i, &name, &meaning); i++)
		help_add(&at, name, meaning, "");
	for (unsigned i = 0; (ops = netfs_backend_at(i)); i++) {
		const struct netfs_option_info *info = ops->options;

		for (; info && info->name; info++)
			help_add(&at, info->name, info->meaning, ops->scheme);
	}
}

const struct netfs_option_help *netfs_option_help(void)
{
	return help;
}

static void list_schemes(char *text, size_t size)
{
	const struct netfs_be_ops *ops;
	size_t used = 0;

	text[0] = 0;
	for (unsigned i = 0; (ops = netfs_backend_at(i)) && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
					 ops->scheme);
}

void netfs_mount_open(struct netfs_client *client, const char *source, const char *options,
		      struct netfs_call *call)
{
	struct netfs_source_parts parts;
	const struct netfs_be_ops *ops;
	char known[128];
	int err;

	call->message[0] = 0;
	err = netfs_source_parse(source, &parts, call->message, sizeof(call->message));
	if (err) {
		netfs_call_complete(call, err);
		return;
	}
	ops = netfs_backend_find(parts.source.scheme);
	if (ops) {
		netfs_source_done(&parts);
		netfs_mount_open_with(client, ops, source, options, call);
		return;
	}
	list_schemes(known, sizeof(known));
	snprintf(call->message, sizeof(call->message),
		 "unknown scheme '%.20s' in '%.60s'; known: %.100s", parts.source.scheme, source,
		 known);
	netfs_source_done(&parts);
	netfs_call_complete(call, -EINVAL);
}
