/* SPDX-License-Identifier: MIT */
/*
 * The hash table: an array of chains, doubled when there are more elements
 * than chains.  The upper bits of the hash choose the chain, so that a table
 * twice as large splits each chain into two neighbours.
 *
 * The first chain is inside the struct.  That makes an empty table free and an
 * insertion without memory possible: the table then simply stays as it is and
 * tries to grow again at the next insertion.
 */
#include <string.h>
#include <base/assert.h>
#include <base/hash.h>
#include <base/mem.h>

#define HASH_BITS_MIN 4
#define HASH_BITS_MAX 40

static struct netfs_hash_link **chain_of(struct netfs_hash *table, uint64_t hash)
{
	return table->slots ? &table->slots[hash >> (64 - table->bits)] : &table->one;
}

void netfs_hash_init(struct netfs_hash *table)
{
	*table = (struct netfs_hash){0};
}

void netfs_hash_done(struct netfs_hash *table)
{
	netfs_mem_free(table->slots);
	netfs_hash_init(table);
}

static void move_chain(struct netfs_hash *to, struct netfs_hash_link *link)
{
	while (link) {
		struct netfs_hash_link *next = link->next;
		struct netfs_hash_link **chain = chain_of(to, link->hash);

		link->next = *chain;
		*chain = link;
		link = next;
	}
}

/* Without memory nothing changes. */
static void grow(struct netfs_hash *table)
{
	struct netfs_hash bigger = {.count = table->count};
	size_t bytes;

	bigger.bits = table->slots ? table->bits + 1 : HASH_BITS_MIN;
	if (bigger.bits > HASH_BITS_MAX)
		return;
	bytes = sizeof(*bigger.slots) << bigger.bits;
	bigger.slots = netfs_mem_realloc(NULL, bytes);
	if (!bigger.slots)
		return;
	memset(bigger.slots, 0, bytes);
	if (table->slots) {
		for (size_t i = 0; i < (size_t)1 << table->bits; i++)
			move_chain(&bigger, table->slots[i]);
	} else {
		move_chain(&bigger, table->one);
	}
	netfs_mem_free(table->slots);
	*table = bigger;
}

void netfs_hash_insert(struct netfs_hash *table, struct netfs_hash_link *link, uint64_t hash)
{
	struct netfs_hash_link **chain;

	if (!table->slots ? table->count > 0 : table->count >= (size_t)1 << table->bits)
		grow(table);
	chain = chain_of(table, hash);
	link->hash = hash;
	link->next = *chain;
	*chain = link;
	table->count++;
}

void netfs_hash_remove(struct netfs_hash *table, struct netfs_hash_link *link)
{
	struct netfs_hash_link **place = chain_of(table, link->hash);

	while (*place != link) {
		netfs_assert(*place);
		place = &(*place)->next;
	}
	*place = link->next;
	table->count--;
}

struct netfs_hash_link *netfs_hash_find(const struct netfs_hash *table, uint64_t hash)
{
	struct netfs_hash_link *link;

	link = table->slots ? table->slots[hash >> (64 - table->bits)] : table->one;
	while (link && link->hash != hash)
		link = link->next;
	return link;
}

struct netfs_hash_link *netfs_hash_walk(const struct netfs_hash *table,
					const struct netfs_hash_link *link)
{
	size_t i = 0;

	if (link && link->next)
		return link->next;
	if (!table->slots)
		return link ? NULL : table->one;
	if (link)
		i = (link->hash >> (64 - table->bits)) + 1;
	for (; i < (size_t)1 << table->bits; i++)
		if (table->slots[i])
			return table->slots[i];
	return NULL;
}

uint64_t netfs_hash_bytes(uint64_t seed, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t h = netfs_hash_mix(seed ^ len, UINT64_C(0x8ebc6af09c88c6e3));
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = netfs_hash_mix(h ^ word, UINT64_C(0x589965cc75374cc3));
	}
	word = 0;
	memcpy(&word, p, len);
	h = netfs_hash_mix(h ^ word, UINT64_C(0x1d8e4e27c47d124f));
	return netfs_hash_mix(h ^ seed, UINT64_C(0xeb44accab455d165));
}
