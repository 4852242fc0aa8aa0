/* SPDX-License-Identifier: MIT */
/*
 * The door of the FUSE front end: shows a mount of the library as a directory
 * tree of this machine.
 *
 * Life of a session: start() attaches the kernel and answers requests from
 * threads of its own; the connection ends when the kernel unmounts or somebody
 * aborts it, which is told by ended(); finish() then ends what is under way and
 * gives back all files and vnodes, so that the mount can be closed; free() comes
 * after that, because the mount may give notice to the last.
 */
#ifndef FUSE_FUSE_FRONT_H
#define FUSE_FUSE_FRONT_H

#include <unetfs/unetfs.h>
#include "mountinfo.h"

struct netfs_fuse_session;

/* The extended attribute that is no attribute of the file: set to "1" or "0" by root or
 * the owner of the mount on an open file, it calls netfs_pin(). */
#define NETFS_FUSE_PIN "system.unetfs.pin"

/* How the kernel is to see the mount. */
struct netfs_fuse_config {
	const char *source; /* shown in the mount table */
	const char *mount_point; /* absolute */
	unsigned long mount_flags; /* MS_RDONLY, MS_NOSUID ... of mount(2) */
	bool allow_other; /* other users than ours may use it */
	bool kernel_writeback; /* the kernel gathers writes: one client only */
	bool passthrough; /* files the library gives away are read by the kernel itself */
	bool trust_notices; /* only our notices make kernel pages stale */
	uint32_t readahead_kb; /* the kernel's read-ahead window */
	/* Messages for people.  May be called from any thread. */
	void (*log)(void *user, int level, const char *line);
	/* The connection is over.  Called once, from a thread of the session:
	 * only tell another thread.  Not called where start() fails. */
	void (*ended)(void *user);
	void *user;
};

/*
 * Attaches the kernel and returns when the mount is ready.  config and its
 * texts must outlive the session; mount must stay open until finish() is
 * over and be closed before free().  On failure nothing is left mounted and why
 * says the reason in one line.  Blocking.
 */
int netfs_fuse_start(const struct netfs_fuse_config *config, struct netfs_mount *mount,
		     char why[256], struct netfs_fuse_session **ret_session);
/* After ended(): cancels what waits, until no request, file or vnode of the
 * mount is held here.  -ETIMEDOUT where the library has not completed all
 * after timeout_ms: call it again. */
int netfs_fuse_finish(struct netfs_fuse_session *session, unsigned timeout_ms);
/* After finish(), and after the mount was closed.  NULL is allowed. */
void netfs_fuse_free(struct netfs_fuse_session *session);

/* What the kernel offers and we use: comma-separated words. */
const char *netfs_fuse_features(const struct netfs_fuse_session *session);
/* The minor number of the mount, as in mountinfo and /sys/fs/fuse. */
uint32_t netfs_fuse_minor(const struct netfs_fuse_session *session);

/* Takes a mount out of the tree: umount2(2), or fusermount3 for those who are
 * not root.  flags: MNT_DETACH, MNT_FORCE.  0 or negative errno. */
int netfs_fuse_unmount(const char *mount_point, int flags);
/* A descriptor that ends the connection of a mount when "1" is written to it;
 * mounts the control file system where it is missing.  Negative errno. */
int netfs_fuse_abort_open(uint32_t minor);
/* Ends the connection: every waiting process gets an error. */
int netfs_fuse_abort(uint32_t minor);

#endif
