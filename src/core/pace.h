/* SPDX-License-Identifier: MIT */
/*
 * How fast a server delivers, and what read-ahead is worth.
 */
#ifndef CORE_PACE_H
#define CORE_PACE_H

#include <stdatomic.h>
#include <stdint.h>

struct netfs_core;
struct netfs_folio;
struct netfs_subrequest;

/* One per mount, all atomic and each for itself: estimates. */
struct netfs_pace {
	_Atomic uint64_t delivered; /* bytes downloaded so far */
	_Atomic uint32_t flying; /* slices in flight */
	_Atomic uint64_t rate; /* bytes a second; 0: not known */
	_Atomic uint64_t rtt_ns; /* of a slice that is alone; 0: not known */
	_Atomic uint32_t squeeze; /* windows are smaller by so many halves */
	_Atomic uint64_t good; /* bytes read ahead and used since it changed */
	_Atomic uint64_t lost; /* and evicted unused */
};

/* A slice goes out; the back end has no room for it; its answer is judged.
 * Inode's mutex held. */
void netfs_pace_sent(struct netfs_subrequest *sub);
void netfs_pace_refused(struct netfs_subrequest *sub);
void netfs_pace_answered(const struct netfs_subrequest *sub);
/* Bytes that a stream should stay ahead at most. */
uint32_t netfs_pace_window(struct netfs_core *core);
/* Read-ahead got no memory: smaller windows for a while. */
void netfs_pace_squeeze(struct netfs_core *core);
/* n bytes of folio were asked for ahead of any reader, or given to one.
 * Inode's mutex held. */
void netfs_pace_ahead(struct netfs_folio *folio, uint64_t n);
void netfs_pace_used(struct netfs_folio *folio, uint64_t n);
/* folio goes; evicted: to make room.  Inode's mutex held. */
void netfs_pace_unused(struct netfs_folio *folio, int evicted);

#endif
