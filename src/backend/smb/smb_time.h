/* SPDX-License-Identifier: MIT */
/*
 * FILETIME, 100 ns since 1601 (MS-DTYP 2.3.3), and the time of attributes.
 */
#ifndef SMB_TIME_H
#define SMB_TIME_H

#include <stdint.h>
#include <unetfs/types.h>

/* SET_INFO of FileBasicInformation, MS-FSCC 2.4.7. */
#define SMB_TIME_KEEP	  UINT64_C(0) /* leave it as it is */
#define SMB_TIME_FREEZE	  UINT64_MAX /* and stop changing it for this handle */
#define SMB_TIME_UNFREEZE (UINT64_MAX - 1)

/* Exact; FILETIMEs of 2^63 and later are the last representable moment. */
struct netfs_time smb_time_get(uint64_t filetime);
/* Rounds down to 100 ns; before 1601 is 1 (0 means something else), after
 * 2^63 the last. */
uint64_t smb_time_put(const struct netfs_time *time);

#endif
