// SPDX-License-Identifier: MIT
/*
 * Sign and seal.  Everything goes through OpenSSL's EVP piece by piece, so that a
 * payload is not copied before it is signed, and only once to be sealed.
 *
 * A context that has its key is kept for the next message: to find the cipher, make a
 * context and expand a key takes OpenSSL 3 about as long as 4 KiB to encrypt.  Whoever
 * needs one takes it out of its place, so nobody else has it.
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
/* Of the transform header, what is proved beside the message, from the nonce on. */
#define SEAL_AAD      32u
#define SEAL_NONCE_AT 20u
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

/* ---------------------------------------------------------- contexts */

/* NULL: none is kept. */
static void *take(struct smb_kept *kept)
{
	void *context = NULL;

	/* acquire: pairs with the release in give(). */
	for (unsigned i = 0; !context && i < SMB_KEPT; i++)
		context = atomic_exchange_explicit(&kept->context[i], NULL, memory_order_acquire);
	return context;
}

/* False: there is no place for it. */
static bool give(struct smb_kept *kept, void *context)
{
	for (unsigned i = 0; i < SMB_KEPT; i++) {
		void *none = NULL;

		if (atomic_compare_exchange_strong_explicit(&kept->context[i], &none, context,
							    memory_order_release,
							    memory_order_relaxed))
			return true;
	}
	return false;
}

static void give_cipher(struct smb_kept *kept, EVP_CIPHER_CTX *context)
{
	if (context && !give(kept, context))
		EVP_CIPHER_CTX_free(context);
}

/* The keys are others from now on. */
static void forget(struct smb_keys *keys)
{
	void *context;

	while ((context = take(&keys->cmacs)))
		EVP_MAC_CTX_free(context);
	while ((context = take(&keys->gmacs)))
		EVP_CIPHER_CTX_free(context);
	while ((context = take(&keys->seals)))
		EVP_CIPHER_CTX_free(context);
	while ((context = take(&keys->opens)))
		EVP_CIPHER_CTX_free(context);
}

void smb_keys_done(struct smb_keys *keys)
{
	if (keys)
		forget(keys);
}

/* -------------------------------------------------------------- keys */

#define LABEL(text) (&(const struct bytes){text, sizeof(text)})

int smb_keys_derive(struct smb_keys *keys, const uint8_t *session_key, size_t len,
		    const struct smb_preauth *preauth)
{
	struct bytes context = {preauth->hash, SMB_PREAUTH};
	struct bytes first = {session_key, 16}, all = {session_key, len};
	const struct bytes *seal_from = key_len(keys->cipher) == 32 ? &all : &first;
	int err;

	forget(keys);
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
	forget(to);
	to->signing = from->signing;
	to->cipher = from->cipher;
	memcpy(to->sign, from->sign, sizeof(to->sign));
	memcpy(to->seal, from->seal, sizeof(to->seal));
	memcpy(to->open, from->open, sizeof(to->open));
	atomic_store(&to->nonce, atomic_load(&from->nonce));
}

/* -------------------------------------------------------------- text */

/* What is done with each piece of a message; false: it failed. */
typedef bool piece_fn(void *to, const void *bytes, size_t len);

static bool each_piece(const struct smb_text *text, piece_fn *fn, void *to)
{
	bool good = fn(to, text->head, text->head_len);
	size_t left = text->data_len;

	for (const struct iovec *data = text->data; good && left > 0; data++) {
		size_t len = data->iov_len < left ? data->iov_len : left;

		good = fn(to, data->iov_base, len);
		left -= len;
	}
	return good;
}

/* -------------------------------------------------------------- sign */

static EVP_MAC_CTX *new_cmac(void)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char *)"AES-128-CBC", 0),
		OSSL_PARAM_construct_end(),
	};

	if (ctx && EVP_MAC_CTX_set_params(ctx, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_MAC_free(mac);
	return ctx;
}

static bool cmac_piece(void *to, const void *bytes, size_t len)
{
	return EVP_MAC_update(to, bytes, len) == 1;
}

static int cmac(struct smb_keys *keys, const struct smb_text *text, uint8_t signature[SMB_TAG])
{
	EVP_MAC_CTX *ctx = take(&keys->cmacs);
	size_t len = 0;
	bool good;

	if (!ctx)
		ctx = new_cmac();
	good = ctx && EVP_MAC_init(ctx, keys->sign, sizeof(keys->sign), NULL) == 1 &&
	       each_piece(text, cmac_piece, ctx) &&
	       EVP_MAC_final(ctx, signature, &len, SMB_TAG) == 1 && len == SMB_TAG;
	if (ctx && !give(&keys->cmacs, ctx))
		EVP_MAC_CTX_free(ctx);
	return good ? 0 : -ENOMEM;
}

static void put_u64(uint8_t *to, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static bool gmac_piece(void *to, const void *bytes, size_t len)
{
	int n;

	return EVP_EncryptUpdate(to, NULL, &n, bytes, (int)len) == 1;
}

static EVP_CIPHER_CTX *new_gmac(const struct smb_keys *keys)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, keys->sign, NULL) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

static int gmac(struct smb_keys *keys, const struct smb_text *text, const uint8_t nonce[GCM_NONCE],
		uint8_t signature[SMB_TAG])
{
	EVP_CIPHER_CTX *ctx = take(&keys->gmacs);
	uint8_t none[SMB_TAG];
	bool good;
	int n;

	if (!ctx)
		ctx = new_gmac(keys);
	good = ctx && EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) == 1 &&
	       each_piece(text, gmac_piece, ctx) && EVP_EncryptFinal_ex(ctx, none, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, SMB_TAG, signature) == 1;
	give_cipher(&keys->gmacs, ctx);
	return good ? 0 : -ENOMEM;
}

int smb_sign(struct smb_keys *keys, const struct smb_text *text, uint64_t message_id,
	     bool from_server, bool cancel, uint8_t signature[SMB_TAG])
{
	uint8_t nonce[GCM_NONCE] = {0};

	if (keys->signing != SMB_AES_GMAC)
		return cmac(keys, text, signature);
	put_u64(nonce, message_id);
	nonce[8] = (uint8_t)((from_server ? 1 : 0) | (cancel ? 2 : 0));
	return gmac(keys, text, nonce, signature);
}

bool smb_signature_equal(const uint8_t *a, const uint8_t *b)
{
	return CRYPTO_memcmp(a, b, SMB_TAG) == 0;
}

/* --------------------------------------------------------------- GCM */

static EVP_CIPHER_CTX *new_gcm(const struct smb_keys *keys, bool seal)
{
	const EVP_CIPHER *cipher =
		keys->cipher == SMB_AES_256_GCM ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx &&
	    EVP_CipherInit_ex(ctx, cipher, NULL, seal ? keys->seal : keys->open, NULL, seal) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

/* Ready for the first byte: key, nonce and header are in.  NULL: it failed. */
static EVP_CIPHER_CTX *gcm_begin(struct smb_keys *keys, bool seal, const uint8_t *header)
{
	struct smb_kept *kept = seal ? &keys->seals : &keys->opens;
	EVP_CIPHER_CTX *ctx = take(kept);
	int n;

	if (!ctx)
		ctx = new_gcm(keys, seal);
	if (ctx && EVP_CipherInit_ex(ctx, NULL, NULL, NULL, header + SEAL_NONCE_AT, -1) == 1 &&
	    EVP_CipherUpdate(ctx, NULL, &n, header + SEAL_NONCE_AT, SEAL_AAD) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/* Where the next piece goes. */
struct sealing {
	EVP_CIPHER_CTX *ctx;
	uint8_t *out;
};

static bool gcm_piece(void *to, const void *bytes, size_t len)
{
	struct sealing *sealing = to;
	int n;

	if (EVP_EncryptUpdate(sealing->ctx, sealing->out, &n, bytes, (int)len) != 1)
		return false;
	sealing->out += n;
	return true;
}

static bool seal_gcm(struct smb_keys *keys, const struct smb_text *text, uint8_t *frame)
{
	EVP_CIPHER_CTX *ctx = gcm_begin(keys, true, frame);
	struct sealing sealing = {ctx, frame + SMB_TRANSFORM};
	uint8_t rest[SMB_TAG];
	int n;
	bool good = ctx && each_piece(text, gcm_piece, &sealing) &&
		    EVP_EncryptFinal_ex(ctx, rest, &n) == 1 &&
		    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SMB_TAG, frame + 4) == 1;

	give_cipher(&keys->seals, ctx);
	return good;
}

/* --------------------------------------------------------------- CCM */

/* Ready for the only piece: CCM wants the tag's length (and the tag itself to open) and
 * the length of all in advance. */
static bool ccm_begin(EVP_CIPHER_CTX *ctx, const struct smb_keys *keys, bool seal, uint8_t *header,
		      size_t size)
{
	const EVP_CIPHER *cipher =
		keys->cipher == SMB_AES_256_CCM ? EVP_aes_256_ccm() : EVP_aes_128_ccm();
	const uint8_t *key = seal ? keys->seal : keys->open;
	void *tag = seal ? NULL : header + 4;
	int n;

	return EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, seal) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, CCM_NONCE, NULL) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SMB_TAG, tag) == 1 &&
	       EVP_CipherInit_ex(ctx, NULL, NULL, key, header + SEAL_NONCE_AT, seal) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)size) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &n, header + SEAL_NONCE_AT, SEAL_AAD) == 1;
}

static bool copy_piece(void *to, const void *bytes, size_t len)
{
	uint8_t **out = to;

	memcpy(*out, bytes, len);
	*out += len;
	return true;
}

static bool seal_ccm(struct smb_keys *keys, const struct smb_text *text, uint8_t *frame)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t size = text->head_len + text->data_len;
	uint8_t *body = frame + SMB_TRANSFORM, *end = body, rest[SMB_TAG];
	bool good = ctx && ccm_begin(ctx, keys, true, frame, size);
	int n;

	each_piece(text, copy_piece, &end);
	good = good && EVP_EncryptUpdate(ctx, body, &n, body, (int)size) == 1 &&
	       EVP_EncryptFinal_ex(ctx, rest, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SMB_TAG, frame + 4) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

static bool open_ccm(struct smb_keys *keys, uint8_t *frame, size_t size)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *body = frame + SMB_TRANSFORM;
	int n;
	bool good = ctx && ccm_begin(ctx, keys, false, frame, size) &&
		    EVP_DecryptUpdate(ctx, body, &n, body, (int)size) == 1;

	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/* ------------------------------------------------------------- frames */

int smb_seal(struct smb_keys *keys, uint64_t session_id, const struct smb_text *text, uint8_t *out)
{
	struct smb_transform transform = {.session_id = session_id,
					  .size = (uint32_t)(text->head_len + text->data_len)};
	uint64_t nonce = atomic_fetch_add(&keys->nonce, 1);
	bool good;

	if (nonce >= NONCES_MAX)
		return -EOVERFLOW;
	put_u64(transform.nonce, nonce);
	smb_transform_encode(&transform, out);
	good = is_ccm(keys->cipher) ? seal_ccm(keys, text, out) : seal_gcm(keys, text, out);
	return good ? 0 : -ENOMEM;
}

/* The size of what is in a frame that may be the server's; 0: it is not. */
static size_t sealed_size(const struct smb_keys *keys, uint64_t session_id, const uint8_t *header,
			  size_t size)
{
	struct smb_transform transform;

	if (keys->cipher == SMB_CIPHER_NONE ||
	    smb_transform_decode(header, SMB_TRANSFORM, size, &transform) ||
	    transform.session_id != session_id)
		return 0;
	return transform.size;
}

bool smb_opens_in_pieces(const struct smb_keys *keys)
{
	return !is_ccm(keys->cipher);
}

int smb_open_begin(struct smb_opening *opening, struct smb_keys *keys, uint64_t session_id,
		   const uint8_t *header, size_t size)
{
	EVP_CIPHER_CTX *ctx = NULL;

	if (sealed_size(keys, session_id, header, size) > 0)
		ctx = gcm_begin(keys, false, header);
	if (!ctx)
		return -EBADMSG;
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SMB_TAG,
				(void *)(uintptr_t)(header + 4)) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return -EBADMSG;
	}
	*opening = (struct smb_opening){.keys = keys, .context = ctx};
	return 0;
}

int smb_open_more(struct smb_opening *opening, const void *in, void *out, size_t len)
{
	int n;

	return EVP_DecryptUpdate(opening->context, out, &n, in, (int)len) == 1 ? 0 : -EBADMSG;
}

int smb_open_end(struct smb_opening *opening)
{
	uint8_t rest[SMB_TAG];
	int n;
	bool good = EVP_DecryptFinal_ex(opening->context, rest, &n) == 1;

	smb_open_drop(opening);
	return good ? 0 : -EBADMSG;
}

void smb_open_drop(struct smb_opening *opening)
{
	if (opening->keys)
		give_cipher(&opening->keys->opens, opening->context);
	*opening = (struct smb_opening){0};
}

int smb_unseal(struct smb_keys *keys, uint64_t session_id, uint8_t *frame, size_t size)
{
	uint8_t *body = frame + SMB_TRANSFORM;
	struct smb_opening opening = {0};
	size_t inside;
	int err;

	if (size < SMB_TRANSFORM)
		return -EBADMSG;
	if (!smb_opens_in_pieces(keys)) {
		inside = sealed_size(keys, session_id, frame, size);
		return inside > 0 && open_ccm(keys, frame, inside) ? 0 : -EBADMSG;
	}
	err = smb_open_begin(&opening, keys, session_id, frame, size);
	if (err)
		return err;
	if (smb_open_more(&opening, body, body, size - SMB_TRANSFORM)) {
		smb_open_drop(&opening);
		return -EBADMSG;
	}
	return smb_open_end(&opening);
}
