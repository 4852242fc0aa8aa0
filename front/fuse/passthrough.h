/* SPDX-License-Identifier: MIT */
/*
 * Files of the disk cache that the kernel reads by itself.  A part of the session.
 */
#ifndef FUSE_PASSTHROUGH_H
#define FUSE_PASSTHROUGH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <base/list.h>

#define NETFS_PASSTHROUGH_BUCKETS 256

struct netfs_fuse_handle;
struct netfs_fuse_session;
/* A file while it is open, which is of one kind for so long. */
struct netfs_fuse_passed;

struct netfs_fuse_passthrough {
	bool possible; /* answers go through passthrough_answer(); set before any request */
	_Atomic uint64_t greeting; /* whose answer is to say that it is wanted; 0: none */
	_Atomic bool agreed; /* it was said */
	_Atomic bool refused; /* the kernel takes no file all the same */
	pthread_mutex_t lock; /* the rest, and what struct netfs_fuse_passed says */
	struct netfs_list open[NETFS_PASSTHROUGH_BUCKETS]; /* by vnode */
};

void netfs_fuse_passthrough_init(struct netfs_fuse_passthrough *pass);
void netfs_fuse_passthrough_done(struct netfs_fuse_passthrough *pass);
/* A request was received, before the kernel's greeting was answered. */
void netfs_fuse_passthrough_greet(struct netfs_fuse_session *session, const void *request,
				  size_t len);
/* An answer is about to be sent. */
void netfs_fuse_passthrough_answer(struct netfs_fuse_session *session, const struct iovec *answer,
				   int niov);
/* A regular file was opened, and handle has it: its number where the kernel reads it by
 * itself, which it has to be told; 0: as any other.  plain: this one does not ask for
 * it.  -ENOMEM. */
int netfs_fuse_passthrough_open(struct netfs_fuse_session *session,
				struct netfs_fuse_handle *handle, bool plain);
/* Before the file of handle is released; also one that is of no interest here. */
void netfs_fuse_passthrough_close(struct netfs_fuse_session *session,
				  struct netfs_fuse_handle *handle);

#endif
