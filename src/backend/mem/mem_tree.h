/* SPDX-License-Identifier: MIT */
/*
 * The server behind the mem back end: a small file system in memory, played
 * within the process.  An author of a back end writes nothing like it; he has
 * a real server.  mem.c is the file to learn from.
 *
 * One lock, the caller's, guards every tree: all functions here are called
 * with it held, none blocks, and none calls back.  Results are 0 or a negative
 * errno, and ret_ pointers are untouched on failure.
 */
#ifndef BACKEND_MEM_TREE_H
#define BACKEND_MEM_TREE_H

#include <unetfs/backend.h>
#include <base/list.h>

/* Files are refused beyond this size, so that the table of chunks of one
 * stays below 128 MiB. */
#define NETFS_MEM_SIZE_MAX (UINT64_C(1) << 40)

/* One exported tree.  Dies with its last mount. */
struct netfs_mem_tree {
	struct netfs_list link; /* in the table of trees with a name */
	char *name; /* "": not in the table, one mount only */
	uint32_t mounts; /* how many have it open */
	struct netfs_list files; /* all struct netfs_mem_file of it */
	struct netfs_mem_file *root;
	uint64_t count; /* files in that list */
	uint64_t bytes; /* memory that holds their data */
	uint64_t last_ino; /* ids and cookies are never used again */
	uint64_t last_cookie;
};

/* One file of any type.  Lives while it has a name or a reference. */
struct netfs_mem_file {
	struct netfs_mem_tree *tree;
	struct netfs_list link; /* in tree->files */
	uint32_t refs; /* nodes and handles of back ends */
	struct netfs_attr attr;
	struct netfs_list xattrs; /* struct mem_xattr */
	struct netfs_mem_file *parent; /* directory: the one it is in */
	struct netfs_list entries; /* directory: struct mem_entry, by cookie */
	char *target; /* symbolic link: where it points */
	char **chunks; /* regular: the data; NULL is a hole */
	uint64_t nchunks;
};

/* An entry of a directory, copied so that it outlives the lock. */
struct netfs_mem_dirent {
	struct netfs_dirent entry;
	char name[NETFS_NAME_MAX];
};

/* The tree of that name, made where there is none.  "" is always a new one. */
int netfs_mem_tree_open(const char *name, struct netfs_mem_tree **ret_tree);
/* No reference to a file is left where this was the last mount. */
void netfs_mem_tree_close(struct netfs_mem_tree *tree);
void netfs_mem_tree_statfs(const struct netfs_mem_tree *tree, struct netfs_statfs *ret_statfs);

/* Drops a reference; get is ++file->refs. */
void netfs_mem_file_put(struct netfs_mem_file *file);
int netfs_mem_file_setattr(struct netfs_mem_file *file, const struct netfs_setattr *set);
/* Data or attributes changed now. */
void netfs_mem_file_modified(struct netfs_mem_file *file);
void netfs_mem_file_changed(struct netfs_mem_file *file);

/* Names.  make: attr says mode, uid, gid and rdev; target only for links. */
int netfs_mem_dir_find(struct netfs_mem_file *dir, const char *name,
		       struct netfs_mem_file **ret_file);
int netfs_mem_dir_make(struct netfs_mem_file *dir, const char *name, const struct netfs_attr *attr,
		       const char *target, struct netfs_mem_file **ret_file);
int netfs_mem_dir_link(struct netfs_mem_file *dir, const char *name, struct netfs_mem_file *file);
int netfs_mem_dir_remove(struct netfs_mem_file *dir, const char *name, bool directory);
int netfs_mem_dir_rename(struct netfs_mem_file *old_dir, const char *old_name,
			 struct netfs_mem_file *new_dir, const char *new_name, uint32_t flags);
/* Entries after cookie, at most max; how many.  ret_eof: these were the last. */
unsigned netfs_mem_dir_list(struct netfs_mem_file *dir, uint64_t cookie,
			    struct netfs_mem_dirent *ret_entries, unsigned max, bool *ret_eof);

/* Bytes of a regular file.  Reads beyond its end give zeroes.  write and copy
 * return how much was moved: less than len where memory ran out.  Ranges end
 * at NETFS_MEM_SIZE_MAX at most, which the caller checks. */
void netfs_mem_data_read(const struct netfs_mem_file *file, uint64_t start, char *buf, size_t len);
size_t netfs_mem_data_write(struct netfs_mem_file *file, uint64_t start, const char *buf,
			    size_t len);
/* from != to, or the ranges do not overlap. */
uint64_t netfs_mem_data_copy(struct netfs_mem_file *from, uint64_t from_start,
			     struct netfs_mem_file *to, uint64_t to_start, uint64_t len);
/* Makes bytes zero, and holes where whole chunks are. */
void netfs_mem_data_zero(struct netfs_mem_file *file, uint64_t start, uint64_t end);
void netfs_mem_data_resize(struct netfs_mem_file *file, uint64_t size);
/* whence: SEEK_DATA or SEEK_HOLE.  -ENXIO. */
int netfs_mem_data_seek(const struct netfs_mem_file *file, uint64_t start, int whence,
			uint64_t *ret_offset);
void netfs_mem_data_free(struct netfs_mem_file *file);

/* Extended attributes, as the functions of struct netfs_be_ops. */
int netfs_mem_xattr_get(struct netfs_mem_file *file, const char *name, struct netfs_op *op);
int netfs_mem_xattr_list(struct netfs_mem_file *file, struct netfs_op *op);
int netfs_mem_xattr_set(struct netfs_mem_file *file, const char *name, const void *value,
			size_t size, uint32_t flags);
int netfs_mem_xattr_remove(struct netfs_mem_file *file, const char *name);
void netfs_mem_xattr_free(struct netfs_mem_file *file);

#endif
