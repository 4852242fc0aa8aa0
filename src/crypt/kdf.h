/* SPDX-License-Identifier: MIT */
/* Keys out of secrets. */
#ifndef CRYPT_KDF_H
#define CRYPT_KDF_H

#include <stddef.h>
#include <stdint.h>

/* What a key is made of; only read.  salt_len 0: none. */
struct netfs_kdf_from {
	const void *secret;
	size_t secret_len;
	const void *salt;
	size_t salt_len;
	const void *info; /* what the key is for */
	size_t info_len;
};

/* len bytes by HKDF-SHA256, at most 8160.  -ENOMEM; -EIO: the library refuses. */
int netfs_kdf(const struct netfs_kdf_from *from, uint8_t *out, size_t len);

#endif
