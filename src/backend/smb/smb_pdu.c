/* SPDX-License-Identifier: MIT */
/*
 * The layout of every message behind its header and StructureSize, one entry
 * each, in the order of MS-SMB2 2.2.  Encoder, decoder (smb_codec.c) and printer
 * (smb_print.c) all read this one table, so the three cannot disagree.
 */
#include "smb_layout.h"

#define F(k, m, ctype) SMB_FIELD(k, struct smb_msg, m, ctype)
#define U8(m)	       F(SMB_F_U8, m, uint8_t)
#define U16(m)	       F(SMB_F_U16, m, uint16_t)
#define U32(m)	       F(SMB_F_U32, m, uint32_t)
#define U64(m)	       F(SMB_F_U64, m, uint64_t)
#define FID(m)	       F(SMB_F_FID, m, struct smb_fid)
#define GUID(m)	       F(SMB_F_GUID, m, struct smb_guid)
#define TIMES(m)       F(SMB_F_TIMES, m, struct smb_times)
#define LEN16(m)       F(SMB_F_LEN16, m, struct smb_buf)
#define LEN32(m)       F(SMB_F_LEN32, m, struct smb_buf)
#define OFF8(m)	       F(SMB_F_OFF8, m, struct smb_buf)
#define OFF16(m)       F(SMB_F_OFF16, m, struct smb_buf)
#define OFF32(m)       F(SMB_F_OFF32, m, struct smb_buf)
#define TAIL32(m)      F(SMB_F_TAIL32, m, struct smb_buf)
#define INLINE(m)      F(SMB_F_INLINE, m, struct smb_buf)
#define ZERO(n)	       SMB_ZERO(n)
#define BYTE(n)                                                                                    \
	{                                                                                          \
		.kind = SMB_F_BYTE, .arg = (n)                                                     \
	}
#define DIALECTS(m) F(SMB_F_DIALECTS, m, uint16_t[SMB_DIALECTS_MAX])
#define LOCKS(m)    F(SMB_F_LOCKS, m, struct smb_lock_element[SMB_LOCKS_MAX])

#define REQUEST(c) [SMB_REQUEST(SMB_##c)] =
#define REPLY(c)   [SMB_REPLY(SMB_##c)] =

/* clang-format off */
static const struct smb_layout layouts[SMB_KINDS] = {
	REQUEST(NEGOTIATE) {"NEGOTIATE request", 36, {
		U16(negotiate_req.dialects.count), U16(negotiate_req.security_mode), ZERO(2),
		U32(negotiate_req.capabilities), GUID(negotiate_req.client_guid),
		TAIL32(negotiate_req.contexts), U16(negotiate_req.context_count), ZERO(2),
		DIALECTS(negotiate_req.dialects.v)}},
	REPLY(NEGOTIATE) {"NEGOTIATE reply", 65, {
		U16(negotiate_rep.security_mode), U16(negotiate_rep.dialect),
		U16(negotiate_rep.context_count), GUID(negotiate_rep.server_guid),
		U32(negotiate_rep.capabilities), U32(negotiate_rep.max_transact),
		U32(negotiate_rep.max_read), U32(negotiate_rep.max_write),
		U64(negotiate_rep.system_time), U64(negotiate_rep.start_time),
		OFF16(negotiate_rep.token), LEN16(negotiate_rep.token),
		TAIL32(negotiate_rep.contexts)}},
	REQUEST(SESSION_SETUP) {"SESSION_SETUP request", 25, {
		U8(session_setup_req.flags), U8(session_setup_req.security_mode),
		U32(session_setup_req.capabilities), U32(session_setup_req.channel),
		OFF16(session_setup_req.token), LEN16(session_setup_req.token),
		U64(session_setup_req.previous_session_id)}},
	REPLY(SESSION_SETUP) {"SESSION_SETUP reply", 9, {
		U16(session_setup_rep.flags), OFF16(session_setup_rep.token),
		LEN16(session_setup_rep.token)}},
	REQUEST(LOGOFF) {"LOGOFF request", 4, {ZERO(2)}},
	REPLY(LOGOFF) {"LOGOFF reply", 4, {ZERO(2)}},
	REQUEST(TREE_CONNECT) {"TREE_CONNECT request", 9, {
		U16(tree_connect_req.flags), OFF16(tree_connect_req.path),
		LEN16(tree_connect_req.path)}},
	REPLY(TREE_CONNECT) {"TREE_CONNECT reply", 16, {
		U8(tree_connect_rep.type), ZERO(1), U32(tree_connect_rep.flags),
		U32(tree_connect_rep.capabilities), U32(tree_connect_rep.maximal_access)}},
	REQUEST(TREE_DISCONNECT) {"TREE_DISCONNECT request", 4, {ZERO(2)}},
	REPLY(TREE_DISCONNECT) {"TREE_DISCONNECT reply", 4, {ZERO(2)}},
	REQUEST(CREATE) {"CREATE request", 57, {
		ZERO(1), U8(create_req.oplock_level), U32(create_req.impersonation), ZERO(16),
		U32(create_req.access), U32(create_req.attributes),
		U32(create_req.share_access), U32(create_req.disposition),
		U32(create_req.options), OFF16(create_req.name), LEN16(create_req.name),
		OFF32(create_req.contexts), LEN32(create_req.contexts)}},
	REPLY(CREATE) {"CREATE reply", 89, {
		U8(create_rep.oplock_level), U8(create_rep.flags), U32(create_rep.action),
		TIMES(create_rep.times), U64(create_rep.allocation), U64(create_rep.size),
		U32(create_rep.attributes), ZERO(4), FID(create_rep.fid),
		OFF32(create_rep.contexts), LEN32(create_rep.contexts)}},
	REQUEST(CLOSE) {"CLOSE request", 24, {
		U16(close_req.flags), ZERO(4), FID(close_req.fid)}},
	REPLY(CLOSE) {"CLOSE reply", 60, {
		U16(close_rep.flags), ZERO(4), TIMES(close_rep.times),
		U64(close_rep.allocation), U64(close_rep.size), U32(close_rep.attributes)}},
	REQUEST(FLUSH) {"FLUSH request", 24, {ZERO(6), FID(flush_req.fid)}},
	REPLY(FLUSH) {"FLUSH reply", 4, {ZERO(2)}},
	REQUEST(READ) {"READ request", 49, {
		BYTE(SMB_READ_HEAD), U8(read_req.flags), U32(read_req.length),
		U64(read_req.offset), FID(read_req.fid), U32(read_req.minimum), ZERO(4),
		U32(read_req.remaining), ZERO(4)}},
	REPLY(READ) {"READ reply", 17, {
		OFF8(read_rep.data), ZERO(1), LEN32(read_rep.data), U32(read_rep.remaining),
		ZERO(4)}},
	REQUEST(WRITE) {"WRITE request", 49, {
		OFF16(write_req.data), LEN32(write_req.data), U64(write_req.offset),
		FID(write_req.fid), ZERO(4), U32(write_req.remaining), ZERO(4),
		U32(write_req.flags)}},
	REPLY(WRITE) {"WRITE reply", 17, {
		ZERO(2), U32(write_rep.count), U32(write_rep.remaining), ZERO(4)}},
	REQUEST(LOCK) {"LOCK request", 48, {
		U16(lock_req.locks.count), U32(lock_req.sequence), FID(lock_req.fid),
		LOCKS(lock_req.locks.v)}},
	REPLY(LOCK) {"LOCK reply", 4, {ZERO(2)}},
	REQUEST(IOCTL) {"IOCTL request", 57, {
		ZERO(2), U32(ioctl_req.code), FID(ioctl_req.fid), OFF32(ioctl_req.input),
		LEN32(ioctl_req.input), U32(ioctl_req.max_input), OFF32(ioctl_req.output),
		LEN32(ioctl_req.output), U32(ioctl_req.max_output), U32(ioctl_req.flags),
		ZERO(4)}},
	REPLY(IOCTL) {"IOCTL reply", 49, {
		ZERO(2), U32(ioctl_rep.code), FID(ioctl_rep.fid), OFF32(ioctl_rep.input),
		LEN32(ioctl_rep.input), OFF32(ioctl_rep.output), LEN32(ioctl_rep.output),
		U32(ioctl_rep.flags), ZERO(4)}},
	REQUEST(CANCEL) {"CANCEL request", 4, {ZERO(2)}},
	REQUEST(ECHO) {"ECHO request", 4, {ZERO(2)}},
	REPLY(ECHO) {"ECHO reply", 4, {ZERO(2)}},
	REQUEST(QUERY_DIRECTORY) {"QUERY_DIRECTORY request", 33, {
		U8(query_directory_req.info_class), U8(query_directory_req.flags),
		U32(query_directory_req.index), FID(query_directory_req.fid),
		OFF16(query_directory_req.pattern), LEN16(query_directory_req.pattern),
		U32(query_directory_req.max_output)}},
	REPLY(QUERY_DIRECTORY) {"QUERY_DIRECTORY reply", 9, {
		OFF16(query_directory_rep.output), LEN32(query_directory_rep.output)}},
	REQUEST(CHANGE_NOTIFY) {"CHANGE_NOTIFY request", 32, {
		U16(change_notify_req.flags), U32(change_notify_req.max_output),
		FID(change_notify_req.fid), U32(change_notify_req.filter), ZERO(4)}},
	REPLY(CHANGE_NOTIFY) {"CHANGE_NOTIFY reply", 9, {
		OFF16(change_notify_rep.output), LEN32(change_notify_rep.output)}},
	REQUEST(QUERY_INFO) {"QUERY_INFO request", 41, {
		U8(query_info_req.info_type), U8(query_info_req.info_class),
		U32(query_info_req.max_output), OFF16(query_info_req.input), ZERO(2),
		LEN32(query_info_req.input), U32(query_info_req.additional),
		U32(query_info_req.flags), FID(query_info_req.fid)}},
	REPLY(QUERY_INFO) {"QUERY_INFO reply", 9, {
		OFF16(query_info_rep.output), LEN32(query_info_rep.output)}},
	REQUEST(SET_INFO) {"SET_INFO request", 33, {
		U8(set_info_req.info_type), U8(set_info_req.info_class),
		LEN32(set_info_req.input), OFF16(set_info_req.input), ZERO(2),
		U32(set_info_req.additional), FID(set_info_req.fid)}},
	REPLY(SET_INFO) {"SET_INFO reply", 2, {}},
	[SMB_OPLOCK_ACK] = {"OPLOCK_BREAK ack", 24, {
		U8(oplock.level), ZERO(5), FID(oplock.fid)}},
	[SMB_OPLOCK_ACKED] = {"OPLOCK_BREAK acked", 24, {
		U8(oplock.level), ZERO(5), FID(oplock.fid)}},
	[SMB_LEASE_ACK] = {"LEASE_BREAK ack", 36, {
		ZERO(2), U32(lease_ack.flags), GUID(lease_ack.key), U32(lease_ack.state),
		ZERO(8)}},
	[SMB_LEASE_ACKED] = {"LEASE_BREAK acked", 36, {
		ZERO(2), U32(lease_ack.flags), GUID(lease_ack.key), U32(lease_ack.state),
		ZERO(8)}},
	[SMB_OPLOCK_NOTIFY] = {"OPLOCK_BREAK notification", 24, {
		U8(oplock.level), ZERO(5), FID(oplock.fid)}},
	[SMB_LEASE_NOTIFY] = {"LEASE_BREAK notification", 44, {
		U16(lease_notify.epoch), U32(lease_notify.flags), GUID(lease_notify.key),
		U32(lease_notify.current), U32(lease_notify.wanted), ZERO(12)}},
	[SMB_ERROR] = {"ERROR", 9, {
		U8(error.context_count), ZERO(1), LEN32(error.data), INLINE(error.data)}},
};
/* clang-format on */

const struct smb_layout *smb_layout_of(uint8_t kind)
{
	if (kind >= SMB_KINDS || !layouts[kind].name)
		return NULL;
	return &layouts[kind];
}

static const char *const command_names[SMB_COMMANDS] = {
	[SMB_NEGOTIATE] = "NEGOTIATE",
	[SMB_SESSION_SETUP] = "SESSION_SETUP",
	[SMB_LOGOFF] = "LOGOFF",
	[SMB_TREE_CONNECT] = "TREE_CONNECT",
	[SMB_TREE_DISCONNECT] = "TREE_DISCONNECT",
	[SMB_CREATE] = "CREATE",
	[SMB_CLOSE] = "CLOSE",
	[SMB_FLUSH] = "FLUSH",
	[SMB_READ] = "READ",
	[SMB_WRITE] = "WRITE",
	[SMB_LOCK] = "LOCK",
	[SMB_IOCTL] = "IOCTL",
	[SMB_CANCEL] = "CANCEL",
	[SMB_ECHO] = "ECHO",
	[SMB_QUERY_DIRECTORY] = "QUERY_DIRECTORY",
	[SMB_CHANGE_NOTIFY] = "CHANGE_NOTIFY",
	[SMB_QUERY_INFO] = "QUERY_INFO",
	[SMB_SET_INFO] = "SET_INFO",
	[SMB_OPLOCK_BREAK] = "OPLOCK_BREAK",
};

const char *smb_command_name(uint16_t command)
{
	return command < SMB_COMMANDS ? command_names[command] : "?";
}
