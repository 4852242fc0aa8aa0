/* SPDX-License-Identifier: MIT */
/*
 * The simulated network: connections, the bytes on their wires, listeners, and
 * what goes wrong.
 *
 *      send --> travelling [seg][seg][end] --timer, task--> arrived --> recv
 *               <------------- filled: at most WINDOW -------------->
 *
 * A send is cut into segments of random length, each with a random delay.  The
 * timer of a wire stands on its first travelling segment only, so that none
 * overtakes another, and the task it posts lets exactly one arrive, so that
 * arrivals on different wires mix with everything else in an order the
 * scheduler draws.
 *
 * In a black hole nothing arrives; segments stay where they are, as if sent
 * again and again, and come through when it is lifted.  A cut throws away what
 * travels in both directions; the receiver notices at once, the other end some
 * delay later, and until then it sends into nothing.
 *
 * All of this memory belongs to the world and not to the product, so it comes
 * straight from the C library.
 */
#include <stdlib.h>
#include <string.h>
#include <base/assert.h>
#include <base/round.h>
#include <env/clock.h>
#include <env/sim/net_impl.h>
#include <env/sim/world.h>

#define WINDOW	(256 * 1024)
#define MILLION 1000000

static const struct netfs_sim_net calm = {
	.latency_min_ns = 20000,
	.latency_max_ns = 200000,
};

static struct netfs_sim_net net;
static struct netfs_list connections = {&connections, &connections};
static struct netfs_list listeners = {&listeners, &listeners};

static void *world_alloc(size_t size)
{
	void *ptr = calloc(1, size);

	if (!ptr)
		netfs_sim_die("the simulator itself is out of memory");
	return ptr;
}

const struct netfs_sim_net *netfs_sim_net_now(void)
{
	return &net;
}

uint64_t netfs_sim_net_delay(void)
{
	uint64_t spread = net.latency_max_ns - net.latency_min_ns;

	return net.latency_min_ns + netfs_rng_below(&netfs_sim_luck, spread + 1);
}

/* ------------------------------------------------------------------ wires */

static struct netfs_socket *receiver(const struct wire *wire)
{
	return wire->connection->end[wire - wire->connection->wire];
}

static struct netfs_socket *sender(const struct wire *wire)
{
	return wire->connection->end[!(wire - wire->connection->wire)];
}

static struct segment *first_of(struct netfs_list *list)
{
	return netfs_list_empty(list) ? NULL : netfs_container_of(list->next, struct segment, link);
}

static void drop_segment(struct wire *wire, struct segment *segment)
{
	wire->filled -= segment->len - segment->used;
	netfs_list_remove(&segment->link);
	free(segment);
}

static void drop_all(struct wire *wire, struct netfs_list *list)
{
	struct segment *segment;

	while ((segment = first_of(list)))
		drop_segment(wire, segment);
}

static void arm(struct wire *wire)
{
	struct segment *first = first_of(&wire->travelling);
	uint64_t now = netfs_clock_now();

	if (!first || net.blackhole)
		return;
	netfs_timer_start(&wire->timer, first->arrive_ns > now ? first->arrive_ns - now : 0);
}

static void launch(struct wire *wire, struct segment *segment)
{
	bool first = netfs_list_empty(&wire->travelling);

	segment->arrive_ns = netfs_clock_now() + netfs_sim_net_delay();
	netfs_list_push_back(&wire->travelling, &segment->link);
	if (first)
		arm(wire);
}

/* Copies n bytes from position start of the pieces. */
static void gather(char *to, const struct iovec *iov, size_t start, size_t n)
{
	while (n) {
		size_t part;

		while (start >= iov->iov_len) {
			start -= iov->iov_len;
			iov++;
		}
		part = netfs_min(iov->iov_len - start, n);
		memcpy(to, (const char *)iov->iov_base + start, part);
		to += part;
		start += part;
		n -= part;
	}
}

static size_t segment_len(size_t left)
{
	size_t len = left;

	if (net.segment_max && netfs_rng_below(&netfs_sim_luck, 2))
		len = net.segment_max;
	else if (net.segment_max)
		len = 1 + netfs_rng_below(&netfs_sim_luck, net.segment_max);
	return netfs_min(len, left);
}

size_t netfs_sim_wire_send(struct wire *wire, const struct iovec *iov, unsigned niov)
{
	size_t total = 0;
	size_t sent = 0;

	for (unsigned i = 0; i < niov; i++)
		total += iov[i].iov_len;
	if (wire->connection->cut)
		return total;
	total = netfs_min(total, WINDOW - wire->filled);
	while (sent < total) {
		size_t len = segment_len(total - sent);
		struct segment *segment = world_alloc(sizeof(*segment) + len);

		segment->len = len;
		gather(segment->data, iov, sent, len);
		wire->filled += len;
		launch(wire, segment);
		sent += len;
	}
	return sent;
}

void netfs_sim_wire_send_end(struct wire *wire)
{
	struct segment *segment;

	if (wire->end_sent || wire->connection->cut)
		return;
	wire->end_sent = true;
	segment = world_alloc(sizeof(*segment));
	segment->end = true;
	launch(wire, segment);
}

/* Copies out of the first arrived segment; true while there is more room. */
static size_t take(struct wire *wire, char *to, size_t room)
{
	struct segment *segment = first_of(&wire->arrived);
	size_t n;

	if (!segment)
		return 0;
	n = netfs_min(room, segment->len - segment->used);
	memcpy(to, segment->data + segment->used, n);
	segment->used += n;
	wire->filled -= n;
	if (segment->used == segment->len)
		drop_segment(wire, segment);
	return n;
}

size_t netfs_sim_wire_recv(struct wire *wire, const struct iovec *iov, unsigned niov)
{
	size_t got = 0;

	for (unsigned i = 0; i < niov; i++) {
		size_t filled = 0;
		size_t n = 1;

		while (n && filled < iov[i].iov_len) {
			n = take(wire, (char *)iov[i].iov_base + filled, iov[i].iov_len - filled);
			filled += n;
		}
		got += filled;
	}
	if (got)
		netfs_sim_socket_writable(sender(wire));
	return got;
}

/* ---------------------------------------------------------------- arrival */

static void cut(struct connection *connection)
{
	connection->cut = true;
	for (unsigned i = 0; i < 2; i++) {
		struct wire *wire = &connection->wire[i];

		drop_all(wire, &wire->travelling);
		netfs_timer_stop(&wire->timer);
		netfs_sim_forget(&wire->deliver);
	}
}

static void arrive(struct wire *wire, struct segment *segment)
{
	struct netfs_socket *to = receiver(wire);

	if (segment->end || !to) {
		bool end = segment->end;

		drop_segment(wire, segment);
		if (end)
			netfs_sim_socket_peer_ended(to);
		else
			netfs_sim_socket_writable(sender(wire));
		return;
	}
	netfs_list_remove(&segment->link);
	netfs_list_push_back(&wire->arrived, &segment->link);
	netfs_sim_socket_readable(to);
}

static void deliver(struct netfs_task *task)
{
	struct wire *wire = netfs_container_of(task, struct wire, deliver);
	struct segment *segment = first_of(&wire->travelling);
	struct netfs_socket *from = sender(wire);
	struct netfs_socket *to = receiver(wire);

	/* It may have been sent again since, or be lost in the black hole. */
	if (!segment || net.blackhole)
		return;
	if (netfs_rng_below(&netfs_sim_luck, MILLION) >= net.cut_per_million) {
		arrive(wire, segment);
		arm(wire);
		return;
	}
	netfs_sim_printf("network: connection cut");
	if (segment->len) {
		wire->filled -= segment->len;
		segment->len = netfs_rng_below(&netfs_sim_luck, segment->len);
		wire->filled += segment->len;
		if (segment->len)
			arrive(wire, segment);
	}
	cut(wire->connection);
	netfs_sim_socket_die(to);
	netfs_sim_socket_die_later(from);
}

/* ------------------------------------------------------------ connections */

static void wire_init(struct wire *wire, struct connection *connection)
{
	wire->connection = connection;
	netfs_list_init(&wire->travelling);
	netfs_list_init(&wire->arrived);
	netfs_task_init(&wire->deliver, deliver);
	netfs_timer_init(&wire->timer, &wire->deliver);
}

struct connection *netfs_sim_connection_new(struct netfs_socket *client,
					    struct netfs_socket *server)
{
	struct connection *connection = world_alloc(sizeof(*connection));

	connection->end[0] = client;
	connection->end[1] = server;
	wire_init(&connection->wire[0], connection);
	wire_init(&connection->wire[1], connection);
	netfs_list_push_back(&connections, &connection->link);
	return connection;
}

void netfs_sim_connection_leave(struct connection *connection, unsigned side)
{
	struct wire *in = &connection->wire[side];
	struct wire *out = &connection->wire[!side];

	connection->end[side] = NULL;
	drop_all(in, &in->arrived);
	if (connection->end[!side]) {
		netfs_sim_wire_send_end(out);
		netfs_sim_socket_writable(connection->end[!side]);
		return;
	}
	cut(connection);
	drop_all(out, &out->arrived);
	netfs_list_remove(&connection->link);
	free(connection);
}

void netfs_sim_cut_all(void)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &connections) {
		struct connection *connection = netfs_container_of(link, struct connection, link);

		if (connection->cut)
			continue;
		cut(connection);
		netfs_sim_socket_die_later(connection->end[0]);
		netfs_sim_socket_die_later(connection->end[1]);
	}
}

void netfs_sim_set_net(const struct netfs_sim_net *new_net)
{
	bool lifted = net.blackhole && !new_net->blackhole;
	struct netfs_list *link;

	netfs_assert(new_net->latency_min_ns <= new_net->latency_max_ns);
	net = *new_net;
	if (!lifted)
		return;
	netfs_list_for_each (link, &connections) {
		struct connection *connection = netfs_container_of(link, struct connection, link);

		arm(&connection->wire[0]);
		arm(&connection->wire[1]);
	}
	netfs_sim_sockets_wake();
}

/* -------------------------------------------------------------- listeners */

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

struct listener *netfs_sim_listener_find(const char *host, const char *port)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &listeners) {
		struct listener *listener = netfs_container_of(link, struct listener, link);

		if (same_text(listener->host, host) && same_text(listener->port, port))
			return listener;
	}
	return NULL;
}

static void free_listener(struct listener *listener)
{
	netfs_list_remove(&listener->link);
	free(listener->host);
	free(listener->port);
	free(listener);
}

void netfs_sim_listen(const char *host, const char *port,
		      void (*accept)(void *user, struct netfs_socket *socket), void *user)
{
	struct listener *listener = netfs_sim_listener_find(host, port);

	if (listener)
		free_listener(listener);
	if (!accept)
		return;
	listener = world_alloc(sizeof(*listener));
	listener->host = strdup(host);
	listener->port = port ? strdup(port) : NULL;
	listener->accept = accept;
	listener->user = user;
	netfs_list_push_back(&listeners, &listener->link);
}

void netfs_sim_net_start(void)
{
	net = calm;
	netfs_sim_sockets_start();
}

void netfs_sim_net_stop(void)
{
	while (!netfs_list_empty(&listeners))
		free_listener(netfs_container_of(listeners.next, struct listener, link));
}
