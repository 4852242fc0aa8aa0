/* SPDX-License-Identifier: MIT */
/*
 * A read of a hit through FUSE, beside the same read answered by a handler that
 * does nothing (core_null.c).
 *
 * Both mounts have one file of 64 MiB.  The kernel's own pages of it are
 * dropped before each round and its read-ahead is off, so that each read below
 * is one request: the whole is the transport's, what is more on unetfs is ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "core_bench.h"

#define FILE_SIZE    (64 * MIB)
#define SMALL	     (4 * KIB)
#define SMALL_READS  4096u
#define READAHEAD_KB "1024"
#define PATIENCE     1000 /* times 10 ms */

extern char **environ;

struct fuse_mount {
	char folder[64];
	pid_t pid;
	int fd; /* the file */
	size_t block;
	unsigned reads;
};

static char *buf;

static void file_path(const struct fuse_mount *m, char path[96])
{
	snprintf(path, 96, "%s/file", m->folder);
}

static dev_t device(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_dev;
}

static bool wait_mounted(const struct fuse_mount *m, dev_t before)
{
	for (unsigned i = 0; i < PATIENCE; i++) {
		struct timespec pause = {.tv_nsec = 10000000};
		dev_t dev = device(m->folder);

		if (dev && dev != before)
			return true;
		if (waitpid(m->pid, NULL, WNOHANG) != 0)
			return false;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* The same number of pages in one request on both. */
static void set_readahead(const struct fuse_mount *m)
{
	dev_t dev = device(m->folder);
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(dev), minor(dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, READAHEAD_KB, strlen(READAHEAD_KB)) < 0)
		fprintf(stderr, "unetfs-core-bench: read-ahead stays as it is\n");
	close(fd);
}

/* False: no such mount can be had here. */
static bool mount_start(struct fuse_mount *m, const char *const *argv)
{
	dev_t before = device(m->folder);

	m->fd = -1;
	if (posix_spawn(&m->pid, argv[0], NULL, NULL, (char **)(uintptr_t)argv, environ))
		return false;
	if (!wait_mounted(m, before))
		return false;
	set_readahead(m);
	return true;
}

static void mount_stop(struct fuse_mount *m)
{
	if (m->fd >= 0)
		close(m->fd);
	if (umount2(m->folder, MNT_DETACH) == 0)
		waitpid(m->pid, NULL, 0);
	rmdir(m->folder);
}

static void file_fill(const struct fuse_mount *m)
{
	char path[96];
	int fd;

	file_path(m, path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	for (uint64_t at = 0; fd >= 0 && at < FILE_SIZE; at += MIB) {
		if (pwrite(fd, buf, MIB, (off_t)at) != (ssize_t)MIB)
			bench_fail("write through FUSE", errno);
	}
	if (fd < 0 || fsync(fd))
		bench_fail("write through FUSE", errno);
	close(fd);
}

static void file_open(struct fuse_mount *m)
{
	char path[96];

	file_path(m, path);
	m->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (m->fd < 0)
		bench_fail("open through FUSE", errno);
	posix_fadvise(m->fd, 0, 0, POSIX_FADV_RANDOM);
}

static void drop(void *arg)
{
	struct fuse_mount *m = arg;

	posix_fadvise(m->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void read_all(void *arg)
{
	struct fuse_mount *m = arg;

	for (unsigned i = 0; i < m->reads; i++) {
		if (pread(m->fd, buf, m->block, (off_t)(i * m->block)) != (ssize_t)m->block)
			bench_fail("read through FUSE", errno);
	}
}

static void race(struct fuse_mount *null, struct fuse_mount *ours, const char *size, size_t block)
{
	struct bench_lane lanes[] = {{.prepare = drop, .run = read_all, .arg = null},
				     {.prepare = drop, .run = read_all, .arg = ours}};
	unsigned reads = (unsigned)(FILE_SIZE / block);
	char name[64];

	if (reads > SMALL_READS)
		reads = SMALL_READS;
	null->block = ours->block = block;
	null->reads = ours->reads = reads;
	bench_race(lanes, 2, bench_rounds() * 3);
	snprintf(name, sizeof(name), "%s: read of the empty handler", size);
	bench_result(name, "us", lanes[0].best / reads / 1e3);
	snprintf(name, sizeof(name), "%s: read of a hit", size);
	bench_result(name, "us", lanes[1].best / reads / 1e3);
	snprintf(name, sizeof(name), "%s: hit, of the empty handler", size);
	bench_budget(name, "x", lanes[1].best / lanes[0].best, BENCH_AT_MOST, 1.1);
}

/* The program that mounts, beside the folder of this one. */
static void find_programs(char self[256], char unetfs[288])
{
	ssize_t n = readlink("/proc/self/exe", self, 255);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	snprintf(unetfs, 288, "%.*s/../front/unetfs", slash ? (int)(slash - self) : 0, self);
}

void bench_fuse(void)
{
	struct fuse_mount null = {.folder = "/tmp/unetfs-bench-null-XXXXXX"};
	struct fuse_mount ours = {.folder = "/tmp/unetfs-bench-ours-XXXXXX"};
	char self[256], unetfs[288];
	const char *const null_argv[] = {self, "--null", null.folder, NULL};
	const char *const ours_argv[] = {unetfs, "mount", "-f", "mem:", ours.folder, NULL};

	bench_group("FUSE");
	find_programs(self, unetfs);
	if (!mkdtemp(null.folder) || !mkdtemp(ours.folder))
		bench_fail("make a folder", errno);
	buf = bench_memory(MIB);
	if (mount_start(&null, null_argv) && mount_start(&ours, ours_argv)) {
		file_fill(&ours);
		file_open(&null);
		file_open(&ours);
		race(&null, &ours, "4 KiB", SMALL);
		race(&null, &ours, "1 MiB", MIB);
	} else {
		fputs("unetfs-core-bench: no mounts here, nothing measured\n", stderr);
	}
	mount_stop(&null);
	mount_stop(&ours);
	free(buf);
}
