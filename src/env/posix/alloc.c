/* SPDX-License-Identifier: MIT */
/*
 * Small memory: the C library's allocator as it is.  Blocks of file data are
 * in block.c.
 */
#include <stdlib.h>
#include <string.h>
#include <env/alloc.h>

void *netfs_alloc(size_t size)
{
	return malloc(size);
}

void *netfs_zalloc(size_t size)
{
	return calloc(1, size);
}

void *netfs_calloc(size_t n, size_t size)
{
	return calloc(n, size);
}

void *netfs_realloc(void *ptr, size_t size)
{
	return realloc(ptr, size);
}

void netfs_free(void *ptr)
{
	free(ptr);
}

char *netfs_strdup(const char *text)
{
	return strdup(text);
}
