/* SPDX-License-Identifier: MIT */
/*
 * The folder for tools: a walk over the catalogue, a check of an object against
 * its checksums, and its removal.  An object is locked while it is looked at, as
 * any mount would lock it.
 *
 * Locks: none.
 */
#include <errno.h>
#include <string.h>
#include <cache/store/files.h>
#include <cache/store/store.h>
#include <crypt/key.h>
#include <env/alloc.h>
#include <env/hostfs.h>
#include <env/secret.h>
#include <unetfs/cache_folder.h>

/* What a check reads at once. */
#define READ_SIZE (16 * NETFS_MAP_BLOCK)

struct netfs_cache_folder {
	struct netfs_store *store;
	uint8_t buf[READ_SIZE]; /* a check's */
};

int netfs_cache_folder_open(const char *path, struct netfs_cache_folder **ret_folder, char *message,
			    size_t message_size)
{
	struct netfs_cache_folder *folder = netfs_zalloc(sizeof(*folder));
	int err;

	if (!folder)
		return -ENOMEM;
	err = netfs_store_open(path, true, &folder->store, message, message_size);
	if (err) {
		netfs_free(folder);
		return err;
	}
	*ret_folder = folder;
	return 0;
}

void netfs_cache_folder_close(struct netfs_cache_folder *folder)
{
	if (!folder)
		return;
	netfs_store_close(folder->store);
	netfs_free(folder);
}

int netfs_cache_folder_key(struct netfs_cache_folder *folder, const char *key_file, char *message,
			   size_t message_size)
{
	uint8_t *secret = netfs_secret_alloc(NETFS_SECRET_MAX);
	ssize_t n;
	int err;

	if (!secret)
		return -ENOMEM;
	n = netfs_key_read(key_file, NULL, secret, message, message_size);
	err = n < 0 ? (int)n : netfs_store_seal(folder->store, secret, (size_t)n);
	netfs_secret_free(secret, NETFS_SECRET_MAX);
	return err;
}

int netfs_cache_folder_total(struct netfs_cache_folder *folder, struct netfs_cache_total *ret_total)
{
	struct netfs_store_space space;
	int err = netfs_store_space(folder->store, &space);

	if (err)
		return err;
	*ret_total = (struct netfs_cache_total){
		.bytes = space.bytes,
		.objects = space.objects,
		.disk_bytes = space.disk_bytes,
		.disk_free = space.disk_free,
	};
	return 0;
}

int netfs_cache_folder_next(struct netfs_cache_folder *folder, struct netfs_cache_object *object)
{
	struct netfs_store_entry entry = {
		.pinned = object->pinned, .rank = object->id[0], .id = object->id[1]};
	int result = netfs_store_next(folder->store, &entry);

	if (result != 1)
		return result;
	memcpy(object->volume, entry.volume, sizeof(object->volume));
	object->sealed = netfs_seal_is_sealed(entry.volume);
	/* With which key; what follows says nothing to anybody. */
	if (object->sealed)
		object->volume[NETFS_SEAL_HEADING] = 0;
	object->volume_id = (uint64_t)entry.key.volume;
	object->ino = entry.key.ino;
	object->gen = entry.key.gen;
	object->bytes = entry.bytes;
	object->used_ms = entry.used > 0 ? (uint64_t)entry.used : 0;
	object->pinned = entry.pinned;
	object->id[0] = entry.rank;
	object->id[1] = entry.id;
	object->id[2] = entry.key.volume;
	return 1;
}

static struct netfs_store_key key_of(const struct netfs_cache_object *object)
{
	return (struct netfs_store_key){
		.volume = object->id[2], .ino = object->ino, .gen = object->gen};
}

/* ---------------------------------------------------------------- check */

/* Blocks of [start, end) that are there, as many as are read at once. */
static void check_some(struct netfs_cache_folder *folder, struct netfs_store_object *object,
		       uint64_t start, uint64_t end, struct netfs_cache_checked *checked)
{
	ssize_t n = netfs_hostfs_pread(object->fd, folder->buf, end - start, start);

	for (uint64_t at = start; at < end; at += NETFS_MAP_BLOCK) {
		uint64_t block = at / NETFS_MAP_BLOCK;
		uint8_t *bytes = folder->buf + (at - start);
		size_t len = netfs_map_block_len(&object->map, block);

		checked->blocks++;
		if (n >= (ssize_t)(at - start + len) &&
		    netfs_store_prove(object, block, bytes) == 0)
			continue;
		checked->bad++;
		netfs_map_remove(&object->map, at, at + NETFS_MAP_BLOCK);
	}
}

static void check_blocks(struct netfs_cache_folder *folder, struct netfs_store_object *object,
			 struct netfs_cache_checked *checked)
{
	uint64_t from, to, at = 0;

	for (; netfs_map_next(&object->map, at, NETFS_MAP_END, &from, &to); at = to) {
		for (; to - from > READ_SIZE; from += READ_SIZE)
			check_some(folder, object, from, from + READ_SIZE, checked);
		check_some(folder, object, from, to, checked);
	}
}

/* What is left of it, recorded. */
static int keep_rest(struct netfs_cache_folder *folder, struct netfs_store_object *object)
{
	return object->map.blocks ? netfs_store_save(folder->store, object)
				  : netfs_store_remove(folder->store, object);
}

int netfs_cache_folder_check(struct netfs_cache_folder *folder,
			     const struct netfs_cache_object *object,
			     struct netfs_cache_checked *ret_checked)
{
	struct netfs_store_key key = key_of(object);
	struct netfs_store_object open;
	int err, end;

	memset(ret_checked, 0, sizeof(*ret_checked));
	err = netfs_store_begin(folder->store);
	if (err)
		return err;
	err = netfs_store_load(folder->store, &key, &open);
	end = netfs_store_end(folder->store);
	if (err)
		return err;
	check_blocks(folder, &open, ret_checked);
	if (!end && ret_checked->bad) {
		err = netfs_store_begin(folder->store);
		if (!err)
			err = keep_rest(folder, &open);
		end = netfs_store_end(folder->store);
	}
	netfs_store_release(&open);
	return err ? err : end;
}

int netfs_cache_folder_evict(struct netfs_cache_folder *folder,
			     const struct netfs_cache_object *object)
{
	struct netfs_store_entry entry = {.key = key_of(object)};
	int err = netfs_store_name(folder->store, &entry.key, entry.name);

	return err ? err : netfs_store_evict(folder->store, &entry);
}
