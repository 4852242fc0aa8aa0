/* SPDX-License-Identifier: MIT */
/*
 * Memory that counts what lives and can refuse the n-th request.  The data
 * structures of base take theirs from here too while a world exists.  What the
 * simulator needs for itself comes straight from the C library and is neither
 * counted nor refused.
 *
 * What is freed is filled, and so is what nobody has written yet: a run that
 * looks at either must do the same thing every time, and not by luck the right
 * one.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <base/assert.h>
#include <base/limits.h>
#include <base/mem.h>
#include <base/round.h>
#include <env/alloc.h>
#include <env/sim/sim.h>
#include <env/sim/world.h>

#define FRESH 0x5a
#define GONE  0xdb

static uint64_t living; /* allocations, since the world began */
static size_t living_blocks; /* bytes */
static uint64_t fail_in; /* requests until one fails, 0: none will */
static uint64_t failed;

/* Is this the request that is to fail? */
static bool refused(void)
{
	if (!fail_in || --fail_in)
		return false;
	failed++;
	netfs_sim_printf("memory: an allocation fails");
	return true;
}

static void *counted(void *ptr)
{
	living += !!ptr;
	return ptr;
}

static void *filled(void *ptr, size_t size)
{
	return ptr ? memset(ptr, FRESH, size) : NULL;
}

void *netfs_alloc(size_t size)
{
	return refused() ? NULL : counted(filled(malloc(size), size));
}

void *netfs_zalloc(size_t size)
{
	return refused() ? NULL : counted(calloc(1, size));
}

void *netfs_calloc(size_t n, size_t size)
{
	return refused() ? NULL : counted(calloc(n, size));
}

void *netfs_realloc(void *ptr, size_t size)
{
	if (refused())
		return NULL;
	if (!ptr)
		return counted(malloc(size));
	/* realloc(3) to nothing would free it behind our back. */
	return realloc(ptr, size ? size : 1);
}

void netfs_free(void *ptr)
{
	if (!ptr)
		return;
	netfs_assert(living);
	living--;
	memset(ptr, GONE, malloc_usable_size(ptr));
	/* The compiler knows free() and would leave the filling out. */
	__asm__ volatile("" : : "r"(ptr) : "memory");
	free(ptr);
}

char *netfs_strdup(const char *text)
{
	return refused() ? NULL : counted(strdup(text));
}

void *netfs_block_alloc(size_t size)
{
	void *block;

	netfs_assert(netfs_is_power_of_two(size));
	netfs_assert(size >= NETFS_BLOCK_MIN);
	netfs_assert(size <= NETFS_BLOCK_MAX);
	if (refused())
		return NULL;
	block = counted(aligned_alloc(size, size));
	if (block)
		living_blocks += size;
	return block;
}

void netfs_block_free(void *block, size_t size)
{
	if (!block)
		return;
	living_blocks -= size;
	netfs_free(block);
}

size_t netfs_block_living(void)
{
	return living_blocks;
}

void netfs_sim_fail_alloc(uint64_t n)
{
	fail_in = n;
}

uint64_t netfs_sim_allocs_refused(void)
{
	return failed;
}

uint64_t netfs_sim_fail_left(void)
{
	return fail_in;
}

uint64_t netfs_sim_allocs(void)
{
	return living;
}

void netfs_sim_allocs_start(void)
{
	fail_in = 0;
	failed = 0;
	netfs_mem_realloc = netfs_realloc;
	netfs_mem_free = netfs_free;
}

void netfs_sim_allocs_stop(void)
{
	fail_in = 0;
	netfs_mem_realloc = realloc;
	netfs_mem_free = free;
}
