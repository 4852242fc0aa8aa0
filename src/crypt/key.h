/* SPDX-License-Identifier: MIT */
/* Where a secret comes from that keys are made of. */
#ifndef CRYPT_KEY_H
#define CRYPT_KEY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes of a secret, at least; at most NETFS_SECRET_MAX of env/secret.h. */
#define NETFS_CRYPT_SECRET_MIN 32

/*
 * What the file holds, or where file is NULL what the command prints, into buf of
 * NETFS_SECRET_MAX bytes.  How many; or a negative errno, and then message says
 * why in one line where there is something to say.  Blocks: from a netfs_job only.
 */
ssize_t netfs_key_read(const char *file, const char *command, uint8_t *buf, char *message,
		       size_t message_size);

#endif
