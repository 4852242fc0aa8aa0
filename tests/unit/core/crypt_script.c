/* SPDX-License-Identifier: MIT */
/* Every fourth byte of plain text is a mark, by its place in the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <env/random.h>
#include "crypt_script.h"

#define MARK  0x5a
#define MARKS 16 /* so many in a row are no chance */

struct netfs_crypt *crypt_script_key(void)
{
	uint8_t secret[32] = "thirty-two bytes of a test's key";
	uint8_t salt[NETFS_CRYPT_SALT_SIZE] = {1, 2, 3};
	struct netfs_crypt *crypt;

	assert_int_equal(netfs_crypt_new(secret, sizeof(secret), salt, &crypt), 0);
	return crypt;
}

void crypt_script_fill(uint8_t *data, uint64_t start, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (start + i) % 4 ? (uint8_t)netfs_random_u64() : MARK;
}

void crypt_script_no_plain(const uint8_t *data, uint64_t start, size_t len)
{
	unsigned row = 0;

	for (size_t i = 0; i < len; i++) {
		if ((start + i) % 4)
			continue;
		row = data[i] == MARK ? row + 1 : 0;
		if (row == MARKS)
			fail_msg("plain text at %llu", (unsigned long long)(start + i));
	}
}

static size_t block_at(uint64_t pos, uint64_t size)
{
	return size - pos < NETFS_CRYPT_BLOCK ? size - pos : NETFS_CRYPT_BLOCK;
}

void crypt_script_encrypt(const struct netfs_crypt *crypt, const uint8_t *plain, uint8_t *cipher,
			  uint64_t size)
{
	for (uint64_t pos = 0; pos < size; pos += NETFS_CRYPT_BLOCK)
		assert_int_equal(netfs_crypt_encrypt(crypt, 0, pos, plain + pos, cipher + pos,
						     block_at(pos, size)),
				 0);
}

void crypt_script_check(const struct netfs_crypt *crypt, const uint8_t *cipher,
			const uint8_t *plain, uint64_t size)
{
	static const uint8_t zeroes[NETFS_CRYPT_BLOCK];
	uint8_t want[NETFS_CRYPT_BLOCK];

	for (uint64_t pos = 0; pos < size; pos += NETFS_CRYPT_BLOCK) {
		size_t n = block_at(pos, size);

		if (!memcmp(cipher + pos, zeroes, n)) {
			assert_memory_equal(plain + pos, zeroes, n);
			continue;
		}
		assert_int_equal(netfs_crypt_encrypt(crypt, 0, pos, plain + pos, want, n), 0);
		if (memcmp(cipher + pos, want, n))
			fail_msg("block at %llu of %llu bytes is not what it should be",
				 (unsigned long long)pos, (unsigned long long)size);
	}
}

void crypt_script_check_cache(const struct netfs_crypt *crypt, const struct cache_script *cache,
			      const uint8_t *cipher, uint64_t size)
{
	uint8_t cached[NETFS_CRYPT_BLOCK], want[NETFS_CRYPT_BLOCK];

	for (uint64_t pos = 0; pos < size; pos += NETFS_CRYPT_BLOCK) {
		size_t n = block_at(pos, size);

		if (!netfs_ranges_covers(&cache->there, pos, pos + n))
			continue;
		crypt_script_no_plain(cache->data + pos, pos, n);
		netfs_crypt_decrypt(crypt, 0, pos, cache->data + pos, cached, n);
		netfs_crypt_decrypt(crypt, 0, pos, cipher + pos, want, n);
		assert_memory_equal(cached, want, n);
	}
}
