/* SPDX-License-Identifier: MIT */
/*
 * -o mlock: the program serves though there is no free memory but what it would free
 * itself, by taking swapped pages to the server.
 *
 *	memory is short -> kernel writes pages -> loop device -> us -> server
 *
 * None of our pages may be among those; that is mlockall(2), which also has each new
 * mapping filled when it is made.  When we ask the kernel for memory, it must not wait
 * for a page that is on its way to us: that is PR_SET_IO_FLUSHER.  And we are the last
 * to be killed when memory ends.  The last two need CAP_SYS_RESOURCE; without them the
 * mount works and says what is missing.
 *
 * The heap keeps what it got once, so that serving takes as little as possible from the
 * kernel; stacks are small, because all of a locked stack is memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "mlock.h"

#define STACK_SIZE (1u << 20)
/* The largest message of a back end is a few MiB: none is mapped by itself. */
#define HEAP_MAPS_FROM (32 << 20)
#define HEAP_KEEPS     (64 << 20)
/* Each takes address space of its own; more only help many processors. */
#define HEAP_ARENAS 4

/* A limit on locked memory would have us fail later, in the middle of serving. */
static int check_limit(char *why, size_t size)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	if (geteuid() == 0)
		return 0;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_max == RLIM_INFINITY) {
		limit.rlim_cur = RLIM_INFINITY;
		if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
			return 0;
	}
	snprintf(why, size, "mlock: locked memory is limited to %llu bytes for this user",
		 (unsigned long long)limit.rlim_max);
	return -EPERM;
}

static void keep_heap(void)
{
	pthread_attr_t attr;

	mallopt(M_MMAP_THRESHOLD, HEAP_MAPS_FROM);
	mallopt(M_TRIM_THRESHOLD, HEAP_KEEPS);
	mallopt(M_ARENA_MAX, HEAP_ARENAS);
	if (pthread_attr_init(&attr))
		return;
	if (pthread_attr_setstacksize(&attr, STACK_SIZE) == 0)
		pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
}

static int killed_last(void)
{
	static const char score[] = "-1000";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, score, sizeof(score) - 1);
	int err = n < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

int netfs_cli_mlock(char *why, size_t size)
{
	int flusher, score, err = check_limit(why, size);

	if (err)
		return err;
	keep_heap();
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
		err = -errno;
		snprintf(why, size, "mlock: %s", strerror(-err));
		return err;
	}
	flusher = prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0 ? -errno : 0;
	score = killed_last();
	why[0] = 0;
	if (flusher || score)
		snprintf(why, size, "mlock: memory is locked, but %s%s%s: %s",
			 flusher ? "getting memory may wait for swap" : "",
			 flusher && score ? ", and " : "",
			 score ? "the kernel may kill this process when memory ends" : "",
			 strerror(flusher ? -flusher : -score));
	return 0;
}
