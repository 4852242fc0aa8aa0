/* SPDX-License-Identifier: MIT */
/*
 *	lookup --there--> open -> read --------------------> check the key
 *	   |
 *	   +--not there, encrypt_init--> list the root -> create -> write -> sync
 *
 * The file has three lines: what it is, the salt and the check value in
 * hexadecimal.  What a share has there is somebody else's: it is bounded and
 * taken for what it says or refused.
 *
 * Locks: none; one step at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <base/list.h>
#include <client/crypt_share.h>
#include <crypt/crypt.h>
#include <crypt/key.h>
#include <env/alloc.h>
#include <env/secret.h>
#include <vfs/vfs.h>

#define HEADLINE "unetfs content encryption 1\n"
#define TEXT_LEN                                                                                   \
	(sizeof(HEADLINE) - 1 + 2 * NETFS_CRYPT_SALT_SIZE + 1 + 2 * NETFS_CRYPT_CHECK_SIZE + 1)

static void say(struct netfs_crypt_share *share, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct netfs_crypt_share *share, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(share->message, share->message_size, format, args);
	va_end(args);
}

/* ------------------------------------------------------------ secret */

int netfs_crypt_share_secret(struct netfs_crypt_share *share, const char *file, const char *command)
{
	ssize_t n;

	share->secret = netfs_secret_alloc(NETFS_SECRET_MAX);
	if (!share->secret)
		return -ENOMEM;
	n = netfs_key_read(file, command, share->secret, share->message, share->message_size);
	if (n < 0)
		return (int)n;
	share->secret_len = (size_t)n;
	return 0;
}

void netfs_crypt_share_done(struct netfs_crypt_share *share)
{
	netfs_secret_free(share->secret, NETFS_SECRET_MAX);
	netfs_crypt_free(share->crypt);
	share->secret = NULL;
	share->crypt = NULL;
}

/* -------------------------------------------------------------- text */

static void put_hex(char *to, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(to + 2 * i, 3, "%02x", bytes[i]);
	to[2 * n] = '\n';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool get_hex(const char *from, uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = digit(from[2 * i]), low = digit(from[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return from[2 * n] == '\n';
}

/* A new salt, the key made with it, and the text that tells both. */
static int compose(struct netfs_crypt_share *share)
{
	uint8_t salt[NETFS_CRYPT_SALT_SIZE], check[NETFS_CRYPT_CHECK_SIZE];
	char *at = share->text + sizeof(HEADLINE) - 1;
	int err = netfs_secret_random(salt, sizeof(salt));

	if (!err)
		err = netfs_crypt_new(share->secret, share->secret_len, salt, &share->crypt);
	if (err)
		return err;
	netfs_crypt_check(share->crypt, check);
	memcpy(share->text, HEADLINE, sizeof(HEADLINE) - 1);
	put_hex(at, salt, sizeof(salt));
	put_hex(at + 2 * sizeof(salt) + 1, check, sizeof(check));
	share->text_len = TEXT_LEN;
	return 0;
}

/* What the share's file says, and whether the key fits. */
static int examine(struct netfs_crypt_share *share)
{
	uint8_t salt[NETFS_CRYPT_SALT_SIZE], check[NETFS_CRYPT_CHECK_SIZE];
	const char *at = share->text + sizeof(HEADLINE) - 1;
	int err;

	if (share->text_len != TEXT_LEN || memcmp(share->text, HEADLINE, sizeof(HEADLINE) - 1) ||
	    !get_hex(at, salt, sizeof(salt)) ||
	    !get_hex(at + 2 * sizeof(salt) + 1, check, sizeof(check))) {
		say(share, "%s on the share is damaged, or of a later version", NETFS_CRYPT_NAME);
		return -EUCLEAN;
	}
	err = netfs_crypt_new(share->secret, share->secret_len, salt, &share->crypt);
	if (err)
		return err;
	if (netfs_crypt_matches(share->crypt, check))
		return 0;
	say(share, "wrong key: the share is encrypted with another one");
	return -EKEYREJECTED;
}

/* ------------------------------------------------------------- steps */

static void finish(struct netfs_crypt_share *share, int err)
{
	if (share->handle)
		netfs_handle_put(netfs_take(share->handle));
	netfs_node_put(share->node);
	share->node = NULL;
	if (err && !share->message[0])
		say(share, "cannot look at %s on the share: %s", NETFS_CRYPT_NAME,
		    strerrordesc_np(-err));
	share->done(share, err);
}

static struct netfs_op *prepare(struct netfs_crypt_share *share,
				void (*done)(struct netfs_op *op, int err))
{
	share->op = (struct netfs_op){.done = done, .cred = share->cred};
	return &share->op;
}

static struct netfs_crypt_share *of(struct netfs_op *op)
{
	return netfs_container_of(op, struct netfs_crypt_share, op);
}

static void written(struct netfs_op *op, int err)
{
	finish(of(op), err);
}

static void transfer(struct netfs_crypt_share *share);

static void transferred(struct netfs_slice *slice, size_t moved, int err, unsigned flags)
{
	struct netfs_crypt_share *share =
		netfs_container_of(slice, struct netfs_crypt_share, slice);
	bool write = slice->kind == NETFS_SLICE_WRITE;

	share->moved += moved;
	if (err) {
		finish(share, err);
	} else if (share->moved < share->text_len && moved) {
		transfer(share);
	} else if (write && moved == 0) {
		finish(share, -EIO);
	} else if (write) {
		share->be->ops->fsync(share->handle, false, prepare(share, written));
	} else {
		share->text_len = share->moved;
		finish(share, examine(share));
	}
}

static void transfer(struct netfs_crypt_share *share)
{
	const struct netfs_be_ops *ops = share->be->ops;
	struct netfs_slice *slice = &share->slice;
	ssize_t taken;

	share->iov = (struct iovec){share->text + share->moved, share->text_len - share->moved};
	slice->start = share->moved;
	slice->len = share->iov.iov_len;
	slice->iov = &share->iov;
	slice->niov = 1;
	slice->done = transferred;
	taken = slice->kind == NETFS_SLICE_WRITE ? ops->write(share->handle, slice)
						 : ops->read(share->handle, slice);
	if (taken < 0)
		finish(share, (int)taken);
}

static void opened(struct netfs_op *op, int err)
{
	struct netfs_crypt_share *share = of(op);

	if (err) {
		finish(share, err);
		return;
	}
	share->handle = op->handle;
	share->slice.kind = NETFS_SLICE_READ;
	share->text_len = sizeof(share->text);
	transfer(share);
}

/* -------------------------------------------------------- the first time */

static void created(struct netfs_op *op, int err)
{
	struct netfs_crypt_share *share = of(op);

	if (err) {
		say(share, "cannot make %s on the share: %s", NETFS_CRYPT_NAME,
		    strerrordesc_np(-err));
		finish(share, err);
		return;
	}
	share->node = op->node;
	share->handle = op->handle;
	share->slice.kind = NETFS_SLICE_WRITE;
	err = compose(share);
	if (err)
		finish(share, err);
	else
		transfer(share);
}

static void create(struct netfs_crypt_share *share)
{
	share->be->ops->create(share->root, NETFS_CRYPT_NAME, O_RDWR | O_EXCL, 0644,
			       prepare(share, created));
}

static bool see_entry(struct netfs_op *op, const struct netfs_dirent *entry)
{
	of(op)->occupied = true;
	return true;
}

static void listed(struct netfs_op *op, int err)
{
	struct netfs_crypt_share *share = of(op);

	netfs_handle_put(netfs_take(share->handle));
	if (err) {
		finish(share, err);
	} else if (share->occupied) {
		say(share, "the share has files in it, which would be unreadable; "
			   "encrypt_init=force encrypts what is written from now on");
		finish(share, -ENOTEMPTY);
	} else {
		create(share);
	}
}

static void root_opened(struct netfs_op *op, int err)
{
	struct netfs_crypt_share *share = of(op);

	if (err) {
		finish(share, err);
		return;
	}
	share->handle = op->handle;
	op = prepare(share, listed);
	op->fill = see_entry;
	share->be->ops->readdir(share->handle, 0, op);
}

static void begin(struct netfs_crypt_share *share)
{
	if (!share->init) {
		say(share,
		    "the share is not encrypted: %s is missing; "
		    "mount it once with encrypt_init to begin",
		    NETFS_CRYPT_NAME);
		finish(share, -ENOKEY);
	} else if (share->read_only) {
		say(share, "encrypt_init needs a mount that may write");
		finish(share, -EROFS);
	} else if (share->force) {
		create(share);
	} else {
		share->be->ops->open(share->root, O_RDONLY, prepare(share, root_opened));
	}
}

static void looked_up(struct netfs_op *op, int err)
{
	struct netfs_crypt_share *share = of(op);

	if (err == -ENOENT) {
		begin(share);
	} else if (err) {
		finish(share, err);
	} else {
		share->node = op->node;
		share->be->ops->open(share->node, O_RDONLY, prepare(share, opened));
	}
}

void netfs_crypt_share_open(struct netfs_crypt_share *share)
{
	share->be->ops->lookup(share->root, NETFS_CRYPT_NAME, prepare(share, looked_up));
}
