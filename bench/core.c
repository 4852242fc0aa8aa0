/* SPDX-License-Identifier: MIT */
/*
 * unetfs-core-bench: the hot paths of the engine against their budgets.
 *
 *	unetfs-core-bench [-r ROUNDS] [-j FILE] [hits] [growth] [flow] [fuse]
 *
 * Without a word all parts are run.  A table goes to standard output while they
 * do, with JSON after it, or in FILE.  Everything that is compared is done in
 * turn in one run and the best of ROUNDS (9) counts, because others on the
 * machine can only make it slower.  The program ends with 0 also where a budget
 * is missed: doc/speed.md explains those.
 *
 * Two servers are behind it, both in this process: mem:, and void:SIZE
 * (core_void.c), whose files have that size, are called by numbers and cost
 * nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core_bench.h"

static uint64_t state = 88172645463325252ULL;
static unsigned rounds = 9;

void bench_fail(const char *what, int err)
{
	fprintf(stderr, "unetfs-core-bench: cannot %s: %s\n", what, strerror(abs(err)));
	exit(1);
}

double bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

uint64_t bench_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

void *bench_memory(size_t size)
{
	void *memory = aligned_alloc(4096, size);

	if (!memory)
		bench_fail("have memory", ENOMEM);
	memset(memory, 'x', size);
	return memory;
}

size_t bench_heap(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

unsigned bench_rounds(void)
{
	return rounds;
}

void bench_race(struct bench_lane *lanes, unsigned n, unsigned count)
{
	for (unsigned i = 0; i < n; i++)
		lanes[i].best = 1e18;
	for (unsigned round = 0; round < count; round++) {
		for (unsigned i = 0; i < n; i++) {
			double took;

			if (lanes[i].prepare)
				lanes[i].prepare(lanes[i].arg);
			took = bench_now();
			lanes[i].run(lanes[i].arg);
			took = bench_now() - took;
			if (took < lanes[i].best)
				lanes[i].best = took;
		}
	}
}

/* ---------------------------------------------------------- library */

struct bench_mount *bench_mount_open(const char *source, const char *options)
{
	/* Nothing is sent because of its age, and nothing leaves memory. */
	struct netfs_client_config config = {.struct_size = sizeof(config),
					     .memory_max = 8 * GIB,
					     .dirty_max = 4 * GIB,
					     .dirty_age_ms = 3600000};
	struct bench_mount *m = calloc(1, sizeof(*m));
	struct netfs_call call;
	int err;

	err = m ? netfs_client_new(&config, &m->client) : ENOMEM;
	if (err)
		bench_fail("start the library", err);
	netfs_call_init(&call, NULL);
	netfs_mount_open(m->client, source, options, &call);
	err = netfs_call_wait(&call);
	if (err)
		bench_fail(source, err);
	m->mount = call.mount;
	m->root = netfs_mount_root(m->mount);
	return m;
}

void bench_mount_sync(struct bench_mount *m)
{
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	netfs_mount_sync(m->mount, &call);
	err = netfs_call_wait(&call);
	if (err)
		bench_fail("sync", err);
}

void bench_mount_close(struct bench_mount *m, bool force)
{
	struct netfs_call call;
	int err;

	netfs_vnode_put(m->root);
	netfs_call_init(&call, NULL);
	netfs_mount_close(m->mount, force ? NETFS_CLOSE_FORCE : 0, &call);
	err = netfs_call_wait(&call);
	if (err)
		bench_fail("unmount", err);
	netfs_client_free(m->client);
	free(m);
}

struct netfs_vnode *bench_lookup(struct bench_mount *m, const char *name)
{
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	netfs_lookup(m->root, name, &call);
	err = netfs_call_wait(&call);
	if (err)
		bench_fail("look up", err);
	return call.vnode;
}

struct netfs_file *bench_open(struct bench_mount *m, const char *name, bool create)
{
	struct netfs_vnode *vnode = create ? NULL : bench_lookup(m, name);
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	if (create)
		netfs_create(m->root, name, O_RDWR, 0644, &call);
	else
		netfs_open(vnode, O_RDWR, &call);
	err = netfs_call_wait(&call);
	if (err)
		bench_fail("open", err);
	netfs_vnode_put(create ? call.vnode : vnode);
	return call.file;
}

void bench_write(struct netfs_file *file, const void *buf, size_t len, uint64_t start)
{
	ssize_t n = netfs_pwrite(file, buf, len, start, 0);

	if (n != (ssize_t)len)
		bench_fail("write", n < 0 ? (int)n : EIO);
}

void bench_read(struct netfs_file *file, void *buf, size_t len, uint64_t start)
{
	ssize_t n = netfs_pread(file, buf, len, start, 0);

	if (n != (ssize_t)len)
		bench_fail("read", n < 0 ? (int)n : EIO);
}

/* ------------------------------------------------------------- start */

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	{"hits", bench_hits}, {"growth", bench_growth}, {"flow", bench_flow}, {"fuse", bench_fuse}};

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = optind; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return true;
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	const char *json = NULL;
	int opt;

	if (argc == 3 && !strcmp(argv[1], "--null"))
		return bench_null_handler(argv[2]);
	while ((opt = getopt(argc, argv, "r:j:")) != -1) {
		if (opt == 'r' && atoi(optarg) > 0) {
			rounds = (unsigned)atoi(optarg);
		} else if (opt == 'j') {
			json = optarg;
		} else {
			fputs("usage: unetfs-core-bench [-r ROUNDS] [-j FILE] "
			      "[hits] [growth] [flow] [fuse]\n",
			      stderr);
			return 2;
		}
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (wanted(parts[i].name, argc, argv))
			parts[i].run();
	}
	return !bench_json(json);
}
