/* SPDX-License-Identifier: MIT */
/*
 * The exerciser's target on a path: ordinary system calls, shared mappings,
 * POSIX aio or io_uring.
 *
 * A mapping lives for one operation only, so that each one faults its pages in
 * anew and what the kernel keeps between them is put to the test.
 */
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fsx.h"

#define HANDLES_MAX 2
#define PAGE	    4096

struct path_target {
	struct fsx_target target;
	const char *path;
	unsigned flags;
	int fds[HANDLES_MAX];
	bool ring_open;
	struct io_uring ring;
};

static struct path_target *of(struct fsx_target *target)
{
	return (struct path_target *)target;
}

static int path_close(struct fsx_target *target)
{
	struct path_target *path = of(target);
	int err = 0;

	for (unsigned i = 0; i < target->handles; i++) {
		if (path->fds[i] >= 0 && close(path->fds[i]) < 0 && !err)
			err = -errno;
		path->fds[i] = -1;
	}
	return err;
}

static int path_open(struct fsx_target *target, bool with_create)
{
	struct path_target *path = of(target);

	for (unsigned i = 0; i < target->handles; i++) {
		int flags = O_RDWR | O_CLOEXEC;

		if (with_create && i == 0)
			flags |= O_CREAT | (path->flags & FSX_KEEP ? 0 : O_TRUNC);
		/* Of two handles only one is direct: mixing is the point. */
		if ((path->flags & FSX_DIRECT) && i == target->handles - 1)
			flags |= O_DIRECT;
		if (path->flags & FSX_SYNC)
			flags |= O_SYNC;
		path->fds[i] = open(path->path, flags, 0644);
		if (path->fds[i] < 0) {
			int err = -errno;

			path_close(target);
			return err;
		}
	}
	return 0;
}

/* One transfer through aio, waited for. */
static ssize_t aio_transfer(int fd, bool write, void *buf, size_t len, uint64_t start)
{
	struct aiocb cb = {
		.aio_fildes = fd, .aio_buf = buf, .aio_nbytes = len, .aio_offset = start};
	const struct aiocb *list[1] = {&cb};
	int err;

	if ((write ? aio_write(&cb) : aio_read(&cb)) < 0)
		return -errno;
	while ((err = aio_error(&cb)) == EINPROGRESS)
		aio_suspend(list, 1, NULL);
	if (err)
		return -err;
	return aio_return(&cb);
}

static ssize_t uring_transfer(struct path_target *path, int fd, bool write, struct iovec *iov,
			      uint64_t start)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&path->ring);
	struct io_uring_cqe *cqe;
	ssize_t result;
	int err;

	if (!sqe)
		return -EAGAIN;
	if (write)
		io_uring_prep_writev(sqe, fd, iov, 1, start);
	else
		io_uring_prep_readv(sqe, fd, iov, 1, start);
	err = io_uring_submit(&path->ring);
	if (err < 0)
		return err;
	do {
		err = io_uring_wait_cqe(&path->ring, &cqe);
	} while (err == -EINTR);
	if (err)
		return err;
	result = cqe->res;
	io_uring_cqe_seen(&path->ring, cqe);
	return result;
}

static ssize_t path_read(struct fsx_target *target, unsigned handle, void *buf, size_t len,
			 uint64_t start)
{
	struct path_target *path = of(target);
	struct iovec iov = {buf, len};
	ssize_t got;

	if (path->ring_open)
		return uring_transfer(path, path->fds[handle], false, &iov, start);
	if (path->flags & FSX_AIO)
		return aio_transfer(path->fds[handle], false, buf, len, start);
	got = pread(path->fds[handle], buf, len, start);
	return got < 0 ? -errno : got;
}

static ssize_t path_write(struct fsx_target *target, unsigned handle, const void *buf, size_t len,
			  uint64_t start)
{
	struct path_target *path = of(target);
	struct iovec iov = {(void *)buf, len};
	ssize_t put;

	if (path->ring_open)
		return uring_transfer(path, path->fds[handle], true, &iov, start);
	if (path->flags & FSX_AIO)
		return aio_transfer(path->fds[handle], true, (void *)buf, len, start);
	put = pwrite(path->fds[handle], buf, len, start);
	return put < 0 ? -errno : put;
}

static int path_mapread(struct fsx_target *target, unsigned handle, void *buf, size_t len,
			uint64_t start)
{
	uint64_t skip = start % PAGE;
	uint8_t *map = mmap(NULL, skip + len, PROT_READ, MAP_SHARED, of(target)->fds[handle],
			    start - skip);

	if (map == MAP_FAILED)
		return -errno;
	memcpy(buf, map + skip, len);
	munmap(map, skip + len);
	return 0;
}

static int path_mapwrite(struct fsx_target *target, unsigned handle, const void *buf, size_t len,
			 uint64_t start)
{
	uint64_t skip = start % PAGE;
	uint8_t *map = mmap(NULL, skip + len, PROT_READ | PROT_WRITE, MAP_SHARED,
			    of(target)->fds[handle], start - skip);
	int err = 0;

	if (map == MAP_FAILED)
		return -errno;
	memcpy(map + skip, buf, len);
	if (msync(map, skip + len, MS_SYNC) < 0)
		err = -errno;
	munmap(map, skip + len);
	return err;
}

static int path_truncate(struct fsx_target *target, unsigned handle, uint64_t size)
{
	return ftruncate(of(target)->fds[handle], size) < 0 ? -errno : 0;
}

static int path_fallocate(struct fsx_target *target, unsigned handle, int mode, uint64_t start,
			  uint64_t len)
{
	return fallocate(of(target)->fds[handle], mode, start, len) < 0 ? -errno : 0;
}

static ssize_t path_copy(struct fsx_target *target, unsigned handle, uint64_t from, uint64_t to,
			 size_t len)
{
	struct path_target *path = of(target);
	int source = path->fds[target->handles - 1 - handle];
	off_t from_off = from, to_off = to;
	ssize_t done = copy_file_range(source, &from_off, path->fds[handle], &to_off, len, 0);

	return done < 0 ? -errno : done;
}

static int path_clone(struct fsx_target *target, unsigned handle, uint64_t from, uint64_t to,
		      size_t len)
{
	struct path_target *path = of(target);
	struct file_clone_range range = {path->fds[target->handles - 1 - handle], from, len, to};

	return ioctl(path->fds[handle], FICLONERANGE, &range) < 0 ? -errno : 0;
}

static int path_fsync(struct fsx_target *target, unsigned handle)
{
	return fsync(of(target)->fds[handle]) < 0 ? -errno : 0;
}

static int path_size(struct fsx_target *target, unsigned handle, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(of(target)->fds[handle], &st) < 0)
		return -errno;
	*ret_size = st.st_size;
	return 0;
}

static void path_drop(struct fsx_target *target, unsigned handle)
{
	posix_fadvise(of(target)->fds[handle], 0, 0, POSIX_FADV_DONTNEED);
}

static int path_pollute(struct fsx_target *target, unsigned handle, uint64_t size)
{
	uint64_t tail = size % PAGE;
	uint8_t *map;

	if (!tail)
		return 0;
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, of(target)->fds[handle],
		   size - tail);
	if (map == MAP_FAILED)
		return -errno;
	memset(map + tail, 0xEE, PAGE - tail);
	munmap(map, PAGE);
	return 0;
}

static void path_free(struct fsx_target *target)
{
	struct path_target *path = of(target);

	path_close(target);
	if (path->ring_open)
		io_uring_queue_exit(&path->ring);
	free(path);
}

static const struct fsx_target_ops path_ops = {
	.open = path_open,
	.close = path_close,
	.read = path_read,
	.write = path_write,
	.mapread = path_mapread,
	.mapwrite = path_mapwrite,
	.truncate = path_truncate,
	.fallocate = path_fallocate,
	.copy = path_copy,
	.clone = path_clone,
	.fsync = path_fsync,
	.size = path_size,
	.drop = path_drop,
	.pollute = path_pollute,
	.free = path_free,
};

int fsx_target_path(const char *name, unsigned handles, unsigned flags,
		    struct fsx_target **ret_target)
{
	struct path_target *path;
	int err;

	if (handles < 1 || handles > HANDLES_MAX)
		return -EINVAL;
	path = calloc(1, sizeof(*path));
	if (!path)
		return -ENOMEM;
	path->target = (struct fsx_target){&path_ops, handles};
	path->path = name;
	path->flags = flags;
	for (unsigned i = 0; i < HANDLES_MAX; i++)
		path->fds[i] = -1;
	if (flags & FSX_URING) {
		err = io_uring_queue_init(8, &path->ring, 0);
		if (err) {
			free(path);
			return err;
		}
		path->ring_open = true;
	}
	*ret_target = &path->target;
	return 0;
}
