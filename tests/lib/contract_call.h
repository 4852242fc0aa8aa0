/* SPDX-License-Identifier: MIT */
/*
 * What the files of the contract check share: one connection, and operations
 * and slices that are waited for.  Each call of a c_ function makes a new
 * struct netfs_op, which is kept until the end, so that a second completion is
 * noticed whenever it comes.
 */
#ifndef TESTS_LIB_CONTRACT_CALL_H
#define TESTS_LIB_CONTRACT_CALL_H

#include <contract.h>
#include <t.h>
#include <base/list.h>

struct contract {
	const struct netfs_be_ops *ops;
	struct netfs_be *be;
	struct netfs_be_host host;
	struct t_counter ready; /* calls of host->ready */
	struct t_counter changed; /* of host->changed */
	struct t_counter ups, downs; /* of host->state, connected and not */
	char state[512]; /* what it said last; ready.mutex */
	struct netfs_node *root; /* of the export */
	struct netfs_attr root_attr;
	struct netfs_node *home; /* the directory the check works in */
	unsigned flags; /* enum contract_flags */
	struct netfs_cred cred; /* who asks */
	struct netfs_list calls; /* struct c_call, all of them */
	struct netfs_list slices; /* struct c_slice, all of them */
};

/* Starts the executor and connects.  On failure the executor is stopped, why
 * (256 bytes) says why not, and the error is returned. */
int c_connect(struct contract *c, const struct netfs_be_ops *ops, const struct netfs_source *source,
	      const char *options, char *why);
/* Drops the root, disconnects, stops the executor, and checks that everything
 * was completed once. */
void c_disconnect(struct contract *c);

/* One operation and its result. */
struct c_call {
	struct netfs_op op;
	struct netfs_list link;
	struct netfs_event event;
	_Atomic int dones;
	int err;
	void *user; /* of whoever sets op.fill */
};

struct c_call *c_call(struct contract *c);
/* Waits; the error it ended with. */
int c_wait(struct c_call *call);

/* One slice.  iov is its own copy. */
struct c_slice {
	struct netfs_slice slice;
	struct netfs_list link;
	struct netfs_event event;
	_Atomic int dones;
	struct iovec iov[8];
	size_t moved;
	int err;
	unsigned flags;
};

/* Offers [start, start + len) in pieces of at most piece bytes (0: one); waits
 * while the back end says -EAGAIN.  Returns what ops->read or write did. */
ssize_t c_slice_start(struct contract *c, struct netfs_handle *handle, enum netfs_slice_kind kind,
		      uint64_t start, struct iovec whole, size_t piece, struct c_slice **ret_slice);
void c_slice_wait(struct c_slice *slice);

/* All of it, with as many slices as it takes; bytes up to the end of the file,
 * or the error that is there to stay.  Holes are filled in. */
ssize_t c_read(struct contract *c, struct netfs_handle *handle, uint64_t start, void *buf,
	       size_t len);
ssize_t c_write(struct contract *c, struct netfs_handle *handle, uint64_t start, const void *buf,
		size_t len);

/* Operations, waited for.  ret_ pointers may be NULL; a node or handle nobody
 * wants is put.  attr is also checked for sanity. */
int c_lookup(struct contract *c, struct netfs_node *dir, const char *name,
	     struct netfs_node **ret_node, struct netfs_attr *ret_attr);
int c_getattr(struct contract *c, struct netfs_node *node, struct netfs_handle *handle,
	      struct netfs_attr *ret_attr);
int c_setattr(struct contract *c, struct netfs_node *node, struct netfs_handle *handle,
	      const struct netfs_setattr *set, struct netfs_attr *ret_attr);
int c_mkdir(struct contract *c, struct netfs_node *dir, const char *name,
	    struct netfs_node **ret_node);
int c_unlink(struct contract *c, struct netfs_node *dir, const char *name);
int c_rmdir(struct contract *c, struct netfs_node *dir, const char *name);
int c_rename(struct contract *c, struct netfs_node *old_dir, const char *old_name,
	     struct netfs_node *new_dir, const char *new_name, uint32_t flags);
int c_create(struct contract *c, struct netfs_node *dir, const char *name, uint32_t flags,
	     struct netfs_node **ret_node, struct netfs_handle **ret_handle);
int c_open(struct contract *c, struct netfs_node *node, uint32_t flags,
	   struct netfs_handle **ret_handle);
/* A file with that content; asserts success. */
void c_make_file(struct contract *c, struct netfs_node *dir, const char *name, const char *content);
/* Reads a file by name and asserts its content. */
void c_expect_file(struct contract *c, struct netfs_node *dir, const char *name,
		   const char *content);

/* The parts of the check; each leaves home empty. */
void contract_names(struct contract *c);
void contract_renames(struct contract *c);
void contract_attributes(struct contract *c);
void contract_directories(struct contract *c);
void contract_data(struct contract *c);
void contract_traffic(struct contract *c);

#endif
