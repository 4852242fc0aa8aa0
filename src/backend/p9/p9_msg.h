/* SPDX-License-Identifier: MIT */
/*
 * The messages of 9P2000.L as plain structures, and their encoder, decoder and
 * printer.  Nothing here does I/O; strings and data of a decoded message point
 * into the bytes it was decoded from.
 */
#ifndef P9_MSG_H
#define P9_MSG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define P9_VERSION   "9P2000.L"
#define P9_HEADER    7u /* size[4] type[1] tag[2] */
#define P9_READ_HEAD 11u /* Rread and Rreaddir before their data */
/* What a message with data may not use of msize, in both directions: Rread needs
 * only 11 bytes, but diod refuses a Tread for more than msize - 24. */
#define P9_IO_HEAD  24u
#define P9_WALK_MAX 16u /* names in one Twalk */
#define P9_NOTAG    0xffffu
#define P9_NOFID    0xffffffffu

/* Message numbers; the answer to type T is T + 1. */
enum p9_type {
	P9_RLERROR = 7,
	P9_TSTATFS = 8,
	P9_RSTATFS,
	P9_TLOPEN = 12,
	P9_RLOPEN,
	P9_TLCREATE = 14,
	P9_RLCREATE,
	P9_TSYMLINK = 16,
	P9_RSYMLINK,
	P9_TMKNOD = 18,
	P9_RMKNOD,
	P9_TRENAME = 20,
	P9_RRENAME,
	P9_TREADLINK = 22,
	P9_RREADLINK,
	P9_TGETATTR = 24,
	P9_RGETATTR,
	P9_TSETATTR = 26,
	P9_RSETATTR,
	P9_TXATTRWALK = 30,
	P9_RXATTRWALK,
	P9_TXATTRCREATE = 32,
	P9_RXATTRCREATE,
	P9_TREADDIR = 40,
	P9_RREADDIR,
	P9_TFSYNC = 50,
	P9_RFSYNC,
	P9_TLOCK = 52,
	P9_RLOCK,
	P9_TGETLOCK = 54,
	P9_RGETLOCK,
	P9_TLINK = 70,
	P9_RLINK,
	P9_TMKDIR = 72,
	P9_RMKDIR,
	P9_TRENAMEAT = 74,
	P9_RRENAMEAT,
	P9_TUNLINKAT = 76,
	P9_RUNLINKAT,
	P9_TVERSION = 100,
	P9_RVERSION,
	P9_TAUTH = 102,
	P9_RAUTH,
	P9_TATTACH = 104,
	P9_RATTACH,
	P9_TFLUSH = 108,
	P9_RFLUSH,
	P9_TWALK = 110,
	P9_RWALK,
	P9_TREAD = 116,
	P9_RREAD,
	P9_TWRITE = 118,
	P9_RWRITE,
	P9_TCLUNK = 120,
	P9_RCLUNK,
	P9_TREMOVE = 122,
	P9_RREMOVE,
	P9_TYPE_COUNT,
};

enum p9_qid_type {
	P9_QID_SYMLINK = 0x02,
	P9_QID_DIR = 0x80,
};

/* Bits of Tgetattr's and Rgetattr's mask. */
enum p9_getattr_mask {
	P9_GETATTR_BASIC = 0x7ff,
	P9_GETATTR_BTIME = 0x800,
	P9_GETATTR_GEN = 0x1000,
	P9_GETATTR_VERSION = 0x2000,
	P9_GETATTR_ALL = 0x3fff,
	P9_GETATTR_MODE = 0x1,
};

/* Bits of Tsetattr's mask. */
enum p9_setattr_mask {
	P9_SETATTR_MODE = 0x1,
	P9_SETATTR_UID = 0x2,
	P9_SETATTR_GID = 0x4,
	P9_SETATTR_SIZE = 0x8,
	P9_SETATTR_ATIME = 0x10,
	P9_SETATTR_MTIME = 0x20,
	P9_SETATTR_ATIME_SET = 0x80,
	P9_SETATTR_MTIME_SET = 0x100,
};

/* Open flags as they go over the wire, the same on every machine. */
enum p9_open_flags {
	P9_O_CREAT = 0100,
	P9_O_EXCL = 0200,
	P9_O_TRUNC = 01000,
	P9_O_DIRECTORY = 0200000,
};

enum p9_lock_type {
	P9_LOCK_RDLCK = 0,
	P9_LOCK_WRLCK = 1,
	P9_LOCK_UNLCK = 2,
};

enum p9_lock_status {
	P9_LOCK_SUCCESS = 0,
	P9_LOCK_BLOCKED = 1,
	P9_LOCK_ERROR = 2,
	P9_LOCK_GRACE = 3,
};

/* Flag of Tunlinkat: the name is a directory. */
#define P9_AT_REMOVEDIR 0x200

struct p9_str {
	const char *p;
	size_t len; /* over 65535 does not encode */
};

struct p9_qid {
	uint8_t type; /* enum p9_qid_type */
	uint32_t version;
	uint64_t path;
};

/* count, then that many bytes.  With p NULL an encoder writes the count only
 * and the caller sends the bytes behind the message. */
struct p9_data {
	uint32_t count;
	const void *p;
};

struct p9_names {
	uint16_t count;
	struct p9_str v[P9_WALK_MAX];
};

struct p9_qids {
	uint16_t count;
	struct p9_qid v[P9_WALK_MAX];
};

/* What Rgetattr says. */
struct p9_attr {
	uint64_t valid; /* enum p9_getattr_mask */
	struct p9_qid qid;
	uint32_t mode, uid, gid;
	uint64_t nlink, rdev, size, blksize, blocks;
	uint64_t atime_sec, atime_nsec;
	uint64_t mtime_sec, mtime_nsec;
	uint64_t ctime_sec, ctime_nsec;
	uint64_t btime_sec, btime_nsec;
	uint64_t gen, data_version;
};

/* One message of any type; type says which member of the union counts. */
struct p9_msg {
	uint8_t type;
	uint16_t tag;
	union {
		struct {
			uint32_t ecode;
		} rlerror;
		struct {
			uint32_t fid;
		} tstatfs, treadlink, tclunk, tremove;
		struct {
			uint32_t type, bsize;
			uint64_t blocks, bfree, bavail, files, ffree, fsid;
			uint32_t namelen;
		} rstatfs;
		struct {
			uint32_t fid, flags;
		} tlopen;
		struct {
			struct p9_qid qid;
			uint32_t iounit;
		} rlopen, rlcreate;
		struct {
			uint32_t fid;
			struct p9_str name;
			uint32_t flags, mode, gid;
		} tlcreate;
		struct {
			uint32_t dfid;
			struct p9_str name, target;
			uint32_t gid;
		} tsymlink;
		struct {
			uint32_t dfid;
			struct p9_str name;
			uint32_t mode, major, minor, gid;
		} tmknod;
		struct {
			uint32_t dfid;
			struct p9_str name;
			uint32_t mode, gid;
		} tmkdir;
		struct {
			struct p9_qid qid;
		} rsymlink, rmknod, rmkdir, rauth, rattach;
		struct {
			uint32_t fid, dfid;
			struct p9_str name;
		} trename;
		struct {
			struct p9_str target;
		} rreadlink;
		struct {
			uint32_t fid;
			uint64_t mask;
		} tgetattr;
		struct p9_attr rgetattr;
		struct {
			uint32_t fid, valid, mode, uid, gid;
			uint64_t size, atime_sec, atime_nsec, mtime_sec, mtime_nsec;
		} tsetattr;
		struct {
			uint32_t fid, newfid;
			struct p9_str name;
		} txattrwalk;
		struct {
			uint64_t size;
		} rxattrwalk;
		struct {
			uint32_t fid;
			struct p9_str name;
			uint64_t size;
			uint32_t flags;
		} txattrcreate;
		struct {
			uint32_t fid;
			uint64_t offset;
			uint32_t count;
		} tread, treaddir;
		struct {
			struct p9_data data;
		} rread, rreaddir;
		struct {
			uint32_t fid, datasync;
		} tfsync;
		struct {
			uint32_t fid;
			uint8_t type;
			uint32_t flags;
			uint64_t start, length;
			uint32_t proc_id;
			struct p9_str client_id;
		} tlock;
		struct {
			uint8_t status;
		} rlock;
		struct {
			uint32_t fid;
			uint8_t type;
			uint64_t start, length;
			uint32_t proc_id;
			struct p9_str client_id;
		} tgetlock;
		struct {
			uint8_t type;
			uint64_t start, length;
			uint32_t proc_id;
			struct p9_str client_id;
		} rgetlock;
		struct {
			uint32_t dfid, fid;
			struct p9_str name;
		} tlink;
		struct {
			uint32_t olddirfid;
			struct p9_str oldname;
			uint32_t newdirfid;
			struct p9_str newname;
		} trenameat;
		struct {
			uint32_t dirfid;
			struct p9_str name;
			uint32_t flags;
		} tunlinkat;
		struct {
			uint32_t msize;
			struct p9_str version;
		} tversion, rversion;
		struct {
			uint32_t afid;
			struct p9_str uname, aname;
			uint32_t n_uname;
		} tauth;
		struct {
			uint32_t fid, afid;
			struct p9_str uname, aname;
			uint32_t n_uname;
		} tattach;
		struct {
			uint16_t oldtag;
		} tflush;
		struct {
			uint32_t fid, newfid;
			struct p9_names names;
		} twalk;
		struct {
			struct p9_qids qids;
		} rwalk;
		struct {
			uint32_t fid;
			uint64_t offset;
			struct p9_data data;
		} twrite;
		struct {
			uint32_t count;
		} rwrite;
	};
};

/* How a field travels. */
enum p9_field_kind {
	P9_END,
	P9_U8,
	P9_U16,
	P9_U32,
	P9_U64,
	P9_STR,
	P9_QID,
	P9_DATA,
	P9_NAMES,
	P9_QIDS,
};

#define P9_FIELDS_MAX 21

/* The layout of one message: its name, NULL where there is none of that
 * number, and its fields in the order of the wire. */
struct p9_layout {
	const char *name;
	struct {
		uint8_t kind; /* enum p9_field_kind */
		uint16_t offset; /* in struct p9_msg */
		const char *name;
	} field[P9_FIELDS_MAX + 1];
};

/* NULL where type is no message. */
const struct p9_layout *p9_layout_of(uint8_t type);

static inline struct p9_str p9_str(const char *text)
{
	return (struct p9_str){.p = text, .len = __builtin_strlen(text)};
}

/* Encodes msg into buf.  With buf NULL only counts.  Returns the length, which
 * leaves out data with p NULL although the message's size field counts it;
 * -EMSGSIZE where it does not fit, -EINVAL for a type that does not exist. */
ssize_t p9_encode(const struct p9_msg *msg, void *buf, size_t size);
/* Decodes exactly the size bytes of one message.  -EPROTO unless all is right:
 * size field, type, every length, no byte left over. */
int p9_decode(const void *bytes, size_t size, struct p9_msg *ret_msg);
/* Prints msg as one line, cut where buf ends; returns buf. */
char *p9_print(const struct p9_msg *msg, char *buf, size_t size);

#endif
