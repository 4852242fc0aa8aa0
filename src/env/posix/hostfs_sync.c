/* SPDX-License-Identifier: MIT */
/*
 * The rest of hostfs.h, for whoever keeps a database on a local disk: bytes
 * written at once, bytes and names brought to the disk, memory shared through a
 * file.  No state, no locks.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <env/hostfs.h>

int netfs_hostfs_pwrite(int fd, const void *buf, size_t size, uint64_t start)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n =
			pwrite(fd, (const char *)buf + done, size - done, (off_t)(start + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ENOSPC;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int netfs_hostfs_fsync(int fd)
{
	int result;

	do
		result = fsync(fd);
	while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : 0;
}

int netfs_hostfs_map(int fd, uint64_t start, size_t len, void **ret_memory)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);

	if (memory == MAP_FAILED)
		return -errno;
	*ret_memory = memory;
	return 0;
}

void netfs_hostfs_unmap(void *memory, size_t len)
{
	if (memory)
		munmap(memory, len);
}
