/* SPDX-License-Identifier: MIT */
/*
 * Keys, and blocks of files under them.
 *
 *	secret, salt --HKDF-SHA256--> keys of XTS | key of short tails | check
 *
 * The tweak of a block is its number and the file's own value.  A last block
 * below 16 bytes is too short for XTS.  It goes through a permutation made from
 * a key stream block K, which AES makes of the same tweak:
 *
 *	0 <-> 0		so that a hole there reads as zeroes too
 *	K <-> K		because 0 took the place of K's image
 *	p <-> p ^ K	all others
 *
 * Two versions of such a tail, of the same length, therefore tell their
 * difference to one who has both.
 *
 * The keys live in memory of their own that no core dump has.  No locks:
 * everything is constant after netfs_crypt_new().
 */
#include <crypt/crypt.h>

#include <crypt/kdf.h>
#include <crypt/unit.h>
#include <env/secret.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

struct netfs_crypt {
	uint8_t unit_key[NETFS_UNIT_KEY_SIZE];
	uint8_t tail_key[32];
	uint8_t check[NETFS_CRYPT_CHECK_SIZE];
};

/* -------------------------------------------------------------- keys */

/* A key for that, into to. */
static int derive(struct netfs_kdf_from from, const char *what, uint8_t *to, size_t len)
{
	from.info = what;
	from.info_len = strlen(what);
	return netfs_kdf(&from, to, len);
}

static int derive_all(struct netfs_crypt *crypt, const struct netfs_kdf_from *from)
{
	int err = derive(*from, "unetfs 1 content", crypt->unit_key, sizeof(crypt->unit_key));

	if (!err)
		err = derive(*from, "unetfs 1 tail", crypt->tail_key, sizeof(crypt->tail_key));
	if (!err)
		err = derive(*from, "unetfs 1 check", crypt->check, sizeof(crypt->check));
	return err;
}

int netfs_crypt_new(const uint8_t *secret, size_t len, const uint8_t *salt,
		    struct netfs_crypt **ret_crypt)
{
	struct netfs_crypt *crypt;
	int err;

	if (len < NETFS_CRYPT_SECRET_MIN)
		return -EINVAL;
	crypt = netfs_secret_alloc(sizeof(*crypt));
	if (!crypt)
		return -ENOMEM;
	err = derive_all(crypt, &(struct netfs_kdf_from){.secret = secret,
							 .secret_len = len,
							 .salt = salt,
							 .salt_len = NETFS_CRYPT_SALT_SIZE});
	if (err) {
		netfs_crypt_free(crypt);
		return err;
	}
	*ret_crypt = crypt;
	return 0;
}

void netfs_crypt_free(struct netfs_crypt *crypt)
{
	netfs_secret_free(crypt, sizeof(*crypt));
}

bool netfs_crypt_matches(const struct netfs_crypt *crypt, const uint8_t *check)
{
	return CRYPTO_memcmp(crypt->check, check, sizeof(crypt->check)) == 0;
}

void netfs_crypt_check(const struct netfs_crypt *crypt, uint8_t *ret_check)
{
	memcpy(ret_check, crypt->check, sizeof(crypt->check));
}

/* ------------------------------------------------------------ blocks */

static void put64(uint8_t *to, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static void make_tweak(uint8_t iv[16], uint64_t tweak, uint64_t pos)
{
	put64(iv, pos / NETFS_CRYPT_BLOCK);
	put64(iv + 8, tweak);
}

static bool all_zero(const uint8_t *data, size_t len)
{
	return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* The permutation is its own inverse. */
static int short_tail(const struct netfs_crypt *crypt, const uint8_t iv[16], const uint8_t *in,
		      uint8_t *out, size_t len)
{
	uint8_t stream[16];
	int err;

	if (all_zero(in, len)) {
		memset(out, 0, len);
		return 0;
	}
	err = netfs_unit_ecb(crypt->tail_key, iv, stream);
	if (!err && memcmp(in, stream, len) == 0)
		memmove(out, in, len);
	else if (!err)
		for (size_t i = 0; i < len; i++)
			out[i] = in[i] ^ stream[i];
	OPENSSL_cleanse(stream, sizeof(stream));
	return err;
}

/* One way or the other over all blocks. */
struct run {
	const struct netfs_crypt *crypt;
	uint64_t tweak;
	bool encrypt;
};

static int run(const struct run *run, uint64_t start, const uint8_t *in, uint8_t *out, size_t len)
{
	struct netfs_unit *unit;
	int err = netfs_unit_new(run->crypt->unit_key, run->encrypt, &unit);

	if (err)
		return err;
	for (size_t at = 0; at < len && !err; at += NETFS_CRYPT_BLOCK) {
		size_t n = len - at < NETFS_CRYPT_BLOCK ? len - at : NETFS_CRYPT_BLOCK;
		uint8_t iv[16];

		make_tweak(iv, run->tweak, start + at);
		if (n < NETFS_UNIT_MIN)
			err = short_tail(run->crypt, iv, in + at, out + at, n);
		else if (!run->encrypt && all_zero(in + at, n))
			memset(out + at, 0, n);
		else
			err = netfs_unit_run(unit, iv, in + at, out + at, n);
	}
	netfs_unit_free(unit);
	return err;
}

int netfs_crypt_encrypt(const struct netfs_crypt *crypt, uint64_t tweak, uint64_t start,
			const uint8_t *in, uint8_t *out, size_t len)
{
	return run(&(struct run){crypt, tweak, true}, start, in, out, len);
}

int netfs_crypt_decrypt(const struct netfs_crypt *crypt, uint64_t tweak, uint64_t start,
			const uint8_t *in, uint8_t *out, size_t len)
{
	return run(&(struct run){crypt, tweak, false}, start, in, out, len);
}
