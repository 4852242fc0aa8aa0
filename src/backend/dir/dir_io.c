/* SPDX-License-Identifier: MIT */
/*
 * Open files of the dir back end: handles, directories read through them, and
 * data.
 *
 * A slice becomes one asynchronous transfer.  The kernel may move less than was
 * asked; then the rest is asked for again, until a read returns nothing, which
 * is the end of the file, or everything was moved.  The pieces of the slice
 * belong to the engine, so the rest is described by a copy of them.
 *
 * Directories are read through a descriptor opened for each call, because the
 * position of the handle's own is one for all who read at the same time.
 *
 * Locks: dir_be.mutex for counts only.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <backend/dir/dir.h>
#include <base/limits.h>
#include <base/round.h>
#include <env/alloc.h>
#include <env/file.h>
#include <env/hostfs.h>

/* Directory entries as getdents64(2) lays them out. */
struct dir_dirent {
	uint64_t ino;
	int64_t next;
	uint16_t len;
	uint8_t type;
	char name[];
};

#define DIR_DENTS_SIZE (32 * 1024)

/* ------------------------------------------------------- handles */

int netfs_dir_give_handle(struct dir_node *node, int fd, uint32_t flags, struct netfs_op *op)
{
	struct dir_be *be = netfs_dir_be(node->node.be);
	struct dir_handle *handle = netfs_zalloc(sizeof(*handle));
	uint32_t mode = flags & O_ACCMODE;

	if (!handle) {
		netfs_hostfs_close(fd);
		return -ENOMEM;
	}
	atomic_init(&handle->handle.refs, 1);
	handle->handle.be = &be->be;
	handle->handle.readable = mode != O_WRONLY;
	handle->handle.writable = mode != O_RDONLY;
	netfs_node_get(&node->node);
	handle->node = node;
	handle->fd = fd;
	netfs_mutex_lock(&be->mutex);
	node->handles++;
	netfs_mutex_unlock(&be->mutex);
	op->handle = &handle->handle;
	return 0;
}

int netfs_dir_run_open(struct dir_req *req)
{
	int flags = (int)(req->flags & (O_ACCMODE | O_TRUNC));
	int fd, path_fd;

	if (S_ISLNK(req->node->type))
		return -ELOOP;
	/* Opening a device or a pipe does things here, not at the asking side. */
	if (!S_ISREG(req->node->type) && !S_ISDIR(req->node->type))
		return -ENXIO;
	if (S_ISDIR(req->node->type) && flags)
		return -EISDIR;
	path_fd = netfs_dir_node_open(req->node, NULL);
	if (path_fd < 0)
		return path_fd;
	fd = netfs_hostfs_reopen(path_fd, flags);
	netfs_hostfs_close(path_fd);
	return fd < 0 ? fd : netfs_dir_give_handle(req->node, fd, req->flags, req->op);
}

static void run_close(struct netfs_job *job)
{
	struct dir_handle *handle = netfs_container_of(job, struct dir_handle, close_job);
	struct dir_be *be = netfs_dir_be(handle->handle.be);
	bool last;

	netfs_mutex_lock(&be->mutex);
	last = --handle->node->handles == 0;
	netfs_mutex_unlock(&be->mutex);
	if (last)
		netfs_dir_locks_drop(handle->node);
	netfs_hostfs_close(handle->fd);
	netfs_node_put(&handle->node->node);
	netfs_free(handle);
	netfs_dir_be_put(be);
}

/* Closing may wait for a slow file system, so it is done behind our back. */
void netfs_dir_handle_free(struct netfs_handle *netfs_handle)
{
	struct dir_handle *handle = netfs_dir_handle(netfs_handle);
	struct dir_be *be = netfs_dir_be(netfs_handle->be);

	netfs_mutex_lock(&be->mutex);
	be->refs++;
	netfs_mutex_unlock(&be->mutex);
	handle->close_job.fn = run_close;
	netfs_job_post(&handle->close_job);
}

/* ----------------------------------------------------- directories */

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Hands out what is in buf.  False where the taker had enough. */
static bool fill_all(struct dir_req *req, const char *buf, size_t size)
{
	for (size_t at = 0; at < size;) {
		const struct dir_dirent *dent = (const void *)(buf + at);
		struct netfs_attr attr;
		struct dir_stat stat = {.st.st_dev = req->handle->node->dev,
					.st.st_ino = dent->ino};
		struct netfs_dirent entry = {
			.name = dent->name,
			.name_len = strlen(dent->name),
			.type = (uint32_t)dent->type << 12,
			.next = (uint64_t)dent->next,
		};

		at += dent->len;
		if (is_dot(dent->name))
			continue;
		netfs_dir_attr(req->be, &stat, &attr);
		entry.ino = attr.ino;
		if (!req->op->fill(req->op, &entry))
			return false;
	}
	return true;
}

int netfs_dir_run_readdir(struct dir_req *req)
{
	netfs_cleanup_free char *buf = netfs_alloc(DIR_DENTS_SIZE);
	ssize_t n = 1;
	int fd, err;

	if (!buf)
		return -ENOMEM;
	if (!S_ISDIR(req->handle->node->type))
		return -ENOTDIR;
	fd = netfs_hostfs_open(req->handle->fd, ".", O_RDONLY | O_DIRECTORY, 0);
	/* Removed while open: nothing is in it. */
	req->op->eof = fd == -ENOENT;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = netfs_hostfs_seekdir(fd, req->start);
	while (!err && n > 0) {
		n = netfs_hostfs_getdents(fd, buf, DIR_DENTS_SIZE);
		req->op->eof = n == 0;
		if (n < 0)
			err = (int)n;
		else if (!fill_all(req, buf, (size_t)n))
			break;
	}
	netfs_hostfs_close(fd);
	return err;
}

/* ---------------------------------------------------------- data */

/* A slice in flight. */
struct dir_io {
	struct netfs_fio fio;
	struct dir_late late;
	struct netfs_slice *slice;
	size_t moved;
	struct iovec *rest; /* copy of the pieces, once a part was moved */
};

static void io_end(struct dir_io *io, int err, unsigned flags)
{
	netfs_free(io->rest);
	netfs_dir_late_end(&io->late, io->moved, err, flags);
}

/* Points the transfer at what is missing.  False where there is no memory. */
static bool io_continue(struct dir_io *io)
{
	struct netfs_slice *slice = io->slice;
	size_t skip = io->moved;
	unsigned first = 0;

	if (!io->rest)
		io->rest = netfs_calloc(slice->niov, sizeof(*io->rest));
	if (!io->rest)
		return false;
	memcpy(io->rest, slice->iov, slice->niov * sizeof(*io->rest));
	while (skip >= io->rest[first].iov_len)
		skip -= io->rest[first++].iov_len;
	io->rest[first].iov_base = (char *)io->rest[first].iov_base + skip;
	io->rest[first].iov_len -= skip;
	io->fio.iov = io->rest + first;
	io->fio.niov = slice->niov - first;
	io->fio.start = slice->start + io->moved;
	return true;
}

static void io_done(struct netfs_fio *fio, ssize_t result)
{
	struct dir_io *io = netfs_container_of(fio, struct dir_io, fio);

	if (result < 0) {
		io_end(io, (int)result, 0);
		return;
	}
	io->moved += (size_t)result;
	if (io->moved >= io->slice->len)
		io_end(io, 0, 0);
	else if (!result && fio->kind == NETFS_FIO_READ)
		io_end(io, 0, NETFS_SLICE_EOF);
	else if (!result)
		io_end(io, -EIO, 0);
	else if (io_continue(io))
		netfs_fio_submit(fio);
	else
		io_end(io, -ENOMEM, NETFS_SLICE_RETRY);
}

/* What one transfer can take of slice. */
static void trim(struct netfs_slice *slice)
{
	size_t len = 0;

	for (unsigned i = 0; i < slice->niov && i < NETFS_IOV_MAX; i++)
		len += slice->iov[i].iov_len;
	netfs_slice_trim(slice, netfs_min(len, (size_t)DIR_SLICE_MAX));
}

ssize_t netfs_dir_transfer(struct netfs_handle *netfs_handle, struct netfs_slice *slice)
{
	struct dir_handle *handle = netfs_dir_handle(netfs_handle);
	bool read = slice->kind == NETFS_SLICE_READ;
	struct dir_be *be = netfs_dir_be(netfs_handle->be);
	unsigned flags = 0;
	struct dir_io *io;
	size_t len;
	int err;

	if (S_ISDIR(handle->node->type))
		return -EISDIR;
	if (read ? !netfs_handle->readable : !netfs_handle->writable)
		return -EBADF;
	if (slice->start > (uint64_t)INT64_MAX - slice->len)
		return -EFBIG;
	trim(slice);
	len = slice->len;
	io = netfs_zalloc(sizeof(*io));
	if (!io)
		return -ENOMEM;
	io->slice = slice;
	io->late.be = be;
	io->late.slice = slice;
	io->late.memory = io;
	netfs_dir_late_begin(&io->late);
	err = netfs_dir_faults_draw(&be->faults, &flags);
	if (err) {
		io_end(io, err, flags);
		return (ssize_t)len;
	}
	io->fio = (struct netfs_fio){
		.kind = read ? NETFS_FIO_READ : NETFS_FIO_WRITE,
		.fd = handle->fd,
		.start = slice->start,
		.iov = slice->iov,
		.niov = slice->niov,
		.done = io_done,
	};
	netfs_fio_submit(&io->fio);
	return (ssize_t)len;
}

/* An fsync in flight. */
struct dir_sync {
	struct netfs_fio fio;
	struct dir_late late;
};

static void sync_done(struct netfs_fio *fio, ssize_t result)
{
	struct dir_sync *sync = netfs_container_of(fio, struct dir_sync, fio);

	netfs_dir_late_end(&sync->late, 0, result < 0 ? (int)result : 0, 0);
}

void netfs_dir_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	struct dir_sync *sync = netfs_zalloc(sizeof(*sync));

	if (!sync) {
		op->done(op, -ENOMEM);
		return;
	}
	sync->late.be = netfs_dir_be(handle->be);
	sync->late.op = op;
	sync->late.memory = sync;
	netfs_dir_late_begin(&sync->late);
	sync->fio.kind = datasync ? NETFS_FIO_FDATASYNC : NETFS_FIO_FSYNC;
	sync->fio.fd = netfs_dir_handle(handle)->fd;
	sync->fio.done = sync_done;
	netfs_fio_submit(&sync->fio);
}

/* -------------------------------------------------- other data calls */

/* Such a call fails for good or not at all: the contract has no retry here. */
static int drawn_error(struct dir_req *req)
{
	unsigned flags = 0;
	int err = netfs_dir_faults_draw(&req->be->faults, &flags);

	return flags & NETFS_SLICE_RETRY ? 0 : err;
}

int netfs_dir_run_fallocate(struct dir_req *req)
{
	int err = drawn_error(req);

	if (err)
		return err;
	if (!req->handle->handle.writable)
		return -EBADF;
	if (req->start > INT64_MAX || req->len > (uint64_t)INT64_MAX - req->start)
		return -EFBIG;
	return netfs_hostfs_fallocate(req->handle->fd, req->mode, req->start, req->len);
}

int netfs_dir_run_copy_range(struct dir_req *req)
{
	int err = drawn_error(req);
	ssize_t n;

	if (err)
		return err;
	if (req->start > INT64_MAX || req->to_start > INT64_MAX)
		return -EFBIG;
	n = netfs_hostfs_copy_range(req->handle->fd, req->start, req->to->fd, req->to_start,
				    netfs_min(req->len, (uint64_t)SSIZE_MAX));
	if (n < 0)
		return (int)n;
	req->op->count = (uint64_t)n;
	return 0;
}

int netfs_dir_run_clone_range(struct dir_req *req)
{
	int err = drawn_error(req);

	if (err)
		return err;
	return netfs_hostfs_clone_range(req->handle->fd, req->start, req->to->fd, req->to_start,
					req->len);
}

int netfs_dir_run_seek(struct dir_req *req)
{
	int64_t at;

	if (req->start > INT64_MAX)
		return -ENXIO;
	at = netfs_hostfs_seek(req->handle->fd, req->start, (int)req->flags);
	if (at < 0)
		return (int)at;
	req->op->offset = (uint64_t)at;
	return 0;
}
