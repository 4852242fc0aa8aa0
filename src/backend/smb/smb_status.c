/* SPDX-License-Identifier: MIT */
/*
 * Statuses, their names and errno values, in one table sorted by status.  Where
 * several statuses are one errno value, the one marked with BACK is what the
 * simulated server answers for it.  Pure functions, no locks.
 */
#include "smb_status.h"

#include <errno.h>
#include <stddef.h>

struct row {
	uint32_t status;
	int err;
	const char *name;
	bool back;
};

#define ROW(s, e)                                                                                  \
	{                                                                                          \
		SMB_STATUS_##s, (e), "STATUS_" #s, false                                           \
	}
#define BACK(s, e)                                                                                 \
	{                                                                                          \
		SMB_STATUS_##s, (e), "STATUS_" #s, true                                            \
	}
#define NAMED(v, s, e)                                                                             \
	{                                                                                          \
		UINT32_C(v), (e), "STATUS_" s, false                                               \
	}

/* clang-format off */
static const struct row rows[] = {
	ROW(OK, 0),
	ROW(PENDING, 0),
	ROW(NOTIFY_CLEANUP, 0),
	ROW(NOTIFY_ENUM_DIR, 0),
	ROW(BUFFER_OVERFLOW, 0),
	ROW(NO_MORE_FILES, 0),
	ROW(STOPPED_ON_SYMLINK, ELOOP),
	ROW(NOT_IMPLEMENTED, EOPNOTSUPP),
	ROW(INVALID_INFO_CLASS, EOPNOTSUPP),
	ROW(INFO_LENGTH_MISMATCH, EINVAL),
	BACK(INVALID_HANDLE, EBADF),
	BACK(INVALID_PARAMETER, EINVAL),
	ROW(NO_SUCH_FILE, ENOENT),
	ROW(INVALID_DEVICE_REQUEST, EOPNOTSUPP),
	ROW(END_OF_FILE, 0),
	ROW(MORE_PROCESSING, 0),
	NAMED(0xc0000017, "NO_MEMORY", EREMOTEIO),
	BACK(ACCESS_DENIED, EACCES),
	BACK(BUFFER_TOO_SMALL, ERANGE),
	ROW(OBJECT_NAME_INVALID, EINVAL),
	BACK(OBJECT_NAME_NOT_FOUND, ENOENT),
	BACK(OBJECT_NAME_COLLISION, EEXIST),
	ROW(OBJECT_PATH_NOT_FOUND, ENOENT),
	NAMED(0xc000003b, "OBJECT_PATH_SYNTAX_BAD", EINVAL),
	BACK(SHARING_VIOLATION, EBUSY),
	BACK(QUOTA_EXCEEDED, EDQUOT),
	BACK(NO_EAS_ON_FILE, ENODATA),
	ROW(FILE_LOCK_CONFLICT, EAGAIN),
	BACK(LOCK_NOT_GRANTED, EAGAIN),
	ROW(DELETE_PENDING, ENOENT),
	NAMED(0xc0000061, "PRIVILEGE_NOT_HELD", EPERM),
	NAMED(0xc000006a, "WRONG_PASSWORD", EKEYREJECTED),
	BACK(LOGON_FAILURE, EKEYREJECTED),
	NAMED(0xc000006e, "ACCOUNT_RESTRICTION", EKEYREJECTED),
	NAMED(0xc000006f, "INVALID_LOGON_HOURS", EKEYREJECTED),
	BACK(PASSWORD_EXPIRED, EKEYEXPIRED),
	NAMED(0xc0000072, "ACCOUNT_DISABLED", EKEYREVOKED),
	ROW(RANGE_NOT_LOCKED, EINVAL),
	BACK(DISK_FULL, ENOSPC),
	BACK(INSUFFICIENT_RESOURCES, EREMOTEIO),
	BACK(MEDIA_WRITE_PROTECTED, EROFS),
	BACK(IO_TIMEOUT, ETIMEDOUT),
	BACK(FILE_IS_A_DIRECTORY, EISDIR),
	BACK(NOT_SUPPORTED, EOPNOTSUPP),
	ROW(NETWORK_NAME_DELETED, EIO),
	ROW(BAD_NETWORK_NAME, ENOENT),
	ROW(REQUEST_NOT_ACCEPTED, EREMOTEIO),
	NAMED(0xc00000d4, "NOT_SAME_DEVICE", EXDEV),
	ROW(INVALID_OPLOCK_PROTOCOL, EINVAL),
	ROW(INTERNAL_ERROR, EIO),
	BACK(DIRECTORY_NOT_EMPTY, ENOTEMPTY),
	BACK(NOT_A_DIRECTORY, ENOTDIR),
	NAMED(0xc0000106, "NAME_TOO_LONG", ENAMETOOLONG),
	NAMED(0xc000011f, "TOO_MANY_OPENED_FILES", EMFILE),
	BACK(CANCELLED, ECANCELED),
	ROW(CANNOT_DELETE, EACCES),
	ROW(FILE_CLOSED, EBADF),
	NAMED(0xc0000193, "ACCOUNT_EXPIRED", EKEYEXPIRED),
	ROW(USER_SESSION_DELETED, EIO),
	ROW(CONNECTION_DISCONNECTED, EIO),
	NAMED(0xc0000224, "PASSWORD_MUST_CHANGE", EKEYEXPIRED),
	ROW(NOT_FOUND, ENODATA),
	ROW(DUPLICATE_OBJECTID, EEXIST),
	NAMED(0xc0000234, "ACCOUNT_LOCKED_OUT", EKEYREVOKED),
	BACK(PATH_NOT_COVERED, EREMOTE),
	NAMED(0xc0000265, "TOO_MANY_LINKS", EMLINK),
	ROW(NOT_A_REPARSE_POINT, EINVAL),
	NAMED(0xc0000276, "IO_REPARSE_TAG_INVALID", EOPNOTSUPP),
	NAMED(0xc0000279, "IO_REPARSE_TAG_NOT_HANDLED", EOPNOTSUPP),
	ROW(NETWORK_SESSION_EXPIRED, EKEYEXPIRED),
	ROW(FILE_NOT_AVAILABLE, EIO),
	ROW(NO_PREAUTH_HASH_OVERLAP, EPROTONOSUPPORT),
};
/* clang-format on */

/* What a server that lacks a name of its own says instead. */
static const struct {
	int err;
	uint32_t status;
} more_back[] = {
	{EPERM, 0xc0000061},  {EXDEV, 0xc00000d4},  {ENAMETOOLONG, 0xc0000106},
	{EMFILE, 0xc000011f}, {EMLINK, 0xc0000265}, {ELOOP, SMB_STATUS_STOPPED_ON_SYMLINK},
};

static const struct row *find(uint32_t status)
{
	size_t low = 0, high = sizeof(rows) / sizeof(rows[0]);

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (rows[mid].status == status)
			return &rows[mid];
		if (rows[mid].status < status)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

int smb_status_errno(uint32_t status)
{
	const struct row *row = find(status);

	if (row)
		return -row->err;
	return status >> 30 >= 2 ? -EIO : 0;
}

const char *smb_status_name(uint32_t status)
{
	const struct row *row = find(status);

	return row ? row->name : "STATUS_?";
}

uint32_t smb_status_of_errno(int err)
{
	if (err == 0)
		return SMB_STATUS_OK;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].back && rows[i].err == -err)
			return rows[i].status;
	}
	for (size_t i = 0; i < sizeof(more_back) / sizeof(more_back[0]); i++) {
		if (more_back[i].err == -err)
			return more_back[i].status;
	}
	return SMB_STATUS_INTERNAL_ERROR;
}
