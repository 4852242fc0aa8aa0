/* SPDX-License-Identifier: MIT */
/*
 * Replies: from the socket's bytes to the requests they answer.
 *
 * Bytes come into a small staging buffer, except the data of Rread and Rreaddir,
 * which goes straight to the memory the request named; the receive that fetches
 * it has the staging buffer behind it, so that the next header comes along.
 * While a read is outstanding little is staged at a time, so little is copied.
 *
 * What a server may get wrong is checked here before a byte moves: the length
 * of a message against msize and against its kind, the count against what was
 * asked, the type against the request, the tag, and (in p9_decode) every field
 * to the last byte.  Anything wrong ends the connection: a stream once out of
 * step cannot be trusted again.  Only a reply with an unknown tag is dropped
 * and the stream kept; its memory is not ours any more.
 *
 * All of this runs on the connection's task, also for p9_recv_got() in tests;
 * a new connection starts from p9_recv_reset(), never from half a message.
 */
#include <string.h>
#include <wire/cursor.h>
#include "p9.h"

#define STAGE_LITTLE 256 /* staged at once while data is expected */
#define TURNS_MAX    16 /* receives before others get the thread */

void p9_recv_reset(struct p9_conn *conn)
{
	conn->have = 0;
	conn->skip = 0;
	conn->data_req = NULL;
	conn->data_done = 0;
	conn->data_left = 0;
}

/* The part of the request's memory from data_done on, at most data_left. */
static unsigned data_iov(struct p9_conn *conn, struct iovec *iov, unsigned room)
{
	size_t skip = conn->data_done, left = conn->data_left;
	unsigned n = 0;

	for (unsigned i = 0; left > 0 && n < room && i < conn->data_req->ninto; i++) {
		const struct iovec *into = &conn->data_req->into[i];
		size_t part;

		if (skip >= into->iov_len) {
			skip -= into->iov_len;
			continue;
		}
		part = into->iov_len - skip;
		part = part < left ? part : left;
		iov[n].iov_base = (char *)into->iov_base + skip;
		iov[n++].iov_len = part;
		left -= part;
		skip = 0;
	}
	return n;
}

unsigned p9_recv_iov(struct p9_conn *conn, struct iovec iov[P9_IOV_MAX])
{
	size_t room = sizeof(conn->stage) - conn->have;
	unsigned n = 0;

	if (conn->data_left > 0) {
		n = data_iov(conn, iov, P9_IOV_MAX - 1);
		if (n == P9_IOV_MAX - 1)
			return n;
	}
	if (atomic_load_explicit(&conn->slices, memory_order_relaxed) > 0 &&
	    conn->have < STAGE_LITTLE)
		room = STAGE_LITTLE - conn->have;
	iov[n].iov_base = conn->stage + conn->have;
	iov[n++].iov_len = room;
	return n;
}

static int answer(struct p9_conn *conn, struct p9_req *req, const struct p9_msg *msg)
{
	char line[128];
	enum p9_end end = P9_REPLIED;
	int err = 0;

	p9_req_take(conn, req);
	if (msg->type == P9_RLERROR) {
		uint32_t ecode = msg->rlerror.ecode;

		req->err = ecode > 0 && ecode < 4096 ? -(int)ecode : -EIO;
		end = P9_REFUSED;
	} else if (msg->type != req->type + 1 ||
		   (msg->type == P9_RWRITE && msg->rwrite.count > req->count)) {
		req->err = -EPROTO;
		end = P9_BROKEN;
		err = p9_conn_fault(conn, -EPROTO, "wrong reply to %s: %s",
				    p9_layout_of(req->type)->name,
				    p9_print(msg, line, sizeof(line)));
	}
	req->done(req, end, msg);
	return err;
}

/* The data of a read is complete. */
static int answer_data(struct p9_conn *conn)
{
	struct p9_req *req = netfs_take(conn->data_req);
	struct p9_msg msg = {.type = (uint8_t)(req->type + 1), .tag = req->tag};

	if (req->type == P9_TREAD)
		msg.rread.data.count = (uint32_t)conn->data_done;
	else
		msg.rreaddir.data.count = (uint32_t)conn->data_done;
	conn->data_done = 0;
	return answer(conn, req, &msg);
}

static int broken(struct p9_conn *conn, struct p9_req *req, const char *what)
{
	int err = p9_conn_fault(conn, -EPROTO, "%s from the server (to %s)", what,
				req ? p9_layout_of(req->type)->name : "nothing");

	if (req) {
		p9_req_take(conn, req);
		req->err = err;
		req->done(req, P9_BROKEN, NULL);
	}
	return err;
}

/* Copies staged bytes of data to where they belong; how many. */
static size_t copy_staged(struct p9_conn *conn, const uint8_t *from, size_t count)
{
	struct iovec iov[P9_IOV_MAX];
	size_t copied = 0;

	while (conn->data_left > 0 && copied < count) {
		unsigned n = data_iov(conn, iov, P9_IOV_MAX);

		netfs_assert(n > 0);
		for (unsigned i = 0; i < n && copied < count; i++) {
			size_t part = iov[i].iov_len;

			part = part < count - copied ? part : count - copied;
			memcpy(iov[i].iov_base, from + copied, part);
			copied += part;
			conn->data_done += part;
			conn->data_left -= part;
		}
	}
	return copied;
}

/* The start of an Rread or Rreaddir is staged.  Returns the bytes of the stage
 * it used, 0 for too few, or an error. */
static ssize_t data_begins(struct p9_conn *conn, struct p9_req *req, const uint8_t *bytes,
			   size_t size, size_t have)
{
	struct netfs_reader r;
	uint32_t count;
	size_t used;
	int err;

	if (have < P9_READ_HEAD)
		return size < P9_READ_HEAD ? broken(conn, req, "cut reply") : 0;
	netfs_reader_init(&r, bytes + P9_HEADER, 4);
	count = netfs_reader_u32(&r);
	if (count > req->count || size != (size_t)P9_READ_HEAD + count)
		return broken(conn, req, "more or other data than was asked for");
	conn->data_req = req;
	conn->data_done = 0;
	conn->data_left = count;
	used = P9_READ_HEAD + copy_staged(conn, bytes + P9_READ_HEAD, have - P9_READ_HEAD);
	if (conn->data_left == 0) {
		err = answer_data(conn);
		if (err)
			return err;
	}
	return used;
}

/* A whole message without data is staged. */
static int message(struct p9_conn *conn, struct p9_req *req, const uint8_t *bytes, size_t size)
{
	struct p9_msg msg;

	if (p9_decode(bytes, size, &msg) != 0)
		return broken(conn, req, "malformed reply");
	if (req)
		return answer(conn, req, &msg);
	/* Rflush, or a refusal of the Tflush, which comes to the same. */
	if (msg.tag == P9_TAG_PROBE) {
		conn->probing = false;
		return 0;
	}
	req = p9_req_flushed(conn, msg.tag);
	if (req)
		req->done(req, P9_FLUSHED, &msg);
	return 0;
}

/* Reads one message from the stage.  Returns the bytes it used, 0 where more
 * are needed, or an error. */
static ssize_t parse(struct p9_conn *conn, const uint8_t *bytes, size_t have)
{
	struct netfs_reader r;
	struct p9_req *req;
	uint32_t size;
	uint16_t tag;
	uint8_t type;
	bool early;
	int err;

	netfs_reader_init(&r, bytes, have);
	size = netfs_reader_u32(&r);
	type = netfs_reader_u8(&r);
	tag = netfs_reader_u16(&r);
	if (r.bad)
		return 0;
	if (size < P9_HEADER || size > conn->msize)
		return broken(conn, NULL, "message of impossible length");
	req = p9_req_find(conn, tag, &early);
	if (early)
		return broken(conn, req, "reply to what was not yet sent");
	if (!req && type != P9_RFLUSH && !(type == P9_RLERROR && tag >= P9_TAG_FLUSH)) {
		conn->skip = size;
		return 0;
	}
	if (req && (type == P9_RREAD || type == P9_RREADDIR) && type == req->type + 1)
		return data_begins(conn, req, bytes, size, have);
	if (size > P9_REPLY_MAX)
		return broken(conn, req, "overlong reply");
	if (have < size)
		return 0;
	err = message(conn, req, bytes, size);
	return err ? err : (ssize_t)size;
}

int p9_recv_got(struct p9_conn *conn, size_t count)
{
	size_t data = count < conn->data_left ? count : conn->data_left;
	size_t pos = 0;
	ssize_t used = 0;
	int err = 0;

	conn->data_done += data;
	conn->data_left -= data;
	conn->have += count - data;
	if (conn->data_req && conn->data_left == 0)
		err = answer_data(conn);
	while (!err && !conn->fault && !conn->data_req && pos < conn->have) {
		if (conn->skip == 0) {
			used = parse(conn, conn->stage + pos, conn->have - pos);
			if (used == 0 && conn->skip == 0)
				break;
		}
		if (conn->skip > 0) {
			used = conn->have - pos;
			used = (size_t)used < conn->skip ? (size_t)used : conn->skip;
			conn->skip -= used;
		}
		if (used < 0)
			err = (int)used;
		else
			pos += used;
	}
	memmove(conn->stage, conn->stage + pos, conn->have - pos);
	conn->have -= pos;
	return err ? err : conn->fault;
}

int p9_recv(struct p9_conn *conn)
{
	struct iovec iov[P9_IOV_MAX];
	unsigned turn;
	int err = 0;

	for (turn = 0; turn < TURNS_MAX && !err; turn++) {
		unsigned n = p9_recv_iov(conn, iov);
		ssize_t got = netfs_socket_recv(conn->socket, iov, n);

		if (got == -EAGAIN)
			break;
		if (got == 0)
			return p9_conn_fault(conn, -ECONNRESET, "the server closed the connection");
		if (got < 0)
			return p9_conn_fault(conn, (int)got, "connection lost (error %d)",
					     (int)-got);
		err = p9_recv_got(conn, got);
	}
	if (turn > 0) {
		netfs_mutex_lock(&conn->lock);
		conn->heard_ns = netfs_clock_now();
		netfs_mutex_unlock(&conn->lock);
	}
	return err ? err : turn == TURNS_MAX;
}
