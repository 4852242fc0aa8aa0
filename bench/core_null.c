/* SPDX-License-Identifier: MIT */
/*
 * The least that a FUSE handler can do: one file, whose reads are answered from
 * memory that is always there.  What unetfs needs beyond it is unetfs's.
 *
 * It agrees with the kernel on the same sizes, has as many threads and receives
 * in the same way: one read of the device each, no splice.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core_bench.h"

#define FILE_INO  2u
#define FILE_SIZE (64 * MIB)
#define DATA_MAX  MIB
#define THREADS	  2u
#define TTL_SEC	  3600.0

static char *data;

static struct stat stat_of(fuse_ino_t ino)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	st.st_ino = ino;
	st.st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
	st.st_nlink = 1;
	st.st_size = ino == FUSE_ROOT_ID ? 0 : (off_t)FILE_SIZE;
	return st;
}

static void null_init(void *user, struct fuse_conn_info *conn)
{
	conn->want = FUSE_CAP_ASYNC_READ & conn->capable;
	conn->max_write = DATA_MAX;
	conn->max_read = DATA_MAX;
	conn->max_readahead = DATA_MAX;
}

static void null_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.ino = FILE_INO,
					 .attr = stat_of(FILE_INO),
					 .attr_timeout = TTL_SEC,
					 .entry_timeout = TTL_SEC};

	if (strcmp(name, "file"))
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_entry(req, &entry);
}

static void null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = stat_of(ino);

	fuse_reply_attr(req, &st, TTL_SEC);
}

static void null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_open(req, fi);
}

static void null_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t start,
		      struct fuse_file_info *fi)
{
	fuse_reply_buf(req, data + start, size);
}

static const struct fuse_lowlevel_ops ops = {
	.init = null_init,
	.lookup = null_lookup,
	.getattr = null_getattr,
	.open = null_open,
	.read = null_read,
};

static void *serve(void *arg)
{
	struct fuse_session *se = arg;
	struct fuse_buf buf = {.mem = bench_memory(DATA_MAX + 8192)};
	ssize_t n;

	while (!fuse_session_exited(se)) {
		n = read(fuse_session_fd(se), buf.mem, DATA_MAX + 8192);
		if (n < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
			break;
		if (n <= 0)
			continue;
		buf.size = (size_t)n;
		fuse_session_process_buf(se, &buf);
	}
	free(buf.mem);
	return NULL;
}

int bench_null_handler(const char *folder)
{
	char name[] = "unetfs-core-bench", option[] = "-omax_read=1048576,default_permissions";
	char *argv[] = {name, option, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);
	struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	pthread_t threads[THREADS];

	/* In huge pages, as the memory of unetfs. */
	data = aligned_alloc(2 * MIB, FILE_SIZE);
	if (!data)
		return 1;
	madvise(data, FILE_SIZE, MADV_HUGEPAGE);
	memset(data, 'x', FILE_SIZE);
	if (!se || fuse_session_mount(se, folder))
		return 1;
	for (unsigned i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, serve, se))
			bench_fail("start a thread", EAGAIN);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	fuse_session_unmount(se);
	fuse_session_destroy(se);
	free(data);
	return 0;
}
