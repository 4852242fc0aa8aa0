/* SPDX-License-Identifier: MIT */
/*
 * The payloads of IOCTL requests and replies (MS-SMB2 2.2.31 and 2.2.32, MS-FSCC
 * 2.3).  Fixed ones are structures; lists are read one by one.  Reparse points
 * have smb_reparse.h.
 */
#ifndef SMB_FSCTL_H
#define SMB_FSCTL_H

#include "smb_context.h"
#include "smb_fscc.h"
#include "smb_pdu.h"

enum smb_fsctl {
	SMB_FSCTL_DFS_GET_REFERRALS = 0x00060194,
	SMB_FSCTL_SET_REPARSE_POINT = 0x000900a4,
	SMB_FSCTL_GET_REPARSE_POINT = 0x000900a8,
	SMB_FSCTL_DELETE_REPARSE_POINT = 0x000900ac,
	SMB_FSCTL_SET_SPARSE = 0x000900c4, /* input: nothing, or one byte */
	SMB_FSCTL_QUERY_ALLOCATED_RANGES = 0x000940cf, /* struct smb_range in, a list out */
	SMB_FSCTL_SET_ZERO_DATA = 0x000980c8, /* struct smb_range */
	SMB_FSCTL_DUPLICATE_EXTENTS = 0x00098344, /* struct smb_duplicate */
	SMB_FSCTL_REQUEST_RESUME_KEY = 0x00140078, /* out: struct smb_resume_key */
	SMB_FSCTL_VALIDATE_NEGOTIATE = 0x00140204, /* of dialects before 3.1.1 */
	SMB_FSCTL_COPYCHUNK = 0x001440f2, /* struct smb_copychunk, smb_copied */
	SMB_FSCTL_COPYCHUNK_WRITE = 0x001480f2, /* the target need not be readable */
	SMB_FSCTL_QUERY_INTERFACES = 0x001401fc, /* out: a list of struct smb_interface */
};

/* [start, end) of a file: MS-FSCC 2.3.71 as start and end, 2.3.53 as start and length. */
struct smb_range {
	uint64_t start;
	uint64_t end;
};

/* MS-FSCC 2.3.7.2 */
struct smb_duplicate {
	struct smb_fid source;
	uint64_t source_offset, target_offset, length;
};

/* 2.2.32.3 */
struct smb_resume_key {
	uint8_t b[24];
};

#define SMB_CHUNKS_MAX 16u /* what every server takes in one request (3.3.3) */

/* 2.2.31.1.1 */
struct smb_chunk {
	uint64_t source, target;
	uint32_t length;
};

/* 2.2.31.1 */
struct smb_copychunk {
	struct smb_resume_key source;
	uint32_t count;
	struct smb_chunk chunks[SMB_CHUNKS_MAX];
};

/* 2.2.32.1; with STATUS_INVALID_PARAMETER the server's limits instead */
struct smb_copied {
	uint32_t chunks, chunk_bytes, bytes;
};

/* 2.2.32.5 */
enum smb_interface_capabilities {
	SMB_INTERFACE_RSS = 1,
	SMB_INTERFACE_RDMA = 2,
};

struct smb_interface {
	uint32_t index;
	uint32_t capabilities;
	uint64_t speed; /* bits per second */
	struct smb_address address;
};

union smb_fsctl_in {
	struct smb_range range; /* SET_ZERO_DATA, QUERY_ALLOCATED_RANGES */
	struct smb_duplicate duplicate;
	struct smb_copychunk copychunk;
	uint8_t sparse; /* SET_SPARSE; decoding nothing gives 1 */
};

/* Returns the length; -EMSGSIZE; -EINVAL: the code has no input here. */
ssize_t smb_fsctl_in_encode(uint32_t code, const union smb_fsctl_in *in, void *buf, size_t size);
/* -EPROTO: malformed, or a range whose end is before its start. -EINVAL as above. */
int smb_fsctl_in_decode(uint32_t code, const void *bytes, size_t size, union smb_fsctl_in *ret_in);

union smb_fsctl_out {
	struct smb_resume_key key; /* REQUEST_RESUME_KEY */
	struct smb_copied copied; /* COPYCHUNK, COPYCHUNK_WRITE */
};

ssize_t smb_fsctl_out_encode(uint32_t code, const union smb_fsctl_out *out, void *buf, size_t size);
int smb_fsctl_out_decode(uint32_t code, const void *bytes, size_t size,
			 union smb_fsctl_out *ret_out);

/* The i-th allocated range of a reply's size bytes: 1 with it, 0: there are fewer,
 * -EPROTO: its size is no multiple of 16 or the range ends before it starts. */
int smb_allocated_range(const void *bytes, size_t size, size_t i, struct smb_range *ret_range);
/* Appends a range to *pos bytes of buf; -EMSGSIZE. */
int smb_allocated_range_put(const struct smb_range *range, void *buf, size_t size, size_t *pos);

/* As smb_dirent_next(); interfaces whose address is neither IPv4 nor IPv6 are
 * skipped. */
int smb_interface_next(struct smb_list *list, struct smb_interface *ret_interface);
int smb_interface_put(struct smb_list_writer *writer, const struct smb_interface *interface);

#endif
