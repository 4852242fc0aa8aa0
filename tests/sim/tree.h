/* SPDX-License-Identifier: MIT */
/*
 * What the simulated server stores: a tree of files, directories and symbolic
 * links.  Every file has two contents: what the server answers with, and what
 * would still be there after it lost power.  Names and sizes set by the client
 * are durable at once, written bytes only after a flush.
 *
 * Nodes stay allocated until the tree goes, also unlinked ones, so that a
 * pointer to one is always good.
 */
#ifndef TESTS_SIM_TREE_H
#define TESTS_SIM_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define TREE_NAME_MAX 255
/* Larger files are refused with -EFBIG. */
#define TREE_FILE_MAX (UINT64_C(64) << 20)

struct image {
	uint8_t *bytes; /* zero from size to room */
	uint64_t size;
	uint64_t room;
};

struct node;

struct entry {
	struct entry *next;
	struct node *node;
	uint64_t cookie; /* grows along the list */
	char name[TREE_NAME_MAX + 1];
};

struct node {
	struct node *next; /* of all nodes */
	struct node *parent; /* the directory of its newest name */
	uint64_t ino;
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t version;
	struct timespec atime;
	struct timespec mtime;
	struct timespec ctime;
	struct image now; /* files */
	struct image stable; /* files */
	uint64_t dirty_from; /* where the two may differ; no bytes: to <= from */
	uint64_t dirty_to;
	struct entry *entries; /* directories */
	uint64_t last_cookie;
	char *target; /* symbolic links */
};

struct tree {
	struct node *root;
	struct node *nodes;
	uint64_t last_ino;
};

int tree_init(struct tree *tree);
void tree_done(struct tree *tree);
/* All of these: 0 or a negative errno. */
int tree_make(struct tree *tree, struct node *dir, const char *name, uint32_t mode,
	      struct node **ret_node);
int tree_link(struct node *dir, const char *name, struct node *node);
int tree_unlink(struct node *dir, const char *name, bool is_dir);
int tree_rename(struct node *from, const char *old_name, struct node *to, const char *name);
/* NULL where there is none. */
struct node *tree_find(struct node *dir, const char *name);
/* The name that node has in dir, NULL where it has none. */
struct entry *tree_entry_of(struct node *dir, const struct node *node);

/* Writes to now, or sets the size of both. */
int node_write(struct node *node, uint64_t start, const void *bytes, size_t len);
int node_resize(struct node *node, uint64_t size);
/* Would a loss of power change the file? */
bool node_unstable(const struct node *node);
/* Takes the content of now for stable, or back again. */
int node_flush(struct node *node);
int tree_lose_power(struct tree *tree);
/* Marks a change of content. */
void node_touch(struct node *node);

#endif
