/* SPDX-License-Identifier: MIT */
/*
 * Requests on their way out, and the table that finds them again by tag.
 *
 * A request is encoded once, gets the lowest free tag (or waits in conn->pending
 * for one) and its frame goes to the end of the send queue.  Whoever queued
 * something calls p9_send(), which moves what the socket takes under send_lock;
 * what is left goes when the socket posts the task.  A frame is in the queue
 * until its last byte went, so under send_lock "not sent" is exact: the memory
 * of a request is never let go while the socket may still read it.
 *
 * Tflush for tag t travels with the tag P9_TAG_FLUSH + t, so it needs no table
 * and cannot run out.  After a Tflush the tag stays taken until the Rflush, even
 * where the first reply comes before it (both orders are legal).
 *
 * Locks: conn->lock for the table, then send_lock for the queue.
 */
#include <string.h>
#include <obs/trace.h>
#include "p9.h"

/* A heap frame with its bytes. */
struct flush_frame {
	struct p9_frame frame;
	uint8_t head[P9_HEADER + 2];
};

int p9_req_prepare(struct p9_req *req, const struct p9_msg *msg, const struct iovec *data,
		   unsigned ndata)
{
	ssize_t size = p9_encode(msg, NULL, 0);
	uint8_t *head = req->inline_head;

	if (size < 0)
		return (int)size;
	p9_req_done(req);
	if ((size_t)size > sizeof(req->inline_head)) {
		head = req->heap_head = netfs_alloc(size);
		if (!head)
			return -ENOMEM;
	}
	size = p9_encode(msg, head, size);
	netfs_assert(size > 0);
	req->type = msg->type;
	req->frame = (struct p9_frame){.head = head, .head_len = size, .length = size, .req = req};
	netfs_list_init(&req->frame.link);
	netfs_list_init(&req->pending);
	if (msg->type == P9_TWRITE && data) {
		req->frame.data = data;
		req->frame.ndata = ndata;
		req->frame.length += msg->twrite.data.count;
	}
	return 0;
}

void p9_req_done(struct p9_req *req)
{
	netfs_free(netfs_take(req->heap_head));
}

static void queue_frame(struct p9_conn *conn, struct p9_frame *frame)
{
	netfs_mutex_lock(&conn->send_lock);
	netfs_list_push_back(&conn->send_queue, &frame->link);
	netfs_mutex_unlock(&conn->send_lock);
}

static void queue_with_tag(struct p9_conn *conn, struct p9_req *req, uint16_t tag)
{
	uint8_t *head = req->heap_head ? req->heap_head : req->inline_head;

	req->tag = tag;
	head[5] = (uint8_t)tag;
	head[6] = (uint8_t)(tag >> 8);
	queue_frame(conn, &req->frame);
}

/* From here on silence counts. */
static void watch_silence(struct p9_conn *conn)
{
	if (conn->outstanding++ > 0)
		return;
	conn->heard_ns = netfs_clock_now();
	if (!conn->timer_on) {
		conn->timer_on = true;
		netfs_timer_start(&conn->timer, conn->silent_ns / 2);
	}
}

void p9_req_queue_locked(struct p9_conn *conn, struct p9_req *req)
{
	netfs_assert_held(&conn->lock);
	netfs_assert(!req->in_flight);
	req->in_flight = true;
	req->sent = false;
	if (conn->nfree_tags == 0) {
		netfs_list_push_back(&conn->pending, &req->pending);
		return;
	}
	watch_silence(conn);
	uint16_t tag = conn->free_tags[--conn->nfree_tags];
	netfs_assert(!conn->tags[tag].req && !conn->tags[tag].flushing);
	conn->tags[tag].req = req;
	queue_with_tag(conn, req, tag);
}

void p9_req_queue_notag_locked(struct p9_conn *conn, struct p9_req *req)
{
	netfs_assert_held(&conn->lock);
	req->in_flight = true;
	req->sent = false;
	queue_with_tag(conn, req, P9_NOTAG);
}

/* The tag may be used again; a waiting request gets it. */
static void free_tag(struct p9_conn *conn, uint16_t tag)
{
	struct netfs_list *elem;

	if (conn->tags[tag].flushing) {
		conn->flushing--;
		conn->flush_ns = netfs_clock_now();
	}
	conn->tags[tag] = (struct p9_tag){0};
	conn->free_tags[conn->nfree_tags++] = tag;
	conn->outstanding--;
	elem = netfs_list_pop_front(&conn->pending);
	if (elem) {
		struct p9_req *req = netfs_container_of(elem, struct p9_req, pending);

		req->in_flight = false;
		p9_req_queue_locked(conn, req);
	}
}

/* Pieces of one frame that the socket has not taken; how many. */
static unsigned gather_frame(const struct p9_frame *frame, struct iovec *iov, unsigned room)
{
	size_t skip = frame->done;
	unsigned n = 0;

	for (unsigned i = 0; i <= frame->ndata && n < room; i++) {
		const struct iovec head = {(void *)frame->head, frame->head_len};
		const struct iovec *from = i == 0 ? &head : &frame->data[i - 1];

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

static unsigned gather(struct p9_conn *conn, struct iovec *iov)
{
	struct netfs_list *pos;
	unsigned n = 0;

	netfs_list_for_each (pos, &conn->send_queue) {
		if (n == P9_IOV_MAX)
			break;
		n += gather_frame(netfs_container_of(pos, struct p9_frame, link), iov + n,
				  P9_IOV_MAX - n);
	}
	return n;
}

static void advance(struct p9_conn *conn, size_t count)
{
	while (count > 0) {
		struct p9_frame *frame =
			netfs_container_of(conn->send_queue.next, struct p9_frame, link);
		size_t part = frame->length - frame->done;

		netfs_assert(!netfs_list_empty(&conn->send_queue));
		part = part < count ? part : count;
		frame->done += part;
		count -= part;
		if (frame->done < frame->length)
			return;
		netfs_list_remove(&frame->link);
		if (frame->req)
			frame->req->sent = true;
		else
			netfs_free(frame);
	}
}

void p9_send(struct p9_conn *conn)
{
	struct iovec iov[P9_IOV_MAX];

	netfs_mutex_lock(&conn->send_lock);
	while (conn->socket && !conn->send_failed && !netfs_list_empty(&conn->send_queue)) {
		ssize_t sent = netfs_socket_send(conn->socket, iov, gather(conn, iov));

		if (sent == 0 || sent == -EAGAIN || sent == -ENOTCONN || sent == -EINPROGRESS)
			break;
		if (sent < 0) {
			/* The task sees the end when it receives. */
			conn->send_failed = true;
			netfs_socket_shutdown(conn->socket);
			break;
		}
		advance(conn, sent);
	}
	netfs_mutex_unlock(&conn->send_lock);
}

/* Takes a request back of which no byte went. */
static bool withdraw(struct p9_conn *conn, struct p9_req *req)
{
	bool unsent;

	if (!netfs_list_empty(&req->pending)) {
		netfs_list_remove(&req->pending);
		req->in_flight = false;
		return true;
	}
	netfs_mutex_lock(&conn->send_lock);
	unsent = !req->sent && req->frame.done == 0;
	if (unsent)
		netfs_list_remove(&req->frame.link);
	netfs_mutex_unlock(&conn->send_lock);
	if (unsent) {
		req->in_flight = false;
		free_tag(conn, req->tag);
	}
	return unsent;
}

static bool queue_flush(struct p9_conn *conn, uint16_t tag, uint16_t oldtag)
{
	struct p9_msg msg = {.type = P9_TFLUSH, .tag = tag, .tflush = {.oldtag = oldtag}};
	struct flush_frame *flush = netfs_zalloc(sizeof(*flush));

	if (!flush)
		return false;
	flush->frame.head = flush->head;
	flush->frame.head_len = flush->frame.length = sizeof(flush->head);
	netfs_assert(p9_encode(&msg, flush->head, sizeof(flush->head)) == sizeof(flush->head));
	queue_frame(conn, &flush->frame);
	return true;
}

bool p9_req_flush_locked(struct p9_conn *conn, struct p9_req *req)
{
	netfs_assert_held(&conn->lock);
	if (!req->in_flight || req->tag == P9_NOTAG)
		return false;
	if (withdraw(conn, req))
		return true;
	/* Without memory the reply itself has to be waited for. */
	if (!conn->tags[req->tag].flushing &&
	    queue_flush(conn, P9_TAG_FLUSH + req->tag, req->tag)) {
		conn->tags[req->tag].flushing = true;
		netfs_trace(conn_cancel, .extra = req->tag);
		if (conn->flushing++ == 0)
			conn->flush_ns = netfs_clock_now();
		/* The watch sets the timer for it. */
		netfs_task_post(&conn->task);
	}
	return false;
}

void p9_send_probe(struct p9_conn *conn)
{
	netfs_trace(conn_probe);
	if (queue_flush(conn, P9_TAG_PROBE, P9_TAG_PROBE - 1))
		p9_send(conn);
}

struct p9_req *p9_req_find(struct p9_conn *conn, uint16_t tag, bool *ret_early)
{
	struct p9_req *req = NULL;

	netfs_mutex_lock(&conn->lock);
	if (tag == P9_NOTAG && conn->hello.in_flight && conn->hello.type == P9_TVERSION)
		req = &conn->hello;
	else if (tag < P9_TAGS)
		req = conn->tags[tag].req;
	netfs_mutex_lock(&conn->send_lock);
	*ret_early = req && !req->sent;
	netfs_mutex_unlock(&conn->send_lock);
	netfs_mutex_unlock(&conn->lock);
	return req;
}

void p9_req_take(struct p9_conn *conn, struct p9_req *req)
{
	netfs_mutex_lock(&conn->lock);
	netfs_assert(req->in_flight);
	req->in_flight = false;
	if (req->tag == P9_NOTAG)
		goto out;
	if (conn->tags[req->tag].flushing)
		conn->tags[req->tag].req = NULL;
	else
		free_tag(conn, req->tag);
out:
	netfs_mutex_unlock(&conn->lock);
}

struct p9_req *p9_req_flushed(struct p9_conn *conn, uint16_t tag)
{
	struct p9_req *req = NULL;

	if (tag < P9_TAG_FLUSH || tag >= P9_TAG_FLUSH + P9_TAGS)
		return NULL;
	tag -= P9_TAG_FLUSH;
	netfs_mutex_lock(&conn->lock);
	if (conn->tags[tag].flushing) {
		req = conn->tags[tag].req;
		if (req)
			req->in_flight = false;
		free_tag(conn, tag);
	}
	netfs_mutex_unlock(&conn->lock);
	return req;
}

static void steal(struct netfs_list *list, struct p9_req *req)
{
	req->in_flight = false;
	netfs_list_push_back(list, &req->pending);
}

/* Drops every frame, also half sent ones. */
static void empty_send_queue(struct p9_conn *conn)
{
	struct netfs_list *elem;

	netfs_mutex_lock(&conn->send_lock);
	while ((elem = netfs_list_pop_front(&conn->send_queue))) {
		struct p9_frame *frame = netfs_container_of(elem, struct p9_frame, link);

		if (!frame->req)
			netfs_free(frame);
	}
	netfs_mutex_unlock(&conn->send_lock);
}

void p9_req_steal_locked(struct p9_conn *conn, struct netfs_list *list)
{
	struct netfs_list *elem;

	netfs_assert_held(&conn->lock);
	empty_send_queue(conn);
	if (conn->hello.in_flight && conn->hello.tag == P9_NOTAG)
		steal(list, &conn->hello);
	conn->nfree_tags = 0;
	for (unsigned tag = P9_TAGS; tag-- > 0;) {
		if (conn->tags[tag].req)
			steal(list, conn->tags[tag].req);
		conn->tags[tag] = (struct p9_tag){0};
		conn->free_tags[conn->nfree_tags++] = (uint16_t)tag;
	}
	while ((elem = netfs_list_pop_front(&conn->pending)))
		steal(list, netfs_container_of(elem, struct p9_req, pending));
	conn->outstanding = 0;
	conn->flushing = 0;
}
