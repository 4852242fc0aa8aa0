/* SPDX-License-Identifier: MIT */
/*
 * A client with one mount in a simulated machine, and the blocking form of what
 * the tests here do often.  Each helper fails the test where the call does.
 */
#ifndef TESTS_UNIT_VFS_WORLD_H
#define TESTS_UNIT_VFS_WORLD_H

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unetfs/unetfs.h>
#include <client/client.h>
#include <t.h>

struct world {
	struct netfs_client *client;
	struct netfs_mount *keeper; /* keeps the tree alive */
	struct netfs_mount *mount;
	struct netfs_vnode *root;
};

/* A new simulated machine, a client and a mount of mem:share through ops. */
void world_start(struct world *world, const struct netfs_be_ops *ops, const char *options);
/* Closes, frees, and checks that nothing is left. */
void world_stop(struct world *world);
/* Mounts anew; what double_caps() said counts from now on. */
void world_remount(struct world *world, const char *options);
/* A further mount of the same tree. */
struct netfs_mount *world_mount(struct world *world, const struct netfs_be_ops *ops,
				const char *options);
int world_close(struct netfs_mount *mount, uint32_t flags);
/* Lets the world run until nothing is runnable, or for some virtual time. */
void world_idle(void);
void world_sleep_ms(uint64_t ms);
uint64_t world_stat(struct netfs_mount *mount, const char *name);

int w_lookup(struct netfs_vnode *dir, const char *name, struct netfs_vnode **ret_vnode);
struct netfs_vnode *w_find(struct netfs_vnode *dir, const char *name);
struct netfs_vnode *w_mkdir(struct netfs_vnode *dir, const char *name);
/* vnode may be NULL. */
struct netfs_file *w_create(struct netfs_vnode *dir, const char *name,
			    struct netfs_vnode **ret_vnode);
struct netfs_file *w_open(struct netfs_vnode *vnode, uint32_t flags, bool *ret_keep);
void w_write(struct netfs_file *file, const char *text, uint64_t start);
/* What file has from start on equals text, and ends there. */
void w_expect(struct netfs_file *file, const char *text, uint64_t start);
int w_flush(struct netfs_file *file);
/* flush and release. */
void w_close(struct netfs_file *file);
struct netfs_attr w_getattr(struct netfs_vnode *vnode);
int w_unlink(struct netfs_vnode *dir, const char *name);
int w_rename(struct netfs_vnode *dir, const char *from, const char *to, uint32_t flags);
/* Makes a file with text in it and closes it. */
void w_put(struct netfs_vnode *dir, const char *name, const char *text);

/* A call whose end is noticed without waiting. */
struct w_call {
	struct netfs_call call;
	bool ended;
	int err;
};

void w_call_init(struct w_call *call);

#endif
