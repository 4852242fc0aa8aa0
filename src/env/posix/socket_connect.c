/* SPDX-License-Identifier: MIT */
/*
 * How a connection comes to be.
 *
 *      RESOLVING --job--> CONNECTING --connect task--> UP
 *          |                  |  ^ |
 *          |                  |  +-+ next address of the name
 *          +------------------+-----------------------> FAILED
 *
 * Looking a name up blocks, so a job does it.  A name may stand for several
 * addresses (localhost is two); each is tried in the order given until one
 * answers, without blocking: the poller reports the end of each attempt and
 * the connect task, never under the executor's lock, looks how it ended.  The
 * error kept is that of the last attempt.
 *
 * A unix socket connects at once or waits for a place in the listener's queue.
 * That wait is not reported by the poller, so the job makes it, with a limit.
 *
 * The owner may close or shut down at any time: whoever comes back takes the
 * socket's lock and finds that the state is no longer the one it left.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <base/limits.h>
#include <env/posix/socket_impl.h>

static int resolve_errno(int code)
{
	switch (code) {
	case EAI_SYSTEM:
		return errno ? -errno : -EIO;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_AGAIN:
		return -ETIMEDOUT;
	case EAI_SERVICE:
		return -EINVAL;
	default:
		return -EHOSTUNREACH;
	}
}

/* ---------------------------------------------------------------- TCP */

static void set_tcp_options(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static int open_stream(int family, int flags)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	return fd < 0 ? -errno : fd;
}

/* Lock held.  Tries one address.  0: the poller will report how it went. */
static int try_address_locked(struct netfs_socket *socket, const struct addrinfo *address)
{
	int fd = open_stream(address->ai_family, SOCK_NONBLOCK);
	int err;

	if (fd < 0)
		return fd;
	set_tcp_options(fd);
	if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS) {
		err = -errno;
		close(fd);
		return err;
	}
	socket->rfd = fd;
	socket->wfd = fd;
	socket->rfd_socket = true;
	socket->wfd_socket = true;
	/* Before anybody can see an event. */
	atomic_store(&socket->state, SOCKET_CONNECTING);
	err = netfs_socket_watch_locked(socket);
	if (err) {
		close(fd);
		socket->rfd = -1;
		socket->wfd = -1;
	}
	return err;
}

/* Lock held.  err is why the attempt before failed. */
static void try_next_locked(struct netfs_socket *socket, int err)
{
	while (socket->next_address) {
		const struct addrinfo *address = socket->next_address;

		socket->next_address = address->ai_next;
		err = try_address_locked(socket, address);
		if (!err)
			return;
	}
	netfs_socket_fail_locked(socket, err);
}

/* How the attempt went: 0, -EINPROGRESS while nobody knows, or why not. */
static int attempt_result(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int err = 0;
	socklen_t err_len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_len) < 0)
		return -errno;
	if (err)
		return -err;
	if (!getpeername(fd, (struct sockaddr *)&peer, &len))
		return 0;
	return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

static void connect_task(struct netfs_task *task)
{
	struct netfs_socket *socket = netfs_container_of(task, struct netfs_socket, connect);
	int err;

	/* An event after this posts again, with a reference of its own. */
	atomic_store(&socket->connect_posted, false);
	pthread_mutex_lock(&socket->lock);
	if (atomic_load(&socket->state) == SOCKET_CONNECTING) {
		err = attempt_result(socket->rfd);
		if (!err) {
			netfs_socket_up_locked(socket);
		} else if (err != -EINPROGRESS) {
			netfs_socket_drop_fds_locked(socket);
			try_next_locked(socket, err);
		}
	}
	pthread_mutex_unlock(&socket->lock);
	netfs_socket_put(socket);
}

void netfs_socket_connect_event(struct netfs_socket *socket)
{
	if (atomic_exchange(&socket->connect_posted, true))
		return;
	atomic_fetch_add_explicit(&socket->refs, 1, memory_order_relaxed);
	netfs_exec_post_locked(&socket->connect);
}

static void resolve_tcp(struct netfs_socket *socket)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int code = getaddrinfo(socket->host, socket->port, &hints, &list);

	pthread_mutex_lock(&socket->lock);
	if (atomic_load(&socket->state) == SOCKET_RESOLVING) {
		socket->addresses = list;
		socket->next_address = list;
		list = NULL;
		try_next_locked(socket, code ? resolve_errno(code) : -EHOSTUNREACH);
	}
	pthread_mutex_unlock(&socket->lock);
	if (list)
		freeaddrinfo(list);
}

/* --------------------------------------------------------------- unix */

/* A connected descriptor or negative errno. */
static int connect_unix(const char *path)
{
	const struct timeval limit = {.tv_sec = NETFS_SOCKET_UNIX_CONNECT_SEC};
	const struct timeval none = {0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int size = NETFS_SOCKET_UNIX_BUFFER;
	int err;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = open_stream(AF_UNIX, 0);
	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return err;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	return fd;
}

static void resolve_unix(struct netfs_socket *socket)
{
	int fd = connect_unix(socket->path);
	int err = fd < 0 ? fd : 0;

	pthread_mutex_lock(&socket->lock);
	if (atomic_load(&socket->state) != SOCKET_RESOLVING) {
		if (!err)
			close(fd);
		goto out;
	}
	if (!err) {
		socket->rfd = fd;
		socket->wfd = fd;
		socket->rfd_socket = true;
		socket->wfd_socket = true;
		atomic_store(&socket->state, SOCKET_UP);
		err = netfs_socket_watch_locked(socket);
		if (err) {
			close(fd);
			socket->rfd = -1;
			socket->wfd = -1;
		}
	}
	if (err)
		netfs_socket_fail_locked(socket, err);
	else
		netfs_socket_up_locked(socket);
out:
	pthread_mutex_unlock(&socket->lock);
}

/* ----------------------------------------------------------- the start */

static void resolve_job(struct netfs_job *job)
{
	struct netfs_socket *socket = netfs_container_of(job, struct netfs_socket, resolve);

	if (socket->path)
		resolve_unix(socket);
	else
		resolve_tcp(socket);
	netfs_socket_put(socket);
}

void netfs_socket_connect_init(struct netfs_socket *socket)
{
	netfs_task_init(&socket->connect, connect_task);
	socket->resolve.fn = resolve_job;
}

void netfs_socket_connect_start(struct netfs_socket *socket)
{
	atomic_fetch_add_explicit(&socket->refs, 1, memory_order_relaxed);
	netfs_job_post(&socket->resolve);
}
