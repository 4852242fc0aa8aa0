// SPDX-License-Identifier: MIT
/*
 * The life of a channel, one connection to the server.
 *
 *	DOWN --retry_ns--> CONNECTING --> HELLO --> READY
 *	  ^                    |            |         |
 *	  +-------- lose() ----+------------+---------+   (GONE at the end)
 *
 * One task does everything that happens by itself: it opens and closes the
 * socket, receives, answers time, and sends what the socket had no room for.
 * As the same task serves both directions and the timer, it needs no lock
 * against itself, and after the socket is closed and the timer stopped, only
 * the task, and a job that makes a token, can post it: so after it has run once
 * more it is never run again.
 *
 * Time.  A server that is silent for echo_interval while something is outstanding
 * gets an ECHO, and is taken for dead after twice that.  Connecting and logging in
 * have a deadline of their own.  After a loss, tries follow at 100 ms, doubling to
 * 5 s, each drawn from the upper half of its step so that many clients do not
 * come at once.
 *
 * Locks: see smb.h.  cut() takes both to keep senders from the socket; requests
 * are completed after letting go.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <env/random.h>
#include <env/secret.h>
#include <obs/trace.h>
#include "smb.h"

int smb_channel_fault(struct smb_channel *chan, int err, const char *format, ...)
{
	va_list args;

	if (chan->fault)
		return chan->fault;
	chan->fault = err;
	va_start(args, format);
	vsnprintf(chan->fault_text, sizeof(chan->fault_text), format, args);
	va_end(args);
	return err;
}

/* ------------------------------------------------------------ loss */

static uint64_t backoff_ns(struct smb_channel *chan)
{
	uint64_t step = SMB_BACKOFF_MIN_NS;
	uint64_t most = chan->binding ? SMB_BINDING_MAX_NS : SMB_BACKOFF_MAX_NS;

	for (unsigned i = 0; i < chan->attempts && step < most; i++)
		step *= 2;
	step = step < most ? step : most;
	chan->attempts++;
	return step / 2 + netfs_random_below(step / 2 + 1);
}

/* Nobody sends or receives from here on; the requests come in list.  True: the session
 * went with it. */
static bool cut(struct smb_channel *chan, enum smb_state state, struct netfs_list *list)
{
	struct smb_conn *conn = chan->conn;
	struct netfs_socket *socket;
	bool last;

	netfs_mutex_lock(&chan->send_lock);
	netfs_mutex_lock(&conn->lock);
	chan->state = state;
	last = chan->joined && --conn->joined == 0;
	/* What is sent from now on is later than what may be left of this one (3.2.7.1). */
	if (chan->joined)
		conn->sequence++;
	chan->joined = false;
	/* Those that end are not woken any more. */
	if (last && !conn->quit) {
		conn->state = state;
		/* The first one makes a new session; others that are on their way give up. */
		for (unsigned i = 0; i < conn->nchannels; i++)
			netfs_task_post(&conn->channels[i].task);
	}
	smb_req_steal_locked(chan, list);
	netfs_mutex_unlock(&conn->lock);
	socket = netfs_take(chan->socket);
	chan->send_failed = chan->send_poor = false;
	netfs_mutex_unlock(&chan->send_lock);
	netfs_socket_close(socket);
	smb_recv_reset(chan);
	chan->echoing = false;
	return last;
}

static void end_requests(struct netfs_list *list)
{
	struct netfs_list *elem;

	while ((elem = netfs_list_pop_front(list))) {
		struct smb_req *req = netfs_container_of(elem, struct smb_req, link);

		req->done(req, SMB_LOST);
	}
}

static void lose(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	struct netfs_list list;
	bool joined, last;

	netfs_trace(conn_lost, .extra = chan->attempts, .error = chan->fault);
	netfs_list_init(&list);
	/* Only this task changes it. */
	joined = chan->joined;
	last = cut(chan, SMB_DOWN, &list);
	chan->retry_ns = netfs_clock_now() + backoff_ns(chan);
	smb_conn_lost(conn, joined, last, chan->fault_text);
	end_requests(&list);
	if (conn->connect_op)
		smb_conn_failed(conn, chan->fault, chan->fault_text);
	chan->fault = 0;
}

/* The mount goes.  From the next run of the task on there is nothing. */
static void end(struct smb_channel *chan)
{
	struct netfs_list list;

	netfs_list_init(&list);
	cut(chan, SMB_GONE, &list);
	end_requests(&list);
	netfs_timer_stop(&chan->timer);
	chan->ending = true;
	netfs_task_post(&chan->task);
}

/* ------------------------------------------------------------ connect */

/* May it connect now?  The first one makes a session where there is none; one more is
 * for a session that is there. */
static bool may_open(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	unsigned index = (unsigned)(chan - conn->channels);
	bool may;

	if (chan->state != SMB_DOWN || chan->login_busy || chan->fault)
		return false;
	netfs_mutex_lock(&conn->lock);
	chan->binding = conn->state == SMB_READY;
	chan->session = conn->session;
	may = chan->binding ? conn->multichannel && index < conn->wanted
			    : index == 0 && conn->joined == 0;
	netfs_mutex_unlock(&conn->lock);
	return may && !smb_conn_is_closing(conn);
}

/* Is the session there that it is for? */
static void check_session(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	bool over;

	if (chan->fault || (chan->state != SMB_READY && !chan->binding) || chan->state == SMB_DOWN)
		return;
	netfs_mutex_lock(&conn->lock);
	over = conn->state != SMB_READY || conn->session != chan->session;
	netfs_mutex_unlock(&conn->lock);
	if (over)
		smb_channel_fault(chan, -ECONNRESET, "the session with %s is over",
				  conn->be.address);
}

static void set_state(struct smb_channel *chan, enum smb_state state)
{
	netfs_mutex_lock(&chan->conn->lock);
	chan->state = state;
	netfs_mutex_unlock(&chan->conn->lock);
}

static void open_socket(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	struct netfs_socket *socket;
	struct netfs_socket_address address = conn->address;
	int err;

	chan->to_host[0] = 0;
	if (chan->binding)
		smb_multi_aim(chan);
	if (chan->to_host[0])
		address.host = chan->to_host;
	err = netfs_socket_open(&address, &chan->task, &chan->task, &socket);
	netfs_trace(conn_try, .extra = chan->attempts, .error = err);
	if (err) {
		smb_channel_fault(chan, err, "cannot connect to %s: %s", conn->be.address,
				  strerrordesc_np(-err));
		return;
	}
	chan->deadline_ns = netfs_clock_now() + (chan->binding ? SMB_BIND_NS : SMB_CONNECT_NS);
	netfs_mutex_lock(&chan->send_lock);
	chan->socket = socket;
	netfs_mutex_unlock(&chan->send_lock);
	set_state(chan, SMB_CONNECTING);
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

static void check_connected(struct smb_channel *chan)
{
	int err = netfs_socket_status(chan->socket);
	const char *why = connect_error(err);
	/* The address without its "tcp " or "unix ". */
	const char *where = strchr(chan->conn->be.address, ' ') + 1;

	if (err == -EINPROGRESS)
		return;
	if (err && why) {
		smb_channel_fault(chan, err, "%s %s", why, where);
	} else if (err) {
		smb_channel_fault(chan, err, "cannot connect to %s: %s", where,
				  strerrordesc_np(-err));
	} else {
		netfs_trace(conn_hello);
		set_state(chan, SMB_HELLO);
		smb_hello_start(chan);
	}
}

/* ------------------------------------------------------------ time */

uint64_t smb_sooner(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static void echoed(struct smb_req *req, enum smb_end end)
{
	struct smb_channel *chan = netfs_container_of(req, struct smb_channel, echo);

	chan->echoing = false;
}

void smb_channel_echo(struct smb_channel *chan)
{
	netfs_trace(conn_probe);
	smb_req_reset(&chan->echo);
	chan->echo.done = echoed;
	chan->echo.urgent = true;
	if (smb_req_add(&chan->echo, &(const struct smb_msg){.kind = SMB_REQUEST(SMB_ECHO)}, 1) ==
	    0)
		chan->echoing = smb_req_send(chan, &chan->echo, SMB_READY);
}

/* Is the server alive?  When to look again, 0 for not before a request. */
static uint64_t watch_silence(struct smb_channel *chan, uint64_t now)
{
	uint64_t heard;
	bool waiting;

	netfs_mutex_lock(&chan->conn->lock);
	heard = chan->heard_ns;
	waiting = smb_req_any_locked(chan->conn) && chan->state == SMB_READY;
	netfs_mutex_unlock(&chan->conn->lock);
	if (!waiting)
		return 0;
	if (now >= heard + 2 * chan->conn->echo_ns) {
		smb_channel_fault(chan, -ETIMEDOUT,
				  "server not responding: no reply from %s in %llu s",
				  chan->conn->be.address,
				  (unsigned long long)(2 * chan->conn->echo_ns / NETFS_NS_PER_SEC));
		return 0;
	}
	if (now < heard + chan->conn->echo_ns)
		return heard + chan->conn->echo_ns;
	if (!chan->echoing)
		smb_channel_echo(chan);
	return heard + 2 * chan->conn->echo_ns;
}

/* Somebody who gave up is waiting for the server to say so.  A process that is
 * to be killed does not end before, so a server that is silent about this is
 * not waited for as long as one that has work to do. */
static uint64_t watch_cancels(struct smb_channel *chan, uint64_t now)
{
	uint64_t until;

	netfs_mutex_lock(&chan->conn->lock);
	until = chan->cancelling ? chan->cancel_ns + SMB_CANCEL_NS : 0;
	netfs_mutex_unlock(&chan->conn->lock);
	if (!until || now < until)
		return until;
	smb_channel_fault(
		chan, -ETIMEDOUT,
		"server not responding: a cancelled request was not answered by %s in %llu s",
		chan->conn->be.address, (unsigned long long)(SMB_CANCEL_NS / NETFS_NS_PER_SEC));
	return 0;
}

/* Looks at every clock and sets the timer for the next. */
static void watch_time(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	uint64_t now = netfs_clock_now(), next = 0;
	enum smb_state state = chan->state;

	if (state == SMB_CONNECTING || state == SMB_HELLO) {
		next = chan->deadline_ns;
		if (now >= next)
			smb_channel_fault(chan, -ETIMEDOUT, "no answer from %s", conn->be.address);
	} else if (state == SMB_READY) {
		next = smb_sooner(watch_silence(chan, now), watch_cancels(chan, now));
	} else if (may_open(chan)) {
		next = chan->retry_ns;
	}
	if (state == SMB_HELLO || state == SMB_READY)
		smb_req_check_credits(chan);
	if (smb_send_is_poor(chan))
		next = smb_sooner(next, now + SMB_AGAIN_NS);
	netfs_mutex_lock(&conn->lock);
	/* A request that came in since watch_silence() has started it itself. */
	if (next == 0 && state == SMB_READY && smb_req_any_locked(conn))
		next = chan->heard_ns + conn->echo_ns;
	chan->timer_on = next != 0;
	if (next)
		netfs_timer_start(&chan->timer, next > now ? next - now : 0);
	netfs_mutex_unlock(&conn->lock);
}

/* ------------------------------------------------------------ run */

static void receive(struct smb_channel *chan)
{
	int more = smb_recv(chan);

	if (more == 1)
		netfs_task_post(&chan->task);
	if (more >= 0 && chan->state == SMB_READY)
		chan->attempts = 0;
}

/* Nothing is left but those who may still post the task.  In the run after the one
 * that finds them gone the memory may go, too. */
static void leave(struct smb_channel *chan)
{
	bool was_left = chan->left;

	/* A job that makes a token posts the task when it is through. */
	if (chan->login_busy && !atomic_load(&chan->login_back))
		return;
	chan->left = atomic_load_explicit(&chan->conn->busy, memory_order_acquire) == 0;
	if (was_left)
		smb_conn_channel_gone(chan->conn);
	else
		netfs_task_post(&chan->task);
}

static bool is_ended(struct smb_channel *chan)
{
	bool quit;

	netfs_mutex_lock(&chan->conn->lock);
	quit = chan->conn->quit;
	netfs_mutex_unlock(&chan->conn->lock);
	if (quit)
		end(chan);
	return quit;
}

static void run(struct netfs_task *task)
{
	struct smb_channel *chan = netfs_container_of(task, struct smb_channel, task);

	if (chan->ending) {
		leave(chan);
		return;
	}
	if (is_ended(chan))
		return;
	if (chan->login_busy && atomic_load(&chan->login_back))
		smb_hello_login(chan);
	check_session(chan);
	if (may_open(chan) && netfs_clock_now() >= chan->retry_ns)
		open_socket(chan);
	if (chan->state == SMB_CONNECTING)
		check_connected(chan);
	if (chan->state == SMB_HELLO || chan->state == SMB_READY)
		receive(chan);
	smb_send(chan);
	if (!chan->fault)
		watch_time(chan);
	if (chan->fault) {
		lose(chan);
		if (!is_ended(chan))
			watch_time(chan);
	}
}

/* ------------------------------------------------------------ memory */

int smb_channel_init(struct smb_channel *chan, struct smb_conn *conn)
{
	chan->conn = conn;
	netfs_mutex_init(&chan->send_lock, NETFS_RANK_BACKEND_SEND);
	for (unsigned i = 0; i < SMB_BUCKETS; i++)
		netfs_list_init(&chan->ids[i]);
	netfs_list_init(&chan->small);
	netfs_list_init(&chan->large);
	netfs_list_init(&chan->queue);
	netfs_list_init(&chan->out);
	netfs_task_init(&chan->task, run);
	netfs_timer_init(&chan->timer, &chan->task);
	chan->keys = netfs_secret_alloc(sizeof(*chan->keys));
	return chan->keys ? 0 : -ENOMEM;
}

void smb_channel_done(struct smb_channel *chan)
{
	smb_req_reset(&chan->hello);
	netfs_free(chan->hello.head);
	smb_req_reset(&chan->echo);
	netfs_free(chan->echo.head);
	netfs_auth_free(chan->login.auth);
	netfs_free(chan->login.token);
	netfs_free(chan->cipher);
	smb_keys_done(chan->keys);
	netfs_secret_free(chan->keys, sizeof(*chan->keys));
	netfs_mutex_done(&chan->send_lock);
}
