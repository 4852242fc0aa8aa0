/* SPDX-License-Identifier: MIT */
/*
 * Security identifiers, and descriptors that hold them.
 *
 *	| revision control | offsets of owner, group, SACL, DACL |
 *	| ... in any order ... | ACL header | ACE | ACE | ... |
 *
 * A descriptor's mode is exact where somebody wrote it down (S-1-5-88-3-MODE); else it
 * is what the entries for owner, group and everyone let them do, an approximation: the
 * server decides.  A new mode is put between the entries for others:
 *
 *	| mode | denied others | denied, allowed by the mode | allowed others | inherited |
 *
 * in the order that servers want.  So a mode that gives others more than the group (0604)
 * keeps an owner out, too, who is in the group, where the server goes by the list alone.
 * Pure functions, no locks.
 */
#include "smb_sid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "smb_fields.h"

#define DACL_PRESENT	 0x0004u /* MS-DTYP 2.4.6 Control */
#define SELF_RELATIVE	 0x8000u
#define AUTO_INHERIT_REQ 0x0100u
#define AUTO_INHERITED	 0x0400u
#define PROTECTED	 0x1000u
#define INHERITANCE	 (AUTO_INHERITED | PROTECTED)
#define ACL_REVISION	 2 /* MS-DTYP 2.4.5 */
#define HEADER		 20u
#define MODE_ACES	 6u /* that a mode adds at most */

/* Access that stands for the three bits of a mode. */
#define RIGHTS_READ                                                                                \
	(SMB_ACCESS_READ_DATA | SMB_ACCESS_READ_EA | SMB_ACCESS_READ_ATTRIBUTES |                  \
	 SMB_ACCESS_READ_CONTROL | SMB_ACCESS_SYNCHRONIZE)
#define RIGHTS_WRITE                                                                               \
	(SMB_ACCESS_WRITE_DATA | SMB_ACCESS_APPEND_DATA | SMB_ACCESS_WRITE_EA |                    \
	 SMB_ACCESS_WRITE_ATTRIBUTES | SMB_ACCESS_DELETE_CHILD)
#define RIGHTS_EXECUTE (SMB_ACCESS_EXECUTE | SMB_ACCESS_READ_ATTRIBUTES)
/* What no mode takes from an owner, and nobody else has. */
#define RIGHTS_OWNER                                                                               \
	(SMB_ACCESS_READ_CONTROL | SMB_ACCESS_WRITE_DAC | SMB_ACCESS_WRITE_OWNER |                 \
	 SMB_ACCESS_READ_ATTRIBUTES | SMB_ACCESS_WRITE_ATTRIBUTES | SMB_ACCESS_SYNCHRONIZE |       \
	 SMB_ACCESS_DELETE)

bool smb_sid_equal(const struct smb_sid *a, const struct smb_sid *b)
{
	return a->revision == b->revision && a->count == b->count && a->count <= SMB_SUBS_MAX &&
	       memcmp(a->authority, b->authority, sizeof(a->authority)) == 0 &&
	       memcmp(a->sub, b->sub, a->count * sizeof(a->sub[0])) == 0;
}

char *smb_sid_print(const struct smb_sid *sid, char *buf, size_t size)
{
	uint64_t authority = 0;
	size_t pos;
	int n;

	for (unsigned i = 0; i < sizeof(sid->authority); i++)
		authority = authority << 8 | sid->authority[i];
	n = snprintf(buf, size, "S-%u-%" PRIu64, sid->revision, authority);
	pos = n > 0 ? (size_t)n : 0;
	for (unsigned i = 0; i < sid->count && i < SMB_SUBS_MAX && pos < size; i++) {
		n = snprintf(buf + pos, size - pos, "-%" PRIu32, sid->sub[i]);
		pos += n > 0 ? (size_t)n : 0;
	}
	return buf;
}

void smb_sid_put(struct netfs_writer *w, const struct smb_sid *sid)
{
	if (sid->revision != 1 || sid->count > SMB_SUBS_MAX) {
		w->bad = true;
		return;
	}
	netfs_writer_u8(w, sid->revision);
	netfs_writer_u8(w, sid->count);
	netfs_writer_bytes(w, sid->authority, sizeof(sid->authority));
	for (unsigned i = 0; i < sid->count; i++)
		netfs_writer_u32(w, sid->sub[i]);
}

void smb_sid_get(struct netfs_reader *r, struct smb_sid *ret_sid)
{
	*ret_sid = (struct smb_sid){0};
	ret_sid->revision = netfs_reader_u8(r);
	ret_sid->count = netfs_reader_u8(r);
	if (ret_sid->revision != 1 || ret_sid->count > SMB_SUBS_MAX)
		r->bad = true;
	for (unsigned i = 0; i < sizeof(ret_sid->authority); i++)
		ret_sid->authority[i] = netfs_reader_u8(r);
	for (unsigned i = 0; i < ret_sid->count && !r->bad; i++)
		ret_sid->sub[i] = netfs_reader_u32(r);
	if (r->bad)
		*ret_sid = (struct smb_sid){0};
}

enum smb_sid_number smb_sid_number(const struct smb_sid *sid, uint32_t *ret_number)
{
	static const uint8_t samba[6] = {0, 0, 0, 0, 0, 22}, nt[6] = {0, 0, 0, 0, 0, 5};

	if (memcmp(sid->authority, samba, 6) == 0 && sid->count == 2 && sid->sub[0] - 1 < 2) {
		*ret_number = sid->sub[1];
		return sid->sub[0] == 1 ? SMB_SID_UID : SMB_SID_GID;
	}
	if (memcmp(sid->authority, nt, 6) == 0 && sid->count == 3 && sid->sub[0] == 88 &&
	    sid->sub[1] - 1 < 3) {
		*ret_number = sid->sub[2];
		return SMB_SID_UID + (sid->sub[1] - 1);
	}
	return SMB_SID_OTHER;
}

struct smb_sid smb_sid_of(enum smb_sid_number what, uint32_t number)
{
	struct smb_sid sid = {.revision = 1, .count = 2, .authority = {0, 0, 0, 0, 0, 22}};

	if (what == SMB_SID_MODE)
		return smb_sid_of_nfs(what, number);
	sid.sub[0] = what == SMB_SID_UID ? 1 : 2;
	sid.sub[1] = number;
	return sid;
}

struct smb_sid smb_sid_of_nfs(enum smb_sid_number what, uint32_t number)
{
	return (struct smb_sid){.revision = 1,
				.count = 3,
				.authority = {0, 0, 0, 0, 0, 5},
				.sub = {88,
					what == SMB_SID_UID   ? 1
					: what == SMB_SID_GID ? 2
							      : 3,
					number}};
}

struct smb_sid smb_sid_everyone(void)
{
	return (struct smb_sid){.revision = 1, .count = 1, .authority = {0, 0, 0, 0, 0, 1}};
}

/* ------------------------------------------------------------ descriptors */

static size_t sid_size(const struct smb_sid *sid)
{
	return smb_sid_present(sid) ? 8u + 4u * sid->count : 0;
}

static size_t ace_size(const struct smb_ace *ace)
{
	return ace->body.p ? 4u + ace->body.len : 8u + sid_size(&ace->sid);
}

static void put_ace(struct netfs_writer *w, const struct smb_ace *ace)
{
	netfs_writer_u8(w, ace->type);
	netfs_writer_u8(w, ace->flags);
	netfs_writer_u16(w, (uint16_t)ace_size(ace));
	if (ace->body.p) {
		netfs_writer_bytes(w, ace->body.p, ace->body.len);
		return;
	}
	netfs_writer_u32(w, ace->access);
	smb_sid_put(w, &ace->sid);
}

static void put_acl(struct netfs_writer *w, const struct smb_security *security)
{
	size_t size = 8;

	for (unsigned i = 0; i < security->naces; i++)
		size += ace_size(&security->aces[i]);
	if (size > UINT16_MAX)
		w->bad = true;
	netfs_writer_u8(w, ACL_REVISION);
	netfs_writer_u8(w, 0);
	netfs_writer_u16(w, (uint16_t)size);
	netfs_writer_u16(w, security->naces);
	netfs_writer_u16(w, 0);
	for (unsigned i = 0; i < security->naces; i++)
		put_ace(w, &security->aces[i]);
}

ssize_t smb_security_encode(const struct smb_security *security, void *buf, size_t size)
{
	size_t owner = sid_size(&security->owner), group = sid_size(&security->group);
	uint16_t control = security->control & INHERITANCE;
	struct netfs_writer w;

	if (security->naces > SMB_ACES_MAX)
		return -EMSGSIZE;
	/* Servers believe that it came from above only if they are asked to. */
	if (control & AUTO_INHERITED)
		control |= AUTO_INHERIT_REQ;
	smb_writer_init(&w, buf, size);
	netfs_writer_u8(&w, 1);
	netfs_writer_u8(&w, 0);
	netfs_writer_u16(&w, SELF_RELATIVE | control | (security->has_dacl ? DACL_PRESENT : 0));
	netfs_writer_u32(&w, owner ? HEADER : 0);
	netfs_writer_u32(&w, group ? (uint32_t)(HEADER + owner) : 0);
	netfs_writer_u32(&w, 0);
	netfs_writer_u32(&w, security->has_dacl ? (uint32_t)(HEADER + owner + group) : 0);
	if (owner)
		smb_sid_put(&w, &security->owner);
	if (group)
		smb_sid_put(&w, &security->group);
	if (security->has_dacl)
		put_acl(&w, security);
	return smb_written(&w);
}

static bool get_sid_at(const uint8_t *bytes, size_t size, uint32_t off, struct smb_sid *ret_sid)
{
	struct netfs_reader r;

	*ret_sid = (struct smb_sid){0};
	if (off == 0)
		return true;
	if (off < HEADER || off > size)
		return false;
	netfs_reader_init(&r, bytes + off, size - off);
	smb_sid_get(&r, ret_sid);
	return !r.bad;
}

/* An entry of a type we do not know keeps its type and is otherwise empty. */
static bool get_ace(struct netfs_reader *r, struct smb_ace *ret_ace)
{
	struct netfs_reader body;
	const void *bytes;
	uint16_t size;

	*ret_ace = (struct smb_ace){0};
	ret_ace->type = netfs_reader_u8(r);
	ret_ace->flags = netfs_reader_u8(r);
	size = netfs_reader_u16(r);
	if (size < 4)
		return false;
	bytes = netfs_reader_bytes(r, size - 4u);
	if (!bytes)
		return false;
	ret_ace->body = (struct smb_buf){bytes, size - 4u, 0};
	if (ret_ace->type > SMB_ACE_DENY)
		return true;
	netfs_reader_init(&body, bytes, size - 4u);
	ret_ace->access = netfs_reader_u32(&body);
	smb_sid_get(&body, &ret_ace->sid);
	return !body.bad;
}

static bool get_acl(const uint8_t *bytes, size_t size, uint32_t off, struct smb_security *security)
{
	struct netfs_reader r;
	uint16_t acl_size;

	if (off == 0) /* a NULL list lets everybody in */
		return true;
	if (off < HEADER || off > size)
		return false;
	netfs_reader_init(&r, bytes + off, size - off);
	netfs_reader_u16(&r);
	acl_size = netfs_reader_u16(&r);
	security->naces = netfs_reader_u16(&r);
	netfs_reader_u16(&r);
	if (r.bad || acl_size < 8 || acl_size - 8u > r.left || security->naces > SMB_ACES_MAX)
		return false;
	r.left = acl_size - 8u;
	for (unsigned i = 0; i < security->naces; i++) {
		if (!get_ace(&r, &security->aces[i]))
			return false;
	}
	security->has_dacl = true;
	return true;
}

int smb_security_decode(const void *bytes, size_t size, struct smb_security *ret_security)
{
	uint32_t owner, group, dacl;
	struct netfs_reader r;
	uint16_t control;
	uint8_t revision;

	memset(ret_security, 0, sizeof(*ret_security));
	netfs_reader_init(&r, bytes, size);
	revision = netfs_reader_u8(&r);
	netfs_reader_u8(&r);
	control = netfs_reader_u16(&r);
	owner = netfs_reader_u32(&r);
	group = netfs_reader_u32(&r);
	netfs_reader_u32(&r);
	dacl = netfs_reader_u32(&r);
	if (r.bad || revision != 1 || !(control & SELF_RELATIVE))
		return -EPROTO;
	ret_security->control = control;
	if (!get_sid_at(bytes, size, owner, &ret_security->owner) ||
	    !get_sid_at(bytes, size, group, &ret_security->group))
		return -EPROTO;
	if (control & DACL_PRESENT && !get_acl(bytes, size, dacl, ret_security))
		return -EPROTO;
	return 0;
}

/* ------------------------------------------------------------------- mode */

static unsigned bits_of(uint32_t access)
{
	unsigned bits = 0;

	if (access & (SMB_ACCESS_READ_DATA | SMB_ACCESS_GENERIC_READ | SMB_ACCESS_GENERIC_ALL))
		bits |= 4;
	if (access & (SMB_ACCESS_WRITE_DATA | SMB_ACCESS_GENERIC_WRITE | SMB_ACCESS_GENERIC_ALL))
		bits |= 2;
	if (access & (SMB_ACCESS_EXECUTE | SMB_ACCESS_GENERIC_EXECUTE | SMB_ACCESS_GENERIC_ALL))
		bits |= 1;
	return bits;
}

/* Whom an entry speaks of, as bits. */
enum whom {
	OWNER = 4,
	GROUP = 2,
	OTHERS = 1,
};

/* Those who have logged in are everyone that a server lets in; what S-1-3-4 may is the
 * owner's. */
static unsigned whom(const struct smb_sid *owner, const struct smb_sid *group,
		     const struct smb_sid *sid)
{
	static const struct smb_sid logged_in = {
		.revision = 1, .count = 1, .authority = {0, 0, 0, 0, 0, 5}, .sub = {11}};
	static const struct smb_sid owner_rights = {
		.revision = 1, .count = 1, .authority = {0, 0, 0, 0, 0, 3}, .sub = {4}};
	struct smb_sid everyone = smb_sid_everyone();
	unsigned who = 0;

	if (!smb_sid_present(sid))
		return 0;
	if (smb_sid_equal(sid, &everyone) || smb_sid_equal(sid, &logged_in))
		return OWNER | GROUP | OTHERS;
	who |= smb_sid_equal(sid, owner) || smb_sid_equal(sid, &owner_rights) ? OWNER : 0;
	return who | (smb_sid_equal(sid, group) ? GROUP : 0);
}

/* The first entry that speaks of a bit decides it. */
static unsigned bits_for(const struct smb_security *security, enum whom who)
{
	unsigned allowed = 0, decided = 0;

	for (unsigned i = 0; i < security->naces; i++) {
		const struct smb_ace *ace = &security->aces[i];
		unsigned bits = bits_of(ace->access) & ~decided;

		if (ace->type > SMB_ACE_DENY || ace->flags & SMB_ACE_INHERIT_ONLY ||
		    !(whom(&security->owner, &security->group, &ace->sid) & who))
			continue;
		if (ace->type == SMB_ACE_ALLOW)
			allowed |= bits;
		decided |= bits;
	}
	return allowed;
}

static bool is_mode(const struct smb_ace *ace, uint32_t *ret_number)
{
	return smb_sid_number(&ace->sid, ret_number) == SMB_SID_MODE;
}

/* The mode that is written in it; NULL: none. */
static const struct smb_ace *exact_ace(const struct smb_security *security, uint32_t *ret_mode)
{
	for (unsigned i = 0; i < security->naces; i++)
		if (is_mode(&security->aces[i], ret_mode))
			return &security->aces[i];
	return NULL;
}

bool smb_security_is_exact(const struct smb_security *security)
{
	uint32_t mode;

	return security->has_dacl && exact_ace(security, &mode);
}

bool smb_security_mode(const struct smb_security *security, enum smb_security_how how,
		       uint32_t *ret_mode)
{
	uint32_t number;

	if (!security->has_dacl)
		return false;
	if (how == SMB_SECURITY_EXACT && exact_ace(security, &number)) {
		*ret_mode = number & 07777;
		return true;
	}
	*ret_mode = bits_for(security, OWNER) << 6 | bits_for(security, GROUP) << 3 |
		    bits_for(security, OTHERS);
	return true;
}

static uint32_t rights_of(uint32_t bits)
{
	uint32_t rights =
		SMB_ACCESS_READ_CONTROL | SMB_ACCESS_READ_ATTRIBUTES | SMB_ACCESS_SYNCHRONIZE;

	rights |= bits & 4 ? RIGHTS_READ : 0;
	rights |= bits & 2 ? RIGHTS_WRITE : 0;
	return rights | (bits & 1 ? RIGHTS_EXECUTE : 0);
}

/* Rights of the bits alone, for an entry that denies them. */
static uint32_t denied_of(uint32_t bits)
{
	uint32_t rights = 0;

	rights |= bits & 4 ? SMB_ACCESS_READ_DATA : 0;
	rights |= bits & 2 ? SMB_ACCESS_WRITE_DATA | SMB_ACCESS_APPEND_DATA : 0;
	return rights | (bits & 1 ? SMB_ACCESS_EXECUTE : 0);
}

static void add_ace(struct smb_security *security, uint8_t type, uint32_t access,
		    const struct smb_sid *sid)
{
	if (security->naces < SMB_ACES_MAX && smb_sid_present(sid) &&
	    (access || type == SMB_ACE_ALLOW))
		security->aces[security->naces++] =
			(struct smb_ace){.type = type, .access = access, .sid = *sid};
}

/* What is denied comes first: Samba takes no other list, and says nothing of it. */
static void add_mode(struct smb_security *security, uint32_t mode)
{
	uint32_t user = mode >> 6 & 7, group = mode >> 3 & 7, other = mode & 7;
	struct smb_sid everyone = smb_sid_everyone();

	add_ace(security, SMB_ACE_DENY, denied_of((group | other) & ~user), &security->owner);
	add_ace(security, SMB_ACE_DENY, denied_of(other & ~group), &security->group);
	add_ace(security, SMB_ACE_ALLOW, rights_of(user) | RIGHTS_OWNER, &security->owner);
	add_ace(security, SMB_ACE_ALLOW, rights_of(group), &security->group);
	add_ace(security, SMB_ACE_ALLOW, rights_of(other), &everyone);
}

/* What is left of an entry when the mode is said anew; false: nothing. */
static bool keep_ace(const struct smb_security *old, const struct smb_security_change *change,
		     struct smb_ace *ace)
{
	uint32_t number;

	if (is_mode(ace, &number))
		return false;
	if (ace->type > SMB_ACE_DENY || ace->flags & SMB_ACE_INHERIT_ONLY ||
	    !(whom(&old->owner, &old->group, &ace->sid) |
	      whom(&change->owner, &change->group, &ace->sid)))
		return true;
	ace->flags |= SMB_ACE_INHERIT_ONLY;
	return ace->flags & (SMB_ACE_FILES_INHERIT | SMB_ACE_DIRS_INHERIT);
}

static bool denies_first(const struct smb_ace *ace)
{
	return ace->type == SMB_ACE_DENY && !(ace->flags & SMB_ACE_INHERITED);
}

/* Those of others that belong before the mode's own entries, or behind them. */
static void add_kept(struct smb_security *security, const struct smb_security *old,
		     const struct smb_security_change *change, bool first)
{
	for (unsigned i = 0; i < old->naces; i++) {
		struct smb_ace ace = old->aces[i];

		if (denies_first(&ace) == first && keep_ace(old, change, &ace) &&
		    security->naces < SMB_ACES_MAX)
			security->aces[security->naces++] = ace;
	}
}

int smb_security_set(struct smb_security *security, const struct smb_security_change *change)
{
	struct smb_security old = *security;
	struct smb_sid exact = smb_sid_of(SMB_SID_MODE, change->mode & 07777);

	if (old.naces > SMB_ACES_MAX - MODE_ACES)
		return -EMSGSIZE;
	security->has_dacl = true;
	security->owner = change->owner;
	security->group = change->group;
	security->naces = 0;
	/* It denies nothing: only its identifier says something. */
	if (change->how == SMB_SECURITY_EXACT)
		security->aces[security->naces++] =
			(struct smb_ace){.type = SMB_ACE_DENY, .sid = exact};
	add_kept(security, &old, change, true);
	add_mode(security, change->mode);
	add_kept(security, &old, change, false);
	return 0;
}
