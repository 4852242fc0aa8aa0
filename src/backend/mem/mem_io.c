/* SPDX-License-Identifier: MIT */
/*
 * The mem back end's open files: handles, directories read through them, and
 * data.
 *
 * A slice is handed to read or write as "up to so much from here".  The back
 * end takes what suits it off the front, says how much that was, and completes
 * that part; the engine comes back with the rest.  How much suits is decided
 * by the protocol: here by MEM_SLICE_MAX, elsewhere by a message size or by
 * credits.  Since a completed slice is the engine's again, how much we took is
 * remembered before it is completed.
 *
 * Locks: see mem.h.  readdir copies a few entries under the lock and hands them
 * out without it, for op->fill is the caller's code.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <backend/mem/mem.h>
#include <base/round.h>
#include <env/alloc.h>

/* Entries that one readdir gives at most; the caller comes again for more. */
#define MEM_READDIR_MAX 64

/* Does [start, start + len) stay within what a file can be? */
static bool range_fits(uint64_t start, uint64_t len)
{
	return start <= NETFS_MEM_SIZE_MAX && len <= NETFS_MEM_SIZE_MAX - start;
}

static struct netfs_mem_file *file_of(struct netfs_handle *handle)
{
	return ((struct mem_handle *)handle)->file;
}

static bool is_regular(struct netfs_handle *handle)
{
	return S_ISREG(((struct mem_handle *)handle)->type);
}

/* ------------------------------------------------------- handles */

static int give_handle(struct mem_be *be, struct netfs_op *op, struct netfs_mem_file *file,
		       uint32_t flags)
{
	uint32_t mode = flags & O_ACCMODE;
	struct mem_handle *handle;

	if (S_ISDIR(file->attr.mode) && (mode != O_RDONLY || (flags & O_TRUNC)))
		return -EISDIR;
	if (S_ISLNK(file->attr.mode))
		return -ELOOP;
	handle = netfs_zalloc(sizeof(*handle));
	if (!handle)
		return -ENOMEM;
	if ((flags & O_TRUNC) && S_ISREG(file->attr.mode)) {
		netfs_mem_data_resize(file, 0);
		netfs_mem_file_modified(file);
	}
	atomic_init(&handle->handle.refs, 1);
	handle->handle.be = &be->be;
	handle->handle.readable = mode != O_WRONLY;
	handle->handle.writable = mode != O_RDONLY;
	handle->file = file;
	handle->type = file->attr.mode & S_IFMT;
	file->refs++;
	op->handle = &handle->handle;
	return 0;
}

void netfs_mem_handle_free(struct netfs_handle *handle)
{
	netfs_mem_enter(handle->be);
	netfs_mem_file_put(file_of(handle));
	netfs_mem_unlock();
	netfs_free(handle);
}

void netfs_mem_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(node->be);

	netfs_mem_leave(be, op, give_handle(be, op, ((struct mem_node *)node)->file, flags));
}

/* The handle comes first: unlike a node it may be refused, and on failure no
 * result may be left in op. */
static int create(struct mem_be *be, struct netfs_mem_file *file, uint32_t flags,
		  struct netfs_op *op)
{
	int err = give_handle(be, op, file, flags);

	if (err)
		return err;
	err = netfs_mem_give_node(be, op, file);
	if (err) {
		file->refs--;
		netfs_free(op->handle);
		op->handle = NULL;
	}
	return err;
}

void netfs_mem_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
		      struct netfs_op *op)
{
	struct netfs_attr attr = {
		.mode = S_IFREG | (mode & 07777), .uid = op->cred.uid, .gid = op->cred.gid};
	struct mem_be *be = netfs_mem_enter(dir->be);
	struct netfs_mem_file *parent = ((struct mem_node *)dir)->file, *file;
	int err = netfs_mem_dir_find(parent, name, &file);

	if (err == -ENOENT)
		err = netfs_mem_dir_make(parent, name, &attr, NULL, &file);
	else if (!err && (flags & O_EXCL))
		err = -EEXIST;
	netfs_mem_leave(be, op, err ? err : create(be, file, flags, op));
}

void netfs_mem_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op)
{
	struct netfs_mem_dirent *entries = netfs_calloc(MEM_READDIR_MAX, sizeof(*entries));
	struct mem_be *be = (struct mem_be *)handle->be;
	struct netfs_mem_file *dir = file_of(handle);
	unsigned n = 0, given = 0;
	bool eof = false;
	int err = entries ? 0 : -ENOMEM;

	if (!S_ISDIR(((struct mem_handle *)handle)->type))
		err = -ENOTDIR;
	if (!err) {
		netfs_mem_enter(handle->be);
		n = netfs_mem_dir_list(dir, cookie, entries, MEM_READDIR_MAX, &eof);
		netfs_mem_unlock();
		while (given < n && op->fill(op, &entries[given].entry))
			given++;
		op->eof = eof && given == n;
	}
	netfs_free(entries);
	netfs_mem_op_end(be->async, op, err);
}

/* ---------------------------------------------------------- data */

/* Takes the part of slice that we want; how much of it a limit lets through. */
static size_t take(struct netfs_slice *slice, uint64_t limit)
{
	if (slice->len > MEM_SLICE_MAX)
		netfs_slice_trim(slice, MEM_SLICE_MAX);
	return slice->start < limit ? netfs_min(slice->len, limit - slice->start) : 0;
}

ssize_t netfs_mem_read(struct netfs_handle *handle, struct netfs_slice *slice)
{
	struct netfs_mem_file *file = file_of(handle);
	size_t len, todo, moved = 0;
	struct mem_be *be;

	if (!handle->readable || !is_regular(handle))
		return is_regular(handle) ? -EBADF : -EISDIR;
	be = netfs_mem_enter(handle->be);
	todo = take(slice, file->attr.size);
	len = slice->len;
	for (struct iovec *iov = slice->iov; moved < todo; iov++) {
		size_t n = netfs_min(iov->iov_len, todo - moved);

		netfs_mem_data_read(file, slice->start + moved, iov->iov_base, n);
		moved += n;
	}
	netfs_mem_unlock();
	netfs_mem_slice_end(be->async, slice, moved, 0);
	return len;
}

ssize_t netfs_mem_write(struct netfs_handle *handle, struct netfs_slice *slice)
{
	struct netfs_mem_file *file = file_of(handle);
	size_t len, todo, moved = 0, n = 0, want = 0;
	struct mem_be *be;
	int err = 0;

	if (!handle->writable || !is_regular(handle))
		return -EBADF;
	be = netfs_mem_enter(handle->be);
	todo = take(slice, NETFS_MEM_SIZE_MAX);
	len = slice->len;
	for (struct iovec *iov = slice->iov; moved < todo && n == want; iov++) {
		want = netfs_min(iov->iov_len, todo - moved);
		n = netfs_mem_data_write(file, slice->start + moved, iov->iov_base, want);
		moved += n;
	}
	if (moved)
		netfs_mem_file_modified(file);
	if (moved < len)
		err = moved < todo ? -ENOSPC : -EFBIG;
	netfs_mem_unlock();
	netfs_mem_slice_end(be->async, slice, moved, err);
	return len;
}

/* Memory is as durable as this server gets. */
void netfs_mem_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op)
{
	netfs_mem_op_end(((struct mem_be *)handle->be)->async, op, 0);
}

static int allocate(struct netfs_mem_file *file, uint32_t mode, uint64_t start, uint64_t len)
{
	uint32_t kind = mode & ~FALLOC_FL_KEEP_SIZE;

	if (kind != 0 && kind != FALLOC_FL_PUNCH_HOLE && kind != FALLOC_FL_ZERO_RANGE)
		return -EOPNOTSUPP;
	if (mode == FALLOC_FL_PUNCH_HOLE)
		return -EOPNOTSUPP;
	if (!len)
		return -EINVAL;
	if (!range_fits(start, len))
		return -EFBIG;
	/* Room is not reserved, for nothing could be reserved it from. */
	if (kind)
		netfs_mem_data_zero(file, start, start + len);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && start + len > file->attr.size)
		netfs_mem_data_resize(file, start + len);
	netfs_mem_file_modified(file);
	return 0;
}

void netfs_mem_fallocate(struct netfs_handle *handle, uint32_t mode, uint64_t start, uint64_t len,
			 struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(handle->be);
	struct netfs_mem_file *file = file_of(handle);
	bool fit = handle->writable && is_regular(handle);

	netfs_mem_leave(be, op, fit ? allocate(file, mode, start, len) : -EBADF);
}

void netfs_mem_copy_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			  uint64_t to_start, uint64_t len, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(from->be);
	struct netfs_mem_file *source = file_of(from), *target = file_of(to);
	uint64_t size = source->attr.size;
	int err = 0;

	len = from_start < size ? netfs_min(len, size - from_start) : 0;
	if (!from->readable || !to->writable)
		err = -EBADF;
	else if (!range_fits(to_start, len))
		err = -EFBIG;
	else if (source == target && from_start < to_start + len && to_start < from_start + len)
		err = -EINVAL;
	if (!err) {
		op->count = netfs_mem_data_copy(source, from_start, target, to_start, len);
		if (op->count)
			netfs_mem_file_modified(target);
		err = op->count < len && !op->count ? -ENOSPC : 0;
	}
	netfs_mem_leave(be, op, err);
}

void netfs_mem_seek(struct netfs_handle *handle, uint64_t start, int whence, struct netfs_op *op)
{
	struct mem_be *be = netfs_mem_enter(handle->be);

	netfs_mem_leave(be, op, netfs_mem_data_seek(file_of(handle), start, whence, &op->offset));
}
