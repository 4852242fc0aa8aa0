/* SPDX-License-Identifier: MIT */
/*
 * Sealing on the way to the disk and back.
 *
 *	write	pieces of the slice --> a buffer of the cache's own --> disk
 *	read	disk --> pieces of the slice, in place
 *
 * A block that lies in several pieces goes through one on the stack.  The key is
 * set up once for all blocks of a transfer.
 *
 * Locks: none; this is where the time goes.
 */
#include <cache/seal_io.h>
#include <cache/store/seal.h>
#include <crypt/aead.h>

/* Bytes of the block at that place of the transfer. */
static size_t len_at(const struct cache_sealing *sealing, size_t at)
{
	size_t left = sealing->len - at;

	return left < NETFS_MAP_BLOCK ? left : NETFS_MAP_BLOCK;
}

int cache_seal_blocks(const struct cache_sealing *sealing, uint8_t *out)
{
	unsigned n = (unsigned)((sealing->len + NETFS_MAP_BLOCK - 1) / NETFS_MAP_BLOCK);
	struct cache_walk walk = {sealing->iov, 0};
	uint8_t whole[NETFS_MAP_BLOCK];
	struct netfs_aead *aead;
	int err = netfs_aead_new(sealing->key, NETFS_AEAD_SEAL, &aead);

	if (err)
		return err;
	err = netfs_seal_nonces(sealing->seals, n);
	for (unsigned i = 0; i < n && !err; i++) {
		size_t at = i * NETFS_MAP_BLOCK, len = len_at(sealing, at);

		err = netfs_seal_lock(aead, sealing->block + i, cache_walk_get(&walk, len, whole),
				      out + at, len, &sealing->seals[i]);
	}
	netfs_aead_free(aead);
	return err;
}

/* The next block, in place. */
static int unseal_next(struct netfs_aead *aead, const struct cache_sealing *sealing,
		       struct cache_walk *walk, unsigned i)
{
	size_t len = len_at(sealing, i * NETFS_MAP_BLOCK);
	struct cache_walk before = *walk;
	uint8_t whole[NETFS_MAP_BLOCK];
	const uint8_t *in = cache_walk_get(walk, len, whole);
	/* Of the slice, which is ours to write; or whole. */
	uint8_t *out = in == whole ? whole : (uint8_t *)before.iov->iov_base + before.at;
	int err = netfs_seal_unlock(aead, sealing->block + i, in, out, len, &sealing->seals[i]);

	if (!err && out == whole)
		cache_walk_put(before, whole, len);
	return err;
}

unsigned cache_unseal_blocks(const struct cache_sealing *sealing)
{
	unsigned n = (unsigned)((sealing->len + NETFS_MAP_BLOCK - 1) / NETFS_MAP_BLOCK), i = 0;
	struct cache_walk walk = {sealing->iov, 0};
	struct netfs_aead *aead;

	if (netfs_aead_new(sealing->key, NETFS_AEAD_OPEN, &aead))
		return 0;
	while (i < n && !unseal_next(aead, sealing, &walk, i))
		i++;
	netfs_aead_free(aead);
	return i;
}
