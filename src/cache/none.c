/* SPDX-License-Identifier: MIT */
/*
 * The door of the folder where there is no disk a catalogue could be on: in the
 * simulated machine.
 *
 * Locks: none.
 */
#include <errno.h>
#include <stdio.h>
#include <cache/cache.h>

int netfs_cache_open(const struct netfs_cache_config *config, struct netfs_cache **ret_cache,
		     char *message, size_t message_size)
{
	snprintf(message, message_size, "there is no disk cache on this machine");
	return -EOPNOTSUPP;
}

/* There never was one. */
void netfs_cache_close(struct netfs_cache *cache)
{
}
