/* SPDX-License-Identifier: MIT */
/*
 * GCM by OpenSSL, with a context that keeps its key from one message to the next:
 * the key's schedule costs more than a short message.  OpenSSL overwrites the key
 * when the context is freed.  No locks: a context belongs to one thread.
 */
#include <crypt/aead.h>

#include <errno.h>
#include <openssl/evp.h>

/* Never defined: it is OpenSSL's context under a name of ours. */
struct netfs_aead;

static EVP_CIPHER_CTX *context_of(struct netfs_aead *aead)
{
	return (EVP_CIPHER_CTX *)aead;
}

int netfs_aead_new(const uint8_t key[NETFS_AEAD_KEY], enum netfs_aead_way way,
		   struct netfs_aead **ret_aead)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (!context)
		return -ENOMEM;
	if (EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key, NULL,
			      way == NETFS_AEAD_SEAL) != 1) {
		EVP_CIPHER_CTX_free(context);
		return -EIO;
	}
	*ret_aead = (struct netfs_aead *)context;
	return 0;
}

void netfs_aead_free(struct netfs_aead *aead)
{
	EVP_CIPHER_CTX_free(context_of(aead));
}

int netfs_aead_start(struct netfs_aead *aead, const uint8_t nonce[NETFS_AEAD_NONCE])
{
	/* GCM's nonce has 12 bytes where nothing else was said. */
	return EVP_CipherInit_ex(context_of(aead), NULL, NULL, NULL, nonce, -1) == 1 ? 0 : -EIO;
}

int netfs_aead_beside(struct netfs_aead *aead, const void *bytes, size_t len)
{
	int n;

	return EVP_CipherUpdate(context_of(aead), NULL, &n, bytes, (int)len) == 1 ? 0 : -EIO;
}

static int update(struct netfs_aead *aead, const void *in, void *out, size_t len)
{
	int n = 0;

	if (len && EVP_CipherUpdate(context_of(aead), out, &n, in, (int)len) != 1)
		return -EIO;
	return n == (int)len ? 0 : -EIO;
}

int netfs_aead_seal(struct netfs_aead *aead, const void *in, void *out, size_t len,
		    uint8_t ret_tag[NETFS_AEAD_TAG])
{
	uint8_t none[NETFS_AEAD_TAG];
	int err = update(aead, in, out, len), n;

	if (!err && (EVP_CipherFinal_ex(context_of(aead), none, &n) != 1 ||
		     EVP_CIPHER_CTX_ctrl(context_of(aead), EVP_CTRL_AEAD_GET_TAG, NETFS_AEAD_TAG,
					 ret_tag) != 1))
		err = -EIO;
	return err;
}

int netfs_aead_open(struct netfs_aead *aead, const void *in, void *out, size_t len,
		    const uint8_t tag[NETFS_AEAD_TAG])
{
	uint8_t none[NETFS_AEAD_TAG];
	int err = update(aead, in, out, len), n;

	if (!err && EVP_CIPHER_CTX_ctrl(context_of(aead), EVP_CTRL_AEAD_SET_TAG, NETFS_AEAD_TAG,
					(void *)(uintptr_t)tag) != 1)
		err = -EIO;
	if (!err && EVP_CipherFinal_ex(context_of(aead), none, &n) != 1)
		err = -EBADMSG;
	return err;
}
