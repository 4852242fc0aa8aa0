/* SPDX-License-Identifier: MIT */
/*
 * The memory of a client: how much there is, what may go, who has to wait.
 * Inside the core only; the door shows netfs_budget_new() and the like.
 */
#ifndef CORE_BUDGET_H
#define CORE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <base/list.h>
#include <env/lock.h>

struct netfs_core;
struct netfs_folio;
struct netfs_inode;
struct netfs_io;

/*
 * I: immutable; a: atomic; b: mutex (rank BUDGET); w: dirty_mutex (rank
 * WRITEBACK).  cores_mutex has rank CORES.
 */
struct netfs_budget {
	uint64_t memory_max; /* I */
	uint64_t dirty_max; /* I */
	_Atomic uint64_t used; /* a: bytes in blocks */
	_Atomic uint64_t dirty; /* a: bytes not at the server, of all files */
	_Atomic uint64_t stuck; /* a: of these, refused by a server */

	struct netfs_mutex mutex;
	struct netfs_list queue; /* b: folios, newest first */
	struct netfs_list *hand; /* b: where the search for a victim goes on */
	uint64_t queued; /* b: folios in it */
	struct netfs_list cheap; /* b: folios that the disk cache has too, newest first */
	_Atomic uint64_t cheap_bytes; /* a: of these; changed with b */
	uint64_t cheap_max; /* I */
	struct netfs_list objects; /* b: struct netfs_object not in use, oldest first */
	uint64_t object_bytes; /* b: of all, in use or not */

	struct netfs_mutex dirty_mutex;
	struct netfs_list throttled; /* w: struct netfs_io_state that wait */

	struct netfs_mutex cores_mutex;
	struct netfs_list cores; /* cores_mutex: struct netfs_core */
	_Atomic uint32_t ncores; /* a: of them */
};

/* Accounts size bytes, evicting clean folios to stay within memory_max.
 * False, with nothing accounted, where that cannot be had and must is not set.
 * held: the inode whose mutex the caller holds, or NULL. */
bool netfs_budget_charge(struct netfs_budget *budget, uint64_t size, struct netfs_inode *held,
			 bool must);
void netfs_budget_uncharge(struct netfs_budget *budget, uint64_t size);
/* Drops the oldest object that nobody uses; false: there is none.  Holds the
 * mutex. */
bool netfs_budget_drop_object(struct netfs_budget *budget);
/* Enter and leave the eviction queue.  Holds the folio's inode's mutex. */
void netfs_budget_enqueue(struct netfs_budget *budget, struct netfs_folio *folio);
void netfs_budget_dequeue(struct netfs_budget *budget, struct netfs_folio *folio);

/* What is in the folio came from the disk cache, so that it is held in memory once
 * more than is needed: it goes before others, and is not kept for long. */
void netfs_budget_cheapen(struct netfs_budget *budget, struct netfs_folio *folio);

/* Dirty bytes came or went.  Any lock of lower rank may be held. */
void netfs_budget_dirtied(struct netfs_budget *budget, uint64_t bytes);
void netfs_budget_cleaned(struct netfs_budget *budget, uint64_t bytes);
void netfs_budget_stuck(struct netfs_budget *budget, uint64_t more, uint64_t less);
/* Resumes writers that wait, if there is room.  No lock held. */
void netfs_budget_resume(struct netfs_budget *budget);
/* Is it time to send whatever is dirty? */
static inline bool netfs_budget_background(struct netfs_budget *budget)
{
	return atomic_load_explicit(&budget->dirty, memory_order_relaxed) > budget->dirty_max / 2;
}
/* Would a writer have to wait? */
bool netfs_budget_full(const struct netfs_core *core);
/* False: write on.  True: io is queued and resumed when there is room. */
bool netfs_budget_throttle(struct netfs_budget *budget, struct netfs_io *io);
/* Takes a waiting io out again; false where it is not waiting any more. */
bool netfs_budget_unthrottle(struct netfs_budget *budget, struct netfs_io *io);

#endif
