/* SPDX-License-Identifier: MIT */
/*
 * Memory for secrets, and where a secret comes from.
 */
#ifndef ENV_SECRET_H
#define ENV_SECRET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NETFS_SECRET_MAX 4096

/* Zeroed pages that stay out of core dumps and, where the limits of the process
 * allow, out of swap.  NULL: no memory. */
void *netfs_secret_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
/* Overwrites it first.  NULL is allowed. */
void netfs_secret_free(void *secret, size_t size);

/*
 * The bytes of a file that only its owner can read, or what a shell command
 * prints, without its last newline.  Into buf of NETFS_SECRET_MAX bytes, which
 * is not to be told to anybody.  Both may block: from a netfs_job only.  Bytes,
 * or a negative errno: -EPERM where others may read the file, -EFBIG, -EPIPE
 * where the command failed.
 */
ssize_t netfs_secret_from_file(const char *path, uint8_t *buf);
ssize_t netfs_secret_from_command(const char *command, uint8_t *buf);

/* Bytes nobody can foresee, for keys and salts.  0 or a negative errno.  In
 * env/sim they come from the run's seed. */
int netfs_secret_random(uint8_t *buf, size_t len);

#endif
