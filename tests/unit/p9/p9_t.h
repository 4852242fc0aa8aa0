/* SPDX-License-Identifier: MIT */
/*
 * Helpers of the 9P tests against a real diod: a server in a folder of its own
 * that can be killed and started again, and operations that are waited for.
 */
#ifndef TESTS_P9_T_H
#define TESTS_P9_T_H

#include <t.h>
#include <sys/types.h>
#include <unetfs/backend.h>

/* A diod and the client connected to it. */
struct server {
	char dir[64]; /* temporary folder: "x" is exported, "s" the socket */
	char export[80];
	char socket[80];
	pid_t pid; /* 0: not running */
	struct netfs_be_host host;
	struct netfs_be *be;
	struct netfs_node *root;
	_Atomic unsigned ready; /* calls of host->ready */
	_Atomic unsigned lost; /* calls of host->state(false) */
	_Atomic unsigned back; /* calls of host->state(true) */
	struct netfs_option options[8];
	unsigned noptions;
	bool hard;
	uint32_t timeout_ms;
};

bool server_present(void);
void server_start(struct server *s); /* returns when the socket is there */
void server_kill(struct server *s);
/* Returns once no thread of it runs any more; SIGCONT lets it go on. */
void server_freeze(struct server *s);
/* Makes the folder, starts diod, connects. */
void server_up(struct server *s);
/* Disconnects, stops, removes the folder. */
void server_down(struct server *s);
int server_connect(struct server *s, char *message, size_t size);

/* One operation, waited for. */
struct top {
	struct netfs_op op;
	struct netfs_event event;
	int err;
};

void top_init(struct top *t);
int top_wait(struct top *t);

int t_lookup(struct netfs_node *dir, const char *name, struct netfs_node **ret_node,
	     struct netfs_attr *ret_attr);
int t_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_attr *ret_attr);
int t_setattr(struct netfs_node *node, struct netfs_handle *handle, const struct netfs_setattr *set,
	      struct netfs_attr *ret_attr);
int t_create(struct netfs_node *dir, const char *name, uint32_t flags, struct netfs_node **ret_node,
	     struct netfs_handle **ret_handle);
int t_open(struct netfs_node *node, uint32_t flags, struct netfs_handle **ret_handle);
int t_mkdir(struct netfs_node *dir, const char *name, struct netfs_node **ret_node);
int t_unlink(struct netfs_node *dir, const char *name);
int t_rmdir(struct netfs_node *dir, const char *name);
int t_rename(struct netfs_node *node, struct netfs_node *from, const char *old_name,
	     struct netfs_node *to, const char *new_name);
int t_fsync(struct netfs_handle *handle);
int t_lock(struct netfs_handle *handle, enum netfs_lock_type type, uint64_t owner,
	   enum netfs_lock_result *ret_result);

/* One slice in flight. */
struct tslice {
	struct netfs_slice slice;
	struct iovec iov[4];
	struct netfs_event event;
	size_t moved;
	int err;
	unsigned flags;
};

/* What the back end took, or its error. */
ssize_t tslice_start(struct tslice *t, struct netfs_handle *handle, enum netfs_slice_kind kind,
		     uint64_t start, void *buf, size_t len);
void tslice_wait(struct tslice *t);
/* All of it, piece by piece; bytes moved or an error. */
ssize_t t_io(struct netfs_handle *handle, enum netfs_slice_kind kind, uint64_t start, void *buf,
	     size_t len);

/* Names of a directory, sorted out by a callback for each. */
int t_list(struct netfs_node *dir, void (*each)(void *user, const char *name, size_t len),
	   void *user);

#endif
