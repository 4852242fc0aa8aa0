// SPDX-License-Identifier: MIT
/*
 * Leases: asked for with every open, held while a file is open, given back when the
 * server wants them.
 *
 *	CREATE with RqLs --> granted --> node->promise --> break --> host->recall()
 *	                                                               |
 *	                             the server goes on <-- ack <-- done, or the deadline
 *
 * A file has one key for all its opens, so none of ours gets in the way of another;
 * also those that last for one compound carry it, while there is a lease.
 *
 * A break is agreed to only after what is unsent was sent.  That may take long, or
 * wait for an operation of ours which waits for the server; so after
 * SMB_RECALL_NS the server gets its answer all the same, before it would take the
 * lease away by itself.
 *
 * Locks: conn->lock for leases and recalls; nothing is told upwards with it.
 */
#include <string.h>
#include <env/random.h>
#include "smb.h"

#define STAT_ACCESS                                                                                \
	(SMB_ACCESS_READ_ATTRIBUTES | SMB_ACCESS_WRITE_ATTRIBUTES | SMB_ACCESS_READ_CONTROL |      \
	 SMB_ACCESS_SYNCHRONIZE)

/* A break that is being complied with. */
struct smb_recall {
	struct netfs_recall base;
	struct netfs_list link; /* c conn->recalls */
	struct smb_node *node; /* I a reference */
	uint64_t session; /* I */
	uint64_t deadline_ns; /* I */
	uint32_t keep; /* c what is acknowledged */
	uint32_t more; /* c was taken by a second break meanwhile */
	bool ack; /* c the server waits for an answer, which was not given */
};

static struct netfs_list *bucket(struct smb_conn *conn, const struct smb_guid *key)
{
	return &conn->leases[key->b[0] % SMB_BUCKETS];
}

void smb_lease_key(struct smb_guid *ret_key)
{
	uint64_t words[2] = {netfs_random_u64(), netfs_random_u64()};

	memcpy(ret_key->b, words, sizeof(ret_key->b));
}

static bool same_key(const struct smb_guid *a, const struct smb_guid *b)
{
	return !memcmp(a->b, b->b, sizeof(a->b));
}

/* --------------------------------------------------------------- ask */

static bool called(const struct smb_node *parent, const char *own, const struct smb_node *dir,
		   const char *name)
{
	return parent && parent == dir && !strcmp(own, name);
}

static struct smb_node *named_locked(struct smb_conn *conn, const struct smb_node *dir,
				     const char *name)
{
	for (unsigned i = 0; i < SMB_BUCKETS; i++) {
		struct netfs_list *link;

		netfs_list_for_each (link, &conn->leases[i]) {
			struct smb_node *node =
				netfs_container_of(link, struct smb_node, lease_link);

			if (called(node->parent, node->name, dir, name) ||
			    called(node->spare.parent, node->spare.name, dir, name))
				return node;
		}
	}
	return NULL;
}

void smb_lease_carry(struct smb_call *call, struct smb_node *node, const char *name,
		     const struct smb_msg *create)
{
	struct smb_conn *conn = call->conn;

	if (call->opens)
		return;
	if (!conn->leases_on || call->no_lease) {
		call->lease_want = 0;
		return;
	}
	call->lease_want = 0;
	if (!(create->create_req.access & ~(uint32_t)STAT_ACCESS))
		return;
	netfs_mutex_lock(&conn->lock);
	if (name)
		node = named_locked(conn, node, name);
	if (node && node->leased > 0) {
		call->lease_key = node->lease.key;
		call->lease_want = node->lease.state;
		call->lease_epoch = node->lease.epoch;
	}
	netfs_mutex_unlock(&conn->lock);
}

/* Servers give what they can to a new lease, but to one that is there all that is
 * asked for or nothing more (Samba): so a reader asks for writing, for the sake of
 * smb_idle.c, only at first, and nobody does where others had something against it. */
static uint32_t state_wanted_locked(const struct smb_call *call, const struct smb_node *node,
				    uint32_t access)
{
	const uint32_t most = SMB_LEASE_READ | SMB_LEASE_HANDLE | SMB_LEASE_WRITE;
	bool writes = access & SMB_ACCESS_WRITE_DATA;

	if (call->reclaim)
		return most;
	if (!node || !node->leased)
		return writes || !call->conn->no_idle ? most : most & ~(uint32_t)SMB_LEASE_WRITE;
	if (node->lease.state && writes)
		return most;
	return (most & ~(uint32_t)SMB_LEASE_WRITE) | node->lease.state;
}

void smb_lease_want(struct smb_call *call, struct smb_node *node, uint32_t access)
{
	struct smb_conn *conn = call->conn;

	/* What is sent again asks for the same. */
	if (call->replay)
		return;
	call->opens = true;
	call->lease_want = 0;
	/* By it the server knows what it opened already; only with handle caching does it
	 * keep a handle for us. */
	call->guided = !call->reclaim;
	if (call->guided)
		smb_lease_key(&call->create_guid);
	if (!conn->leases_on || call->no_lease || (node && node->is_dir))
		return;
	smb_lease_key(&call->lease_key);
	call->lease_epoch = 0;
	netfs_mutex_lock(&conn->lock);
	call->lease_want = state_wanted_locked(call, node, access);
	if (node)
		call->lease_key = node->lease.key;
	if (node && node->leased)
		call->lease_epoch = node->lease.epoch;
	netfs_mutex_unlock(&conn->lock);
}

/* ------------------------------------------------------------- grant */

static void promise_locked(struct smb_node *node)
{
	netfs_node_promise(&node->base, smb_lease_promise(node->lease.state));
}

uint32_t smb_lease_opened_locked(struct smb_handle *handle, const struct smb_call *call,
				 const struct smb_create_contexts *contexts)
{
	const struct smb_guid *key = &call->lease_key;
	struct smb_conn *conn = smb_conn_of(handle->base.be);
	struct smb_node *node = handle->node;

	netfs_assert_held(&conn->lock);
	if (!(contexts->has & SMB_CTX_LEASE_V2) || !same_key(key, &contexts->lease.key))
		return 0;
	if (node->leased == 0)
		node->lease.key = *key;
	/* Made beside another open of what it turned out to be: nobody finds it. */
	if (!same_key(key, &node->lease.key))
		return 0;
	if (!handle->leased) {
		handle->leased = true;
		if (node->leased++ == 0) {
			node->lease.session = 0;
			netfs_list_push_back(bucket(conn, key), &node->lease_link);
		}
	}
	/* A break of what it says may have gone with a channel that was lost meanwhile. */
	if (call->req.sequence != conn->sequence)
		return 0;
	smb_lease_told(&node->lease, conn->session, contexts->lease.state, contexts->lease.epoch,
		       contexts->lease.flags & SMB_LEASE_BREAKING || node->recall);
	promise_locked(node);
	return atomic_load(&node->base.promise);
}

void smb_lease_closed_locked(struct smb_handle *handle)
{
	struct smb_node *node = handle->node;

	netfs_assert_held(&smb_conn_of(handle->base.be)->lock);
	if (!handle->leased)
		return;
	handle->leased = false;
	if (--node->leased > 0)
		return;
	netfs_list_remove(&node->lease_link);
	node->lease.state = 0;
	node->lease.session = 0;
	promise_locked(node);
}

/* --------------------------------------------------------------- ack */

static void changed(struct smb_conn *conn, const struct smb_node *node)
{
	if (conn->host && conn->host->changed)
		conn->host->changed(conn->host, node->file_id, node->born);
}

/* Others changed nothing before they had the answer, so what was read from the
 * server until now is of the old version. */
static void ack_ended(struct smb_call *call)
{
	if (call->opening_node && !(call->flags & SMB_LEASE_READ))
		changed(call->conn, call->opening_node);
	if (call->opening_node)
		netfs_node_put(&call->opening_node->base);
}

static void acked(struct smb_call *call)
{
	smb_call_end(call, 0);
}

/* A session that is over took its leases along.  An answer that was lost with its channel
 * may have been heard: then what the lease became since has an answer of its own. */
static void ack_body(struct smb_call *call)
{
	struct smb_msg msg = {.kind = SMB_LEASE_ACK,
			      .lease_ack = {.key = call->lease_key, .state = call->flags}};
	bool over;

	netfs_mutex_lock(&call->conn->lock);
	over = call->conn->session != call->cookie;
	if (call->resent && call->opening_node) {
		over |= call->opening_node->lease.epoch != call->lease_epoch;
		msg.lease_ack.state &= call->opening_node->lease.state;
	}
	netfs_mutex_unlock(&call->conn->lock);
	call->req.urgent = true;
	call->changing = true;
	if (over)
		smb_call_end(call, 0);
	else if (smb_call_add(call, &msg, 0))
		smb_call_send(call, acked);
}

/* node may be NULL.  Without memory the server waits until it is tired of it. */
static void acknowledge(struct smb_conn *conn, const struct smb_guid *key, uint32_t keep,
			uint64_t session, struct smb_node *node)
{
	struct smb_call *call = smb_call_new(conn, NULL, ack_body);

	if (!call)
		return;
	call->lease_key = *key;
	call->flags = keep;
	call->cookie = session;
	call->end = ack_ended;
	if (node) {
		call->opening_node = smb_node_of(netfs_node_get(&node->base));
		netfs_mutex_lock(&conn->lock);
		call->lease_epoch = node->lease.epoch;
		netfs_mutex_unlock(&conn->lock);
	}
	smb_call_start(call);
}

/* ------------------------------------------------------------- recall */

static void recall_ack(struct smb_conn *conn, struct smb_recall *recall)
{
	struct smb_guid key;
	uint32_t keep;
	bool ack;

	netfs_mutex_lock(&conn->lock);
	key = recall->node->lease.key;
	keep = recall->keep;
	ack = recall->ack;
	recall->ack = false;
	netfs_mutex_unlock(&conn->lock);
	if (ack)
		acknowledge(conn, &key, keep, recall->session, recall->node);
}

static void complied(struct netfs_recall *base)
{
	struct smb_recall *recall = netfs_container_of(base, struct smb_recall, base);
	struct smb_node *node = recall->node;
	struct smb_conn *conn = smb_conn_of(node->base.be);
	uint32_t more;

	smb_conn_enter(conn);
	netfs_mutex_lock(&conn->lock);
	more = recall->more;
	recall->more = 0;
	if (!more) {
		node->recall = NULL;
		netfs_list_remove(&recall->link);
	}
	netfs_mutex_unlock(&conn->lock);
	if (more) {
		recall->base.lost = more;
		conn->host->recall(conn->host, node->file_id, node->born, &recall->base);
	} else {
		if (!(recall->keep & SMB_LEASE_WRITE))
			smb_idle_close(node);
		recall_ack(conn, recall);
		netfs_node_put(&node->base);
		netfs_free(recall);
	}
	smb_conn_leave(conn);
}

uint64_t smb_lease_expire(struct smb_conn *conn, uint64_t now)
{
	struct smb_recall *due = NULL;
	uint64_t next = 0;
	struct netfs_list *link;

	netfs_mutex_lock(&conn->lock);
	netfs_list_for_each (link, &conn->recalls) {
		struct smb_recall *recall = netfs_container_of(link, struct smb_recall, link);

		if (!recall->ack)
			continue;
		if (now >= recall->deadline_ns && !due) {
			due = recall;
			recall->ack = false;
			/* It may be over before we are. */
			netfs_node_get(&recall->node->base);
		} else if (!next || recall->deadline_ns < next) {
			next = recall->deadline_ns;
		}
	}
	if (due) {
		struct smb_node *node = due->node;
		struct smb_guid key = node->lease.key;
		uint64_t session = due->session;
		uint32_t keep = due->keep;

		netfs_mutex_unlock(&conn->lock);
		acknowledge(conn, &key, keep, session, node);
		netfs_node_put(&node->base);
		return now;
	}
	netfs_mutex_unlock(&conn->lock);
	return next;
}

/* ------------------------------------------------------------- break */

static struct smb_node *leased_locked(struct smb_conn *conn, const struct smb_guid *key)
{
	struct netfs_list *link;

	netfs_list_for_each (link, bucket(conn, key)) {
		struct smb_node *node = netfs_container_of(link, struct smb_node, lease_link);

		if (same_key(&node->lease.key, key))
			return node;
	}
	return NULL;
}

/* What the break takes, and who complies: fresh, or the one that does already.
 * NULL: nothing has to be done before the answer. */
static struct smb_recall *break_locked(struct smb_conn *conn, struct smb_node *node,
				       const struct smb_msg *msg, struct smb_recall *fresh)
{
	bool ack = msg->lease_notify.flags & SMB_BREAK_ACK_REQUIRED;
	uint32_t lost =
		smb_lease_broken(&node->lease, msg->lease_notify.wanted, msg->lease_notify.epoch);

	promise_locked(node);
	if (node->recall) {
		node->recall->keep = node->lease.state;
		node->recall->more |= smb_lease_promise(lost);
		node->recall->ack |= ack;
		return node->recall;
	}
	if (!fresh)
		return NULL;
	*fresh = (struct smb_recall){
		.base = {.lost = smb_lease_promise(lost), .done = complied},
		.node = smb_node_of(netfs_node_get(&node->base)),
		.session = conn->session,
		.deadline_ns = netfs_clock_now() + SMB_RECALL_NS,
		.keep = node->lease.state,
		.ack = ack,
	};
	node->recall = fresh;
	netfs_list_push_back(&conn->recalls, &fresh->link);
	return fresh;
}

void smb_lease_notified(struct smb_conn *conn, const struct smb_msg *msg)
{
	struct smb_recall *fresh = netfs_zalloc(sizeof(*fresh)), *recall = NULL;
	struct smb_node *node;
	uint64_t session;

	netfs_mutex_lock(&conn->lock);
	session = conn->session;
	node = leased_locked(conn, &msg->lease_notify.key);
	if (node) {
		netfs_node_get(&node->base);
		recall = break_locked(conn, node, msg, fresh);
	}
	netfs_mutex_unlock(&conn->lock);
	/* Somebody has to look at its deadline. */
	netfs_task_post(&conn->task);
	if (fresh && recall == fresh)
		conn->host->recall(conn->host, node->file_id, node->born, &fresh->base);
	else
		netfs_free(fresh);
	/* Closed meanwhile, or no memory to do it well. */
	if (!recall && msg->lease_notify.flags & SMB_BREAK_ACK_REQUIRED)
		acknowledge(conn, &msg->lease_notify.key, msg->lease_notify.wanted, session, node);
	if (node)
		netfs_node_put(&node->base);
}

/* -------------------------------------------------------------- lost */

static struct smb_node *lose_one_locked(struct smb_conn *conn, unsigned i)
{
	struct netfs_list *link;

	netfs_list_for_each (link, &conn->leases[i]) {
		struct smb_node *node = netfs_container_of(link, struct smb_node, lease_link);

		if (!node->lease.session)
			continue;
		node->lease.state = 0;
		node->lease.session = 0;
		promise_locked(node);
		return smb_node_of(netfs_node_get(&node->base));
	}
	return NULL;
}

void smb_lease_lost_all(struct smb_conn *conn)
{
	for (unsigned i = 0; i < SMB_BUCKETS;) {
		struct smb_node *node;

		netfs_mutex_lock(&conn->lock);
		node = lose_one_locked(conn, i);
		netfs_mutex_unlock(&conn->lock);
		if (node) {
			changed(conn, node);
			netfs_node_put(&node->base);
		} else {
			i++;
		}
	}
}
