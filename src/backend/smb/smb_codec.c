/* SPDX-License-Identifier: MIT */
/*
 * Headers, and messages by their layouts (smb_pdu.c).  A decoder first finds out
 * which form a message has: that of a request follows from its command, that of
 * a reply from its status too, because a failed command answers with ERROR.
 *
 * SESSION_SETUP, QUERY_INFO and the other replies of StructureSize 9 look like an
 * ERROR, so the size alone would not tell.  Pure functions, no locks.
 */
#include <errno.h>
#include <string.h>
#include "smb_layout.h"
#include "smb_status.h"

#define MAGIC		UINT32_C(0x424d53fe) /* 0xfe 'S' 'M' 'B' */
#define TRANSFORM_MAGIC UINT32_C(0x424d53fd)
#define NEXT_AT		20u
#define ENCRYPTED	1u /* 2.2.41 Flags */

static uint16_t command_of(uint8_t kind, uint16_t error_command)
{
	if (kind == SMB_ERROR)
		return error_command;
	return kind < SMB_OPLOCK_ACK ? kind / 2 : SMB_OPLOCK_BREAK;
}

static bool kind_is_reply(uint8_t kind)
{
	if (kind < SMB_OPLOCK_ACK)
		return kind & 1;
	return kind != SMB_OPLOCK_ACK && kind != SMB_LEASE_ACK;
}

static void put_header(struct netfs_writer *w, const struct smb_header *hdr, uint8_t kind)
{
	uint32_t flags = hdr->flags & ~(uint32_t)SMB_FLAG_REPLY;

	if (kind_is_reply(kind))
		flags |= SMB_FLAG_REPLY;
	netfs_writer_u32(w, MAGIC);
	netfs_writer_u16(w, SMB_HEADER);
	netfs_writer_u16(w, hdr->credit_charge);
	netfs_writer_u32(w, hdr->status);
	netfs_writer_u16(w, command_of(kind, hdr->command));
	netfs_writer_u16(w, hdr->credits);
	netfs_writer_u32(w, flags);
	netfs_writer_u32(w, hdr->next);
	netfs_writer_u64(w, hdr->message_id);
	if (flags & SMB_FLAG_ASYNC) {
		netfs_writer_u64(w, hdr->async_id);
	} else {
		netfs_writer_u32(w, 0);
		netfs_writer_u32(w, hdr->tree_id);
	}
	netfs_writer_u64(w, hdr->session_id);
	netfs_writer_bytes(w, hdr->signature, sizeof(hdr->signature));
}

int smb_header_decode(const void *bytes, size_t size, struct smb_header *ret_hdr)
{
	struct netfs_reader r;
	uint32_t magic;
	uint16_t length;

	netfs_reader_init(&r, bytes, size);
	*ret_hdr = (struct smb_header){0};
	magic = netfs_reader_u32(&r);
	length = netfs_reader_u16(&r);
	ret_hdr->credit_charge = netfs_reader_u16(&r);
	ret_hdr->status = netfs_reader_u32(&r);
	ret_hdr->command = netfs_reader_u16(&r);
	ret_hdr->credits = netfs_reader_u16(&r);
	ret_hdr->flags = netfs_reader_u32(&r);
	ret_hdr->next = netfs_reader_u32(&r);
	ret_hdr->message_id = netfs_reader_u64(&r);
	if (ret_hdr->flags & SMB_FLAG_ASYNC) {
		ret_hdr->async_id = netfs_reader_u64(&r);
	} else {
		netfs_reader_u32(&r);
		ret_hdr->tree_id = netfs_reader_u32(&r);
	}
	ret_hdr->session_id = netfs_reader_u64(&r);
	for (unsigned i = 0; i < sizeof(ret_hdr->signature); i++)
		ret_hdr->signature[i] = netfs_reader_u8(&r);
	if (r.bad || magic != MAGIC || length != SMB_HEADER || ret_hdr->command >= SMB_COMMANDS)
		return -EPROTO;
	return 0;
}

ssize_t smb_encode(const struct smb_msg *msg, void *buf, size_t size)
{
	const struct smb_layout *layout = smb_layout_of(msg->kind);
	struct netfs_writer w;
	size_t fixed;

	if (!layout)
		return -EINVAL;
	smb_writer_init(&w, buf, size);
	put_header(&w, &msg->hdr, msg->kind);
	netfs_writer_u16(&w, layout->structure_size);
	fixed = w.pos + smb_fields_size(layout->field, msg);
	smb_fields_put(&w, layout->field, msg);
	/* Servers insist on the byte that an odd size stands for. */
	if (layout->structure_size & 1 && w.pos == fixed) {
		bool behind = (msg->kind == SMB_REQUEST(SMB_WRITE) && msg->write_req.data.len) ||
			      (msg->kind == SMB_REPLY(SMB_READ) && msg->read_rep.data.len);

		if (!behind)
			netfs_writer_u8(&w, 0);
	}
	return smb_written(&w);
}

bool smb_status_has_reply(uint16_t command, uint32_t status)
{
	switch (status) {
	case SMB_STATUS_OK:
		return true;
	case SMB_STATUS_MORE_PROCESSING:
		return command == SMB_SESSION_SETUP;
	case SMB_STATUS_BUFFER_OVERFLOW:
		return command == SMB_QUERY_INFO || command == SMB_IOCTL || command == SMB_READ;
	case SMB_STATUS_INVALID_PARAMETER: /* a copychunk over the server's limits */
		return command == SMB_IOCTL;
	case SMB_STATUS_NOTIFY_ENUM_DIR:
		return command == SMB_CHANGE_NOTIFY;
	default:
		return false;
	}
}

static uint8_t break_kind(const struct smb_header *hdr, uint16_t structure_size)
{
	bool reply = hdr->flags & SMB_FLAG_REPLY;
	bool notify = hdr->message_id == SMB_NO_MESSAGE;

	switch (structure_size) {
	case 24:
		if (!reply)
			return SMB_OPLOCK_ACK;
		return notify ? SMB_OPLOCK_NOTIFY : SMB_OPLOCK_ACKED;
	case 36:
		return reply ? SMB_LEASE_ACKED : SMB_LEASE_ACK;
	case 44:
		return reply && notify ? SMB_LEASE_NOTIFY : SMB_KINDS;
	default:
		return SMB_KINDS;
	}
}

/* SMB_KINDS: there is no such message. */
static uint8_t kind_of(const struct smb_header *hdr, uint16_t structure_size)
{
	const struct smb_layout *layout;
	uint8_t kind;

	if (hdr->flags & SMB_FLAG_REPLY && !smb_status_has_reply(hdr->command, hdr->status))
		return SMB_ERROR;
	if (hdr->command == SMB_OPLOCK_BREAK)
		return break_kind(hdr, structure_size);
	if (!(hdr->flags & SMB_FLAG_REPLY))
		return SMB_REQUEST(hdr->command);
	kind = SMB_REPLY(hdr->command);
	layout = smb_layout_of(kind);
	if (hdr->status != SMB_STATUS_OK && layout && layout->structure_size != structure_size)
		return SMB_ERROR;
	return kind;
}

int smb_decode(const void *bytes, size_t have, size_t total, struct smb_msg *ret_msg)
{
	struct smb_span span = {.bytes = bytes, .have = have, .total = total};
	const struct smb_layout *layout;
	struct netfs_reader r;
	uint16_t structure_size;

	memset(ret_msg, 0, sizeof(*ret_msg));
	if (have > total || total > SMB_FRAME_MAX)
		return -EPROTO;
	if (smb_header_decode(bytes, have, &ret_msg->hdr) < 0)
		return -EPROTO;
	netfs_reader_init(&r, span.bytes + SMB_HEADER, have - SMB_HEADER);
	structure_size = netfs_reader_u16(&r);
	if (r.bad)
		return -EPROTO;
	ret_msg->kind = kind_of(&ret_msg->hdr, structure_size);
	layout = smb_layout_of(ret_msg->kind);
	if (!layout || layout->structure_size != structure_size)
		return -EPROTO;
	if (!smb_fields_get(&span, SMB_HEADER + 2, layout->field, ret_msg))
		return -EPROTO;
	return 0;
}

ssize_t smb_compound_step(const void *bytes, size_t size)
{
	struct smb_header hdr;

	if (smb_header_decode(bytes, size, &hdr) < 0)
		return -EPROTO;
	if (hdr.next == 0)
		return (ssize_t)size;
	if (hdr.next % 8 != 0 || hdr.next < SMB_HEADER || hdr.next >= size)
		return -EPROTO;
	return hdr.next;
}

void smb_set_next(void *bytes, uint32_t next)
{
	struct netfs_writer w;

	netfs_writer_init(&w, (uint8_t *)bytes + NEXT_AT, sizeof(next));
	netfs_writer_u32(&w, next);
}

void smb_transform_encode(const struct smb_transform *transform, void *buf)
{
	struct netfs_writer w;

	netfs_writer_init(&w, buf, SMB_TRANSFORM);
	netfs_writer_u32(&w, TRANSFORM_MAGIC);
	netfs_writer_bytes(&w, transform->signature, sizeof(transform->signature));
	netfs_writer_bytes(&w, transform->nonce, sizeof(transform->nonce));
	netfs_writer_u32(&w, transform->size);
	netfs_writer_u16(&w, 0);
	netfs_writer_u16(&w, ENCRYPTED);
	netfs_writer_u64(&w, transform->session_id);
}

int smb_transform_decode(const void *bytes, size_t size, size_t frame_size,
			 struct smb_transform *ret_transform)
{
	struct netfs_reader r;
	uint32_t magic;
	uint16_t flags;

	netfs_reader_init(&r, bytes, size);
	magic = netfs_reader_u32(&r);
	for (unsigned i = 0; i < sizeof(ret_transform->signature); i++)
		ret_transform->signature[i] = netfs_reader_u8(&r);
	for (unsigned i = 0; i < sizeof(ret_transform->nonce); i++)
		ret_transform->nonce[i] = netfs_reader_u8(&r);
	ret_transform->size = netfs_reader_u32(&r);
	netfs_reader_u16(&r);
	flags = netfs_reader_u16(&r);
	ret_transform->session_id = netfs_reader_u64(&r);
	if (r.bad || magic != TRANSFORM_MAGIC || flags != ENCRYPTED || size > frame_size)
		return -EPROTO;
	if (ret_transform->size < SMB_HEADER || ret_transform->size != frame_size - SMB_TRANSFORM)
		return -EPROTO;
	return 0;
}
