/* SPDX-License-Identifier: MIT */
#include <xxhash.h>
#include <crypt/aead.h>
#include <env/hostfs.h>
#include "put_block.h"

static int put_sealed(struct netfs_store_object *object, uint64_t block, const uint8_t *bytes,
		      size_t len)
{
	uint8_t hidden[NETFS_MAP_BLOCK];
	struct netfs_map_seal seal;
	struct netfs_aead *aead;
	int err = netfs_aead_new(object->seal.bytes, NETFS_AEAD_SEAL, &aead);

	if (err)
		return err;
	err = netfs_seal_nonces(&seal, 1);
	if (!err)
		err = netfs_seal_lock(aead, block, bytes, hidden, len, &seal);
	netfs_aead_free(aead);
	if (!err)
		err = netfs_hostfs_pwrite(object->fd, hidden, len, block * NETFS_MAP_BLOCK);
	if (!err)
		netfs_map_add_sealed(&object->map, block * NETFS_MAP_BLOCK, len, &seal);
	return err;
}

int put_block(struct netfs_store_object *object, uint64_t block, const uint8_t *bytes, size_t len)
{
	int err;

	if (object->map.sealed)
		return put_sealed(object, block, bytes, len);
	err = netfs_hostfs_pwrite(object->fd, bytes, len, block * NETFS_MAP_BLOCK);
	if (!err)
		netfs_map_add(&object->map, block * NETFS_MAP_BLOCK, len, XXH3_64bits(bytes, len));
	return err;
}
