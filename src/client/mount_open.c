/* SPDX-License-Identifier: MIT */
/*
 * The assembler: a source and options become a mount.
 *
 * Options are read and checked before anything is sent.  The back end connects
 * with the mount's host table; when the connection stands, core and vfs are put
 * on top of it and the caller gets the mount.  On failure everything is taken
 * down again, in the opposite order, before the caller is told.
 *
 * Locks: none.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <base/assert.h>
#include <base/checked_math.h>
#include <base/list.h>
#include <cache/cache.h>
#include <cache/namestore.h>
#include <client/client.h>
#include <client/client_private.h>
#include <client/crypt_share.h>
#include <client/options.h>
#include <client/replay.h>
#include <client/source.h>
#include <client/volume.h>
#include <crypt/crypt.h>
#include <crypt/key.h>
#include <env/alloc.h>
#include <env/executor.h>
#include <env/secret.h>
#include <journal/journal.h>
#include <journal/left.h>
#include <offline/offline.h>
#include <vfs/vfs.h>

#define READ_AHEAD_DEFAULT (4 << 20)
#define TIMEO_DEFAULT	   600
#define RETRANS_DEFAULT	   2

/* A mount being opened.  Owns itself; the op ends it. */
struct opening {
	struct netfs_op op;
	struct netfs_client *client;
	struct netfs_call *call;
	struct netfs_mount *mount;
	struct netfs_mount_options options;
	struct netfs_source_parts source;
	struct netfs_be_config config;
	const struct netfs_be_ops *ops;
	char *text; /* owned: the source, as it was given */
	struct netfs_cache *cache; /* the disk cache; the mount's, once there is one */
	struct netfs_journal *journal; /* likewise, and the next */
	struct netfs_left *left; /* of mounts that died */
	struct netfs_namestore *names; /* what is known while the server is away; its back end's */
	struct netfs_job job; /* opens it, and reads the secret */
	struct netfs_crypt_share share;
	struct netfs_node *root; /* while the share's key is looked at */
	struct netfs_attr root_attr;
	int err; /* why it is taken down */
};

static void opening_free(struct opening *opening)
{
	netfs_crypt_share_done(&opening->share);
	netfs_options_done(&opening->options);
	netfs_source_done(&opening->source);
	netfs_free(opening->text);
	netfs_free(opening);
}

/* What there is of it is taken down; opening->err says why. */
static void opening_failed(void *user)
{
	struct opening *opening = user;
	struct netfs_client *client = opening->client;
	struct netfs_call *call = opening->call;
	int err = opening->err;

	netfs_cache_close(opening->cache);
	opening_free(opening);
	atomic_fetch_sub(&client->mounts, 1);
	netfs_call_complete(call, err);
}

static void opening_fail(struct opening *opening, int err)
{
	struct netfs_journal *journal = netfs_take(opening->journal);
	struct netfs_call *call = opening->call;

	if (!call->message[0])
		snprintf(call->message, sizeof(call->message), "cannot mount: %s",
			 strerrordesc_np(-err));
	opening->err = err;
	if (opening->mount)
		netfs_mount_free(opening->mount);
	netfs_left_close(opening->left);
	netfs_namestore_close(opening->names, NULL, NULL);
	/* Who tries again must find it free. */
	if (journal)
		netfs_journal_close(journal, opening_failed, opening);
	else
		opening_failed(opening);
}

static void disconnected(struct netfs_op *op, int err)
{
	struct opening *opening = netfs_container_of(op, struct opening, op);

	opening_fail(opening, opening->err);
}

static bool encrypted(const struct opening *opening)
{
	return opening->options.encrypt || opening->options.encryptcmd;
}

static void opening_finish(struct opening *opening, int err);

static void share_opened(struct netfs_crypt_share *share, int err)
{
	opening_finish(netfs_container_of(share, struct opening, share), err);
}

static void connected(struct netfs_op *op, int err)
{
	struct opening *opening = netfs_container_of(op, struct opening, op);
	struct netfs_call *call = opening->call;

	if (err) {
		opening_fail(opening, err > 0 ? -EIO : err);
		return;
	}
	call->message[0] = 0;
	opening->share.be = op->be;
	opening->share.root = opening->root = op->node;
	opening->root_attr = op->attr;
	if (encrypted(opening)) {
		opening->share.done = share_opened;
		netfs_crypt_share_open(&opening->share);
	} else {
		opening_finish(opening, 0);
	}
}

static void mount_log(void *user, int level, const char *line)
{
	struct netfs_client *client = user;

	if (client->config.log)
		client->config.log(client->config.user, level, line);
}

static uint32_t given(uint64_t number, uint32_t otherwise)
{
	return number == NETFS_OPTION_UNSET ? otherwise : (uint32_t)number;
}

/* An encrypted block that goes in two requests is garbage where only one gets there. */
static int check_blocks(struct opening *opening, const struct netfs_be *be)
{
	uint32_t wsize = given(opening->options.wsize, be->wsize);

	if (be->wsize && be->wsize < wsize)
		wsize = be->wsize;
	if (!encrypted(opening) || !wsize || wsize >= NETFS_CRYPT_BLOCK)
		return 0;
	snprintf(opening->call->message, sizeof(opening->call->message),
		 "encrypted content needs room for %llu bytes in a request, here are %u: make "
		 "msize= or wsize= larger",
		 (unsigned long long)NETFS_CRYPT_BLOCK, wsize);
	return -EINVAL;
}

/* The connection stands, and the key is right or err says what is wrong. */
static void opening_finish(struct opening *opening, int err)
{
	struct netfs_be *be = opening->share.be;
	struct netfs_call *call = opening->call;

	if (!err)
		err = check_blocks(opening, be);
	if (!err) {
		netfs_mount_set_crypt(opening->mount, netfs_take(opening->share.crypt));
		err = netfs_mount_start(opening->mount, be, opening->root, &opening->root_attr);
		if (err == -ENOTDIR)
			snprintf(call->message, sizeof(call->message),
				 "the source is not a directory");
	}
	if (err) {
		netfs_node_put(opening->root);
		opening->err = err;
		memset(&opening->op, 0, sizeof(opening->op));
		opening->op.done = disconnected;
		be->ops->disconnect(be, &opening->op);
		return;
	}
	/* The mount's from now on. */
	opening->cache = NULL;
	opening->journal = NULL;
	/* What mounts that died have left waits for one that meets the server at once: how
	 * the server's files are now must be known first. */
	if (netfs_offline_unmet(be))
		opening->left = NULL;
	if (opening->left &&
	    netfs_replay_start(opening->mount, netfs_take(opening->left), &call->cred,
			       opening->text, mount_log, opening->client))
		mount_log(opening->client, NETFS_LOG_ERROR, "no memory to replay the journal");
	call->mount = opening->mount;
	call->message[0] = 0;
	opening_free(opening);
	netfs_call_complete(call, 0);
}

static void mount_closed(void *user, struct netfs_cache *cache)
{
	struct netfs_client *client = user;

	if (cache != client->config.cache)
		netfs_cache_close(cache);
	atomic_fetch_sub(&client->mounts, 1);
}

/* One request's patience, in milliseconds. */
static uint32_t timeout_ms(const struct netfs_mount_options *options)
{
	uint64_t ms = (uint64_t)given(options->timeo, TIMEO_DEFAULT) * 100;

	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static uint32_t retry_ms(const struct netfs_mount_options *options)
{
	uint64_t ms = (uint64_t)timeout_ms(options) *
		      ((uint64_t)given(options->retrans, RETRANS_DEFAULT) + 1);

	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static int make_mount(struct opening *opening, const char *source)
{
	const struct netfs_mount_options *options = &opening->options;
	struct netfs_client *client = opening->client;
	struct netfs_vfs_config config = {
		.budget = client->budget,
		.call_mutex = &client->call_mutex,
		.source = source,
		.cache_mode = options->mode->name,
		.cache = opening->cache ? opening->cache : client->config.cache,
		.journal = opening->journal,
		.left = opening->left,
		.sync_local = options->sync_local,
		.attr_ttl_ms = netfs_options_attr_ttl(options),
		.dir_ttl_ms = netfs_options_dir_ttl(options),
		.entry_ttl_ms = netfs_options_entry_ttl(options),
		.negative_ttl_ms = netfs_options_negative_ttl(options),
		.watched_ms = netfs_options_watched(options),
		.read_only = options->read_only,
		.immutable = options->mode->immutable,
		.unbuffered = options->mode->unbuffered,
		.revalidate = options->mode->revalidate,
		.close_writes = options->mode->close_writes && !options->journal,
		.sync = options->sync,
		.server_locks = !options->local_locks,
		.dirty_age_ms = given(options->dirtyage, client->config.dirty_age_ms),
		.rasize = given(options->rasize, READ_AHEAD_DEFAULT),
		.rsize = given(options->rsize, 0),
		.wsize = given(options->wsize, 0),
		.hard = !options->soft,
		.retry_ms = retry_ms(options),
		.log = mount_log,
		.closed = mount_closed,
		.user = client,
	};

	return netfs_mount_new(&config, &opening->mount);
}

static void opening_connect(struct opening *opening)
{
	struct netfs_be_host *host = netfs_mount_host(opening->mount);
	const struct netfs_offline_config offline = {
		.ops = opening->ops,
		.names = netfs_take(opening->names),
	};

	if (offline.names)
		netfs_offline_connect(&offline, &opening->config, host, &opening->op);
	else
		opening->ops->connect(&opening->config, host, &opening->op);
}

static void read_secret(struct netfs_job *job)
{
	struct opening *opening = netfs_container_of(job, struct opening, job);
	const struct netfs_mount_options *options = &opening->options;
	struct netfs_crypt_share *share = &opening->share;
	int err;

	share->init = options->encrypt_init;
	share->force = options->encrypt_init && *options->encrypt_init;
	share->read_only = options->read_only;
	share->cred = opening->call->cred;
	share->message = opening->call->message;
	share->message_size = sizeof(opening->call->message);
	err = netfs_crypt_share_secret(share, options->encrypt, options->encryptcmd);
	if (err)
		opening_fail(opening, err);
	else
		opening_connect(opening);
}

static void opening_start(struct opening *opening)
{
	struct netfs_call *call = opening->call;
	int err = make_mount(opening, opening->text);

	if (err) {
		opening_fail(opening, err);
		return;
	}
	opening->config = (struct netfs_be_config){
		.source = &opening->source.source,
		.options = opening->options.backend,
		.noptions = opening->options.nbackend,
		.hard = !opening->options.soft,
		.timeout_ms = timeout_ms(&opening->options),
	};
	opening->op.done = connected;
	opening->op.cred = call->cred;
	opening->op.buf = call->message;
	opening->op.buf_size = sizeof(call->message);
	if (encrypted(opening)) {
		opening->job.fn = read_secret;
		netfs_job_post(&opening->job);
		return;
	}
	opening_connect(opening);
}

static int open_journal(struct opening *opening, const struct netfs_cache_config *cache)
{
	const struct netfs_mount_options *options = &opening->options;
	const struct netfs_journal_config config = {
		.folder = cache->folder,
		.volume = cache->volume,
		.secret = cache->secret,
		.secret_len = cache->secret_len,
		.size = options->journalsize,
	};
	char *message = opening->call->message;
	int err;

	if (!options->journal || options->read_only)
		return 0;
	message[0] = 0;
	if (!opening->ops->path) {
		snprintf(message, sizeof(opening->call->message),
			 "writeback=journal is not possible with %s:", opening->ops->scheme);
		return -EOPNOTSUPP;
	}
	err = netfs_left_open(&config, &opening->left, message, sizeof(opening->call->message));
	if (!err && message[0])
		mount_log(opening->client, NETFS_LOG_WARN, message);
	message[0] = 0;
	if (!err)
		err = netfs_journal_open(&config, &opening->journal);
	if (err)
		snprintf(message, sizeof(opening->call->message), "the journal in %.180s: %s",
			 cache->folder, strerrordesc_np(-err));
	return err;
}

static int open_names(struct opening *opening, const struct netfs_cache_config *cache)
{
	const struct netfs_namestore_config config = {
		.folder = cache->folder,
		.volume = cache->volume,
		.secret = cache->secret,
		.secret_len = cache->secret_len,
	};
	struct netfs_call *call = opening->call;

	if (!opening->options.offline)
		return 0;
	return netfs_namestore_open(&config, &opening->names, call->message, sizeof(call->message));
}

/* With the secret in memory of its own, which is the caller's. */
static int open_cache(struct opening *opening, uint8_t *secret)
{
	const struct netfs_mount_options *options = &opening->options;
	struct netfs_call *call = opening->call;
	netfs_cleanup_free char *volume =
		netfs_volume_name(options, opening->text, opening->call->cred.uid);
	struct netfs_cache_config config = {
		.folder = options->cachedir,
		.volume = volume,
		.size = options->cachesize,
		.blocks = {options->brun, options->bcull, options->bstop},
		.files = {options->frun, options->fcull, options->fstop},
	};
	ssize_t n;

	if (!volume)
		return -ENOMEM;
	if (secret) {
		n = netfs_key_read(options->cachekey, NULL, secret, call->message,
				   sizeof(call->message));
		if (n < 0)
			return (int)n;
		config.secret = secret;
		config.secret_len = (size_t)n;
	}
	n = netfs_cache_open(&config, &opening->cache, call->message, sizeof(call->message));
	if (!n)
		n = open_names(opening, &config);
	return n ? (int)n : open_journal(opening, &config);
}

static void cache_job(struct netfs_job *job)
{
	struct opening *opening = netfs_container_of(job, struct opening, job);
	bool sealed = opening->options.cachekey;
	uint8_t *secret = sealed ? netfs_secret_alloc(NETFS_SECRET_MAX) : NULL;
	int err = sealed && !secret ? -ENOMEM : open_cache(opening, secret);

	netfs_secret_free(secret, NETFS_SECRET_MAX);
	if (err)
		opening_fail(opening, err);
	else
		opening_start(opening);
}

void netfs_mount_open_with(struct netfs_client *client, const struct netfs_be_ops *ops,
			   const char *source, const char *options, struct netfs_call *call)
{
	struct opening *opening = netfs_zalloc(sizeof(*opening));
	int err;

	if (!opening) {
		netfs_call_complete(call, -ENOMEM);
		return;
	}
	atomic_fetch_add(&client->mounts, 1);
	opening->client = client;
	opening->call = call;
	call->message[0] = 0;
	err = netfs_source_parse(source, &opening->source, call->message, sizeof(call->message));
	if (!err)
		err = netfs_options_parse(options, ops, &opening->options, call->message,
					  sizeof(call->message));
	opening->ops = ops;
	opening->text = netfs_strdup(source);
	if (!err && !opening->text)
		err = -ENOMEM;
	opening->job.fn = cache_job;
	if (err)
		opening_fail(opening, err);
	else if (opening->options.cachedir)
		netfs_job_post(&opening->job);
	else
		opening_start(opening);
}
