/* SPDX-License-Identifier: MIT */
/*
 * Stream sockets: moving bytes and ending.  How a connection comes to be is in
 * socket_connect.c.
 *
 * No lost and few needless wake-ups, reading.  The poller hears of every edge
 * on the descriptor.  recv() announces with want_read, before it asks the
 * kernel, that it would like to be told; it takes that back when it got
 * something.  An edge posts the task only if it can take want_read.  Data that
 * comes after the kernel said "nothing there" makes an edge that finds
 * want_read set; data that came before was returned.  An old edge may post once
 * too often, never too seldom.
 *
 * Less than was asked for is all there was.  recv() sets drained before it asks
 * and takes it back where there may be more; an edge takes it back too.  While
 * it stands the next recv() knows the answer.  An end that the kernel told in
 * one edge with the last bytes has no edge of its own: from then on (hung_up)
 * recv() always asks.  (All these are sequentially consistent; the partner of
 * the store in recv() is the exchange in notify().)
 *
 * Writing.  A peer that reads what it was sent makes an edge each time, which
 * is of no use while there is room.  So room is watched for only after send()
 * was refused, until it comes: the change of the watch tells of room that came
 * in between.
 *
 * Descriptors that are no sockets (a pair of pipes) know no MSG_NOSIGNAL and
 * no shutdown: writing blocks SIGPIPE for the moment of the call, and ended
 * stands in for the other.
 *
 * Lock order: a socket's lock, then the executor's.  Moving bytes takes none:
 * the descriptors do not change from UP until the owner closes, and the owner
 * does not close while anybody moves bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <base/assert.h>
#include <base/limits.h>
#include <base/round.h>
#include <env/alloc.h>
#include <env/posix/socket_impl.h>

/* ------------------------------------------------------------- events */

#define READ_EVENTS (EPOLLIN | EPOLLRDHUP)

static void watch_room_locked(struct netfs_socket *socket, bool watch)
{
	uint32_t events = watch ? EPOLLOUT : 0;

	socket->want_write = watch;
	if (socket->rfd == socket->wfd)
		netfs_poller_change_locked(&socket->both, socket->rfd, READ_EVENTS | events);
	else
		netfs_poller_change_locked(&socket->writing, socket->wfd, events);
}

static void notify(struct netfs_socket *socket, uint32_t events)
{
	bool end = events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP);
	bool room = events & EPOLLOUT && socket->want_write;

	if (end)
		atomic_store(&socket->hung_up, true);
	if (end || events & EPOLLIN)
		atomic_store(&socket->drained, false);
	if (end || (events & EPOLLIN && atomic_exchange(&socket->want_read, false)))
		netfs_exec_post_locked(socket->readable);
	if (room)
		watch_room_locked(socket, false);
	if (end || room)
		netfs_exec_post_locked(socket->writable);
}

static void both_ready(struct netfs_poll_source *source, uint32_t events)
{
	struct netfs_socket *socket = netfs_container_of(source, struct netfs_socket, both);

	if (atomic_load(&socket->state) == SOCKET_CONNECTING)
		netfs_socket_connect_event(socket);
	else
		notify(socket, events);
}

static void writing_ready(struct netfs_poll_source *source, uint32_t events)
{
	notify(netfs_container_of(source, struct netfs_socket, writing), events);
}

int netfs_socket_watch_locked(struct netfs_socket *socket)
{
	bool one = socket->rfd == socket->wfd;
	int err;

	/* An attempt to connect that ends is "room". */
	socket->want_write = atomic_load(&socket->state) == SOCKET_CONNECTING;
	err = netfs_poller_add(&socket->both, socket->rfd,
			       READ_EVENTS | (socket->want_write ? EPOLLOUT : 0));
	if (err || one)
		return err;
	err = netfs_poller_add(&socket->writing, socket->wfd, 0);
	if (err)
		netfs_poller_remove(&socket->both, socket->rfd);
	return err;
}

void netfs_socket_drop_fds_locked(struct netfs_socket *socket)
{
	if (socket->rfd < 0)
		return;
	netfs_poller_remove(&socket->both, socket->rfd);
	if (socket->wfd != socket->rfd) {
		netfs_poller_remove(&socket->writing, socket->wfd);
		close(socket->wfd);
	}
	close(socket->rfd);
	socket->rfd = -1;
	socket->wfd = -1;
}

/* ----------------------------------------------------- coming and going */

void netfs_socket_put(struct netfs_socket *socket)
{
	/* Acquire pairs with the releases of the other references. */
	if (atomic_fetch_sub_explicit(&socket->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (socket->addresses)
		freeaddrinfo(socket->addresses);
	pthread_mutex_destroy(&socket->lock);
	netfs_free(socket->host);
	netfs_free(socket->port);
	netfs_free(socket->path);
	netfs_free(socket);
}

static void post_both(struct netfs_socket *socket)
{
	netfs_task_post(socket->readable);
	netfs_task_post(socket->writable);
}

void netfs_socket_up_locked(struct netfs_socket *socket)
{
	atomic_store(&socket->state, SOCKET_UP);
	post_both(socket);
}

void netfs_socket_fail_locked(struct netfs_socket *socket, int err)
{
	netfs_assert(err < 0);
	atomic_store(&socket->err, err);
	atomic_store(&socket->state, SOCKET_FAILED);
	post_both(socket);
}

/* Is fd a socket?  TCP sizes its buffers itself, others get ours. */
static bool grow_buffers(int fd)
{
	int size = NETFS_SOCKET_UNIX_BUFFER;
	int domain;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return false;
	if (domain == AF_UNIX) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	return true;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* The descriptors somebody gave us; ours only once this succeeded. */
static int take_fds(struct netfs_socket *socket, const struct netfs_socket_address *address)
{
	int err = set_nonblocking(address->rfd);

	if (!err && address->wfd != address->rfd)
		err = set_nonblocking(address->wfd);
	if (err)
		return err;
	pthread_mutex_lock(&socket->lock);
	socket->rfd = address->rfd;
	socket->wfd = address->wfd;
	socket->rfd_socket = grow_buffers(socket->rfd);
	socket->wfd_socket = grow_buffers(socket->wfd);
	/* Before anybody can see an event. */
	atomic_store(&socket->state, SOCKET_UP);
	err = netfs_socket_watch_locked(socket);
	if (err) {
		socket->rfd = -1;
		socket->wfd = -1;
	}
	pthread_mutex_unlock(&socket->lock);
	return err;
}

static int copy_text(const char *text, char **ret_copy)
{
	if (!text)
		return 0;
	*ret_copy = netfs_strdup(text);
	return *ret_copy ? 0 : -ENOMEM;
}

static int copy_address(struct netfs_socket *socket, const struct netfs_socket_address *address)
{
	int err;

	switch (address->kind) {
	case NETFS_SOCKET_TCP:
		err = copy_text(address->host, &socket->host);
		return err ? err : copy_text(address->port, &socket->port);
	case NETFS_SOCKET_UNIX:
		netfs_assert(address->path);
		return copy_text(address->path, &socket->path);
	case NETFS_SOCKET_FD:
		break;
	}
	return 0;
}

static struct netfs_socket *socket_alloc(const struct netfs_socket_address *address)
{
	struct netfs_socket *socket = netfs_zalloc(sizeof(*socket));

	if (!socket)
		return NULL;
	atomic_init(&socket->refs, 1);
	atomic_init(&socket->state, SOCKET_RESOLVING);
	pthread_mutex_init(&socket->lock, NULL);
	socket->rfd = -1;
	socket->wfd = -1;
	socket->both.ready = both_ready;
	socket->writing.ready = writing_ready;
	netfs_socket_connect_init(socket);
	if (copy_address(socket, address)) {
		netfs_socket_put(socket);
		return NULL;
	}
	return socket;
}

int netfs_socket_open(const struct netfs_socket_address *address, struct netfs_task *readable,
		      struct netfs_task *writable, struct netfs_socket **ret_socket)
{
	struct netfs_socket *socket = socket_alloc(address);
	int err;

	if (!socket)
		return -ENOMEM;
	socket->readable = readable;
	socket->writable = writable;
	/* An end that is there already posts the tasks from within take_fds(). */
	*ret_socket = socket;
	if (address->kind != NETFS_SOCKET_FD) {
		netfs_socket_connect_start(socket);
		return 0;
	}
	err = take_fds(socket, address);
	if (err) {
		*ret_socket = NULL;
		netfs_socket_put(socket);
		return err;
	}
	post_both(socket);
	return 0;
}

void netfs_socket_close(struct netfs_socket *socket)
{
	if (!socket)
		return;
	pthread_mutex_lock(&socket->lock);
	atomic_store(&socket->state, SOCKET_CLOSED);
	netfs_socket_drop_fds_locked(socket);
	pthread_mutex_unlock(&socket->lock);
	netfs_socket_put(socket);
}

void netfs_socket_shutdown(struct netfs_socket *socket)
{
	pthread_mutex_lock(&socket->lock);
	switch (atomic_load(&socket->state)) {
	case SOCKET_RESOLVING:
	case SOCKET_CONNECTING:
		netfs_socket_drop_fds_locked(socket);
		netfs_socket_fail_locked(socket, -ECONNABORTED);
		break;
	case SOCKET_UP:
		atomic_store(&socket->ended, true);
		shutdown(socket->rfd, SHUT_RDWR);
		shutdown(socket->wfd, SHUT_RDWR);
		post_both(socket);
		break;
	default:
		break;
	}
	pthread_mutex_unlock(&socket->lock);
}

/* ------------------------------------------------------- moving bytes */

int netfs_socket_status(struct netfs_socket *socket)
{
	switch (atomic_load(&socket->state)) {
	case SOCKET_UP:
		return 0;
	case SOCKET_FAILED:
		return atomic_load(&socket->err);
	default:
		return -EINPROGRESS;
	}
}

/* 0 where bytes can move. */
static int check_up(struct netfs_socket *socket)
{
	int status = netfs_socket_status(socket);

	return status == -EINPROGRESS ? -ENOTCONN : status;
}

/* Did n bytes fill the pieces, or stop short for another reason than that there
 * were no more?  (Somebody passed a descriptor.) */
static bool maybe_more(const struct msghdr *msg, size_t n)
{
	size_t room = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		room += msg->msg_iov[i].iov_len;
	return n == 0 || n == room || msg->msg_flags & MSG_CTRUNC;
}

ssize_t netfs_socket_recv(struct netfs_socket *socket, const struct iovec *iov, unsigned niov)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov,
			     .msg_iovlen = netfs_min(niov, NETFS_IOV_MAX)};
	ssize_t n = check_up(socket);

	if (n)
		return n;
	atomic_store(&socket->want_read, true);
	if (atomic_exchange(&socket->drained, true) && !atomic_load(&socket->hung_up) &&
	    !atomic_load(&socket->ended))
		return -EAGAIN;
	do
		n = socket->rfd_socket ? recvmsg(socket->rfd, &msg, 0)
				       : readv(socket->rfd, iov, (int)msg.msg_iovlen);
	while (n < 0 && errno == EINTR);
	if (n >= 0) {
		if (maybe_more(&msg, (size_t)n))
			atomic_store(&socket->drained, false);
		atomic_store_explicit(&socket->want_read, false, memory_order_relaxed);
		return n;
	}
	if (errno != EAGAIN)
		return -errno;
	return atomic_load(&socket->ended) ? 0 : -EAGAIN;
}

/* writev(2) that turns SIGPIPE into its error alone.  A SIGPIPE that was
 * pending before is left so. */
static ssize_t write_quietly(int fd, const struct iovec *iov, int niov)
{
	const struct timespec now = {0};
	sigset_t pipe_only;
	sigset_t before;
	sigset_t pending;
	ssize_t n;
	int err;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	n = writev(fd, iov, niov);
	err = errno;
	if (n < 0 && err == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe_only, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = err;
	return n;
}

ssize_t netfs_socket_send(struct netfs_socket *socket, const struct iovec *iov, unsigned niov)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)iov,
			     .msg_iovlen = netfs_min(niov, NETFS_IOV_MAX)};
	ssize_t n = check_up(socket);

	if (n)
		return n;
	if (atomic_load(&socket->ended))
		return -EPIPE;
	do
		n = socket->wfd_socket ? sendmsg(socket->wfd, &msg, MSG_NOSIGNAL)
				       : write_quietly(socket->wfd, iov, (int)msg.msg_iovlen);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno != EAGAIN)
		return -errno;
	netfs_exec_lock();
	watch_room_locked(socket, true);
	netfs_exec_unlock();
	return -EAGAIN;
}
