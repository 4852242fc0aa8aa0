/* SPDX-License-Identifier: MIT */
/*
 * Symbolic links as the content of an ordinary file, for servers that keep no
 * others.
 *
 *	XSym\n
 *	0012\n					length of the target
 *	5c6f3e0d...\n				MD5 of the target, 32 digits
 *	/where/it/is\n				the target; a line feed where there is room
 *	          ...				spaces up to SMB_XSYM_SIZE
 *
 * Length and hash tell a link from a file that happens to be as long.  Pure
 * functions, no locks.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "smb_reparse.h"

#define MAGIC	  "XSym\n"
#define LENGTH_AT 5u
#define HASH_AT	  10u
#define TARGET_AT 43u
#define HASH_SIZE 16u

/* 32 digits and a line feed. */
static int put_hash(const void *target, size_t len, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[HASH_SIZE];

	if (!EVP_Digest(target, len, hash, NULL, EVP_md5(), NULL))
		return -ENOMEM;
	for (unsigned i = 0; i < HASH_SIZE; i++) {
		ret_text[2 * i] = digits[hash[i] >> 4];
		ret_text[2 * i + 1] = digits[hash[i] & 15];
	}
	ret_text[2 * HASH_SIZE] = '\n';
	return 0;
}

static bool is_target(const char *target, size_t len)
{
	return len > 0 && !memchr(target, '\n', len) && !memchr(target, '\0', len);
}

int smb_xsym_encode(const char *target, size_t len, void *buf)
{
	char *text = buf, number[8];

	if (len > SMB_XSYM_TARGET)
		return -ENAMETOOLONG;
	if (!is_target(target, len))
		return -EINVAL;
	memset(text, ' ', SMB_XSYM_SIZE);
	memcpy(text, MAGIC, LENGTH_AT);
	snprintf(number, sizeof(number), "%04u\n", (unsigned)len);
	memcpy(text + LENGTH_AT, number, HASH_AT - LENGTH_AT);
	memcpy(text + TARGET_AT, target, len);
	if (len < SMB_XSYM_TARGET)
		text[TARGET_AT + len] = '\n';
	return put_hash(target, len, text + HASH_AT);
}

int smb_xsym_decode(const void *bytes, size_t size, const char **ret_target, size_t *ret_len)
{
	const char *text = bytes;
	char hash[2 * HASH_SIZE + 1];
	size_t len = 0;
	int err;

	if (size != SMB_XSYM_SIZE || memcmp(text, MAGIC, LENGTH_AT) != 0 || text[9] != '\n')
		return -EINVAL;
	for (unsigned i = LENGTH_AT; i < HASH_AT - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		len = len * 10 + (size_t)(text[i] - '0');
	}
	if (len > SMB_XSYM_TARGET || !is_target(text + TARGET_AT, len))
		return -EINVAL;
	err = put_hash(text + TARGET_AT, len, hash);
	if (err)
		return err;
	if (memcmp(text + HASH_AT, hash, sizeof(hash)) != 0)
		return -EINVAL;
	*ret_target = text + TARGET_AT;
	*ret_len = len;
	return 0;
}
