/* SPDX-License-Identifier: MIT */
/*
 * mem: behind a link that a test cuts and mends: while it is cut no connection is
 * made, questions wait until it is mended or they are called off, and slices find no
 * room.
 */
#ifndef TESTS_OFFLINE_AWAY_H
#define TESTS_OFFLINE_AWAY_H

#include <unetfs/backend.h>

extern struct netfs_be_ops away_ops;

/* Those who are connected hear of it where tell is set. */
void away_cut(bool tell);
void away_mend(void);
/* Whoever was connected is not any more. */
void away_forget(void);
/* While the link is cut a connection fails with that; -ECONNREFUSED at first. */
void away_refuse(int err);
/* Questions that wait. */
unsigned away_parked(void);
/* Questions asked so far. */
unsigned away_asked(void);

#endif
