/* SPDX-License-Identifier: MIT */
/*
 * Mount options: the words of mount.cifs, nfs(5) and mount.9p where one exists,
 * and what they come to.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stddef.h>
#include <unetfs/backend.h>

/* What a cache mode stands for; a row of a static table. */
struct netfs_cache_mode {
	const char *name;
	uint32_t attr_ttl_ms;
	uint32_t entry_ttl_ms;
	uint32_t negative_ttl_ms;
	uint32_t watched_ms; /* more where the server tells of changes */
	bool read_only;
	bool unbuffered;
	bool revalidate;
	bool close_writes;
	bool immutable; /* no file changes, and none is changed */
};

/* A number that was not given. */
#define NETFS_OPTION_UNSET UINT64_MAX

/* Where the disk cache is with fsc alone. */
#define NETFS_OPTION_CACHEDIR "/var/cache/unetfs"

/* All options of one mount. */
struct netfs_mount_options {
	const struct netfs_cache_mode *mode;
	bool read_only;
	bool sync;
	bool soft;
	bool local_locks;
	/* Milliseconds; NETFS_OPTION_UNSET where not given. */
	uint64_t actimeo;
	uint64_t acregmin;
	uint64_t acregmax;
	uint64_t acdirmin;
	uint64_t acdirmax;
	uint64_t negtimeo;
	uint64_t dirtyage;
	/* Bytes; likewise. */
	uint64_t rsize;
	uint64_t wsize;
	uint64_t rasize;
	uint64_t timeo; /* tenths of a second; likewise */
	uint64_t retrans;
	/* In text; NULL where not given. */
	const char *encrypt;
	const char *encryptcmd;
	const char *encrypt_init;

	bool fsc;
	const char *cachedir; /* in text; NULL where not given, likewise: */
	const char *cachetag;
	const char *cachekey; /* a file */
	uint64_t cachesize; /* bytes; 0: no limit */
	bool journal; /* writeback=journal */
	bool sync_local; /* fsync=local */
	bool offline;
	uint64_t journalsize; /* bytes of data in it */
	uint32_t brun, bcull, bstop, frun, fcull, fstop; /* percent */

	struct netfs_option *backend; /* owned: what the back end lists */
	unsigned nbackend;
	char *text; /* owned: where names and values are */
};

/*
 * Reads text (comma-separated, "\," for a comma; NULL is as good as "") for a
 * mount through ops.  -EINVAL with a line in message, -ENOMEM.
 */
int netfs_options_parse(const char *text, const struct netfs_be_ops *ops,
			struct netfs_mount_options *ret_options, char *message,
			size_t message_size);
void netfs_options_done(struct netfs_mount_options *options);

/* What attributes and names may be believed for, mode and options together. */
uint32_t netfs_options_attr_ttl(const struct netfs_mount_options *options);
uint32_t netfs_options_dir_ttl(const struct netfs_mount_options *options);
uint32_t netfs_options_entry_ttl(const struct netfs_mount_options *options);
uint32_t netfs_options_negative_ttl(const struct netfs_mount_options *options);
uint32_t netfs_options_watched(const struct netfs_mount_options *options);

/* The words of every mount, for --help; false after the last. */
bool netfs_options_help_at(unsigned i, const char **ret_name, const char **ret_meaning);

#endif
