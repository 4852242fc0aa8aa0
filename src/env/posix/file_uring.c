/* SPDX-License-Identifier: MIT */
/*
 * File data by io_uring.
 *
 *      any thread --submit--> ring --kernel--> ring --reap task--> done()
 *                    |                            ^
 *                    +-- waiting (ring is full) --+
 *
 * Several rings, because the kernel serves one submitter of a ring at a time
 * and copies what it finds in its page cache during the submission itself.  A
 * thread always uses the same ring.  The poller watches the rings' own
 * descriptors; completions make it post the ring's reap task, which is the
 * only one that looks at the completion side.
 *
 * No more than NETFS_URING_DEPTH transfers are in a ring, so that neither of
 * its queues can overflow; the others wait in a list and are entered by the
 * reap task as room appears.
 *
 * The kernel cancels transfers of a thread that ends before they have begun.
 * Nobody else cancels any, so such a result means "enter it again", from the
 * reap task, whose thread stays.
 *
 * Locks: each ring's lock guards its submission side, its list and its count.
 * The reap task takes it once between reading completions and calling done();
 * that also orders the submitter's writes to the fio before our reads.
 */
#include <errno.h>
#include <liburing.h>
#include <sys/epoll.h>
#include <base/assert.h>
#include <base/limits.h>
#include <env/clock.h>
#include <env/file.h>
#include <env/timer.h>
#include <env/posix/exec.h>

#define REAP_BATCH 64
#define RETRY_NS   NETFS_NS_PER_MS

struct ring {
	struct io_uring uring;
	struct netfs_poll_source source;
	struct netfs_task reap;
	/* Posts reap again when the kernel had no memory for a submission. */
	struct netfs_timer retry;

	pthread_mutex_t lock;
	/* Guarded by lock. */
	struct netfs_list waiting; /* of fios by job.link */
	uint32_t in_flight; /* entered and not yet reaped */
	uint32_t unsubmitted; /* of these, not yet taken by the kernel */
};

static struct ring rings[NETFS_URING_RINGS];

static void prepare(struct io_uring_sqe *sqe, struct netfs_fio *fio)
{
	switch (fio->kind) {
	case NETFS_FIO_READ:
		io_uring_prep_readv(sqe, fio->fd, fio->iov, fio->niov, fio->start);
		break;
	case NETFS_FIO_WRITE:
		io_uring_prep_writev(sqe, fio->fd, fio->iov, fio->niov, fio->start);
		break;
	case NETFS_FIO_FSYNC:
		io_uring_prep_fsync(sqe, fio->fd, 0);
		break;
	case NETFS_FIO_FDATASYNC:
		io_uring_prep_fsync(sqe, fio->fd, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_data(sqe, fio);
}

/* Lock held.  Moves waiting transfers into the ring as far as there is room,
 * and tells the kernel of all that it does not know. */
static void enter_locked(struct ring *ring)
{
	int n;

	while (ring->in_flight < NETFS_URING_DEPTH) {
		struct netfs_list *link = netfs_list_pop_front(&ring->waiting);
		struct io_uring_sqe *sqe;
		struct netfs_job *job;

		if (!link)
			break;
		job = netfs_container_of(link, struct netfs_job, link);
		sqe = io_uring_get_sqe(&ring->uring);
		netfs_assert(sqe);
		prepare(sqe, netfs_container_of(job, struct netfs_fio, job));
		ring->in_flight++;
		ring->unsubmitted++;
	}
	while (ring->unsubmitted) {
		n = io_uring_submit(&ring->uring);
		if (n == -EINTR)
			continue;
		if (n <= 0) {
			netfs_timer_start(&ring->retry, RETRY_NS);
			break;
		}
		ring->unsubmitted -= (uint32_t)n;
	}
}

void netfs_uring_submit(struct netfs_fio *fio)
{
	struct ring *ring = &rings[netfs_exec_lane() % NETFS_URING_RINGS];

	pthread_mutex_lock(&ring->lock);
	netfs_list_push_back(&ring->waiting, &fio->job.link);
	enter_locked(ring);
	pthread_mutex_unlock(&ring->lock);
}

static void reap(struct netfs_task *task)
{
	struct ring *ring = netfs_container_of(task, struct ring, reap);
	struct io_uring_cqe *cqes[REAP_BATCH];
	struct netfs_fio *fios[REAP_BATCH];
	int results[REAP_BATCH];
	unsigned n = io_uring_peek_batch_cqe(&ring->uring, cqes, REAP_BATCH);

	for (unsigned i = 0; i < n; i++) {
		fios[i] = io_uring_cqe_get_data(cqes[i]);
		results[i] = cqes[i]->res;
	}
	io_uring_cq_advance(&ring->uring, n);
	/* What comes after this look makes a new edge and a new post. */
	if (n == REAP_BATCH)
		netfs_task_post(task);

	pthread_mutex_lock(&ring->lock);
	ring->in_flight -= n;
	for (unsigned i = 0; i < n; i++) {
		if (results[i] != -ECANCELED && results[i] != -EINTR)
			continue;
		netfs_list_push_back(&ring->waiting, &fios[i]->job.link);
		fios[i] = NULL;
	}
	enter_locked(ring);
	pthread_mutex_unlock(&ring->lock);

	for (unsigned i = 0; i < n; i++)
		if (fios[i])
			netfs_fio_complete(fios[i], results[i]);
}

static void ring_ready(struct netfs_poll_source *source, uint32_t events)
{
	netfs_exec_post_locked(&netfs_container_of(source, struct ring, source)->reap);
}

static bool can_all(struct io_uring *uring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
	bool can = probe && io_uring_opcode_supported(probe, IORING_OP_READV) &&
		   io_uring_opcode_supported(probe, IORING_OP_WRITEV) &&
		   io_uring_opcode_supported(probe, IORING_OP_FSYNC);

	io_uring_free_probe(probe);
	return can;
}

static bool ring_start(struct ring *ring)
{
	if (io_uring_queue_init(NETFS_URING_DEPTH, &ring->uring, 0) < 0)
		return false;
	netfs_task_init(&ring->reap, reap);
	netfs_timer_init(&ring->retry, &ring->reap);
	netfs_list_init(&ring->waiting);
	ring->in_flight = 0;
	ring->unsubmitted = 0;
	ring->source.ready = ring_ready;
	if (can_all(&ring->uring) &&
	    !netfs_poller_add(&ring->source, ring->uring.ring_fd, EPOLLIN)) {
		pthread_mutex_init(&ring->lock, NULL);
		return true;
	}
	io_uring_queue_exit(&ring->uring);
	return false;
}

static void ring_stop(struct ring *ring)
{
	netfs_assert(!ring->in_flight);
	netfs_timer_stop(&ring->retry);
	netfs_poller_remove(&ring->source, ring->uring.ring_fd);
	pthread_mutex_destroy(&ring->lock);
	io_uring_queue_exit(&ring->uring);
}

bool netfs_uring_start(void)
{
	for (unsigned i = 0; i < NETFS_URING_RINGS; i++) {
		if (ring_start(&rings[i]))
			continue;
		while (i--)
			ring_stop(&rings[i]);
		return false;
	}
	return true;
}

void netfs_uring_stop(void)
{
	for (unsigned i = 0; i < NETFS_URING_RINGS; i++)
		ring_stop(&rings[i]);
}
