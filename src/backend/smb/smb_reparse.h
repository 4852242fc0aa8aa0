/* SPDX-License-Identifier: MIT */
/*
 * Files that are not files, as servers keep them: reparse points (MS-FSCC 2.1.2)
 * for symbolic links and special files, and links inside ordinary files
 * ("mfsymlinks").
 */
#ifndef SMB_REPARSE_H
#define SMB_REPARSE_H

#include <stdbool.h>
#include "smb_pdu.h"

/* MS-FSCC 2.1.2.1 */
#define SMB_TAG_MOUNT_POINT UINT32_C(0xa0000003)
#define SMB_TAG_SYMLINK	    UINT32_C(0xa000000c)
#define SMB_TAG_DEDUP	    UINT32_C(0x80000013)
#define SMB_TAG_NFS	    UINT32_C(0x80000014)
#define SMB_TAG_LX_SYMLINK  UINT32_C(0xa000001d)
#define SMB_TAG_AF_UNIX	    UINT32_C(0x80000023)
#define SMB_TAG_LX_FIFO	    UINT32_C(0x80000024)
#define SMB_TAG_LX_CHR	    UINT32_C(0x80000025)
#define SMB_TAG_LX_BLK	    UINT32_C(0x80000026)

enum smb_reparse_kind {
	SMB_REPARSE_OTHER, /* an ordinary file or directory to us */
	SMB_REPARSE_SYMLINK,
	SMB_REPARSE_FIFO,
	SMB_REPARSE_SOCKET,
	SMB_REPARSE_CHAR,
	SMB_REPARSE_BLOCK,
};

struct smb_reparse {
	uint32_t tag;
	uint8_t kind; /* enum smb_reparse_kind */
	bool relative; /* symlink of SMB_TAG_SYMLINK: not from a root */
	bool utf8; /* target is UTF-8 (SMB_TAG_LX_SYMLINK), else UTF-16LE */
	struct smb_buf target; /* symlinks: where to; a Windows path with SMB_TAG_SYMLINK */
	struct smb_buf print; /* SMB_TAG_SYMLINK and _MOUNT_POINT: to show; may be empty */
	uint32_t major, minor; /* SMB_REPARSE_CHAR and _BLOCK of SMB_TAG_NFS */
};

#define SMB_REPARSE_MAX 16384u /* MS-FSCC 2.1.2: no reparse buffer is larger */

/* Encodes SMB_TAG_SYMLINK, _NFS, _LX_... and _AF_UNIX as tag and kind say.  Returns the
 * length; -EMSGSIZE; -EINVAL: tag and kind do not go together. */
ssize_t smb_reparse_encode(const struct smb_reparse *reparse, void *buf, size_t size);
/* -EPROTO: malformed.  Tags we do not know become SMB_REPARSE_OTHER. */
int smb_reparse_decode(const void *bytes, size_t size, struct smb_reparse *ret_reparse);

/* A link inside a file: always this long, so that a lister knows what may be one. */
#define SMB_XSYM_SIZE	1067u
#define SMB_XSYM_TARGET 1024u

/* Fills buf's SMB_XSYM_SIZE bytes; -ENAMETOOLONG: more than SMB_XSYM_TARGET bytes;
 * -EINVAL: an empty target, or a line feed or NUL in it; -ENOMEM from the hash. */
int smb_xsym_encode(const char *target, size_t len, void *buf);
/* -EINVAL: this is an ordinary file; size is all of it.  The target points into
 * bytes.  -ENOMEM from the hash. */
int smb_xsym_decode(const void *bytes, size_t size, const char **ret_target, size_t *ret_len);

#endif
