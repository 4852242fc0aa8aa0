/* SPDX-License-Identifier: MIT */
/*
 * Treaddir: a directory in pieces of one message, parsed entry by entry.
 *
 * The positions handed out are the server's.  "." and ".." are left out; where
 * a piece holds nothing else the next one is asked for, since the caller takes
 * an empty answer for the end.  An entry that does not parse, or whose name
 * could not be a name, fails the listing: nothing after it can be trusted.
 */
#include <sys/stat.h>
#include <wire/cursor.h>
#include "p9.h"

#define READDIR_BYTES_MAX (256u << 10) /* one piece; a thousand entries and more */

static void ask(struct p9_call *call);

/* Parsing one piece. */
struct piece {
	struct netfs_reader reader;
	uint64_t last; /* position after the last entry seen */
	unsigned taken;
	bool full; /* the caller takes no more */
};

static bool is_dot(const char *name, size_t len)
{
	return len > 0 && name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

/* One entry to the caller.  -EIO where it is malformed. */
static int take_entry(struct p9_call *call, struct piece *piece)
{
	struct netfs_reader *r = &piece->reader;
	struct netfs_dirent entry = {0};
	uint8_t type;

	netfs_reader_bytes(r, 1 + 4); /* the qid's type and version */
	entry.ino = netfs_reader_u64(r);
	entry.next = netfs_reader_u64(r);
	type = netfs_reader_u8(r);
	entry.name_len = netfs_reader_u16(r);
	entry.name = netfs_reader_bytes(r, entry.name_len);
	if (r->bad)
		return -EIO;
	if (!is_dot(entry.name, entry.name_len)) {
		if (!p9_name_good(entry.name, entry.name_len))
			return -EIO;
		/* It is a DT_ value, which is the type bits of a mode. */
		entry.type = ((uint32_t)type << 12) & S_IFMT;
		if (!call->op->fill(call->op, &entry)) {
			piece->full = true;
			return 0;
		}
		piece->taken++;
	}
	piece->last = entry.next;
	return 0;
}

static void got_piece(struct p9_call *call)
{
	uint32_t count = call->reply->rreaddir.data.count;
	struct piece piece = {.last = call->cookie};
	int err = 0;

	netfs_reader_init(&piece.reader, call->buf, count);
	while (!err && !piece.full && piece.reader.left > 0)
		err = take_entry(call, &piece);
	if (err || piece.full || piece.taken > 0 || count == 0) {
		call->op->eof = !err && count == 0;
		p9_call_finish(call, err);
	} else if (piece.last == call->cookie) {
		/* It would be the same piece for ever. */
		p9_call_finish(call, -EIO);
	} else {
		call->cookie = piece.last;
		ask(call);
	}
}

static void ask(struct p9_call *call)
{
	struct p9_msg msg = {.type = P9_TREADDIR,
			     .treaddir = {.fid = call->hfid->num,
					  .offset = call->cookie,
					  .count = (uint32_t)call->iov.iov_len}};

	call->req.into = &call->iov;
	call->req.ninto = 1;
	call->req.count = (uint32_t)call->iov.iov_len;
	p9_call_send(call, &msg, got_piece);
}

static void readdir_body(struct p9_call *call)
{
	size_t size = p9_conn_room(call->conn);

	size = size < READDIR_BYTES_MAX ? size : READDIR_BYTES_MAX;
	call->buf = netfs_alloc(size);
	if (!call->buf) {
		p9_call_finish(call, -ENOMEM);
		return;
	}
	call->iov.iov_base = call->buf;
	call->iov.iov_len = size;
	ask(call);
}

void p9_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op)
{
	struct p9_call *call = p9_call_on_handle(handle, op, readdir_body);

	if (!call)
		return;
	call->cookie = cookie;
	p9_call_start(call);
}
