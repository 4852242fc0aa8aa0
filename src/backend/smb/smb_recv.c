// SPDX-License-Identifier: MIT
/*
 * Frames: from the socket's bytes to the requests they answer.
 *
 *	plain READ reply    head -> data_head, data -> straight to its place
 *	sealed READ reply   stage -> opened, bit by bit, straight to its place
 *	other large, sealed stage -> opened, bit by bit, on the heap, taken apart
 *	anything else       whole frame -> stage or heap, opened, taken apart
 *
 * What a server may get wrong is checked before a byte counts: the length of a
 * frame, the seal or each message's signature, the message id, the command, every
 * field (smb_decode), the length of data against what was asked.  Anything wrong
 * ends the connection: a stream once out of step, or touched by somebody, cannot
 * be trusted again.  Data that is being received when that happens is in memory
 * nobody looks at yet, and its request ends as lost.  That holds for what was opened
 * of a frame whose tag has not been seen to be right: its head only says where the rest
 * goes.
 *
 * Interim replies are not signed by servers, so of them only the id is taken that
 * a CANCEL needs, and credits.
 *
 * All of this runs on the channel's task; a new connection starts from
 * smb_recv_reset(), never from half a frame.
 */
#include <string.h>
#include "smb.h"

#define STAGE_LITTLE 512u /* staged at once while data is expected */
#define TURNS_MAX    16u /* receives before others get the thread */

void smb_recv_reset(struct smb_channel *chan)
{
	chan->have = 0;
	netfs_free(netfs_take(chan->frame));
	chan->frame_len = chan->frame_have = 0;
	chan->data_part = NULL;
	chan->data_left = 0;
	smb_open_drop(&chan->opening);
	chan->sealed_left = 0;
}

/* ------------------------------------------------------------ verify */

/* Is the signature of the message the server's?  It stood in its header, where text has
 * zeroes. */
static int verify(struct smb_channel *chan, const struct smb_header *hdr,
		  const struct smb_text *text)
{
	uint8_t want[SMB_TAG];

	if (!(hdr->flags & SMB_FLAG_SIGNED))
		return smb_channel_fault(chan, -EBADMSG, "a reply from %s is not signed",
					 chan->conn->be.address);
	if (smb_sign(chan->keys, text, hdr->message_id, true, false, want))
		return smb_channel_fault(chan, -ENOMEM, "no memory to verify a reply");
	if (!smb_signature_equal(want, hdr->signature))
		return smb_channel_fault(chan, -EBADMSG,
					 "the signature of a reply from %s is wrong",
					 chan->conn->be.address);
	return 0;
}

static struct smb_part *look(struct smb_channel *chan, uint64_t mid, bool *ret_sent)
{
	struct smb_part *part;

	netfs_mutex_lock(&chan->conn->lock);
	part = smb_part_find_locked(chan, mid);
	*ret_sent = part && part->req->sent;
	netfs_mutex_unlock(&chan->conn->lock);
	return part;
}

static struct smb_part *find(struct smb_channel *chan, uint64_t mid)
{
	bool sent;
	struct smb_part *part = look(chan, mid, &sent);

	/* The server may answer sooner than who sent it says that it went. */
	if (part && !sent) {
		smb_send_wait(chan);
		part = look(chan, mid, &sent);
	}
	if (part && !sent) {
		smb_channel_fault(chan, -EPROTO, "reply to what was not yet sent");
		return NULL;
	}
	return part;
}

static void interim(struct smb_channel *chan, const struct smb_header *hdr)
{
	struct smb_part *part;

	netfs_mutex_lock(&chan->conn->lock);
	part = smb_part_find_locked(chan, hdr->message_id);
	if (part && !part->async_id && hdr->async_id) {
		/* What was spent on it comes back with this, if at all. */
		part->async_id = hdr->async_id;
		chan->pending++;
		chan->charged -= part->charge;
	} else {
		part = NULL;
	}
	netfs_mutex_unlock(&chan->conn->lock);
	if (part && hdr->credits <= SMB_CREDITS_WANT)
		smb_credits_add(chan, hdr->credits);
	if (part && part->req->pending)
		part->req->pending(part->req);
}

/* ------------------------------------------------------------ answer */

static int broken(struct smb_channel *chan, const struct smb_part *part, const char *what)
{
	return smb_channel_fault(chan, -EPROTO, "%s from the server (to %s)", what,
				 part ? smb_command_name(part->command) : "nothing");
}

/* The reply is good; the part's request may be complete. */
static void answered(struct smb_channel *chan, struct smb_part *part, uint32_t credits)
{
	struct smb_req *req = part->req;

	part->status = part->reply.hdr.status;
	if (smb_part_answered(chan, part)) {
		smb_credits_add(chan, credits);
		req->done(req, SMB_ANSWERED);
	} else {
		smb_credits_add(chan, credits);
	}
}

/* Data of a READ reply that came in a whole frame goes to its place. */
static int scatter(struct smb_channel *chan, struct smb_part *part)
{
	const struct smb_buf *data = &part->reply.read_rep.data;
	struct smb_req *req = part->req;
	size_t done = 0;

	if (data->len > req->into_len)
		return broken(chan, part, "more data than was asked for");
	for (unsigned i = 0; i < req->ninto && done < data->len; i++) {
		size_t n = req->into[i].iov_len;

		n = n < data->len - done ? n : data->len - done;
		memcpy(req->into[i].iov_base, (const uint8_t *)data->p + done, n);
		done += n;
	}
	req->got = data->len;
	return 0;
}

/* A break.  Servers do not sign it (3.3.4.7); false ones only cost us our caches. */
static int notified(struct smb_channel *chan, const uint8_t *bytes, size_t len)
{
	struct smb_msg msg;

	if (smb_decode(bytes, len, len, &msg))
		return broken(chan, NULL, "malformed break");
	if (msg.kind == SMB_LEASE_NOTIFY && chan->state == SMB_READY)
		smb_lease_notified(chan->conn, &msg);
	return chan->fault;
}

/* One message with everything in it; opened: it was sealed. */
static int message(struct smb_channel *chan, uint8_t *bytes, size_t len, bool opened)
{
	struct smb_header hdr;
	struct smb_part *part;
	const struct smb_text text = {.head = bytes, .head_len = len};

	if (smb_header_decode(bytes, len, &hdr) || !(hdr.flags & SMB_FLAG_REPLY))
		return broken(chan, NULL, "no reply");
	if (hdr.status == SMB_STATUS_PENDING && (hdr.flags & SMB_FLAG_ASYNC)) {
		interim(chan, &hdr);
		return 0;
	}
	if (hdr.message_id == SMB_NO_MESSAGE)
		return notified(chan, bytes, len);
	part = find(chan, hdr.message_id);
	/* An answer that was given before, or that nobody asked for. */
	if (!part)
		return broken(chan, NULL, "a reply to nothing that was sent");
	memset(bytes + SMB_SIGNATURE_AT, 0, SMB_TAG);
	if (chan->keyed && !opened && verify(chan, &hdr, &text))
		return chan->fault;
	part->bytes = netfs_alloc(len);
	if (!part->bytes)
		return smb_channel_fault(chan, -ENOMEM, "no memory for a reply");
	memcpy(part->bytes, bytes, len);
	part->bytes_len = len;
	if (smb_decode(part->bytes, len, len, &part->reply) ||
	    (part->reply.kind != SMB_ERROR && part->reply.kind != SMB_REPLY(part->command) &&
	     !(part->command == SMB_OPLOCK_BREAK && part->reply.kind == SMB_LEASE_ACKED)))
		return broken(chan, part, "malformed reply");
	part->reply.hdr = hdr;
	if (part->reply.kind == SMB_REPLY(SMB_READ) && part->req->into && scatter(chan, part))
		return chan->fault;
	answered(chan, part, hdr.credits);
	return chan->fault;
}

/* A break and nothing else: no session sends it, so Samba does not seal it either. */
static bool is_break(const uint8_t *bytes, size_t size)
{
	struct smb_header hdr;

	return smb_compound_step(bytes, size) == (ssize_t)size &&
	       !smb_header_decode(bytes, size, &hdr) && hdr.command == SMB_OPLOCK_BREAK &&
	       hdr.message_id == SMB_NO_MESSAGE && hdr.status != SMB_STATUS_PENDING;
}

/* What is in a frame. */
static int messages(struct smb_channel *chan, uint8_t *bytes, size_t size, bool opened)
{
	while (size > 0) {
		ssize_t step = smb_compound_step(bytes, size);

		if (step < 0)
			return broken(chan, NULL, "malformed compound");
		if (message(chan, bytes, (size_t)step, opened))
			return chan->fault;
		bytes += step;
		size -= (size_t)step;
	}
	return 0;
}

static bool is_sealed(const uint8_t *bytes, size_t size)
{
	return size >= 4 && !memcmp(bytes, "\xfdSMB", 4);
}

static int not_genuine(struct smb_channel *chan)
{
	return smb_channel_fault(chan, -EBADMSG, "a sealed frame from %s is not genuine",
				 chan->conn->be.address);
}

/* A whole frame, without its prefix. */
static int frame(struct smb_channel *chan, uint8_t *bytes, size_t size)
{
	if (is_sealed(bytes, size)) {
		if (!chan->keyed || smb_unseal(chan->conn->keys, chan->session_id, bytes, size))
			return not_genuine(chan);
		return messages(chan, bytes + SMB_TRANSFORM, size - SMB_TRANSFORM, true);
	}
	if (chan->sealing && !is_break(bytes, size))
		return smb_channel_fault(chan, -EBADMSG, "a frame from %s is not sealed",
					 chan->conn->be.address);
	return messages(chan, bytes, size, false);
}

/* -------------------------------------------------------------- data */

/* The part of the request's memory that is still to be filled. */
static unsigned data_iov(struct smb_channel *chan, struct iovec *iov, unsigned room)
{
	const struct smb_req *req = chan->data_part->req;
	size_t skip = req->got, left = chan->data_left;
	unsigned n = 0;

	for (unsigned i = 0; left > 0 && n < room && i < req->ninto; i++) {
		size_t part = req->into[i].iov_len;

		if (skip >= part) {
			skip -= part;
			continue;
		}
		part -= skip;
		part = part < left ? part : left;
		iov[n++] = (struct iovec){(char *)req->into[i].iov_base + skip, part};
		left -= part;
		skip = 0;
	}
	return n;
}

/* Puts bytes there, opened where they are sealed; how many, or the fault. */
static ssize_t data_put(struct smb_channel *chan, const uint8_t *bytes, size_t have)
{
	struct smb_req *req = chan->data_part->req;
	struct iovec iov[SMB_IOV_MAX];
	size_t used = 0;

	while (chan->data_left > 0 && used < have) {
		unsigned n = data_iov(chan, iov, SMB_IOV_MAX);

		for (unsigned i = 0; i < n && used < have; i++) {
			size_t piece = iov[i].iov_len < have - used ? iov[i].iov_len : have - used;

			if (!chan->opening.keys)
				memcpy(iov[i].iov_base, bytes + used, piece);
			else if (smb_open_more(&chan->opening, bytes + used, iov[i].iov_base,
					       piece))
				return not_genuine(chan);
			used += piece;
			req->got += piece;
			chan->data_left -= piece;
		}
	}
	return (ssize_t)used;
}

/* All data is there: is it genuine? */
static int data_ends(struct smb_channel *chan)
{
	struct smb_part *part = netfs_take(chan->data_part);
	struct smb_req *req = part->req;
	const struct smb_text text = {.head = chan->data_head,
				      .head_len = chan->data_head_len,
				      .data = req->into,
				      .data_len = req->got};

	if (chan->opening.keys) {
		if (smb_open_end(&chan->opening))
			return not_genuine(chan);
	} else if (chan->keyed && verify(chan, &part->reply.hdr, &text)) {
		return chan->fault;
	}
	answered(chan, part, part->reply.hdr.credits);
	return chan->fault;
}

/* Does a READ reply of total bytes begin here whose data can go to its place?  Then it
 * is taken down to where that begins, and the rest is chan->data_left: bytes used; 0: no;
 * or the fault. */
static ssize_t data_expected(struct smb_channel *chan, const uint8_t *bytes, size_t have,
			     size_t total)
{
	struct smb_msg msg;
	struct smb_part *part;

	if (have < SMB_READ_HEAD || memcmp(bytes, "\xfeSMB", 4) ||
	    smb_decode(bytes, have, total, &msg) || msg.kind != SMB_REPLY(SMB_READ) ||
	    msg.hdr.next || msg.hdr.status != SMB_STATUS_OK || msg.read_rep.data.len == 0 ||
	    msg.read_rep.data.off > sizeof(chan->data_head) || msg.read_rep.data.off > have ||
	    (size_t)msg.read_rep.data.off + msg.read_rep.data.len != total)
		return 0;
	part = find(chan, msg.hdr.message_id);
	if (!part || part->command != SMB_READ || !part->req->into || part->req->nparts != 1)
		return chan->fault;
	if (msg.read_rep.data.len > part->req->into_len)
		return broken(chan, part, "more data than was asked for");
	part->reply = msg;
	chan->data_part = part;
	chan->data_left = msg.read_rep.data.len;
	chan->data_head_len = msg.read_rep.data.off;
	memcpy(chan->data_head, bytes, chan->data_head_len);
	memset(chan->data_head + SMB_SIGNATURE_AT, 0, SMB_TAG);
	return (ssize_t)chan->data_head_len;
}

/* Does a plain READ reply with data begin here?  Then it is received into its
 * place: bytes of the stage used; 0: no; or the fault. */
static ssize_t data_begins(struct smb_channel *chan, const uint8_t *bytes, size_t have,
			   size_t total)
{
	ssize_t used = chan->sealing ? 0 : data_expected(chan, bytes, have, total), put;

	if (used <= 0)
		return used;
	put = data_put(chan, bytes + used, have - (size_t)used);
	if (put < 0 || (chan->data_left == 0 && data_ends(chan)))
		return chan->fault;
	return used + put;
}

/* ------------------------------------------------------------- sealed */

/* A large sealed frame begins, which is opened as it comes: bytes used, 0 where more are
 * needed, or the fault. */
static ssize_t sealed_begins(struct smb_channel *chan, const uint8_t *bytes, size_t have,
			     size_t total)
{
	uint8_t head[SMB_READ_HEAD];
	size_t inside = total - SMB_TRANSFORM;
	ssize_t used;

	if (have < SMB_TRANSFORM + sizeof(head))
		return 0;
	if (!chan->keyed ||
	    smb_open_begin(&chan->opening, chan->conn->keys, chan->session_id, bytes, total) ||
	    smb_open_more(&chan->opening, bytes + SMB_TRANSFORM, head, sizeof(head)))
		return not_genuine(chan);
	chan->sealed_left = inside - sizeof(head);
	used = data_expected(chan, head, sizeof(head), inside);
	if (used < 0)
		return used;
	if (used == 0) {
		chan->frame = netfs_alloc(inside);
		if (!chan->frame)
			return smb_channel_fault(chan, -ENOMEM, "no memory for a reply");
		memcpy(chan->frame, head, sizeof(head));
		chan->frame_len = inside;
		chan->frame_have = sizeof(head);
	}
	return (ssize_t)(SMB_TRANSFORM + sizeof(head));
}

static int sealed_ends(struct smb_channel *chan)
{
	netfs_cleanup_free uint8_t *bytes = netfs_take(chan->frame);

	if (chan->data_part)
		return data_ends(chan);
	if (smb_open_end(&chan->opening))
		return not_genuine(chan);
	return messages(chan, bytes, chan->frame_len, true);
}

/* More of it: as sealed_begins(). */
static ssize_t sealed_more(struct smb_channel *chan, const uint8_t *bytes, size_t have)
{
	size_t n = have < chan->sealed_left ? have : chan->sealed_left;

	if (chan->data_part) {
		if (data_put(chan, bytes, n) < 0)
			return chan->fault;
	} else {
		if (smb_open_more(&chan->opening, bytes, chan->frame + chan->frame_have, n))
			return not_genuine(chan);
		chan->frame_have += n;
	}
	chan->sealed_left -= n;
	if (chan->sealed_left == 0 && sealed_ends(chan))
		return chan->fault;
	return (ssize_t)n;
}

/* ------------------------------------------------------------- stage */

static size_t frame_max(const struct smb_channel *chan)
{
	return (size_t)SMB_IO_MAX + SMB_REPLY_MAX + (chan->keyed ? SMB_TRANSFORM : 0);
}

/* A frame that does not fit into the stage goes on in memory of its own. */
static int frame_begins(struct smb_channel *chan, const uint8_t *bytes, size_t have, size_t total)
{
	chan->frame = netfs_alloc(total);
	if (!chan->frame)
		return smb_channel_fault(chan, -ENOMEM, "no memory for a reply");
	memcpy(chan->frame, bytes, have);
	chan->frame_len = total;
	chan->frame_have = have;
	return 0;
}

static int frame_ends(struct smb_channel *chan)
{
	netfs_cleanup_free uint8_t *bytes = netfs_take(chan->frame);

	return frame(chan, bytes, chan->frame_len);
}

/* It is not waited for until all of it is in the stage. */
static bool is_large(size_t total)
{
	return total + SMB_PREFIX > SMB_STAGE / 2;
}

/* Takes what it can from the stage's front: bytes used, 0 where more are needed,
 * or the fault. */
static ssize_t parse(struct smb_channel *chan, uint8_t *bytes, size_t have)
{
	size_t total;
	ssize_t used;

	if (have < SMB_PREFIX)
		return 0;
	total = (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
	if (bytes[0] || total < SMB_TRANSFORM || total > frame_max(chan))
		return broken(chan, NULL, "frame of impossible length");
	if (is_large(total) && is_sealed(bytes + SMB_PREFIX, have - SMB_PREFIX) &&
	    smb_opens_in_pieces(chan->conn->keys)) {
		used = sealed_begins(chan, bytes + SMB_PREFIX, have - SMB_PREFIX, total);
		return used > 0 ? used + (ssize_t)SMB_PREFIX : used;
	}
	used = data_begins(chan, bytes + SMB_PREFIX,
			   have - SMB_PREFIX < total ? have - SMB_PREFIX : total, total);
	if (used)
		return used < 0 ? used : used + (ssize_t)SMB_PREFIX;
	if (have - SMB_PREFIX >= total) {
		if (frame(chan, bytes + SMB_PREFIX, total))
			return chan->fault;
		return (ssize_t)(SMB_PREFIX + total);
	}
	/* Its head may still show a READ's data. */
	if (have - SMB_PREFIX < SMB_READ_HEAD || !is_large(total))
		return 0;
	if (frame_begins(chan, bytes + SMB_PREFIX, have - SMB_PREFIX, total))
		return chan->fault;
	return (ssize_t)have;
}

static unsigned recv_iov(struct smb_channel *chan, struct iovec iov[SMB_IOV_MAX])
{
	size_t room = sizeof(chan->stage) - chan->have;
	unsigned n = 0;

	if (chan->sealed_left > 0) {
		/* All of it goes through the stage. */
	} else if (chan->data_left > 0) {
		n = data_iov(chan, iov, SMB_IOV_MAX - 1);
		if (n == SMB_IOV_MAX - 1)
			return n;
	} else if (chan->frame) {
		iov[n++] = (struct iovec){chan->frame + chan->frame_have,
					  chan->frame_len - chan->frame_have};
	}
	if (n > 0 && chan->have < STAGE_LITTLE)
		room = STAGE_LITTLE - chan->have;
	iov[n++] = (struct iovec){chan->stage + chan->have, room};
	return n;
}

/* count bytes came to where recv_iov() said. */
static int got(struct smb_channel *chan, size_t count)
{
	size_t pos = 0, part;
	ssize_t used = 0;

	if (chan->sealed_left > 0) {
		/* Nothing went past the stage. */
	} else if (chan->data_left > 0) {
		part = count < chan->data_left ? count : chan->data_left;
		chan->data_part->req->got += part;
		chan->data_left -= part;
		count -= part;
		if (chan->data_left == 0 && data_ends(chan))
			return chan->fault;
	} else if (chan->frame) {
		part = chan->frame_len - chan->frame_have;
		part = count < part ? count : part;
		chan->frame_have += part;
		count -= part;
		if (chan->frame_have == chan->frame_len && frame_ends(chan))
			return chan->fault;
	}
	chan->have += count;
	while (!chan->fault && pos < chan->have) {
		if (chan->sealed_left > 0)
			used = sealed_more(chan, chan->stage + pos, chan->have - pos);
		else if (chan->data_part || chan->frame)
			break;
		else
			used = parse(chan, chan->stage + pos, chan->have - pos);
		if (used <= 0)
			break;
		pos += (size_t)used;
	}
	memmove(chan->stage, chan->stage + pos, chan->have - pos);
	chan->have -= pos;
	return chan->fault;
}

int smb_recv(struct smb_channel *chan)
{
	struct iovec iov[SMB_IOV_MAX];
	unsigned turn;

	for (turn = 0; turn < TURNS_MAX && !chan->fault; turn++) {
		unsigned n = recv_iov(chan, iov);
		ssize_t count = netfs_socket_recv(chan->socket, iov, n);

		if (count == -EAGAIN)
			break;
		if (count == 0)
			return smb_channel_fault(chan, -ECONNRESET,
						 "the server closed the connection");
		if (count < 0)
			return smb_channel_fault(chan, (int)count, "connection lost: %s",
						 strerrordesc_np((int)-count));
		got(chan, (size_t)count);
	}
	if (turn > 0) {
		netfs_mutex_lock(&chan->conn->lock);
		chan->heard_ns = netfs_clock_now();
		netfs_mutex_unlock(&chan->conn->lock);
	}
	return chan->fault ? chan->fault : turn == TURNS_MAX;
}
