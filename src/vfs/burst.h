/* SPDX-License-Identifier: MIT */
/*
 * Bursts: files that are made one after the other in a directory.  What names the
 * directory has is then read at once, so that the names to come need not be looked up.
 *
 * Guarded by the mount's mutex, which functions that end in _locked need held and the
 * others take.
 */
#ifndef VFS_BURST_H
#define VFS_BURST_H

#include <stdbool.h>
#include <stdint.h>

#define NETFS_BURSTS 4 /* directories that files are made in at the same time */

struct netfs_mount;
struct netfs_vcall;
struct netfs_vnode;

/* The names of a directory, as numbers; 0 is none. */
struct netfs_nameset {
	uint64_t *slots; /* heap, room of them */
	uint32_t room; /* a power of two, or 0 */
	uint32_t count;
};

enum netfs_burst_state {
	NETFS_BURST_EARNING, /* names are looked up; names is empty */
	NETFS_BURST_READING, /* a call reads the directory; names has a part of them */
	NETFS_BURST_KNOWN, /* names has all there were at asked_ns, and what came since */
};

struct netfs_burst {
	struct netfs_vnode *dir; /* no reference; NULL: a free place */
	enum netfs_burst_state state;
	uint32_t row; /* names that were found missing and then made, with none between that
		       * was not */
	uint32_t served; /* names that were not looked up thanks to names */
	uint64_t missing; /* the number of one that was found missing, and not made yet; or 0 */
	uint64_t turn; /* of this state: a call that reads for another one stops */
	uint64_t used; /* the place is given away by this */
	uint64_t asked_ns; /* names is from then */
	uint64_t not_before_ns; /* the directory is not read again before */
	struct netfs_nameset names;
};

struct netfs_bursts {
	struct netfs_burst place[NETFS_BURSTS];
	uint64_t turn;
};

void netfs_bursts_done(struct netfs_bursts *bursts);

/* A name in dir is looked up.  True: there is no such name, without asking. */
bool netfs_burst_missing(struct netfs_vnode *dir, const char *name);
/* The server knew no such name. */
void netfs_burst_missed_locked(struct netfs_vnode *dir, const char *name);
/* The name is there, or may be. */
void netfs_burst_there_locked(struct netfs_vnode *dir, const char *name);
/* v made a file called v->name in v->dir. */
void netfs_burst_made(struct netfs_vcall *v);
/* Nothing is known of dir any more. */
void netfs_burst_drop_locked(struct netfs_vnode *dir);

#endif
