// SPDX-License-Identifier: MIT
/*
 * Requests on their way out, and the table that finds them again by message id.
 *
 * Credits (3.2.4.1.2) are the server's permission to use message ids: each message
 * spends as many as its payload has 64 KiB, each reply grants new ones.  Slices
 * take what is there and come back when there is more; every other request waits
 * in one of two queues, small ones first, so none of them waits behind a large
 * one.  The last SMB_CREDITS_KEEP are for what must not wait for others.
 *
 * A request gets its ids and its place in the queue under conn->lock; so what goes out
 * does in the order of ids, and a CANCEL behind what it is for.
 *
 * With several channels a request goes by the one that can take it and has least
 * outstanding, in credits; on that one it waits where none can.  A CANCEL goes where its
 * request went.
 *
 * Locks: conn->lock.
 */
#include <string.h>
#include <obs/trace.h>
#include "smb.h"

/* Places in an encoded header, 2.2.1. */
#define AT_CHARGE  6u
#define AT_STATUS  8u
#define AT_CREDITS 14u
#define AT_FLAGS   16u
#define AT_MID	   24u
#define AT_TREE	   36u
#define AT_SESSION 40u

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

/* ------------------------------------------------------------- build */

void smb_req_reset(struct smb_req *req)
{
	netfs_assert(!req->in_flight);
	for (uint32_t i = 0; i < req->nparts; i++)
		netfs_free(netfs_take(req->part[i].bytes));
	req->nparts = req->left = req->charge = 0;
	req->head_len = 0;
	req->data = req->into = NULL;
	req->ndata = req->ninto = 0;
	req->data_len = req->into_len = req->got = 0;
	req->cancelled = req->sent = false;
}

static void req_free(struct smb_req *req)
{
	smb_req_reset(req);
	netfs_free(netfs_take(req->head));
}

static int make_room(struct smb_req *req, size_t more)
{
	size_t want = req->head_len + more, room = req->head_room ? req->head_room : 512;
	uint8_t *head;

	if (want > SMB_REPLY_MAX)
		return -EMSGSIZE;
	while (room < want)
		room *= 2;
	if (room == req->head_room)
		return 0;
	head = netfs_realloc(req->head, room);
	if (!head)
		return -ENOMEM;
	req->head = head;
	req->head_room = (uint32_t)room;
	return 0;
}

uint32_t smb_charge(size_t bytes)
{
	return bytes ? (uint32_t)((bytes - 1) / SMB_CREDIT_BYTES + 1) : 1;
}

int smb_req_add(struct smb_req *req, const struct smb_msg *msg, uint32_t charge)
{
	struct smb_part *part = &req->part[req->nparts];
	uint32_t at =
		req->nparts ? SMB_PREFIX + ((req->head_len - SMB_PREFIX + 7) & ~7u) : SMB_PREFIX;
	ssize_t len = smb_encode(msg, NULL, 0);
	int err;

	netfs_assert(req->nparts < SMB_PARTS_MAX && !req->data_len);
	if (len < 0)
		return (int)len;
	err = make_room(req, at - req->head_len + (size_t)len);
	if (err)
		return err;
	memset(req->head + req->head_len, 0, at - req->head_len);
	len = smb_encode(msg, req->head + at, req->head_room - at);
	/* A payload is counted, and sent from where it is. */
	if (msg->kind == SMB_REQUEST(SMB_WRITE) && !msg->write_req.data.p)
		req->data_len = msg->write_req.data.len;
	if (len < 0)
		return (int)len;
	if (req->nparts > 0)
		smb_set_next(req->head + req->part[req->nparts - 1].at,
			     at - req->part[req->nparts - 1].at);
	*part = (struct smb_part){.req = req,
				  .at = at,
				  .len = (uint32_t)len,
				  .command = msg->kind / 2,
				  .charge = (uint16_t)charge};
	netfs_list_init(&part->link);
	put(req->head + at + AT_CHARGE, charge, 2);
	put(req->head + at + AT_FLAGS,
	    msg->hdr.flags | (req->nparts ? (uint32_t)SMB_FLAG_RELATED : 0), 4);
	req->head_len = at + (uint32_t)len;
	req->charge += charge;
	req->nparts++;
	return 0;
}

/* -------------------------------------------------------------- send */

static struct netfs_list *bucket(struct smb_channel *chan, uint64_t mid)
{
	return &chan->ids[mid % SMB_BUCKETS];
}

struct smb_part *smb_part_find_locked(struct smb_channel *chan, uint64_t mid)
{
	struct netfs_list *link;

	netfs_assert_held(&chan->conn->lock);
	netfs_list_for_each (link, bucket(chan, mid)) {
		struct smb_part *part = netfs_container_of(link, struct smb_part, link);

		if (part->mid == mid)
			return part;
	}
	return NULL;
}

bool smb_req_any_locked(const struct smb_conn *conn)
{
	for (unsigned i = 0; i < conn->nchannels; i++)
		if (conn->channels[i].outstanding > 0)
			return true;
	return false;
}

/* From here on silence counts, of every channel: those that went together are to be
 * missed together. */
static void watch_silence(struct smb_channel *chan)
{
	struct smb_conn *conn = chan->conn;

	if (smb_req_any_locked(conn))
		return;
	for (unsigned i = 0; i < conn->nchannels; i++) {
		struct smb_channel *other = &conn->channels[i];

		if (other != chan && other->state != SMB_READY)
			continue;
		other->heard_ns = netfs_clock_now();
		if (other->timer_on)
			continue;
		other->timer_on = true;
		netfs_timer_start(&other->timer, conn->echo_ns);
	}
}

/* There are credits: ids, and into the queue. */
static void dispatch(struct smb_channel *chan, struct smb_req *req)
{
	uint32_t held = chan->credits + chan->charged;
	uint32_t more = held < SMB_CREDITS_WANT ? SMB_CREDITS_WANT - held : 0;

	watch_silence(chan);
	req->sequence = chan->conn->sequence;
	for (uint32_t i = 0; i < req->nparts; i++) {
		struct smb_part *part = &req->part[i];
		uint8_t *at = req->head + part->at;
		bool last = i + 1 == req->nparts;

		part->mid = chan->next_mid;
		chan->next_mid += part->charge;
		put(at + AT_CREDITS, part->charge + (last ? more : 0), 2);
		put(at + AT_MID, part->mid, 8);
		/* The channel sequence: with a later one the server knows that what it
		 * may still find of an earlier connection is not to be done (2.2.1.2). */
		put(at + AT_STATUS, req->sequence, 2);
		put(at + AT_TREE, chan->binding && !chan->joined ? 0 : chan->conn->tree_id, 4);
		put(at + AT_SESSION, chan->session_id, 8);
		netfs_list_push_back(bucket(chan, part->mid), &part->link);
		part->waiting = true;
	}
	chan->outstanding += req->nparts;
	chan->requests += req->nparts;
	chan->bytes += req->data_len;
	chan->credits -= req->charge;
	chan->charged += req->charge;
	req->left = req->nparts;
	netfs_list_push_back(&chan->queue, &req->link);
}

static bool affordable(const struct smb_channel *chan, const struct smb_req *req)
{
	uint32_t keep = req->urgent || chan->charged == 0 ? 0 : SMB_CREDITS_KEEP;

	if (req->charge == 1 && keep)
		keep = SMB_CREDITS_KEEP / 2;
	return chan->credits >= req->charge + (keep < chan->charged ? keep : 0);
}

static bool can_take(const struct smb_channel *chan, const struct smb_req *req)
{
	const struct netfs_list *wait = req->charge > SMB_PARTS_MAX ? &chan->large : &chan->small;

	return affordable(chan, req) && netfs_list_empty(wait);
}

static void send_locked(struct smb_channel *chan, struct smb_req *req)
{
	req->chan = chan;
	req->in_flight = true;
	req->queued = !can_take(chan, req);
	if (!req->queued) {
		dispatch(chan, req);
		return;
	}
	netfs_list_push_back(req->charge > SMB_PARTS_MAX ? &chan->large : &chan->small, &req->link);
	/* Will there ever be credits?  The task sees to it. */
	if (chan->outstanding == chan->pending)
		netfs_task_post(&chan->task);
}

bool smb_req_send(struct smb_channel *chan, struct smb_req *req, enum smb_state state)
{
	bool taken;

	netfs_mutex_lock(&chan->conn->lock);
	netfs_assert(!req->in_flight && req->nparts > 0);
	taken = chan->state == state;
	if (taken)
		send_locked(chan, req);
	netfs_mutex_unlock(&chan->conn->lock);
	if (taken)
		smb_send_now(chan);
	return taken;
}

/* Is it better than the best so far?  The one that can take it; else that has less
 * outstanding; else that was given less. */
static bool is_better(const struct smb_channel *chan, const struct smb_channel *best,
		      const struct smb_req *req)
{
	bool can = can_take(chan, req), best_can = can_take(best, req);

	if (can != best_can)
		return can;
	if (chan->charged != best->charged)
		return chan->charged < best->charged;
	return chan->requests < best->requests;
}

static struct smb_channel *choose(struct smb_conn *conn, const struct smb_req *req)
{
	struct smb_channel *best = NULL;

	for (unsigned i = 0; i < conn->nchannels; i++) {
		struct smb_channel *chan = &conn->channels[i];

		if (chan->state == SMB_READY && (!best || is_better(chan, best, req)))
			best = chan;
	}
	return best;
}

bool smb_req_send_both(struct smb_conn *conn, struct smb_req *req, struct smb_req *other,
		       bool *ret_sent)
{
	struct smb_channel *chan;

	netfs_mutex_lock(&conn->lock);
	netfs_assert(!req->in_flight && req->nparts > 0);
	chan = conn->state == SMB_READY ? choose(conn, req) : NULL;
	if (chan)
		send_locked(chan, req);
	*ret_sent = chan && other && !req->queued && can_take(chan, other);
	if (*ret_sent)
		send_locked(chan, other);
	netfs_mutex_unlock(&conn->lock);
	if (chan)
		smb_send(chan);
	return chan;
}

bool smb_req_send_any(struct smb_conn *conn, struct smb_req *req)
{
	bool sent;

	return smb_req_send_both(conn, req, NULL, &sent);
}

/* Those who waited go as far as credits reach. */
static void dispatch_waiting(struct smb_channel *chan, struct netfs_list *wait)
{
	while (!netfs_list_empty(wait)) {
		struct smb_req *req = netfs_container_of(wait->next, struct smb_req, link);

		if (!affordable(chan, req))
			return;
		netfs_list_remove(&req->link);
		dispatch(chan, req);
		req->queued = false;
	}
}

void smb_credits_add(struct smb_channel *chan, uint32_t credits)
{
	bool tell, waiting;

	netfs_mutex_lock(&chan->conn->lock);
	/* More than we would use is a server's mistake, or a trap. */
	chan->credits += credits;
	if (chan->credits > SMB_CREDITS_MAX)
		chan->credits = SMB_CREDITS_MAX;
	if (chan->credits > chan->credits_most)
		chan->credits_most = chan->credits;
	waiting = !netfs_list_empty(&chan->small) || !netfs_list_empty(&chan->large);
	dispatch_waiting(chan, &chan->small);
	dispatch_waiting(chan, &chan->large);
	tell = chan->conn->starved && smb_credits_slice_locked(chan->conn, SMB_CREDIT_BYTES) > 0;
	if (tell)
		chan->conn->starved = false;
	netfs_mutex_unlock(&chan->conn->lock);
	if (waiting)
		smb_send(chan);
	if (tell && chan->conn->host && chan->conn->host->ready)
		chan->conn->host->ready(chan->conn->host);
}

static bool is_starved(const struct smb_channel *chan, const struct netfs_list *wait)
{
	return !netfs_list_empty(wait) &&
	       !affordable(chan, netfs_container_of(wait->next, struct smb_req, link));
}

void smb_req_check_credits(struct smb_channel *chan)
{
	bool starved;

	netfs_mutex_lock(&chan->conn->lock);
	starved = chan->outstanding <= chan->pending &&
		  (is_starved(chan, &chan->small) || is_starved(chan, &chan->large));
	netfs_mutex_unlock(&chan->conn->lock);
	if (starved)
		smb_channel_fault(chan, -EPROTO, "%s gives too few credits to go on",
				  chan->conn->be.address);
}

static size_t slice_of(const struct smb_channel *chan, size_t want)
{
	uint32_t keep = chan->charged ? SMB_CREDITS_KEEP : 0, can;

	if (chan->state != SMB_READY || chan->credits <= keep || !netfs_list_empty(&chan->small) ||
	    !netfs_list_empty(&chan->large))
		return 0;
	can = chan->credits - keep;
	return can < smb_charge(want) ? (size_t)can * SMB_CREDIT_BYTES : want;
}

size_t smb_credits_slice_locked(const struct smb_conn *conn, size_t want)
{
	size_t most = 0;

	for (unsigned i = 0; i < conn->nchannels; i++) {
		size_t can = slice_of(&conn->channels[i], want);

		most = can > most ? can : most;
	}
	return most < conn->max_io ? most : conn->max_io;
}

size_t smb_credits_reach(struct smb_conn *conn, size_t want)
{
	uint32_t most = 0;

	/* What is spent does not count with what there is: a reply may have given back
	 * already what others will not. */
	netfs_mutex_lock(&conn->lock);
	for (unsigned i = 0; i < conn->nchannels; i++) {
		const struct smb_channel *chan = &conn->channels[i];

		if (chan->state == SMB_READY && chan->credits_most > most)
			most = chan->credits_most;
	}
	netfs_mutex_unlock(&conn->lock);
	return smb_charge(want) > most ? (size_t)most * SMB_CREDIT_BYTES : want;
}

/* ------------------------------------------------------------ cancel */

static bool queue_cancel(struct smb_channel *chan, const struct smb_part *part)
{
	struct smb_msg msg = {
		.kind = SMB_REQUEST(SMB_CANCEL),
		.hdr = {.async_id = part->async_id, .flags = part->async_id ? SMB_FLAG_ASYNC : 0}};
	struct smb_req *cancel = netfs_zalloc(sizeof(*cancel));

	if (!cancel)
		return false;
	if (smb_req_add(cancel, &msg, 0) == 0) {
		cancel->part[0].mid = part->mid;
		put(cancel->head + SMB_PREFIX + AT_MID, part->mid, 8);
		put(cancel->head + SMB_PREFIX + AT_SESSION, chan->session_id, 8);
		if (!part->async_id)
			put(cancel->head + SMB_PREFIX + AT_TREE, chan->conn->tree_id, 4);
		netfs_list_push_back(&chan->queue, &cancel->link);
		return true;
	}
	req_free(cancel);
	netfs_free(cancel);
	return false;
}

bool smb_req_cancel_locked(struct smb_conn *conn, struct smb_req *req)
{
	struct smb_channel *chan = req->chan;

	netfs_assert_held(&conn->lock);
	if (!req->in_flight)
		return false;
	if (req->queued) {
		netfs_list_remove(&req->link);
		req->queued = req->in_flight = false;
		return true;
	}
	if (req->cancelled)
		return false;
	for (uint32_t i = 0; i < req->nparts; i++) {
		if (req->part[i].waiting && queue_cancel(chan, &req->part[i]))
			req->cancelled = true;
	}
	if (req->cancelled) {
		netfs_trace(conn_cancel, .extra = req->part[0].mid);
		if (chan->cancelling++ == 0)
			chan->cancel_ns = netfs_clock_now();
		netfs_task_post(&chan->task);
	}
	return false;
}

/* --------------------------------------------------------------- end */

static void ended(struct smb_channel *chan, struct smb_req *req)
{
	req->in_flight = false;
	if (req->cancelled) {
		chan->cancelling--;
		chan->cancel_ns = netfs_clock_now();
	}
}

bool smb_part_answered(struct smb_channel *chan, struct smb_part *part)
{
	struct smb_req *req = part->req;
	bool last;

	netfs_mutex_lock(&chan->conn->lock);
	netfs_assert(part->waiting);
	netfs_list_remove(&part->link);
	part->waiting = false;
	chan->outstanding--;
	if (part->async_id)
		chan->pending--;
	else
		chan->charged -= part->charge;
	last = --req->left == 0;
	if (last)
		ended(chan, req);
	netfs_mutex_unlock(&chan->conn->lock);
	return last;
}

static void steal_waiting(struct netfs_list *wait, struct netfs_list *list)
{
	struct netfs_list *link;

	while ((link = netfs_list_pop_front(wait))) {
		struct smb_req *req = netfs_container_of(link, struct smb_req, link);

		req->queued = req->in_flight = false;
		netfs_list_push_back(list, &req->link);
	}
}

void smb_req_left_locked(struct smb_req *req)
{
	netfs_list_remove(&req->link);
	if (!req->done) { /* a CANCEL */
		req_free(req);
		netfs_free(req);
	}
}

static void empty(struct netfs_list *queue)
{
	while (!netfs_list_empty(queue))
		smb_req_left_locked(netfs_container_of(queue->next, struct smb_req, link));
}

void smb_req_steal_locked(struct smb_channel *chan, struct netfs_list *list)
{
	netfs_assert_held(&chan->send_lock);
	netfs_assert_held(&chan->conn->lock);
	empty(&chan->out);
	empty(&chan->queue);
	for (unsigned i = 0; i < SMB_BUCKETS; i++) {
		struct netfs_list *link;

		while ((link = netfs_list_pop_front(&chan->ids[i]))) {
			struct smb_part *part = netfs_container_of(link, struct smb_part, link);
			struct smb_req *req = part->req;

			part->waiting = false;
			if (!req->in_flight)
				continue;
			ended(chan, req);
			netfs_list_push_back(list, &req->link);
		}
	}
	steal_waiting(&chan->small, list);
	steal_waiting(&chan->large, list);
	chan->outstanding = chan->pending = chan->charged = chan->cancelling = 0;
	chan->credits = 0;
}
