// SPDX-License-Identifier: MIT
/*
 * The SMB 3.1.1 back end's table.
 */
#include <backend/backends.h>
#include "smb.h"

const struct netfs_be_ops netfs_smb_ops = {
	.scheme = "smb",
	.summary = "SMB 3.1.1 share: //host/share or smb://user@host:port/share",
	.options = smb_options,
	.connect = smb_connect,
	.disconnect = smb_disconnect,
	.node_free = smb_node_free,
	.handle_free = smb_handle_free,
	.op_cancel = smb_call_cancel_op,
	.slice_cancel = smb_call_cancel_slice,
	.lookup = smb_lookup,
	.getattr = smb_getattr,
	.setattr = smb_setattr,
	.readlink = smb_readlink,
	.mknod = smb_mknod,
	.mkdir = smb_mkdir,
	.symlink = smb_symlink,
	.link = smb_link,
	.unlink = smb_unlink,
	.rmdir = smb_rmdir,
	.rename = smb_rename,
	.create = smb_create,
	.open = smb_open,
	.readdir = smb_readdir,
	.read = smb_read,
	.write = smb_write,
	.fsync = smb_fsync,
	.path = smb_path,
	.fallocate = smb_fallocate,
	.copy_range = smb_copy_range,
	.seek = smb_seek,
	.statfs = smb_statfs,
	.getxattr = smb_getxattr,
	.listxattr = smb_listxattr,
	.setxattr = smb_setxattr,
	.removexattr = smb_removexattr,
	.lock = smb_lock,
	.watch = smb_watch,
};
