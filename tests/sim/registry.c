/* SPDX-License-Identifier: MIT */
/*
 * The list of back ends that exist in the simulated machine: those that need
 * nothing of the real one.
 */
#include <string.h>
#include <backend/backends.h>
#include <backend/registry.h>

static const struct netfs_be_ops *const all[] = {&netfs_p9_ops, &netfs_smb_ops, &netfs_mem_ops,
						 NULL};

const struct netfs_be_ops *netfs_backend_at(unsigned i)
{
	return i < sizeof(all) / sizeof(all[0]) ? all[i] : NULL;
}

const struct netfs_be_ops *netfs_backend_find(const char *scheme)
{
	for (unsigned i = 0; all[i]; i++)
		if (!strcmp(all[i]->scheme, scheme))
			return all[i];
	return NULL;
}
