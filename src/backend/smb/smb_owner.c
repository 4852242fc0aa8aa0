// SPDX-License-Identifier: MIT
/*
 * Owner and mode in a file's security descriptor, for mounts that want them from there
 * (cifsacl, modefromsid).
 *
 * They come along with whatever asks for attributes by name: one message more in the
 * compound, no round trip.  A node keeps what its descriptor said last; attributes that
 * are told without it, after a write of the size for example, are completed from there.
 * The question may fail by itself: who may not read a descriptor sees what the mount's
 * options say, and so does who may not even open the file for that.
 *
 *	set    CREATE, query all, query descriptor, CLOSE
 *	       CREATE, set descriptor, query descriptor, CLOSE
 *	make   CREATE, query all, query descriptor ... and the same, if its mode is another
 *
 * A descriptor is changed, never made anew: what it says of others stays.
 *
 * Locks: conn->lock for what a node keeps.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include "smb.h"

#define SECURITY_MAX 65536u /* bytes of a descriptor, and one credit */
#define ABOUT	     (SMB_SECURITY_OWNER | SMB_SECURITY_GROUP | SMB_SECURITY_DACL)

static enum smb_security_how how_read(const struct smb_conn *conn)
{
	return conn->owners == SMB_OWNERS_EXACT ? SMB_SECURITY_EXACT : SMB_SECURITY_LIST;
}

/* May what is set hold identifiers of the S-1-5-88 family? */
static bool nfs_sids(struct smb_conn *conn)
{
	return (conn->owners == SMB_OWNERS_EXACT || conn->nfs_ids) &&
	       !atomic_load_explicit(&conn->drops_nfs, memory_order_relaxed);
}

static enum smb_security_how how_set(struct smb_conn *conn)
{
	return nfs_sids(conn) ? how_read(conn) : SMB_SECURITY_LIST;
}

/* --------------------------------------------------------------- ask */

uint32_t smb_owner_access(const struct smb_call *call)
{
	return call->conn->owners && !call->no_owner ? SMB_ACCESS_READ_CONTROL : 0;
}

static struct smb_msg query_of(struct smb_fid fid)
{
	return (struct smb_msg){.kind = SMB_REQUEST(SMB_QUERY_INFO),
				.query_info_req = {.info_type = SMB_INFO_SECURITY,
						   .max_output = SECURITY_MAX,
						   .additional = ABOUT,
						   .fid = fid}};
}

bool smb_owner_ask(struct smb_call *call, struct smb_fid fid)
{
	struct smb_msg msg = query_of(fid);

	if (!smb_owner_access(call))
		return true;
	if (!smb_call_add(call, &msg, SECURITY_MAX))
		return false;
	call->req.part[call->req.nparts - 1].aside = true;
	return true;
}

int smb_owner_add(struct smb_req *req, struct smb_fid fid)
{
	struct smb_msg msg = query_of(fid);
	int err = smb_req_add(req, &msg, smb_charge(SECURITY_MAX));

	if (!err)
		req->part[req->nparts - 1].aside = true;
	return err;
}

static const struct smb_part *answer_of(const struct smb_req *req)
{
	for (uint32_t i = 0; i < req->nparts; i++)
		if (req->part[i].aside)
			return &req->part[i];
	return NULL;
}

bool smb_owner_refused(struct smb_call *call)
{
	const struct smb_part *first = &call->req.part[0];

	if (!smb_owner_access(call) || !answer_of(&call->req) || first->command != SMB_CREATE ||
	    first->status != SMB_STATUS_ACCESS_DENIED)
		return false;
	call->no_owner = true;
	return true;
}

/* -------------------------------------------------------------- take */

static int decode(const struct smb_part *part, struct smb_security *ret_security)
{
	const struct smb_buf *output = &part->reply.query_info_rep.output;

	if (part->status != SMB_STATUS_OK)
		return smb_status_errno(part->status);
	if (part->reply.kind != SMB_REPLY(SMB_QUERY_INFO))
		return -EPROTO;
	return smb_security_decode(output->p, output->len, ret_security);
}

/* Those of this machine; others are the mount's. */
static void owner_of(const struct smb_conn *conn, const struct smb_security *security,
		     struct smb_owner *ret_owner)
{
	uint32_t number;

	*ret_owner = (struct smb_owner){.uid = conn->uid, .gid = conn->gid};
	if (!conn->force_uid && smb_sid_number(&security->owner, &number) == SMB_SID_UID)
		ret_owner->uid = number;
	if (!conn->force_gid && smb_sid_number(&security->group, &number) == SMB_SID_GID)
		ret_owner->gid = number;
	ret_owner->known = smb_security_mode(security, how_read(conn), &ret_owner->mode);
}

static void learn(struct smb_node *node, const struct smb_owner *owner)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);

	netfs_mutex_lock(&conn->lock);
	node->owner = *owner;
	netfs_mutex_unlock(&conn->lock);
}

void smb_owner_take(struct smb_req *req, struct smb_node *node)
{
	const struct smb_part *part = answer_of(req);
	struct smb_security security;
	struct smb_owner owner = {0};

	if (!part)
		return;
	if (decode(part, &security) == 0)
		owner_of(smb_conn_of(node->base.be), &security, &owner);
	learn(node, &owner);
}

void smb_owner_apply(const struct smb_node *node, struct netfs_attr *attr)
{
	struct smb_conn *conn = smb_conn_of(node->base.be);
	struct smb_owner owner;

	if (!conn->owners)
		return;
	netfs_mutex_lock(&conn->lock);
	owner = node->owner;
	netfs_mutex_unlock(&conn->lock);
	if (!owner.known)
		return;
	attr->mode = (attr->mode & S_IFMT) | owner.mode;
	attr->uid = owner.uid;
	attr->gid = owner.gid;
}

/* --------------------------------------------------------------- set */

static struct smb_sid new_sid(struct smb_conn *conn, enum smb_sid_number what, uint32_t id)
{
	return conn->nfs_ids && nfs_sids(conn) ? smb_sid_of_nfs(what, id) : smb_sid_of(what, id);
}

/* Which parts of it change.  What stays is not sent: few may give a file away. */
static uint32_t change_owner(struct smb_conn *conn, const struct smb_owner *old,
			     const struct smb_owner *new, struct smb_security_change *change)
{
	uint32_t additional = SMB_SECURITY_DACL;

	if (new->uid != old->uid) {
		change->owner = new_sid(conn, SMB_SID_UID, new->uid);
		additional |= SMB_SECURITY_OWNER;
	}
	if (new->gid != old->gid) {
		change->group = new_sid(conn, SMB_SID_GID, new->gid);
		additional |= SMB_SECURITY_GROUP;
	}
	return additional;
}

/* The descriptor as it is to be goes into call->buf.  -EMSGSIZE: too much is said of
 * others. */
static int encode(struct smb_call *call, struct smb_security *security,
		  const struct smb_security_change *change, uint32_t additional)
{
	ssize_t len;
	int err = smb_security_set(security, change);

	if (err)
		return err;
	if (!(additional & SMB_SECURITY_OWNER))
		security->owner = (struct smb_sid){0};
	if (!(additional & SMB_SECURITY_GROUP))
		security->group = (struct smb_sid){0};
	netfs_free(call->buf);
	call->buf = netfs_alloc(SECURITY_MAX);
	if (!call->buf)
		return -ENOMEM;
	len = smb_security_encode(security, call->buf, SECURITY_MAX);
	call->count = len < 0 ? 0 : (uint32_t)len;
	return len < 0 ? (int)len : 0;
}

/* CREATE of node, SET_INFO.  security may lie in the replies that this request takes the
 * place of.  False: the call ended. */
static bool add_change(struct smb_call *call, struct smb_node *node, struct smb_security *security,
		       const struct smb_owner *old, const struct smb_owner *new)
{
	struct smb_security_change change = {security->owner, security->group, new->mode,
					     how_set(call->conn)};
	uint32_t additional = change_owner(call->conn, old, new, &change);
	bool gives = additional != SMB_SECURITY_DACL;
	struct smb_msg create = {.create_req = {.access = SMB_ACCESS_READ_CONTROL |
							  SMB_ACCESS_WRITE_DAC |
							  (gives ? SMB_ACCESS_WRITE_OWNER : 0),
						.disposition = SMB_OPEN,
						.options = SMB_OPT_OPEN_REPARSE_POINT}};
	struct smb_msg set = {.kind = SMB_REQUEST(SMB_SET_INFO),
			      .set_info_req = {.info_type = SMB_INFO_SECURITY,
					       .additional = additional,
					       .fid = SMB_FID_RELATED}};
	int err = encode(call, security, &change, additional);

	if (err) {
		smb_call_end(call, err);
		return false;
	}
	call->changing = true;
	set.set_info_req.input = (struct smb_buf){call->buf, call->count, 0};
	return smb_call_add_create(call, node, NULL, &create) &&
	       smb_call_add(call, &set, call->count);
}

/* Whom it was to belong to; what is forced here nobody asks the server for. */
static bool is_given(const struct smb_call *call, const struct smb_owner *owner)
{
	uint32_t valid = call->set ? call->set->valid : 0;

	return (!(valid & NETFS_SET_UID) || call->conn->force_uid ||
		owner->uid == call->set->uid) &&
	       (!(valid & NETFS_SET_GID) || call->conn->force_gid || owner->gid == call->set->gid);
}

/*
 * Samba takes a descriptor with S-1-5-88 in its list, says well done and does nothing.
 * True once: from now on it gets others.
 */
static bool dropped(struct smb_call *call, const struct smb_security *security, bool given)
{
	struct smb_conn *conn = call->conn;
	bool exact = how_set(conn) != SMB_SECURITY_EXACT || smb_security_is_exact(security);

	if (!nfs_sids(conn) || (exact && given))
		return false;
	if (!atomic_exchange(&conn->drops_nfs, true) && conn->host && conn->host->note)
		conn->host->note(conn->host,
				 "the server does not keep S-1-5-88 identifiers (modefromsid, "
				 "idsfromsid); modes are kept as access lists, as with cifsacl");
	return true;
}

/* Where "read-only" stands against the mode it goes, too. */
static void make_writable(struct smb_call *call)
{
	struct smb_msg create = {.create_req = {.access = SMB_ACCESS_WRITE_ATTRIBUTES,
						.disposition = SMB_OPEN,
						.options = SMB_OPT_OPEN_REPARSE_POINT}};
	union smb_info normal = {.basic = {.attributes = SMB_ATTR_NORMAL}};

	if (call->err || !(call->attributes & SMB_ATTR_READONLY) || !(call->set->mode & 0222)) {
		call->after(call);
		return;
	}
	call->changing = true;
	if (smb_call_add_create(call, call->node[0], NULL, &create) &&
	    smb_call_add_set(call, SMB_FILE_BASIC, &normal) && smb_call_add_close(call))
		smb_call_send(call, call->after);
}

/* It said yes; what did it do? */
static void changed(struct smb_call *call)
{
	const struct smb_part *part = answer_of(&call->req);
	struct smb_security security;
	struct smb_owner owner;
	bool given;

	if (!call->err && part && decode(part, &security) == 0) {
		owner_of(call->conn, &security, &owner);
		given = is_given(call, &owner);
		if (dropped(call, &security, given)) {
			smb_owner_set(call, call->after);
			return;
		}
		learn(call->node[0], &owner);
		if (!given)
			call->err = -EPERM;
	}
	make_writable(call);
}

/* Of a mode what is kept. */
static uint32_t kept(struct smb_conn *conn, uint32_t mode)
{
	return mode & (how_set(conn) == SMB_SECURITY_EXACT ? 07777 : 0777);
}

/* How it is to be: what is not to be changed is as it was, or was shown. */
static struct smb_owner wanted(const struct smb_call *call, const struct smb_owner *old)
{
	const struct netfs_setattr *set = call->set;
	struct smb_conn *conn = call->conn;
	struct smb_owner new = *old;

	if (!old->known)
		new.mode = kept(conn, call->node[0]->is_dir ? conn->dir_mode : conn->file_mode);
	if (set->valid & NETFS_SET_UID && !conn->force_uid)
		new.uid = set->uid;
	if (set->valid & NETFS_SET_GID && !conn->force_gid)
		new.gid = set->gid;
	if (set->valid & NETFS_SET_MODE)
		new.mode = kept(conn, set->mode);
	return new;
}

/* Parts 0 to 2 found it, and what it is now. */
static void looked(struct smb_call *call)
{
	struct smb_node *node = call->node[0];
	struct smb_owner old, new;
	struct smb_security security;
	union smb_info info;
	int err = call->err == -ENOENT ? -ESTALE : call->err;

	if (!err)
		err = smb_call_all(call, 1, &info);
	if (!err && !node->is_root && !smb_node_is(node, &info.all, false))
		err = -ESTALE;
	if (!err)
		err = decode(&call->req.part[2], &security);
	if (err) {
		smb_call_end(call, err);
		return;
	}
	owner_of(call->conn, &security, &old);
	new = wanted(call, &old);
	call->attributes = node->is_dir ? 0 : info.all.basic.attributes;
	if (old.known && new.uid == old.uid &&new.gid == old.gid &&new.mode == old.mode &&
	    !(call->attributes & SMB_ATTR_READONLY)) {
		call->after(call);
		return;
	}
	if (add_change(call, node, &security, &old, &new) && smb_owner_ask(call, SMB_FID_RELATED) &&
	    smb_call_add_close(call))
		smb_call_send(call, changed);
}

void smb_owner_set(struct smb_call *call, smb_step_fn *next)
{
	struct smb_msg msg = {
		.create_req = {.access = SMB_ACCESS_READ_ATTRIBUTES | SMB_ACCESS_READ_CONTROL,
			       .disposition = SMB_OPEN,
			       .options = SMB_OPT_OPEN_REPARSE_POINT}};

	call->after = next;
	if (smb_call_add_create(call, call->node[0], NULL, &msg) &&
	    smb_call_add_query(call, SMB_FID_RELATED) && smb_owner_ask(call, SMB_FID_RELATED) &&
	    smb_call_add_close(call))
		smb_call_send(call, looked);
}

/* -------------------------------------------------------------- make */

/* What came of it is told; that it could not be is no reason to have made nothing. */
static void made(struct smb_call *call)
{
	struct smb_node *node = smb_node_of(call->op->node);

	const struct smb_part *part = answer_of(&call->req);
	struct smb_security security;

	if (!call->err && part && decode(part, &security) == 0 && dropped(call, &security, true)) {
		smb_owner_made(call);
		return;
	}
	if (!call->err) {
		smb_owner_take(&call->req, node);
		smb_owner_apply(node, &call->op->attr);
	}
	smb_call_end(call, 0);
}

/* Was it made by this call?  What was there already keeps its mode. */
static bool is_new(struct smb_call *call)
{
	const struct smb_msg *reply = &call->req.part[0].reply;
	bool exclusive = call->flags & O_EXCL || !call->op->handle;

	if (reply->kind == SMB_REPLY(SMB_CREATE) && reply->create_rep.action == SMB_CREATED)
		call->made = true;
	return call->made || (call->resent && exclusive);
}

void smb_owner_made(struct smb_call *call)
{
	struct smb_node *node = smb_node_of(call->op->node);
	const struct smb_part *part = answer_of(&call->req);
	struct smb_security security;
	struct smb_owner old, new;

	if (!part || !is_new(call) || decode(part, &security)) {
		smb_call_end(call, 0);
		return;
	}
	owner_of(call->conn, &security, &old);
	new = old;
	new.mode = kept(call->conn, call->mode);
	if (old.known && new.mode == old.mode) {
		smb_call_end(call, 0);
		return;
	}
	/* What it opened stays open; this is another open. */
	call->opens = call->guided = call->replay = false;
	call->lease_want = 0;
	if (add_change(call, node, &security, &old, &new) && smb_owner_ask(call, SMB_FID_RELATED) &&
	    smb_call_add_close(call))
		smb_call_send(call, made);
}
