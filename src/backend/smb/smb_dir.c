// SPDX-License-Identifier: MIT
/*
 * Directories.
 *
 * SMB enumerates a handle from its start in one go, without places to come back to
 * (MS-SMB2 3.3.5.18).  So a listing is fetched whole, a megabyte at a time, when it
 * is read from the start, and is kept with the handle; a cookie is a place in it.
 *
 *	listing  | ino type len name | ino type len name | ...
 *	                             ^ cookie
 *
 * One readdir of a handle at a time (vfs), so the listing needs no lock.
 */
#include <string.h>
#include <sys/stat.h>
#include "smb.h"

#define LISTING_MAX (UINT64_C(256) << 20) /* bytes of names of one directory */

struct entry {
	uint64_t ino;
	uint32_t type;
	uint32_t name_len;
};

static int listing_put(struct smb_listing *listing, const struct entry *entry, const char *name)
{
	size_t more = sizeof(*entry) + entry->name_len;

	if (listing->len + more > LISTING_MAX)
		return -EOVERFLOW;
	if (listing->len + more > listing->room) {
		size_t room = listing->room ? listing->room * 2 : 65536;
		uint8_t *bytes = netfs_realloc(listing->bytes, room);

		if (!bytes)
			return -ENOMEM;
		listing->bytes = bytes;
		listing->room = room;
	}
	memcpy(listing->bytes + listing->len, entry, sizeof(*entry));
	memcpy(listing->bytes + listing->len + sizeof(*entry), name, entry->name_len);
	listing->len += more;
	listing->count++;
	return 0;
}

/* One entry as the server tells it; a name that is none here is left out. */
static int take_entry(struct smb_call *call, const struct smb_dirent *from)
{
	char name[3 * NETFS_NAME_MAX + 1];
	ssize_t len =
		smb_utf16_get(from->name.p, from->name.len, call->conn->map, name, sizeof(name));
	struct entry entry = {.ino = from->file_id,
			      .type = from->attributes & SMB_ATTR_DIRECTORY ? S_IFDIR : S_IFREG};

	if (len <= 0 || len > NETFS_NAME_MAX || memchr(name, '/', (size_t)len))
		return 0;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return 0;
	/* It may be a link inside a file. */
	if (call->conn->mfsymlinks && entry.type == S_IFREG && from->size == 1067)
		entry.type = 0;
	entry.name_len = (uint32_t)len;
	return listing_put(&call->handle->listing, &entry, name);
}

static void fill(struct smb_call *call)
{
	const struct smb_listing *listing = &call->handle->listing;
	size_t pos = 0;

	while (pos < listing->len) {
		struct entry entry;
		size_t next;

		memcpy(&entry, listing->bytes + pos, sizeof(entry));
		next = pos + sizeof(entry) + entry.name_len;
		if (pos >= call->cookie) {
			struct netfs_dirent dirent = {.name = (const char *)listing->bytes + pos +
							      sizeof(entry),
						      .name_len = entry.name_len,
						      .type = entry.type,
						      .ino = entry.ino,
						      .next = next};

			if (!call->op->fill(call->op, &dirent)) {
				smb_call_end(call, 0);
				return;
			}
		}
		pos = next;
	}
	call->op->eof = true;
	smb_call_end(call, 0);
}

static void fetch(struct smb_call *call, bool restart);

static void fetched(struct smb_call *call)
{
	const struct smb_part *part = &call->req.part[0];
	struct smb_dirent entry;
	struct smb_list list;
	int more, err = 0;

	if (part->status == SMB_STATUS_NO_MORE_FILES || part->status == SMB_STATUS_NO_SUCH_FILE) {
		call->handle->listing.whole = true;
		fill(call);
		return;
	}
	if (call->err || part->reply.kind != SMB_REPLY(SMB_QUERY_DIRECTORY)) {
		smb_call_end(call, call->err ? call->err : -EPROTO);
		return;
	}
	smb_list_init(&list, SMB_FILE_ID_FULL_DIRECTORY, part->reply.query_directory_rep.output.p,
		      part->reply.query_directory_rep.output.len);
	while (!err && (more = smb_dirent_next(&list, &entry)) > 0)
		err = take_entry(call, &entry);
	if (!err && more < 0)
		err = more;
	if (!err && call->op->most && call->handle->listing.count > call->op->most)
		err = -E2BIG;
	if (err)
		smb_call_end(call, err);
	else
		fetch(call, false);
}

/* As much as there are credits for at this moment: to wait for all that there were once,
 * while a lost answer holds one, would be to wait for ever. */
static size_t size_now(struct smb_conn *conn)
{
	size_t size;

	netfs_mutex_lock(&conn->lock);
	size = smb_credits_slice_locked(conn, conn->max_transact);
	netfs_mutex_unlock(&conn->lock);
	return size > SMB_CREDIT_BYTES ? size : SMB_CREDIT_BYTES;
}

static void fetch(struct smb_call *call, bool restart)
{
	static const uint8_t star[2] = {'*', 0};
	size_t size = size_now(call->conn);
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_QUERY_DIRECTORY),
			      .query_directory_req = {.info_class = SMB_FILE_ID_FULL_DIRECTORY,
						      .flags = restart ? SMB_FIND_RESTART : 0,
						      .fid = call->handle->fid,
						      .pattern = {star, sizeof(star), 0},
						      .max_output = (uint32_t)size}};

	if (smb_call_add(call, &msg, size))
		smb_call_send(call, fetched);
}

static void readdir_body(struct smb_call *call)
{
	struct smb_listing *listing = &call->handle->listing;

	if (call->cookie && listing->whole) {
		fill(call);
		return;
	}
	listing->len = 0;
	listing->count = 0;
	listing->whole = false;
	fetch(call, true);
}

void smb_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(handle->be, op, readdir_body);

	if (!call)
		return;
	op->eof = false;
	call->handle = smb_handle_of(handle);
	call->cookie = cookie;
	smb_call_start(call);
}
