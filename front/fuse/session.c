/* SPDX-License-Identifier: MIT */
/*
 * A mount in service.
 *
 * Threads.  Two to four threads, one per processor, each read a request from
 * the device into a buffer of their own and start it; none of them ever waits
 * for the library.  The notifier sends invalidations and nothing else: it may
 * wait in the kernel for a page that is locked for a read, and the answer to
 * that read comes from somebody else, always.  The interrupter looks after
 * requests whose callers got a signal (interrupt.c).  How many requests are under way
 * is bounded by the kernel: its own by max_background, the others by one for
 * each thread of an application.
 *
 * The end.  When the kernel has unmounted, or the connection was aborted, the
 * device answers every thread with ENODEV; the last one tells the owner.
 * finish() then joins the threads, stops the notifier, cancels what the library
 * has not completed, waits for it, and only then releases files and vnodes:
 * nothing that is under way can lose what it stands on.
 *
 * The session's lock guards the lists named in session.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>
#include "session.h"

#define READY_TIMEOUT_SEC 20
/* The kernel's headers of one request are larger than this. */
#define REQUEST_MIN 40

void netfs_fuse_log(const struct netfs_fuse_config *config, int level, const char *format, ...)
{
	char line[512];
	va_list args;

	if (!config->log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	config->log(config->user, level, line);
}

/* libfuse says what went wrong on stderr, which a daemon does not have; what
 * matters is in the results of its functions. */
static void libfuse_log(enum fuse_log_level level, const char *format, va_list args)
{
}

/* ----------------------------------------------------------- notices */

static void on_inval_data(void *user, uint64_t ino, uint64_t start, uint64_t end)
{
	struct netfs_fuse_session *session = user;

	netfs_fuse_node_stale(&session->nodes, ino, start, end);
}

static void on_inval_entry(void *user, uint64_t dir_ino, const char *name)
{
	struct netfs_fuse_session *session = user;

	netfs_fuse_node_stale_name(&session->nodes, dir_ino, name);
}

static const struct netfs_notify_ops notify_ops = {
	.inval_data = on_inval_data,
	.inval_entry = on_inval_entry,
};

/* An empty range is about attributes only, which the kernel spells -1; a
 * length of 0 is "to the end".  A node the kernel forgot gives ENOENT. */
static void send_data_notice(struct netfs_fuse_session *session,
			     const struct netfs_notice_order *order)
{
	off_t start = -1, len = 0;

	if (order->start < order->end && order->start <= INT64_MAX) {
		start = (off_t)order->start;
		if (order->end <= INT64_MAX)
			len = (off_t)(order->end - order->start);
	}
	fuse_lowlevel_notify_inval_inode(session->se, order->nodeid, start, len);
}

static void *notifier_main(void *arg)
{
	struct netfs_fuse_session *session = arg;
	struct netfs_notice_order order;

	while (netfs_notice_next(&session->nodes.notices, &order)) {
		if (order.fence)
			order.fence->fence(order.fence);
		else if (order.name[0])
			fuse_lowlevel_notify_inval_entry(session->se, order.nodeid, order.name,
							 strlen(order.name));
		else
			send_data_notice(session, &order);
	}
	return NULL;
}

/* ----------------------------------------------------------- threads */

static void pause_ms(long ms)
{
	struct timespec time = {.tv_nsec = ms * 1000000};

	nanosleep(&time, NULL);
}

/* The greeting was answered, by this thread or by another: the kernel sends
 * nothing else before that. */
static void tell_ready(struct netfs_fuse_session *session)
{
	pthread_mutex_lock(&session->lock);
	atomic_store(&session->ready, true);
	pthread_cond_broadcast(&session->cond);
	pthread_mutex_unlock(&session->lock);
}

/* Receives one request and starts it.  False: the connection is over. */
static bool serve_one(struct netfs_fuse_thread *thread)
{
	struct netfs_fuse_session *session = thread->session;
	struct fuse_buf buf = {0};
	ssize_t n;

	if (!thread->buffer)
		thread->buffer = netfs_fuse_buffer_get(session);
	if (!thread->buffer) {
		pause_ms(10);
		return true;
	}
	n = read(session->fd, thread->buffer->mem, netfs_fuse_buffer_size());
	if (n < 0) {
		/* ENOENT: the request was given up while it was read. */
		if (errno == ENOENT || errno == EINTR || errno == EAGAIN)
			return true;
		if (errno != ENODEV && errno != ECONNABORTED)
			netfs_fuse_log(session->config, NETFS_LOG_ERROR,
				       "reading from the kernel: %s", strerror(errno));
		return false;
	}
	if (n < REQUEST_MIN)
		return true;
	buf.mem = thread->buffer->mem;
	buf.size = (size_t)n;
	if (!atomic_load_explicit(&session->ready, memory_order_relaxed))
		netfs_fuse_passthrough_greet(session, buf.mem, buf.size);
	fuse_session_process_buf(session->se, &buf);
	if (!atomic_load_explicit(&session->ready, memory_order_relaxed))
		tell_ready(session);
	return true;
}

static void *thread_main(void *arg)
{
	struct netfs_fuse_thread *thread = arg;
	struct netfs_fuse_session *session = thread->session;
	bool running;

	netfs_fuse_thread_enter(thread);
	while (serve_one(thread))
		continue;
	fuse_session_exit(session->se);
	if (atomic_fetch_sub(&session->living, 1) == 1) {
		pthread_mutex_lock(&session->lock);
		running = session->running;
		pthread_mutex_unlock(&session->lock);
		tell_ready(session);
		if (running)
			session->config->ended(session->config->user);
	}
	return NULL;
}

static unsigned thread_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 2)
		return 2;
	return n > NETFS_FUSE_THREADS_MAX ? NETFS_FUSE_THREADS_MAX : (unsigned)n;
}

/* Signals are for the main thread. */
static int threads_start(struct netfs_fuse_session *session)
{
	sigset_t all, old;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&session->notifier, NULL, notifier_main, session);
	session->notifying = !err;
	if (!err)
		err = pthread_create(&session->interrupter, NULL, netfs_fuse_interrupts_main,
				     session);
	session->interrupting = session->notifying && !err;
	atomic_store(&session->living, err ? 0 : thread_count());
	for (unsigned i = 0; i < thread_count() && !err; i++) {
		err = pthread_create(&session->threads[i].thread, NULL, thread_main,
				     &session->threads[i]);
		if (!err)
			session->nthreads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

/* --------------------------------------------------------- life cycle */

static struct netfs_fuse_session *session_new(const struct netfs_fuse_config *config,
					      struct netfs_mount *mount)
{
	struct netfs_fuse_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->config = config;
	session->mount = mount;
	session->fd = -1;
	pthread_mutex_init(&session->lock, NULL);
	pthread_cond_init(&session->cond, NULL);
	pthread_cond_init(&session->interrupts, NULL);
	netfs_list_init(&session->pending);
	netfs_list_init(&session->interrupted);
	netfs_list_init(&session->free_requests);
	netfs_list_init(&session->free_buffers);
	netfs_list_init(&session->handles);
	netfs_fuse_passthrough_init(&session->pass);
	for (unsigned i = 0; i < NETFS_FUSE_THREADS_MAX; i++) {
		session->threads[i].session = session;
		netfs_list_init(&session->threads[i].free);
	}
	return session;
}

static struct fuse_lowlevel_ops operations(void)
{
	struct fuse_lowlevel_ops ops = {.init = netfs_fuse_op_init};

	netfs_fuse_name_ops(&ops);
	netfs_fuse_attr_ops(&ops);
	netfs_fuse_file_ops(&ops);
	netfs_fuse_lock_ops(&ops);
	netfs_fuse_dir_ops(&ops);
	netfs_fuse_data_ops(&ops);
	return ops;
}

/* The kernel greets right after the mount; waits until we have answered. */
static int wait_ready(struct netfs_fuse_session *session, char why[256])
{
	struct timespec until;
	bool ready;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += READY_TIMEOUT_SEC;
	pthread_mutex_lock(&session->lock);
	while (!atomic_load(&session->ready) && err == 0)
		err = pthread_cond_timedwait(&session->cond, &session->lock, &until);
	ready = atomic_load(&session->ready) && atomic_load(&session->living) > 0;
	session->running = ready;
	pthread_mutex_unlock(&session->lock);
	if (ready)
		return 0;
	snprintf(why, 256, "the kernel did not answer on /dev/fuse");
	return -EIO;
}

static void find_minor(struct netfs_fuse_session *session)
{
	struct netfs_mountinfo info;

	if (netfs_mountinfo_find(session->config->mount_point, &info) < 0)
		return;
	session->minor = info.minor;
	netfs_fuse_set_readahead(session->config, info.major, info.minor);
}

/* Mounts and starts the threads. */
static int attach(struct netfs_fuse_session *session, char why[256])
{
	struct fuse_lowlevel_ops ops = operations();
	int err = netfs_fuse_attach(session, &ops, why);

	if (err < 0)
		return err;
	session->fd = fuse_session_fd(session->se);
	err = threads_start(session);
	if (err < 0)
		snprintf(why, 256, "cannot start threads: %s", strerror(-err));
	else
		err = wait_ready(session, why);
	if (err < 0) {
		netfs_fuse_unmount(session->config->mount_point, MNT_DETACH);
		return err;
	}
	find_minor(session);
	return 0;
}

int netfs_fuse_start(const struct netfs_fuse_config *config, struct netfs_mount *mount,
		     char why[256], struct netfs_fuse_session **ret_session)
{
	struct netfs_fuse_session *session = session_new(config, mount);
	int err;

	snprintf(why, 256, "out of memory");
	if (!session)
		return -ENOMEM;
	fuse_set_log_func(libfuse_log);
	err = netfs_fuse_nodes_init(&session->nodes, netfs_mount_root(mount),
				    (config->mount_flags & MS_NOSUID) != 0);
	if (err < 0) {
		free(session);
		return err;
	}
	netfs_mount_set_notify(mount, &notify_ops, session);
	err = attach(session, why);
	if (err < 0) {
		while (netfs_fuse_finish(session, READY_TIMEOUT_SEC * 1000) < 0)
			netfs_mount_abort(mount);
		netfs_mount_set_notify(mount, NULL, NULL);
		netfs_fuse_free(session);
		return err;
	}
	*ret_session = session;
	return 0;
}

static void release_handles(struct netfs_fuse_session *session)
{
	while (!netfs_list_empty(&session->handles)) {
		struct netfs_list *link = session->handles.next;

		netfs_fuse_handle_free(session,
				       netfs_container_of(link, struct netfs_fuse_handle, link));
	}
}

static void join_threads(struct netfs_fuse_session *session)
{
	for (unsigned i = 0; i < session->nthreads; i++)
		pthread_join(session->threads[i].thread, NULL);
	session->nthreads = 0;
	netfs_notice_stop(&session->nodes.notices);
	if (session->notifying)
		pthread_join(session->notifier, NULL);
	session->notifying = false;
	netfs_fuse_interrupts_stop(session);
	if (session->interrupting)
		pthread_join(session->interrupter, NULL);
	session->interrupting = false;
}

int netfs_fuse_finish(struct netfs_fuse_session *session, unsigned timeout_ms)
{
	join_threads(session);
	if (!netfs_fuse_requests_drain(session, timeout_ms))
		return -ETIMEDOUT;
	release_handles(session);
	netfs_fuse_nodes_clear(&session->nodes);
	if (session->se)
		fuse_session_destroy(session->se);
	session->se = NULL;
	netfs_fuse_requests_free(session);
	return 0;
}

void netfs_fuse_free(struct netfs_fuse_session *session)
{
	if (!session)
		return;
	netfs_fuse_nodes_done(&session->nodes);
	netfs_fuse_passthrough_done(&session->pass);
	pthread_cond_destroy(&session->interrupts);
	pthread_cond_destroy(&session->cond);
	pthread_mutex_destroy(&session->lock);
	free(session);
}

const char *netfs_fuse_features(const struct netfs_fuse_session *session)
{
	return session->features;
}

uint32_t netfs_fuse_minor(const struct netfs_fuse_session *session)
{
	return session->minor;
}
