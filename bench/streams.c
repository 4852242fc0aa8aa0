/* SPDX-License-Identifier: MIT */
/*
 * unetfs-streams: how fast one reader with a pattern gets cold data from a
 * server that takes some time for every answer.
 *
 * The server is a folder with delay= on it, read through the library, so that
 * no kernel reads ahead as well.  Each pattern has a mount of its own.  One line
 * of JSON per pattern.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <unetfs/unetfs.h>

#define FILE_SIZE (UINT64_C(256) << 20)
#define NAME	  "unetfs-streams.data"

struct pattern {
	const char *name;
	uint64_t first;
	int64_t step;
	size_t len;
	unsigned count;
};

static const struct pattern patterns[] = {
	{"sequential, 64 KiB", 0, 64 << 10, 64 << 10, 1024},
	{"strided, 64 KiB of each MiB", 0, 1 << 20, 64 << 10, 256},
	{"strided, 4 KiB of each 256 KiB", 0, 256 << 10, 4 << 10, 512},
	{"backward, 64 KiB", FILE_SIZE - (64 << 10), -(64 << 10), 64 << 10, 1024},
};

static _Noreturn void fail(const char *what, int err)
{
	fprintf(stderr, "unetfs-streams: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void make_file(const char *folder)
{
	static char block[1 << 20];
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, NAME);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		fail(path, 1);
	memset(block, 'x', sizeof(block));
	for (uint64_t at = 0; at < FILE_SIZE; at += sizeof(block)) {
		if (write(fd, block, sizeof(block)) != sizeof(block))
			fail(path, 1);
	}
	close(fd);
}

static struct netfs_file *open_file(struct netfs_mount *mount)
{
	struct netfs_vnode *root = netfs_mount_root(mount), *vnode;
	struct netfs_call call;
	int err;

	netfs_call_init(&call, NULL);
	netfs_lookup(root, NAME, &call);
	err = netfs_call_wait(&call);
	if (err)
		fail("lookup", err);
	vnode = call.vnode;
	netfs_call_init(&call, NULL);
	netfs_open(vnode, O_RDONLY, &call);
	err = netfs_call_wait(&call);
	if (err)
		fail("open", err);
	netfs_vnode_put(vnode);
	netfs_vnode_put(root);
	return call.file;
}

static struct netfs_mount *open_mount(struct netfs_client *client, const char *folder,
				      const char *options)
{
	struct netfs_call call;
	char source[4096];
	int err;

	snprintf(source, sizeof(source), "dir:%s", folder);
	netfs_call_init(&call, NULL);
	netfs_mount_open(client, source, options, &call);
	err = netfs_call_wait(&call);
	if (err)
		fail(call.message, err);
	return call.mount;
}

static void run(struct netfs_client *client, const char *folder, const char *options,
		const struct pattern *pattern)
{
	struct netfs_mount *mount = open_mount(client, folder, options);
	struct netfs_file *file = open_file(mount);
	char *buf = malloc(pattern->len);
	struct netfs_call call;
	double begin = now(), took;

	for (unsigned i = 0; i < pattern->count; i++) {
		ssize_t n = netfs_pread(file, buf, pattern->len,
					pattern->first + (int64_t)i * pattern->step, 0);

		if (n != (ssize_t)pattern->len)
			fail("read", n < 0 ? (int)n : 1);
	}
	took = now() - begin;
	printf("{\"pattern\": \"%s\", \"options\": \"%s\", \"mb_per_s\": %.1f, "
	       "\"us_per_read\": %.0f}\n",
	       pattern->name, options, pattern->len * (double)pattern->count / took / 1e6,
	       took / pattern->count * 1e6);
	free(buf);
	netfs_release(file);
	netfs_call_init(&call, NULL);
	netfs_mount_close(mount, 0, &call);
	netfs_call_wait(&call);
}

int main(int argc, char **argv)
{
	struct netfs_client *client;
	int err;

	if (argc != 3) {
		fprintf(stderr, "usage: unetfs-streams FOLDER OPTIONS\n"
				"Makes a file of 256 MiB in FOLDER and reads it through "
				"dir:FOLDER with OPTIONS, as \"delay=5\".\n");
		return 2;
	}
	make_file(argv[1]);
	err = netfs_client_new(NULL, &client);
	if (err)
		fail("client", err);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		run(client, argv[1], argv[2], &patterns[i]);
	netfs_client_free(client);
	return 0;
}
