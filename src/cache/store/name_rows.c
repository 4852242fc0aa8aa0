/* SPDX-License-Identifier: MIT */
/*
 * Rows of the store of names, as bytes.  Numbers are little-endian.
 *
 *	plain	body | XXH3-64 of kind, key, body
 *	sealed	nonce | AES-256-GCM of body, beside kind and key | tag
 *
 * So a row that was put in another's place is found out as well as one that was
 * damaged.  Of a sealed volume numbers and names are hashed with HKDF.
 *
 * Locks: none.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>
#include <cache/store/name_rows.h>
#include <crypt/aead.h>
#include <crypt/kdf.h>
#include <env/alloc.h>
#include <env/secret.h>

#define SUM    8
#define SEAL   (NETFS_AEAD_NONCE + NETFS_AEAD_TAG)
#define SECRET (2 * NETFS_AEAD_KEY)

_Static_assert(SEAL <= NETFS_ROW_PROOF && SUM <= NETFS_ROW_PROOF, "a proof has less room");

/* Plain ones have no key. */
struct netfs_rows {
	uint8_t *key; /* SECRET bytes for secrets: what seals, and what hashes */
	struct netfs_aead *seal;
	struct netfs_aead *open;
};

/* ------------------------------------------------------------- numbers */

static uint8_t *put(uint8_t *at, uint64_t number, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		*at++ = (uint8_t)(number >> (8 * i));
	return at;
}

static uint64_t get(const uint8_t **at, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes; i++)
		number |= (uint64_t) * (*at)++ << (8 * i);
	return number;
}

static uint8_t *put_time(uint8_t *at, const struct netfs_time *time)
{
	at = put(at, (uint64_t)time->sec, 8);
	return put(at, time->nsec, 4);
}

static bool get_time(const uint8_t **at, struct netfs_time *ret_time)
{
	ret_time->sec = (int64_t)get(at, 8);
	ret_time->nsec = (uint32_t)get(at, 4);
	return ret_time->nsec < 1000000000;
}

/* ------------------------------------------------------------- content */

void netfs_row_put_attr(uint8_t body[NETFS_ROW_ATTR], const struct netfs_attr *attr)
{
	uint8_t *at = put(body, attr->ino, 8);

	at = put(at, attr->gen, 8);
	at = put(at, attr->version, 8);
	at = put(at, attr->mode, 4);
	at = put(at, attr->nlink, 4);
	at = put(at, attr->uid, 4);
	at = put(at, attr->gid, 4);
	at = put(at, attr->rdev_major, 4);
	at = put(at, attr->rdev_minor, 4);
	at = put(at, attr->size, 8);
	at = put(at, attr->blocks, 8);
	at = put(at, attr->blksize, 4);
	at = put_time(at, &attr->atime);
	at = put_time(at, &attr->mtime);
	at = put_time(at, &attr->ctime);
	put_time(at, &attr->btime);
}

static bool type_possible(uint32_t type)
{
	switch (type) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	}
	return false;
}

bool netfs_row_get_attr(const uint8_t *body, size_t len, struct netfs_attr *ret_attr)
{
	const uint8_t *at = body;
	struct netfs_attr attr = {0};
	bool good = len == NETFS_ROW_ATTR;

	if (!good)
		return false;
	attr.ino = get(&at, 8);
	attr.gen = get(&at, 8);
	attr.version = get(&at, 8);
	attr.mode = (uint32_t)get(&at, 4);
	attr.nlink = (uint32_t)get(&at, 4);
	attr.uid = (uint32_t)get(&at, 4);
	attr.gid = (uint32_t)get(&at, 4);
	attr.rdev_major = (uint32_t)get(&at, 4);
	attr.rdev_minor = (uint32_t)get(&at, 4);
	attr.size = get(&at, 8);
	attr.blocks = get(&at, 8);
	attr.blksize = (uint32_t)get(&at, 4);
	good = get_time(&at, &attr.atime) && good;
	good = get_time(&at, &attr.mtime) && good;
	good = get_time(&at, &attr.ctime) && good;
	good = get_time(&at, &attr.btime) && good;
	if (!good || !type_possible(attr.mode & S_IFMT) || attr.size > INT64_MAX)
		return false;
	*ret_attr = attr;
	return true;
}

size_t netfs_row_put_entry(uint8_t body[NETFS_ROW_ENTRY_MAX], const struct netfs_row_entry *entry)
{
	uint8_t *at = put(body, entry->id.ino, 8);

	at = put(at, entry->id.gen, 8);
	at = put(at, entry->type, 4);
	at = put(at, entry->whole, 4);
	memcpy(at, entry->name, entry->name_len);
	return NETFS_ROW_ENTRY + entry->name_len;
}

static bool name_possible(const char *name, size_t len)
{
	if (len == 0 || len > NETFS_NAME_MAX || memchr(name, '/', len) || memchr(name, 0, len))
		return false;
	return name[0] != '.' || (len > 1 && (name[1] != '.' || len > 2));
}

bool netfs_row_get_entry(const uint8_t *body, size_t len, struct netfs_row_entry *ret_entry)
{
	const uint8_t *at = body;
	size_t name_len = len - NETFS_ROW_ENTRY;
	uint64_t whole;

	if (len <= NETFS_ROW_ENTRY || len > NETFS_ROW_ENTRY_MAX)
		return false;
	ret_entry->id.ino = get(&at, 8);
	ret_entry->id.gen = get(&at, 8);
	ret_entry->type = (uint32_t)get(&at, 4);
	whole = get(&at, 4);
	ret_entry->whole = whole == 1;
	ret_entry->name_len = (uint8_t)name_len;
	memcpy(ret_entry->name, at, name_len);
	ret_entry->name[name_len] = 0;
	return whole <= 1 && (!ret_entry->type || type_possible(ret_entry->type)) &&
	       name_possible(ret_entry->name, name_len);
}

void netfs_row_put_share(uint8_t body[NETFS_ROW_SHARE], const struct netfs_name_share *share)
{
	uint8_t *at = put(body, share->root.ino, 8);

	at = put(at, share->root.gen, 8);
	at = put(at, share->functions, 8);
	at = put(at, share->caps, 4);
	at = put(at, share->rsize, 4);
	at = put(at, share->wsize, 4);
	at = put(at, share->depth, 4);
	put(at, share->granule, 4);
}

bool netfs_row_get_share(const uint8_t *body, size_t len, struct netfs_name_share *ret_share)
{
	const uint8_t *at = body;

	if (len != NETFS_ROW_SHARE)
		return false;
	ret_share->root.ino = get(&at, 8);
	ret_share->root.gen = get(&at, 8);
	ret_share->functions = get(&at, 8);
	ret_share->caps = (uint32_t)get(&at, 4);
	ret_share->rsize = (uint32_t)get(&at, 4);
	ret_share->wsize = (uint32_t)get(&at, 4);
	ret_share->depth = (uint32_t)get(&at, 4);
	ret_share->granule = (uint32_t)get(&at, 4);
	return ret_share->rsize && ret_share->wsize && ret_share->depth &&
	       !(ret_share->granule & (ret_share->granule - 1));
}

void netfs_row_put_space(uint8_t body[NETFS_ROW_SPACE], const struct netfs_statfs *statfs)
{
	uint8_t *at = put(body, statfs->bsize, 4);

	at = put(at, statfs->namelen, 4);
	at = put(at, statfs->blocks, 8);
	at = put(at, statfs->bfree, 8);
	at = put(at, statfs->bavail, 8);
	at = put(at, statfs->files, 8);
	put(at, statfs->ffree, 8);
}

bool netfs_row_get_space(const uint8_t *body, size_t len, struct netfs_statfs *ret_statfs)
{
	const uint8_t *at = body;

	if (len != NETFS_ROW_SPACE)
		return false;
	ret_statfs->bsize = (uint32_t)get(&at, 4);
	ret_statfs->namelen = (uint32_t)get(&at, 4);
	ret_statfs->blocks = get(&at, 8);
	ret_statfs->bfree = get(&at, 8);
	ret_statfs->bavail = get(&at, 8);
	ret_statfs->files = get(&at, 8);
	ret_statfs->ffree = get(&at, 8);
	return ret_statfs->bsize > 0;
}

/* --------------------------------------------------------------- proof */

static uint64_t sum_of(enum netfs_row_kind kind, const uint8_t key[NETFS_ROW_ID], const void *body,
		       size_t len)
{
	uint64_t seed = XXH3_64bits_withSeed(key, NETFS_ROW_ID, kind);

	return XXH3_64bits_withSeed(body, len, seed);
}

static int seal_start(struct netfs_aead *aead, const uint8_t *nonce, enum netfs_row_kind kind,
		      const uint8_t key[NETFS_ROW_ID])
{
	const uint8_t byte = (uint8_t)kind;
	int err = netfs_aead_start(aead, nonce);

	if (!err)
		err = netfs_aead_beside(aead, &byte, 1);
	return err ? err : netfs_aead_beside(aead, key, NETFS_ROW_ID);
}

ssize_t netfs_rows_close(struct netfs_rows *rows, enum netfs_row_kind kind,
			 const uint8_t key[NETFS_ROW_ID], const void *body, size_t len,
			 uint8_t *out)
{
	int err;

	if (!rows->key) {
		memcpy(out, body, len);
		put(out + len, sum_of(kind, key, body, len), SUM);
		return (ssize_t)(len + SUM);
	}
	err = netfs_secret_random(out, NETFS_AEAD_NONCE);
	if (!err)
		err = seal_start(rows->seal, out, kind, key);
	if (!err)
		err = netfs_aead_seal(rows->seal, body, out + NETFS_AEAD_NONCE, len,
				      out + NETFS_AEAD_NONCE + len);
	return err ? err : (ssize_t)(len + SEAL);
}

ssize_t netfs_rows_open(struct netfs_rows *rows, enum netfs_row_kind kind,
			const uint8_t key[NETFS_ROW_ID], const void *row, size_t len, void *out,
			size_t size)
{
	const size_t proof = rows->key ? SEAL : SUM;
	const uint8_t *bytes = row;
	const uint8_t *at;
	int err;

	if (!row || len < proof || len - proof > size)
		return -EUCLEAN;
	len -= proof;
	if (!rows->key) {
		at = bytes + len;
		if (get(&at, SUM) != sum_of(kind, key, bytes, len))
			return -EUCLEAN;
		memcpy(out, bytes, len);
		return (ssize_t)len;
	}
	err = seal_start(rows->open, bytes, kind, key);
	if (!err)
		err = netfs_aead_open(rows->open, bytes + NETFS_AEAD_NONCE, out, len,
				      bytes + NETFS_AEAD_NONCE + len);
	return err ? -EUCLEAN : (ssize_t)len;
}

/* ---------------------------------------------------------------- keys */

static int hashed(const struct netfs_rows *rows, const void *what, size_t len,
		  uint8_t ret_key[NETFS_ROW_ID])
{
	const struct netfs_kdf_from from = {
		.secret = rows->key + NETFS_AEAD_KEY,
		.secret_len = NETFS_AEAD_KEY,
		.info = what,
		.info_len = len,
	};

	return netfs_kdf(&from, ret_key, NETFS_ROW_ID);
}

int netfs_rows_id(const struct netfs_rows *rows, const struct netfs_name_id *id,
		  uint8_t ret_key[NETFS_ROW_ID])
{
	uint8_t plain[NETFS_ROW_ID];

	put(put(plain, id->ino, 8), id->gen, 8);
	if (rows->key)
		return hashed(rows, plain, sizeof(plain), ret_key);
	memcpy(ret_key, plain, sizeof(plain));
	return 0;
}

ssize_t netfs_rows_name(const struct netfs_rows *rows, const uint8_t dir[NETFS_ROW_ID],
			const char *name, uint8_t ret_key[NETFS_ROW_NAME])
{
	size_t len = strlen(name);
	uint8_t both[NETFS_ROW_ID + NETFS_NAME_MAX];
	int err;

	if (len > NETFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (!rows->key) {
		memcpy(ret_key, name, len);
		return (ssize_t)len;
	}
	memcpy(both, dir, NETFS_ROW_ID);
	memcpy(both + NETFS_ROW_ID, name, len);
	err = hashed(rows, both, NETFS_ROW_ID + len, ret_key);
	return err ? err : NETFS_ROW_ID;
}

static void file_name(const uint8_t digest[NETFS_ROW_ID], char file[NETFS_ROW_FILE])
{
	for (unsigned i = 0; i < NETFS_ROW_ID; i++)
		snprintf(file + 2 * i, 3, "%02x", digest[i]);
}

/* Key and file name of a sealed volume. */
static int derive(struct netfs_rows *rows, const char *volume, const uint8_t *secret,
		  size_t secret_len, uint8_t ret_digest[NETFS_ROW_ID])
{
	static const char info[] = "unetfs names 1";
	const struct netfs_kdf_from from = {
		.secret = secret,
		.secret_len = secret_len,
		.salt = volume,
		.salt_len = strlen(volume),
		.info = info,
		.info_len = sizeof(info),
	};
	uint8_t all[SECRET + NETFS_ROW_ID];
	int err;

	rows->key = netfs_secret_alloc(SECRET);
	if (!rows->key)
		return -ENOMEM;
	err = netfs_kdf(&from, all, sizeof(all));
	memcpy(rows->key, all, SECRET);
	memcpy(ret_digest, all + SECRET, NETFS_ROW_ID);
	explicit_bzero(all, sizeof(all));
	if (!err)
		err = netfs_aead_new(rows->key, NETFS_AEAD_SEAL, &rows->seal);
	if (!err)
		err = netfs_aead_new(rows->key, NETFS_AEAD_OPEN, &rows->open);
	return err;
}

int netfs_rows_new(const char *volume, const uint8_t *secret, size_t secret_len,
		   struct netfs_rows **ret_rows, char file[NETFS_ROW_FILE])
{
	struct netfs_rows *rows = netfs_zalloc(sizeof(*rows));
	uint8_t digest[NETFS_ROW_ID];
	int err = 0;

	if (!rows)
		return -ENOMEM;
	if (secret) {
		err = derive(rows, volume, secret, secret_len, digest);
	} else {
		XXH128_hash_t hash = XXH3_128bits(volume, strlen(volume));

		put(put(digest, hash.low64, 8), hash.high64, 8);
	}
	if (err) {
		netfs_rows_free(rows);
		return err;
	}
	file_name(digest, file);
	*ret_rows = rows;
	return 0;
}

void netfs_rows_free(struct netfs_rows *rows)
{
	if (!rows)
		return;
	netfs_aead_free(rows->seal);
	netfs_aead_free(rows->open);
	netfs_secret_free(rows->key, SECRET);
	netfs_free(rows);
}
