/* SPDX-License-Identifier: MIT */
/*
 * Transfers to and from the simulated disk: made, and completed, later and from
 * the scheduler, as real ones are.
 *
 * One thread, no lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <env/file.h>
#include <env/hostfs.h>
#include <env/sim/world.h>

static size_t length_of(const struct netfs_fio *fio)
{
	size_t len = 0;

	for (unsigned i = 0; i < fio->niov; i++)
		len += fio->iov[i].iov_len;
	return len;
}

static ssize_t read_some(const struct netfs_fio *fio)
{
	ssize_t done = 0;

	for (unsigned i = 0; i < fio->niov; i++) {
		const struct iovec *iov = &fio->iov[i];
		ssize_t n = netfs_hostfs_pread(fio->fd, iov->iov_base, iov->iov_len,
					       fio->start + (size_t)done);

		if (n < 0)
			return n;
		done += n;
		if ((size_t)n < iov->iov_len)
			break;
	}
	return done;
}

/* One write, so that it can be torn anywhere. */
static ssize_t write_all(const struct netfs_fio *fio)
{
	size_t len = length_of(fio), at = 0;
	char *whole = malloc(len ? len : 1);
	int err;

	if (!whole)
		netfs_sim_die("the simulator itself is out of memory");
	for (unsigned i = 0; i < fio->niov; i++) {
		memcpy(whole + at, fio->iov[i].iov_base, fio->iov[i].iov_len);
		at += fio->iov[i].iov_len;
	}
	err = netfs_hostfs_pwrite(fio->fd, whole, len, fio->start);
	free(whole);
	return err ? err : (ssize_t)len;
}

static void run(struct netfs_job *job)
{
	struct netfs_fio *fio = netfs_container_of(job, struct netfs_fio, job);
	ssize_t result = fio->kind == NETFS_FIO_READ	? read_some(fio)
			 : fio->kind == NETFS_FIO_WRITE ? write_all(fio)
							: netfs_hostfs_fsync(fio->fd);

	fio->done(fio, result);
}

void netfs_fio_submit(struct netfs_fio *fio)
{
	fio->job.fn = run;
	netfs_job_post(&fio->job);
}

bool netfs_fio_uring(void)
{
	return false;
}
