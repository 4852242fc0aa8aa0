/* SPDX-License-Identifier: MIT */
/* What the disk (disk.c) and the calls that reach it (hostfs.c) share. */
#ifndef ENV_SIM_DISK_IMPL_H
#define ENV_SIM_DISK_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <base/rng.h>
#include <env/sim/disk.h>

#define DISK_NAME 64

#define DISK_PAGE 4096

/* Shared by the copies of a disk until one of them writes to it. */
struct disk_page {
	unsigned refs;
	uint8_t data[DISK_PAGE];
};

/* A missing page is a hole. */
struct disk_bytes {
	struct disk_page **pages;
	size_t npages;
	uint64_t size;
};

/* A write, or with bytes NULL a new length, that is not on the disk yet. */
struct disk_change {
	uint64_t number; /* counted over the disk */
	uint64_t start;
	size_t len;
	uint8_t *bytes;
};

/* A name and what it leads to; of a change NULL: it was removed. */
struct disk_name {
	uint64_t number;
	char name[DISK_NAME];
	struct disk_node *node;
};

struct disk_names {
	struct disk_name *names;
	size_t count;
	size_t room;
};

struct disk_lock {
	const void *owner; /* the open file */
	short type;
	uint64_t start;
	uint64_t end;
};

struct disk_map {
	uint64_t start;
	size_t len;
	void *memory;
};

/* A file or a folder.  Owned by the disk; freed when nothing leads to it. */
struct disk_node {
	struct disk_node *next; /* of all */
	struct netfs_sim_disk *disk;
	uint64_t number;
	uint32_t mode;
	unsigned opens;
	bool reached; /* by the search for those nothing leads to */
	struct disk_bytes now; /* a file: what is read */
	struct disk_bytes safe; /* what is on the disk */
	struct disk_change *changes; /* what is between them, in order */
	size_t nchanges;
	size_t changes_room;
	struct disk_names names; /* a folder: what is found */
	struct disk_names safe_names; /* what is on the disk */
	struct disk_names name_changes; /* what is between them, in order */
	struct disk_lock locks[32];
	unsigned nlocks;
	struct disk_map maps[16];
	unsigned nmaps;
};

struct netfs_sim_disk {
	struct disk_node *root;
	struct disk_node *nodes;
	uint64_t nodes_made;
	uint64_t changes;
	struct netfs_rng luck;
	unsigned fail; /* of a million reads and changes */
	void (*before)(void *user);
	void *user;
};

/* Where absolute paths lead. */
extern struct netfs_sim_disk *netfs_sim_disk_current;

void disk_bytes_get(const struct disk_bytes *bytes, void *into, size_t len, uint64_t start);
struct disk_node *disk_find(const struct disk_node *folder, const char *name);
/* A further name, of one that has another. */
void disk_name(struct disk_node *folder, const char *name, struct disk_node *node);
/* A new file or folder of that name. */
struct disk_node *disk_make(struct disk_node *folder, const char *name, uint32_t mode);
void disk_remove(struct disk_node *folder, const char *name);
void disk_write(struct disk_node *node, const void *bytes, size_t len, uint64_t start);
void disk_cut(struct disk_node *node, uint64_t size);
void disk_sync(struct disk_node *node);
/* Does this one fail?  0 or a negative errno. */
int disk_fails(struct disk_node *node, bool change);

#endif
