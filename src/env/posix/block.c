/* SPDX-License-Identifier: MIT */
/*
 * Blocks of file data: powers of two from a page to a huge page, cut out of
 * aligned chunks of one huge page each (a buddy system).
 *
 *      chunk  |<---------------- 2 MiB ---------------->|
 *             [ 4K | 4K |   8K   |     16K     | ...    ]
 *
 * A block of 2^n pages starts at a multiple of its size; its buddy is the
 * neighbour it was cut from.  When both are free they become one block again.
 * Free blocks are linked through their own first bytes, per order; a chunk's
 * map says for each page whether a free block starts there and of which order.
 * Chunks are found from a block's address through a hash table.
 *
 * Whole free chunks are kept for the next caller, NETFS_BLOCK_SPARE_MAX of
 * them; more go back to the kernel.  So hot paths neither map nor unmap, and
 * an emptied cache gives its memory back.
 *
 * One lock guards all of it.  It is held for a few list operations, and for a
 * mapping when a new chunk is needed.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <base/assert.h>
#include <base/hash.h>
#include <base/limits.h>
#include <base/list.h>
#include <base/round.h>
#include <env/alloc.h>

#define CHUNK_SIZE  ((size_t)NETFS_BLOCK_MAX)
#define CHUNK_PAGES (NETFS_BLOCK_MAX / NETFS_BLOCK_MIN)
#define ORDER_MAX   9

_Static_assert(CHUNK_PAGES == 1 << ORDER_MAX, "the largest order is a chunk");

/* One mapped huge page; lives while any of it is in use or spare. */
struct chunk {
	struct netfs_hash_link link; /* in chunks, by address */
	char *base;
	uint8_t map[CHUNK_PAGES]; /* order + 1 where a free block starts, else 0 */
};

/* All guarded by lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct netfs_hash chunks;
static struct netfs_list free_blocks[ORDER_MAX + 1]; /* next NULL before first use */
static unsigned spare; /* blocks in the last list */
static size_t living; /* bytes handed out */

static size_t order_size(unsigned order)
{
	return (size_t)NETFS_BLOCK_MIN << order;
}

static unsigned size_order(size_t size)
{
	netfs_assert(netfs_is_power_of_two(size));
	netfs_assert(size >= NETFS_BLOCK_MIN);
	netfs_assert(size <= NETFS_BLOCK_MAX);
	return netfs_log2_down(size / NETFS_BLOCK_MIN);
}

static struct netfs_list *list_of(unsigned order)
{
	if (!free_blocks[order].next)
		netfs_list_init(&free_blocks[order]);
	return &free_blocks[order];
}

static uint64_t chunk_hash(const void *base)
{
	return netfs_hash_u64s(0, (uint64_t)(uintptr_t)base / CHUNK_SIZE, 0);
}

static struct chunk *chunk_of(const void *block)
{
	const void *base = (const void *)netfs_round_down((uintptr_t)block, CHUNK_SIZE);
	struct netfs_hash_link *link = netfs_hash_find(&chunks, chunk_hash(base));

	while (link && netfs_container_of(link, struct chunk, link)->base != base)
		link = netfs_hash_find_next(link);
	netfs_assert(link);
	return netfs_container_of(link, struct chunk, link);
}

static uint8_t *map_entry(struct chunk *chunk, const void *block)
{
	return &chunk->map[(size_t)((const char *)block - chunk->base) / NETFS_BLOCK_MIN];
}

static void add_free(struct chunk *chunk, void *block, unsigned order)
{
	netfs_list_push_front(list_of(order), block);
	*map_entry(chunk, block) = (uint8_t)(order + 1);
	spare += order == ORDER_MAX;
}

static void remove_free(struct chunk *chunk, void *block, unsigned order)
{
	netfs_list_remove(block);
	*map_entry(chunk, block) = 0;
	spare -= order == ORDER_MAX;
}

/* CHUNK_SIZE bytes aligned to that: maps twice as much and trims both ends. */
static char *map_aligned(void)
{
	char *all = mmap(NULL, 2 * CHUNK_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *base;
	size_t before;

	if (all == MAP_FAILED)
		return NULL;
	base = (char *)netfs_round_up((uintptr_t)all, CHUNK_SIZE);
	before = (size_t)(base - all);
	if (before)
		munmap(all, before);
	if (before < CHUNK_SIZE)
		munmap(base + CHUNK_SIZE, CHUNK_SIZE - before);
	madvise(base, CHUNK_SIZE, MADV_HUGEPAGE);
	return base;
}

/* A new chunk, all of it one free block; false without memory. */
static bool add_chunk(void)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk)
		return false;
	chunk->base = map_aligned();
	if (!chunk->base) {
		free(chunk);
		return false;
	}
	netfs_hash_insert(&chunks, &chunk->link, chunk_hash(chunk->base));
	add_free(chunk, chunk->base, ORDER_MAX);
	return true;
}

/* The smallest free block of at least that order, now not free any more. */
static char *take_block(unsigned order, unsigned *ret_order)
{
	for (unsigned o = order; o <= ORDER_MAX; o++) {
		struct netfs_list *block = list_of(o)->next;

		if (block == list_of(o))
			continue;
		remove_free(chunk_of(block), block, o);
		*ret_order = o;
		return (char *)block;
	}
	return NULL;
}

void *netfs_block_alloc(size_t size)
{
	unsigned order = size_order(size);
	unsigned have = 0;
	char *block;

	pthread_mutex_lock(&lock);
	block = take_block(order, &have);
	if (!block && add_chunk())
		block = take_block(order, &have);
	if (block) {
		/* Cut off upper halves until it fits. */
		while (have > order) {
			have--;
			add_free(chunk_of(block), block + order_size(have), have);
		}
		living += size;
	}
	pthread_mutex_unlock(&lock);
	return block;
}

static void drop_chunk(struct chunk *chunk)
{
	remove_free(chunk, chunk->base, ORDER_MAX);
	netfs_hash_remove(&chunks, &chunk->link);
	munmap(chunk->base, CHUNK_SIZE);
	free(chunk);
	if (!chunks.count)
		netfs_hash_done(&chunks);
}

void netfs_block_free(void *block, size_t size)
{
	unsigned order = size_order(size);
	char *start = block;
	struct chunk *chunk;

	if (!block)
		return;
	netfs_assert(!((uintptr_t)block & (size - 1)));
	pthread_mutex_lock(&lock);
	netfs_assert(living >= size);
	living -= size;
	chunk = chunk_of(block);
	netfs_assert(!*map_entry(chunk, block));
	while (order < ORDER_MAX) {
		char *buddy = chunk->base + ((size_t)(start - chunk->base) ^ order_size(order));

		if (*map_entry(chunk, buddy) != order + 1)
			break;
		remove_free(chunk, buddy, order);
		if (buddy < start)
			start = buddy;
		order++;
	}
	add_free(chunk, start, order);
	if (order == ORDER_MAX && spare > NETFS_BLOCK_SPARE_MAX)
		drop_chunk(chunk);
	pthread_mutex_unlock(&lock);
}

size_t netfs_block_living(void)
{
	size_t bytes;

	pthread_mutex_lock(&lock);
	bytes = living;
	pthread_mutex_unlock(&lock);
	return bytes;
}
