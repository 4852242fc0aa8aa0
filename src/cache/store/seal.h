/* SPDX-License-Identifier: MIT */
/*
 * Sealing: what of a cache folder only those can read, and nobody can change
 * unnoticed, who have the key.  doc/cache-format.md says what is done to which
 * bytes.  Nothing here touches the disk.
 *
 * The owner of the store guards it all, but for netfs_seal_lock() and
 * netfs_seal_unlock(), which any thread may call while the object is open.
 */
#ifndef CACHE_STORE_SEAL_H
#define CACHE_STORE_SEAL_H

#include <cache/store/map.h>

#define NETFS_SEAL_SALT 32
/* The key of a sealed volume, in letters: what it is, which key; which volume. */
#define NETFS_SEAL_HEADING (sizeof("sealed ") - 1 + 16)
#define NETFS_SEAL_VOLUME  (NETFS_SEAL_HEADING + 1 + 64 + 1)
/* The record of an object, which has this long a text in it. */
#define NETFS_SEAL_TEXT	  16
#define NETFS_SEAL_RECORD (NETFS_SEAL_SALT + NETFS_MAP_SEAL + NETFS_SEAL_TEXT)

/* Keys made of one secret, and those of the objects that are open.  Owned by the
 * store. */
struct netfs_seal;

/* The key of one object; part of it.  Zero is none. */
struct netfs_seal_key {
	struct netfs_seal *seal;
	uint8_t *bytes; /* in memory for secrets; NULL: none */
	uint8_t salt[NETFS_SEAL_SALT];
};

/* Which object a key is of: numbers of the catalogue. */
struct netfs_seal_name {
	uint64_t ino;
	uint64_t gen;
};

/* secret_len is at least NETFS_CRYPT_SECRET_MIN.  -ENOMEM, -EIO. */
int netfs_seal_new(const uint8_t *secret, size_t secret_len, struct netfs_seal **ret_seal);
/* Overwrites the keys.  No key of an object is left.  NULL is allowed. */
void netfs_seal_free(struct netfs_seal *seal);

/* What the catalogue has instead of the volume's key.  -ENOMEM, -EIO. */
int netfs_seal_volume(const struct netfs_seal *seal, const char *volume,
		      char ret_text[NETFS_SEAL_VOLUME]);
/* Is that the text of a sealed volume; and of one of this key's? */
bool netfs_seal_is_sealed(const char *text);
bool netfs_seal_is_ours(const struct netfs_seal *seal, const char *text);
/* What the catalogue has instead of a file's numbers, of the volume with that
 * text.  -ENOMEM, -EIO. */
int netfs_seal_name(const struct netfs_seal *seal, const char *text, uint64_t ino, uint64_t gen,
		    struct netfs_seal_name *ret_name);

/* The object's key by its salt; by a new one where salt is NULL.  key is zero or
 * has one already.  -ENOMEM, -EIO. */
int netfs_seal_key_make(struct netfs_seal *seal, const struct netfs_seal_name *name,
			const uint8_t *salt, struct netfs_seal_key *key);
/* Overwrites it.  Zero is fine. */
void netfs_seal_key_drop(struct netfs_seal_key *key);

/*
 * The rows of an object, and then its record.  Close seals what is in memory for
 * the catalogue, open takes what the catalogue has.  -EUCLEAN: that is not what was
 * stored of this object, last and all together; -ENOMEM, -EIO.
 */
int netfs_seal_row_close(const struct netfs_seal_key *key, uint64_t number,
			 struct netfs_map_chunk *chunk);
/* The row of a chunk that was closed: its bytes. */
size_t netfs_seal_row_put(const struct netfs_map_chunk *chunk, uint8_t row[NETFS_MAP_SEALED_ROW]);
int netfs_seal_row_open(const struct netfs_seal_key *key, uint64_t chunk, const void *row,
			size_t len, struct netfs_map *map);
int netfs_seal_record_close(const struct netfs_seal_key *key, const struct netfs_map *map,
			    const uint8_t text[NETFS_SEAL_TEXT], uint8_t record[NETFS_SEAL_RECORD]);
int netfs_seal_record_open(const struct netfs_seal_key *key, const struct netfs_map *map,
			   const uint8_t record[NETFS_SEAL_RECORD],
			   uint8_t ret_text[NETFS_SEAL_TEXT]);

/* Some blocks, one after the other. */
struct netfs_aead;

/* Each of them with one nonce: those are drawn for all of them at once. */
int netfs_seal_nonces(struct netfs_map_seal *seals, unsigned n);
/* One block of len bytes, by a context made for the object's key.  in may be out.
 * -EIO; unlock: -EBADMSG, and then out is to be forgotten. */
int netfs_seal_lock(struct netfs_aead *aead, uint64_t block, const uint8_t *in, uint8_t *out,
		    size_t len, struct netfs_map_seal *seal);
int netfs_seal_unlock(struct netfs_aead *aead, uint64_t block, const uint8_t *in, uint8_t *out,
		      size_t len, const struct netfs_map_seal *seal);

#endif
