/* SPDX-License-Identifier: MIT */
/*
 * There are no files of a real machine in the simulated one: every transfer
 * ends with -ENOSYS, later and from the scheduler, as a real one would end.
 */
#include <errno.h>
#include <env/file.h>

static void fail(struct netfs_job *job)
{
	struct netfs_fio *fio = netfs_container_of(job, struct netfs_fio, job);

	fio->done(fio, -ENOSYS);
}

void netfs_fio_submit(struct netfs_fio *fio)
{
	fio->job.fn = fail;
	netfs_job_post(&fio->job);
}

bool netfs_fio_uring(void)
{
	return false;
}
