/* SPDX-License-Identifier: MIT */
/*
 * Content encryption against published vectors and against a second way of
 * computing it.
 *
 * The vectors are IEEE 1619-2018, annex B: number 10 (AES-256, one unit of 512
 * bytes).  Stealing and tweaks are compared with XTS written out here from
 * single AES blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <crypt/crypt.h>
#include <crypt/unit.h>
#include <env/random.h>
#include <env/sim/sim.h>

static size_t unhex(const char *text, uint8_t *out)
{
	size_t n = 0;

	for (; text[0] && text[1]; text += 2, n++) {
		unsigned byte;

		assert_int_equal(sscanf(text, "%2x", &byte), 1);
		out[n] = (uint8_t)byte;
	}
	return n;
}

static const char *const key_10 =
	"2718281828459045235360287471352662497757247093699959574966967627"
	"3141592653589793238462643383279502884197169399375105820974944592";
static const char *const cipher_10 =
	"1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b"
	"5d31e276f8fe4a8d66b317f9ac683f44680a86ac35adfc3345befecb4bb188fd"
	"5776926c49a3095eb108fd1098baec70aaa66999a72a82f27d848b21d4a741b0"
	"c5cd4d5fff9dac89aeba122961d03a757123e9870f8acf100002088789142"
	"9ca2a3e7a7d7df7b10355165c8b9a6d0a7de8b062c4500dc4cd120c0f7418dae3"
	"d0b5781c34803fa75421c790dfe1de1834f280d7667b327f6c8cd7557e12ac3a0"
	"f93ec05c52e0493ef31a12d3d9260f79a289d6a379bc70c50841473d1a8cc81ec"
	"583e9645e07b8d9670655ba5bbcfecc6dc3966380ad8fecb17b6ba02469a020a"
	"84e18e8f84252070c13e9f1f289be54fbc481457778f616015e1327a02b140f1"
	"505eb309326d68378f8374595c849d84f4c333ec4423885143cb47bd71c5edae"
	"9be69a2ffeceb1bec9de244fbe15992b11b77c040f12bd8f6a975a44a0f90c29"
	"a9abc3d4d893927284c58754cce294529f8614dcd2aba991925fedc4ae74ffac"
	"6e333b93eb4aff0479da9a410e4450e0dd7ae4c6e2910900575da401fc07059f"
	"645e8b7e9bfdef33943054ff84011493c27b3429eaedb4ed5376441a77ed4385"
	"1ad77f16f541dfd269d50d6a5f14fb0aab1cbb4c1550be97f7ab4066193c4caa"
	"773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151";

static void published_vector_comes_out(void **state)
{
	uint8_t key[NETFS_UNIT_KEY_SIZE], want[512], in[512], out[512];
	uint8_t iv[16] = {0xff};
	struct netfs_unit *unit;

	assert_int_equal(unhex(key_10, key), sizeof(key));
	assert_int_equal(unhex(cipher_10, want), sizeof(want));
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	assert_int_equal(netfs_unit_new(key, true, &unit), 0);
	assert_int_equal(netfs_unit_run(unit, iv, in, out, sizeof(in)), 0);
	netfs_unit_free(unit);
	assert_memory_equal(out, want, sizeof(want));
	assert_int_equal(netfs_unit_new(key, false, &unit), 0);
	assert_int_equal(netfs_unit_run(unit, iv, out, out, sizeof(out)), 0);
	netfs_unit_free(unit);
	assert_memory_equal(out, in, sizeof(in));
}

/* -------------------------------------------- XTS written out by hand */

static void aes(const uint8_t *key, const uint8_t *in, uint8_t *out)
{
	assert_int_equal(netfs_unit_ecb(key, in, out), 0);
}

static void next_tweak(uint8_t *tweak)
{
	unsigned carry = 0;

	for (unsigned i = 0; i < 16; i++) {
		unsigned byte = tweak[i];

		tweak[i] = (uint8_t)(byte << 1 | carry);
		carry = byte >> 7;
	}
	if (carry)
		tweak[0] ^= 0x87;
}

static void one_block(const uint8_t *key, const uint8_t *tweak, const uint8_t *in, uint8_t *out)
{
	uint8_t mixed[16];

	for (unsigned i = 0; i < 16; i++)
		mixed[i] = in[i] ^ tweak[i];
	aes(key, mixed, out);
	for (unsigned i = 0; i < 16; i++)
		out[i] ^= tweak[i];
}

static void by_hand(const uint8_t *key, const uint8_t *iv, const uint8_t *in, uint8_t *out,
		    size_t len)
{
	size_t whole = len / 16, rest = len % 16;
	uint8_t tweak[16], last[16];

	aes(key + 32, iv, tweak);
	for (size_t i = 0; i < whole; i++, next_tweak(tweak))
		one_block(key, tweak, in + 16 * i, out + 16 * i);
	if (!rest)
		return;
	memcpy(last, out + 16 * (whole - 1), 16);
	memcpy(out + 16 * whole, last, rest);
	memcpy(last, in + 16 * whole, rest);
	one_block(key, tweak, last, out + 16 * (whole - 1));
}

static void every_length_agrees_with_xts_by_hand(void **state)
{
	static uint8_t in[NETFS_CRYPT_BLOCK], out[NETFS_CRYPT_BLOCK], want[NETFS_CRYPT_BLOCK];
	uint8_t key[NETFS_UNIT_KEY_SIZE], iv[16];
	struct netfs_unit *unit;

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)netfs_random_u64();
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)netfs_random_u64();
	for (unsigned i = 0; i < 16; i++)
		iv[i] = (uint8_t)netfs_random_u64();
	assert_int_equal(netfs_unit_new(key, true, &unit), 0);
	for (size_t len = NETFS_UNIT_MIN; len <= sizeof(in); len += len < 80 ? 1 : 61) {
		assert_int_equal(netfs_unit_run(unit, iv, in, out, len), 0);
		by_hand(key, iv, in, want, len);
		assert_memory_equal(out, want, len);
	}
	netfs_unit_free(unit);
}

/* ------------------------------------------------------------- files */

#define FILE_SIZE (3 * NETFS_CRYPT_BLOCK)

static uint8_t plain[FILE_SIZE], cipher[FILE_SIZE], back[FILE_SIZE];

static struct netfs_crypt *key_of(uint8_t secret_byte, uint8_t salt_byte)
{
	uint8_t secret[40], salt[NETFS_CRYPT_SALT_SIZE];
	struct netfs_crypt *crypt;

	memset(secret, secret_byte, sizeof(secret));
	memset(salt, salt_byte, sizeof(salt));
	assert_int_equal(netfs_crypt_new(secret, sizeof(secret), salt, &crypt), 0);
	return crypt;
}

static void every_length_comes_back(void **state)
{
	struct netfs_crypt *crypt = key_of(1, 2);

	for (size_t i = 0; i < FILE_SIZE; i++)
		plain[i] = (uint8_t)netfs_random_u64();
	for (size_t len = 0; len <= FILE_SIZE; len += len % 4096 < 40 ? 1 : 97) {
		assert_int_equal(netfs_crypt_encrypt(crypt, 7, 8192, plain, cipher, len), 0);
		if (len % 4096 >= 8 || (len >= 4096 && len % 4096 == 0))
			assert_memory_not_equal(cipher + len / 4096 * 4096 - (len % 4096 == 0) * 8,
						plain + len / 4096 * 4096 - (len % 4096 == 0) * 8,
						8);
		assert_int_equal(netfs_crypt_decrypt(crypt, 7, 8192, cipher, back, len), 0);
		assert_memory_equal(back, plain, len);
	}
	netfs_crypt_free(crypt);
}

static void in_place_is_the_same(void **state)
{
	struct netfs_crypt *crypt = key_of(1, 2);
	size_t len = 2 * NETFS_CRYPT_BLOCK + 777;

	memcpy(back, plain, len);
	assert_int_equal(netfs_crypt_encrypt(crypt, 0, 0, plain, cipher, len), 0);
	assert_int_equal(netfs_crypt_encrypt(crypt, 0, 0, back, back, len), 0);
	assert_memory_equal(back, cipher, len);
	netfs_crypt_free(crypt);
}

static void place_and_file_change_the_ciphertext(void **state)
{
	struct netfs_crypt *crypt = key_of(1, 2);
	static const size_t lengths[] = {9, 15, 16, 100, 4096};

	memset(plain, 0x41, sizeof(plain));
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t n = lengths[i];

		assert_int_equal(netfs_crypt_encrypt(crypt, 5, 0, plain, cipher, n), 0);
		assert_int_equal(netfs_crypt_encrypt(crypt, 5, 4096, plain, back, n), 0);
		assert_memory_not_equal(cipher, back, n);
		assert_int_equal(netfs_crypt_encrypt(crypt, 6, 0, plain, back, n), 0);
		assert_memory_not_equal(cipher, back, n);
	}
	netfs_crypt_free(crypt);
}

static void holes_read_as_zeroes(void **state)
{
	struct netfs_crypt *crypt = key_of(1, 2);

	memset(cipher, 0, sizeof(cipher));
	for (size_t len = 0; len <= FILE_SIZE; len += len % 4096 < 40 ? 1 : 97) {
		memset(back, 0xee, sizeof(back));
		assert_int_equal(netfs_crypt_decrypt(crypt, 9, 4096, cipher, back, len), 0);
		assert_memory_equal(back, cipher, len);
	}
	/* Zeroes of full blocks are not zeroes at the server. */
	assert_int_equal(netfs_crypt_encrypt(crypt, 9, 4096, cipher, back, 8192), 0);
	assert_memory_not_equal(back, cipher, 4096);
	assert_memory_not_equal(back + 4096, cipher, 4096);
	netfs_crypt_free(crypt);
}

/* All 256 tails of one byte: each comes back, and only zero becomes zero. */
static void tails_of_one_byte_are_a_permutation(void **state)
{
	struct netfs_crypt *crypt = key_of(3, 4);
	bool seen[256] = {false};

	for (unsigned i = 0; i < 256; i++) {
		uint8_t in = (uint8_t)i, out, again;

		assert_int_equal(netfs_crypt_encrypt(crypt, 0, 4096, &in, &out, 1), 0);
		assert_int_equal(netfs_crypt_decrypt(crypt, 0, 4096, &out, &again, 1), 0);
		assert_int_equal(again, in);
		assert_false(seen[out]);
		seen[out] = true;
		assert_int_equal(out == 0, in == 0);
	}
	netfs_crypt_free(crypt);
}

static void other_secret_or_salt_is_another_key(void **state)
{
	struct netfs_crypt *one = key_of(1, 1), *two = key_of(2, 1), *three = key_of(1, 2);
	uint8_t check[NETFS_CRYPT_CHECK_SIZE];

	netfs_crypt_check(one, check);
	assert_true(netfs_crypt_matches(one, check));
	assert_false(netfs_crypt_matches(two, check));
	assert_false(netfs_crypt_matches(three, check));
	check[31] ^= 1;
	assert_false(netfs_crypt_matches(one, check));
	netfs_crypt_free(one);
	netfs_crypt_free(two);
	netfs_crypt_free(three);
}

static void short_secret_is_refused(void **state)
{
	uint8_t bytes[NETFS_CRYPT_SALT_SIZE] = {0};
	struct netfs_crypt *crypt = NULL;

	assert_int_equal(netfs_crypt_new(bytes, 31, bytes, &crypt), -EINVAL);
	assert_null(crypt);
}

static int world(void **state)
{
	netfs_sim_start(1);
	return 0;
}

static int world_end(void **state)
{
	netfs_sim_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vector_comes_out),
		cmocka_unit_test(every_length_agrees_with_xts_by_hand),
		cmocka_unit_test(every_length_comes_back),
		cmocka_unit_test(in_place_is_the_same),
		cmocka_unit_test(place_and_file_change_the_ciphertext),
		cmocka_unit_test(holes_read_as_zeroes),
		cmocka_unit_test(tails_of_one_byte_are_a_permutation),
		cmocka_unit_test(other_secret_or_salt_is_another_key),
		cmocka_unit_test(short_secret_is_refused),
	};

	return cmocka_run_group_tests(tests, world, world_end);
}
