/* SPDX-License-Identifier: MIT */
/*
 * AES-256-GCM: bytes that are hidden, and beside them others that are not, both
 * proved by a tag.
 *
 * One message: start, other bytes in any number of pieces, then seal or open.
 * Under one key no nonce may come twice with different messages.  Random ones
 * are safe for some billions.
 */
#ifndef CRYPT_AEAD_H
#define CRYPT_AEAD_H

#include <stddef.h>
#include <stdint.h>

#define NETFS_AEAD_KEY	 32
#define NETFS_AEAD_NONCE 12
#define NETFS_AEAD_TAG	 16

/* A key that was set up for many messages.  One thread at a time. */
struct netfs_aead;

enum netfs_aead_way {
	NETFS_AEAD_OPEN,
	NETFS_AEAD_SEAL,
};

/* -ENOMEM, -EIO. */
int netfs_aead_new(const uint8_t key[NETFS_AEAD_KEY], enum netfs_aead_way way,
		   struct netfs_aead **ret_aead);
/* Overwrites the key.  NULL is allowed. */
void netfs_aead_free(struct netfs_aead *aead);
/* -EIO. */
int netfs_aead_start(struct netfs_aead *aead, const uint8_t nonce[NETFS_AEAD_NONCE]);
int netfs_aead_beside(struct netfs_aead *aead, const void *bytes, size_t len);
/* Ends the message.  in may be out, len 0 with both NULL.  -EIO; open: -EBADMSG
 * where something is not what was sealed, and then out is to be forgotten. */
int netfs_aead_seal(struct netfs_aead *aead, const void *in, void *out, size_t len,
		    uint8_t ret_tag[NETFS_AEAD_TAG]);
int netfs_aead_open(struct netfs_aead *aead, const void *in, void *out, size_t len,
		    const uint8_t tag[NETFS_AEAD_TAG]);

#endif
