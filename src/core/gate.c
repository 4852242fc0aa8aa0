/* SPDX-License-Identifier: MIT */
/*
 * The gate of a file.  All state changes happen under the inode's mutex; the
 * news is delivered afterwards, without it.
 */
#include <core/gate.h>
#include <base/assert.h>

static bool fits(const struct netfs_gate *gate, enum netfs_gate_class class)
{
	if (gate->inside == 0)
		return true;
	return gate->class == class && class != NETFS_GATE_EXCLUSIVE;
}

static void admit(struct netfs_gate *gate, struct netfs_list *woken)
{
	while (!netfs_list_empty(&gate->waiting)) {
		struct netfs_gate_wait *wait =
			netfs_container_of(gate->waiting.next, struct netfs_gate_wait, link);

		if (!fits(gate, wait->class))
			break;
		gate->class = wait->class;
		gate->inside++;
		netfs_list_remove(&wait->link);
		netfs_list_push_back(woken, &wait->link);
	}
}

void netfs_gate_init(struct netfs_gate *gate)
{
	gate->class = NETFS_GATE_BUFFERED;
	gate->inside = 0;
	netfs_list_init(&gate->waiting);
}

bool netfs_gate_try(struct netfs_gate *gate, enum netfs_gate_class class)
{
	if (!netfs_list_empty(&gate->waiting) || !fits(gate, class))
		return false;
	gate->class = class;
	gate->inside++;
	return true;
}

bool netfs_gate_enter(struct netfs_gate *gate, enum netfs_gate_class class,
		      struct netfs_gate_wait *wait)
{
	if (netfs_gate_try(gate, class))
		return true;
	wait->class = class;
	netfs_list_push_back(&gate->waiting, &wait->link);
	return false;
}

void netfs_gate_leave(struct netfs_gate *gate, struct netfs_list *woken)
{
	netfs_assert(gate->inside > 0);
	gate->inside--;
	admit(gate, woken);
}

void netfs_gate_cancel(struct netfs_gate *gate, struct netfs_gate_wait *wait,
		       struct netfs_list *woken)
{
	netfs_list_remove(&wait->link);
	admit(gate, woken);
}

void netfs_gate_run(struct netfs_list *woken)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(woken))) {
		struct netfs_gate_wait *wait =
			netfs_container_of(link, struct netfs_gate_wait, link);

		wait->admitted(wait);
	}
}
