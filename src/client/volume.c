/* SPDX-License-Identifier: MIT */
/*
 * A share's name in the catalogue of the disk cache and in the journal.
 *
 * Locks: none.
 */
#include <stdio.h>
#include <client/volume.h>
#include <env/alloc.h>

/* Options that say which share is meant, or for whom. */
static const char *const identity[] = {"aname", "port", "uname"};

#define IDENTITIES (sizeof(identity) / sizeof(identity[0]))

char *netfs_volume_name(const struct netfs_mount_options *options, const char *source, uint32_t uid)
{
	const struct netfs_be_config config = {
		.options = options->backend,
		.noptions = options->nbackend,
	};
	char *name = NULL;
	size_t size = 0;

	/* First how long it is, then the name. */
	for (unsigned pass = 0; pass < 2; pass++) {
		const char *tag = options->cachetag ? options->cachetag : source;
		size_t at = (size_t)snprintf(name, size, "%u %s", uid, tag);

		for (unsigned i = 0; i < IDENTITIES && !options->cachetag; i++) {
			const char *value = netfs_config_option(&config, identity[i]);

			if (value)
				at += (size_t)snprintf(name ? name + at : NULL,
						       name ? size - at : 0, " %s=%s", identity[i],
						       value);
		}
		if (pass == 0) {
			size = at + 1;
			name = netfs_alloc(size);
			if (!name)
				return NULL;
		}
	}
	return name;
}
