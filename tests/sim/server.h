/* SPDX-License-Identifier: MIT */
/*
 * The server of a run, which speaks 9P or SMB: what the run and its faults do with
 * either.
 *
 * Which one a seed gets is drawn apart from everything else, so that a seed with 9P
 * is what it would be if there were no other.
 */
#ifndef TESTS_SIM_SERVER_H
#define TESTS_SIM_SERVER_H

#include "server_9p.h"
#include "server_smb.h"

struct world_options;
struct netfs_be_ops;

enum server_choice {
	SERVER_DRAWN, /* the seed says */
	SERVER_9P,
	SERVER_SMB,
};

struct server {
	bool smb;
	struct rng rng; /* for what only one of them has */
	struct tree *tree; /* of the one that is used */
	unsigned channels; /* that mounts ask an SMB server for */
	struct server9 p9;
	struct smb_server cifs;
};

/* Does a run with these options use SMB? */
bool server_wants_smb(const struct world_options *options);
/* " --smb", " --9p" or "", as the options say. */
const char *server_word(const struct world_options *options);
/* From the run's options; 9P draws from rng.  0 or -ENOMEM. */
int server_init(struct server *server, struct faults *faults, const struct world_options *options,
		struct rng *rng);
void server_listen(struct server *server, bool on);
/* What a restart loses apart from data that was not flushed. */
void server_restart(struct server *server);
void server_drop_all(struct server *server);
/* Ends one connection of several, perhaps; false: none. */
bool server_drop_one(struct server *server);
bool server_lingers(const struct server *server);
void server_done(struct server *server);

/* What is mounted, and how. */
const struct netfs_be_ops *server_ops(const struct server *server);
const char *server_source(const struct server *server);
/* Options that only its back end knows, behind others; msize is for 9P. */
void server_add_options(struct server *server, unsigned msize, char *options, size_t size);

/* The client's first violation of the protocol; "": none. */
const char *server_violation(const struct server *server);
uint64_t server_requests(const struct server *server);
uint64_t server_pending(const struct server *server);
bool server_connected(const struct server *server, unsigned more_than);
/* Open files (9P: fids) at most that a client had which hung up by itself, beside
 * those that may be, since the last reset. */
uint64_t server_left(const struct server *server);
void server_left_reset(struct server *server);
/* May a file be open at the server that its client knows nothing of?  The reply that
 * said so was lost, or there was no memory to close it. */
bool server_keeps_strays(const struct server *server);
/* Does the owner hold a lock on node?  SMB knows no owners: does anybody? */
bool server_holds(const struct server *server, const struct node *node, uint32_t owner);

#endif
