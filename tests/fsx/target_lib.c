/* SPDX-License-Identifier: MIT */
/*
 * The exerciser's target on the library: include/unetfs/unetfs.h and nothing
 * below it.
 *
 * Reads and writes take turns between the blocking calls and struct netfs_io
 * with the memory cut into a random number of pieces.  A mapread is a borrowed
 * read, the nearest thing to a mapping that the library has; there is no
 * mapwrite.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "target_lib.h"

#define HANDLES_MAX 2
#define PIECES_MAX  16
#define BORROW_MAX  512

struct lib_target {
	struct fsx_target target;
	struct fsx_lib_config config;
	struct netfs_vnode *vnode;
	struct netfs_file *files[HANDLES_MAX];
	struct rng rng;
	bool stuck; /* a call never came back: touch nothing any more */
};

/* A call or io that somebody waits for. */
struct pending {
	struct netfs_event event;
	int err;
	ssize_t result;
};

static struct lib_target *of(struct fsx_target *target)
{
	return (struct lib_target *)target;
}

static void call_done(struct netfs_call *call, int err)
{
	struct pending *pending = call->user;

	pending->err = err;
	netfs_event_set(&pending->event);
}

static void io_done(struct netfs_io *io, ssize_t result)
{
	struct pending *pending = io->user;

	pending->result = result;
	netfs_event_set(&pending->event);
}

/* After it the call may be handed out. */
static void call_start(struct netfs_call *call, struct pending *pending)
{
	netfs_event_init(&pending->event);
	netfs_call_init(call, call_done);
	call->user = pending;
}

static int call_finish(struct lib_target *lib, struct pending *pending)
{
	int err = lib->config.wait(&pending->event);

	if (err) {
		lib->stuck = true;
		return err;
	}
	netfs_event_done(&pending->event);
	return pending->err;
}

/* flush: as close(2) does; the library promises errors here, not at release. */
static int lib_close(struct fsx_target *target)
{
	struct lib_target *lib = of(target);
	int err = 0;

	for (unsigned i = 0; i < target->handles; i++) {
		struct netfs_call call;
		struct pending pending;
		int flushed;

		if (!lib->files[i] || lib->stuck)
			continue;
		call_start(&call, &pending);
		netfs_flush(lib->files[i], 0, &call);
		flushed = call_finish(lib, &pending);
		if (lib->stuck)
			return flushed;
		netfs_release(lib->files[i]);
		lib->files[i] = NULL;
		if (flushed && !err)
			err = flushed;
	}
	return err;
}

static int lookup(struct lib_target *lib)
{
	struct netfs_vnode *root = netfs_mount_root(lib->config.mount);
	struct netfs_call call;
	struct pending pending;
	int err;

	call_start(&call, &pending);
	netfs_lookup(root, lib->config.name, &call);
	err = call_finish(lib, &pending);
	netfs_vnode_put(root);
	if (!err)
		lib->vnode = call.vnode;
	return err;
}

static int create(struct lib_target *lib, uint32_t flags)
{
	struct netfs_vnode *root = netfs_mount_root(lib->config.mount);
	struct netfs_call call;
	struct pending pending;
	int err;

	call_start(&call, &pending);
	netfs_create(root, lib->config.name, flags, 0644, &call);
	err = call_finish(lib, &pending);
	netfs_vnode_put(root);
	if (err)
		return err;
	lib->vnode = call.vnode;
	lib->files[0] = call.file;
	return 0;
}

static uint32_t open_flags(const struct lib_target *lib, unsigned handle)
{
	uint32_t flags = O_RDWR;

	if ((lib->config.flags & FSX_DIRECT) && handle == lib->target.handles - 1)
		flags |= O_DIRECT;
	if (lib->config.flags & FSX_SYNC)
		flags |= O_SYNC;
	return flags;
}

static int open_handle(struct lib_target *lib, unsigned handle, uint32_t flags)
{
	struct netfs_call call;
	struct pending pending;
	int err;

	call_start(&call, &pending);
	netfs_open(lib->vnode, flags, &call);
	err = call_finish(lib, &pending);
	if (!err)
		lib->files[handle] = call.file;
	return err;
}

static int lib_open(struct fsx_target *target, bool with_create)
{
	struct lib_target *lib = of(target);
	uint32_t empty = with_create && !(lib->config.flags & FSX_KEEP) ? O_TRUNC : 0;
	int err = 0;

	if (!lib->vnode)
		err = lookup(lib);
	if (err == -ENOENT && with_create)
		err = create(lib, open_flags(lib, 0) | O_EXCL);
	for (unsigned i = 0; i < target->handles && !err; i++) {
		if (!lib->files[i])
			err = open_handle(lib, i, open_flags(lib, i) | (i ? 0 : empty));
	}
	if (err && !lib->stuck)
		lib_close(target);
	return err;
}

/* Cuts buf into pieces at random places. */
static unsigned cut(struct lib_target *lib, void *buf, size_t len, struct iovec *iov)
{
	unsigned pieces = rng_between(&lib->rng, 1, PIECES_MAX);
	unsigned n = 0;
	size_t at = 0;

	while (at < len && n < pieces - 1) {
		size_t piece = rng_between(&lib->rng, 1, len - at);

		iov[n++] = (struct iovec){(char *)buf + at, piece};
		at += piece;
	}
	if (at < len || n == 0)
		iov[n++] = (struct iovec){(char *)buf + at, len - at};
	return n;
}

static ssize_t transfer(struct lib_target *lib, struct netfs_file *file, struct netfs_io *io,
			bool write)
{
	struct pending pending;
	int err;

	netfs_event_init(&pending.event);
	io->done = io_done;
	io->user = &pending;
	if (write)
		netfs_write(file, io);
	else
		netfs_read(file, io);
	err = lib->config.wait(&pending.event);
	if (err) {
		lib->stuck = true;
		return err;
	}
	netfs_event_done(&pending.event);
	return pending.result;
}

static ssize_t lib_read(struct fsx_target *target, unsigned handle, void *buf, size_t len,
			uint64_t start)
{
	struct lib_target *lib = of(target);
	struct iovec iov[PIECES_MAX];
	struct netfs_io io = {.iov = iov, .start = start, .len = len};

	if (!(lib->config.flags & FSX_AIO) && rng_one_in(&lib->rng, 2))
		return netfs_pread(lib->files[handle], buf, len, start, 0);
	io.niov = cut(lib, buf, len, iov);
	return transfer(lib, lib->files[handle], &io, false);
}

static ssize_t lib_write(struct fsx_target *target, unsigned handle, const void *buf, size_t len,
			 uint64_t start)
{
	struct lib_target *lib = of(target);
	struct iovec iov[PIECES_MAX];
	struct netfs_io io = {.iov = iov, .start = start, .len = len};

	if (!(lib->config.flags & FSX_AIO) && rng_one_in(&lib->rng, 2))
		return netfs_pwrite(lib->files[handle], buf, len, start, 0);
	io.niov = cut(lib, (void *)buf, len, iov);
	return transfer(lib, lib->files[handle], &io, true);
}

/* Copies what a borrowed read lent; the answer's sum must be what it said. */
static ssize_t take_borrowed(const struct netfs_io *io, ssize_t got, void *buf)
{
	size_t at = 0;

	for (unsigned i = 0; i < io->niov; i++) {
		if (io->iov[i].iov_len > got - at)
			return -EPROTO;
		memcpy((char *)buf + at, io->iov[i].iov_base, io->iov[i].iov_len);
		at += io->iov[i].iov_len;
	}
	return at == got ? got : -EPROTO;
}

static int lib_mapread(struct fsx_target *target, unsigned handle, void *buf, size_t len,
		       uint64_t start)
{
	struct lib_target *lib = of(target);
	size_t at = 0;

	/* There may be too many pieces for one answer. */
	while (at < len) {
		struct iovec iov[BORROW_MAX];
		struct netfs_io io = {.iov = iov,
				      .niov = BORROW_MAX,
				      .flags = NETFS_IO_BORROW,
				      .start = start + at,
				      .len = len - at};
		ssize_t got = transfer(lib, lib->files[handle], &io, false);

		if (got > 0) {
			ssize_t taken = take_borrowed(&io, got, (char *)buf + at);

			netfs_io_end(&io);
			got = taken;
		}
		if (got <= 0)
			return got ? (int)got : -EIO;
		at += got;
	}
	return 0;
}

static int lib_truncate(struct fsx_target *target, unsigned handle, uint64_t size)
{
	struct lib_target *lib = of(target);
	struct netfs_setattr set = {.valid = NETFS_SET_SIZE, .size = size};
	struct netfs_call call;
	struct pending pending;

	call_start(&call, &pending);
	/* By name and through the handle are different ways down. */
	netfs_setattr(lib->vnode, rng_one_in(&lib->rng, 2) ? lib->files[handle] : NULL, &set,
		      &call);
	return call_finish(lib, &pending);
}

static int lib_fallocate(struct fsx_target *target, unsigned handle, int mode, uint64_t start,
			 uint64_t len)
{
	struct lib_target *lib = of(target);
	struct netfs_call call;
	struct pending pending;

	call_start(&call, &pending);
	netfs_fallocate(lib->files[handle], mode, start, len, &call);
	return call_finish(lib, &pending);
}

static ssize_t lib_copy(struct fsx_target *target, unsigned handle, uint64_t from, uint64_t to,
			size_t len)
{
	struct lib_target *lib = of(target);
	struct netfs_call call;
	struct pending pending;
	int err;

	call_start(&call, &pending);
	netfs_copy_range(lib->files[target->handles - 1 - handle], from, lib->files[handle], to,
			 len, &call);
	err = call_finish(lib, &pending);
	return err ? err : (ssize_t)call.count;
}

static int lib_clone(struct fsx_target *target, unsigned handle, uint64_t from, uint64_t to,
		     size_t len)
{
	struct lib_target *lib = of(target);
	struct netfs_call call;
	struct pending pending;

	call_start(&call, &pending);
	netfs_clone_range(lib->files[target->handles - 1 - handle], from, lib->files[handle], to,
			  len, &call);
	return call_finish(lib, &pending);
}

/* Sometimes followed by another hint, which must not be seen in what is read. */
static void lib_drop(struct fsx_target *target, unsigned handle)
{
	struct lib_target *lib = of(target);
	enum netfs_advice other = (enum netfs_advice)rng_below(&lib->rng, NETFS_ADVICE_DONTNEED);

	netfs_advise(lib->files[handle], 0, 0, NETFS_ADVICE_DONTNEED);
	if (rng_one_in(&lib->rng, 2))
		netfs_advise(lib->files[handle], 0, 0, other);
}

static int lib_fsync(struct fsx_target *target, unsigned handle)
{
	struct lib_target *lib = of(target);
	struct netfs_call call;
	struct pending pending;

	call_start(&call, &pending);
	netfs_fsync(lib->files[handle], rng_one_in(&lib->rng, 2), &call);
	return call_finish(lib, &pending);
}

static int lib_size(struct fsx_target *target, unsigned handle, uint64_t *ret_size)
{
	struct lib_target *lib = of(target);
	struct netfs_call call;
	struct pending pending;
	int err;

	call_start(&call, &pending);
	netfs_getattr(lib->vnode, lib->files[handle], &call);
	err = call_finish(lib, &pending);
	if (!err)
		*ret_size = call.attr.size;
	return err;
}

static void lib_free(struct fsx_target *target)
{
	struct lib_target *lib = of(target);

	if (!lib->stuck) {
		lib_close(target);
		if (lib->vnode)
			netfs_vnode_put(lib->vnode);
	}
	free(lib);
}

static const struct fsx_target_ops lib_ops = {
	.open = lib_open,
	.close = lib_close,
	.read = lib_read,
	.write = lib_write,
	.mapread = lib_mapread,
	.truncate = lib_truncate,
	.fallocate = lib_fallocate,
	.copy = lib_copy,
	.clone = lib_clone,
	.fsync = lib_fsync,
	.drop = lib_drop,
	.size = lib_size,
	.free = lib_free,
};

int fsx_target_lib(const struct fsx_lib_config *config, struct fsx_target **ret_target)
{
	struct lib_target *lib;

	if (config->handles < 1 || config->handles > HANDLES_MAX)
		return -EINVAL;
	lib = calloc(1, sizeof(*lib));
	if (!lib)
		return -ENOMEM;
	lib->target = (struct fsx_target){&lib_ops, config->handles};
	lib->config = *config;
	rng_init(&lib->rng, config->seed);
	*ret_target = &lib->target;
	return 0;
}
