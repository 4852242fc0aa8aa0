/* SPDX-License-Identifier: MIT */
/*
 * The radix tree of a file's folios.
 *
 * A slot holds nothing, a node of the next lower level, or a folio (bit 0 of
 * the pointer set).  A slot at level n covers 64^n pages.  A folio's own level
 * is the highest where it covers whole slots, and it stands once in each of
 * them.  As long as nobody else has anything under a slot of a higher level, it
 * stands in that one alone, and no node is made for it:
 *
 *	level 2   | node |  -  | folio 4K, alone in 16 MiB |     one slot: 16 MiB
 *	             |
 *	level 1   | node | folio 512K  folio  | ... |            one slot: 256 KiB
 *	             |
 *	level 0   | 4K | 8K 8K | - | 16K 16K 16K 16K | ..        one slot: 4 KiB
 *
 * So files of one folio have no node, and what is spread thinly over a large
 * file needs neither the lower levels nor the steps through them.  The root is
 * a slot too, of the level that is the tree's height.
 *
 * Nodes that become empty are freed at once, so a free stretch of the file
 * never has more than a lone folio of somebody else in its way, which moves down.
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
	void *entry = index->root;
	unsigned level = index->height;
	struct netfs_folio *folio;

	if (!reaches(level, page))
		return NULL;
	while (entry && !((uintptr_t)entry & 1))
		entry = ((struct netfs_index_node *)entry)->slot[slot_of(page, --level)];
	folio = as_folio(entry);
	/* It may stand for more than it is. */
	return folio && pos - folio->start < folio->size ? folio : NULL;
}

static uint64_t end_page(const struct netfs_folio *folio)
{
	return (folio->start >> NETFS_PAGE_SHIFT) + (folio->size >> NETFS_PAGE_SHIFT);
}

/* The first folio that ends behind page, under an entry of a slot at level. */
static struct netfs_folio *next_under(void *entry, unsigned level, uint64_t page)
{
	struct netfs_folio *folio = as_folio(entry);
	uint64_t span;

	if (!entry || folio)
		return folio && end_page(folio) > page ? folio : NULL;
	level--;
	span = UINT64_C(1) << (level * SLOT_BITS);
	for (unsigned i = slot_of(page, level); i < SLOTS; i++) {
		folio = next_under(((struct netfs_index_node *)entry)->slot[i], level, page);
		if (folio)
			return folio;
		page = (page | (span - 1)) + 1;
	}
	return NULL;
}

struct netfs_folio *netfs_folio_index_next(const struct netfs_folio_index *index, uint64_t pos)
{
	uint64_t page = pos >> NETFS_PAGE_SHIFT;

	return reaches(index->height, page) ? next_under(index->root, index->height, page) : NULL;
}

/* Puts a folio into node, whose slots are of this level. */
static void place(struct netfs_index_node *node, unsigned level, struct netfs_folio *folio)
{
	unsigned first = slot_of(folio->start >> NETFS_PAGE_SHIFT, level);
	unsigned n = level > level_of(folio) ? 1 : slots_of(folio);

	for (unsigned i = first; i < first + n; i++) {
		netfs_assert(!node->slot[i]);
		node->slot[i] = (void *)((uintptr_t)folio | 1);
	}
	node->used += n;
}

/* Puts a node into the slot of this level, above the folio that is alone there. */
static int push_down(void **slot, unsigned level)
{
	struct netfs_index_node *node = netfs_zalloc(sizeof(*node));

	if (!node)
		return -ENOMEM;
	place(node, level - 1, as_folio(*slot));
	*slot = node;
	return 0;
}

/* Makes the root a slot above level that has the page within reach. */
static int grow(struct netfs_folio_index *index, uint64_t page, unsigned level)
{
	while (index->height <= level || !reaches(index->height, page)) {
		struct netfs_index_node *node;

		/* One that is alone stands under any number of levels. */
		if (index->root && !as_folio(index->root)) {
			node = netfs_zalloc(sizeof(*node));
			if (!node)
				return -ENOMEM;
			node->slot[0] = index->root;
			node->used = 1;
			index->root = node;
		}
		index->height++;
	}
	netfs_assert(index->height <= HEIGHT_MAX);
	return 0;
}

int netfs_folio_index_insert(struct netfs_folio_index *index, struct netfs_folio *folio)
{
	uint64_t page = folio->start >> NETFS_PAGE_SHIFT;
	unsigned target = level_of(folio), level;
	struct netfs_index_node *node = NULL;
	void **slot = &index->root;
	int err = grow(index, page, target);

	if (err)
		return err;
	for (level = index->height; *slot && level > target; level--) {
		/* What this leaves where it fails is a tree as good as before. */
		if (as_folio(*slot) && push_down(slot, level))
			return -ENOMEM;
		node = *slot;
		slot = &node->slot[slot_of(page, level - 1)];
	}
	if (node)
		place(node, level, folio);
	else
		*slot = (void *)((uintptr_t)folio | 1);
	index->count++;
	return 0;
}

void netfs_folio_index_remove(struct netfs_folio_index *index, struct netfs_folio *folio)
{
	uint64_t page = folio->start >> NETFS_PAGE_SHIFT;
	struct netfs_index_node *path[HEIGHT_MAX + 1];
	unsigned level = index->height, n;
	void *entry = index->root;

	while (!as_folio(entry)) {
		path[level] = entry;
		entry = path[level]->slot[slot_of(page, level - 1)];
		level--;
	}
	netfs_assert(as_folio(entry) == folio);
	index->count--;
	/* The slots of a node stand one level below the slot that holds it. */
	n = level > level_of(folio) ? 1 : slots_of(folio);
	while (level < index->height) {
		struct netfs_index_node *node = path[level + 1];
		unsigned first = slot_of(page, level);

		for (unsigned i = first; i < first + n; i++)
			node->slot[i] = NULL;
		node->used -= n;
		if (node->used)
			return;
		netfs_free(node);
		n = 1;
		level++;
	}
	netfs_folio_index_init(index);
}
