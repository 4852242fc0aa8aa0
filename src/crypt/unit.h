/* SPDX-License-Identifier: MIT */
/* The two ciphers underneath, one data unit at a time. */
#ifndef CRYPT_UNIT_H
#define CRYPT_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETFS_UNIT_KEY_SIZE 64 /* two keys of AES-256 */
#define NETFS_UNIT_MIN	    16

/* AES-256-XTS with a key set up once for many units. */
struct netfs_unit;

/* -ENOMEM, -EIO. */
int netfs_unit_new(const uint8_t *key, bool encrypt, struct netfs_unit **ret_unit);
void netfs_unit_free(struct netfs_unit *unit);
/* len at least 16; in may be out.  -EIO. */
int netfs_unit_run(struct netfs_unit *unit, const uint8_t iv[16], const uint8_t *in, uint8_t *out,
		   size_t len);
/* One block of AES-256. */
int netfs_unit_ecb(const uint8_t key[32], const uint8_t in[16], uint8_t out[16]);

#endif
