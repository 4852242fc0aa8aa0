/* SPDX-License-Identifier: MIT */
/*
 * The door of the folder: a back end that stands before another one and answers from
 * what is known while that one's server is away.  doc/offline.md says what it
 * promises, decision 0009 why it is a back end.
 */
#ifndef OFFLINE_OFFLINE_H
#define OFFLINE_OFFLINE_H

#include <unetfs/backend.h>

struct netfs_namestore;

/* Only read by netfs_offline_connect(). */
struct netfs_offline_config {
	const struct netfs_be_ops *ops; /* the one behind; stays */
	/* What is known; the connection's from then on, also where it fails. */
	struct netfs_namestore *names;
	uint32_t patience_ms; /* a server that is lost for longer is away; 0: the usual */
	uint32_t retry_ms; /* most between two tries to reach it at first; 0: the usual */
};

/*
 * As connect of struct netfs_be_ops, through offline->ops.  Where the server cannot be
 * reached and the share is known from before, it succeeds all the same, and goes on
 * trying.
 */
void netfs_offline_connect(const struct netfs_offline_config *offline,
			   const struct netfs_be_config *config, struct netfs_be_host *host,
			   struct netfs_op *op);
/* Is be one of these whose server has not been met yet? */
bool netfs_offline_unmet(const struct netfs_be *be);

#endif
