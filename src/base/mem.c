/* SPDX-License-Identifier: MIT */
/*
 * The memory hooks of the pure data structures.  Not locked: written once at
 * start, before there is a second thread, and only read from then on.
 */
#include <stdlib.h>
#include <base/mem.h>

void *(*netfs_mem_realloc)(void *ptr, size_t size) = realloc;
void (*netfs_mem_free)(void *ptr) = free;
