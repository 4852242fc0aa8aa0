/* SPDX-License-Identifier: MIT */
/*
 * File data by pool threads, where there is no io_uring.  A job makes the
 * blocking call and puts the transfer on a list; one task of the executor
 * empties the list and completes what is on it, so that done() runs on an
 * executor thread here too.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>
#include <env/file.h>
#include <env/posix/exec.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct netfs_list finished = {&finished, &finished}; /* by job.link; lock */
static struct netfs_task finish;

static ssize_t transfer(const struct netfs_fio *fio)
{
	switch (fio->kind) {
	case NETFS_FIO_READ:
		return preadv(fio->fd, fio->iov, (int)fio->niov, (off_t)fio->start);
	case NETFS_FIO_WRITE:
		return pwritev(fio->fd, fio->iov, (int)fio->niov, (off_t)fio->start);
	case NETFS_FIO_FSYNC:
		return fsync(fio->fd);
	case NETFS_FIO_FDATASYNC:
		return fdatasync(fio->fd);
	}
	errno = EINVAL;
	return -1;
}

static void run_job(struct netfs_job *job)
{
	struct netfs_fio *fio = netfs_container_of(job, struct netfs_fio, job);
	ssize_t result;

	do
		result = transfer(fio);
	while (result < 0 && errno == EINTR);
	fio->result = result < 0 ? -errno : result;
	pthread_mutex_lock(&lock);
	netfs_list_push_back(&finished, &fio->job.link);
	pthread_mutex_unlock(&lock);
	netfs_task_post(&finish);
}

static void finish_all(struct netfs_task *task)
{
	struct netfs_list batch;
	struct netfs_list *link;

	netfs_list_init(&batch);
	pthread_mutex_lock(&lock);
	netfs_list_splice_back(&batch, &finished);
	pthread_mutex_unlock(&lock);
	while ((link = netfs_list_pop_front(&batch))) {
		struct netfs_job *job = netfs_container_of(link, struct netfs_job, link);
		struct netfs_fio *fio = netfs_container_of(job, struct netfs_fio, job);

		netfs_fio_complete(fio, fio->result);
	}
}

void netfs_fio_pool_start(void)
{
	netfs_task_init(&finish, finish_all);
}

void netfs_fio_pool_submit(struct netfs_fio *fio)
{
	fio->job.fn = run_job;
	netfs_job_post(&fio->job);
}
