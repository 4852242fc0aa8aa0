/* SPDX-License-Identifier: MIT */
/*
 * One simulated run: the product (client, vfs, core, 9P or SMB back end) on one side,
 * the server with its faults on the other, a workload between, and the model
 * of what every file must contain.
 *
 * A slot is one file of the workload with its model.  A slot does one step (one
 * call of the library, or a few reads and writes at once that cannot disturb
 * one another) at a time; several slots are busy at the same time.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <unetfs/unetfs.h>
#include "../fsx/fsx.h"
#include "cachedisk.h"
#include "cipher.h"
#include "ops.h"
#include "server.h"
#include "share.h"

#define SLOTS_MAX      6
#define DIRS_MAX       3
#define HANDLES_MAX    3
#define BATCH_MAX      4
#define PIECES_MAX     4
#define NAMES_SEEN_MAX 64
#define FILE_NAME_MAX  24
#define ERRORS_SEEN    256

enum step_kind {
	STEP_NONE,
	STEP_CREATE,
	STEP_LOOKUP,
	STEP_GETATTR,
	STEP_CHMOD,
	STEP_OPEN,
	STEP_READS, /* up to BATCH_MAX at once, anywhere */
	STEP_WRITE,
	STEP_MIX, /* reads and writes at once, ranges apart */
	STEP_APPEND,
	STEP_TRUNCATE,
	STEP_FSYNC,
	STEP_CLOSE, /* flush and release */
	STEP_RENAME,
	STEP_REPLACE, /* rename over the file of another slot */
	STEP_UNLINK,
	STEP_READDIR,
	STEP_MKDIR,
	STEP_RMDIR,
	STEP_SEEK, /* look for data or a hole */
	STEP_ALLOCATE, /* fallocate in one of its modes */
	STEP_COPY, /* copy a range on the server */
	STEP_ADVISE, /* a hint */
	STEP_BARRIER, /* a new group of writes */
	STEP_KINDS,
};

enum slot_state {
	SLOT_ABSENT,
	SLOT_PRESENT,
	SLOT_ORPHAN, /* unlinked and still open */
};

struct slot;

/* One read or write of a step. */
struct transfer {
	struct netfs_io io;
	struct iovec iov[PIECES_MAX];
	struct slot *slot;
	struct netfs_file *file;
	uint8_t *buf;
	unsigned flags; /* enum netfs_io_flags */
	bool write;
	bool running;
	uint64_t start;
	size_t len;
	ssize_t result;
};

struct open_handle {
	struct netfs_file *file; /* NULL: free */
	uint32_t flags;
	uint64_t errors_told; /* faults' errors when it last was told of them */
};

/* Listing a directory: what was seen, and what must not have changed. */
struct listing {
	struct netfs_file *file;
	unsigned dir;
	enum {
		LIST_OPEN,
		LIST_READ,
	} phase;
	uint64_t cookie;
	unsigned filled; /* by the call in flight */
	unsigned count;
	char names[NAMES_SEEN_MAX][FILE_NAME_MAX];
	uint64_t epochs[SLOTS_MAX];
};

struct slot {
	struct world *world;
	unsigned index;
	struct op_stream stream;
	struct rng rng; /* of the operation that runs */
	enum slot_state state;
	unsigned dir;
	char name[FILE_NAME_MAX];
	uint64_t epoch; /* changes when a step on the name begins or ends */
	bool has_scratch; /* its directory d<index> exists */
	struct netfs_vnode *vnode;
	struct node *node; /* the server's, where PRESENT */
	struct fsx_oracle model;
	bool lossy; /* the server may have lost some of it */
	bool recovering; /* by the step that runs */
	bool synced; /* nothing was changed since the last fsync */
	uint64_t errors_synced; /* faults' errors at the last fsync */
	struct open_handle handles[HANDLES_MAX];
	struct slot *partner; /* of STEP_REPLACE; cannot do steps meanwhile */
	bool held; /* is somebody's partner */

	/* The step that runs. */
	enum step_kind step;
	bool retry; /* the step must be made again until it succeeds */
	unsigned failures;
	uint64_t not_before; /* on the virtual clock */
	uint64_t number; /* of the step, for the bytes it writes */
	unsigned outstanding;
	int err;
	struct netfs_timer doubt; /* until the call's effect is certain */
	struct netfs_task doubt_task;
	bool cancelled;
	uint64_t errors_before; /* faults' errors when it began, and ended */
	uint64_t errors_after;
	uint64_t cuts_before;
	struct netfs_call call;
	struct netfs_setattr set;
	struct transfer batch[BATCH_MAX];
	unsigned batch_count;
	unsigned handle;
	uint32_t flags; /* of an open or create */
	uint64_t size; /* of a truncate; where an extra step begins */
	uint64_t extra_len; /* of an extra step */
	unsigned new_dir; /* of a rename */
	char new_name[FILE_NAME_MAX];
	struct listing list;
};

struct world_options {
	uint64_t seed;
	bool trace;
	bool quick;
	enum cipher_choice cipher; /* do the mounts encrypt content? */
	enum server_choice server; /* what does it speak? */
	enum disk_choice disk; /* does the mount have a disk cache? */
	bool calm; /* no faults */
	uint32_t without; /* a bit for each enum fault_switch that is off */
	uint64_t salt; /* another order of events, the same operations */
	const struct op_list *only; /* NULL: all operations */
	struct op_report *report; /* NULL: nobody wants to know */
	enum server_defect defect;
	uint64_t fsx; /* operations of the exerciser instead of the workload */
	uint64_t hostile; /* calls to a lying SMB server instead of it */
};

/* What a run did; goes to the parent process. */
struct world_result {
	uint64_t steps; /* of the workload */
	uint64_t events; /* of the simulated machine */
	uint64_t digest; /* of all of them */
	uint64_t virtual_ns;
	uint64_t faults;
	uint64_t requests;
	uint64_t from_disk; /* bytes that the disk cache gave */
};

enum quiesce {
	QUIESCE_NO,
	QUIESCE_SYNC, /* everything flushed, no orphans */
	QUIESCE_CLOSE, /* and everything closed */
	QUIESCE_LEAVE, /* everything closed, and no more: the journal has the rest */
};

struct world {
	const struct world_options *options;
	struct rng rng;
	struct faults faults;
	struct server server;
	struct netfs_client *client;
	struct netfs_mount *mount;
	char mount_options[512];
	bool cached; /* writes are buffered */
	bool close_writes; /* close waits until they are at the server */
	bool sync; /* every write is durable when it returns */
	bool groups; /* the workload begins new groups of writes */
	uint64_t errors_quiet; /* faults' errors when all was quiet last */
	struct {
		uint64_t at_ns;
		uint64_t errors;
	} errors_seen[ERRORS_SEEN]; /* at the last steps, a ring */
	unsigned errors_next; /* place in the ring */
	struct {
		char name[FILE_NAME_MAX];
		struct netfs_vnode *vnode;
		struct node *node;
	} dirs[DIRS_MAX];
	struct slot slots[SLOTS_MAX];
	unsigned slot_count;
	unsigned concurrency;
	uint32_t pause_max_ms; /* of whoever uses the files */
	uint64_t file_max;
	uint64_t op_max;
	uint64_t steps;
	uint64_t steps_max;
	uint8_t stretch;
	struct op_stream stream; /* what happens between stretches */
	enum quiesce quiesce;
	struct share share;
	struct cipher cipher;
	struct cachedisk cachedisk;
	struct netfs_timer nap_timer;
	struct netfs_task nap_task;
	bool napping;
};

/* Tells what is wrong and how to see it again; ends the process. */
_Noreturn void world_fail(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
_Noreturn void slot_fail(struct slot *slot, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* world.c */
void world_run(const struct world_options *options, struct world_result *ret_result);
/* Lets virtual time pass. */
void world_nap(struct world *world, uint64_t ns);
/* Runs the world until cond; a failure if that never comes. */
void world_wait(struct world *world, bool (*cond)(void *user), void *user, const char *what);

/* mount.c */
void mount_start(struct world *world);
void mount_again(struct world *world);
/* The same, but it dies: nothing is sent any more. */
void mount_dies(struct world *world);
/* Everything is synced and closed. */
void mount_check(struct world *world);
void mount_end(struct world *world);
void mount_draw_options(struct world *world);
/* A call and somebody who waits for it. */
int world_call(struct world *world, struct netfs_call *call, const char *what,
	       void (*issue)(struct world *world, struct netfs_call *call, void *user), void *user);

/* steps.c: draw a step and start it; data steps */
void step_begin(struct slot *slot);
/* Starts slot->step again with the same arguments. */
void step_issue(struct slot *slot);
const char *step_name(enum step_kind kind);
void slot_call_start(struct slot *slot);
void slot_init_calls(struct slot *slot);

/* extras.c: steps beside reads, writes and names */
bool extras_draw(struct slot *slot);
void extras_issue(struct slot *slot);
void extras_finish(struct slot *slot);

/* names.c: steps on names */
void names_issue(struct slot *slot);
void names_finish(struct slot *slot);

/* finish.c: a step has come to its end */
void step_finish(struct slot *slot);
/* Is err something the budget of faults.h excuses for the step? */
bool step_excused(struct slot *slot, int err);
void step_retry(struct slot *slot);
void step_done(struct slot *slot);

/* check.c: the server against the model */
void check_range(struct slot *slot, uint64_t start, uint64_t len, bool stable);
void check_file(struct slot *slot, bool stable);
void check_tree(struct world *world);

/* fsx_mode.c */
void fsx_mode(struct world *world);
/* hostile_mode.c */
void hostile_mode(struct world *world);

#endif
