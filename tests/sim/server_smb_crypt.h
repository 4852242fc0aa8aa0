/* SPDX-License-Identifier: MIT */
/*
 * What the simulated SMB server knows of cryptography: written after MS-SMB2 3.1.4 and
 * RFC 4493 again, and not with the code of the back end, whose counterpart it is.
 * Only AES, SHA and GCM themselves are OpenSSL's on both sides.
 */
#ifndef TESTS_SIM_SERVER_SMB_CRYPT_H
#define TESTS_SIM_SERVER_SMB_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPT_SMB_HASH 64u
#define CRYPT_SMB_TAG  16u
#define CRYPT_SMB_HEAD 52u /* of a sealed frame */

/* Of one session; both directions. */
struct crypt_smb {
	uint16_t signing; /* enum smb_signing: CMAC or GMAC */
	uint16_t cipher; /* enum smb_cipher */
	uint8_t sign[16];
	uint8_t to_server[32];
	uint8_t to_client[32];
	uint64_t nonce; /* the last one that was used */
	uint64_t seen; /* the last one that came */
};

/* hash = SHA-512(hash | bytes), 3.2.5.2. */
void crypt_smb_hash(uint8_t hash[CRYPT_SMB_HASH], const void *bytes, size_t len);
/* key has 32 bytes, of which shorter ciphers take the first 16. */
void crypt_smb_keys(struct crypt_smb *crypt, const uint8_t *key, const uint8_t *hash);

/* One message, with what pads it: its flag and signature.  Not a CANCEL. */
void crypt_smb_sign(const struct crypt_smb *crypt, uint8_t *message, size_t len, bool from_server);
/* Is it signed, and by whom? */
bool crypt_smb_verify(const struct crypt_smb *crypt, const uint8_t *message, size_t len,
		      bool from_server);

/* Into out, CRYPT_SMB_HEAD bytes longer. */
void crypt_smb_seal(struct crypt_smb *crypt, uint64_t session_id, const uint8_t *bytes, size_t len,
		    uint8_t *out, bool from_server);
/* In place; what was sealed begins at CRYPT_SMB_HEAD.  False: it is not genuine, or
 * its nonce is not a later one. */
bool crypt_smb_open(struct crypt_smb *crypt, uint64_t session_id, uint8_t *frame, size_t len,
		    bool from_server);

#endif
