/* SPDX-License-Identifier: MIT */
/* The blocks of one transfer of a sealed object. */
#ifndef CACHE_SEAL_IO_H
#define CACHE_SEAL_IO_H

#include <cache/walk.h>

/* All of it the caller's. */
struct cache_sealing {
	const uint8_t *key; /* the object's */
	uint64_t block; /* number of the first */
	size_t len; /* bytes: whole blocks, but for the last */
	const struct iovec *iov; /* has them */
	struct netfs_map_seal *seals; /* one for each */
};

/* From the pieces into out, which has room for len bytes; makes the seals.  No
 * lock held.  -ENOMEM, -EIO. */
int cache_seal_blocks(const struct cache_sealing *sealing, uint8_t *out);
/* In place; how many blocks from the first on are what was sealed.  What comes
 * behind them is rubbish.  No lock held. */
unsigned cache_unseal_blocks(const struct cache_sealing *sealing);

#endif
