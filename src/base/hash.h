/* SPDX-License-Identifier: MIT */
/*
 * A hash table whose links live inside the elements.  Elements with equal
 * hashes are in one chain; the owner compares keys itself.
 *
 * Inserting never fails: where there is no memory to grow, chains get longer.
 * Not locked: the owner guards it.  The owner frees the elements.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct netfs_hash_link {
	struct netfs_hash_link *next;
	uint64_t hash;
};

struct netfs_hash {
	struct netfs_hash_link **slots; /* 1 << bits of them; NULL: only one */
	struct netfs_hash_link *one; /* the only chain while slots is NULL */
	size_t count;
	unsigned bits;
};

void netfs_hash_init(struct netfs_hash *table);
/* The elements stay as they are; only the table's own memory is freed. */
void netfs_hash_done(struct netfs_hash *table);

void netfs_hash_insert(struct netfs_hash *table, struct netfs_hash_link *link, uint64_t hash);
/* link must be in the table. */
void netfs_hash_remove(struct netfs_hash *table, struct netfs_hash_link *link);
/* The first element with that hash, NULL where there is none. */
struct netfs_hash_link *netfs_hash_find(const struct netfs_hash *table, uint64_t hash);
/* The next one with the same hash. */
static inline struct netfs_hash_link *netfs_hash_find_next(const struct netfs_hash_link *link)
{
	struct netfs_hash_link *next = link->next;

	while (next && next->hash != link->hash)
		next = next->next;
	return next;
}

/* All elements, in no order: first with link NULL.  NULL at the end.  The
 * table must not change in between, except that the loop may remove elements
 * it has already left. */
struct netfs_hash_link *netfs_hash_walk(const struct netfs_hash *table,
					const struct netfs_hash_link *link);

/* Hash functions.  A seed unknown to the other side keeps a server from
 * choosing names that all fall into one chain. */
uint64_t netfs_hash_bytes(uint64_t seed, const void *bytes, size_t len);

/* The two halves of a product of 64-bit numbers, folded together. */
static inline uint64_t netfs_hash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t netfs_hash_u64s(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t h = netfs_hash_mix(seed ^ a ^ UINT64_C(0xd6e8feb86659fd93),
				    UINT64_C(0xa0761d6478bd642f));

	return netfs_hash_mix(h ^ b, UINT64_C(0xe7037ed1a0b428db) ^ seed);
}

#endif
