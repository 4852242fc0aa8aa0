/* SPDX-License-Identifier: MIT */
/*
 * Looking at a journal without a mount: the options say where it is and what it is
 * sealed with.
 *
 * Locks: none.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <backend/registry.h>
#include <client/options.h>
#include <client/source.h>
#include <client/volume.h>
#include <crypt/key.h>
#include <env/alloc.h>
#include <env/secret.h>
#include <journal/left.h>
#include <unetfs/journal.h>

struct netfs_journal_look {
	struct netfs_left *left;
	struct netfs_left_file *file; /* the one that came last */
};

static int open_left(const struct netfs_mount_options *options, struct netfs_journal_config *config,
		     struct netfs_journal_look *look, char *message, size_t message_size)
{
	uint8_t *secret = NULL;
	ssize_t n = 0;
	int err;

	if (options->cachekey) {
		secret = netfs_secret_alloc(NETFS_SECRET_MAX);
		n = secret ? netfs_key_read(options->cachekey, NULL, secret, message, message_size)
			   : -ENOMEM;
		config->secret = secret;
		config->secret_len = n < 0 ? 0 : (size_t)n;
	}
	err = n < 0 ? (int)n : netfs_left_open(config, &look->left, message, message_size);
	netfs_secret_free(secret, NETFS_SECRET_MAX);
	return err;
}

static int find(const struct netfs_source_parts *parts, const char *source, const char *options,
		uint32_t uid, struct netfs_journal_look *look, char *message, size_t message_size)
{
	const struct netfs_be_ops *ops = netfs_backend_find(parts->source.scheme);
	struct netfs_mount_options read = {0};
	struct netfs_journal_config config = {0};
	char *volume = NULL;
	int err = ops ? 0 : -EINVAL;

	if (err)
		snprintf(message, message_size, "unknown scheme '%.20s'", parts->source.scheme);
	else
		err = netfs_options_parse(options, ops, &read, message, message_size);
	if (!err && !read.journal) {
		snprintf(message, message_size, "there is no journal without writeback=journal");
		err = -EINVAL;
	}
	if (!err) {
		volume = netfs_volume_name(&read, source, uid);
		err = volume ? 0 : -ENOMEM;
	}
	config.folder = read.cachedir;
	config.volume = volume;
	if (!err)
		err = open_left(&read, &config, look, message, message_size);
	netfs_free(volume);
	netfs_options_done(&read);
	return err;
}

int netfs_journal_look_open(const char *source, const char *options, uint32_t uid,
			    struct netfs_journal_look **ret_look, char *message,
			    size_t message_size)
{
	struct netfs_journal_look *look = netfs_zalloc(sizeof(*look));
	struct netfs_source_parts parts = {0};
	int err;

	message[0] = 0;
	if (!look)
		return -ENOMEM;
	err = netfs_source_parse(source, &parts, message, message_size);
	if (!err)
		err = find(&parts, source, options, uid, look, message, message_size);
	netfs_source_done(&parts);
	if (err) {
		netfs_free(look);
		return err;
	}
	*ret_look = look;
	return 0;
}

void netfs_journal_look_close(struct netfs_journal_look *look)
{
	if (!look)
		return;
	netfs_left_close(look->left);
	netfs_free(look);
}

bool netfs_journal_look_next(struct netfs_journal_look *look, struct netfs_journal_kept *ret_kept)
{
	const struct netfs_left_file *file = look->file = netfs_left_next(look->left, look->file);

	if (!file)
		return false;
	*ret_kept = (struct netfs_journal_kept){
		.path = file->paths[0],
		.ino = file->ino,
		.gen = file->gen,
		.bytes = file->bytes,
		.pieces = file->nextents,
		.written_ns = file->mtime_ns,
		.sent = file->marked,
	};
	return true;
}

void netfs_journal_look_piece(struct netfs_journal_look *look, uint64_t piece, uint64_t *ret_start,
			      uint32_t *ret_len)
{
	*ret_start = look->file->extents[piece].start;
	*ret_len = look->file->extents[piece].len;
}

int netfs_journal_look_read(struct netfs_journal_look *look, uint64_t piece, uint32_t offset,
			    void *buf, size_t len)
{
	return netfs_left_read(look->left, look->file, &look->file->extents[piece], offset, buf,
			       len);
}

uint64_t netfs_journal_look_others(const struct netfs_journal_look *look)
{
	return netfs_left_others(look->left);
}
