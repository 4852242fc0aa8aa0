/* SPDX-License-Identifier: MIT */
/*
 * One folio: a naturally aligned stretch of a file in memory, and what is
 * known about each of its bytes.
 *
 *	valid	 the byte is what a reader here must see
 *	dirty	 valid, and the server does not have it (a part of valid)
 *	pending	 a download is on its way that will make it valid
 *
 * valid and pending never overlap.  A dirty byte that is being uploaded is not
 * dirty any more, but the folio's writeback count keeps it in memory.
 *
 * The bytes themselves are in a block, which uploads, downloads and borrowing
 * readers share by reference.  Whoever wants to change bytes that somebody
 * else may look at copies the block first, so nobody ever waits for an upload
 * and what was lent stays as it was.  Bytes that are neither valid nor pending
 * may be written in a shared block, because nobody else looks at them; but for
 * those that were valid when the block was shared (exposed).
 */
#ifndef CORE_FOLIO_H
#define CORE_FOLIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <base/list.h>
#include <base/ranges.h>
#include <core/folio_index.h>

struct netfs_budget;
struct netfs_inode;

/*
 * The memory of a folio.  Freed with the last reference.  New references are
 * taken under the inode's mutex only, so one who holds it and sees refs == 1
 * in a folio's block is alone with it.
 */
struct netfs_block {
	_Atomic uint32_t refs;
	uint32_t size; /* bytes, a power of two */
	struct netfs_budget *budget; /* where it is accounted */
	uint8_t *data;
};

/*
 * Owned by its inode's index; every segment of a request holds a reference.
 * Taken out of the index first, freed with the last reference.
 *
 * I: immutable; f: the inode's mutex; b: the budget's lock; a: atomic.
 */
struct netfs_folio {
	struct netfs_inode *inode; /* I */
	uint64_t start; /* I: a multiple of size */
	uint32_t size; /* I: bytes, 4 KiB to 2 MiB */
	uint32_t refs; /* f: the index and segments */
	uint32_t writeback; /* f: segments being uploaded */
	uint32_t frozen; /* f: entries of it in inode->frozen */
	uint32_t checks; /* f: of its blocks being read again, see crypt_check.c */
	uint32_t group; /* f: of its dirty bytes */
	uint32_t ahead; /* f: bytes read ahead and not used yet, at most */
	uint32_t gen; /* f: grows when pending data became worthless */
	bool indexed; /* f: in the inode's index */
	bool stale; /* f: forget it when its upload is over */
	bool exposed; /* f: others may look at bytes that are not valid any more */
	bool cheap; /* b: the queue is that of cheap ones */
	_Atomic bool visited; /* a: used since the hand passed */
	struct netfs_block *block; /* f */
	struct netfs_ranges valid; /* f: file positions, as the next two */
	struct netfs_ranges dirty; /* f */
	struct netfs_ranges pending; /* f */
	struct netfs_list queue; /* b: place in the eviction queue */
};

static inline uint64_t netfs_folio_end(const struct netfs_folio *folio)
{
	return folio->start + folio->size;
}

/* Where position pos of the file is in memory. */
static inline uint8_t *netfs_folio_at(const struct netfs_folio *folio, uint64_t pos)
{
	return folio->block->data + (pos - folio->start);
}

static inline struct netfs_block *netfs_block_get(struct netfs_block *block)
{
	atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
	return block;
}

/* Memory that is charged to the inode's budget; under the inode's mutex.  must:
 * go over the budget rather than fail.  size is a power of two. */
struct netfs_block *netfs_block_new(struct netfs_inode *inode, uint32_t size, bool must);
/* Any thread.  Release pairs with the acquire in netfs_block_alone(). */
void netfs_block_put(struct netfs_block *block);

static inline bool netfs_block_alone(const struct netfs_block *block)
{
	return atomic_load_explicit(&block->refs, memory_order_acquire) == 1;
}

/*
 * The folio at pos, made if there is none: as large as wanted (a power of two)
 * if the neighbours leave room.  must: go over the budget rather than fail.
 * NULL where there is no memory.  Holds the inode's mutex.
 */
struct netfs_folio *netfs_folio_make(struct netfs_inode *inode, uint64_t pos, uint32_t wanted,
				     bool must);
/* Drops a reference, under the inode's mutex. */
void netfs_folio_put(struct netfs_folio *folio);
/* Out of the index and the eviction queue; memory follows the last user. */
void netfs_folio_remove(struct netfs_folio *folio);
/* Makes [from, to) safe to write for the holder of the mutex.  -ENOMEM. */
int netfs_folio_own(struct netfs_folio *folio, uint64_t from, uint64_t to);
/* Makes what is neither valid nor pending safe to fill.  -ENOMEM. */
int netfs_folio_renew(struct netfs_folio *folio);
/* Forgets [from, to): not valid, not dirty, not pending.  Returns how many
 * bytes were dirty.  Downloads under way into the folio lose their worth. */
uint64_t netfs_folio_forget(struct netfs_folio *folio, uint64_t from, uint64_t to);
/* As that for what is not dirty.  Nothing of the range is under upload.  False:
 * without memory some of it could not be told from what must stay. */
bool netfs_folio_forget_clean(struct netfs_folio *folio, uint64_t from, uint64_t to);
/* Nothing of it is needed by anybody: it may be evicted. */
bool netfs_folio_idle(const struct netfs_folio *folio);
/* Aborts where the invariants above do not hold. */
void netfs_folio_check(const struct netfs_folio *folio);

#endif
