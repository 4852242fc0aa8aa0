/* SPDX-License-Identifier: MIT */
/*
 * The cryptography of SMB 3.1.1 on OpenSSL: the pre-authentication hash, keys
 * derived from a session key, signatures and sealed frames.  Sections are those
 * of MS-SMB2.  No locks; one struct smb_keys may be used by several threads at a
 * time: its nonce counter and the contexts it keeps are atomic.
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
#define SMB_KEPT    2u /* contexts of one key: more threads at a time make their own */

/* What is hashed of all negotiation messages so far (3.2.5.2). */
struct smb_preauth {
	uint8_t hash[SMB_PREAUTH];
};

/* hash = SHA-512(hash | bytes).  -ENOMEM. */
int smb_preauth_add(struct smb_preauth *preauth, const void *bytes, size_t len);

/* Contexts of OpenSSL that have a key already, which takes longer to set up than a short
 * message to sign; NULL: none. */
struct smb_kept {
	void *_Atomic context[SMB_KEPT];
};

/* Keys of one session, or the signing key of another channel of it (3.1.4.2).  Lives in
 * memory from netfs_secret_alloc(); smb_keys_done() before that is freed. */
struct smb_keys {
	uint16_t signing; /* enum smb_signing; not HMAC */
	uint16_t cipher; /* enum smb_cipher; SMB_CIPHER_NONE: no sealing */
	uint8_t sign[16];
	uint8_t seal[SMB_KEY_MAX]; /* to the server */
	uint8_t open[SMB_KEY_MAX]; /* from it */
	_Atomic uint64_t nonce; /* the next, for all channels; keys are new in each session */
	struct smb_kept cmacs, gmacs, seals, opens;
};

/* A message: its head, and the payload behind it in pieces. */
struct smb_text {
	const void *head;
	size_t head_len;
	const struct iovec *data; /* of which the first data_len bytes count */
	size_t data_len;
};

/* Nobody uses what keys were there before.  -EINVAL: a session key shorter than 16 bytes;
 * -ENOMEM. */
int smb_keys_derive(struct smb_keys *keys, const uint8_t *session_key, size_t len,
		    const struct smb_preauth *preauth);

/* to, which nobody uses now, becomes a copy of from, whose nonces nobody uses from now
 * on. */
void smb_keys_copy(struct smb_keys *to, const struct smb_keys *from);
/* Frees what the keys keep.  NULL is allowed. */
void smb_keys_done(struct smb_keys *keys);

/*
 * The signature of a message, whose signature field must be zero (3.1.4.1).  cancel: it
 * is a CANCEL; from_server: who signed it.  -ENOMEM.
 */
int smb_sign(struct smb_keys *keys, const struct smb_text *text, uint64_t message_id,
	     bool from_server, bool cancel, uint8_t signature[SMB_TAG]);
/* Are the two the same?  Takes the same time wherever they differ. */
bool smb_signature_equal(const uint8_t *a, const uint8_t *b);

/*
 * Seals text into out, which has room for SMB_TRANSFORM bytes and its own
 * (3.1.4.3).  -ENOMEM; -EOVERFLOW: the nonces of this session are used up.
 */
int smb_seal(struct smb_keys *keys, uint64_t session_id, const struct smb_text *text, uint8_t *out);
/* Opens a sealed frame of size bytes in place; the message begins at
 * SMB_TRANSFORM.  -EBADMSG: it is not what the server sealed. */
int smb_unseal(struct smb_keys *keys, uint64_t session_id, uint8_t *frame, size_t size);

/* A sealed frame that is opened as it comes in.  One thread at a time. */
struct smb_opening {
	struct smb_keys *keys; /* NULL: there is none */
	void *context;
};

/* Can the frames of these keys be opened in pieces?  CCM cannot. */
bool smb_opens_in_pieces(const struct smb_keys *keys);
/* header: the first SMB_TRANSFORM bytes of a frame of size bytes, of keys that can.  Any
 * failure is -EBADMSG. */
int smb_open_begin(struct smb_opening *opening, struct smb_keys *keys, uint64_t session_id,
		   const uint8_t *header, size_t size);
/* The next len bytes; what they say is not to be believed yet. */
int smb_open_more(struct smb_opening *opening, const void *in, void *out, size_t len);
/* All of it went in: did the server seal it? */
int smb_open_end(struct smb_opening *opening);
/* Nobody wants to know; nothing where there is none. */
void smb_open_drop(struct smb_opening *opening);

#endif
