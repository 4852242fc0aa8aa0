/* SPDX-License-Identifier: MIT */
/*
 * The control socket of a running mount.
 *
 * One thread serves a few connections with poll(2); it never waits for
 * anything else.  A sync is one call of the library, shared by all who asked
 * for it; its completion wakes the thread.
 *
 * Only the user who runs the mount and root are heard (SO_PEERCRED): the folder
 * keeps others out already, this holds where the folder does not.
 *
 * The lock guards the connections and the state of the sync.  It is held while
 * lines are written, which never blocks, and not while the library is called.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "control.h"

#define CONNECTIONS_MAX 16
#define REQUEST_MAX	64
#define PROGRESS_MS	200

enum connection_state {
	CONNECTION_FREE,
	CONNECTION_ASKING, /* the request is being read */
	CONNECTION_SENDING, /* a long answer goes out as the other side reads it */
	CONNECTION_DRAINING, /* waits for the sync */
	CONNECTION_STAYING, /* waits for the end of the mount */
};

struct connection {
	enum connection_state state;
	int fd;
	size_t used;
	char request[REQUEST_MAX];
	struct netfs_cli_text answer; /* SENDING */
	size_t sent; /* of it */
};

enum sync_state {
	SYNC_NONE,
	SYNC_STARTING, /* the library is being called */
	SYNC_RUNNING,
	SYNC_DONE, /* completed; the thread has not told it yet */
};

struct netfs_cli_control {
	const struct netfs_cli_control_ops *ops;
	void *user;
	int listen_fd;
	int wake_fd;
	pthread_t thread;
	struct netfs_call call; /* the sync */

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t idle; /* the state of the sync changed */
	enum sync_state sync;
	int sync_err;
	bool quiet; /* no new sync */
	bool stop;
	struct connection connections[CONNECTIONS_MAX];
};

static void wake(struct netfs_cli_control *control)
{
	uint64_t one = 1;

	while (write(control->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

/* --------------------------------------------------------- connections */

static void connection_close(struct connection *connection)
{
	if (connection->state == CONNECTION_SENDING)
		netfs_cli_text_done(&connection->answer);
	close(connection->fd);
	connection->fd = -1;
	connection->state = CONNECTION_FREE;
}

/* All or nothing: whoever does not read loses the connection. */
static void say(struct connection *connection, const char *bytes, size_t n)
{
	ssize_t sent;

	while (n > 0) {
		sent = send(connection->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0) {
			connection_close(connection);
			return;
		}
		bytes += sent;
		n -= (size_t)sent;
	}
}

__attribute__((format(printf, 2, 3))) static void say_line(struct connection *connection,
							   const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n] = '\n';
	say(connection, line, (size_t)n + 1);
}

static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void accept_one(struct netfs_cli_control *control)
{
	int size = 1 << 18, fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct connection *connection = NULL;

	if (fd < 0)
		return;
	for (unsigned i = 0; i < CONNECTIONS_MAX && !connection; i++) {
		if (control->connections[i].state == CONNECTION_FREE)
			connection = &control->connections[i];
	}
	if (!connection || !may_ask(fd)) {
		close(fd);
		return;
	}
	/* A whole report fits, so that writing never has to wait. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	connection->fd = fd;
	connection->used = 0;
	connection->state = CONNECTION_ASKING;
}

/* ---------------------------------------------------------------- sync */

static void sync_done(struct netfs_call *call, int err)
{
	struct netfs_cli_control *control = call->user;

	pthread_mutex_lock(&control->lock);
	control->sync = SYNC_DONE;
	control->sync_err = err;
	wake(control);
	pthread_mutex_unlock(&control->lock);
}

/* The mount is sending everything anyway, to be closed. */
static void wait_for_end_locked(struct netfs_cli_control *control)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		if (control->connections[i].state == CONNECTION_DRAINING)
			control->connections[i].state = CONNECTION_STAYING;
	}
}

/* Begins a sync unless one is running.  The lock is let go for the call. */
static void sync_begin_locked(struct netfs_cli_control *control)
{
	bool begun;

	if (control->quiet) {
		wait_for_end_locked(control);
		return;
	}
	if (control->sync != SYNC_NONE)
		return;
	control->sync = SYNC_STARTING;
	pthread_mutex_unlock(&control->lock);
	netfs_call_init(&control->call, sync_done);
	control->call.user = control;
	begun = control->ops->sync(control->user, &control->call);
	pthread_mutex_lock(&control->lock);
	if (!begun) {
		control->sync = SYNC_NONE;
		wait_for_end_locked(control);
	} else if (control->sync == SYNC_STARTING) {
		control->sync = SYNC_RUNNING;
	}
	pthread_cond_broadcast(&control->idle);
}

static void tell_synced_locked(struct netfs_cli_control *control, uint64_t dirty)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &control->connections[i];

		if (connection->state != CONNECTION_DRAINING)
			continue;
		connection->state = CONNECTION_STAYING;
		if (control->sync_err == 0)
			say_line(connection, "synced %llu", (unsigned long long)dirty);
		else
			say_line(connection, "failed %d %llu %s", -control->sync_err,
				 (unsigned long long)dirty,
				 control->call.message[0] ? control->call.message
							  : strerror(-control->sync_err));
	}
	control->sync = SYNC_NONE;
	pthread_cond_broadcast(&control->idle);
}

static void tell_progress_locked(struct netfs_cli_control *control, uint64_t dirty)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		if (control->connections[i].state == CONNECTION_DRAINING)
			say_line(&control->connections[i], "left %llu", (unsigned long long)dirty);
	}
}

/* ------------------------------------------------------------ requests */

/* Goes on with a long answer as far as the other side reads it. */
static void send_on(struct connection *connection)
{
	struct netfs_cli_text *text = &connection->answer;
	ssize_t n;

	while (connection->sent < text->len) {
		n = send(connection->fd, text->data + connection->sent,
			 text->len - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			break;
		connection->sent += (size_t)n;
	}
	connection_close(connection);
}

/* Answers with a text, of any length; then the connection ends. */
static void answer_text(struct netfs_cli_control *control, struct connection *connection,
			void (*fill)(void *user, struct netfs_cli_text *text))
{
	struct netfs_cli_text text;

	netfs_cli_text_init(&text);
	pthread_mutex_unlock(&control->lock);
	fill(control->user, &text);
	pthread_mutex_lock(&control->lock);
	if (connection->state != CONNECTION_ASKING || text.failed) {
		netfs_cli_text_done(&text);
		if (connection->state == CONNECTION_ASKING)
			connection_close(connection);
		return;
	}
	connection->answer = text;
	connection->sent = 0;
	connection->state = CONNECTION_SENDING;
	send_on(connection);
}

static void answer_abort(struct netfs_cli_control *control, struct connection *connection)
{
	uint64_t dropped;

	connection->state = CONNECTION_STAYING;
	pthread_mutex_unlock(&control->lock);
	dropped = control->ops->abort(control->user);
	pthread_mutex_lock(&control->lock);
	if (connection->state == CONNECTION_STAYING)
		say_line(connection, "dropping %llu", (unsigned long long)dropped);
}

/* The first figure comes at once, for those who will not wait. */
static void answer_drain(struct netfs_cli_control *control, struct connection *connection)
{
	uint64_t dirty;

	connection->state = CONNECTION_DRAINING;
	pthread_mutex_unlock(&control->lock);
	dirty = control->ops->dirty(control->user);
	pthread_mutex_lock(&control->lock);
	if (connection->state == CONNECTION_DRAINING)
		say_line(connection, "left %llu", (unsigned long long)dirty);
	if (connection->state == CONNECTION_DRAINING)
		sync_begin_locked(control);
}

static void answer_locked(struct netfs_cli_control *control, struct connection *connection)
{
	if (strcmp(connection->request, "report") == 0) {
		answer_text(control, connection, control->ops->report);
	} else if (strcmp(connection->request, "requests") == 0) {
		answer_text(control, connection, control->ops->requests);
	} else if (strcmp(connection->request, "trace") == 0) {
		answer_text(control, connection, control->ops->trace);
	} else if (strcmp(connection->request, "drain") == 0) {
		answer_drain(control, connection);
	} else if (strcmp(connection->request, "abort") == 0) {
		answer_abort(control, connection);
	} else {
		say_line(connection, "unknown request");
		if (connection->state == CONNECTION_ASKING)
			connection_close(connection);
	}
}

/* Reads on; a line, the peer's end or too long a line end the reading. */
static void read_locked(struct netfs_cli_control *control, struct connection *connection)
{
	size_t room = sizeof(connection->request) - connection->used;
	ssize_t n =
		recv(connection->fd, connection->request + connection->used, room, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || connection->state != CONNECTION_ASKING) {
		connection_close(connection);
		return;
	}
	connection->used += (size_t)n;
	end = memchr(connection->request, '\n', connection->used);
	if (end) {
		*end = '\0';
		answer_locked(control, connection);
	} else if (connection->used == sizeof(connection->request)) {
		connection_close(connection);
	}
}

/* -------------------------------------------------------------- thread */

static void serve_events_locked(struct netfs_cli_control *control, const struct pollfd *fds)
{
	uint64_t count;

	if (fds[1].revents && read(control->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		control->stop = true;
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &control->connections[i];

		if (!fds[2 + i].revents || connection->fd != fds[2 + i].fd)
			continue;
		if (connection->state == CONNECTION_SENDING)
			send_on(connection);
		else
			read_locked(control, connection);
	}
	if (fds[0].revents)
		accept_one(control);
}

/* Fills fds; returns how long to wait. */
static int prepare_locked(struct netfs_cli_control *control, struct pollfd *fds)
{
	int timeout = -1;

	fds[0] = (struct pollfd){.fd = control->listen_fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = control->wake_fd, .events = POLLIN};
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &control->connections[i];

		fds[2 + i] = (struct pollfd){.fd = connection->fd, .events = POLLIN};
		if (connection->state == CONNECTION_SENDING)
			fds[2 + i].events = POLLOUT;
		if (connection->state == CONNECTION_DRAINING)
			timeout = PROGRESS_MS;
	}
	return timeout;
}

static void *thread_main(void *arg)
{
	struct netfs_cli_control *control = arg;
	struct pollfd fds[2 + CONNECTIONS_MAX];
	uint64_t dirty;
	int timeout;

	pthread_mutex_lock(&control->lock);
	while (!control->stop) {
		timeout = prepare_locked(control, fds);
		pthread_mutex_unlock(&control->lock);
		if (poll(fds, 2 + CONNECTIONS_MAX, timeout) < 0)
			memset(fds, 0, sizeof(fds));
		dirty = timeout > 0 ? control->ops->dirty(control->user) : 0;
		pthread_mutex_lock(&control->lock);
		if (control->sync == SYNC_DONE)
			tell_synced_locked(control, dirty);
		else if (timeout > 0)
			tell_progress_locked(control, dirty);
		serve_events_locked(control, fds);
	}
	pthread_mutex_unlock(&control->lock);
	return NULL;
}

/* --------------------------------------------------------- life cycle */

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, err = 0;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, CONNECTIONS_MAX) < 0)
		err = -errno;
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

int netfs_cli_control_start(const char *path, const struct netfs_cli_control_ops *ops, void *user,
			    struct netfs_cli_control **ret_control)
{
	struct netfs_cli_control *control = calloc(1, sizeof(*control));
	sigset_t all, old;
	int err;

	if (!control)
		return -ENOMEM;
	control->ops = ops;
	control->user = user;
	pthread_mutex_init(&control->lock, NULL);
	pthread_cond_init(&control->idle, NULL);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		control->connections[i].fd = -1;
	control->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	control->listen_fd = listen_at(path);
	err = control->listen_fd;
	if (err >= 0) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		err = -pthread_create(&control->thread, NULL, thread_main, control);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	if (err == 0) {
		*ret_control = control;
		return 0;
	}
	if (control->listen_fd >= 0)
		close(control->listen_fd);
	close(control->wake_fd);
	free(control);
	return err;
}

void netfs_cli_control_tell(struct netfs_cli_control *control, const char *format, ...)
{
	char line[512];
	va_list args;

	if (!control)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	pthread_mutex_lock(&control->lock);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		enum connection_state state = control->connections[i].state;

		if (state == CONNECTION_STAYING || state == CONNECTION_DRAINING)
			say_line(&control->connections[i], "%s", line);
	}
	pthread_mutex_unlock(&control->lock);
}

void netfs_cli_control_quiesce(struct netfs_cli_control *control)
{
	if (!control)
		return;
	pthread_mutex_lock(&control->lock);
	control->quiet = true;
	while (control->sync != SYNC_NONE) {
		bool running = control->sync == SYNC_RUNNING;

		pthread_mutex_unlock(&control->lock);
		if (running)
			netfs_call_cancel(&control->call);
		pthread_mutex_lock(&control->lock);
		if (control->sync != SYNC_NONE)
			pthread_cond_wait(&control->idle, &control->lock);
	}
	pthread_mutex_unlock(&control->lock);
}

void netfs_cli_control_resume(struct netfs_cli_control *control)
{
	if (!control)
		return;
	pthread_mutex_lock(&control->lock);
	control->quiet = false;
	pthread_mutex_unlock(&control->lock);
}

void netfs_cli_control_stop(struct netfs_cli_control *control)
{
	if (!control)
		return;
	pthread_mutex_lock(&control->lock);
	control->stop = true;
	wake(control);
	pthread_mutex_unlock(&control->lock);
	pthread_join(control->thread, NULL);
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		if (control->connections[i].state != CONNECTION_FREE)
			connection_close(&control->connections[i]);
	}
	close(control->listen_fd);
	close(control->wake_fd);
	pthread_cond_destroy(&control->idle);
	pthread_mutex_destroy(&control->lock);
	free(control);
}
