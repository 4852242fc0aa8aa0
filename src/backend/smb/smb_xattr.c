// SPDX-License-Identifier: MIT
/*
 * Extended attributes: what Linux calls user.NAME is the extended attribute NAME of
 * a file (MS-FSCC 2.4.16).  Other namespaces do not exist.
 *
 * Servers do not tell the case of these names apart and have them in ASCII; they
 * have no empty values, because setting one removes it, and at most 64 KiB for all
 * of a file.  A query brings all attributes of the file from servers that do not
 * look at the names asked for (Samba), so the right one is picked here.
 *
 * The file is opened by name, and told apart from another one that has its name by
 * now in the same compound.
 */
#include <string.h>
#include <sys/xattr.h>
#include "smb.h"

#define PREFIX	    "user."
#define PREFIX_LEN  (sizeof(PREFIX) - 1)
#define EAS_MAX	    (256u << 10) /* bytes of all attributes of a file that are asked for */
#define EA_MAX	    65535u
#define EA_NAME_MAX 255u
#define ENTRY_HEAD  9u /* of an entry, beside name and value */

enum part {
	OPENED,
	ATTRIBUTES,
	FILE_ITSELF
};

/* ------------------------------------------------------------ names */

/* The name at the server; NULL: op was ended, such a name cannot be. */
static const char *server_name(const char *name, struct netfs_op *op)
{
	const char *rest = name + PREFIX_LEN;
	size_t len;

	if (strncmp(name, PREFIX, PREFIX_LEN) != 0) {
		op->done(op, -EOPNOTSUPP);
		return NULL;
	}
	len = strlen(rest);
	for (size_t i = 0; i < len; i++)
		if (rest[i] <= ' ' || rest[i] > '~')
			len = 0;
	if (len == 0 || len > EA_NAME_MAX) {
		op->done(op, len ? -ERANGE : -EINVAL);
		return NULL;
	}
	return rest;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_name(const struct smb_buf *a, const char *b, bool any_case)
{
	const char *text = a->p;

	if (a->len != strlen(b))
		return false;
	for (uint32_t i = 0; i < a->len; i++)
		if (text[i] != b[i] && !(any_case && lower(text[i]) == lower(b[i])))
			return false;
	return true;
}

/* ------------------------------------------------------- the answer */

static void listing(const struct smb_call *call, struct smb_list *ret_list)
{
	const struct smb_buf *output = &call->req.part[ATTRIBUTES].reply.query_info_rep.output;
	bool none = call->req.part[ATTRIBUTES].status == SMB_STATUS_NO_EAS_ON_FILE;

	smb_list_init(ret_list, SMB_FILE_FULL_EA, none ? NULL : output->p, none ? 0 : output->len);
}

/* Is there an answer, and is it about the file that was meant? */
static int answer(const struct smb_call *call)
{
	const struct smb_part *part = call->req.part;
	bool none = part[ATTRIBUTES].status == SMB_STATUS_NO_EAS_ON_FILE;
	union smb_info info;
	int err;

	if (call->err && !(none && call->failed == ATTRIBUTES))
		return call->err == -ENOENT && call->failed == OPENED ? -ESTALE : call->err;
	if (part[ATTRIBUTES].status == SMB_STATUS_BUFFER_OVERFLOW)
		return -E2BIG;
	if (!none && part[ATTRIBUTES].reply.kind != SMB_REPLY(SMB_QUERY_INFO))
		return -EPROTO;
	err = smb_call_all(call, FILE_ITSELF, &info);
	if (!err && !call->node[0]->is_root && !smb_node_is(call->node[0], &info.all, false))
		err = -ESTALE;
	return err;
}

/* The value of call->name2; -ENODATA; -EPROTO. */
static int find(const struct smb_call *call, struct smb_buf *ret_value)
{
	struct smb_list list;
	struct smb_ea ea;
	bool found = false;
	int more;

	listing(call, &list);
	while ((more = smb_ea_next(&list, &ea)) > 0) {
		bool exact = same_name(&ea.name, call->name2, false);

		if (ea.value.len == 0 || !(exact || same_name(&ea.name, call->name2, true)))
			continue;
		if (exact || !found)
			*ret_value = ea.value;
		found = true;
	}
	if (more < 0)
		return more;
	return found ? 0 : -ENODATA;
}

/* len bytes of the answer: as many as there is room for, or how many there are. */
static int deliver(struct netfs_op *op, const void *bytes, size_t len)
{
	op->count = len;
	if (op->buf_size == 0)
		return 0;
	if (len > op->buf_size)
		return -ERANGE;
	memcpy(op->buf, bytes, len);
	return 0;
}

/* --------------------------------------------------------- get, list */

/* The list of one name. */
static struct smb_buf wanted_list(const char *name, uint8_t *room, size_t size)
{
	struct smb_buf text = {name, (uint32_t)strlen(name), 0};
	struct smb_list_writer list;

	smb_list_writer_init(&list, 0, room, size);
	if (smb_ea_name_put(&list, &text))
		return (struct smb_buf){0};
	return (struct smb_buf){room, (uint32_t)list.pos, 0};
}

static bool add_query(struct smb_call *call)
{
	uint32_t most = call->conn->max_transact < EAS_MAX ? call->conn->max_transact : EAS_MAX;
	uint8_t wanted[ENTRY_HEAD + EA_NAME_MAX];
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_READ_EA | SMB_ACCESS_READ_ATTRIBUTES,
			       .disposition = SMB_OPEN,
			       .options = SMB_OPT_OPEN_REPARSE_POINT}};
	struct smb_msg query = {.kind = SMB_REQUEST(SMB_QUERY_INFO),
				.query_info_req = {.info_type = SMB_INFO_FILE,
						   .info_class = SMB_FILE_FULL_EA,
						   .max_output = most,
						   .flags = SMB_QUERY_RESTART,
						   .fid = SMB_FID_RELATED}};

	if (call->name2)
		query.query_info_req.input = wanted_list(call->name2, wanted, sizeof(wanted));
	return smb_call_add_create(call, call->node[0], NULL, &msg) &&
	       smb_call_add(call, &query, most) && smb_call_add_query(call, SMB_FID_RELATED) &&
	       smb_call_add_close(call);
}

static void value_got(struct smb_call *call)
{
	struct smb_buf value;
	int err = answer(call);

	if (!err)
		err = find(call, &value);
	if (!err)
		err = deliver(call->op, value.p, value.len);
	smb_call_end(call, err);
}

static void get_body(struct smb_call *call)
{
	if (add_query(call))
		smb_call_send(call, value_got);
}

static struct smb_call *start(struct netfs_node *node, const char *name, struct netfs_op *op,
			      smb_step_fn *body)
{
	struct smb_call *call = smb_call_for(node->be, op, body);

	if (!call)
		return NULL;
	call->node[0] = smb_node_of(node);
	/* Not call->name: that is one in a directory. */
	call->name2 = name;
	return call;
}

void smb_getxattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	struct smb_call *call;

	name = server_name(name, op);
	if (!name)
		return;
	call = start(node, name, op, get_body);
	if (call)
		smb_call_start(call);
}

/* With "user." before each and a NUL behind; counts where text is NULL. */
static int put_names(const struct smb_call *call, char *text, size_t *ret_len)
{
	struct smb_list list;
	struct smb_ea ea;
	size_t len = 0;
	int more;

	listing(call, &list);
	while ((more = smb_ea_next(&list, &ea)) > 0) {
		if (ea.value.len == 0 || memchr(ea.name.p, '\0', ea.name.len))
			continue;
		if (text) {
			memcpy(text + len, PREFIX, PREFIX_LEN);
			memcpy(text + len + PREFIX_LEN, ea.name.p, ea.name.len);
			text[len + PREFIX_LEN + ea.name.len] = '\0';
		}
		len += PREFIX_LEN + ea.name.len + 1;
	}
	*ret_len = len;
	return more;
}

static void names_got(struct smb_call *call)
{
	size_t len = 0;
	int err = answer(call);

	if (!err)
		err = put_names(call, NULL, &len);
	if (!err && call->op->buf_size > 0 && len > call->op->buf_size)
		err = -ERANGE;
	if (!err && call->op->buf_size > 0)
		err = put_names(call, call->op->buf, &len);
	call->op->count = len;
	smb_call_end(call, err);
}

static void list_body(struct smb_call *call)
{
	if (add_query(call))
		smb_call_send(call, names_got);
}

void smb_listxattr(struct netfs_node *node, struct netfs_op *op)
{
	struct smb_call *call = start(node, NULL, op, list_body);

	if (call)
		smb_call_start(call);
}

/* ------------------------------------------------------- set, remove */

static void is_set(struct smb_call *call)
{
	union smb_info info;
	int err = call->err;

	if (err == -ENOENT && call->failed == OPENED)
		err = -ESTALE;
	if (!err)
		err = smb_call_all(call, FILE_ITSELF, &info);
	if (!err && !call->node[0]->is_root && !smb_node_is(call->node[0], &info.all, false))
		err = -ESTALE;
	smb_call_end(call, err);
}

static void set_value(struct smb_call *call)
{
	size_t room = ENTRY_HEAD + strlen(call->name2) + call->len;
	struct smb_msg create = {
		.create_req = {.access = SMB_ACCESS_WRITE_EA | SMB_ACCESS_READ_ATTRIBUTES,
			       .disposition = SMB_OPEN,
			       .options = SMB_OPT_OPEN_REPARSE_POINT}};
	struct smb_msg msg = {.kind = SMB_REQUEST(SMB_SET_INFO),
			      .set_info_req = {.info_type = SMB_INFO_FILE,
					       .info_class = SMB_FILE_FULL_EA,
					       .fid = SMB_FID_RELATED}};
	struct smb_ea ea = {.name = {call->name2, (uint32_t)strlen(call->name2), 0},
			    .value = {call->value, (uint32_t)call->len, 0}};
	struct smb_list_writer list;

	netfs_free(call->buf);
	call->buf = netfs_alloc(room);
	if (!call->buf) {
		smb_call_end(call, -ENOMEM);
		return;
	}
	smb_list_writer_init(&list, 0, call->buf, room);
	if (smb_ea_put(&list, &ea)) {
		smb_call_end(call, -E2BIG);
		return;
	}
	msg.set_info_req.input = (struct smb_buf){call->buf, (uint32_t)list.pos, 0};
	call->changing = true;
	if (smb_call_add_create(call, call->node[0], NULL, &create) &&
	    smb_call_add(call, &msg, list.pos) && smb_call_add_query(call, SMB_FID_RELATED) &&
	    smb_call_add_close(call))
		smb_call_send(call, is_set);
}

/* May it be made, or replaced?  Where the first try may have done it, it has. */
static void looked(struct smb_call *call)
{
	struct smb_buf value = {0};
	int err = answer(call);
	bool there, done;

	if (!err)
		err = find(call, &value);
	if (err && err != -ENODATA) {
		smb_call_end(call, err);
		return;
	}
	there = err == 0;
	done = call->len == 0 ? !there
			      : there && value.len == call->len &&
					memcmp(value.p, call->value, call->len) == 0;
	if (call->resent && done)
		smb_call_end(call, 0);
	else if (there && call->flags & XATTR_CREATE)
		smb_call_end(call, -EEXIST);
	else if (!there && call->flags & XATTR_REPLACE)
		smb_call_end(call, -ENODATA);
	else
		set_value(call);
}

static void set_body(struct smb_call *call)
{
	if (!call->flags)
		set_value(call);
	else if (add_query(call))
		smb_call_send(call, looked);
}

static void start_set(struct netfs_node *node, const char *name, const void *value, size_t size,
		      uint32_t flags, struct netfs_op *op)
{
	struct smb_call *call = start(node, name, op, set_body);

	if (!call)
		return;
	call->value = value;
	call->len = size;
	call->flags = flags & (XATTR_CREATE | XATTR_REPLACE);
	smb_call_start(call);
}

void smb_setxattr(struct netfs_node *node, const char *name, const void *value, size_t size,
		  uint32_t flags, struct netfs_op *op)
{
	name = server_name(name, op);
	if (!name)
		return;
	if (size == 0 || size > EA_MAX)
		op->done(op, size ? -E2BIG : -EINVAL);
	else
		start_set(node, name, value, size, flags, op);
}

void smb_removexattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	name = server_name(name, op);
	if (name)
		start_set(node, name, NULL, 0, XATTR_REPLACE, op);
}
