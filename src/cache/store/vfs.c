/* SPDX-License-Identifier: MIT */
/*
 * SQLite on src/env: a VFS whose files are opened beneath the cache folder and
 * nowhere else, and which runs on the simulated disk as it does on a real one.
 *
 * A file is called "12/catalogue": the folder's descriptor and the name.  SQLite
 * adds "-wal" and such by itself.
 *
 * Locks are locks of open files, on the bytes that SQLite's own VFS for Unix
 * uses, so that its shell can look at a catalogue that is in use:
 *
 *	database	PENDING | RESERVED | SHARED, 510 bytes
 *	-shm		at 120: one byte each of the 8 locks of the WAL; at 128 the
 *			one that all hold for reading, who makes it anew for writing
 *
 * Unlike those of a process they belong to one connection, so connections of one
 * process need to know nothing of each other.
 *
 * Locks: SQLite's.  A file is used by one thread at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cache/store/vfs.h>
#include <env/alloc.h>
#include <env/clock.h>
#include <env/hostfs.h>
#include <env/random.h>
#include <env/thread.h>

#define PENDING_BYTE  UINT64_C(0x40000000)
#define RESERVED_BYTE (PENDING_BYTE + 1)
#define SHARED_START  (PENDING_BYTE + 2)
#define SHARED_END    (SHARED_START + 510)

#define SHM_LOCKS UINT64_C(120)
#define SHM_LIVES UINT64_C(128)
/* Of the index of a WAL; 32 KiB each are 4,000 pages. */
#define REGIONS_MAX 1024

#define SECTOR 4096

/* SQLite's memory.  Owned by the connection. */
struct vfs_file {
	sqlite3_file file; /* SQLite's part, first */
	int fd;
	int folder;
	char name[64];
	int lock; /* SQLITE_LOCK_* */
	bool fresh; /* its name may not be on the disk yet */
	int shm; /* descriptor, -1: none */
	void **regions; /* of the shm file */
	int nregions;
	size_t region_size;
};

_Static_assert(sizeof(struct vfs_file) >= NETFS_VFS_FILE_MIN, "both kinds must fit");

static struct vfs_file *file_of(sqlite3_file *file)
{
	return (struct vfs_file *)file;
}

/* ---------------------------------------------------------------- data */

static int file_read(sqlite3_file *sql, void *buf, int size, sqlite3_int64 start)
{
	ssize_t n = netfs_hostfs_pread(file_of(sql)->fd, buf, (size_t)size, (uint64_t)start);

	if (n < 0)
		return SQLITE_IOERR_READ;
	if (n == size)
		return SQLITE_OK;
	memset((char *)buf + n, 0, (size_t)(size - n));
	return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *sql, const void *buf, int size, sqlite3_int64 start)
{
	int err = netfs_hostfs_pwrite(file_of(sql)->fd, buf, (size_t)size, (uint64_t)start);

	return !err				  ? SQLITE_OK
	       : err == -ENOSPC || err == -EDQUOT ? SQLITE_FULL
						  : SQLITE_IOERR_WRITE;
}

static int file_truncate(sqlite3_file *sql, sqlite3_int64 size)
{
	return netfs_hostfs_truncate(file_of(sql)->fd, (uint64_t)size) ? SQLITE_IOERR_TRUNCATE
								       : SQLITE_OK;
}

static int file_sync(sqlite3_file *sql, int flags)
{
	struct vfs_file *file = file_of(sql);
	int err = netfs_hostfs_fsync(file->fd);

	if (!err && file->fresh)
		err = netfs_hostfs_fsync(file->folder);
	if (!err)
		file->fresh = false;
	return err ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *sql, sqlite3_int64 *ret_size)
{
	struct timespec btime;
	struct stat st;

	if (netfs_hostfs_stat(file_of(sql)->fd, "", &st, &btime))
		return SQLITE_IOERR_FSTAT;
	*ret_size = st.st_size;
	return SQLITE_OK;
}

/* --------------------------------------------------------------- locks */

static int lock_result(int err)
{
	return !err ? SQLITE_OK : err == -EAGAIN ? SQLITE_BUSY : SQLITE_IOERR_LOCK;
}

/* Readers pass through PENDING, so that a writer who holds it gets his turn. */
static int lock_shared(struct vfs_file *file)
{
	int err = netfs_hostfs_lock(file->fd, F_RDLCK, PENDING_BYTE, PENDING_BYTE + 1);

	if (err)
		return err;
	err = netfs_hostfs_lock(file->fd, F_RDLCK, SHARED_START, SHARED_END);
	netfs_hostfs_lock(file->fd, F_UNLCK, PENDING_BYTE, PENDING_BYTE + 1);
	return err;
}

static int file_lock(sqlite3_file *sql, int level)
{
	struct vfs_file *file = file_of(sql);
	int err = 0;

	if (file->lock >= level)
		return SQLITE_OK;
	if (level == SQLITE_LOCK_SHARED) {
		err = lock_shared(file);
	} else if (level == SQLITE_LOCK_RESERVED) {
		err = netfs_hostfs_lock(file->fd, F_WRLCK, RESERVED_BYTE, RESERVED_BYTE + 1);
	} else {
		if (file->lock < SQLITE_LOCK_PENDING)
			err = netfs_hostfs_lock(file->fd, F_WRLCK, PENDING_BYTE, PENDING_BYTE + 1);
		if (!err)
			file->lock = SQLITE_LOCK_PENDING;
		if (!err && level == SQLITE_LOCK_EXCLUSIVE)
			err = netfs_hostfs_lock(file->fd, F_WRLCK, SHARED_START, SHARED_END);
	}
	if (!err)
		file->lock = level;
	return lock_result(err);
}

static int file_unlock(sqlite3_file *sql, int level)
{
	struct vfs_file *file = file_of(sql);
	int err = 0;

	if (file->lock <= level)
		return SQLITE_OK;
	if (level == SQLITE_LOCK_SHARED && file->lock == SQLITE_LOCK_EXCLUSIVE)
		err = netfs_hostfs_lock(file->fd, F_RDLCK, SHARED_START, SHARED_END);
	if (!err)
		err = netfs_hostfs_lock(file->fd, F_UNLCK, PENDING_BYTE, SHARED_START);
	if (!err && level == SQLITE_LOCK_NONE)
		err = netfs_hostfs_lock(file->fd, F_UNLCK, SHARED_START, SHARED_END);
	if (err)
		return SQLITE_IOERR_UNLOCK;
	file->lock = level;
	return SQLITE_OK;
}

static int file_reserved(sqlite3_file *sql, int *ret_reserved)
{
	struct vfs_file *file = file_of(sql);
	uint64_t start = RESERVED_BYTE, end = RESERVED_BYTE + 1;
	short type = F_WRLCK;
	int pid;

	*ret_reserved = file->lock >= SQLITE_LOCK_RESERVED;
	if (*ret_reserved)
		return SQLITE_OK;
	if (netfs_hostfs_getlock(file->fd, &type, &start, &end, &pid))
		return SQLITE_IOERR_CHECKRESERVEDLOCK;
	*ret_reserved = type != F_UNLCK;
	return SQLITE_OK;
}

/* ------------------------------------------------------ shared memory */

/* The first one there empties it: what the last one left may be of before a
 * crash. */
static int shm_begin(int fd)
{
	int err = netfs_hostfs_lock(fd, F_WRLCK, SHM_LIVES, SHM_LIVES + 1);

	if (!err)
		err = netfs_hostfs_truncate(fd, 0);
	else if (err != -EAGAIN)
		return err;
	/* -EAGAIN here: somebody is at it just now. */
	return err && err != -EAGAIN ? err
				     : netfs_hostfs_lock(fd, F_RDLCK, SHM_LIVES, SHM_LIVES + 1);
}

static void shm_name(const struct vfs_file *file, char name[80])
{
	snprintf(name, 80, "%s-shm", file->name);
}

static int shm_open(struct vfs_file *file)
{
	char name[80];
	int fd, err;

	shm_name(file, name);
	fd = netfs_hostfs_open(file->folder, name, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return SQLITE_CANTOPEN;
	err = shm_begin(fd);
	if (err) {
		netfs_hostfs_close(fd);
		return err == -EAGAIN ? SQLITE_BUSY : SQLITE_IOERR_SHMLOCK;
	}
	file->shm = fd;
	return SQLITE_OK;
}

/* Is the file long enough for that?  1, 0 or a negative errno. */
static int shm_reaches(struct vfs_file *file, uint64_t end, int extend)
{
	struct timespec btime;
	struct stat st;
	int err = netfs_hostfs_stat(file->shm, "", &st, &btime);

	if (err || (uint64_t)st.st_size >= end)
		return err ? err : 1;
	if (!extend)
		return 0;
	/* Written, so that a full disk is noticed here and not at a memory access. */
	for (uint64_t at = (uint64_t)st.st_size; at < end && !err; at += SECTOR - at % SECTOR)
		err = netfs_hostfs_pwrite(file->shm, "", 1, at | (SECTOR - 1));
	return err ? err : 1;
}

static int shm_map_more(struct vfs_file *file, int region, size_t size, int extend)
{
	int result = shm_reaches(file, (uint64_t)(region + 1) * size, extend);

	if (result <= 0)
		return result < 0 ? SQLITE_IOERR_SHMSIZE : SQLITE_OK;
	if (!file->regions)
		file->regions = netfs_calloc(REGIONS_MAX, sizeof(*file->regions));
	if (!file->regions)
		return SQLITE_IOERR_NOMEM;
	file->region_size = size;
	while (file->nregions <= region) {
		if (netfs_hostfs_map(file->shm, (uint64_t)file->nregions * size, size,
				     &file->regions[file->nregions]))
			return SQLITE_IOERR_SHMMAP;
		file->nregions++;
	}
	return SQLITE_OK;
}

static int shm_map(sqlite3_file *sql, int region, int size, int extend, void volatile **ret_memory)
{
	struct vfs_file *file = file_of(sql);
	int result = SQLITE_OK;

	*ret_memory = NULL;
	if (region >= REGIONS_MAX)
		return SQLITE_IOERR_SHMSIZE;
	if (file->shm < 0)
		result = shm_open(file);
	if (result == SQLITE_OK && region >= file->nregions)
		result = shm_map_more(file, region, (size_t)size, extend);
	if (result == SQLITE_OK && region < file->nregions)
		*ret_memory = file->regions[region];
	return result;
}

static int shm_lock(sqlite3_file *sql, int first, int n, int flags)
{
	uint64_t start = SHM_LOCKS + (uint64_t)first;
	short type = flags & SQLITE_SHM_UNLOCK	    ? F_UNLCK
		     : flags & SQLITE_SHM_EXCLUSIVE ? F_WRLCK
						    : F_RDLCK;

	return lock_result(netfs_hostfs_lock(file_of(sql)->shm, type, start, start + (uint64_t)n));
}

static void shm_barrier(sqlite3_file *sql)
{
	/* What SQLite's index of the WAL asks for; pairs with itself in the
	 * other processes. */
	atomic_thread_fence(memory_order_seq_cst);
}

static int shm_unmap(sqlite3_file *sql, int delete)
{
	struct vfs_file *file = file_of(sql);
	char name[80];

	if (file->shm < 0)
		return SQLITE_OK;
	for (int i = 0; i < file->nregions; i++)
		netfs_hostfs_unmap(file->regions[i], file->region_size);
	netfs_free(file->regions);
	file->regions = NULL;
	file->nregions = 0;
	shm_name(file, name);
	if (delete)
		netfs_hostfs_unlink(file->folder, name, 0);
	netfs_hostfs_close(file->shm);
	file->shm = -1;
	return SQLITE_OK;
}

/* --------------------------------------------------------------- files */

static int file_close(sqlite3_file *sql)
{
	struct vfs_file *file = file_of(sql);

	shm_unmap(sql, 0);
	netfs_hostfs_close(file->fd);
	return SQLITE_OK;
}

static int file_control(sqlite3_file *sql, int op, void *arg)
{
	return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *sql)
{
	return SECTOR;
}

static int file_ways(sqlite3_file *sql)
{
	/* A write that is torn leaves the bytes beside it alone. */
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_ways,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};

/* The folder of such a path, and the name in it; NULL: it is none. */
static const char *split(const char *path, int *ret_folder)
{
	char *end;
	long folder = path ? strtol(path, &end, 10) : -1;

	if (folder < 0 || folder > INT_MAX || *end != '/' || strlen(end) > 60)
		return NULL;
	*ret_folder = (int)folder;
	return end + 1;
}

void netfs_vfs_path(int folder, const char *name, char path[NETFS_VFS_PATH])
{
	snprintf(path, NETFS_VFS_PATH, "%d/%s", folder, name);
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *sql, int flags,
		    int *ret_flags)
{
	struct vfs_file *file = file_of(sql);
	int folder, how = flags & SQLITE_OPEN_READWRITE ? O_RDWR : O_RDONLY;
	const char *name = split(path, &folder);

	if (!path) {
		netfs_vfs_temp(sql);
		if (ret_flags)
			*ret_flags = flags;
		return SQLITE_OK;
	}
	*file = (struct vfs_file){.fd = -1, .shm = -1};
	if (!name)
		return SQLITE_CANTOPEN;
	if (flags & SQLITE_OPEN_CREATE)
		how |= O_CREAT;
	file->fd = netfs_hostfs_open(folder, name, how, 0600);
	if (file->fd < 0)
		return SQLITE_CANTOPEN;
	file->folder = folder;
	snprintf(file->name, sizeof(file->name), "%s", name);
	file->fresh = flags & SQLITE_OPEN_CREATE;
	file->file.pMethods = &methods;
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
	int folder, err;
	const char *name = split(path, &folder);

	if (!name)
		return SQLITE_IOERR_DELETE;
	err = netfs_hostfs_unlink(folder, name, 0);
	if (err == -ENOENT)
		return SQLITE_IOERR_DELETE_NOENT;
	if (!err && sync)
		err = netfs_hostfs_fsync(folder);
	return err ? SQLITE_IOERR_DELETE : SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret_there)
{
	struct timespec btime;
	struct stat st;
	int folder;
	const char *name = split(path, &folder);

	/* As SQLite's own has it: an empty file is as good as none. */
	*ret_there = name && netfs_hostfs_stat(folder, name, &st, &btime) == 0 &&
		     (flags != SQLITE_ACCESS_EXISTS || !S_ISREG(st.st_mode) || st.st_size > 0);
	return SQLITE_OK;
}

static int vfs_full(sqlite3_vfs *vfs, const char *path, int size, char *full)
{
	if (strlen(path) >= (size_t)size)
		return SQLITE_CANTOPEN;
	memcpy(full, path, strlen(path) + 1);
	return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int size, char *bytes)
{
	for (int i = 0; i < size; i++)
		bytes[i] = (char)netfs_random_u64();
	return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
	netfs_thread_pause((uint64_t)us * 1000);
	return us;
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms)
{
	/* Milliseconds since noon of 24 November 4714 BC. */
	*ret_ms = INT64_C(210866760000000) + (int64_t)(netfs_clock_real() / NETFS_NS_PER_MS);
	return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *text)
{
	return 0;
}

int netfs_vfs_register(void)
{
	static sqlite3_vfs vfs = {
		.iVersion = 2,
		.szOsFile = sizeof(struct vfs_file),
		.mxPathname = NETFS_VFS_PATH,
		.zName = NETFS_VFS_NAME,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full,
		.xRandomness = vfs_random,
		.xSleep = vfs_sleep,
		.xGetLastError = vfs_last_error,
		.xCurrentTimeInt64 = vfs_time,
	};

	return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? 0 : -ENOMEM;
}
