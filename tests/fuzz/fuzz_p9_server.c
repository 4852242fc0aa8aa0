/* SPDX-License-Identifier: MIT */
/*
 * Reads whole requests from the client and answers each with what the next
 * control byte of the input says.  An honest reply is built by the client's own
 * encoder, so that a mutation of one byte is likely to get deep.
 */
#include "fuzz_p9_server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <backend/p9/p9_msg.h>
#include <env/sim/sim.h>

#define REPLY_MAX    70000
#define REQUEST_MAX  (1 << 17)
#define CONNECTS_MAX 6 /* then the server stays away: the client must give up */

static struct {
	struct fuzz_input *input;
	bool hello_honest;
	unsigned connects;
	uint8_t longer; /* bytes more than asked */
	struct netfs_socket *socket;
	struct netfs_task task;
	uint8_t *request;
	size_t have;
	uint8_t *reply;
	size_t reply_len, reply_sent;
	size_t reply_room;
} server;

uint64_t fuzz_replies[256];

uint8_t fuzz_byte(struct fuzz_input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->pos++;
}

/* ------------------------------------------------------- replies */

static void put_bytes(const void *bytes, size_t size)
{
	if (server.reply_len + size > server.reply_room) {
		server.reply_room = server.reply_len + size + 4096;
		server.reply = realloc(server.reply, server.reply_room);
	}
	if (size > 0)
		memcpy(server.reply + server.reply_len, bytes, size);
	server.reply_len += size;
}

static uint32_t entries(uint8_t *data, uint32_t room)
{
	static const char *const names[] = {".", "..", "one", "two", "a-longer-name"};
	uint32_t pos = 0;

	for (unsigned i = 0; i < 5; i++) {
		size_t len = strlen(names[i]);

		if (pos + 24 + len > room)
			break;
		memset(data + pos, 0, 24);
		data[pos + 5] = (uint8_t)(i + 1);
		data[pos + 13] = (uint8_t)(i + 1);
		data[pos + 21] = 8;
		data[pos + 22] = (uint8_t)len;
		memcpy(data + pos + 24, names[i], len);
		pos += 24 + (uint32_t)len;
	}
	return pos;
}

static void honest_data(const struct p9_msg *ask, struct p9_msg *msg, uint8_t *data)
{
	uint32_t count = ask->tread.count;

	if (ask->type == P9_TREADDIR) {
		msg->rreaddir.data.count = ask->treaddir.offset > 0 ? 0 : entries(data, count);
		msg->rreaddir.data.p = data;
		return;
	}
	count = server.longer ? count + server.longer : count < 3000 ? count : 3000;
	memset(data, 'd', count);
	msg->rread.data.count = ask->tread.offset > 100000 ? 0 : count;
	msg->rread.data.p = data;
}

static void honest_attr(const struct p9_msg *ask, struct p9_msg *msg)
{
	uint64_t path = ask->tgetattr.fid == 0 ? 1 : 7;

	msg->rgetattr = (struct p9_attr){
		.valid = P9_GETATTR_ALL,
		.qid = {.type = path == 1 ? P9_QID_DIR : 0, .path = path},
		.mode = path == 1 ? S_IFDIR | 0755 : S_IFREG | 0644,
		.nlink = 1,
		.size = 12345,
	};
}

/* A good reply to ask.  data is room for what it may point to. */
static void honest(const struct p9_msg *ask, struct p9_msg *msg, uint8_t *data)
{
	*msg = (struct p9_msg){.type = (uint8_t)(ask->type + 1), .tag = ask->tag};
	switch (ask->type) {
	case P9_TVERSION:
		msg->rversion.msize = 8192;
		msg->rversion.version = p9_str(P9_VERSION);
		break;
	case P9_TAUTH:
		msg->type = P9_RLERROR;
		msg->rlerror.ecode = 2;
		break;
	case P9_TATTACH:
		msg->rattach.qid = (struct p9_qid){.type = P9_QID_DIR, .path = 1};
		break;
	case P9_TWALK:
		msg->rwalk.qids.count = ask->twalk.names.count;
		for (unsigned i = 0; i < msg->rwalk.qids.count; i++)
			msg->rwalk.qids.v[i].path = 7;
		break;
	case P9_TLCREATE:
		msg->rlcreate.qid.path = 7;
		break;
	case P9_TGETATTR:
		honest_attr(ask, msg);
		break;
	case P9_TREADLINK:
		msg->rreadlink.target = p9_str("a/target");
		break;
	case P9_TXATTRWALK:
		msg->rxattrwalk.size = 40;
		break;
	case P9_TREAD:
	case P9_TREADDIR:
		honest_data(ask, msg, data);
		break;
	case P9_TWRITE:
		msg->rwrite.count = ask->twrite.data.count;
		break;
	case P9_TGETLOCK:
		msg->rgetlock.client_id = p9_str("someone");
		break;
	case P9_TFLUSH:
		break;
	}
}

static void send_honest(struct p9_msg *ask, unsigned mutations)
{
	static uint8_t bytes[REPLY_MAX], data[REPLY_MAX];
	struct p9_msg msg;
	ssize_t size;

	if (ask->type == P9_TREADDIR && ask->treaddir.count > sizeof(data) - 100)
		ask->treaddir.count = sizeof(data) - 100;
	honest(ask, &msg, data);
	size = p9_encode(&msg, bytes, sizeof(bytes));
	if (size < 0)
		return;
	fuzz_replies[msg.type]++;
	while (mutations-- > 0) {
		uint8_t place = fuzz_byte(server.input);

		bytes[place % (size_t)size] ^= fuzz_byte(server.input);
	}
	put_bytes(bytes, size);
}

static void send_body(const struct p9_msg *ask)
{
	uint8_t len = fuzz_byte(server.input);
	size_t part = len < server.input->left ? len : server.input->left;
	uint8_t head[7] = {
		(uint8_t)(7 + part), (uint8_t)((7 + part) >> 8), 0, 0, (uint8_t)(ask->type + 1),
		(uint8_t)ask->tag,   (uint8_t)(ask->tag >> 8)};

	fuzz_replies[head[4]]++;
	put_bytes(head, sizeof(head));
	put_bytes(server.input->pos, part);
	server.input->pos += part;
	server.input->left -= part;
}

static void send_raw(void)
{
	uint8_t len = fuzz_byte(server.input);
	size_t part = len < server.input->left ? len : server.input->left;

	put_bytes(server.input->pos, part);
	server.input->pos += part;
	server.input->left -= part;
}

static void send_error(const struct p9_msg *ask)
{
	struct p9_msg msg = {.type = P9_RLERROR, .tag = ask->tag};
	uint8_t bytes[11];

	msg.rlerror.ecode = fuzz_byte(server.input);
	put_bytes(bytes, p9_encode(&msg, bytes, sizeof(bytes)));
	fuzz_replies[P9_RLERROR]++;
}

/* True: hang up. */
static bool answer(struct p9_msg *ask)
{
	bool hello = ask->type == P9_TVERSION || ask->type == P9_TAUTH || ask->type == P9_TATTACH ||
		     (ask->type == P9_TGETATTR && ask->tgetattr.fid == 0);
	uint8_t control;

	if (hello && server.hello_honest) {
		send_honest(ask, 0);
		return false;
	}
	if (server.input->left == 0)
		return true;
	control = fuzz_byte(server.input);
	switch (control % FUZZ_ANSWERS) {
	case FUZZ_HONEST:
		send_honest(ask, 0);
		break;
	case FUZZ_MUTATED:
		send_honest(ask, fuzz_byte(server.input) % 8);
		break;
	case FUZZ_ERROR:
		send_error(ask);
		break;
	case FUZZ_BODY:
		send_body(ask);
		break;
	case FUZZ_RAW:
		send_raw();
		break;
	case FUZZ_CLOSE:
		return true;
	case FUZZ_LONG:
		server.longer = fuzz_byte(server.input);
		send_honest(ask, 0);
		server.longer = 0;
		break;
	case FUZZ_TYPE:
		*ask = (struct p9_msg){.type = fuzz_byte(server.input) & 0x7e, .tag = ask->tag};
		send_honest(ask, 0);
		break;
	}
	return false;
}

/* ------------------------------------------------------- connection */

static void hang_up(void)
{
	netfs_socket_close(server.socket);
	server.socket = NULL;
	server.have = 0;
	server.reply_len = 0;
	server.reply_sent = 0;
}

static void flush_replies(void)
{
	while (server.reply_sent < server.reply_len) {
		struct iovec iov = {server.reply + server.reply_sent,
				    server.reply_len - server.reply_sent};
		ssize_t sent = netfs_socket_send(server.socket, &iov, 1);

		if (sent <= 0)
			return;
		server.reply_sent += sent;
	}
	server.reply_len = 0;
	server.reply_sent = 0;
}

/* Answers every whole request.  False: hang up. */
static bool take_requests(void)
{
	size_t pos = 0;
	bool close = false;

	while (!close && server.have - pos >= 7) {
		uint32_t size;
		struct p9_msg ask;

		memcpy(&size, server.request + pos, 4);
		if (size > server.have - pos)
			break;
		/* What the client sends is well formed, or this finds out. */
		if (p9_decode(server.request + pos, size, &ask) != 0)
			abort();
		close = answer(&ask);
		pos += size;
	}
	memmove(server.request, server.request + pos, server.have - pos);
	server.have -= pos;
	return !close;
}

static void serve(struct netfs_task *task)
{
	bool open = server.socket != NULL;

	while (open) {
		struct iovec iov = {server.request + server.have, REQUEST_MAX - server.have};
		ssize_t got = netfs_socket_recv(server.socket, &iov, 1);

		if (got <= 0) {
			open = got < 0 && netfs_socket_status(server.socket) == 0;
			break;
		}
		server.have += got;
		open = take_requests();
		flush_replies();
	}
	if (open)
		flush_replies();
	else if (server.socket)
		hang_up();
}

static void accepted(void *user, struct netfs_socket *socket)
{
	/* One at a time: an older one is what the client gave up. */
	if (server.socket)
		hang_up();
	netfs_socket_adopt(socket, &server.task, &server.task);
	server.socket = socket;
	if (++server.connects >= CONNECTS_MAX)
		netfs_sim_listen("server", "564", NULL, NULL);
}

void fuzz_server_start(struct fuzz_input *input, bool hello_honest)
{
	if (!server.request)
		server.request = malloc(REQUEST_MAX);
	server.input = input;
	server.hello_honest = hello_honest;
	server.connects = 0;
	server.have = 0;
	server.reply_len = 0;
	server.reply_sent = 0;
	netfs_task_init(&server.task, serve);
	netfs_sim_listen("server", "564", accepted, NULL);
}

void fuzz_server_stop(void)
{
	netfs_sim_listen("server", "564", NULL, NULL);
	if (server.socket)
		hang_up();
}
