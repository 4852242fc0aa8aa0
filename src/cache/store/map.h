/* SPDX-License-Identifier: MIT */
/*
 * What of one object is there, and what it should be: a bit and a checksum for
 * each block; and which blocks of its file may take space.  Held in chunks,
 * which are also the rows of the catalogue.
 *
 * The owner guards it.  Positions and lengths are bytes.
 */
#ifndef CACHE_STORE_MAP_H
#define CACHE_STORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETFS_MAP_BLOCK	       UINT64_C(4096)
#define NETFS_MAP_CHUNK_BLOCKS 256
#define NETFS_MAP_CHUNK	       (NETFS_MAP_BLOCK * NETFS_MAP_CHUNK_BLOCKS)
/* Bytes further on are not cached, which bounds the table of chunks. */
#define NETFS_MAP_CHUNKS_MAX (1U << 20)
#define NETFS_MAP_END	     (NETFS_MAP_CHUNK * NETFS_MAP_CHUNKS_MAX)
/* A chunk as it is stored: bits and checksums, little-endian. */
#define NETFS_MAP_ROW (NETFS_MAP_CHUNK_BLOCKS / 8 + NETFS_MAP_CHUNK_BLOCKS * 8)

struct netfs_map_chunk {
	uint8_t there[NETFS_MAP_CHUNK_BLOCKS / 8];
	uint8_t held[NETFS_MAP_CHUNK_BLOCKS / 8]; /* not stored: what is there, at first */
	uint64_t sums[NETFS_MAP_CHUNK_BLOCKS];
	uint32_t count; /* blocks that are there */
	uint32_t nheld; /* blocks that are held */
	bool changed; /* since it was loaded or stored */
	uint8_t uses; /* bounded; not stored, as rank */
	uint64_t rank; /* the owner's: those of low rank go first */
};

/* Zero is an empty one. */
struct netfs_map {
	struct netfs_map_chunk **chunks; /* NULL: nothing of it was ever there */
	uint32_t nchunks;
	uint64_t blocks; /* that are there */
	uint64_t held; /* blocks that may take space on the disk; all that are there do */
	uint64_t tail; /* where the one block ends that is not whole; 0: all are */
};

void netfs_map_done(struct netfs_map *map);
/* The first stretch of [start, end) that is there; false: nothing. */
bool netfs_map_next(const struct netfs_map *map, uint64_t start, uint64_t end, uint64_t *ret_start,
		    uint64_t *ret_end);
bool netfs_map_has(const struct netfs_map *map, uint64_t block);
/* How many blocks that touch [start, end) are not held. */
uint64_t netfs_map_unheld(const struct netfs_map *map, uint64_t start, uint64_t end);
/* The first stretch of [start, end) that is held and not there; false: nothing. */
bool netfs_map_rubbish(const struct netfs_map *map, uint64_t start, uint64_t end,
		       uint64_t *ret_start, uint64_t *ret_end);
/* Bytes of a block that is there, and its checksum. */
size_t netfs_map_block_len(const struct netfs_map *map, uint64_t block);
uint64_t netfs_map_sum(const struct netfs_map *map, uint64_t block);
/* Blocks that touch [start, end) go; they are held all the same. */
void netfs_map_remove(struct netfs_map *map, uint64_t start, uint64_t end);
/* Memory for the blocks of [start, end), so that adding them cannot fail.
 * -ENOMEM, -EFBIG. */
int netfs_map_reserve(struct netfs_map *map, uint64_t start, uint64_t end);
/* The block of start is there, with that many bytes (1 to a block).  Reserved. */
void netfs_map_add(struct netfs_map *map, uint64_t start, size_t len, uint64_t sum);
/* Blocks that touch [start, end) are held.  Reserved. */
void netfs_map_hold(struct netfs_map *map, uint64_t start, uint64_t end);
/* Those of them that are not there are held no more: the disk has their space. */
void netfs_map_yield(struct netfs_map *map, uint64_t start, uint64_t end);
/* A row of the catalogue.  Bytes from the disk: -EUCLEAN, -ENOMEM, -EFBIG. */
int netfs_map_load(struct netfs_map *map, uint64_t chunk, const void *row, size_t len);
void netfs_map_store(const struct netfs_map_chunk *chunk, uint8_t row[NETFS_MAP_ROW]);

#endif
