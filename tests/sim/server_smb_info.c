/* SPDX-License-Identifier: MIT */
/*
 * What the simulated SMB server tells of files and directories, and lets be set
 * (MS-SMB2 3.3.5.18, 3.3.5.20, 3.3.5.21).
 */
#include <backend/smb/smb_time.h>
#include <backend/smb/smb_utf16.h>
#include <errno.h>
#include <string.h>
#include "server_smb.h"

#define BLOCK UINT64_C(4096)

static uint64_t allocation_of(const struct node *node)
{
	return (node->now.size + BLOCK - 1) & ~(BLOCK - 1);
}

/* ------------------------------------------------------------ directories */

static bool tell(struct smb_list_writer *list, const char *name, const struct node *node)
{
	struct smb_dirent entry = {.times = smb_times_of(node),
				   .size = node->now.size,
				   .allocation = allocation_of(node),
				   .attributes = smb_attributes_of(node),
				   .file_id = node->ino};
	uint8_t wide[2 * (TREE_NAME_MAX + 1)];
	ssize_t len = smb_utf16_put(name, strlen(name), SMB_MAP_NONE, wide, sizeof(wide));

	if (len <= 0)
		return true; /* not made by an SMB client */
	entry.name = (struct smb_buf){.p = wide, .len = (uint32_t)len};
	return smb_dirent_put(list, &entry) == 0;
}

/* From where the enumeration stands, as far as there is room; single: one. */
static void tell_all(struct call_smb *call, struct open_smb *open, struct smb_list_writer *list,
		     bool single)
{
	bool twice = call->server->config.defect == DEFECT_DOUBLE_ENTRY;

	while (open->dots < 2) {
		const struct node *node = open->dots ? open->node->parent : open->node;

		if (!tell(list, open->dots ? ".." : ".", node))
			return;
		open->dots++;
		if (single)
			return;
	}
	for (struct entry *entry = open->node->entries; entry; entry = entry->next) {
		if (entry->cookie <= open->cookie)
			continue;
		if (!tell(list, entry->name, entry->node))
			return;
		if (twice && !entry->next)
			tell(list, entry->name, entry->node);
		open->cookie = entry->cookie;
		if (single)
			return;
	}
}

uint32_t smb_on_query_directory(struct call_smb *call)
{
	struct open_smb *open = smb_open_find(call, &call->req.query_directory_req.fid);
	uint32_t size = call->req.query_directory_req.max_output;
	uint8_t flags = call->req.query_directory_req.flags;
	struct smb_list_writer list;

	if (!open)
		return SMB_STATUS_FILE_CLOSED;
	if (!S_ISDIR(open->node->mode) || size > SMB_IO_MAX)
		return SMB_STATUS_INVALID_PARAMETER;
	if (flags & (SMB_FIND_RESTART | SMB_FIND_REOPEN)) {
		open->cookie = 0;
		open->dots = 0;
	}
	smb_list_writer_init(&list, call->req.query_directory_req.info_class, call->payload, size);
	tell_all(call, open, &list, flags & SMB_FIND_SINGLE);
	if (list.pos == 0)
		return SMB_STATUS_NO_MORE_FILES;
	call->rep.query_directory_rep.output =
		(struct smb_buf){.p = call->payload, .len = (uint32_t)list.pos};
	return SMB_STATUS_OK;
}

/* ------------------------------------------------------------------ query */

static void file_all(const struct open_smb *open, struct smb_file_all *ret_all)
{
	const struct node *node = open->node;

	*ret_all =
		(struct smb_file_all){.basic = {smb_times_of(node), smb_attributes_of(node)},
				      .standard = {allocation_of(node), node->now.size, node->nlink,
						   open->remove, S_ISDIR(node->mode)},
				      .index = node->ino,
				      .access = open->access};
}

static bool file_info(const struct open_smb *open, uint8_t info_class, union smb_info *ret_info)
{
	struct smb_file_all all;

	file_all(open, &all);
	switch (info_class) {
	case SMB_FILE_BASIC:
		ret_info->basic = all.basic;
		return true;
	case SMB_FILE_STANDARD:
		ret_info->standard = all.standard;
		return true;
	case SMB_FILE_INTERNAL:
		ret_info->value64 = all.index;
		return true;
	case SMB_FILE_EA:
		return true;
	case SMB_FILE_ALL:
		ret_info->all = all;
		return true;
	case SMB_FILE_NETWORK_OPEN:
		ret_info->network_open =
			(struct smb_file_network_open){all.basic.times, all.standard.allocation,
						       all.standard.size, all.basic.attributes};
		return true;
	case SMB_FILE_ATTRIBUTE_TAG:
		ret_info->attribute_tag.attributes = all.basic.attributes;
		return true;
	default:
		return false;
	}
}

static bool fs_info(uint8_t info_class, union smb_info *ret_info)
{
	switch (info_class) {
	case SMB_FS_FULL_SIZE:
		ret_info->full_size = (struct smb_fs_full_size){1 << 20, 1 << 19, 1 << 19, 8, 512};
		return true;
	case SMB_FS_ATTRIBUTE:
		ret_info->attribute.attributes = SMB_FS_CASE_SENSITIVE | SMB_FS_CASE_PRESERVED |
						 SMB_FS_UNICODE | SMB_FS_HARD_LINKS;
		ret_info->attribute.name_max = TREE_NAME_MAX;
		ret_info->attribute.name = (struct smb_buf){.p = u"SIM", .len = 6};
		return true;
	case SMB_FS_VOLUME:
		ret_info->volume.serial = 1;
		return true;
	case SMB_FS_SECTOR:
		ret_info->sector = (struct smb_fs_sector){.logical = 512, .physical = 4096};
		return true;
	default:
		return false;
	}
}

static ssize_t security_info(const struct open_smb *open, void *buf)
{
	static struct smb_security security;
	struct smb_security_change change;

	memset(&security, 0, sizeof(security));
	security.owner = smb_sid_of(SMB_SID_UID, open->node->uid);
	security.group = smb_sid_of(SMB_SID_GID, open->node->gid);
	change = (struct smb_security_change){security.owner, security.group,
					      open->node->mode & 07777, SMB_SECURITY_EXACT};
	smb_security_set(&security, &change);
	return smb_security_encode(&security, buf, SMB_IO_MAX);
}

uint32_t smb_on_query_info(struct call_smb *call)
{
	struct open_smb *open = smb_open_find(call, &call->req.query_info_req.fid);
	uint8_t type = call->req.query_info_req.info_type;
	uint8_t info_class = call->req.query_info_req.info_class;
	union smb_info info;
	ssize_t length;
	bool known;

	if (!open)
		return SMB_STATUS_FILE_CLOSED;
	memset(&info, 0, sizeof(info));
	if (type == SMB_INFO_SECURITY) {
		length = security_info(open, call->payload);
	} else {
		known = type == SMB_INFO_FILE ? file_info(open, info_class, &info)
					      : fs_info(info_class, &info);
		if (!known)
			return SMB_STATUS_INVALID_INFO_CLASS;
		length = smb_info_encode(type, info_class, &info, call->payload, SMB_IO_MAX);
	}
	if (length < 0)
		return SMB_STATUS_INTERNAL_ERROR;
	if ((size_t)length > call->req.query_info_req.max_output)
		return type == SMB_INFO_SECURITY ? SMB_STATUS_BUFFER_TOO_SMALL
						 : SMB_STATUS_INFO_LENGTH_MISMATCH;
	call->rep.query_info_rep.output =
		(struct smb_buf){.p = call->payload, .len = (uint32_t)length};
	return SMB_STATUS_OK;
}

/* -------------------------------------------------------------------- set */

static void set_time(struct timespec *time, uint64_t filetime)
{
	struct netfs_time value;

	if (filetime == SMB_TIME_KEEP || filetime >= SMB_TIME_UNFREEZE)
		return;
	value = smb_time_get(filetime);
	*time = (struct timespec){value.sec, value.nsec};
}

static bool is_open(const struct smb_server *server, const struct node *node)
{
	struct netfs_list *at;

	netfs_list_for_each (at, &server->opens)
		if (netfs_container_of(at, struct open_smb, link)->node == node)
			return true;
	return false;
}

static uint32_t set_name(struct call_smb *call, struct open_smb *open,
			 const struct smb_file_rename *rename, bool is_link)
{
	char name[TREE_NAME_MAX + 1];
	struct node *dir, *old;
	struct netfs_list *at;
	uint32_t status = smb_walk(call, &rename->name, &dir, name);
	int err;

	if (status)
		return status;
	if (!name[0] || !open->name[0])
		return SMB_STATUS_INVALID_PARAMETER;
	old = tree_find(dir, name);
	if (old && old != open->node) {
		if (!(rename->flags & SMB_RENAME_REPLACE))
			return SMB_STATUS_OBJECT_NAME_COLLISION;
		if (!is_link && !smb_leases_yield(call->server, old, &call->conn->client,
						  open->lease ? &open->lease->key : NULL,
						  SMB_LEASE_READ | SMB_LEASE_WRITE)) {
			call->wait = true;
			return SMB_STATUS_OK;
		}
		if (is_open(call->server, old) && !(rename->flags & SMB_RENAME_POSIX)) {
			call->server->in_the_way++;
			return SMB_STATUS_ACCESS_DENIED;
		}
	}
	if (is_link)
		return smb_status_of_errno(tree_link(dir, name, open->node));
	err = tree_rename(open->dir, open->name, dir, name);
	if (err)
		return smb_status_of_errno(err);
	netfs_list_for_each (at, &call->server->opens) {
		struct open_smb *each = netfs_container_of(at, struct open_smb, link);

		if (each->node == open->node && each != open) {
			each->dir = dir;
			strcpy(each->name, name);
		}
	}
	open->dir = dir;
	strcpy(open->name, name);
	return SMB_STATUS_OK;
}

static uint32_t set_remove(struct open_smb *open, uint32_t flags)
{
	if (flags & SMB_DISPOSITION_DELETE && S_ISDIR(open->node->mode) && open->node->entries)
		return SMB_STATUS_DIRECTORY_NOT_EMPTY;
	if (!(open->access & SMB_ACCESS_DELETE))
		return SMB_STATUS_ACCESS_DENIED;
	open->remove = flags & SMB_DISPOSITION_DELETE;
	/* The name goes at once, the file with its last open. */
	if (flags & SMB_DISPOSITION_POSIX && open->remove && open->name[0]) {
		open->remove = false;
		return smb_status_of_errno(
			tree_unlink(open->dir, open->name, S_ISDIR(open->node->mode)));
	}
	return SMB_STATUS_OK;
}

static uint32_t set_size(struct call_smb *call, struct open_smb *open, uint64_t size)
{
	int err;

	if (!(open->access & SMB_ACCESS_WRITE_DATA))
		return SMB_STATUS_ACCESS_DENIED;
	if (call->server->config.defect == DEFECT_KEPT_TAIL && size < open->node->now.size)
		return SMB_STATUS_OK;
	smb_leases_yield(call->server, open->node, &call->conn->client,
			 open->lease ? &open->lease->key : NULL, 0);
	err = node_resize(open->node, size);
	node_touch(open->node);
	return smb_status_of_errno(err);
}

static uint32_t set_file(struct call_smb *call, struct open_smb *open, uint8_t info_class,
			 const union smb_info *info)
{
	switch (info_class) {
	case SMB_FILE_BASIC:
		set_time(&open->node->atime, info->basic.times.accessed);
		set_time(&open->node->mtime, info->basic.times.written);
		return SMB_STATUS_OK;
	case SMB_FILE_EOF:
		return set_size(call, open, info->value64);
	case SMB_FILE_ALLOCATION:
		return info->value64 < open->node->now.size ? set_size(call, open, info->value64)
							    : SMB_STATUS_OK;
	case SMB_FILE_RENAME:
	case SMB_FILE_RENAME_EX:
		return set_name(call, open, &info->rename, false);
	case SMB_FILE_LINK:
	case SMB_FILE_LINK_EX:
		return set_name(call, open, &info->rename, true);
	case SMB_FILE_DISPOSITION:
		return set_remove(open, info->value8 ? SMB_DISPOSITION_DELETE : 0);
	case SMB_FILE_DISPOSITION_EX:
		return set_remove(open, info->value32);
	default:
		return SMB_STATUS_INVALID_INFO_CLASS;
	}
}

static uint32_t set_security(struct open_smb *open, const struct smb_buf *input)
{
	static struct smb_security security;
	uint32_t mode, number;

	if (smb_security_decode(input->p, input->len, &security) < 0)
		return SMB_STATUS_INVALID_PARAMETER;
	/* Entries speak of those whom it belongs to, also where they are not sent. */
	if (!smb_sid_present(&security.owner))
		security.owner = smb_sid_of(SMB_SID_UID, open->node->uid);
	if (!smb_sid_present(&security.group))
		security.group = smb_sid_of(SMB_SID_GID, open->node->gid);
	if (smb_sid_number(&security.owner, &number) == SMB_SID_UID)
		open->node->uid = number;
	if (smb_sid_number(&security.group, &number) == SMB_SID_GID)
		open->node->gid = number;
	if (smb_security_mode(&security, SMB_SECURITY_EXACT, &mode))
		open->node->mode = (open->node->mode & S_IFMT) | mode;
	return SMB_STATUS_OK;
}

uint32_t smb_on_set_info(struct call_smb *call)
{
	struct open_smb *open = smb_open_find(call, &call->req.set_info_req.fid);
	uint8_t type = call->req.set_info_req.info_type;
	uint8_t info_class = call->req.set_info_req.info_class;
	const struct smb_buf *input = &call->req.set_info_req.input;
	union smb_info info;
	int err;

	if (!open)
		return SMB_STATUS_FILE_CLOSED;
	if (type == SMB_INFO_SECURITY)
		return set_security(open, input);
	err = smb_info_decode(type, info_class, input->p, input->len, &info);
	if (err == -EPROTO) {
		smb_server_violation(call->server, "malformed SET_INFO");
		return SMB_STATUS_INFO_LENGTH_MISMATCH;
	}
	if (err || type != SMB_INFO_FILE)
		return SMB_STATUS_INVALID_INFO_CLASS;
	return set_file(call, open, info_class, &info);
}
