/* SPDX-License-Identifier: MIT */
/*
 * Goal: keys and sealed messages are those that others would make, and a message
 * that was changed anywhere is refused.
 * Method: vectors of RFC 5869 (test cases 1 and 3) and of the specification of
 * GCM (test case 16); every bit of a message is flipped in turn.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <crypt/aead.h>
#include <crypt/kdf.h>
#include <t.h>

static size_t unhex(const char *text, uint8_t *out)
{
	size_t n = 0;
	unsigned byte;

	for (; sscanf(text, "%2x", &byte) == 1; text += 2)
		out[n++] = (uint8_t)byte;
	return n;
}

static void published_keys_come_out(void **state)
{
	uint8_t secret[22], salt[13], info[10], want[42], key[42];
	struct netfs_kdf_from from = {.secret = secret, .secret_len = sizeof(secret)};

	memset(secret, 0x0b, sizeof(secret));
	unhex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c"
	      "8",
	      want);
	assert_int_equal(netfs_kdf(&from, key, sizeof(key)), 0);
	assert_memory_equal(key, want, sizeof(want));
	from.salt = salt;
	from.salt_len = unhex("000102030405060708090a0b0c", salt);
	from.info = info;
	from.info_len = unhex("f0f1f2f3f4f5f6f7f8f9", info);
	unhex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b88718586"
	      "5",
	      want);
	assert_int_equal(netfs_kdf(&from, key, sizeof(key)), 0);
	assert_memory_equal(key, want, sizeof(want));
}

/* Test case 16. */
static struct {
	uint8_t key[NETFS_AEAD_KEY], nonce[NETFS_AEAD_NONCE], tag[NETFS_AEAD_TAG];
	uint8_t beside[20], text[60], hidden[60];
} v;

static int setup(void **state)
{
	unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", v.key);
	unhex("cafebabefacedbaddecaf888", v.nonce);
	unhex("76fc6ece0f4e1768cddf8853bb2d551b", v.tag);
	unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", v.beside);
	unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	      v.text);
	unhex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	      v.hidden);
	return 0;
}

static int try_open(struct netfs_aead *aead, uint8_t out[60])
{
	assert_int_equal(netfs_aead_start(aead, v.nonce), 0);
	assert_int_equal(netfs_aead_beside(aead, v.beside, 7), 0);
	assert_int_equal(netfs_aead_beside(aead, v.beside + 7, 13), 0);
	return netfs_aead_open(aead, v.hidden, out, sizeof(v.hidden), v.tag);
}

static void published_message_comes_out_and_in(void **state)
{
	uint8_t out[60], tag[NETFS_AEAD_TAG];
	struct netfs_aead *aead;

	assert_int_equal(netfs_aead_new(v.key, NETFS_AEAD_SEAL, &aead), 0);
	/* Each time from the beginning, with a context that was used before. */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(netfs_aead_start(aead, v.nonce), 0);
		assert_int_equal(netfs_aead_beside(aead, v.beside, sizeof(v.beside)), 0);
		assert_int_equal(netfs_aead_seal(aead, v.text, out, sizeof(out), tag), 0);
		assert_memory_equal(out, v.hidden, sizeof(out));
		assert_memory_equal(tag, v.tag, sizeof(tag));
	}
	netfs_aead_free(aead);
	assert_int_equal(netfs_aead_new(v.key, NETFS_AEAD_OPEN, &aead), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(try_open(aead, out), 0);
		assert_memory_equal(out, v.text, sizeof(out));
	}
	netfs_aead_free(aead);
}

static void flip_each_bit(struct netfs_aead *aead, uint8_t *bytes, size_t len)
{
	uint8_t out[60];

	for (size_t i = 0; i < 8 * len; i++) {
		bytes[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_int_equal(try_open(aead, out), -EBADMSG);
		bytes[i / 8] ^= (uint8_t)(1U << i % 8);
	}
}

static void any_changed_bit_is_noticed(void **state)
{
	struct netfs_aead *aead;
	uint8_t out[60];

	assert_int_equal(netfs_aead_new(v.key, NETFS_AEAD_OPEN, &aead), 0);
	flip_each_bit(aead, v.hidden, sizeof(v.hidden));
	flip_each_bit(aead, v.beside, sizeof(v.beside));
	flip_each_bit(aead, v.nonce, sizeof(v.nonce));
	flip_each_bit(aead, v.tag, sizeof(v.tag));
	assert_int_equal(try_open(aead, out), 0);
	netfs_aead_free(aead);
	v.key[31] ^= 1;
	assert_int_equal(netfs_aead_new(v.key, NETFS_AEAD_OPEN, &aead), 0);
	assert_int_equal(try_open(aead, out), -EBADMSG);
	netfs_aead_free(aead);
}

/* What is only proved: nothing is hidden. */
static void message_of_nothing_proves_what_is_beside(void **state)
{
	struct netfs_aead *aead;
	uint8_t tag[NETFS_AEAD_TAG];

	assert_int_equal(netfs_aead_new(v.key, NETFS_AEAD_SEAL, &aead), 0);
	assert_int_equal(netfs_aead_start(aead, v.nonce), 0);
	assert_int_equal(netfs_aead_beside(aead, v.beside, sizeof(v.beside)), 0);
	assert_int_equal(netfs_aead_seal(aead, NULL, NULL, 0, tag), 0);
	netfs_aead_free(aead);
	assert_int_equal(netfs_aead_new(v.key, NETFS_AEAD_OPEN, &aead), 0);
	for (unsigned i = 0; i < 2; i++) {
		v.beside[3] ^= (uint8_t)i;
		assert_int_equal(netfs_aead_start(aead, v.nonce), 0);
		assert_int_equal(netfs_aead_beside(aead, v.beside, sizeof(v.beside)), 0);
		assert_int_equal(netfs_aead_open(aead, NULL, NULL, 0, tag), i ? -EBADMSG : 0);
	}
	netfs_aead_free(aead);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_keys_come_out),
		cmocka_unit_test_setup(published_message_comes_out_and_in, setup),
		cmocka_unit_test_setup(any_changed_bit_is_noticed, setup),
		cmocka_unit_test_setup(message_of_nothing_proves_what_is_beside, setup),
	};

	return t_run(tests, NULL, NULL);
}
