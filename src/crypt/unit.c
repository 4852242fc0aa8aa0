/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's ciphers as the rest of the folder wants them.  OpenSSL overwrites
 * the keys it was given when a context is freed.  No locks: a unit belongs to
 * one thread.
 */
#include <crypt/unit.h>

#include <errno.h>
#include <openssl/evp.h>

/* Never defined: it is OpenSSL's context under a name of ours. */
struct netfs_unit;

static EVP_CIPHER_CTX *context_of(struct netfs_unit *unit)
{
	return (EVP_CIPHER_CTX *)unit;
}

int netfs_unit_new(const uint8_t *key, bool encrypt, struct netfs_unit **ret_unit)
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	if (!context)
		return -ENOMEM;
	if (EVP_CipherInit_ex(context, EVP_aes_256_xts(), NULL, key, NULL, encrypt) != 1) {
		EVP_CIPHER_CTX_free(context);
		return -EIO;
	}
	*ret_unit = (struct netfs_unit *)context;
	return 0;
}

void netfs_unit_free(struct netfs_unit *unit)
{
	EVP_CIPHER_CTX_free(context_of(unit));
}

int netfs_unit_run(struct netfs_unit *unit, const uint8_t iv[16], const uint8_t *in, uint8_t *out,
		   size_t len)
{
	int n = 0;

	if (EVP_CipherInit_ex(context_of(unit), NULL, NULL, NULL, iv, -1) != 1 ||
	    EVP_CipherUpdate(context_of(unit), out, &n, in, (int)len) != 1 || n != (int)len)
		return -EIO;
	return 0;
}

int netfs_unit_ecb(const uint8_t key[32], const uint8_t in[16], uint8_t out[16])
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int n = 0, err = 0;

	if (!context)
		return -ENOMEM;
	if (EVP_EncryptInit_ex(context, EVP_aes_256_ecb(), NULL, key, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(context, 0) != 1 ||
	    EVP_EncryptUpdate(context, out, &n, in, 16) != 1 || n != 16)
		err = -EIO;
	EVP_CIPHER_CTX_free(context);
	return err;
}
