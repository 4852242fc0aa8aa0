/* SPDX-License-Identifier: MIT */
/*
 * What the files of the dir back end share.  Start with dir.c.
 */
#ifndef BACKEND_DIR_DIR_H
#define BACKEND_DIR_DIR_H

#include <sys/stat.h>
#include <backend/backends.h>
#include <base/hash.h>
#include <base/list.h>
#include <env/executor.h>
#include <env/lock.h>
#include <env/timer.h>

/* Largest slice: what one submission moves at a time without hogging the disk. */
#define DIR_SLICE_MAX (1U << 20)
/* Slices in flight: enough to keep a fast disk busy. */
#define DIR_DEPTH 32
/* Names remembered of one object; of more hard links the oldest are forgotten. */
#define DIR_ALIASES_MAX 16

struct dir_node;

/*
 * The troubles to play, constant after connect but for the clock of the
 * throttle.  on is false where there are none, and nothing else is looked at.
 *
 * I: immutable after connect; m: mutex of the back end.
 */
struct dir_faults {
	bool on; /* I */
	bool heals; /* I: failed slices may be tried again */
	int err; /* I: what they fail with, negative */
	uint64_t delay_ns; /* I: every request takes so much longer */
	uint64_t bytes_per_s; /* I: 0 is unlimited */
	uint64_t one_in; /* I: so many data requests fail; 0: none */
	uint64_t busy_until_ns; /* m: the line is free for data again then */
	struct netfs_list pending; /* m: struct dir_late, while on */
};

/*
 * One mount of a local directory.  refs: one for the connection, one for each
 * handle that is being closed.
 *
 * I: immutable after connect; m: mutex.
 */
struct dir_be {
	struct netfs_be be; /* I */
	int root_fd; /* I: O_PATH */
	uint64_t root_dev; /* I */
	struct dir_node *root; /* I: with a reference */
	struct netfs_mutex mutex; /* rank NETFS_RANK_BACKEND */
	uint32_t refs; /* m */
	struct netfs_op *disconnect; /* m: waits for refs to be gone */
	struct netfs_hash nodes; /* m: struct dir_node by dev, ino, gen */
	uint32_t renames; /* m: renames under way */
	uint64_t renamed; /* m: how many have ended */
	struct netfs_list waiting; /* m: struct dir_req, until no rename is */
	struct dir_faults faults;
};

/* One name of an object, as far as we know. */
struct dir_alias {
	struct netfs_list link; /* in the node's aliases */
	struct dir_node *parent; /* a reference */
	char name[];
};

/*
 * One object.  There is at most one node for each (dev, ino, gen) in the table
 * of the back end, and it knows every name that we found it under.  It holds
 * no descriptor.  Freed with its last reference.
 *
 * I: immutable; m: mutex of the back end.
 */
struct dir_node {
	struct netfs_node node;
	struct netfs_hash_link link; /* m */
	bool hashed; /* m: is it in the table? */
	struct netfs_list aliases; /* m: struct dir_alias, the latest first */
	struct netfs_list locks; /* m: struct dir_lock_owner */
	uint32_t handles; /* m: how many are open; locks go with the last */
	struct dir_node *next_dead; /* m: while it is being freed */
	uint64_t dev; /* I */
	uint64_t ino; /* I: the file system's */
	uint64_t gen; /* I: from the time of birth */
	uint32_t type; /* I: S_IFMT bits */
};

/* One open file or directory with its own descriptor. */
struct dir_handle {
	struct netfs_handle handle;
	struct dir_node *node; /* I: a reference */
	int fd; /* I */
	struct netfs_job close_job;
};

/*
 * The end of one operation or slice, part of the memory that belongs to it,
 * which goes just before the completion.  o: only who works on it; m: mutex of
 * the back end.
 */
struct dir_late {
	struct dir_be *be; /* o */
	struct netfs_op *op; /* o: this, or else: */
	struct netfs_slice *slice; /* o */
	void *memory; /* o: what this is a part of */
	size_t moved; /* o */
	int err; /* o */
	unsigned flags; /* o */
	struct netfs_list link; /* m: dir_faults.pending */
	bool hurry; /* m: it was cancelled */
	bool held_back; /* m: it is over, and the timer runs */
	struct netfs_timer timer;
	struct netfs_task task;
};

/*
 * One operation, from the call until its completion, with its arguments.
 * Owned by the pool thread that runs it.  run may be called again: it returns
 * -ERESTART where a path moved away under its feet, and only before it changed
 * anything.
 */
struct dir_req {
	struct netfs_job job;
	struct dir_late late;
	struct netfs_list link; /* in dir_be.waiting */
	int (*run)(struct dir_req *req);
	struct dir_be *be;
	struct netfs_op *op;
	struct dir_node *node; /* the object, or the directory of name */
	struct dir_node *new_dir; /* link, rename: where to */
	struct dir_node *moved; /* rename: what moves */
	struct dir_handle *handle;
	struct dir_handle *to;
	const char *name;
	const char *new_name;
	const void *arg; /* symlink: target; setattr, xattr, lock: what is set */
	uint64_t start;
	uint64_t to_start;
	uint64_t len;
	uint32_t mode;
	uint32_t flags;
	dev_t rdev;
};

static inline struct dir_be *netfs_dir_be(struct netfs_be *be)
{
	return netfs_container_of(be, struct dir_be, be);
}

static inline struct dir_node *netfs_dir_node(struct netfs_node *node)
{
	return netfs_container_of(node, struct dir_node, node);
}

/* NULL stays NULL. */
static inline struct dir_handle *netfs_dir_handle(struct netfs_handle *handle)
{
	return handle ? netfs_container_of(handle, struct dir_handle, handle) : NULL;
}

/* dir.c: running operations. */
/* Copies *req and runs it on a pool thread; be is filled in from op's side. */
void netfs_dir_start(struct netfs_be *be, struct netfs_op *op, const struct dir_req *req);
/* Drops one of dir_be.refs; on a pool thread only. */
void netfs_dir_be_put(struct dir_be *be);

/* dir_path.c: nodes and where they are. */

/* As in backend.h. */
int netfs_dir_path(struct netfs_node *node, char *buf, size_t size);
/* What the host told about one object. */
struct dir_stat {
	struct stat st;
	uint64_t gen;
	struct netfs_time btime;
};
/* name "": the object of fd itself. */
int netfs_dir_stat(int fd, const char *name, struct dir_stat *ret_stat);
void netfs_dir_attr(const struct dir_be *be, const struct dir_stat *stat,
		    struct netfs_attr *ret_attr);
/* The node of what stat tells, found as name in parent (NULL: the root), with
 * a new reference.  -ENOMEM. */
int netfs_dir_node_get(struct dir_be *be, const struct dir_stat *stat, struct dir_node *parent,
		       const char *name, struct dir_node **ret_node);
/* Looks it up only.  NULL, or a new reference. */
struct dir_node *netfs_dir_node_find(struct dir_be *be, const struct dir_stat *stat);
/* Now it has that name too. */
int netfs_dir_node_add_name(struct dir_node *node, struct dir_node *parent, const char *name);
/* That name is gone; gone says so of the object.  NULL is allowed. */
void netfs_dir_node_drop_name(struct dir_node *node, struct dir_node *parent, const char *name,
			      bool gone);
void netfs_dir_node_free(struct netfs_node *node);
/* An O_PATH descriptor of node; ret_stat may be NULL.  -ESTALE where it is not
 * to be found any more, -ERESTART: see struct dir_req. */
int netfs_dir_node_open(struct dir_node *node, struct dir_stat *ret_stat);
/* Around a rename: between the two nobody gives an object up as lost. */
void netfs_dir_rename_begin(struct dir_be *be);
void netfs_dir_rename_end(struct dir_be *be);

/* dir_lock.c */
void netfs_dir_locks_drop(struct dir_node *node);
int netfs_dir_run_lock(struct dir_req *req);
int netfs_dir_run_getlock(struct dir_req *req);

/* dir_attr.c: struct dir_req.run of operations on one object. */
int netfs_dir_run_getattr(struct dir_req *req);
int netfs_dir_run_setattr(struct dir_req *req);
int netfs_dir_run_readlink(struct dir_req *req);
int netfs_dir_run_statfs(struct dir_req *req);
int netfs_dir_run_getxattr(struct dir_req *req);
int netfs_dir_run_listxattr(struct dir_req *req);
int netfs_dir_run_setxattr(struct dir_req *req);
int netfs_dir_run_removexattr(struct dir_req *req);

/* dir_name.c: the same on names. */
int netfs_dir_run_lookup(struct dir_req *req);
int netfs_dir_run_mknod(struct dir_req *req);
int netfs_dir_run_mkdir(struct dir_req *req);
int netfs_dir_run_symlink(struct dir_req *req);
int netfs_dir_run_link(struct dir_req *req);
int netfs_dir_run_unlink(struct dir_req *req);
int netfs_dir_run_rename(struct dir_req *req);
int netfs_dir_run_create(struct dir_req *req);

/* dir_io.c: the same on open files, and the functions of the table that are
 * not operations. */
int netfs_dir_run_open(struct dir_req *req);
int netfs_dir_run_readdir(struct dir_req *req);
int netfs_dir_run_fallocate(struct dir_req *req);
int netfs_dir_run_copy_range(struct dir_req *req);
int netfs_dir_run_clone_range(struct dir_req *req);
int netfs_dir_run_seek(struct dir_req *req);
/* Makes fd, which is consumed also on failure, a handle in op->handle. */
int netfs_dir_give_handle(struct dir_node *node, int fd, uint32_t flags, struct netfs_op *op);
void netfs_dir_handle_free(struct netfs_handle *handle);
ssize_t netfs_dir_transfer(struct netfs_handle *handle, struct netfs_slice *slice);
void netfs_dir_fsync(struct netfs_handle *handle, bool datasync, struct netfs_op *op);

/* dir_faults.c */
/* Reads the options.  -EINVAL with a reason in text. */
int netfs_dir_faults_init(struct dir_faults *faults, const struct netfs_be_config *config,
			  char *text, size_t text_size);
/* Shall this data request fail?  0, or with what; ret_flags: netfs_slice_flags. */
int netfs_dir_faults_draw(const struct dir_faults *faults, unsigned *ret_flags);
/* The first and the last step of every operation and slice.  Before begin: be,
 * memory, and op or slice are set.  end completes, later where it must be. */
void netfs_dir_late_begin(struct dir_late *late);
void netfs_dir_late_end(struct dir_late *late, size_t moved, int err, unsigned flags);
void netfs_dir_op_cancel(struct netfs_be *be, struct netfs_op *op);
void netfs_dir_slice_cancel(struct netfs_be *be, struct netfs_slice *slice);

#endif
