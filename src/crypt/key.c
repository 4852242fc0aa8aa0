/* SPDX-License-Identifier: MIT */
/* A secret from a file or a command, with what a person is told who gave a wrong
 * one.  No locks, no state. */
#include <crypt/key.h>

#include <env/secret.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void explain(ssize_t n, const char *file, char *message, size_t size)
{
	if (n == -EPERM && file)
		snprintf(message, size, "the key file '%.100s' is open to others; chmod 600 it",
			 file);
	else if (n < 0 && file)
		snprintf(message, size, "cannot read the key file '%.100s': %s", file,
			 strerrordesc_np((int)-n));
	else if (n == -EPIPE)
		snprintf(message, size, "the key command failed");
	else if (n < 0)
		snprintf(message, size, "cannot run the key command: %s", strerrordesc_np((int)-n));
	else
		snprintf(message, size,
			 "%s gives %zd bytes, which is too little for a key: at least %d",
			 file ? "the key file" : "the key command", n, NETFS_CRYPT_SECRET_MIN);
}

ssize_t netfs_key_read(const char *file, const char *command, uint8_t *buf, char *message,
		       size_t message_size)
{
	ssize_t n =
		file ? netfs_secret_from_file(file, buf) : netfs_secret_from_command(command, buf);

	if (n >= NETFS_CRYPT_SECRET_MIN)
		return n;
	explain(n, file, message, message_size);
	return n < 0 ? n : -EINVAL;
}
