/* SPDX-License-Identifier: MIT */
/*
 * The folder of the logs, and the key of one volume's.
 *
 * Locks: none.
 */
#include <errno.h>
#include <string.h>
#include <xxhash.h>
#include <cache/place.h>
#include <crypt/aead.h>
#include <crypt/kdf.h>
#include <env/hostfs.h>
#include <env/secret.h>
#include <journal/journal.h>
#include <journal/log.h>

#define SEGMENT_MAX (UINT64_C(64) << 20)

static int make_key(struct log_dir *dir, const struct netfs_journal_config *config)
{
	static const char info[] = "unetfs journal 1";
	const struct netfs_kdf_from from = {
		.secret = config->secret,
		.secret_len = config->secret_len,
		.salt = config->volume,
		.salt_len = strlen(config->volume),
		.info = info,
		.info_len = sizeof(info),
	};
	uint8_t name[sizeof(dir->volume)];
	uint8_t both[NETFS_AEAD_KEY + sizeof(name)];
	int err;

	dir->key = netfs_secret_alloc(NETFS_AEAD_KEY);
	if (!dir->key)
		return -ENOMEM;
	/* The name in the folder does not tell which share it is either. */
	err = netfs_kdf(&from, both, sizeof(both));
	memcpy(dir->key, both, NETFS_AEAD_KEY);
	memcpy(&dir->volume, both + NETFS_AEAD_KEY, sizeof(name));
	explicit_bzero(both, sizeof(both));
	if (!err)
		err = netfs_aead_new(dir->key, NETFS_AEAD_SEAL, &dir->seal);
	if (!err)
		err = netfs_aead_new(dir->key, NETFS_AEAD_OPEN, &dir->open);
	return err;
}

int log_dir_open(struct log_dir *dir, const struct netfs_journal_config *config)
{
	dir->segment = config->segment ? config->segment : SEGMENT_MAX;
	dir->volume = XXH3_64bits(config->volume, strlen(config->volume));
	dir->place = netfs_place_open(config->folder, "journal");
	if (dir->place < 0)
		return dir->place;
	return config->secret ? make_key(dir, config) : 0;
}

void log_dir_close(struct log_dir *dir)
{
	netfs_hostfs_close(dir->place);
	netfs_aead_free(dir->seal);
	netfs_aead_free(dir->open);
	netfs_secret_free(dir->key, NETFS_AEAD_KEY);
	frame_done(&dir->frame);
}
