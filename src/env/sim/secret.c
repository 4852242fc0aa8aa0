/* SPDX-License-Identifier: MIT */
/*
 * Secrets on the simulated machine: a file or command gives bytes that follow
 * from its name, so that one name is always one key.  The name "missing" is
 * one that is not there.  No state, no locks.
 */
#include <env/secret.h>

#include <env/alloc.h>
#include <env/random.h>
#include <errno.h>
#include <string.h>

#define LENGTH 48

void *netfs_secret_alloc(size_t size)
{
	return netfs_zalloc(size);
}

void netfs_secret_free(void *secret, size_t size)
{
	if (secret)
		explicit_bzero(secret, size);
	netfs_free(secret);
}

ssize_t netfs_secret_from_file(const char *path, uint8_t *buf)
{
	if (!strcmp(path, "missing"))
		return -ENOENT;
	for (size_t i = 0, at = 0; i < LENGTH; i++, at = path[at] ? at + 1 : 0)
		buf[i] = (uint8_t)(path[at] + 31 * i);
	return LENGTH;
}

ssize_t netfs_secret_from_command(const char *command, uint8_t *buf)
{
	return netfs_secret_from_file(command, buf);
}

int netfs_secret_random(uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)netfs_random_u64();
	return 0;
}
