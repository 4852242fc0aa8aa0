/* SPDX-License-Identifier: MIT */
/*
 * Memory, so that the simulator can refuse the n-th request.  NULL where there
 * is none.  netfs_free(NULL) is allowed.
 */
#ifndef ENV_ALLOC_H
#define ENV_ALLOC_H

#include <stddef.h>

void *netfs_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *netfs_zalloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *netfs_calloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *netfs_realloc(void *ptr, size_t size) __attribute__((alloc_size(2)));
void netfs_free(void *ptr);
char *netfs_strdup(const char *text);

/* Big aligned blocks for file data: size a power of two from 4 KiB to 2 MiB,
 * aligned to itself, contents undefined. */
void *netfs_block_alloc(size_t size) __attribute__((alloc_size(1)));
void netfs_block_free(void *block, size_t size);
/* Bytes in living blocks, so that tests can prove that none was left. */
size_t netfs_block_living(void);

/* Cleanup attribute: netfs_cleanup_free char *p = ...; */
static inline void netfs_free_pointer(void *ptr)
{
	netfs_free(*(void **)ptr);
}
#define netfs_cleanup_free __attribute__((cleanup(netfs_free_pointer)))
/* Gives an owning local away. */
#define netfs_take(var)                                                                            \
	({                                                                                         \
		__typeof__(var) taken_ = (var);                                                    \
		(var) = NULL;                                                                      \
		taken_;                                                                            \
	})

#endif
