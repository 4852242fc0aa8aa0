/* SPDX-License-Identifier: MIT */
/*
 * Probes for tools that look into a running program from outside (perf,
 * bpftrace, systemtap).  One that nobody listens to is an instruction that
 * does nothing.
 */
#ifndef OBS_PROBE_H
#define OBS_PROBE_H

#if NETFS_HAVE_SDT
#include <sys/sdt.h>
#define NETFS_PROBE(event, info)                                                                   \
	DTRACE_PROBE6(unetfs, event, (info).inode, (info).request, (info).sub, (info).start,       \
		      (info).len, (info).error)
#else
#define NETFS_PROBE(event, info)
#endif

#endif
