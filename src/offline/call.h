/* SPDX-License-Identifier: MIT */
/* One operation, for the files of this folder that serve them. */
#ifndef OFFLINE_CALL_H
#define OFFLINE_CALL_H

#include <offline/offline_impl.h>

enum call_kind {
	CALL_LOOKUP,
	CALL_GETATTR,
	CALL_SETATTR,
	CALL_READLINK,
	CALL_MKNOD,
	CALL_MKDIR,
	CALL_SYMLINK,
	CALL_LINK,
	CALL_UNLINK,
	CALL_RMDIR,
	CALL_RENAME,
	CALL_CREATE,
	CALL_OPEN,
	CALL_READDIR,
	CALL_FSYNC,
	CALL_FALLOCATE,
	CALL_COPY_RANGE,
	CALL_CLONE_RANGE,
	CALL_SEEK,
	CALL_STATFS,
	CALL_GETXATTR,
	CALL_LISTXATTR,
	CALL_SETXATTR,
	CALL_REMOVEXATTR,
	CALL_LOCK,
	CALL_GETLOCK,
	CALL_KINDS,
};

enum call_stage {
	CALL_BINDING, /* its nodes and handles get their addresses */
	CALL_ASKED, /* the one behind has it */
	CALL_WAITING, /* until the server is there */
	CALL_KNOWN, /* the store is asked, or it is about to end */
};

/*
 * One operation between its caller and the one behind.  Freed when both its end and
 * those who call it off are through.
 *
 * I: immutable; l: the connection's lock; o: whoever works on it.
 */
struct offline_call {
	struct netfs_op op; /* o: what the one behind gets */
	struct netfs_op *outer; /* I: whose it is; NULL: nobody waits for it */
	struct offline *offline; /* I */
	struct netfs_list link; /* l: in offline->calls */
	_Atomic uint32_t refs;
	enum call_kind kind; /* I */
	enum call_stage stage; /* l */
	bool cancelled; /* l: by its caller */
	bool given_up; /* l: the server went away */
	bool filled; /* o: readdir: its caller got something */
	bool changing; /* o: a change of ours has begun */
	uint64_t stamp; /* o: when it was asked */
	unsigned step; /* o: how many of its addresses are there */
	struct offline_wait wait; /* o */
	struct netfs_note note; /* o: its question to the store */
	char *text; /* o: owned: entries that came, or room for those of the store */
	size_t text_size;
	size_t text_len;

	/* Arguments, I.  Its caller keeps what they point at. */
	struct offline_node *node;
	struct offline_node *dir;
	struct offline_node *new_dir;
	struct offline_handle *handle;
	struct offline_handle *handle_to;
	const char *name;
	const char *new_name;
	const void *value;
	uint32_t flags;
	uint32_t mode;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint64_t start;
	uint64_t start_to;
	uint64_t len;
	const struct netfs_setattr *set;
	struct netfs_lock lock;
};

static inline struct netfs_name_id offline_id(const struct offline_node *node)
{
	return (struct netfs_name_id){node->object->ino, node->object->gen};
}

/* call.c.  One for outer, with no arguments yet.  NULL: no memory, and outer ended. */
struct offline_call *offline_call_new(struct netfs_be *be, enum call_kind kind,
				      struct netfs_op *outer);
/* It has its arguments: it goes its way. */
void offline_call_start(struct offline_call *call);
/* Ends it: its results are in call->op, with nodes and handles of ours. */
void offline_call_finish(struct offline_call *call, int err);
/* A copy of it that nobody waits for goes to the server when that is there. */
void offline_call_leave(struct offline_call *call);

/* known.c: answers it from what is known. */
void offline_call_know(struct offline_call *call);

/* told.c.  A change begins, if it is one, and has ended. */
void offline_call_changes(struct offline_call *call);
void offline_call_changed(struct offline_call *call, int err);
/* The server answered: notes it, and makes the results ours.  Returns the error to
 * end with. */
int offline_call_told(struct offline_call *call, int err);
/* One more entry of a listing came. */
void offline_call_listed(struct offline_call *call, const struct netfs_dirent *entry);

#endif
