/* SPDX-License-Identifier: MIT */
/* The simulated machine has one user, root.  No state, no locks. */
#include <env/host.h>

uint32_t netfs_host_uid(void)
{
	return 0;
}

uint32_t netfs_host_gid(void)
{
	return 0;
}

uint64_t netfs_host_memory(void)
{
	return UINT64_C(1) << 30;
}
