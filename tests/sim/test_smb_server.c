/* SPDX-License-Identifier: MIT */
/*
 * Goal: the simulated SMB server answers as MS-SMB2 says, so that a client that fails
 * against it is wrong.  Method: two clients of a few lines on the simulated network
 * send one message at a time; every answer is looked at.
 */
#include "t.h"

#include <backend/smb/smb_utf16.h>
#include <env/sim/sim.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "server_smb.h"

#define LIMIT_NS (UINT64_C(120) * NETFS_NS_PER_SEC)
#define IN_ROOM	 (1u << 18)

/* This server has no faults of its own. */
bool faults_draw(struct faults *faults, uint32_t per_million)
{
	return false;
}

int faults_error(struct faults *faults, unsigned type, bool takes_room)
{
	return 0;
}

uint64_t faults_delay(struct faults *faults)
{
	return 0;
}

struct client {
	struct netfs_socket *socket;
	struct netfs_task readable, writable;
	struct smb_guid guid;
	uint64_t next_id, session_id;
	uint32_t credits;
	uint8_t in[IN_ROOM];
	size_t in_len;
	struct smb_msg msg; /* the last one that came, in frame */
	uint8_t frame[IN_ROOM];
	size_t frame_len;
	bool came;
	bool distrusts; /* counts what it cannot decode, or was not signed so */
	unsigned refused;
	uint8_t hash[CRYPT_SMB_HASH];
	struct crypt_smb crypt;
	bool keyed, sealing;
};

static struct smb_server server;
static struct faults faults;
static struct client a, b;

/* Opens it where it is sealed; what is signed is signed by the server. */
static bool is_genuine(struct client *c, size_t *len)
{
	bool good = true;

	if (!memcmp(c->frame, "\xfdSMB", 4)) {
		good = c->keyed && crypt_smb_open(&c->crypt, c->session_id, c->frame, *len, true);
		*len -= CRYPT_SMB_HEAD;
		memmove(c->frame, c->frame + CRYPT_SMB_HEAD, *len);
		return good;
	}
	if (c->sealing)
		return false;
	for (size_t at = 0; c->keyed && good && at < *len;) {
		ssize_t step = smb_compound_step(c->frame + at, *len - at);
		struct smb_header hdr;

		good = step > 0 && !smb_header_decode(c->frame + at, (size_t)step, &hdr) &&
		       (hdr.status == SMB_STATUS_PENDING || hdr.message_id == SMB_NO_MESSAGE ||
			crypt_smb_verify(&c->crypt, c->frame + at, (size_t)step, true));
		at += good ? (size_t)step : 0;
	}
	return good;
}

/* Takes one frame off what was received. */
static void take(struct client *c)
{
	size_t len = (size_t)c->in[1] << 16 | (size_t)c->in[2] << 8 | c->in[3];

	if (c->came || c->in_len < 4 || c->in_len < 4 + len)
		return;
	memcpy(c->frame, c->in + 4, len);
	c->in_len -= 4 + len;
	memmove(c->in, c->in + 4 + len, c->in_len);
	c->came = true;
	if (!is_genuine(c, &len) || smb_decode(c->frame, len, len, &c->msg) < 0) {
		assert_true(c->distrusts);
		c->refused++;
		return;
	}
	c->credits += c->msg.hdr.credits;
	c->frame_len = len;
}

static void on_readable(struct netfs_task *task)
{
	struct client *c = netfs_container_of(task, struct client, readable);

	while (c->socket) {
		struct iovec iov = {c->in + c->in_len, IN_ROOM - c->in_len};
		ssize_t got = netfs_socket_recv(c->socket, &iov, 1);

		if (got <= 0)
			break;
		c->in_len += (size_t)got;
	}
	take(c);
}

static void on_writable(struct netfs_task *task)
{
}

static bool came(void *user)
{
	take(user);
	return ((struct client *)user)->came;
}

static bool connected(void *user)
{
	return netfs_socket_status(((struct client *)user)->socket) != -EINPROGRESS;
}

/* The next message, which has to come. */
static const struct smb_msg *receive(struct client *c)
{
	assert_true(netfs_sim_run(came, c, LIMIT_NS));
	c->came = false;
	return &c->msg;
}

static void send_bytes(struct client *c, uint8_t *bytes, size_t len)
{
	uint8_t head[4] = {0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};
	struct iovec iov[2] = {{head, 4}, {bytes, len}};

	assert_int_equal(netfs_socket_send(c->socket, iov, 2), 4 + len);
}

/* Signed or sealed as the session is. */
static void send_frame(struct client *c, uint8_t *message, size_t len)
{
	static uint8_t sealed[CRYPT_SMB_HEAD + 4096];

	if (!c->keyed)
		crypt_smb_hash(c->hash, message, len);
	for (size_t at = 0; at < len && c->keyed && !c->sealing;) {
		size_t step = (size_t)smb_compound_step(message + at, len - at);

		crypt_smb_sign(&c->crypt, message + at, step, false);
		at += step;
	}
	if (!c->sealing) {
		send_bytes(c, message, len);
		return;
	}
	crypt_smb_seal(&c->crypt, c->session_id, message, len, sealed, false);
	send_bytes(c, sealed, len + CRYPT_SMB_HEAD);
}

static size_t encode(struct client *c, struct smb_msg *msg, uint8_t *bytes, size_t size)
{
	ssize_t len;

	msg->hdr.credit_charge = 1;
	msg->hdr.credits = 8;
	msg->hdr.message_id = c->next_id++;
	msg->hdr.session_id = c->session_id;
	msg->hdr.tree_id = 1;
	assert_true(c->credits > 0);
	c->credits--;
	len = smb_encode(msg, bytes, size);
	assert_true(len > 0);
	return (size_t)len;
}

static void post(struct client *c, struct smb_msg *msg)
{
	uint8_t bytes[4096];

	send_frame(c, bytes, encode(c, msg, bytes, sizeof(bytes)));
}

static const struct smb_msg *ask(struct client *c, struct smb_msg *msg)
{
	post(c, msg);
	return receive(c);
}

static void negotiate(struct client *c)
{
	static uint8_t contexts[256];
	struct smb_negotiate_contexts offer = {
		.hashes = {1, {SMB_HASH_SHA512}},
		.ciphers = {4,
			    {SMB_AES_128_GCM, SMB_AES_256_GCM, SMB_AES_128_CCM, SMB_AES_256_CCM}},
		.signings = {2, {SMB_AES_GMAC, SMB_AES_CMAC}},
		.salt = {.p = "salt", .len = 4}};
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_NEGOTIATE)};

	msg.negotiate_req.dialects = (struct smb_dialects){1, {SMB_DIALECT_311}};
	msg.negotiate_req.client_guid = c->guid;
	msg.negotiate_req.contexts.len = (uint32_t)smb_negotiate_contexts_encode(
		&offer, contexts, sizeof(contexts), &msg.negotiate_req.context_count);
	msg.negotiate_req.contexts.p = contexts;
	assert_int_equal(ask(c, &msg)->negotiate_rep.dialect, SMB_DIALECT_311);
	crypt_smb_hash(c->hash, c->frame, c->frame_len);
	assert_int_equal(smb_negotiate_contexts_decode(&c->msg.negotiate_rep.contexts,
						       c->msg.negotiate_rep.context_count, &offer),
			 0);
	c->crypt.signing = offer.signings.count ? offer.signings.v[0] : SMB_AES_CMAC;
	c->crypt.cipher = offer.ciphers.v[0];
}

static void log_in(struct client *c)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_SESSION_SETUP)};
	uint8_t proof[AUTH_SIM_PROOF], key[AUTH_SIM_KEY];

	msg.session_setup_req.token = (struct smb_buf){.p = "hello", .len = 5};
	assert_int_equal(ask(c, &msg)->hdr.status, SMB_STATUS_MORE_PROCESSING);
	crypt_smb_hash(c->hash, c->frame, c->frame_len);
	c->session_id = c->msg.hdr.session_id;
	assert_int_equal(c->msg.session_setup_rep.token.len, AUTH_SIM_CHALLENGE);
	auth_sim_proof(c->msg.session_setup_rep.token.p, proof);
	auth_sim_key(c->msg.session_setup_rep.token.p, key);
	msg.session_setup_req.token = (struct smb_buf){.p = proof, .len = sizeof(proof)};
	assert_int_equal(ask(c, &msg)->hdr.status, SMB_STATUS_OK);
	/* The last reply is not hashed, but signed. */
	crypt_smb_keys(&c->crypt, key, c->hash);
	assert_true(crypt_smb_verify(&c->crypt, c->frame, c->frame_len, true));
	c->keyed = true;
	c->sealing = c->msg.session_setup_rep.flags & SMB_SESSION_ENCRYPT_DATA;
}

static void hello(struct client *c)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_TREE_CONNECT)};

	negotiate(c);
	log_in(c);
	msg.tree_connect_req.path = (struct smb_buf){.p = u"\\\\server\\x", .len = 20};
	assert_int_equal(ask(c, &msg)->tree_connect_rep.type, SMB_SHARE_DISK);
	c->sealing |= (c->msg.tree_connect_rep.flags & SMB_SHAREFLAG_ENCRYPT_DATA) != 0;
}

static void connect_client(struct client *c, const char *guid)
{
	struct netfs_socket_address address = {
		.kind = NETFS_SOCKET_TCP, .host = SMB_SERVER_HOST, .port = SMB_SERVER_PORT};

	memset(c, 0, sizeof(*c));
	strcpy((char *)c->guid.b, guid);
	c->credits = 1;
	netfs_task_init(&c->readable, on_readable);
	netfs_task_init(&c->writable, on_writable);
	assert_int_equal(netfs_socket_open(&address, &c->readable, &c->writable, &c->socket), 0);
	assert_true(netfs_sim_run(connected, c, LIMIT_NS));
	hello(c);
}

static bool nobody(void *user)
{
	return netfs_list_empty(&server.conns) && server.pending == 0;
}

/* Only one of the two clients is left. */
static bool one_is_left(void *user)
{
	return server.conns.next == server.conns.prev;
}

static void start(const struct smb_server_config *config)
{
	netfs_sim_start(1);
	netfs_executor_start(1);
	memset(&faults, 0, sizeof(faults));
	rng_init(&faults.rng, 1);
	assert_int_equal(smb_server_init(&server, &faults, config), 0);
	smb_server_listen(&server, true);
	connect_client(&a, "client a");
	connect_client(&b, "client b");
}

static void stop(void)
{
	netfs_socket_close(a.socket);
	netfs_socket_close(b.socket);
	assert_true(netfs_sim_run(nobody, NULL, LIMIT_NS));
	smb_server_listen(&server, false);
	netfs_executor_stop();
	smb_server_done(&server);
	netfs_sim_stop();
}

static const struct smb_server_config everything = {.leases = 7, .durable = true};

static void open_request(struct smb_msg *msg, const char *key, uint32_t extra,
			 struct smb_fid reclaim)
{
	static uint8_t contexts[512];
	static uint8_t name[] = {'f', 0};
	struct smb_create_contexts ctx = {.has = SMB_CTX_LEASE_V2 | extra,
					  .lease = {.state = 7},
					  .durable = {.create_guid = {"guid"}},
					  .reconnect = {reclaim, {"guid"}, 0}};

	strcpy((char *)ctx.lease.key.b, key);
	*msg = (struct smb_msg){.kind = SMB_REQUEST(SMB_CREATE)};
	msg->create_req.oplock_level = SMB_OPLOCK_LEASE;
	msg->create_req.access = SMB_ACCESS_READ_DATA | SMB_ACCESS_WRITE_DATA | SMB_ACCESS_DELETE;
	msg->create_req.share_access = SMB_SHARE_ALL;
	msg->create_req.disposition = SMB_OPEN_IF;
	msg->create_req.name = (struct smb_buf){.p = name, .len = 2};
	msg->create_req.contexts.p = contexts;
	msg->create_req.contexts.len =
		(uint32_t)smb_create_contexts_encode(&ctx, false, contexts, sizeof(contexts));
}

static uint32_t lease_of(const struct smb_msg *msg)
{
	struct smb_create_contexts ctx;

	assert_int_equal(msg->hdr.status, SMB_STATUS_OK);
	assert_int_equal(smb_create_contexts_decode(&msg->create_rep.contexts, true, &ctx), 0);
	return ctx.has & SMB_CTX_LEASE_V2 ? ctx.lease.state : 0;
}

static uint32_t write_to(struct client *c, struct smb_fid fid, const char *text)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_WRITE)};

	msg.write_req.fid = fid;
	msg.write_req.data = (struct smb_buf){.p = text, .len = (uint32_t)strlen(text)};
	return ask(c, &msg)->hdr.status;
}

static void expect_read(struct client *c, struct smb_fid fid, const char *text)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_READ)};

	msg.read_req.fid = fid;
	msg.read_req.length = 100;
	assert_int_equal(ask(c, &msg)->hdr.status, SMB_STATUS_OK);
	assert_int_equal(c->msg.read_rep.data.len, strlen(text));
	assert_memory_equal(c->msg.read_rep.data.p, text, strlen(text));
}

/* A break to state, which is acknowledged. */
static void answer_break(struct client *c, uint32_t state)
{
	struct smb_msg msg = {.kind = SMB_LEASE_ACK};

	assert_int_equal(c->msg.kind, SMB_LEASE_NOTIFY);
	assert_int_equal(c->msg.lease_notify.wanted, state);
	assert_int_equal(c->msg.lease_notify.flags, SMB_BREAK_ACK_REQUIRED);
	msg.lease_ack.key = c->msg.lease_notify.key;
	msg.lease_ack.state = state;
	assert_int_equal(ask(c, &msg)->kind, SMB_LEASE_ACKED);
	assert_int_equal(c->msg.lease_ack.state, state);
}

static void a_second_open_waits_for_the_first_ones_lease(void **state)
{
	struct smb_fid fid_a, fid_b;
	struct smb_msg msg;

	start(&everything);
	open_request(&msg, "key a", 0, (struct smb_fid){0});
	assert_int_equal(lease_of(ask(&a, &msg)), 7);
	fid_a = a.msg.create_rep.fid;
	assert_int_equal(a.msg.create_rep.action, SMB_CREATED);
	assert_int_equal(write_to(&a, fid_a, "hello"), SMB_STATUS_OK);
	open_request(&msg, "key b", 0, (struct smb_fid){0});
	assert_int_equal(ask(&b, &msg)->hdr.status, SMB_STATUS_PENDING);
	receive(&a);
	answer_break(&a, SMB_LEASE_READ | SMB_LEASE_HANDLE);
	assert_int_equal(lease_of(receive(&b)), SMB_LEASE_READ | SMB_LEASE_HANDLE);
	fid_b = b.msg.create_rep.fid;
	assert_true(b.msg.hdr.flags & SMB_FLAG_ASYNC);
	assert_int_equal(b.msg.hdr.credits, 0);
	expect_read(&b, fid_b, "hello");
	/* A write takes the other's read lease. */
	assert_int_equal(write_to(&b, fid_b, "HELLO"), SMB_STATUS_OK);
	receive(&a);
	answer_break(&a, 0);
	expect_read(&a, fid_a, "HELLO");
	assert_int_equal(server.breaks, 2);
	assert_string_equal(server.violation, "");
	stop();
}

static void who_does_not_answer_a_break_loses_its_lease(void **state)
{
	struct smb_msg msg;
	uint64_t began;

	start(&everything);
	open_request(&msg, "key a", 0, (struct smb_fid){0});
	assert_int_equal(lease_of(ask(&a, &msg)), 7);
	began = netfs_clock_now();
	open_request(&msg, "key b", 0, (struct smb_fid){0});
	assert_int_equal(ask(&b, &msg)->hdr.status, SMB_STATUS_PENDING);
	lease_of(receive(&b));
	assert_true(netfs_clock_now() - began >= SMB_BREAK_WAIT_NS);
	stop();
}

static struct smb_msg lock_request(struct smb_fid fid, uint32_t flags)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_LOCK)};

	msg.lock_req.fid = fid;
	msg.lock_req.locks = (struct smb_locks){1, {{10, 5, flags}}};
	return msg;
}

static void locks_wait_and_can_be_cancelled(void **state)
{
	struct smb_fid fid_a, fid_b;
	struct smb_msg msg;

	start(&(struct smb_server_config){0});
	open_request(&msg, "key a", 0, (struct smb_fid){0});
	assert_int_equal(lease_of(ask(&a, &msg)), 0);
	fid_a = a.msg.create_rep.fid;
	assert_int_equal(lease_of(ask(&b, &msg)), 0);
	fid_b = b.msg.create_rep.fid;
	msg = lock_request(fid_a, SMB_LOCK_EXCLUSIVE);
	assert_int_equal(ask(&a, &msg)->hdr.status, SMB_STATUS_OK);
	msg = lock_request(fid_b, SMB_LOCK_SHARED | SMB_LOCK_FAIL_IMMEDIATELY);
	assert_int_equal(ask(&b, &msg)->hdr.status, SMB_STATUS_LOCK_NOT_GRANTED);
	msg = lock_request(fid_b, SMB_LOCK_SHARED);
	assert_int_equal(ask(&b, &msg)->hdr.status, SMB_STATUS_PENDING);
	msg = (struct smb_msg){.kind = SMB_REQUEST(SMB_CANCEL), .hdr = b.msg.hdr};
	msg.hdr.flags = SMB_FLAG_ASYNC;
	post(&b, &msg);
	b.next_id--; /* a CANCEL has no id of its own */
	b.credits++;
	assert_int_equal(receive(&b)->hdr.status, SMB_STATUS_CANCELLED);
	msg = lock_request(fid_b, SMB_LOCK_SHARED);
	assert_int_equal(ask(&b, &msg)->hdr.status, SMB_STATUS_PENDING);
	msg = lock_request(fid_a, SMB_LOCK_UNLOCK);
	assert_int_equal(ask(&a, &msg)->hdr.status, SMB_STATUS_OK);
	assert_int_equal(receive(&b)->hdr.status, SMB_STATUS_OK);
	assert_int_equal(write_to(&a, fid_a, "0123456789abcde"), SMB_STATUS_FILE_LOCK_CONFLICT);
	assert_string_equal(server.violation, "");
	stop();
}

static void durable_opens_are_reclaimed_by_their_owner_only(void **state)
{
	struct smb_fid fid;
	struct smb_msg msg;

	start(&everything);
	open_request(&msg, "key a", SMB_CTX_DURABLE, (struct smb_fid){0});
	assert_int_equal(lease_of(ask(&a, &msg)), 7);
	fid = a.msg.create_rep.fid;
	assert_int_equal(write_to(&a, fid, "kept"), SMB_STATUS_OK);
	netfs_socket_close(a.socket);
	open_request(&msg, "key a", SMB_CTX_RECONNECT, fid);
	assert_int_equal(ask(&b, &msg)->hdr.status, SMB_STATUS_OBJECT_NAME_NOT_FOUND);
	connect_client(&a, "client a");
	assert_int_equal(lease_of(ask(&a, &msg)), 7);
	expect_read(&a, a.msg.create_rep.fid, "kept");
	/* And no second time. */
	assert_int_equal(ask(&a, &msg)->hdr.status, SMB_STATUS_OBJECT_NAME_NOT_FOUND);
	stop();
}

/* Opens, asks and closes in one frame. */
static void a_compound_hands_its_file_on(void **state)
{
	struct smb_msg msgs[3] = {0};
	uint8_t bytes[2048] = {0};
	size_t at = 0, last = 0;
	union smb_info info;

	start(&everything);
	open_request(&msgs[0], "key a", 0, (struct smb_fid){0});
	msgs[1].kind = SMB_REQUEST(SMB_QUERY_INFO);
	msgs[1].query_info_req.info_type = SMB_INFO_FILE;
	msgs[1].query_info_req.info_class = SMB_FILE_ALL;
	msgs[1].query_info_req.max_output = 1000;
	msgs[1].query_info_req.fid = SMB_FID_RELATED;
	msgs[2].kind = SMB_REQUEST(SMB_CLOSE);
	msgs[2].close_req.fid = SMB_FID_RELATED;
	for (unsigned i = 0; i < 3; i++) {
		msgs[i].hdr.flags = i ? SMB_FLAG_RELATED : 0;
		if (i)
			smb_set_next(bytes + last, (uint32_t)(at - last));
		last = at;
		at += (encode(&a, &msgs[i], bytes + at, sizeof(bytes) - at) + 7) & ~(size_t)7;
	}
	send_frame(&a, bytes, at);
	assert_int_equal(receive(&a)->kind, SMB_REPLY(SMB_CREATE));
	at = (size_t)smb_compound_step(a.frame, IN_ROOM);
	assert_int_equal(smb_decode(a.frame + at, 1000, 1000, &msgs[0]), 0);
	assert_int_equal(msgs[0].kind, SMB_REPLY(SMB_QUERY_INFO));
	assert_int_equal(smb_info_decode(SMB_INFO_FILE, SMB_FILE_ALL,
					 msgs[0].query_info_rep.output.p,
					 msgs[0].query_info_rep.output.len, &info),
			 0);
	assert_int_equal(info.all.standard.nlink, 1);
	at += (size_t)smb_compound_step(a.frame + at, 1000);
	assert_int_equal(smb_decode(a.frame + at, 1000, 1000, &msgs[0]), 0);
	assert_int_equal(msgs[0].kind, SMB_REPLY(SMB_CLOSE));
	assert_true(netfs_list_empty(&server.opens));
	assert_string_equal(server.violation, "");
	stop();
}

static void a_starving_server_never_takes_the_last_credit(void **state)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_ECHO)};

	start(&(struct smb_server_config){.starve = 4});
	for (unsigned i = 0; i < 500; i++) {
		assert_int_equal(ask(&a, &msg)->hdr.status, SMB_STATUS_OK);
		assert_true(a.credits > 0 && a.credits <= 4);
	}
	assert_string_equal(server.violation, "");
	/* An id that was used. */
	a.next_id--;
	ask(&a, &msg);
	assert_string_equal(server.violation, "a message id used twice");
	stop();
}

static void directories_and_names(void **state)
{
	struct smb_msg msg;
	struct smb_fid file, root;
	struct smb_dirent entry;
	struct smb_list list;
	unsigned count = 0;
	uint8_t buf[64];
	union smb_info info = {.rename = {0, {.p = u"g", .len = 2, .off = 0}}};

	start(&everything);
	open_request(&msg, "key a", 0, (struct smb_fid){0});
	file = ask(&a, &msg)->create_rep.fid;
	msg = (struct smb_msg){.kind = SMB_REQUEST(SMB_SET_INFO)};
	msg.set_info_req.info_type = SMB_INFO_FILE;
	msg.set_info_req.info_class = SMB_FILE_RENAME;
	msg.set_info_req.fid = file;
	msg.set_info_req.input.len =
		(uint32_t)smb_info_encode(SMB_INFO_FILE, SMB_FILE_RENAME, &info, buf, sizeof(buf));
	msg.set_info_req.input.p = buf;
	assert_int_equal(ask(&a, &msg)->hdr.status, SMB_STATUS_OK);
	msg = (struct smb_msg){.kind = SMB_REQUEST(SMB_CREATE)};
	msg.create_req.disposition = SMB_OPEN;
	msg.create_req.access = SMB_ACCESS_READ_DATA;
	msg.create_req.share_access = SMB_SHARE_ALL;
	root = ask(&a, &msg)->create_rep.fid;
	msg = (struct smb_msg){.kind = SMB_REQUEST(SMB_QUERY_DIRECTORY)};
	msg.query_directory_req.info_class = SMB_FILE_ID_BOTH_DIRECTORY;
	msg.query_directory_req.fid = root;
	msg.query_directory_req.max_output = 65536;
	msg.query_directory_req.pattern = (struct smb_buf){.p = u"*", .len = 2};
	assert_int_equal(ask(&a, &msg)->hdr.status, SMB_STATUS_OK);
	smb_list_init(&list, SMB_FILE_ID_BOTH_DIRECTORY, a.msg.query_directory_rep.output.p,
		      a.msg.query_directory_rep.output.len);
	while (smb_dirent_next(&list, &entry) > 0)
		count++;
	assert_int_equal(count, 3);
	assert_memory_equal(entry.name.p, u"g", 2);
	assert_int_equal(ask(&a, &msg)->hdr.status, SMB_STATUS_NO_MORE_FILES);
	assert_string_equal(server.violation, "");
	stop();
}

/* Two hellos of four messages, an honest echo, and then one that is not: changed by the
 * server, which still signs it, or on the way, where it can only be refused or never
 * be complete. */
static void a_hostile_server_is_honest_until_it_lies(void **state)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_ECHO)};
	unsigned odd = 0, refused = 0, silent = 0;

	for (unsigned i = 1; i <= 200; i++) {
		start(&(struct smb_server_config){.hostile_after = 9});
		rng_init(&faults.rng, i);
		assert_int_equal(ask(&a, &msg)->kind, SMB_REPLY(SMB_ECHO));
		assert_int_equal(a.msg.hdr.message_id, msg.hdr.message_id);
		a.distrusts = true;
		post(&a, &msg);
		if (!netfs_sim_run(came, &a, LIMIT_NS))
			silent++;
		else if (a.refused)
			refused++;
		else if (a.msg.kind != SMB_REPLY(SMB_ECHO) || a.msg.hdr.status ||
			 a.msg.hdr.message_id != msg.hdr.message_id || a.msg.hdr.credits != 8)
			odd++;
		assert_string_equal(server.violation, "");
		stop();
	}
	assert_true(silent > 10 && refused > 50 && odd > 30);
}

/* Each way to sign and to seal, with the server's own wish and with the share's. */
static void every_way_to_sign_and_to_seal(void **state)
{
	for (unsigned i = 0; i < 16; i++) {
		struct smb_server_config config = everything;
		struct smb_fid fid;
		struct smb_msg msg;

		config.signing = (uint16_t)(i % 3);
		config.cipher = (uint16_t)(i % 5);
		config.seal_session = i % 5 && i % 3 == 1;
		config.seal_share = i % 5 && i % 3 == 2;
		start(&config);
		assert_int_equal(a.sealing, config.seal_session || config.seal_share);
		open_request(&msg, "key a", 0, (struct smb_fid){0});
		fid = ask(&a, &msg)->create_rep.fid;
		assert_int_equal(write_to(&a, fid, "hello"), SMB_STATUS_OK);
		expect_read(&a, fid, "hello");
		assert_string_equal(server.violation, "");
		stop();
	}
}

static void what_is_not_signed_is_a_violation(void **state)
{
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_ECHO)};

	start(&everything);
	a.crypt.sign[3] ^= 1;
	a.distrusts = true;
	ask(&a, &msg);
	assert_int_equal(a.refused, 1);
	assert_string_equal(server.violation, "a request that is not signed well");
	stop();
	start(&(struct smb_server_config){.cipher = SMB_AES_128_GCM, .seal_session = true});
	a.sealing = false;
	a.distrusts = true;
	ask(&a, &msg);
	assert_string_equal(server.violation, "a request that is not sealed");
	stop();
	/* A nonce that was used. */
	start(&(struct smb_server_config){.cipher = SMB_AES_256_CCM, .seal_session = true});
	ask(&a, &msg);
	a.crypt.nonce--;
	post(&a, &msg);
	assert_true(netfs_sim_run(one_is_left, NULL, LIMIT_NS));
	assert_string_equal(server.violation, "a sealed frame that is not genuine");
	stop();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_open_waits_for_the_first_ones_lease),
		cmocka_unit_test(who_does_not_answer_a_break_loses_its_lease),
		cmocka_unit_test(locks_wait_and_can_be_cancelled),
		cmocka_unit_test(durable_opens_are_reclaimed_by_their_owner_only),
		cmocka_unit_test(a_compound_hands_its_file_on),
		cmocka_unit_test(a_starving_server_never_takes_the_last_credit),
		cmocka_unit_test(directories_and_names),
		cmocka_unit_test(every_way_to_sign_and_to_seal),
		cmocka_unit_test(what_is_not_signed_is_a_violation),
		cmocka_unit_test(a_hostile_server_is_honest_until_it_lies),
	};

	return t_run(tests, NULL, NULL);
}
