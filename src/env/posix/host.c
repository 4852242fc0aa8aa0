/* SPDX-License-Identifier: MIT */
/* The process as the machine sees it.  No state, no locks. */
#include <env/host.h>

#include <unistd.h>

uint32_t netfs_host_uid(void)
{
	return geteuid();
}
