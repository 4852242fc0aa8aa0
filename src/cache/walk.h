/* SPDX-License-Identifier: MIT */
/* The pieces of a transfer, block by block. */
#ifndef CACHE_WALK_H
#define CACHE_WALK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <cache/store/map.h>

/* Where in a row of pieces one is.  The pieces have what is asked for. */
struct cache_walk {
	const struct iovec *iov;
	size_t at; /* in the first */
};

/* The next len bytes, at most a block: where they are, or in whole where they are
 * in several pieces. */
const uint8_t *cache_walk_get(struct cache_walk *walk, size_t len, uint8_t whole[NETFS_MAP_BLOCK]);
/* The other way; walk stays where it is.  bytes are not in the pieces. */
void cache_walk_put(struct cache_walk walk, const uint8_t *bytes, size_t len);

#endif
