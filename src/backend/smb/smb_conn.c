/* SPDX-License-Identifier: MIT */
/*
 * The life of a connection.
 *
 *	DOWN --retry_ns--> CONNECTING --> HELLO --> READY
 *	  ^                    |            |         |
 *	  +-------- lose() ----+------------+---------+   (GONE at the end)
 *
 * One task does everything that happens by itself: it opens and closes the
 * socket, receives, answers time, and sends what the socket had no room for.
 * As the same task serves both directions and the timer, it needs no lock
 * against itself, and after the socket is closed and the timer stopped, only
 * the task, and a job that makes a token, can post it: that is how finish()
 * knows nobody is left.
 *
 * Time.  A server that is silent for echo_interval while something is outstanding
 * gets an ECHO, and is taken for dead after twice that.  Connecting and logging in
 * have a deadline of their own.  After a loss, tries follow at 100 ms, doubling to
 * 5 s, each drawn from the upper half of its step so that many clients do not
 * come at once.
 *
 * The first connect is not repeated: it fails with the reason, for the person
 * who is waiting at mount.
 *
 * Locks: see smb.h.  lose() takes both to cut the socket off from senders, and
 * completes requests after letting go.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <backend/backends.h>
#include <env/random.h>
#include <env/secret.h>
#include <obs/trace.h>
#include "smb.h"

#define SMB_DEPTH 64u /* slices worth keeping in flight; credits decide */

void smb_conn_enter(struct smb_conn *conn)
{
	atomic_fetch_add_explicit(&conn->busy, 1, memory_order_relaxed);
}

void smb_conn_leave(struct smb_conn *conn)
{
	/* release: pairs with the acquire in finish(), which then frees. */
	atomic_fetch_sub_explicit(&conn->busy, 1, memory_order_release);
}

int smb_conn_fault(struct smb_conn *conn, int err, const char *format, ...)
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

static void set_state(struct smb_conn *conn, enum smb_state state)
{
	netfs_mutex_lock(&conn->lock);
	conn->state = state;
	netfs_mutex_unlock(&conn->lock);
}

static void tell(struct smb_conn *conn, bool connected, const char *text)
{
	if (conn->host && conn->host->state)
		conn->host->state(conn->host, connected, text);
}

static bool is_closing(struct smb_conn *conn)
{
	bool closing;

	netfs_mutex_lock(&conn->lock);
	closing = conn->closing;
	netfs_mutex_unlock(&conn->lock);
	return closing;
}

/* ------------------------------------------------------------ end */

static void conn_free(struct smb_conn *conn)
{
	for (unsigned i = 0; i < sizeof(conn->strings) / sizeof(conn->strings[0]); i++)
		netfs_free(conn->strings[i]);
	smb_req_reset(&conn->hello);
	netfs_free(conn->hello.head);
	smb_req_reset(&conn->echo);
	netfs_free(conn->echo.head);
	netfs_auth_free(conn->login.auth);
	netfs_free(conn->login.token);
	netfs_secret_free(conn->password, NETFS_SECRET_MAX);
	netfs_secret_free(conn->keys, sizeof(*conn->keys));
	netfs_mutex_done(&conn->send_lock);
	netfs_mutex_done(&conn->lock);
	netfs_free(conn);
}

/* Socket and timer are gone.  A thread that just sent the last request may
 * still be on its way out; it takes a few instructions. */
static void finish(struct smb_conn *conn)
{
	struct netfs_op *op = conn->end_op;
	int err = conn->end_err;

	/* A job that makes a token posts the task when it is through. */
	if (conn->login_busy && !atomic_load(&conn->login_back))
		return;
	if (atomic_load_explicit(&conn->busy, memory_order_acquire) > 0) {
		netfs_task_post(&conn->task);
		return;
	}
	conn_free(conn);
	op->done(op, err);
}

/* From the next run of the task on nothing but finish() happens. */
static void end(struct smb_conn *conn, struct netfs_op *op, int err)
{
	netfs_timer_stop(&conn->timer);
	conn->end_op = op;
	conn->end_err = err;
	conn->ending = true;
	netfs_task_post(&conn->task);
}

/* ------------------------------------------------------------ loss */

static uint64_t backoff_ns(struct smb_conn *conn)
{
	uint64_t step = SMB_BACKOFF_MIN_NS;

	for (unsigned i = 0; i < conn->attempts && step < SMB_BACKOFF_MAX_NS; i++)
		step *= 2;
	step = step < SMB_BACKOFF_MAX_NS ? step : SMB_BACKOFF_MAX_NS;
	conn->attempts++;
	return step / 2 + netfs_random_below(step / 2 + 1);
}

/* Nobody sends or receives from here on; the requests come in list. */
static void cut(struct smb_conn *conn, enum smb_state state, struct netfs_list *list)
{
	struct netfs_socket *socket;

	netfs_mutex_lock(&conn->lock);
	conn->state = state;
	netfs_mutex_lock(&conn->send_lock);
	socket = netfs_take(conn->socket);
	conn->send_failed = false;
	netfs_mutex_unlock(&conn->send_lock);
	smb_req_steal_locked(conn, list);
	netfs_mutex_unlock(&conn->lock);
	netfs_socket_close(socket);
	smb_recv_reset(conn);
	conn->echoing = false;
}

static void end_requests(struct netfs_list *list)
{
	struct netfs_list *elem;

	while ((elem = netfs_list_pop_front(list))) {
		struct smb_req *req = netfs_container_of(elem, struct smb_req, link);

		req->done(req, SMB_LOST);
	}
}

/* The first connect failed: say so and end. */
static void connect_failed(struct smb_conn *conn)
{
	struct netfs_op *op = netfs_take(conn->connect_op);

	if (op->buf && op->buf_size > 0)
		snprintf(op->buf, op->buf_size, "%s", conn->fault_text);
	end(conn, op, conn->fault);
}

static void lose(struct smb_conn *conn)
{
	struct netfs_list list;

	netfs_trace(conn_lost, .extra = conn->attempts, .error = conn->fault);
	netfs_list_init(&list);
	cut(conn, SMB_DOWN, &list);
	smb_lease_lost_all(conn);
	conn->retry_ns = netfs_clock_now() + backoff_ns(conn);
	if (conn->was_ready && !is_closing(conn))
		tell(conn, false, conn->fault_text);
	end_requests(&list);
	if (conn->connect_op)
		connect_failed(conn);
	conn->fault = 0;
}

/* ------------------------------------------------------------ connect */

static void open_socket(struct smb_conn *conn)
{
	struct netfs_socket *socket;
	int err = netfs_socket_open(&conn->address, &conn->task, &conn->task, &socket);

	netfs_trace(conn_try, .extra = conn->attempts, .error = err);
	if (err) {
		smb_conn_fault(conn, err, "cannot connect to %s: %s", conn->be.address,
			       strerrordesc_np(-err));
		return;
	}
	conn->deadline_ns = netfs_clock_now() + SMB_CONNECT_NS;
	netfs_mutex_lock(&conn->lock);
	conn->state = SMB_CONNECTING;
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

static void check_connected(struct smb_conn *conn)
{
	int err = netfs_socket_status(conn->socket);
	const char *why = connect_error(err);
	/* The address without its "tcp " or "unix ". */
	const char *where = strchr(conn->be.address, ' ') + 1;

	if (err == -EINPROGRESS)
		return;
	if (err && why) {
		smb_conn_fault(conn, err, "%s %s", why, where);
	} else if (err) {
		smb_conn_fault(conn, err, "cannot connect to %s: %s", where, strerrordesc_np(-err));
	} else {
		netfs_trace(conn_hello);
		set_state(conn, SMB_HELLO);
		smb_hello_start(conn);
	}
}

static void first_ready(struct smb_conn *conn, struct netfs_node *root,
			const struct netfs_attr *attr)
{
	struct netfs_op *op = netfs_take(conn->connect_op);

	conn->be.rsize = conn->max_io;
	conn->be.wsize = conn->max_io;
	conn->be.depth = SMB_DEPTH;
	op->be = &conn->be;
	op->node = root;
	op->attr = *attr;
	op->done(op, 0);
}

void smb_conn_ready(struct smb_conn *conn, struct netfs_node *root, const struct netfs_attr *attr)
{
	struct netfs_list list;
	bool starved;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	conn->state = SMB_READY;
	conn->session++;
	conn->previous_id = conn->session_id;
	netfs_trace(conn_ready, .extra = conn->session);
	smb_call_unpark_locked(&conn->parked, &list);
	starved = conn->starved;
	conn->starved = false;
	netfs_mutex_unlock(&conn->lock);
	conn->was_ready = true;
	if (conn->connect_op) {
		first_ready(conn, root, attr);
		return;
	}
	tell(conn, true, "server responds again");
	smb_handle_reclaim_all(conn);
	smb_call_start_all(&list);
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

static void echoed(struct smb_req *req, enum smb_end end)
{
	struct smb_conn *conn = netfs_container_of(req, struct smb_conn, echo);

	conn->echoing = false;
}

static void send_echo(struct smb_conn *conn)
{
	netfs_trace(conn_probe);
	smb_req_reset(&conn->echo);
	conn->echo.done = echoed;
	conn->echo.urgent = true;
	if (smb_req_add(&conn->echo, &(const struct smb_msg){.kind = SMB_REQUEST(SMB_ECHO)}, 1) ==
	    0)
		conn->echoing = smb_req_send(conn, &conn->echo, SMB_READY);
}

/* Is the server alive?  When to look again, 0 for not before a request. */
static uint64_t watch_silence(struct smb_conn *conn, uint64_t now)
{
	uint64_t heard;
	bool waiting;

	netfs_mutex_lock(&conn->lock);
	heard = conn->heard_ns;
	waiting = conn->outstanding > 0 && conn->state == SMB_READY;
	netfs_mutex_unlock(&conn->lock);
	if (!waiting)
		return 0;
	if (now >= heard + 2 * conn->echo_ns) {
		smb_conn_fault(conn, -ETIMEDOUT,
			       "server not responding: no reply from %s in %llu s",
			       conn->be.address,
			       (unsigned long long)(2 * conn->echo_ns / NETFS_NS_PER_SEC));
		return 0;
	}
	if (now < heard + conn->echo_ns)
		return heard + conn->echo_ns;
	if (!conn->echoing)
		send_echo(conn);
	return heard + 2 * conn->echo_ns;
}

/* Somebody who gave up is waiting for the server to say so.  A process that is
 * to be killed does not end before, so a server that is silent about this is
 * not waited for as long as one that has work to do. */
static uint64_t watch_cancels(struct smb_conn *conn, uint64_t now)
{
	uint64_t until;

	netfs_mutex_lock(&conn->lock);
	until = conn->cancelling ? conn->cancel_ns + SMB_CANCEL_NS : 0;
	netfs_mutex_unlock(&conn->lock);
	if (!until || now < until)
		return until;
	smb_conn_fault(
		conn, -ETIMEDOUT,
		"server not responding: a cancelled request was not answered by %s in %llu s",
		conn->be.address, (unsigned long long)(SMB_CANCEL_NS / NETFS_NS_PER_SEC));
	return 0;
}

/* Looks at every clock and sets the timer for the next. */
static void watch_time(struct smb_conn *conn, bool closing)
{
	uint64_t now = netfs_clock_now(), next = 0;
	enum smb_state state = conn->state;

	if (state == SMB_CONNECTING || state == SMB_HELLO) {
		next = conn->deadline_ns;
		if (now >= next)
			smb_conn_fault(conn, -ETIMEDOUT, "no answer from %s", conn->be.address);
	} else if (state == SMB_READY) {
		next = sooner(watch_silence(conn, now), watch_cancels(conn, now));
	} else if (state == SMB_DOWN && !closing) {
		next = conn->retry_ns;
	}
	if ((state == SMB_HELLO || state == SMB_READY) && smb_req_again(conn))
		next = sooner(next, now + SMB_AGAIN_NS);
	next = sooner(next, smb_call_expire(conn, now));
	next = sooner(next, smb_lease_expire(conn, now));
	next = sooner(next, smb_idle_expire(conn, now));
	netfs_mutex_lock(&conn->lock);
	/* A request that came in since watch_silence() has started it itself. */
	if (next == 0 && conn->outstanding > 0)
		next = conn->heard_ns + conn->echo_ns;
	if (closing)
		next = sooner(next, conn->close_ns);
	conn->timer_on = next != 0;
	if (next)
		netfs_timer_start(&conn->timer, next > now ? next - now : 0);
	netfs_mutex_unlock(&conn->lock);
}

/* Disconnect was asked for: done once nothing of ours is left out there. */
static void close_step(struct smb_conn *conn)
{
	struct netfs_list list;
	struct netfs_op *op;
	bool wait;

	netfs_mutex_lock(&conn->lock);
	op = conn->end_op;
	wait = conn->state == SMB_READY && netfs_clock_now() < conn->close_ns &&
	       (conn->closes > 0 || !netfs_list_empty(&conn->calls));
	netfs_mutex_unlock(&conn->lock);
	if (wait)
		return;
	netfs_list_init(&list);
	cut(conn, SMB_GONE, &list);
	smb_call_fail_parked(conn, -ENOTCONN);
	end_requests(&list);
	end(conn, op, 0);
}

static void receive(struct smb_conn *conn)
{
	int more = smb_recv(conn);

	if (more == 1)
		netfs_task_post(&conn->task);
	if (more >= 0 && conn->state == SMB_READY)
		conn->attempts = 0;
}

static void run(struct netfs_task *task)
{
	struct smb_conn *conn = netfs_container_of(task, struct smb_conn, task);
	bool closing;

	if (conn->ending) {
		finish(conn);
		return;
	}
	closing = is_closing(conn);
	if (conn->login_busy && atomic_load(&conn->login_back))
		smb_hello_login(conn);
	if (conn->state == SMB_DOWN && !closing && !conn->login_busy &&
	    netfs_clock_now() >= conn->retry_ns)
		open_socket(conn);
	if (conn->state == SMB_CONNECTING)
		check_connected(conn);
	if (conn->state == SMB_HELLO || conn->state == SMB_READY)
		receive(conn);
	smb_send(conn);
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

static int conn_init(struct smb_conn *conn)
{
	netfs_mutex_init(&conn->lock, NETFS_RANK_BACKEND);
	netfs_mutex_init(&conn->send_lock, NETFS_RANK_BACKEND_IO);
	for (unsigned i = 0; i < SMB_BUCKETS; i++) {
		netfs_list_init(&conn->ids[i]);
		netfs_list_init(&conn->leases[i]);
	}
	netfs_list_init(&conn->recalls);
	netfs_list_init(&conn->idle);
	netfs_list_init(&conn->small);
	netfs_list_init(&conn->large);
	netfs_list_init(&conn->calls);
	netfs_list_init(&conn->parked);
	netfs_list_init(&conn->waiting);
	netfs_list_init(&conn->handles);
	netfs_list_init(&conn->queue);
	smb_node_table_init(conn);
	conn->be.ops = &netfs_smb_ops;
	conn->be.caps = NETFS_BE_LOCKS | NETFS_BE_HOLES_ONLY;
	netfs_task_init(&conn->task, run);
	netfs_timer_init(&conn->timer, &conn->task);
	conn->keys = netfs_secret_alloc(sizeof(*conn->keys));
	return conn->keys ? netfs_secret_random(conn->client_guid.b, sizeof(conn->client_guid.b))
			  : -ENOMEM;
}

/* On a job, because credentials are in a file. */
static void configure(struct netfs_job *job)
{
	struct smb_conn *conn = netfs_container_of(job, struct smb_conn, login.job);
	struct netfs_op *op = conn->connect_op;
	char message[256] = "no memory";
	int err = smb_config_read(conn->config, conn, message, sizeof(message));

	conn->config = NULL;
	if (!err) {
		netfs_task_post(&conn->task);
		return;
	}
	conn_free(conn);
	if (op->buf && op->buf_size > 0)
		snprintf(op->buf, op->buf_size, "%s", message);
	op->done(op, err);
}

void smb_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
		 struct netfs_op *op)
{
	struct smb_conn *conn = netfs_zalloc(sizeof(*conn));
	int err = conn ? conn_init(conn) : -ENOMEM;

	if (err) {
		if (conn)
			conn_free(conn);
		op->done(op, err);
		return;
	}
	conn->host = host;
	conn->connect_op = op;
	conn->config = config;
	conn->login.job.fn = configure;
	netfs_job_post(&conn->login.job);
}

void smb_disconnect(struct netfs_be *be, struct netfs_op *op)
{
	struct smb_conn *conn = smb_conn_of(be);

	netfs_trace(conn_close);
	smb_conn_enter(conn);
	netfs_mutex_lock(&conn->lock);
	conn->closing = true;
	conn->end_op = op;
	conn->close_ns = netfs_clock_now() + conn->soft_ns;
	netfs_mutex_unlock(&conn->lock);
	smb_idle_close_all(conn);
	netfs_task_post(&conn->task);
	smb_conn_leave(conn);
}
