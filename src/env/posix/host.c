/* SPDX-License-Identifier: MIT */
/* The process as the machine sees it.  No state, no locks. */
#include <env/host.h>

#include <unistd.h>

uint32_t netfs_host_uid(void)
{
	return geteuid();
}

uint32_t netfs_host_gid(void)
{
	return getegid();
}

uint64_t netfs_host_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_C(1) << 30;
}
