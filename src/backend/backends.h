/* SPDX-License-Identifier: MIT */
/* The door of the folder: one operations table per back end. */
#ifndef BACKEND_BACKENDS_H
#define BACKEND_BACKENDS_H

#include <unetfs/backend.h>

extern const struct netfs_be_ops netfs_mem_ops;
extern const struct netfs_be_ops netfs_dir_ops;
extern const struct netfs_be_ops netfs_p9_ops;
extern const struct netfs_be_ops netfs_smb_ops;

#endif
