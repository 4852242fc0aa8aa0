/* SPDX-License-Identifier: MIT */
/*
 * The key is made from what the share's own file says, as any client does it.
 * Whether a seed encrypts is drawn apart from everything else, so that a run
 * without encryption is what it would be if there were none.
 */
#include <stdlib.h>
#include <string.h>
#include <crypt/crypt.h>
#include <env/secret.h>
#include <vfs/vfs.h>
#include "world.h"

#define ONE_IN 5

bool cipher_wanted(const struct world_options *options)
{
	struct rng rng;

	if (options->cipher != CIPHER_DRAWN || options->fsx)
		return options->cipher == CIPHER_ON;
	rng_init(&rng, options->seed ^ UINT64_C(0xc1b4e7));
	return rng_one_in(&rng, ONE_IN);
}

/* The second line of the share's file, in hexadecimal. */
static bool read_salt(const struct image *image, uint8_t *salt)
{
	const char *text = (const char *)image->bytes;
	const char *line = image->size ? memchr(text, '\n', image->size) : NULL;

	if (!line || image->size - (uint64_t)(line - text) < 2 * NETFS_CRYPT_SALT_SIZE + 1)
		return false;
	for (unsigned i = 0; i < NETFS_CRYPT_SALT_SIZE; i++)
		if (sscanf(line + 1 + 2 * i, "%2hhx", &salt[i]) != 1)
			return false;
	return true;
}

void cipher_start(struct world *world)
{
	struct node *node = tree_find(world->server.tree->root, NETFS_CRYPT_NAME);
	uint8_t salt[NETFS_CRYPT_SALT_SIZE], secret[NETFS_SECRET_MAX];
	ssize_t len;

	if (!world->cipher.on)
		return;
	if (!node || !read_salt(&node->now, salt))
		world_fail(world, "the share does not say what its key is");
	len = netfs_secret_from_file("/key", secret);
	if (len < 0 || netfs_crypt_new(secret, (size_t)len, salt, &world->cipher.crypt))
		world_fail(world, "no key");
	world->cipher.plain = malloc(TREE_FILE_MAX);
	if (!world->cipher.plain)
		world_fail(world, "no memory");
}

void cipher_done(struct world *world)
{
	netfs_crypt_free(world->cipher.crypt);
	free(world->cipher.plain);
}

const uint8_t *cipher_plain(struct world *world, const struct image *image, uint64_t start,
			    uint64_t len)
{
	uint64_t from = netfs_crypt_down(start), to = netfs_crypt_up(start + len);

	if (!world->cipher.on || !len)
		return image->bytes + start;
	if (to > image->size)
		to = image->size;
	if (netfs_crypt_decrypt(world->cipher.crypt, 0, from, image->bytes + from,
				world->cipher.plain, to - from))
		world_fail(world, "cannot decrypt what the server has");
	return world->cipher.plain + (start - from);
}
