/* SPDX-License-Identifier: MIT */
/*
 * The one list of compiled-in back ends.  A new one is a line here and one in
 * backends.h.
 *
 * Locks: none; the list never changes.
 */
#include <string.h>
#include <backend/backends.h>
#include <backend/registry.h>

static const struct netfs_be_ops *const backends[] = {
	&netfs_smb_ops,
	&netfs_p9_ops,
	&netfs_dir_ops,
	&netfs_mem_ops,
};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

const struct netfs_be_ops *netfs_backend_at(unsigned i)
{
	return i < BACKENDS ? backends[i] : NULL;
}

const struct netfs_be_ops *netfs_backend_find(const char *scheme)
{
	for (unsigned i = 0; i < BACKENDS; i++)
		if (!strcmp(backends[i]->scheme, scheme))
			return backends[i];
	return NULL;
}
