/* SPDX-License-Identifier: MIT */
/* A walk over pieces of memory.  Locks: none. */
#include <string.h>
#include <cache/walk.h>

/* How much of len is in the piece at hand. */
static size_t here(const struct cache_walk *walk, size_t len)
{
	size_t left = walk->iov->iov_len - walk->at;

	return left < len ? left : len;
}

static uint8_t *step(struct cache_walk *walk, size_t len)
{
	uint8_t *from = (uint8_t *)walk->iov->iov_base + walk->at;

	walk->at += len;
	if (walk->at == walk->iov->iov_len)
		*walk = (struct cache_walk){walk->iov + 1, 0};
	return from;
}

const uint8_t *cache_walk_get(struct cache_walk *walk, size_t len, uint8_t whole[NETFS_MAP_BLOCK])
{
	if (here(walk, len) == len)
		return step(walk, len);
	for (size_t done = 0; done < len;) {
		size_t n = here(walk, len - done);

		memcpy(whole + done, step(walk, n), n);
		done += n;
	}
	return whole;
}

void cache_walk_put(struct cache_walk walk, const uint8_t *bytes, size_t len)
{
	while (len) {
		size_t n = here(&walk, len);

		memcpy(step(&walk, n), bytes, n);
		bytes += n;
		len -= n;
	}
}
