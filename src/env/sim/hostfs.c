/* SPDX-License-Identifier: MIT */
/*
 * The calls of env/hostfs.h that the disk cache makes, on the simulated disk;
 * env/file.h is in file.c.  There are folders and regular files, one user, and
 * no hard or symbolic links.  A path may go through any number of folders.
 *
 * One thread, no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/hostfs.h>
#include <env/sim/disk_impl.h>
#include <env/sim/world.h>

#define DISK_SPACE (UINT64_C(1) << 20) /* pages, and files */
#define FILES_MAX  512
/* Descriptors of the real machine are not mistaken for these. */
#define FIRST 100000

/* An open file; its locks are its own. */
struct file {
	struct disk_node *node; /* NULL: free */
};

static struct file files[FILES_MAX];

static struct file *file_of(int fd)
{
	if (fd < FIRST || fd >= FIRST + FILES_MAX || !files[fd - FIRST].node)
		return NULL;
	return &files[fd - FIRST];
}

static struct disk_node *node_of(int fd)
{
	struct file *file = file_of(fd);

	return file ? file->node : NULL;
}

unsigned netfs_sim_files_left(void)
{
	unsigned left = 0;

	for (unsigned i = 0; i < FILES_MAX; i++)
		left += files[i].node != NULL;
	return left;
}

/* --------------------------------------------------------------- names */

/* The folder a path ends in, and its last name (NULL: it has none). */
static struct disk_node *walk(int dir_fd, const char *path, char last[DISK_NAME], int *ret_err)
{
	struct disk_node *node = node_of(dir_fd);

	if (path[0] == '/' && netfs_sim_disk_current)
		node = netfs_sim_disk_current->root;
	*ret_err = -EBADF;
	while (node) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		*ret_err = len >= DISK_NAME ? -ENAMETOOLONG : !S_ISDIR(node->mode) ? -ENOTDIR : 0;
		if (*ret_err)
			return NULL;
		memcpy(last, path, len);
		last[len] = 0;
		path += len;
		if (!path[strspn(path, "/")])
			return node;
		node = disk_find(node, last);
		*ret_err = -ENOENT;
	}
	return NULL;
}

static struct disk_node *find(int dir_fd, const char *path, int *ret_err)
{
	char last[DISK_NAME];
	struct disk_node *folder, *node;

	if (!*path) {
		node = node_of(dir_fd);
		*ret_err = node ? 0 : -EBADF;
		return node;
	}
	folder = walk(dir_fd, path, last, ret_err);
	if (!folder)
		return NULL;
	node = *last ? disk_find(folder, last) : folder;
	*ret_err = node ? 0 : -ENOENT;
	return node;
}

static int open_node(struct disk_node *node, int flags)
{
	if ((flags & O_DIRECTORY) && !S_ISDIR(node->mode))
		return -ENOTDIR;
	if ((flags & (O_RDWR | O_WRONLY)) && S_ISDIR(node->mode))
		return -EISDIR;
	for (int i = 0; i < FILES_MAX; i++) {
		if (files[i].node)
			continue;
		files[i].node = node;
		node->opens++;
		return FIRST + i;
	}
	return -EMFILE;
}

int netfs_hostfs_open(int dir_fd, const char *name, int flags, uint32_t mode)
{
	char last[DISK_NAME];
	struct disk_node *folder, *node;
	int err;

	node = find(dir_fd, name, &err);
	if (!node && err == -ENOENT && (flags & O_CREAT)) {
		folder = walk(dir_fd, name, last, &err);
		node = folder ? disk_make(folder, last, S_IFREG | (mode & 0777)) : NULL;
	}
	return node ? open_node(node, flags) : err;
}

int netfs_hostfs_open_beneath(int dir_fd, const char *path, int flags)
{
	return netfs_hostfs_open(dir_fd, path, flags & ~O_CREAT, 0);
}

int netfs_hostfs_mkdir(int dir_fd, const char *name, uint32_t mode)
{
	char last[DISK_NAME];
	struct disk_node *folder;
	int err;

	folder = walk(dir_fd, name, last, &err);
	if (!folder)
		return err;
	if (!*last || disk_find(folder, last))
		return -EEXIST;
	disk_make(folder, last, S_IFDIR | (mode & 0777));
	return 0;
}

int netfs_hostfs_unlink(int dir_fd, const char *name, int flags)
{
	char last[DISK_NAME];
	struct disk_node *folder, *node;
	int err;

	folder = walk(dir_fd, name, last, &err);
	if (!folder)
		return err;
	node = disk_find(folder, last);
	if (!node)
		return -ENOENT;
	if (S_ISDIR(node->mode))
		return flags & AT_REMOVEDIR ? -ENOTEMPTY : -EISDIR;
	disk_remove(folder, last);
	return 0;
}

/* The power may fail between the two names. */
int netfs_hostfs_rename(int old_dir_fd, const char *old_name, int dir_fd, const char *name,
			uint32_t flags)
{
	char old_last[DISK_NAME], last[DISK_NAME];
	struct disk_node *old_folder, *folder, *node;
	int err;

	old_folder = walk(old_dir_fd, old_name, old_last, &err);
	folder = old_folder ? walk(dir_fd, name, last, &err) : NULL;
	if (!folder)
		return err;
	node = disk_find(old_folder, old_last);
	if (!node)
		return -ENOENT;
	if (flags || disk_find(folder, last))
		return flags ? -EINVAL : -EEXIST;
	disk_name(folder, last, node);
	disk_remove(old_folder, old_last);
	return 0;
}

int netfs_hostfs_list(int fd, void (*fn)(void *user, const char *name), void *user)
{
	struct disk_node *node = node_of(fd);

	if (!node || !S_ISDIR(node->mode))
		return node ? -ENOTDIR : -EBADF;
	for (size_t i = 0; i < node->names.count; i++)
		fn(user, node->names.names[i].name);
	return 0;
}

/* ---------------------------------------------------------- attributes */

static uint64_t pages_of(const struct disk_bytes *bytes)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < bytes->npages; i++)
		pages += bytes->pages[i] != NULL;
	return pages;
}

int netfs_hostfs_stat(int dir_fd, const char *name, struct stat *ret_st, struct timespec *ret_btime)
{
	int err;
	struct disk_node *node = find(dir_fd, name, &err);

	if (!node)
		return err;
	*ret_btime = (struct timespec){0};
	*ret_st = (struct stat){
		.st_ino = node->number,
		.st_mode = node->mode,
		.st_nlink = S_ISDIR(node->mode) ? 2 : 1,
		.st_size = (off_t)node->now.size,
		.st_blksize = DISK_PAGE,
		.st_blocks = (blkcnt_t)(pages_of(&node->now) * (DISK_PAGE / 512)),
	};
	return 0;
}

int netfs_hostfs_chmod(int dir_fd, const char *name, uint32_t mode)
{
	int err;
	struct disk_node *node = find(dir_fd, name, &err);

	if (!node)
		return err;
	node->mode = (node->mode & S_IFMT) | mode;
	return 0;
}

int netfs_hostfs_statvfs(int fd, struct statvfs *ret_vfs)
{
	*ret_vfs = (struct statvfs){
		.f_bsize = DISK_PAGE,
		.f_frsize = DISK_PAGE,
		.f_blocks = DISK_SPACE,
		.f_bfree = DISK_SPACE / 2,
		.f_bavail = DISK_SPACE / 2,
		.f_files = DISK_SPACE,
		.f_ffree = DISK_SPACE / 2,
		.f_favail = DISK_SPACE / 2,
	};
	return node_of(fd) ? 0 : -EBADF;
}

/* ---------------------------------------------------------------- data */

int netfs_hostfs_truncate(int fd, uint64_t size)
{
	struct disk_node *node = node_of(fd);

	if (!node)
		return -EBADF;
	if (node->now.size != size)
		disk_cut(node, size);
	for (unsigned i = 0; i < node->nmaps; i++)
		if (node->maps[i].start >= size)
			memset(node->maps[i].memory, 0, node->maps[i].len);
	return 0;
}

/* Only what the cache does with it: a hole, in a file that stays as long. */
int netfs_hostfs_fallocate(int fd, uint32_t mode, uint64_t start, uint64_t len)
{
	static const uint8_t zero[DISK_PAGE];
	struct disk_node *node = node_of(fd);
	int err = node ? disk_fails(node, true) : 0;

	if (err)
		return err;
	if (!node || mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return node ? -EOPNOTSUPP : -EBADF;
	for (uint64_t end = start + len, n; start < end && start < node->now.size; start += n) {
		n = DISK_PAGE - start % DISK_PAGE;
		if (n > node->now.size - start)
			n = node->now.size - start;
		disk_write(node, zero, n < end - start ? n : end - start, start);
	}
	return 0;
}

ssize_t netfs_hostfs_pread(int fd, void *buf, size_t size, uint64_t start)
{
	struct disk_node *node = node_of(fd);
	int err = node ? disk_fails(node, false) : -EBADF;

	if (err)
		return err;
	if (start >= node->now.size)
		return 0;
	if (size > node->now.size - start)
		size = node->now.size - start;
	disk_bytes_get(&node->now, buf, size, start);
	return (ssize_t)size;
}

int netfs_hostfs_pwrite(int fd, const void *buf, size_t size, uint64_t start)
{
	struct disk_node *node = node_of(fd);
	int err = node ? disk_fails(node, true) : -EBADF;

	if (err)
		return err;
	disk_write(node, buf, size, start);
	return 0;
}

int netfs_hostfs_fsync(int fd)
{
	struct disk_node *node = node_of(fd);
	int err = node ? disk_fails(node, true) : -EBADF;

	if (err)
		return err;
	disk_sync(node);
	return 0;
}

/* What is in the memory never gets to the disk: it is for those who live. */
int netfs_hostfs_map(int fd, uint64_t start, size_t len, void **ret_memory)
{
	struct disk_node *node = node_of(fd);
	struct disk_map *map;

	if (!node)
		return -EBADF;
	for (unsigned i = 0; i < node->nmaps; i++) {
		if (node->maps[i].start == start) {
			*ret_memory = node->maps[i].memory;
			return 0;
		}
	}
	if (node->nmaps == sizeof(node->maps) / sizeof(node->maps[0]))
		return -ENOMEM;
	map = &node->maps[node->nmaps++];
	*map = (struct disk_map){start, len, calloc(1, len)};
	if (!map->memory)
		netfs_sim_die("the simulator itself is out of memory");
	*ret_memory = map->memory;
	return 0;
}

void netfs_hostfs_unmap(void *memory, size_t len)
{
	/* The node's, until it goes. */
}

/* --------------------------------------------------------------- locks */

static void lock_add(struct disk_node *node, const struct disk_lock *lock)
{
	if (lock->start >= lock->end)
		return;
	if (node->nlocks == sizeof(node->locks) / sizeof(node->locks[0]))
		netfs_sim_die("too many locks on a file");
	node->locks[node->nlocks++] = *lock;
}

/* What the owner has in that range is no more. */
static void unlock(struct disk_node *node, const void *owner, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < node->nlocks; i++) {
		struct disk_lock before = node->locks[i], behind = before;

		if (before.owner != owner || before.start >= end || before.end <= start)
			continue;
		node->locks[i--] = node->locks[--node->nlocks];
		before.end = start;
		behind.start = end;
		lock_add(node, &before);
		lock_add(node, &behind);
	}
}

static const struct disk_lock *in_the_way(const struct disk_node *node, const void *owner,
					  short type, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < node->nlocks; i++) {
		const struct disk_lock *lock = &node->locks[i];

		if (lock->owner != owner && lock->start < end && start < lock->end &&
		    (type == F_WRLCK || lock->type == F_WRLCK))
			return lock;
	}
	return NULL;
}

int netfs_hostfs_lock(int fd, short type, uint64_t start, uint64_t end)
{
	struct file *file = file_of(fd);

	if (!file)
		return -EBADF;
	if (type != F_UNLCK && in_the_way(file->node, file, type, start, end))
		return -EAGAIN;
	unlock(file->node, file, start, end);
	if (type != F_UNLCK)
		lock_add(file->node, &(struct disk_lock){file, type, start, end});
	return 0;
}

int netfs_hostfs_getlock(int fd, short *type, uint64_t *start, uint64_t *end, int *ret_pid)
{
	struct file *file = file_of(fd);
	const struct disk_lock *lock;

	if (!file)
		return -EBADF;
	lock = in_the_way(file->node, file, *type, *start, *end);
	*ret_pid = 0;
	*type = lock ? lock->type : F_UNLCK;
	if (lock) {
		*start = lock->start;
		*end = lock->end;
	}
	return 0;
}

void netfs_hostfs_close(int fd)
{
	struct file *file = file_of(fd);

	if (fd < 0)
		return;
	netfs_assert(file);
	unlock(file->node, file, 0, UINT64_MAX);
	file->node->opens--;
	file->node = NULL;
}
