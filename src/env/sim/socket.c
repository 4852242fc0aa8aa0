/* SPDX-License-Identifier: MIT */
/*
 * Sockets on the simulated network; the contract is env/socket.h.
 *
 * An answer to a connection request takes a way there and a way back.  It is
 * decided when it arrives: refused, no listener, or a connection whose other
 * end is handed to the listener at that moment.  In a black hole there is no
 * answer until it is lifted.
 *
 * Tasks are posted as on the real machine: both when the connection stands,
 * fails or ends; one of them when its direction moves again after -EAGAIN.
 */
#include <errno.h>
#include <stdlib.h>
#include <base/assert.h>
#include <env/alloc.h>
#include <env/sim/net_impl.h>
#include <env/sim/world.h>

static struct netfs_list sockets = {&sockets, &sockets};
static unsigned socket_count;

static struct wire *wire_in(struct netfs_socket *socket)
{
	return &socket->connection->wire[socket->side];
}

static struct wire *wire_out(struct netfs_socket *socket)
{
	return &socket->connection->wire[!socket->side];
}

/* ------------------------------------------------------------------- news */

static void post_both(struct netfs_socket *socket)
{
	socket->want_read = false;
	socket->want_write = false;
	netfs_task_post(socket->readable);
	netfs_task_post(socket->writable);
}

void netfs_sim_socket_readable(struct netfs_socket *socket)
{
	if (!socket || !socket->want_read)
		return;
	socket->want_read = false;
	netfs_task_post(socket->readable);
}

void netfs_sim_socket_writable(struct netfs_socket *socket)
{
	if (!socket || !socket->want_write)
		return;
	socket->want_write = false;
	netfs_task_post(socket->writable);
}

void netfs_sim_socket_peer_ended(struct netfs_socket *socket)
{
	if (!socket)
		return;
	socket->peer_ended = true;
	post_both(socket);
}

void netfs_sim_socket_die(struct netfs_socket *socket)
{
	if (!socket || socket->state != SOCKET_UP)
		return;
	netfs_timer_stop(&socket->timer);
	netfs_sim_forget(&socket->task);
	socket->state = SOCKET_DEAD;
	socket->err = -ECONNRESET;
	post_both(socket);
}

void netfs_sim_socket_die_later(struct netfs_socket *socket)
{
	if (socket && socket->state == SOCKET_UP)
		netfs_timer_start(&socket->timer, netfs_sim_net_delay());
}

/* ------------------------------------------------------------- connecting */

static void fail(struct netfs_socket *socket, int err)
{
	socket->state = SOCKET_FAILED;
	socket->err = err;
	post_both(socket);
}

static void socket_task(struct netfs_task *task);

static void socket_init(struct netfs_socket *socket, bool counted)
{
	socket->counted = counted;
	netfs_task_init(&socket->task, socket_task);
	netfs_timer_init(&socket->timer, &socket->task);
	netfs_list_push_back(&sockets, &socket->link);
	socket_count++;
}

static void socket_free(struct netfs_socket *socket)
{
	netfs_list_remove(&socket->link);
	socket_count--;
	netfs_free(socket->host);
	netfs_free(socket->port);
	if (socket->counted)
		netfs_free(socket);
	else
		free(socket);
}

static void connect_to(struct netfs_socket *client, struct listener *listener)
{
	struct netfs_socket *server = calloc(1, sizeof(*server));
	struct connection *connection;

	if (!server)
		netfs_sim_die("the simulator itself is out of memory");
	socket_init(server, false);
	connection = netfs_sim_connection_new(client, server);
	client->connection = connection;
	server->connection = connection;
	server->side = 1;
	client->state = SOCKET_UP;
	server->state = SOCKET_UP;
	listener->accept(listener->user, server);
	/* Unless it hung up at once. */
	netfs_assert(!connection->end[1] || server->readable);
	post_both(client);
}

static void socket_task(struct netfs_task *task)
{
	struct netfs_socket *socket = netfs_container_of(task, struct netfs_socket, task);
	struct listener *listener;

	if (socket->state == SOCKET_UP) {
		netfs_sim_socket_die(socket);
		return;
	}
	/* netfs_sim_sockets_wake() comes back to it. */
	if (socket->state != SOCKET_CONNECTING || netfs_sim_net_now()->blackhole)
		return;
	listener = netfs_sim_listener_find(socket->host, socket->port);
	if (listener && !netfs_sim_net_now()->refuse)
		connect_to(socket, listener);
	else if (!listener && !socket->port)
		fail(socket, -ENOENT);
	else
		fail(socket, -ECONNREFUSED);
}

static void ask(struct netfs_socket *socket)
{
	netfs_timer_start(&socket->timer, netfs_sim_net_delay() + netfs_sim_net_delay());
}

void netfs_sim_sockets_wake(void)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &sockets) {
		struct netfs_socket *socket = netfs_container_of(link, struct netfs_socket, link);

		if (socket->state == SOCKET_CONNECTING && !socket->timer.slot)
			ask(socket);
	}
}

int netfs_socket_open(const struct netfs_socket_address *address, struct netfs_task *readable,
		      struct netfs_task *writable, struct netfs_socket **ret_socket)
{
	bool unix_path = address->kind == NETFS_SOCKET_UNIX;
	struct netfs_socket *socket;

	if (address->kind == NETFS_SOCKET_FD)
		return -EOPNOTSUPP;
	socket = netfs_zalloc(sizeof(*socket));
	if (!socket)
		return -ENOMEM;
	socket_init(socket, true);
	socket->readable = readable;
	socket->writable = writable;
	socket->host = netfs_strdup(unix_path ? address->path : address->host);
	if (!unix_path)
		socket->port = netfs_strdup(address->port);
	if (!socket->host || (!unix_path && !socket->port)) {
		socket_free(socket);
		return -ENOMEM;
	}
	*ret_socket = socket;
	ask(socket);
	return 0;
}

void netfs_socket_adopt(struct netfs_socket *socket, struct netfs_task *readable,
			struct netfs_task *writable)
{
	netfs_assert(!socket->readable);
	socket->readable = readable;
	socket->writable = writable;
	post_both(socket);
}

/* ----------------------------------------------------------- moving bytes */

int netfs_socket_status(struct netfs_socket *socket)
{
	switch (socket->state) {
	case SOCKET_CONNECTING:
		return -EINPROGRESS;
	case SOCKET_FAILED:
		return socket->err;
	default:
		return 0;
	}
}

/* 0 where the socket is or was connected. */
static int check_up(struct netfs_socket *socket)
{
	int status = netfs_socket_status(socket);

	return status == -EINPROGRESS ? -ENOTCONN : status;
}

ssize_t netfs_socket_recv(struct netfs_socket *socket, const struct iovec *iov, unsigned niov)
{
	int err = check_up(socket);
	size_t n;

	if (err)
		return err;
	n = netfs_sim_wire_recv(wire_in(socket), iov, niov);
	if (n)
		return (ssize_t)n;
	if (socket->ended || socket->peer_ended)
		return 0;
	if (socket->state == SOCKET_DEAD)
		return socket->err;
	socket->want_read = true;
	return -EAGAIN;
}

ssize_t netfs_socket_send(struct netfs_socket *socket, const struct iovec *iov, unsigned niov)
{
	int err = check_up(socket);
	size_t n;

	if (err)
		return err;
	if (socket->state == SOCKET_DEAD)
		return socket->err;
	/* Who has closed, reads no more; who only shut down, neither. */
	if (socket->ended || socket->peer_ended)
		return -EPIPE;
	n = netfs_sim_wire_send(wire_out(socket), iov, niov);
	if (n)
		return (ssize_t)n;
	socket->want_write = true;
	return -EAGAIN;
}

/* ----------------------------------------------------------------- ending */

void netfs_socket_shutdown(struct netfs_socket *socket)
{
	if (socket->state == SOCKET_CONNECTING) {
		netfs_timer_stop(&socket->timer);
		netfs_sim_forget(&socket->task);
		fail(socket, -ECONNABORTED);
	} else if (socket->state == SOCKET_UP) {
		socket->ended = true;
		netfs_sim_wire_send_end(wire_out(socket));
		post_both(socket);
	}
}

void netfs_socket_close(struct netfs_socket *socket)
{
	if (!socket)
		return;
	netfs_timer_stop(&socket->timer);
	netfs_sim_forget(&socket->task);
	if (socket->connection)
		netfs_sim_connection_leave(socket->connection, socket->side);
	socket_free(socket);
}

bool netfs_sim_socket_left(const struct netfs_socket *socket)
{
	const struct netfs_socket *peer = socket->connection->end[!socket->side];

	return !peer || peer->ended || peer->state != SOCKET_UP || socket->state != SOCKET_UP;
}

void netfs_sim_sockets_start(void)
{
	netfs_assert(!socket_count);
}

unsigned netfs_sim_net_left(void)
{
	return socket_count;
}
