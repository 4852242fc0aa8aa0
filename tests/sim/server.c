/* SPDX-License-Identifier: MIT */
/*
 * See server.h.
 */
#include "server.h"

#include <backend/backends.h>
#include <stdio.h>
#include <string.h>
#include "world.h"

#define ONE_IN 4

bool server_wants_smb(const struct world_options *options)
{
	struct rng rng;

	if (options->server != SERVER_DRAWN)
		return options->server == SERVER_SMB;
	rng_init(&rng, options->seed ^ UINT64_C(0x5e4be4));
	return rng_one_in(&rng, ONE_IN);
}

const char *server_word(const struct world_options *options)
{
	return options->server == SERVER_SMB  ? " --smb"
	       : options->server == SERVER_9P ? " --9p"
					      : "";
}

static int init_9p(struct server *server, struct faults *faults,
		   const struct world_options *options, struct rng *rng)
{
	static const uint32_t msizes[] = {8192, 65536, 1 << 20};
	struct server9_config config = {.defect = options->defect,
					.msize_max = msizes[rng_below(rng, 3)],
					.no_renameat = rng_one_in(rng, 3),
					.no_unlinkat = rng_one_in(rng, 3),
					.iounit_zero = rng_one_in(rng, 2)};

	server->tree = &server->p9.tree;
	return server9_init(&server->p9, faults, &config);
}

static int init_smb(struct server *server, struct faults *faults,
		    const struct world_options *options)
{
	struct rng *rng = &server->rng;
	struct smb_server_config config = {
		.defect = options->defect,
		.leases = rng_one_in(rng, 4) ? 0
					     : SMB_LEASE_READ | SMB_LEASE_HANDLE | SMB_LEASE_WRITE,
		.durable = rng_one_in(rng, 2),
		.starve = rng_one_in(rng, 3) ? 4u << rng_below(rng, 5) : 0,
		.signing = (uint16_t)rng_below(rng, 3),
		.cipher = (uint16_t)rng_between(rng, SMB_AES_128_CCM, SMB_AES_256_GCM),
		.seal_session = rng_one_in(rng, 5),
		.seal_share = rng_one_in(rng, 5),
		.io_max = 65536u << rng_below(rng, 5),
	};
	struct rng more;

	rng_init(&more, options->seed ^ UINT64_C(0xc4a7));
	config.addresses = rng_one_in(&more, 2) ? (unsigned)rng_between(&more, 1, 3) : 0;
	config.rss = rng_one_in(&more, 2);
	server->channels = rng_one_in(&more, 2) ? (unsigned)rng_between(&more, 2, 4) : 1;
	config.notify = rng_one_in(&more, 2);

	server->tree = &server->cifs.tree;
	return smb_server_init(&server->cifs, faults, &config);
}

int server_init(struct server *server, struct faults *faults, const struct world_options *options,
		struct rng *rng)
{
	server->smb = server_wants_smb(options);
	rng_init(&server->rng, options->seed ^ UINT64_C(0x5b311));
	return server->smb ? init_smb(server, faults, options)
			   : init_9p(server, faults, options, rng);
}

void server_listen(struct server *server, bool on)
{
	if (server->smb)
		smb_server_listen(&server->cifs, on);
	else
		server9_listen(&server->p9, on);
}

void server_restart(struct server *server)
{
	if (server->smb)
		smb_server_forget(&server->cifs);
}

void server_drop_all(struct server *server)
{
	if (server->smb)
		smb_server_drop_all(&server->cifs);
	else
		server9_drop_all(&server->p9);
}

bool server_drop_one(struct server *server)
{
	return server->smb && smb_server_drop_one(&server->cifs);
}

bool server_lingers(const struct server *server)
{
	return server->smb ? smb_server_lingers(&server->cifs) : server9_lingers(&server->p9);
}

void server_done(struct server *server)
{
	if (server->smb)
		smb_server_done(&server->cifs);
	else
		server9_done(&server->p9);
}

const struct netfs_be_ops *server_ops(const struct server *server)
{
	return server->smb ? &netfs_smb_ops : &netfs_p9_ops;
}

const char *server_source(const struct server *server)
{
	return server->smb ? "smb://" SMB_SERVER_HOST ":" SMB_SERVER_PORT "/export"
			   : "9p://" SERVER_HOST ":" SERVER_PORT "/export";
}

static void add(char *options, size_t size, const char *name, uint64_t value)
{
	size_t len = strlen(options);

	snprintf(options + len, size - len, ",%s=%llu", name, (unsigned long long)value);
}

void server_add_options(struct server *server, unsigned msize, char *options, size_t size)
{
	struct rng *rng = &server->rng, after;

	if (!server->smb) {
		add(options, size, "msize", msize);
		return;
	}
	/* The mode a file has is the mount's, and the workload sets this one. */
	strcat(options, ",sec=krb5,file_mode=0600");
	if (rng_one_in(rng, 4))
		strcat(options, ",seal");
	if (rng_one_in(rng, 5))
		strcat(options, ",nolease");
	if (rng_one_in(rng, 4))
		strcat(options, ",nohandlecache");
	if (rng_one_in(rng, 3))
		add(options, size, "echo_interval", rng_between(rng, 2, 60));
	if (server->channels > 1)
		add(options, size, "max_channels", server->channels);
	/* Owner and mode from descriptors; drawn aside, so that seeds stay what they were. */
	after = *rng;
	if (rng_one_in(&after, 3))
		strcat(options, rng_one_in(&after, 3) ? ",cifsacl,idsfromsid" : ",modefromsid");
}

const char *server_violation(const struct server *server)
{
	return server->smb ? server->cifs.violation : server->p9.violation;
}

uint64_t server_requests(const struct server *server)
{
	return server->smb ? server->cifs.requests : server->p9.requests;
}

uint64_t server_pending(const struct server *server)
{
	return server->smb ? server->cifs.pending - server->cifs.idle : server->p9.pending;
}

bool server_connected(const struct server *server, unsigned more_than)
{
	const struct netfs_list *list = &server->p9.conns;
	struct netfs_list *at;

	if (server->smb)
		return smb_server_clients(&server->cifs) > more_than;

	netfs_list_for_each (at, list)
		if (!more_than--)
			return true;
	return false;
}

uint64_t server_left(const struct server *server)
{
	/* The root's own fid goes with the connection. */
	if (!server->smb)
		return server->p9.fids_left > 1 ? server->p9.fids_left : 0;
	/* Without memory to close a file it is closed with its session. */
	return netfs_sim_allocs_refused() ? 0 : server->cifs.opens_left;
}

void server_left_reset(struct server *server)
{
	server->p9.fids_left = 0;
	server->cifs.opens_left = 0;
}

bool server_keeps_strays(const struct server *server)
{
	return server->smb && server->cifs.in_the_way > 0;
}

bool server_holds(const struct server *server, const struct node *node, uint32_t owner)
{
	return server->smb ? smb_server_is_locked(&server->cifs, node)
			   : server9_holds(&server->p9, node, owner);
}
