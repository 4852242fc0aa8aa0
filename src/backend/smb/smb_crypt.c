// SPDX-License-Identifier: MIT
/*
 * Sign and seal.  Everything goes through OpenSSL's EVP piece by piece, so that a
 * payload is not copied before it is signed, and only once to be sealed.
 *
 * Locks: none.
 */
#include <errno.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include "smb_context.h"
#include "smb_crypt.h"

#define GCM_NONCE 12u
#define CCM_NONCE 11u
#define SEAL_AAD  32u /* of the transform header, from the nonce on */
/* Far below where a repetition could matter; a session ends earlier. */
#define NONCES_MAX (UINT64_C(1) << 62)

int smb_preauth_add(struct smb_preauth *preauth, const void *bytes, size_t len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int err = -ENOMEM;

	if (context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1 &&
	    EVP_DigestUpdate(context, preauth->hash, SMB_PREAUTH) == 1 &&
	    EVP_DigestUpdate(context, bytes, len) == 1 &&
	    EVP_DigestFinal_ex(context, preauth->hash, NULL) == 1)
		err = 0;
	EVP_MD_CTX_free(context);
	return err;
}

/* -------------------------------------------------------------- keys */

struct bytes {
	const void *p;
	size_t len;
};

/* SP800-108 in counter mode with HMAC-SHA256. */
static int derive(const struct bytes *key, const struct bytes *label, const struct bytes *context,
		  uint8_t *out, size_t out_len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, (char *)"HMAC", 0),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, (char *)"COUNTER", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key->p,
						  key->len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)label->p,
						  label->len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
						  (void *)(uintptr_t)context->p, context->len),
		OSSL_PARAM_construct_end(),
	};
	int err = ctx && EVP_KDF_derive(ctx, out, out_len, params) == 1 ? 0 : -ENOMEM;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return err;
}

static bool is_ccm(uint16_t cipher)
{
	return cipher == SMB_AES_128_CCM || cipher == SMB_AES_256_CCM;
}

static size_t key_len(uint16_t cipher)
{
	return cipher == SMB_AES_256_CCM || cipher == SMB_AES_256_GCM ? 32 : 16;
}

#define LABEL(text) (&(const struct bytes){text, sizeof(text)})

int smb_keys_derive(struct smb_keys *keys, const uint8_t *session_key, size_t len,
		    const struct smb_preauth *preauth)
{
	struct bytes context = {preauth->hash, SMB_PREAUTH};
	struct bytes first = {session_key, 16}, all = {session_key, len};
	const struct bytes *seal_from = key_len(keys->cipher) == 32 ? &all : &first;
	int err;

	if (len < 16)
		return -EINVAL;
	err = derive(&first, LABEL("SMBSigningKey"), &context, keys->sign, sizeof(keys->sign));
	if (!err)
		err = derive(seal_from, LABEL("SMBC2SCipherKey"), &context, keys->seal,
			     key_len(keys->cipher));
	if (!err)
		err = derive(seal_from, LABEL("SMBS2CCipherKey"), &context, keys->open,
			     key_len(keys->cipher));
	atomic_store(&keys->nonce, 1);
	return err;
}

void smb_keys_copy(struct smb_keys *to, const struct smb_keys *from)
{
	to->signing = from->signing;
	to->cipher = from->cipher;
	memcpy(to->sign, from->sign, sizeof(to->sign));
	memcpy(to->seal, from->seal, sizeof(to->seal));
	memcpy(to->open, from->open, sizeof(to->open));
	atomic_store(&to->nonce, atomic_load(&from->nonce));
}

/* -------------------------------------------------------------- sign */

static int cmac(const struct smb_keys *keys, const struct iovec *iov, unsigned niov,
		uint8_t signature[SMB_TAG])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char *)"AES-128-CBC", 0),
		OSSL_PARAM_construct_end(),
	};
	size_t len = 0;
	bool good = ctx && EVP_MAC_init(ctx, keys->sign, sizeof(keys->sign), params) == 1;

	for (unsigned i = 0; good && i < niov; i++)
		good = EVP_MAC_update(ctx, iov[i].iov_base, iov[i].iov_len) == 1;
	good = good && EVP_MAC_final(ctx, signature, &len, SMB_TAG) == 1 && len == SMB_TAG;
	EVP_MAC_CTX_free(ctx);
	EVP_MAC_free(mac);
	return good ? 0 : -ENOMEM;
}

static void put_u64(uint8_t *to, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static int gmac(const struct smb_keys *keys, const struct iovec *iov, unsigned niov,
		const uint8_t nonce[GCM_NONCE], uint8_t signature[SMB_TAG])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t none[SMB_TAG];
	int n;
	bool good = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, keys->sign, nonce) == 1;

	for (unsigned i = 0; good && i < niov; i++)
		good = EVP_EncryptUpdate(ctx, NULL, &n, iov[i].iov_base, (int)iov[i].iov_len) == 1;
	good = good && EVP_EncryptFinal_ex(ctx, none, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, SMB_TAG, signature) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good ? 0 : -ENOMEM;
}

int smb_sign(const struct smb_keys *keys, const struct iovec *iov, unsigned niov,
	     uint64_t message_id, bool from_server, bool cancel, uint8_t signature[SMB_TAG])
{
	uint8_t nonce[GCM_NONCE] = {0};

	if (keys->signing != SMB_AES_GMAC)
		return cmac(keys, iov, niov, signature);
	put_u64(nonce, message_id);
	nonce[8] = (uint8_t)((from_server ? 1 : 0) | (cancel ? 2 : 0));
	return gmac(keys, iov, niov, nonce, signature);
}

bool smb_signature_equal(const uint8_t *a, const uint8_t *b)
{
	return CRYPTO_memcmp(a, b, SMB_TAG) == 0;
}

/* -------------------------------------------------------------- seal */

static const EVP_CIPHER *cipher_of(uint16_t cipher)
{
	switch (cipher) {
	case SMB_AES_128_CCM:
		return EVP_aes_128_ccm();
	case SMB_AES_256_CCM:
		return EVP_aes_256_ccm();
	case SMB_AES_256_GCM:
		return EVP_aes_256_gcm();
	default:
		return EVP_aes_128_gcm();
	}
}

/* Ready for the first byte: key, nonce and header are in.  CCM wants the tag's
 * length (and the tag itself to open) and the length of all in advance. */
static bool begin(EVP_CIPHER_CTX *ctx, const struct smb_keys *keys, bool seal, uint8_t *header,
		  size_t size)
{
	const uint8_t *nonce = header + 20;
	unsigned nonce_len = is_ccm(keys->cipher) ? CCM_NONCE : GCM_NONCE;
	const uint8_t *key = seal ? keys->seal : keys->open;
	int n;

	if (EVP_CipherInit_ex(ctx, cipher_of(keys->cipher), NULL, NULL, NULL, seal) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)nonce_len, NULL) != 1)
		return false;
	if (!seal || is_ccm(keys->cipher)) {
		void *tag = seal ? NULL : header + 4;

		if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SMB_TAG, tag) != 1)
			return false;
	}
	if (EVP_CipherInit_ex(ctx, NULL, NULL, key, nonce, seal) != 1)
		return false;
	if (is_ccm(keys->cipher) && EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)size) != 1)
		return false;
	return EVP_CipherUpdate(ctx, NULL, &n, header + 20, SEAL_AAD) == 1;
}

/* CCM takes a message in one piece only. */
static bool seal_ccm(EVP_CIPHER_CTX *ctx, const struct iovec *iov, unsigned niov, uint8_t *out)
{
	size_t size = 0;
	int n;

	for (unsigned i = 0; i < niov; i++) {
		memcpy(out + size, iov[i].iov_base, iov[i].iov_len);
		size += iov[i].iov_len;
	}
	return EVP_EncryptUpdate(ctx, out, &n, out, (int)size) == 1;
}

static bool seal_pieces(EVP_CIPHER_CTX *ctx, const struct iovec *iov, unsigned niov, uint8_t *out)
{
	int n;

	for (unsigned i = 0; i < niov; i++) {
		if (EVP_EncryptUpdate(ctx, out, &n, iov[i].iov_base, (int)iov[i].iov_len) != 1)
			return false;
		out += n;
	}
	return true;
}

int smb_seal(struct smb_keys *keys, uint64_t session_id, const struct iovec *iov, unsigned niov,
	     uint8_t *out)
{
	struct smb_transform transform = {.session_id = session_id};
	uint64_t nonce = atomic_fetch_add(&keys->nonce, 1);
	EVP_CIPHER_CTX *ctx;
	uint8_t rest[SMB_TAG];
	bool good;
	int n;

	if (nonce >= NONCES_MAX)
		return -EOVERFLOW;
	for (unsigned i = 0; i < niov; i++)
		transform.size += iov[i].iov_len;
	put_u64(transform.nonce, nonce);
	smb_transform_encode(&transform, out);
	ctx = EVP_CIPHER_CTX_new();
	good = ctx && begin(ctx, keys, true, out, transform.size);
	if (good && is_ccm(keys->cipher))
		good = seal_ccm(ctx, iov, niov, out + SMB_TRANSFORM);
	else if (good)
		good = seal_pieces(ctx, iov, niov, out + SMB_TRANSFORM);
	good = good && EVP_EncryptFinal_ex(ctx, rest, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SMB_TAG, out + 4) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good ? 0 : -ENOMEM;
}

int smb_unseal(const struct smb_keys *keys, uint64_t session_id, uint8_t *frame, size_t size)
{
	struct smb_transform transform;
	uint8_t rest[SMB_TAG], *body = frame + SMB_TRANSFORM;
	EVP_CIPHER_CTX *ctx;
	bool good;
	int n;

	if (keys->cipher == SMB_CIPHER_NONE ||
	    smb_transform_decode(frame, size, size, &transform) ||
	    transform.session_id != session_id)
		return -EBADMSG;
	ctx = EVP_CIPHER_CTX_new();
	good = ctx && begin(ctx, keys, false, frame, transform.size) &&
	       EVP_DecryptUpdate(ctx, body, &n, body, (int)transform.size) == 1;
	if (good && !is_ccm(keys->cipher))
		good = EVP_DecryptFinal_ex(ctx, rest, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good ? 0 : -EBADMSG;
}
