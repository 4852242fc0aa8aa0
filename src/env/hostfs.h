/* SPDX-License-Identifier: MIT */
/*
 * Names and attributes of this machine's file systems, for back ends that
 * stand on a local directory.  Every function here may block: call them from a
 * netfs_job only.  env/sim has those that the disk cache needs, of its own disk
 * (env/sim/disk.h).
 *
 * An object is named by its directory's descriptor and one name, or by its
 * own descriptor with name "" ; no function follows a symbolic link in the
 * last place.  Results are 0 (or what is said) or a negative errno.
 */
#ifndef ENV_HOSTFS_H
#define ENV_HOSTFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

/* A descriptor; flags as open(2), O_CLOEXEC is added.  dir_fd AT_FDCWD with an
 * absolute path is allowed here, and then links are followed: it is the user's. */
int netfs_hostfs_open(int dir_fd, const char *name, int flags, uint32_t mode);
/* The same for a relative path of any length, which may have no "..": it stays
 * beneath dir_fd and passes through no symbolic link.  May cross to other file
 * systems. */
int netfs_hostfs_open_beneath(int dir_fd, const char *path, int flags);
/* Opens the object of fd, which may be an O_PATH one, once more. */
int netfs_hostfs_reopen(int fd, int flags);
void netfs_hostfs_close(int fd);
/* Also btime, in ret_btime (zero where unknown). */
int netfs_hostfs_stat(int dir_fd, const char *name, struct stat *ret_st,
		      struct timespec *ret_btime);
int netfs_hostfs_statvfs(int fd, struct statvfs *ret_vfs);
int netfs_hostfs_chmod(int dir_fd, const char *name, uint32_t mode);
/* uid or gid UINT32_MAX: leave. */
int netfs_hostfs_chown(int dir_fd, const char *name, uint32_t uid, uint32_t gid);
int netfs_hostfs_utimens(int dir_fd, const char *name, const struct timespec times[2]);
int netfs_hostfs_truncate(int fd, uint64_t size);
ssize_t netfs_hostfs_readlink(int dir_fd, const char *name, char *buf, size_t size);
int netfs_hostfs_mknod(int dir_fd, const char *name, uint32_t mode, dev_t rdev);
int netfs_hostfs_mkdir(int dir_fd, const char *name, uint32_t mode);
int netfs_hostfs_symlink(const char *target, int dir_fd, const char *name);
int netfs_hostfs_link(int old_dir_fd, const char *old_name, int dir_fd, const char *name);
/* flags: 0 or AT_REMOVEDIR. */
int netfs_hostfs_unlink(int dir_fd, const char *name, int flags);
int netfs_hostfs_rename(int old_dir_fd, const char *old_name, int dir_fd, const char *name,
			uint32_t flags);
/* Raw getdents64 into buf from the descriptor's position; bytes, 0 at the end. */
ssize_t netfs_hostfs_getdents(int fd, void *buf, size_t size);
/* Calls fn for each name in a directory but "." and "..", in no order.  The directory
 * is not to change meanwhile. */
int netfs_hostfs_list(int fd, void (*fn)(void *user, const char *name), void *user);
/* Bytes from a place in a file: less than size only at its end. */
ssize_t netfs_hostfs_pread(int fd, void *buf, size_t size, uint64_t start);
/* Bytes to a place in a file: all of them. */
int netfs_hostfs_pwrite(int fd, const void *buf, size_t size, uint64_t start);
/* What was written to the file, or which names were made and removed in the
 * directory, is on the disk. */
int netfs_hostfs_fsync(int fd);
/* Memory that is len bytes of the file from start, whole pages, and the same for
 * all processes that map it.  The file must be that long. */
int netfs_hostfs_map(int fd, uint64_t start, size_t len, void **ret_memory);
void netfs_hostfs_unmap(void *memory, size_t len);
int netfs_hostfs_seekdir(int fd, uint64_t cookie);
int netfs_hostfs_fallocate(int fd, uint32_t mode, uint64_t start, uint64_t len);
ssize_t netfs_hostfs_copy_range(int from, uint64_t from_start, int to, uint64_t to_start,
				size_t len);
/* All of it or an error; len > 0.  A file system that cannot: -EOPNOTSUPP. */
int netfs_hostfs_clone_range(int from, uint64_t from_start, int to, uint64_t to_start,
			     uint64_t len);
int64_t netfs_hostfs_seek(int fd, uint64_t start, int whence);
/* flags as setxattr(2); the object by descriptor (of an O_PATH one too). */
ssize_t netfs_hostfs_getxattr(int fd, const char *name, void *buf, size_t size);
ssize_t netfs_hostfs_listxattr(int fd, char *buf, size_t size);
int netfs_hostfs_setxattr(int fd, const char *name, const void *value, size_t size, int flags);
int netfs_hostfs_removexattr(int fd, const char *name);
/* Open-file-description record lock of [start, end), type F_RDLCK, F_WRLCK or
 * F_UNLCK; end UINT64_MAX: to the end of the file.  -EAGAIN: it conflicts. */
int netfs_hostfs_lock(int fd, short type, uint64_t start, uint64_t end);
/* What stands in the way of such a lock: type F_UNLCK where nothing does.  In
 * and out: type, start, end; ret_pid is 0 where the holder is not known. */
int netfs_hostfs_getlock(int fd, short *type, uint64_t *start, uint64_t *end, int *ret_pid);
/* Whole-file lock as flock(2), type as above; -EAGAIN where it conflicts. */
int netfs_hostfs_flock(int fd, short type);

#endif
