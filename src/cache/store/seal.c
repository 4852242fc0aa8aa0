/* SPDX-License-Identifier: MIT */
/*
 * Sealing.
 *
 *	secret --HKDF--> names   --HKDF, volume----------> text of the volume
 *	            |            --HKDF, text and file---> numbers of the object
 *	            +--> objects --HKDF, salt and numbers> the object's key
 *
 * Everything of an object is sealed by AES-256-GCM with its key and random
 * nonces.  What a message is, is the first of the bytes beside it, so that none
 * can stand for another kind:
 *
 *	block	hidden: its bytes		beside: number, length
 *	row	nothing hidden			beside: number of the chunk, the row
 *	record	hidden: version and tail	beside: number and seal of each row
 *
 * A block's nonce and tag are in the row, a row's are in what the record seals: so
 * the record decides about all of it, and nothing that was ever good for the
 * object can be put back alone.
 *
 * Keys of open objects are kept in pages for secrets, which are shared: a page
 * each would be more than a process may lock.
 *
 * Locks: none.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <cache/store/seal.h>
#include <crypt/aead.h>
#include <crypt/kdf.h>
#include <env/secret.h>

#define KEY	NETFS_AEAD_KEY
#define HEADING "sealed "
/* Which key: enough to tell one from another, nothing to guess by. */
#define ID 8

/* Of a page, with what else is in it. */
#define PAGE_KEYS 120

struct page {
	struct page *next;
	uint64_t used[(PAGE_KEYS + 63) / 64];
	uint8_t keys[PAGE_KEYS][KEY];
};

_Static_assert(sizeof(struct page) <= 4096, "more than a page");

struct netfs_seal {
	uint8_t names[KEY];
	uint8_t objects[KEY];
	uint8_t id[ID];
	struct page *pages;
};

enum message {
	MESSAGE_BLOCK = 1,
	MESSAGE_ROW,
	MESSAGE_RECORD,
};

static int derive(const uint8_t key[KEY], const void *info, size_t info_len, uint8_t *out,
		  size_t len)
{
	return netfs_kdf(
		&(struct netfs_kdf_from){
			.secret = key, .secret_len = KEY, .info = info, .info_len = info_len},
		out, len);
}

int netfs_seal_new(const uint8_t *secret, size_t secret_len, struct netfs_seal **ret_seal)
{
	static const char names[] = "unetfs cache 1 names", objects[] = "unetfs cache 1 objects";
	struct netfs_seal *seal = netfs_secret_alloc(sizeof(*seal));
	struct netfs_kdf_from from = {.secret = secret, .secret_len = secret_len};
	int err;

	if (!seal)
		return -ENOMEM;
	from.info = names;
	from.info_len = sizeof(names);
	err = netfs_kdf(&from, seal->names, KEY);
	from.info = objects;
	from.info_len = sizeof(objects);
	if (!err)
		err = netfs_kdf(&from, seal->objects, KEY);
	if (!err)
		err = derive(seal->names, "id", 2, seal->id, ID);
	if (err) {
		netfs_seal_free(seal);
		return err;
	}
	*ret_seal = seal;
	return 0;
}

void netfs_seal_free(struct netfs_seal *seal)
{
	if (!seal)
		return;
	while (seal->pages) {
		struct page *page = seal->pages;

		seal->pages = page->next;
		netfs_secret_free(page, sizeof(*page));
	}
	netfs_secret_free(seal, sizeof(*seal));
}

/* --------------------------------------------------------------- names */

static char *put_hex(char *to, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to += snprintf(to, 3, "%02x", bytes[i]);
	return to;
}

/* How the texts of our volumes begin. */
static char *put_heading(const struct netfs_seal *seal, char *to)
{
	memcpy(to, HEADING, sizeof(HEADING));
	to = put_hex(to + sizeof(HEADING) - 1, seal->id, ID);
	memcpy(to, " ", 2);
	return to + 1;
}

int netfs_seal_volume(const struct netfs_seal *seal, const char *volume,
		      char ret_text[NETFS_SEAL_VOLUME])
{
	uint8_t hash[32];
	struct netfs_kdf_from from = {.secret = seal->names,
				      .secret_len = KEY,
				      .salt = "volume",
				      .salt_len = 6,
				      .info = volume,
				      .info_len = strlen(volume)};
	int err = netfs_kdf(&from, hash, sizeof(hash));

	if (!err)
		put_hex(put_heading(seal, ret_text), hash, sizeof(hash));
	return err;
}

bool netfs_seal_is_sealed(const char *text)
{
	return strncmp(text, HEADING, sizeof(HEADING) - 1) == 0;
}

bool netfs_seal_is_ours(const struct netfs_seal *seal, const char *text)
{
	char heading[NETFS_SEAL_VOLUME];
	size_t len = (size_t)(put_heading(seal, heading) - heading);

	return strncmp(text, heading, len) == 0;
}

int netfs_seal_name(const struct netfs_seal *seal, const char *text, uint64_t ino, uint64_t gen,
		    struct netfs_seal_name *ret_name)
{
	struct {
		uint64_t numbers[2];
		char text[NETFS_SEAL_VOLUME];
	} info = {.numbers = {htole64(ino), htole64(gen)}};
	struct netfs_kdf_from from = {.secret = seal->names,
				      .secret_len = KEY,
				      .salt = "file",
				      .salt_len = 4,
				      .info = &info,
				      .info_len = offsetof(typeof(info), text) + sizeof(info.text)};
	uint64_t numbers[2];
	int err;

	snprintf(info.text, sizeof(info.text), "%s", text);
	err = netfs_kdf(&from, (uint8_t *)numbers, sizeof(numbers));

	if (!err)
		*ret_name = (struct netfs_seal_name){le64toh(numbers[0]), le64toh(numbers[1])};
	return err;
}

/* ---------------------------------------------------------------- keys */

static uint8_t *take_free(struct page *page)
{
	for (unsigned i = 0; i < PAGE_KEYS; i++) {
		if (page->used[i / 64] >> i % 64 & 1)
			continue;
		page->used[i / 64] |= UINT64_C(1) << i % 64;
		return page->keys[i];
	}
	return NULL;
}

/* Memory for a key; NULL: none. */
static uint8_t *take_memory(struct netfs_seal *seal)
{
	struct page *page;
	uint8_t *key;

	for (page = seal->pages; page; page = page->next) {
		key = take_free(page);
		if (key)
			return key;
	}
	page = netfs_secret_alloc(sizeof(*page));
	if (!page)
		return NULL;
	page->next = seal->pages;
	seal->pages = page;
	return take_free(page);
}

static void give_memory(struct netfs_seal *seal, uint8_t *key)
{
	struct page *page = seal->pages;
	size_t i;

	while (key < page->keys[0] || key > page->keys[PAGE_KEYS - 1])
		page = page->next;
	i = (size_t)(key - page->keys[0]) / KEY;
	explicit_bzero(key, KEY);
	page->used[i / 64] &= ~(UINT64_C(1) << i % 64);
}

int netfs_seal_key_make(struct netfs_seal *seal, const struct netfs_seal_name *name,
			const uint8_t *salt, struct netfs_seal_key *key)
{
	uint64_t numbers[2] = {htole64(name->ino), htole64(name->gen)};
	struct netfs_kdf_from from = {.secret = seal->objects,
				      .secret_len = KEY,
				      .salt = key->salt,
				      .salt_len = sizeof(key->salt),
				      .info = numbers,
				      .info_len = sizeof(numbers)};
	int err = 0;

	if (salt)
		memcpy(key->salt, salt, sizeof(key->salt));
	else
		err = netfs_secret_random(key->salt, sizeof(key->salt));
	if (!err && !key->bytes) {
		key->seal = seal;
		key->bytes = take_memory(seal);
		err = key->bytes ? 0 : -ENOMEM;
	}
	return err ? err : netfs_kdf(&from, key->bytes, KEY);
}

void netfs_seal_key_drop(struct netfs_seal_key *key)
{
	if (key->bytes)
		give_memory(key->seal, key->bytes);
	key->bytes = NULL;
}

/* ------------------------------------------------------------ messages */

/* What is first beside each message: its kind and two numbers. */
static int begin(struct netfs_aead *aead, const uint8_t *nonce, enum message kind,
		 const uint64_t numbers[2])
{
	uint64_t beside[3] = {htole64(kind), htole64(numbers[0]), htole64(numbers[1])};
	int err = netfs_aead_start(aead, nonce);

	return err ? err : netfs_aead_beside(aead, beside, sizeof(beside));
}

/* From those of a message to those of the catalogue. */
static int judged(int err)
{
	return err == -EBADMSG ? -EUCLEAN : err;
}

int netfs_seal_nonces(struct netfs_map_seal *seals, unsigned n)
{
	uint8_t some[256];
	unsigned done = 0;
	int err = 0;

	while (done < n && !err) {
		unsigned few = sizeof(some) / NETFS_AEAD_NONCE;

		if (few > n - done)
			few = n - done;
		err = netfs_secret_random(some, few * NETFS_AEAD_NONCE);
		for (unsigned i = 0; i < few; i++)
			memcpy(seals[done + i].nonce, some + i * NETFS_AEAD_NONCE,
			       NETFS_AEAD_NONCE);
		done += few;
	}
	return err;
}

int netfs_seal_lock(struct netfs_aead *aead, uint64_t block, const uint8_t *in, uint8_t *out,
		    size_t len, struct netfs_map_seal *seal)
{
	int err = begin(aead, seal->nonce, MESSAGE_BLOCK, (uint64_t[]){block, len});

	return err ? err : netfs_aead_seal(aead, in, out, len, seal->tag);
}

int netfs_seal_unlock(struct netfs_aead *aead, uint64_t block, const uint8_t *in, uint8_t *out,
		      size_t len, const struct netfs_map_seal *seal)
{
	int err = begin(aead, seal->nonce, MESSAGE_BLOCK, (uint64_t[]){block, len});

	return err ? err : netfs_aead_open(aead, in, out, len, seal->tag);
}

/* ---------------------------------------------------------------- rows */

/* body: the row without its seal. */
static int begin_row(struct netfs_aead *aead, const uint8_t *nonce, uint64_t chunk,
		     const uint8_t *body, size_t len)
{
	int err = begin(aead, nonce, MESSAGE_ROW, (uint64_t[]){chunk, len});

	return err ? err : netfs_aead_beside(aead, body, len);
}

size_t netfs_seal_row_put(const struct netfs_map_chunk *chunk, uint8_t row[NETFS_MAP_SEALED_ROW])
{
	memcpy(row, &chunk->row, NETFS_MAP_SEAL);
	return NETFS_MAP_SEAL + netfs_map_store_sealed(chunk, row + NETFS_MAP_SEAL);
}

int netfs_seal_row_close(const struct netfs_seal_key *key, uint64_t number,
			 struct netfs_map_chunk *chunk)
{
	struct netfs_map_seal *seal = &chunk->row;
	uint8_t body[NETFS_MAP_SEALED_ROW - NETFS_MAP_SEAL];
	size_t len = netfs_map_store_sealed(chunk, body);
	struct netfs_aead *aead;
	int err = netfs_aead_new(key->bytes, NETFS_AEAD_SEAL, &aead);

	if (err)
		return err;
	err = netfs_seal_nonces(seal, 1);
	if (!err)
		err = begin_row(aead, seal->nonce, number, body, len);
	if (!err)
		err = netfs_aead_seal(aead, NULL, NULL, 0, seal->tag);
	netfs_aead_free(aead);
	return err;
}

int netfs_seal_row_open(const struct netfs_seal_key *key, uint64_t chunk, const void *row,
			size_t len, struct netfs_map *map)
{
	const uint8_t *body = (const uint8_t *)row + NETFS_MAP_SEAL;
	struct netfs_map_seal seal;
	struct netfs_aead *aead;
	int err;

	if (len <= NETFS_MAP_SEAL || len > NETFS_MAP_SEALED_ROW)
		return -EUCLEAN;
	memcpy(&seal, row, sizeof(seal));
	err = netfs_aead_new(key->bytes, NETFS_AEAD_OPEN, &aead);
	if (err)
		return err;
	err = begin_row(aead, seal.nonce, chunk, body, len - NETFS_MAP_SEAL);
	if (!err)
		err = netfs_aead_open(aead, NULL, NULL, 0, seal.tag);
	netfs_aead_free(aead);
	if (!err)
		err = netfs_map_load(map, chunk, body, len - NETFS_MAP_SEAL);
	if (!err)
		map->chunks[chunk]->row = seal;
	return judged(err);
}

/* -------------------------------------------------------------- record */

/* The seal of each row there is, in order. */
static int begin_record(struct netfs_aead *aead, const uint8_t *nonce, const struct netfs_map *map)
{
	int err = begin(aead, nonce, MESSAGE_RECORD, (uint64_t[]){map->blocks, 0});

	for (uint64_t i = 0; i < map->nchunks && !err; i++) {
		const struct netfs_map_chunk *chunk = map->chunks[i];
		uint64_t number = htole64(i);

		if (!chunk || !chunk->count)
			continue;
		err = netfs_aead_beside(aead, &number, sizeof(number));
		if (!err)
			err = netfs_aead_beside(aead, &chunk->row, sizeof(chunk->row));
	}
	return err;
}

int netfs_seal_record_close(const struct netfs_seal_key *key, const struct netfs_map *map,
			    const uint8_t text[NETFS_SEAL_TEXT], uint8_t record[NETFS_SEAL_RECORD])
{
	uint8_t *hidden = record + NETFS_SEAL_SALT + NETFS_MAP_SEAL;
	struct netfs_map_seal seal;
	struct netfs_aead *aead;
	int err = netfs_aead_new(key->bytes, NETFS_AEAD_SEAL, &aead);

	if (err)
		return err;
	err = netfs_seal_nonces(&seal, 1);
	if (!err)
		err = begin_record(aead, seal.nonce, map);
	if (!err)
		err = netfs_aead_seal(aead, text, hidden, NETFS_SEAL_TEXT, seal.tag);
	netfs_aead_free(aead);
	memcpy(record, key->salt, NETFS_SEAL_SALT);
	memcpy(record + NETFS_SEAL_SALT, &seal, sizeof(seal));
	return err;
}

int netfs_seal_record_open(const struct netfs_seal_key *key, const struct netfs_map *map,
			   const uint8_t record[NETFS_SEAL_RECORD],
			   uint8_t ret_text[NETFS_SEAL_TEXT])
{
	const uint8_t *hidden = record + NETFS_SEAL_SALT + NETFS_MAP_SEAL;
	uint8_t text[NETFS_SEAL_TEXT];
	struct netfs_map_seal seal;
	struct netfs_aead *aead;
	int err = netfs_aead_new(key->bytes, NETFS_AEAD_OPEN, &aead);

	if (err)
		return err;
	memcpy(&seal, record + NETFS_SEAL_SALT, sizeof(seal));
	err = begin_record(aead, seal.nonce, map);
	if (!err)
		err = netfs_aead_open(aead, hidden, text, sizeof(text), seal.tag);
	netfs_aead_free(aead);
	if (!err)
		memcpy(ret_text, text, sizeof(text));
	return judged(err);
}
