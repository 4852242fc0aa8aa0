/* SPDX-License-Identifier: MIT */
/* The client, for the files of this folder. */
#ifndef CLIENT_CLIENT_PRIVATE_H
#define CLIENT_CLIENT_PRIVATE_H

#include <stdatomic.h>
#include <core/core.h>
#include <env/lock.h>
#include <unetfs/unetfs.h>

/*
 * Memory and threads shared by some mounts.  The caller's, until it frees it.
 *
 * I: immutable; a: atomic.
 */
struct netfs_client {
	struct netfs_client_config config; /* I */
	struct netfs_budget *budget; /* I */
	struct netfs_mutex call_mutex; /* calls against their cancellation */
	_Atomic uint32_t mounts; /* a: open, or being opened */
};

#endif
