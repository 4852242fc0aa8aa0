/* SPDX-License-Identifier: MIT */
/*
 * The file in the root of an encrypted share that says which key is its: format
 * version, salt and check value, none of them a secret.  Read at mount, so that
 * a wrong key is an error there and not garbage later; made on demand.
 */
#ifndef CLIENT_CRYPT_SHARE_H
#define CLIENT_CRYPT_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <unetfs/backend.h>

struct netfs_crypt;

#define NETFS_CRYPT_TEXT_MAX 256

struct netfs_crypt_share {
	/* Set by the caller. */
	void (*done)(struct netfs_crypt_share *share, int err);
	struct netfs_be *be;
	struct netfs_node *root; /* stays until done */
	struct netfs_cred cred;
	bool init; /* make the file where there is none */
	bool force; /* also where there are others */
	bool read_only;
	char *message; /* one line about what is wrong */
	size_t message_size;

	/* Result, the caller's. */
	struct netfs_crypt *crypt;

	/* Its own. */
	uint8_t *secret;
	size_t secret_len;
	struct netfs_op op;
	struct netfs_node *node;
	struct netfs_handle *handle;
	struct netfs_slice slice;
	struct iovec iov;
	char text[NETFS_CRYPT_TEXT_MAX];
	size_t text_len; /* there, or to write */
	size_t moved;
	bool occupied; /* the root has something in it */
	int err;
};

/* Reads the secret from file or else from command.  Blocks.  -errno, with a
 * message. */
int netfs_crypt_share_secret(struct netfs_crypt_share *share, const char *file,
			     const char *command);
/* Looks at the share; done() follows, exactly once. */
void netfs_crypt_share_open(struct netfs_crypt_share *share);
/* Overwrites the secret, frees what is left.  Zero is fine. */
void netfs_crypt_share_done(struct netfs_crypt_share *share);

#endif
