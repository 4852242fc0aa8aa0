/* SPDX-License-Identifier: MIT */
/*
 * The simulated server's connections: frames in, requests that wait for their
 * turn, replies out.  What a request does is in server_9p_ops.c.
 *
 * Everything runs in tasks of the simulated world, one at a time, so there are
 * no locks.  A request is executed when it arrives or when its reply goes; both
 * happen on real servers, and a client must not care.  When a connection ends,
 * each request that was not executed is executed at once or never: the client
 * must be able to live with both, but not with one executed later, after a
 * newer connection's requests.
 *
 * Timers post tasks, and a task may be queued when its owner dies; so dead
 * requests stay until their task ran, dead connections until the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "server_9p.h"

#define OUT_ROOM (4U << 20)

void server9_violation(struct server9 *server, const char *what)
{
	if (!server->violation[0])
		snprintf(server->violation, sizeof(server->violation), "%s", what);
}

/* Takes the request off its connection; its task, run once more, frees it. */
static void request_kill(struct request9 *request)
{
	netfs_list_remove(&request->link);
	request->conn = NULL;
	netfs_timer_start(&request->timer, 0);
}

static void conn_end(struct conn9 *conn)
{
	struct faults *faults = conn->server->faults;
	struct netfs_list *at, *tmp;

	if (!conn->socket)
		return;
	faults->cuts++;
	netfs_socket_close(conn->socket);
	conn->socket = NULL;
	netfs_timer_stop(&conn->doom);
	netfs_list_for_each_safe (at, tmp, &conn->requests) {
		struct request9 *request = netfs_container_of(at, struct request9, link);

		if (!request->executed && rng_one_in(&faults->rng, 2))
			server9_execute(conn, request);
		request_kill(request);
	}
	server9_fids_clear(conn);
	netfs_list_remove(&conn->link);
	netfs_list_push_back(&conn->server->dead, &conn->link);
}

static void doomed(struct netfs_task *task)
{
	struct conn9 *conn = netfs_container_of(task, struct conn9, doom_task);

	conn_end(conn);
}

/* Sends what the network takes. */
static void conn_send(struct conn9 *conn)
{
	while (conn->socket && conn->out_len) {
		struct iovec iov = {conn->out, conn->out_len};
		ssize_t sent = netfs_socket_send(conn->socket, &iov, 1);

		if (sent == -EAGAIN)
			return;
		if (sent <= 0) {
			conn_end(conn);
			return;
		}
		conn->out_len -= sent;
		memmove(conn->out, conn->out + sent, conn->out_len);
	}
	if (conn->cut_when_sent)
		conn_end(conn);
}

static void writable(struct netfs_task *task)
{
	conn_send(netfs_container_of(task, struct conn9, writable));
}

static bool conn_queue(struct conn9 *conn, const void *bytes, size_t len)
{
	if (conn->out_len + len > conn->out_room) {
		size_t room = (conn->out_len + len) * 2;
		uint8_t *out = room <= OUT_ROOM ? realloc(conn->out, room) : NULL;

		if (!out)
			return false;
		conn->out = out;
		conn->out_room = room;
	}
	if (len)
		memcpy(conn->out + conn->out_len, bytes, len);
	conn->out_len += len;
	return true;
}

/* The reply goes out, or gets lost, or half of it does.  The request is off
 * its connection before anything that may end that. */
static void request_reply(struct conn9 *conn, struct request9 *request)
{
	struct faults *faults = conn->server->faults;
	size_t len = request->reply.len;
	bool cut = faults_draw(faults, faults->mix.cut_in_reply);

	if (request->lost) {
		/* Silence, then the end: the client cannot know more. */
		netfs_timer_start(&conn->doom, rng_between(&faults->rng, 1, 30) * NETFS_NS_PER_SEC);
		return;
	}
	/* Nothing may follow half a reply. */
	if (conn->cut_when_sent)
		return;
	if (cut) {
		len = rng_below(&faults->rng, len);
		conn->cut_when_sent = true;
		faults->others++;
	}
	if (!conn_queue(conn, request->reply.buf, len))
		server9_violation(conn->server, "the client does not read its replies");
	else
		conn_send(conn);
}

static void request_task(struct netfs_task *task)
{
	struct request9 *request = netfs_container_of(task, struct request9, task);
	struct conn9 *conn = request->conn;

	if (conn) {
		if (!request->executed)
			server9_execute(conn, request);
		/* Executing a Tflush may have ended the connection. */
		if (!request->conn)
			return;
		netfs_list_remove(&request->link);
		request->conn = NULL;
		request_reply(conn, request);
	}
	request->server->pending--;
	free(request->reply.buf);
	free(request);
}

void server9_flush(struct conn9 *conn, uint16_t tag)
{
	struct request9 *old = NULL;
	struct netfs_list *at;

	netfs_list_for_each (at, &conn->requests) {
		struct request9 *request = netfs_container_of(at, struct request9, link);

		if (request->tag == tag && request->type != T_FLUSH)
			old = request;
	}
	if (!old)
		return;
	request_kill(old);
	/* Who gets Rflush alone may believe that nothing was done. */
	if (!old->executed && rng_one_in(&conn->server->faults->rng, 2))
		return;
	if (!old->executed)
		server9_execute(conn, old);
	old->lost = false;
	request_reply(conn, old);
}

static bool tag_in_use(const struct conn9 *conn, uint16_t tag)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &conn->requests)
		if (netfs_container_of(at, struct request9, link)->tag == tag)
			return true;
	return false;
}

/* Draws what becomes of a new request and sets its timer. */
static void request_schedule(struct conn9 *conn, struct request9 *request)
{
	struct faults *faults = conn->server->faults;
	uint64_t delay = faults_delay(faults);

	if (!delay || !faults_draw(faults, faults->mix.late_execute))
		server9_execute(conn, request);
	if (!conn->socket)
		return;
	if (request->type != T_VERSION && request->type != T_FLUSH &&
	    faults_draw(faults, faults->mix.lost_reply)) {
		request->lost = true;
		faults->others++;
	}
	netfs_timer_start(&request->timer, delay);
}

/* One complete frame. */
static void conn_frame(struct conn9 *conn, const uint8_t *frame, size_t len)
{
	struct request9 *request = calloc(1, sizeof(*request) + len - HEADER_LEN);
	size_t room = conn->msize ? conn->msize : 8192;

	if (!request) {
		server9_violation(conn->server, "no memory");
		return;
	}
	request->type = frame[4];
	request->tag = frame[5] | frame[6] << 8;
	request->len = len - HEADER_LEN;
	memcpy(request->body, frame + HEADER_LEN, request->len);
	request->reply = (struct out9){.buf = malloc(room), .room = room};
	netfs_task_init(&request->task, request_task);
	netfs_timer_init(&request->timer, &request->task);
	if (tag_in_use(conn, request->tag))
		server9_violation(conn->server, "tag used again before its reply");
	if ((request->type == T_VERSION) != (request->tag == NO_TAG))
		server9_violation(conn->server, "tag does not fit the message");
	if (!conn->msize && request->type != T_VERSION)
		server9_violation(conn->server, "request before Tversion");
	request->conn = conn;
	request->server = conn->server;
	netfs_list_push_back(&conn->requests, &request->link);
	conn->server->requests++;
	conn->server->pending++;
	request_schedule(conn, request);
}

/* Takes complete frames off the front of what was received. */
static void conn_frames(struct conn9 *conn)
{
	size_t at = 0;

	while (conn->socket && conn->in_len - at >= 4) {
		struct in9 in = {conn->in + at, conn->in + conn->in_len, false};
		uint32_t len = in_u32(&in);

		if (len < HEADER_LEN || len > (conn->msize ? conn->msize : 8192)) {
			server9_violation(conn->server, "frame of an impossible length");
			conn_end(conn);
			return;
		}
		if (conn->in_len - at < len)
			break;
		conn_frame(conn, conn->in + at, len);
		at += len;
	}
	conn->in_len -= at;
	memmove(conn->in, conn->in + at, conn->in_len);
}

/* A client hangs up by itself. */
static void note_fids_left(struct conn9 *conn)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < FIDS_MAX; i++)
		left += conn->fids[i].number != NO_FID;
	if (left > conn->server->fids_left)
		conn->server->fids_left = left;
}

static void readable(struct netfs_task *task)
{
	struct conn9 *conn = netfs_container_of(task, struct conn9, readable);
	const size_t room = 2U << 20;

	while (conn->socket) {
		struct iovec iov = {conn->in + conn->in_len, room - conn->in_len};
		ssize_t got = netfs_socket_recv(conn->socket, &iov, 1);

		if (got == -EAGAIN || got == -ENOTCONN)
			return;
		if (got <= 0) {
			note_fids_left(conn);
			conn_end(conn);
			return;
		}
		conn->in_len += got;
		conn_frames(conn);
	}
}

static void accepted(void *user, struct netfs_socket *socket)
{
	struct server9 *server = user;
	struct conn9 *conn = calloc(1, sizeof(*conn));

	if (conn)
		conn->in = malloc(2U << 20);
	if (!conn || !conn->in)
		abort();
	server->faults->cuts++;
	conn->server = server;
	conn->socket = socket;
	netfs_list_init(&conn->requests);
	netfs_task_init(&conn->readable, readable);
	netfs_task_init(&conn->writable, writable);
	netfs_task_init(&conn->doom_task, doomed);
	netfs_timer_init(&conn->doom, &conn->doom_task);
	for (unsigned i = 0; i < FIDS_MAX; i++)
		conn->fids[i].number = NO_FID;
	netfs_list_push_back(&server->conns, &conn->link);
	netfs_socket_adopt(socket, &conn->readable, &conn->writable);
	/* Bytes may have come before the tasks were known. */
	netfs_task_post(&conn->readable);
}

int server9_init(struct server9 *server, struct faults *faults, const struct server9_config *config)
{
	memset(server, 0, sizeof(*server));
	server->faults = faults;
	server->config = *config;
	netfs_list_init(&server->conns);
	netfs_list_init(&server->dead);
	netfs_list_init(&server->locks);
	return tree_init(&server->tree);
}

void server9_listen(struct server9 *server, bool on)
{
	if (server->listening == on)
		return;
	netfs_sim_listen(SERVER_HOST, SERVER_PORT, on ? accepted : NULL, server);
	server->listening = on;
}

void server9_drop_all(struct server9 *server)
{
	struct netfs_list *at, *tmp;

	netfs_list_for_each_safe (at, tmp, &server->conns)
		conn_end(netfs_container_of(at, struct conn9, link));
}

bool server9_lingers(const struct server9 *server)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->conns)
		if (netfs_sim_socket_left(netfs_container_of(at, struct conn9, link)->socket))
			return true;
	return false;
}

void server9_done(struct server9 *server)
{
	struct netfs_list *at;

	server9_listen(server, false);
	server9_drop_all(server);
	while ((at = netfs_list_pop_front(&server->dead))) {
		struct conn9 *conn = netfs_container_of(at, struct conn9, link);

		free(conn->in);
		free(conn->out);
		free(conn);
	}
	tree_done(&server->tree);
}
