/* SPDX-License-Identifier: MIT */
/*
 * One open instance of a file or directory.
 */
#ifndef VFS_FILE_H
#define VFS_FILE_H

#include <stdatomic.h>
#include <base/list.h>
#include <core/core.h>
#include <unetfs/unetfs.h>
#include <vfs/ask.h>
#include <vfs/mount.h>
#include <vfs/vcall.h>
#include <vfs/vnode.h>

struct netfs_batch;

/*
 * Made by an open, freed by its release.  Keeps its vnode.
 *
 * I: immutable; v: the vnode's mutex.
 */
struct netfs_file {
	struct netfs_vnode *vnode; /* I: a reference */
	struct netfs_handle *handle; /* I: a reference */
	uint32_t flags; /* I: as open(2) */
	bool readable; /* I: for its user, whatever the handle can */
	bool writable; /* I */
	_Atomic bool locked; /* a: it was used to take locks */
	struct netfs_opener opener; /* the core's */
	uint32_t errors_seen; /* the core's errseq; under v */
	struct netfs_list link; /* v: in vnode->files */
	struct netfs_batch *batch; /* v: entries read and not yet taken */
};

/* handle is taken over in any case.  -ENOMEM. */
int netfs_file_make(struct netfs_vnode *vnode, struct netfs_handle *handle, uint32_t flags,
		    struct netfs_file **ret_file);
/* The disk cache need not keep the vnode's data at hand for one more file. */
void netfs_file_unuse_cache(struct netfs_vnode *vnode);
/* The write-back error this file was not told yet, once. */
int netfs_file_error(struct netfs_file *file);
/* From a step: goes on with v->then once vnode's attributes are of the server's
 * present version, or with the error. */
void netfs_vcall_refetch(struct netfs_vcall *v, struct netfs_vnode *vnode,
			 struct netfs_handle *handle);
/* From a step: v->vnode gets the size v->set.size (and what else v->set says), at
 * the server and here; goes on with v->then. */
void netfs_vcall_resize(struct netfs_vcall *v);
void netfs_batch_free(struct netfs_batch *batch);

/* ------------------------------------------------- shared by name calls */

/* -ENAMETOOLONG, -EINVAL, or 0 for a name that a server may be asked for. */
int netfs_name_check(const char *name);
/* Is it the file that says which key the content is encrypted with? */
bool netfs_name_of_key(const struct netfs_vnode *dir, const char *name, size_t len);
/* For calls that change something in dir: also -EROFS, -ENOTDIR, -EPERM. */
int netfs_name_check_change(struct netfs_vnode *dir, const char *name);
/* Forgets (dir, name), because we changed it or tried to. */
void netfs_name_changed(struct netfs_vnode *dir, const char *name);
/* The same for (v->dir, v->name), whose change was asked for with v->asked and is
 * answered: also takes what the answer tells of the directory. */
void netfs_vcall_name_changed(struct netfs_vcall *v);
/* Remembers that (dir, name) leads to vnode, because we made it so. */
void netfs_name_made(struct netfs_vnode *dir, const char *name, struct netfs_vnode *vnode);
/* The vnode of a name that is still believed, with a reference, or NULL. */
struct netfs_vnode *netfs_name_cached(struct netfs_vnode *dir, const char *name,
				      uint32_t *ret_ttl_ms);
/* What the name cache has, fresh or not, with a reference; NULL: nothing. */
struct netfs_vnode *netfs_name_hint(struct netfs_vnode *dir, const char *name);
/* Is it a name that this mount made up for an open file that was removed? */
bool netfs_silly_hidden(struct netfs_vnode *dir, const char *name, size_t len);
/* Bytes of a small file that nobody has here and that will be read as a whole, if it is
 * opened for reading; else 0. */
uint32_t netfs_file_reads(struct netfs_vnode *vnode);
/* Fills in the caller's attr and times to live. */
void netfs_vcall_show(struct netfs_vcall *v, struct netfs_vnode *vnode);
/* Enters what ask, a lookup or creation of (dir, name), told; remembers the
 * name.  ret_ttl_ms: how long it may be believed. */
int netfs_name_enter(struct netfs_vnode *dir, const char *name, struct netfs_ask *ask,
		     const struct netfs_asked *asked, bool created, struct netfs_vnode **ret_vnode,
		     uint32_t *ret_ttl_ms);
/* The same for a call's own question. */
int netfs_vcall_enter(struct netfs_vcall *v, struct netfs_vnode *dir, const char *name,
		      bool created, struct netfs_vnode **ret_vnode);
/* From a step: v->target becomes the vnode of (dir, name), from the name cache
 * or the server; next gets 0, -ENOENT (target is NULL then), or another error.
 * Uses v->then, v->asked.  dir and name must last until then. */
void netfs_vcall_resolve(struct netfs_vcall *v, struct netfs_vnode *dir, const char *name,
			 netfs_step_fn next);
/* From a step: gives v->target, which is (dir, name), a name of our own, because
 * somebody has it open. */
void netfs_vcall_silly(struct netfs_vcall *v, struct netfs_vnode *dir, const char *name,
		       netfs_step_fn next);
/* Must target be kept under another name when its name goes? */
bool netfs_silly_needed(struct netfs_vnode *target);
/* From a step: is a silly name in the way of the removal of dir?  Then next gets 0 once it
 * is gone, or was moved to the directory that dir is in, and there may be more of them;
 * or why that failed.  False: there is none, and next is not called. */
bool netfs_vcall_silly_clear(struct netfs_vcall *v, struct netfs_vnode *dir, struct netfs_vnode *to,
			     netfs_step_fn next);
/* The last file of vnode went: its silly name may go as well. */
void netfs_silly_release(struct netfs_vnode *vnode);

#endif
