/* SPDX-License-Identifier: MIT */
/*
 * Opens of the simulated SMB server: CREATE and CLOSE (MS-SMB2 3.3.5.9 and 3.3.5.10),
 * durable ones that outlive their connection, and names.
 */
#include <backend/smb/smb_time.h>
#include <backend/smb/smb_utf16.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "server_smb.h"

#define PATH_TEXT  2048
#define ID_TWIST   UINT64_C(0x5a5a5a5a)
#define TIMEOUT_MS 60000u
#define BORN	   1500000000
#define TICKS	   64u /* of 100 ns */

/* What needs another's write lease broken (3.3.5.9.11): anything but attributes. */
#define ACCESS_STAT                                                                                \
	(SMB_ACCESS_READ_ATTRIBUTES | SMB_ACCESS_WRITE_ATTRIBUTES | SMB_ACCESS_SYNCHRONIZE)

struct smb_times smb_times_of(const struct node *node)
{
	struct netfs_time atime = {node->atime.tv_sec, (uint32_t)node->atime.tv_nsec};
	struct netfs_time mtime = {node->mtime.tv_sec, (uint32_t)node->mtime.tv_nsec};
	struct netfs_time ctime = {node->ctime.tv_sec, (uint32_t)node->ctime.tv_nsec};
	/* When it was made does not change, and tells it from others. */
	struct netfs_time born = {BORN + (int64_t)node->ino, 0};

	/* Where the clock went back a change moves the time by less than is told: then the
	 * version makes it another. */
	return (struct smb_times){smb_time_put(&born), smb_time_put(&atime),
				  smb_time_put(&mtime) + node->version % TICKS,
				  smb_time_put(&ctime)};
}

uint32_t smb_attributes_of(const struct node *node)
{
	return S_ISDIR(node->mode) ? SMB_ATTR_DIRECTORY : SMB_ATTR_ARCHIVE;
}

struct open_smb *smb_open_find(struct call_smb *call, const struct smb_fid *fid)
{
	struct smb_fid wanted = *fid;
	struct netfs_list *at;

	if (wanted.persistent == UINT64_MAX && wanted.transient == UINT64_MAX)
		wanted = call->request->fid;
	call->request->fid = wanted;
	netfs_list_for_each (at, &call->server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (open->id != wanted.persistent || (open->id ^ ID_TWIST) != wanted.transient ||
		    open->session != call->conn->session)
			continue;
		if (!open->doomed)
			return open;
		smb_open_close(call->server, open);
		return NULL;
	}
	return NULL;
}

void smb_open_close(struct smb_server *server, struct open_smb *open)
{
	if (open->remove && open->name[0] && tree_find(open->dir, open->name) == open->node)
		tree_unlink(open->dir, open->name, S_ISDIR(open->node->mode));
	netfs_sim_printf("smb: open %llu is closed", (unsigned long long)open->id);
	netfs_list_remove(&open->link);
	smb_lease_put(open->lease);
	free(open->seen);
	free(open);
}

static void leave(struct open_smb *open)
{
	open->session = NULL;
	open->away_ns = netfs_clock_now();
}

void smb_opens_expire(struct smb_server *server)
{
	struct netfs_list *at, *tmp;

	netfs_list_for_each_safe (at, tmp, &server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (!open->session &&
		    netfs_clock_now() - open->away_ns >= TIMEOUT_MS * NETFS_NS_PER_MS)
			smb_open_close(server, open);
	}
}

void smb_opens_detach(struct smb_server *server, struct session_smb *session)
{
	struct netfs_list *at, *tmp;

	netfs_list_for_each_safe (at, tmp, &server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (open->session != session)
			continue;
		if (open->durable && open->lease && open->lease->state & SMB_LEASE_HANDLE)
			leave(open);
		else
			smb_open_close(server, open);
	}
}

uint32_t smb_walk(struct call_smb *call, const struct smb_buf *path, struct node **ret_dir,
		  char name[TREE_NAME_MAX + 1])
{
	char text[PATH_TEXT], *at = text, *sep;
	struct node *dir = call->server->tree.root;
	ssize_t len = smb_utf16_get(path->p, path->len, SMB_MAP_NONE, text, sizeof(text) - 1);

	if (len < 0)
		return SMB_STATUS_OBJECT_NAME_INVALID;
	text[len] = '\0';
	if (text[0] == '\\')
		smb_server_violation(call->server, "a path begins with a separator");
	while ((sep = strchr(at, '\\'))) {
		*sep = '\0';
		dir = tree_find(dir, at);
		if (!dir || !S_ISDIR(dir->mode))
			return SMB_STATUS_OBJECT_PATH_NOT_FOUND;
		at = sep + 1;
	}
	if (strlen(at) > TREE_NAME_MAX)
		return SMB_STATUS_OBJECT_NAME_INVALID;
	strcpy(name, at);
	*ret_dir = dir;
	netfs_sim_printf("smb %llu: %s of %s/%s", (unsigned long long)call->conn->session_id,
			 smb_command_name(call->req.hdr.command),
			 dir == call->server->tree.root ? "" : "...", name);
	return SMB_STATUS_OK;
}

static bool shares_conflict(struct smb_server *server, const struct node *node, uint32_t access,
			    uint32_t share)
{
	static const uint32_t needs[3] = {SMB_ACCESS_READ_DATA | SMB_ACCESS_EXECUTE,
					  SMB_ACCESS_WRITE_DATA | SMB_ACCESS_APPEND_DATA,
					  SMB_ACCESS_DELETE};
	struct netfs_list *at;

	netfs_list_for_each (at, &server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (open->node != node)
			continue;
		for (unsigned i = 0; i < 3; i++) {
			if ((access & needs[i] && !(open->share & 1u << i)) ||
			    (open->access & needs[i] && !(share & 1u << i)))
				return true;
		}
	}
	return false;
}

/* Finds or makes the file as the disposition says. */
static uint32_t dispose(struct call_smb *call, struct node *dir, const char *name,
			struct node **ret_node, uint32_t *ret_action)
{
	uint32_t disposition = call->req.create_req.disposition;
	bool directory = call->req.create_req.options & SMB_OPT_DIRECTORY;
	struct node *node = name[0] ? tree_find(dir, name) : dir;
	int err;

	*ret_node = node;
	*ret_action = SMB_OPENED;
	if (node && disposition == SMB_CREATE_NEW)
		return SMB_STATUS_OBJECT_NAME_COLLISION;
	if (!node && (disposition == SMB_OPEN || disposition == SMB_OVERWRITE))
		return SMB_STATUS_OBJECT_NAME_NOT_FOUND;
	if (node && directory && !S_ISDIR(node->mode))
		return SMB_STATUS_NOT_A_DIRECTORY;
	if (node && S_ISDIR(node->mode) && call->req.create_req.options & SMB_OPT_NON_DIRECTORY)
		return SMB_STATUS_FILE_IS_A_DIRECTORY;
	if (node)
		return SMB_STATUS_OK;
	err = tree_make(&call->server->tree, dir, name, directory ? S_IFDIR | 0755 : S_IFREG | 0644,
			ret_node);
	*ret_action = SMB_CREATED;
	return smb_status_of_errno(err);
}

static bool overwrites(uint32_t disposition)
{
	return disposition == SMB_SUPERSEDE || disposition == SMB_OVERWRITE ||
	       disposition == SMB_OVERWRITE_IF;
}

static void fill_reply(struct call_smb *call, struct open_smb *open, uint32_t action,
		       struct smb_create_contexts *contexts)
{
	uint32_t asked = contexts->has;
	ssize_t length;

	contexts->has = asked & (SMB_CTX_LEASE_V2 | SMB_CTX_DURABLE | SMB_CTX_MAXIMAL_ACCESS |
				 SMB_CTX_DISK_ID);
	if (!open->lease)
		contexts->has &= ~(uint32_t)SMB_CTX_LEASE_V2;
	if (!open->durable)
		contexts->has &= ~(uint32_t)SMB_CTX_DURABLE;
	contexts->durable.timeout_ms = TIMEOUT_MS;
	contexts->durable.flags = 0;
	contexts->maximal.status = SMB_STATUS_OK;
	contexts->maximal.access = 0x001f01ff;
	contexts->disk_id.file = open->node->ino;
	contexts->disk_id.volume = 1;
	length = smb_create_contexts_encode(contexts, true, call->payload, SMB_IO_MAX);
	call->rep.create_rep.contexts =
		(struct smb_buf){.p = call->payload, .len = length > 0 ? (uint32_t)length : 0};
	call->rep.create_rep.oplock_level = open->lease ? SMB_OPLOCK_LEASE : SMB_OPLOCK_NONE;
	call->rep.create_rep.action = action;
	call->rep.create_rep.times = smb_times_of(open->node);
	call->rep.create_rep.size = open->node->now.size;
	call->rep.create_rep.allocation = (open->node->now.size + 4095) & ~UINT64_C(4095);
	call->rep.create_rep.attributes = smb_attributes_of(open->node);
	call->rep.create_rep.fid = (struct smb_fid){open->id, open->id ^ ID_TWIST};
	call->request->fid = call->rep.create_rep.fid;
}

/* 3.3.5.9.12: the same file, client, lease and identifier, or nothing. */
static uint32_t reclaim(struct call_smb *call, struct smb_create_contexts *contexts)
{
	struct netfs_list *at;

	if (contexts->has & SMB_CTX_DURABLE)
		return SMB_STATUS_INVALID_PARAMETER;
	netfs_list_for_each (at, &call->server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (open->id != contexts->reconnect.fid.persistent || open->session ||
		    memcmp(&open->create_guid, &contexts->reconnect.create_guid, 16) ||
		    memcmp(&open->client, &call->conn->client, 16))
			continue;
		if (!(contexts->has & SMB_CTX_LEASE_V2) || !open->lease ||
		    memcmp(&open->lease->key, &contexts->lease.key, 16))
			continue;
		open->session = call->conn->session;
		contexts->lease.state = open->lease->state;
		contexts->lease.epoch = open->lease->epoch;
		contexts->lease.flags = 0;
		fill_reply(call, open, SMB_OPENED, contexts);
		return SMB_STATUS_OK;
	}
	return SMB_STATUS_OBJECT_NAME_NOT_FOUND;
}

/* 3.3.5.9.10: it was sent before, and its reply was lost.  False: nothing is known of it,
 * and it is executed. */
static bool replay(struct call_smb *call, struct smb_create_contexts *contexts,
		   uint32_t *ret_status)
{
	bool says_so = call->req.hdr.flags & SMB_FLAG_REPLAY;
	struct netfs_list *at;

	netfs_list_for_each (at, &call->server->opens) {
		struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (memcmp(&open->create_guid, &contexts->durable.create_guid, 16) ||
		    memcmp(&open->client, &call->conn->client, 16))
			continue;
		*ret_status = SMB_STATUS_DUPLICATE_OBJECTID;
		/* Or it was sent first, by a channel that is lost, and comes after what
		 * was sent again by another. */
		if (!says_so && !open->replayed)
			smb_server_violation(call->server, "the identifier of an open again");
		if (!says_so || (open->session && open->session != call->conn->session))
			return true;
		*ret_status = SMB_STATUS_ACCESS_DENIED;
		if (open->lease && (!(contexts->has & SMB_CTX_LEASE_V2) ||
				    memcmp(&open->lease->key, &contexts->lease.key, 16)))
			return true;
		open->session = call->conn->session;
		if (open->lease) {
			contexts->lease.state = open->lease->state;
			contexts->lease.epoch = open->lease->epoch;
			contexts->lease.flags = open->lease->breaking ? SMB_LEASE_BREAKING : 0;
		}
		fill_reply(call, open, open->action, contexts);
		/* As Samba does when it only now finds that the earlier channel is lost. */
		open->doomed = rng_mix(open->id) % 3 == 0;
		*ret_status = SMB_STATUS_OK;
		return true;
	}
	return false;
}

static struct open_smb *open_new(struct call_smb *call, struct node *node, struct node *dir,
				 const char *name)
{
	struct open_smb *open = calloc(1, sizeof(*open));

	if (!open)
		abort();
	open->id = ++call->server->last_id;
	open->session = call->conn->session;
	open->sequence = call->request->sequence;
	open->client = call->conn->client;
	open->node = node;
	open->dir = dir;
	strcpy(open->name, name);
	open->access = call->req.create_req.access;
	open->share = call->req.create_req.share_access;
	open->remove = call->req.create_req.options & SMB_OPT_DELETE_ON_CLOSE;
	open->replayed = call->req.hdr.flags & SMB_FLAG_REPLAY;
	netfs_sim_printf("smb %llu: open %llu", (unsigned long long)call->conn->session_id,
			 (unsigned long long)open->id);
	netfs_list_push_back(&call->server->opens, &open->link);
	return open;
}

/* Others give back what stands in the way; false: not yet. */
static bool others_yield(struct call_smb *call, struct node *node,
			 const struct smb_create_contexts *contexts)
{
	bool leased = contexts->has & SMB_CTX_LEASE_V2;
	uint32_t keep = SMB_LEASE_READ | SMB_LEASE_HANDLE;

	if (!(call->req.create_req.access & ~(uint32_t)ACCESS_STAT))
		return true;
	if (shares_conflict(call->server, node, call->req.create_req.access,
			    call->req.create_req.share_access))
		keep &= ~(uint32_t)SMB_LEASE_HANDLE;
	if (overwrites(call->req.create_req.disposition))
		keep = 0;
	return smb_leases_yield(call->server, node, &call->conn->client,
				leased ? &contexts->lease.key : NULL, keep);
}

uint32_t smb_on_create(struct call_smb *call)
{
	struct smb_create_contexts contexts;
	char name[TREE_NAME_MAX + 1];
	struct node *dir, *node;
	struct lease_smb *lease = NULL;
	struct open_smb *open;
	uint32_t status, action;

	if (smb_create_contexts_decode(&call->req.create_req.contexts, false, &contexts)) {
		smb_server_violation(call->server, "malformed create contexts");
		return SMB_STATUS_INVALID_PARAMETER;
	}
	if (contexts.has & SMB_CTX_RECONNECT)
		return reclaim(call, &contexts);
	if (contexts.has & SMB_CTX_DURABLE && replay(call, &contexts, &status))
		return status;
	status = smb_walk(call, &call->req.create_req.name, &dir, name);
	if (status)
		return status;
	node = name[0] ? tree_find(dir, name) : dir;
	if (node && !others_yield(call, node, &contexts)) {
		call->wait = true;
		return SMB_STATUS_OK;
	}
	if (node && shares_conflict(call->server, node, call->req.create_req.access,
				    call->req.create_req.share_access))
		return SMB_STATUS_SHARING_VIOLATION;
	status = dispose(call, dir, name, &node, &action);
	if (status)
		return status;
	if (action == SMB_OPENED && overwrites(call->req.create_req.disposition)) {
		node_resize(node, 0);
		node_touch(node);
		action = SMB_OVERWRITTEN;
	}
	/* Before the open is there, which would stand in its own way. */
	if (contexts.has & SMB_CTX_LEASE_V2 && call->server->config.leases &&
	    call->req.create_req.oplock_level == SMB_OPLOCK_LEASE) {
		lease = smb_lease_get(call, node, &contexts);
		if (!lease)
			return SMB_STATUS_INVALID_PARAMETER;
	}
	open = open_new(call, node, dir, name);
	open->lease = lease;
	open->action = action;
	if (contexts.has & SMB_CTX_DURABLE) {
		open->create_guid = contexts.durable.create_guid;
		open->durable = call->server->config.durable && open->lease &&
				open->lease->state & SMB_LEASE_HANDLE;
	}
	fill_reply(call, open, action, &contexts);
	return SMB_STATUS_OK;
}

uint32_t smb_on_close(struct call_smb *call)
{
	struct open_smb *open = smb_open_find(call, &call->req.close_req.fid);

	if (!open)
		return SMB_STATUS_FILE_CLOSED;
	call->rep.close_rep.flags = call->req.close_req.flags & SMB_CLOSE_POSTQUERY;
	if (call->rep.close_rep.flags) {
		call->rep.close_rep.times = smb_times_of(open->node);
		call->rep.close_rep.size = open->node->now.size;
		call->rep.close_rep.allocation = (open->node->now.size + 4095) & ~UINT64_C(4095);
		call->rep.close_rep.attributes = smb_attributes_of(open->node);
	}
	smb_open_close(call->server, open);
	return SMB_STATUS_OK;
}
