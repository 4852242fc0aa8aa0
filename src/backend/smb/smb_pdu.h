/* SPDX-License-Identifier: MIT */
/*
 * The messages of SMB 2 and 3 as plain structures, and their encoder, decoder
 * and printer, for both ends of a connection.  Nothing here does I/O or takes
 * memory; buffers of a decoded message point into the bytes it came from.
 *
 * Sections are those of MS-SMB2.  Names inside messages are UTF-16LE as on the
 * wire (smb_utf16.h), times are FILETIMEs (smb_time.h).
 */
#ifndef SMB_PDU_H
#define SMB_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SMB_HEADER	 64u /* 2.2.1 */
#define SMB_SIGNATURE_AT 48u /* where the signature's 16 bytes are */
#define SMB_READ_HEAD	 80u /* header and fixed part of a READ reply: its data is at or behind */
#define SMB_WRITE_HEAD	 112u /* the same of a WRITE request */
#define SMB_TRANSFORM	 52u /* 2.2.41 */
#define SMB_FRAME_MAX	 (UINT32_C(1) << 24) /* 2.1: the direct TCP length has 24 bits */
#define SMB_DIALECT_311	 0x0311
#define SMB_DIALECT_302	 0x0302
#define SMB_DIALECT_300	 0x0300
#define SMB_DIALECT_210	 0x0210
#define SMB_DIALECT_202	 0x0202
#define SMB_NO_MESSAGE	 UINT64_MAX /* message id of a break notification */
#define SMB_DIALECTS_MAX 8u
#define SMB_LOCKS_MAX	 16u /* in one LOCK; far below what any server takes */

/* 2.2.1.1 */
enum smb_command {
	SMB_NEGOTIATE,
	SMB_SESSION_SETUP,
	SMB_LOGOFF,
	SMB_TREE_CONNECT,
	SMB_TREE_DISCONNECT,
	SMB_CREATE,
	SMB_CLOSE,
	SMB_FLUSH,
	SMB_READ,
	SMB_WRITE,
	SMB_LOCK,
	SMB_IOCTL,
	SMB_CANCEL,
	SMB_ECHO,
	SMB_QUERY_DIRECTORY,
	SMB_CHANGE_NOTIFY,
	SMB_QUERY_INFO,
	SMB_SET_INFO,
	SMB_OPLOCK_BREAK,
	SMB_COMMANDS,
};

/* 2.2.1.1 Flags */
enum smb_header_flags {
	SMB_FLAG_REPLY = 0x00000001,
	SMB_FLAG_ASYNC = 0x00000002,
	SMB_FLAG_RELATED = 0x00000004,
	SMB_FLAG_SIGNED = 0x00000008,
	SMB_FLAG_DFS = 0x10000000,
	SMB_FLAG_REPLAY = 0x20000000,
};

/* 2.2.3 and 2.2.4 */
enum smb_capabilities {
	SMB_CAP_DFS = 0x01,
	SMB_CAP_LEASING = 0x02,
	SMB_CAP_LARGE_MTU = 0x04,
	SMB_CAP_MULTI_CHANNEL = 0x08,
	SMB_CAP_PERSISTENT_HANDLES = 0x10,
	SMB_CAP_DIRECTORY_LEASING = 0x20,
	SMB_CAP_ENCRYPTION = 0x40,
	SMB_CAP_NOTIFICATIONS = 0x80,
};

enum smb_security_mode {
	SMB_SIGNING_ENABLED = 1,
	SMB_SIGNING_REQUIRED = 2,
};

/* 2.2.5 */
#define SMB_SESSION_BINDING 0x01 /* Flags: one more channel of a session */

/* 2.2.6 */
enum smb_session_flags {
	SMB_SESSION_IS_GUEST = 1,
	SMB_SESSION_IS_NULL = 2,
	SMB_SESSION_ENCRYPT_DATA = 4,
};

/* 2.2.10 */
enum smb_share_type {
	SMB_SHARE_DISK = 1,
	SMB_SHARE_PIPE = 2,
	SMB_SHARE_PRINT = 3,
};

enum smb_share_flags {
	SMB_SHAREFLAG_NO_CACHING = 0x30, /* mask 0x30 */
	SMB_SHAREFLAG_DFS = 0x1,
	SMB_SHAREFLAG_DFS_ROOT = 0x2,
	SMB_SHAREFLAG_RESTRICT_EXCLUSIVE_OPENS = 0x100,
	SMB_SHAREFLAG_FORCE_SHARED_DELETE = 0x200,
	SMB_SHAREFLAG_FORCE_LEVELII_OPLOCK = 0x1000,
	SMB_SHAREFLAG_ENCRYPT_DATA = 0x8000,
};

enum smb_share_capabilities {
	SMB_SHARE_CAP_DFS = 0x08,
	SMB_SHARE_CAP_CONTINUOUS_AVAILABILITY = 0x10,
	SMB_SHARE_CAP_SCALEOUT = 0x20,
	SMB_SHARE_CAP_CLUSTER = 0x40,
	SMB_SHARE_CAP_ASYMMETRIC = 0x80,
	SMB_SHARE_CAP_REDIRECT_TO_OWNER = 0x100,
};

/* 2.2.13 */
enum smb_oplock_level {
	SMB_OPLOCK_NONE = 0x00,
	SMB_OPLOCK_II = 0x01,
	SMB_OPLOCK_EXCLUSIVE = 0x08,
	SMB_OPLOCK_BATCH = 0x09,
	SMB_OPLOCK_LEASE = 0xff,
};

#define SMB_IMPERSONATION 2u

enum smb_share_access {
	SMB_SHARE_READ = 1,
	SMB_SHARE_WRITE = 2,
	SMB_SHARE_DELETE = 4,
	SMB_SHARE_ALL = 7,
};

enum smb_disposition {
	SMB_SUPERSEDE,
	SMB_OPEN, /* ENOENT unless it is there */
	SMB_CREATE_NEW, /* EEXIST if it is */
	SMB_OPEN_IF,
	SMB_OVERWRITE,
	SMB_OVERWRITE_IF,
};

enum smb_create_options {
	SMB_OPT_DIRECTORY = 0x00000001,
	SMB_OPT_WRITE_THROUGH = 0x00000002,
	SMB_OPT_SEQUENTIAL = 0x00000004,
	SMB_OPT_NO_BUFFERING = 0x00000008,
	SMB_OPT_NON_DIRECTORY = 0x00000040,
	SMB_OPT_NO_EA_KNOWLEDGE = 0x00000200,
	SMB_OPT_RANDOM_ACCESS = 0x00000800,
	SMB_OPT_DELETE_ON_CLOSE = 0x00001000,
	SMB_OPT_BACKUP_INTENT = 0x00004000,
	SMB_OPT_NO_COMPRESSION = 0x00008000,
	SMB_OPT_OPEN_REPARSE_POINT = 0x00200000,
};

/* 2.2.14 */
enum smb_create_action {
	SMB_SUPERSEDED,
	SMB_OPENED,
	SMB_CREATED,
	SMB_OVERWRITTEN,
};

/* 2.2.13.1 */
enum smb_access {
	SMB_ACCESS_READ_DATA = 0x00000001, /* of a directory: list */
	SMB_ACCESS_WRITE_DATA = 0x00000002, /* of a directory: add a file */
	SMB_ACCESS_APPEND_DATA = 0x00000004, /* of a directory: add a directory */
	SMB_ACCESS_READ_EA = 0x00000008,
	SMB_ACCESS_WRITE_EA = 0x00000010,
	SMB_ACCESS_EXECUTE = 0x00000020, /* of a directory: traverse */
	SMB_ACCESS_DELETE_CHILD = 0x00000040,
	SMB_ACCESS_READ_ATTRIBUTES = 0x00000080,
	SMB_ACCESS_WRITE_ATTRIBUTES = 0x00000100,
	SMB_ACCESS_DELETE = 0x00010000,
	SMB_ACCESS_READ_CONTROL = 0x00020000,
	SMB_ACCESS_WRITE_DAC = 0x00040000,
	SMB_ACCESS_WRITE_OWNER = 0x00080000,
	SMB_ACCESS_SYNCHRONIZE = 0x00100000,
	SMB_ACCESS_SYSTEM_SECURITY = 0x01000000,
	SMB_ACCESS_MAXIMUM = 0x02000000,
	SMB_ACCESS_GENERIC_ALL = 0x10000000,
	SMB_ACCESS_GENERIC_EXECUTE = 0x20000000,
	SMB_ACCESS_GENERIC_WRITE = 0x40000000,
#define SMB_ACCESS_GENERIC_READ UINT32_C(0x80000000)
};

/* MS-FSCC 2.6 */
enum smb_attributes {
	SMB_ATTR_READONLY = 0x0001,
	SMB_ATTR_HIDDEN = 0x0002,
	SMB_ATTR_SYSTEM = 0x0004,
	SMB_ATTR_DIRECTORY = 0x0010,
	SMB_ATTR_ARCHIVE = 0x0020,
	SMB_ATTR_NORMAL = 0x0080,
	SMB_ATTR_TEMPORARY = 0x0100,
	SMB_ATTR_SPARSE = 0x0200,
	SMB_ATTR_REPARSE = 0x0400,
	SMB_ATTR_COMPRESSED = 0x0800,
	SMB_ATTR_OFFLINE = 0x1000,
	SMB_ATTR_NOT_INDEXED = 0x2000,
	SMB_ATTR_ENCRYPTED = 0x4000,
};

/* 2.2.13.2.8 */
enum smb_lease_state {
	SMB_LEASE_READ = 1,
	SMB_LEASE_HANDLE = 2,
	SMB_LEASE_WRITE = 4,
};

#define SMB_CLOSE_POSTQUERY 0x0001 /* 2.2.15 */

/* 2.2.19 and 2.2.21 */
enum smb_io_flags {
	SMB_READ_UNBUFFERED = 0x01,
	SMB_WRITE_THROUGH = 0x01,
	SMB_WRITE_UNBUFFERED = 0x02,
};

/* 2.2.26.1 */
enum smb_lock_flags {
	SMB_LOCK_SHARED = 0x01,
	SMB_LOCK_EXCLUSIVE = 0x02,
	SMB_LOCK_UNLOCK = 0x04,
	SMB_LOCK_FAIL_IMMEDIATELY = 0x10,
};

#define SMB_IOCTL_IS_FSCTL 0x00000001u /* 2.2.31 */

/* 2.2.33 */
enum smb_find_flags {
	SMB_FIND_RESTART = 0x01,
	SMB_FIND_SINGLE = 0x02,
	SMB_FIND_INDEX = 0x04,
	SMB_FIND_REOPEN = 0x10,
};

#define SMB_NOTIFY_TREE 0x0001 /* 2.2.35 Flags */

/* 2.2.35 CompletionFilter */
enum smb_notify_filter {
	SMB_NOTIFY_FILE_NAME = 0x0001,
	SMB_NOTIFY_DIR_NAME = 0x0002,
	SMB_NOTIFY_ATTRIBUTES = 0x0004,
	SMB_NOTIFY_SIZE = 0x0008,
	SMB_NOTIFY_LAST_WRITE = 0x0010,
	SMB_NOTIFY_LAST_ACCESS = 0x0020,
	SMB_NOTIFY_CREATION = 0x0040,
	SMB_NOTIFY_EA = 0x0080,
	SMB_NOTIFY_SECURITY = 0x0100,
	SMB_NOTIFY_STREAM_NAME = 0x0200,
	SMB_NOTIFY_STREAM_SIZE = 0x0400,
	SMB_NOTIFY_STREAM_WRITE = 0x0800,
};

/* 2.2.37 */
enum smb_info_type {
	SMB_INFO_FILE = 1,
	SMB_INFO_FILESYSTEM = 2,
	SMB_INFO_SECURITY = 3,
	SMB_INFO_QUOTA = 4,
};

enum smb_security_information {
	SMB_SECURITY_OWNER = 0x01,
	SMB_SECURITY_GROUP = 0x02,
	SMB_SECURITY_DACL = 0x04,
};

/* QUERY_INFO of extended attributes: flags. */
enum smb_query_flags {
	SMB_QUERY_RESTART = 0x01,
	SMB_QUERY_SINGLE = 0x02,
	SMB_QUERY_INDEX = 0x04,
};

#define SMB_BREAK_ACK_REQUIRED 0x01u /* 2.2.23.2 Flags */

/*
 * Bytes somewhere in a message.  Decoded: off is their place, counted from the
 * message's header; p is NULL where len is 0, and where the place is in the
 * message but behind the bytes the decoder was given.  Encoding: with p NULL
 * and len > 0 the lengths count these bytes and the caller sends them behind
 * the message; only the last buffer of a message may be like that.  off is not
 * looked at.
 */
struct smb_buf {
	const void *p;
	uint32_t len;
	uint32_t off;
};

/* 2.2.14.1 */
struct smb_fid {
	uint64_t persistent;
	uint64_t transient;
};

/* What compound requests after a CREATE call its file (3.2.4.1.4). */
#define SMB_FID_RELATED ((struct smb_fid){UINT64_MAX, UINT64_MAX})

struct smb_guid {
	uint8_t b[16];
};

struct smb_dialects {
	uint16_t count;
	uint16_t v[SMB_DIALECTS_MAX];
};

/* 2.2.26.1 */
struct smb_lock_element {
	uint64_t offset;
	uint64_t length;
	uint32_t flags; /* enum smb_lock_flags */
};

struct smb_locks {
	uint16_t count;
	struct smb_lock_element v[SMB_LOCKS_MAX];
};

/* 2.2.1.1 and 2.2.1.2 */
struct smb_header {
	uint16_t credit_charge;
	uint32_t status; /* of a request: the channel sequence, in the low 16 bits */
	uint16_t command; /* enum smb_command */
	uint16_t credits; /* asked for, or granted */
	uint32_t flags; /* enum smb_header_flags */
	uint32_t next; /* where the compound's next message begins, from here; 0: none */
	uint64_t message_id;
	uint64_t async_id; /* with SMB_FLAG_ASYNC */
	uint32_t tree_id; /* without */
	uint64_t session_id;
	uint8_t signature[16];
};

/* Which member of a message's body counts.  Of each command the request is even,
 * the reply odd: 2 * command and 1 more.  Then those that have other forms. */
enum smb_kind {
#define SMB_REQUEST(command) (2 * (command))
#define SMB_REPLY(command)   (2 * (command) + 1)
	SMB_OPLOCK_ACK = SMB_REQUEST(SMB_OPLOCK_BREAK), /* 2.2.24.1 */
	SMB_OPLOCK_ACKED, /* 2.2.25.1 */
	SMB_LEASE_ACK, /* 2.2.24.2 */
	SMB_LEASE_ACKED, /* 2.2.25.2 */
	SMB_OPLOCK_NOTIFY, /* 2.2.23.1 */
	SMB_LEASE_NOTIFY, /* 2.2.23.2 */
	SMB_ERROR, /* 2.2.2; any command's */
	SMB_KINDS,
};

/* Times and sizes as CREATE and CLOSE report them. */
struct smb_times {
	uint64_t created, accessed, written, changed; /* FILETIME */
};

/* One message of any kind.  Reserved fields are written as zero and not read. */
struct smb_msg {
	struct smb_header hdr;
	uint8_t kind; /* enum smb_kind, SMB_REQUEST() or SMB_REPLY() */
	union {
		struct { /* 2.2.3; contexts in smb_context.h */
			uint16_t security_mode;
			uint32_t capabilities;
			struct smb_guid client_guid;
			uint16_t context_count;
			struct smb_dialects dialects;
			struct smb_buf contexts; /* to the end of the message */
		} negotiate_req;
		struct { /* 2.2.4 */
			uint16_t security_mode, dialect, context_count;
			struct smb_guid server_guid;
			uint32_t capabilities, max_transact, max_read, max_write;
			uint64_t system_time, start_time;
			struct smb_buf token, contexts;
		} negotiate_rep;
		struct { /* 2.2.5 */
			uint8_t flags, security_mode;
			uint32_t capabilities, channel;
			struct smb_buf token;
			uint64_t previous_session_id;
		} session_setup_req;
		struct { /* 2.2.6 */
			uint16_t flags; /* enum smb_session_flags */
			struct smb_buf token;
		} session_setup_rep;
		struct { /* 2.2.9 */
			uint16_t flags;
			struct smb_buf path;
		} tree_connect_req;
		struct { /* 2.2.10 */
			uint8_t type; /* enum smb_share_type */
			uint32_t flags; /* enum smb_share_flags */
			uint32_t capabilities; /* enum smb_share_capabilities */
			uint32_t maximal_access;
		} tree_connect_rep;
		struct { /* 2.2.13; contexts in smb_context.h */
			uint8_t oplock_level;
			uint32_t impersonation, access, attributes, share_access;
			uint32_t disposition, options;
			struct smb_buf name, contexts;
		} create_req;
		struct { /* 2.2.14 */
			uint8_t oplock_level, flags;
			uint32_t action;
			struct smb_times times;
			uint64_t allocation, size;
			uint32_t attributes;
			struct smb_fid fid;
			struct smb_buf contexts;
		} create_rep;
		struct { /* 2.2.15 */
			uint16_t flags;
			struct smb_fid fid;
		} close_req;
		struct { /* 2.2.16; all zero without SMB_CLOSE_POSTQUERY in flags */
			uint16_t flags;
			struct smb_times times;
			uint64_t allocation, size;
			uint32_t attributes;
		} close_rep;
		struct { /* 2.2.17 */
			struct smb_fid fid;
		} flush_req;
		struct { /* 2.2.19 */
			uint8_t flags;
			uint32_t length;
			uint64_t offset;
			struct smb_fid fid;
			uint32_t minimum, remaining;
		} read_req;
		struct { /* 2.2.20 */
			struct smb_buf data;
			uint32_t remaining;
		} read_rep;
		struct { /* 2.2.21 */
			struct smb_buf data;
			uint64_t offset;
			struct smb_fid fid;
			uint32_t remaining, flags; /* flags: enum smb_io_flags */
		} write_req;
		struct { /* 2.2.22 */
			uint32_t count, remaining;
		} write_rep;
		struct { /* 2.2.26 */
			uint32_t sequence; /* LockSequenceNumber | LockSequenceIndex << 4 */
			struct smb_fid fid;
			struct smb_locks locks;
		} lock_req;
		struct { /* 2.2.31; payloads in smb_fsctl.h */
			uint32_t code;
			struct smb_fid fid;
			struct smb_buf input;
			uint32_t max_input;
			struct smb_buf output;
			uint32_t max_output, flags;
		} ioctl_req;
		struct { /* 2.2.32 */
			uint32_t code;
			struct smb_fid fid;
			struct smb_buf input, output;
			uint32_t flags;
		} ioctl_rep;
		struct { /* 2.2.33 */
			uint8_t info_class, flags; /* flags: enum smb_find_flags */
			uint32_t index;
			struct smb_fid fid;
			struct smb_buf pattern;
			uint32_t max_output;
		} query_directory_req;
		struct { /* 2.2.35 */
			uint16_t flags;
			uint32_t max_output;
			struct smb_fid fid;
			uint32_t filter; /* enum smb_notify_filter */
		} change_notify_req;
		struct { /* 2.2.37 */
			uint8_t info_type, info_class;
			uint32_t max_output;
			struct smb_buf input;
			uint32_t additional, flags;
			struct smb_fid fid;
		} query_info_req;
		struct { /* 2.2.34, 2.2.36 and 2.2.38; payloads in smb_fscc.h */
			struct smb_buf output;
		} query_directory_rep, change_notify_rep, query_info_rep;
		struct { /* 2.2.39 */
			uint8_t info_type, info_class;
			struct smb_buf input;
			uint32_t additional;
			struct smb_fid fid;
		} set_info_req;
		struct { /* SMB_OPLOCK_NOTIFY, _ACK, _ACKED */
			uint8_t level;
			struct smb_fid fid;
		} oplock;
		struct { /* SMB_LEASE_NOTIFY */
			uint16_t epoch;
			uint32_t flags;
			struct smb_guid key;
			uint32_t current, wanted; /* enum smb_lease_state */
		} lease_notify;
		struct { /* SMB_LEASE_ACK and _ACKED */
			uint32_t flags;
			struct smb_guid key;
			uint32_t state;
		} lease_ack;
		struct { /* SMB_ERROR; contexts in smb_context.h */
			uint8_t context_count;
			struct smb_buf data;
		} error;
		/* LOGOFF, TREE_DISCONNECT, ECHO, CANCEL, the replies to FLUSH, LOCK
		 * and SET_INFO have nothing. */
	};
};

/* 2.2.41 */
struct smb_transform {
	uint8_t signature[16];
	uint8_t nonce[16];
	uint32_t size; /* of the message inside */
	uint64_t session_id;
};

/*
 * Encodes msg into buf; command and the reply flag of the header come from
 * msg->kind, the rest of the header from msg->hdr.  With buf NULL only counts.
 * Returns the length, without bytes whose smb_buf has p NULL; -EMSGSIZE where
 * it does not fit or a field cannot hold its value, -EINVAL for a kind that
 * does not exist.
 */
ssize_t smb_encode(const struct smb_msg *msg, void *buf, size_t size);
/*
 * Decodes one message of total bytes, of which have are at bytes (the same,
 * unless a reply's data is still to be received).  The kind of a reply follows
 * from command, status and message id.  -EPROTO unless everything the message
 * speaks of lies inside total, and all of it but buffers inside have; an ERROR
 * body where the command's own would not do.  Bytes behind are allowed.
 */
int smb_decode(const void *bytes, size_t have, size_t total, struct smb_msg *ret_msg);
/* The header alone.  -EPROTO: fewer than SMB_HEADER bytes, or none. */
int smb_header_decode(const void *bytes, size_t size, struct smb_header *ret_hdr);
/* The length of the first message of a compound of size bytes, padding left out
 * for the last one only.  -EPROTO: no header, or a next that leads nowhere. */
ssize_t smb_compound_step(const void *bytes, size_t size);
/* Puts next into an encoded header: a multiple of 8 (3.2.4.1.4), or 0. */
void smb_set_next(void *bytes, uint32_t next);
/* Does this status come with the command's own reply, though it is no success?
 * (3.3.4.4) */
bool smb_status_has_reply(uint16_t command, uint32_t status);

/* buf has SMB_TRANSFORM bytes. */
void smb_transform_encode(const struct smb_transform *transform, void *buf);
/* -EPROTO: no transform header, flags we do not know, or a size that is not
 * that of the frame's rest; frame_size counts the header. */
int smb_transform_decode(const void *bytes, size_t size, size_t frame_size,
			 struct smb_transform *ret_transform);

/* Prints msg as one line, cut where buf ends; returns buf. */
char *smb_print(const struct smb_msg *msg, char *buf, size_t size);
const char *smb_command_name(uint16_t command); /* "?" where there is none */

#endif
