/* SPDX-License-Identifier: MIT */
/*
 * Which files the kernel reads by itself.
 *
 * libfuse learned passthrough with 3.17.  What is needed of it is little, and goes with
 * every libfuse that lets us write its answers: two bits and a number are set in the
 * answer to the kernel's greeting, and the answer to an open is made here.  libfuse is
 * not told, so that one that knows it as well does not interfere.
 *
 * The kernel reads a file either through its own pages of our file (plain), or from a
 * backing file.  It does not mix the two: while a file is open in one way, an open in the
 * other is an error.  So the first open decides, and it holds until the last close:
 *
 *	first open   does the library give its file away (netfs_backing_begin())?
 *	others       as the first
 *	last close   the number and the file are given back
 *
 * The kernel has done with an open file when it tells that it was closed, so what is
 * counted here never goes before what the kernel counts.  It may keep a mapping for
 * longer, of which nobody is told; the file is exposed, which is enough (cache/proof.c).
 *
 * Who opens with O_DIRECT is served as always, also beside others who are not.
 *
 * A mount whose files can be had so is read-only: nobody writes, nothing is created.
 *
 * The record of a file is found by its vnode and not by the kernel's number for it,
 * because the kernel may forget the number before it tells of the last close.
 *
 * Locks: one for all records, held also while the library and the kernel are asked; both
 * answer at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "pass_abi.h"
#include "session.h"

/* p: guarded by the lock of struct netfs_fuse_passthrough. */
struct netfs_fuse_passed {
	struct netfs_list link; /* p */
	struct netfs_vnode *vnode; /* which the files keep */
	unsigned handles; /* p */
	int backing_id; /* 0: plain */
};

void netfs_fuse_passthrough_init(struct netfs_fuse_passthrough *pass)
{
	pthread_mutex_init(&pass->lock, NULL);
	for (unsigned i = 0; i < NETFS_PASSTHROUGH_BUCKETS; i++)
		netfs_list_init(&pass->open[i]);
}

void netfs_fuse_passthrough_done(struct netfs_fuse_passthrough *pass)
{
	pthread_mutex_destroy(&pass->lock);
}

/* ------------------------------------------------------------- greeting */

void netfs_fuse_passthrough_greet(struct netfs_fuse_session *session, const void *request,
				  size_t len)
{
	bool offered;
	uint64_t unique;

	if (session->pass.possible && netfs_pass_greeting(request, len, &unique, &offered) &&
	    offered)
		atomic_store(&session->pass.greeting, unique);
}

void netfs_fuse_passthrough_answer(struct netfs_fuse_session *session, const struct iovec *answer,
				   int niov)
{
	struct netfs_fuse_passthrough *pass = &session->pass;
	uint64_t unique = atomic_load_explicit(&pass->greeting, memory_order_relaxed);

	if (!unique || !netfs_pass_accept(answer, niov, unique))
		return;
	atomic_store(&pass->agreed, true);
	atomic_store(&pass->greeting, 0);
}

/* ---------------------------------------------------------------- files */

static struct netfs_list *bucket(struct netfs_fuse_passthrough *pass,
				 const struct netfs_vnode *vnode)
{
	uint64_t number = netfs_vnode_ino(vnode) * UINT64_C(0x9e3779b97f4a7c15);

	return &pass->open[number >> 32 & (NETFS_PASSTHROUGH_BUCKETS - 1)];
}

static struct netfs_fuse_passed *find_locked(struct netfs_fuse_passthrough *pass,
					     const struct netfs_vnode *vnode)
{
	struct netfs_list *link, *list = bucket(pass, vnode);

	netfs_list_for_each (link, list) {
		struct netfs_fuse_passed *passed =
			netfs_container_of(link, struct netfs_fuse_passed, link);

		if (passed->vnode == vnode)
			return passed;
	}
	return NULL;
}

/* Where it is the machine that does not allow it, there is no use in asking again. */
static void refused(struct netfs_fuse_session *session, int err)
{
	if (err == -ENOMEM || err == -ENFILE || err == -ENOSPC)
		return;
	if (!atomic_exchange(&session->pass.refused, true))
		netfs_fuse_log(session->config, NETFS_LOG_INFO,
			       "the kernel does not read files of the cache folder by itself: %s",
			       err == -ELOOP ? "its file system stands on another"
					     : strerror(-err));
}

/* The kernel's number for the file; 0: it is read as any other. */
static int give(struct netfs_fuse_session *session, struct netfs_vnode *vnode)
{
	int fd, id;

	if (atomic_load(&session->pass.refused))
		return 0;
	fd = netfs_backing_begin(vnode);
	if (fd < 0)
		return 0;
	id = netfs_pass_backing_open(session->fd, fd);
	if (id > 0)
		return id;
	netfs_backing_end(vnode);
	refused(session, id);
	return 0;
}

static struct netfs_fuse_passed *new_locked(struct netfs_fuse_session *session,
					    struct netfs_vnode *vnode, bool plain)
{
	struct netfs_fuse_passed *passed = malloc(sizeof(*passed));

	if (!passed)
		return NULL;
	passed->vnode = vnode;
	passed->handles = 0;
	passed->backing_id = plain ? 0 : give(session, vnode);
	netfs_list_push_front(bucket(&session->pass, vnode), &passed->link);
	return passed;
}

int netfs_fuse_passthrough_open(struct netfs_fuse_session *session,
				struct netfs_fuse_handle *handle, bool plain)
{
	struct netfs_fuse_passthrough *pass = &session->pass;
	struct netfs_vnode *vnode = netfs_file_vnode(handle->file);
	struct netfs_fuse_passed *passed;

	if (!atomic_load_explicit(&pass->agreed, memory_order_relaxed))
		return 0;
	pthread_mutex_lock(&pass->lock);
	passed = find_locked(pass, vnode);
	if (!passed)
		passed = new_locked(session, vnode, plain);
	if (passed)
		passed->handles++;
	pthread_mutex_unlock(&pass->lock);
	handle->passed = passed;
	return passed ? passed->backing_id : -ENOMEM;
}

void netfs_fuse_passthrough_close(struct netfs_fuse_session *session,
				  struct netfs_fuse_handle *handle)
{
	struct netfs_fuse_passthrough *pass = &session->pass;
	struct netfs_fuse_passed *passed = handle->passed;

	if (!passed)
		return;
	handle->passed = NULL;
	pthread_mutex_lock(&pass->lock);
	if (--passed->handles == 0) {
		netfs_list_remove(&passed->link);
		if (passed->backing_id) {
			netfs_pass_backing_close(session->fd, passed->backing_id);
			netfs_backing_end(passed->vnode);
		}
		free(passed);
	}
	pthread_mutex_unlock(&pass->lock);
}
