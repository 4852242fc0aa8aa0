/* SPDX-License-Identifier: MIT */
/*
 * The simulated SMB server's IOCTLs: holes, and copies made here (MS-SMB2 3.3.5.15,
 * MS-FSCC 2.3).  Every byte of a file is allocated, whatever was punched.
 */
#include <backend/smb/smb_fsctl.h>
#include <stdlib.h>
#include <string.h>
#include "server_smb.h"

#define INVALID_VIEW_SIZE UINT32_C(0xc000001f)

static void others_lose_their_leases(struct call_smb *call, const struct open_smb *open)
{
	smb_leases_yield(call->server, open->node, &call->conn->client,
			 open->lease ? &open->lease->key : NULL, 0);
}

static uint32_t zero(struct call_smb *call, struct open_smb *open, const struct smb_range *range)
{
	uint64_t end = range->end < open->node->now.size ? range->end : open->node->now.size;
	uint8_t *zeroes;
	int err;

	if (!(open->access & SMB_ACCESS_WRITE_DATA))
		return SMB_STATUS_ACCESS_DENIED;
	if (range->start >= end)
		return SMB_STATUS_OK;
	others_lose_their_leases(call, open);
	zeroes = calloc(1, end - range->start);
	if (!zeroes)
		abort();
	err = node_write(open->node, range->start, zeroes, end - range->start);
	free(zeroes);
	node_touch(open->node);
	return smb_status_of_errno(err);
}

static uint32_t tell_ranges(struct call_smb *call, struct open_smb *open, struct smb_range range)
{
	size_t len = 0;

	if (range.end > open->node->now.size)
		range.end = open->node->now.size;
	if (range.start < range.end &&
	    smb_allocated_range_put(&range, call->payload, call->req.ioctl_req.max_output, &len))
		return SMB_STATUS_BUFFER_TOO_SMALL;
	call->rep.ioctl_rep.output = (struct smb_buf){.p = call->payload, .len = (uint32_t)len};
	return SMB_STATUS_OK;
}

static uint32_t reply_with(struct call_smb *call, const union smb_fsctl_out *out)
{
	ssize_t len = smb_fsctl_out_encode(call->req.ioctl_req.code, out, call->payload,
					   call->req.ioctl_req.max_output);

	if (len < 0)
		return SMB_STATUS_BUFFER_TOO_SMALL;
	call->rep.ioctl_rep.output = (struct smb_buf){.p = call->payload, .len = (uint32_t)len};
	return SMB_STATUS_OK;
}

/* 3.3.5.15.5: who has the key may copy from the open file. */
static uint32_t give_key(struct call_smb *call, const struct open_smb *open)
{
	union smb_fsctl_out out = {0};

	memcpy(out.key.b, &open->id, sizeof(open->id));
	return reply_with(call, &out);
}

static const struct open_smb *keyed(const struct call_smb *call, const struct smb_resume_key *key)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &call->server->opens) {
		const struct open_smb *open = netfs_container_of(at, struct open_smb, link);

		if (!memcmp(key->b, &open->id, sizeof(open->id)) &&
		    open->session == call->conn->session)
			return open;
	}
	return NULL;
}

/* 3.3.5.15.6 */
static uint32_t copy(struct call_smb *call, struct open_smb *open, const struct smb_copychunk *in)
{
	const struct open_smb *from = keyed(call, &in->source);
	union smb_fsctl_out out = {0};
	int err = 0;

	if (!from)
		return SMB_STATUS_OBJECT_NAME_NOT_FOUND;
	if (!(open->access & SMB_ACCESS_WRITE_DATA) || !(from->access & SMB_ACCESS_READ_DATA))
		return SMB_STATUS_ACCESS_DENIED;
	others_lose_their_leases(call, open);
	for (uint32_t i = 0; i < in->count && !err; i++) {
		const struct smb_chunk *chunk = &in->chunks[i];

		if (chunk->length > SMB_IO_MAX || chunk->source > from->node->now.size ||
		    chunk->length > from->node->now.size - chunk->source)
			return INVALID_VIEW_SIZE;
		memcpy(call->payload, from->node->now.bytes + chunk->source, chunk->length);
		err = node_write(open->node, chunk->target, call->payload, chunk->length);
		out.copied.chunks++;
		out.copied.bytes += chunk->length;
	}
	node_touch(open->node);
	return err ? smb_status_of_errno(err) : reply_with(call, &out);
}

/* 3.3.5.15.11 */
static uint32_t tell_interfaces(struct call_smb *call)
{
	const struct smb_server_config *config = &call->server->config;
	struct smb_list_writer list;

	smb_list_writer_init(&list, 0, call->payload, SMB_IO_MAX);
	for (unsigned i = 0; i < config->addresses; i++) {
		struct smb_interface interface = {.index = i + 1,
						  .capabilities =
							  config->rss ? SMB_INTERFACE_RSS : 0,
						  .speed = 1000000000,
						  .address.b = {10, 9, 0, (uint8_t)(i + 1)}};

		if (smb_interface_put(&list, &interface))
			abort();
	}
	call->rep.ioctl_rep.output = (struct smb_buf){call->payload, (uint32_t)list.pos, 0};
	call->rep.ioctl_rep.code = SMB_FSCTL_QUERY_INTERFACES;
	call->rep.ioctl_rep.fid = call->req.ioctl_req.fid;
	return SMB_STATUS_OK;
}

uint32_t smb_on_ioctl(struct call_smb *call)
{
	const struct smb_buf *input = &call->req.ioctl_req.input;
	uint32_t code = call->req.ioctl_req.code;
	struct open_smb *open;
	union smb_fsctl_in in;

	if (code == SMB_FSCTL_QUERY_INTERFACES && call->server->config.addresses)
		return tell_interfaces(call);
	open = smb_open_find(call, &call->req.ioctl_req.fid);
	if (!open)
		return SMB_STATUS_FILE_CLOSED;
	if (S_ISDIR(open->node->mode))
		return SMB_STATUS_INVALID_PARAMETER;
	call->rep.ioctl_rep.code = code;
	call->rep.ioctl_rep.fid = call->request->fid;
	if (code == SMB_FSCTL_REQUEST_RESUME_KEY)
		return give_key(call, open);
	if (smb_fsctl_in_decode(code, input->p, input->len, &in)) {
		smb_server_violation(call->server, "malformed input of an IOCTL");
		return SMB_STATUS_INVALID_PARAMETER;
	}
	switch (code) {
	case SMB_FSCTL_SET_SPARSE:
		return SMB_STATUS_OK;
	case SMB_FSCTL_SET_ZERO_DATA:
		return zero(call, open, &in.range);
	case SMB_FSCTL_QUERY_ALLOCATED_RANGES:
		return tell_ranges(call, open, in.range);
	case SMB_FSCTL_COPYCHUNK_WRITE:
		return copy(call, open, &in.copychunk);
	default:
		return SMB_STATUS_NOT_SUPPORTED;
	}
}
