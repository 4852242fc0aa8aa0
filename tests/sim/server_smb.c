/* SPDX-License-Identifier: MIT */
/*
 * The simulated SMB server's connections: frames in, compounds that are executed one
 * message after the other, replies out.  What a message does is in
 * server_smb_ops.c.
 *
 * Everything runs in tasks of the simulated world, one at a time, so there are no
 * locks.  As in server_9p.c a request is executed when it arrives or when its reply
 * goes, and when its connection ends at that instant or never.
 *
 * A message that has to wait stops its compound there.  A frame of one message is
 * answered with STATUS_PENDING first (3.3.4.2); it is tried again whenever
 * something changed, and when the time of a lease break is over.
 *
 * Credits: the client may use message ids below conn->granted, each once.  A starving
 * server lets it have a few at a time, but never lets it run out (3.3.1.2).
 */
#include "server_smb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_ROOM	   (4u << 20)
#define OUT_ROOM   (16u << 20)
#define REPLY_HEAD 1024u /* of a reply, beside its payload */
#define LENGTH	   4u /* before a frame */

static uint8_t payload[SMB_IO_MAX];

void smb_server_violation(struct smb_server *server, const char *what)
{
	if (!server->violation[0])
		snprintf(server->violation, sizeof(server->violation), "%s", what);
}

/* Of several any one. */
struct conn_smb *smb_server_conn_of(struct smb_server *server, const struct smb_guid *client)
{
	struct conn_smb *found = NULL;
	struct netfs_list *at;
	unsigned count = 0;

	netfs_list_for_each (at, &server->conns) {
		struct conn_smb *conn = netfs_container_of(at, struct conn_smb, link);

		if (conn->phase != SMB_READY || memcmp(&conn->client, client, 16) != 0)
			continue;
		if (count++ == 0 || rng_one_in(&server->faults->rng, count))
			found = conn;
	}
	return found;
}

unsigned smb_server_clients(const struct smb_server *server)
{
	unsigned count = 0;
	struct netfs_list *at;

	netfs_list_for_each (at, &server->sessions)
		count += !netfs_container_of(at, struct session_smb, link)->over;
	netfs_list_for_each (at, &server->conns)
		count += netfs_container_of(at, struct conn_smb, link)->phase != SMB_READY;
	return count;
}

/* Takes the request off its connection; its task, run once more, frees it. */
static void request_kill(struct request_smb *request)
{
	smb_session_uncount(request);
	netfs_list_remove(&request->link);
	request->conn = NULL;
	netfs_timer_start(&request->timer, 0);
}

static bool request_execute(struct conn_smb *conn, struct request_smb *request);

/* A write of a connection that is gone is done all the same, some time, while its
 * session has others: that is what the channel sequence is for. */
static bool comes_late(struct conn_smb *conn, struct request_smb *request)
{
	struct faults *faults = conn->server->faults;

	if (conn->session->channels < 2 || request->executed || request->waits ||
	    !request->counted || !rng_one_in(&faults->rng, 3))
		return false;
	netfs_list_remove(&request->link);
	request->late = true;
	netfs_timer_start(&request->timer, rng_below(&faults->rng, 3 * NETFS_NS_PER_SEC));
	return true;
}

static void conn_end(struct conn_smb *conn)
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
		struct request_smb *request = netfs_container_of(at, struct request_smb, link);

		if (conn->phase == SMB_READY && comes_late(conn, request))
			continue;
		if (!request->executed && !request->async_id && rng_one_in(&faults->rng, 2))
			request_execute(conn, request);
		request_kill(request);
	}
	smb_session_leave(conn);
	netfs_list_remove(&conn->link);
	netfs_list_push_back(&conn->server->dead, &conn->link);
	smb_server_retry(conn->server);
}

void smb_server_drop(struct conn_smb *conn)
{
	conn_end(conn);
}

static void doomed(struct netfs_task *task)
{
	conn_end(netfs_container_of(task, struct conn_smb, doom_task));
}

static void conn_send(struct conn_smb *conn)
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
		conn->out_len -= (size_t)sent;
		memmove(conn->out, conn->out + sent, conn->out_len);
	}
	if (conn->cut_when_sent)
		conn_end(conn);
}

static void writable(struct netfs_task *task)
{
	conn_send(netfs_container_of(task, struct conn_smb, writable));
}

static void conn_append(struct conn_smb *conn, const void *bytes, size_t len)
{
	if (conn->out_len + len > conn->out_room) {
		size_t room = (conn->out_len + len) * 2;

		if (room > OUT_ROOM) {
			smb_server_violation(conn->server, "the client does not read its replies");
			return;
		}
		conn->out = realloc(conn->out, room);
		conn->out_room = room;
		if (!conn->out)
			abort();
	}
	memcpy(conn->out + conn->out_len, bytes, len);
	conn->out_len += len;
}

/* How a frame goes out. */
enum out_how {
	OUT_SIGNED = 1,
	OUT_SEALED = 2,
	OUT_MAY_CUT = 4,
};

/* Each message of the frame, with what pads it. */
static void sign_all(struct conn_smb *conn, uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t step = smb_compound_step(bytes + at, len - at);

		if (step <= 0)
			return; /* it lies about where the next one is */
		crypt_smb_sign(&conn->crypt, bytes + at, (size_t)step, true);
		at += (size_t)step;
	}
}

/* What is hashed of replies: all until the login's last one (3.3.5.5). */
static void hash_reply(struct conn_smb *conn, const uint8_t *bytes, size_t len)
{
	struct smb_header hdr;

	if (smb_header_decode(bytes, len, &hdr) == 0 &&
	    (hdr.command == SMB_NEGOTIATE ||
	     (hdr.command == SMB_SESSION_SETUP && hdr.status == SMB_STATUS_MORE_PROCESSING)))
		crypt_smb_hash(conn->hash, bytes, len);
}

/* The frame behind its length, or half of it. */
static void conn_bytes_out(struct conn_smb *conn, const struct frame_smb *frame, unsigned how)
{
	struct faults *faults = conn->server->faults;
	uint8_t head[LENGTH] = {0, (uint8_t)(frame->told >> 16), (uint8_t)(frame->told >> 8),
				(uint8_t)frame->told};
	size_t len = frame->len;

	if (how & OUT_MAY_CUT && faults_draw(faults, faults->mix.cut_in_reply)) {
		len = rng_below(&faults->rng, len);
		conn->cut_when_sent = true;
		faults->others++;
	}
	conn_append(conn, head, LENGTH);
	conn_append(conn, frame->bytes, len);
	/* What is sent out of an execution may not end connections under it. */
	if (how & OUT_MAY_CUT)
		conn_send(conn);
	else
		netfs_task_post(&conn->writable);
}

/* Signed or sealed, into memory of its own where it is sealed. */
static void protect(struct conn_smb *conn, struct frame_smb *frame, unsigned how)
{
	uint8_t *sealed;

	if (how & OUT_SIGNED)
		sign_all(conn, frame->bytes, frame->len);
	if (!(how & OUT_SEALED))
		return;
	sealed = malloc(CRYPT_SMB_HEAD + frame->len);
	if (!sealed)
		abort();
	crypt_smb_seal(&conn->session->crypt, conn->session_id, frame->bytes, frame->len, sealed,
		       true);
	frame->bytes = sealed;
	frame->len += CRYPT_SMB_HEAD;
}

/* Nothing but the connection may be lost by it; what goes unsigned, breaks and interim
 * replies, is left alone, for nobody could tell. */
static bool is_tampered_with(struct conn_smb *conn, unsigned how)
{
	struct faults *faults = conn->server->faults;

	if (!faults->mix.tamper || (conn->keyed && !(how & (OUT_SIGNED | OUT_SEALED))) ||
	    !faults_draw(faults, faults->mix.tamper))
		return false;
	faults->others++;
	return true;
}

/* One frame; bytes are the caller's, to be changed. */
static void conn_frame_out(struct conn_smb *conn, uint8_t *bytes, size_t len, unsigned how)
{
	struct smb_server *server = conn->server;
	struct frame_smb frame = {bytes, len, len};
	bool lies;

	if (conn->cut_when_sent || !conn->socket || len == 0)
		return;
	server->replies++;
	lies = server->config.hostile_after && server->replies > server->config.hostile_after;
	/* What binds is signed with the session's key until it has one of its own. */
	if (conn->binding && !conn->keyed)
		crypt_smb_sign(&conn->binding->crypt, bytes, len, true);
	if (!conn->keyed)
		hash_reply(conn, bytes, len);
	if (lies && rng_one_in(&server->faults->rng, 2)) {
		smb_lie_signed(conn, &frame);
		lies = false;
	}
	protect(conn, &frame, how);
	frame.told = frame.len;
	if (lies || is_tampered_with(conn, how))
		smb_lie_on_the_way(conn, &frame);
	else if (!conn->keyed || how & (OUT_SIGNED | OUT_SEALED))
		smb_lie_remember(conn, &frame);
	conn_bytes_out(conn, &frame, how);
	if (frame.bytes != bytes)
		free(frame.bytes);
}

void smb_server_notify(struct conn_smb *conn, const struct smb_msg *msg)
{
	uint8_t bytes[SMB_HEADER + 64];
	ssize_t len = smb_encode(msg, bytes, sizeof(bytes));

	/* Some servers seal no break, since no session sends it. */
	if (len > 0)
		conn_frame_out(conn, bytes, (size_t)len,
			       conn->sealing && conn->server->breaks % 2 ? OUT_SEALED : 0);
}

/* ---------------------------------------------------------------- credits */

static void take_ids(struct conn_smb *conn, const struct smb_header *hdr)
{
	unsigned charge = hdr->credit_charge ? hdr->credit_charge : 1;

	if (hdr->command == SMB_CANCEL)
		return;
	for (uint64_t id = hdr->message_id; id - hdr->message_id < charge; id++) {
		if (id >= conn->granted)
			smb_server_violation(conn->server, "a message id without a credit");
		else if (id + SMB_WINDOW < conn->granted || conn->used[id % SMB_WINDOW])
			smb_server_violation(conn->server, "a message id used twice");
		else
			conn->used[id % SMB_WINDOW] = 1;
	}
	conn->held -= charge < conn->held ? charge : conn->held;
}

/* What a reply gives back. */
static uint16_t grant(struct conn_smb *conn, const struct smb_header *hdr)
{
	uint32_t charge = hdr->credit_charge ? hdr->credit_charge : 1;
	uint32_t give = hdr->credits > charge ? hdr->credits : charge;
	uint32_t starve = conn->server->config.starve;

	if (starve && conn->held + give > starve)
		give = conn->held < starve ? starve - conn->held : 0;
	if (conn->held + give > SMB_CREDITS_MAX)
		give = SMB_CREDITS_MAX - conn->held;
	for (uint32_t i = 0; i < give; i++)
		conn->used[(conn->granted + i) % SMB_WINDOW] = 0;
	conn->granted += give;
	conn->held += give;
	return (uint16_t)give;
}

/* -------------------------------------------------------------- execution */

static void reply_reserve(struct request_smb *request, size_t more)
{
	if (request->reply_len + more <= request->reply_room)
		return;
	request->reply_room = request->reply_len + more;
	request->reply = realloc(request->reply, request->reply_room);
	if (!request->reply)
		abort();
}

/* Puts a reply behind those of the compound so far. */
static void reply_append(struct request_smb *request, struct smb_msg *rep)
{
	size_t start = (request->reply_len + 7) & ~(size_t)7;
	ssize_t len = smb_encode(rep, NULL, 0);

	if (len < 0)
		abort();
	reply_reserve(request, (size_t)len + 8);
	if (request->reply_len > 0) {
		memset(request->reply + request->reply_len, 0, start - request->reply_len);
		smb_set_next(request->reply + request->reply_last,
			     (uint32_t)(start - request->reply_last));
	}
	smb_encode(rep, request->reply + start, (size_t)len);
	request->reply_last = start;
	request->reply_len = start + (size_t)len;
}

static void finish(struct call_smb *call, uint32_t status)
{
	struct request_smb *request = call->request;

	call->rep.hdr.status = status;
	netfs_sim_printf("smb %llu: %s %llu: %s", (unsigned long long)call->conn->session_id,
			 smb_command_name(call->req.hdr.command),
			 (unsigned long long)call->req.hdr.message_id, smb_status_name(status));
	if (!smb_status_has_reply(call->req.hdr.command, status)) {
		call->rep.kind = SMB_ERROR;
		call->rep.error.context_count = 0;
		call->rep.error.data = (struct smb_buf){0};
	}
	if (request->async_id) {
		call->rep.hdr.flags |= SMB_FLAG_ASYNC;
		call->rep.hdr.async_id = request->async_id;
	} else {
		call->rep.hdr.credits = grant(call->conn, &call->req.hdr);
	}
	reply_append(request, &call->rep);
	if (call->req.hdr.command == SMB_CREATE)
		request->create_status = status;
}

/* "Wait for it": gives the credits, so that the final reply gives none. */
static void send_pending(struct call_smb *call)
{
	struct request_smb *request = call->request;
	struct smb_msg msg = {.kind = SMB_ERROR, .hdr = call->rep.hdr};
	uint8_t bytes[SMB_HEADER + 16];
	ssize_t len;

	request->async_id = ++call->server->last_id;
	msg.hdr.status = SMB_STATUS_PENDING;
	msg.hdr.command = call->req.hdr.command;
	msg.hdr.flags |= SMB_FLAG_ASYNC;
	msg.hdr.async_id = request->async_id;
	msg.hdr.credits = grant(call->conn, &call->req.hdr);
	len = smb_encode(&msg, bytes, sizeof(bytes));
	if (len > 0)
		conn_frame_out(call->conn, bytes, (size_t)len, request->sealed ? OUT_SEALED : 0);
}

static void prepare(struct call_smb *call)
{
	const struct smb_header *hdr = &call->req.hdr;

	call->rep.kind = SMB_REPLY(hdr->command);
	call->rep.hdr = (struct smb_header){.credit_charge = hdr->credit_charge,
					    .command = hdr->command,
					    .message_id = hdr->message_id,
					    .tree_id = hdr->tree_id,
					    .session_id = hdr->session_id,
					    .flags = hdr->flags & SMB_FLAG_RELATED};
}

/* Executes the message at request->at; false: it waits. */
static bool execute_one(struct conn_smb *conn, struct request_smb *request, size_t len, bool last)
{
	struct call_smb call = {
		.server = conn->server, .conn = conn, .request = request, .payload = payload};
	uint32_t status;

	if (smb_decode(request->body + request->at, len, len, &call.req) < 0 ||
	    call.req.hdr.flags & SMB_FLAG_REPLY) {
		smb_server_violation(conn->server, "a malformed request");
		return true;
	}
	prepare(&call);
	/* 3.3.5.2.7.2: without the file nothing of the rest can be done; otherwise it is,
	 * whatever became of what stands before. */
	if (call.req.hdr.flags & SMB_FLAG_RELATED && smb_status_is_error(request->create_status))
		status = request->create_status;
	else
		status = smb_server_execute(&call);
	if (call.wait && request->cancelled) {
		status = SMB_STATUS_CANCELLED;
	} else if (call.wait) {
		if (!request->idles && call.req.kind == SMB_REQUEST(SMB_CHANGE_NOTIFY)) {
			request->idles = true;
			conn->server->idle++;
		}
		if (!request->async_id && request->at == 0 && last)
			send_pending(&call);
		return false;
	}
	if (call.req.kind != SMB_REQUEST(SMB_CANCEL))
		finish(&call, status);
	return true;
}

/* False: it waits for something. */
static bool request_execute(struct conn_smb *conn, struct request_smb *request)
{
	while (request->at < request->len) {
		ssize_t step =
			smb_compound_step(request->body + request->at, request->len - request->at);
		bool last = step == (ssize_t)(request->len - request->at);

		if (step < 0) {
			smb_server_violation(conn->server, "a malformed compound");
			break;
		}
		if (!execute_one(conn, request, (size_t)step, last))
			return false;
		request->at += (size_t)step;
	}
	request->executed = true;
	return true;
}

static void request_reply(struct conn_smb *conn, struct request_smb *request)
{
	struct faults *faults = conn->server->faults;

	if (request->lost) {
		netfs_timer_start(&conn->doom, rng_between(&faults->rng, 1, 30) * NETFS_NS_PER_SEC);
		return;
	}
	conn_frame_out(conn, request->reply, request->reply_len,
		       OUT_MAY_CUT | (request->sealed ? OUT_SEALED
				      : conn->keyed   ? OUT_SIGNED
						      : 0));
}

static void request_free(struct request_smb *request)
{
	smb_session_uncount(request);
	request->server->pending--;
	request->server->idle -= request->idles;
	/* Somebody may have asked it to try again while it was about to. */
	netfs_timer_stop(&request->timer);
	free(request->reply);
	free(request);
}

static void request_task(struct netfs_task *task)
{
	struct request_smb *request = netfs_container_of(task, struct request_smb, task);
	struct smb_server *server = request->server;
	struct conn_smb *conn = request->conn;

	if (request->late) {
		if (!conn->session->over)
			request_execute(conn, request);
		request_free(request);
		return;
	}
	if (conn && !request->executed) {
		smb_leases_expire(server);
		if (!request_execute(conn, request)) {
			request->waits = true;
			if (request->conn)
				netfs_timer_start(&request->timer, NETFS_NS_PER_SEC);
			return;
		}
	}
	/* Executing it may have ended the connection. */
	if (conn && !request->conn)
		return;
	if (conn) {
		netfs_list_remove(&request->link);
		request->conn = NULL;
		smb_session_uncount(request);
		request_reply(conn, request);
		smb_server_retry(server);
	}
	request_free(request);
}

void smb_server_retry(struct smb_server *server)
{
	struct netfs_list *at, *in;

	netfs_list_for_each (at, &server->conns) {
		struct conn_smb *conn = netfs_container_of(at, struct conn_smb, link);

		netfs_list_for_each (in, &conn->requests) {
			struct request_smb *request =
				netfs_container_of(in, struct request_smb, link);

			if (request->waits && !request->executed)
				netfs_timer_start(&request->timer, 0);
		}
	}
}

static void cancel(struct conn_smb *conn, const struct smb_header *hdr)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &conn->requests) {
		struct request_smb *request = netfs_container_of(at, struct request_smb, link);
		bool same = hdr->flags & SMB_FLAG_ASYNC ? request->async_id == hdr->async_id
							: request->message_id == hdr->message_id;

		if (!same || request->executed || !request->waits)
			continue;
		request->cancelled = true;
		netfs_timer_start(&request->timer, 0);
	}
}

/* Of an earlier channel than what was seen, or while the server may be at what was sent
 * by that: it is answered so, and not done. */
static bool is_refused(struct conn_smb *conn, struct request_smb *request,
		       const struct smb_header *hdr)
{
	struct smb_msg msg;
	uint32_t status = SMB_STATUS_OK;
	struct call_smb call = {.server = conn->server, .conn = conn, .request = request};

	request->sequence = (uint16_t)hdr->status;
	if (hdr->next || smb_decode(request->body, request->len, request->len, &msg) < 0)
		return false;
	status = smb_session_count(request, &msg);
	if (!status)
		return false;
	call.req = msg;
	prepare(&call);
	finish(&call, status);
	request->executed = true;
	return true;
}

static void request_schedule(struct conn_smb *conn, struct request_smb *request,
			     const struct smb_header *hdr)
{
	struct faults *faults = conn->server->faults;
	uint64_t delay = faults_delay(faults);

	if (!is_refused(conn, request, hdr) &&
	    (!delay || !faults_draw(faults, faults->mix.late_execute)) &&
	    !request_execute(conn, request)) {
		request->waits = true;
		delay = NETFS_NS_PER_SEC;
	}
	if (!conn->socket)
		return;
	if (hdr->command > SMB_TREE_CONNECT && hdr->command != SMB_CANCEL &&
	    faults_draw(faults, faults->mix.lost_reply)) {
		request->lost = true;
		faults->others++;
	}
	netfs_timer_start(&request->timer, delay);
}

static bool check_frame(struct conn_smb *conn, const uint8_t *frame, size_t len)
{
	unsigned messages = 0;

	for (size_t at = 0; at < len;) {
		ssize_t step = smb_compound_step(frame + at, len - at);
		struct smb_header hdr;

		if (step < 0 || messages++ == SMB_CHAIN_MAX ||
		    smb_header_decode(frame + at, (size_t)step, &hdr) < 0)
			return false;
		take_ids(conn, &hdr);
		conn->server->requests++;
		at += (size_t)step;
	}
	return true;
}

/* The frame is well formed: is it from whom it says? */
static void check_signatures(struct conn_smb *conn, const uint8_t *frame, size_t len)
{
	if (conn->sealing)
		smb_server_violation(conn->server, "a request that is not sealed");
	for (size_t at = 0; at < len;) {
		size_t step = (size_t)smb_compound_step(frame + at, len - at);

		if (!crypt_smb_verify(&conn->crypt, frame + at, step, false))
			smb_server_violation(conn->server, "a request that is not signed well");
		at += step;
	}
}

static void conn_frame(struct conn_smb *conn, const uint8_t *frame, size_t len, bool sealed)
{
	struct request_smb *request;
	struct smb_header hdr;

	if (!check_frame(conn, frame, len) || smb_header_decode(frame, len, &hdr) < 0) {
		smb_server_violation(conn->server, "a malformed frame");
		conn_end(conn);
		return;
	}
	if (!conn->keyed)
		crypt_smb_hash(conn->hash, frame, len);
	else if (!sealed)
		check_signatures(conn, frame, len);
	netfs_sim_printf("smb %llu: gets %s %llu", (unsigned long long)conn->session_id,
			 smb_command_name(hdr.command), (unsigned long long)hdr.message_id);
	if (hdr.command == SMB_CANCEL) {
		cancel(conn, &hdr);
		return;
	}
	request = calloc(1, sizeof(*request) + len);
	if (!request)
		abort();
	request->sealed = sealed;
	request->len = len;
	memcpy(request->body, frame, len);
	request->message_id = hdr.message_id;
	request->fid = SMB_FID_RELATED;
	netfs_task_init(&request->task, request_task);
	netfs_timer_init(&request->timer, &request->task);
	request->conn = conn;
	request->server = conn->server;
	netfs_list_push_back(&conn->requests, &request->link);
	conn->server->pending++;
	request_schedule(conn, request, &hdr);
}

/* On one connection nonces only grow; on all of a session none comes twice. */
static bool unseal(struct conn_smb *conn, uint8_t *frame, size_t len)
{
	struct crypt_smb *crypt = &conn->session->crypt;
	bool genuine;

	crypt->seen = conn->seen;
	genuine = crypt_smb_open(crypt, conn->session_id, frame, len, false);
	conn->seen = crypt->seen;
	if (genuine)
		smb_session_nonce(conn, frame);
	return genuine;
}

/* Opens it where it is sealed. */
static void conn_opens(struct conn_smb *conn, uint8_t *frame, size_t len)
{
	if (memcmp(frame, "\xfdSMB", 4)) {
		conn_frame(conn, frame, len, false);
		return;
	}
	if (!conn->keyed || conn->crypt.cipher == SMB_CIPHER_NONE || !unseal(conn, frame, len)) {
		smb_server_violation(conn->server, "a sealed frame that is not genuine");
		conn_end(conn);
		return;
	}
	conn->sealing = conn->session->sealing = true;
	conn_frame(conn, frame + CRYPT_SMB_HEAD, len - CRYPT_SMB_HEAD, true);
}

/* Takes complete frames off the front of what was received. */
static void conn_frames(struct conn_smb *conn)
{
	size_t at = 0;

	while (conn->socket && conn->in_len - at >= LENGTH) {
		uint8_t *p = conn->in + at;
		size_t len = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

		if (p[0] != 0 || len < SMB_HEADER || len > IN_ROOM - LENGTH) {
			smb_server_violation(conn->server, "frame of an impossible length");
			conn_end(conn);
			return;
		}
		if (conn->in_len - at < LENGTH + len)
			break;
		conn_opens(conn, p + LENGTH, len);
		at += LENGTH + len;
	}
	conn->in_len -= at;
	if (at)
		memmove(conn->in, conn->in + at, conn->in_len);
}

/* A client hangs up by itself. */
static void note_opens_left(struct conn_smb *conn)
{
	uint64_t left = 0;
	struct netfs_list *at;

	if (conn->session && conn->session->channels > 1)
		return;
	netfs_list_for_each (at, &conn->server->opens) {
		const struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (!conn->session || open->session != conn->session)
			continue;
		netfs_sim_printf("smb %llu: open %llu, of %s, is left",
				 (unsigned long long)conn->session_id, (unsigned long long)open->id,
				 open->name);
		left++;
	}
	if (left > conn->server->opens_left)
		conn->server->opens_left = left;
}

static void readable(struct netfs_task *task)
{
	struct conn_smb *conn = netfs_container_of(task, struct conn_smb, readable);

	while (conn->socket) {
		struct iovec iov = {conn->in + conn->in_len, IN_ROOM - conn->in_len};
		ssize_t got = netfs_socket_recv(conn->socket, &iov, 1);

		if (got == -EAGAIN || got == -ENOTCONN)
			return;
		if (got <= 0) {
			note_opens_left(conn);
			conn_end(conn);
			return;
		}
		conn->in_len += (size_t)got;
		conn_frames(conn);
	}
}

static void accepted(void *user, struct netfs_socket *socket)
{
	struct smb_server *server = user;
	struct conn_smb *conn = calloc(1, sizeof(*conn));

	if (conn)
		conn->in = malloc(IN_ROOM);
	if (!conn || !conn->in)
		abort();
	server->faults->cuts++;
	conn->server = server;
	conn->socket = socket;
	conn->granted = conn->held = 1;
	netfs_list_init(&conn->requests);
	netfs_task_init(&conn->readable, readable);
	netfs_task_init(&conn->writable, writable);
	netfs_task_init(&conn->doom_task, doomed);
	netfs_timer_init(&conn->doom, &conn->doom_task);
	netfs_list_push_back(&server->conns, &conn->link);
	netfs_socket_adopt(socket, &conn->readable, &conn->writable);
	/* Bytes may have come before the tasks were known. */
	netfs_task_post(&conn->readable);
}

int smb_server_init(struct smb_server *server, struct faults *faults,
		    const struct smb_server_config *config)
{
	memset(server, 0, sizeof(*server));
	server->faults = faults;
	server->config = *config;
	netfs_list_init(&server->conns);
	netfs_list_init(&server->dead);
	netfs_list_init(&server->opens);
	netfs_list_init(&server->leases);
	netfs_list_init(&server->sessions);
	return tree_init(&server->tree);
}

void smb_server_listen(struct smb_server *server, bool on)
{
	if (server->listening == on)
		return;
	netfs_sim_listen(SMB_SERVER_HOST, SMB_SERVER_PORT, on ? accepted : NULL, server);
	for (unsigned i = 1; i <= server->config.addresses; i++) {
		char host[32];

		snprintf(host, sizeof(host), "10.9.0.%u", i);
		netfs_sim_listen(host, SMB_SERVER_PORT, on ? accepted : NULL, server);
	}
	server->listening = on;
}

void smb_server_drop_all(struct smb_server *server)
{
	struct netfs_list *at, *tmp;

	netfs_list_for_each_safe (at, tmp, &server->conns)
		conn_end(netfs_container_of(at, struct conn_smb, link));
}

bool smb_server_drop_one(struct smb_server *server)
{
	struct conn_smb *found = NULL;
	struct netfs_list *at;
	unsigned count = 0;

	if (netfs_list_empty(&server->conns) || server->conns.next == server->conns.prev ||
	    rng_one_in(&server->faults->rng, 3))
		return false;
	netfs_list_for_each (at, &server->conns)
		if (rng_one_in(&server->faults->rng, ++count))
			found = netfs_container_of(at, struct conn_smb, link);
	conn_end(found);
	return true;
}

bool smb_server_lingers(const struct smb_server *server)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->conns)
		if (netfs_sim_socket_left(netfs_container_of(at, struct conn_smb, link)->socket))
			return true;
	return false;
}

void smb_server_forget(struct smb_server *server)
{
	struct netfs_list *at, *tmp;

	netfs_list_for_each_safe (at, tmp, &server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (!open->session)
			smb_open_close(server, open);
	}
}

void smb_server_done(struct smb_server *server)
{
	struct netfs_list *at;

	smb_server_listen(server, false);
	smb_server_drop_all(server);
	smb_server_forget(server);
	smb_sessions_done(server);
	while ((at = netfs_list_pop_front(&server->dead))) {
		struct conn_smb *conn = netfs_container_of(at, struct conn_smb, link);

		free(conn->in);
		free(conn->out);
		free(conn);
	}
	tree_done(&server->tree);
}
