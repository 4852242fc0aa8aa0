/* SPDX-License-Identifier: MIT */
/*
 * The radix tree of a file's folios.
 *
 * A slot holds nothing, a node of the next lower level, or a folio (bit 0 of
 * the pointer set).  A slot at level n covers 64^n pages; a folio stands at the
 * highest level where it covers whole slots, once in each of them:
 *
 *	level 1   | node | folio 512K  folio  | ... |      one slot: 256 KiB
 *	             |
 *	level 0   | 4K | 8K 8K | - | 16K 16K 16K 16K | ..  one slot: 4 KiB
 *
 * Nodes that become empty are freed at once, so a free stretch of the file
 * always has free slots at the level a folio there wants.
 */
#include <core/folio_index.h>
#include <core/folio.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <errno.h>

#define SLOT_BITS  6
#define SLOTS	   (1u << SLOT_BITS)
#define HEIGHT_MAX 9

struct netfs_index_node {
	unsigned used; /* slots that hold something */
	void *slot[SLOTS];
};

static struct netfs_folio *as_folio(void *entry)
{
	return (uintptr_t)entry & 1 ? (struct netfs_folio *)((uintptr_t)entry & ~(uintptr_t)1)
				    : NULL;
}

static unsigned slot_of(uint64_t page, unsigned level)
{
	return (page >> (level * SLOT_BITS)) & (SLOTS - 1);
}

/* Can a tree of this height hold the page? */
static bool reaches(unsigned height, uint64_t page)
{
	return height * SLOT_BITS >= 64 || page >> (height * SLOT_BITS) == 0;
}

static unsigned level_of(const struct netfs_folio *folio)
{
	return folio->size >= (NETFS_PAGE_SIZE << SLOT_BITS) ? 1 : 0;
}

static unsigned slots_of(const struct netfs_folio *folio)
{
	return folio->size >> (NETFS_PAGE_SHIFT + level_of(folio) * SLOT_BITS);
}

void netfs_folio_index_init(struct netfs_folio_index *index)
{
	index->root = NULL;
	index->height = 0;
	index->count = 0;
}

struct netfs_folio *netfs_folio_index_find(const struct netfs_folio_index *index, uint64_t pos)
{
	uint64_t page = pos >> NETFS_PAGE_SHIFT;
	struct netfs_index_node *node = index->root;

	if (!node || !reaches(index->height, page))
		return NULL;
	for (unsigned level = index->height; level-- > 0;) {
		void *entry = node->slot[slot_of(page, level)];

		if (!entry)
			return NULL;
		if ((uintptr_t)entry & 1)
			return as_folio(entry);
		node = entry;
	}
	return NULL;
}

/* The first folio at or after page under node, whose first page is base. */
static struct netfs_folio *next_under(struct netfs_index_node *node, unsigned level, uint64_t page)
{
	uint64_t span = UINT64_C(1) << (level * SLOT_BITS);

	for (unsigned i = slot_of(page, level); i < SLOTS; i++) {
		void *entry = node->slot[i];
		struct netfs_folio *folio;

		if (entry) {
			folio = as_folio(entry);
			if (!folio)
				folio = next_under(entry, level - 1, page);
			if (folio)
				return folio;
		}
		page = (page | (span - 1)) + 1;
	}
	return NULL;
}

struct netfs_folio *netfs_folio_index_next(const struct netfs_folio_index *index, uint64_t pos)
{
	uint64_t page = pos >> NETFS_PAGE_SHIFT;

	if (!index->root || !reaches(index->height, page))
		return NULL;
	return next_under(index->root, index->height - 1, page);
}

/* Adds levels on top until page is within reach at level.  A tree that has a
 * root has something in it, so a fresh one starts at its final height. */
static int grow(struct netfs_folio_index *index, uint64_t page, unsigned level)
{
	if (!index->root)
		index->height = 0;
	while (index->height <= level || !reaches(index->height, page)) {
		struct netfs_index_node *node;

		index->height++;
		if (!index->root)
			continue;
		node = netfs_zalloc(sizeof(*node));
		if (!node) {
			index->height--;
			return -ENOMEM;
		}
		node->slot[0] = index->root;
		node->used = 1;
		index->root = node;
	}
	netfs_assert(index->height <= HEIGHT_MAX);
	if (!index->root) {
		index->root = netfs_zalloc(sizeof(*index->root));
		if (!index->root)
			return -ENOMEM;
	}
	return 0;
}

/* Frees empty nodes on the way down to page, and empty levels on top. */
static void prune(struct netfs_folio_index *index, uint64_t page)
{
	struct netfs_index_node *path[HEIGHT_MAX];
	struct netfs_index_node *node = index->root;
	unsigned level = index->height, lowest = level;

	while (node && level-- > 0) {
		void *entry = node->slot[slot_of(page, level)];

		path[level] = node;
		lowest = level;
		node = (uintptr_t)entry & 1 ? NULL : entry;
	}
	for (level = lowest; level < index->height && path[level]->used == 0; level++) {
		netfs_free(path[level]);
		if (level + 1 < index->height) {
			path[level + 1]->slot[slot_of(page, level + 1)] = NULL;
			path[level + 1]->used--;
		} else {
			index->root = NULL;
			index->height = 0;
		}
	}
}

int netfs_folio_index_insert(struct netfs_folio_index *index, struct netfs_folio *folio)
{
	uint64_t page = folio->start >> NETFS_PAGE_SHIFT;
	unsigned target = level_of(folio), n = slots_of(folio), first;
	struct netfs_index_node *node;
	int err = grow(index, page, target);

	if (err)
		goto fail;
	node = index->root;
	for (unsigned level = index->height - 1; level > target; level--) {
		void **slot = &node->slot[slot_of(page, level)];

		netfs_assert(!((uintptr_t)*slot & 1));
		if (!*slot) {
			*slot = netfs_zalloc(sizeof(*node));
			if (!*slot) {
				err = -ENOMEM;
				goto fail;
			}
			node->used++;
		}
		node = *slot;
	}
	first = slot_of(page, target);
	for (unsigned i = first; i < first + n; i++) {
		netfs_assert(!node->slot[i]);
		node->slot[i] = (void *)((uintptr_t)folio | 1);
	}
	node->used += n;
	index->count++;
	return 0;
fail:
	prune(index, page);
	return err;
}

void netfs_folio_index_remove(struct netfs_folio_index *index, struct netfs_folio *folio)
{
	uint64_t page = folio->start >> NETFS_PAGE_SHIFT;
	unsigned target = level_of(folio), n = slots_of(folio);
	struct netfs_index_node *node = index->root;
	unsigned first = slot_of(page, target);

	for (unsigned level = index->height - 1; level > target; level--)
		node = node->slot[slot_of(page, level)];
	for (unsigned i = first; i < first + n; i++) {
		netfs_assert(as_folio(node->slot[i]) == folio);
		node->slot[i] = NULL;
	}
	node->used -= n;
	index->count--;
	prune(index, page);
}
