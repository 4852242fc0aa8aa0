/* SPDX-License-Identifier: MIT */
/*
 * What a hostile server says, and what somebody on the way between makes of an honest
 * one's words.  The first is signed with the right key, so that nothing but the
 * client's own checks stands in its way; the second is not.
 */
#include <string.h>
#include "server_smb.h"

enum {
	AT_COMMAND = 12, /* 2.2.1.2 */
	AT_CREDITS = 14,
	AT_FLAGS = 16,
	AT_MESSAGE_ID = 24,
	AT_SIGNATURE = 48,
};

/* Of a frame: a bit, four bytes, or the end. */
static size_t spoil(struct faults *faults, uint8_t *bytes, size_t len)
{
	size_t at = rng_below(&faults->rng, len);

	switch (rng_below(&faults->rng, 3)) {
	case 0:
		bytes[at] ^= (uint8_t)(1u << rng_below(&faults->rng, 8));
		return len;
	case 1:
		at &= ~(size_t)3;
		for (size_t i = at; i < at + 4 && i < len; i++)
			bytes[i] = 0xff;
		return len;
	default:
		return at + 1;
	}
}

/* A level of the dialect, a cipher or a signature less than was agreed on: some two
 * bytes of the offer become others that are small. */
static size_t weaken(struct faults *faults, uint8_t *bytes, size_t len)
{
	size_t at = SMB_HEADER + (rng_below(&faults->rng, len - SMB_HEADER) & ~(size_t)1);

	bytes[at] = (uint8_t)rng_below(&faults->rng, 4);
	if (at + 1 < len)
		bytes[at + 1] = 0;
	return len;
}

void smb_lie_signed(struct conn_smb *conn, struct frame_smb *frame)
{
	struct faults *faults = conn->server->faults;
	uint8_t *bytes = frame->bytes;

	if (frame->len <= SMB_HEADER)
		return;
	switch (rng_below(&faults->rng, 8)) {
	case 0: /* an answer to another message */
		bytes[AT_MESSAGE_ID] ^= (uint8_t)(1u << rng_below(&faults->rng, 4));
		return;
	case 1: /* of another command */
		bytes[AT_COMMAND] = (uint8_t)rng_below(&faults->rng, SMB_COMMANDS + 1);
		return;
	case 2: /* takes all credits, for ever */
		memset(bytes + AT_CREDITS, 0, 2);
		return;
	case 3: /* or gives more than there are */
		memset(bytes + AT_CREDITS, 0xff, 2);
		return;
	case 4:
		frame->len = weaken(faults, bytes, frame->len);
		return;
	default:
		frame->len = spoil(faults, bytes, frame->len);
		return;
	}
}

/* What went out before, again. */
static void replay(struct conn_smb *conn, struct frame_smb *frame)
{
	if (conn->old_len == 0 || conn->old_len > frame->len)
		return;
	memcpy(frame->bytes, conn->old, conn->old_len);
	frame->len = conn->old_len;
}

void smb_lie_on_the_way(struct conn_smb *conn, struct frame_smb *frame)
{
	struct faults *faults = conn->server->faults;

	if (frame->len <= SMB_HEADER)
		return;
	frame->told = frame->len;
	switch (rng_below(&faults->rng, 5)) {
	case 0:
		replay(conn, frame);
		break;
	case 1:
		frame->bytes[AT_FLAGS] &= (uint8_t)~SMB_FLAG_SIGNED;
		memset(frame->bytes + AT_SIGNATURE, 0, 16);
		break;
	case 2: /* a length that is not the frame's */
		frame->told = 1 + rng_below(&faults->rng, 2 * frame->len);
		return;
	case 3: /* or that no frame has */
		frame->told = 0xffffff;
		return;
	default:
		frame->len = spoil(faults, frame->bytes, frame->len);
		break;
	}
	frame->told = frame->len;
}

void smb_lie_remember(struct conn_smb *conn, const struct frame_smb *frame)
{
	if (frame->len > sizeof(conn->old))
		return;
	memcpy(conn->old, frame->bytes, frame->len);
	conn->old_len = frame->len;
}
