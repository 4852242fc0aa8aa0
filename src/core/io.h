/* SPDX-License-Identifier: MIT */
/*
 * What the core keeps in the private part of a caller's struct netfs_io while
 * it is under way.
 */
#ifndef CORE_IO_H
#define CORE_IO_H

#include <unetfs/unetfs.h>
#include <base/list.h>
#include <core/gate.h>

struct netfs_block;
struct netfs_completion;
struct netfs_inode;
struct netfs_journaled;
struct netfs_opener;
struct netfs_request;
struct netfs_through;

#define NETFS_LENT_INLINE 8

/*
 * I: immutable once under way; f: the inode's mutex; o: only the one thread
 * that works on the io at a time; w: the write-back lock while throttled.
 */
struct netfs_io_state {
	struct netfs_list link; /* f: inode->readers, or w: budget->throttled */
	struct netfs_gate_wait gate; /* f */
	struct netfs_inode *inode; /* I */
	struct netfs_opener *opener; /* I */
	void (*resume)(struct netfs_io *io); /* o: what goes on when the wait is over */
	uint64_t pos; /* o: next byte to move */
	uint64_t end; /* o: where it ends */
	struct netfs_request *req; /* f: of direct I/O, for cancellation */
	struct netfs_completion *flush; /* f: what it waits for first, or last */
	struct netfs_through *through; /* I: of a write that must be durable */
	struct netfs_journaled *journaled; /* I: of one that is to be in the journal */
	int error; /* f: why a part could not be had */
	bool cancelled; /* f */
	bool waited; /* o: for a download */
	bool gathered; /* o: iov[0] is memory of ours */
	bool write; /* I */
	bool syncing; /* f: the back end makes it durable */
	uint16_t iov_room; /* I: a lent read: pieces the caller has room for */
	uint16_t lent_room; /* o */
	uint16_t nlent; /* o: blocks lent */
	struct netfs_block **lent; /* o: lent_in, or allocated */
	struct netfs_block *lent_in[NETFS_LENT_INLINE]; /* o */
} __attribute__((may_alias));

_Static_assert(sizeof(struct netfs_io_state) <= sizeof(((struct netfs_io *)0)->priv),
	       "the public struct has too little private room");

static inline struct netfs_io_state *netfs_io_state(struct netfs_io *io)
{
	return (struct netfs_io_state *)io->priv;
}

static inline struct netfs_io *netfs_io_of(struct netfs_io_state *state)
{
	return netfs_container_of((void **)state, struct netfs_io, priv);
}

/* Memory for a lent read whose bytes are not in folios, at most 2 MiB. */
uint8_t *netfs_io_memory(size_t len);
/* What a read that came as far as state->pos is told. */
ssize_t netfs_read_outcome(struct netfs_io *io, int err);
/* Into the gate, with state->gate.admitted set.  Takes the mutex; true: inside,
 * and the mutex is held.  False: io waits, or one that must not was told. */
bool netfs_io_enter(struct netfs_io *io, enum netfs_gate_class class);
/* Fills the private part in. */
void netfs_io_begin(struct netfs_io *io, struct netfs_inode *inode, struct netfs_opener *opener);

static inline void netfs_io_resume(struct netfs_io_state *state)
{
	state->resume(netfs_io_of(state));
}

#endif
