/* SPDX-License-Identifier: MIT */
/*
 * Attributes of the dir back end, each function run on a pool thread.
 *
 * An object is asked through the handle where there is one, since that works
 * also when it has no name any more, else through its node's path.
 *
 * Locks: none held in any of these calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <backend/dir/dir.h>
#include <env/hostfs.h>

static struct netfs_time time_of(const struct timespec *ts)
{
	return (struct netfs_time){ts->tv_sec, ts->tv_nsec};
}

/* Objects of file systems that are mounted inside the root have numbers of
 * their own; the device is mixed in so that they do not meet the root's. */
static uint64_t ino_of(const struct dir_be *be, uint64_t dev, uint64_t ino)
{
	return dev == be->root_dev ? ino : netfs_hash_u64s(be->root_dev, dev, ino);
}

void netfs_dir_attr(const struct dir_be *be, const struct dir_stat *stat,
		    struct netfs_attr *ret_attr)
{
	const struct stat *st = &stat->st;

	*ret_attr = (struct netfs_attr){
		.ino = ino_of(be, st->st_dev, st->st_ino),
		.gen = stat->gen,
		.mode = st->st_mode,
		.nlink = st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev_major = major(st->st_rdev),
		.rdev_minor = minor(st->st_rdev),
		.size = st->st_size,
		.blocks = st->st_blocks,
		.blksize = st->st_blksize,
		.atime = time_of(&st->st_atim),
		.mtime = time_of(&st->st_mtim),
		.ctime = time_of(&st->st_ctim),
		.btime = stat->btime,
	};
}

int netfs_dir_run_getattr(struct dir_req *req)
{
	struct dir_stat stat;
	int err, fd;

	if (req->handle) {
		err = netfs_dir_stat(req->handle->fd, "", &stat);
	} else {
		fd = netfs_dir_node_open(req->node, &stat);
		err = fd < 0 ? fd : 0;
		if (fd >= 0)
			netfs_hostfs_close(fd);
	}
	if (!err)
		netfs_dir_attr(req->be, &stat, &req->op->attr);
	return err;
}

static struct timespec timespec_of(const struct netfs_setattr *set, uint32_t to_value,
				   uint32_t to_now, const struct netfs_time *value)
{
	if (set->valid & to_now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (set->valid & to_value)
		return (struct timespec){.tv_sec = value->sec, .tv_nsec = value->nsec};
	return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_size(struct dir_req *req, int path_fd, uint64_t size)
{
	int fd, err;

	if (size > INT64_MAX)
		return -EFBIG;
	if (S_ISDIR(req->node->type))
		return -EISDIR;
	if (!S_ISREG(req->node->type))
		return -EINVAL;
	if (req->handle && req->handle->handle.writable)
		return netfs_hostfs_truncate(req->handle->fd, size);
	fd = netfs_hostfs_reopen(path_fd, O_WRONLY);
	if (fd < 0)
		return fd;
	err = netfs_hostfs_truncate(fd, size);
	netfs_hostfs_close(fd);
	return err;
}

/* What is most likely to be refused goes first, so that it is all or nothing
 * as often as can be; the mode after the owner, whose change clears bits. */
static int set_all(struct dir_req *req, int fd, const struct netfs_setattr *set)
{
	const uint32_t times =
		NETFS_SET_ATIME | NETFS_SET_MTIME | NETFS_SET_ATIME_NOW | NETFS_SET_MTIME_NOW;
	int err = 0;

	if (set->valid & NETFS_SET_SIZE)
		err = set_size(req, fd, set->size);
	if (!err && (set->valid & (NETFS_SET_UID | NETFS_SET_GID)))
		err = netfs_hostfs_chown(fd, "", set->valid & NETFS_SET_UID ? set->uid : UINT32_MAX,
					 set->valid & NETFS_SET_GID ? set->gid : UINT32_MAX);
	if (!err && (set->valid & NETFS_SET_MODE))
		err = netfs_hostfs_chmod(fd, "", set->mode & 07777);
	if (!err && (set->valid & times)) {
		struct timespec ts[2] = {
			timespec_of(set, NETFS_SET_ATIME, NETFS_SET_ATIME_NOW, &set->atime),
			timespec_of(set, NETFS_SET_MTIME, NETFS_SET_MTIME_NOW, &set->mtime),
		};

		err = netfs_hostfs_utimens(fd, "", ts);
	}
	return err;
}

int netfs_dir_run_setattr(struct dir_req *req)
{
	int err, fd = req->handle ? req->handle->fd : netfs_dir_node_open(req->node, NULL);
	struct dir_stat stat;

	if (fd < 0)
		return fd;
	err = set_all(req, fd, req->arg);
	if (!err)
		err = netfs_dir_stat(fd, "", &stat);
	if (!err)
		netfs_dir_attr(req->be, &stat, &req->op->attr);
	if (!req->handle)
		netfs_hostfs_close(fd);
	return err;
}

int netfs_dir_run_readlink(struct dir_req *req)
{
	char target[PATH_MAX];
	ssize_t n;
	int fd;

	if (!S_ISLNK(req->node->type))
		return -EINVAL;
	fd = netfs_dir_node_open(req->node, NULL);
	if (fd < 0)
		return fd;
	n = netfs_hostfs_readlink(fd, "", target, sizeof(target));
	netfs_hostfs_close(fd);
	if (n < 0)
		return (int)n;
	/* The call cuts off what does not fit, and does not say so. */
	if (n == sizeof(target) || (size_t)n > req->op->buf_size)
		return -ERANGE;
	memcpy(req->op->buf, target, n);
	req->op->count = n;
	return 0;
}

int netfs_dir_run_statfs(struct dir_req *req)
{
	struct statvfs vfs;
	int err, fd = netfs_dir_node_open(req->node, NULL);

	if (fd < 0)
		return fd;
	err = netfs_hostfs_statvfs(fd, &vfs);
	netfs_hostfs_close(fd);
	if (err)
		return err;
	req->op->statfs = (struct netfs_statfs){
		.bsize = vfs.f_frsize,
		.namelen = vfs.f_namemax,
		.blocks = vfs.f_blocks,
		.bfree = vfs.f_bfree,
		.bavail = vfs.f_bavail,
		.files = vfs.f_files,
		.ffree = vfs.f_ffree,
	};
	return 0;
}

/* ----------------------------------------------- extended attributes */

int netfs_dir_run_getxattr(struct dir_req *req)
{
	int fd = netfs_dir_node_open(req->node, NULL);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = netfs_hostfs_getxattr(fd, req->name, req->op->buf, req->op->buf_size);
	netfs_hostfs_close(fd);
	req->op->count = n < 0 ? 0 : n;
	return n < 0 ? (int)n : 0;
}

int netfs_dir_run_listxattr(struct dir_req *req)
{
	int fd = netfs_dir_node_open(req->node, NULL);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = netfs_hostfs_listxattr(fd, req->op->buf, req->op->buf_size);
	netfs_hostfs_close(fd);
	req->op->count = n < 0 ? 0 : n;
	return n < 0 ? (int)n : 0;
}

int netfs_dir_run_setxattr(struct dir_req *req)
{
	int err, fd = netfs_dir_node_open(req->node, NULL);

	if (fd < 0)
		return fd;
	err = netfs_hostfs_setxattr(fd, req->name, req->arg, req->len, (int)req->flags);
	netfs_hostfs_close(fd);
	return err;
}

int netfs_dir_run_removexattr(struct dir_req *req)
{
	int err, fd = netfs_dir_node_open(req->node, NULL);

	if (fd < 0)
		return fd;
	err = netfs_hostfs_removexattr(fd, req->name);
	netfs_hostfs_close(fd);
	return err;
}
