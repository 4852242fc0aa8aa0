/* SPDX-License-Identifier: MIT */
/*
 * The cryptography of SMB 3.1.1 on OpenSSL: the pre-authentication hash, keys
 * derived from a session key, signatures and sealed frames.  Sections are those
 * of MS-SMB2.  No locks; one struct smb_keys may be used by several threads at a
 * time, apart from the nonce counter, which is atomic.
 */
#ifndef SMB_CRYPT_H
#define SMB_CRYPT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define SMB_PREAUTH 64u /* bytes of a SHA-512 */
#define SMB_KEY_MAX 32u
#define SMB_TAG	    16u

/* What is hashed of all negotiation messages so far (3.2.5.2). */
struct smb_preauth {
	uint8_t hash[SMB_PREAUTH];
};

/* hash = SHA-512(hash | bytes).  -ENOMEM. */
int smb_preauth_add(struct smb_preauth *preauth, const void *bytes, size_t len);

/* Keys of one session, or the signing key of another channel of it (3.1.4.2).  Lives in
 * memory from netfs_secret_alloc(). */
struct smb_keys {
	uint16_t signing; /* enum smb_signing; not HMAC */
	uint16_t cipher; /* enum smb_cipher; SMB_CIPHER_NONE: no sealing */
	uint8_t sign[16];
	uint8_t seal[SMB_KEY_MAX]; /* to the server */
	uint8_t open[SMB_KEY_MAX]; /* from it */
	_Atomic uint64_t nonce; /* the next, for all channels; keys are new in each session */
};

/* -EINVAL: a session key shorter than 16 bytes; -ENOMEM. */
int smb_keys_derive(struct smb_keys *keys, const uint8_t *session_key, size_t len,
		    const struct smb_preauth *preauth);

/* to becomes a copy of from, whose nonces nobody uses from now on. */
void smb_keys_copy(struct smb_keys *to, const struct smb_keys *from);

/*
 * The signature of a message in pieces, whose signature field must be zero
 * (3.1.4.1).  cancel: it is a CANCEL; from_server: who signed it.  -ENOMEM.
 */
int smb_sign(const struct smb_keys *keys, const struct iovec *iov, unsigned niov,
	     uint64_t message_id, bool from_server, bool cancel, uint8_t signature[SMB_TAG]);
/* Are the two the same?  Takes the same time wherever they differ. */
bool smb_signature_equal(const uint8_t *a, const uint8_t *b);

/*
 * Seals the pieces into out, which has room for SMB_TRANSFORM bytes and theirs
 * together (3.1.4.3).  -ENOMEM; -EOVERFLOW: the nonces of this session are used up.
 */
int smb_seal(struct smb_keys *keys, uint64_t session_id, const struct iovec *iov, unsigned niov,
	     uint8_t *out);
/* Opens a sealed frame of size bytes in place; the message begins at
 * SMB_TRANSFORM.  -EBADMSG: it is not what the server sealed. */
int smb_unseal(const struct smb_keys *keys, uint64_t session_id, uint8_t *frame, size_t size);

#endif
