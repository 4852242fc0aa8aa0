/* SPDX-License-Identifier: MIT */
/*
 * The folder and the files in it.
 *
 * No name that a server or another user chose is ever part of a path: names are
 * hashes.  Everything is opened beneath the folder, through no symbolic link,
 * and what was opened is used only if it is a regular file of ours that has one
 * name.  So whoever may write into the folder can spoil the cache, and cannot
 * make us write anywhere else.
 *
 * What stands where a file or a folder of ours should be, and is none, goes: it
 * is unlinked, or where it is a folder with something in it, set aside under a
 * name of the top folder.
 *
 * An object that is open is locked with a lock of the open file, which goes
 * with the process that has it.
 *
 * Locks: none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#include <cache/place.h>
#include <cache/store/files.h>
#include <env/host.h>
#include <env/hostfs.h>
#include <env/random.h>

static int judge(int fd, uint32_t type)
{
	struct timespec btime;
	struct stat st;
	int err = netfs_hostfs_stat(fd, "", &st, &btime);

	if (err)
		return err;
	if ((st.st_mode & S_IFMT) != type || st.st_uid != netfs_host_uid() || (st.st_mode & 077))
		return -EPERM;
	return type == S_IFREG && st.st_nlink != 1 ? -EPERM : 0;
}

int netfs_files_open(const char *path, bool make)
{
	int err = make ? netfs_hostfs_mkdir(AT_FDCWD, path, 0700) : 0, fd;

	if (err && err != -EEXIST)
		return err;
	fd = netfs_hostfs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	err = judge(fd, S_IFDIR);
	if (err) {
		netfs_hostfs_close(fd);
		return err;
	}
	return fd;
}

void netfs_files_name(const char *volume, uint64_t ino, uint64_t gen, char name[NETFS_STORE_NAME])
{
	uint64_t seed[2] = {ino, gen};
	XXH128_hash_t outer = XXH3_128bits(volume, strlen(volume));
	XXH128_hash_t hash = XXH3_128bits_withSeed(seed, sizeof(seed), outer.low64 ^ outer.high64);

	snprintf(name, NETFS_STORE_NAME, "%02x/%014llx%016llx", (unsigned)(hash.high64 >> 56),
		 (unsigned long long)(hash.high64 & 0xffffffffffffff),
		 (unsigned long long)hash.low64);
}

/* Takes away what is not ours. */
static int take_away(int folder, int up, const char *name)
{
	char aside[32];
	int err = netfs_hostfs_unlink(up, name, 0);

	if (err != -EISDIR && err != -EPERM)
		return err;
	err = netfs_hostfs_unlink(up, name, AT_REMOVEDIR);
	if (!err)
		return 0;
	snprintf(aside, sizeof(aside), "strange-%016llx", (unsigned long long)netfs_random_u64());
	return netfs_hostfs_rename(up, name, folder, aside, 0);
}

/* A folder of ours: -EUCLEAN where it is something else, or somebody else's. */
static int open_ours(int up, const char *name)
{
	int fd = netfs_hostfs_open_beneath(up, name, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return fd == -ELOOP || fd == -ENOTDIR || fd == -EACCES ? -EUCLEAN : fd;
	if (judge(fd, S_IFDIR) == 0)
		return fd;
	netfs_hostfs_close(fd);
	return -EUCLEAN;
}

static int open_folder(int up, const char *name, bool make)
{
	int fd = open_ours(up, name);

	if (!make || (fd != -ENOENT && fd != -EUCLEAN))
		return fd;
	if (fd == -EUCLEAN)
		take_away(up, up, name);
	netfs_hostfs_mkdir(up, name, 0700);
	return open_ours(up, name);
}

/* Where in a name, "01/234...", the name in its folder is. */
#define LAST 3

/* The folder that name is in, made where that is wanted. */
static int open_place(int folder, const char *name, bool make)
{
	const char place[LAST] = {name[0], name[1], 0};

	return open_folder(folder, place, make);
}

/* Opens the file in its place; -EUCLEAN: what is there is no file of ours. */
static int open_locked(int place, const char *name, bool make)
{
	int fd = netfs_hostfs_open(place, name, O_RDWR | O_NONBLOCK | (make ? O_CREAT : 0), 0600);
	int err;

	if (fd == -ELOOP || fd == -EISDIR || fd == -ENXIO || fd == -EACCES || fd == -EPERM)
		return -EUCLEAN;
	if (fd < 0)
		return fd;
	/* Before it is locked: others may hold a lock on what is not ours. */
	err = judge(fd, S_IFREG) ? -EUCLEAN : 0;
	if (!err)
		err = netfs_hostfs_lock(fd, F_WRLCK, 0, UINT64_MAX) ? -EBUSY : 0;
	/* And after: whoever had the lock may have removed the file. */
	if (!err && judge(fd, S_IFREG))
		err = -EUCLEAN;
	if (err) {
		netfs_hostfs_close(fd);
		return err;
	}
	return fd;
}

int netfs_files_object(int folder, const char *name, bool make)
{
	int place = open_place(folder, name, make), fd;

	if (place < 0)
		return place;
	fd = open_locked(place, name + LAST, make);
	if (fd == -EUCLEAN && make && take_away(folder, place, name + LAST) == 0)
		fd = open_locked(place, name + LAST, true);
	netfs_hostfs_close(place);
	return fd;
}

int netfs_files_unlink(int folder, const char *name)
{
	int place = open_place(folder, name, false), err;

	if (place < 0)
		return place;
	err = take_away(folder, place, name + LAST);
	netfs_hostfs_close(place);
	return err;
}

int netfs_files_check(int folder, const char *name)
{
	int fd = netfs_hostfs_open_beneath(folder, name, O_PATH | O_NOFOLLOW), err;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	err = judge(fd, S_IFREG);
	netfs_hostfs_close(fd);
	return err;
}

/* The folder that path is in: what was made in it is on the disk. */
static int sync_above(const char *path)
{
	char above[NETFS_PLACE_PATH];
	const char *slash = strrchr(path, '/');
	size_t len = slash && slash > path ? (size_t)(slash - path) : 1;
	int fd, err;

	if (len >= sizeof(above))
		return -ENAMETOOLONG;
	memcpy(above, path, len);
	above[len] = 0;
	fd = netfs_hostfs_open(AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	err = netfs_hostfs_fsync(fd);
	netfs_hostfs_close(fd);
	return err;
}

int netfs_place_open(const char *path, const char *name)
{
	int folder = netfs_files_open(path, true), place, err;

	if (folder < 0)
		return folder;
	place = open_folder(folder, name, true);
	err = place < 0 ? place : sync_above(path);
	if (!err)
		err = netfs_hostfs_fsync(folder);
	netfs_hostfs_close(folder);
	if (err && place >= 0)
		netfs_hostfs_close(place);
	return err ? err : place;
}

int netfs_place_file(int place, const char *name, bool make)
{
	return open_locked(place, name, make);
}
