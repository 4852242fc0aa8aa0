/* SPDX-License-Identifier: MIT */
/*
 * The list of back ends that exist in the simulated machine: those that need
 * nothing of the real one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <backend/backends.h>
#include <backend/registry.h>
#include <cache/cache.h>

static const struct netfs_be_ops *const all[] = {&netfs_p9_ops, &netfs_mem_ops, NULL};

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

/* The simulated machine has no disk that a catalogue could be on. */
int netfs_cache_open(const struct netfs_cache_config *config, struct netfs_cache **ret_cache,
		     char *message, size_t message_size)
{
	snprintf(message, message_size, "there is no disk cache here");
	return -EOPNOTSUPP;
}

void netfs_cache_close(struct netfs_cache *cache)
{
}
