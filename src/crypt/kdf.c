/* SPDX-License-Identifier: MIT */
/* HKDF (RFC 5869) by OpenSSL.  No locks, no state. */
#include <crypt/kdf.h>

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

static OSSL_PARAM octets(const char *name, const void *data, size_t len)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)data, len);
}

int netfs_kdf(const struct netfs_kdf_from *from, uint8_t *out, size_t len)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		octets(OSSL_KDF_PARAM_KEY, from->secret, from->secret_len),
		octets(OSSL_KDF_PARAM_INFO, from->info, from->info_len),
		from->salt_len ? octets(OSSL_KDF_PARAM_SALT, from->salt, from->salt_len)
			       : OSSL_PARAM_construct_end(),
		OSSL_PARAM_construct_end(),
	};
	int err = !kdf ? -EIO : !context ? -ENOMEM : 0;

	if (!err && EVP_KDF_derive(context, out, len, params) != 1)
		err = -EIO;
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(kdf);
	return err;
}
