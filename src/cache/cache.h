/* SPDX-License-Identifier: MIT */
/*
 * The door of the folder: a disk cache for the files of one mount, kept in a
 * folder that other mounts and processes may use at the same time.  It is a
 * struct netfs_cache as the engine knows it, see unetfs/cache.h.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stddef.h>
#include <unetfs/cache.h>

/* Percent of the file system, and of size, that is to stay free: culling goes
 * on until run, starts below cull, and nothing is stored below stop. */
struct netfs_cache_limits {
	uint32_t run;
	uint32_t cull;
	uint32_t stop;
};

/* What a cache is to be like.  Only read by netfs_cache_open(). */
struct netfs_cache_config {
	const char *folder; /* an absolute path */
	const char *volume; /* what names the share, and whose eyes see it */
	const uint8_t *secret; /* what it is sealed with; NULL: it is not */
	size_t secret_len; /* at least NETFS_CRYPT_SECRET_MIN */
	uint64_t size; /* bytes the folder may take; 0: what the disk has */
	struct netfs_cache_limits blocks;
	struct netfs_cache_limits files;
};

/* Blocking.  On failure message says why in one line.  -EINVAL: the limits are
 * not 0 <= stop < cull < run < 100, or folder is no absolute path. */
int netfs_cache_open(const struct netfs_cache_config *config, struct netfs_cache **ret_cache,
		     char *message, size_t message_size);
/* All cookies were relinquished.  Does not block: what is not recorded yet is
 * recorded in the background, before the executor stops. */
void netfs_cache_close(struct netfs_cache *cache);

#endif
