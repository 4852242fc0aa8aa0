/* SPDX-License-Identifier: MIT */
/*
 * What size costs: one file from 16 MiB to 1 TiB, a mount from a thousand to a
 * million files, and the memory that goes for bookkeeping.
 *
 * What is used stays as large, a few thousand blocks spread evenly over the
 * whole: so the processor's caches hold as much of it in each case, and what
 * grows is ours.  Everything is on void:, whose server costs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <core/folio.h>
#include <vfs/vnode.h>
#include "core_bench.h"

#define SMALL  (4 * KIB)
#define BLOCKS 4096u /* used in one file */
#define OPS    20000u
#define SPREAD 1000u /* files used among many */
#define FILL   (64 * MIB)
#define FILES  1000000u
/* How void: addresses a file, as the allocator counts it. */
#define BACK_END_MEMORY 32
#define HIT_GROWTH_MAX	2.0

static char *buf;

/* ---------------------------------------------------- one large file */

struct sparse {
	uint64_t span; /* size of the file */
	struct bench_mount *m;
	struct netfs_file *file;
};

static void sparse_open(struct sparse *sparse)
{
	char source[64];

	snprintf(source, sizeof(source), "void:%" PRIu64, sparse->span);
	sparse->m = bench_mount_open(source, "");
	sparse->file = bench_open(sparse->m, "0", false);
	netfs_advise(sparse->file, 0, 0, NETFS_ADVICE_RANDOM);
}

static void sparse_close(struct sparse *sparse)
{
	netfs_release(sparse->file);
	bench_mount_close(sparse->m, true);
}

static void sparse_drop(void *arg)
{
	struct sparse *sparse = arg;

	netfs_advise(sparse->file, 0, 0, NETFS_ADVICE_DONTNEED);
}

/* In an order that is none. */
static uint64_t sparse_block(unsigned i, unsigned blocks)
{
	return (uint64_t)i * 2654435761u % blocks;
}

static void sparse_fetch(void *arg)
{
	struct sparse *sparse = arg;
	uint64_t step = sparse->span / BLOCKS;

	for (unsigned i = 0; i < BLOCKS; i++)
		bench_read(sparse->file, buf, SMALL, sparse_block(i, BLOCKS) * step);
}

static void sparse_hit(void *arg)
{
	struct sparse *sparse = arg;
	uint64_t step = sparse->span / BLOCKS;

	for (unsigned i = 0; i < OPS; i++)
		bench_read(sparse->file, buf, SMALL, bench_random() % BLOCKS * step);
}

static void sparse_dirty(void *arg)
{
	struct sparse *sparse = arg;
	uint64_t step = sparse->span / BLOCKS;

	for (unsigned i = 0; i < BLOCKS; i++)
		bench_write(sparse->file, buf, SMALL, sparse_block(i, BLOCKS) * step);
	bench_mount_sync(sparse->m);
}

static void run_sparse(void)
{
	static const struct {
		uint64_t span;
		const char *name;
	} spans[] = {
		{BLOCKS * SMALL, "16 MiB"}, {GIB, "1 GiB"}, {32 * GIB, "32 GiB"}, {TIB, "1 TiB"}};
	double hit[4] = {0};
	char name[64];

	for (unsigned i = 0; i < 4; i++) {
		struct sparse sparse = {.span = spans[i].span};
		struct bench_lane lanes[] = {
			{.prepare = sparse_drop, .run = sparse_fetch, .arg = &sparse},
			{.run = sparse_hit, .arg = &sparse},
			{.run = sparse_dirty, .arg = &sparse}};

		sparse_open(&sparse);
		bench_race(lanes, 3, bench_rounds());
		sparse_close(&sparse);
		hit[i] = lanes[1].best / OPS;
		snprintf(name, sizeof(name), "4 KiB of %s: hit", spans[i].name);
		bench_result(name, "ns", hit[i]);
		snprintf(name, sizeof(name), "4 KiB of %s: miss", spans[i].name);
		bench_result(name, "ns", lanes[0].best / BLOCKS);
		snprintf(name, sizeof(name), "4 KiB of %s: write and send", spans[i].name);
		bench_result(name, "ns", lanes[2].best / BLOCKS);
	}
	bench_budget("hit in 1 TiB, of one in 16 MiB", "x", hit[3] / hit[0], BENCH_AT_MOST,
		     HIT_GROWTH_MAX);
}

/* --------------------------------------------- memory for cached data */

static void fill_random(struct netfs_file *file, uint64_t step)
{
	netfs_advise(file, 0, 0, NETFS_ADVICE_RANDOM);
	for (unsigned i = 0; i < FILL / SMALL; i++)
		bench_read(file, buf, SMALL, sparse_block(i, FILL / SMALL) * step);
}

static void fill_dense(struct netfs_file *file)
{
	fill_random(file, SMALL);
}

static void fill_sparse(struct netfs_file *file)
{
	fill_random(file, TIB / (FILL / SMALL));
}

static void fill_ahead(struct netfs_file *file)
{
	for (uint64_t at = 0; at < FILL; at += SMALL)
		bench_read(file, buf, SMALL, at);
}

static void fill_small_writes(struct netfs_file *file)
{
	for (uint64_t at = 0; at < FILL; at += SMALL)
		bench_write(file, buf, SMALL, at);
}

static void fill_random_writes(struct netfs_file *file)
{
	for (unsigned i = 0; i < FILL / SMALL; i++)
		bench_write(file, buf, SMALL, sparse_block(i, FILL / SMALL) * SMALL);
}

/* Per cent of the cached bytes. */
static double bookkeeping(uint64_t size, void (*fill)(struct netfs_file *file))
{
	struct sparse sparse = {.span = size};
	struct netfs_mount_status status;
	double before, after;

	sparse_open(&sparse);
	netfs_advise(sparse.file, 0, 0, NETFS_ADVICE_NORMAL);
	before = (double)bench_heap();
	fill(sparse.file);
	bench_mount_sync(sparse.m);
	after = (double)bench_heap();
	netfs_mount_status(sparse.m->mount, &status);
	sparse_close(&sparse);
	return (after - before) / (double)status.cached * 100;
}

static void run_bookkeeping(void)
{
	static const struct {
		const char *name;
		uint64_t size; /* of the file before */
		void (*fill)(struct netfs_file *file);
	} fills[] = {{"bookkeeping: read in order", TIB, fill_ahead},
		     {"bookkeeping: a new file, written in order", 0, fill_small_writes},
		     {"bookkeeping: 4 KiB written over in order", TIB, fill_small_writes},
		     {"bookkeeping: 4 KiB read at random", TIB, fill_dense},
		     {"bookkeeping: 4 KiB written at random", TIB, fill_random_writes},
		     {"bookkeeping: 4 KiB spread over 1 TiB", TIB, fill_sparse}};

	bench_result("struct netfs_folio", "B", sizeof(struct netfs_folio));
	bench_result("struct netfs_block", "B", sizeof(struct netfs_block));
	for (unsigned i = 0; i < sizeof(fills) / sizeof(fills[0]); i++)
		bench_budget(fills[i].name, "%", bookkeeping(fills[i].size, fills[i].fill),
			     BENCH_AT_MOST, 1);
}

/* ---------------------------------------------------------- many files */

struct many {
	struct bench_mount *m;
	struct netfs_vnode **vnodes;
	unsigned count;
};

static struct netfs_vnode *number(struct many *many, unsigned i)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", i);
	return bench_lookup(many->m, name);
}

static void many_grow(struct many *many, unsigned count)
{
	while (many->count < count) {
		many->vnodes[many->count] = number(many, many->count);
		many->count++;
	}
}

static unsigned one_of(const struct many *many)
{
	return (unsigned)(bench_random() % SPREAD * (many->count / SPREAD));
}

static void many_lookup(void *arg)
{
	struct many *many = arg;

	for (unsigned i = 0; i < OPS; i++)
		netfs_vnode_put(number(many, one_of(many)));
}

static void many_stat(void *arg)
{
	struct many *many = arg;
	struct netfs_call call;

	for (unsigned i = 0; i < OPS; i++) {
		netfs_call_init(&call, NULL);
		netfs_getattr(many->vnodes[one_of(many)], NULL, &call);
		if (netfs_call_wait(&call))
			bench_fail("get attributes", EIO);
	}
}

static void many_read(void *arg)
{
	struct many *many = arg;
	struct netfs_call call;

	for (unsigned i = 0; i < OPS; i++) {
		netfs_call_init(&call, NULL);
		netfs_open(many->vnodes[one_of(many)], O_RDONLY, &call);
		if (netfs_call_wait(&call))
			bench_fail("open", EIO);
		bench_read(call.file, buf, SMALL, 0);
		netfs_release(call.file);
	}
}

static void many_measure(struct many *many, const char *size, double *ret_read)
{
	struct bench_lane lanes[] = {{.run = many_lookup, .arg = many},
				     {.run = many_stat, .arg = many},
				     {.run = many_read, .arg = many}};
	static const char *const what[] = {"look up", "stat", "open, read 4 KiB, close"};
	char name[64];

	bench_race(lanes, 3, bench_rounds());
	for (unsigned i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "one of %s files: %s", size, what[i]);
		bench_result(name, "ns", lanes[i].best / OPS);
	}
	*ret_read = lanes[2].best / OPS;
}

static void run_many(void)
{
	struct many many = {.m = bench_mount_open("void:4096", "")};
	double first, last, heap;

	many.vnodes = bench_memory(FILES * sizeof(struct netfs_vnode *));
	bench_result("struct netfs_vnode, with its inode", "B", sizeof(struct netfs_vnode));
	bench_result("struct netfs_inode", "B", sizeof(struct netfs_inode));
	many_grow(&many, SPREAD);
	many_measure(&many, "1,000", &first);
	many_grow(&many, 100000);
	many_measure(&many, "100,000", &last);
	/* By now the name cache is full. */
	heap = (double)bench_heap();
	many_grow(&many, FILES);
	heap = ((double)bench_heap() - heap) / (FILES - 100000);
	bench_result("memory of an idle file, with its back end's", "B", heap);
	bench_budget("memory of an idle file", "B", heap - BACK_END_MEMORY, BENCH_AT_MOST, 1024);
	many_measure(&many, "1,000,000", &last);
	bench_budget("a read in 1,000,000 files, of one in 1,000", "x", last / first, BENCH_AT_MOST,
		     HIT_GROWTH_MAX);
	for (unsigned i = 0; i < many.count; i++)
		netfs_vnode_put(many.vnodes[i]);
	free(many.vnodes);
	bench_mount_close(many.m, true);
}

void bench_growth(void)
{
	buf = bench_memory(SMALL);
	bench_group("Growth");
	run_sparse();
	run_bookkeeping();
	run_many();
	free(buf);
}
