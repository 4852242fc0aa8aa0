// SPDX-License-Identifier: MIT
/*
 * From a connected socket to a share: NEGOTIATE (MS-SMB2 3.2.4.2.2.2), SESSION_SETUP
 * (3.2.4.2.3) as often as the mechanism wants, TREE_CONNECT (3.2.4.2.4), and the
 * first time a look at the root.
 *
 *	NEGOTIATE -> job: token -> SESSION_SETUP -> job: token -> ... -> keys
 *	          -> TREE_CONNECT -> (CREATE, QUERY_INFO, CLOSE of the root) -> ready
 *
 * Only dialect 3.1.1 is offered, whose hash over all these messages goes into the
 * keys: whoever changes one of them on the way, to weaken what is agreed, makes
 * the signature of the last reply wrong.  That one is always verified.
 *
 * A channel that is bound to a session which is there (3.2.4.2.3) logs in again, with
 * BINDING and under the session's signature, and is ready when it has keys of its own:
 *
 *	NEGOTIATE -> job: token -> SESSION_SETUP -> ... -> keys -> ready
 *
 * It signs with those, and seals with the session's.  All bindings sign their first
 * messages with the same key and the same message ids, which are the nonces of
 * AES-GMAC; so where there are several channels only AES-CMAC is offered, which has none.
 *
 * GSSAPI may block, so tokens are made on a job, which owns chan->login until it
 * sets login_back and posts the task.  Everything else is on the task.
 */
#include <stdio.h>
#include <string.h>
#include <env/secret.h>
#include "smb.h"

#define SALT 32u

/* ------------------------------------------------------------- share */

static void hello_send(struct smb_channel *chan, const struct smb_msg *msg,
		       void (*done)(struct smb_req *req, enum smb_end end))
{
	struct smb_req *req = &chan->hello;
	int err;

	smb_req_reset(req);
	req->done = done;
	req->urgent = true;
	err = smb_req_add(req, msg, 1);
	if (err)
		smb_channel_fault(chan, err, "no memory to log in");
	else if (!smb_req_send(chan, req, SMB_HELLO))
		smb_channel_fault(chan, -ENOTCONN, "the connection was lost while logging in");
}

static struct smb_channel *of_hello(struct smb_req *req)
{
	return netfs_container_of(req, struct smb_channel, hello);
}

static const char *tree_error(uint32_t status)
{
	switch (status) {
	case SMB_STATUS_BAD_NETWORK_NAME:
		return "there is no such share";
	case SMB_STATUS_ACCESS_DENIED:
		return "permission denied";
	case SMB_STATUS_PATH_NOT_COVERED:
		return "it leads to another server (DFS), which is not followed; mount the share "
		       "it leads to";
	default:
		return smb_status_name(status);
	}
}

static void root_seen(struct smb_req *req, enum smb_end end)
{
	struct smb_channel *chan = of_hello(req);
	struct smb_conn *conn = chan->conn;
	const struct smb_buf *out = &req->part[1].reply.query_info_rep.output;
	const char *slash = conn->prefix[0] ? "/" : "";
	struct smb_node *root;
	union smb_info info;
	struct netfs_attr attr;

	if (end != SMB_ANSWERED)
		return;
	for (unsigned i = 0; i < 2; i++) {
		int err = smb_status_errno(req->part[i].status);

		if (err) {
			smb_channel_fault(chan, err, "cannot look into %s%s%s: %s", conn->share,
					  slash, conn->prefix, tree_error(req->part[i].status));
			return;
		}
	}
	if (smb_info_decode(SMB_INFO_FILE, SMB_FILE_ALL, out->p, out->len, &info)) {
		smb_channel_fault(chan, -EPROTO, "malformed information about the share's root");
		return;
	}
	root = smb_node_root(conn);
	if (!root) {
		smb_channel_fault(chan, -ENOMEM, "no memory");
		return;
	}
	smb_owner_take(req, root);
	smb_attr_of_all(root, &info.all, &attr);
	smb_conn_ready(chan, &root->base, &attr);
}

static void look_at_root(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	struct smb_msg create = {
		.kind = SMB_REQUEST(SMB_CREATE),
		.create_req = {.impersonation = SMB_IMPERSONATION,
			       .access = SMB_ACCESS_READ_ATTRIBUTES |
					 (conn->owners ? SMB_ACCESS_READ_CONTROL : 0),
			       .share_access = SMB_SHARE_ALL,
			       .disposition = SMB_OPEN,
			       .options = SMB_OPT_DIRECTORY}};
	struct smb_msg query = {.kind = SMB_REQUEST(SMB_QUERY_INFO),
				.query_info_req = {.info_type = SMB_INFO_FILE,
						   .info_class = SMB_FILE_ALL,
						   .max_output = 4096,
						   .fid = SMB_FID_RELATED}};
	struct smb_msg close = {.kind = SMB_REQUEST(SMB_CLOSE),
				.close_req = {.fid = SMB_FID_RELATED}};
	struct smb_req *req = &chan->hello;
	struct smb_node *root = smb_node_root(conn);
	int err = root ? smb_node_path(conn, root, NULL, &create.create_req.name) : -ENOMEM;

	if (root)
		netfs_node_put(&root->base);
	if (err) {
		smb_channel_fault(chan, err, "bad path in the share");
		return;
	}
	smb_req_reset(req);
	req->done = root_seen;
	req->urgent = true;
	err = smb_req_add(req, &create, 1);
	netfs_free((void *)(uintptr_t)create.create_req.name.p);
	if (err || smb_req_add(req, &query, 1) ||
	    (conn->owners && smb_owner_add(req, SMB_FID_RELATED)) || smb_req_add(req, &close, 1) ||
	    !smb_req_send(chan, req, SMB_HELLO))
		smb_channel_fault(chan, -ENOMEM, "no memory to log in");
}

static void seal_from_now(struct smb_channel *chan)
{
	netfs_mutex_lock(&chan->conn->lock);
	chan->sealing = chan->conn->sealing = true;
	netfs_mutex_unlock(&chan->conn->lock);
}

static void tree_connected(struct smb_req *req, enum smb_end end)
{
	struct smb_channel *chan = of_hello(req);
	struct smb_conn *conn = chan->conn;
	const struct smb_msg *reply = &req->part[0].reply;

	if (end != SMB_ANSWERED)
		return;
	if (reply->kind != SMB_REPLY(SMB_TREE_CONNECT)) {
		int err = smb_status_errno(req->part[0].status);

		smb_channel_fault(chan, err ? err : -EPROTO, "share %s at %s: %s", conn->share,
				  conn->be.address, tree_error(req->part[0].status));
		return;
	}
	if (reply->tree_connect_rep.type != SMB_SHARE_DISK) {
		smb_channel_fault(chan, -ENOTDIR, "share %s is no directory", conn->share);
		return;
	}
	if (reply->tree_connect_rep.flags & SMB_SHAREFLAG_ENCRYPT_DATA && !chan->sealing) {
		if (conn->keys->cipher == SMB_CIPHER_NONE) {
			smb_channel_fault(chan, -EPROTO,
					  "share %s wants encryption, but no cipher is "
					  "in common",
					  conn->share);
			return;
		}
		seal_from_now(chan);
	}
	netfs_mutex_lock(&conn->lock);
	conn->tree_id = reply->hdr.tree_id;
	netfs_mutex_unlock(&conn->lock);
	if (conn->connect_op)
		look_at_root(chan);
	else
		smb_conn_ready(chan, NULL, NULL);
}

static void connect_tree(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	char text[600];
	uint8_t path[1200];
	ssize_t len;

	snprintf(text, sizeof(text), "\\\\%s\\%s", conn->address.host, conn->share);
	len = smb_utf16_put(text, strlen(text), SMB_MAP_NONE, path, sizeof(path));
	if (len < 0) {
		smb_channel_fault(chan, -EINVAL, "bad share name '%s'", conn->share);
		return;
	}
	hello_send(chan,
		   &(const struct smb_msg){.kind = SMB_REQUEST(SMB_TREE_CONNECT),
					   .tree_connect_req = {.path = {path, (uint32_t)len, 0}}},
		   tree_connected);
}

/* ----------------------------------------------------------- session */

/* The mechanism is content on both sides: keys, and the proof that nobody changed
 * what was agreed. */
static void session_made(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	struct smb_part *part = &chan->hello.part[0];
	struct smb_login *login = &chan->login;
	struct smb_text text;
	uint8_t want[SMB_TAG];
	int err;

	err = smb_keys_derive(chan->keys, login->key, login->key_len, &chan->preauth);
	explicit_bzero(login->key, sizeof(login->key));
	if (err) {
		smb_channel_fault(chan, err, "no session key");
		return;
	}
	/* Its signature field is zero since it was received. */
	text = (struct smb_text){.head = part->bytes, .head_len = part->bytes_len};
	err = smb_sign(chan->keys, &text, part->reply.hdr.message_id, true, false, want);
	if (err || !(part->reply.hdr.flags & SMB_FLAG_SIGNED) ||
	    !smb_signature_equal(want, part->reply.hdr.signature)) {
		smb_channel_fault(
			chan, -EBADMSG,
			"%s did not prove who it is, or somebody changed messages on the way",
			conn->be.address);
		return;
	}
	chan->keyed = true;
	netfs_mutex_lock(&conn->lock);
	chan->signer = chan->keys;
	netfs_mutex_unlock(&conn->lock);
	if (chan->binding) {
		/* Without a first request it would never have the credits for a large one,
		 * which goes by those that have them already. */
		if (smb_conn_bound(chan))
			smb_channel_echo(chan);
		else
			smb_channel_fault(chan, -ECONNRESET, "the session with %s is over",
					  conn->be.address);
		return;
	}
	smb_keys_copy(conn->keys, chan->keys);
	if (conn->seal == SMB_SEAL_ALWAYS ||
	    part->reply.session_setup_rep.flags & SMB_SESSION_ENCRYPT_DATA) {
		if (conn->keys->cipher == SMB_CIPHER_NONE) {
			smb_channel_fault(chan, -EPROTO, "seal: no cipher is in common with %s",
					  conn->be.address);
			return;
		}
		seal_from_now(chan);
	}
	connect_tree(chan);
}

static void login_job(struct netfs_job *job);

static void start_login(struct smb_channel *chan)
{
	chan->login.chan = chan;
	chan->login.job.fn = login_job;
	chan->login_busy = true;
	atomic_store(&chan->login_back, false);
	/* The job's, until it has posted the task. */
	smb_conn_enter(chan->conn);
	netfs_job_post(&chan->login.job);
}

/* On a job: the next token. */
static void login_job(struct netfs_job *job)
{
	struct smb_login *login = netfs_container_of(job, struct smb_login, job);
	struct smb_channel *chan = login->chan;
	struct smb_conn *conn = chan->conn;
	struct netfs_auth_who who = {.mech = conn->mech,
				     .host = conn->address.host,
				     .service = "cifs",
				     .user = conn->user,
				     .domain = conn->domain,
				     .password = conn->password};

	login->err = 0;
	if (!login->auth)
		login->err =
			netfs_auth_new(&who, &login->auth, login->message, sizeof(login->message));
	if (!login->err && !login->done)
		login->err = netfs_auth_step(login->auth, login->token, login->token_len,
					     &login->out, &login->out_len, &login->done,
					     login->message, sizeof(login->message));
	netfs_free(netfs_take(login->token));
	login->token_len = 0;
	if (!login->err && login->done)
		login->err = netfs_auth_key(login->auth, login->key, &login->key_len);
	atomic_store(&chan->login_back, true);
	netfs_task_post(&chan->task);
	smb_conn_leave(conn);
}

/* As it came: its signature, if it has one, was cleared to be verified. */
static int hash_reply(struct smb_channel *chan, struct smb_part *part)
{
	uint8_t *at = part->bytes + SMB_SIGNATURE_AT;
	int err;

	memcpy(at, part->reply.hdr.signature, SMB_TAG);
	err = smb_preauth_add(&chan->preauth, part->bytes, part->bytes_len);
	memset(at, 0, SMB_TAG);
	return err;
}

/* A reply to SESSION_SETUP: more to say, or the end. */
static void session_answered(struct smb_req *req, enum smb_end end)
{
	struct smb_channel *chan = of_hello(req);
	struct smb_conn *conn = chan->conn;
	struct smb_part *part = &req->part[0];
	const struct smb_buf *token = &part->reply.session_setup_rep.token;
	bool more = part->status == SMB_STATUS_MORE_PROCESSING;
	int err;

	if (end != SMB_ANSWERED)
		return;
	if (part->reply.kind != SMB_REPLY(SMB_SESSION_SETUP) ||
	    (!more && part->status != SMB_STATUS_OK)) {
		err = smb_status_errno(part->status);
		smb_channel_fault(
			chan, err ? err : -EACCES, "login to %s failed: %s", conn->be.address,
			part->status == SMB_STATUS_LOGON_FAILURE ? "wrong user name or password"
								 : smb_status_name(part->status));
		return;
	}
	if (!more &&
	    part->reply.session_setup_rep.flags & (SMB_SESSION_IS_GUEST | SMB_SESSION_IS_NULL)) {
		smb_channel_fault(chan, -EACCES, "%s let us in as a guest only; that is refused",
				  conn->be.address);
		return;
	}
	netfs_mutex_lock(&conn->lock);
	if (!chan->binding)
		conn->session_id = chan->session_id = part->reply.hdr.session_id;
	netfs_mutex_unlock(&conn->lock);
	if (part->reply.hdr.session_id != chan->session_id) {
		smb_channel_fault(chan, -EPROTO, "%s speaks of another session", conn->be.address);
		return;
	}
	if (more && hash_reply(chan, part)) {
		smb_channel_fault(chan, -ENOMEM, "no memory to log in");
		return;
	}
	if (!more && chan->login.done) {
		session_made(chan);
		return;
	}
	chan->login.token = netfs_alloc(token->len + 1);
	if (!chan->login.token) {
		smb_channel_fault(chan, -ENOMEM, "no memory to log in");
		return;
	}
	memcpy(chan->login.token, token->p, token->len);
	chan->login.token_len = token->len;
	start_login(chan);
}

static void send_token(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	struct smb_msg msg = {
		.kind = SMB_REQUEST(SMB_SESSION_SETUP),
		.session_setup_req = {.security_mode = SMB_SIGNING_ENABLED | SMB_SIGNING_REQUIRED,
				      .token = {chan->login.out, (uint32_t)chan->login.out_len, 0},
				      .flags = chan->binding ? SMB_SESSION_BINDING : 0,
				      .previous_session_id =
					      chan->binding ? 0 : conn->previous_id}};

	hello_send(chan, &msg, session_answered);
	/* What the server answers last is not hashed, what we say is. */
	if (!chan->fault && smb_preauth_add(&chan->preauth, chan->hello.head + SMB_PREFIX,
					    chan->hello.head_len - SMB_PREFIX))
		smb_channel_fault(chan, -ENOMEM, "no memory to log in");
}

void smb_hello_login(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	struct smb_login *login = &chan->login;

	chan->login_busy = false;
	atomic_store(&chan->login_back, false);
	if (chan->state != SMB_HELLO)
		return;
	if (login->err)
		smb_channel_fault(chan, login->err, "login to %s as '%s': %s", conn->be.address,
				  conn->user, login->message[0] ? login->message : "no key");
	else if (chan->hello.part[0].command == SMB_SESSION_SETUP &&
		 chan->hello.part[0].status == SMB_STATUS_OK)
		session_made(chan);
	else
		send_token(chan);
}

/* --------------------------------------------------------- negotiate */

static int take_contexts(struct smb_channel *chan, const struct smb_msg *reply)
{
	struct smb_negotiate_contexts contexts;

	if (smb_negotiate_contexts_decode(&reply->negotiate_rep.contexts,
					  reply->negotiate_rep.context_count, &contexts) ||
	    contexts.hashes.count != 1 || contexts.hashes.v[0] != SMB_HASH_SHA512)
		return -EPROTO;
	chan->keys->cipher = contexts.ciphers.count ? contexts.ciphers.v[0] : SMB_CIPHER_NONE;
	chan->keys->signing = contexts.signings.count ? contexts.signings.v[0] : SMB_AES_CMAC;
	if (chan->keys->cipher > SMB_AES_256_GCM || contexts.ciphers.count > 1 ||
	    contexts.signings.count > 1 ||
	    (chan->keys->signing != SMB_AES_CMAC && chan->keys->signing != SMB_AES_GMAC))
		return -EPROTO;
	return 0;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What is agreed on is what the session has already. */
static void bind(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;

	if (chan->keys->cipher != conn->keys->cipher ||
	    chan->keys->signing != conn->keys->signing) {
		smb_channel_fault(chan, -EPROTO, "%s offers another channel other ciphers",
				  conn->be.address);
		return;
	}
	netfs_mutex_lock(&conn->lock);
	chan->session_id = conn->session_id;
	chan->signer = conn->keys;
	netfs_mutex_unlock(&conn->lock);
	start_login(chan);
}

static void negotiated(struct smb_req *req, enum smb_end end)
{
	struct smb_channel *chan = of_hello(req);
	struct smb_conn *conn = chan->conn;
	struct smb_part *part = &req->part[0];
	const struct smb_msg *reply = &part->reply;

	if (end != SMB_ANSWERED)
		return;
	if (reply->kind != SMB_REPLY(SMB_NEGOTIATE) ||
	    reply->negotiate_rep.dialect != SMB_DIALECT_311) {
		smb_channel_fault(chan, -EPROTONOSUPPORT, "%s does not speak SMB 3.1.1",
				  conn->be.address);
		return;
	}
	if (take_contexts(chan, reply) || reply->negotiate_rep.max_read < SMB_CREDIT_BYTES ||
	    reply->negotiate_rep.max_write < SMB_CREDIT_BYTES ||
	    reply->negotiate_rep.max_transact < SMB_CREDIT_BYTES) {
		smb_channel_fault(chan, -EPROTO, "bad offer from %s", conn->be.address);
		return;
	}
	if (smb_preauth_add(&chan->preauth, part->bytes, part->bytes_len)) {
		smb_channel_fault(chan, -ENOMEM, "no memory to log in");
		return;
	}
	if (chan->binding) {
		bind(chan);
		return;
	}
	netfs_mutex_lock(&conn->lock);
	conn->multichannel = reply->negotiate_rep.capabilities & SMB_CAP_MULTI_CHANNEL;
	conn->max_io = least(least(reply->negotiate_rep.max_read, reply->negotiate_rep.max_write),
			     conn->io_want);
	conn->leases_on = !conn->no_leases && reply->negotiate_rep.capabilities & SMB_CAP_LEASING;
	conn->max_transact = least(reply->negotiate_rep.max_transact, SMB_LISTING);
	netfs_mutex_unlock(&conn->lock);
	start_login(chan);
}

/* Nothing of an earlier session is left. */
static int forget(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	netfs_auth_free(netfs_take(chan->login.auth));
	netfs_free(netfs_take(chan->login.token));
	chan->login.token_len = 0;
	chan->login.done = false;
	chan->login.message[0] = 0;
	memset(&chan->preauth, 0, sizeof(chan->preauth));
	chan->keyed = chan->sealing = false;
	netfs_mutex_lock(&conn->lock);
	if (!chan->binding) {
		conn->session_id = 0;
		conn->tree_id = 0;
		conn->sealing = false;
	}
	chan->session_id = 0;
	chan->signer = NULL;
	chan->next_mid = 0;
	chan->credits = chan->credits_most = 1;
	netfs_mutex_unlock(&conn->lock);
	return 0;
}

void smb_hello_start(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	static const struct smb_negotiate_contexts offer = {
		.hashes = {1, {SMB_HASH_SHA512}},
		.ciphers = {4,
			    {SMB_AES_128_GCM, SMB_AES_256_GCM, SMB_AES_128_CCM, SMB_AES_256_CCM}},
		.signings = {2, {SMB_AES_GMAC, SMB_AES_CMAC}},
	};
	struct smb_negotiate_contexts contexts = offer;
	uint8_t salt[SALT], bytes[512];
	ssize_t len;
	struct smb_msg msg = {
		.kind = SMB_REQUEST(SMB_NEGOTIATE),
		.negotiate_req = {.security_mode = SMB_SIGNING_ENABLED | SMB_SIGNING_REQUIRED,
				  .capabilities =
					  SMB_CAP_LEASING | SMB_CAP_LARGE_MTU | SMB_CAP_ENCRYPTION,
				  .client_guid = conn->client_guid,
				  .dialects = {1, {SMB_DIALECT_311}}}};

	forget(chan);
	if (netfs_secret_random(salt, sizeof(salt))) {
		smb_channel_fault(chan, -EIO, "no randomness");
		return;
	}
	if (conn->max_channels > 1) {
		contexts.signings = (struct smb_algorithms){1, {SMB_AES_CMAC}};
		msg.negotiate_req.capabilities |= SMB_CAP_MULTI_CHANNEL;
	}
	contexts.salt = (struct smb_buf){salt, sizeof(salt), 0};
	len = smb_negotiate_contexts_encode(&contexts, bytes, sizeof(bytes),
					    &msg.negotiate_req.context_count);
	netfs_assert(len > 0);
	msg.negotiate_req.contexts = (struct smb_buf){bytes, (uint32_t)len, 0};
	hello_send(chan, &msg, negotiated);
	if (!chan->fault && smb_preauth_add(&chan->preauth, chan->hello.head + SMB_PREFIX,
					    chan->hello.head_len - SMB_PREFIX))
		smb_channel_fault(chan, -ENOMEM, "no memory to log in");
}
