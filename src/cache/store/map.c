/* SPDX-License-Identifier: MIT */
/*
 * Presence and checksums, or seals, of one object.
 *
 *	chunks[0]       chunks[1] = NULL    chunks[2]
 *	1 MiB           nothing there       1 MiB, the last block short
 *	1101110...                          1100000...
 *	                                     ^ tail
 *
 * At most one block is not whole: the one the file ended in when it was
 * written.  Where another one comes that is short, the first is forgotten.
 *
 * A block is held from when it is about to be written until the disk was told
 * to make a hole of it.  What is there is held.
 *
 * The chunks of a sealed map have room for seals behind them, whose checksums
 * nobody looks at.
 *
 * Locks: the owner's.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <base/assert.h>
#include <cache/store/map.h>
#include <env/alloc.h>

static struct netfs_map_chunk *chunk_of(const struct netfs_map *map, uint64_t block)
{
	uint64_t i = block / NETFS_MAP_CHUNK_BLOCKS;

	return i < map->nchunks ? map->chunks[i] : NULL;
}

static uint64_t block_after(uint64_t pos)
{
	return pos / NETFS_MAP_BLOCK + (pos % NETFS_MAP_BLOCK != 0);
}

/* The end of what there can be. */
static uint64_t cut(const struct netfs_map *map, uint64_t end)
{
	uint64_t most = map->nchunks * NETFS_MAP_CHUNK;

	return end < most ? end : most;
}

void netfs_map_done(struct netfs_map *map)
{
	for (uint32_t i = 0; i < map->nchunks; i++)
		netfs_free(map->chunks[i]);
	netfs_free(map->chunks);
	*map = (struct netfs_map){.sealed = map->sealed};
}

static bool bit(const uint8_t *bits, unsigned i)
{
	return bits[i / 8] >> i % 8 & 1;
}

bool netfs_map_has(const struct netfs_map *map, uint64_t block)
{
	const struct netfs_map_chunk *chunk = chunk_of(map, block);

	return chunk && bit(chunk->there, block % NETFS_MAP_CHUNK_BLOCKS);
}

static bool is_held(const struct netfs_map *map, uint64_t block)
{
	const struct netfs_map_chunk *chunk = chunk_of(map, block);

	return chunk && bit(chunk->held, block % NETFS_MAP_CHUNK_BLOCKS);
}

static bool is_rubbish(const struct netfs_map *map, uint64_t block)
{
	return is_held(map, block) && !netfs_map_has(map, block);
}

size_t netfs_map_block_len(const struct netfs_map *map, uint64_t block)
{
	uint64_t start = block * NETFS_MAP_BLOCK;

	if (map->tail > start && map->tail < start + NETFS_MAP_BLOCK)
		return map->tail - start;
	return NETFS_MAP_BLOCK;
}

uint64_t netfs_map_sum(const struct netfs_map *map, uint64_t block)
{
	netfs_assert(netfs_map_has(map, block));
	return chunk_of(map, block)->sums[block % NETFS_MAP_CHUNK_BLOCKS];
}

const struct netfs_map_seal *netfs_map_seal(const struct netfs_map *map, uint64_t block)
{
	netfs_assert(map->sealed && netfs_map_has(map, block));
	return &chunk_of(map, block)->seals[block % NETFS_MAP_CHUNK_BLOCKS];
}

/* The first block at or after block, before last, that is there or is not. */
static uint64_t find(const struct netfs_map *map, uint64_t block, uint64_t last, bool there)
{
	while (block < last && netfs_map_has(map, block) != there) {
		/* A whole chunk of nothing is passed at once. */
		if (there && !chunk_of(map, block))
			block |= NETFS_MAP_CHUNK_BLOCKS - 1;
		block++;
	}
	return block < last ? block : last;
}

bool netfs_map_next(const struct netfs_map *map, uint64_t start, uint64_t end, uint64_t *ret_start,
		    uint64_t *ret_end)
{
	uint64_t last = block_after(cut(map, end)), from, to, block;

	block = find(map, start / NETFS_MAP_BLOCK, last, true);
	if (block == last)
		return false;
	from = block * NETFS_MAP_BLOCK;
	if (from < start)
		from = start;
	to = find(map, block, last, false) * NETFS_MAP_BLOCK;
	/* Nothing is known of what comes behind a short block. */
	if (map->tail && map->tail > block * NETFS_MAP_BLOCK && map->tail < to)
		to = map->tail;
	if (to > end)
		to = end;
	if (from >= to)
		return to < end && netfs_map_next(map, block_after(to) * NETFS_MAP_BLOCK, end,
						  ret_start, ret_end);
	*ret_start = from;
	*ret_end = to;
	return true;
}

uint64_t netfs_map_unheld(const struct netfs_map *map, uint64_t start, uint64_t end)
{
	uint64_t last = block_after(end), count = 0;

	for (uint64_t block = start / NETFS_MAP_BLOCK; block < last; block++)
		count += !is_held(map, block);
	return count;
}

bool netfs_map_rubbish(const struct netfs_map *map, uint64_t start, uint64_t end,
		       uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t last = block_after(cut(map, end)), block = start / NETFS_MAP_BLOCK;

	while (block < last && !is_rubbish(map, block)) {
		const struct netfs_map_chunk *chunk = chunk_of(map, block);

		if (!chunk || chunk->nheld == chunk->count)
			block |= NETFS_MAP_CHUNK_BLOCKS - 1;
		block++;
	}
	*ret_start = block * NETFS_MAP_BLOCK;
	while (block < last && is_rubbish(map, block))
		block++;
	*ret_end = block * NETFS_MAP_BLOCK;
	return *ret_start < *ret_end;
}

static void hold(struct netfs_map *map, uint64_t block)
{
	struct netfs_map_chunk *chunk = chunk_of(map, block);
	unsigned i = block % NETFS_MAP_CHUNK_BLOCKS;

	if (bit(chunk->held, i))
		return;
	chunk->held[i / 8] |= 1U << i % 8;
	chunk->nheld++;
	map->held++;
}

void netfs_map_hold(struct netfs_map *map, uint64_t start, uint64_t end)
{
	uint64_t last = block_after(end);

	for (uint64_t block = start / NETFS_MAP_BLOCK; block < last; block++)
		hold(map, block);
}

void netfs_map_yield(struct netfs_map *map, uint64_t start, uint64_t end)
{
	uint64_t last = block_after(cut(map, end));

	for (uint64_t block = start / NETFS_MAP_BLOCK; block < last; block++) {
		struct netfs_map_chunk *chunk = chunk_of(map, block);
		unsigned i = block % NETFS_MAP_CHUNK_BLOCKS;

		if (!is_rubbish(map, block))
			continue;
		chunk->held[i / 8] &= ~(1U << i % 8);
		chunk->nheld--;
		map->held--;
	}
}

static void drop(struct netfs_map *map, uint64_t block)
{
	struct netfs_map_chunk *chunk = chunk_of(map, block);
	unsigned i = block % NETFS_MAP_CHUNK_BLOCKS;

	if (netfs_map_block_len(map, block) < NETFS_MAP_BLOCK)
		map->tail = 0;
	chunk->there[i / 8] &= ~(1U << i % 8);
	chunk->sums[i] = 0;
	if (map->sealed)
		memset(&chunk->seals[i], 0, sizeof(chunk->seals[i]));
	chunk->count--;
	chunk->changed = true;
	map->blocks--;
}

void netfs_map_remove(struct netfs_map *map, uint64_t start, uint64_t end)
{
	uint64_t last = block_after(cut(map, end));
	uint64_t block = find(map, start / NETFS_MAP_BLOCK, last, true);

	for (; block < last; block = find(map, block, last, true))
		drop(map, block);
}

static int grow(struct netfs_map *map, uint64_t count)
{
	struct netfs_map_chunk **chunks;

	if (count > NETFS_MAP_CHUNKS_MAX)
		return -EFBIG;
	if (count <= map->nchunks)
		return 0;
	/* Doubled, so that a file that grows is not copied at each step. */
	if (count < UINT64_C(2) * map->nchunks)
		count = UINT64_C(2) * map->nchunks;
	if (count > NETFS_MAP_CHUNKS_MAX)
		count = NETFS_MAP_CHUNKS_MAX;
	chunks = netfs_realloc(map->chunks, count * sizeof(struct netfs_map_chunk *));
	if (!chunks)
		return -ENOMEM;
	memset(chunks + map->nchunks, 0, (count - map->nchunks) * sizeof(struct netfs_map_chunk *));
	map->chunks = chunks;
	map->nchunks = (uint32_t)count;
	return 0;
}

static struct netfs_map_chunk *chunk_new(const struct netfs_map *map)
{
	size_t seals = map->sealed ? NETFS_MAP_CHUNK_BLOCKS * sizeof(struct netfs_map_seal) : 0;

	return netfs_zalloc(sizeof(struct netfs_map_chunk) + seals);
}

int netfs_map_reserve(struct netfs_map *map, uint64_t start, uint64_t end)
{
	uint64_t last = (end - 1) / NETFS_MAP_CHUNK;
	int err = start < end ? grow(map, last + 1) : 0;

	for (uint64_t i = start / NETFS_MAP_CHUNK; start < end && !err && i <= last; i++) {
		if (!map->chunks[i])
			map->chunks[i] = chunk_new(map);
		err = map->chunks[i] ? 0 : -ENOMEM;
	}
	return err;
}

void netfs_map_add(struct netfs_map *map, uint64_t start, size_t len, uint64_t sum)
{
	uint64_t block = start / NETFS_MAP_BLOCK;
	struct netfs_map_chunk *chunk = chunk_of(map, block);
	unsigned i = block % NETFS_MAP_CHUNK_BLOCKS;

	netfs_assert(chunk && len > 0 && len <= NETFS_MAP_BLOCK && start % NETFS_MAP_BLOCK == 0);
	if (netfs_map_has(map, block))
		drop(map, block);
	if (len < NETFS_MAP_BLOCK) {
		if (map->tail && netfs_map_has(map, map->tail / NETFS_MAP_BLOCK))
			drop(map, map->tail / NETFS_MAP_BLOCK);
		map->tail = start + len;
	}
	hold(map, block);
	chunk->there[i / 8] |= 1U << i % 8;
	chunk->sums[i] = sum;
	chunk->count++;
	chunk->changed = true;
	map->blocks++;
}

void netfs_map_add_sealed(struct netfs_map *map, uint64_t start, size_t len,
			  const struct netfs_map_seal *seal)
{
	uint64_t block = start / NETFS_MAP_BLOCK;

	netfs_assert(map->sealed);
	netfs_map_add(map, start, len, 0);
	chunk_of(map, block)->seals[block % NETFS_MAP_CHUNK_BLOCKS] = *seal;
}

/* Bytes of a row, without the seal of a row itself. */
static size_t row_size(const struct netfs_map *map)
{
	return map->sealed ? NETFS_MAP_SEALED_ROW - NETFS_MAP_SEAL : NETFS_MAP_ROW;
}

static void load_sums(struct netfs_map_chunk *into, const uint8_t *bytes)
{
	for (unsigned i = 0; i < NETFS_MAP_CHUNK_BLOCKS; i++) {
		uint64_t sum;

		memcpy(&sum, bytes + i * sizeof(sum), sizeof(sum));
		into->sums[i] = le64toh(sum);
	}
}

int netfs_map_load(struct netfs_map *map, uint64_t chunk, const void *row, size_t len)
{
	const uint8_t *bytes = row;
	struct netfs_map_chunk *into;
	int err;

	if (len != row_size(map) || chunk >= NETFS_MAP_CHUNKS_MAX)
		return -EUCLEAN;
	err = netfs_map_reserve(map, chunk * NETFS_MAP_CHUNK, (chunk + 1) * NETFS_MAP_CHUNK);
	if (err)
		return err;
	into = map->chunks[chunk];
	map->blocks -= into->count;
	map->held -= into->nheld;
	memcpy(into->there, bytes, sizeof(into->there));
	memcpy(into->held, bytes, sizeof(into->held));
	into->count = 0;
	for (unsigned i = 0; i < NETFS_MAP_CHUNK_BLOCKS; i++)
		into->count += bit(into->there, i);
	into->nheld = into->count;
	if (map->sealed)
		memcpy(into->seals, bytes + sizeof(into->there), len - sizeof(into->there));
	else
		load_sums(into, bytes + sizeof(into->there));
	map->blocks += into->count;
	map->held += into->nheld;
	return 0;
}

void netfs_map_store(const struct netfs_map_chunk *chunk, uint8_t row[NETFS_MAP_ROW])
{
	memcpy(row, chunk->there, sizeof(chunk->there));
	for (unsigned i = 0; i < NETFS_MAP_CHUNK_BLOCKS; i++) {
		uint64_t sum = htole64(chunk->sums[i]);

		memcpy(row + sizeof(chunk->there) + i * sizeof(sum), &sum, sizeof(sum));
	}
}

void netfs_map_store_sealed(const struct netfs_map_chunk *chunk, uint8_t row[NETFS_MAP_SEALED_ROW])
{
	memcpy(row, chunk->there, sizeof(chunk->there));
	memcpy(row + sizeof(chunk->there), chunk->seals,
	       NETFS_MAP_CHUNK_BLOCKS * sizeof(chunk->seals[0]));
}
