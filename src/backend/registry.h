/* SPDX-License-Identifier: MIT */
/* The list of compiled-in back ends. */
#ifndef BACKEND_REGISTRY_H
#define BACKEND_REGISTRY_H

#include <unetfs/backend.h>

/* NULL where the scheme is unknown. */
const struct netfs_be_ops *netfs_backend_find(const char *scheme);
/* The i-th, NULL after the last. */
const struct netfs_be_ops *netfs_backend_at(unsigned i);

#endif
