/* SPDX-License-Identifier: MIT */
/* Blocks of an object, as a cookie stores them. */
#ifndef TESTS_CACHE_PUT_BLOCK_H
#define TESTS_CACHE_PUT_BLOCK_H

#include <cache/store/store.h>

#define PUT_SECRET     "the secret that the tests seal with"
#define PUT_SECRET_LEN (sizeof(PUT_SECRET) - 1)

/* len bytes (at most a block) become that block of an open object, in its file
 * and its map, which is reserved; sealed where the object is.  0 or a negative
 * errno. */
int put_block(struct netfs_store_object *object, uint64_t block, const uint8_t *bytes, size_t len);

#endif
