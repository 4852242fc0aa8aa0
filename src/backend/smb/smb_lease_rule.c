// SPDX-License-Identifier: MIT
/*
 * The rules of leases.  A break only ever takes away; what gives is the reply to an
 * open, and only if its epoch is later than all that is known, because a reply may
 * have been overtaken by a break.  Pure functions, no locks.
 */
#include <unetfs/backend.h>
#include "smb_lease.h"

#define STATES (SMB_LEASE_READ | SMB_LEASE_HANDLE | SMB_LEASE_WRITE)

void smb_lease_told(struct smb_lease *lease, uint64_t session, uint32_t state, uint16_t epoch,
		    bool breaking)
{
	bool first = lease->session != session;

	if (!first && !smb_epoch_later(epoch, lease->epoch))
		return;
	lease->session = session;
	lease->epoch = epoch;
	/* Handle and write caching come with read caching only. */
	state = state & SMB_LEASE_READ ? state & STATES : 0;
	if (breaking)
		state = first ? 0 : state & lease->state;
	lease->state = state;
}

uint32_t smb_lease_broken(struct smb_lease *lease, uint32_t wanted, uint16_t epoch)
{
	uint32_t keep = wanted & SMB_LEASE_READ ? lease->state & wanted : 0;
	uint32_t lost = lease->state & ~keep;

	if (smb_epoch_later(epoch, lease->epoch))
		lease->epoch = epoch;
	lease->state = keep;
	return lost;
}

uint32_t smb_lease_promise(uint32_t state)
{
	return (state & SMB_LEASE_READ ? (uint32_t)NETFS_PROMISE_READ : 0) |
	       (state & SMB_LEASE_HANDLE ? (uint32_t)NETFS_PROMISE_HANDLE : 0) |
	       (state & SMB_LEASE_WRITE ? (uint32_t)NETFS_PROMISE_WRITE : 0);
}
