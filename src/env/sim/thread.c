/* SPDX-License-Identifier: MIT */
/* The simulated machine has one thread.  No state, no locks. */
#include <env/thread.h>

uint32_t netfs_thread_number(void)
{
	return 0;
}
