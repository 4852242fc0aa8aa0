/* SPDX-License-Identifier: MIT */
/*
 * Security identifiers and descriptors (MS-DTYP 2.4), as far as owner, group and
 * mode of a file go: who may is a question for the server.
 */
#ifndef SMB_SID_H
#define SMB_SID_H

#include <stdbool.h>
#include "smb_pdu.h"

struct netfs_reader;
struct netfs_writer;

#define SMB_SUBS_MAX 15u /* MS-DTYP 2.4.2 */
#define SMB_SID_MAX  (8u + 4u * SMB_SUBS_MAX) /* bytes */
#define SMB_ACES_MAX 64u /* of one list that we look at; a longer one is refused */

/* MS-DTYP 2.4.2.2; all zero: no identifier. */
struct smb_sid {
	uint8_t revision; /* 1 */
	uint8_t count;
	uint8_t authority[6]; /* big-endian */
	uint32_t sub[SMB_SUBS_MAX];
};

static inline bool smb_sid_present(const struct smb_sid *sid)
{
	return sid->revision != 0;
}

bool smb_sid_equal(const struct smb_sid *a, const struct smb_sid *b);
/* "S-1-22-1-1000", cut where buf ends; returns buf. */
char *smb_sid_print(const struct smb_sid *sid, char *buf, size_t size);
void smb_sid_put(struct netfs_writer *w, const struct smb_sid *sid);
/* Revision other than 1 or too many parts make the reader bad. */
void smb_sid_get(struct netfs_reader *r, struct smb_sid *ret_sid);

/* Identifiers that carry a number: S-1-22-1-UID and S-1-22-2-GID of Samba,
 * S-1-5-88-1-UID, -2-GID and -3-MODE of services for Unix. */
enum smb_sid_number {
	SMB_SID_OTHER,
	SMB_SID_UID,
	SMB_SID_GID,
	SMB_SID_MODE,
};

enum smb_sid_number smb_sid_number(const struct smb_sid *sid, uint32_t *ret_number);
/* Of the S-1-5-88 family for a mode, S-1-22 for the others. */
struct smb_sid smb_sid_of(enum smb_sid_number what, uint32_t number);
/* S-1-5-88-1-UID and -2-GID. */
struct smb_sid smb_sid_of_nfs(enum smb_sid_number what, uint32_t number);
/* S-1-1-0. */
struct smb_sid smb_sid_everyone(void);

enum smb_ace_type {
	SMB_ACE_ALLOW = 0,
	SMB_ACE_DENY = 1,
};

/* MS-DTYP 2.4.4.1 */
enum smb_ace_flags {
	SMB_ACE_FILES_INHERIT = 0x01,
	SMB_ACE_DIRS_INHERIT = 0x02,
	SMB_ACE_INHERIT_ONLY = 0x08, /* says nothing of the object itself */
	SMB_ACE_INHERITED = 0x10,
};

/* MS-DTYP 2.4.4: of the types with an access mask and one identifier. */
struct smb_ace {
	uint8_t type; /* enum smb_ace_type; others are kept and say nothing */
	uint8_t flags; /* enum smb_ace_flags */
	uint32_t access;
	struct smb_sid sid;
	struct smb_buf body; /* of a decoded one: all behind its size; encoded as it is */
};

/* MS-DTYP 2.4.6, self-relative. */
struct smb_security {
	struct smb_sid owner, group;
	bool has_dacl; /* false: nobody is kept out, if it was asked for */
	uint16_t control; /* MS-DTYP 2.4.6; of what it says itself only inheritance counts */
	uint16_t naces;
	struct smb_ace aces[SMB_ACES_MAX];
};

/* Returns the length or -EMSGSIZE. */
ssize_t smb_security_encode(const struct smb_security *security, void *buf, size_t size);
/* -EPROTO: malformed, absolute, or too many entries.  Points into bytes. */
int smb_security_decode(const void *bytes, size_t size, struct smb_security *ret_security);
/* What permission bits are taken from, and kept in. */
enum smb_security_how {
	SMB_SECURITY_LIST, /* what the entries allow owner, group and everyone */
	SMB_SECURITY_EXACT, /* the S-1-5-88-3 entry; where there is none, as above */
};

/* Permission bits (07777 at most, 0777 from the list).  False: it has no list to tell
 * from. */
bool smb_security_mode(const struct smb_security *security, enum smb_security_how how,
		       uint32_t *ret_mode);
/* Is a mode written in it? */
bool smb_security_is_exact(const struct smb_security *security);

/* The owner it is to have, the group, and the mode. */
struct smb_security_change {
	struct smb_sid owner, group;
	uint32_t mode;
	enum smb_security_how how;
};

/*
 * Has the list mean that to smb_security_mode(), and to a server that knows nothing of
 * S-1-5-88.  Entries for the owner and the group, old and new, and for everyone are
 * replaced, except for what they say of things made in a directory later; entries for
 * others are kept.  -EMSGSIZE: too many of those.
 */
int smb_security_set(struct smb_security *security, const struct smb_security_change *change);

#endif
