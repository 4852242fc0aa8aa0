/* SPDX-License-Identifier: MIT */
/*
 * The 9P2000.L back end: a client of our own on env sockets, so that it runs
 * against real servers and in the simulator alike.  doc/9p.md is the guide;
 * p9.h says which file does what and explains the locks.
 *
 * 9P has no leases and its change counters cannot be relied on, so there is no
 * NETFS_BE_CHANGE_COUNTER; a write is acknowledged when the server has it in
 * memory, so no NETFS_BE_STABLE_WRITES; and servers that address files by path
 * lose them with their name, so no NETFS_BE_OPEN_UNLINKED.
 */
#include <backend/backends.h>
#include "p9.h"

const struct netfs_be_ops netfs_p9_ops = {
	.scheme = "9p",
	.summary =
		"9P2000.L servers (diod, QEMU and others) over TCP, a unix socket or a descriptor",
	.options = p9_options,
	.connect = p9_connect,
	.disconnect = p9_disconnect,
	.node_free = p9_node_free,
	.handle_free = p9_handle_free,
	.op_cancel = p9_op_cancel,
	.slice_cancel = p9_slice_cancel,
	.lookup = p9_lookup,
	.getattr = p9_getattr,
	.setattr = p9_setattr,
	.readlink = p9_readlink,
	.mknod = p9_mknod,
	.mkdir = p9_mkdir,
	.symlink = p9_symlink,
	.link = p9_link,
	.unlink = p9_unlink,
	.rmdir = p9_rmdir,
	.rename = p9_rename,
	.create = p9_create,
	.open = p9_open,
	.readdir = p9_readdir,
	.read = p9_read,
	.write = p9_write,
	.fsync = p9_fsync,
	.path = p9_path,
	.statfs = p9_statfs,
	.getxattr = p9_getxattr,
	.listxattr = p9_listxattr,
	.setxattr = p9_setxattr,
	.removexattr = p9_removexattr,
	.lock = p9_lock,
	.getlock = p9_getlock,
};
