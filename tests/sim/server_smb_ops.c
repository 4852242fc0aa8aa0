/* SPDX-License-Identifier: MIT */
/*
 * What each SMB request does: sessions, data and locks here, opens in
 * server_smb_file.c, information in server_smb_info.c.  A handler fills call->rep and
 * returns a status, or sets call->wait when it did nothing and wants to be asked
 * again once something changed.
 */
#include <errno.h>
#include <string.h>
#include "server_smb.h"

#define SESSION_ACCESS 0x001f01ff

static bool is_offered(const struct smb_algorithms *offer, uint16_t wanted)
{
	for (unsigned i = 0; i < offer->count; i++)
		if (offer->v[i] == wanted)
			return true;
	return false;
}

/* Of each kind what the configuration says, if it was offered. */
static void choose(struct call_smb *call, const struct smb_negotiate_contexts *asked,
		   struct smb_negotiate_contexts *answer)
{
	const struct smb_server_config *config = &call->server->config;
	struct crypt_smb *crypt = &call->conn->crypt;

	crypt->signing = SMB_AES_CMAC;
	if (config->signing != SMB_HMAC_SHA256 && is_offered(&asked->signings, config->signing)) {
		answer->signings = (struct smb_algorithms){1, {config->signing}};
		crypt->signing = config->signing;
	}
	if (asked->ciphers.count == 0)
		return;
	if (is_offered(&asked->ciphers, config->cipher))
		crypt->cipher = config->cipher;
	answer->ciphers = (struct smb_algorithms){1, {crypt->cipher}};
}

static void offer_limits(struct call_smb *call)
{
	const struct smb_server_config *config = &call->server->config;
	uint32_t io_max = config->io_max ? config->io_max : SMB_IO_MAX;

	call->rep.negotiate_rep.security_mode = SMB_SIGNING_ENABLED;
	call->rep.negotiate_rep.dialect = SMB_DIALECT_311;
	call->rep.negotiate_rep.capabilities = SMB_CAP_LARGE_MTU |
					       (config->leases ? SMB_CAP_LEASING : 0) |
					       (config->addresses ? SMB_CAP_MULTI_CHANNEL : 0);
	call->rep.negotiate_rep.max_transact = SMB_IO_MAX;
	call->rep.negotiate_rep.max_read = io_max;
	call->rep.negotiate_rep.max_write = io_max;
}

static uint32_t on_negotiate(struct call_smb *call)
{
	struct smb_negotiate_contexts asked,
		answer = {.hashes = {1, {SMB_HASH_SHA512}},
			  .salt = {.p = "simulated server", .len = 16}};
	const struct smb_dialects *dialects = &call->req.negotiate_req.dialects;
	ssize_t length;

	if (call->conn->phase != SMB_NEW) {
		smb_server_violation(call->server, "NEGOTIATE twice");
		return SMB_STATUS_INVALID_PARAMETER;
	}
	if (smb_negotiate_contexts_decode(&call->req.negotiate_req.contexts,
					  call->req.negotiate_req.context_count, &asked) ||
	    asked.hashes.count == 0) {
		smb_server_violation(call->server, "malformed negotiate contexts");
		return SMB_STATUS_INVALID_PARAMETER;
	}
	if (dialects->count == 0 || dialects->v[dialects->count - 1] != SMB_DIALECT_311)
		return SMB_STATUS_NOT_SUPPORTED;
	call->conn->client = call->req.negotiate_req.client_guid;
	call->conn->phase = SMB_NEGOTIATED;
	choose(call, &asked, &answer);
	length = smb_negotiate_contexts_encode(&answer, call->payload, SMB_IO_MAX,
					       &call->rep.negotiate_rep.context_count);
	call->rep.negotiate_rep.contexts =
		(struct smb_buf){.p = call->payload, .len = (uint32_t)length};
	offer_limits(call);
	return SMB_STATUS_OK;
}

static uint32_t on_tree_connect(struct call_smb *call)
{
	if (call->req.tree_connect_req.path.len < 4)
		return SMB_STATUS_BAD_NETWORK_NAME;
	call->conn->session->tree_id = 1;
	call->rep.hdr.tree_id = 1;
	call->rep.tree_connect_rep.type = SMB_SHARE_DISK;
	call->rep.tree_connect_rep.maximal_access = SESSION_ACCESS;
	if (call->server->config.seal_share) {
		call->rep.tree_connect_rep.flags = SMB_SHAREFLAG_ENCRYPT_DATA;
		call->conn->sealing = call->conn->session->sealing = true;
	}
	return SMB_STATUS_OK;
}

static uint32_t on_tree_disconnect(struct call_smb *call)
{
	call->conn->session->tree_id = 0;
	return SMB_STATUS_OK;
}

static uint32_t on_nothing(struct call_smb *call)
{
	return SMB_STATUS_OK;
}

/* ------------------------------------------------------------------ data */

static bool overlaps(const struct lock_smb *lock, uint64_t start, uint64_t length)
{
	if (lock->length == 0 || length == 0)
		return false;
	return lock->start <= start + (length - 1) && start <= lock->start + (lock->length - 1);
}

/* Does a lock of somebody but mine forbid this?  NULL: anybody's. (MS-FSA 2.1.4.10) */
static bool is_locked(const struct call_smb *call, const struct node *node,
		      const struct open_smb *mine, uint64_t start, uint64_t length, bool shared)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &call->server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (open->node != node || open == mine)
			continue;
		for (unsigned i = 0; i < open->nlocks; i++)
			if (overlaps(&open->locks[i], start, length) &&
			    (open->locks[i].exclusive || !shared))
				return true;
	}
	return false;
}

/* 3.3.5.2.5: a credit moves 64 KiB. */
static void check_charge(struct call_smb *call, uint32_t length)
{
	uint32_t charge = call->req.hdr.credit_charge ? call->req.hdr.credit_charge : 1;

	if (length > charge * 65536u)
		smb_server_violation(call->server, "more bytes than the credit charge pays for");
}

static uint32_t on_read(struct call_smb *call)
{
	struct open_smb *open = smb_open_find(call, &call->req.read_req.fid);
	uint32_t length = call->req.read_req.length;
	uint64_t start = call->req.read_req.offset;

	check_charge(call, length);
	if (!open)
		return SMB_STATUS_FILE_CLOSED;
	if (length > SMB_IO_MAX)
		return SMB_STATUS_INVALID_PARAMETER;
	if (!(open->access & (SMB_ACCESS_READ_DATA | SMB_ACCESS_EXECUTE)))
		return SMB_STATUS_ACCESS_DENIED;
	if (is_locked(call, open->node, open, start, length, true))
		return SMB_STATUS_FILE_LOCK_CONFLICT;
	if (start >= open->node->now.size || length == 0)
		return length ? SMB_STATUS_END_OF_FILE : SMB_STATUS_OK;
	if (length > open->node->now.size - start)
		length = (uint32_t)(open->node->now.size - start);
	/* Only at the end of a file is it less than was asked for (MS-FSA 2.1.5.3). */
	if (length < call->req.read_req.minimum)
		return SMB_STATUS_END_OF_FILE;
	call->rep.read_rep.data =
		(struct smb_buf){.p = open->node->now.bytes + start, .len = length};
	return SMB_STATUS_OK;
}

static uint32_t on_write(struct call_smb *call)
{
	struct open_smb *open = smb_open_find(call, &call->req.write_req.fid);
	const struct smb_buf *data = &call->req.write_req.data;
	uint64_t start = call->req.write_req.offset;
	struct faults *faults = call->server->faults;
	uint32_t length = data->len;
	int err;

	check_charge(call, length);
	if (!open)
		return SMB_STATUS_FILE_CLOSED;
	if (length > SMB_IO_MAX || S_ISDIR(open->node->mode))
		return SMB_STATUS_INVALID_PARAMETER;
	if (!(open->access & SMB_ACCESS_WRITE_DATA))
		return SMB_STATUS_ACCESS_DENIED;
	if (is_locked(call, open->node, open, start, length, false))
		return SMB_STATUS_FILE_LOCK_CONFLICT;
	smb_leases_yield(call->server, open->node, &call->conn->client,
			 open->lease ? &open->lease->key : NULL, 0);
	if (length > 1 && faults_draw(faults, faults->mix.short_write))
		length = (uint32_t)rng_between(&faults->rng, 1, length - 1);
	if (call->server->config.defect == DEFECT_LOST_WRITE && rng_one_in(&faults->rng, 40)) {
		call->rep.write_rep.count = length;
		return SMB_STATUS_OK;
	}
	err = length ? node_write(open->node, start, data->p, length) : 0;
	if (!err && call->req.write_req.flags & SMB_WRITE_THROUGH)
		err = node_flush(open->node);
	if (err)
		return smb_status_of_errno(err);
	node_touch(open->node);
	call->rep.write_rep.count = length;
	return SMB_STATUS_OK;
}

static uint32_t on_flush(struct call_smb *call)
{
	struct open_smb *open = smb_open_find(call, &call->req.flush_req.fid);

	if (!open)
		return SMB_STATUS_FILE_CLOSED;
	if (S_ISDIR(open->node->mode) || call->server->config.defect == DEFECT_NO_FLUSH)
		return SMB_STATUS_OK;
	return smb_status_of_errno(node_flush(open->node));
}

static uint32_t unlock(struct open_smb *open, const struct smb_lock_element *element)
{
	for (unsigned i = 0; i < open->nlocks; i++) {
		if (open->locks[i].start != element->offset ||
		    open->locks[i].length != element->length)
			continue;
		open->locks[i] = open->locks[--open->nlocks];
		return SMB_STATUS_OK;
	}
	return SMB_STATUS_RANGE_NOT_LOCKED;
}

static uint32_t lock(struct call_smb *call, struct open_smb *open,
		     const struct smb_lock_element *element)
{
	bool exclusive = element->flags & SMB_LOCK_EXCLUSIVE;

	if (element->length && element->offset > UINT64_MAX - (element->length - 1))
		return SMB_STATUS_INVALID_PARAMETER;
	if (open->nlocks == SMB_FILE_LOCKS_MAX)
		return SMB_STATUS_INSUFFICIENT_RESOURCES;
	if (is_locked(call, open->node, NULL, element->offset, element->length, !exclusive)) {
		if (element->flags & SMB_LOCK_FAIL_IMMEDIATELY)
			return SMB_STATUS_LOCK_NOT_GRANTED;
		call->wait = true;
		return SMB_STATUS_OK;
	}
	open->locks[open->nlocks++] =
		(struct lock_smb){element->offset, element->length, exclusive};
	return SMB_STATUS_OK;
}

/* All or nothing; only a lone lock may wait (3.3.5.14.2). */
static uint32_t on_lock(struct call_smb *call)
{
	struct open_smb *open = smb_open_find(call, &call->req.lock_req.fid);
	const struct smb_locks *locks = &call->req.lock_req.locks;
	unsigned before;
	uint32_t status = SMB_STATUS_OK;

	if (!open)
		return SMB_STATUS_FILE_CLOSED;
	before = open->nlocks;
	for (unsigned i = 0; i < locks->count && !status; i++) {
		const struct smb_lock_element *element = &locks->v[i];

		if (element->flags & SMB_LOCK_UNLOCK)
			status = unlock(open, element);
		else if (locks->count > 1 && !(element->flags & SMB_LOCK_FAIL_IMMEDIATELY))
			status = SMB_STATUS_INVALID_PARAMETER;
		else
			status = lock(call, open, element);
	}
	if (status && open->nlocks > before)
		open->nlocks = before;
	return status;
}

bool smb_server_is_locked(const struct smb_server *server, const struct node *node)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->opens) {
		const struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (open->node == node && open->nlocks > 0)
			return true;
	}
	return false;
}

static uint32_t on_break_ack(struct call_smb *call)
{
	if (call->req.kind == SMB_LEASE_ACK)
		return smb_on_lease_ack(call);
	smb_server_violation(call->server, "an oplock ack, and nobody has an oplock");
	return SMB_STATUS_INVALID_OPLOCK_PROTOCOL;
}

static uint32_t (*const handlers[SMB_COMMANDS])(struct call_smb *call) = {
	[SMB_NEGOTIATE] = on_negotiate,
	[SMB_SESSION_SETUP] = smb_on_session_setup,
	[SMB_LOGOFF] = smb_on_logoff,
	[SMB_TREE_CONNECT] = on_tree_connect,
	[SMB_TREE_DISCONNECT] = on_tree_disconnect,
	[SMB_CREATE] = smb_on_create,
	[SMB_CLOSE] = smb_on_close,
	[SMB_FLUSH] = on_flush,
	[SMB_READ] = on_read,
	[SMB_WRITE] = on_write,
	[SMB_LOCK] = on_lock,
	[SMB_IOCTL] = smb_on_ioctl,
	[SMB_CANCEL] = on_nothing,
	[SMB_ECHO] = on_nothing,
	[SMB_QUERY_DIRECTORY] = smb_on_query_directory,
	[SMB_CHANGE_NOTIFY] = smb_on_change_notify,
	[SMB_QUERY_INFO] = smb_on_query_info,
	[SMB_SET_INFO] = smb_on_set_info,
	[SMB_OPLOCK_BREAK] = on_break_ack,
};

static bool needs_tree(uint16_t command)
{
	return command > SMB_TREE_CONNECT && command != SMB_ECHO && command != SMB_CANCEL &&
	       command != SMB_OPLOCK_BREAK;
}

static bool takes_room(const struct call_smb *call)
{
	return call->req.hdr.command == SMB_WRITE || (call->req.hdr.command == SMB_CREATE &&
						      call->req.create_req.disposition != SMB_OPEN);
}

static bool has_session(const struct conn_smb *conn)
{
	return conn->session && !conn->session->over;
}

uint32_t smb_server_execute(struct call_smb *call)
{
	uint16_t command = call->req.hdr.command;
	int err;

	smb_opens_expire(call->server);
	if (command > SMB_SESSION_SETUP && command != SMB_ECHO &&
	    (!has_session(call->conn) || call->req.hdr.session_id != call->conn->session_id))
		return SMB_STATUS_USER_SESSION_DELETED;
	if (needs_tree(command) && (!call->conn->session->tree_id ||
				    call->req.hdr.tree_id != call->conn->session->tree_id))
		return SMB_STATUS_NETWORK_NAME_DELETED;
	err = command > SMB_TREE_CONNECT && command != SMB_CLOSE
		      ? faults_error(call->server->faults, command, takes_room(call))
		      : 0;
	if (err)
		return smb_status_of_errno(err);
	return handlers[command](call);
}
