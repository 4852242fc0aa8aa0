// SPDX-License-Identifier: MIT
/*
 * From the queue into the socket:
 *
 *	chan->queue --> sign, or seal into chan->cipher --> chan->out --> socket
 *
 * One thread at a time is at it, the one that has send_lock; who comes meanwhile says
 * that there is more, or that the socket takes more, and goes, and the one that is at it
 * looks again before it goes itself.  Signing and sealing take most of the time, and
 * nobody who wants conn->lock waits for them.
 *
 * A frame is sealed when it is about to be sent, into memory that the channel keeps.  So
 * there is one buffer, whatever is waiting, and its pages are there already: they would
 * cost as much as the cipher.
 *
 * Keys change only on the channel's task while nothing of it is in the queue: cut()
 * takes send_lock before it empties that.
 *
 * Locks: send_lock, and in it conn->lock for moments.
 */
#include <string.h>
#include "smb.h"

#define BATCH_BYTES 65536u /* of frames that are signed or sealed before any is sent */
#define CIPHER_MIN  65536u
#define AT_FLAGS    16u /* in an encoded header, 2.2.1 */

/* The length before the frame, big-endian. */
static void put_prefix(uint8_t *to, size_t len)
{
	to[0] = 0;
	to[1] = (uint8_t)(len >> 16);
	to[2] = (uint8_t)(len >> 8);
	to[3] = (uint8_t)len;
}

static size_t frame_len(const struct smb_req *req, bool sealing)
{
	return req->head_len + req->data_len + (sealing ? SMB_TRANSFORM : 0);
}

/* -------------------------------------------------------------- sign */

/* One message of the frame. */
static struct smb_text text_of(const struct smb_req *req, uint32_t i)
{
	const struct smb_part *part = &req->part[i];
	bool last = i + 1 == req->nparts;
	uint32_t end = last ? req->head_len : req->part[i + 1].at;

	return (struct smb_text){.head = req->head + part->at,
				 .head_len = end - part->at,
				 .data = req->data,
				 .data_len = last ? req->data_len : 0};
}

static int sign(struct smb_req *req, struct smb_keys *keys)
{
	int err = 0;

	for (uint32_t i = 0; i < req->nparts && !err; i++) {
		const struct smb_text text = text_of(req, i);
		uint8_t *at = req->head + req->part[i].at;

		at[AT_FLAGS] |= SMB_FLAG_SIGNED;
		memset(at + SMB_SIGNATURE_AT, 0, SMB_TAG);
		/* What has nobody to tell is a CANCEL. */
		err = smb_sign(keys, &text, req->part[i].mid, false, !req->done,
			       at + SMB_SIGNATURE_AT);
	}
	return err;
}

/* Everything in out. */
static int sign_all(struct smb_channel *chan, struct smb_keys *keys)
{
	struct netfs_list *link;
	int err = 0;

	netfs_list_for_each (link, &chan->out) {
		struct smb_req *req = netfs_container_of(link, struct smb_req, link);

		req->frame_len = frame_len(req, false);
		req->frame_done = 0;
		put_prefix(req->head, req->frame_len - SMB_PREFIX);
		if (keys && !err)
			err = sign(req, keys);
	}
	return err;
}

/* -------------------------------------------------------------- seal */

static int make_room(struct smb_channel *chan, size_t want)
{
	size_t room = CIPHER_MIN;

	if (want <= chan->cipher_room)
		return 0;
	while (room < want)
		room *= 2;
	netfs_free(chan->cipher);
	chan->cipher = netfs_alloc(room);
	chan->cipher_room = chan->cipher ? room : 0;
	return chan->cipher ? 0 : -ENOMEM;
}

/* Everything in out, for which there is room. */
static int seal_all(struct smb_channel *chan, uint64_t session_id)
{
	struct smb_keys *keys = chan->conn->keys;
	uint8_t *to = chan->cipher;
	struct netfs_list *link;
	int err = 0;

	netfs_list_for_each (link, &chan->out) {
		struct smb_req *req = netfs_container_of(link, struct smb_req, link);
		const struct smb_text text = {.head = req->head + SMB_PREFIX,
					      .head_len = req->head_len - SMB_PREFIX,
					      .data = req->data,
					      .data_len = req->data_len};

		req->frame_len = frame_len(req, true);
		req->frame_done = 0;
		put_prefix(to, req->frame_len - SMB_PREFIX);
		if (!err)
			err = smb_seal(keys, session_id, &text, to + SMB_PREFIX);
		to += req->frame_len;
	}
	return err;
}

/* -------------------------------------------------------------- queue */

/* Bytes of those at its front that go together. */
static size_t batch_locked(const struct smb_channel *chan, unsigned *ret_count)
{
	const struct netfs_list *link;
	unsigned n = 0;
	size_t bytes = 0;

	netfs_list_for_each (link, &chan->queue) {
		const struct smb_req *req = netfs_container_of(link, struct smb_req, link);
		size_t len = frame_len(req, chan->sealing);

		if (n > 0 && bytes + len > BATCH_BYTES)
			break;
		bytes += len;
		n++;
	}
	*ret_count = n;
	return bytes;
}

/* The socket takes no more from us: the task finds out why. */
static void fail(struct smb_channel *chan)
{
	chan->send_failed = true;
	netfs_socket_shutdown(chan->socket);
}

/* Is there something in out? */
static bool fill(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;
	struct smb_keys *signer;
	uint64_t session_id;
	unsigned count;
	size_t bytes;

	if (!netfs_list_empty(&chan->out))
		return true;
	netfs_mutex_lock(&conn->lock);
	bytes = batch_locked(chan, &count);
	signer = chan->signer;
	session_id = chan->session_id;
	chan->out_sealed = chan->sealing;
	chan->out_len = bytes;
	chan->out_done = 0;
	chan->send_poor = chan->out_sealed && make_room(chan, bytes);
	if (chan->send_poor) {
		netfs_task_post(&chan->task);
		count = 0;
	}
	for (; count > 0; count--)
		netfs_list_push_back(&chan->out, netfs_list_pop_front(&chan->queue));
	netfs_mutex_unlock(&conn->lock);
	if (chan->out_sealed ? seal_all(chan, session_id) : sign_all(chan, signer)) {
		fail(chan);
		return false;
	}
	return !netfs_list_empty(&chan->out);
}

/* ------------------------------------------------------------- socket */

/* Pieces of one frame that the socket has not taken; how many. */
static unsigned gather_frame(const struct smb_req *req, struct iovec *iov, unsigned room)
{
	size_t skip = req->frame_done;
	unsigned n = 0;

	for (unsigned i = 0; i <= req->ndata && n < room; i++) {
		const struct iovec head = {req->head, req->head_len};
		const struct iovec *from = i == 0 ? &head : &req->data[i - 1];

		if (skip >= from->iov_len) {
			skip -= from->iov_len;
			continue;
		}
		iov[n].iov_base = (char *)from->iov_base + skip;
		iov[n++].iov_len = from->iov_len - skip;
		skip = 0;
	}
	return n;
}

static ssize_t send_some(struct smb_channel *chan)
{
	struct iovec iov[SMB_IOV_MAX];
	struct netfs_list *link;
	unsigned n = 0;

	if (chan->out_sealed) {
		iov[0] = (struct iovec){chan->cipher + chan->out_done,
					chan->out_len - chan->out_done};
		return netfs_socket_send(chan->socket, iov, 1);
	}
	netfs_list_for_each (link, &chan->out) {
		if (n == SMB_IOV_MAX)
			break;
		n += gather_frame(netfs_container_of(link, struct smb_req, link), iov + n,
				  SMB_IOV_MAX - n);
	}
	return netfs_socket_send(chan->socket, iov, n);
}

static void advance(struct smb_channel *chan, size_t count)
{
	netfs_mutex_lock(&chan->conn->lock);
	chan->out_done += count;
	while (count > 0) {
		struct smb_req *req = netfs_container_of(chan->out.next, struct smb_req, link);
		size_t part = req->frame_len - req->frame_done;

		netfs_assert(!netfs_list_empty(&chan->out));
		part = part < count ? part : count;
		req->frame_done += part;
		count -= part;
		if (req->frame_done < req->frame_len)
			break;
		req->sent = true;
		smb_req_left_locked(req);
	}
	netfs_mutex_unlock(&chan->conn->lock);
}

static void send_all(struct smb_channel *chan)
{
	netfs_assert_held(&chan->send_lock);
	while (chan->socket && !chan->send_failed && fill(chan)) {
		ssize_t sent = send_some(chan);

		if (sent == 0 || sent == -EAGAIN || sent == -ENOTCONN || sent == -EINPROGRESS)
			break;
		if (sent < 0)
			fail(chan);
		else
			advance(chan, (size_t)sent);
	}
}

/* Does somebody want more?  By a change of the word, so that whoever asks for more after it
 * finds the lock free that was let go before. */
static bool is_wanted(struct smb_channel *chan)
{
	return atomic_fetch_or(&chan->send_wanted, 0);
}

/* Until nobody wants more, or somebody else is at it, who looks again when he is done. */
static void go_on(struct smb_channel *chan)
{
	while (is_wanted(chan) && netfs_mutex_trylock(&chan->send_lock)) {
		/* Before what is there is looked at. */
		atomic_store(&chan->send_wanted, 0);
		send_all(chan);
		netfs_mutex_unlock(&chan->send_lock);
	}
}

void smb_send(struct smb_channel *chan)
{
	atomic_exchange(&chan->send_wanted, 1);
	go_on(chan);
}

void smb_send_now(struct smb_channel *chan)
{
	netfs_mutex_lock(&chan->send_lock);
	send_all(chan);
	netfs_mutex_unlock(&chan->send_lock);
	smb_send(chan);
}

void smb_send_wait(struct smb_channel *chan)
{
	netfs_mutex_lock(&chan->send_lock);
	netfs_mutex_unlock(&chan->send_lock);
}

bool smb_send_is_poor(struct smb_channel *chan)
{
	bool poor;

	netfs_mutex_lock(&chan->send_lock);
	poor = chan->send_poor;
	netfs_mutex_unlock(&chan->send_lock);
	return poor;
}
