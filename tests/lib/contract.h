/* SPDX-License-Identifier: MIT */
/*
 * An executable reading of <unetfs/backend.h>: runs a back end through every
 * operation of its table and fails the running cmocka test where it does not
 * do what the contract says.
 */
#ifndef TESTS_LIB_CONTRACT_H
#define TESTS_LIB_CONTRACT_H

#include <unetfs/backend.h>

/* What the server at hand cannot do, so that it is not asked to. */
enum contract_flags {
	CONTRACT_NO_OWNER = 1 << 0, /* new objects do not belong to op->cred */
	CONTRACT_NO_DEVICES = 1 << 1, /* device nodes are refused */
	CONTRACT_NO_SPARSE = 1 << 2, /* files of 5 GiB are refused, of 8 MiB not */
	CONTRACT_NO_NAME_MAX = 1 << 3, /* names of 255 bytes are refused */
	CONTRACT_NO_RANGE_LOCKS = 1 << 4, /* locks are of whole files and handles */
};

/*
 * Connects to source with options ("a,b=c" or ""), works in a directory of its
 * own in the root, removes that and disconnects.  Starts and stops the
 * executor itself.  Works in both environments.
 */
void contract_run(const struct netfs_be_ops *ops, const struct netfs_source *source,
		  const char *options, unsigned flags);

#endif
