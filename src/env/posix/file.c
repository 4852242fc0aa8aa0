/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous file data: picks io_uring or the pool threads, once, when the
 * executor starts.  NETFS_NO_URING=1 in the environment picks the threads, so
 * that tests cover them on machines that have both.
 *
 * The executor counts each transfer as work in progress until done() has
 * returned.
 */
#include <stdlib.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/file.h>
#include <env/posix/exec.h>

static bool use_uring; /* changes only while there is no executor thread */

void netfs_fio_start(void)
{
	const char *no = getenv("NETFS_NO_URING");

	netfs_fio_pool_start();
	use_uring = !(no && *no && *no != '0') && netfs_uring_start();
}

void netfs_fio_stop(void)
{
	if (use_uring)
		netfs_uring_stop();
	use_uring = false;
}

bool netfs_fio_uring(void)
{
	return use_uring;
}

void netfs_fio_submit(struct netfs_fio *fio)
{
	netfs_assert(fio->niov <= NETFS_IOV_MAX);
	netfs_exec_hold();
	if (use_uring)
		netfs_uring_submit(fio);
	else
		netfs_fio_pool_submit(fio);
}

void netfs_fio_complete(struct netfs_fio *fio, ssize_t result)
{
	fio->done(fio, result);
	netfs_exec_release();
}
