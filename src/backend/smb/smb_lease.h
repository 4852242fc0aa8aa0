/* SPDX-License-Identifier: MIT */
/*
 * What is known about a lease: the rules alone (MS-SMB2 3.2.5.7.5, 3.2.5.19.2),
 * without connection and locks.
 */
#ifndef SMB_LEASE_H
#define SMB_LEASE_H

#include "smb_pdu.h"

/* A file's lease.  The epoch orders what the server says about it. */
struct smb_lease {
	struct smb_guid key; /* ours; the same for all opens of the file */
	uint64_t session; /* whose; another one's says nothing */
	uint32_t state; /* enum smb_lease_state that holds now; 0: none */
	uint16_t epoch;
};

/* Is a later than b?  They run in a circle. */
static inline bool smb_epoch_later(uint16_t a, uint16_t b)
{
	return (int16_t)(uint16_t)(a - b) > 0;
}

/* The reply to an open of session says so; breaking: while a break is on its way.
 * An older or the same epoch changes nothing. */
void smb_lease_told(struct smb_lease *lease, uint64_t session, uint32_t state, uint16_t epoch,
		    bool breaking);
/* The server wants no more than wanted to be kept.  Returns what was lost. */
uint32_t smb_lease_broken(struct smb_lease *lease, uint32_t wanted, uint16_t epoch);
/* enum netfs_promise of a state. */
uint32_t smb_lease_promise(uint32_t state);

#endif
