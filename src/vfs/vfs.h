/* SPDX-License-Identifier: MIT */
/*
 * The door of the folder, for the assembler (src/client).  A mount is made in
 * three acts: new, connect (the assembler's, with netfs_mount_host()), start.
 * Everything else on it is in <unetfs/unetfs.h>.
 */
#ifndef VFS_VFS_H
#define VFS_VFS_H

#include <env/lock.h>
#include <obs/stats.h>
#include <unetfs/backend.h>
#include <unetfs/unetfs.h>

struct netfs_budget;
struct netfs_crypt;
struct netfs_journal;
struct netfs_left;

/* A time to live that never ends. */
#define NETFS_TTL_FOREVER UINT32_MAX

/* What a mount is to be like.  Copied by netfs_mount_new(). */
struct netfs_vfs_config {
	struct netfs_budget *budget; /* outlives the mount */
	struct netfs_mutex *call_mutex; /* rank CALL, outlives every call */
	const char *source; /* for people */
	const char *cache_mode; /* its name, static */

	struct netfs_cache *cache; /* for file data; NULL: none */
	struct netfs_journal *journal; /* the mount's from its start on; NULL: none */
	struct netfs_left *left; /* with a journal: of those before; the mount's likewise */
	bool sync_local; /* what is in the journal is durable */
	uint32_t attr_ttl_ms; /* attributes of anything but directories */
	uint32_t dir_ttl_ms; /* attributes of directories */
	uint32_t entry_ttl_ms; /* names that exist */
	uint32_t negative_ttl_ms; /* names that do not */
	uint32_t watched_ms; /* this much longer where the server tells of changes; 0: no watch */
	bool read_only;
	bool immutable; /* and read_only: no file ever changes */
	bool unbuffered; /* no file data is kept in memory */
	bool revalidate; /* ask for attributes at each open */
	bool close_writes; /* close(2) waits for the data to be sent */
	bool sync; /* every write is durable at once */
	bool server_locks; /* ask the server for locks, where it has them */

	uint32_t dirty_age_ms; /* the following five as in netfs_core_config */
	uint32_t rasize;
	uint32_t rsize;
	uint32_t wsize;
	bool hard;
	uint32_t retry_ms;
	struct netfs_crypt *crypt; /* NULL: content is not encrypted */

	/* One line for people; may be NULL. */
	void (*log)(void *user, int level, const char *line);
	/* The mount was freed and used the cache last; called once, by a close
	 * that succeeded. */
	void (*closed)(void *user, struct netfs_cache *cache);
	void *user;
};

/* -ENOMEM. */
int netfs_mount_new(const struct netfs_vfs_config *config, struct netfs_mount **ret_mount);
/* For a mount that was never started. */
void netfs_mount_free(struct netfs_mount *mount);
/* Content is encrypted with that key, which is the mount's from now on.  Before
 * it is started. */
void netfs_mount_set_crypt(struct netfs_mount *mount, struct netfs_crypt *crypt);
/* The name of the file in the root that says which key it is: nobody sees it. */
#define NETFS_CRYPT_NAME ".unetfs-crypt"
/* What the back end is told at connect. */
struct netfs_be_host *netfs_mount_host(struct netfs_mount *mount);
/* The connection stands: be, the root's node and attributes are its results.
 * Takes over be and node where it succeeds.  -ENOMEM, -ENOTDIR. */
int netfs_mount_start(struct netfs_mount *mount, struct netfs_be *be, struct netfs_node *node,
		      const struct netfs_attr *attr);

/* Is it a name that some mount made up for an open file that was removed? */
bool netfs_name_silly(const char *name);
/* What is written through file is in a journal already. */
void netfs_file_redo(struct netfs_file *file);
/* Forgets what is in memory of the file, also what is unsent, once nothing of it is
 * under way.  What was acknowledged is lost, unless it is somewhere else.  -EOPNOTSUPP:
 * content is encrypted, and nothing is forgotten. */
void netfs_file_undo(struct netfs_file *file, struct netfs_call *call);

/* ------------------------------------------- files that are held back */

/* Nobody gets at that file, but through the restorer's call, until it was given back
 * as often as it was held back.  Before the mount serves.  what: the restorer's.
 * -ENOMEM. */
int netfs_mount_hold_back(struct netfs_mount *mount, uint64_t ino, uint64_t gen, void *what);
/* It is as it should be, or stays as it is.  next: another what of the same file, where
 * it was held back more than once.  After the last of all the mount may be gone. */
void netfs_mount_restored(struct netfs_mount *mount, uint64_t ino, uint64_t gen, void *next);
/* What somebody waits for, or NULL. */
void *netfs_mount_held_wanted(struct netfs_mount *mount);
/* Before the first file is held back.  The mount lasts until the last is given back. */
void netfs_mount_set_restorer(struct netfs_mount *mount, const struct netfs_call *call);
/* Was the mount told to give up what is unsent? */
bool netfs_mount_aborted(const struct netfs_mount *mount);

/* Completes a caller's call; for the assembler's own. */
void netfs_call_complete(struct netfs_call *call, int err);

#endif
