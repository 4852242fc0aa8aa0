// SPDX-License-Identifier: MIT
/*
 * The life of a mount: its session, the time of what belongs to it, its end.
 *
 *	configure (a job) --> the first channel logs in --> READY <--> DOWN --> GONE
 *
 * The session is lost with the last of its channels; the first one makes a new one.
 * Then calls that waited go on and handles are claimed or opened again.
 *
 * The first connect is not repeated: it fails with the reason, for the person
 * who is waiting at mount.
 *
 * The end: quit is set; every channel's task cuts its connection and says that it
 * never runs again; then conn->task, whose timer is stopped, runs once more and frees
 * all.
 *
 * Locks: see smb.h.
 */
#include <stdio.h>
#include <string.h>
#include <backend/backends.h>
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

void smb_conn_tell(struct smb_conn *conn, bool connected, const char *text)
{
	if (conn->host && conn->host->state)
		conn->host->state(conn->host, connected, text);
}

bool smb_conn_is_closing(struct smb_conn *conn)
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
	for (unsigned i = 0; i < conn->nchannels; i++)
		smb_channel_done(&conn->channels[i]);
	netfs_free(conn->channels);
	netfs_secret_free(conn->password, NETFS_SECRET_MAX);
	smb_keys_done(conn->keys);
	netfs_secret_free(conn->keys, sizeof(*conn->keys));
	netfs_mutex_done(&conn->lock);
	netfs_free(conn);
}

/* Channels and timer are gone.  A thread that just sent the last request may
 * still be on its way out; it takes a few instructions.  It may have posted the task
 * while that was in here: so after the last one has left, the task runs once more. */
static void finish(struct smb_conn *conn)
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

/* Channels end, and then all. */
static void quit(struct smb_conn *conn, struct netfs_op *op, int err)
{
	netfs_mutex_lock(&conn->lock);
	conn->quit = true;
	conn->state = SMB_GONE;
	conn->end_op = op;
	conn->end_err = err;
	for (unsigned i = 0; i < conn->nchannels; i++)
		netfs_task_post(&conn->channels[i].task);
	netfs_mutex_unlock(&conn->lock);
}

void smb_conn_channel_gone(struct smb_conn *conn)
{
	/* Posted before anybody can see that it is so and free all. */
	netfs_mutex_lock(&conn->lock);
	if (++conn->gone == conn->nchannels)
		netfs_task_post(&conn->task);
	netfs_mutex_unlock(&conn->lock);
}

void smb_conn_failed(struct smb_conn *conn, int err, const char *text)
{
	struct netfs_op *op = netfs_take(conn->connect_op);

	if (op->buf && op->buf_size > 0)
		snprintf(op->buf, op->buf_size, "%s", text);
	quit(conn, op, err);
}

void smb_conn_lost(struct smb_conn *conn, bool joined, bool session, const char *text)
{
	bool down;

	if (joined) {
		smb_lease_lost_all(conn);
		smb_watch_lost_all(conn);
	}
	netfs_mutex_lock(&conn->lock);
	if (joined && !session && !conn->quit) {
		conn->news = true;
		netfs_task_post(&conn->task);
	}
	down = conn->was_ready && conn->state == SMB_DOWN && !conn->closing;
	netfs_mutex_unlock(&conn->lock);
	if (down)
		smb_conn_tell(conn, false, text);
}

/* ------------------------------------------------------------ ready */

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

void smb_conn_ready(struct smb_channel *chan, struct netfs_node *root,
		    const struct netfs_attr *attr)
{
	struct smb_conn *conn = chan->conn;
	struct netfs_list list;
	bool starved;

	netfs_list_init(&list);
	netfs_mutex_lock(&conn->lock);
	conn->state = chan->state = SMB_READY;
	chan->joined = true;
	conn->joined++;
	conn->session++;
	conn->sequence++;
	conn->wanted = 1;
	chan->session = conn->session;
	conn->previous_id = conn->session_id;
	conn->was_ready = true;
	netfs_trace(conn_ready, .extra = conn->session);
	smb_call_unpark_locked(&conn->parked, &list);
	starved = conn->starved;
	conn->starved = false;
	netfs_mutex_unlock(&conn->lock);
	if (conn->connect_op) {
		first_ready(conn, root, attr);
		smb_multi_ask(conn);
		return;
	}
	smb_conn_tell(conn, true, "server responds again");
	smb_handle_reclaim_all(conn);
	smb_call_start_all(&list);
	smb_multi_ask(conn);
	if (starved && conn->host && conn->host->ready)
		conn->host->ready(conn->host);
}

bool smb_conn_bound(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	bool bound, starved;

	netfs_mutex_lock(&conn->lock);
	bound = conn->state == SMB_READY && conn->session == chan->session;
	if (bound) {
		chan->state = SMB_READY;
		chan->joined = true;
		chan->sealing = conn->sealing;
		conn->joined++;
		conn->news = true;
		netfs_task_post(&conn->task);
	}
	netfs_trace(conn_ready, .extra = conn->session);
	starved = bound && conn->starved;
	if (starved)
		conn->starved = false;
	netfs_mutex_unlock(&conn->lock);
	if (starved && conn->host && conn->host->ready)
		conn->host->ready(conn->host);
	return bound;
}

void smb_conn_over(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;

	netfs_mutex_lock(&conn->lock);
	if (conn->state == SMB_READY) {
		conn->state = chan->state = SMB_DOWN;
		for (unsigned i = 0; i < conn->nchannels; i++)
			netfs_task_post(&conn->channels[i].task);
	}
	netfs_mutex_unlock(&conn->lock);
}

/* ------------------------------------------------------------ time */

static void watch_time(struct smb_conn *conn)
{
	uint64_t now = netfs_clock_now(), next;

	next = smb_call_expire(conn, now);
	next = smb_sooner(next, smb_lease_expire(conn, now));
	next = smb_sooner(next, smb_idle_expire(conn, now));
	next = smb_sooner(next, smb_watch_expire(conn, now));
	next = smb_sooner(next, smb_call_again(conn, now));
	netfs_mutex_lock(&conn->lock);
	if (conn->closing)
		next = smb_sooner(next, conn->close_ns);
	netfs_mutex_unlock(&conn->lock);
	if (next)
		netfs_timer_start(&conn->timer, next > now ? next - now : 0);
}

/* Disconnect was asked for: done once nothing of ours is left out there. */
static void close_step(struct smb_conn *conn)
{
	bool wait;

	netfs_mutex_lock(&conn->lock);
	wait = conn->quit || (conn->state == SMB_READY && netfs_clock_now() < conn->close_ns &&
			      (conn->closes > 0 || !netfs_list_empty(&conn->calls)));
	netfs_mutex_unlock(&conn->lock);
	if (!wait)
		quit(conn, conn->end_op, 0);
}

/* From the next run of the task on nothing but finish() happens. */
static bool all_gone(struct smb_conn *conn)
{
	bool gone;

	netfs_mutex_lock(&conn->lock);
	gone = conn->gone == conn->nchannels;
	netfs_mutex_unlock(&conn->lock);
	if (!gone)
		return false;
	smb_call_fail_parked(conn, -ENOTCONN);
	netfs_timer_stop(&conn->timer);
	conn->ending = true;
	netfs_task_post(&conn->task);
	return true;
}

static void run(struct netfs_task *task)
{
	struct smb_conn *conn = netfs_container_of(task, struct smb_conn, task);

	if (conn->ending) {
		finish(conn);
		return;
	}
	if (all_gone(conn))
		return;
	smb_multi_tell(conn);
	watch_time(conn);
	if (smb_conn_is_closing(conn))
		close_step(conn);
}

/* ------------------------------------------------------------ begin */

static int conn_init(struct smb_conn *conn)
{
	netfs_mutex_init(&conn->lock, NETFS_RANK_BACKEND);
	for (unsigned i = 0; i < SMB_BUCKETS; i++)
		netfs_list_init(&conn->leases[i]);
	netfs_list_init(&conn->recalls);
	netfs_list_init(&conn->watches);
	netfs_list_init(&conn->idle);
	netfs_list_init(&conn->calls);
	netfs_list_init(&conn->parked);
	netfs_list_init(&conn->again);
	netfs_list_init(&conn->waiting);
	netfs_list_init(&conn->handles);
	netfs_list_init(&conn->going);
	smb_node_table_init(conn);
	conn->be.ops = &netfs_smb_ops;
	/* The time a file was made, which servers that do not know it work out. */
	conn->be.caps = NETFS_BE_LOCKS | NETFS_BE_HOLES_ONLY | NETFS_BE_GEN_MOVES;
	netfs_task_init(&conn->task, run);
	netfs_timer_init(&conn->timer, &conn->task);
	conn->keys = netfs_secret_alloc(sizeof(*conn->keys));
	return conn->keys ? netfs_secret_random(conn->client_guid.b, sizeof(conn->client_guid.b))
			  : -ENOMEM;
}

static int make_channels(struct smb_conn *conn, unsigned count)
{
	int err = 0;

	conn->channels = netfs_zalloc(count * sizeof(conn->channels[0]));
	if (!conn->channels)
		return -ENOMEM;
	conn->nchannels = count;
	for (unsigned i = 0; i < count; i++) {
		int failed = smb_channel_init(&conn->channels[i], conn);

		err = err ? err : failed;
	}
	return err;
}

/* On a job, because credentials are in a file. */
static void configure(struct netfs_job *job)
{
	struct smb_conn *conn = netfs_container_of(job, struct smb_conn, config_job);
	struct netfs_op *op = conn->connect_op;
	char message[256] = "no memory";
	int err = smb_config_read(conn->config, conn, message, sizeof(message));

	conn->config = NULL;
	if (!err)
		err = make_channels(conn, conn->max_channels);
	if (!err) {
		netfs_task_post(&conn->channels[0].task);
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
	conn->config_job.fn = configure;
	netfs_job_post(&conn->config_job);
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
	smb_watch_close_all(conn);
	netfs_task_post(&conn->task);
	smb_conn_leave(conn);
}
