/* SPDX-License-Identifier: MIT */
/*
 * Encryption of file content: pure functions over memory and a key.
 *
 * A file is cut into blocks of 4 KiB; each is encrypted for itself with
 * AES-256-XTS, so a block can be read and written alone, and nothing is longer
 * than before.  The last block is as long as the file has bytes for it, and its
 * bytes depend on that length.
 *
 *	length of a block	how
 *	16 .. 4096		XTS, ciphertext stealing where 16 is no divisor
 *	1 .. 15			a permutation that keeps zeroes zero (crypt.c)
 *
 * A block of zeroes at the server is a hole and means zeroes.  What is
 * encrypted never comes out as zeroes, unless it was shorter than 16 bytes and
 * zero itself.
 *
 * Nothing here keeps anybody from changing or moving ciphertext: there is no
 * room for a checksum.
 */
#ifndef CRYPT_CRYPT_H
#define CRYPT_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <crypt/key.h>

#define NETFS_CRYPT_BLOCK      UINT64_C(4096)
#define NETFS_CRYPT_SALT_SIZE  32
#define NETFS_CRYPT_CHECK_SIZE 32

/* Keys made from one secret and the salt of one share.  Immutable, so any
 * thread may use it. */
struct netfs_crypt;

/* -EINVAL: the secret is too short; -ENOMEM; -EIO: the library refuses. */
int netfs_crypt_new(const uint8_t *secret, size_t len, const uint8_t *salt,
		    struct netfs_crypt **ret_crypt);
/* Overwrites the keys.  NULL is allowed. */
void netfs_crypt_free(struct netfs_crypt *crypt);
/* Is check what this key gives?  Takes the same time whatever is wrong. */
bool netfs_crypt_matches(const struct netfs_crypt *crypt, const uint8_t *check);
void netfs_crypt_check(const struct netfs_crypt *crypt, uint8_t *ret_check);

/*
 * [start, start + len) of the file with that tweak, from in to out, which may be
 * the same.  start is a multiple of the block; where the end is none it is the
 * end of the file.  -ENOMEM, -EIO.
 */
int netfs_crypt_encrypt(const struct netfs_crypt *crypt, uint64_t tweak, uint64_t start,
			const uint8_t *in, uint8_t *out, size_t len);
int netfs_crypt_decrypt(const struct netfs_crypt *crypt, uint64_t tweak, uint64_t start,
			const uint8_t *in, uint8_t *out, size_t len);

static inline uint64_t netfs_crypt_down(uint64_t pos)
{
	return pos & ~(NETFS_CRYPT_BLOCK - 1);
}

/* No file reaches so far that this could overflow, except for "the end". */
static inline uint64_t netfs_crypt_up(uint64_t pos)
{
	return pos > UINT64_MAX - NETFS_CRYPT_BLOCK ? UINT64_MAX
						    : netfs_crypt_down(pos + NETFS_CRYPT_BLOCK - 1);
}

#endif
