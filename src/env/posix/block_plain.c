/* SPDX-License-Identifier: MIT */
/*
 * Blocks of file data, each straight from the C library: for builds with the
 * address sanitizer, which sees overruns and late uses only between blocks it
 * knows.  Other builds have block.c.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <base/assert.h>
#include <base/limits.h>
#include <base/round.h>
#include <env/alloc.h>

static _Atomic size_t living; /* bytes handed out */

void *netfs_block_alloc(size_t size)
{
	void *block;

	netfs_assert(netfs_is_power_of_two(size));
	netfs_assert(size >= NETFS_BLOCK_MIN);
	netfs_assert(size <= NETFS_BLOCK_MAX);
	block = aligned_alloc(size, size);
	if (block)
		atomic_fetch_add_explicit(&living, size, memory_order_relaxed);
	return block;
}

void netfs_block_free(void *block, size_t size)
{
	if (!block)
		return;
	atomic_fetch_sub_explicit(&living, size, memory_order_relaxed);
	free(block);
}

size_t netfs_block_living(void)
{
	return atomic_load_explicit(&living, memory_order_relaxed);
}
