/* SPDX-License-Identifier: MIT */
/*
 * Who may work on a file at the same time: buffered operations among
 * themselves, direct ones among themselves, a size-changing one alone.  First
 * come, first served: nobody overtakes one who waits.
 *
 * Not locked: the inode's mutex guards it.
 */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include <stdbool.h>
#include <stdint.h>
#include <base/list.h>

enum netfs_gate_class {
	NETFS_GATE_BUFFERED,
	NETFS_GATE_DIRECT,
	NETFS_GATE_EXCLUSIVE,
};

/* One who waits.  admitted is called by the one who let it in, with no lock
 * held; it then is inside. */
struct netfs_gate_wait {
	struct netfs_list link; /* in gate.waiting, then in the leaver's list */
	enum netfs_gate_class class;
	void (*admitted)(struct netfs_gate_wait *wait);
};

struct netfs_gate {
	enum netfs_gate_class class; /* of those inside, if any */
	uint32_t inside;
	struct netfs_list waiting; /* in order of arrival */
};

void netfs_gate_init(struct netfs_gate *gate);
/* True: inside.  False: wait is queued. */
bool netfs_gate_enter(struct netfs_gate *gate, enum netfs_gate_class class,
		      struct netfs_gate_wait *wait);
/* As enter, for one who does not want to wait: false, and not queued. */
bool netfs_gate_try(struct netfs_gate *gate, enum netfs_gate_class class);
/* Leaves.  Moves those who are now inside to woken; the caller drops the mutex
 * and calls netfs_gate_run(). */
void netfs_gate_leave(struct netfs_gate *gate, struct netfs_list *woken);
/* Takes one who waits out of the queue (others may get in: woken). */
void netfs_gate_cancel(struct netfs_gate *gate, struct netfs_gate_wait *wait,
		       struct netfs_list *woken);
/* Tells everybody in woken.  No lock held. */
void netfs_gate_run(struct netfs_list *woken);

#endif
