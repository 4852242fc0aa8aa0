/* SPDX-License-Identifier: MIT */
/*
 * What a test of the engine needs to know of encrypted files: a key, data that
 * can be recognized, and what a server must have for a given file.
 */
#ifndef TESTS_CRYPT_SCRIPT_H
#define TESTS_CRYPT_SCRIPT_H

#include <stddef.h>
#include <stdint.h>
#include <crypt/crypt.h>
#include <cache_script.h>

struct netfs_crypt *crypt_script_key(void);
/* Plain text for [start, start + len) of a file. */
void crypt_script_fill(uint8_t *data, uint64_t start, size_t len);
/* Fails the test where data, on its way to the server, is such plain text. */
void crypt_script_no_plain(const uint8_t *data, uint64_t start, size_t len);
/* What a server has for a file of that content. */
void crypt_script_encrypt(const struct netfs_crypt *crypt, const uint8_t *plain, uint8_t *cipher,
			  uint64_t size);
/* Fails the test where the server's file is not the ciphertext of plain, block
 * by block, or a hole where plain has zeroes. */
void crypt_script_check(const struct netfs_crypt *crypt, const uint8_t *cipher,
			const uint8_t *plain, uint64_t size);
/* The cache must have the server's ciphertext, or holes of its own. */
void crypt_script_check_cache(const struct netfs_crypt *crypt, const struct cache_script *cache,
			      const uint8_t *cipher, uint64_t size);

#endif
