/* SPDX-License-Identifier: MIT */
/*
 * Where this folder gets memory.  Two pointers, so that the simulator can
 * count and refuse what pure data structures ask for.  They are set before
 * any other thread exists and never afterwards.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* As realloc(3) and free(3); the C library's own unless somebody set others. */
extern void *(*netfs_mem_realloc)(void *ptr, size_t size);
extern void (*netfs_mem_free)(void *ptr);

#endif
