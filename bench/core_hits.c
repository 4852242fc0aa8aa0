/* SPDX-License-Identifier: MIT */
/*
 * Operations that memory answers, beside the copy they cannot do without and
 * beside the kernel's own cache (a file on tmpfs).
 *
 * A file of 8 MiB on mem: is held in the cache and used at random places.  What
 * is overwritten lies in so small a part that nothing is sent meanwhile.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "core_bench.h"

#define FILE_SIZE  (8 * MIB)
#define DIRTY_SIZE (128 * KIB) /* less than is sent at once */
#define SMALL	   (4 * KIB)
#define LARGE	   MIB
#define SMALL_OPS  20000u
#define LARGE_OPS  100u
#define APPENDS	   4096u
/* 0.7 us where pread of a cached page takes 0.87. */
#define PREAD_PART_MAX (0.7 / 0.87)

static struct bench_mount *share, *nowhere;
static struct netfs_file *file, *growing;
static char *buf, *memory;
static int tmpfs;

static uint64_t small_place(void)
{
	return bench_random() % (FILE_SIZE / SMALL) * SMALL;
}

static uint64_t large_place(void)
{
	return bench_random() % (FILE_SIZE / LARGE) * LARGE;
}

/* Keeps a copy from being left out. */
static void use(void *bytes)
{
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

static void copy_small(void *arg)
{
	for (unsigned i = 0; i < SMALL_OPS; i++) {
		memcpy(buf, memory + small_place(), SMALL);
		use(buf);
	}
}

static void kernel_small(void *arg)
{
	for (unsigned i = 0; i < SMALL_OPS; i++) {
		if (pread(tmpfs, buf, SMALL, (off_t)small_place()) != (ssize_t)SMALL)
			bench_fail("read tmpfs", errno);
	}
}

static void read_small(void *arg)
{
	for (unsigned i = 0; i < SMALL_OPS; i++)
		bench_read(file, buf, SMALL, small_place());
}

static void borrowed(struct netfs_io *io, ssize_t result)
{
	if (result != (ssize_t)SMALL)
		bench_fail("borrow", EIO);
	netfs_io_end(io);
}

static void borrow_small(void *arg)
{
	for (unsigned i = 0; i < SMALL_OPS; i++) {
		struct iovec iov[8];
		struct netfs_io io = {.done = borrowed,
				      .iov = iov,
				      .niov = 8,
				      .flags = NETFS_IO_BORROW,
				      .start = small_place(),
				      .len = SMALL};

		netfs_read(file, &io);
	}
}

static void copy_large(void *arg)
{
	for (unsigned i = 0; i < LARGE_OPS; i++) {
		memcpy(buf, memory + large_place(), LARGE);
		use(buf);
	}
}

static void kernel_large(void *arg)
{
	for (unsigned i = 0; i < LARGE_OPS; i++) {
		if (pread(tmpfs, buf, LARGE, (off_t)large_place()) != (ssize_t)LARGE)
			bench_fail("read tmpfs", errno);
	}
}

static void read_large(void *arg)
{
	for (unsigned i = 0; i < LARGE_OPS; i++)
		bench_read(file, buf, LARGE, large_place());
}

static void copy_over(void *arg)
{
	for (unsigned i = 0; i < SMALL_OPS; i++) {
		memcpy(memory + small_place() % DIRTY_SIZE, buf, SMALL);
		use(memory);
	}
}

static void kernel_over(void *arg)
{
	for (unsigned i = 0; i < SMALL_OPS; i++) {
		if (pwrite(tmpfs, buf, SMALL, (off_t)(small_place() % DIRTY_SIZE)) !=
		    (ssize_t)SMALL)
			bench_fail("write tmpfs", errno);
	}
}

static void write_over(void *arg)
{
	for (unsigned i = 0; i < SMALL_OPS; i++)
		bench_write(file, buf, SMALL, small_place() % DIRTY_SIZE);
}

static void kernel_empty(void *arg)
{
	if (ftruncate(tmpfs, 0))
		bench_fail("cut tmpfs", errno);
}

static void kernel_append(void *arg)
{
	for (unsigned i = 0; i < APPENDS; i++) {
		if (pwrite(tmpfs, buf, SMALL, (off_t)(i * SMALL)) != (ssize_t)SMALL)
			bench_fail("write tmpfs", errno);
	}
}

static void empty(void *arg)
{
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE};
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	netfs_setattr(netfs_file_vnode(growing), growing, &set, &call);
	err = netfs_call_wait(&call);
	if (err)
		bench_fail("cut", err);
}

static void append(void *arg)
{
	for (unsigned i = 0; i < APPENDS; i++) {
		if (netfs_pwrite(growing, buf, SMALL, 0, NETFS_IO_APPEND) != (ssize_t)SMALL)
			bench_fail("append", EIO);
	}
}

static void start(void)
{
	memory = bench_memory(FILE_SIZE);
	buf = bench_memory(LARGE);
	tmpfs = memfd_create("unetfs-core-bench", MFD_CLOEXEC);
	if (tmpfs < 0 || pwrite(tmpfs, memory, FILE_SIZE, 0) != (ssize_t)FILE_SIZE)
		bench_fail("use tmpfs", errno);
	share = bench_mount_open("mem:", "");
	nowhere = bench_mount_open("void:0", "");
	file = bench_open(share, "file", true);
	growing = bench_open(nowhere, "0", false);
	for (uint64_t at = 0; at < FILE_SIZE; at += LARGE)
		bench_write(file, memory, LARGE, at);
	bench_mount_sync(share);
}

static void stop(void)
{
	netfs_release(file);
	netfs_release(growing);
	bench_mount_close(share, true);
	bench_mount_close(nowhere, true);
	close(tmpfs);
}

static void run_small(void)
{
	struct bench_lane lanes[] = {{.run = copy_small},
				     {.run = kernel_small},
				     {.run = read_small},
				     {.run = borrow_small}};

	bench_race(lanes, 4, bench_rounds() * 3);
	bench_result("4 KiB: memcpy", "ns", lanes[0].best / SMALL_OPS);
	bench_result("4 KiB: pread of a cached page of tmpfs", "ns", lanes[1].best / SMALL_OPS);
	bench_budget("4 KiB: hit, copied", "ns", lanes[2].best / SMALL_OPS, BENCH_AT_MOST,
		     lanes[0].best / SMALL_OPS + 100);
	bench_budget("4 KiB: hit, of pread of a cached page", "x", lanes[2].best / lanes[1].best,
		     BENCH_AT_MOST, PREAD_PART_MAX);
	bench_budget("4 KiB: hit, borrowed", "ns", lanes[3].best / SMALL_OPS, BENCH_AT_MOST, 150);
}

static void run_large(void)
{
	struct bench_lane lanes[] = {
		{.run = copy_large}, {.run = kernel_large}, {.run = read_large}};

	bench_race(lanes, 3, bench_rounds() * 3);
	bench_result("1 MiB: memcpy", "us", lanes[0].best / LARGE_OPS / 1e3);
	bench_result("1 MiB: pread of cached pages of tmpfs", "us",
		     lanes[1].best / LARGE_OPS / 1e3);
	bench_result("1 MiB: hit, copied", "us", lanes[2].best / LARGE_OPS / 1e3);
	bench_budget("1 MiB: hit, of memcpy's speed", "x", lanes[0].best / lanes[2].best,
		     BENCH_AT_LEAST, 0.95);
}

static void run_writes(void)
{
	struct bench_lane lanes[] = {{.run = copy_over},
				     {.run = kernel_over},
				     {.run = write_over},
				     {.prepare = kernel_empty, .run = kernel_append},
				     {.prepare = empty, .run = append}};

	bench_race(lanes, 5, bench_rounds() * 3);
	bench_result("4 KiB over: memcpy", "ns", lanes[0].best / SMALL_OPS);
	bench_result("4 KiB over: pwrite to a page of tmpfs", "ns", lanes[1].best / SMALL_OPS);
	bench_budget("4 KiB over dirty data", "ns", lanes[2].best / SMALL_OPS, BENCH_AT_MOST,
		     lanes[0].best / SMALL_OPS + 100);
	bench_result("4 KiB appended: pwrite to tmpfs", "ns", lanes[3].best / APPENDS);
	bench_result("4 KiB appended", "ns", lanes[4].best / APPENDS);
}

void bench_hits(void)
{
	start();
	bench_group("Hits in memory");
	run_small();
	run_large();
	run_writes();
	stop();
}
