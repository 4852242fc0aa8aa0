/* SPDX-License-Identifier: MIT */
/*
 * Names and attributes of this machine's file systems: thin wrappers that turn
 * errno into results, repeat what a signal interrupted, and find the call that
 * takes a descriptor where the obvious one does not.
 *
 * An object given by its own descriptor (name "") may have been opened with
 * O_PATH.  Calls that accept AT_EMPTY_PATH get it; the others go through
 * /proc/self/fd, whose links lead to the open object itself and not to its
 * name.  No state, no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <base/limits.h>
#include <env/hostfs.h>

/* The call's result, or negative errno; again while a signal interrupts it. */
#define RETRY(call)                                                                                \
	({                                                                                         \
		__typeof__(call) result_;                                                          \
		do                                                                                 \
			result_ = (call);                                                          \
		while (result_ < 0 && errno == EINTR);                                             \
		result_ < 0 ? -errno : result_;                                                    \
	})

#define FD_PATH_MAX 32

static const char *fd_path(int fd, char path[FD_PATH_MAX])
{
	snprintf(path, FD_PATH_MAX, "/proc/self/fd/%d", fd);
	return path;
}

int netfs_hostfs_open(int dir_fd, const char *name, int flags, uint32_t mode)
{
	if (!*name)
		return netfs_hostfs_reopen(dir_fd, flags);
	/* A path from the user may lead through links, a name may not be one. */
	if (dir_fd != AT_FDCWD)
		flags |= O_NOFOLLOW;
	return RETRY(openat(dir_fd, name, flags | O_CLOEXEC, (mode_t)mode));
}

int netfs_hostfs_reopen(int fd, int flags)
{
	char path[FD_PATH_MAX];

	return RETRY(open(fd_path(fd, path), (flags & ~O_NOFOLLOW) | O_CLOEXEC));
}

/* One path that the kernel takes at once.  It asks for another try when a
 * rename anywhere met ours; that often in a row it is no accident. */
static int open_part(int dir_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = -EAGAIN;

	for (int i = 0; i < NETFS_HOSTFS_OPEN_TRIES && fd == -EAGAIN; i++)
		fd = (int)RETRY(syscall(SYS_openat2, dir_fd, path, &how, sizeof(how)));
	return fd;
}

/* Opens as much of *path as the kernel takes at once, up to a slash, and moves
 * *path behind it. */
static int open_front(int dir_fd, const char **path)
{
	char part[PATH_MAX];
	const char *slash = memrchr(*path, '/', sizeof(part) - 1);
	size_t len;

	if (!slash || slash == *path)
		return -ENAMETOOLONG;
	len = (size_t)(slash - *path);
	memcpy(part, *path, len);
	part[len] = '\0';
	*path = slash + 1;
	return open_part(dir_fd, part, O_PATH | O_DIRECTORY);
}

int netfs_hostfs_open_beneath(int dir_fd, const char *path, int flags)
{
	int from = dir_fd;
	int fd = 0;

	while (fd >= 0 && strlen(path) >= PATH_MAX) {
		fd = open_front(from, &path);
		if (from != dir_fd)
			close(from);
		from = fd;
	}
	if (fd < 0)
		return fd;
	fd = open_part(from, *path ? path : ".", flags);
	if (from != dir_fd)
		close(from);
	return fd;
}

void netfs_hostfs_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ------------------------------------------------------------ attributes */

static struct timespec time_of(struct statx_timestamp time)
{
	return (struct timespec){.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec};
}

int netfs_hostfs_stat(int dir_fd, const char *name, struct stat *ret_st, struct timespec *ret_btime)
{
	struct statx stx;
	int err = RETRY(statx(dir_fd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
			      STATX_BASIC_STATS | STATX_BTIME, &stx));

	if (err)
		return err;
	*ret_st = (struct stat){
		.st_dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
		.st_ino = stx.stx_ino,
		.st_mode = stx.stx_mode,
		.st_nlink = stx.stx_nlink,
		.st_uid = stx.stx_uid,
		.st_gid = stx.stx_gid,
		.st_rdev = makedev(stx.stx_rdev_major, stx.stx_rdev_minor),
		.st_size = (off_t)stx.stx_size,
		.st_blksize = stx.stx_blksize,
		.st_blocks = (blkcnt_t)stx.stx_blocks,
		.st_atim = time_of(stx.stx_atime),
		.st_mtim = time_of(stx.stx_mtime),
		.st_ctim = time_of(stx.stx_ctime),
	};
	*ret_btime = stx.stx_mask & STATX_BTIME ? time_of(stx.stx_btime) : (struct timespec){0};
	return 0;
}

int netfs_hostfs_statvfs(int fd, struct statvfs *ret_vfs)
{
	char path[FD_PATH_MAX];
	int err = RETRY(fstatvfs(fd, ret_vfs));

	return err == -EBADF ? RETRY(statvfs(fd_path(fd, path), ret_vfs)) : err;
}

/* chmod(2) would follow a link in the last place, so a name is opened first. */
int netfs_hostfs_chmod(int dir_fd, const char *name, uint32_t mode)
{
	char path[FD_PATH_MAX];
	struct stat st;
	int err;
	int fd;

	if (!*name)
		return RETRY(chmod(fd_path(dir_fd, path), (mode_t)mode));
	fd = netfs_hostfs_open(dir_fd, name, O_PATH, 0);
	if (fd < 0)
		return fd;
	err = RETRY(fstat(fd, &st));
	if (!err)
		err = S_ISLNK(st.st_mode) ? -EOPNOTSUPP
					  : RETRY(chmod(fd_path(fd, path), (mode_t)mode));
	close(fd);
	return err;
}

int netfs_hostfs_chown(int dir_fd, const char *name, uint32_t uid, uint32_t gid)
{
	return RETRY(fchownat(dir_fd, name, uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

int netfs_hostfs_utimens(int dir_fd, const char *name, const struct timespec times[2])
{
	char path[FD_PATH_MAX];
	int err;

	if (*name)
		return RETRY(utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW));
	err = RETRY(utimensat(dir_fd, "", times, AT_EMPTY_PATH));
	/* Kernels before 5.8 know no empty path here. */
	return err == -EINVAL ? RETRY(utimensat(AT_FDCWD, fd_path(dir_fd, path), times, 0)) : err;
}

int netfs_hostfs_truncate(int fd, uint64_t size)
{
	char path[FD_PATH_MAX];
	int err;

	if (size > INT64_MAX)
		return -EFBIG;
	err = RETRY(ftruncate(fd, (off_t)size));
	/* Opened for reading only, or O_PATH. */
	if (err == -EBADF || err == -EINVAL)
		err = RETRY(truncate(fd_path(fd, path), (off_t)size));
	return err;
}

/* ----------------------------------------------------------------- names */

ssize_t netfs_hostfs_readlink(int dir_fd, const char *name, char *buf, size_t size)
{
	return RETRY(readlinkat(dir_fd, name, buf, size));
}

int netfs_hostfs_mknod(int dir_fd, const char *name, uint32_t mode, dev_t rdev)
{
	return RETRY(mknodat(dir_fd, name, (mode_t)mode, rdev));
}

int netfs_hostfs_mkdir(int dir_fd, const char *name, uint32_t mode)
{
	return RETRY(mkdirat(dir_fd, name, (mode_t)mode));
}

int netfs_hostfs_symlink(const char *target, int dir_fd, const char *name)
{
	return RETRY(symlinkat(target, dir_fd, name));
}

int netfs_hostfs_link(int old_dir_fd, const char *old_name, int dir_fd, const char *name)
{
	char path[FD_PATH_MAX];

	/* AT_EMPTY_PATH needs a privilege here that /proc does not. */
	if (!*old_name)
		return RETRY(linkat(AT_FDCWD, fd_path(old_dir_fd, path), dir_fd, name,
				    AT_SYMLINK_FOLLOW));
	return RETRY(linkat(old_dir_fd, old_name, dir_fd, name, 0));
}

int netfs_hostfs_unlink(int dir_fd, const char *name, int flags)
{
	return RETRY(unlinkat(dir_fd, name, flags));
}

int netfs_hostfs_rename(int old_dir_fd, const char *old_name, int dir_fd, const char *name,
			uint32_t flags)
{
	if (!flags)
		return RETRY(renameat(old_dir_fd, old_name, dir_fd, name));
	return RETRY(renameat2(old_dir_fd, old_name, dir_fd, name, flags));
}

ssize_t netfs_hostfs_getdents(int fd, void *buf, size_t size)
{
	return RETRY(syscall(SYS_getdents64, fd, buf, size > INT_MAX ? (size_t)INT_MAX : size));
}

/* As the kernel gives them. */
struct dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

int netfs_hostfs_list(int fd, void (*fn)(void *user, const char *name), void *user)
{
	_Alignas(struct dirent64) char buf[8192];
	ssize_t n;
	int err = netfs_hostfs_seekdir(fd, 0);

	while (!err && (n = netfs_hostfs_getdents(fd, buf, sizeof(buf))) != 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const struct dirent64 *)(buf + at);

			if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0)
				fn(user, entry->name);
			at += entry->len;
		}
		err = n < 0 ? (int)n : 0;
	}
	return err;
}

ssize_t netfs_hostfs_pread(int fd, void *buf, size_t size, uint64_t start)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n =
			RETRY(pread(fd, (char *)buf + done, size - done, (off_t)(start + done)));

		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int netfs_hostfs_seekdir(int fd, uint64_t cookie)
{
	off_t at = RETRY(lseek(fd, (off_t)cookie, SEEK_SET));

	/* Cookies use all 63 bits on some file systems, never the sign. */
	return at < 0 ? (int)at : 0;
}

/* ------------------------------------------------------------------ data */

int netfs_hostfs_fallocate(int fd, uint32_t mode, uint64_t start, uint64_t len)
{
	if (start > INT64_MAX || len > INT64_MAX - start)
		return -EFBIG;
	return RETRY(fallocate(fd, (int)mode, (off_t)start, (off_t)len));
}

ssize_t netfs_hostfs_copy_range(int from, uint64_t from_start, int to, uint64_t to_start,
				size_t len)
{
	off64_t in = (off64_t)from_start;
	off64_t out = (off64_t)to_start;

	if (from_start > INT64_MAX || to_start > INT64_MAX)
		return -EFBIG;
	return RETRY(copy_file_range(from, &in, to, &out, len, 0));
}

int netfs_hostfs_clone_range(int from, uint64_t from_start, int to, uint64_t to_start, uint64_t len)
{
	struct file_clone_range range = {from, from_start, len, to_start};
	int err;

	if (from_start > INT64_MAX || to_start > INT64_MAX || len > INT64_MAX)
		return -EFBIG;
	err = RETRY(ioctl(to, FICLONERANGE, &range));
	/* Not every file system knows the question. */
	return err == -ENOTTY ? -EOPNOTSUPP : err;
}

int64_t netfs_hostfs_seek(int fd, uint64_t start, int whence)
{
	if (start > INT64_MAX)
		return -ENXIO;
	return RETRY(lseek(fd, (off_t)start, whence));
}

/* [start, end) the way fcntl(2) wants it.  0 or negative errno. */
static int fill_lock(struct flock *lock, short type, uint64_t start, uint64_t end)
{
	if (start >= end)
		return -EINVAL;
	if (start > INT64_MAX)
		return -EOVERFLOW;
	*lock = (struct flock){.l_type = type, .l_whence = SEEK_SET};
	lock->l_start = (off_t)start;
	/* To the end of the file, wherever it is, is length 0. */
	lock->l_len = end > INT64_MAX ? 0 : (off_t)(end - start);
	return 0;
}

int netfs_hostfs_lock(int fd, short type, uint64_t start, uint64_t end)
{
	struct flock lock;
	int err = fill_lock(&lock, type, start, end);

	if (err)
		return err;
	err = RETRY(fcntl(fd, F_OFD_SETLK, &lock));
	return err == -EACCES ? -EAGAIN : err;
}

int netfs_hostfs_getlock(int fd, short *type, uint64_t *start, uint64_t *end, int *ret_pid)
{
	struct flock lock;
	int err = fill_lock(&lock, *type, *start, *end);

	if (!err)
		err = RETRY(fcntl(fd, F_OFD_GETLK, &lock));
	if (err)
		return err;
	*type = lock.l_type;
	*ret_pid = 0;
	if (lock.l_type == F_UNLCK)
		return 0;
	*start = (uint64_t)lock.l_start;
	*end = lock.l_len ? *start + (uint64_t)lock.l_len : UINT64_MAX;
	/* -1 stands for a lock of an open file, which has no process. */
	if (lock.l_pid > 0)
		*ret_pid = lock.l_pid;
	return 0;
}

int netfs_hostfs_flock(int fd, short type)
{
	int op = type == F_RDLCK ? LOCK_SH : type == F_WRLCK ? LOCK_EX : LOCK_UN;

	return RETRY(flock(fd, op | LOCK_NB));
}

/* --------------------------------------------------- extended attributes */

ssize_t netfs_hostfs_getxattr(int fd, const char *name, void *buf, size_t size)
{
	char path[FD_PATH_MAX];

	return RETRY(getxattr(fd_path(fd, path), name, buf, size));
}

ssize_t netfs_hostfs_listxattr(int fd, char *buf, size_t size)
{
	char path[FD_PATH_MAX];

	return RETRY(listxattr(fd_path(fd, path), buf, size));
}

int netfs_hostfs_setxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	char path[FD_PATH_MAX];

	return RETRY(setxattr(fd_path(fd, path), name, value, size, flags));
}

int netfs_hostfs_removexattr(int fd, const char *name)
{
	char path[FD_PATH_MAX];

	return RETRY(removexattr(fd_path(fd, path), name));
}
