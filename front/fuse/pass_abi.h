/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's side of FUSE passthrough looks like: its numbers and layouts
 * (since protocol 7.40), which headers and libfuse of many machines do not know yet.
 * They are fixed: the kernel changes none of them.
 */
#ifndef FUSE_PASS_ABI_H
#define FUSE_PASS_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* The answer to an open. */
struct netfs_pass_open {
	uint64_t handle;
	uint32_t flags; /* NETFS_PASS_OPEN_... */
	int32_t backing_id;
};

/* Reads and mappings go to the backing file.  No flag about cached pages may be there. */
#define NETFS_PASS_OPEN_BACKED (1u << 7)
/* With the former: reads come here, beside others that do not. */
#define NETFS_PASS_OPEN_DIRECT (1u << 0)

/* Is it the kernel's greeting (INIT)?  Then which answer is the one to it, and does the
 * kernel know passthrough? */
bool netfs_pass_greeting(const void *request, size_t len, uint64_t *ret_unique, bool *ret_offered);
/* Is that the answer to the greeting?  Then it says that we want passthrough.  False: not
 * the answer, or one that refuses. */
bool netfs_pass_accept(const struct iovec *answer, int niov, uint64_t unique);
/* A number of the kernel's for a file, on the descriptor of the connection: more than 0, or
 * a negative errno.  -EPERM: only the administrator may; -ELOOP: the file is on a file
 * system that stands on another. */
int netfs_pass_backing_open(int device, int fd);
void netfs_pass_backing_close(int device, int backing_id);

#endif
