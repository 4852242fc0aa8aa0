/* SPDX-License-Identifier: MIT */
/*
 * Sessions of the simulated SMB server: logging in, by one connection and by more that
 * are bound to the session (MS-SMB2 3.3.5.5), and what keeps requests of a lost
 * connection and later ones apart, the channel sequence (3.3.5.2.10).
 */
#include <stdlib.h>
#include <string.h>
#include "server_smb.h"

#define AT_NONCE   20u /* in a sealed frame */
#define NONCES_MAX (UINT64_C(1) << 24)

struct session_smb *smb_session_find(struct smb_server *server, uint64_t id)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->sessions) {
		struct session_smb *session = netfs_container_of(at, struct session_smb, link);

		if (session->id == id && !session->over)
			return session;
	}
	return NULL;
}

static void session_end(struct smb_server *server, struct session_smb *session)
{
	session->over = true;
	smb_opens_detach(server, session);
}

void smb_session_leave(struct conn_smb *conn)
{
	struct session_smb *session = conn->session;

	if (conn->phase != SMB_READY || !session)
		return;
	conn->phase = SMB_NEGOTIATED;
	if (--session->channels == 0 && !session->over)
		session_end(conn->server, session);
}

void smb_sessions_done(struct smb_server *server)
{
	struct netfs_list *at;

	while ((at = netfs_list_pop_front(&server->sessions))) {
		struct session_smb *session = netfs_container_of(at, struct session_smb, link);

		free(session->nonces);
		free(session);
	}
}

/* ----------------------------------------------------------------- login */

/* A challenge that was not there before, in this run. */
static uint32_t challenge(struct call_smb *call)
{
	struct conn_smb *conn = call->conn;
	uint64_t twist = ++call->server->last_id;

	conn->session_id = conn->binding ? conn->binding->id : twist;
	for (unsigned i = 0; i < AUTH_SIM_CHALLENGE; i++)
		conn->challenge[i] = (uint8_t)(rng_mix(twist) >> 8 * (i % 8)) ^ i;
	conn->challenged = true;
	call->rep.session_setup_rep.token =
		(struct smb_buf){conn->challenge, AUTH_SIM_CHALLENGE, 0};
	call->rep.hdr.session_id = conn->session_id;
	return SMB_STATUS_MORE_PROCESSING;
}

static void drop_session(struct smb_server *server, struct session_smb *session)
{
	struct netfs_list *at, *tmp;

	netfs_list_for_each_safe (at, tmp, &server->conns) {
		struct conn_smb *conn = netfs_container_of(at, struct conn_smb, link);

		if (conn->session == session)
			smb_server_drop(conn);
	}
}

/* A session that the client says it had is over, with its connections (3.3.5.5.3). */
static void end_previous(struct call_smb *call)
{
	uint64_t id = call->req.session_setup_req.previous_session_id;
	struct session_smb *old = id ? smb_session_find(call->server, id) : NULL;

	if (old && old != call->conn->session && !memcmp(&old->client, &call->conn->client, 16))
		drop_session(call->server, old);
}

static void session_new(struct conn_smb *conn)
{
	struct session_smb *session = calloc(1, sizeof(*session));

	if (!session)
		abort();
	session->id = conn->session_id;
	session->client = conn->client;
	session->crypt = conn->crypt;
	session->sealing = conn->server->config.seal_session;
	netfs_list_push_back(&conn->server->sessions, &session->link);
	conn->session = session;
}

/* Binding: who asks must have the session's key (3.3.5.5). */
static uint32_t begin_binding(struct call_smb *call)
{
	struct conn_smb *conn = call->conn;
	struct session_smb *session = smb_session_find(call->server, call->req.hdr.session_id);

	if (!session || memcmp(&session->client, &conn->client, 16))
		return SMB_STATUS_USER_SESSION_DELETED;
	if (!call->server->config.addresses) {
		smb_server_violation(call->server, "a channel that was not offered");
		return SMB_STATUS_REQUEST_NOT_ACCEPTED;
	}
	if (!crypt_smb_verify(&session->crypt, call->request->body, call->request->len, false)) {
		if (!call->server->faults->mix.tamper)
			smb_server_violation(call->server, "a binding that is not signed well");
		return SMB_STATUS_ACCESS_DENIED;
	}
	if (session->crypt.signing != conn->crypt.signing ||
	    session->crypt.cipher != conn->crypt.cipher) {
		smb_server_violation(call->server, "a channel with other ciphers");
		return SMB_STATUS_INVALID_PARAMETER;
	}
	conn->binding = session;
	return SMB_STATUS_OK;
}

static bool is_proven(struct call_smb *call)
{
	const struct smb_buf *token = &call->req.session_setup_req.token;
	struct conn_smb *conn = call->conn;
	uint8_t proof[AUTH_SIM_PROOF];

	auth_sim_proof(conn->challenge, proof);
	if (token->len == sizeof(proof) && !memcmp(token->p, proof, sizeof(proof)) &&
	    call->req.hdr.session_id == conn->session_id)
		return true;
	/* Unless somebody changed the challenge on the way. */
	if (!call->server->faults->mix.tamper)
		smb_server_violation(call->server, "a wrong proof");
	return false;
}

uint32_t smb_on_session_setup(struct call_smb *call)
{
	bool binds = call->req.session_setup_req.flags & SMB_SESSION_BINDING;
	struct conn_smb *conn = call->conn;
	uint8_t key[AUTH_SIM_KEY];
	uint32_t status = SMB_STATUS_OK;

	if (conn->phase != SMB_NEGOTIATED) {
		smb_server_violation(call->server, "SESSION_SETUP before NEGOTIATE, or twice");
		return SMB_STATUS_INVALID_PARAMETER;
	}
	if (binds)
		status = begin_binding(call);
	if (status)
		return status;
	if (!conn->challenged)
		return challenge(call);
	if (!is_proven(call))
		return SMB_STATUS_LOGON_FAILURE;
	if (!binds)
		end_previous(call);
	auth_sim_key(conn->challenge, key);
	crypt_smb_keys(&conn->crypt, key, conn->hash);
	if (binds)
		conn->session = conn->binding;
	else
		session_new(conn);
	conn->session->channels++;
	conn->keyed = true;
	conn->phase = SMB_READY;
	if (conn->session->sealing) {
		call->rep.session_setup_rep.flags = SMB_SESSION_ENCRYPT_DATA;
		conn->sealing = true;
	}
	call->rep.hdr.session_id = conn->session_id;
	return SMB_STATUS_OK;
}

uint32_t smb_on_logoff(struct call_smb *call)
{
	session_end(call->server, call->conn->session);
	return SMB_STATUS_OK;
}

/* ---------------------------------------------------------------- nonces */

void smb_session_nonce(struct conn_smb *conn, const uint8_t *frame)
{
	struct session_smb *session = conn->session;
	uint64_t nonce = 0, room;

	for (unsigned i = 8; i-- > 0;)
		nonce = nonce << 8 | frame[AT_NONCE + i];
	if (nonce >= NONCES_MAX)
		return;
	if (nonce >= session->nonces_room) {
		room = (nonce + 1) * 2;
		room += -room % 8;
		session->nonces = realloc(session->nonces, room / 8);
		if (!session->nonces)
			abort();
		memset(session->nonces + session->nonces_room / 8, 0,
		       (room - session->nonces_room) / 8);
		session->nonces_room = room;
	}
	if (session->nonces[nonce / 8] & 1u << nonce % 8)
		smb_server_violation(conn->server, "a nonce that was used on another channel");
	session->nonces[nonce / 8] |= (uint8_t)(1u << nonce % 8);
}

/* -------------------------------------------------------------- sequence */

static const struct smb_fid *fid_of(const struct smb_msg *msg)
{
	switch (msg->hdr.command) {
	case SMB_WRITE:
		return &msg->write_req.fid;
	case SMB_READ:
		return &msg->read_req.fid;
	case SMB_FLUSH:
		return &msg->flush_req.fid;
	case SMB_LOCK:
		return &msg->lock_req.fid;
	case SMB_IOCTL:
		return &msg->ioctl_req.fid;
	case SMB_SET_INFO:
		return &msg->set_info_req.fid;
	default:
		return NULL;
	}
}

static struct open_smb *open_of(struct smb_server *server, uint64_t id)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (open->id == id)
			return open;
	}
	return NULL;
}

static bool changes(const struct smb_msg *msg)
{
	return msg->hdr.command == SMB_WRITE || msg->hdr.command == SMB_IOCTL ||
	       msg->hdr.command == SMB_SET_INFO;
}

uint32_t smb_session_count(struct request_smb *request, const struct smb_msg *msg)
{
	const struct smb_fid *fid = fid_of(msg);
	struct open_smb *open = fid ? open_of(request->server, fid->persistent) : NULL;
	bool replay = msg->hdr.flags & SMB_FLAG_REPLAY;
	bool fresh = true;

	if (!open)
		return SMB_STATUS_OK;
	if (request->sequence != open->sequence) {
		if ((uint16_t)(request->sequence - open->sequence) > 0x7fff) {
			fresh = false;
		} else {
			open->before += open->now;
			open->now = 0;
			open->sequence = request->sequence;
		}
	}
	if (!fresh || (replay && open->before > 0))
		return changes(msg) ? SMB_STATUS_FILE_NOT_AVAILABLE : SMB_STATUS_OK;
	open->now++;
	request->counted = open->id;
	return SMB_STATUS_OK;
}

void smb_session_uncount(struct request_smb *request)
{
	struct open_smb *open =
		request->counted ? open_of(request->server, request->counted) : NULL;

	request->counted = 0;
	if (!open)
		return;
	if (request->sequence != open->sequence)
		open->before--;
	else
		open->now--;
}
