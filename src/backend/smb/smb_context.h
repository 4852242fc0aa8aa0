/* SPDX-License-Identifier: MIT */
/*
 * The lists inside NEGOTIATE, CREATE and ERROR messages, each as one structure
 * that says which of its parts are there.  Sections are those of MS-SMB2, and of
 * the SMB 3.1.1 POSIX extensions ("POSIX").  No I/O, no memory taken; pointers
 * of a decoded list point into the bytes it came from.
 */
#ifndef SMB_CONTEXT_H
#define SMB_CONTEXT_H

#include <stdbool.h>
#include "smb_pdu.h"
#include "smb_sid.h"

#define SMB_ALGORITHMS_MAX 8u /* of one kind, offered */
#define SMB_CONTEXTS_MAX   64u /* in one list; a longer one is refused */

#define SMB_HASH_SHA512 1 /* 2.2.3.1.1 */

/* 2.2.3.1.2 */
enum smb_cipher {
	SMB_CIPHER_NONE = 0, /* a server's answer: none in common */
	SMB_AES_128_CCM = 1,
	SMB_AES_128_GCM = 2,
	SMB_AES_256_CCM = 3,
	SMB_AES_256_GCM = 4,
};

/* 2.2.3.1.7 */
enum smb_signing {
	SMB_HMAC_SHA256 = 0,
	SMB_AES_CMAC = 1,
	SMB_AES_GMAC = 2,
};

struct smb_algorithms {
	uint16_t count; /* 0: the context is not there */
	uint16_t v[SMB_ALGORITHMS_MAX];
};

/* 2.2.3.1 and 2.2.4.1: a client offers, a server answers with one of each. */
struct smb_negotiate_contexts {
	struct smb_algorithms hashes;
	struct smb_buf salt; /* of the hash; at most 64 KiB */
	struct smb_algorithms ciphers;
	struct smb_algorithms signings;
	struct smb_buf netname; /* 2.2.3.1.4; UTF-16LE; len 0: none */
	bool posix; /* POSIX: the extensions are wanted, or there */
};

/* Encodes into buf as message->contexts wants it and tells how many there are.
 * Returns the length, or -EMSGSIZE. */
ssize_t smb_negotiate_contexts_encode(const struct smb_negotiate_contexts *contexts, void *buf,
				      size_t size, uint16_t *ret_count);
/* -EPROTO: malformed, one kind twice, or more algorithms than offers exist.
 * Kinds we do not know are skipped. */
int smb_negotiate_contexts_decode(const struct smb_buf *buf, uint16_t count,
				  struct smb_negotiate_contexts *ret_contexts);

/* Parts of a CREATE request's or reply's contexts. */
enum smb_create_context {
	SMB_CTX_LEASE_V1 = 0x001, /* 2.2.13.2.8 */
	SMB_CTX_LEASE_V2 = 0x002, /* 2.2.13.2.10 */
	SMB_CTX_DURABLE = 0x004, /* DH2Q, 2.2.13.2.11 and 2.2.14.2.12 */
	SMB_CTX_RECONNECT = 0x008, /* DH2C, 2.2.13.2.12; requests only */
	SMB_CTX_MAXIMAL_ACCESS = 0x010, /* MxAc, 2.2.13.2.5 and 2.2.14.2.5 */
	SMB_CTX_DISK_ID = 0x020, /* QFid, 2.2.13.2.9 and 2.2.14.2.9 */
	SMB_CTX_TIMEWARP = 0x040, /* TWrp, 2.2.13.2.7; requests only */
	SMB_CTX_POSIX = 0x080, /* POSIX create context */
	SMB_CTX_SECURITY = 0x100, /* SecD, 2.2.13.2.2; requests only */
	SMB_CTX_ALLOCATION = 0x200, /* AlSi, 2.2.13.2.6; requests only */
};

#define SMB_DURABLE_PERSISTENT 0x2u /* flags of DH2Q and DH2C */
#define SMB_LEASE_BREAKING     0x2u /* flags of a lease in a reply */
#define SMB_LEASE_HAS_PARENT   0x4u /* flags of a v2 lease */

struct smb_create_contexts {
	uint32_t has; /* enum smb_create_context */
	struct {
		struct smb_guid key;
		uint32_t state; /* enum smb_lease_state */
		uint32_t flags;
		struct smb_guid parent; /* v2 from here */
		uint16_t epoch;
	} lease;
	struct {
		uint32_t timeout_ms; /* 0 in a request: the server's choice */
		uint32_t flags;
		struct smb_guid create_guid; /* requests only */
	} durable;
	struct {
		struct smb_fid fid;
		struct smb_guid create_guid;
		uint32_t flags;
	} reconnect;
	struct { /* replies only */
		uint32_t status;
		uint32_t access;
	} maximal;
	struct { /* replies only */
		uint64_t file;
		uint64_t volume;
	} disk_id;
	uint64_t timewarp; /* FILETIME */
	struct smb_posix_info {
		uint32_t mode; /* the only one in a request */
		uint32_t nlink, reparse_tag;
		struct smb_sid owner, group;
	} posix;
	struct smb_buf security; /* a self-relative descriptor, smb_sid.h */
	uint64_t allocation;
};

/* Encodes for a CREATE request (reply false) or its reply.  Returns the length,
 * 0 where has is 0, or -EMSGSIZE. */
ssize_t smb_create_contexts_encode(const struct smb_create_contexts *contexts, bool reply,
				   void *buf, size_t size);
/* -EPROTO: malformed or one kind twice.  Kinds we do not know are skipped. */
int smb_create_contexts_decode(const struct smb_buf *buf, bool reply,
			       struct smb_create_contexts *ret_contexts);

#define SMB_ADDRESSES_MAX 16u /* that we take of a redirect */

/* An address in a redirect or an interface: bytes in network order. */
struct smb_address {
	bool ipv6;
	uint8_t b[16]; /* the first 4 where not ipv6 */
};

/* What an ERROR body says (2.2.2). */
enum smb_error_part {
	SMB_ERR_SYMLINK = 1, /* STATUS_STOPPED_ON_SYMLINK, 2.2.2.2.1 */
	SMB_ERR_REDIRECT = 2, /* STATUS_BAD_NETWORK_NAME, 2.2.2.2.2 */
	SMB_ERR_NEEDED = 4, /* STATUS_BUFFER_TOO_SMALL: bytes needed */
};

struct smb_error_info {
	uint32_t has; /* enum smb_error_part */
	struct {
		uint16_t unparsed; /* bytes at the end of the path behind the link */
		bool relative;
		struct smb_buf substitute, print; /* UTF-16LE */
	} symlink;
	struct {
		struct smb_buf resource; /* UTF-16LE share name */
		uint32_t naddresses;
		struct smb_address addresses[SMB_ADDRESSES_MAX];
	} redirect;
	uint32_t needed;
};

/* Encodes with one error context (3.1.1) per part.  Returns the length, 0 where
 * has is 0, or -EMSGSIZE. */
ssize_t smb_error_info_encode(const struct smb_error_info *info, void *buf, size_t size,
			      uint8_t *ret_count);
/* data and context_count are those of the message, status of its header.
 * -EPROTO: malformed.  What is not known is skipped. */
int smb_error_info_decode(const struct smb_buf *data, uint8_t context_count, uint32_t status,
			  struct smb_error_info *ret_info);

#endif
