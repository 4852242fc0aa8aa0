/* SPDX-License-Identifier: MIT */
/*
 * Private to env/sim: connections (net.c) and the sockets at their ends
 * (socket.c).
 */
#ifndef ENV_SIM_NET_IMPL_H
#define ENV_SIM_NET_IMPL_H

#include <env/timer.h>
#include <env/sim/sim.h>

enum socket_state {
	SOCKET_CONNECTING, /* the answer is under way */
	SOCKET_UP,
	SOCKET_DEAD, /* was up; err says what ended it, once all is read */
	SOCKET_FAILED, /* never came up; err says why */
};

/* One end.  Its owner's; freed by netfs_socket_close(). */
struct netfs_socket {
	struct netfs_list link; /* in the list of all sockets */
	enum socket_state state;
	int err;
	struct netfs_task *readable; /* NULL until a listener's end is adopted */
	struct netfs_task *writable;
	bool want_read; /* the last recv found nothing */
	bool want_write; /* the last send found no room */
	bool ended; /* shut down by its owner */
	bool peer_ended; /* the peer's end of stream has arrived */
	bool counted; /* memory of the product, not of the world around it */

	/* CONNECTING: the answer.  UP: the news that the connection is cut. */
	struct netfs_timer timer;
	struct netfs_task task;
	char *host; /* the address while CONNECTING */
	char *port;

	struct connection *connection; /* from UP on */
	unsigned side; /* which end of it */
};

/* Bytes under way together. */
struct segment {
	struct netfs_list link;
	uint64_t arrive_ns;
	size_t len;
	size_t used; /* bytes already read from the front */
	bool end; /* of the stream; has no bytes */
	char data[];
};

/* One direction.  Bytes of one that nobody reads any more vanish on arrival. */
struct wire {
	struct connection *connection;
	struct netfs_list travelling; /* segments, in order of sending */
	struct netfs_list arrived; /* segments not read yet */
	size_t filled; /* bytes in both */
	bool end_sent;
	struct netfs_timer timer; /* arrival of the first travelling one */
	struct netfs_task deliver;
};

/* Both directions.  wire[i] leads to end[i].  Freed when both ends are NULL. */
struct connection {
	struct netfs_list link; /* in the list of all connections */
	struct netfs_socket *end[2]; /* NULL once closed */
	struct wire wire[2];
	bool cut; /* nothing travels any more */
};

/* ------------------------------------------------------------------ net.c */

struct connection *netfs_sim_connection_new(struct netfs_socket *client,
					    struct netfs_socket *server);
/* An end is gone: tells the other one, frees what nobody needs. */
void netfs_sim_connection_leave(struct connection *connection, unsigned side);
/* Sends up to n bytes; how many there was room for. */
size_t netfs_sim_wire_send(struct wire *wire, const struct iovec *iov, unsigned niov);
void netfs_sim_wire_send_end(struct wire *wire);
size_t netfs_sim_wire_recv(struct wire *wire, const struct iovec *iov, unsigned niov);
/* The present behaviour, and a delay drawn from it. */
const struct netfs_sim_net *netfs_sim_net_now(void);
uint64_t netfs_sim_net_delay(void);

/* --------------------------------------------------------------- socket.c */

/* News for an end of a connection; NULL is allowed. */
void netfs_sim_socket_readable(struct netfs_socket *socket);
void netfs_sim_socket_writable(struct netfs_socket *socket);
void netfs_sim_socket_peer_ended(struct netfs_socket *socket);
void netfs_sim_socket_die(struct netfs_socket *socket);
/* It will learn later that the connection is dead. */
void netfs_sim_socket_die_later(struct netfs_socket *socket);
/* The network works again: those that wait for an answer may get one. */
void netfs_sim_sockets_wake(void);
void netfs_sim_sockets_start(void);

/* Is somebody listening there, and who is told. */
struct listener {
	struct netfs_list link;
	char *host;
	char *port; /* NULL: host is a path */
	void (*accept)(void *user, struct netfs_socket *socket);
	void *user;
};
struct listener *netfs_sim_listener_find(const char *host, const char *port);

#endif
