/* SPDX-License-Identifier: MIT */
/*
 * Messages for the decoders.  A sample gets a number of its own into every field
 * that the layouts name, so that fields which change places are noticed; what
 * comes out of a decoder is printed, encoded, decoded and printed again.
 */
#include "smb_decoders.h"

#include <backend/smb/smb_context.h>
#include <backend/smb/smb_fsctl.h>
#include <backend/smb/smb_layout.h>
#include <backend/smb/smb_status.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE 1024

void smb_must_fail(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
	abort();
}

static const uint8_t text16[] = {'a', 0, 'b', 0, 'c', 0, 'd', 0, 'e', 0, 'f', 0, 'g', 0, 'h', 0};

static void fill_field(const struct smb_field *f, unsigned i, void *field)
{
	uint64_t value = UINT64_C(0x0102030405060708) * (i + 1);

	switch (f->kind) {
	case SMB_F_U8:
		*(uint8_t *)field = (uint8_t)value;
		break;
	case SMB_F_U16:
		*(uint16_t *)field = (uint16_t)value;
		break;
	case SMB_F_U32:
		*(uint32_t *)field = (uint32_t)value;
		break;
	case SMB_F_U64:
		*(uint64_t *)field = value;
		break;
	case SMB_F_FID:
		*(struct smb_fid *)field = (struct smb_fid){value, ~value};
		break;
	case SMB_F_GUID:
		memset(field, (int)i + 1, sizeof(struct smb_guid));
		break;
	case SMB_F_TIMES:
		*(struct smb_times *)field =
			(struct smb_times){value, value + 1, value + 2, value + 3};
		break;
	case SMB_F_OFF8:
	case SMB_F_OFF16:
	case SMB_F_OFF32:
	case SMB_F_INLINE:
		*(struct smb_buf *)field = (struct smb_buf){.p = text16, .len = 2 + i % 7 * 2};
		break;
	}
}

/* Fields that mean something to the decoder. */
static void fill_special(uint8_t kind, struct smb_msg *msg)
{
	switch (kind) {
	case SMB_REQUEST(SMB_NEGOTIATE):
		msg->negotiate_req.dialects = (struct smb_dialects){2, {0x0302, 0x0311}};
		msg->negotiate_req.contexts =
			smb_sample_negotiate(false, &msg->negotiate_req.context_count);
		break;
	case SMB_REPLY(SMB_NEGOTIATE):
		msg->negotiate_rep.dialect = SMB_DIALECT_311;
		msg->negotiate_rep.contexts =
			smb_sample_negotiate(true, &msg->negotiate_rep.context_count);
		break;
	case SMB_REQUEST(SMB_CREATE):
		msg->create_req.contexts = smb_sample_create(false);
		break;
	case SMB_REPLY(SMB_CREATE):
		msg->create_rep.contexts = smb_sample_create(true);
		break;
	case SMB_REQUEST(SMB_LOCK):
		msg->lock_req.locks = (struct smb_locks){2, {{1, 2, 3}, {4, 5, 6}}};
		break;
	case SMB_REPLY(SMB_QUERY_DIRECTORY):
		msg->query_directory_rep.output = smb_sample_directory(SMB_FILE_ID_BOTH_DIRECTORY);
		break;
	case SMB_OPLOCK_NOTIFY:
	case SMB_LEASE_NOTIFY:
		msg->hdr.message_id = SMB_NO_MESSAGE;
		break;
	case SMB_ERROR:
		msg->error.data = smb_sample_error(0, &msg->error.context_count, &msg->hdr.status);
		msg->hdr.command = SMB_CREATE;
		break;
	}
}

void smb_sample_message(uint8_t kind, struct smb_msg *ret_msg)
{
	const struct smb_layout *layout = smb_layout_of(kind);
	unsigned i = 0;

	memset(ret_msg, 0, sizeof(*ret_msg));
	ret_msg->kind = kind;
	ret_msg->hdr = (struct smb_header){.credit_charge = 1,
					   .credits = 2,
					   .flags = SMB_FLAG_SIGNED,
					   .message_id = 3 + kind,
					   .tree_id = 4,
					   .session_id = 5,
					   .signature = "signature"};
	for (const struct smb_field *f = layout->field; f->kind != SMB_F_END; f++, i++)
		fill_field(f, i, (char *)ret_msg + f->offset);
	fill_special(kind, ret_msg);
}

static size_t sample_kind(uint8_t kind, uint8_t *buf)
{
	struct smb_msg msg;
	ssize_t length;

	smb_sample_message(kind, &msg);
	length = smb_encode(&msg, buf, SMB_SAMPLE_MAX);
	smb_must(length > 0);
	return (size_t)length;
}

/* The n-th kind there is; SMB_KINDS: there are fewer. */
static uint8_t nth_kind(unsigned n)
{
	for (uint8_t kind = 0; kind < SMB_KINDS; kind++) {
		if (smb_layout_of(kind) && n-- == 0)
			return kind;
	}
	return SMB_KINDS;
}

static size_t sample_message(unsigned i, uint8_t *buf)
{
	uint8_t kind = nth_kind(i);

	return kind == SMB_KINDS ? 0 : sample_kind(kind, buf);
}

static size_t sample_negotiate(unsigned i, uint8_t *buf)
{
	return i < 2 ? sample_kind((uint8_t)(SMB_REQUEST(SMB_NEGOTIATE) + i), buf) : 0;
}

static size_t sample_session(unsigned i, uint8_t *buf)
{
	return i < 2 ? sample_kind((uint8_t)(SMB_REQUEST(SMB_SESSION_SETUP) + i), buf) : 0;
}

static size_t sample_break(unsigned i, uint8_t *buf)
{
	return i < SMB_ERROR - SMB_OPLOCK_ACK ? sample_kind((uint8_t)(SMB_OPLOCK_ACK + i), buf) : 0;
}

static size_t sample_error(unsigned i, uint8_t *buf)
{
	struct smb_msg msg = {.kind = SMB_ERROR, .hdr = {.command = SMB_CREATE}};

	msg.error.data = smb_sample_error(i, &msg.error.context_count, &msg.hdr.status);
	return msg.error.data.len ? (size_t)smb_encode(&msg, buf, SMB_SAMPLE_MAX) : 0;
}

/* ---------------------------------------------------------------- consume */

static void consume_reply(const struct smb_msg *msg)
{
	static const uint8_t classes[] = {SMB_FILE_FULL_DIRECTORY, SMB_FILE_ID_BOTH_DIRECTORY,
					  SMB_FILE_ID_FULL_DIRECTORY, SMB_FILE_ID_EXTD_DIRECTORY,
					  SMB_FILE_POSIX};
	const struct smb_buf *output = &msg->query_directory_rep.output;

	switch (msg->kind) {
	case SMB_REPLY(SMB_NEGOTIATE):
		smb_consume_negotiate(&msg->negotiate_rep.contexts,
				      msg->negotiate_rep.context_count);
		break;
	case SMB_REPLY(SMB_CREATE):
		smb_consume_create(&msg->create_rep.contexts, true);
		break;
	case SMB_REPLY(SMB_QUERY_DIRECTORY):
		for (unsigned i = 0; i < sizeof(classes); i++)
			smb_consume_directory(classes[i], output->p, output->len);
		break;
	case SMB_REPLY(SMB_QUERY_INFO):
	case SMB_REPLY(SMB_CHANGE_NOTIFY):
		for (unsigned c = 0; c <= 100; c++) {
			smb_consume_info(SMB_INFO_FILE, (uint8_t)c, output->p, output->len);
			smb_consume_info(SMB_INFO_FILESYSTEM, (uint8_t)c, output->p, output->len);
		}
		smb_consume_lists(output->p, output->len);
		break;
	case SMB_REPLY(SMB_IOCTL):
		smb_consume_fsctl(msg->ioctl_rep.code, true, msg->ioctl_rep.output.p,
				  msg->ioctl_rep.output.len);
		smb_consume_reparse(msg->ioctl_rep.output.p, msg->ioctl_rep.output.len);
		break;
	case SMB_ERROR:
		smb_consume_error(&msg->error.data, msg->error.context_count, msg->hdr.status);
		break;
	}
}

static void consume_request(const struct smb_msg *msg)
{
	const struct smb_buf *input = &msg->ioctl_req.input;

	switch (msg->kind) {
	case SMB_REQUEST(SMB_NEGOTIATE):
		smb_consume_negotiate(&msg->negotiate_req.contexts,
				      msg->negotiate_req.context_count);
		break;
	case SMB_REQUEST(SMB_CREATE):
		smb_consume_create(&msg->create_req.contexts, false);
		break;
	case SMB_REQUEST(SMB_IOCTL):
		smb_consume_fsctl(msg->ioctl_req.code, false, input->p, input->len);
		break;
	case SMB_REQUEST(SMB_SET_INFO):
		smb_consume_info(msg->set_info_req.info_type, msg->set_info_req.info_class,
				 msg->set_info_req.input.p, msg->set_info_req.input.len);
		break;
	}
}

static int consume_message(const uint8_t *bytes, size_t size)
{
	static uint8_t again[1 << 18];
	char line[LINE], line_again[LINE];
	struct smb_msg msg, decoded;
	ssize_t length;
	int err = smb_decode(bytes, size, size, &msg);

	if (smb_compound_step(bytes, size) > (ssize_t)size)
		abort();
	if (err) {
		smb_must(err == -EPROTO);
		return err;
	}
	smb_print(&msg, line, sizeof(line));
	length = smb_encode(&msg, again, sizeof(again));
	smb_must(length > 0);
	smb_must(smb_encode(&msg, NULL, 0) == length);
	smb_must(smb_decode(again, (size_t)length, (size_t)length, &decoded) == 0);
	smb_print(&decoded, line_again, sizeof(line_again));
	smb_must(decoded.kind == msg.kind && strcmp(line, line_again) == 0);
	if (msg.hdr.flags & SMB_FLAG_REPLY)
		consume_reply(&msg);
	else
		consume_request(&msg);
	return 0;
}

/* The end of its last buffer; contexts of NEGOTIATE may be cut and are refused on
 * their own. */
static size_t message_needs(const uint8_t *bytes, size_t size)
{
	const struct smb_layout *layout;
	struct smb_msg msg;
	size_t end;

	smb_must(smb_decode(bytes, size, size, &msg) == 0);
	layout = smb_layout_of(msg.kind);
	end = SMB_HEADER + 2 + smb_fields_size(layout->field, &msg);
	for (const struct smb_field *f = layout->field; f->kind != SMB_F_END; f++) {
		const struct smb_buf *buf = (const void *)((const char *)&msg + f->offset);

		if ((f->kind >= SMB_F_OFF8 && f->kind <= SMB_F_OFF32) || f->kind == SMB_F_INLINE)
			end = buf->off + buf->len > end ? buf->off + buf->len : end;
	}
	return end;
}

static size_t sample_transform(unsigned i, uint8_t *buf)
{
	struct smb_transform transform = {.size = SMB_HEADER, .session_id = 7, .nonce = "nonce"};

	if (i > 0)
		return 0;
	memset(buf, 0, SMB_TRANSFORM + SMB_HEADER);
	smb_transform_encode(&transform, buf);
	return SMB_TRANSFORM + SMB_HEADER;
}

static int consume_transform(const uint8_t *bytes, size_t size)
{
	struct smb_transform transform;
	uint8_t again[SMB_TRANSFORM];
	size_t head = size < SMB_TRANSFORM ? size : SMB_TRANSFORM;
	int err = smb_transform_decode(bytes, head, size, &transform);

	if (err)
		return err;
	smb_transform_encode(&transform, again);
	smb_must(memcmp(again, bytes, 36) == 0);
	return 0;
}

const struct smb_target smb_targets[] = {
	{"message", consume_message, sample_message, message_needs},
	{"negotiate", consume_message, sample_negotiate, message_needs},
	{"session", consume_message, sample_session, message_needs},
	{"break", consume_message, sample_break, message_needs},
	{"error", consume_message, sample_error, message_needs},
	{"transform", consume_transform, sample_transform, NULL},
};
const size_t smb_ntargets = sizeof(smb_targets) / sizeof(smb_targets[0]);
