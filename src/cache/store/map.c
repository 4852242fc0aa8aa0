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

/* ---------------------------------------------------------------- rows */

/* The bits of a row, and how many are set; -EUCLEAN: it is none of that length. */
static int row_bits(const uint8_t *row, size_t len, size_t each,
		    uint8_t bits[NETFS_MAP_CHUNK_BLOCKS / 8])
{
	size_t n = len ? row[0] : 0;
	int count = 0;

	if (!n || n > NETFS_MAP_CHUNK_BLOCKS / 8 || len <= n || !row[n])
		return -EUCLEAN;
	memset(bits, 0, NETFS_MAP_CHUNK_BLOCKS / 8);
	memcpy(bits, row + 1, n);
	for (unsigned i = 0; i < n * 8; i++)
		count += bit(bits, i);
	return len == 1 + n + (size_t)count * each ? count : -EUCLEAN;
}

static uint64_t get_le64(const uint8_t *bytes)
{
	uint64_t number;

	memcpy(&number, bytes, sizeof(number));
	return le64toh(number);
}

int netfs_map_load(struct netfs_map *map, uint64_t chunk, const void *row, size_t len)
{
	size_t each = map->sealed ? sizeof(struct netfs_map_seal) : sizeof(uint64_t);
	uint8_t bits[NETFS_MAP_CHUNK_BLOCKS / 8];
	struct netfs_map_chunk *into;
	const uint8_t *at = row;
	int count = row_bits(row, len, each, bits), err;

	if (count < 0 || chunk >= NETFS_MAP_CHUNKS_MAX)
		return -EUCLEAN;
	err = netfs_map_reserve(map, chunk * NETFS_MAP_CHUNK, (chunk + 1) * NETFS_MAP_CHUNK);
	if (err)
		return err;
	into = map->chunks[chunk];
	if (into->nheld)
		return -EUCLEAN;
	memcpy(into->there, bits, sizeof(bits));
	memcpy(into->held, bits, sizeof(bits));
	into->count = into->nheld = (uint32_t)count;
	at += 1 + at[0];
	for (unsigned i = 0; i < NETFS_MAP_CHUNK_BLOCKS; i++) {
		if (!bit(bits, i))
			continue;
		if (map->sealed)
			memcpy(&into->seals[i], at, each);
		else
			into->sums[i] = get_le64(at);
		at += each;
	}
	map->blocks += into->count;
	map->held += into->nheld;
	return 0;
}

/* What a row begins with. */
static size_t store_bits(const struct netfs_map_chunk *chunk, uint8_t *row)
{
	uint8_t n = sizeof(chunk->there);

	netfs_assert(chunk->count);
	while (!chunk->there[n - 1])
		n--;
	row[0] = n;
	memcpy(row + 1, chunk->there, n);
	return 1 + n;
}

size_t netfs_map_store(const struct netfs_map_chunk *chunk, uint8_t row[NETFS_MAP_ROW])
{
	size_t at = store_bits(chunk, row);

	for (unsigned i = 0; i < NETFS_MAP_CHUNK_BLOCKS; i++) {
		uint64_t sum = htole64(chunk->sums[i]);

		if (!bit(chunk->there, i))
			continue;
		memcpy(row + at, &sum, sizeof(sum));
		at += sizeof(sum);
	}
	return at;
}

size_t netfs_map_store_sealed(const struct netfs_map_chunk *chunk,
			      uint8_t row[NETFS_MAP_SEALED_ROW - NETFS_MAP_SEAL])
{
	size_t at = store_bits(chunk, row);

	for (unsigned i = 0; i < NETFS_MAP_CHUNK_BLOCKS; i++) {
		if (!bit(chunk->there, i))
			continue;
		memcpy(row + at, &chunk->seals[i], sizeof(chunk->seals[i]));
		at += sizeof(chunk->seals[i]);
	}
	return at;
}
