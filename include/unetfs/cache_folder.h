/* SPDX-License-Identifier: MIT */
/*
 * A cache folder seen from outside: what is in it, whether it is as it should
 * be, and less of it.  For tools; mounts may use the folder at the same time,
 * and what they have in use is left alone.
 *
 * Every function may block.  A folder is used by one thread at a time.  Needs
 * no client and no executor.
 */
#ifndef UNETFS_CACHE_FOLDER_H
#define UNETFS_CACHE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netfs_cache_folder;

/* path is absolute and there is a cache in it already: -ENOENT otherwise.
 * -EPERM: it is not ours alone; -EUCLEAN: its catalogue is of another format, or
 * damaged.  message then says what is wrong, in one line. */
int netfs_cache_folder_open(const char *path, struct netfs_cache_folder **ret_folder, char *message,
			    size_t message_size);
/* Objects that were sealed with the key in that file can be checked from now on.
 * Once.  A negative errno, and then message says what is wrong, in one line. */
int netfs_cache_folder_key(struct netfs_cache_folder *folder, const char *key_file, char *message,
			   size_t message_size);
/* NULL is allowed. */
void netfs_cache_folder_close(struct netfs_cache_folder *folder);

struct netfs_cache_total {
	uint64_t bytes; /* on the disk, by the catalogue */
	uint64_t objects;
	uint64_t disk_bytes; /* of the file system it is on */
	uint64_t disk_free;
};

/* 0 or a negative errno. */
int netfs_cache_folder_total(struct netfs_cache_folder *folder,
			     struct netfs_cache_total *ret_total);

/* What is kept of one file. */
struct netfs_cache_object {
	bool sealed; /* volume says with which key, and the numbers mean nothing */
	uint64_t volume_id; /* as in struct netfs_mount_status */
	char volume[512]; /* the share, as which user; cut short where it is longer */
	uint64_t ino; /* the server's numbers of the file */
	uint64_t gen;
	uint64_t bytes; /* on the disk */
	uint64_t used_ms; /* when it was last used, since 1970 */
	bool pinned; /* stays until it is unpinned or evicted */
	int64_t id[3]; /* the folder's */
};

/* The next one, in the order in which they would go.  object is all zero before the first.
 * 1, 0 at the end, or a negative errno. */
int netfs_cache_folder_next(struct netfs_cache_folder *folder, struct netfs_cache_object *object);

struct netfs_cache_checked {
	uint64_t blocks; /* of 4 KiB, that were there */
	uint64_t bad; /* of them: not what they should be, and dropped */
};

/* Reads all of an object and compares with its checksums; blocks that do not fit
 * are dropped, so that they come from the server again.  -EBUSY: it is in use;
 * -ENOKEY: it is sealed with a key that was not given, and stays as it is. */
int netfs_cache_folder_check(struct netfs_cache_folder *folder,
			     const struct netfs_cache_object *object,
			     struct netfs_cache_checked *ret_checked);
/* Removes it.  -EBUSY: it is in use. */
int netfs_cache_folder_evict(struct netfs_cache_folder *folder,
			     const struct netfs_cache_object *object);

#endif
