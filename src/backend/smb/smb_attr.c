// SPDX-License-Identifier: MIT
/*
 * Attributes: asked for through a handle where there is one, else by name; changed
 * in one compound of CREATE, the changes, CLOSE.
 *
 * Owner and mode are what the mount's options say, or what the file's security
 * descriptor does (smb_owner.c).  Without that a change of them is taken and not kept, as
 * mount.cifs does it, apart from the owner's right to write, which is the attribute
 * "read-only" of files.
 */
#include <string.h>
#include <sys/stat.h>
#include "smb.h"
#include "smb_time.h"

#define ACCESS_OF_SET (SMB_ACCESS_WRITE_ATTRIBUTES | SMB_ACCESS_READ_ATTRIBUTES)

#define SET_OWNER (NETFS_SET_MODE | NETFS_SET_UID | NETFS_SET_GID)
#define SET_TIMES (NETFS_SET_ATIME | NETFS_SET_MTIME | NETFS_SET_ATIME_NOW | NETFS_SET_MTIME_NOW)

static void take(struct smb_call *call, unsigned part)
{
	struct smb_node *node = call->node[0];
	union smb_info info;
	int err = call->err;

	if (!err)
		err = smb_call_all(call, part, &info);
	/* The name leads to another object now. */
	if (!err && !node->is_root && !smb_node_is(node, &info.all, false))
		err = -ESTALE;
	if (!err) {
		smb_owner_take(&call->req, node);
		smb_attr_of_all(node, &info.all, &call->op->attr);
		if (node->is_link) {
			call->op->attr.mode = S_IFLNK | 0777;
			call->op->attr.size = 0;
		}
	}
	smb_call_end(call, err);
}

static void got_by_handle(struct smb_call *call)
{
	take(call, 0);
}

static void got_by_name(struct smb_call *call)
{
	if (call->err == -ENOENT)
		call->err = -ESTALE;
	take(call, 1);
}

static void get_body(struct smb_call *call)
{
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_READ_ATTRIBUTES | smb_owner_access(call),
			       .disposition = SMB_OPEN,
			       .options = SMB_OPT_OPEN_REPARSE_POINT}};

	if (call->handle) {
		if (smb_call_add_query(call, call->handle->fid) &&
		    smb_owner_ask(call, call->handle->fid))
			smb_call_send(call, got_by_handle);
		return;
	}
	if (smb_call_add_create(call, call->node[0], NULL, &msg) &&
	    smb_call_add_query(call, SMB_FID_RELATED) && smb_owner_ask(call, SMB_FID_RELATED) &&
	    smb_call_add_close(call))
		smb_call_send(call, got_by_name);
}

void smb_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(node->be, op, get_body);

	if (!call)
		return;
	call->node[0] = smb_node_of(node);
	if (handle && !atomic_load(&handle->dead) && smb_handle_is_open(smb_handle_of(handle)))
		call->handle = smb_handle_of(handle);
	smb_call_start(call);
}

/* --------------------------------------------------------------- set */

static uint64_t time_of(uint32_t valid, uint32_t value, uint32_t now, const struct netfs_time *time)
{
	uint64_t ns = netfs_clock_real();
	struct netfs_time current = {(int64_t)(ns / NETFS_NS_PER_SEC),
				     (uint32_t)(ns % NETFS_NS_PER_SEC)};

	if (valid & value)
		return smb_time_put(time);
	return valid & now ? smb_time_put(&current) : SMB_TIME_KEEP;
}

/* Times and "read-only"; false: nothing of it is to be set. */
static bool basic_of(const struct smb_call *call, struct smb_file_basic *ret_basic)
{
	const struct netfs_setattr *set = call->set;
	bool mode = set->valid & NETFS_SET_MODE && !call->node[0]->is_dir && !call->conn->owners;

	*ret_basic = (struct smb_file_basic){
		.times = {.accessed = time_of(set->valid, NETFS_SET_ATIME, NETFS_SET_ATIME_NOW,
					      &set->atime),
			  .written = time_of(set->valid, NETFS_SET_MTIME, NETFS_SET_MTIME_NOW,
					     &set->mtime)},
		.attributes = !mode		 ? 0
			      : set->mode & 0222 ? SMB_ATTR_NORMAL
						 : SMB_ATTR_READONLY};
	return mode || ret_basic->times.accessed || ret_basic->times.written;
}

static void set_done(struct smb_call *call)
{
	take(call, call->index);
}

static void set_body(struct smb_call *call)
{
	bool size = call->set->valid & NETFS_SET_SIZE;
	struct smb_msg msg = {
		.create_req = {.access = ACCESS_OF_SET | (size ? SMB_ACCESS_WRITE_DATA : 0),
			       .disposition = SMB_OPEN,
			       .options = SMB_OPT_OPEN_REPARSE_POINT}};
	struct smb_file_basic basic;
	bool some = basic_of(call, &basic);

	/* Four messages fit into a compound: CREATE, EOF and basic, and the query;
	 * the last closes, and is needed. */
	call->changing = size || some;
	call->index = 1 + size + (some && !size);
	if (!smb_call_add_create(call, call->node[0], NULL, &msg))
		return;
	if (size && !smb_call_add_set(call, SMB_FILE_EOF,
				      &(const union smb_info){.value64 = call->set->size}))
		return;
	if (some && !size &&
	    !smb_call_add_set(call, SMB_FILE_BASIC, &(const union smb_info){.basic = basic}))
		return;
	if (smb_call_add_query(call, SMB_FID_RELATED) && smb_call_add_close(call))
		smb_call_send(call, set_done);
}

/* The size first, in a compound of its own; then the rest. */
static void size_set(struct smb_call *call)
{
	struct smb_msg msg = {.create_req = {.access = ACCESS_OF_SET,
					     .disposition = SMB_OPEN,
					     .options = SMB_OPT_OPEN_REPARSE_POINT}};
	struct smb_file_basic basic;

	if (call->err) {
		smb_call_end(call, call->err);
		return;
	}
	basic_of(call, &basic);
	call->index = 2;
	call->changing = true;
	if (smb_call_add_create(call, call->node[0], NULL, &msg) &&
	    smb_call_add_set(call, SMB_FILE_BASIC, &(const union smb_info){.basic = basic}) &&
	    smb_call_add_query(call, SMB_FID_RELATED) && smb_call_add_close(call))
		smb_call_send(call, set_done);
}

static void set_both_body(struct smb_call *call)
{
	struct smb_msg msg = {.create_req = {.access = ACCESS_OF_SET | SMB_ACCESS_WRITE_DATA,
					     .disposition = SMB_OPEN}};

	call->changing = true;
	if (smb_call_add_create(call, call->node[0], NULL, &msg) &&
	    smb_call_add_set(call, SMB_FILE_EOF,
			     &(const union smb_info){.value64 = call->set->size}) &&
	    smb_call_add_close(call))
		smb_call_send(call, size_set);
}

/* The size through a handle: the file may have been made read-only since. */
static void size_by_handle(struct smb_call *call)
{
	uint8_t bytes[16];
	union smb_info info = {.value64 = call->set->size};
	ssize_t len = smb_info_encode(SMB_INFO_FILE, SMB_FILE_EOF, &info, bytes, sizeof(bytes));
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_SET_INFO),
			      .set_info_req = {.info_type = SMB_INFO_FILE,
					       .info_class = SMB_FILE_EOF,
					       .input = {bytes, (uint32_t)len, 0},
					       .fid = call->handle->fid}};

	call->changing = true;
	call->index = 1;
	if (smb_call_add(call, &msg, 0) && smb_call_add_query(call, call->handle->fid))
		smb_call_send(call, set_done);
}

/* Owner and mode are as they are to be.  What else is there? */
static void owner_set(struct smb_call *call)
{
	uint32_t rest = call->set->valid & ~(uint32_t)SET_OWNER;

	if (call->err)
		smb_call_end(call, call->err);
	else if (!rest)
		get_body(call);
	else if (rest & NETFS_SET_SIZE && rest & SET_TIMES)
		set_both_body(call);
	else
		set_body(call);
}

static void set_owner_body(struct smb_call *call)
{
	smb_owner_set(call, owner_set);
}

static smb_step_fn *body_of_set(const struct smb_conn *conn, uint32_t valid)
{
	if (conn->owners && valid & SET_OWNER)
		return set_owner_body;
	return valid & NETFS_SET_SIZE && valid & (SET_TIMES | NETFS_SET_MODE) ? set_both_body
									      : set_body;
}

void smb_setattr(struct netfs_node *node, struct netfs_handle *handle,
		 const struct netfs_setattr *set, struct netfs_op *op)
{
	struct smb_call *call =
		smb_call_for(node->be, op, body_of_set(smb_conn_of(node->be), set->valid));

	if (!call)
		return;
	call->node[0] = smb_node_of(node);
	call->set = set;
	/* What may be opened from now on, the server says. */
	if (set->valid & SET_OWNER)
		smb_idle_close(call->node[0]);
	if (set->valid & NETFS_SET_SIZE)
		smb_head_outdate(call->node[0]);
	if (handle && handle->writable && set->valid == NETFS_SET_SIZE &&
	    !atomic_load(&handle->dead)) {
		call->handle = smb_handle_of(handle);
		call->body = size_by_handle;
	}
	smb_call_start(call);
}

/* ------------------------------------------------------------ statfs */

static void statfs_got(struct smb_call *call)
{
	const struct smb_msg *reply = &call->req.part[1].reply;
	union smb_info info;
	int err = call->err;

	if (!err && reply->kind != SMB_REPLY(SMB_QUERY_INFO))
		err = -EPROTO;
	if (!err)
		err = smb_info_decode(SMB_INFO_FILESYSTEM, SMB_FS_FULL_SIZE,
				      reply->query_info_rep.output.p,
				      reply->query_info_rep.output.len, &info);
	if (!err)
		call->op->statfs = (struct netfs_statfs){.bsize = info.full_size.sectors_per_unit *
								  info.full_size.bytes_per_sector,
							 .namelen = NETFS_NAME_MAX,
							 .blocks = info.full_size.total,
							 .bfree = info.full_size.free,
							 .bavail = info.full_size.caller_free};
	smb_call_end(call, err);
}

static void statfs_body(struct smb_call *call)
{
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_READ_ATTRIBUTES, .disposition = SMB_OPEN}};
	struct smb_msg query = {.kind = SMB_REQUEST(SMB_QUERY_INFO),
				.query_info_req = {.info_type = SMB_INFO_FILESYSTEM,
						   .info_class = SMB_FS_FULL_SIZE,
						   .max_output = 4096,
						   .fid = SMB_FID_RELATED}};

	if (smb_call_add_create(call, call->node[0], NULL, &msg) && smb_call_add(call, &query, 0) &&
	    smb_call_add_close(call))
		smb_call_send(call, statfs_got);
}

void smb_statfs(struct netfs_node *node, struct netfs_op *op)
{
	struct smb_call *call = smb_call_for(node->be, op, statfs_body);

	if (!call)
		return;
	call->node[0] = smb_node_of(node);
	smb_call_start(call);
}
