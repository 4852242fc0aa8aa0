/* SPDX-License-Identifier: MIT */
/*
 * Offset to folio: a radix tree of 64-way nodes over 4 KiB pages, in which a
 * folio of any size from 4 KiB to 2 MiB stands once per slot it covers, or once
 * in a larger slot where nobody else is.
 *
 * Not locked: the inode's mutex guards it.
 */
#ifndef CORE_FOLIO_INDEX_H
#define CORE_FOLIO_INDEX_H

#include <stdint.h>

struct netfs_folio;

#define NETFS_PAGE_SHIFT 12
#define NETFS_PAGE_SIZE	 (UINT64_C(1) << NETFS_PAGE_SHIFT)
#define NETFS_FOLIO_MAX	 (UINT64_C(2) << 20)

struct netfs_folio_index {
	void *root; /* a node, or the only folio with bit 0 set; NULL: empty */
	unsigned height; /* levels of nodes it stands for; 0: empty */
	uint32_t count; /* folios in it */
};

void netfs_folio_index_init(struct netfs_folio_index *index);
/* The folio that holds position pos, or NULL. */
struct netfs_folio *netfs_folio_index_find(const struct netfs_folio_index *index, uint64_t pos);
/* The first folio that ends after pos, or NULL. */
struct netfs_folio *netfs_folio_index_next(const struct netfs_folio_index *index, uint64_t pos);
/* The folio overlaps none that is there and is aligned to its size.  -ENOMEM. */
int netfs_folio_index_insert(struct netfs_folio_index *index, struct netfs_folio *folio);
void netfs_folio_index_remove(struct netfs_folio_index *index, struct netfs_folio *folio);

#endif
