/* SPDX-License-Identifier: MIT */
/*
 * One question to the back end, and the one door through which all questions
 * about names and attributes go.
 */
#ifndef VFS_ASK_H
#define VFS_ASK_H

#include <unetfs/backend.h>

struct netfs_mount;

enum netfs_ask_kind {
	NETFS_ASK_LOOKUP,
	NETFS_ASK_GETATTR,
	NETFS_ASK_SETATTR,
	NETFS_ASK_READLINK,
	NETFS_ASK_MKNOD,
	NETFS_ASK_MKDIR,
	NETFS_ASK_SYMLINK,
	NETFS_ASK_LINK,
	NETFS_ASK_UNLINK,
	NETFS_ASK_RMDIR,
	NETFS_ASK_RENAME,
	NETFS_ASK_CREATE,
	NETFS_ASK_OPEN,
	NETFS_ASK_READDIR,
	NETFS_ASK_FSYNC,
	NETFS_ASK_FALLOCATE,
	NETFS_ASK_COPY_RANGE,
	NETFS_ASK_CLONE_RANGE,
	NETFS_ASK_SEEK,
	NETFS_ASK_STATFS,
	NETFS_ASK_GETXATTR,
	NETFS_ASK_LISTXATTR,
	NETFS_ASK_SETXATTR,
	NETFS_ASK_REMOVEXATTR,
	NETFS_ASK_LOCK,
	NETFS_ASK_GETLOCK,
	NETFS_ASK_COUNT,
};

/*
 * A question: its arguments by name, and the operation the back end sees.
 * Which arguments count follows from kind.  The nodes and handles are
 * references that the question owns and drops before done().
 */
struct netfs_ask {
	struct netfs_op op; /* cred, fill and buf are set by the asker */
	void (*done)(struct netfs_ask *ask, int err);
	struct netfs_mount *mount;
	enum netfs_ask_kind kind;

	struct netfs_node *node; /* the object */
	struct netfs_node *dir; /* the directory that name is in */
	struct netfs_node *new_dir; /* rename */
	struct netfs_handle *handle;
	struct netfs_handle *handle_to; /* copy_range, clone_range */
	const char *name;
	const char *new_name; /* rename; the target of a symlink */
	const void *value; /* setxattr */
	uint32_t flags;
	uint32_t mode;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint64_t start; /* readdir: the cookie */
	uint64_t start_to;
	uint64_t len;
	const struct netfs_setattr *set;
	const struct netfs_lock *lock;
};

/* Forgets arguments and results, for a new question. */
void netfs_ask_init(struct netfs_ask *ask, struct netfs_mount *mount, enum netfs_ask_kind kind);
/* Sends it.  done() is called exactly once, perhaps before this returns. */
void netfs_ask_send(struct netfs_ask *ask);
/* Asks that it end soon.  Looks at nothing inside ask, so it is harmless also
 * when ask ended, or is being prepared again, as long as mount lives. */
void netfs_ask_cancel(struct netfs_mount *mount, struct netfs_ask *ask);

#endif
