/* SPDX-License-Identifier: MIT */
/*
 * See server_smb_crypt.h.  Whatever OpenSSL refuses here is a mistake of the tests, and
 * ends them.
 */
#include "server_smb_crypt.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

enum {
	CMAC = 1, /* 2.2.3.1.7 */
	AES_128_CCM = 1, /* 2.2.3.1.2 */
	AES_256_CCM = 3,
	AES_256_GCM = 4,
	AT_COMMAND = 12, /* 2.2.1.2 */
	AT_FLAGS = 16,
	AT_MESSAGE_ID = 24,
	AT_SIGNATURE = 48,
	FLAG_SIGNED = 8,
	CANCEL = 12,
	AT_TAG = 4, /* 2.2.41 */
	AT_NONCE = 20,
	AT_SIZE = 36,
	AT_ALGORITHM = 42,
	AT_SESSION = 44,
};

static void need(int good)
{
	if (good != 1)
		abort();
}

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get(const uint8_t *from, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = bytes; i-- > 0;)
		value = value << 8 | from[i];
	return value;
}

void crypt_smb_hash(uint8_t hash[CRYPT_SMB_HASH], const void *bytes, size_t len)
{
	uint8_t *all = malloc(CRYPT_SMB_HASH + len);

	if (!all)
		abort();
	memcpy(all, hash, CRYPT_SMB_HASH);
	memcpy(all + CRYPT_SMB_HASH, bytes, len);
	need(EVP_Digest(all, CRYPT_SMB_HASH + len, hash, NULL, EVP_sha512(), NULL));
	free(all);
}

/* One round of SP800-108 is enough for 32 bytes: 1, label, 0, context, bits. */
static void derive(const uint8_t *key, size_t key_len, const char *label, const uint8_t *hash,
		   uint8_t *out, size_t out_len)
{
	uint8_t text[4 + 32 + 1 + CRYPT_SMB_HASH + 4] = {0, 0, 0, 1}, mac[32];
	size_t at = 4, label_len = strlen(label) + 1;

	memcpy(text + at, label, label_len);
	at += label_len;
	text[at++] = 0;
	memcpy(text + at, hash, CRYPT_SMB_HASH);
	at += CRYPT_SMB_HASH;
	text[at++] = 0;
	text[at++] = 0;
	text[at++] = (uint8_t)(out_len * 8 >> 8);
	text[at++] = (uint8_t)(out_len * 8);
	if (!HMAC(EVP_sha256(), key, (int)key_len, text, at, mac, NULL))
		abort();
	memcpy(out, mac, out_len);
}

static size_t key_size(const struct crypt_smb *crypt)
{
	return crypt->cipher == AES_256_CCM || crypt->cipher == AES_256_GCM ? 32 : 16;
}

void crypt_smb_keys(struct crypt_smb *crypt, const uint8_t *key, const uint8_t *hash)
{
	size_t size = key_size(crypt);

	derive(key, 16, "SMBSigningKey", hash, crypt->sign, 16);
	derive(key, size, "SMBC2SCipherKey", hash, crypt->to_server, size);
	derive(key, size, "SMBS2CCipherKey", hash, crypt->to_client, size);
	crypt->nonce = crypt->seen = 0;
}

/* ---------------------------------------------------------------- sign */

static void aes(EVP_CIPHER_CTX *ctx, uint8_t block[16])
{
	int n;

	need(EVP_EncryptUpdate(ctx, block, &n, block, 16));
}

/* Shifted left by a bit, in the field of RFC 4493, 2.3. */
static void twice(uint8_t block[16])
{
	uint8_t carry = block[0] >> 7;

	for (unsigned i = 0; i < 15; i++)
		block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
	block[15] = (uint8_t)(block[15] << 1 ^ (carry ? 0x87 : 0));
}

static void cmac(const uint8_t *key, const uint8_t *bytes, size_t len, uint8_t mac[16])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t last = len ? (len - 1) / 16 * 16 : 0;
	uint8_t subkey[16] = {0}, end[16] = {0};

	need(EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), NULL, key, NULL));
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	aes(ctx, subkey);
	twice(subkey);
	memcpy(end, bytes + last, len - last);
	if (len - last < 16) {
		end[len - last] = 0x80;
		twice(subkey);
	}
	memset(mac, 0, 16);
	for (size_t at = 0; at < last; at += 16) {
		for (unsigned i = 0; i < 16; i++)
			mac[i] ^= bytes[at + i];
		aes(ctx, mac);
	}
	for (unsigned i = 0; i < 16; i++)
		mac[i] ^= end[i] ^ subkey[i];
	aes(ctx, mac);
	EVP_CIPHER_CTX_free(ctx);
}

static void gmac(const uint8_t *key, const uint8_t nonce[12], const uint8_t *bytes, size_t len,
		 uint8_t mac[16])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t none[16];
	int n;

	need(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce));
	need(EVP_EncryptUpdate(ctx, NULL, &n, bytes, (int)len));
	need(EVP_EncryptFinal_ex(ctx, none, &n));
	need(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, mac));
	EVP_CIPHER_CTX_free(ctx);
}

/* 3.1.4.1, of a message whose signature is zero. */
static void signature_of(const struct crypt_smb *crypt, const uint8_t *message, size_t len,
			 bool from_server, uint8_t mac[16])
{
	bool cancel = get(message + AT_COMMAND, 2) == CANCEL;
	uint8_t nonce[12] = {0};

	if (crypt->signing == CMAC) {
		cmac(crypt->sign, message, len, mac);
		return;
	}
	memcpy(nonce, message + AT_MESSAGE_ID, 8);
	nonce[8] = (uint8_t)(from_server + 2 * cancel);
	gmac(crypt->sign, nonce, message, len, mac);
}

void crypt_smb_sign(const struct crypt_smb *crypt, uint8_t *message, size_t len, bool from_server)
{
	uint8_t mac[16];

	message[AT_FLAGS] |= FLAG_SIGNED;
	memset(message + AT_SIGNATURE, 0, 16);
	signature_of(crypt, message, len, from_server, mac);
	memcpy(message + AT_SIGNATURE, mac, 16);
}

bool crypt_smb_verify(const struct crypt_smb *crypt, const uint8_t *message, size_t len,
		      bool from_server)
{
	uint8_t *copy = malloc(len), mac[16];

	if (!copy)
		abort();
	memcpy(copy, message, len);
	memset(copy + AT_SIGNATURE, 0, 16);
	signature_of(crypt, copy, len, from_server, mac);
	free(copy);
	return message[AT_FLAGS] & FLAG_SIGNED && !memcmp(mac, message + AT_SIGNATURE, 16);
}

/* ---------------------------------------------------------------- seal */

static bool is_ccm(const struct crypt_smb *crypt)
{
	return crypt->cipher == AES_128_CCM || crypt->cipher == AES_256_CCM;
}

static const EVP_CIPHER *cipher_of(const struct crypt_smb *crypt)
{
	if (is_ccm(crypt))
		return key_size(crypt) == 32 ? EVP_aes_256_ccm() : EVP_aes_128_ccm();
	return key_size(crypt) == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
}

/* With the header's nonce, and the rest of it from there on as what is also vouched
 * for (3.1.4.3). */
static bool work(const struct crypt_smb *crypt, const uint8_t *key, uint8_t *frame, size_t len,
		 bool seal)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *body = frame + CRYPT_SMB_HEAD, rest[16];
	int n;
	bool good;

	need(EVP_CipherInit_ex(ctx, cipher_of(crypt), NULL, NULL, NULL, seal));
	need(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, is_ccm(crypt) ? 11 : 12, NULL));
	if (!seal || is_ccm(crypt))
		need(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16,
					 seal ? NULL : frame + AT_TAG));
	need(EVP_CipherInit_ex(ctx, NULL, NULL, key, frame + AT_NONCE, seal));
	if (is_ccm(crypt))
		need(EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)len));
	need(EVP_CipherUpdate(ctx, NULL, &n, frame + AT_NONCE, CRYPT_SMB_HEAD - AT_NONCE));
	good = EVP_CipherUpdate(ctx, body, &n, body, (int)len) == 1;
	if (good && !(is_ccm(crypt) && !seal))
		good = EVP_CipherFinal_ex(ctx, rest, &n) == 1;
	if (good && seal)
		need(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, frame + AT_TAG));
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

void crypt_smb_seal(struct crypt_smb *crypt, uint64_t session_id, const uint8_t *bytes, size_t len,
		    uint8_t *out, bool from_server)
{
	memset(out, 0, CRYPT_SMB_HEAD);
	memcpy(out, "\xfdSMB", 4);
	put(out + AT_NONCE, ++crypt->nonce, 8);
	put(out + AT_SIZE, len, 4);
	put(out + AT_ALGORITHM, 1, 2);
	put(out + AT_SESSION, session_id, 8);
	memcpy(out + CRYPT_SMB_HEAD, bytes, len);
	if (!work(crypt, from_server ? crypt->to_client : crypt->to_server, out, len, true))
		abort();
}

bool crypt_smb_open(struct crypt_smb *crypt, uint64_t session_id, uint8_t *frame, size_t len,
		    bool from_server)
{
	uint64_t nonce;

	if (len <= CRYPT_SMB_HEAD || get(frame + AT_SIZE, 4) != len - CRYPT_SMB_HEAD ||
	    get(frame + AT_ALGORITHM, 2) != 1 || get(frame + AT_SESSION, 8) != session_id)
		return false;
	nonce = get(frame + AT_NONCE, 8);
	if (nonce <= crypt->seen || get(frame + AT_NONCE + 8, 8) != 0)
		return false;
	crypt->seen = nonce;
	return work(crypt, from_server ? crypt->to_client : crypt->to_server, frame,
		    len - CRYPT_SMB_HEAD, false);
}
