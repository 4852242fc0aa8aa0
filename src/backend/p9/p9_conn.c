/* SPDX-License-Identifier: MIT */
/*
 * The life of a connection.
 *
 *	DOWN --retry_ns--> CONNECTING --> HELLO --> READY
 *	  ^                    |            |         |
 *	  +-------- lose() ----+------------+---------+   (GONE for inherited fds)
 *
 * One task does everything that happens by itself: it opens and closes the
 * socket, receives, answers time, and sends what the socket had no room for.
 * As the same task serves both directions and the timer, it needs no lock
 * against itself, and after the socket is closed and the timer stopped, only
 * the task can post the task: that is how finish() knows nobody is left.
 *
 * Time.  A server that is silent while something is outstanding gets a probe
 * (a Tflush of nothing, which every server answers at once) after half of
 * timeo, and is taken for dead after all of it; a slow fsync alone therefore
 * does not cost the connection.  Connecting and attaching have a deadline of
 * their own.  After a loss, tries follow at 100 ms, doubling to 5 s, each drawn
 * from the upper half of its step so that many clients do not come at once.
 *
 * The first connect is not repeated: it fails with the reason, for the person
 * who is waiting at mount.
 *
 * Locks: see p9.h.  lose() takes both to cut the socket off from senders, and
 * completes requests after letting go.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <backend/backends.h>
#include <env/random.h>
#include <obs/trace.h>
#include "p9.h"

void p9_conn_enter(struct p9_conn *conn)
{
	atomic_fetch_add_explicit(&conn->busy, 1, memory_order_relaxed);
}

void p9_conn_leave(struct p9_conn *conn)
{
	/* release: pairs with the acquire in finish(), which then frees. */
	atomic_fetch_sub_explicit(&conn->busy, 1, memory_order_release);
}

uint32_t p9_conn_room(struct p9_conn *conn)
{
	uint32_t room;

	netfs_mutex_lock(&conn->lock);
	room = conn->msize - P9_IO_HEAD;
	netfs_mutex_unlock(&conn->lock);
	return room;
}

int p9_conn_fault(struct p9_conn *conn, int err, const char *format, ...)
{
	va_list args;

	if (conn->fault)
		return conn->fault;
	conn->fault = err;
	va_start(args, format);
	vsnprintf(conn->fault_text, sizeof(conn->fault_text), format, args);
	va_end(args);
	return err;
}

static void set_state(struct p9_conn *conn, enum p9_state state)
{
	netfs_mutex_lock(&conn->lock);
	conn->state = state;
	netfs_mutex_unlock(&conn->lock);
}

static void tell(struct p9_conn *conn, bool connected, const char *text)
{
	if (conn->host && conn->host->state)
		conn->host->state(conn->host, connected, text);
}

static bool is_closing(struct p9_conn *conn)
{
	bool closing;

	netfs_mutex_lock(&conn->lock);
	closing = conn->closing;
	netfs_mutex_unlock(&conn->lock);
	return closing;
}

/* ------------------------------------------------------------ end */

static void conn_free(struct p9_conn *conn)
{
	for (unsigned i = 0; i < sizeof(conn->strings) / sizeof(conn->strings[0]); i++)
		netfs_free(conn->strings[i]);
	netfs_free(conn->free_fids);
	p9_req_done(&conn->hello);
	netfs_mutex_done(&conn->send_lock);
	netfs_mutex_done(&conn->lock);
	netfs_free(conn);
}

/* Socket and timer are gone.  A thread that just sent the last request may
 * still be on its way out; it takes a few instructions.  It may have posted the task
 * while that was in here: so after the last one has left, the task runs once more. */
static void finish(struct p9_conn *conn)
{
	struct netfs_op *op = conn->end_op;
	int err = conn->end_err;
	bool was_left = conn->left;

	conn->left = atomic_load_explicit(&conn->busy, memory_order_acquire) == 0;
	if (!was_left) {
		netfs_task_post(&conn->task);
		return;
	}
	conn_free(conn);
	op->done(op, err);
}

/* From the next run of the task on nothing but finish() happens. */
static void end(struct p9_conn *conn, struct netfs_op *op, int err)
{
	netfs_timer_stop(&conn->timer);
	conn->end_op = op;
	conn->end_err = err;
	conn->ending = true;
	netfs_task_post(&conn->task);
}

/* ------------------------------------------------------------ loss */

static uint64_t backoff_ns(struct p9_conn *conn)
{
	uint64_t step = P9_BACKOFF_MIN_NS;

	for (unsigned i = 0; i < conn->attempts && step < P9_BACKOFF_MAX_NS; i++)
		step *= 2;
	step = step < P9_BACKOFF_MAX_NS ? step : P9_BACKOFF_MAX_NS;
	conn->attempts++;
	return step / 2 + netfs_random_below(step / 2 + 1);
}

/* Nobody sends or receives from here on; the requests come in list. */
static void cut(struct p9_conn *conn, enum p9_state state, struct netfs_list *list)
{
	struct netfs_socket *socket;

	netfs_mutex_lock(&conn->lock);
	conn->state = state;
	netfs_mutex_lock(&conn->send_lock);
	socket = netfs_take(conn->socket);
	conn->send_failed = false;
	netfs_mutex_unlock(&conn->send_lock);
	p9_req_steal_locked(conn, list);
	netfs_mutex_unlock(&conn->lock);
	netfs_socket_close(socket);
	p9_recv_reset(conn);
	conn->probing = false;
}

static void end_requests(struct netfs_list *list)
{
	struct netfs_list *elem;

	while ((elem = netfs_list_pop_front(list))) {
		struct p9_req *req = netfs_container_of(elem, struct p9_req, pending);

		req->done(req, P9_LOST, NULL);
	}
}

/* The first connect failed: say so and end. */
static void connect_failed(struct p9_conn *conn)
{
	struct netfs_op *op = netfs_take(conn->connect_op);

	if (op->buf && op->buf_size > 0)
		snprintf(op->buf, op->buf_size, "%s", conn->fault_text);
	end(conn, op, conn->fault);
}

static void lose(struct p9_conn *conn)
{
	bool for_good = conn->address.kind == NETFS_SOCKET_FD;
	struct netfs_list list;

	netfs_trace(conn_lost, .extra = conn->attempts, .error = conn->fault);
	netfs_list_init(&list);
	cut(conn, for_good ? P9_GONE : P9_DOWN, &list);
	conn->retry_ns = netfs_clock_now() + backoff_ns(conn);
	if (conn->was_ready && !is_closing(conn))
		tell(conn, false, conn->fault_text);
	end_requests(&list);
	if (conn->connect_op)
		connect_failed(conn);
	else if (for_good)
		p9_call_fail_parked(conn, -ENOTCONN);
	conn->fault = 0;
}

/* ------------------------------------------------------------ connect */

static void open_socket(struct p9_conn *conn)
{
	struct netfs_socket *socket;
	int err = netfs_socket_open(&conn->address, &conn->task, &conn->task, &socket);

	netfs_trace(conn_try, .extra = conn->attempts, .error = err);
	if (err) {
		p9_conn_fault(conn, err, "cannot connect to %s: %s", conn->be.address,
			      strerrordesc_np(-err));
		return;
	}
	conn->deadline_ns = netfs_clock_now() + P9_CONNECT_NS;
	netfs_mutex_lock(&conn->lock);
	conn->state = P9_CONNECTING;
	netfs_mutex_lock(&conn->send_lock);
	conn->socket = socket;
	netfs_mutex_unlock(&conn->send_lock);
	netfs_mutex_unlock(&conn->lock);
}

static const char *connect_error(int err)
{
	switch (err) {
	case -ECONNREFUSED:
		return "connection refused by";
	case -ENOENT:
		return "no such socket or host:";
	case -EHOSTUNREACH:
		return "no such host, or no way to it:";
	case -ETIMEDOUT:
		return "no answer from";
	default:
		return NULL;
	}
}

static void check_connected(struct p9_conn *conn)
{
	int err = netfs_socket_status(conn->socket);
	const char *why = connect_error(err);
	/* The address without its "tcp " or "unix ". */
	const char *where = strchr(conn->be.address, ' ') + 1;

	if (err == -EINPROGRESS)
		return;
	if (err && why) {
		/* A socket that is missing is no answer of the server's. */
		p9_conn_fault(conn, err == -ENOENT ? -EHOSTUNREACH : err, "%s %s", why, where);
	} else if (err) {
		p9_conn_fault(conn, err, "cannot connect to %s: %s", where, strerrordesc_np(-err));
	} else {
		netfs_trace(conn_hello);
		set_state(conn, P9_HELLO);
		p9_hello_start(conn);
	}
}

static void first_ready(struct p9_conn *conn, struct netfs_node *root,
			const struct netfs_attr *attr)
{
	struct netfs_op *op = netfs_take(conn->connect_op);

	conn->be.rsize = conn->msize - P9_IO_HEAD;
	conn->be.wsize = conn->msize - P9_IO_HEAD;
	conn->be.depth = P9_SLICES_MAX;
	op->be = &conn->be;
	op->node = root;
	op->attr = *attr;
	op->done(op, 0);
}

void p9_conn_ready(struct p9_conn *conn, struct netfs_node *root, const struct netfs_attr *attr)
{
	struct netfs_list list;
	bool starved;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	conn->state = P9_READY;
	conn->epoch++;
	netfs_trace(conn_ready, .extra = conn->epoch);
	p9_call_unpark_locked(&conn->parked, &list);
	starved = conn->starved;
	conn->starved = false;
	netfs_mutex_unlock(&conn->lock);
	conn->was_ready = true;
	if (conn->connect_op) {
		first_ready(conn, root, attr);
		return;
	}
	tell(conn, true, "server responds again");
	p9_handle_reclaim(conn);
	p9_call_start_all(&list);
	if (starved && conn->host && conn->host->ready)
		conn->host->ready(conn->host);
}

/* ------------------------------------------------------------ time */

static uint64_t sooner(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

/* Is the server alive?  When to look again, 0 for not before a request. */
static uint64_t watch_silence(struct p9_conn *conn, uint64_t now)
{
	uint64_t heard;
	bool waiting;

	netfs_mutex_lock(&conn->lock);
	heard = conn->heard_ns;
	waiting = conn->outstanding > 0 && conn->state == P9_READY;
	netfs_mutex_unlock(&conn->lock);
	if (!waiting)
		return 0;
	if (now >= heard + conn->silent_ns) {
		p9_conn_fault(conn, -ETIMEDOUT, "server not responding: no reply from %s in %llu s",
			      conn->be.address,
			      (unsigned long long)(conn->silent_ns / NETFS_NS_PER_SEC));
		return 0;
	}
	if (now < heard + conn->silent_ns / 2)
		return heard + conn->silent_ns / 2;
	if (!conn->probing) {
		conn->probing = true;
		p9_send_probe(conn);
	}
	return heard + conn->silent_ns;
}

/* Somebody who gave up is waiting for the server to say so.  A process that is
 * to be killed does not end before, so a server that is silent about this is
 * not waited for as long as one that has work to do. */
static uint64_t watch_flushes(struct p9_conn *conn, uint64_t now)
{
	uint64_t until;

	netfs_mutex_lock(&conn->lock);
	until = conn->flushing ? conn->flush_ns + P9_FLUSH_NS : 0;
	netfs_mutex_unlock(&conn->lock);
	if (!until || now < until)
		return until;
	p9_conn_fault(conn, -ETIMEDOUT,
		      "server not responding: a cancelled request was not answered by %s in %llu s",
		      conn->be.address, (unsigned long long)(P9_FLUSH_NS / NETFS_NS_PER_SEC));
	return 0;
}

/* Looks at every clock and sets the timer for the next. */
static void watch_time(struct p9_conn *conn, bool closing)
{
	uint64_t now = netfs_clock_now(), next = 0;
	enum p9_state state = conn->state;

	if (state == P9_CONNECTING || state == P9_HELLO) {
		next = conn->deadline_ns;
		if (now >= next)
			p9_conn_fault(conn, -ETIMEDOUT, "no answer from %s", conn->be.address);
	} else if (state == P9_READY) {
		next = sooner(watch_silence(conn, now), watch_flushes(conn, now));
	} else if (state == P9_DOWN && !closing) {
		next = conn->retry_ns;
	}
	next = sooner(next, p9_call_expire(conn, now));
	netfs_mutex_lock(&conn->lock);
	/* A request that came in since watch_silence() has started it itself. */
	if (next == 0 && conn->outstanding > 0)
		next = conn->heard_ns + conn->silent_ns / 2;
	if (closing)
		next = sooner(next, conn->close_ns);
	conn->timer_on = next != 0;
	if (next)
		netfs_timer_start(&conn->timer, next > now ? next - now : 0);
	netfs_mutex_unlock(&conn->lock);
}

/* Disconnect was asked for: done once nothing of ours is left out there. */
static void close_step(struct p9_conn *conn)
{
	struct netfs_list list;
	struct netfs_op *op;
	bool wait;

	netfs_mutex_lock(&conn->lock);
	op = conn->end_op;
	wait = conn->state == P9_READY && netfs_clock_now() < conn->close_ns &&
	       (conn->fids_busy > 0 || !netfs_list_empty(&conn->calls));
	netfs_mutex_unlock(&conn->lock);
	if (wait)
		return;
	netfs_list_init(&list);
	cut(conn, P9_GONE, &list);
	p9_call_fail_parked(conn, -ENOTCONN);
	end_requests(&list);
	end(conn, op, 0);
}

static void receive(struct p9_conn *conn)
{
	int more = p9_recv(conn);

	if (more == 1)
		netfs_task_post(&conn->task);
	if (more >= 0 && conn->state == P9_READY)
		conn->attempts = 0;
}

static void run(struct netfs_task *task)
{
	struct p9_conn *conn = netfs_container_of(task, struct p9_conn, task);
	bool closing;

	if (conn->ending) {
		finish(conn);
		return;
	}
	closing = is_closing(conn);
	if (conn->state == P9_DOWN && !closing && netfs_clock_now() >= conn->retry_ns)
		open_socket(conn);
	if (conn->state == P9_CONNECTING)
		check_connected(conn);
	if (conn->state == P9_HELLO || conn->state == P9_READY)
		receive(conn);
	p9_send(conn);
	if (!conn->fault)
		watch_time(conn, closing);
	if (conn->fault) {
		lose(conn);
		if (!conn->ending)
			watch_time(conn, closing);
	}
	if (!conn->ending && closing)
		close_step(conn);
}

/* ------------------------------------------------------------ begin */

static void conn_init(struct p9_conn *conn)
{
	netfs_mutex_init(&conn->lock, NETFS_RANK_BACKEND);
	netfs_mutex_init(&conn->send_lock, NETFS_RANK_BACKEND_IO);
	netfs_list_init(&conn->pending);
	netfs_list_init(&conn->calls);
	netfs_list_init(&conn->parked);
	netfs_list_init(&conn->moving);
	netfs_list_init(&conn->moved);
	netfs_list_init(&conn->handles);
	p9_node_table_init(conn);
	netfs_list_init(&conn->send_queue);
	conn->be.ops = &netfs_p9_ops;
	netfs_task_init(&conn->task, run);
	netfs_timer_init(&conn->timer, &conn->task);
	conn->root_fid.conn = conn;
	atomic_init(&conn->root_fid.refs, 1);
	conn->next_fid = P9_ROOT_FID + 1;
	for (unsigned i = 0; i < P9_TAGS; i++)
		conn->free_tags[i] = (uint16_t)(P9_TAGS - 1 - i);
	conn->nfree_tags = P9_TAGS;
	snprintf(conn->client_id, sizeof(conn->client_id), "unetfs-%016llx",
		 (unsigned long long)netfs_random_u64());
}

void p9_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
		struct netfs_op *op)
{
	struct p9_conn *conn = netfs_zalloc(sizeof(*conn));
	char message[256] = "no memory";
	int err = -ENOMEM;

	if (conn) {
		conn_init(conn);
		err = p9_config_read(config, conn, message, sizeof(message));
	}
	if (err) {
		if (conn)
			conn_free(conn);
		if (op->buf && op->buf_size > 0)
			snprintf(op->buf, op->buf_size, "%s", message);
		op->done(op, err);
		return;
	}
	conn->host = host;
	conn->connect_op = op;
	netfs_task_post(&conn->task);
}

void p9_disconnect(struct netfs_be *be, struct netfs_op *op)
{
	struct p9_conn *conn = p9_conn_of(be);

	netfs_trace(conn_close);
	p9_conn_enter(conn);
	netfs_mutex_lock(&conn->lock);
	conn->closing = true;
	conn->end_op = op;
	conn->close_ns = netfs_clock_now() + conn->soft_ns;
	netfs_task_post(&conn->task);
	netfs_mutex_unlock(&conn->lock);
	p9_conn_leave(conn);
}
