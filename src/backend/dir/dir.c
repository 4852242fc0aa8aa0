/* SPDX-License-Identifier: MIT */
/*
 * The dir back end: a directory of this machine as the server.  For trying
 * things, for slow disks and other mounts behind it, and as the embedded
 * default.
 *
 *	names, attributes	dir_name.c, dir_attr.c, dir_lock.c	pool threads
 *	data, fsync		dir_io.c				io_uring
 *	where objects are	dir_path.c
 *	troubles to play	dir_faults.c
 *
 * Calls of the local file system may block, so every operation on names is
 * copied into a struct dir_req and run on a pool thread, where it is straight
 * code: open the directory, make the call, look at what came of it.  Data goes
 * through the environment's asynchronous files and needs no thread.  Open
 * handles have a descriptor each; nodes have none.
 *
 * Permissions are those of the process.  New objects are given to the asking
 * user as far as the process may do that.
 *
 * Ends: the connection and each handle that is just being closed in the
 * background count as references of struct dir_be; disconnect completes when
 * the last is gone.
 *
 * Locks: dir_be.mutex, never held in a system call or a completion.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <backend/dir/dir.h>
#include <env/alloc.h>
#include <env/hostfs.h>

/* ----------------------------------------------------- operations */

/* Not found because something moved: again, as soon as nothing does. */
static void run_again(struct dir_req *req)
{
	struct dir_be *be = req->be;
	bool now;

	netfs_mutex_lock(&be->mutex);
	now = !be->renames;
	if (!now)
		netfs_list_push_back(&be->waiting, &req->link);
	netfs_mutex_unlock(&be->mutex);
	if (now)
		netfs_job_post(&req->job);
}

static void run_req(struct netfs_job *job)
{
	struct dir_req *req = netfs_container_of(job, struct dir_req, job);
	int err = req->run(req);

	if (err == -ERESTART)
		run_again(req);
	else
		netfs_dir_late_end(&req->late, 0, err, 0);
}

void netfs_dir_start(struct netfs_be *be, struct netfs_op *op, const struct dir_req *what)
{
	struct dir_req *req = netfs_alloc(sizeof(*req));

	if (!req) {
		op->done(op, -ENOMEM);
		return;
	}
	*req = *what;
	req->job.fn = run_req;
	req->be = netfs_dir_be(be);
	req->op = op;
	req->late.be = req->be;
	req->late.op = op;
	req->late.memory = req;
	netfs_dir_late_begin(&req->late);
	netfs_job_post(&req->job);
}

/* ----------------------------------------------------- connection */

/* A connect on its way. */
struct dir_connect {
	struct netfs_job job;
	const struct netfs_be_config *config;
	struct netfs_op *op;
};

static void be_free(struct dir_be *be)
{
	netfs_hash_done(&be->nodes);
	netfs_mutex_done(&be->mutex);
	netfs_free(be);
}

static struct dir_be *be_new(const char *path)
{
	struct dir_be *be = netfs_zalloc(sizeof(*be));

	if (!be)
		return NULL;
	be->be = (struct netfs_be){
		.ops = &netfs_dir_ops,
		.caps = NETFS_BE_OPEN_UNLINKED | NETFS_BE_RENAME_FLAGS | NETFS_BE_LOCKS |
			NETFS_BE_LOCAL,
		.rsize = DIR_SLICE_MAX,
		.wsize = DIR_SLICE_MAX,
		.depth = DIR_DEPTH,
	};
	snprintf(be->be.address, sizeof(be->be.address), "directory %s", path);
	netfs_mutex_init(&be->mutex, NETFS_RANK_BACKEND);
	netfs_hash_init(&be->nodes);
	netfs_list_init(&be->waiting);
	be->refs = 1;
	return be;
}

static int open_root(struct dir_be *be, const char *path, struct netfs_op *op)
{
	struct dir_stat stat;
	int err;

	if (*path != '/')
		return -EINVAL;
	be->root_fd = netfs_hostfs_open(AT_FDCWD, path, O_PATH | O_DIRECTORY, 0);
	if (be->root_fd < 0)
		return be->root_fd;
	err = netfs_dir_stat(be->root_fd, "", &stat);
	if (!err)
		err = netfs_dir_node_get(be, &stat, NULL, "", &be->root);
	if (err) {
		netfs_hostfs_close(be->root_fd);
		return err;
	}
	be->root_dev = stat.st.st_dev;
	netfs_dir_attr(be, &stat, &op->attr);
	return 0;
}

static void run_connect(struct netfs_job *job)
{
	struct dir_connect *connect = netfs_container_of(job, struct dir_connect, job);
	const char *path = connect->config->source->path;
	struct netfs_op *op = connect->op;
	struct dir_be *be = be_new(path);
	char text[256] = "not enough memory";
	int err = -ENOMEM;

	if (be)
		err = netfs_dir_faults_init(&be->faults, connect->config, text, sizeof(text));
	if (!err) {
		err = open_root(be, path, op);
		if (err)
			snprintf(text, sizeof(text), "%.200s: %s", path,
				 *path != '/' ? "not an absolute path" : strerrordesc_np(-err));
	}
	netfs_free(connect);
	if (!err) {
		op->be = &be->be;
		op->node = netfs_node_get(&be->root->node);
	} else if (be) {
		be_free(be);
	}
	if (err && op->buf)
		snprintf(op->buf, op->buf_size, "%s", text);
	op->done(op, err);
}

static void dir_connect(const struct netfs_be_config *config, struct netfs_be_host *host,
			struct netfs_op *op)
{
	struct dir_connect *connect = netfs_alloc(sizeof(*connect));

	if (!connect) {
		op->done(op, -ENOMEM);
		return;
	}
	*connect = (struct dir_connect){.job.fn = run_connect, .config = config, .op = op};
	netfs_job_post(&connect->job);
}

void netfs_dir_be_put(struct dir_be *be)
{
	struct netfs_op *op;
	bool last;

	netfs_mutex_lock(&be->mutex);
	last = --be->refs == 0;
	netfs_mutex_unlock(&be->mutex);
	if (!last)
		return;
	op = be->disconnect;
	netfs_node_put(&be->root->node);
	netfs_hostfs_close(be->root_fd);
	be_free(be);
	op->done(op, 0);
}

static void run_disconnect(struct netfs_job *job)
{
	struct dir_req *req = netfs_container_of(job, struct dir_req, job);
	struct dir_be *be = req->be;

	netfs_free(req);
	netfs_dir_be_put(be);
}

static void dir_disconnect(struct netfs_be *netfs_be, struct netfs_op *op)
{
	struct dir_be *be = netfs_dir_be(netfs_be);
	struct dir_req *req = netfs_zalloc(sizeof(*req));

	netfs_mutex_lock(&be->mutex);
	be->disconnect = op;
	netfs_mutex_unlock(&be->mutex);
	if (req) {
		req->job.fn = run_disconnect;
		req->be = be;
		netfs_job_post(&req->job);
	} else {
		netfs_dir_be_put(be);
	}
}

/* -------------------------------------------------------- requests */

#define NODE(n) .node = netfs_dir_node(n)

static void dir_lookup(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	netfs_dir_start(dir->be, op,
			&(struct dir_req){.run = netfs_dir_run_lookup, NODE(dir), .name = name});
}

static void dir_getattr(struct netfs_node *node, struct netfs_handle *handle, struct netfs_op *op)
{
	netfs_dir_start(node->be, op,
			&(struct dir_req){.run = netfs_dir_run_getattr,
					  NODE(node),
					  .handle = netfs_dir_handle(handle)});
}

static void dir_setattr(struct netfs_node *node, struct netfs_handle *handle,
			const struct netfs_setattr *set, struct netfs_op *op)
{
	netfs_dir_start(node->be, op,
			&(struct dir_req){.run = netfs_dir_run_setattr,
					  NODE(node),
					  .handle = netfs_dir_handle(handle),
					  .arg = set});
}

static void dir_readlink(struct netfs_node *node, struct netfs_op *op)
{
	netfs_dir_start(node->be, op, &(struct dir_req){.run = netfs_dir_run_readlink, NODE(node)});
}

static void dir_mknod(struct netfs_node *dir, const char *name, uint32_t mode, uint32_t rdev_major,
		      uint32_t rdev_minor, struct netfs_op *op)
{
	netfs_dir_start(dir->be, op,
			&(struct dir_req){.run = netfs_dir_run_mknod,
					  NODE(dir),
					  .name = name,
					  .mode = mode,
					  .rdev = makedev(rdev_major, rdev_minor)});
}

static void dir_mkdir(struct netfs_node *dir, const char *name, uint32_t mode, struct netfs_op *op)
{
	netfs_dir_start(dir->be, op,
			&(struct dir_req){
				.run = netfs_dir_run_mkdir, NODE(dir), .name = name, .mode = mode});
}

static void dir_symlink(struct netfs_node *dir, const char *name, const char *target,
			struct netfs_op *op)
{
	netfs_dir_start(
		dir->be, op,
		&(struct dir_req){
			.run = netfs_dir_run_symlink, NODE(dir), .name = name, .arg = target});
}

static void dir_link(struct netfs_node *node, struct netfs_node *dir, const char *name,
		     struct netfs_op *op)
{
	netfs_dir_start(node->be, op,
			&(struct dir_req){.run = netfs_dir_run_link,
					  NODE(node),
					  .new_dir = netfs_dir_node(dir),
					  .name = name});
}

static void dir_unlink(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	netfs_dir_start(dir->be, op,
			&(struct dir_req){.run = netfs_dir_run_unlink, NODE(dir), .name = name});
}

static void dir_rmdir(struct netfs_node *dir, const char *name, struct netfs_op *op)
{
	netfs_dir_start(dir->be, op,
			&(struct dir_req){.run = netfs_dir_run_unlink,
					  NODE(dir),
					  .name = name,
					  .flags = AT_REMOVEDIR});
}

static void dir_rename(struct netfs_node *node, struct netfs_node *old_dir, const char *old_name,
		       struct netfs_node *new_dir, const char *new_name, uint32_t flags,
		       struct netfs_op *op)
{
	netfs_dir_start(node->be, op,
			&(struct dir_req){.run = netfs_dir_run_rename,
					  NODE(old_dir),
					  .moved = netfs_dir_node(node),
					  .name = old_name,
					  .new_dir = netfs_dir_node(new_dir),
					  .new_name = new_name,
					  .flags = flags});
}

static void dir_create(struct netfs_node *dir, const char *name, uint32_t flags, uint32_t mode,
		       struct netfs_op *op)
{
	netfs_dir_start(dir->be, op,
			&(struct dir_req){.run = netfs_dir_run_create,
					  NODE(dir),
					  .name = name,
					  .flags = flags,
					  .mode = mode});
}

static void dir_open(struct netfs_node *node, uint32_t flags, struct netfs_op *op)
{
	netfs_dir_start(node->be, op,
			&(struct dir_req){.run = netfs_dir_run_open, NODE(node), .flags = flags});
}

static void dir_readdir(struct netfs_handle *handle, uint64_t cookie, struct netfs_op *op)
{
	netfs_dir_start(handle->be, op,
			&(struct dir_req){.run = netfs_dir_run_readdir,
					  .handle = netfs_dir_handle(handle),
					  .start = cookie});
}

static void dir_fallocate(struct netfs_handle *handle, uint32_t mode, uint64_t start, uint64_t len,
			  struct netfs_op *op)
{
	netfs_dir_start(handle->be, op,
			&(struct dir_req){.run = netfs_dir_run_fallocate,
					  .handle = netfs_dir_handle(handle),
					  .mode = mode,
					  .start = start,
					  .len = len});
}

static void dir_copy_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			   uint64_t to_start, uint64_t len, struct netfs_op *op)
{
	netfs_dir_start(from->be, op,
			&(struct dir_req){.run = netfs_dir_run_copy_range,
					  .handle = netfs_dir_handle(from),
					  .start = from_start,
					  .to = netfs_dir_handle(to),
					  .to_start = to_start,
					  .len = len});
}

static void dir_clone_range(struct netfs_handle *from, uint64_t from_start, struct netfs_handle *to,
			    uint64_t to_start, uint64_t len, struct netfs_op *op)
{
	netfs_dir_start(from->be, op,
			&(struct dir_req){.run = netfs_dir_run_clone_range,
					  .handle = netfs_dir_handle(from),
					  .start = from_start,
					  .to = netfs_dir_handle(to),
					  .to_start = to_start,
					  .len = len});
}

static void dir_seek(struct netfs_handle *handle, uint64_t start, int whence, struct netfs_op *op)
{
	netfs_dir_start(handle->be, op,
			&(struct dir_req){.run = netfs_dir_run_seek,
					  .handle = netfs_dir_handle(handle),
					  .start = start,
					  .flags = (uint32_t)whence});
}

static void dir_statfs(struct netfs_node *node, struct netfs_op *op)
{
	netfs_dir_start(node->be, op, &(struct dir_req){.run = netfs_dir_run_statfs, NODE(node)});
}

static void dir_getxattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	netfs_dir_start(node->be, op,
			&(struct dir_req){.run = netfs_dir_run_getxattr, NODE(node), .name = name});
}

static void dir_listxattr(struct netfs_node *node, struct netfs_op *op)
{
	netfs_dir_start(node->be, op,
			&(struct dir_req){.run = netfs_dir_run_listxattr, NODE(node)});
}

static void dir_setxattr(struct netfs_node *node, const char *name, const void *value, size_t size,
			 uint32_t flags, struct netfs_op *op)
{
	netfs_dir_start(node->be, op,
			&(struct dir_req){.run = netfs_dir_run_setxattr,
					  NODE(node),
					  .name = name,
					  .arg = value,
					  .len = size,
					  .flags = flags});
}

static void dir_removexattr(struct netfs_node *node, const char *name, struct netfs_op *op)
{
	netfs_dir_start(
		node->be, op,
		&(struct dir_req){.run = netfs_dir_run_removexattr, NODE(node), .name = name});
}

static void dir_lock(struct netfs_handle *handle, const struct netfs_lock *lock,
		     struct netfs_op *op)
{
	netfs_dir_start(handle->be, op,
			&(struct dir_req){.run = netfs_dir_run_lock,
					  .handle = netfs_dir_handle(handle),
					  .arg = lock});
}

static void dir_getlock(struct netfs_handle *handle, const struct netfs_lock *lock,
			struct netfs_op *op)
{
	netfs_dir_start(handle->be, op,
			&(struct dir_req){.run = netfs_dir_run_getlock,
					  .handle = netfs_dir_handle(handle),
					  .arg = lock});
}

static const struct netfs_option_info dir_options[] = {
	{"delay", "milliseconds that every request takes longer (default 0)"},
	{"bw", "bytes per second for data, with k, m or g (default unlimited)"},
	{"errors", "N or N:ERRNO, one data request in N fails, to be retried or for good"},
	{NULL, NULL},
};

const struct netfs_be_ops netfs_dir_ops = {
	.scheme = "dir",
	.summary = "a directory of this machine: dir:/path",
	.options = dir_options,
	.connect = dir_connect,
	.disconnect = dir_disconnect,
	.node_free = netfs_dir_node_free,
	.handle_free = netfs_dir_handle_free,
	.op_cancel = netfs_dir_op_cancel,
	.slice_cancel = netfs_dir_slice_cancel,
	.lookup = dir_lookup,
	.getattr = dir_getattr,
	.setattr = dir_setattr,
	.readlink = dir_readlink,
	.mknod = dir_mknod,
	.mkdir = dir_mkdir,
	.symlink = dir_symlink,
	.link = dir_link,
	.unlink = dir_unlink,
	.rmdir = dir_rmdir,
	.rename = dir_rename,
	.create = dir_create,
	.open = dir_open,
	.readdir = dir_readdir,
	.read = netfs_dir_transfer,
	.write = netfs_dir_transfer,
	.fsync = netfs_dir_fsync,
	.path = netfs_dir_path,
	.fallocate = dir_fallocate,
	.copy_range = dir_copy_range,
	.clone_range = dir_clone_range,
	.seek = dir_seek,
	.statfs = dir_statfs,
	.getxattr = dir_getxattr,
	.listxattr = dir_listxattr,
	.setxattr = dir_setxattr,
	.removexattr = dir_removexattr,
	.lock = dir_lock,
	.getlock = dir_getlock,
};
