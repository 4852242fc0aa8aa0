/* SPDX-License-Identifier: MIT */
/*
 * Leases of the simulated SMB server (MS-SMB2 3.3.1.12, 3.3.4.7, 3.3.5.22.2).
 *
 * A lease belongs to a client and a key, and covers one file.  Who wants to do what
 * others' leases do not allow asks smb_leases_yield() for what they may keep; the
 * lease's owner is told, and the request waits until everyone has answered, or for
 * SMB_BREAK_WAIT_NS.
 */
#include <stdlib.h>
#include <string.h>
#include "server_smb.h"

static bool same_guid(const struct smb_guid *a, const struct smb_guid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void send_break(struct smb_server *server, struct lease_smb *lease, uint32_t to)
{
	struct smb_msg msg = {.kind = SMB_LEASE_NOTIFY, .hdr = {.message_id = SMB_NO_MESSAGE}};
	struct conn_smb *conn = smb_server_conn_of(server, &lease->client);
	bool ack = lease->state & (SMB_LEASE_WRITE | SMB_LEASE_HANDLE);

	lease->epoch++;
	msg.lease_notify.epoch = lease->epoch;
	msg.lease_notify.flags = ack ? SMB_BREAK_ACK_REQUIRED : 0;
	msg.lease_notify.key = lease->key;
	msg.lease_notify.current = lease->state;
	msg.lease_notify.wanted = to;
	server->breaks++;
	lease->to = to;
	lease->breaking = ack;
	lease->since_ns = netfs_clock_now();
	if (!ack)
		lease->state = to;
	if (conn)
		smb_server_notify(conn, &msg);
}

/* Durable opens of a client that is away do not stand in the way: they go. */
static bool owner_is_away(struct smb_server *server, struct lease_smb *lease)
{
	struct netfs_list *at, *tmp;

	if (smb_server_conn_of(server, &lease->client))
		return false;
	netfs_list_for_each_safe (at, tmp, &server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (open->lease != lease)
			continue;
		/* The last one frees the lease. */
		if (lease->opens == 1) {
			smb_open_close(server, open);
			return true;
		}
		smb_open_close(server, open);
	}
	return true;
}

bool smb_leases_yield(struct smb_server *server, struct node *node, const struct smb_guid *client,
		      const struct smb_guid *key, uint32_t keep)
{
	struct netfs_list *at, *tmp;
	bool yielded = true;

	netfs_list_for_each_safe (at, tmp, &server->leases) {
		struct lease_smb *lease = netfs_container_of(at, struct lease_smb, link);

		if (lease->node != node || !(lease->state & ~keep))
			continue;
		if (key && same_guid(&lease->client, client) && same_guid(&lease->key, key))
			continue;
		if (owner_is_away(server, lease))
			continue;
		if (!lease->breaking)
			send_break(server, lease, lease->state & keep);
		yielded = yielded && !lease->breaking;
	}
	return yielded;
}

void smb_leases_expire(struct smb_server *server)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->leases) {
		struct lease_smb *lease = netfs_container_of(at, struct lease_smb, link);

		if (!lease->breaking || netfs_clock_now() - lease->since_ns < SMB_BREAK_WAIT_NS)
			continue;
		lease->state = 0;
		lease->breaking = false;
	}
}

static struct lease_smb *lease_find(struct smb_server *server, const struct smb_guid *client,
				    const struct smb_guid *key)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->leases) {
		struct lease_smb *lease = netfs_container_of(at, struct lease_smb, link);

		if (same_guid(&lease->client, client) && same_guid(&lease->key, key))
			return lease;
	}
	return NULL;
}

/* What a new lease may have beside the others' opens of the file. */
static uint32_t grantable(struct smb_server *server, const struct node *node,
			  const struct lease_smb *mine)
{
	uint32_t state = server->config.leases;
	struct netfs_list *at;

	netfs_list_for_each (at, &server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (open->node != node || (open->lease && open->lease == mine))
			continue;
		state &= ~(uint32_t)SMB_LEASE_WRITE;
		/* Who has no lease would not be told of a write, nor be asked. */
		if (!open->lease && open->access & SMB_ACCESS_WRITE_DATA)
			state = 0;
	}
	return S_ISDIR(node->mode) ? state & ~(uint32_t)SMB_LEASE_WRITE : state;
}

struct lease_smb *smb_lease_get(struct call_smb *call, struct node *node,
				struct smb_create_contexts *contexts)
{
	struct smb_server *server = call->server;
	struct lease_smb *lease = lease_find(server, &call->conn->client, &contexts->lease.key);
	uint32_t state, asked = contexts->lease.state;

	if (lease && lease->node != node)
		return NULL; /* 3.3.5.9.11: one key, one file */
	if (!lease) {
		lease = calloc(1, sizeof(*lease));
		if (!lease)
			abort();
		lease->client = call->conn->client;
		lease->key = contexts->lease.key;
		lease->node = node;
		lease->epoch = contexts->lease.epoch;
		netfs_list_push_back(&server->leases, &lease->link);
	}
	lease->opens++;
	state = lease->state | (asked & grantable(server, node, lease));
	/* R alone, RW, RH and RWH exist. */
	if (!(state & SMB_LEASE_READ))
		state = 0;
	if (!lease->breaking && state != lease->state) {
		lease->state = state;
		lease->epoch++;
	}
	contexts->lease.state = lease->state;
	contexts->lease.epoch = lease->epoch;
	contexts->lease.flags = lease->breaking ? SMB_LEASE_BREAKING : 0;
	return lease;
}

void smb_lease_put(struct lease_smb *lease)
{
	if (!lease || --lease->opens > 0)
		return;
	netfs_list_remove(&lease->link);
	free(lease);
}

uint32_t smb_on_lease_ack(struct call_smb *call)
{
	struct lease_smb *lease =
		lease_find(call->server, &call->conn->client, &call->req.lease_ack.key);

	if (!lease)
		return SMB_STATUS_OBJECT_NAME_NOT_FOUND;
	if (!lease->breaking)
		return SMB_STATUS_INVALID_PARAMETER;
	if (call->req.lease_ack.state & ~lease->to) {
		smb_server_violation(call->server, "a lease ack keeps more than it may");
		return SMB_STATUS_REQUEST_NOT_ACCEPTED;
	}
	lease->state = call->req.lease_ack.state;
	lease->breaking = false;
	call->rep.kind = SMB_LEASE_ACKED;
	call->rep.lease_ack.key = lease->key;
	call->rep.lease_ack.state = lease->state;
	return SMB_STATUS_OK;
}
