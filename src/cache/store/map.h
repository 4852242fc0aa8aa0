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
/* The longest row of the catalogue: how many bytes of bits, these, and a checksum for
 * each bit that is set.  Little-endian. */
#define NETFS_MAP_ROW (1 + NETFS_MAP_CHUNK_BLOCKS / 8 + NETFS_MAP_CHUNK_BLOCKS * 8)
/* Of a sealed object a nonce and a tag take the place of each checksum, and before
 * all that stand two more, which prove the row. */
#define NETFS_MAP_SEAL 28
#define NETFS_MAP_SEALED_ROW                                                                       \
	(NETFS_MAP_SEAL + 1 + NETFS_MAP_CHUNK_BLOCKS / 8 + NETFS_MAP_CHUNK_BLOCKS * NETFS_MAP_SEAL)

/* What proves some bytes, as store/seal.h has it. */
struct netfs_map_seal {
	uint8_t nonce[12];
	uint8_t tag[16];
};

struct netfs_map_chunk {
	uint8_t there[NETFS_MAP_CHUNK_BLOCKS / 8];
	uint8_t held[NETFS_MAP_CHUNK_BLOCKS / 8]; /* not stored: what is there, at first */
	uint64_t sums[NETFS_MAP_CHUNK_BLOCKS];
	uint32_t count; /* blocks that are there */
	uint32_t nheld; /* blocks that are held */
	bool changed; /* since it was loaded or stored */
	uint8_t uses; /* bounded; not stored, as rank */
	uint64_t rank; /* the owner's: those of low rank go first */
	struct netfs_map_seal row; /* of its row, in a sealed map */
	struct netfs_map_seal seals[]; /* one for each block, in a sealed map; else none */
};

/* Zero is an empty one. */
struct netfs_map {
	struct netfs_map_chunk **chunks; /* NULL: nothing of it was ever there */
	uint32_t nchunks;
	uint64_t blocks; /* that are there */
	uint64_t held; /* blocks that may take space on the disk; all that are there do */
	uint64_t tail; /* where the one block ends that is not whole; 0: all are */
	bool sealed; /* there are seals instead of checksums; set while it is empty */
};

/* Frees what is in it: it is empty, and sealed or not as before. */
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
/* Likewise, in a sealed map. */
const struct netfs_map_seal *netfs_map_seal(const struct netfs_map *map, uint64_t block);
/* Blocks that touch [start, end) go; they are held all the same. */
void netfs_map_remove(struct netfs_map *map, uint64_t start, uint64_t end);
/* Memory for the blocks of [start, end), so that adding them cannot fail.
 * -ENOMEM, -EFBIG. */
int netfs_map_reserve(struct netfs_map *map, uint64_t start, uint64_t end);
/* The block of start is there, with that many bytes (1 to a block).  Reserved. */
void netfs_map_add(struct netfs_map *map, uint64_t start, size_t len, uint64_t sum);
/* Likewise, in a sealed map. */
void netfs_map_add_sealed(struct netfs_map *map, uint64_t start, size_t len,
			  const struct netfs_map_seal *seal);
/* Blocks that touch [start, end) are held.  Reserved. */
void netfs_map_hold(struct netfs_map *map, uint64_t start, uint64_t end);
/* Those of them that are not there are held no more: the disk has their space. */
void netfs_map_yield(struct netfs_map *map, uint64_t start, uint64_t end);
/* A row of the catalogue; of a sealed map without the seal of the row itself.  Bytes
 * from the disk: -EUCLEAN, -ENOMEM, -EFBIG. */
int netfs_map_load(struct netfs_map *map, uint64_t chunk, const void *row, size_t len);
/* Of a chunk in which something is there.  Returns how many bytes it is. */
size_t netfs_map_store(const struct netfs_map_chunk *chunk, uint8_t row[NETFS_MAP_ROW]);
/* Likewise, of a sealed map; the seal of the row itself is left out. */
size_t netfs_map_store_sealed(const struct netfs_map_chunk *chunk,
			      uint8_t row[NETFS_MAP_SEALED_ROW - NETFS_MAP_SEAL]);

#endif
