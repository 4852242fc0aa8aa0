/* SPDX-License-Identifier: MIT */
/*
 * What we agree with the kernel on, when it greets us.
 *
 * Everything wanted is listed here and nothing else is on, whatever libfuse
 * would choose by itself.  In particular no splice (slower than a copy at every
 * size measured) and no HANDLE_KILLPRIV (the kernel clears set-id bits by
 * itself then).
 *
 * Who says that the kernel's pages of a file are stale?  Two answers exist, and
 * the kernel takes one per mount.  AUTO_INVAL_DATA: whenever fresh attributes
 * show another mtime or size, the pages go, in the same moment in which a
 * process could see the new attributes; so whoever has seen the new time never
 * reads the old bytes.  It also drops pages after our own writes have changed the
 * mtime, which costs some hits.  EXPLICIT_INVAL_DATA: only our notices drop
 * pages; they come a little later than the attributes, from the notifier thread.
 * We take the first unless the mount is said to have one client only
 * (cache=loose, cache=immutable): correct before fast.
 */
#include <stdio.h>
#include <string.h>
#include "session.h"

/* Requests the kernel may have under way by itself, and from how many on it
 * holds back: enough to fill a long link with 1 MiB requests. */
#define MAX_BACKGROUND	     64
#define CONGESTION_THRESHOLD 48

struct feature {
	unsigned cap;
	const char *name;
};

static const struct feature features[] = {
	{FUSE_CAP_ASYNC_READ, "async_read"},
	{FUSE_CAP_ASYNC_DIO, "async_dio"},
	{FUSE_CAP_ATOMIC_O_TRUNC, "atomic_o_trunc"},
	{FUSE_CAP_PARALLEL_DIROPS, "parallel_dirops"},
	{FUSE_CAP_READDIRPLUS, "readdirplus"},
	{FUSE_CAP_READDIRPLUS_AUTO, "readdirplus_auto"},
	{FUSE_CAP_POSIX_LOCKS, "posix_locks"},
	{FUSE_CAP_FLOCK_LOCKS, "flock_locks"},
	{FUSE_CAP_CACHE_SYMLINKS, "cache_symlinks"},
	{FUSE_CAP_EXPORT_SUPPORT, "export_support"},
	{FUSE_CAP_IOCTL_DIR, "ioctl_dir"},
	{FUSE_CAP_AUTO_INVAL_DATA, "auto_inval_data"},
	{FUSE_CAP_EXPLICIT_INVAL_DATA, "explicit_inval_data"},
	{FUSE_CAP_WRITEBACK_CACHE, "writeback_cache"},
};

#define NFEATURES (sizeof(features) / sizeof(features[0]))

static bool wanted(const struct netfs_fuse_config *config, unsigned cap)
{
	switch (cap) {
	case FUSE_CAP_WRITEBACK_CACHE:
		return config->kernel_writeback;
	case FUSE_CAP_AUTO_INVAL_DATA:
		return !config->trust_notices;
	case FUSE_CAP_EXPLICIT_INVAL_DATA:
		return config->trust_notices;
	default:
		return true;
	}
}

static void describe(struct netfs_fuse_session *session, const struct fuse_conn_info *conn)
{
	size_t used = 0, size = sizeof(session->features);

	used += (size_t)snprintf(session->features, size, "fuse_%u.%u", conn->proto_major,
				 conn->proto_minor);
	for (size_t i = 0; i < NFEATURES && used < size; i++) {
		if (conn->want & features[i].cap)
			used += (size_t)snprintf(session->features + used, size - used, ",%s",
						 features[i].name);
	}
	/* The answer will say so, see passthrough.c. */
	if (atomic_load(&session->pass.greeting) && used < size)
		snprintf(session->features + used, size - used, ",passthrough");
}

void netfs_fuse_op_init(void *user, struct fuse_conn_info *conn)
{
	struct netfs_fuse_session *session = user;

	conn->want = 0;
	for (size_t i = 0; i < NFEATURES; i++) {
		if (wanted(session->config, features[i].cap))
			conn->want |= features[i].cap & conn->capable;
	}
	conn->max_write = NETFS_FUSE_DATA_MAX;
	/* libfuse ends the session where it differs from what it mounted with. */
	conn->max_read = session->max_read;
	conn->max_readahead = NETFS_FUSE_DATA_MAX;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = CONGESTION_THRESHOLD;
	conn->time_gran = 1;
	describe(session, conn);
}
